/** A chain state over a store and block files in memory, with the world around it played by the test. */
import { expect } from '@jest/globals';
import { bytesToHex } from '#hash';
import { isUnspendable, scriptHash } from '../../../consensus/address.ts';
import type { Block } from '../../../consensus/block.ts';
import type { Bytes, OutPointKey, Txid } from '../../../consensus/brand.ts';
import { outPointKey } from '../../../consensus/brand.ts';
import { type ChainParams, regtest } from '../../../consensus/params.ts';
import { CHECK_SIZE } from '../../../consensus/signature.ts';
import type { Coin } from '../../../consensus/transaction.ts';
import type { Row } from '../../../node/boundary.ts';
import {
  type BlockAccepted,
  type ChainProgress,
  ChainState,
  type ChainUpdate,
} from '../../../node/chain/chain-state.ts';
import { type HeaderNode, HeaderTree } from '../../../node/chain/header-tree.ts';
import { MemoryBlockFiles, MemoryStore } from '../../../node/chain/memory-store.ts';
import {
  coinsRange,
  decodeCoinRow,
  decodeScriptCoinRow,
  decodeScriptHistoryKey,
  decodeTip,
  headersRange,
} from '../../../node/chain/schema.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';

/** Later than any block of a test, and no reason to refuse one. */
export const NOW = 2_000_000_000;

/** The first byte of a signature by which a test says that it is wrong. */
export const WRONG = 0xff;

export class TestNode {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly store: MemoryStore;
  readonly blockFiles: MemoryBlockFiles;
  tree!: HeaderTree;
  chain!: ChainState;
  /** Transactions whose signatures are known, as the mempool would know them. */
  readonly verifiedTx = new Set<string>();
  /** Checks that wait for their answer, oldest first. */
  readonly waiting = new Map<number, Bytes>();
  readonly updates: ChainUpdate[] = [];
  readonly failures: { node: HeaderNode; reason: string; kind: string }[] = [];
  checksEmitted = 0;
  onUpdate: (update: ChainUpdate) => void = () => {};

  /** With `from`, it starts in the state in which that node is, and leaves it alone. */
  constructor(limits: Partial<Limits> = {}, from?: TestNode, params: ChainParams = regtest) {
    this.params = params;
    this.limits = { ...localLimits, ...limits };
    this.store = from?.store.snapshot() ?? new MemoryStore();
    // Bodies are only ever appended, so that one heap of them serves all.
    this.blockFiles = from?.blockFiles ?? new MemoryBlockFiles();
    this.open();
  }

  /** Starts from what the store holds. What was in memory only is gone. */
  open(): void {
    this.waiting.clear();
    this.tree = new HeaderTree(this.params, this.store.range(headersRange.gte, headersRange.lt));
    this.chain = new ChainState({
      params: this.params,
      tree: this.tree,
      store: this.store,
      blockFiles: this.blockFiles,
      limits: this.limits,
      verified: (wtxid) => this.verifiedTx.has(wtxid),
    });
  }

  accept(block: Block): BlockAccepted {
    return this.chain.acceptBlock(block, NOW);
  }

  /** One step. Returns whether there is more to do. */
  step(): boolean {
    return this.record(this.chain.advance()).more;
  }

  /** Steps until nothing can be done without an answer. */
  advance(): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps > 10_000) throw new Error('the chain state does not come to rest');
    }
  }

  /** Answers one request with the truth, as the signatures of the test tell it. */
  answer(ticket: number): ChainProgress {
    const checks = this.waiting.get(ticket);
    if (checks === undefined) throw new Error(`the ticket ${ticket} does not wait`);
    this.waiting.delete(ticket);
    return this.record(this.chain.onVerified(ticket, lowestWrong(checks)));
  }

  /** Steps and answers until all is decided. */
  settle(): void {
    this.advance();
    for (;;) {
      const [ticket] = this.waiting.keys();
      if (ticket === undefined) return;
      this.answer(ticket);
      this.advance();
    }
  }

  /** Takes a block and decides it. Returns the reason of its refusal or null. */
  submit(block: Block): string | null {
    const { result } = this.accept(block);
    if (result !== null) return result.reason;
    const before = this.failures.length;
    this.settle();
    return this.failures.slice(before).find(({ node }) => node.hash === block.header.hash)?.reason ?? null;
  }

  node(block: Block): HeaderNode {
    const node = this.tree.get(block.header.hash);
    if (node === undefined) throw new Error(`the tree does not have ${block.header.hash}`);
    return node;
  }

  get tipHash(): string {
    return this.chain.hash;
  }

  record(progress: ChainProgress): ChainProgress {
    for (const { ticket, checks } of progress.verify) {
      this.waiting.set(ticket, checks);
      this.checksEmitted += checks.length / CHECK_SIZE;
    }
    for (const ticket of progress.cancel) {
      expect(this.waiting.delete(ticket)).toBe(true);
    }
    for (const { node, reject } of progress.failures) {
      this.failures.push({ node, reason: reject.reason, kind: reject.kind });
    }
    for (const update of progress.updates) {
      this.updates.push(update);
      this.onUpdate(update);
    }
    return progress;
  }
}

function lowestWrong(checks: Bytes): number | null {
  for (let at = 0; at < checks.length; at += CHECK_SIZE) if (checks[at + 64] === WRONG) return at / CHECK_SIZE;
  return null;
}

/** The state after a chain of blocks, by replay without any cleverness. */
export interface ReplayedState {
  readonly coins: ReadonlyMap<OutPointKey, Coin>;
  /** `script height index txid` of every transaction that touches a script. */
  readonly history: ReadonlySet<string>;
  /** txid → `hash height index`. */
  readonly transactions: ReadonlyMap<string, string>;
}

export const GENESIS_STATE: ReplayedState = { coins: new Map(), history: new Set(), transactions: new Map() };

/** The state after one more block. */
export function replay(before: ReplayedState, block: Block, height: number): ReplayedState {
  const coins = new Map(before.coins);
  const history = new Set(before.history);
  const transactions = new Map(before.transactions);
  for (const [index, tx] of block.transactions.entries()) {
    const touch = (script: Bytes) => history.add(`${scriptHash(script)} ${height} ${index} ${tx.txid}`);
    for (const { prevout } of index === 0 ? [] : tx.inputs) {
      const key = outPointKey(prevout.txid, prevout.vout);
      const coin = coins.get(key);
      if (coin === undefined) continue;
      touch(coin.scriptPubKey);
      coins.delete(key);
    }
    for (const [vout, { value, scriptPubKey }] of tx.outputs.entries()) {
      if (isUnspendable(scriptPubKey)) continue;
      touch(scriptPubKey);
      coins.set(outPointKey(tx.txid, vout), { value, scriptPubKey, height, coinbase: index === 0 });
    }
    transactions.set(tx.txid, `${block.header.hash} ${height} ${index}`);
  }
  return { coins, history, transactions };
}

/** Compares everything that the store says of the chain with a replay. As text, because comparing it deeply takes long. */
export function expectState(
  node: { readonly chain: ChainState; readonly store: { range(gte: string, lt: string): Row[] } },
  expected: ReplayedState,
): void {
  const { store, chain } = node;
  const [tipRow, ...coinRows] = store.range(coinsRange.gte, coinsRange.lt);
  const coinCount = expected.coins.size;
  expect(decodeTip(tipRow?.value as Bytes)).toEqual({ hash: chain.hash, height: chain.height, coinCount });
  expect(chain.stats.coinCount).toBe(coinCount);

  const coinLines = lines([...expected.coins].map(([key, coin]) => coinLine(key, coin)));
  const coins = coinRows.map(decodeCoinRow);
  expect(lines(coins.map(({ txid, vout, coin }) => coinLine(outPointKey(txid, vout), coin)))).toBe(coinLines);

  const byScript = store.range('s', 't').map((row) => {
    const { txid, vout, coin } = decodeScriptCoinRow(row);
    const isInPlace = row.key.slice(1, 65) === scriptHash(coin.scriptPubKey);
    return isInPlace ? coinLine(outPointKey(txid, vout), coin) : `${row.key} is the key of another script`;
  });
  expect(lines(byScript)).toBe(coinLines);

  const history = store.range('h', 'i').map(({ key }) => {
    const { height, index, txid } = decodeScriptHistoryKey(key);
    return `${key.slice(1, 65)} ${height} ${index} ${txid}`;
  });
  expect(lines(history)).toBe(lines([...expected.history]));

  const transactions = store.range('t', 'u').map(({ key }) => {
    const txid = key.slice(1) as Txid;
    const found = chain.findTransaction(txid);
    return `${txid} ${found?.node.hash} ${found?.node.height} ${found?.index}`;
  });
  expect(lines(transactions)).toBe(lines([...expected.transactions].map(([txid, place]) => `${txid} ${place}`)));
}

function coinLine(key: OutPointKey, { value, scriptPubKey, height, coinbase }: Coin): string {
  return `${key} ${value} ${bytesToHex(scriptPubKey)} ${height} ${coinbase}`;
}

function lines(items: string[]): string {
  return items.sort().join('\n');
}
