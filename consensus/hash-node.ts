/**
 * Hashes and hex for Node: `crypto.hash` is twice as fast as `createHash` and ten times as fast as JavaScript.
 * The one file of consensus/ that may import a node: module; `hash-browser.ts` is its twin (see "imports" in package.json).
 */
import { hash } from 'node:crypto';

/** sha256 of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  const digest = hash('sha256', data, 'buffer');
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength);
}

/** sha256 of sha256 of `data`: 32 bytes in hashing order. */
export function sha256d(data: Uint8Array): Uint8Array {
  return sha256(hash('sha256', data, 'buffer'));
}

/** Lower-case hex of `bytes`, in their order. */
export function bytesToHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of a hex string of even length; throws on anything else. */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
  if (bytes.length * 2 !== hex.length) throw new Error('not a hex string of even length');
  return bytes;
}
