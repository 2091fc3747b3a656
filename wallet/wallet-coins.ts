/**
 * The coins of a wallet as one node knows them, its pool included. Asks for the scripts of both chains in batches, up to 20
 * unused addresses behind the last one that was used or given out (the gap limit of BIP 44).
 */
import { p2trScript, scriptHash } from '../consensus/address.ts';
import type { Bytes, ScriptHash, Txid } from '../consensus/brand.ts';
import { COINBASE_MATURITY } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { satoshisFromJson } from './amount.ts';
import type { SpendableCoin } from './build-transaction.ts';
import { EXTERNAL, INTERNAL, type KeyChain, type KeyPlace } from './key-place.ts';
import type { OutputKeys } from './output-keys.ts';
import type { RpcClient } from './rpc-client.ts';
import type { WalletState } from './wallet-state.ts';

export const GAP_LIMIT = 20;
/** Scripts in one request: a wallet of many addresses asks several times. */
const SCRIPTS_PER_REQUEST = 200;
/** How often the scan begins again because a block came in between. */
const MAX_RESTARTS = 5;

export interface WalletCoin extends SpendableCoin {
  /** Undefined while it is in the pool. */
  readonly height: number | undefined;
  readonly coinbase: boolean;
}

export interface WalletView {
  readonly tip: { readonly height: number; readonly hash: string };
  /** All coins that neither a block nor the pool spends. */
  readonly coins: readonly WalletCoin[];
  /** The first index of each chain behind all that were ever used. */
  readonly used: { readonly external: number; readonly internal: number };
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
export async function viewWallet(client: RpcClient, keys: OutputKeys, next: WalletState['next']): Promise<WalletView> {
  for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
    const view = await new Scan(client, keys).run(next);
    if (view !== undefined) {
      keys.save();
      return view;
    }
  }
  throw new CliError(
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

interface Address {
  readonly place: KeyPlace;
  readonly scriptPubKey: Bytes;
  readonly hash: ScriptHash;
  /** Its index was given out before. */
  readonly given: boolean;
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

/** One look-up. Its windows grow while the addresses at their ends turn out to be used. */
class Scan {
  readonly #client: RpcClient;
  readonly #keys: OutputKeys;
  readonly #coins: WalletCoin[] = [];
  readonly #used: [number, number] = [0, 0];
  #tip: WalletView['tip'] | undefined;
  #moved = false;

  constructor(client: RpcClient, keys: OutputKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** Undefined if the tip moved meanwhile. */
  async run(next: WalletState['next']): Promise<WalletView | undefined> {
    const given = [next.external, next.internal] as const;
    const done: [number, number] = [0, 0];
    for (;;) {
      const batch: Address[] = [];
      for (const chain of [EXTERNAL, INTERNAL] as const) {
        const end = Math.max(given[chain], this.#used[chain]) + GAP_LIMIT;
        for (const [offset, key] of (await this.#keys.range(chain, done[chain], end)).entries()) {
          const scriptPubKey = p2trScript(key);
          const place = { chain, index: done[chain] + offset };
          batch.push({ place, scriptPubKey, hash: scriptHash(scriptPubKey), given: place.index < given[chain] });
        }
        done[chain] = Math.max(done[chain], end);
      }
      if (batch.length === 0) break;
      for (let at = 0; at < batch.length; at += SCRIPTS_PER_REQUEST) {
        await this.#lookUp(batch.slice(at, at + SCRIPTS_PER_REQUEST));
      }
      if (this.#moved) return undefined;
    }
    if (this.#tip === undefined) throw new Error('a scan asks at least once');
    return { tip: this.#tip, coins: this.#coins, used: { external: this.#used[0], internal: this.#used[1] } };
  }

  async #lookUp(batch: readonly Address[]): Promise<void> {
    const unknown: Address[] = [];
    for (const [at, { coins }] of (await this.#ask<CoinsOfScript>('getscriptcoins', batch)).entries()) {
      const address = batch[at] as Address;
      if (coins.length > 0) this.#markUsed(address.place);
      else if (!address.given) unknown.push(address);
      for (const coin of coins) {
        if (coin.spentby === undefined) this.#coins.push(readCoin(coin, address));
      }
    }
    // An address without coins may have had some. That matters only where it does not count as given out anyway.
    if (unknown.length === 0) return;
    const histories = await this.#ask<HistoryOfScript>('getscripthistory', unknown);
    for (const [at, { transactions }] of histories.entries()) {
      if (transactions.length > 0) this.#markUsed((unknown[at] as Address).place);
    }
  }

  #markUsed({ chain, index }: KeyPlace): void {
    this.#used[chain] = Math.max(this.#used[chain], index + 1);
  }

  /** One answer per script. Notices if they were made at another tip than those before. */
  async #ask<A extends ScriptAnswer>(method: string, addresses: readonly Address[]): Promise<readonly A[]> {
    const answers = (await this.#client.call(method, [addresses.map(({ hash }) => hash)])) as readonly A[];
    for (const { bestblock, height } of answers) {
      this.#tip ??= { hash: bestblock, height };
      if (this.#tip.hash !== bestblock) this.#moved = true;
    }
    return answers;
  }
}

function readCoin({ txid, vout, amount, height, coinbase }: CoinJson, { place, scriptPubKey }: Address): WalletCoin {
  return { prevout: { txid, vout }, value: satoshisFromJson(amount), scriptPubKey, place, height, coinbase };
}
