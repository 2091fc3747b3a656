/** The primitive encodings: RULES A0. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import { idFromBytes, idToBytes, type Txid } from '../../consensus/brand.ts';
import {
  compactLength,
  compareBytes,
  concatBytes,
  decode,
  equalBytes,
  MAX_SIZE,
  Writer,
} from '../../consensus/codec.ts';

const written = (write: (writer: Writer) => void) => {
  const writer = new Writer(1);
  write(writer);
  return writer.finish();
};

describe('CompactSize', () => {
  test.each<[bigint, string]>([
    [0n, '00'],
    [0xfcn, 'fc'],
    [0xfdn, 'fdfd00'],
    [0xffffn, 'fdffff'],
    [0x10000n, 'fe00000100'],
    [0xffffffffn, 'feffffffff'],
    [0x100000000n, 'ff0000000001000000'],
    [0xffffffffffffffffn, 'ffffffffffffffffff'],
  ])('%i', (value, hex) => {
    expect(bytesToHex(written((writer) => writer.compact(value)))).toBe(hex);
    expect(compactLength(Number(value))).toBe(hex.length / 2);
    expect(decode(hexToBytes(hex), (reader) => reader.compact())).toEqual({ ok: true, value });
  });

  test.each(['fd0000', 'fdfc00', 'fe00000000', 'feffff0000', 'ff0000000000000000', 'ffffffffff00000000'])(
    'the longer form %s of a value that fits a shorter one is refused',
    (hex) => {
      expect(decode(hexToBytes(hex), (reader) => reader.compact())).toMatchObject({ ok: false });
      expect(decode(hexToBytes(hex), (reader) => reader.size())).toMatchObject({ ok: false });
    },
  );

  test('a size may be as large as MAX_SIZE and no larger', () => {
    const size = (value: number) =>
      decode(
        written((w) => w.compact(value)),
        (reader) => reader.size(),
      );
    expect(size(MAX_SIZE)).toEqual({ ok: true, value: MAX_SIZE });
    expect(size(MAX_SIZE + 1)).toMatchObject({ ok: false });
    expect(decode(hexToBytes('ffffffffffffffffff'), (reader) => reader.size())).toMatchObject({ ok: false });
  });

  test('a size above the limit of its caller is refused', () => {
    expect(decode(Uint8Array.of(3), (reader) => reader.size(2))).toMatchObject({ ok: false });
    expect(decode(Uint8Array.of(2), (reader) => reader.size(2))).toEqual({ ok: true, value: 2 });
  });
});

describe('values', () => {
  const record = fc.record({
    u8: fc.integer({ min: 0, max: 0xff }),
    u16: fc.integer({ min: 0, max: 0xffff }),
    u16be: fc.integer({ min: 0, max: 0xffff }),
    u32: fc.integer({ min: 0, max: 0xffffffff }),
    i32: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
    u64: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
    i64: fc.bigInt({ min: -0x8000000000000000n, max: 0x7fffffffffffffffn }),
    compact: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
    varBytes: fc.uint8Array({ maxLength: 300 }),
    id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => idFromBytes<Txid>(bytes)),
  });
  const encode = (value: typeof record extends fc.Arbitrary<infer T> ? T : never) =>
    written((writer) => {
      writer.u8(value.u8).u16(value.u16).u16be(value.u16be).u32(value.u32).i32(value.i32).u64(value.u64);
      writer.i64(value.i64).compact(value.compact).varBytes(value.varBytes).id(value.id);
    });
  const read = (bytes: Uint8Array) =>
    decode(bytes, (reader) => ({
      u8: reader.u8(),
      u16: reader.u16(),
      u16be: reader.u16be(),
      u32: reader.u32(),
      i32: reader.i32(),
      u64: reader.u64(),
      i64: reader.i64(),
      compact: reader.compact(),
      varBytes: reader.varBytes(),
      id: reader.id<Txid>(),
    }));

  test('are read back as they were written', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(read(encode(value))).toEqual({ ok: true, value });
      }),
      { seed: 1 },
    );
  });

  test('are refused when a byte is missing or too many', () => {
    fc.assert(
      fc.property(record, (value) => {
        const bytes = encode(value);
        for (let length = 0; length < bytes.length; length++) expect(read(bytes.subarray(0, length)).ok).toBe(false);
        expect(read(concatBytes(bytes, Uint8Array.of(0))).ok).toBe(false);
      }),
      { seed: 1, numRuns: 20 },
    );
  });

  test('big-endian and little-endian are told apart', () => {
    expect(bytesToHex(written((writer) => writer.u16(0x0102).u16be(0x0102).u32(0x01020304)))).toBe('0201010204030201');
  });

  test('an id is shown in the reverse of the order in which it is hashed', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(idFromBytes(bytes)).toBe(bytesToHex(bytes.toReversed()));
    expect(idToBytes(idFromBytes(bytes))).toEqual(bytes);
  });
});

test('what is read does not share memory with what it was read from', () => {
  const bytes = hexToBytes('03010203');
  const value = decode(bytes, (reader) => reader.varBytes());
  bytes.fill(0);
  expect(value).toEqual({ ok: true, value: Uint8Array.of(1, 2, 3) });
});

test('an exception that is no DecodeError is a bug and is not swallowed', () => {
  expect(() =>
    decode(Uint8Array.of(1), () => {
      throw new Error('a bug');
    }),
  ).toThrow('a bug');
});

test('bytes are compared as strings of bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4, max: 3 }), fc.uint8Array({ maxLength: 4, max: 3 }), (a, b) => {
      const [left, right] = [bytesToHex(a), bytesToHex(b)];
      expect(Math.sign(compareBytes(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
      expect(equalBytes(a, b)).toBe(left === right);
    }),
    { seed: 1, numRuns: 500 },
  );
});
