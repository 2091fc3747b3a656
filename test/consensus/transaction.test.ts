/** Transactions and blocks as bytes: RULES A0, BIP 144. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import {
  blockSize,
  blockStrippedSize,
  blockWeight,
  encodeBlock,
  encodeHeader,
  type MerkleRoot,
  makeHeader,
  readBlock,
  readHeader,
} from '../../consensus/block.ts';
import { type BlockHash, idFromBytes, type Txid } from '../../consensus/brand.ts';
import { concatBytes, decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import {
  encodeTransaction,
  hasWitness,
  makeTransaction,
  readTransaction,
  type TransactionFields,
  vsizeOf,
  weightOf,
} from '../../consensus/transaction.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => idFromBytes<Txid>(bytes));
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const fields: fc.Arbitrary<TransactionFields> = fc.record({
  version: u32,
  inputs: fc.array(
    fc.record({
      prevout: fc.record({ txid: id, vout: u32 }),
      scriptSig: fc.uint8Array({ maxLength: 5 }),
      sequence: u32,
      witness: fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  outputs: fc.array(
    fc.record({
      value: fc.bigInt({ min: -0x8000000000000000n, max: 0x7fffffffffffffffn }),
      scriptPubKey: fc.uint8Array({ maxLength: 40 }),
    }),
    { maxLength: 4 },
  ),
  lockTime: u32,
});
const read = (bytes: Uint8Array) => decode(bytes, readTransaction);

describe('a transaction', () => {
  test('is read back as it was written, with the ids and sizes that were computed from its fields', () => {
    fc.assert(
      fc.property(fields, (value) => {
        const tx = makeTransaction(value);
        const bytes = encodeTransaction(tx);
        const back = read(bytes);
        expect(back).toEqual({ ok: true, value: tx });
        expect(bytes.length).toBe(tx.size);
        const stripped = encodeTransaction(tx, { witness: false });
        expect(stripped.length).toBe(tx.strippedSize);
        expect(tx.txid).toBe(idFromBytes(sha256d(stripped)));
        expect(tx.wtxid).toBe(idFromBytes(sha256d(bytes)));
        expect((tx.wtxid as string) === tx.txid).toBe(!hasWitness(tx));
      }),
      { seed: 1 },
    );
  });

  test('is refused when it is cut anywhere or a byte follows', () => {
    fc.assert(
      fc.property(fields, (value) => {
        const bytes = encodeTransaction(value);
        for (let length = 0; length < bytes.length; length++) expect(read(bytes.subarray(0, length)).ok).toBe(false);
        expect(read(concatBytes(bytes, Uint8Array.of(0))).ok).toBe(false);
      }),
      { seed: 1, numRuns: 30 },
    );
  });

  test('with one byte changed is refused or encodes to exactly those bytes', () => {
    fc.assert(
      fc.property(fields, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const bytes = encodeTransaction(value);
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
        const back = read(bytes);
        if (back.ok) expect(encodeTransaction(back.value)).toEqual(bytes);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  const input = `${'11'.repeat(32)}0000000000ffffffff`;
  const output = '0100000000000000016a';

  test.each([
    ['flag 0 stands for no inputs and no outputs', '020000000000 07000000', true],
    ['flag 1 with witnesses', `02000000 0001 01${input} 01${output} 0100 00000000`, true],
    ['flag 1 with no witness at all (superfluous)', `02000000 0001 01${input} 01${output} 00 00000000`, false],
    ['flag 1 without inputs', `02000000 0001 00 01${output} 00000000`, false],
    ['flag 2', `02000000 0002 01${input} 01${output} 00000000`, false],
    ['flag 3', `02000000 0003 01${input} 01${output} 0100 00000000`, false],
    ['no outputs', `02000000 01${input} 00 00000000`, true],
    ['an input count that cannot fit', `02000000 fdffff${input} 01${output} 00000000`, false],
    ['an output count that cannot fit', `02000000 01${input} feffffff00 ${output} 00000000`, false],
    ['a count that is not minimal', `02000000 fd0100${input} 01${output} 00000000`, false],
    ['a script length that is not minimal', `02000000 01${input} 010100000000000000fd01006a 00000000`, false],
    ['a script longer than what follows', `02000000 01${input} 010100000000000000 ff 6a 00000000`, false],
  ])('%s', (_, hex, valid) => {
    const bytes = hexToBytes(hex.replaceAll(' ', ''));
    const back = read(bytes);
    expect(back.ok).toBe(valid);
    if (back.ok) expect(bytesToHex(encodeTransaction(back.value))).toBe(bytesToHex(bytes));
  });

  test('an amount with its top bit set is negative, and a version is not', () => {
    const back = read(hexToBytes(`ffffffff01${input}01ffffffffffffffff016a00000000`));
    expect(back.ok && back.value.outputs[0]?.value).toBe(-1n);
    expect(back.ok && back.value.version).toBe(0xffffffff);
  });

  test('one input and one output have the sizes of RULES A10', () => {
    const parent = spend([], [pay(testKey(1), 1000n)]);
    const tx = spend([outputOf(parent, 0, testKey(1))], [pay(testKey(2), 800n)]);
    expect([tx.strippedSize, tx.size, weightOf(tx), vsizeOf(tx)]).toEqual([94, 162, 444, 111]);
    const typed = spend([outputOf(parent, 0, testKey(1))], [pay(testKey(2), 800n)], { hashType: 1 });
    expect(weightOf(typed)).toBe(445);
  });
});

describe('a header', () => {
  const header = fc.record({
    version: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
    prevHash: id as unknown as fc.Arbitrary<BlockHash>,
    merkleRoot: id as unknown as fc.Arbitrary<MerkleRoot>,
    time: u32,
    bits: u32,
    nonce: u32,
  });

  test('has 80 bytes, is read back as it was written, and is refused when cut', () => {
    fc.assert(
      fc.property(header, (value) => {
        const bytes = encodeHeader(value);
        expect(bytes.length).toBe(80);
        expect(decode(bytes, readHeader)).toEqual({ ok: true, value: makeHeader(value) });
        expect(decode(bytes.subarray(0, 79), readHeader).ok).toBe(false);
        expect(makeHeader(value).hash).toBe(idFromBytes(sha256d(bytes)));
      }),
      { seed: 1 },
    );
  });
});

describe('a block', () => {
  const block = fc.array(fields, { maxLength: 3 }).map((transactions) => ({
    header: regtest.genesis.header,
    transactions: transactions.map(makeTransaction),
  }));

  test('is read back as it was written', () => {
    fc.assert(
      fc.property(block, (value) => {
        const bytes = encodeBlock(value);
        expect(decode(bytes, readBlock)).toEqual({ ok: true, value });
        expect(bytes.length).toBe(blockSize(value));
        const stripped = encodeBlock(value, { witness: false });
        expect(stripped.length).toBe(blockStrippedSize(value));
        expect(blockWeight(value)).toBe(stripped.length * 3 + bytes.length);
      }),
      { seed: 1 },
    );
  });

  test('is refused when it is cut anywhere or a byte follows', () => {
    fc.assert(
      fc.property(block, (value) => {
        const bytes = encodeBlock(value);
        for (let length = 0; length < bytes.length; length += 3) {
          expect(decode(bytes.subarray(0, length), readBlock).ok).toBe(false);
        }
        expect(decode(concatBytes(bytes, Uint8Array.of(0)), readBlock).ok).toBe(false);
      }),
      { seed: 1, numRuns: 15 },
    );
  });

  test('of empty transactions, ten bytes each, is read', () => {
    const empty = makeTransaction({ version: 1, inputs: [], outputs: [], lockTime: 0 });
    const value = { header: regtest.genesis.header, transactions: [empty, empty, empty] };
    expect(empty.size).toBe(10);
    expect(decode(encodeBlock(value), readBlock)).toEqual({ ok: true, value });
  });
});
