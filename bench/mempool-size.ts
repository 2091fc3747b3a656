/**
 * What the pool's work costs against the number of transactions in it: a block template, the entry of a transaction and its
 * leaving with a block. Most stand alone, some are chains in which the last pays for all. Signatures count as verified; all
 * sizes take part in each round, so that a busy machine slows all of them.
 */
import { sha256 } from '#hash';
import { p2trScript } from '../consensus/address.ts';
import type { Block } from '../consensus/block.ts';
import { type Bytes, idFromBytes, type OutPointKey, outPointKey, type Txid } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { type Coin, makeTransaction, type Transaction, type TxOutput } from '../consensus/transaction.ts';
import type { ChainUpdate, ChainView } from '../node/chain/chain-state.ts';
import { internetLimits } from '../node/limits.ts';
import { Mempool } from '../node/mempool/pool.ts';
import { buildTemplate } from '../node/mining/template.ts';
import { SeededRandom } from '../node/random.ts';
import { figure, median } from './figures.ts';
import { mineBlock } from './recorded-chain.ts';

export const about = 'template, entry and leaving of transactions, against the size of the pool';

const SIZES = [1_000, 10_000, 50_000];
const ROUNDS = 9;
const MOVED = 500;
const TEMPLATE_AIM_MS = 50;
const COIN_SATS = 10_000_000n;
const NO_SIGNATURE: Bytes = new Uint8Array(64);
const NOW = { mono: 0, unix: 1_700_000_000 };
const SCRIPT = p2trScript(sha256(new TextEncoder().encode('bench')));

/** A pool, and a chain on which everything has a coin that it asks for. */
class Contestant implements ChainView {
  readonly size: number;
  readonly pool = new Mempool({ limits: internetLimits });
  readonly hash = regtest.genesis.header.hash;
  readonly height = 200;
  readonly medianTimePast = NOW.unix - 600;
  readonly #random: SeededRandom;
  readonly #coins = new Map<OutPointKey, Coin>();
  #next = 0;
  readonly templates: number[] = [];
  readonly entries: number[] = [];
  readonly leavings: number[] = [];
  /** The longest single call of the entries. */
  worst = 0;

  constructor(size: number) {
    this.size = size;
    this.#random = new SeededRandom(`pool of ${size}`);
    while (this.pool.size < size) for (const tx of this.#draft()) this.#submit(tx);
  }

  medianTimePastAt(): number {
    return this.medianTimePast;
  }

  coin(key: OutPointKey): Coin | undefined {
    return this.#coins.get(key);
  }

  /** Medians would hide a step that is taken once in a while: mean values of many. */
  round(): void {
    const drafts: Transaction[] = [];
    while (drafts.length < MOVED) drafts.push(...this.#draft());
    const began = performance.now();
    for (const tx of drafts) {
      const before = performance.now();
      this.#submit(tx);
      this.worst = Math.max(this.worst, performance.now() - before);
    }
    const entered = performance.now();
    this.entries.push(((entered - began) / drafts.length) * 1000);

    // The pool is another one than that of the last template.
    const template = this.#template();
    const built = performance.now();
    this.templates.push(built - entered);
    if (template.transactions.length === 0) throw new Error('the template is empty');

    const block = mineBlock(regtest.genesis, 1, SCRIPT, drafts, regtest);
    const mined = performance.now();
    this.pool.onChainUpdate(updateOf(block), this, NOW);
    this.leavings.push(((performance.now() - mined) / drafts.length) * 1000);
    if (this.pool.size >= this.size + MOVED) throw new Error('the block confirmed nothing');
  }

  #template(): ReturnType<typeof buildTemplate> {
    const { hash, height, medianTimePast } = this;
    const tip = { hash, height, time: NOW.unix, medianTimePast, anchorTime: 0 };
    return buildTemplate({ source: this.pool, tip, params: regtest, now: NOW.unix, script: SCRIPT });
  }

  /** One transaction, or a chain of up to six. */
  #draft(): Transaction[] {
    const length = this.#random.u32() % 8 === 0 ? 2 + (this.#random.u32() % 5) : 1;
    const txs: Transaction[] = [];
    let from = this.#newCoin();
    for (let i = 0; i < length; i++) {
      const fee = 150n + BigInt(this.#random.u32() % (i === length - 1 ? 20_000 : 2_000));
      const outputs: TxOutput[] = [{ value: from.value - fee, scriptPubKey: SCRIPT }];
      const prevout = { txid: from.txid, vout: 0 };
      const input = { prevout, scriptSig: new Uint8Array(0), sequence: 0xfffffffd, witness: [NO_SIGNATURE] };
      const tx = makeTransaction({ version: 2, inputs: [input], outputs, lockTime: 0 });
      txs.push(tx);
      from = { txid: tx.txid, value: from.value - fee };
    }
    return txs;
  }

  #newCoin(): { readonly txid: Txid; readonly value: bigint } {
    const name = new TextEncoder().encode(`${this.size} ${this.#next++}`);
    const txid = idFromBytes<Txid>(sha256(name));
    const coin = { value: COIN_SATS, scriptPubKey: p2trScript(sha256(sha256(name))), height: 1, coinbase: false };
    this.#coins.set(outPointKey(txid, 0), coin);
    return { txid, value: COIN_SATS };
  }

  #submit(tx: Transaction): void {
    const verdict = this.pool.submit(tx, this, NOW);
    if (verdict.type !== 'verify') throw new Error(`not wanted: ${JSON.stringify(verdict)}`);
    for (const step of this.pool.onVerified(verdict.ticket, null, this, NOW)) {
      if (step.type === 'transaction' && step.result.type === 'accepted') continue;
      throw new Error(`refused: ${JSON.stringify(step)}`);
    }
  }
}

export async function run(): Promise<void> {
  const contestants = SIZES.map((size) => new Contestant(size));
  // The first rounds only warm up.
  for (let round = 0; round < ROUNDS + 2; round++) for (const contestant of contestants) contestant.round();
  const values = (list: readonly number[]) => median(list.slice(2));
  const [smallest] = contestants as [Contestant];
  for (const { size, templates, entries, leavings, worst } of contestants) {
    const than = (list: readonly number[], first: readonly number[]) =>
      `${(values(list) / values(first)).toFixed(2)} × 10³ transactions`;
    figure(`${size} transactions: template`, values(templates), 'ms', `aim ${TEMPLATE_AIM_MS}; ${ROUNDS} rounds`);
    figure(`${size} transactions: one enters`, values(entries), 'µs', than(entries, smallest.entries));
    figure(`${size} transactions: the slowest that entered`, worst, 'ms');
    figure(`${size} transactions: one leaves`, values(leavings), 'µs', than(leavings, smallest.leavings));
  }
}

function updateOf(block: Block): ChainUpdate {
  const connected = [{ node: undefined, block }] as unknown as ChainUpdate['connected'];
  return { disconnected: [], connected, tip: undefined as unknown as ChainUpdate['tip'] };
}
