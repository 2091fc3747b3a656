/**
 * Randomness from a seed: sfc32, seeded and forked through sha256. The same seed gives the same run; the runtime seeds it
 * with 32 bytes of the system's generator. It is fast and well spread but no cipher: never derive keys from it.
 */
import { sha256 } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import { concatBytes } from '../consensus/codec.ts';
import type { Random } from './ports.ts';

/** Rounds after which every bit of the state depends on every bit of the seed. */
const WARM_UP_ROUNDS = 15;

export class SeededRandom implements Random {
  /** Identifies the stream; forks derive from it and not from the state, so that draws do not shift them. */
  readonly #key: Bytes;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string | Bytes) {
    this.#key = sha256(typeof seed === 'string' ? new TextEncoder().encode(seed) : seed);
    const view = new DataView(this.#key.buffer, this.#key.byteOffset, this.#key.byteLength);
    this.#a = view.getUint32(0, true);
    this.#b = view.getUint32(4, true);
    this.#c = view.getUint32(8, true);
    for (let i = 0; i < WARM_UP_ROUNDS; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  u64(): bigint {
    const low = BigInt(this.u32());
    return (BigInt(this.u32()) << 32n) | low;
  }

  bytes(length: number): Bytes {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.u32();
      for (let j = 0; j < 4 && i + j < length; j++) out[i + j] = word >>> (8 * j);
    }
    return out;
  }

  /** An independent stream. The same label gives the same stream, whatever was drawn before. */
  fork(label: string): SeededRandom {
    return new SeededRandom(concatBytes(this.#key, new TextEncoder().encode(label)));
  }
}
