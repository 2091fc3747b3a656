/** Randomness of a seed, for wallets in tests: a counter that is hashed. */
import { sha256 } from '#hash';
import type { Randomness } from '../../wallet/coin-selection.ts';

export function seededRandomness(seed: number): Randomness {
  let counter = 0;
  const block = () => {
    counter += 1;
    return sha256(new TextEncoder().encode(`${seed} ${counter}`));
  };
  return {
    below: (bound) => new DataView(block().buffer.slice(0)).getUint32(0) % bound,
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 32) bytes.set(block().subarray(0, length - at), at);
      return bytes;
    },
  };
}
