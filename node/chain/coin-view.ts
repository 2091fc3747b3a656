/**
 * The set of coins as it stands at the tip, and on top of it what the blocks change that are connected or disconnected but
 * not committed yet. Owns all that lies between these blocks and the store; never writes the store.
 *
 * From the top down: the overlay (what the uncommitted steps change), what the committed steps changed that the store has
 * not been told yet, a bounded cache, the store. A coin that comes and goes before the store is told of it never gets
 * there: that is most of the work of a long sync.
 */
import type { OutPointKey } from '../../consensus/brand.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { Limits } from '../limits.ts';
import type { Store } from '../ports.ts';
import { coinKey, decodeCoin } from './schema.ts';

/** What one step changes in the set, net: no key is in both. */
export interface CoinChange {
  readonly created: ReadonlyMap<OutPointKey, Coin>;
  readonly removed: ReadonlyMap<OutPointKey, Coin>;
}

export class CoinView {
  readonly #store: Store;
  readonly #maxEntries: number;
  /** Coins of the committed set that the store is still to be told of. */
  #created = new Map<OutPointKey, Coin>();
  /** Coins that the store still has and the committed set has not, or not as the store has them. */
  #removed = new Map<OutPointKey, Coin>();
  /** Coins of the committed set and of the store, oldest first. */
  readonly #cache = new Map<OutPointKey, Coin>();
  /** What differs from the committed set; null where a coin is gone. */
  readonly #overlay = new Map<OutPointKey, Coin | null>();

  constructor(store: Store, limits: Limits) {
    this.#store = store;
    this.#maxEntries = limits.coinCacheEntries;
  }

  get cached(): number {
    return this.#cache.size;
  }

  get overlaid(): number {
    return this.#overlay.size;
  }

  /** The coin at the tip. */
  committed(key: OutPointKey): Coin | undefined {
    const known = this.#created.get(key) ?? this.#cache.get(key);
    if (known !== undefined) return known;
    if (this.#removed.has(key)) return undefined;
    const rowKey = coinKey(key);
    const value = this.#store.get(rowKey);
    if (value === undefined) return undefined;
    const coin = decodeCoin(rowKey, value);
    this.#cache.set(key, coin);
    this.#shrink();
    return coin;
  }

  /** The coin on top of all steps that are not committed yet. */
  pending(key: OutPointKey): Coin | undefined {
    const coin = this.#overlay.get(key);
    return coin === undefined ? this.committed(key) : (coin ?? undefined);
  }

  /** True if a step that is not committed yet changed this coin. */
  isOverlaid(key: OutPointKey): boolean {
    return this.#overlay.has(key);
  }

  apply(change: CoinChange): void {
    for (const key of change.removed.keys()) this.#overlay.set(key, null);
    for (const [key, coin] of change.created) this.#overlay.set(key, coin);
  }

  /** The overlay of these steps and no others, after some were dropped. */
  rebuild(changes: readonly CoinChange[]): void {
    this.#overlay.clear();
    for (const change of changes) this.apply(change);
  }

  /** The steps `done` are committed; the steps `rest` still stand on top of them. */
  commit(done: readonly CoinChange[], rest: readonly CoinChange[], reorg: boolean): void {
    for (const { created, removed } of done) {
      for (const [key, coin] of removed) {
        if (this.#created.delete(key)) continue;
        this.#cache.delete(key);
        this.#removed.set(key, coin);
      }
      for (const [key, coin] of created) this.#created.set(key, coin);
    }
    if (rest.length === 0) this.#overlay.clear();
    // In a reorg a coin may have gone and come again, and an overlay entry does not say which step it is of.
    else if (reorg) this.rebuild(rest);
    else for (const change of done) this.#settle(change);
  }

  /** Coins that the store is to be told of. */
  get unsaved(): number {
    return this.#created.size + this.#removed.size;
  }

  /**
   * What the committed steps have changed in the store since the last call, net: delete `removed`, then put `created`. The
   * caller writes it at once. (A coin is in both where a reorg put the same transaction at another height.)
   */
  save(): { readonly created: ReadonlyMap<OutPointKey, Coin>; readonly removed: ReadonlyMap<OutPointKey, Coin> } {
    const change = { created: this.#created, removed: this.#removed };
    for (const [key, coin] of change.created) this.#cache.set(key, coin);
    this.#shrink();
    this.#created = new Map();
    this.#removed = new Map();
    return change;
  }

  /** Where blocks are only connected, a coin comes once and goes once: what a later step did to a created coin shows. */
  #settle({ created, removed }: CoinChange): void {
    for (const key of removed.keys()) this.#overlay.delete(key);
    for (const [key, coin] of created) if (this.#overlay.get(key) === coin) this.#overlay.delete(key);
  }

  /** Drops the oldest tenth at once: the start of a Map from which single entries were deleted is slow to find. */
  #shrink(): void {
    if (this.#cache.size <= this.#maxEntries) return;
    const target = Math.floor(this.#maxEntries * 0.9);
    for (const key of this.#cache.keys()) {
      if (this.#cache.size <= target) break;
      this.#cache.delete(key);
    }
  }
}
