/**
 * How much of each peer's stream is held: messages that have come in part, and what waits for its turn, be it to be read or
 * to be answered. One peer may hold
 * most of a block there; a hundred peers that all begin a large message and never end it would fill the memory. So there is a
 * bound for all together, and above it the inbound peer that holds most goes. Owns the counts, not the bytes.
 */
import type { PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';

export class ReceiveBuffers {
  readonly #maxBytes: number;
  readonly #held = new Map<PeerId, number>();
  #total = 0;

  constructor(limits: Limits) {
    this.#maxBytes = limits.maxPartialBytes;
  }

  /** So many bytes of that peer are held now. True if all together are too much. */
  set(peer: PeerId, bytes: number): boolean {
    const before = this.#held.get(peer) ?? 0;
    if (bytes === 0) this.#held.delete(peer);
    else if (bytes !== before) this.#held.set(peer, bytes);
    this.#total += bytes - before;
    return this.#total > this.#maxBytes;
  }

  /** Of the peers that `mayGo`, the one that holds most. */
  largest(mayGo: (peer: PeerId) => boolean): PeerId | undefined {
    let largest: PeerId | undefined;
    let most = 0;
    for (const [peer, bytes] of this.#held) {
      if (bytes <= most || !mayGo(peer)) continue;
      most = bytes;
      largest = peer;
    }
    return largest;
  }

  size(peer: PeerId): number {
    return this.#held.get(peer) ?? 0;
  }

  remove(peer: PeerId): void {
    this.set(peer, 0);
  }
}
