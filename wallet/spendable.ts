/**
 * Which coins of a wallet a payment may use: mature, not those of a payment under way, confirmed ones before own change
 * that is not confirmed. Others' unconfirmed payments are never used: their senders can take them back.
 */
import { outPointKey, type Txid } from '../consensus/brand.ts';
import { satoshisFromJson } from './amount.ts';
import { INTERNAL } from './key-place.ts';
import { reservedCoins } from './pending-payments.ts';
import { NodeRefusal, type RpcClient } from './rpc-client.ts';
import { isMature, type WalletCoin, type WalletView } from './wallet-coins.ts';
import type { PendingPayment } from './wallet-state.ts';

/** Unconfirmed transactions that may hang together, the new one included. RULES B2. */
const CHAIN_LIMIT = 25;
/** Virtual bytes of them, with room for the new one. RULES B2: 101,000. */
const CHAIN_VSIZE = 81_000;
/** Transactions of the pool that are looked at for one payment. */
const MAX_ENTRIES = 500;
/** What Core answers about a transaction that is not in its pool. */
const NOT_IN_POOL = -5;

export interface SpendableCoins {
  readonly confirmed: readonly WalletCoin[];
  /** Own change of the pool that may be spent beside them. */
  readonly change: readonly WalletCoin[];
  /** Own change that could be spent if fewer payments in a row were unconfirmed. */
  readonly blocked: readonly WalletCoin[];
}

/** The confirmed coins alone, without asking the node. */
export function confirmedCoins(view: WalletView, pending: readonly PendingPayment[]): readonly WalletCoin[] {
  return freeCoins(view, pending).filter((coin) => coin.height !== undefined);
}

/** All that may be spent. Asks the node how the change hangs together with others. */
export async function spendableCoins(
  client: RpcClient,
  view: WalletView,
  pending: readonly PendingPayment[],
): Promise<SpendableCoins> {
  const free = freeCoins(view, pending);
  const confirmed = free.filter((coin) => coin.height !== undefined);
  const own = free.filter((coin) => coin.height === undefined && coin.place.chain === INTERNAL);
  const txids = [...new Set(own.map((coin) => coin.prevout.txid))];
  const allowed = allowedParents(txids, await poolEntries(client, txids));
  return {
    confirmed,
    change: own.filter((coin) => allowed.has(coin.prevout.txid)),
    blocked: own.filter((coin) => !allowed.has(coin.prevout.txid)),
  };
}

function freeCoins(view: WalletView, pending: readonly PendingPayment[]): readonly WalletCoin[] {
  const reserved = reservedCoins(pending);
  return view.coins.filter(
    (coin) => isMature(coin, view.tip.height) && !reserved.has(outPointKey(coin.prevout.txid, coin.prevout.vout)),
  );
}

/** A transaction of the pool, as `getmempoolentry` shows it. */
export interface PoolEntry {
  readonly vsize: number;
  /** Its own and that of all that spend from it, in satoshis. */
  readonly fees: { readonly own: bigint; readonly withDescendants: bigint };
  /** With itself. */
  readonly descendants: number;
  readonly parents: readonly Txid[];
}

/** Undefined where the pool does not have it. */
export async function poolEntry(client: RpcClient, txid: Txid): Promise<PoolEntry | undefined> {
  let answer: unknown;
  try {
    answer = await client.call('getmempoolentry', [txid]);
  } catch (error) {
    if (error instanceof NodeRefusal && error.rpcCode === NOT_IN_POOL) return undefined;
    throw error;
  }
  const { vsize, fees, descendantcount, depends } = answer as {
    vsize: number;
    fees: { base: number; descendant: number };
    descendantcount: number;
    depends: Txid[];
  };
  const [own, withDescendants] = [satoshisFromJson(fees.base), satoshisFromJson(fees.descendant)];
  return { vsize, fees: { own, withDescendants }, descendants: descendantcount, parents: depends };
}

/** The entries of these transactions and of all unconfirmed ones that they spend from, as far as they are few. */
async function poolEntries(client: RpcClient, txids: readonly Txid[]): Promise<ReadonlyMap<Txid, PoolEntry>> {
  const entries = new Map<Txid, PoolEntry>();
  const asked = new Set<Txid>();
  const queue = [...txids];
  for (let txid = queue.shift(); txid !== undefined && asked.size < MAX_ENTRIES; txid = queue.shift()) {
    if (asked.has(txid)) continue;
    asked.add(txid);
    const entry = await poolEntry(client, txid);
    if (entry === undefined) continue;
    entries.set(txid, entry);
    queue.push(...entry.parents);
  }
  return entries;
}

/**
 * The transactions whose outputs one new transaction can spend together within the limits, those with the fewest ancestors
 * first. One whose ancestors are not all known is left out.
 */
export function allowedParents(txids: readonly Txid[], entries: ReadonlyMap<Txid, PoolEntry>): ReadonlySet<Txid> {
  const families = txids
    .flatMap((txid) => {
      const family = familyOf(txid, entries);
      return family === undefined ? [] : [{ txid, family }];
    })
    .sort((a, b) => a.family.size - b.family.size);
  const allowed = new Set<Txid>();
  let together: ReadonlySet<Txid> = new Set();
  for (const { txid, family } of families) {
    const joined = new Set([...together, ...family]);
    const members = [...joined].map((member) => entries.get(member) as PoolEntry);
    const vsize = members.reduce((sum, entry) => sum + entry.vsize, 0);
    const isFull = members.some(({ descendants }) => descendants >= CHAIN_LIMIT);
    if (joined.size >= CHAIN_LIMIT || vsize > CHAIN_VSIZE || isFull) continue;
    together = joined;
    allowed.add(txid);
  }
  return allowed;
}

/** The transaction and its unconfirmed ancestors; undefined if one of them is not known. */
function familyOf(txid: Txid, entries: ReadonlyMap<Txid, PoolEntry>): ReadonlySet<Txid> | undefined {
  const family = new Set<Txid>();
  const queue = [txid];
  for (let member = queue.pop(); member !== undefined; member = queue.pop()) {
    if (family.has(member)) continue;
    const entry = entries.get(member);
    if (entry === undefined) return undefined;
    family.add(member);
    queue.push(...entry.parents);
  }
  return family;
}
