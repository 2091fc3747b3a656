/**
 * The addresses of other nodes that we know: which are worth a dial, which are told to others, which make room for new ones.
 * Core's addrman.h has the reasons; RULES.md C4, row "addrman", the numbers. It does not dial (dialer.ts) and does not talk to
 * peers (address-gossip.ts).
 *
 * Specification. What an attacker wants here is that most of what we draw is his, so that all our links lead to him.
 *
 * - Two tables. *New*: what somebody has told us. *Tried*: where we ourselves have completed a handshake. A draw takes either
 *   table with probability 1/2, and the other only if nothing in that one may be dialled. So rumours, however many and however
 *   fresh, are at most half of what is dialled as long as anybody else is left.
 * - A table is buckets of `bucketSize` places. Bucket and place are hashes keyed with a secret of this node: nobody else can
 *   compute which addresses collide, and a restart finds each in its place again.
 * - New: the bucket follows from the netgroup of the address and that of its source (who told us). All that one source group
 *   tells is in `newBucketsPerSourceGroup` of the `newBuckets` buckets. An attacker who tells us addresses from s netgroups
 *   reaches at most the part 1 − (1 − 1/newBuckets)^(newBucketsPerSourceGroup·s) of the table: 6 % with one, whatever he sends.
 *   All loopback sources of a public network are one group: behind a proxy on this machine everybody has such an address.
 *   An address that several groups tell may have up to `maxNewPlaces` places, each next one half as likely as the last.
 * - Tried: the bucket follows from the netgroup of the address and a hash of the address modulo `triedBucketsPerGroup`. With A
 *   addresses in G netgroups, B buckets, b = triedBucketsPerGroup and P places a bucket, the number v of his b·G hash values
 *   that fall on one bucket is binomial (b·G, 1/B), and each of his addresses is on a given place of it with probability
 *   v/(b·G·P). So he holds, of a table that was empty,
 *       1 − Σ_v Binomial(b·G, 1/B)(v) · (1 − v/(b·G·P))^A
 *   of the B·P places: with G = 1 never more than b/B = 3 %. Where H honest addresses of many groups were there before him, a
 *   place is still free with probability (1 − 1/(B·P))^H, and he gets that part of it. (test/node/discovery/table-share.ts
 *   computes this; a test compares it with what happens.)
 * - Test before evict: a newly reached address whose place in tried is taken waits (at most `maxTriedCollisions` do) until
 *   the one that has the place was dialled by a feeler. If that one answers, or had within four hours, it stays. So who is
 *   online keeps its place against any number of others. Who loses it goes back to new, whatever has its place there.
 * - A new address takes the place of another only if that one is *terrible* (too old, from the future, never reached in three
 *   tries, not for a week in ten), or has further places and the new one has none.
 * - Tries that fail count once for each time that we have reached anybody: a laptop without network forgets nothing.
 * - What strangers say of an address never outweighs what it said of itself: its services, once it was reached, are its own;
 *   and where a WebSocket is told of but does not answer, every other try is without. Else whoever tells that all have one
 *   would cut us off from those who have none.
 * - When we reached whom is not told: a handshake leaves the time of an address as it was, for others may read it in our
 *   answers to getaddr. The end of a link updates it.
 */
import { sha256 } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import { decode, type Reader, Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { DialTarget, Endpoint, Millis, Now, Row, UnixSeconds } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { netgroup } from '../netgroup.ts';
import { type BatchItem, below, earliest, type Random, StoreDamage } from '../ports.ts';
import { gossipAddress, readAddressV2 } from '../wire/address.ts';
import { canonicalHost } from '../wire/ip.ts';
import {
  type AddressNetwork,
  type GossipAddress,
  SERVICE_NETWORK,
  SERVICE_WEBSOCKET,
  SERVICE_WITNESS,
} from '../wire/message.ts';
import { addressKey, endpointKey, isLoopback, isRoutable, plausibleTime, targetKey } from './address-rules.ts';
import { BucketTable } from './bucket-table.ts';

const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Core's IsTerrible: too old, too far ahead, never reached in so many tries, or not reached for a week in so many. */
const MAX_AGE_SECONDS = 30 * DAY_SECONDS;
const MAX_FUTURE_SECONDS = 10 * MINUTE_SECONDS;
const MAX_TRIES_NEVER_REACHED = 3;
const MAX_TRIES = 10;
const UNREACHED_SECONDS = 7 * DAY_SECONDS;
/** What was tried within this time is not judged yet. */
const JUST_TRIED_MS = 60_000;

/** Core's numbers of test-before-evict: who was reached so lately stays; who was tried so lately, in vain, goes. */
const REPLACEMENT_SECONDS = 4 * HOUR_SECONDS;
const FORCED_AFTER_SECONDS = 40 * MINUTE_SECONDS;

/** Each failed try makes an address less likely to be drawn, up to so many of them; a try just now much less. */
const CHANCE_PER_TRY = 0.66;
const MAX_CHANCE_TRIES = 8;
const CHANCE_JUST_TRIED = 0.01;
/** After each candidate that chance passed over, the next is so much more likely to be taken. */
const IMPATIENCE = 1.2;
/** Draws before we look through a table, and how many entries are looked at then: one call must not take long. */
const MAX_DRAWS = 100;
const MAX_WALKED = 2000;

/** The time of an address whose link ends moves by at least this. */
const SEEN_STEP_SECONDS = 20 * MINUTE_SECONDS;

const SECRET_KEY = 'a';
const ROW_PREFIX = 'a/';
const SECRET_BYTES = 32;
/** Longest text of a row: a path. */
const MAX_TEXT = 512;

/** What a node must serve for us to dial it by ourselves. */
export const REQUIRED_SERVICES = SERVICE_NETWORK | SERVICE_WITNESS;

/** An address that is told by others is a little older than they say. */
export const GOSSIP_PENALTY_SECONDS = 2 * HOUR_SECONDS;

export interface AddressManagerOptions {
  readonly limits: Limits;
  readonly params: ChainParams;
  readonly random: Random;
  /** What `save` wrote: the store's rows with 'a' <= key < 'b'. */
  readonly rows: readonly Row[];
  /** Our own endpoints: never stored. */
  readonly own: readonly (Endpoint | DialTarget)[];
  readonly now: Now;
}

/** Tells which addresses not to dial. `key` is that of `addressKey`, so that nobody computes it for the whole table. */
export type Exclude = (endpoint: Endpoint, key: string) => boolean;

export interface Candidate {
  readonly address: GossipAddress;
  /** We have reached it before. */
  readonly tried: boolean;
  readonly lastTry: Millis | undefined;
}

interface Place {
  readonly bucket: number;
  readonly place: number;
}

interface Entry {
  readonly key: string;
  readonly group: string;
  address: GossipAddress;
  /** Who told us of it first. */
  readonly source: Endpoint;
  /** Buckets of the new table in which it has a place. Empty while it is in the tried one. */
  readonly buckets: Set<number>;
  /** Where it is, or would be, in the tried table: computed when first asked for, since it takes three hashes. */
  triedPlace: Place | undefined;
  tried: boolean;
  /** When a handshake was last completed there; 0 for never. */
  reachedAt: UnixSeconds;
  /** Failed tries since then that count, and when the last one that counted was. */
  tries: number;
  countedAt: Millis;
  /** Failures in a row, for the back-off. Not saved: a restart tries everybody again. */
  failures: number;
  failedAt: UnixSeconds;
  /** It was never reached, and the last try was by WebSocket: that it has one is not believed. Not saved either. */
  refutedWebSocket: boolean;
  attemptedAt: Millis | undefined;
  /** Not dialled before this. */
  nextTry: Millis;
}

export class AddressManager {
  readonly #limits: Limits;
  readonly #params: ChainParams;
  readonly #random: Random;
  readonly #secret: Bytes;
  #own: ReadonlySet<string> = new Set();
  /** The first of our endpoints in the order of their texts. */
  #firstOwn: string | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #new: BucketTable<Entry>;
  readonly #tried: BucketTable<Entry>;
  /** Keys of reached addresses that wait for the test of those whose places they want. */
  readonly #collisions = new Set<string>();
  /** When we last reached anybody; undefined before the first time, when no failure says anything. */
  #lastGood: Millis | undefined;
  #changes = 0;
  /** Keys whose rows in the store are out of date, and those that have a row. */
  readonly #dirty = new Set<string>();
  readonly #stored = new Set<string>();
  /** Further rows to write: the secret of a first start; rows of an older form to delete. */
  readonly #otherRows: BatchItem[] = [];
  #saveAt: Millis | undefined;

  /** Throws StoreDamage where a row cannot be read. */
  constructor(options: AddressManagerOptions) {
    const { limits, random, rows, now } = options;
    this.#limits = limits;
    this.#params = options.params;
    this.#random = random;
    this.#new = new BucketTable(limits.bucketSize);
    this.#tried = new BucketTable(limits.bucketSize);
    this.setOwn(options.own);
    const saved = rows.find(({ key }) => key === SECRET_KEY)?.value;
    // A fork of its own: what is drawn for others to see tells nothing about it.
    this.#secret = saved ?? random.fork('secret').bytes(SECRET_BYTES);
    if (this.#secret.length !== SECRET_BYTES) throw new StoreDamage('the secret of the address manager cannot be read');
    if (saved === undefined) this.#otherRows.push([SECRET_KEY, this.#secret]);
    for (const row of rows) {
      if (row.key.startsWith(ROW_PREFIX)) this.#load(row, now);
      else if (row.key !== SECRET_KEY) this.#loadFlat(row, now);
    }
    const isUnsaved = this.#dirty.size > 0 || this.#otherRows.length > 0;
    this.#saveAt = isUnsaved ? now.mono + limits.addressSaveMs : undefined;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Addresses in each table. */
  get counts(): { readonly new: number; readonly tried: number } {
    return { new: this.size - this.#tried.size, tried: this.#tried.size };
  }

  /** Counts the changes after which there may be something to dial that there was not before. */
  get changes(): number {
    return this.#changes;
  }

  /** What leads to ourselves: never stored. */
  setOwn(own: readonly (Endpoint | DialTarget)[]): void {
    this.#own = new Set(own.map(keyOf));
    this.#firstOwn = [...this.#own].sort()[0];
    for (const key of this.#own) this.#forget(this.#entries.get(key));
  }

  /**
   * Takes addresses that a peer tells. Returns those that are new, or newer than what we had; unusable ones are dropped.
   * `penaltySeconds` makes them older, except what the source tells of its own host.
   */
  add(addresses: readonly GossipAddress[], source: Endpoint, now: Now, penaltySeconds = 0): GossipAddress[] {
    const news: GossipAddress[] = [];
    const sourceHost = canonicalHost(source.host);
    for (const received of addresses) {
      const told = plausibleTime(received.time, now.unix);
      const penalty = received.host === sourceHost ? 0 : penaltySeconds;
      const address = { ...received, time: Math.max(0, told - penalty) };
      const entry = this.#entries.get(addressKey(address));
      const isNews =
        entry === undefined ? this.#insert(address, source, now) : this.#refresh(entry, address, told, now);
      if (isNews) news.push(address);
      if (entry !== undefined && told > entry.address.time) this.#placeAgain(entry, source, now);
    }
    return news;
  }

  /** An address to dial: one draw, as the head of this file says. Undefined if there is none that may be dialled now. */
  select(options: { readonly newOnly?: boolean; readonly exclude: Exclude }, now: Now): Candidate | undefined {
    const { newOnly = false, exclude } = options;
    const tables = newOnly ? [this.#new] : [this.#tried, this.#new];
    if (!newOnly && below(this.#random, 2) === 0) tables.reverse();
    for (const table of tables) {
      const entry = this.#drawFrom(table, exclude, now);
      if (entry !== undefined) return candidate(entry);
    }
    return undefined;
  }

  /** When an address that may not be dialled yet may be; undefined if none is waiting. */
  nextTry(now: Now, exclude: Exclude): Millis | undefined {
    // Not all of a large table was looked at.
    if (this.size > MAX_WALKED) return now.mono + this.#limits.redialMs;
    let next: Millis | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.nextTry > now.mono && isUseful(entry.address) && !exclude(entry.address, entry.key)) {
        next = earliest(next, entry.nextTry);
      }
    }
    return next;
  }

  onAttempt(target: Endpoint | DialTarget, now: Now): void {
    const entry = this.#entries.get(keyOf(target));
    if (entry !== undefined) entry.attemptedAt = now.mono;
  }

  /**
   * A handshake was completed there; `services` are what the peer itself said. The address moves to the tried table, or
   * waits for the test of the one whose place it wants. An endpoint that is new is added.
   */
  onConnected(target: Endpoint | DialTarget, services: bigint, now: Now): void {
    this.#lastGood = now.mono;
    const key = keyOf(target);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const address = gossipAddress(target, services, now.unix);
      if (address === undefined || !this.#insert(address, target, now)) return;
      entry = this.#entries.get(key) as Entry;
    }
    entry.address = { ...entry.address, services };
    entry.reachedAt = now.unix;
    entry.attemptedAt = now.mono;
    entry.tries = 0;
    entry.failures = 0;
    entry.refutedWebSocket = false;
    this.#touch(entry, now);
    if (entry.tried) return;
    if (this.#occupant(entry) === undefined) this.#moveToTried(entry, now);
    else if (this.#collisions.size < this.#limits.maxTriedCollisions) this.#collisions.add(key);
  }

  /** The dial, or the handshake after it, failed: left alone for a while that doubles with each failure. */
  onFailed(target: Endpoint | DialTarget, now: Now): void {
    const entry = this.#entries.get(keyOf(target));
    if (entry === undefined) return;
    if (this.#lastGood !== undefined && entry.countedAt < this.#lastGood) {
      entry.countedAt = now.mono;
      entry.tries++;
      this.#touch(entry, now);
    }
    if (entry.reachedAt === 0 && 'transport' in target) this.#otherTransport(entry, target);
    entry.failures++;
    entry.failedAt = now.unix;
    entry.nextTry = now.mono + redialDelay(entry.failures, this.#limits);
    this.#changes++;
  }

  /** A link that had been good ended. `secret`: that there was one is nobody's business. */
  onClosed(target: Endpoint | DialTarget, now: Now, secret = false): void {
    const entry = this.#entries.get(keyOf(target));
    if (entry === undefined) return;
    if (!secret && now.unix - entry.address.time > SEEN_STEP_SECONDS) {
      entry.address = { ...entry.address, time: now.unix };
      this.#touch(entry, now);
    }
    entry.nextTry = now.mono + redialDelay(1, this.#limits);
    this.#changes++;
  }

  /** Nobody is left alone any longer: what kept us from them is gone. It is gone for them too, hence the courtesy. */
  retryAll(now: Now): void {
    for (const entry of this.#entries.values()) entry.nextTry = now.mono + this.#courtesy(entry.key);
    this.#changes++;
  }

  /** A reached address whose place another reached one wants: a feeler should see whether it still answers. */
  collision(now: Now): GossipAddress | undefined {
    const untested: Entry[] = [];
    for (const key of this.#collisions) {
      const old = this.#occupant(this.#entries.get(key) as Entry);
      // A test in vain must rest for its time, or it would never be one that failed.
      const rests = old?.attemptedAt !== undefined && now.mono - old.attemptedAt <= JUST_TRIED_MS;
      if (old !== undefined && !rests) untested.push(old);
    }
    return untested.length === 0 ? undefined : untested[below(this.#random, untested.length)]?.address;
  }

  /** Decides who of those that want one place has it, as far as the tests allow. */
  resolveCollisions(now: Now): void {
    for (const key of [...this.#collisions]) {
      const entry = this.#entries.get(key);
      const verdict = entry === undefined || entry.tried ? 'stays' : this.#verdict(entry, now);
      if (verdict === 'waits') continue;
      this.#collisions.delete(key);
      if (verdict === 'goes' && entry !== undefined) this.#moveToTried(entry, now);
    }
  }

  /** A random part of what is known and of good standing, drawn anew each time: the answer to getaddr. */
  sample(now: Now): readonly GossipAddress[] {
    const { getaddrAllBelow, getaddrPercent, maxAddrPerMessage } = this.#limits;
    // A table so small is told as a whole: there is nothing to hide.
    const share = this.size < getaddrAllBelow ? this.size : Math.floor((this.size * getaddrPercent) / 100);
    const count = Math.min(share, maxAddrPerMessage);
    const entries = [...this.#entries.values()];
    const good: GossipAddress[] = [];
    // Only as many are drawn and judged as are needed.
    for (let i = 0; i < entries.length && good.length < count; i++) {
      const j = i + below(this.#random, entries.length - i);
      const drawn = entries[j] as Entry;
      entries[j] = entries[i] as Entry;
      if (!isTerrible(drawn, now)) good.push(drawn.address);
    }
    return good;
  }

  /** All that is known, the bad ones included, in no particular order. */
  entries(): GossipAddress[] {
    return [...this.#entries.values()].map((entry) => entry.address);
  }

  /** How many of each network are in each table. */
  countsByNetwork(): ReadonlyMap<AddressNetwork, { readonly new: number; readonly tried: number }> {
    const counts = new Map<AddressNetwork, { new: number; tried: number }>();
    for (const { address, tried } of this.#entries.values()) {
      const count = counts.get(address.network) ?? { new: 0, tried: 0 };
      count[tried ? 'tried' : 'new']++;
      counts.set(address.network, count);
    }
    return counts;
  }

  /** We have reached it and it has its place. */
  isTried(target: Endpoint | DialTarget): boolean {
    return this.#entries.get(keyOf(target))?.tried ?? false;
  }

  /** The rows that changed, if it is time to save them. */
  tick(now: Now): BatchItem[] {
    if (this.#collisions.size > 0) this.resolveCollisions(now);
    if (this.#dirty.size > 0) this.#saveAt ??= now.mono + this.#limits.addressSaveMs;
    return this.#saveAt !== undefined && now.mono >= this.#saveAt ? this.save() : [];
  }

  /** The rows that changed since the last save. */
  save(): BatchItem[] {
    const batch = this.#otherRows.splice(0);
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) {
        batch.push([ROW_PREFIX + key, encodeRow(entry)]);
        this.#stored.add(key);
      } else if (this.#stored.delete(key)) {
        batch.push([ROW_PREFIX + key, null]);
      }
    }
    this.#dirty.clear();
    this.#saveAt = undefined;
    return batch;
  }

  nextDeadline(): Millis | undefined {
    return this.#saveAt;
  }

  // Drawing

  #drawFrom(table: BucketTable<Entry>, exclude: Exclude, now: Now): Entry | undefined {
    let impatience = 1;
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const entry = table.draw(this.#random);
      if (entry === undefined) return undefined;
      if (!this.#mayDial(entry, exclude, now)) continue;
      if (this.#random.u32() / 2 ** 32 < impatience * this.#chance(entry, now)) return entry;
      impatience *= IMPATIENCE;
    }
    // Few may be dialled, or none: the draw is among those that are found, and fair to buckets as every draw.
    const found: Entry[][] = [];
    let walked = 0;
    for (const bucket of table.buckets(this.#random)) {
      const eligible = bucket.filter((entry) => this.#mayDial(entry, exclude, now));
      if (eligible.length > 0) found.push(eligible);
      walked += bucket.length;
      if (walked >= MAX_WALKED) break;
    }
    if (found.length === 0) return undefined;
    const bucket = found[below(this.#random, found.length)] as Entry[];
    return bucket[below(this.#random, bucket.length)];
  }

  #mayDial(entry: Entry, exclude: Exclude, now: Now): boolean {
    return entry.nextTry <= now.mono && isUseful(entry.address) && !exclude(entry.address, entry.key);
  }

  #chance(entry: Entry, now: Now): number {
    const { attemptedAt } = entry;
    const isRecent = attemptedAt !== undefined && now.mono - attemptedAt < this.#limits.recentTryMs;
    return (isRecent ? CHANCE_JUST_TRIED : 1) * CHANCE_PER_TRY ** Math.min(entry.tries, MAX_CHANCE_TRIES);
  }

  // Places

  /** False for an address that is our own, that nobody can dial, or whose place in the new table is taken. */
  #insert(address: GossipAddress, source: Endpoint, now: Now): boolean {
    const entry = this.#make(address, source, now);
    if (entry === undefined || !this.#placeInNew(entry, source, now)) return false;
    this.#entries.set(entry.key, entry);
    this.#changes++;
    this.#touch(entry, now);
    return true;
  }

  #make(address: GossipAddress, source: Endpoint, now: Now): Entry | undefined {
    if (address.network !== 'ipv4' && address.network !== 'ipv6' && address.network !== 'wss') return undefined;
    const key = addressKey(address);
    if (!isRoutable(address, this.#params) || this.#own.has(key)) return undefined;
    return {
      key,
      group: netgroup(address),
      address,
      source: { host: source.host, port: source.port },
      buckets: new Set(),
      triedPlace: undefined,
      tried: false,
      reachedAt: 0,
      tries: 0,
      countedAt: Number.NEGATIVE_INFINITY,
      failures: 0,
      failedAt: 0,
      refutedWebSocket: false,
      attemptedAt: undefined,
      nextTry: now.mono + this.#courtesy(key),
    };
  }

  /** True if it has got a place that it did not have. */
  #placeInNew(entry: Entry, source: Endpoint, now: Now): boolean {
    const bucket = this.#newBucket(entry, source);
    const other = this.#new.get(bucket, this.#place('new', bucket, entry.key));
    if (other === entry) return false;
    const gives = other === undefined || isTerrible(other, now) || (other.buckets.size > 1 && entry.buckets.size === 0);
    if (gives) this.#takeNew(entry, bucket, now);
    return gives;
  }

  /** Whoever has the place loses it. */
  #takeNew(entry: Entry, bucket: number, now: Now): void {
    const place = this.#place('new', bucket, entry.key);
    const other = this.#new.get(bucket, place);
    if (other !== undefined) this.#leaveNew(other, bucket, now);
    this.#new.set(bucket, place, entry);
    entry.buckets.add(bucket);
    this.#touch(entry, now);
  }

  /** One more source tells of it: by chance it gets another place. The more it has, the less likely. */
  #placeAgain(entry: Entry, source: Endpoint, now: Now): void {
    const places = entry.buckets.size;
    if (entry.tried || places >= this.#limits.maxNewPlaces || below(this.#random, 2 ** places) !== 0) return;
    this.#placeInNew(entry, source, now);
  }

  /** Gives up one place of the new table; what has none left is forgotten. */
  #leaveNew(entry: Entry, bucket: number, now: Now): void {
    this.#new.delete(bucket, this.#place('new', bucket, entry.key));
    entry.buckets.delete(bucket);
    this.#touch(entry, now);
    if (entry.buckets.size > 0) return;
    this.#entries.delete(entry.key);
    this.#collisions.delete(entry.key);
  }

  /** Who has the place in the tried table that this one wants. */
  #occupant(entry: Entry): Entry | undefined {
    const { bucket, place } = this.#triedPlace(entry);
    const other = this.#tried.get(bucket, place);
    return other === entry ? undefined : other;
  }

  /** Whoever has the place goes back to the new table. */
  #moveToTried(entry: Entry, now: Now): void {
    for (const bucket of entry.buckets) this.#new.delete(bucket, this.#place('new', bucket, entry.key));
    entry.buckets.clear();
    entry.tried = true;
    const { bucket, place } = this.#triedPlace(entry);
    const other = this.#tried.get(bucket, place);
    this.#tried.set(bucket, place, entry);
    this.#collisions.delete(entry.key);
    this.#touch(entry, now);
    if (other === undefined) return;
    // We have been there: it is worth more than a rumour that may have its place.
    other.tried = false;
    this.#takeNew(other, this.#newBucket(other, other.source), now);
  }

  /** Whether the one in the place that `entry` wants stays, goes, or is still to be tested. */
  #verdict(entry: Entry, now: Now): 'stays' | 'goes' | 'waits' {
    const old = this.#occupant(entry);
    if (old === undefined) return 'goes';
    if (now.unix - old.reachedAt < REPLACEMENT_SECONDS) return 'stays';
    const triedMs = old.attemptedAt === undefined ? undefined : now.mono - old.attemptedAt;
    if (triedMs !== undefined && triedMs < REPLACEMENT_SECONDS * 1000)
      return triedMs > JUST_TRIED_MS ? 'goes' : 'waits';
    // Nobody has come to test it.
    return now.unix - entry.reachedAt > FORCED_AFTER_SECONDS ? 'goes' : 'waits';
  }

  #forget(entry: Entry | undefined): void {
    if (entry === undefined) return;
    for (const bucket of entry.buckets) this.#new.delete(bucket, this.#place('new', bucket, entry.key));
    const { bucket, place } = this.#triedPlace(entry);
    if (entry.tried) this.#tried.delete(bucket, place);
    this.#entries.delete(entry.key);
    this.#collisions.delete(entry.key);
    this.#dirty.add(entry.key);
  }

  #newBucket({ group }: Entry, source: Endpoint): number {
    const { newBuckets, newBucketsPerSourceGroup } = this.#limits;
    const isOurs = !this.#params.loopbackRoutable && isLoopback(source.host);
    const sourceGroup = isOurs ? 'loopback' : netgroup(source);
    const hash = this.#hash('source', group, sourceGroup) % newBucketsPerSourceGroup;
    return this.#hash('new', sourceGroup, String(hash)) % newBuckets;
  }

  #triedPlace(entry: Entry): Place {
    const { triedBuckets, triedBucketsPerGroup } = this.#limits;
    if (entry.triedPlace === undefined) {
      const { group, key } = entry;
      const hash = this.#hash('address', key) % triedBucketsPerGroup;
      const bucket = this.#hash('tried', group, String(hash)) % triedBuckets;
      entry.triedPlace = { bucket, place: this.#place('tried', bucket, key) };
    }
    return entry.triedPlace;
  }

  #place(table: 'new' | 'tried', bucket: number, key: string): number {
    return this.#hash('place', table, String(bucket), key) % this.#limits.bucketSize;
  }

  #hash(...parts: readonly string[]): number {
    const digest = sha256(
      new Writer()
        .raw(this.#secret)
        .raw(new TextEncoder().encode(parts.join('\n')))
        .finish(),
    );
    return new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  }

  // What is known of one

  /** True if the address says more than we knew. `told` is its time without the penalty. */
  #refresh(entry: Entry, address: GossipAddress, told: UnixSeconds, now: Now): boolean {
    let isNews = false;
    const believed = entry.refutedWebSocket ? address.services & ~SERVICE_WEBSOCKET : address.services;
    const services = entry.reachedAt === 0 ? entry.address.services | believed : entry.address.services;
    // Core's steps: the time of somebody who is online moves by the hour, others' by the day.
    const step = now.unix - told < DAY_SECONDS ? HOUR_SECONDS : DAY_SECONDS;
    const isNewer = entry.address.time < address.time - step;
    if (isNewer || services !== entry.address.services) {
      entry.address = { ...entry.address, services, time: isNewer ? address.time : entry.address.time };
      this.#touch(entry, now);
      isNews = true;
    }
    if (entry.failures > 0 && address.time > entry.failedAt) {
      // Seen alive since we missed it. Anybody can claim that, so it is still not dialled more often than every `redialMs`.
      entry.failures = 0;
      entry.nextTry = Math.min(entry.nextTry, (entry.attemptedAt ?? 0) + this.#limits.redialMs);
      this.#changes++;
      isNews = true;
    }
    return isNews;
  }

  /** In vain by WebSocket: the next try is without, and the one after that with it again. */
  #otherTransport(entry: Entry, { transport }: DialTarget): void {
    const isRefuted = transport === 'ws';
    if (!isRefuted && !entry.refutedWebSocket) return;
    entry.refutedWebSocket = isRefuted;
    const services = entry.address.services & ~SERVICE_WEBSOCKET;
    entry.address = { ...entry.address, services: isRefuted ? services : services | SERVICE_WEBSOCKET };
  }

  /**
   * Two nodes that learn of each other at the same moment would dial each other and end with two links. So the one with
   * the first endpoint dials at once and the other waits for two dial intervals, in which it is usually dialled.
   */
  #courtesy(key: string): Millis {
    const isFirst = this.#firstOwn === undefined || this.#firstOwn < key;
    return isFirst ? 0 : 2 * this.#limits.dialIntervalMs;
  }

  /** The entry's row in the store is out of date. */
  #touch(entry: Entry, now: Now): void {
    this.#dirty.add(entry.key);
    this.#saveAt ??= now.mono + this.#limits.addressSaveMs;
  }

  // The store

  #load(row: Row, now: Now): void {
    const { address, source, tried, reachedAt, tries, buckets } = decodeRow(row);
    const key = row.key.slice(ROW_PREFIX.length);
    this.#stored.add(key);
    const entry = this.#make(address, source, now);
    if (entry !== undefined) {
      entry.reachedAt = reachedAt;
      entry.tries = tries;
      if (this.#restore(entry, buckets, tried, now)) {
        this.#changes++;
        const isWhereItWas = entry.buckets.size === buckets.length && buckets.every((each) => entry.buckets.has(each));
        if (entry.tried === tried && isWhereItWas) this.#dirty.delete(key);
        return;
      }
    }
    // It is of no use any longer, and its row goes with the next save.
    this.#dirty.add(key);
  }

  /** Puts an entry where it was. Where the limits are others than they were, two may want one place: the first has it. */
  #restore(entry: Entry, buckets: readonly number[], tried: boolean, now: Now): boolean {
    if (tried && this.#occupant(entry) === undefined) {
      this.#entries.set(entry.key, entry);
      this.#moveToTried(entry, now);
      return true;
    }
    const { newBuckets, maxNewPlaces } = this.#limits;
    for (const bucket of buckets) {
      const isFree = this.#new.get(bucket, this.#place('new', bucket, entry.key)) === undefined;
      if (isFree && bucket < newBuckets && entry.buckets.size < maxNewPlaces) this.#takeNew(entry, bucket, now);
    }
    if (entry.buckets.size === 0 && !this.#placeInNew(entry, entry.source, now)) return false;
    this.#entries.set(entry.key, entry);
    return true;
  }

  /** A row of the flat table that there was before: the address, and when it was reached. */
  #loadFlat(row: Row, now: Now): void {
    const decoded = decode(row.value, (reader) => ({ address: readAddressV2(reader), reachedAt: reader.u32() }));
    const { address, reachedAt } = decoded.ok ? decoded.value : { address: undefined, reachedAt: 0 };
    if (address === undefined) throw new StoreDamage(`the address ${row.key} cannot be read`);
    this.#otherRows.push([row.key, null]);
    const key = addressKey(address);
    if (this.#entries.has(key) || !this.#insert(address, address, now)) return;
    const entry = this.#entries.get(key) as Entry;
    entry.reachedAt = reachedAt;
    if (reachedAt > 0 && this.#occupant(entry) === undefined) this.#moveToTried(entry, now);
  }
}

/** How long a target is left alone after so many failures in a row. */
export function redialDelay(failures: number, limits: Limits): Millis {
  return Math.min(limits.redialMs * 2 ** Math.min(failures - 1, 30), limits.redialMaxMs);
}

function keyOf(target: Endpoint | DialTarget): string {
  return 'transport' in target ? targetKey(target) : endpointKey(target);
}

function candidate({ address, tried, attemptedAt }: Entry): Candidate {
  return { address, tried, lastTry: attemptedAt };
}

function isUseful(address: GossipAddress): boolean {
  return (address.services & REQUIRED_SERVICES) === REQUIRED_SERVICES;
}

function isTerrible({ address, attemptedAt, reachedAt, tries }: Entry, now: Now): boolean {
  if (attemptedAt !== undefined && now.mono - attemptedAt <= JUST_TRIED_MS) return false;
  if (address.time > now.unix + MAX_FUTURE_SECONDS || now.unix - address.time > MAX_AGE_SECONDS) return true;
  if (reachedAt === 0) return tries >= MAX_TRIES_NEVER_REACHED;
  return tries >= MAX_TRIES && now.unix - reachedAt > UNREACHED_SECONDS;
}

const NETWORKS: readonly AddressNetwork[] = ['ipv4', 'ipv6', 'wss'];

/** Texts, because names have no other form; independent of what goes over the wire. */
function encodeRow({ address, source, tried, reachedAt, tries, buckets, refutedWebSocket }: Entry): Bytes {
  const text = (value: string) => new TextEncoder().encode(value);
  // As it was told: what a try in vain made of it is forgotten with the try.
  const services = refutedWebSocket ? address.services | SERVICE_WEBSOCKET : address.services;
  const writer = new Writer()
    .u8(NETWORKS.indexOf(address.network))
    .varBytes(text(address.host))
    .u16be(address.port)
    .varBytes(text(address.path ?? ''))
    .u64(services)
    .u32(address.time)
    .varBytes(text(source.host))
    .u16be(source.port)
    .u8(tried ? 1 : 0)
    .u32(reachedAt)
    .u8(Math.min(tries, 0xff))
    .u8(buckets.size);
  for (const bucket of buckets) writer.u32(bucket);
  return writer.finish();
}

interface SavedAddress extends Pick<Entry, 'address' | 'source' | 'tried' | 'reachedAt' | 'tries'> {
  readonly buckets: readonly number[];
}

function decodeRow(row: Row): SavedAddress {
  const decoded = decode(row.value, readRow);
  const saved = decoded.ok ? decoded.value : undefined;
  if (saved === undefined || ROW_PREFIX + addressKey(saved.address) !== row.key)
    throw new StoreDamage(`the address ${row.key} cannot be read`);
  return saved;
}

function readRow(reader: Reader): SavedAddress | undefined {
  const text = () => new TextDecoder().decode(reader.varBytes(MAX_TEXT));
  const network = NETWORKS[reader.u8()];
  const host = text();
  const port = reader.u16be();
  const path = text();
  const services = reader.u64();
  const time = reader.u32();
  const source = { host: text(), port: reader.u16be() };
  const tried = reader.u8() === 1;
  const reachedAt = reader.u32();
  const tries = reader.u8();
  // Earlier versions did not write the buckets: the one that source and address give is found again.
  const buckets = reader.remaining === 0 ? [] : Array.from({ length: reader.u8() }, () => reader.u32());
  if (network === undefined) return undefined;
  const address = { network, host, port, services, time, ...(path === '' ? {} : { path }) };
  return { address, source, tried, reachedAt, tries, buckets };
}
