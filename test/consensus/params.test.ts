/** The constants of regtest: RULES F and A7 row 4. */

import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeBlock } from '../../consensus/block.ts';
import { checkBlock } from '../../consensus/check-block.ts';
import { findGenesisNonce } from '../../consensus/genesis.ts';
import { COIN, MAX_MONEY, networkByName, networkNames, regtest, subsidyAt, vinenet } from '../../consensus/params.ts';
import { encodeCompact } from '../../consensus/pow.ts';

describe('regtest', () => {
  test("genesis is Bitcoin's, with its hash, root and proof of work", () => {
    const { header, transactions } = regtest.genesis;
    expect(header).toEqual({
      version: 1,
      prevHash: '0'.repeat(64),
      merkleRoot: '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
      time: 1296688602,
      bits: 0x207fffff,
      nonce: 2,
      hash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
    });
    expect(transactions.map(({ txid }) => txid)).toEqual([header.merkleRoot]);
    expect(encodeBlock(regtest.genesis).length).toBe(285);
    expect(checkBlock(regtest.genesis, regtest)).toBeNull();
  });

  test('magic, limit and names', () => {
    expect(bytesToHex(regtest.magic)).toBe('fabfb5da');
    expect(encodeCompact(regtest.powLimit)).toBe(regtest.powLimitBits);
    expect(networkByName('regtest')).toBe(regtest);
    expect(networkByName('toString')).toBeUndefined();
  });
});

describe('vinenet', () => {
  test('genesis has the nonce that the search finds, and its proof of work', () => {
    const { header, transactions } = vinenet.genesis;
    expect(header).toMatchObject({ version: 4, time: 1767225600, bits: 0x1f00ffff, prevHash: '0'.repeat(64) });
    expect(checkBlock(vinenet.genesis, vinenet)).toBeNull();
    const text = new TextDecoder().decode(transactions[0]?.inputs[0]?.scriptSig.subarray(1));
    const { time, bits } = header;
    expect(findGenesisNonce({ text, time, bits, value: 50n * COIN })).toBe(header.nonce);
  });

  test('magic, limit and names', () => {
    expect(bytesToHex(vinenet.magic)).toBe('f9766ed1');
    expect(encodeCompact(vinenet.powLimit)).toBe(vinenet.powLimitBits);
    expect(networkByName('vinenet')).toBe(vinenet);
    expect(networkNames).toEqual(['regtest', 'vinenet']);
  });
});

describe('the subsidy', () => {
  test.each<[number, bigint]>([
    [1, 50n * COIN],
    [149, 50n * COIN],
    [150, 25n * COIN],
    [299, 25n * COIN],
    [300, 1_250_000_000n],
    [150 * 32, 1n],
    [150 * 33 - 1, 1n],
    [150 * 33, 0n],
    [150 * 64, 0n],
    [2_000_000_000, 0n],
  ])('of height %i', (height, value) => {
    expect(subsidyAt(height, regtest)).toBe(value);
  });

  test('all subsidies together stay below the limit of money', () => {
    let total = 0n;
    for (let height = 1; height < 5000; height++) total += subsidyAt(height, regtest);
    expect(total).toBe(1_494_999_998_350n);
    expect(total < MAX_MONEY).toBe(true);
  });
});
