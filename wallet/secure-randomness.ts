/** The randomness of real payments; tests have one of a seed. */
import { randomBytes, randomInt } from 'node:crypto';
import type { Randomness } from './coin-selection.ts';

export const secureRandomness: Randomness = {
  below: (bound) => randomInt(bound),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
