/** The difficulty of vinenet and of private networks: RULES A11 and A12. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { asertTarget, requiredBits } from '../../consensus/asert.ts';
import { regtest, vinenet } from '../../consensus/params.ts';
import { decodeCompact, encodeCompact } from '../../consensus/pow.ts';
import { readAsertVectors } from '../support/vectors.ts';

const mainnet = { spacing: 600, halfLife: 172_800 };
const limit = decodeCompact(0x1d00ffff) as bigint;

describe.each(readAsertVectors())('$source', ({ cases }) => {
  test(`gives the target of ${cases.length} published rows`, () => {
    expect(cases.length).toBeGreaterThan(9);
    for (const one of cases) {
      const anchor = BigInt(`0x${one.anchorTarget}`);
      const target = asertTarget(anchor, BigInt(one.elapsed), BigInt(one.blocks), one, BigInt(`0x${one.powLimit}`));
      expect({ ...one, bits: encodeCompact(target).toString(16).padStart(8, '0') }).toEqual(one);
    }
  });
});

test.each([
  [0x18023456, 0, 0x180232fd],
  [0x180210fe, 600, 0x180210fe],
  [0x18034567, 90 * 86_400, 0x1d00ffff],
  // Division truncates: with one that rounds down it would be 1c7fffbf.
  [0x1c7fffff, 599, 0x1c7fffff],
])('one block after an anchor of %p that took %p s the bits are %p', (anchor, elapsed, bits) => {
  const target = asertTarget(decodeCompact(anchor) as bigint, BigInt(elapsed), 1n, mainnet, limit);
  expect(encodeCompact(target)).toBe(bits);
});

test('the target follows the exponential within 0.02 % for any spacing and half-life', () => {
  const anchor = 1n << 200n;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 86_400 }),
      fc.integer({ min: 10, max: 1_000_000 }),
      fc.integer({ min: -40_000, max: 40_000 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (spacing, halfLife, permille, blocks) => {
        const late = Math.trunc((permille * halfLife) / 1000);
        const elapsed = BigInt(spacing) * BigInt(blocks) + BigInt(late);
        const target = asertTarget(anchor, elapsed, BigInt(blocks), { spacing, halfLife }, 1n << 255n);
        const ratio = Number((target * 2n ** 60n) / anchor) / 2 ** 60;
        expect(ratio / 2 ** (late / halfLife)).toBeCloseTo(1, 3);
      },
    ),
    { seed: 11, numRuns: 500 },
  );
});

test('whatever the times are, the target stays between 1 and the limit, at once', () => {
  for (const elapsed of [-(2n ** 63n), -1n, 0n, 2n ** 63n]) {
    for (const blocks of [1n, 2n ** 40n]) {
      const target = asertTarget(limit, elapsed, blocks, { spacing: 1, halfLife: 10 }, limit);
      expect(target).toBeGreaterThan(0n);
      expect(target).toBeLessThanOrEqual(limit);
    }
  }
});

describe('the bits that are required', () => {
  const of = (height: number, time: number, anchorTime = 1000) =>
    requiredBits({ parent: { height, time }, anchorTime }, vinenet);

  test("are the anchor's on block 1 of vinenet, whenever that is mined", () => {
    expect(of(0, 0)).toBe(0x1e03ffff);
    expect(of(0, 1_767_225_600)).toBe(0x1e03ffff);
  });

  test('stay while blocks come in time, double the target after a half-life, and halve it the other way', () => {
    expect(of(1, 1000)).toBe(0x1e03ffff);
    expect(of(101, 2000)).toBe(0x1e03ffff);
    expect(of(101, 2000 + 2880)).toBe(0x1e07fffe);
    expect(of(101 + 288, 2000)).toBe(0x1e01ffff);
    expect(of(1, 1000 + 100 * 2880)).toBe(vinenet.powLimitBits);
  });

  test('never change on regtest', () => {
    expect(requiredBits({ parent: { height: 7, time: 9 }, anchorTime: 0 }, regtest)).toBe(0x207fffff);
  });
});
