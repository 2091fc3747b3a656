/**
 * Random operations against an address manager with hardly any room, and after each of them what must hold at any time.
 * A failure names its seed.
 */
import { expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { DialTarget, Endpoint, Now } from '../../../node/boundary.ts';
import { AddressManager } from '../../../node/discovery/address-manager.ts';
import { addressKey, dialTargetOf, endpointKey } from '../../../node/discovery/address-rules.ts';
import { internetLimits, type Limits } from '../../../node/limits.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';
import { Disk } from './address-rows.ts';
import { address, at, endpoint, inGroup, named, numbers, SERVICES } from './known-addresses.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** `select` draws so often from a table before it looks through it. */
const DRAWS = 100;

/** Everything that is ever told: some groups with several addresses each, names, and some that serve nothing. */
const UNIVERSE: readonly GossipAddress[] = [
  ...numbers(40).map((i) => address(inGroup(i % 13, i), i < 20 ? { services: SERVICES | SERVICE_WEBSOCKET } : {})),
  ...numbers(4).map((i) => address(`2600:${i % 2}::${i + 1}`)),
  ...numbers(4).map((i) => named(`n${i}.a${i % 2}.example`, i === 0 ? {} : { path: `/${i}` })),
  ...numbers(3).map((i) => address(inGroup(20 + i), { services: 1n })),
];

interface Call {
  readonly name: string;
  readonly run: () => void;
}

class World {
  readonly #random: SeededRandom;
  readonly #limits: Limits;
  readonly disk = new Disk();
  #table: AddressManager;
  #own: readonly Endpoint[] = [];
  #mono = 0;
  /** Before this an address may not be drawn: it failed, or its link ended, and nobody has said since that it lives. */
  readonly #restsUntil = new Map<string, number>();
  /** When each was reached last, in seconds since 1970, as long as it is known. */
  readonly #reachedAt = new Map<string, number>();
  #changes = 0;
  /** Addresses that had been reached. */
  forgotten = 0;

  constructor(seed: string) {
    this.#random = new SeededRandom(seed);
    const among = (...values: readonly number[]) => values[below(this.#random, values.length)] as number;
    this.#limits = {
      ...internetLimits,
      newBuckets: among(1, 4, 9),
      triedBuckets: among(1, 3),
      bucketSize: among(1, 2, 4),
      newBucketsPerSourceGroup: among(1, 3),
      triedBucketsPerGroup: among(1, 2),
      maxNewPlaces: among(1, 2, 4),
      maxTriedCollisions: among(1, 3),
      getaddrAllBelow: among(0, 10),
    };
    this.#table = this.#open(this.disk, this.#limits);
  }

  get #now(): Now {
    return at(this.#mono / 1000);
  }

  #open(disk: Disk, limits: Limits): AddressManager {
    const random = this.#random.fork(`table ${this.#mono}`);
    const params = { ...regtest, loopbackRoutable: false };
    return new AddressManager({ limits, params, random, rows: disk.rows, own: this.#own, now: this.#now });
  }

  /** One operation; returns its name. */
  step(): string {
    const calls: readonly Call[] = [
      { name: 'add', run: () => this.#add() },
      { name: 'add', run: () => this.#add() },
      { name: 'add', run: () => this.#add() },
      { name: 'attempt', run: () => this.#table.onAttempt(this.#target(), this.#now) },
      { name: 'connected', run: () => this.#connected(this.#target()) },
      { name: 'connected', run: () => this.#connected(this.#target()) },
      { name: 'failed', run: () => this.#failed(this.#target()) },
      { name: 'failed', run: () => this.#failed(this.#target()) },
      { name: 'closed', run: () => this.#closed(this.#target()) },
      { name: 'draw', run: () => this.#draw() },
      { name: 'draw', run: () => this.#draw() },
      { name: 'collision', run: () => this.#collision() },
      { name: 'collision', run: () => this.#collision() },
      { name: 'resolve', run: () => this.#table.resolveCollisions(this.#now) },
      { name: 'sample', run: () => this.#sample() },
      { name: 'own', run: () => this.#setOwn() },
      { name: 'retry', run: () => this.#retryAll() },
      { name: 'tick', run: () => this.disk.apply(this.#table.tick(this.#now)) },
      { name: 'restart', run: () => this.#restart() },
    ];
    const gaps = [0, 1000, 20_000, MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS];
    this.#mono += below(this.#random, 100) === 0 ? 20 * DAY_MS : (gaps[below(this.#random, gaps.length)] as number);
    const call = calls[below(this.#random, calls.length)] as Call;
    const { tried } = this.#table.counts;
    call.run();
    if (call.name === 'resolve' && this.#table.counts.tried < tried) throw new Error('a place in tried was lost');
    this.#forget();
    return call.name;
  }

  #forget(): void {
    const known = this.#known();
    for (const key of this.#reachedAt.keys()) {
      if (known.has(key)) continue;
      this.forgotten++;
      this.#reachedAt.delete(key);
    }
  }

  #known(): Set<string> {
    return new Set(this.#table.entries().map(addressKey));
  }

  // Operations

  #any(): GossipAddress {
    return UNIVERSE[below(this.#random, UNIVERSE.length)] as GossipAddress;
  }

  #target(): Endpoint | DialTarget {
    const chosen = this.#any();
    return chosen.network === 'wss' || below(this.#random, 2) === 0 ? dialTargetOf(chosen) : chosen;
  }

  #add(): void {
    const now = this.#now;
    const source = endpoint(inGroup(below(this.#random, 30)), 1);
    const ages = [-700, -30, 0, 3600, 86_400, 20 * 86_400, 40 * 86_400];
    const told = numbers(1 + below(this.#random, 4)).map(() => {
      const chosen = this.#any();
      return { ...chosen, time: now.unix - (ages[below(this.#random, ages.length)] as number) };
    });
    const penalty = below(this.#random, 2) * 7200;
    for (const each of told) {
      const key = addressKey(each);
      const news = this.#table.add([each], source, now, penalty);
      if (news.length > 0) {
        expect(news.map(addressKey)).toEqual([key]);
        expect(this.#known()).toContain(key);
        this.#restsUntil.delete(key);
      }
      // One that is pushed out here may come back with the next one.
      this.#forget();
    }
  }

  #connected(target: Endpoint | DialTarget): void {
    const now = this.#now;
    const key = keyOf(target);
    this.#table.onConnected(target, SERVICES, now);
    const entry = this.#table.entries().find((each) => addressKey(each) === key);
    if (entry === undefined) return;
    expect(entry.services).toBe(SERVICES);
    this.#reachedAt.set(key, now.unix);
  }

  #failed(target: Endpoint | DialTarget): void {
    this.#table.onFailed(target, this.#now);
    this.#rest(keyOf(target));
  }

  #closed(target: Endpoint | DialTarget): void {
    this.#table.onClosed(target, this.#now, below(this.#random, 2) === 0);
    this.#rest(keyOf(target));
  }

  #rest(key: string): void {
    if (this.#known().has(key)) this.#restsUntil.set(key, this.#now.mono + this.#limits.redialMs);
  }

  #draw(): void {
    const excluded = new Set(numbers(below(this.#random, 60)).map(() => addressKey(this.#any())));
    const newOnly = below(this.#random, 2) === 0;
    const now = this.#now;
    const drawn = this.#table.select({ newOnly, exclude: (_endpoint, key) => excluded.has(key) }, now);
    const mayBeDrawn = (each: GossipAddress) => {
      const key = addressKey(each);
      const rests = this.#table.nextTry(now, (_endpoint, other) => other !== key) !== undefined;
      const isTried = this.#table.isTried(dialTargetOf(each));
      return !excluded.has(key) && !rests && (each.services & SERVICES) === SERVICES && !(newOnly && isTried);
    };
    const candidates = this.#table.entries().filter(mayBeDrawn);
    if (drawn === undefined) {
      expect(candidates).toEqual([]);
      return;
    }
    expect(candidates).toContainEqual(drawn.address);
    expect(drawn.tried).toBe(this.#table.isTried(dialTargetOf(drawn.address)));
    expect(this.#restsUntil.get(addressKey(drawn.address)) ?? 0).toBeLessThanOrEqual(now.mono);
    this.#table.onAttempt(drawn.address.network === 'wss' ? dialTargetOf(drawn.address) : drawn.address, now);
  }

  #collision(): void {
    const tested = this.#table.collision(this.#now);
    if (tested === undefined) return;
    const target = dialTargetOf(tested);
    expect(this.#table.isTried(target)).toBe(true);
    this.#table.onAttempt(target, this.#now);
    // A third answers, a third does not, and a third is still on its way.
    const outcome = below(this.#random, 3);
    if (outcome === 0) this.#connected(target);
    if (outcome === 1) this.#failed(target);
  }

  #sample(): void {
    const keys = this.#table.sample(this.#now).map(addressKey);
    expect(new Set(keys).size).toBe(keys.length);
    const known = this.#known();
    expect(keys.every((key) => known.has(key))).toBe(true);
    expect(keys.length).toBeLessThanOrEqual(this.#table.size);
  }

  #setOwn(): void {
    // Of one address or none, or hardly anything would be left.
    this.#own = below(this.#random, 3) === 0 ? [this.#any()].filter(({ network }) => network !== 'wss') : [];
    this.#table.setOwn(this.#own);
  }

  #retryAll(): void {
    this.#table.retryAll(this.#now);
    this.#restsUntil.clear();
  }

  #restart(): void {
    this.disk.apply(this.#table.save());
    this.#table = this.#open(this.disk, this.#limits);
    this.#changes = 0;
    this.#restsUntil.clear();
  }

  // What must hold

  check(): void {
    const entries = this.#table.entries();
    expect(this.#table.size).toBe(entries.length);
    expect(new Set(entries.map(addressKey)).size).toBe(entries.length);
    const own = new Set(this.#own.map(endpointKey));
    expect(entries.filter((each) => own.has(addressKey(each)))).toEqual([]);
    expect(this.#table.changes).toBeGreaterThanOrEqual(this.#changes);
    this.#changes = this.#table.changes;
    // Dear in time, and what is wrong stays so.
    if (below(this.#random, 10) > 0) return;
    this.disk.apply(this.#table.save());
    expect(this.#table.save()).toEqual([]);
    expect(this.#table.nextDeadline()).toBeUndefined();
    this.#checkPlaces(this.#table, this.disk, this.#limits);
    for (const [key, { reachedAt }] of this.disk.addresses) expect(reachedAt).toBe(this.#reachedAt.get(key) ?? 0);
    const again = this.#open(this.disk, this.#limits);
    expect(again.save()).toEqual([]);
    expectSame(again, this.#table);
    this.#checkPlaces(again, this.disk, this.#limits);
    this.#checkOtherLimits();
  }

  /** The rows say where each address is. What the tables hold is seen by who excludes everything. */
  #checkPlaces(table: AddressManager, disk: Disk, limits: Limits): void {
    const rows = disk.addresses;
    const entries = table.entries();
    expect([...rows.keys()].sort()).toEqual(entries.map(addressKey).sort());
    let tried = 0;
    for (const [key, row] of rows) {
      expect({
        key,
        isTried: row.tried,
        places: row.tried ? row.buckets.length === 0 : row.buckets.length > 0,
      }).toEqual({
        key,
        isTried: row.tried,
        places: true,
      });
      expect(row.buckets.length).toBeLessThanOrEqual(limits.maxNewPlaces);
      expect(row.buckets.every((bucket) => bucket < limits.newBuckets)).toBe(true);
      if (row.tried) tried++;
      if (row.tried) expect(row.reachedAt).toBeGreaterThan(0);
    }
    expect(table.counts).toEqual({ new: rows.size - tried, tried });
    const byNetwork = [...table.countsByNetwork().values()];
    expect(byNetwork.reduce((sum, each) => sum + each.new, 0)).toBe(rows.size - tried);
    expect(byNetwork.reduce((sum, each) => sum + each.tried, 0)).toBe(tried);

    const places = disk.places(limits);
    const all = [...places.values()].flat();
    expect(new Set(all).size).toBe(all.length);
    expect(tried).toBeLessThanOrEqual(limits.triedBuckets * limits.bucketSize);
    expect(all.length - tried).toBeLessThanOrEqual(limits.newBuckets * limits.bucketSize);

    const useful = entries.filter(({ services }) => (services & SERVICES) === SERVICES).map(addressKey);
    for (const newOnly of [false, true]) {
      const expected = useful.filter((key) => !newOnly || rows.get(key)?.tried === false);
      expect(inTables(table, this.#now, newOnly).keys).toEqual(new Set(expected));
    }
    if (useful.length < entries.length) return;
    const tables = (tried > 0 ? 1 : 0) + (rows.size > tried ? 1 : 0);
    expect(inTables(table, this.#now, false).looks - DRAWS * tables).toBe(all.length);
  }

  /** Where there is less room than there was, some are lost, and all else still holds. */
  #checkOtherLimits(): void {
    const limits: Limits = {
      ...this.#limits,
      newBuckets: 1 + below(this.#random, 5),
      triedBuckets: 1 + below(this.#random, 3),
      bucketSize: 1 + below(this.#random, 4),
      maxNewPlaces: 1 + below(this.#random, 3),
    };
    const disk = new Disk(this.disk.rows);
    const table = this.#open(disk, limits);
    disk.apply(table.save());
    this.#checkPlaces(table, disk, limits);
    expectSame(this.#open(disk, limits), table);
  }

  get counts(): { readonly new: number; readonly tried: number } {
    return this.#table.counts;
  }
}

function keyOf(target: Endpoint | DialTarget): string {
  return 'transport' in target && target.transport === 'wss'
    ? addressKey({ ...named(target.host), ...target })
    : endpointKey(target);
}

/** What both tables hold, long after every back-off, and how many looks that took. */
function inTables(table: AddressManager, now: Now, newOnly: boolean): { keys: Set<string>; looks: number } {
  const keys = new Set<string>();
  let looks = 0;
  const exclude = (_endpoint: Endpoint, key: string) => {
    keys.add(key);
    looks++;
    return true;
  };
  expect(table.select({ newOnly, exclude }, { ...now, mono: now.mono + DAY_MS })).toBeUndefined();
  return { keys, looks };
}

function expectSame(again: AddressManager, table: AddressManager): void {
  // Whether a WebSocket that was told of is believed at the moment is not saved.
  const byKey = (of: AddressManager) =>
    of
      .entries()
      .map((each) => ({ ...each, services: each.services & ~SERVICE_WEBSOCKET }))
      .sort((a, b) => (addressKey(a) < addressKey(b) ? -1 : 1));
  expect(byKey(again)).toEqual(byKey(table));
  expect(again.counts).toEqual(table.counts);
}

test('random operations leave the tables, the rows and what is drawn consistent', () => {
  const happened = new Map<string, number>();
  let forgotten = 0;
  let mostTried = 0;
  for (let run = 0; run < 40; run++) {
    const seed = `address manager ${run}`;
    const world = new World(seed);
    for (let step = 0; step < 120; step++) {
      try {
        const name = world.step();
        happened.set(name, (happened.get(name) ?? 0) + 1);
        world.check();
      } catch (error) {
        throw new Error(`${seed}, step ${step}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    forgotten += world.forgotten;
    mostTried = Math.max(mostTried, world.counts.tried);
  }
  // What is never put to the test shows nothing.
  expect(happened.size).toBe(13);
  expect(forgotten).toBeGreaterThan(5);
  expect(mostTried).toBeGreaterThan(5);
});
