/**
 * What a signature backend is. Four stand beside this file: system.ts and native.ts (libsecp256k1 as machine code),
 * wasm.ts (the same as WebAssembly) and noble.ts (JavaScript, the authority). choose-backend.ts picks one.
 */
import type { Bytes } from '../../consensus/brand.ts';

/** Fastest first: the order in which they are tried. */
export const fastBackendNames = ['system', 'native', 'wasm'] as const;
export type FastBackendName = (typeof fastBackendNames)[number];
export const backendNames = [...fastBackendNames, 'noble'] as const;
export type BackendName = (typeof backendNames)[number];

export interface Backend {
  readonly name: BackendName;
  /** What does the work, for people: `native libsecp256k1`. */
  readonly library: string;
  /**
   * True if the BIP 340 signature (64 bytes) of the message (32) holds for the x-only key (32). A fast backend may say
   * false of an odd signature that holds: `verifyChecks` asks noble before it reports a failure. It must never say true of
   * one that does not hold. The lengths are the caller's duty: machine code reads as many bytes, whatever is there.
   */
  verify(key: Bytes, message: Bytes, signature: Bytes): boolean;
}
