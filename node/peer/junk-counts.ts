/**
 * Messages that cost us work and tell us nothing. Core ignores them without end; here a peer may send a limited number a
 * minute, so that garbage with valid frames is no free way to keep a node busy.
 */
import type { Millis, Now, PeerId } from '../boundary.ts';
import type { Effect } from '../effect.ts';
import type { Limits } from '../limits.ts';

const MINUTE_MS = 60_000;

interface Count {
  since: Millis;
  messages: number;
}

export class JunkCounts {
  readonly #maxPerMinute: number;
  readonly #counts = new Map<PeerId, Count>();

  constructor(limits: Limits) {
    this.#maxPerMinute = limits.maxJunkPerMinute;
  }

  /** A message that was skipped by the frame, could not be decoded, or has an unknown command. */
  onJunk(peer: PeerId, now: Now): Effect[] {
    let count = this.#counts.get(peer);
    if (count === undefined || now.mono >= count.since + MINUTE_MS) {
      count = { since: now.mono, messages: 0 };
      this.#counts.set(peer, count);
    }
    count.messages++;
    return count.messages > this.#maxPerMinute ? [{ type: 'misbehaved', peer, why: 'too-much-junk' }] : [];
  }

  remove(peer: PeerId): void {
    this.#counts.delete(peer);
  }
}
