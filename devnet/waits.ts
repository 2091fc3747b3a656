/**
 * Waiting for what a network does in its own time: blocks and payments that reach all nodes, confirmations. Every wait
 * ends with what was waited for, or with exit code 6 and what was missing.
 */
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { NodeRefusal } from '../wallet/rpc-client.ts';
import type { Member } from './member.ts';
import type { Network } from './network.ts';
import type { NodeStatus } from './status.ts';

export const DEFAULT_WAIT_MS = 30_000;
/** Nobody means more. */
export const MAX_WAIT_MS = 24 * 3_600_000;
/** A node's answer to a question about a transaction or block that it does not know. */
const UNKNOWN = -5;

export interface TipReached {
  readonly height: number;
  readonly hash: string;
}

export interface WaitOptions {
  /** Names; all running nodes unless given. */
  readonly nodes?: readonly string[] | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface TxWaitOptions extends WaitOptions {
  /** 0: it is enough that the nodes know the payment. */
  readonly confirmations?: number | undefined;
}

export interface TxReached {
  readonly txid: string;
  /** The least that one of the nodes counts. */
  readonly confirmations: number;
  readonly blockHash: string | null;
}

/** A wait as commands ask for it: for one tip everywhere, for a block, or for a payment. */
export type WaitOrder = Pick<WaitOptions, 'timeoutMs'> &
  (
    | { readonly what: 'sync' }
    | { readonly what: 'tip'; readonly target: string | number }
    | { readonly what: 'tx'; readonly txid: string; readonly confirmations: number }
  );

/** Waits until the nodes have one tip. */
export async function waitForSync(network: Network, options: WaitOptions = {}): Promise<TipReached> {
  let seen: readonly NodeStatus[] = [];
  let agreed: TipReached | undefined;
  const holds = async () => {
    const members = chosen(network, options);
    seen = await Promise.all(members.map((member) => member.status()));
    const [first] = seen;
    if (first?.tip === undefined || seen.some(({ tip }) => tip !== first.tip)) return false;
    agreed = { height: first.height as number, hash: first.tip };
    return true;
  };
  if (await network.waitUntil(holds, timeoutOf(options))) return agreed as TipReached;
  throw timedOut('the nodes are not at one tip', options, describeTips(seen));
}

/** Waits until the nodes' chains have the block of that hash, or of that height. Resolves with the block at the first. */
export async function waitForTip(
  network: Network,
  target: string | number,
  options: WaitOptions = {},
): Promise<TipReached> {
  if (typeof target === 'number' && (!Number.isSafeInteger(target) || target < 0)) {
    throw usageError(`"${target}" is no height`, 'give a height or the hash of a block');
  }
  if (typeof target === 'string' && !/^[0-9a-f]{64}$/i.test(target)) {
    throw usageError(`"${target}" is no hash of a block`, 'give a height or 64 hex digits');
  }
  let reached: TipReached | undefined;
  const holds = async () => {
    const members = chosen(network, options);
    const found = await Promise.all(members.map((member) => blockAt(member, target)));
    reached = found[0];
    return members.length > 0 && found.every((one) => one !== undefined);
  };
  if (await network.waitUntil(holds, timeoutOf(options))) return reached as TipReached;
  const seen = await Promise.all(chosen(network, options).map((member) => member.status()));
  throw timedOut(`not every node has block ${target}`, options, describeTips(seen));
}

/** Waits until the nodes know the payment, or have it in blocks with as many confirmations as are wanted. */
export async function waitForTx(network: Network, txid: string, options: TxWaitOptions = {}): Promise<TxReached> {
  const { confirmations: wanted = 0 } = options;
  if (!/^[0-9a-f]{64}$/i.test(txid)) throw usageError(`"${txid}" is no txid`, 'a txid has 64 hex digits');
  if (!Number.isSafeInteger(wanted) || wanted < 0) {
    throw usageError(`"${wanted}" is no number of confirmations`, 'give 0, 1, 2, …');
  }
  let states: readonly { readonly name: string; readonly found: TxReached | undefined }[] = [];
  const holds = async () => {
    const members = chosen(network, options);
    states = await Promise.all(members.map(async (member) => ({ name: member.name, found: await txAt(member, txid) })));
    return states.length > 0 && states.every(({ found }) => found !== undefined && found.confirmations >= wanted);
  };
  if (await network.waitUntil(holds, timeoutOf(options))) {
    const found = states.map((state) => state.found as TxReached);
    return found.reduce((least, one) => (one.confirmations < least.confirmations ? one : least));
  }
  const words = states.map(({ name, found }) => {
    if (found === undefined) return `${name} does not know it`;
    return `${name} counts ${found.confirmations} confirmation${found.confirmations === 1 ? '' : 's'}`;
  });
  throw timedOut(`payment ${txid} is not where it was waited for`, options, words.join('; '));
}

function chosen(network: Network, { nodes }: WaitOptions): readonly Member[] {
  if (nodes?.length === 0) throw usageError('no node to wait for is named', 'leave out nodes to wait for all that run');
  return nodes === undefined ? network.running : nodes.map((name) => network.member(name));
}

function timeoutOf({ timeoutMs = DEFAULT_WAIT_MS }: WaitOptions): number {
  if (timeoutMs >= 0 && timeoutMs <= MAX_WAIT_MS) return timeoutMs;
  throw usageError(`cannot wait ${timeoutMs} ms`, 'a time-out is from 0 to 24 hours');
}

/** The block of a node's chain that is meant; undefined while it has none, or does not answer. */
async function blockAt(member: Member, target: string | number): Promise<TipReached | undefined> {
  if (!member.answers) return undefined;
  try {
    const hash = typeof target === 'string' ? target.toLowerCase() : await hashAt(member, target);
    if (hash === undefined) return undefined;
    const header = (await member.rpc.call('getblockheader', [hash])) as { height: number; confirmations: number };
    return header.confirmations > 0 ? { height: header.height, hash } : undefined;
  } catch (error) {
    return undefinedIfUnknown(error);
  }
}

async function hashAt(member: Member, height: number): Promise<string | undefined> {
  const { blocks } = (await member.rpc.call('getblockchaininfo')) as { readonly blocks: number };
  return blocks < height ? undefined : ((await member.rpc.call('getblockhash', [height])) as string);
}

async function txAt(member: Member, txid: string): Promise<TxReached | undefined> {
  if (!member.answers) return undefined;
  try {
    const tx = (await member.rpc.call('getrawtransaction', [txid.toLowerCase(), true])) as {
      readonly confirmations?: number;
      readonly blockhash?: string;
    };
    return { txid: txid.toLowerCase(), confirmations: tx.confirmations ?? 0, blockHash: tx.blockhash ?? null };
  } catch (error) {
    return undefinedIfUnknown(error);
  }
}

/** A node that does not know it yet, or that ended while it was asked, may know it the next time. */
function undefinedIfUnknown(error: unknown): undefined {
  if (error instanceof NodeRefusal ? error.rpcCode === UNKNOWN : error instanceof CliError) return undefined;
  throw error;
}

function describeTips(nodes: readonly NodeStatus[]): string {
  if (nodes.length === 0) return 'no node runs';
  return nodes
    .map(({ name, state, height, tip }) => `${name} ${tip === undefined ? state : `${height} ${tip.slice(0, 16)}…`}`)
    .join('; ');
}

function timedOut(what: string, options: WaitOptions, state: string): CliError {
  const seconds = timeoutOf(options) / 1000;
  return new CliError(
    Exit.timeout,
    'wait-timeout',
    `${what} after ${seconds} s: ${state}`,
    'see grapevine devnet status',
  );
}
