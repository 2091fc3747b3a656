/** Which scripts of a transaction are ours, without a node: by the origins of a PSBT, and among the wallet's addresses. */
import { bytesToHex } from '#hash';
import { p2trScript } from '../consensus/address.ts';
import type { Bytes } from '../consensus/brand.ts';
import { addressCount, EXTERNAL, INTERNAL, type KeyPlace } from './key-place.ts';
import type { Wallet } from './keystore.ts';
import type { OutputKeys } from './output-keys.ts';
import { originOf, type PsbtOrigin } from './psbt.ts';
import type { WalletState } from './wallet-state.ts';

/**
 * Addresses of each chain that are compared, behind those that were given out: a wallet that signs offline knows of none.
 * A PSBT that says where its keys come from needs no search.
 */
const SEARCH_LENGTH = 200;

/** Looks scripts up; each place is proven by deriving its key. */
export class OwnPlaces {
  readonly #wallet: Wallet;
  readonly #keys: OutputKeys;
  readonly #next: WalletState['next'];
  #searched: ReadonlyMap<string, KeyPlace> | undefined;

  constructor(wallet: Wallet, keys: OutputKeys, next: WalletState['next']) {
    this.#wallet = wallet;
    this.#keys = keys;
    this.#next = next;
  }

  /** Where the key of this script stands; undefined if it is none of ours. */
  async find(script: Bytes, origins: readonly PsbtOrigin[]): Promise<KeyPlace | undefined> {
    const wanted = bytesToHex(script);
    for (const origin of origins) {
      const place = this.#placeOf(origin);
      if (place !== undefined && bytesToHex(p2trScript(await this.#keys.derive(place))) === wanted) return place;
    }
    this.#searched ??= await this.#search();
    return this.#searched.get(wanted);
  }

  /** The place that an origin of our master key names. */
  #placeOf({ fingerprint, path }: PsbtOrigin): KeyPlace | undefined {
    const index = this.#wallet.descriptor.ranged ? (path.at(-1) ?? 0) : 0;
    return [EXTERNAL, INTERNAL]
      .map((chain) => ({ chain, index }) as KeyPlace)
      .find((place) => {
        if (index >= addressCount(this.#wallet.descriptor, place.chain)) return false;
        const own = originOf(this.#wallet, place);
        return own?.fingerprint === fingerprint && own.path.join() === path.join();
      });
  }

  async #search(): Promise<ReadonlyMap<string, KeyPlace>> {
    const found = new Map<string, KeyPlace>();
    for (const chain of [EXTERNAL, INTERNAL] as const) {
      const given = chain === EXTERNAL ? this.#next.external : this.#next.internal;
      for (const [index, key] of (await this.#keys.range(chain, 0, given + SEARCH_LENGTH)).entries()) {
        found.set(bytesToHex(p2trScript(key)), { chain, index });
      }
    }
    this.#keys.save();
    return found;
  }
}
