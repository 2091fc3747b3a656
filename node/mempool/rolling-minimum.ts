/**
 * The feerate below which nothing enters while the pool has been full: it rises to what was evicted and decays by half-lives
 * once a block has come (RULES.md B4).
 */
import type { UnixSeconds } from '../boundary.ts';
import { INCREMENTAL_FEERATE } from './policy.ts';

const HALF_LIFE_SECONDS = 12 * 3600;
/** It is not computed anew more often than this. */
const UPDATE_SECONDS = 10;

export class RollingMinimum {
  #feerate = 0;
  #updated: UnixSeconds = 0;
  #blockSinceRise = false;

  /** A package of this feerate was evicted for lack of room. */
  onEvicted(feerate: number): void {
    const floor = feerate + INCREMENTAL_FEERATE;
    if (floor <= this.#feerate) return;
    this.#feerate = floor;
    this.#blockSinceRise = false;
  }

  onBlock(now: UnixSeconds): void {
    this.#updated = now;
    this.#blockSinceRise = true;
  }

  /** Satoshis per 1000 virtual bytes, zero if anything may enter. `fill` is the share of the room that is used. */
  feerate(now: UnixSeconds, fill: number): number {
    if (this.#feerate === 0) return 0;
    if (!this.#blockSinceRise) return Math.round(this.#feerate);
    if (now > this.#updated + UPDATE_SECONDS) {
      const halfLife = HALF_LIFE_SECONDS / (fill < 1 / 4 ? 4 : fill < 1 / 2 ? 2 : 1);
      this.#feerate /= 2 ** ((now - this.#updated) / halfLife);
      this.#updated = now;
      if (this.#feerate < INCREMENTAL_FEERATE / 2) this.#feerate = 0;
    }
    return this.#feerate === 0 ? 0 : Math.max(Math.round(this.#feerate), INCREMENTAL_FEERATE);
  }
}
