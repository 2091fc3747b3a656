/** The proof-of-work kernel: tries nonces on a header. Pure; workers and the simulator use it. */
import { sha256d } from '#hash';
import { HEADER_SIZE } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { targetOf } from '../../consensus/pow.ts';

const NONCE_OFFSET = 76;
const NONCES = 0x100000000;

export interface GrindResult {
  /** A nonce that meets the target, or null. */
  readonly nonce: number | null;
  /** Nonces tried. */
  readonly hashes: number;
}

export interface RolledResult extends GrindResult {
  /** The version with which the nonce meets the target; where none does, the header's. */
  readonly version: number;
}

/** Tries up to `maxTries` nonces from `startNonce` on, none beyond 2^32 - 1. `header` (80 bytes) is not changed. */
export function grind(header: Bytes, bits: number, startNonce: number, maxTries: number): GrindResult {
  const { nonce, hashes } = grindVersions(header, bits, startNonce, maxTries, (version) => [version]);
  return { nonce, hashes };
}

/** As `grind`, each nonce with all versions that `versionsOf` makes of the header's; all signed, as headers have them. */
export function grindVersions(
  header: Bytes,
  bits: number,
  startNonce: number,
  maxNonces: number,
  versionsOf: (version: number) => readonly number[],
): RolledResult {
  if (header.length !== HEADER_SIZE) throw new Error(`a header has ${HEADER_SIZE} bytes`);
  const work = header.slice();
  const view = new DataView(work.buffer);
  const target = littleEndian(targetOf(bits));
  const end = Math.min(startNonce + maxNonces, NONCES);
  const own = view.getInt32(0, true);
  const versions = versionsOf(own);
  let hashes = 0;
  for (let nonce = startNonce; nonce < end; nonce++) {
    view.setUint32(NONCE_OFFSET, nonce, true);
    for (const version of versions) {
      view.setInt32(0, version, true);
      hashes++;
      if (isAtMost(sha256d(work), target)) return { nonce, hashes, version };
    }
  }
  return { nonce: null, hashes, version: own };
}

function littleEndian(value: bigint): Bytes {
  return Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}

/** Compares two little-endian numbers of 32 bytes; the first byte that differs decides, nearly always the last one. */
function isAtMost(hash: Bytes, target: Bytes): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = (hash[i] as number) - (target[i] as number);
    if (difference !== 0) return difference < 0;
  }
  return true;
}
