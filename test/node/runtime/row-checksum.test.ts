/** The checksum of rows is that of zlib, however short or long key and value are. */
import { crc32 } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rowChecksum } from '../../../node/runtime/row-checksum.ts';

test('is the CRC-32 of the key and the value behind it', () => {
  const keys = fc.string({ unit: 'binary-ascii', maxLength: 200 });
  const values = fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ minLength: 100, maxLength: 400 }));
  fc.assert(
    fc.property(keys, values, (key, value) => {
      expect(rowChecksum(key, value)).toBe(crc32(value, crc32(key)));
    }),
    { seed: 1, numRuns: 500 },
  );
});
