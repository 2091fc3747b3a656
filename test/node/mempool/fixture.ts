/**
 * A pool over a test chain. Signatures are not made and not verified here: a transaction has a witness of 64 bytes, and the
 * test says whether they hold.
 */
import type { Block } from '../../../consensus/block.ts';
import { type Bytes, type OutPointKey, outPointKey } from '../../../consensus/brand.ts';
import { SEQUENCE_FINAL } from '../../../consensus/check-transaction.ts';
import { type Coin, makeTransaction, type Transaction, type TxOutput } from '../../../consensus/transaction.ts';
import type { Now } from '../../../node/boundary.ts';
import type { BlockAt, ChainUpdate, ChainView } from '../../../node/chain/chain-state.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { type Accepted, Mempool, type PoolUpdate, type Rejected, type Settled } from '../../../node/mempool/pool.ts';
import { applyBlock, type BlockOptions, pay, type Spendable, TestChain, testKey } from '../../support/chain-builder.ts';

export const MEAN_FEE = 1000n;

/** A chain of that height on which everything but the last 99 coinbases can be spent; computed once. */
const chains = new Map<number, TestChain>();
function chainOfHeight(height: number): TestChain {
  const known = chains.get(height) ?? TestChain.ofHeight(height);
  chains.set(height, known);
  return known.fork(height);
}

export interface DraftOptions {
  readonly version?: number;
  readonly lockTime?: number;
  readonly sequence?: number;
  readonly fee?: bigint;
  /** How many equal outputs, if `outputs` are not given. */
  readonly split?: number;
  readonly outputs?: readonly TxOutput[];
  /** Fills the signature: another witness for the same txid. */
  readonly seal?: number;
}

/** A transaction that spends all of `from` and pays everything but the fee to key 1. */
export function draft(from: readonly Spendable[], options: DraftOptions = {}): Transaction {
  const split = options.split ?? 1;
  let total = -(options.fee ?? MEAN_FEE);
  for (const { value } of from) total += value;
  const share = total / BigInt(split);
  return makeTransaction({
    version: options.version ?? 2,
    lockTime: options.lockTime ?? 0,
    inputs: from.map(({ txid, vout }) => ({
      prevout: { txid, vout },
      scriptSig: new Uint8Array(0),
      sequence: options.sequence ?? SEQUENCE_FINAL,
      witness: [seal(options.seal ?? 1)],
    })),
    outputs: options.outputs ?? Array.from({ length: split }, () => pay(testKey(1), share)),
  });
}

function seal(byte: number): Bytes {
  return new Uint8Array(64).fill(byte);
}

/** An output of a draft. */
export function output(tx: Transaction, vout = 0): Spendable {
  const { value, scriptPubKey } = tx.outputs[vout] as TxOutput;
  return { txid: tx.txid, vout, value, scriptPubKey, key: testKey(1) };
}

export class Fixture implements ChainView {
  readonly pool: Mempool;
  chain: TestChain;
  now: Now = { mono: 0, unix: 1_700_000_000 };
  #coins: Map<OutPointKey, Coin>;

  constructor(options: { readonly limits?: Partial<Limits>; readonly height?: number } = {}) {
    this.pool = new Mempool({ limits: { ...localLimits, ...options.limits } });
    this.chain = chainOfHeight(options.height ?? 110);
    this.#coins = this.chain.coins();
  }

  // ChainView

  get height(): number {
    return this.chain.height;
  }

  get hash(): ChainView['hash'] {
    return this.chain.tip.header.hash;
  }

  get medianTimePast(): number {
    return this.chain.medianTimePastAt(this.height);
  }

  coin(key: OutPointKey): Coin | undefined {
    return this.#coins.get(key);
  }

  medianTimePastAt(height: number): number {
    return this.chain.medianTimePastAt(height);
  }

  // Coins

  /** The coinbase of that height: mature where the height is at most that of the tip less 99. */
  coinbase(height = 1): Spendable {
    return this.chain.coinbase(height);
  }

  /** Mines a transaction that splits the first coinbase into so many confirmed coins. */
  coins(count: number): Spendable[] {
    const fan = draft([this.coinbase()], { split: count, fee: 100_000n });
    this.mine([fan]);
    return Array.from({ length: count }, (_, vout) => output(fan, vout));
  }

  // What happens

  /** Submits it and lets its signatures hold: 'accepted', or why it is refused. */
  send(tx: Transaction, options: { readonly test?: boolean } = {}): string {
    return reasonOf(this.judge(tx, options));
  }

  judge(tx: Transaction, options: { readonly test?: boolean } = {}): Accepted | Rejected {
    const verdict = this.pool.submit(tx, this, this.now, options);
    if (verdict.type === 'accepted' || verdict.type === 'rejected') return verdict;
    if (verdict.type !== 'verify') throw new Error(`unexpected verdict ${verdict.type}`);
    const [settled, ...more] = transactionsOf(this.pool.onVerified(verdict.ticket, null, this, this.now));
    if (settled === undefined || more.length > 0) throw new Error('one transaction settles');
    return settled.result;
  }

  sendAll(txs: readonly Transaction[]): void {
    for (const tx of txs) {
      const said = this.send(tx);
      if (said !== 'accepted') throw new Error(`${tx.txid} was refused: ${said}`);
    }
  }

  /** Connects a block of these transactions. */
  mine(transactions: readonly Transaction[] = [], options: BlockOptions = {}): PoolUpdate {
    const block = this.chain.extend({ ...options, transactions });
    return this.#update([], [block]);
  }

  /** Disconnects so many blocks and connects others: one per list of transactions. */
  reorg(depth: number, branch: readonly (readonly Transaction[])[], options: BlockOptions = {}): PoolUpdate {
    const disconnected = this.chain.blocks.slice(this.height + 1 - depth).reverse();
    this.chain = this.chain.fork(this.height - depth);
    const connected = branch.map((transactions) => this.chain.extend({ tag: 'branch', ...options, transactions }));
    return this.#update(disconnected, connected);
  }

  #update(disconnected: readonly Block[], connected: readonly Block[]): PoolUpdate {
    if (disconnected.length > 0) this.#coins = this.chain.coins();
    else for (const block of connected) applyBlock(this.#coins, block, this.height);
    const at = (block: Block) => ({ block }) as unknown as BlockAt;
    const update = { disconnected: disconnected.map(at), connected: connected.map(at) } as unknown as ChainUpdate;
    return this.pool.onChainUpdate(update, this, this.now);
  }

  // What is in the pool

  txids(): Set<string> {
    return new Set(Array.from(this.pool.entries(), ({ tx }) => tx.txid));
  }

  has(tx: Transaction): boolean {
    return this.pool.getByWtxid(tx.wtxid) !== undefined;
  }
}

/** The transactions among what settled. */
export function transactionsOf(steps: ReturnType<Mempool['onVerified']>): Settled[] {
  return steps.filter((step) => step.type === 'transaction');
}

export function reasonOf(result: Accepted | Rejected): string {
  return result.type === 'accepted' ? 'accepted' : result.reject.reason;
}

export function keyOf(from: Spendable): OutPointKey {
  return outPointKey(from.txid, from.vout);
}
