/** The WebAssembly search, against the plain one. */
import { describe, expect, test } from '@jest/globals';
import { encodeHeader } from '../../../consensus/block.ts';
import { vinenet } from '../../../consensus/params.ts';
import { grind, type RolledResult } from '../../../node/mining/grind.ts';
import {
  canRollVersion,
  fastestSearch,
  Kernel,
  plainSearch,
  type SearchTask,
  VERSIONS,
} from '../../../node/mining/kernel.ts';
import { SeededRandom } from '../../../node/random.ts';

const kernel = new Kernel();
const random = new SeededRandom(new Uint8Array(32).fill(7));
const LAST_NONCE = 0xffffffff;
/** 2^12 hashes, 2^8 + some, one whose first word is not all zeros, and one that none meets in the ranges here. */
const TARGETS = [0x1f0fffff, 0x2000ffff, 0x1f7fffff, 0x1d00ffff];
const task = (change: Partial<SearchTask>): SearchTask => ({
  header: random.bytes(80),
  bits: 0x1f0fffff,
  start: 0,
  nonces: 20_000,
  rolling: false,
  ...change,
});
const versionOf = (header: Uint8Array) => new DataView(header.buffer, header.byteOffset).getInt32(0, true);

/** All that a search finds in a range, each time going on behind the last hit. */
function hitsOf(search: (task: SearchTask) => RolledResult, whole: SearchTask): RolledResult[] {
  const hits: RolledResult[] = [];
  const end = whole.start + whole.nonces;
  for (let start = whole.start; ; ) {
    const result = search({ ...whole, start, nonces: end - start });
    hits.push(result);
    if (result.nonce === null) return hits;
    start = result.nonce + 1;
  }
}

describe('a header as it is', () => {
  test('the kernel finds what the plain search finds, on headers of any content and any target', () => {
    for (const bits of TARGETS) {
      for (let i = 0; i < 6; i++) {
        const header = random.bytes(80);
        for (const [start, nonces] of [
          [0, 20_000],
          [LAST_NONCE - 9_000, 20_000],
          [i * 1013, 4_003],
          [5, 3],
          [LAST_NONCE - 2, 9],
          [5, 0],
        ] as const) {
          const expected = { ...grind(header, bits, start, nonces), version: versionOf(header) };
          expect(kernel.search(task({ header, bits, start, nonces }))).toEqual(expected);
        }
      }
    }
  });

  test('the kernel misses no hit in a range, in whichever lane it is', () => {
    const whole = task({ bits: 0x2000ffff, start: LAST_NONCE - 12_000, nonces: 12_001 });
    const hits = hitsOf((one) => kernel.search(one), whole);
    expect(hits).toEqual(hitsOf(plainSearch, whole));
    expect(new Set(hits.map(({ nonce }) => (nonce ?? 0) % 8)).size).toBe(8);
  });

  test("the kernel finds the nonce of vinenet's genesis", () => {
    const { header } = vinenet.genesis;
    const bytes = encodeHeader({ ...header, nonce: 0 });
    const found = kernel.search(task({ header: bytes, bits: header.bits, nonces: 1 << 20 }));
    expect(found).toEqual({ nonce: header.nonce, hashes: header.nonce + 1, version: header.version });
    expect(bytes).toEqual(encodeHeader({ ...header, nonce: 0 }));
  });
});

describe('a header whose version is rolled', () => {
  test('the kernel finds what the plain search finds, on headers of any content and any target', () => {
    for (const bits of TARGETS) {
      for (let i = 0; i < 6; i++) {
        const header = random.bytes(80);
        for (const [start, nonces] of [
          [0, 300],
          [LAST_NONCE - 100, 300],
          [i * 1013, 33],
          [5, 1],
          [5, 0],
        ] as const) {
          const one = task({ header, bits, start, nonces, rolling: true });
          expect(kernel.search(one)).toEqual(plainSearch(one));
        }
      }
    }
  });

  test('the kernel finds a version for every nonce that has one', () => {
    const whole = task({ bits: 0x2000ffff, nonces: 400, rolling: true });
    const hits = hitsOf((one) => kernel.search(one), whole);
    expect(hits).toEqual(hitsOf(plainSearch, whole));
    // In nearly all versions.
    expect(new Set(hits.map(({ version }) => version)).size).toBeGreaterThan(VERSIONS / 2);
  });

  test.each([0x20000000, 0x20004000, 0x3fffffff, 0x2fffe004])(
    'from %p only bits are set that are free for miners, and what is found meets the target',
    (version) => {
      const header = random.bytes(80);
      new DataView(header.buffer).setUint32(0, version, true);
      const before = header.slice();
      const hits = hitsOf((one) => kernel.search(one), task({ header, bits: 0x2000ffff, nonces: 100, rolling: true }));
      expect(header).toEqual(before);
      expect(hits.length).toBeGreaterThan(10);
      for (const { nonce, version: found } of hits.filter((hit) => hit.nonce !== null)) {
        expect((found ^ version) & ~0x1fffe000).toBe(0);
        expect(canRollVersion(found)).toBe(true);
        const rolled = header.slice();
        new DataView(rolled.buffer).setUint32(0, found, true);
        expect(grind(rolled, 0x2000ffff, nonce ?? 0, 1).nonce).toBe(nonce);
      }
    },
  );

  test.each([
    [0x20000000, true],
    [0x3fffffff, true],
    [4, false],
    [0x1fffffff, false],
    [0x40000000, false],
    [0x60000000, false],
    [-1, false],
    [-0x60000000, false],
  ])('version %p can be rolled: %p', (version, can) => {
    expect(canRollVersion(version)).toBe(can);
  });
});

test('one kernel serves one job after the other, of either kind', () => {
  const tasks = Array.from({ length: 8 }, (_, i) =>
    task(i % 2 === 0 ? { nonces: 60_000 } : { nonces: 1_000, rolling: true }),
  );
  const found = tasks.map((one) => kernel.search(one));
  expect(found).toEqual(tasks.map(plainSearch));
  expect([...tasks].reverse().map((one) => kernel.search(one))).toEqual([...found].reverse());
  expect(new Set(found.map(({ nonce }) => nonce)).size).toBe(8);
});

test('the fastest search is the kernel, which refuses what is no header', () => {
  const search = fastestSearch();
  expect(search).not.toBe(plainSearch);
  expect(() => search(task({ header: new Uint8Array(81) }))).toThrow('80 bytes');
});
