/**
 * The checksum that every row of the store carries: CRC-32 over its key and its value, as `zlib.crc32` computes it. Keys
 * and most values are so short that calling zlib takes three times as long as the sum itself, so it is made here.
 */
import { crc32 } from 'node:zlib';
import type { Bytes } from '../../consensus/brand.ts';

const POLYNOMIAL = 0xedb88320;
/** Longer values are left to zlib, which is faster from here on. */
const MAX_SHORT = 128;
/** The sum of every byte. */
const table = new Int32Array(256).map((_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
  return sum;
});

/** CRC-32 of an ASCII key and the value behind it, unsigned. */
export function rowChecksum(key: string, value: Bytes): number {
  let sum = -1;
  for (let i = 0; i < key.length; i++) sum = (sum >>> 8) ^ (table[(sum ^ key.charCodeAt(i)) & 0xff] as number);
  if (value.length > MAX_SHORT) return crc32(value, ~sum >>> 0);
  for (let i = 0; i < value.length; i++) sum = (sum >>> 8) ^ (table[(sum ^ (value[i] as number)) & 0xff] as number);
  return ~sum >>> 0;
}
