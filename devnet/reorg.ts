/**
 * A reorg on demand: a branch that is one block heavier than what it replaces, mined here and given to one node by
 * `submitblock`. From there it goes the way of all blocks, so nothing in the nodes remembers that it was made on purpose.
 *
 * Its blocks hold only their coinbases, so the payments of the blocks that are undone go back to the mempools. A payment
 * that is dropped does not: the branch spends its coins otherwise, at the height where it stood.
 */
import { randomBytes } from 'node:crypto';
import { bytesToHex, hexToBytes } from '#hash';
import { requiredBits } from '../consensus/asert.ts';
import { type Block, encodeBlock, readBlock } from '../consensus/block.ts';
import type { BlockHash, Bytes } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import { type ChainParams, MEDIAN_TIME_SPAN } from '../consensus/params.ts';
import { workOf } from '../consensus/pow.ts';
import type { Transaction } from '../consensus/transaction.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { NodeRefusal, type RpcClient } from '../wallet/rpc-client.ts';
import { doubleSpend, type OwnedAccount } from './double-spend.ts';
import type { Find } from './premine-work.ts';
import { ancestorsOf, type BranchPoint, buildBranch, descendantsOf, searchBranch, type Undone } from './side-branch.ts';
import { hashText } from './work-status.ts';

export interface ReorgOrder {
  /** Blocks that are undone. */
  readonly depth: number;
  /** The node that gets the branch first; the first that runs unless named. */
  readonly node?: string | undefined;
  /** A payment in those blocks that must not come back. */
  readonly drop?: string | undefined;
}

export interface ReorgResult {
  readonly node: string;
  readonly depth: number;
  /** The last block that both branches have. */
  readonly fork: { readonly height: number; readonly hash: string };
  readonly oldTip: { readonly height: number; readonly hash: string };
  readonly newTip: { readonly height: number; readonly hash: string };
  /** Payments that are in that node's mempool again. */
  readonly returned: readonly string[];
  /** The payment of `drop` and those that depended on it: they are gone. */
  readonly dropped: readonly string[];
  /** The payment that spends the coins of `drop` instead. */
  readonly replacement: string | null;
  /** Nodes that have the new tip. Others are cut off, down or slow. */
  readonly nodes: readonly string[];
}

/** What a reorg needs to know of the devnet. */
export interface ReorgPlace {
  readonly node: string;
  readonly rpc: RpcClient;
  readonly params: ChainParams;
  /** The blocks that every devnet of this seed has; they stay. */
  readonly premined: number;
  /** Gets the rewards. */
  readonly script: Bytes;
  readonly accounts: readonly OwnedAccount[];
  /** Seconds since 1970 on the nodes' clocks. */
  readonly now: number;
  /** Where blocks cost work: searches, and how many hashes a second that does. */
  readonly search?: { readonly find: Find; readonly rate: number } | undefined;
}

/** Deeper ones are refused: nodes keep that many, and none of them is worth waiting for. */
export const MAX_DEPTH = 2000;
/** Blocks or calls in one request. */
const BATCH = 100;
/** Nobody waits longer for blocks that cost work. */
const MAX_SEARCH_SECONDS = 60;
/** Others may mine while the branch is made: it is made longer so often. */
const MAX_RACES = 5;
/** Answers of `submitblock` to a block that is good: it is the tip, it is not (yet), it is known. */
const TAKEN = [null, 'inconclusive', 'duplicate'];

export function checkDepth(depth: number): number {
  if (Number.isSafeInteger(depth) && depth >= 1 && depth <= MAX_DEPTH) return depth;
  throw usageError(`a depth of ${depth} is none`, `give a whole number of blocks from 1 to ${MAX_DEPTH}: --depth 2`);
}

export type LocalReorg = Omit<ReorgResult, 'nodes'>;

/** Makes the branch and waits until the node is on it. */
export async function reorganise(order: ReorgOrder, place: ReorgPlace): Promise<LocalReorg> {
  const depth = checkDepth(order.depth);
  const { rpc } = place;
  const { blocks: height } = (await rpc.call('getblockchaininfo')) as { readonly blocks: number };
  checkReach(depth, height, place.premined);
  const forkHeight = height - depth;
  const oldHash = (await rpc.call('getblockhash', [height])) as BlockHash;
  const fork = await branchPoint(rpc, forkHeight);
  const undone = (await blocksFrom(rpc, forkHeight + 1, height)).map(({ transactions }) => transactions.slice(1));
  const { contents, replacement } = await contentsOf(order.drop, undone, height, place);
  checkCost(undone.length + 1, fork, place);
  const newTip = await outweigh(fork, [...contents, []], place);
  const payments = undone.flat().map(({ txid }) => txid as string);
  const pool = new Set((await rpc.call('getrawmempool')) as readonly string[]);
  return {
    node: place.node,
    depth,
    fork: { height: forkHeight, hash: fork.hash },
    oldTip: { height, hash: oldHash },
    newTip,
    returned: payments.filter((txid) => pool.has(txid)),
    dropped: order.drop === undefined ? [] : descendantsOf(order.drop, undone),
    replacement: replacement?.txid ?? null,
  };
}

function checkReach(depth: number, height: number, premined: number): void {
  const most = height - premined;
  if (depth <= most) return;
  const message =
    depth > height
      ? `the chain has ${height} blocks, so ${depth} cannot be undone`
      : `the first ${premined} blocks of a devnet stay: of its ${height} blocks ${most === 0 ? 'none' : `only ${most}`} can be undone`;
  const hint = most === 0 ? 'mine some first: grapevine mine 3' : `use --depth ${most} or less`;
  throw new CliError(Exit.failed, 'reorg-too-deep', message, hint);
}

/** Where blocks cost work, the branch costs as much as what it replaces, and a bit more. */
function checkCost(blocks: number, fork: BranchPoint, { params, search }: ReorgPlace): void {
  if (search === undefined) return;
  const parent = { height: fork.height, time: fork.times.at(-1) as number };
  const hashes = blocks * Number(workOf(requiredBits({ parent, anchorTime: fork.anchorTime }, params)));
  const seconds = hashes / search.rate;
  if (seconds <= MAX_SEARCH_SECONDS) return;
  throw new CliError(
    Exit.failed,
    'reorg-too-costly',
    `a branch of ${blocks} blocks costs ${hashText(hashes)} at this difficulty: about ${Math.round(seconds)} s of this whole machine`,
    'let the nodes do it: grapevine devnet partition, wait for blocks on both sides, then grapevine devnet heal',
  );
}

/** What the blocks of the branch hold, as many as are undone. */
async function contentsOf(
  drop: string | undefined,
  undone: Undone,
  height: number,
  place: ReorgPlace,
): Promise<{ readonly contents: readonly (readonly Transaction[])[]; readonly replacement: Transaction | undefined }> {
  if (drop === undefined) return { contents: undone.map(() => []), replacement: undefined };
  const at = undone.findIndex((txs) => txs.some(({ txid }) => txid === drop));
  const target = undone[at]?.find(({ txid }) => txid === drop);
  if (target === undefined) throw await notUndone(drop, undone.length, height, place.rpc);
  const replacement = await doubleSpend(target, place.accounts, place.rpc, place.params);
  const contents = ancestorsOf(target, undone).map((txs, index) => (index === at ? [...txs, replacement] : txs));
  return { contents, replacement };
}

/** Says where the payment is instead. */
async function notUndone(txid: string, depth: number, height: number, rpc: RpcClient): Promise<CliError> {
  let confirmations: number;
  try {
    const found = (await rpc.call('getrawtransaction', [txid, true])) as { readonly confirmations?: number };
    confirmations = found.confirmations ?? 0;
  } catch (error) {
    if (!(error instanceof NodeRefusal)) throw error;
    return new CliError(
      Exit.failed,
      'unknown-payment',
      `the node knows no payment ${txid}`,
      'see grapevine devnet trace',
    );
  }
  if (confirmations === 0) {
    return new CliError(Exit.failed, 'not-confirmed', `${txid} is in no block yet`, 'mine one first: grapevine mine 1');
  }
  const message = `${txid} is in block ${height + 1 - confirmations}, and a reorg of depth ${depth} does not reach it`;
  return new CliError(Exit.failed, 'reorg-too-shallow', message, `use --depth ${confirmations}`);
}

/** Gives the branch to the node, and lengthens it until it is the node's chain. */
async function outweigh(
  fork: BranchPoint,
  contents: readonly (readonly Transaction[])[],
  place: ReorgPlace,
): Promise<{ readonly height: number; readonly hash: string }> {
  const { params, script, now, search } = place;
  const mark = new Uint8Array(randomBytes(8));
  let point = fork;
  let next = contents;
  for (let race = 0; race <= MAX_RACES; race++) {
    const branchOrder = { contents: next, script, mark, now, params };
    const branch =
      search === undefined ? buildBranch(point, branchOrder) : await searchBranch(point, branchOrder, search.find);
    await submit(branch, place);
    const { header } = branch.at(-1) as Block;
    const height = point.height + branch.length;
    const tip = (await place.rpc.call('getblockchaininfo')) as { readonly blocks: number };
    const active = tip.blocks < height ? undefined : await place.rpc.call('getblockhash', [height]);
    if (active === header.hash) return { height, hash: header.hash };
    point = {
      ...point,
      hash: header.hash,
      height,
      times: [...point.times, ...branch.map((block) => block.header.time)],
    };
    next = Array.from({ length: Math.max(1, tip.blocks + 1 - height) }, () => []);
  }
  throw new CliError(
    Exit.failed,
    'reorg-lost',
    `${place.node} got blocks on its old branch faster than the new one grew`,
    'stop other miners, then try again',
  );
}

async function submit(branch: readonly Block[], { rpc, node }: ReorgPlace): Promise<void> {
  for (let at = 0; at < branch.length; at += BATCH) {
    const some = branch.slice(at, at + BATCH);
    const answers = await rpc.batch(some.map((block) => ['submitblock', [bytesToHex(encodeBlock(block))]]));
    const reason = answers.find((answer) => !TAKEN.includes(answer as string | null));
    if (reason !== undefined) {
      throw new CliError(Exit.refused, String(reason), `${node} refused a block of the branch: ${reason}`);
    }
  }
}

async function branchPoint(rpc: RpcClient, height: number): Promise<BranchPoint> {
  const first = Math.max(0, height + 1 - MEDIAN_TIME_SPAN);
  const blocks = await blocksFrom(rpc, first, height);
  const { header } = blocks.at(-1) as Block;
  const [anchor] = await blocksFrom(rpc, 1, 1);
  const times = blocks.map((block) => block.header.time);
  return { hash: header.hash, height, times, anchorTime: (anchor as Block).header.time };
}

async function blocksFrom(rpc: RpcClient, first: number, last: number): Promise<Block[]> {
  const found: Block[] = [];
  for (let at = first; at <= last; at += BATCH) {
    const heights = Array.from({ length: Math.min(BATCH, last + 1 - at) }, (_, step) => at + step);
    const hashes = await rpc.batch(heights.map((height) => ['getblockhash', [height]]));
    const texts = (await rpc.batch(hashes.map((hash) => ['getblock', [hash, 0]]))) as string[];
    for (const text of texts) {
      const block = decode(hexToBytes(text), readBlock);
      if (!block.ok) throw new Error(`a node gave a block that cannot be read: ${block.error}`);
      found.push(block.value);
    }
  }
  return found;
}
