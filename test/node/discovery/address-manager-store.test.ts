/** What the address manager saves, and what it makes of its rows after a restart. */
import { describe, expect, test } from '@jest/globals';
import { Writer } from '../../../consensus/codec.ts';
import { regtest } from '../../../consensus/params.ts';
import type { Now } from '../../../node/boundary.ts';
import type { AddressManager } from '../../../node/discovery/address-manager.ts';
import { addressKey } from '../../../node/discovery/address-rules.ts';
import { internetLimits, type Limits } from '../../../node/limits.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { writeAddressV2 } from '../../../node/wire/address.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';
import { Disk } from './address-rows.ts';
import {
  A,
  address,
  at,
  B,
  DAY,
  endpoint,
  failOften,
  HOUR,
  inGroup,
  named,
  none,
  numbers,
  type Options,
  ROOMY,
  SERVICES,
  SOURCE,
  start,
  table,
  UNIX,
} from './known-addresses.ts';

describe('saving', () => {
  const limits = { addressSaveMs: 1000 };

  /** Rumours from several groups, reached ones, names; some with failed tries. */
  function busy(options: Options = {}): AddressManager {
    const known = table(options);
    for (const i of numbers(300)) known.add([address(inGroup(i))], endpoint(inGroup(1000 + (i % 9))), start);
    for (const i of numbers(300))
      known.add([address(inGroup(i), { time: UNIX + 1 })], endpoint(inGroup(2000 + i)), start);
    for (const i of numbers(50)) known.onConnected(endpoint(inGroup(3 * i)), SERVICES, at(i));
    known.add([named('a.example', { path: '/x' }), address('2600::1', { services: 1n << 63n })], SOURCE, start);
    failOften(known, inGroup(1), 2, at(100));
    return known;
  }

  const reload = (disk: Disk, options: Options = {}) =>
    table({ random: new SeededRandom('other'), rows: disk.rows, ...options });

  const byKey = (known: AddressManager) => known.entries().sort((a, b) => (addressKey(a) < addressKey(b) ? -1 : 1));

  test('everything comes back where it was', () => {
    const known = busy();
    const disk = new Disk();
    disk.apply(known.save());
    const before = disk.rows;
    const again = reload(disk);
    expect(byKey(again)).toEqual(byKey(known));
    expect(again.counts).toEqual(known.counts);
    expect(again.countsByNetwork()).toEqual(known.countsByNetwork());
    expect(again.save()).toEqual([]);
    // Whatever is written anew is as it was.
    for (const { host } of known.entries()) again.add([address(host, { services: 1n << 50n })], SOURCE, start);
    const places = disk.places(internetLimits);
    disk.apply(again.save());
    expect(disk.places(internetLimits)).toEqual(places);
    expect(disk.rows.map(({ key }) => key)).toEqual(before.map(({ key }) => key));
    const drawable = (of: AddressManager) => {
      const keys = new Set<string>();
      of.select({ exclude: (_endpoint, key) => keys.add(key) !== undefined }, at(DAY));
      return keys;
    };
    expect(drawable(again)).toEqual(drawable(known));
    expect(drawable(again).size).toBeGreaterThan(300);
  });

  test('places are where the secret and the groups say, and no two are in one', () => {
    const disk = new Disk();
    const known = busy();
    disk.apply(known.save());
    const places = [...disk.places(internetLimits).values()];
    expect(new Set(places.flat()).size).toBe(places.flat().length);
    expect(places.some((each) => each.length > 1)).toBe(true);
    // Who wants the place of another in tried, as it is computed here, does not get it.
    const small = { ...internetLimits, bucketSize: 2, triedBuckets: 2, triedBucketsPerGroup: 2 };
    const contested = busy({ limits: small });
    const other = new Disk();
    other.apply(contested.save());
    const tried = [...other.places(small).values()].flat().filter((each) => each.startsWith('tried'));
    expect(tried).toHaveLength(contested.counts.tried);
    expect(new Set(tried).size).toBe(tried.length);
  });

  test('what counts against an address survives a restart', () => {
    const known = table({ limits: { getaddrAllBelow: 10 } });
    known.add([address(A)], SOURCE, start);
    failOften(known, A, 3, start);
    const disk = new Disk();
    disk.apply(known.save());
    expect(known.sample(at(HOUR)).map(({ host }) => host)).toEqual(['99.9.9.9']);
    expect(
      reload(disk, { limits: { getaddrAllBelow: 10 } })
        .sample(at(HOUR))
        .map(({ host }) => host),
    ).toEqual(['99.9.9.9']);
  });

  test('more failed tries than a row holds are as many as it holds', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    failOften(known, A, 256, start);
    const disk = new Disk();
    disk.apply(known.save());
    expect(disk.addresses.get(addressKey(address(A)))?.tries).toBe(255);
  });

  test('a restart tries everybody again', () => {
    const known = table();
    known.add([address(A)], SOURCE, start);
    for (let i = 0; i < 5; i++) known.onFailed(endpoint(A), start);
    const disk = new Disk();
    disk.apply(known.save());
    const again = reload(disk);
    expect(again.changes).toBeGreaterThan(0);
    expect(again.nextTry(start, none)).toBeUndefined();
  });

  test('a WebSocket that did not answer is tried again after a restart', () => {
    const known = table();
    const told = address(A, { services: SERVICES | SERVICE_WEBSOCKET });
    known.add([told], SOURCE, start);
    known.onFailed({ transport: 'ws', host: A, port: 8333 }, start);
    expect(known.entries()).toEqual([address(A)]);
    const disk = new Disk();
    disk.apply(known.save());
    expect(reload(disk).entries()).toEqual([told]);
    // Its row says so all the time.
    known.onFailed({ transport: 'tcp', host: A, port: 8333 }, start);
    expect(known.save()).toEqual([]);
    // Unless it has said itself that it has none.
    known.onFailed({ transport: 'ws', host: A, port: 8333 }, start);
    known.onConnected(endpoint(A), SERVICES, start);
    disk.apply(known.save());
    expect(reload(disk).entries()).toEqual([address(A)]);
  });

  test('only what changed is saved, when it is due', () => {
    const known = table({ limits });
    expect(known.nextDeadline()).toBe(start.mono + 1000);
    expect(known.tick(at(1)).map(([key]) => key)).toEqual(['a']);
    expect(known.nextDeadline()).toBeUndefined();
    known.add([address(A)], SOURCE, at(2));
    known.add([address(B)], SOURCE, at(2.5));
    expect(known.nextDeadline()).toBe(at(3).mono);
    expect(known.tick(at(2.999))).toEqual([]);
    expect(known.tick(at(3)).map(([key]) => key)).toEqual([`a/${A}:8333`, `a/${B}:8333`]);
    expect(known.tick(at(9))).toEqual([]);
    expect(known.nextDeadline()).toBeUndefined();
    const changes: readonly ((now: Now) => void)[] = [
      (now) => known.onConnected(endpoint(B), SERVICES, now),
      (now) => known.onFailed(endpoint(B), now),
      (now) => known.onClosed(endpoint(B), { ...now, unix: UNIX + HOUR }),
      (now) => known.add([address(B, { time: UNIX + 3 * HOUR })], SOURCE, { ...now, unix: UNIX + 3 * HOUR }),
    ];
    for (const [i, change] of changes.entries()) {
      change(at(10 + 10 * i));
      expect(known.tick(at(15 + 10 * i)).map(([key]) => key)).toEqual([`a/${B}:8333`]);
    }
    // What is not kept is not written.
    known.onAttempt(endpoint(B), at(90));
    known.onFailed(endpoint(B), at(90));
    known.retryAll(at(91));
    expect(known.save()).toEqual([]);
  });

  test('a further place is saved, and so is one that is given up', () => {
    const known = table({ limits: { newBuckets: 2, bucketSize: 1, maxNewPlaces: 2 } });
    const disk = new Disk();
    known.add([address(A)], SOURCE, start);
    disk.apply(known.save());
    for (const i of numbers(200)) {
      known.add([address(A, { time: UNIX + 1 })], endpoint(inGroup(100 + i)), start);
      if (disk.apply(known.save()).length > 0) break;
    }
    expect([...disk.addresses.values()].map(({ buckets }) => buckets.length)).toEqual([2]);
    known.add([address(B)], SOURCE, start);
    expect(disk.apply(known.save()).sort()).toEqual([`a/${A}:8333`, `a/${B}:8333`]);
    expect([...disk.addresses.values()].map(({ buckets }) => buckets.length)).toEqual([1, 1]);
  });

  test('a row is what it always was', () => {
    const known = table({ limits: { newBuckets: 1 } });
    known.add([named('a.example', { path: '/x' })], endpoint('80.1.1.1', 0x1234), start);
    const row = known.save().find(([key]) => key === 'a/wss/a.example:443/x');
    expect(Buffer.from(row?.[1] as Uint8Array).toString('hex')).toBe(
      [
        '02',
        '09612e6578616d706c65',
        '01bb',
        '022f78',
        '0900000100000000',
        '00f15365',
        '0838302e312e312e31',
        '1234',
        '00',
        '00000000',
        '00',
        '01',
        '00000000',
      ].join(''),
    );
  });

  test('rows that hold no list of buckets are read, and written with it', () => {
    const disk = new Disk();
    const known = table();
    known.add([address(A), address(B)], SOURCE, start);
    known.onConnected(endpoint(B), SERVICES, start);
    disk.apply(known.save());
    const older = disk.rows.map(({ key, value }) =>
      key === 'a' ? { key, value } : { key, value: value.slice(0, disk.addresses.get(key.slice(2))?.flatLength) },
    );
    const again = reload(new Disk(older));
    expect(byKey(again)).toEqual(byKey(known));
    expect(again.counts).toEqual({ new: 1, tried: 1 });
    expect(again.nextDeadline()).toBe(start.mono + internetLimits.addressSaveMs);
    const newer = new Disk(older);
    newer.apply(again.save());
    expect(newer.addresses.get(addressKey(address(A)))).toEqual(disk.addresses.get(addressKey(address(A))));
  });

  describe('of the flat table that there was before', () => {
    const flat = (each: GossipAddress, reachedAt: number) => {
      const writer = new Writer();
      writeAddressV2(writer, each);
      return {
        key: `a${each.host.includes(':') ? `[${each.host}]` : each.host}:${each.port}`,
        value: writer.u32(reachedAt).finish(),
      };
    };

    test('rows are read, and replaced with the next save', () => {
      const rows = [flat(address(A), 0), flat(address('2600::1'), UNIX - 5), flat(address(B, { services: 1n }), 0)];
      const known = table({ rows });
      expect(byKey(known)).toEqual([address(A), address(B, { services: 1n }), address('2600::1')]);
      expect([A, B, '2600::1'].map((host) => known.isTried(endpoint(host)))).toEqual([false, false, true]);
      const disk = new Disk(rows);
      disk.apply(known.save());
      expect(disk.rows.map(({ key }) => key)).toEqual(['a', `a/${A}:8333`, `a/${B}:8333`, 'a/[2600::1]:8333']);
      expect(disk.addresses.get('[2600::1]:8333')).toMatchObject({ tried: true, reachedAt: UNIX - 5 });
      expect(byKey(reload(disk))).toEqual(byKey(known));
    });

    test('what is of no use any longer is dropped with its row', () => {
      const rows = [flat(address(A), 5), flat(address('127.0.0.1'), 5)];
      const known = table({ rows, own: [endpoint(A)] });
      expect(known.size).toBe(0);
      const disk = new Disk(rows);
      disk.apply(known.save());
      expect(disk.rows.map(({ key }) => key)).toEqual(['a']);
    });

    test('of two that were reached and want one place the first has it, and the other is kept', () => {
      const rows = [flat(address(A), 5), flat(address(B), 6)];
      const known = table({ rows, limits: { triedBuckets: 1, bucketSize: 1, newBuckets: 100_000 } });
      expect(known.counts).toEqual({ new: 1, tried: 1 });
      expect(known.isTried(endpoint(A))).toBe(true);
    });

    test('a row of the present form is believed rather than one of the older', () => {
      const disk = new Disk();
      const known = table();
      known.onConnected(endpoint(A), SERVICES, start);
      disk.apply(known.save());
      const again = reload(new Disk([...disk.rows, flat(address(A, { services: 1n }), 0)]));
      expect(again.entries()).toEqual([address(A)]);
      expect(again.save()).toEqual([[`a${A}:8333`, null]]);
    });

    test('a row that cannot be read is damage', () => {
      const { key, value } = flat(address(A), 0);
      for (const damaged of [value.slice(1), Uint8Array.of(...value, 0), new Uint8Array(0)])
        expect(() => table({ rows: [{ key, value: damaged }] })).toThrow(
          new StoreDamage(`the address ${key} cannot be read`),
        );
    });
  });

  test('a row that cannot be read is damage, and is named', () => {
    const disk = new Disk();
    const known = table();
    known.add([address(A)], SOURCE, start);
    disk.apply(known.save());
    const [secret, row] = disk.rows as [{ key: string; value: Uint8Array }, { key: string; value: Uint8Array }];
    const other = { key: `a/${B}:8333`, value: row.value };
    const cases = [
      { key: row.key, value: row.value.slice(0, -1) },
      { key: row.key, value: Uint8Array.of(...row.value, 0) },
      { key: row.key, value: Uint8Array.of(3, ...row.value.slice(1)) },
      { key: row.key, value: new Uint8Array(0) },
      // Of another address.
      other,
    ];
    for (const damaged of cases) {
      const load = () => table({ rows: [secret, damaged] });
      expect(load).toThrow(StoreDamage);
      expect(load).toThrow(`the address ${damaged.key} cannot be read`);
    }
    expect(() => table({ rows: [{ key: 'a', value: secret.value.slice(1) }, row] })).toThrow(
      new StoreDamage('the secret of the address manager cannot be read'),
    );
  });

  test('what is of no use any longer is not loaded, and its row goes', () => {
    const disk = new Disk();
    const known = table({ params: regtest });
    known.add([address(A), address('127.0.0.1'), address(B)], SOURCE, start);
    disk.apply(known.save());
    const again = reload(disk, { own: [endpoint(A)] });
    expect(again.entries()).toEqual([address(B)]);
    expect(again.nextDeadline()).toBe(start.mono + internetLimits.addressSaveMs);
    disk.apply(again.save());
    expect([...disk.addresses.keys()]).toEqual([`${B}:8333`]);
  });

  test('of two that want one place under other limits the first has it', () => {
    const hosts = numbers(20).map((i) => inGroup(i));
    const disk = new Disk();
    const known = table({ limits: { newBuckets: 1 } });
    for (const host of hosts) known.add([address(host)], SOURCE, start);
    disk.apply(known.save());
    const first = [...disk.addresses.keys()][0];
    const again = reload(disk, { limits: { newBuckets: 1, bucketSize: 1 } });
    expect(again.entries().map(addressKey)).toEqual([first]);

    for (const host of hosts) known.onConnected(endpoint(host), SERVICES, start);
    expect(known.counts).toEqual({ new: 0, tried: 20 });
    disk.apply(known.save());
    const reached = reload(disk, { limits: { ...ROOMY, triedBuckets: 1, bucketSize: 1 } });
    expect(
      reached
        .entries()
        .filter((each) => reached.isTried(each))
        .map(addressKey),
    ).toEqual([first]);
    expect(reached.size).toBe(disk.addresses.size);
  });

  test.each([
    ['fewer buckets', { newBuckets: 4, triedBuckets: 2 }],
    ['smaller buckets', { bucketSize: 2 }],
    ['fewer places for one address', { maxNewPlaces: 1 }],
    ['fewer buckets for a group', { newBucketsPerSourceGroup: 1, triedBucketsPerGroup: 1 }],
    ['hardly any room', { newBuckets: 2, triedBuckets: 1, bucketSize: 1 }],
    ['more room', { newBuckets: 4096, triedBuckets: 1024, bucketSize: 100 }],
  ])('other limits: %s', (_name, changed) => {
    const disk = new Disk();
    disk.apply(busy().save());
    const other: Limits = { ...internetLimits, ...changed };
    const known = reload(disk, { limits: other });
    const kept = known.size;
    expect(kept).toBeGreaterThan(0);
    disk.apply(known.save());
    expect(disk.addresses.size).toBe(kept);
    for (const { tried, buckets } of disk.addresses.values()) {
      expect(buckets.length).toBeLessThanOrEqual(tried ? 0 : other.maxNewPlaces);
      expect(buckets.length > 0).toBe(!tried);
      for (const bucket of buckets) expect(bucket).toBeLessThan(other.newBuckets);
    }
    const places = [...disk.places(other).values()].flat();
    expect(new Set(places).size).toBe(places.length);
    const again = reload(disk, { limits: other });
    expect(byKey(again)).toEqual(byKey(known));
    expect(again.counts).toEqual(known.counts);
    expect(again.save()).toEqual([]);
  });
});
