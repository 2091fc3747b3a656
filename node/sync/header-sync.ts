/**
 * Headers first: asks peers for the headers that they have and we lack, and knows the best header of each peer.
 * Owns the requests under way and what each peer is known to have; the tree itself belongs to chain/.
 *
 * While the chain is far behind, one peer at a time is asked (all would send the same); after that every new peer is.
 * A request that is not answered in time costs the link, so that a silent peer cannot hold the sync.
 */
import type { BlockHeader } from '../../consensus/block.ts';
import type { BlockHash } from '../../consensus/brand.ts';
import { workOf } from '../../consensus/pow.ts';
import type { Millis, Now, PeerId } from '../boundary.ts';
import type { HeaderNode, HeaderTree } from '../chain/header-tree.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { PROTOCOL_VERSION } from '../wire/message.ts';

const NO_STOP = '0'.repeat(64) as BlockHash;

interface PeerHeaders {
  /** The header with most work that the peer is known to have. */
  best: HeaderNode | undefined;
  /** When the answer to our getheaders is overdue; undefined if none is expected. */
  deadline: Millis | undefined;
  /** It answered the first request after the handshake, so it has been asked for everything once. */
  caughtUp: boolean;
  /** Headers of full messages that ended below what a branch must reach to matter. */
  lowWorkHeaders: number;
}

export interface HeadersResult {
  readonly effects: readonly Effect[];
  /** Nodes that the tree did not have before, ascending. */
  readonly added: readonly HeaderNode[];
}

export class HeaderSync {
  readonly #tree: HeaderTree;
  readonly #limits: Limits;
  readonly #peers = new Map<PeerId, PeerHeaders>();

  constructor(tree: HeaderTree, limits: Limits) {
    this.#tree = tree;
    this.#limits = limits;
  }

  /** A peer whose handshake is done. Nothing is sent before `schedule`. */
  add(peer: PeerId): void {
    this.#peers.set(peer, { best: undefined, deadline: undefined, caughtUp: false, lowWorkHeaders: 0 });
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
  }

  /** The best header that the peer is known to have. */
  best(peer: PeerId): HeaderNode | undefined {
    return this.#peers.get(peer)?.best;
  }

  /** The peer showed that it has this header (a block, an inv, a getdata answer). */
  onKnown(peer: PeerId, node: HeaderNode): void {
    const state = this.#peers.get(peer);
    if (state === undefined || node.invalid !== false) return;
    // A best that has become invalid since is no measure for what the peer has now.
    const { best } = state;
    if (best === undefined || best.invalid !== false || node.chainwork > best.chainwork) state.best = node;
  }

  /** A peer has answered in full: what we know of the best chain is not only what we had ourselves. */
  get anyCaughtUp(): boolean {
    for (const { caughtUp } of this.#peers.values()) if (caughtUp) return true;
    return false;
  }

  /** Asks those peers that have not been asked yet: one at a time while `initialSync`. */
  schedule(initialSync: boolean, now: Now): Effect[] {
    const effects: Effect[] = [];
    let waiting = false;
    for (const state of this.#peers.values()) waiting ||= state.deadline !== undefined;
    for (const [peer, state] of this.#peers) {
      if (state.best !== undefined && state.best.invalid !== false) {
        // It may be on another branch than the one that failed: it is asked again, once.
        state.best = undefined;
        state.caughtUp = false;
      }
      if (initialSync && waiting) continue;
      if (state.caughtUp || state.deadline !== undefined) continue;
      waiting = true;
      effects.push(...this.#request(peer, state, this.#tree.best, now));
    }
    return effects;
  }

  /** The peer announced a block that we do not know, by inv or by a header whose parent is missing. */
  onUnknownBlock(peer: PeerId, now: Now): Effect[] {
    const state = this.#peers.get(peer);
    if (state === undefined || state.deadline !== undefined) return [];
    return this.#request(peer, state, this.#tree.best, now);
  }

  /** Asks for what the peer has from the parent of that header on: it seems to be behind. */
  ask(peer: PeerId, from: HeaderNode, now: Now): Effect[] {
    const state = this.#peers.get(peer);
    return state === undefined || state.deadline !== undefined ? [] : this.#request(peer, state, from, now);
  }

  /** Takes a `headers` message. `tip` is the tip of our chain, for the low-work rule. */
  onHeaders(peer: PeerId, headers: readonly BlockHeader[], tip: HeaderNode, now: Now): HeadersResult {
    const state = this.#peers.get(peer);
    if (state === undefined) return { effects: [], added: [] };
    const first = headers[0];
    if (first === undefined) {
      state.deadline = undefined;
      state.caughtUp = true;
      return { effects: [], added: [] };
    }
    for (let i = 1; i < headers.length; i++) {
      if (headers[i]?.prevHash !== headers[i - 1]?.hash) {
        return { effects: [{ type: 'misbehaved', peer, why: 'discontinuous-headers' }], added: [] };
      }
    }
    const full = headers.length === this.#limits.maxHeadersPerMessage;
    const parent = this.#tree.get(first.prevHash);
    if (parent === undefined) return { effects: this.onUnknownBlock(peer, now), added: [] };
    state.deadline = undefined;
    if (!full) state.caughtUp = true;
    if (this.#tooLittleWork(parent, headers, tip)) {
      // Without pre-synchronisation a long branch has to be stored to see where it ends: there is a bound to that.
      if (!full) return { effects: [], added: [] };
      state.lowWorkHeaders += headers.length;
      if (state.lowWorkHeaders > this.#limits.maxLowWorkHeaders) {
        return { effects: [{ type: 'disconnect', peer, reason: 'sends headers with too little work' }], added: [] };
      }
    }
    const added: HeaderNode[] = [];
    let last = parent;
    for (const header of headers) {
      const known = this.#tree.get(header.hash) !== undefined;
      const result = this.#tree.add(header, now.unix);
      if (!result.ok) {
        this.onKnown(peer, last);
        // What it has beyond cannot be used; new blocks come by announcement. Asking again would bring the same.
        state.caughtUp = true;
        // A time too far ahead is the clock's fault, ours or the sender's: misbehaviour.ts does not punish it.
        return { effects: [{ type: 'misbehaved', peer, why: result.error }], added };
      }
      last = result.value;
      if (!known) added.push(last);
    }
    this.onKnown(peer, last);
    return { effects: full ? this.#request(peer, state, last, now) : [], added };
  }

  /** Drops peers that owe an answer. */
  tick(now: Now): Effect[] {
    const effects: Effect[] = [];
    for (const [peer, state] of this.#peers) {
      if (state.deadline !== undefined && state.deadline <= now.mono) {
        state.deadline = undefined;
        effects.push({ type: 'disconnect', peer, reason: 'did not answer getheaders' });
      }
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const { deadline } of this.#peers.values()) {
      if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline;
    }
    return next;
  }

  #request(peer: PeerId, state: PeerHeaders, from: HeaderNode, now: Now): Effect[] {
    state.deadline = now.mono + this.#limits.headersTimeoutMs;
    // Core starts one below, so that a peer with exactly our best header still answers with one and shows that it has it.
    const locator = this.#tree.locator(from.parent ?? from);
    return [message(peer, { type: 'getheaders', version: PROTOCOL_VERSION, locator, stop: NO_STOP })];
  }

  /** RULES A4 row 11 and C4: a short branch that ends more than 144 blocks of work below our tip is not stored. */
  #tooLittleWork(parent: HeaderNode, headers: readonly BlockHeader[], tip: HeaderNode): boolean {
    const workOfTipBlock = tip.parent === null ? 0n : tip.chainwork - tip.parent.chainwork;
    const floor = tip.chainwork - 144n * workOfTipBlock;
    const end = this.#tree.get(headers[headers.length - 1]?.hash as BlockHash);
    if (end !== undefined) return false;
    let work = parent.chainwork;
    for (const header of headers) work += workOf(header.bits);
    return work < floor;
  }
}
