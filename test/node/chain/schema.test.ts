/** Keys and values of the store: what is written is read again, and keys sort as the ranges need it. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { type MerkleRoot, makeHeader } from '../../../consensus/block.ts';
import { type BlockHash, outPointKey, type ScriptHash, type Txid } from '../../../consensus/brand.ts';
import type { Coin } from '../../../consensus/transaction.ts';
import {
  coinKey,
  coinKeyOf,
  coinsRange,
  decodeCoin,
  decodeCoinRow,
  decodeHeaderRow,
  decodeScriptCoinRow,
  decodeScriptHistoryKey,
  decodeTip,
  decodeTransactionPlace,
  decodeUndo,
  encodeCoin,
  encodeHeaderRecord,
  encodeTip,
  encodeTransactionPlace,
  encodeUndo,
  type HeaderRecord,
  hashingOrder,
  headerKey,
  headersRange,
  metaRows,
  readMeta,
  SCHEMA_VERSION,
  scriptCoinKey,
  scriptCoinsRange,
  scriptHistoryKey,
  scriptHistoryRange,
  TIP_KEY,
} from '../../../node/chain/schema.ts';
import { StoreDamage } from '../../../node/ports.ts';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytesToHex);
const u32 = fc.nat({ max: 0xffffffff });
const height = fc.nat({ max: 0x7fffffff });
const coin: fc.Arbitrary<Coin> = fc.record({
  value: fc.bigInt({ min: 0n, max: 21_000_000n * 100_000_000n }),
  scriptPubKey: fc.uint8Array({ maxLength: 40 }),
  height,
  coinbase: fc.boolean(),
});
const options = { seed: 3, numRuns: 100 };

describe('values', () => {
  test('of coins, undo records, the tip and transactions are read as they were written', () => {
    fc.assert(
      fc.property(coin, fc.array(coin, { maxLength: 5 }), id, u32, u32, (one, spent, hash, a, b) => {
        expect(decodeCoin('c', encodeCoin(one))).toEqual(one);
        expect(decodeUndo('u', encodeUndo(spent))).toEqual(spent);
        const tip = { hash: hash as BlockHash, height: a, coinCount: b };
        expect(decodeTip(encodeTip(tip))).toEqual(tip);
        const place = { height: a, index: b };
        expect(decodeTransactionPlace('t', encodeTransactionPlace(place))).toEqual(place);
      }),
      options,
    );
  });

  test('of headers are read as they were written, the hash from the key', () => {
    const fields = fc.record({
      version: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
      prevHash: id.map((text) => text as BlockHash),
      merkleRoot: id.map((text) => text as MerkleRoot),
      time: u32,
      bits: u32,
      nonce: u32,
    });
    const body = fc.record({
      status: fc.constantFrom<HeaderRecord['status']>('body', 'valid'),
      failure: fc.constantFrom<HeaderRecord['failure']>(false, 'consensus', 'subset'),
      sequence: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
      txCount: u32,
      place: fc.record({
        file: u32,
        offset: u32,
        length: u32,
        checksum: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
      }),
    });
    fc.assert(
      fc.property(fields, body, height, fc.boolean(), (plain, known, at, stored) => {
        const header = makeHeader(plain);
        const nothing = { status: 'header', sequence: 0, txCount: 0, place: undefined } as const;
        const record: HeaderRecord = { header, height: at, ...known, ...(stored ? {} : nothing) };
        const row = { key: headerKey(at, header.hash), value: encodeHeaderRecord(record) };
        expect(decodeHeaderRow(row)).toEqual(record);
      }),
      options,
    );
  });

  test('that are cut or too long are damage', () => {
    const value = encodeTip({ hash: 'ab'.repeat(32) as BlockHash, height: 1, coinCount: 2 });
    expect(() => decodeTip(value.slice(1))).toThrow(StoreDamage);
    expect(() => decodeTip(Uint8Array.of(...value, 0))).toThrow(StoreDamage);
    expect(() => decodeUndo('u', encodeUndo([]).slice(1))).toThrow(StoreDamage);
    expect(() => decodeCoin('c', new Uint8Array(11))).toThrow(StoreDamage);
    const row = { key: headerKey(1, 'ab'.repeat(32) as BlockHash), value: new Uint8Array(106).fill(9) };
    expect(() => decodeHeaderRow(row)).toThrow('unknown status');
  });

  test('say which schema and network a store is of', () => {
    const genesis = 'ab'.repeat(32) as BlockHash;
    const rows = new Map(metaRows('regtest', genesis));
    const meta = { schema: SCHEMA_VERSION, network: 'regtest', genesis };
    expect(readMeta((key) => rows.get(key) ?? undefined)).toEqual(meta);
    expect(readMeta(() => undefined)).toBeUndefined();
  });
});

describe('keys', () => {
  test('give back what they are made of', () => {
    fc.assert(
      fc.property(id, id, u32, u32, coin, (hash, tx, a, b, one) => {
        const [script, txid] = [hash as ScriptHash, tx as Txid];
        const value = encodeCoin(one);
        expect(decodeCoinRow({ key: coinKey(outPointKey(txid, a)), value })).toEqual({ txid, vout: a, coin: one });
        expect(coinKeyOf(hashingOrder(txid), a)).toBe(coinKey(outPointKey(txid, a)));
        const key = scriptCoinKey(script, txid, a);
        expect(decodeScriptCoinRow({ key, value })).toEqual({ txid, vout: a, coin: one });
        expect(decodeScriptHistoryKey(scriptHistoryKey(script, a, b, txid))).toEqual({ height: a, index: b, txid });
        const [coins, history] = [scriptCoinsRange(script), scriptHistoryRange(script)];
        expect(key >= coins.gte && key < coins.lt).toBe(true);
        const other = scriptHistoryKey(script, a, b, txid);
        expect(other >= history.gte && other < history.lt).toBe(true);
      }),
      options,
    );
  });

  test('sort by number: headers by height, coins by the bytes of the txid and then the output, the tip before them', () => {
    const hash = 'ff'.repeat(32) as BlockHash;
    const heights = [0, 1, 9, 10, 255, 256, 100_000, 0xffffffff].map((number) => headerKey(number, hash));
    expect([...heights].sort()).toEqual(heights);
    expect(heights.every((key) => key >= headersRange.gte && key < headersRange.lt)).toBe(true);
    // Txids are shown with their bytes reversed: the last byte shown is the first that counts.
    const [low, high] = [`ff${'00'.repeat(31)}`, `${'00'.repeat(31)}ff`] as [Txid, Txid];
    const coins = [
      TIP_KEY,
      ...[0, 2, 10, 300].map((vout) => coinKey(outPointKey(low, vout))),
      coinKey(outPointKey(high, 0)),
    ];
    expect([...coins].sort()).toEqual(coins);
    expect(coins.every((key) => key >= coinsRange.gte && key < coinsRange.lt)).toBe(true);
  });
});
