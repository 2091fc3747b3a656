/** The transactions of a wallet as one node knows them, its pool included: what came in, what went out, at which fee. */
import { bytesToHex, hexToBytes } from '#hash';
import { scriptAddress } from '../consensus/address.ts';
import type { BlockHash, Txid } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import type { ChainParams } from '../consensus/params.ts';
import { isCoinbase, readTransaction, type Transaction, type TxOutput } from '../consensus/transaction.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { type ScanRange, type UsedIndexes, type WalletAddress, walkAddresses } from './address-walk.ts';
import type { KeyPlace } from './key-place.ts';
import type { OutputKeys } from './output-keys.ts';
import { NodeRefusal, type RpcClient } from './rpc-client.ts';
import { MAX_RESTARTS, tipMoves } from './wallet-coins.ts';

/** A transaction that touches the wallet. Amounts are satoshis. */
export interface HistoryEntry {
  readonly txid: Txid;
  /** `mined` is a block's reward; `self` moves coins within the wallet. */
  readonly type: 'in' | 'out' | 'self' | 'mined';
  /** What the wallet got (above zero) or paid to others (below), without the fee. */
  readonly amount: bigint;
  /** Undefined where others have paid it, or a part of it. */
  readonly fee: bigint | undefined;
  /** Undefined while it is in the pool. */
  readonly height: number | undefined;
  readonly confirmations: number;
  /** Of its block, or when it came into the pool; seconds since 1970. Undefined where the node does not say. */
  readonly time: number | undefined;
  /** Those that were paid: of others if it went out, else our own. Without data outputs. */
  readonly addresses: readonly string[];
}

/** What touches the wallet, before anything of it is fetched. */
export interface Touched {
  readonly tip: { readonly height: number; readonly hash: BlockHash };
  /** Those of the chain in its order; those of the pool in none. */
  readonly rows: readonly HistoryRow[];
  /** Output scripts of the wallet that were looked at, in hex, and where their keys stand. */
  readonly own: ReadonlyMap<string, KeyPlace>;
  /** Places that a transaction touches. */
  readonly places: readonly KeyPlace[];
  readonly used: UsedIndexes;
}

export interface HistoryRow {
  readonly txid: Txid;
  readonly confirmations: number;
  /** Absent while it is in the pool. */
  readonly height?: number;
  /** In its block. */
  readonly index?: number;
  /** When it came into the pool. Absent elsewhere: its block has the time. */
  readonly time?: number | undefined;
}

interface HistoryOfScript {
  readonly bestblock: BlockHash;
  readonly height: number;
  readonly transactions: readonly HistoryRow[];
}

/** Transactions in one request. */
const TRANSACTIONS_PER_REQUEST = 100;
/** RPC: no such transaction. */
const UNKNOWN_TRANSACTION = -5;

/** The last `limit` transactions, oldest first. Every one belongs to the same tip. */
export async function readHistory(
  client: RpcClient,
  keys: OutputKeys,
  range: ScanRange,
  limit: number,
  params: ChainParams,
): Promise<readonly HistoryEntry[]> {
  for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
    const touched = await tryTouched(client, keys, range);
    const entries = touched === undefined ? undefined : await describe(client, touched, limit, params);
    if (entries === undefined) continue;
    keys.save();
    return entries;
  }
  throw tipMoves();
}

/** All that touches the wallet, looked up at one tip. `onLooked` is told how many addresses were looked at so far. */
export async function lookUpTouched(
  client: RpcClient,
  keys: OutputKeys,
  range: ScanRange,
  onLooked: (addresses: number) => void,
): Promise<Touched> {
  for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
    const touched = await tryTouched(client, keys, range, onLooked);
    if (touched !== undefined) return touched;
  }
  throw tipMoves();
}

/** Undefined if the tip moved meanwhile. */
async function tryTouched(
  client: RpcClient,
  keys: OutputKeys,
  range: ScanRange,
  onLooked: (addresses: number) => void = () => undefined,
): Promise<Touched | undefined> {
  const rows = new Map<Txid, HistoryRow>();
  const own = new Map<string, KeyPlace>();
  const places: KeyPlace[] = [];
  let tip: Touched['tip'] | undefined;
  const visit = async (batch: readonly WalletAddress[]) => {
    const hashes = batch.map(({ hash }) => hash);
    const answers = (await client.call('getscripthistory', [hashes])) as readonly HistoryOfScript[];
    const usedPlaces: KeyPlace[] = [];
    for (const [at, { bestblock, height, transactions }] of answers.entries()) {
      const { place, scriptPubKey } = batch[at] as WalletAddress;
      tip ??= { hash: bestblock, height };
      if (tip.hash !== bestblock) return undefined;
      own.set(bytesToHex(scriptPubKey), place);
      for (const row of transactions) rows.set(row.txid, row);
      if (transactions.length > 0) usedPlaces.push(place);
    }
    places.push(...usedPlaces);
    onLooked(own.size);
    return usedPlaces;
  };
  const used = await walkAddresses(keys, range, visit);
  if (used === undefined) return undefined;
  if (tip === undefined) throw new Error('a look-up asks at least once');
  return { tip, rows: [...rows.values()].sort(byHeight), own, places, used };
}

/** Undefined if a transaction vanished meanwhile: of a block that was disconnected, or replaced in the pool. */
async function describe(
  client: RpcClient,
  { rows, own }: Touched,
  limit: number,
  params: ChainParams,
): Promise<readonly HistoryEntry[] | undefined> {
  const ordered = [...rows.filter(({ height }) => height !== undefined), ...(await inPoolOrder(client, rows))];
  const shown = ordered.slice(Math.max(ordered.length - limit, 0));
  const fetched = await fetchTransactions(
    client,
    shown.map(({ txid }) => txid),
  );
  if (fetched === undefined) return undefined;
  // What our inputs spend was paid to us by transactions of this same history.
  const known = new Set(rows.map(({ txid }) => txid));
  const parents = new Set<Txid>();
  for (const { tx } of fetched.values()) {
    for (const { prevout } of tx.inputs) {
      if (known.has(prevout.txid) && !fetched.has(prevout.txid)) parents.add(prevout.txid);
    }
  }
  const more = await fetchTransactions(client, [...parents]);
  if (more === undefined) return undefined;
  const transactions = new Map([...more, ...fetched]);
  const entries: HistoryEntry[] = [];
  for (const row of shown) {
    const { tx, time } = fetched.get(row.txid) as Fetched;
    const spent = tx.inputs.map(({ prevout }) => transactions.get(prevout.txid)?.tx.outputs[prevout.vout]);
    const { txid, height, confirmations } = row;
    entries.push({ txid, ...judge(tx, spent, own, params), height, confirmations, time: row.time ?? time });
  }
  return entries;
}

/** Type, amount, fee and addresses. `spent` holds what each input spends, as far as it is known. */
function judge(
  tx: Transaction,
  spent: readonly (TxOutput | undefined)[],
  own: ReadonlyMap<string, KeyPlace>,
  params: ChainParams,
): Pick<HistoryEntry, 'type' | 'amount' | 'fee' | 'addresses'> {
  const isOwn = ({ scriptPubKey }: TxOutput) => own.has(bytesToHex(scriptPubKey));
  const ownSpent = spent.filter((output) => output !== undefined && isOwn(output)) as TxOutput[];
  const ours = tx.outputs.filter(isOwn);
  const foreign = tx.outputs.filter((output) => !isOwn(output));
  const addressesOf = (outputs: readonly TxOutput[]) =>
    outputs.map(({ scriptPubKey }) => scriptAddress(scriptPubKey, params)).filter((address) => address !== undefined);
  if (ownSpent.length === 0) {
    const type = isCoinbase(tx) ? 'mined' : 'in';
    return { type, amount: sumOf(ours), fee: undefined, addresses: addressesOf(ours) };
  }
  if (ownSpent.length < tx.inputs.length) {
    // Made together with others: who paid which part of the fee is nowhere written.
    const amount = sumOf(ours) - sumOf(ownSpent);
    const isOut = amount < 0n;
    return { type: isOut ? 'out' : 'in', amount, fee: undefined, addresses: addressesOf(isOut ? foreign : ours) };
  }
  const fee = sumOf(ownSpent) - sumOf(tx.outputs);
  if (foreign.length === 0) return { type: 'self', amount: 0n, fee, addresses: addressesOf(ours) };
  return { type: 'out', amount: -sumOf(foreign), fee, addresses: addressesOf(foreign) };
}

interface Fetched {
  readonly tx: Transaction;
  readonly time: number | undefined;
}

async function fetchTransactions(
  client: RpcClient,
  txids: readonly Txid[],
): Promise<ReadonlyMap<Txid, Fetched> | undefined> {
  const fetched = new Map<Txid, Fetched>();
  for (let at = 0; at < txids.length; at += TRANSACTIONS_PER_REQUEST) {
    const page = txids.slice(at, at + TRANSACTIONS_PER_REQUEST);
    let answers: readonly unknown[];
    try {
      answers = await client.batch(page.map((txid) => ['getrawtransaction', [txid, true]]));
    } catch (error) {
      if (error instanceof NodeRefusal && error.rpcCode === UNKNOWN_TRANSACTION) return undefined;
      throw error;
    }
    for (const [offset, answer] of answers.entries()) fetched.set(page[offset] as Txid, readAnswer(answer));
  }
  return fetched;
}

function readAnswer(answer: unknown): Fetched {
  const { hex, blocktime } = answer as { hex?: unknown; blocktime?: unknown };
  const tx = typeof hex === 'string' ? decode(hexToBytes(hex), readTransaction) : undefined;
  if (!tx?.ok)
    throw new CliError(Exit.unreachable, 'not-a-node', 'the node answered with something that is no transaction');
  return { tx: tx.value, time: typeof blocktime === 'number' ? blocktime : undefined };
}

interface PoolRow extends HistoryRow {
  readonly time: number | undefined;
  /** Itself included: what spends another has more. */
  readonly ancestors: number;
}

/** The rows of the pool, oldest first. One that has left the pool meanwhile is the newest: it was mined or replaced just now. */
async function inPoolOrder(client: RpcClient, rows: readonly HistoryRow[]): Promise<readonly PoolRow[]> {
  const pooled: PoolRow[] = [];
  for (const row of rows) if (row.height === undefined) pooled.push(await inPool(client, row));
  const age = ({ time }: PoolRow) => time ?? Number.MAX_SAFE_INTEGER;
  return pooled.sort((a, b) => age(a) - age(b) || a.ancestors - b.ancestors);
}

async function inPool(client: RpcClient, row: HistoryRow): Promise<PoolRow> {
  try {
    const entry = (await client.call('getmempoolentry', [row.txid])) as { time: number; ancestorcount: number };
    return { ...row, time: entry.time, ancestors: entry.ancestorcount };
  } catch (error) {
    if (!(error instanceof NodeRefusal) || error.rpcCode !== UNKNOWN_TRANSACTION) throw error;
    return { ...row, time: undefined, ancestors: 0 };
  }
}

/** The order of the chain. Those of the pool are ordered later. */
function byHeight(a: HistoryRow, b: HistoryRow): number {
  return (a.height ?? 0) - (b.height ?? 0) || (a.index ?? 0) - (b.index ?? 0);
}

function sumOf(outputs: readonly TxOutput[]): bigint {
  return outputs.reduce((sum, { value }) => sum + value, 0n);
}
