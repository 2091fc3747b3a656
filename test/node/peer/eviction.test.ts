/** The rules one by one, what they promise of any set of links (as Core's net_peer_eviction_tests does), and an attack. */
import { describe, expect, test } from '@jest/globals';
import type { PeerId } from '../../../node/boundary.ts';
import { type EvictionCandidate, netgroupKeys, selectEviction } from '../../../node/peer/eviction.ts';
import { below, type Random, shuffled } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';

const ROUNDS = 30;

/** Plain links: peer n is the n-th to come, of a netgroup of its own, with nothing to its credit. */
function candidate(n: number, more: Partial<EvictionCandidate> = {}): EvictionCandidate {
  return {
    peer: n as PeerId,
    netgroup: `group ${n}`,
    connectedAt: n,
    minPingMs: 100,
    lastTransaction: 0,
    lastBlock: 0,
    relaysTransactions: true,
    usefulServices: true,
    local: false,
    discouraged: false,
    noban: false,
    ...more,
  };
}

function randomCandidates(count: number, random: Random): EvictionCandidate[] {
  const chance = (percent: number) => below(random, 100) < percent;
  return Array.from({ length: count }, (_, n) =>
    candidate(n, {
      netgroup: `group ${below(random, 100)}`,
      connectedAt: below(random, 100),
      minPingMs: chance(10) ? undefined : below(random, 100),
      lastTransaction: below(random, 100),
      lastBlock: below(random, 100),
      relaysTransactions: chance(50),
      usefulServices: chance(50),
      local: chance(20),
      discouraged: chance(20),
    }),
  );
}

/** Whether nobody for whom `isKept` holds is ever chosen, of many sets of `count` links that `shape` has a hand in. */
function expectKept(
  count: number,
  shape: (one: EvictionCandidate, place: number) => EvictionCandidate,
  isKept: (place: number) => boolean,
  keyOf?: (netgroup: string) => number,
): void {
  for (let round = 0; round < ROUNDS; round++) {
    const random = new SeededRandom(`eviction ${count} ${round}`);
    const links = shuffled(randomCandidates(count, random).map(shape), random);
    const victim = selectEviction(links, keyOf ?? netgroupKeys(random));
    if (victim !== undefined) expect(isKept(victim)).toBe(false);
  }
}

const sizes = [21, 30, 60, 114, 200];

describe('of any set of links', () => {
  test.each(sizes)('with %i, the four of the first netgroups in the secret order are kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => ({ ...one, netgroup: String(n) });
    expectKept(count, shape, (n) => n >= count - 4, Number);
  });

  test.each(sizes)('with %i, the eight with the shortest way are kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => ({ ...one, minPingMs: n });
    expectKept(count, shape, (n) => n < 8);
  });

  test.each(sizes)('with %i, the four that brought the latest transactions are kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => ({ ...one, lastTransaction: 1000 - n });
    expectKept(count, shape, (n) => n < 4);
  });

  test.each(sizes)('with %i, the eight that want no transactions and brought the latest blocks are kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => {
      return { ...one, lastBlock: 1000 - n, relaysTransactions: n >= 8, usefulServices: n < 8 };
    };
    expectKept(count, shape, (n) => n < 8);
  });

  test.each(sizes)('with %i, the four that brought the latest blocks are kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => ({ ...one, lastBlock: 1000 - n });
    expectKept(count, shape, (n) => n < 4);
  });

  test.each(sizes)('with %i, those that are the best by several rules are all kept', (count) => {
    const shape = (one: EvictionCandidate, n: number) => ({
      ...one,
      netgroup: String(n),
      minPingMs: n < 4 ? 200 : n < 12 ? n : 150,
      lastTransaction: n >= 12 && n < 16 ? 200 : 0,
      relaysTransactions: n >= 24,
      usefulServices: true,
      lastBlock: n >= 16 && n < 24 ? 200 : n >= 24 && n < 28 ? 150 : 0,
    });
    expectKept(
      count,
      shape,
      (n) => n < 28,
      (group) => -Number(group),
    );
  });

  test('the half that has been here longest is kept', () => {
    for (const count of sizes) {
      const half = Math.floor(count / 2);
      const shape = (one: EvictionCandidate, n: number) => ({ ...one, connectedAt: n, local: false });
      expectKept(count, shape, (n) => n < half - 14);
    }
  });

  test('who must never go never goes', () => {
    for (const count of sizes) {
      expectKept(
        count,
        (one, n) => ({ ...one, noban: n % 3 !== 0 }),
        (n) => n % 3 !== 0,
      );
    }
  });

  test('somebody goes of 29, and nobody of 20', () => {
    for (let round = 0; round < 10; round++) {
      const random = new SeededRandom(`eviction ${round}`);
      const keys = netgroupKeys(random);
      for (let count = 0; count < 120; count++) {
        const victim = selectEviction(randomCandidates(count, random), keys);
        if (count <= 20) expect(victim).toBeUndefined();
        if (count >= 29) expect(victim).toBeDefined();
      }
    }
  });

  test('the order in which they are told does not matter', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const random = new SeededRandom(`eviction ${round}`);
      const keys = netgroupKeys(random);
      const links = randomCandidates(80, random).map((one, n) => ({ ...one, connectedAt: n, minPingMs: n ^ 21 }));
      const distinct = links.map((one, n) => ({ ...one, netgroup: `group ${n}` }));
      const victim = selectEviction(distinct, keys);
      for (let i = 0; i < 5; i++) expect(selectEviction(shuffled(distinct, random), keys)).toBe(victim);
    }
  });
});

describe('of those whom no rule keeps', () => {
  /** 60 links of which the rules before keep as many as they can, all of them the oldest. */
  const base = Array.from({ length: 60 }, (_, n) => candidate(n));
  const keys = (netgroup: string) => -Number(netgroup.slice(6));
  const victimOf = (change: (one: EvictionCandidate, n: number) => Partial<EvictionCandidate>) =>
    selectEviction(
      base.map((one, n) => ({ ...one, ...change(one, n) })),
      keys,
    );

  test('the youngest goes where all are alike', () => {
    expect(victimOf(() => ({}))).toBe(59);
  });

  test('the youngest of the largest netgroup goes', () => {
    expect(victimOf((_, n) => (n >= 45 && n < 50 ? { netgroup: 'group 45' } : {}))).toBe(49);
  });

  test('of two netgroups of one size that with the youngest peer is judged', () => {
    const groups = (_: EvictionCandidate, n: number) => {
      if ([45, 46, 50].includes(n)) return { netgroup: 'group 45' };
      return [47, 48, 49].includes(n) ? { netgroup: 'group 47' } : {};
    };
    expect(victimOf(groups)).toBe(50);
  });

  test('a discouraged one goes first, unless a rule keeps it', () => {
    expect(victimOf((_, n) => ({ discouraged: n === 55 }))).toBe(55);
    expect(victimOf((_, n) => ({ discouraged: n === 55, lastBlock: n === 55 ? 9 : 0 }))).toBe(59);
  });

  test('peers behind a proxy on this machine have a quarter of the places for themselves', () => {
    // The last rule is left 40 links; half of its 20 places are for the local ones, though they are the youngest.
    const local = (_: EvictionCandidate, n: number) => ({
      local: n >= 50,
      netgroup: n >= 50 ? 'group 50' : `group ${n}`,
    });
    expect(victimOf(local)).toBe(49);
    // Twelve of them are two too many.
    const more = (_: EvictionCandidate, n: number) => ({
      local: n >= 48,
      netgroup: n >= 48 ? 'group 48' : `group ${n}`,
    });
    expect(victimOf(more)).toBe(59);
    expect(victimOf((_, n) => ({ netgroup: n >= 50 ? 'group 50' : `group ${n}` }))).toBe(59);
  });

  test('where nobody brought a block, those that could are kept rather than the old', () => {
    expect(victimOf((_, n) => ({ usefulServices: n >= 56 }))).toBe(55);
  });

  test('who serves no blocks has no place among those that want blocks only', () => {
    const idle = (serves: boolean) =>
      victimOf((_, n) => ({ relaysTransactions: n !== 59, usefulServices: serves, lastBlock: n < 20 ? 1 : 0 }));
    expect(idle(true)).toBe(58);
    expect(idle(false)).toBe(59);
  });
});

describe('the secret order of netgroups', () => {
  test('is the same for the same node and another for another one', () => {
    const groups = Array.from({ length: 2000 }, (_, n) => `ipv4/10.${n}`);
    const order = (seed: string) => groups.map(netgroupKeys(new SeededRandom(seed)));
    expect(order('a')).toEqual(order('a'));
    expect(order('a')).not.toEqual(order('b'));
    expect(new Set(order('a')).size).toBe(2000);
  });
});

describe('five hundred Sybils', () => {
  /** They come one after the other, answer pings at once and send transactions, but no blocks. `honest` is told the turn. */
  function attack(groups: number, honest: (turn: number) => Partial<EvictionCandidate>): number | undefined {
    const random = new SeededRandom(`sybils ${groups}`);
    const keys = netgroupKeys(random);
    const PLACES = 114;
    const HONEST = 0 as PeerId;
    let links: EvictionCandidate[] = [];
    for (let turn = 1; turn <= 500; turn++) {
      // The honest peer comes in the middle of the attack, when the places are taken.
      const comes = turn === 200 ? candidate(HONEST, { netgroup: 'honest' }) : undefined;
      const sybil = candidate(turn, {
        netgroup: `group ${below(random, groups)}`,
        minPingMs: 1 + below(random, 5),
        lastTransaction: turn,
      });
      for (const one of comes === undefined ? [sybil] : [sybil, comes]) {
        if (links.length >= PLACES) {
          const present = links.map((link) => (link.peer === HONEST ? { ...link, ...honest(turn) } : link));
          const victim = selectEviction(present, keys);
          if (victim === HONEST) return turn;
          links = links.filter(({ peer }) => peer !== victim);
        }
        if (links.length < PLACES) links.push({ ...one, connectedAt: turn });
      }
    }
    expect(links).toHaveLength(PLACES);
    return undefined;
  }

  test.each([1, 4, 16, 64, 256, 500])('in %i netgroups never push out a peer that brings blocks', (groups) => {
    expect(attack(groups, (turn) => ({ lastBlock: turn - (turn % 10) }))).toBeUndefined();
    // One block, long ago, is more than they have ever brought.
    expect(attack(groups, () => ({ lastBlock: 201 }))).toBeUndefined();
  });

  test('in one netgroup do not even push out one that brings nothing, and in five hundred they do', () => {
    expect(attack(1, () => ({}))).toBeUndefined();
    expect(attack(500, () => ({ minPingMs: 100 }))).toBe(201);
  });
});
