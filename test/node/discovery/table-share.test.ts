/** What an attacker gets of the address manager's tables is what the formula at its head says. Seeded simulations. */
import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { Endpoint, Now } from '../../../node/boundary.ts';
import { AddressManager } from '../../../node/discovery/address-manager.ts';
import { internetLimits as limits } from '../../../node/limits.ts';
import { netgroup } from '../../../node/netgroup.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { expectedNewShare, expectedTriedShare, type Share } from './table-share.ts';

const UNIX = 1_700_000_000;
const HOUR = 3_600_000;
const SERVICES = 9n;
/** What test before evict takes for long ago. */
const at = (hours: number): Now => ({ mono: hours * HOUR, unix: UNIX + hours * 3600 });
/**
 * Two percentage points. Where the share itself is not much more, that says little: places are held to a twentieth of it
 * too. Draws are not: how often a bucket is drawn is chance many times over.
 */
const TOLERANCE = 0.02;
const RELATIVE_TOLERANCE = 0.05;
const DRAWS = 10_000;

const params = { ...regtest, loopbackRoutable: false };
/** First octets in which every address is public. */
const OCTETS = Array.from({ length: 223 }, (_, octet) => octet).filter(
  (octet) => octet > 10 && ![100, 127, 169, 172, 192, 198, 203].includes(octet),
);

/** The address of that number in the group of that number; groups are /16 of public IPv4. */
const hostOf = (group: number, index: number): string =>
  `${OCTETS[group >> 8]}.${group & 0xff}.${index >> 8}.${index & 0xff}`;
/** Beyond those of the attacker. */
const HONEST_GROUP = 20_000;

class Simulation {
  readonly #random: SeededRandom;
  readonly #table: AddressManager;
  readonly #evil = new Set<string>();
  readonly #honest = new Set<string>();

  constructor(seed: string) {
    this.#random = new SeededRandom(seed);
    const random = this.#random.fork('table');
    this.#table = new AddressManager({ limits, params, random, rows: [], own: [], now: at(0) });
  }

  /** Addresses in so many groups, of which many have told us, are reached. Whoever is in the way answers its feeler. */
  reach(whose: 'evil' | 'honest', count: number, groups: number, now: Now): void {
    for (let i = 0; i < count; i++) {
      const host = this.#name(whose, i, groups);
      const endpoint = { host, port: 8333 };
      // New has room enough for all, but not in each place.
      for (let tries = 0; !this.#tell(endpoint, this.#anybody(), now); tries++)
        if (tries === 100) throw new Error(host);
      this.#table.onConnected(endpoint, SERVICES, now);
      const tested = this.#table.collision(now);
      if (tested !== undefined) this.#table.onConnected(tested, SERVICES, now);
      this.#table.resolveCollisions(now);
    }
  }

  /** Sources of so many groups tell addresses, each once and each of another group. */
  tell(whose: 'evil' | 'honest', count: number, sourceGroups: number, now: Now): void {
    for (let i = 0; i < count; i++) {
      const source =
        whose === 'honest' ? this.#anybody() : { host: hostOf(40_000 + (i % sourceGroups), 1), port: 8333 };
      this.#tell({ host: this.#name(whose, i, count), port: 8333 }, source, now);
    }
  }

  measure(places: number, newOnly: boolean, now: Now): Share {
    const isThere = (host: string) => this.#table.isTried({ host, port: 8333 });
    const known = new Set(this.#table.entries().map(({ host }) => host));
    const held = (hosts: ReadonlySet<string>) =>
      [...hosts].filter((host) => (newOnly ? known.has(host) : isThere(host))).length;
    const evil = held(this.#evil);
    let drawn = 0;
    let evilDrawn = 0;
    while (drawn < DRAWS) {
      const candidate = this.#table.select({ newOnly, exclude: () => false }, now);
      if (candidate?.tried !== !newOnly) continue;
      drawn++;
      if (this.#evil.has(candidate.address.host)) evilDrawn++;
    }
    return { places: evil / places, entries: evil / (evil + held(this.#honest)), draws: evilDrawn / drawn };
  }

  #name(whose: 'evil' | 'honest', index: number, groups: number): string {
    const first = whose === 'evil' ? 0 : HONEST_GROUP;
    const host = hostOf(first + (index % groups), 1 + Math.floor(index / groups));
    (whose === 'evil' ? this.#evil : this.#honest).add(host);
    return host;
  }

  #anybody(): Endpoint {
    return { host: hostOf(below(this.#random, 50_000), 1), port: 8333 };
  }

  #tell({ host, port }: Endpoint, source: Endpoint, now: Now): boolean {
    const address = { network: 'ipv4' as const, host, port, services: SERVICES, time: now.unix };
    return this.#table.add([address], source, now).length > 0;
  }
}

function expectClose(measured: Share, expected: Share): void {
  for (const key of ['places', 'entries', 'draws'] as const) {
    const tolerance = key === 'draws' ? TOLERANCE : Math.min(TOLERANCE, RELATIVE_TOLERANCE * expected[key]);
    expect({ [key]: measured[key] }).toEqual({ [key]: expect.closeTo(expected[key], -Math.log10(2 * tolerance)) });
  }
}

test('hosts of different numbers are of different groups', () => {
  expect(
    new Set(Array.from({ length: 50_000 }, (_, group) => netgroup({ host: hostOf(group, 1), port: 1 }))).size,
  ).toBe(50_000);
});

describe('the tried table', () => {
  const places = limits.triedBuckets * limits.bucketSize;

  test.each([
    { attackers: 1000, groups: 1, honest: 1000 },
    { attackers: 4000, groups: 8, honest: 1000 },
    { attackers: 4000, groups: 100, honest: 3000 },
    { attackers: 3000, groups: 3000, honest: 500 },
    { attackers: 2000, groups: 32, honest: 8000 },
  ])('holds what the formula says: $attackers addresses, groups: $groups, after $honest honest ones', (attack) => {
    const simulation = new Simulation(JSON.stringify(attack));
    simulation.reach('honest', attack.honest, attack.honest, at(0));
    simulation.reach('evil', attack.attackers, attack.groups, at(5));
    expectClose(simulation.measure(places, false, at(6)), expectedTriedShare({ ...attack, limits }));
  });

  test.each([
    { attackers: 1000, groups: 1, honest: 1000 },
    { attackers: 4000, groups: 64, honest: 3000 },
  ])('holds what the formula says: $attackers addresses, groups: $groups, before $honest honest ones', (attack) => {
    const simulation = new Simulation(JSON.stringify(attack));
    simulation.reach('evil', attack.attackers, attack.groups, at(0));
    simulation.reach('honest', attack.honest, attack.honest, at(5));
    const expected = expectedTriedShare({ ...attack, attackersFirst: true, limits });
    expectClose(simulation.measure(places, false, at(6)), expected);
  });

  test('the formula gives what one finds with pencil and paper', () => {
    // Two hash values and four buckets of five places: neither, one or both fall on a bucket.
    const small = { ...limits, triedBuckets: 4, triedBucketsPerGroup: 2, bucketSize: 5 };
    const places = 1 - (9 / 16 + (6 / 16) * (9 / 10) ** 3 + (1 / 16) * (8 / 10) ** 3);
    const attack = { attackers: 3, groups: 1, limits: small };
    expect(expectedTriedShare({ ...attack, honest: 0 }).places).toBeCloseTo(places, 12);
    expect(expectedTriedShare({ ...attack, honest: 7 }).places).toBeCloseTo(places * (19 / 20) ** 7, 12);
    expect(expectedTriedShare({ ...attack, honest: 7, attackersFirst: true }).places).toBeCloseTo(places, 12);
  });

  test('one group holds no more than its buckets, however many addresses it has', () => {
    const most = limits.triedBucketsPerGroup / limits.triedBuckets;
    for (const attackers of [1000, 1e5, 1e9]) {
      const share = expectedTriedShare({ attackers, groups: 1, honest: 1000, limits });
      expect(share.places).toBeLessThanOrEqual(most);
      expect(share.draws).toBeLessThanOrEqual(most);
    }
    const places = 1 - (1 - 1 / limits.triedBuckets) ** limits.triedBucketsPerGroup;
    expect(expectedTriedShare({ attackers: 1e9, groups: 1, honest: 0, limits }).places).toBeCloseTo(places, 6);
  });
});

describe('the new table', () => {
  const places = limits.newBuckets * limits.bucketSize;

  test.each([
    { attackers: 10_000, sourceGroups: 1, honest: 5000 },
    { attackers: 10_000, sourceGroups: 4, honest: 5000 },
    { attackers: 10_000, sourceGroups: 100, honest: 10_000 },
  ])('holds what the formula says: $attackers addresses, source groups: $sourceGroups', (attack) => {
    const simulation = new Simulation(JSON.stringify(attack));
    simulation.tell('honest', attack.honest, attack.honest, at(0));
    simulation.tell('evil', attack.attackers, attack.sourceGroups, at(0));
    expectClose(simulation.measure(places, true, at(1)), expectedNewShare({ ...attack, limits }));
  });

  test('one source group reaches 6 % of the table, whatever it sends', () => {
    const share = expectedNewShare({ attackers: 1e9, sourceGroups: 1, honest: 0, limits });
    expect(share.places).toBeCloseTo(1 - (1 - 1 / limits.newBuckets) ** limits.newBucketsPerSourceGroup, 6);
    expect(share.places).toBeLessThan(0.061);
  });
});
