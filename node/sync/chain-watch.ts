/**
 * Watches whether the peers that we chose follow the best chain. Whoever stays behind our tip is asked once more for its
 * headers and then gives its place to somebody else: an eclipse by peers on an old or a lighter chain does not last.
 * RULES.md C4, "chain-sync". Owns one deadline per watched peer; what a peer has comes from header-sync.
 *
 * Some peers that have shown our tip's work are protected for as long as they are linked, so that a node whose chain is
 * heavier than that of everybody else (its miner was fast, or the rest is cut off) does not drop all of them at once.
 */
import type { Millis, Now, PeerId } from '../boundary.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import type { Limits } from '../limits.ts';
import { earliest } from '../ports.ts';

interface Watched {
  /** Full links only: block-only ones are few, and each must be of use. */
  readonly protectable: boolean;
  protectedNow: boolean;
  /** Our tip when the peer was found behind it, and when that must have changed; undefined while it is not behind. */
  behind: { readonly tip: HeaderNode; readonly until: Millis; readonly asked: boolean } | undefined;
}

/** What is to be done about a peer: ask for headers from the parent of that block on, or end the link. */
export type ChainWatchStep =
  | { readonly type: 'ask'; readonly peer: PeerId; readonly from: HeaderNode }
  | { readonly type: 'disconnect'; readonly peer: PeerId; readonly reason: string };

export class ChainWatch {
  readonly #limits: Limits;
  readonly #peers = new Map<PeerId, Watched>();
  #protected = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** An outbound peer that we chose by ourselves, after its handshake. */
  add(peer: PeerId, protectable: boolean): void {
    this.#peers.set(peer, { protectable, protectedNow: false, behind: undefined });
  }

  remove(peer: PeerId): void {
    if (this.#peers.get(peer)?.protectedNow) this.#protected--;
    this.#peers.delete(peer);
  }

  /** Looks at all peers: after headers came and after the tip moved, and when a deadline has come. */
  check(tip: HeaderNode, best: (peer: PeerId) => HeaderNode | undefined, now: Now): ChainWatchStep[] {
    const steps: ChainWatchStep[] = [];
    for (const [peer, state] of this.#peers) {
      const work = best(peer)?.chainwork ?? 0n;
      if (work >= tip.chainwork) {
        state.behind = undefined;
        if (state.protectable && !state.protectedNow && this.#protected < this.#limits.maxProtectedOutbound) {
          state.protectedNow = true;
          this.#protected++;
        }
        continue;
      }
      if (state.protectedNow) continue;
      const { behind } = state;
      if (behind === undefined || work >= behind.tip.chainwork) {
        // Behind, or behind again: it has reached what our tip was, and that has grown meanwhile.
        state.behind = { tip, until: now.mono + this.#limits.chainSyncMs, asked: false };
      } else if (now.mono >= behind.until) {
        if (behind.asked) {
          steps.push({ type: 'disconnect', peer, reason: 'its chain stays behind ours' });
        } else {
          state.behind = { ...behind, until: now.mono + this.#limits.chainSyncAnswerMs, asked: true };
          steps.push({ type: 'ask', peer, from: behind.tip });
        }
      }
    }
    return steps;
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const { behind } of this.#peers.values()) next = earliest(next, behind?.until);
    return next;
  }
}
