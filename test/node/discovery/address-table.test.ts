import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { Now } from '../../../node/boundary.ts';
import { AddressTable, type AddressTableOptions, redialDelay } from '../../../node/discovery/address-table.ts';
import { internetLimits, type Limits, localLimits } from '../../../node/limits.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import type { GossipAddress } from '../../../node/wire/message.ts';

const UNIX = 1_700_000_000;
const at = (mono: number): Now => ({ mono, unix: UNIX + Math.floor(mono / 1000) });
const start = at(0);
const none = () => false;

const address = (port: number, changes: Partial<GossipAddress> = {}): GossipAddress => ({
  network: 'ipv4',
  host: '127.0.0.1',
  port,
  services: 9n,
  time: UNIX,
  ...changes,
});

function table(
  options: Partial<Omit<AddressTableOptions, 'limits'>> & { limits?: Partial<Limits> } = {},
): AddressTable {
  return new AddressTable({
    params: regtest,
    random: new SeededRandom('table'),
    rows: [],
    own: [],
    now: start,
    ...options,
    limits: { ...localLimits, ...options.limits },
  });
}

const rowsOf = (saved: ReturnType<AddressTable['save']>) =>
  saved.flatMap(([key, value]) => (value === null ? [] : [{ key, value }]));

describe('adding', () => {
  test('returns what is new, and what is newer by an hour', () => {
    const known = table();
    expect(known.add([address(1), address(1)], start)).toEqual([address(1)]);
    expect(known.add([address(1)], start)).toEqual([]);
    const later = at(2 * 3_600_000);
    expect(known.add([address(1, { time: UNIX + 3600 })], later)).toEqual([]);
    expect(known.add([address(1, { time: UNIX + 3601 })], later)).toEqual([address(1, { time: UNIX + 3601 })]);
    expect(known.entries()).toEqual([address(1, { time: UNIX + 3601 })]);
  });

  test('service bits accumulate', () => {
    const known = table();
    known.add([address(1, { services: 1n })], start);
    known.add([address(1, { services: 8n })], start);
    expect(known.entries()).toEqual([address(1, { services: 9n })]);
  });

  test('a time from the future counts as five days old', () => {
    const known = table();
    known.add([address(1, { time: UNIX + 601 })], start);
    expect(known.entries()).toEqual([address(1, { time: UNIX - 432_000 })]);
  });

  test('what cannot be dialled, and what is our own, is dropped', () => {
    const known = table({ own: [{ host: '127.0.0.1', port: 7 }] });
    const tor = address(1, { network: 'torv3', host: 'ab'.repeat(32) });
    expect(known.add([address(0), address(1, { host: '0.0.0.0' }), tor, address(7)], start)).toEqual([]);
    expect(known.size).toBe(0);
  });

  test('the table is bounded, and addresses that were reached stay', () => {
    const known = table({ limits: { newBuckets: 100, bucketSize: 1 } });
    for (let port = 1; port <= 10; port++) known.onConnected({ host: '127.0.0.1', port }, 9n, start);
    for (let port = 1000; port < 3000; port++) known.add([address(port)], start);
    expect(known.size).toBe(100);
    const ports = new Set(known.entries().map((entry) => entry.port));
    for (let port = 1; port <= 10; port++) expect(ports.has(port)).toBe(true);
  });
});

describe('picking', () => {
  test('leaves out what is excluded and what does not serve witnesses', () => {
    const known = table();
    known.add([address(1), address(2), address(3, { services: 1n })], start);
    for (let i = 0; i < 20; i++) expect(known.pick(start, (_endpoint, key) => key === '127.0.0.1:1')?.port).toBe(2);
    expect(known.pick(start, () => true)).toBeUndefined();
  });

  test('every address gets its turn', () => {
    const known = table();
    known.add([address(1), address(2), address(3)], start);
    const picked = new Set(Array.from({ length: 50 }, () => known.pick(start, none)?.port));
    expect(picked).toEqual(new Set([1, 2, 3]));
  });

  test('an address that failed is left alone for a time that doubles, and one that was reached starts anew', () => {
    const known = table();
    const endpoint = { host: '127.0.0.1', port: 1 };
    known.add([address(1)], start);
    let now = 0;
    for (const delay of [500, 1000, 2000, 2000]) {
      known.onAttempt(endpoint, at(now));
      known.onFailed(endpoint, at(now));
      expect(known.nextTry(at(now), none)).toBe(now + delay);
      expect(known.pick(at(now + delay - 1), none)).toBeUndefined();
      now += delay;
      expect(known.pick(at(now), none)).toBeDefined();
    }
    known.onConnected(endpoint, 9n, at(now));
    known.onClosed(endpoint, at(now));
    expect(known.nextTry(at(now), none)).toBe(now + 500);
  });

  test('the delay of the internet profile ends at ten minutes', () => {
    expect([1, 2, 6, 7, 8, 1000].map((failures) => redialDelay(failures, internetLimits))).toEqual([
      10_000, 20_000, 320_000, 600_000, 600_000, 600_000,
    ]);
  });

  test('gossip that an address lives again ends its back-off, but it is not dialled more often than that', () => {
    const known = table({ limits: { redialMs: 10_000, redialMaxMs: 600_000 } });
    const endpoint = { host: '127.0.0.1', port: 1 };
    known.add([address(1)], start);
    for (let i = 0; i < 5; i++) {
      known.onAttempt(endpoint, at(5000));
      known.onFailed(endpoint, at(5000));
    }
    expect(known.add([address(1, { time: UNIX + 5 })], at(6000))).toEqual([]);
    expect(known.nextTry(at(6000), none)).toBe(165_000);
    expect(known.add([address(1, { time: UNIX + 6 })], at(6000))).toHaveLength(1);
    expect(known.nextTry(at(6000), none)).toBe(15_000);
  });

  test('of two nodes that learn of each other the one that sorts first dials at once, the other waits', () => {
    const low = table({ own: [{ host: '127.0.0.1', port: 20_000 }] });
    const high = table({ own: [{ host: '127.0.0.1', port: 20_001 }] });
    low.add([address(20_001)], start);
    high.add([address(20_000)], start);
    expect(low.pick(start, none)).toBeDefined();
    expect(high.pick(start, none)).toBeUndefined();
    expect(high.nextTry(start, none)).toBe(2 * localLimits.dialIntervalMs);
    expect(high.pick(at(2 * localLimits.dialIntervalMs), none)).toBeDefined();
  });

  test('changes count what may be dialled anew', () => {
    const known = table();
    const before = known.changes;
    known.add([address(1)], start);
    expect(known.changes).toBeGreaterThan(before);
    const after = known.changes;
    known.add([address(1)], start);
    expect(known.changes).toBe(after);
  });
});

describe('the answer to getaddr', () => {
  const many = Array.from({ length: 500 }, (_, i) => address(1000 + i));

  test('is all of a small table, and never stale', () => {
    const known = table();
    known.add(many.slice(0, 30), start);
    expect(known.sample(start)).toHaveLength(30);
    known.add(many.slice(30, 40), start);
    expect(known.sample(start)).toHaveLength(40);
  });

  test('is a random share of a large one, the same until the cache ends', () => {
    const known = table({ limits: internetLimits });
    known.add(many, start);
    const first = known.sample(start);
    expect(first).toHaveLength(115);
    expect(known.sample(at(24 * 3_600_000 - 1))).toBe(first);
    expect(known.sample(at(24 * 3_600_000))).not.toEqual(first);
  });

  test('has no more than a message holds', () => {
    const known = table({ limits: { getaddrPercent: 100, maxAddrPerMessage: 50 } });
    known.add(many, start);
    expect(known.sample(start)).toHaveLength(50);
  });

  test('leaves out what was never reached in three tries, and what was not seen for 30 days', () => {
    const known = table();
    known.add([address(1), address(2), address(3, { time: UNIX - 30 * 86_400 - 1 })], start);
    for (let i = 0; i < 3; i++) known.onFailed({ host: '127.0.0.1', port: 1 }, start);
    expect(known.sample(start)).toEqual([address(2)]);
  });
});

describe('saving', () => {
  test('rows come back as they were', () => {
    const known = table();
    const v6 = address(5, { network: 'ipv6', host: '2600::1', services: 1n << 63n, time: 0xffff });
    known.add([address(1), { ...v6, time: UNIX - 5 }], start);
    known.onConnected({ host: '127.0.0.1', port: 2 }, 0x1000009n, start);
    const rows = rowsOf(known.save());
    expect(rows.map((row) => row.key).sort()).toEqual(['a127.0.0.1:1', 'a127.0.0.1:2', 'a[2600::1]:5']);
    const again = table({ rows });
    expect(again.entries()).toEqual(known.entries());
    expect(again.save()).toEqual([]);
    expect(again.nextDeadline()).toBeUndefined();
  });

  test('only what changed is saved, when it is due', () => {
    const known = table();
    expect(known.nextDeadline()).toBeUndefined();
    known.add([address(1)], start);
    known.add([address(2)], at(500));
    expect(known.nextDeadline()).toBe(localLimits.addressSaveMs);
    expect(known.tick(at(localLimits.addressSaveMs - 1))).toEqual([]);
    expect(known.tick(at(localLimits.addressSaveMs))).toHaveLength(2);
    expect(known.tick(at(9999))).toEqual([]);
    known.onConnected({ host: '127.0.0.1', port: 2 }, 9n, at(10_000));
    expect(known.tick(at(20_000)).map(([key]) => key)).toEqual(['a127.0.0.1:2']);
  });

  test('what was dropped from a full table leaves the store', () => {
    const known = table({ limits: { newBuckets: 10, bucketSize: 1 } });
    const stored = new Map<string, Uint8Array>();
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 5; i++) known.add([address(1 + round * 5 + i)], start);
      for (const [key, value] of known.save()) value === null ? stored.delete(key) : stored.set(key, value);
      expect([...stored.keys()].sort()).toEqual(
        known
          .entries()
          .map((entry) => `a127.0.0.1:${entry.port}`)
          .sort(),
      );
    }
    expect(stored.size).toBe(10);
  });

  test('a row that cannot be read is damage', () => {
    expect(() => table({ rows: [{ key: 'a127.0.0.1:1', value: Uint8Array.of(1, 2) }] })).toThrow(StoreDamage);
  });
});
