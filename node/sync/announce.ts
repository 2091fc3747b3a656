/**
 * Tells peers of new blocks: by headers to those that asked for them (BIP 130) and can connect them, else by inv.
 * Owns what was announced to whom; which headers a peer has comes from header-sync.
 */
import type { PeerId } from '../boundary.ts';
import type { HeaderNode, HeaderTree } from '../chain/header-tree.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { INV_BLOCK } from '../wire/message.ts';

interface PeerAnnouncements {
  /** It sent `sendheaders`. */
  headers: boolean;
  /** The last header that we sent or announced to it. */
  sent: HeaderNode | undefined;
}

export class Announcements {
  readonly #tree: HeaderTree;
  readonly #limits: Limits;
  readonly #peers = new Map<PeerId, PeerAnnouncements>();

  constructor(tree: HeaderTree, limits: Limits) {
    this.#tree = tree;
    this.#limits = limits;
  }

  add(peer: PeerId): void {
    this.#peers.set(peer, { headers: false, sent: undefined });
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
  }

  onSendHeaders(peer: PeerId): void {
    const state = this.#peers.get(peer);
    if (state !== undefined) state.headers = true;
  }

  /** We answered getheaders with headers up to this one. */
  onServed(peer: PeerId, last: HeaderNode): void {
    const state = this.#peers.get(peer);
    if (state !== undefined) state.sent = last;
  }

  /** The chain has a new tip. `fresh` are the connected nodes, ascending; `best(peer)` is what the peer is known to have. */
  onTip(fresh: readonly HeaderNode[], best: (peer: PeerId) => HeaderNode | undefined): Effect[] {
    const tip = fresh[fresh.length - 1];
    if (tip === undefined) return [];
    const effects: Effect[] = [];
    for (const [peer, state] of this.#peers) {
      const has = (node: HeaderNode) =>
        [best(peer), state.sent].some((end) => end !== undefined && this.#tree.contains(end, node));
      const missing = fresh.filter((node) => !has(node));
      const first = missing[0];
      if (first === undefined) continue;
      const connects = first.parent !== null && has(first.parent);
      if (state.headers && connects && missing.length <= this.#limits.maxAnnouncedHeaders) {
        effects.push(message(peer, { type: 'headers', headers: missing.map((node) => node.header) }));
      } else {
        effects.push(message(peer, { type: 'inv', items: [{ kind: INV_BLOCK, hash: tip.hash }] }));
      }
      state.sent = tip;
    }
    return effects;
  }
}
