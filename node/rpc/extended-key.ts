/**
 * Extended public keys (BIP 32): their text, and the keys that derive from them. Private keys are never read here: what
 * callers send over RPC is public.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { Point } from '@noble/secp256k1';
import { createBase58check } from '@scure/base';
import { bytesToHex, sha256 } from '#hash';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { concatBytes, Reader, Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';

/** Child numbers from here on are hardened: only the private key leads there. */
export const HARDENED = 0x80000000;
/** Bytes of the serialization that base58 shows. */
export const EXTENDED_KEY_SIZE = 78;
const FINGERPRINT_SIZE = 4;
const N = Point.CURVE().n;

export const base58check = createBase58check(sha256);

export interface ExtendedKey {
  readonly text: string;
  readonly chainCode: Bytes;
  /** 33 bytes. */
  readonly publicKey: Bytes;
}

/** The bytes that a base58 text with a checksum stands for, or undefined. */
export function decodeBase58(text: string): Bytes | undefined {
  try {
    return base58check.decode(text);
  } catch {
    // The library tells a bad text by an exception only.
    return undefined;
  }
}

/** Reads `tpub…`, or says what is wrong in words that follow "the key". */
export function readExtendedKey(text: string, params: ChainParams): Result<ExtendedKey, string> {
  const bytes = decodeBase58(text);
  if (bytes?.length !== EXTENDED_KEY_SIZE) return fail('is not valid');
  const reader = new Reader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0) !== params.bip32.public)
    return fail(`is not valid: it is of another network than ${params.name}`);
  reader.position = 13;
  const chainCode = reader.take(32);
  const publicKey = reader.take(33);
  return isPublicKey(publicKey)
    ? ok({ text, chainCode, publicKey })
    : fail('is not valid: it is no point of the curve');
}

/** True for the 33 bytes of a point. */
export function isPublicKey(bytes: Bytes): boolean {
  try {
    Point.fromBytes(bytes);
    return bytes.length === 33;
  } catch {
    // noble tells bad bytes by an exception only.
    return false;
  }
}

/** BIP 32's CKDpub. `index` is below 2^31. */
export function deriveChild(
  parent: Pick<ExtendedKey, 'chainCode' | 'publicKey'>,
  index: number,
): Omit<ExtendedKey, 'text'> {
  if (index >= HARDENED) throw new Error('a hardened child needs the private key');
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, index);
  const digest = hmac(sha512, parent.chainCode, concatBytes(parent.publicKey, number));
  const tweak = BigInt(`0x${bytesToHex(digest.subarray(0, 32))}`);
  // One chance in 2^127 each, as BIP 32 says; the caller would have to take the next index.
  if (tweak >= N) throw new Error('the derived key is not below the order of the group');
  const point = Point.fromBytes(parent.publicKey);
  const child = tweak === 0n ? point : point.add(Point.BASE.multiply(tweak));
  return { chainCode: digest.slice(32), publicKey: child.toBytes(true) };
}

/** The first four bytes of hash160: what names a key in the origin of others. */
export function fingerprintOf(publicKey: Bytes): string {
  return bytesToHex(ripemd160(sha256(publicKey)).subarray(0, FINGERPRINT_SIZE));
}

/** The text of a path without its beginning: `/86h/1h/0h/0/5`. */
export function formatPath(path: readonly number[], hardenedSign = 'h'): string {
  return path.map((step) => (step >= HARDENED ? `/${step - HARDENED}${hardenedSign}` : `/${step}`)).join('');
}

/** An extended key's text out of its parts as PSBTs hold them. */
export function formatExtendedKey(parts: {
  readonly version: number;
  readonly depth: number;
  readonly parentFingerprint: number;
  readonly childNumber: number;
  readonly chainCode: Bytes;
  readonly publicKey: Bytes;
}): string {
  const numbers = new Uint8Array(13);
  const view = new DataView(numbers.buffer);
  view.setUint32(0, parts.version);
  view.setUint8(4, parts.depth);
  view.setUint32(5, parts.parentFingerprint);
  view.setUint32(9, parts.childNumber);
  const writer = new Writer(EXTENDED_KEY_SIZE).raw(numbers).raw(parts.chainCode).raw(parts.publicKey);
  return base58check.encode(writer.finish());
}
