/** Merkle roots, their mutation (CVE-2012-2459) and the witness commitment: RULES A5 row 2, A6 row 3. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { idFromBytes, idToBytes } from '../../consensus/brand.ts';
import { concatBytes } from '../../consensus/codec.ts';
import {
  commitmentHash,
  commitmentScript,
  committedHash,
  findCommitment,
  merkleRoot,
  witnessRoot,
} from '../../consensus/merkle.ts';
import { regtest } from '../../consensus/params.ts';
import { buildCoinbase, carry, changed, outputOf, pay, spend, testKey } from '../support/chain-builder.ts';

const idOf = (number: number) => idFromBytes(sha256d(Uint8Array.of(number & 0xff, number >> 8)));
const ids = (count: number) => Array.from({ length: count }, (_, i) => idOf(i));

/** The definition, word by word: pairs are hashed, an odd last one with itself. */
function plainRoot(list: readonly string[]): string {
  if (list.length === 1) return list[0] as string;
  const next: string[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const left = list[i] as string;
    next.push(idFromBytes(sha256d(concatBytes(idToBytes(left), idToBytes(list[i + 1] ?? left)))));
  }
  return plainRoot(next);
}

describe('the Merkle root', () => {
  test('of nothing is zero, and of one id is that id', () => {
    expect(merkleRoot([])).toEqual({ root: '0'.repeat(64), mutated: false });
    expect(merkleRoot(ids(1))).toEqual({ root: idOf(0), mutated: false });
  });

  test('follows its definition for every number of ids up to 70', () => {
    for (let count = 1; count <= 70; count++) {
      expect(merkleRoot(ids(count))).toEqual({ root: plainRoot(ids(count)), mutated: false });
    }
  });

  test('of genesis is in its header', () => {
    const { header, transactions } = regtest.genesis;
    expect(merkleRoot(transactions.map(({ txid }) => txid)).root).toBe(header.merkleRoot);
  });

  test('is the same for a list whose end is doubled, and that is noticed at every level', () => {
    for (let count = 1; count <= 40; count++) {
      // The tail that an odd level pairs with itself: one id of an odd list, two of a list of 2 mod 4, and so on.
      const tail = count & -count;
      const list = ids(count);
      const answer = merkleRoot([...list, ...list.slice(count - tail)]);
      expect(answer.mutated).toBe(true);
      // A list that is doubled as a whole has a level more, and so another root.
      if (tail !== count) expect(answer.root).toBe(merkleRoot(list).root);
    }
  });

  test('equal ids that are no pair are no mutation', () => {
    expect(merkleRoot([idOf(1), idOf(2), idOf(2), idOf(3)]).mutated).toBe(false);
  });

  test('changes with every id', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (count, at) => {
        const list = ids(count);
        const root = merkleRoot(list).root;
        list[at % count] = idOf(1000);
        expect(merkleRoot(list).root).not.toBe(root);
      }),
      { seed: 1 },
    );
  });
});

describe('the witness commitment', () => {
  const coinbase = buildCoinbase(20);
  const parent = spend([], [pay(testKey(1), 10n)]);
  const tx = spend([outputOf(parent, 0, testKey(1))], [pay(testKey(2), 9n)]);
  const hash = Uint8Array.from({ length: 32 }, (_, i) => i);

  test('counts the coinbase as zero and the others by their wtxid', () => {
    const block = { header: regtest.genesis.header, transactions: [coinbase, tx] };
    expect(bytesToHex(witnessRoot(block))).toBe(
      bytesToHex(sha256d(concatBytes(new Uint8Array(32), idToBytes(tx.wtxid)))),
    );
    expect(witnessRoot({ ...block, transactions: [coinbase] })).toEqual(new Uint8Array(32));
  });

  test('of a coinbase alone with a reserved value of zero is a known constant', () => {
    const expected = 'e2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9';
    expect(bytesToHex(commitmentHash(new Uint8Array(32), new Uint8Array(32)))).toBe(expected);
  });

  test('has a script that gives the hash back', () => {
    const script = commitmentScript(hash);
    expect(bytesToHex(script)).toBe(`6a24aa21a9ed${bytesToHex(hash)}`);
    expect(committedHash(script)).toEqual(hash);
    expect(committedHash(concatBytes(script, Uint8Array.of(1)))).toEqual(hash);
  });

  test.each<[string, readonly string[], number]>([
    ['none', ['5120', '6a'], -1],
    ['one', [`6a24aa21a9ed${'00'.repeat(32)}`], 1],
    ['the last of two', [`6a24aa21a9ed${'00'.repeat(32)}`, `6a24aa21a9ed${'01'.repeat(32)}`], 2],
    ['one that is longer', [`6a24aa21a9ed${'00'.repeat(40)}`], 1],
    ['one that is too short', [`6a24aa21a9ed${'00'.repeat(31)}`], -1],
    ['one with another push', [`6a25aa21a9ed${'00'.repeat(33)}`], -1],
    ['one with other four bytes', [`6a24aa21a9ee${'00'.repeat(32)}`], -1],
  ])('is found: %s', (_, scripts, index) => {
    const outputs = scripts.map((hex) => ({ value: 0n, scriptPubKey: hexToBytes(hex) }));
    expect(findCommitment(changed(coinbase, { outputs: [carry('first'), ...outputs] }))).toBe(index);
  });
});
