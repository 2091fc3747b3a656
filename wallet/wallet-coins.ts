/**
 * The coins of a wallet as one node knows them, its pool included. Asks for the scripts of its chains in batches, up to so
 * many unused addresses behind the last one that was used or given out (the gap limit of BIP 44, 20 unless said otherwise).
 */
import { p2trScript, scriptHash } from '../consensus/address.ts';
import type { Txid } from '../consensus/brand.ts';
import { COINBASE_MATURITY } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { type ScanRange, type UsedIndexes, type WalletAddress, walkAddresses } from './address-walk.ts';
import { satoshisFromJson } from './amount.ts';
import type { SpendableCoin } from './build-transaction.ts';
import type { KeyChain, KeyPlace } from './key-place.ts';
import type { OutputKeys } from './output-keys.ts';
import type { RpcClient } from './rpc-client.ts';

/** How often the scan begins again because a block came in between. */
export const MAX_RESTARTS = 5;

export interface WalletCoin extends SpendableCoin {
  /** Undefined while it is in the pool. */
  readonly height: number | undefined;
  readonly coinbase: boolean;
}

/** A coin that a transaction of the pool spends. */
export interface SpentCoin extends WalletCoin {
  readonly spentBy: Txid;
}

export interface WalletView {
  readonly tip: { readonly height: number; readonly hash: string };
  /** All coins that neither a block nor the pool spends. */
  readonly coins: readonly WalletCoin[];
  /** Those that the pool spends. */
  readonly spent: readonly SpentCoin[];
  /** The first index of each chain behind all that were ever used. */
  readonly used: UsedIndexes;
}

export interface Balance {
  /** In a block, and spendable. */
  readonly confirmed: bigint;
  /** In the pool, own change included. */
  readonly unconfirmed: bigint;
  /** Mined, and not yet 100 blocks old. */
  readonly immature: bigint;
}

/** Looks a wallet up at a node. Every coin of the answer belongs to the same tip. */
export async function viewWallet(client: RpcClient, keys: OutputKeys, range: ScanRange): Promise<WalletView> {
  for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
    const view = await new Scan(client, keys).run(range);
    if (view !== undefined) {
      keys.save();
      return view;
    }
  }
  throw tipMoves();
}

/** The chain changed during every attempt to look the wallet up. */
export function tipMoves(): CliError {
  return new CliError(
    Exit.failed,
    'tip-moves',
    'new blocks came in faster than the wallet could be looked up',
    'try again, or use a node that mines less',
  );
}

/** True if a transaction that the node knows touches an address of that range. */
export async function anyUsed(
  client: RpcClient,
  keys: OutputKeys,
  chain: KeyChain,
  from: number,
  to: number,
): Promise<boolean> {
  const hashes = (await keys.range(chain, from, to)).map((key) => scriptHash(p2trScript(key)));
  const histories = (await client.call('getscripthistory', [hashes])) as readonly HistoryOfScript[];
  return histories.some(({ transactions }) => transactions.length > 0);
}

/** True if a block at tip + 1 may spend the coin. */
export function isMature(coin: WalletCoin, tipHeight: number): boolean {
  return !coin.coinbase || coin.height === undefined || tipHeight + 1 - coin.height >= COINBASE_MATURITY;
}

/** Every coin counts in exactly one of the three sums. */
export function balanceOf(view: WalletView): Balance {
  let [confirmed, unconfirmed, immature] = [0n, 0n, 0n];
  for (const coin of view.coins) {
    if (coin.height === undefined) unconfirmed += coin.value;
    else if (isMature(coin, view.tip.height)) confirmed += coin.value;
    else immature += coin.value;
  }
  return { confirmed, unconfirmed, immature };
}

/** What node/rpc/script-rows.ts answers for each script. */
interface ScriptAnswer {
  readonly bestblock: string;
  readonly height: number;
}
interface CoinsOfScript extends ScriptAnswer {
  readonly coins: readonly CoinJson[];
}
interface HistoryOfScript extends ScriptAnswer {
  readonly transactions: readonly unknown[];
}
interface CoinJson {
  readonly txid: Txid;
  readonly vout: number;
  /** In whole coins. */
  readonly amount: number;
  /** Absent while it is in the pool. */
  readonly height?: number;
  readonly coinbase: boolean;
  /** The transaction of the pool that spends it. */
  readonly spentby?: Txid;
}

/** One look-up. */
class Scan {
  readonly #client: RpcClient;
  readonly #keys: OutputKeys;
  readonly #coins: WalletCoin[] = [];
  readonly #spent: SpentCoin[] = [];
  #tip: WalletView['tip'] | undefined;
  #moved = false;

  constructor(client: RpcClient, keys: OutputKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** Undefined if the tip moved meanwhile. */
  async run(range: ScanRange): Promise<WalletView | undefined> {
    const used = await walkAddresses(this.#keys, range, (batch) => this.#lookUp(batch));
    if (used === undefined) return undefined;
    if (this.#tip === undefined) throw new Error('a scan asks at least once');
    return { tip: this.#tip, coins: this.#coins, spent: this.#spent, used };
  }

  /** Which of them were used; undefined if the tip moved. */
  async #lookUp(batch: readonly WalletAddress[]): Promise<readonly KeyPlace[] | undefined> {
    const unknown: WalletAddress[] = [];
    const used: KeyPlace[] = [];
    for (const [at, { coins }] of (await this.#ask<CoinsOfScript>('getscriptcoins', batch)).entries()) {
      const address = batch[at] as WalletAddress;
      if (coins.length > 0) used.push(address.place);
      else if (!address.given) unknown.push(address);
      for (const coin of coins) {
        if (coin.spentby === undefined) this.#coins.push(readCoin(coin, address));
        else this.#spent.push({ ...readCoin(coin, address), spentBy: coin.spentby });
      }
    }
    // An address without coins may have had some. That matters only where it does not count as given out anyway.
    if (unknown.length > 0) {
      const histories = await this.#ask<HistoryOfScript>('getscripthistory', unknown);
      for (const [at, { transactions }] of histories.entries()) {
        if (transactions.length > 0) used.push((unknown[at] as WalletAddress).place);
      }
    }
    return this.#moved ? undefined : used;
  }

  /** One answer per script. Notices if they were made at another tip than those before. */
  async #ask<A extends ScriptAnswer>(method: string, addresses: readonly WalletAddress[]): Promise<readonly A[]> {
    const answers = (await this.#client.call(method, [addresses.map(({ hash }) => hash)])) as readonly A[];
    for (const { bestblock, height } of answers) {
      this.#tip ??= { hash: bestblock, height };
      if (this.#tip.hash !== bestblock) this.#moved = true;
    }
    return answers;
  }
}

function readCoin(
  { txid, vout, amount, height, coinbase }: CoinJson,
  { place, scriptPubKey }: WalletAddress,
): WalletCoin {
  return { prevout: { txid, vout }, value: satoshisFromJson(amount), scriptPubKey, place, height, coinbase };
}
