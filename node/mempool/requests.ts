/**
 * Which peer is asked for which announced transaction, and when. RULES.md C4, "tx request":
 * - one peer at a time is asked for a transaction; the next one after an answer that was none, or a timeout;
 * - a peer is asked for a transaction once; only when all that announced it have failed, it may be announced anew;
 * - not before the delay that the announcement came with; among those that can be asked, first an outbound one, then one by
 *   chance, so that an attacker who announces quickly and does not answer cannot hold a transaction back for long;
 * - a peer may have limits.maxTxAnnouncementsPerPeer announcements here.
 */
import type { Millis, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { below, earliest, type Random } from '../ports.ts';
import { Heap } from './heap.ts';

/** What the hash is of. */
export type HashKind = 'txid' | 'wtxid';

export interface Announcement {
  readonly peer: PeerId;
  readonly kind: HashKind;
  readonly hash: string;
  /** Outbound peers: an attacker finds it harder to be one of them. */
  readonly preferred: boolean;
  /** Not to be asked before. */
  readonly readyAt: Millis;
}

interface Tracked extends Announcement {
  /** Counts up: parents are announced before their children and are to be asked for before them. */
  readonly order: number;
  /** `failed`: the peer was asked and did not have it, or did not answer; it is not asked again. */
  state: 'candidate' | 'requested' | 'failed';
  /** When the answer is given up. */
  expires: Millis;
}

export class TxRequests {
  readonly #limits: Limits;
  readonly #random: Random;
  readonly #byHash = new Map<string, Tracked[]>();
  readonly #byPeer = new Map<PeerId, Set<Tracked>>();
  /** Hashes that nobody is asked for, by the time from which somebody can be; equal times in the order of announcement. */
  readonly #waiting = new Heap<string>();
  /** Hashes that somebody is asked for, by the time at which the answer is given up. */
  readonly #asked = new Heap<string>();
  readonly #inFlight = new Map<PeerId, number>();
  #lastOrder = 0;
  /** More could be asked for than there was room: a call of `due` with more room is what helps, not time. */
  #outOfRoom = false;

  constructor(options: { readonly limits: Limits; readonly random: Random }) {
    this.#limits = options.limits;
    this.#random = options.random;
  }

  /** Transactions that were asked for and have not come. */
  get size(): number {
    return this.#asked.size;
  }

  /** Announcements of the peer that are held. */
  announced(peer: PeerId): number {
    return this.#byPeer.get(peer)?.size ?? 0;
  }

  inFlight(peer: PeerId): number {
    return this.#inFlight.get(peer) ?? 0;
  }

  /** A peer has a transaction. Passed over if it said so before or says too much. */
  announce(announcement: Announcement): void {
    const { peer, hash } = announcement;
    const others = this.#byHash.get(hash);
    const own = this.#byPeer.get(peer);
    if (others?.some((other) => other.peer === peer)) return;
    if (own !== undefined && own.size >= this.#limits.maxTxAnnouncementsPerPeer) return;
    this.#lastOrder += 1;
    const tracked: Tracked = { ...announcement, order: this.#lastOrder, state: 'candidate', expires: 0 };
    if (others === undefined) this.#byHash.set(hash, [tracked]);
    else others.push(tracked);
    if (own === undefined) this.#byPeer.set(peer, new Set([tracked]));
    else own.add(tracked);
    this.#schedule(hash);
  }

  /** The peer has answered, with the transaction or without: it is not asked for it again. */
  onAnswer(peer: PeerId, hash: string): void {
    const tracked = this.#byHash.get(hash)?.find((other) => other.peer === peer);
    if (tracked === undefined) return;
    this.#fail(tracked);
    this.#schedule(hash);
  }

  /** The transaction is no longer wanted from anyone. */
  forget(hash: string): void {
    for (const tracked of this.#byHash.get(hash) ?? []) this.#drop(tracked);
    this.#byHash.delete(hash);
    this.#waiting.delete(hash);
    this.#asked.delete(hash);
  }

  removePeer(peer: PeerId): void {
    for (const tracked of [...(this.#byPeer.get(peer) ?? [])]) {
      this.#drop(tracked);
      const rest = this.#byHash.get(tracked.hash)?.filter((other) => other !== tracked) ?? [];
      this.#byHash.set(tracked.hash, rest);
      this.#schedule(tracked.hash);
    }
    this.#byPeer.delete(peer);
    this.#inFlight.delete(peer);
  }

  /**
   * Whom to ask for what now, in the order of announcement: at most `room` transactions. What is `unwanted` is forgotten
   * instead. Each counts as asked from now on.
   */
  due(room: number, unwanted: (kind: HashKind, hash: string) => boolean, now: Millis): readonly Announcement[] {
    for (let hash = this.#asked.peek(); (this.#asked.peekKey() ?? Infinity) <= now; hash = this.#asked.peek()) {
      for (const tracked of this.#byHash.get(hash as string) ?? []) {
        if (tracked.state === 'requested') this.#fail(tracked);
      }
      this.#schedule(hash as string);
    }
    const requests: Announcement[] = [];
    this.#outOfRoom = false;
    for (let hash = this.#waiting.peek(); (this.#waiting.peekKey() ?? Infinity) <= now; hash = this.#waiting.peek()) {
      const chosen = this.#choose(hash as string, now);
      if (unwanted(chosen.kind, chosen.hash)) {
        this.forget(chosen.hash);
        continue;
      }
      if (requests.length >= room) {
        this.#outOfRoom = true;
        break;
      }
      chosen.state = 'requested';
      chosen.expires = now + this.#limits.txRequestTimeoutMs;
      this.#inFlight.set(chosen.peer, this.inFlight(chosen.peer) + 1);
      this.#schedule(chosen.hash);
      requests.push(chosen);
    }
    return requests;
  }

  nextDeadline(): Millis | undefined {
    return earliest(this.#asked.peekKey(), this.#outOfRoom ? undefined : this.#waiting.peekKey());
  }

  /** One of those that can be asked now: there is one. */
  #choose(hash: string, now: Millis): Tracked {
    const ready = (this.#byHash.get(hash) as Tracked[]).filter(
      ({ state, readyAt }) => state === 'candidate' && readyAt <= now,
    );
    const preferred = ready.filter((tracked) => tracked.preferred);
    const pool = preferred.length > 0 ? preferred : ready;
    return pool[below(this.#random, pool.length)] as Tracked;
  }

  /** Puts a hash where the states of its announcements say that it belongs; forgets it when all have failed. */
  #schedule(hash: string): void {
    const announcements = this.#byHash.get(hash) ?? [];
    const asked = announcements.find(({ state }) => state === 'requested');
    if (asked !== undefined) {
      this.#waiting.delete(hash);
      this.#asked.set(hash, asked.expires);
      return;
    }
    this.#asked.delete(hash);
    const times = announcements.filter(({ state }) => state === 'candidate').map(({ readyAt }) => readyAt);
    if (times.length === 0) this.forget(hash);
    else this.#waiting.set(hash, Math.min(...times), announcements[0]?.order);
  }

  #fail(tracked: Tracked): void {
    this.#release(tracked);
    tracked.state = 'failed';
  }

  #drop(tracked: Tracked): void {
    this.#release(tracked);
    this.#byPeer.get(tracked.peer)?.delete(tracked);
  }

  #release(tracked: Tracked): void {
    if (tracked.state === 'requested') this.#inFlight.set(tracked.peer, this.inFlight(tracked.peer) - 1);
  }
}
