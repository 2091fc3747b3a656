/**
 * Blocks for a branch beside the chain. Pure: what each block holds is given, and so are the time and what makes the
 * blocks differ from all others. Headers are ground here with regtest's two hashes a block; where they cost more, by others.
 */
import { type Block, encodeHeader, makeHeader } from '../consensus/block.ts';
import type { BlockHash, Bytes } from '../consensus/brand.ts';
import { medianTime } from '../consensus/check-header.ts';
import { type ChainParams, MEDIAN_TIME_SPAN } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import type { Transaction } from '../consensus/transaction.ts';
import { assembleBlock, buildTemplate } from '../node/mining/template.ts';
import type { Find } from './premine-work.ts';

/** The block that a branch begins on. */
export interface BranchPoint {
  readonly hash: BlockHash;
  readonly height: number;
  /** Times of the last blocks up to this one, oldest first: eleven, or as many as there are. */
  readonly times: readonly number[];
  /** Time of block 1: where difficulty adjusts, it is counted from there. */
  readonly anchorTime: number;
}

export interface BranchOrder {
  /** The transactions of each block, without the coinbase, in valid order. Their fees are not claimed. */
  readonly contents: readonly (readonly Transaction[])[];
  /** Script that the coinbases pay. */
  readonly script: Bytes;
  /** Put into every coinbase: two branches from one block in one second must not be the same. At most 71 bytes. */
  readonly mark: Bytes;
  /** Seconds since 1970 on the nodes' clocks. */
  readonly now: number;
  readonly params: ChainParams;
}

/** One block on the other from `from` on, one for each entry of `contents`. For networks whose blocks cost nothing. */
export function buildBranch(from: BranchPoint, order: BranchOrder): Block[] {
  const blocks: Block[] = [];
  let tip = from;
  for (const source of order.contents) {
    const block = grind(blockOn(tip, source, order), order.params);
    blocks.push(block);
    tip = extended(tip, block);
  }
  return blocks;
}

/** As `buildBranch`, where blocks cost work. */
export async function searchBranch(from: BranchPoint, order: BranchOrder, find: Find): Promise<Block[]> {
  const blocks: Block[] = [];
  let tip = from;
  for (const source of order.contents) {
    const parent = tip;
    const candidate = (extra: number) => blockOn(parent, source, { ...order, mark: counted(order.mark, extra) });
    const { bits } = candidate(0).header;
    const { extra, nonce } = await find((number) => encodeHeader(candidate(number).header), bits);
    const found = candidate(extra);
    const block = { ...found, header: makeHeader({ ...found.header, nonce }) };
    blocks.push(block);
    tip = extended(tip, block);
  }
  return blocks;
}

/** Without its proof of work. */
function blockOn(tip: BranchPoint, source: readonly Transaction[], order: Omit<BranchOrder, 'contents'>): Block {
  const { script, mark, now, params } = order;
  const time = tip.times.at(-1) as number;
  const medianTimePast = medianTime(tip.times.slice(-MEDIAN_TIME_SPAN));
  const extra = Uint8Array.of(mark.length, ...mark);
  const info = { hash: tip.hash, height: tip.height, time, medianTimePast, anchorTime: tip.anchorTime };
  return assembleBlock(buildTemplate({ source, tip: info, params, now, script, extra }));
}

function extended(tip: BranchPoint, { header }: Block): BranchPoint {
  return { ...tip, hash: header.hash, height: tip.height + 1, times: [...tip.times, header.time] };
}

/** The mark with a number of four bytes behind it. */
function counted(mark: Bytes, extra: number): Bytes {
  const bytes = new Uint8Array(mark.length + 4);
  bytes.set(mark);
  new DataView(bytes.buffer).setUint32(mark.length, extra % 2 ** 32);
  return bytes;
}

function grind(block: Block, params: ChainParams): Block {
  for (let nonce = 0; ; nonce++) {
    const header = makeHeader({ ...block.header, nonce });
    if (checkProofOfWork(header.hash, header.bits, params)) return { ...block, header };
  }
}

/** Transactions of the blocks that will be undone, by block, without coinbases. */
export type Undone = readonly (readonly Transaction[])[];

/** The ids of `root` and of everything in the blocks that spends it, directly or not. */
export function descendantsOf(root: string, undone: Undone): string[] {
  const found = new Set([root]);
  // Parents stand before children, in a block and from block to block.
  for (const tx of undone.flat()) {
    if (tx.inputs.some(({ prevout }) => found.has(prevout.txid))) found.add(tx.txid);
  }
  return [...found];
}

/** What `root` needs to exist: its ancestors in the blocks, each where it stood. */
export function ancestorsOf(root: Transaction, undone: Undone): Transaction[][] {
  const needed = new Set(root.inputs.map(({ prevout }) => prevout.txid as string));
  for (const tx of undone.flat().reverse()) {
    if (needed.has(tx.txid)) for (const { prevout } of tx.inputs) needed.add(prevout.txid);
  }
  return undone.map((txs) => txs.filter(({ txid }) => needed.has(txid)));
}
