/** Hashes and hex where there is no Node: the same functions as `hash-node.ts`, from `@noble/hashes`. */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import * as noble from '@noble/hashes/utils.js';

/** sha256 of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return nobleSha256(data);
}

/** Writes sha256 of `data`, 32 bytes, to `target` from `at` on. */
export function sha256Into(data: Uint8Array, target: Uint8Array, at: number): void {
  target.set(nobleSha256(data), at);
}

/** sha256 of sha256 of `data`: 32 bytes in hashing order. */
export function sha256d(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return nobleSha256(nobleSha256(data));
}

/** Writes sha256 of sha256 of `data`, 32 bytes, to `target` from `at` on. */
export function sha256dInto(data: Uint8Array, target: Uint8Array, at: number): void {
  target.set(sha256d(data), at);
}

/** Lower-case hex of `bytes`, in their order. */
export function bytesToHex(bytes: Uint8Array): string {
  return noble.bytesToHex(bytes);
}

/** Bytes of a hex string of even length; throws on anything else. */
export function hexToBytes(hex: string): Uint8Array {
  return noble.hexToBytes(hex);
}
