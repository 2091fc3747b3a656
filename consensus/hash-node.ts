/**
 * Hashes and hex for Node: `crypto.hash` is twice as fast as `createHash` and ten times as fast as JavaScript.
 * The one file of consensus/ that may import a node: module; `hash-browser.ts` is its twin (see "imports" in package.json).
 */
import { hash } from 'node:crypto';

const HASH_SIZE = 32;
/** The inner hash of a double one: nothing is allocated for it. */
const inner = new Uint8Array(HASH_SIZE);
/** Short bytes are turned to hex here: making a Buffer of a small array moves it out of the heap first, which takes 1 µs. */
const scratch = Buffer.allocUnsafeSlow(64);

/** sha256 of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(HASH_SIZE);
  sha256Into(data, digest, 0);
  return digest;
}

/** Writes sha256 of `data`, 32 bytes, to `target` from `at` on. */
export function sha256Into(data: Uint8Array, target: Uint8Array, at: number): void {
  // Asked for a buffer, Node allocates one outside its heap, which takes longer than the hash. A string of 32 characters
  // that is copied takes a quarter of the time of both.
  const text = hash('sha256', data, 'binary');
  for (let i = 0; i < HASH_SIZE; i++) target[at + i] = text.charCodeAt(i);
}

/** sha256 of sha256 of `data`: 32 bytes in hashing order. */
export function sha256d(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(HASH_SIZE);
  sha256dInto(data, digest, 0);
  return digest;
}

/** Writes sha256 of sha256 of `data`, 32 bytes, to `target` from `at` on. */
export function sha256dInto(data: Uint8Array, target: Uint8Array, at: number): void {
  sha256Into(data, inner, 0);
  sha256Into(inner, target, at);
}

/** Lower-case hex of `bytes`, in their order. */
export function bytesToHex(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > scratch.length) return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('hex');
  for (let i = 0; i < length; i++) scratch[i] = bytes[i] as number;
  return scratch.toString('hex', 0, length);
}

/** Bytes of a hex string of even length; throws on anything else. */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
  if (bytes.length * 2 !== hex.length) throw new Error('not a hex string of even length');
  return bytes;
}
