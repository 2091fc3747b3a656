/**
 * The rules at the head of address-manager.ts, one by one. What it saves: address-manager-store.test.ts; what holds at any
 * time: address-manager-model.test.ts.
 */
import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { Endpoint, Now } from '../../../node/boundary.ts';
import {
  type AddressManager,
  type Candidate,
  GOSSIP_PENALTY_SECONDS,
  redialDelay,
} from '../../../node/discovery/address-manager.ts';
import { addressKey } from '../../../node/discovery/address-rules.ts';
import { internetLimits, type Limits, localLimits } from '../../../node/limits.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';
import { Disk } from './address-rows.ts';
import {
  A,
  address,
  at,
  B,
  C,
  DAY,
  endpoint,
  failOften,
  HOUR,
  inGroup,
  MINUTE,
  named,
  none,
  numbers,
  ROOMY,
  SERVICES,
  SOURCE,
  savedOf,
  start,
  table,
  target,
  UNIX,
} from './known-addresses.ts';

function draws(known: AddressManager, count: number, now: Now, newOnly = false): Candidate[] {
  return numbers(count).map(() => known.select({ newOnly, exclude: none }, now) as Candidate);
}

const shareOf = (host: string, drawn: readonly Candidate[]): number =>
  drawn.filter((candidate) => candidate.address.host === host).length / drawn.length;

describe('adding', () => {
  test('returns what is new, once', () => {
    const known = table();
    expect(known.add([address(A), address(A), address(B)], SOURCE, start)).toEqual([address(A), address(B)]);
    expect(known.add([address(A)], SOURCE, start)).toEqual([]);
    expect(known.size).toBe(2);
  });

  test('the time of somebody who is online moves by more than an hour, and that is news', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    const now = at(3 * HOUR);
    expect(known.add([address(A, { time: UNIX + HOUR })], SOURCE, now)).toEqual([]);
    expect(known.entries()).toEqual([address(A)]);
    const newer = address(A, { time: UNIX + HOUR + 1 });
    expect(known.add([newer], SOURCE, now)).toEqual([newer]);
    expect(known.entries()).toEqual([newer]);
  });

  test('the time of somebody who was not seen for a day moves by more than a day', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    const day = address(A, { time: UNIX + DAY });
    expect(known.add([day], SOURCE, at(2 * DAY))).toEqual([]);
    const newer = address(A, { time: UNIX + DAY + 1 });
    expect(known.add([newer], SOURCE, at(2 * DAY + 1))).toEqual([newer]);
    // Exactly a day ago counts as not seen for a day; a second less does not.
    expect(known.add([address(A, { time: UNIX + DAY + 2 * HOUR })], SOURCE, at(2 * DAY + 2 * HOUR))).toEqual([]);
    expect(known.add([address(A, { time: UNIX + DAY + 2 * HOUR })], SOURCE, at(2 * DAY + 2 * HOUR - 1))).toHaveLength(
      1,
    );
  });

  test('a penalty makes an address older, but not what the source tells of its own host', () => {
    const known = table();
    const older = address(A, { time: UNIX - GOSSIP_PENALTY_SECONDS });
    expect(known.add([address(A)], SOURCE, start, GOSSIP_PENALTY_SECONDS)).toEqual([older]);
    const source = endpoint(`::ffff:${B}`, 50_000);
    expect(known.add([address(B)], source, start, GOSSIP_PENALTY_SECONDS)).toEqual([address(B)]);
    expect(known.add([address(C, { time: 100_000_001 })], SOURCE, start, 200_000_000)).toEqual([
      address(C, { time: 0 }),
    ]);
  });

  test('how often a time moves depends on what was told, not on the penalty', () => {
    const known = table();
    known.add([address(A, { time: UNIX - 3 * HOUR })], SOURCE, start);
    // Told: 23 hours ago. With the penalty: 25, and two hours more than what was known.
    const now = at(24 * HOUR);
    expect(known.add([address(A, { time: UNIX + HOUR })], SOURCE, now, 2 * HOUR)).toHaveLength(1);
    expect(known.entries()).toEqual([address(A, { time: UNIX - HOUR })]);
  });

  test('a time from the future counts as five days old', () => {
    const known = table();
    const told = [address(A, { time: UNIX + 601 }), address(B, { time: UNIX + 600 })];
    known.add(told, SOURCE, start);
    expect(known.entries()).toEqual([address(A, { time: UNIX - 5 * DAY }), address(B, { time: UNIX + 600 })]);
  });

  test.each([
    ['port 0', address(A, { port: 0 })],
    ['an unspecified address', address('0.0.0.0')],
    ['multicast', address('224.0.0.1')],
    ['loopback', address('127.0.0.1')],
    ['a private network', address('192.168.1.1')],
    ['documentation', address('2001:db8::1')],
    ['Tor', address(A, { network: 'torv3', host: 'ab'.repeat(32) })],
    ['I2P', address(A, { network: 'i2p', host: 'ab'.repeat(32) })],
    ['CJDNS', address(A, { network: 'cjdns', host: 'fc'.repeat(16) })],
    ['an IP address as a name', named('1.2.3.4')],
    ['an IPv6 address as a name', named('2600::1')],
    ['a name without a dot', named('intranet')],
    ['a name that is no name', named('a_b.example')],
    ['a name in capitals', named('A.example')],
    ['a name that ends in a dot', named('a.example.')],
    ['a name of the own network', named('printer.local')],
    ['this machine', named('localhost')],
    ['a name with port 0', named('a.example', { port: 0 })],
    ['a path with a fragment', named('a.example', { path: '/x#y' })],
    ['a path with a space', named('a.example', { path: '/x y' })],
    ['a path that does not begin with a slash', named('a.example', { path: 'x' })],
    ['a path that is too long', named('a.example', { path: `/${'x'.repeat(200)}` })],
  ])('%s is dropped', (_name, unusable) => {
    const known = table();
    expect(known.add([unusable], SOURCE, start)).toEqual([]);
    expect(known.size).toBe(0);
  });

  test('loopback, private addresses and localhost are kept where loopback is routable', () => {
    const known = table({ params: regtest });
    const told = [address('127.0.0.1'), address('192.168.1.1'), named('localhost')];
    expect(known.add(told, SOURCE, start)).toEqual(told);
  });

  test('names behind wss are kept, each path for itself', () => {
    const known = table();
    const told = [named('a.example'), named('a.example', { path: '/b' }), named('a.example', { port: 444 })];
    expect(known.add(told, SOURCE, start)).toEqual(told);
    expect(known.size).toBe(3);
  });

  test('our own addresses are dropped', () => {
    const own = [endpoint(A), { ...target('wss', 'Own.example', 443), path: '/x' }];
    const known = table({ own });
    const told = [address(A), named('own.example', { path: '/x' }), named('own.example'), address(A, { port: 1 })];
    expect(known.add(told, SOURCE, start)).toEqual(told.slice(2));
    known.onConnected(endpoint(A), SERVICES, start);
    expect(known.size).toBe(2);
  });

  test('what turns out to be our own is forgotten, reached or not', () => {
    const known = table();
    known.add([address(A), address(B), address(C)], SOURCE, start);
    known.onConnected(endpoint(B), SERVICES, start);
    const disk = new Disk();
    disk.apply(known.save());
    known.setOwn([endpoint(A), endpoint(B)]);
    expect(known.entries()).toEqual([address(C)]);
    expect(known.counts).toEqual({ new: 1, tried: 0 });
    for (const { address: drawn } of draws(known, 50, at(HOUR))) expect(drawn.host).toBe(C);
    expect(known.tick(start)).toEqual([]);
    expect(known.nextDeadline()).toBe(start.mono + internetLimits.addressSaveMs);
    disk.apply(known.save());
    expect([...disk.addresses.keys()]).toEqual([addressKey(address(C))]);
    known.setOwn([]);
    expect(known.add([address(A)], SOURCE, start)).toHaveLength(1);
  });
});

describe('draws', () => {
  test('half of them are of the tried table, however many rumours there are', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    known.add(
      numbers(2000).map((i) => address(inGroup(100 + i))),
      SOURCE,
      start,
    );
    const drawn = draws(known, 4000, at(HOUR));
    expect(Math.abs(shareOf(A, drawn) - 0.5)).toBeLessThan(0.03);
    expect(drawn.every(({ address: { host }, tried }) => tried === (host === A))).toBe(true);
  });

  test('and half are of the new one, however many were reached', () => {
    const known = table();
    for (const i of numbers(300)) known.onConnected(endpoint(inGroup(100 + i)), SERVICES, start);
    known.add([address(A)], SOURCE, start);
    const drawn = draws(known, 4000, at(HOUR));
    expect(Math.abs(drawn.filter(({ tried }) => tried).length / drawn.length - 0.5)).toBeLessThan(0.03);
  });

  test('where nothing of one table may be dialled, the other is drawn', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    known.add([address(B)], SOURCE, start);
    const now = at(HOUR);
    for (const [host, other] of [
      [A, B],
      [B, A],
    ] as const) {
      const exclude = ({ host: each }: Endpoint) => each === host;
      for (let i = 0; i < 20; i++) expect(known.select({ exclude }, now)?.address.host).toBe(other);
    }
    expect(known.select({ exclude: () => true }, now)).toBeUndefined();
    expect(table().select({ exclude: none }, now)).toBeUndefined();
  });

  test('a feeler gets only what is new', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    expect(known.select({ newOnly: true, exclude: none }, at(HOUR))).toBeUndefined();
    known.add([address(B)], SOURCE, start);
    expect(shareOf(B, draws(known, 50, at(HOUR), true))).toBe(1);
  });

  test('each comes with its key, whether it was reached and when it was last tried', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    const keys = new Set<string>();
    const exclude = (_endpoint: Endpoint, key: string) => !keys.add(key).has(key);
    expect(known.select({ exclude }, start)).toEqual({ address: address(A), tried: false, lastTry: undefined });
    expect([...keys]).toEqual([addressKey(address(A))]);
    known.onAttempt(target('tcp', A), at(5));
    expect(known.select({ exclude }, at(6))).toEqual({ address: address(A), tried: false, lastTry: at(5).mono });
    known.onConnected(endpoint(A), SERVICES, at(7));
    expect(known.select({ exclude }, at(8))).toEqual({ address: address(A), tried: true, lastTry: at(7).mono });
  });

  test('what does not serve blocks with witnesses is never drawn', () => {
    const known = table();
    known.add([address(A, { services: 1n }), address(B, { services: 8n })], SOURCE, start);
    known.onConnected(endpoint(C), 1n, start);
    expect(known.select({ exclude: none }, at(HOUR))).toBeUndefined();
    expect(known.nextTry(at(-1), none)).toBeUndefined();
    known.onConnected(endpoint(C), SERVICES, start);
    expect(known.select({ exclude: none }, at(HOUR))?.address.host).toBe(C);
  });

  test('the one that may be dialled is found among many that may not', () => {
    const known = table();
    known.add(
      numbers(1500).map((i) => address(inGroup(i))),
      SOURCE,
      start,
    );
    const exclude = ({ host }: Endpoint) => host !== inGroup(700);
    for (let i = 0; i < 10; i++) expect(known.select({ exclude }, start)?.address.host).toBe(inGroup(700));
  });

  test.each([
    [0, 'and nobody else is known'],
    [1500, 'and nobody else may be dialled'],
  ])('buckets count and not addresses, where %d others are known %s', (others) => {
    const known = table();
    for (const i of numbers(others)) known.add([address(inGroup(i))], endpoint(inGroup(i)), start);
    // What one source tells of one group is in one bucket.
    known.add(
      numbers(20).map((i) => address(`90.1.1.${i}`)),
      SOURCE,
      start,
    );
    known.add([address('91.1.1.1')], SOURCE, start);
    const exclude = ({ host }: Endpoint) => !host.startsWith('90.') && !host.startsWith('91.');
    const drawn = numbers(1000).map(() => known.select({ exclude }, start) as Candidate);
    expect(Math.abs(shareOf('91.1.1.1', drawn) - 0.5)).toBeLessThan(0.1);
  });

  test('one draw looks at no more than some thousands', () => {
    const known = table();
    const told = numbers(12_000).map((i) => address(inGroup(i)));
    for (let i = 0; i < told.length; i += 1000) known.add(told.slice(i, i + 1000), endpoint(inGroup(i)), start);
    expect(known.size).toBeGreaterThan(8000);
    let seen = 0;
    const exclude = () => ++seen > 0;
    expect(known.select({ exclude }, start)).toBeUndefined();
    expect(seen).toBeGreaterThanOrEqual(2100);
    expect(seen).toBeLessThanOrEqual(2100 + internetLimits.bucketSize);
    expect(known.nextTry(start, none)).toBe(start.mono + internetLimits.redialMs);
  });

  describe('chance', () => {
    /** How often the less likely of two is drawn: after each that was passed over the next is 1.2 times as likely. */
    function expectedShare(chance: number): number {
      let share = 0;
      let reached = 1;
      for (let draw = 0; draw < 200; draw++) {
        const taken = Math.min(1, chance * 1.2 ** draw);
        share += (reached / 2) * taken;
        reached *= (1 - taken) / 2;
      }
      return share;
    }

    /** Two in one bucket, and the share of draws that one of them gets after so many failed tries. */
    function shareAfter(tries: number, attempt: Now | undefined, now: Now): number {
      const known = table({ limits: { newBuckets: 1 } });
      known.add([address(A), address(B)], SOURCE, start);
      failOften(known, A, tries, start);
      if (attempt !== undefined) known.onAttempt(endpoint(A), attempt);
      expect(savedOf(known).get(addressKey(address(A)))?.tries).toBe(tries);
      return shareOf(A, draws(known, 6000, now, true));
    }

    test.each([
      [0, 1],
      [1, 0.66],
      [3, 0.66 ** 3],
      [8, 0.66 ** 8],
      [20, 0.66 ** 8],
    ])('after %d failed tries it is %d', (tries, chance) => {
      expect(Math.abs(shareAfter(tries, undefined, at(DAY)) - expectedShare(chance))).toBeLessThan(0.02);
    });

    test('is a hundredth for what was tried within ten minutes', () => {
      const recent = { ...at(DAY), mono: at(DAY).mono + internetLimits.recentTryMs - 1 };
      expect(Math.abs(shareAfter(0, at(DAY), recent) - expectedShare(0.01))).toBeLessThan(0.01);
      const later = { ...recent, mono: recent.mono + 1 };
      expect(Math.abs(shareAfter(0, at(DAY), later) - expectedShare(1))).toBeLessThan(0.02);
    });

    test('never keeps the only one from being dialled', () => {
      const known = table();
      known.add([address(A)], SOURCE, start);
      failOften(known, A, 8, start);
      known.onAttempt(endpoint(A), at(DAY));
      expect(shareOf(A, draws(known, 20, at(DAY), true))).toBe(1);
    });
  });
});

describe('the back-off', () => {
  test('doubles with each failure, up to a bound, and nothing is drawn before its end', () => {
    const known = table({ limits: localLimits });
    known.add([address(A)], SOURCE, start);
    expect(known.nextTry(start, none)).toBeUndefined();
    let { mono } = start;
    for (const delay of [500, 1000, 2000, 2000]) {
      known.onFailed(endpoint(A), { mono, unix: UNIX });
      expect(known.nextTry({ mono, unix: UNIX }, none)).toBe(mono + delay);
      expect(known.select({ exclude: none }, { mono: mono + delay - 1, unix: UNIX })).toBeUndefined();
      mono += delay;
      expect(known.nextTry({ mono, unix: UNIX }, none)).toBeUndefined();
      expect(known.select({ exclude: none }, { mono, unix: UNIX })).toBeDefined();
    }
  });

  test('of the internet profile ends at ten minutes', () => {
    expect([1, 2, 6, 7, 8, 1000].map((failures) => redialDelay(failures, internetLimits))).toEqual([
      10_000, 20_000, 320_000, 600_000, 600_000, 600_000,
    ]);
  });

  test('begins anew after a handshake', () => {
    const known = table({ limits: localLimits });
    known.add([address(A)], SOURCE, start);
    for (let i = 0; i < 5; i++) known.onFailed(endpoint(A), start);
    expect(known.nextTry(start, none)).toBe(start.mono + 2000);
    known.onConnected(endpoint(A), SERVICES, start);
    known.onFailed(endpoint(A), start);
    expect(known.nextTry(start, none)).toBe(start.mono + 500);
  });

  test('is the shortest after a link that had been good', () => {
    const known = table({ limits: localLimits });
    known.onConnected(endpoint(A), SERVICES, start);
    for (let i = 0; i < 5; i++) known.onFailed(endpoint(A), start);
    known.onClosed(endpoint(A), at(10));
    expect(known.nextTry(at(10), none)).toBe(at(10).mono + 500);
    expect(known.select({ exclude: none }, at(10))).toBeUndefined();
  });

  test('the earliest end is told, of those that are not excluded', () => {
    const known = table();
    known.add([address(A), address(B), address(C)], SOURCE, start);
    known.onFailed(endpoint(A), at(5));
    known.onFailed(endpoint(B), at(3));
    known.onFailed(endpoint(C), at(4));
    expect(known.nextTry(at(6), none)).toBe(at(13).mono);
    expect(known.nextTry(at(6), ({ host }) => host === B)).toBe(at(14).mono);
    expect(known.nextTry(at(6), (_endpoint, key) => key !== addressKey(address(A)))).toBe(at(15).mono);
    expect(known.nextTry(at(6), () => true)).toBeUndefined();
  });

  test('ends when it is told that an address lives, but it is not dialled more often than that', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    for (let i = 0; i < 5; i++) {
      known.onAttempt(endpoint(A), at(5));
      known.onFailed(endpoint(A), at(5));
    }
    const before = known.changes;
    expect(known.add([address(A, { time: UNIX + 5 })], SOURCE, at(6))).toEqual([]);
    expect(known.nextTry(at(6), none)).toBe(at(165).mono);
    expect(known.changes).toBe(before);
    const alive = address(A, { time: UNIX + 6 });
    expect(known.add([alive], SOURCE, at(6))).toEqual([alive]);
    expect(known.nextTry(at(6), none)).toBe(at(15).mono);
    expect(known.changes).toBeGreaterThan(before);
    // And the next failure is the first again; a rest that ends earlier is not made longer.
    known.onFailed(endpoint(A), at(20));
    expect(known.nextTry(at(20), none)).toBe(at(30).mono);
    known.onAttempt(endpoint(A), at(29));
    known.add([address(A, { time: UNIX + 21 })], SOURCE, at(29));
    expect(known.nextTry(at(29), none)).toBe(at(30).mono);
  });

  test('of everybody ends at once when what kept us from them is gone', () => {
    const known = table();
    known.add([address(A), address(B)], SOURCE, start);
    for (const host of [A, B]) for (let i = 0; i < 5; i++) known.onFailed(endpoint(host), start);
    const before = known.changes;
    known.retryAll(at(1));
    expect(known.changes).toBeGreaterThan(before);
    expect(known.nextTry(at(1), none)).toBeUndefined();
    expect(new Set(draws(known, 50, at(1)).map((each) => each.address.host))).toEqual(new Set([A, B]));
  });

  test('of two nodes that learn of each other the first one dials at once, the other waits for two dial intervals', () => {
    const [first, second] = ['20.0.0.1', '20.0.0.2'];
    const low = table({ own: [endpoint(first), endpoint('30.0.0.1')] });
    const high = table({ own: [endpoint('30.0.0.1'), endpoint(second)] });
    low.add([address(second)], SOURCE, start);
    high.add([address(first)], SOURCE, start);
    expect(low.select({ exclude: none }, start)).toBeDefined();
    expect(high.select({ exclude: none }, start)).toBeUndefined();
    const wait = 2 * internetLimits.dialIntervalMs;
    expect(high.nextTry(start, none)).toBe(start.mono + wait);
    expect(high.select({ exclude: none }, { ...start, mono: start.mono + wait })).toBeDefined();
    for (const each of [low, high]) each.retryAll(at(60));
    expect(low.nextTry(at(60), none)).toBeUndefined();
    expect(high.nextTry(at(60), none)).toBe(at(60).mono + wait);
  });

  test('changes count what may be dialled anew', () => {
    const known = table();
    let { changes } = known;
    const expectMore = (more: boolean) => {
      expect(known.changes > changes).toBe(more);
      ({ changes } = known);
    };
    known.add([address(A)], SOURCE, start);
    expectMore(true);
    known.add([address(A)], SOURCE, start);
    known.onAttempt(endpoint(A), start);
    expectMore(false);
    known.onFailed(endpoint(A), start);
    expectMore(true);
    known.onConnected(endpoint(A), SERVICES, start);
    known.select({ exclude: none }, start);
    expectMore(false);
    known.onClosed(endpoint(A), start);
    expectMore(true);
    known.onConnected(endpoint(B), SERVICES, start);
    expectMore(true);
  });
});

describe('failed tries', () => {
  const triesOf = (known: AddressManager, host: string) => {
    // A change, so that the row is written.
    known.onConnected(endpoint('98.1.1.1'), SERVICES, start);
    known.add([address(host, { services: 1n << 40n })], SOURCE, start);
    return savedOf(known).get(addressKey(address(host)))?.tries;
  };

  test('do not count before anybody was reached', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    for (let i = 0; i < 20; i++) known.onFailed(endpoint(A), at(i));
    expect(triesOf(known, A)).toBe(0);
  });

  test('count once for each time that anybody was reached', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    known.onConnected(endpoint(B), SERVICES, at(1));
    for (let i = 2; i < 10; i++) known.onFailed(endpoint(A), at(i));
    expect(savedOf(known).get(addressKey(address(A)))?.tries).toBe(1);
    known.onConnected(endpoint(B), SERVICES, at(11));
    for (let i = 12; i < 20; i++) known.onFailed(endpoint(A), at(i));
    expect(savedOf(known).get(addressKey(address(A)))?.tries).toBe(2);
  });

  test('that follow the last success at once count once too', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    known.onConnected(endpoint(B), SERVICES, start);
    for (let i = 0; i < 5; i++) known.onFailed(endpoint(A), start);
    expect(savedOf(known).get(addressKey(address(A)))?.tries).toBe(1);
  });

  test('begin anew when it is reached itself', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    failOften(known, A, 2, start);
    known.onConnected(endpoint(A), SERVICES, at(5));
    expect(savedOf(known).get(addressKey(address(A)))).toMatchObject({ tries: 0, reachedAt: UNIX + 5 });
    known.onFailed(endpoint(A), at(6));
    expect(savedOf(known).get(addressKey(address(A)))?.tries).toBe(1);
  });

  test('of what is not known are nothing', () => {
    const known = table();
    known.onFailed(endpoint(A), start);
    known.onAttempt(endpoint(A), start);
    known.onClosed(endpoint(A), start);
    expect(known.size).toBe(0);
    expect(known.changes).toBe(0);
  });
});

describe('terrible', () => {
  const limits = { getaddrAllBelow: 1000 };
  /** What is terrible is told to nobody. */
  const isGood = (known: AddressManager, now: Now) => known.sample(now).some(({ host }) => host === A);

  test('is what was not seen for 30 days', () => {
    const known = table({ limits });
    known.add([address(A)], SOURCE, start);
    expect(isGood(known, at(30 * DAY))).toBe(true);
    expect(isGood(known, at(30 * DAY + 1))).toBe(false);
  });

  test('is what is more than ten minutes ahead', () => {
    const known = table({ limits });
    known.add([address(A)], SOURCE, start);
    expect(isGood(known, at(-600))).toBe(true);
    expect(isGood(known, at(-601))).toBe(false);
  });

  test('is what was never reached in three tries', () => {
    const known = table({ limits });
    known.add([address(A)], SOURCE, start);
    failOften(known, A, 2, start);
    expect(isGood(known, at(HOUR))).toBe(true);
    failOften(known, A, 1, at(1));
    expect(isGood(known, at(HOUR))).toBe(false);
  });

  test('is what was not reached for a week in ten tries', () => {
    const known = table({ limits });
    known.onConnected(endpoint(A), SERVICES, start);
    failOften(known, A, 9, at(1));
    expect(isGood(known, at(7 * DAY + 1))).toBe(true);
    failOften(known, A, 1, at(2));
    expect(isGood(known, at(7 * DAY))).toBe(true);
    expect(isGood(known, at(7 * DAY + 1))).toBe(false);
  });

  test('is not judged within a minute of a try', () => {
    const known = table({ limits });
    known.add([address(A)], SOURCE, start);
    failOften(known, A, 3, start);
    known.onAttempt(endpoint(A), at(HOUR));
    expect(isGood(known, at(HOUR + 60))).toBe(true);
    expect(isGood(known, at(HOUR + 60.001))).toBe(false);
  });
});

describe('the new table', () => {
  const bucketsOf = (known: AddressManager): Set<number> =>
    new Set([...savedOf(known).values()].flatMap(({ buckets }) => buckets));
  /** By host, once that what has changed is on the disk. */
  const bucketsIn = (known: AddressManager, disk: Disk) => {
    disk.apply(known.save());
    const { addresses } = disk;
    return (host: string): readonly number[] => addresses.get(addressKey(address(host)))?.buckets ?? [];
  };
  const rumours = (count: number) => numbers(count).map((i) => address(inGroup(i)));

  test('one source group reaches at most so many buckets, whatever it tells', () => {
    const known = table();
    known.add(rumours(3000), SOURCE, start);
    known.add(rumours(6000), endpoint('80.1.200.9', 1), start);
    const { size } = bucketsOf(known);
    expect(size).toBeLessThanOrEqual(internetLimits.newBucketsPerSourceGroup);
    expect(size).toBeGreaterThan(50);
    expect(known.size).toBeLessThanOrEqual(size * internetLimits.bucketSize);
  });

  test('another source group reaches others', () => {
    const known = table();
    known.add(rumours(3000), SOURCE, start);
    known.add(
      numbers(3000).map((i) => address(inGroup(4000 + i))),
      endpoint('80.2.1.1'),
      start,
    );
    expect(bucketsOf(known).size).toBeGreaterThan(100);
  });

  test('what one source group tells of one group is in one bucket', () => {
    const known = table();
    known.add(
      numbers(200).map((i) => address(inGroup(7, i))),
      SOURCE,
      start,
    );
    expect(bucketsOf(known).size).toBe(1);
    expect(known.size).toBeLessThanOrEqual(internetLimits.bucketSize);
    expect(known.size).toBeGreaterThan(internetLimits.bucketSize / 2);
  });

  test('all loopback sources of a public network are one group', () => {
    const known = table();
    for (const i of numbers(60)) {
      const host = ['127.0.0.1', '::1', `127.${i}.0.1`, '::ffff:127.0.0.1'][i % 4] as string;
      const told = numbers(100).map((j) => address(inGroup(100 * i + j)));
      known.add(told, endpoint(host, 1000 + i), start);
    }
    expect(bucketsOf(known).size).toBeLessThanOrEqual(internetLimits.newBucketsPerSourceGroup);
  });

  test('and each its own where loopback is routable', () => {
    const known = table({ params: regtest });
    for (const i of numbers(60)) known.add([address(inGroup(1, i))], endpoint('127.0.0.1', 1000 + i), start);
    expect(bucketsOf(known).size).toBeGreaterThan(50);
  });

  test('which places there are is known to this node alone', () => {
    const bucket = (seed: string) => {
      const known = table({ random: new SeededRandom(seed) });
      known.add([address(A)], SOURCE, start);
      return [...bucketsOf(known)][0];
    };
    expect(new Set(numbers(20).map((i) => bucket(`node ${i}`))).size).toBeGreaterThan(15);
  });

  test('the secret shows nothing of what others see of the randomness', () => {
    const secretOf = (random: SeededRandom) => {
      const disk = new Disk();
      disk.apply(table({ random }).save());
      return disk.secret;
    };
    const used = new SeededRandom('seed');
    used.u32();
    expect(secretOf(new SeededRandom('seed'))).toEqual(secretOf(used));
    expect(secretOf(new SeededRandom('seed'))).not.toEqual(new SeededRandom('seed').bytes(32));
  });

  test.each([
    [1, 0.5],
    [2, 0.25],
    [3, 0.125],
  ])('who has %d places gets one more with probability %d when another group tells of it', (places, chance) => {
    const known = table({ limits: ROOMY });
    const disk = new Disk();
    const told = rumours(1600).map((each) => ({ ...each, time: UNIX + 1 }));
    known.add(rumours(1600), SOURCE, start);
    for (let lacking = told, i = 0; lacking.length > 0 && i < 200; i++) {
      const before = bucketsIn(known, disk);
      lacking = told.filter(({ host }) => before(host).length < places);
      known.add(lacking, endpoint(inGroup(8000 + i)), start);
    }
    known.add(told, endpoint(inGroup(9000)), start);
    const after = bucketsIn(known, disk);
    const more = told.filter(({ host }) => after(host).length === places + 1);
    expect(Math.abs(more.length / told.length - chance)).toBeLessThan(0.03);
    expect(told.every(({ host }) => [places, places + 1].includes(after(host).length))).toBe(true);
  });

  test('nobody has more than so many places', () => {
    const known = table({ limits: { maxNewPlaces: 3 } });
    known.add([address(A)], SOURCE, start);
    const disk = new Disk();
    const counts = numbers(500).map((i) => {
      known.add([address(A, { time: UNIX + 1 })], endpoint(inGroup(100 + i)), start);
      return bucketsIn(known, disk)(A).length;
    });
    expect(Math.max(...counts)).toBe(3);
  });

  test('a telling that is no newer gives no further place', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    for (const i of numbers(100)) known.add([address(A)], endpoint(inGroup(100 + i)), start);
    expect(bucketsIn(known, new Disk())(A)).toHaveLength(1);
  });

  test('what was reached gets no further place', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    for (const i of numbers(50)) known.add([address(A, { time: UNIX + 1 })], endpoint(inGroup(100 + i)), start);
    expect(bucketsIn(known, new Disk())(A)).toEqual([]);
    expect(known.counts).toEqual({ new: 0, tried: 1 });
  });

  describe('of one place', () => {
    const limits = { newBuckets: 1, bucketSize: 1, getaddrAllBelow: 10 };

    test('who has it keeps it', () => {
      const known = table({ limits });
      known.add([address(A)], SOURCE, start);
      const { changes } = known;
      expect(known.add([address(B)], SOURCE, start)).toEqual([]);
      expect(known.entries()).toEqual([address(A)]);
      expect(known.changes).toBe(changes);
    });

    test('who is terrible loses it and is forgotten', () => {
      const known = table({ limits });
      known.add([address(A)], SOURCE, start);
      const disk = new Disk();
      disk.apply(known.save());
      const now = at(30 * DAY + 1);
      const told = address(B, { time: now.unix });
      expect(known.add([told], SOURCE, now)).toEqual([told]);
      expect(known.entries()).toEqual([told]);
      disk.apply(known.save());
      expect([...disk.addresses.keys()]).toEqual([addressKey(told)]);
    });

    test('who is terrible and is told of again does not take its own', () => {
      const known = table({ limits: { ...limits, maxNewPlaces: 8 } });
      known.add([address(A)], SOURCE, start);
      const now = at(50 * DAY);
      for (let i = 1; i <= 20; i++) known.add([address(A, { time: UNIX + i })], SOURCE, now);
      expect(known.entries()).toEqual([address(A)]);
      expect(known.select({ exclude: none }, now)?.address.host).toBe(A);
    });

    test('who waits for one in tried may lose it too, and waits no longer', () => {
      const known = table({ limits: { ...limits, triedBuckets: 1 } });
      known.onConnected(endpoint(A), SERVICES, start);
      known.onConnected(endpoint(B), SERVICES, at(5 * HOUR));
      expect(known.collision(at(5 * HOUR))?.host).toBe(A);
      const now = at(31 * DAY);
      expect(known.add([address(C, { time: now.unix })], SOURCE, now)).toHaveLength(1);
      expect(known.entries().map(({ host }) => host)).toEqual([A, C]);
      expect(known.collision(now)).toBeUndefined();
      known.resolveCollisions(now);
      expect(known.isTried(endpoint(A))).toBe(true);
    });

    test('what was told and lost at once leaves no row', () => {
      const known = table({ limits });
      known.add([address(A)], SOURCE, start);
      known.setOwn([endpoint(A)]);
      expect(known.save().map(([key]) => key)).toEqual(['a']);
    });
  });

  test('who has further places gives one to somebody who has none, and to nobody else', () => {
    const limits = { newBuckets: 3, bucketSize: 1, maxNewPlaces: 2, newBucketsPerSourceGroup: 64 };
    const known = table({ limits });
    const disk = new Disk();
    known.add([address(A)], SOURCE, start);
    // Later ones are newer.
    const tell = (host: string, from: number) => {
      for (const i of numbers(200))
        known.add([address(host, { time: UNIX + from })], endpoint(inGroup(from + i)), at(HOUR));
    };
    tell(A, 100);
    tell(B, 300);
    // B has the third one, or one of the two that A had. Neither takes from the other what it has.
    expect(known.size).toBe(2);
    tell(A, 600);
    tell(B, 900);
    const places = () => {
      const buckets = bucketsIn(known, disk);
      return [A, B, C].map((host) => [...buckets(host)]);
    };
    const before = places();
    expect(before.map(({ length }) => length).sort()).toEqual([0, 1, 2]);
    tell(A, 1200);
    expect(places()).toEqual(before);
    tell(B, 1500);
    expect(places()).toEqual(before);
    tell(C, 1800);
    expect(known.size).toBe(3);
    expect(places().map(({ length }) => length)).toEqual([1, 1, 1]);
  });
});

describe('the tried table', () => {
  test('is where a handshake was completed; places among the rumours are given up', () => {
    const known = table();
    known.add([address(A), address(B)], SOURCE, start);
    expect(known.counts).toEqual({ new: 2, tried: 0 });
    known.onConnected(target('ws', A), SERVICES, at(5));
    expect(known.counts).toEqual({ new: 1, tried: 1 });
    expect([known.isTried(endpoint(A)), known.isTried(target('tcp', A)), known.isTried(endpoint(B))]).toEqual([
      true,
      true,
      false,
    ]);
    expect(known.isTried(endpoint(C))).toBe(false);
    expect(savedOf(known).get(addressKey(address(A)))).toMatchObject({ tried: true, reachedAt: UNIX + 5, buckets: [] });
    expect(draws(known, 50, at(HOUR), true).some((each) => each.tried)).toBe(false);
  });

  test('takes an endpoint that nobody had told of', () => {
    const known = table();
    known.onConnected(target('ws', A), SERVICES, start);
    known.onConnected({ ...target('wss', 'a.example', 443), path: '/x' }, SERVICES, start);
    known.onConnected(target('ws', 'not-gossiped.example'), SERVICES, start);
    known.onConnected(endpoint('127.0.0.1'), SERVICES, start);
    expect(known.entries()).toEqual([address(A), named('a.example', { path: '/x', services: SERVICES })]);
    expect(known.counts).toEqual({ new: 0, tried: 2 });
    expect(known.isTried({ ...target('wss', 'a.example', 443), path: '/x' })).toBe(true);
  });

  test('counts are also told by network', () => {
    const known = table();
    known.add([address(A), address('2600::1'), address('2600::2'), named('a.example')], SOURCE, start);
    known.onConnected(endpoint('2600::1'), SERVICES, start);
    expect(known.countsByNetwork()).toEqual(
      new Map([
        ['ipv4', { new: 1, tried: 0 }],
        ['ipv6', { new: 1, tried: 1 }],
        ['wss', { new: 1, tried: 0 }],
      ]),
    );
  });

  test('one group reaches at most so many of its buckets', () => {
    const known = table({ limits: { ...ROOMY, bucketSize: 1 } });
    for (const i of numbers(300)) {
      known.add([address(inGroup(1, i))], endpoint(inGroup(i)), start);
      known.onConnected(endpoint(inGroup(1, i)), SERVICES, start);
    }
    const { tried } = known.counts;
    expect(tried).toBeLessThanOrEqual(internetLimits.triedBucketsPerGroup);
    expect(tried).toBeGreaterThan(4);
  });

  describe('test before evict', () => {
    const limits = { triedBuckets: 1, bucketSize: 1, newBuckets: 100_000 };
    const HOLDS = 4 * HOUR;

    /** A was reached at the start and B, which wants its place, so much later. */
    function contested(seconds: number, more: Partial<Limits> = {}): AddressManager {
      const known = table({ limits: { ...limits, ...more } });
      known.onConnected(endpoint(A), SERVICES, start);
      known.add([address(B), address(C)], SOURCE, start);
      known.onConnected(endpoint(B), SERVICES, at(seconds));
      return known;
    }

    const holder = (known: AddressManager) => [A, B, C].filter((host) => known.isTried(endpoint(host))).join();

    test('whose place is wanted is to be tested, and meanwhile has it', () => {
      const known = contested(HOLDS);
      expect(known.collision(at(HOLDS))?.host).toBe(A);
      known.resolveCollisions(at(HOLDS));
      expect(holder(known)).toBe(A);
      expect(known.collision(at(HOLDS))?.host).toBe(A);
      expect(known.counts).toEqual({ new: 2, tried: 1 });
    });

    test('who was reached within four hours stays, and nothing waits any longer', () => {
      const known = contested(HOLDS - 1);
      expect(known.collision(at(HOLDS - 1))?.host).toBe(A);
      known.resolveCollisions(at(HOLDS - 1));
      expect(known.collision(at(HOLDS - 1))).toBeUndefined();
      known.resolveCollisions(at(9 * HOUR));
      expect(holder(known)).toBe(A);
      expect(known.entries()).toHaveLength(3);
    });

    test('who answers the test stays', () => {
      const known = contested(5 * HOUR);
      known.onAttempt(endpoint(A), at(5 * HOUR));
      known.onConnected(endpoint(A), SERVICES, at(5 * HOUR + 1));
      known.resolveCollisions(at(5 * HOUR + 100));
      expect(holder(known)).toBe(A);
      expect(known.collision(at(5 * HOUR + 100))).toBeUndefined();
      known.resolveCollisions(at(20 * HOUR));
      expect(holder(known)).toBe(A);
    });

    test('who was tested in vain goes, but not within a minute of the test', () => {
      const known = contested(5 * HOUR);
      known.onAttempt(endpoint(A), at(5 * HOUR));
      known.onFailed(endpoint(A), at(5 * HOUR + 5));
      known.resolveCollisions(at(5 * HOUR + 60));
      expect(holder(known)).toBe(A);
      known.resolveCollisions(at(5 * HOUR + 60.001));
      expect(holder(known)).toBe(B);
      // It is still known, and nothing waits any longer.
      expect(known.counts).toEqual({ new: 2, tried: 1 });
      expect(known.collision(at(6 * HOUR))).toBeUndefined();
      expect(savedOf(known).get(addressKey(address(A)))).toMatchObject({ tried: false, reachedAt: UNIX });
    });

    test('during that minute it is not tested again', () => {
      const known = contested(5 * HOUR);
      known.onAttempt(endpoint(A), at(5 * HOUR));
      expect(known.collision(at(5 * HOUR + 60))).toBeUndefined();
      expect(known.collision(at(5 * HOUR + 60.001))?.host).toBe(A);
    });

    test('a test of four hours ago says nothing any longer', () => {
      const known = table({ limits });
      known.onConnected(endpoint(A), SERVICES, start);
      known.onAttempt(endpoint(A), at(5 * HOUR));
      known.onConnected(endpoint(B), SERVICES, at(5 * HOUR + HOLDS));
      known.resolveCollisions(at(5 * HOUR + HOLDS));
      expect(holder(known)).toBe(A);

      const other = table({ limits });
      other.onConnected(endpoint(A), SERVICES, start);
      other.onAttempt(endpoint(A), at(5 * HOUR));
      other.onConnected(endpoint(B), SERVICES, at(5 * HOUR + HOLDS - 1));
      other.resolveCollisions(at(5 * HOUR + HOLDS - 1));
      expect(holder(other)).toBe(B);
    });

    test('whom nobody has tested for forty minutes goes', () => {
      const known = contested(5 * HOUR);
      known.resolveCollisions(at(5 * HOUR + 40 * MINUTE));
      expect(holder(known)).toBe(A);
      expect(known.tick(at(5 * HOUR + 40 * MINUTE + 1)).length).toBeGreaterThan(0);
      expect(holder(known)).toBe(B);
    });

    test('where the one that had the place is gone, the other gets it', () => {
      const known = contested(5 * HOUR);
      known.setOwn([endpoint(A)]);
      expect(known.collision(at(5 * HOUR))).toBeUndefined();
      known.resolveCollisions(at(5 * HOUR));
      expect(holder(known)).toBe(B);
    });

    test('where the one that waits is gone, nothing happens', () => {
      const known = contested(5 * HOUR);
      known.setOwn([endpoint(B)]);
      expect(known.collision(at(5 * HOUR))).toBeUndefined();
      known.resolveCollisions(at(9 * HOUR));
      expect(holder(known)).toBe(A);
    });

    test.each([
      [1, 'does not', A],
      [2, 'does', C],
    ])('where %d may wait, the second one %s', (maxTriedCollisions, _does, expected) => {
      const known = contested(5 * HOUR, { maxTriedCollisions });
      known.onConnected(endpoint(C), SERVICES, at(5 * HOUR));
      known.onAttempt(endpoint(A), at(5 * HOUR));
      known.setOwn([endpoint(B)]);
      known.resolveCollisions(at(5 * HOUR + 61));
      expect(holder(known)).toBe(expected);
    });

    test('of two that wait for one place the second finds the first in it and does not get it', () => {
      const known = contested(5 * HOUR);
      known.onConnected(endpoint(C), SERVICES, at(5 * HOUR));
      known.onAttempt(endpoint(A), at(5 * HOUR));
      known.resolveCollisions(at(5 * HOUR + 61));
      expect(holder(known)).toBe(B);
      known.resolveCollisions(at(10 * HOUR));
      expect(holder(known)).toBe(B);
    });

    test('everybody whose place is wanted gets a turn', () => {
      const known = table({ limits: { bucketSize: 1, triedBuckets: 2, newBuckets: 100_000 } });
      for (const i of numbers(20)) known.onConnected(endpoint(inGroup(i)), SERVICES, at(i < 10 ? 0 : 5 * HOUR));
      expect(known.counts.tried).toBe(2);
      const turns = new Set(numbers(50).map(() => known.collision(at(5 * HOUR))?.host));
      expect(turns.size).toBe(2);
    });

    test('whoever loses a place goes back to new, whatever has its place there', () => {
      let pushedOut = 0;
      for (const i of numbers(20)) {
        const random = new SeededRandom(`back ${i}`);
        const known = table({ random, limits: { ...limits, newBuckets: 4 } });
        known.onConnected(endpoint(A), SERVICES, start);
        known.add([address(B)], SOURCE, start);
        for (const j of numbers(40)) known.add([address(inGroup(100 + j))], endpoint(inGroup(j)), start);
        known.onConnected(endpoint(B), SERVICES, at(5 * HOUR));
        const { size } = known;
        known.resolveCollisions(at(6 * HOUR));
        expect(holder(known)).toBe(B);
        expect(known.entries().some(({ host }) => host === A)).toBe(true);
        pushedOut += size - known.size;
      }
      // The place that B gave up is A's own in some cases, and that of a rumour in most.
      expect(pushedOut).toBeGreaterThan(5);
      expect(pushedOut).toBeLessThan(20);
    });
  });
});

describe('what strangers say', () => {
  test('of services adds to what others said, until it was reached', () => {
    const known = table();
    known.add([address(A, { services: 1n })], SOURCE, start);
    expect(known.add([address(A, { services: 8n })], SOURCE, start)).toHaveLength(1);
    expect(known.entries()).toEqual([address(A, { services: 9n })]);
    expect(known.add([address(A, { services: 1n })], SOURCE, start)).toEqual([]);
  });

  test('never outweighs what it said itself', () => {
    const known = table();
    known.add([address(A, { services: 0xffn })], SOURCE, start);
    known.onConnected(endpoint(A), SERVICES, start);
    expect(known.entries()).toEqual([address(A)]);
    expect(known.add([address(A, { services: 0xffn | SERVICE_WEBSOCKET })], SOURCE, start)).toEqual([]);
    expect(known.entries()).toEqual([address(A)]);
    // Its time is still news.
    const newer = address(A, { services: 0xffn, time: UNIX + 2 * HOUR });
    known.add([newer], SOURCE, at(2 * HOUR));
    expect(known.entries()).toEqual([address(A, { time: UNIX + 2 * HOUR })]);
  });

  const WS = SERVICES | SERVICE_WEBSOCKET;
  const servicesOf = (known: AddressManager) => known.entries()[0]?.services;

  test('of a WebSocket that does not answer is believed for every other try', () => {
    const known = table();
    known.add([address(A, { services: WS })], SOURCE, start);
    for (let i = 0; i < 3; i++) {
      known.onFailed(target('ws', A), at(i));
      expect(servicesOf(known)).toBe(SERVICES);
      // Who says it again does not change that.
      expect(known.add([address(A, { services: WS })], SOURCE, start)).toEqual([]);
      expect(servicesOf(known)).toBe(SERVICES);
      known.onFailed(target('tcp', A), at(i));
      expect(servicesOf(known)).toBe(WS);
    }
  });

  test('of one that did answer is what it says itself, though it fails later', () => {
    const known = table();
    known.add([address(A, { services: WS })], SOURCE, start);
    known.onFailed(target('ws', A), start);
    known.onConnected(target('tcp', A), WS, start);
    known.onFailed(target('ws', A), start);
    expect(servicesOf(known)).toBe(WS);
    known.onConnected(target('tcp', A), SERVICES, start);
    known.onFailed(target('tcp', A), start);
    expect(servicesOf(known)).toBe(SERVICES);
  });

  test('of one without a WebSocket is not changed by failures', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    known.onFailed(target('tcp', A), start);
    expect(servicesOf(known)).toBe(SERVICES);
    const unclear = table();
    unclear.add([address(A, { services: WS })], SOURCE, start);
    unclear.onFailed(endpoint(A), start);
    expect(servicesOf(unclear)).toBe(WS);
    const behindName = table();
    behindName.add([named('a.example')], SOURCE, start);
    behindName.onFailed(target('wss', 'a.example', 443), start);
    expect(servicesOf(behindName)).toBe(WS);
  });
});

describe('when we reached whom', () => {
  const timeOf = (known: AddressManager) => known.entries()[0]?.time;

  test('does not show in the time of an address', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    known.onConnected(endpoint(A), SERVICES, at(DAY));
    expect(timeOf(known)).toBe(UNIX);
  });

  test('shows once the link ends, if that is more than twenty minutes', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    known.onClosed(endpoint(A), at(20 * MINUTE));
    expect(timeOf(known)).toBe(UNIX);
    known.onClosed(endpoint(A), at(20 * MINUTE + 1));
    expect(timeOf(known)).toBe(UNIX + 20 * MINUTE + 1);
  });

  test('never shows where the link is secret', () => {
    const known = table();
    known.onConnected(endpoint(A), SERVICES, start);
    known.onClosed(endpoint(A), at(DAY), true);
    expect(timeOf(known)).toBe(UNIX);
    expect(known.nextTry(at(DAY), none)).toBe(at(DAY).mono + internetLimits.redialMs);
  });
});

describe('the answer to getaddr', () => {
  const filled = (count: number, limits: Partial<Limits>) => {
    const known = table({ limits: { ...ROOMY, ...limits } });
    for (const i of numbers(count)) known.add([address(inGroup(i))], endpoint(inGroup(i)), start);
    expect(known.size).toBe(count);
    return known;
  };
  const hosts = (sample: readonly GossipAddress[]) => new Set(sample.map(({ host }) => host));

  test('is all of a table that is small enough', () => {
    const known = filled(63, { getaddrAllBelow: 64 });
    expect(hosts(known.sample(start)).size).toBe(63);
    known.add([address('90.1.1.1')], SOURCE, start);
    expect(known.sample(start)).toHaveLength(14);
  });

  test('is a share of a large one, drawn anew each time', () => {
    const known = filled(500, {});
    const first = known.sample(start);
    expect(first).toHaveLength(115);
    expect(hosts(first).size).toBe(115);
    const all = new Set(numbers(60).flatMap(() => [...hosts(known.sample(start))]));
    expect(all.size).toBe(500);
    expect(hosts(known.sample(start))).not.toEqual(hosts(first));
  });

  test('has no more than a message holds', () => {
    expect(filled(200, { getaddrPercent: 100, maxAddrPerMessage: 50 }).sample(start)).toHaveLength(50);
  });

  test('has what was reached too, and nothing terrible, whose place another has', () => {
    const known = table({ limits: { getaddrPercent: 50 } });
    for (const i of numbers(10)) known.add([address(inGroup(i), { time: UNIX - 30 * DAY - 1 })], SOURCE, start);
    for (const i of numbers(10)) known.onConnected(endpoint(inGroup(100 + i)), SERVICES, start);
    expect(known.counts).toEqual({ new: 10, tried: 10 });
    const sample = known.sample(start);
    expect(hosts(sample).size).toBe(10);
    expect(sample.every(({ time }) => time === UNIX)).toBe(true);
    expect(known.entries()).toHaveLength(20);
  });

  test('is empty where nothing is known', () => {
    expect(table().sample(start)).toEqual([]);
  });
});
