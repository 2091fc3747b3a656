import { describe, expect, test } from '@jest/globals';
import { encodeHeader, makeHeader } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { checkProofOfWork } from '../../../consensus/pow.ts';
import { grind } from '../../../node/mining/grind.ts';

const genesis = regtest.genesis.header;

describe('grinding', () => {
  test('takes the nonce of the genesis block, and leaves the header as it was', () => {
    const header = encodeHeader({ ...genesis, nonce: 0 });
    expect(grind(header, genesis.bits, 2, 100)).toEqual({ nonce: 2, hashes: 1 });
    expect(header).toEqual(encodeHeader({ ...genesis, nonce: 0 }));
  });

  test('finds what the rule accepts, for an easy and for a harder target', () => {
    for (const bits of [0x207fffff, 0x1f7fffff]) {
      const fields = { ...genesis, bits };
      const { nonce, hashes } = grind(encodeHeader(fields), bits, 1000, 10_000);
      if (nonce === null) throw new Error('nothing found');
      expect(checkProofOfWork(makeHeader({ ...fields, nonce }).hash, bits, regtest)).toBe(true);
      expect(hashes).toBe(nonce - 1000 + 1);
    }
  });

  test('gives up after so many tries, and at the last nonce', () => {
    const header = encodeHeader(genesis);
    expect(grind(header, 0x03000001, 0, 50)).toEqual({ nonce: null, hashes: 50 });
    expect(grind(header, 0x03000001, 0xfffffff0, 50)).toEqual({ nonce: null, hashes: 16 });
    expect(grind(header, 0, 7, 1)).toEqual({ nonce: null, hashes: 1 });
  });

  test('takes headers only', () => {
    expect(() => grind(new Uint8Array(79), genesis.bits, 0, 1)).toThrow('80 bytes');
  });
});
