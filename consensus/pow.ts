/**
 * Proof of work: the compact form of targets, the check of a hash against them, and the work that a block stands for.
 * RULES.md A0 (compact target, block work), A4 rows 2 and 5.
 */
import type { BlockHash } from './brand.ts';
import type { ChainParams } from './params.ts';

const SIGN_BIT = 0x00800000;
const MANTISSA_MASK = 0x007fffff;

/**
 * The target that `bits` stands for: mantissa · 256^(exponent − 3). Null where it is negative or does not fit 256 bits.
 * Zero is a value here, and no hash meets it.
 */
export function decodeCompact(bits: number): bigint | null {
  const exponent = bits >>> 24;
  const mantissa = bits & MANTISSA_MASK;
  // A mantissa that is shifted out entirely has neither sign nor overflow.
  const word = exponent <= 3 ? mantissa >>> (8 * (3 - exponent)) : mantissa;
  if (word === 0) return 0n;
  if ((bits & SIGN_BIT) !== 0) return null;
  if (exponent <= 3) return BigInt(word);
  if (exponent > 34 || (exponent > 33 && word > 0xff) || (exponent > 32 && word > 0xffff)) return null;
  return BigInt(word) << BigInt(8 * (exponent - 3));
}

/** The compact form of a target below 2^256, rounded down to three bytes of precision. */
export function encodeCompact(target: bigint): number {
  let size = Math.ceil(target.toString(16).length / 2);
  if (target === 0n) size = 0;
  let word = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  // The top bit of the mantissa is a sign: a byte is moved to the exponent instead.
  if ((word & SIGN_BIT) !== 0) {
    word >>>= 8;
    size += 1;
  }
  return ((size << 24) | word) >>> 0;
}

/** The target of `bits`; zero, which no hash meets, where `bits` stands for none. */
export function targetOf(bits: number): bigint {
  return decodeCompact(bits) ?? 0n;
}

/** Expected number of hashes that it takes to meet `bits`: 2^256 / (target + 1). Zero where `bits` stands for no target. */
export function workOf(bits: number): bigint {
  const target = targetOf(bits);
  return target === 0n ? 0n : (1n << 256n) / (target + 1n);
}

/** True if `bits` is a target that this network allows and the hash, read as a number, is not above it. */
export function checkProofOfWork(hash: BlockHash, bits: number, params: ChainParams): boolean {
  const target = targetOf(bits);
  return target !== 0n && target <= params.powLimit && BigInt(`0x${hash}`) <= target;
}
