/**
 * Fetches block bodies from several peers at once. Owns the requests under way; which headers a peer has comes from
 * header-sync, what is stored from the tree. Numbers: RULES.md C4, "block download".
 *
 * A peer is asked for blocks on the way to its best header, at most `blocksInFlightPerPeer` at a time and never further
 * than `blockWindow` above the last block that it shares with what we have. When the window of a willing peer is full
 * only because another peer owes its first block, that other peer is the staller and soon loses its link.
 */
import type { BlockHash } from '../../consensus/brand.ts';
import type { Millis, Now, PeerId } from '../boundary.ts';
import type { HeaderNode, HeaderTree } from '../chain/header-tree.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { INV_WITNESS_BLOCK, type Inventory } from '../wire/message.ts';

interface Request {
  readonly peer: PeerId;
  readonly node: HeaderNode;
}

interface PeerDownload {
  /** Hashes asked for, oldest first. */
  readonly inFlight: Set<BlockHash>;
  /** The last block that the peer has and we have, or are past. */
  common: HeaderNode | undefined;
  /** When the oldest request became the oldest. */
  since: Millis;
  /** Set while this peer holds up the window of another. */
  stallingSince: Millis | undefined;
  /** Blocks that it announced and then did not have: it is asked for nothing behind them. */
  readonly lacks: Set<BlockHash>;
}

/** What download needs to know of the chain, asked when it is needed. */
export interface DownloadView {
  readonly tip: HeaderNode;
  /** Bodies of branches that are only as good as the tip would not be kept. */
  readonly forksAreFull: boolean;
  /** Bodies wait to be connected: more are fetched no further ahead than the next few. */
  readonly isBehind: boolean;
  /** The best header known of that peer. */
  best(peer: PeerId): HeaderNode | undefined;
}

export class BlockDownload {
  readonly #tree: HeaderTree;
  readonly #limits: Limits;
  readonly #peers = new Map<PeerId, PeerDownload>();
  readonly #requests = new Map<BlockHash, Request>();
  #stallMs: Millis;

  constructor(tree: HeaderTree, limits: Limits) {
    this.#tree = tree;
    this.#limits = limits;
    this.#stallMs = limits.stallMinMs;
  }

  add(peer: PeerId): void {
    this.#peers.set(peer, {
      inFlight: new Set(),
      common: undefined,
      since: 0,
      stallingSince: undefined,
      lacks: new Set(),
    });
  }

  /** What the peer owed may be asked of others at the next `schedule`. */
  remove(peer: PeerId): void {
    for (const hash of this.#peers.get(peer)?.inFlight ?? []) this.#requests.delete(hash);
    this.#peers.delete(peer);
  }

  inFlight(peer: PeerId): readonly HeaderNode[] {
    return [...(this.#peers.get(peer)?.inFlight ?? [])].map((hash) => (this.#requests.get(hash) as Request).node);
  }

  /** A body came from the peer, whatever it is worth. True if this peer had been asked for it. */
  onBlock(peer: PeerId, hash: BlockHash, now: Now): boolean {
    const asked = this.#requests.get(hash)?.peer === peer;
    if (asked) this.#forget(hash, peer, now);
    return asked;
  }

  /** The body is stored, whoever brought it: nobody needs to any more. */
  onStored(hash: BlockHash, now: Now): void {
    const request = this.#requests.get(hash);
    if (request !== undefined) this.#forget(hash, request.peer, now);
  }

  /** The peer does not have these blocks after all: others are asked. */
  onNotFound(peer: PeerId, hashes: readonly BlockHash[], now: Now): void {
    const state = this.#peers.get(peer);
    for (const hash of hashes) {
      if (state === undefined || this.#requests.get(hash)?.peer !== peer) continue;
      this.#forget(hash, peer, now);
      if (state.lacks.size < this.#limits.blockWindow) state.lacks.add(hash);
    }
  }

  /** A block was connected: the stall timeout decays towards its minimum. */
  onConnected(): void {
    this.#stallMs = Math.max(this.#limits.stallMinMs, this.#stallMs * 0.85);
  }

  /** Asks every peer for as much as it may be asked for. */
  schedule(view: DownloadView, now: Now): Effect[] {
    const effects: Effect[] = [];
    for (const [peer, state] of this.#peers) {
      const room = this.#limits.blocksInFlightPerPeer - state.inFlight.size;
      const best = view.best(peer);
      if (room <= 0 || best === undefined) continue;
      if (view.forksAreFull && best.chainwork <= view.tip.chainwork) continue;
      const { wanted, staller } = this.#wanted(state, best, view, room);
      if (wanted.length > 0) {
        if (state.inFlight.size === 0) state.since = now.mono;
        const items: Inventory[] = [];
        for (const node of wanted) {
          state.inFlight.add(node.hash);
          this.#requests.set(node.hash, { peer, node });
          items.push({ kind: INV_WITNESS_BLOCK, hash: node.hash });
        }
        effects.push(message(peer, { type: 'getdata', items }));
      } else if (staller !== undefined && staller !== peer && state.inFlight.size === 0) {
        const other = this.#peers.get(staller);
        if (other !== undefined) other.stallingSince ??= now.mono;
      }
    }
    return effects;
  }

  /** Drops stallers and peers whose oldest request is overdue. */
  tick(now: Now): Effect[] {
    const effects: Effect[] = [];
    for (const [peer, state] of this.#peers) {
      if (state.stallingSince !== undefined && now.mono >= state.stallingSince + this.#stallMs) {
        // Doubling keeps a slow line of our own from costing us every peer in turn.
        this.#stallMs = Math.min(this.#limits.stallMaxMs, this.#stallMs * 2);
        state.stallingSince = undefined;
        effects.push({ type: 'disconnect', peer, reason: 'stalls block download' });
      } else if (state.inFlight.size > 0 && now.mono >= this.#overdue(state)) {
        effects.push({ type: 'disconnect', peer, reason: 'block download timed out' });
      }
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const state of this.#peers.values()) {
      const stalled = state.stallingSince === undefined ? undefined : state.stallingSince + this.#stallMs;
      const overdue = state.inFlight.size === 0 ? undefined : this.#overdue(state);
      for (const at of [stalled, overdue]) if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /** Half the base time more for each other peer that is sending to us at the same time. */
  #overdue(state: PeerDownload): Millis {
    let others = -1;
    for (const { inFlight } of this.#peers.values()) if (inFlight.size > 0) others++;
    return state.since + this.#limits.blockTimeoutMs * (1 + 0.5 * Math.max(0, others));
  }

  #forget(hash: BlockHash, peer: PeerId, now: Now): void {
    this.#requests.delete(hash);
    const state = this.#peers.get(peer);
    if (state === undefined) return;
    // The clock of the oldest request starts anew only when that one is answered.
    const [oldest] = state.inFlight;
    if (oldest === hash) state.since = now.mono;
    state.inFlight.delete(hash);
    state.stallingSince = undefined;
  }

  #wanted(
    state: PeerDownload,
    best: HeaderNode,
    { tip, isBehind }: DownloadView,
    room: number,
  ): { wanted: HeaderNode[]; staller: PeerId | undefined } {
    const none = { wanted: [], staller: undefined };
    if (best.chainwork < tip.chainwork || best.invalid !== false || best === tip) return none;
    // Every ancestor of `common` has its body here: it begins on our chain and moves up over stored bodies only. The peer may
    // have changed its branch since.
    state.common ??= this.#tree.ancestor(tip, Math.min(best.height, tip.height));
    state.common = this.#tree.commonAncestor(state.common, best);
    const wanted: HeaderNode[] = [];
    let staller: PeerId | undefined;
    // However far behind the chain is, the block that it waits for is asked for.
    const ahead = isBehind ? tip.height + this.#limits.verifyWindowBlocks : best.height;
    const last = Math.min(best.height, state.common.height + this.#limits.blockWindow, ahead);
    let advancing = true;
    for (const node of this.#path(state.common, best, last)) {
      if (node.invalid !== false || state.lacks.has(node.hash)) break;
      if (node.place !== undefined) {
        if (advancing) state.common = node;
        continue;
      }
      advancing = false;
      const request = this.#requests.get(node.hash);
      if (request !== undefined) {
        staller ??= request.peer;
        continue;
      }
      wanted.push(node);
      if (wanted.length === room) return { wanted, staller: undefined };
    }
    return { wanted, staller: last < best.height && !isBehind ? staller : undefined };
  }

  /** The nodes above `common` on the way to `best`, ascending, up to height `last`. */
  #path(common: HeaderNode, best: HeaderNode, last: number): HeaderNode[] {
    const path: HeaderNode[] = [];
    let node: HeaderNode | null = this.#tree.ancestor(best, last);
    while (node !== null && node.height > common.height) {
      path.push(node);
      node = node.parent;
    }
    return path.reverse();
  }
}
