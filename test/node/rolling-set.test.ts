import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RollingSet } from '../../node/rolling-set.ts';

/** Spread as hashes are. */
const spread = (number: number) => Math.imul(number + 1, 0x9e3779b1) >>> 0;

describe('a rolling set', () => {
  test('remembers at least the last half of its limit, and at most the limit', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 1000 });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 2, max: 200 }), (added, limit) => {
        const set = new RollingSet(limit);
        for (const number of added) set.add(spread(number));
        const last = [...new Set([...added].reverse())];
        for (const number of last.slice(0, Math.floor(limit / 2))) expect(set.has(spread(number))).toBe(true);
        expect(last.filter((number) => set.has(spread(number))).length).toBeLessThanOrEqual(limit);
        for (let number = 301; number < 400; number++) expect(set.has(spread(number))).toBe(false);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('takes the numbers at the edge', () => {
    const set = new RollingSet(10);
    expect([0, 0xffffffff, 0x80000000].map((number) => set.has(number))).toEqual([false, false, false]);
    for (const number of [0, 0xffffffff, 0x80000000]) set.add(number);
    expect([0, 0xffffffff, 0x80000000].map((number) => set.has(number))).toEqual([true, true, true]);
  });

  test('forgets all when it is cleared', () => {
    const set = new RollingSet(100);
    for (let i = 0; i < 100; i++) set.add(spread(i));
    set.clear();
    for (let i = 0; i < 100; i++) expect(set.has(spread(i))).toBe(false);
    expect(set.bytes).toBe(64);
  });

  test('grows with what it holds, to 32 KB for a limit of 5000', () => {
    const set = new RollingSet(5000);
    let most = 0;
    for (let i = 0; i < 50_000; i++) {
      if (i === 10) expect(set.bytes).toBe(64);
      set.add(spread(i));
      most = Math.max(most, set.bytes);
    }
    expect(most).toBe(32_768);
  });
});
