/** Hashes and hex where there is no Node: the same functions as `hash-node.ts`, from `@noble/hashes`. */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import * as noble from '@noble/hashes/utils.js';

/** sha256 of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/** sha256 of sha256 of `data`: 32 bytes in hashing order. */
export function sha256d(data: Uint8Array): Uint8Array {
  return nobleSha256(nobleSha256(data));
}

/** Lower-case hex of `bytes`, in their order. */
export function bytesToHex(bytes: Uint8Array): string {
  return noble.bytesToHex(bytes);
}

/** Bytes of a hex string of even length; throws on anything else. */
export function hexToBytes(hex: string): Uint8Array {
  return noble.hexToBytes(hex);
}
