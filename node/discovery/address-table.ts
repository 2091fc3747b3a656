/**
 * The addresses that we know: a flat table, bounded, kept in the store under keys that begin with `a`.
 * Owns when each was seen, reached and missed, and how long a missed one is left alone. It does not dial (dialer.ts) and
 * does not talk to peers (address-gossip.ts).
 */
import type { Bytes } from '../../consensus/brand.ts';
import { decode, Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { Endpoint, Millis, Now, Row, UnixSeconds } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { type BatchItem, below, earliest, type Random, StoreDamage } from '../ports.ts';
import { gossipAddress, readAddressV2, writeAddressV2 } from '../wire/address.ts';
import { type GossipAddress, SERVICE_NETWORK, SERVICE_WITNESS } from '../wire/message.ts';
import { addressKey, endpointKey, isRoutable, plausibleTime } from './address-rules.ts';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Core's IsTerrible: too old, never reached in so many tries, or not reached for a week in so many. */
const MAX_AGE_SECONDS = 30 * DAY_SECONDS;
const MAX_FAILURES_NEVER_REACHED = 3;
const MAX_FAILURES = 10;
const UNREACHED_SECONDS = 7 * DAY_SECONDS;
/** Of how many random entries the worst makes room for a new one. */
const EVICTION_SAMPLE = 32;

const KEY_PREFIX = 'a';

/** What a node must serve for us to dial it by ourselves. */
export const REQUIRED_SERVICES = SERVICE_NETWORK | SERVICE_WITNESS;

export interface AddressTableOptions {
  readonly limits: Limits;
  readonly params: ChainParams;
  readonly random: Random;
  /** What `save` wrote: the store's rows with 'a' <= key < 'b'. */
  readonly rows: readonly Row[];
  /** Our own endpoints: never stored. */
  readonly own: readonly Endpoint[];
  readonly now: Now;
}

/** Tells which addresses not to dial. `key` is that of `endpointKey`, so that nobody computes it for the whole table. */
export type Exclude = (endpoint: Endpoint, key: string) => boolean;

interface Entry {
  readonly key: string;
  address: GossipAddress;
  /** Position in the list of entries, for a random draw. */
  index: number;
  /** When a handshake was last completed there; 0 for never. */
  reachedAt: UnixSeconds;
  /** Dials in a row that failed, and when the last one did. Not saved: a restart tries everybody again. */
  failures: number;
  failedAt: UnixSeconds;
  attemptedAt: Millis;
  /** Not dialled before this. */
  nextTry: Millis;
}

export class AddressTable {
  readonly #limits: Limits;
  readonly #params: ChainParams;
  readonly #random: Random;
  readonly #own: ReadonlySet<string>;
  /** The first of our endpoints in the order of their texts. */
  readonly #firstOwn: string | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #list: Entry[] = [];
  #changes = 0;
  /** Keys whose rows in the store are out of date, and those that have a row. */
  readonly #dirty = new Set<string>();
  readonly #stored = new Set<string>();
  #saveAt: Millis | undefined;
  #sample: { readonly until: Millis; readonly addresses: readonly GossipAddress[] } | undefined;

  constructor(options: AddressTableOptions) {
    this.#limits = options.limits;
    this.#params = options.params;
    this.#random = options.random;
    this.#own = new Set(options.own.map(endpointKey));
    this.#firstOwn = [...this.#own].sort()[0];
    for (const row of options.rows) {
      const { address, reachedAt } = decodeRow(row);
      this.#stored.add(row.key.slice(KEY_PREFIX.length));
      this.#insert(address, reachedAt, options.now);
    }
  }

  get size(): number {
    return this.#list.length;
  }

  /** Counts the changes after which there may be something to dial that there was not before. */
  get changes(): number {
    return this.#changes;
  }

  /** Takes addresses that peers gossip. Returns those that are new, or newer than what we had; unusable ones are dropped. */
  add(addresses: readonly GossipAddress[], now: Now): GossipAddress[] {
    const news: GossipAddress[] = [];
    for (const received of addresses) {
      const address = { ...received, time: plausibleTime(received.time, now.unix) };
      const entry = this.#entries.get(addressKey(address));
      const isNews = entry === undefined ? this.#insertNew(address, now) : this.#refresh(entry, address, now);
      if (isNews) news.push(address);
    }
    return news;
  }

  /** An address to dial now, or undefined. Of two random candidates the one that failed less often. */
  pick(now: Now, exclude: Exclude): GossipAddress | undefined {
    const candidates = this.#list.filter(
      (entry) => entry.nextTry <= now.mono && isUseful(entry.address) && !exclude(entry.address, entry.key),
    );
    if (candidates.length === 0) return undefined;
    const first = candidates[below(this.#random, candidates.length)] as Entry;
    const second = candidates[below(this.#random, candidates.length)] as Entry;
    return (second.failures < first.failures ? second : first).address;
  }

  /** When an address that may not be dialled yet may be; undefined if none is waiting. */
  nextTry(now: Now, exclude: Exclude): Millis | undefined {
    let next: Millis | undefined;
    for (const entry of this.#list) {
      if (entry.nextTry > now.mono && isUseful(entry.address) && !exclude(entry.address, entry.key)) {
        next = earliest(next, entry.nextTry);
      }
    }
    return next;
  }

  onAttempt(endpoint: Endpoint, now: Now): void {
    const entry = this.#entries.get(endpointKey(endpoint));
    if (entry !== undefined) entry.attemptedAt = now.mono;
  }

  /** A handshake was completed there; `services` are what the peer itself said. An endpoint that is new is added. */
  onConnected(endpoint: Endpoint, services: bigint, now: Now): void {
    const address = gossipAddress(endpoint, services, now.unix);
    if (address === undefined) return;
    if (!this.#entries.has(addressKey(address)) && !this.#insertNew(address, now)) return;
    const entry = this.#entries.get(addressKey(address)) as Entry;
    entry.address = address;
    entry.reachedAt = now.unix;
    entry.failures = 0;
    this.#touch(entry, now);
  }

  /** The dial, or the handshake after it, failed: left alone for a while that doubles with each failure. */
  onFailed(endpoint: Endpoint, now: Now): void {
    const entry = this.#entries.get(endpointKey(endpoint));
    if (entry === undefined) return;
    entry.failures++;
    entry.failedAt = now.unix;
    entry.nextTry = now.mono + redialDelay(entry.failures, this.#limits);
    this.#changes++;
  }

  /** A link that had been good ended. */
  onClosed(endpoint: Endpoint, now: Now): void {
    const entry = this.#entries.get(endpointKey(endpoint));
    if (entry === undefined) return;
    entry.nextTry = now.mono + redialDelay(1, this.#limits);
    this.#changes++;
  }

  /** Nobody is left alone any longer: what kept us from them is gone. It is gone for them too, hence the courtesy. */
  retryAll(now: Now): void {
    for (const entry of this.#list) entry.nextTry = now.mono + this.#courtesy(entry.key);
    this.#changes++;
  }

  /** The answer to getaddr: a random part of the table, the same for a while, so that asking often does not reveal it all. */
  sample(now: Now): readonly GossipAddress[] {
    // A table so small is told as a whole; there is nothing to hide and a stale answer would miss the newest node.
    if (this.#list.length < this.#limits.getaddrAllBelow) return this.#draw(this.#list.length, now);
    if (this.#sample === undefined || now.mono >= this.#sample.until) {
      const share = Math.floor((this.#list.length * this.#limits.getaddrPercent) / 100);
      this.#sample = { until: now.mono + this.#limits.getaddrCacheMs, addresses: this.#draw(share, now) };
    }
    return this.#sample.addresses;
  }

  /** All that is known, the bad ones included, in no particular order. */
  entries(): GossipAddress[] {
    return this.#list.map((entry) => entry.address);
  }

  /** The rows that changed, if it is time to save them. */
  tick(now: Now): BatchItem[] {
    return this.#saveAt !== undefined && now.mono >= this.#saveAt ? this.save() : [];
  }

  /** The rows that changed since the last save. */
  save(): BatchItem[] {
    const batch: BatchItem[] = [];
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) {
        batch.push([KEY_PREFIX + key, encodeRow(entry)]);
        this.#stored.add(key);
      } else if (this.#stored.delete(key)) {
        batch.push([KEY_PREFIX + key, null]);
      }
    }
    this.#dirty.clear();
    this.#saveAt = undefined;
    return batch;
  }

  nextDeadline(): Millis | undefined {
    return this.#saveAt;
  }

  /** False for an address that is our own or that nobody can dial. */
  #insertNew(address: GossipAddress, now: Now): boolean {
    if (address.network !== 'ipv4' && address.network !== 'ipv6') return false;
    if (!isRoutable(address, this.#params) || this.#own.has(addressKey(address))) return false;
    if (this.#list.length >= this.#limits.newBuckets * this.#limits.bucketSize) this.#evict(now);
    const entry = this.#insert(address, 0, now);
    this.#touch(entry, now);
    return true;
  }

  #insert(address: GossipAddress, reachedAt: UnixSeconds, now: Now): Entry {
    const key = addressKey(address);
    const entry: Entry = {
      key,
      address,
      index: this.#list.length,
      reachedAt,
      failures: 0,
      failedAt: 0,
      attemptedAt: 0,
      nextTry: now.mono + this.#courtesy(key),
    };
    this.#entries.set(key, entry);
    this.#list.push(entry);
    this.#changes++;
    return entry;
  }

  /**
   * Two nodes that learn of each other at the same moment would dial each other and end with two links. So the one with
   * the first endpoint dials at once and the other waits for two dial intervals, in which it is usually dialled.
   */
  #courtesy(key: string): Millis {
    const isFirst = this.#firstOwn === undefined || this.#firstOwn < key;
    return isFirst ? 0 : 2 * this.#limits.dialIntervalMs;
  }

  /** True if the address says more than we knew. */
  #refresh(entry: Entry, address: GossipAddress, now: Now): boolean {
    let isNews = false;
    const services = entry.address.services | address.services;
    // Core's steps: the time of somebody who is online moves by the hour, others' by the day.
    const step = now.unix - address.time < DAY_SECONDS ? HOUR_SECONDS : DAY_SECONDS;
    const isNewer = entry.address.time < address.time - step;
    if (isNewer || services !== entry.address.services) {
      entry.address = { ...entry.address, services, time: isNewer ? address.time : entry.address.time };
      this.#touch(entry, now);
      isNews = true;
    }
    if (entry.failures > 0 && address.time > entry.failedAt) {
      // Seen alive since we missed it. Anybody can claim that, so it is still not dialled more often than every `redialMs`.
      entry.failures = 0;
      entry.nextTry = Math.min(entry.nextTry, entry.attemptedAt + this.#limits.redialMs);
      this.#changes++;
      isNews = true;
    }
    return isNews;
  }

  /** Drops the worst of a few random entries: never reached before reached, then the one not heard of for longest. */
  #evict(now: Now): void {
    let worst: Entry | undefined;
    for (let i = 0; i < EVICTION_SAMPLE; i++) {
      const entry = this.#list[below(this.#random, this.#list.length)] as Entry;
      if (worst === undefined || isWorse(entry, worst)) worst = entry;
    }
    if (worst === undefined) return;
    const last = this.#list.pop() as Entry;
    if (last !== worst) {
      this.#list[worst.index] = last;
      last.index = worst.index;
    }
    this.#entries.delete(worst.key);
    this.#touch(worst, now);
  }

  /** The entry's row in the store is out of date. */
  #touch(entry: Entry, now: Now): void {
    this.#dirty.add(entry.key);
    this.#saveAt ??= now.mono + this.#limits.addressSaveMs;
  }

  /** Up to `count` random addresses of good standing, at most as many as fit a message. */
  #draw(count: number, now: Now): GossipAddress[] {
    const good = this.#list.filter((entry) => !isTerrible(entry, now.unix)).map((entry) => entry.address);
    const wanted = Math.min(count, good.length, this.#limits.maxAddrPerMessage);
    for (let i = 0; i < wanted; i++) {
      const j = i + below(this.#random, good.length - i);
      [good[i], good[j]] = [good[j] as GossipAddress, good[i] as GossipAddress];
    }
    return good.slice(0, wanted);
  }
}

/** How long a target is left alone after so many failures in a row. */
export function redialDelay(failures: number, limits: Limits): Millis {
  return Math.min(limits.redialMs * 2 ** Math.min(failures - 1, 30), limits.redialMaxMs);
}

function isUseful(address: GossipAddress): boolean {
  return (address.services & REQUIRED_SERVICES) === REQUIRED_SERVICES;
}

function isTerrible(entry: Entry, now: UnixSeconds): boolean {
  if (now - entry.address.time > MAX_AGE_SECONDS) return true;
  if (entry.reachedAt === 0) return entry.failures >= MAX_FAILURES_NEVER_REACHED;
  return entry.failures >= MAX_FAILURES && now - entry.reachedAt > UNREACHED_SECONDS;
}

function isWorse(a: Entry, b: Entry): boolean {
  const aReached = a.reachedAt > 0;
  if (aReached !== b.reachedAt > 0) return !aReached;
  return a.address.time < b.address.time;
}

/** The address as in `addrv2`, then when it was reached. */
function encodeRow(entry: Entry): Bytes {
  const writer = new Writer();
  writeAddressV2(writer, entry.address);
  return writer.u32(entry.reachedAt).finish();
}

function decodeRow(row: Row): { address: GossipAddress; reachedAt: UnixSeconds } {
  const decoded = decode(row.value, (reader) => ({ address: readAddressV2(reader), reachedAt: reader.u32() }));
  const { address, reachedAt } = decoded.ok ? decoded.value : { address: undefined, reachedAt: 0 };
  if (address === undefined) throw new StoreDamage(`the address ${row.key} cannot be read`);
  return { address, reachedAt };
}
