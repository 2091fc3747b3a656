/** Compact targets, work and the proof-of-work check: RULES A0 and A4 rows 2 and 5. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BlockHash } from '../../consensus/brand.ts';
import { regtest } from '../../consensus/params.ts';
import { checkProofOfWork, decodeCompact, encodeCompact, targetOf, workOf } from '../../consensus/pow.ts';

describe('compact targets', () => {
  test.each<[number, bigint | null]>([
    [0x00000000, 0n],
    [0x00123456, 0n],
    [0x01003456, 0n],
    [0x02000056, 0n],
    [0x03000000, 0n],
    [0x04000000, 0n],
    [0x00923456, 0n],
    [0x01803456, 0n],
    [0x04800000, 0n],
    [0x01123456, 0x12n],
    [0x02123456, 0x1234n],
    [0x03123456, 0x123456n],
    [0x04123456, 0x12345600n],
    [0x05009234, 0x92340000n],
    [0x20123456, 0x123456n << 232n],
    [0x207fffff, 0x7fffffn << 232n],
    [0x01fedcba, null],
    [0x04923456, null],
    [0x2100ffff, 0xffffn << 240n],
    [0x220000ff, 0xffn << 248n],
    [0x21010000, null],
    [0x22000100, null],
    [0x23000001, null],
    [0xff123456, null],
    [0xff000000, 0n],
  ])('%i stands for its target', (bits, target) => {
    expect(decodeCompact(bits)).toBe(target);
    expect(targetOf(bits)).toBe(target ?? 0n);
  });

  test.each<[bigint, number]>([
    [0n, 0],
    [0x12n, 0x01120000],
    [0x80n, 0x02008000],
    [0x1234n, 0x02123400],
    [0x123456n, 0x03123456],
    [0x12345600n, 0x04123456],
    [0x92340000n, 0x05009234],
    [(1n << 255n) - 1n, 0x207fffff],
    [(1n << 256n) - 1n, 0x2100ffff],
  ])('a target of %i has its compact form', (target, bits) => {
    expect(encodeCompact(target)).toBe(bits);
  });

  test('the compact form keeps at least the highest 16 bits and never exceeds the target', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), fc.integer({ min: 0, max: 255 }), (number, shift) => {
        const target = number >> BigInt(shift);
        const back = targetOf(encodeCompact(target));
        expect(back <= target).toBe(true);
        expect((target - back) * 0x8000n <= target).toBe(true);
        expect(encodeCompact(back)).toBe(encodeCompact(target));
      }),
      { seed: 1 },
    );
  });
});

describe('work', () => {
  test('a regtest block is worth two hashes', () => {
    expect(workOf(0x207fffff)).toBe(2n);
  });

  test('the first difficulty of Bitcoin is worth 4,295,032,833 hashes', () => {
    expect(workOf(0x1d00ffff)).toBe(4295032833n);
  });

  test('bits that stand for no target are worth nothing', () => {
    expect([0, 0x01803456, 0x04923456, 0x23000001].map(workOf)).toEqual([0n, 0n, 0n, 0n]);
  });
});

describe('proof of work', () => {
  const hash = (value: bigint) => value.toString(16).padStart(64, '0') as BlockHash;
  const limit = 0x7fffffn << 232n;

  test.each<[string, bigint, number, boolean]>([
    ['a hash that equals the target', limit, 0x207fffff, true],
    ['a hash one above the target', limit + 1n, 0x207fffff, false],
    ['a hash of zero', 0n, 0x207fffff, true],
    ['a harder target that is met', 0n, 0x03000001, true],
    ['a target above the limit of the network', 0n, 0x2100ffff, false],
    ['a target of zero', 0n, 0x00000000, false],
    ['a negative target', 0n, 0x20800001, false],
    ['a target that does not fit 256 bits', 0n, 0x23000001, false],
  ])('%s', (_, value, bits, expected) => {
    expect(checkProofOfWork(hash(value), bits, regtest)).toBe(expected);
  });
});
