/**
 * Keeps links alive and measures them: a ping now and then, an answer to every ping, and an end to links that are silent
 * or whose pong does not come (BIP 31, RULES.md C4).
 */
import type { Millis, Now, PeerId } from '../boundary.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { earliest, type Random } from '../ports.ts';

export interface RoundTrip {
  readonly lastMs: Millis | undefined;
  readonly minMs: Millis | undefined;
  /** How long the ping under way has been unanswered. */
  readonly waitingMs: Millis | undefined;
}

interface Peer {
  /** The nonce of the ping under way. */
  nonce: bigint | undefined;
  /** When the last ping left. */
  sentAt: Millis;
  heardAt: Millis;
  lastMs: Millis | undefined;
  minMs: Millis | undefined;
}

export class Pings {
  readonly #limits: Limits;
  readonly #random: Random;
  readonly #peers = new Map<PeerId, Peer>();
  /** Not later than the first thing that is due. It may be too early (a peer was heard meanwhile), and a tick corrects it. */
  #wakeAt: Millis | undefined;

  constructor(options: { readonly limits: Limits; readonly random: Random }) {
    this.#limits = options.limits;
    this.#random = options.random;
  }

  /** A peer whose handshake is complete. The first ping goes out at once. */
  add(peer: PeerId, now: Now): Effect[] {
    const state: Peer = { nonce: undefined, sentAt: now.mono, heardAt: now.mono, lastMs: undefined, minMs: undefined };
    this.#peers.set(peer, state);
    const ping = this.#ping(peer, state, now);
    this.#wakeAt = earliest(this.#wakeAt, this.#dueAt(state));
    return [ping];
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
    if (this.#peers.size === 0) this.#wakeAt = undefined;
  }

  onPing(peer: PeerId, nonce: bigint): Effect[] {
    return [message(peer, { type: 'pong', nonce })];
  }

  /** A pong with another nonce answers a ping of somebody else's imagination and is ignored. */
  onPong(peer: PeerId, nonce: bigint, now: Now): void {
    const state = this.#peers.get(peer);
    if (state === undefined || state.nonce !== nonce) return;
    state.nonce = undefined;
    state.lastMs = now.mono - state.sentAt;
    state.minMs = Math.min(state.minMs ?? state.lastMs, state.lastMs);
    this.#wakeAt = earliest(this.#wakeAt, this.#dueAt(state));
  }

  /** Bytes came from the peer. */
  onTraffic(peer: PeerId, now: Now): void {
    const state = this.#peers.get(peer);
    if (state !== undefined) state.heardAt = now.mono;
  }

  rtt(peer: PeerId, now: Now): RoundTrip {
    const state = this.#peers.get(peer);
    const waitingMs = state?.nonce === undefined ? undefined : now.mono - state.sentAt;
    return { lastMs: state?.lastMs, minMs: state?.minMs, waitingMs };
  }

  /** Pings everybody at once, as a user wants; an answer to an earlier ping no longer counts. */
  pingAll(now: Now): Effect[] {
    return [...this.#peers].map(([peer, state]) => this.#ping(peer, state, now));
  }

  tick(now: Now): Effect[] {
    if (this.#wakeAt === undefined || now.mono < this.#wakeAt) return [];
    const effects: Effect[] = [];
    this.#wakeAt = undefined;
    for (const [peer, state] of this.#peers) {
      if (now.mono >= state.heardAt + this.#limits.inactivityTimeoutMs) {
        effects.push({ type: 'disconnect', peer, reason: 'nothing was received for too long' });
        continue;
      }
      if (state.nonce !== undefined && now.mono >= state.sentAt + this.#limits.pingTimeoutMs) {
        effects.push({ type: 'disconnect', peer, reason: 'ping timeout' });
        continue;
      }
      if (state.nonce === undefined && now.mono >= state.sentAt + this.#limits.pingIntervalMs) {
        effects.push(this.#ping(peer, state, now));
      }
      this.#wakeAt = earliest(this.#wakeAt, this.#dueAt(state));
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    return this.#wakeAt;
  }

  #ping(peer: PeerId, state: Peer, now: Now): Effect {
    state.nonce = this.#random.u64();
    state.sentAt = now.mono;
    return message(peer, { type: 'ping', nonce: state.nonce });
  }

  #dueAt(state: Peer): Millis {
    const wait = state.nonce === undefined ? this.#limits.pingIntervalMs : this.#limits.pingTimeoutMs;
    return Math.min(state.sentAt + wait, state.heardAt + this.#limits.inactivityTimeoutMs);
  }
}
