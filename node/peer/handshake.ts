/**
 * The handshake of a link: version, feature messages, verack. RULES.md C2 (end) and C4.
 * Owns what a peer said of itself, and keeps every message from the other machines until the handshake is complete.
 *
 *   outbound  → version              inbound  ← version
 *             ← version                       → version, wtxidrelay, sendaddrv2, verack
 *             → wtxidrelay, sendaddrv2, verack
 *   both: complete at the other side's verack.
 */
import type { Direction, Endpoint, Millis, Now, PeerId } from '../boundary.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import type { Random } from '../ports.ts';
import { formatIp, ipFromBytes, ipToBytes16, parseIp } from '../wire/ip.ts';
import { type Message, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, type VersionMessage } from '../wire/message.ts';

/** From this version on a peer knows wtxidrelay (BIP 339) and sendaddrv2 (BIP 155); older ones may choke on them. */
const FEATURE_VERSION = 70016;

export interface HandshakeOptions {
  readonly limits: Limits;
  readonly random: Random;
  /** Our service bits and user agent, as sent in `version`. */
  readonly services: bigint;
  readonly userAgent: string;
}

/** A link at its start. */
export interface HandshakeLink {
  readonly direction: Direction;
  readonly remote: Endpoint;
  /** Service bits without which the peer is of no use to us. None for inbound links and manual targets. */
  readonly requiredServices?: bigint;
  /** False on a link that carries blocks only: we ask not to be told of transactions (BIP 37). */
  readonly relay?: boolean;
}

/** What a peer said of itself. */
export interface PeerVersion {
  readonly version: number;
  readonly services: bigint;
  /** Printable: letters, digits, spaces and `.,;-_/:?@()`; the rest was removed. */
  readonly userAgent: string;
  readonly startHeight: number;
  /** It wants to hear of transactions. */
  readonly relay: boolean;
  readonly wtxidRelay: boolean;
  readonly addrV2: boolean;
  /** Its clock less ours, in seconds. */
  readonly timeOffset: number;
  /** Our address as it sees it, if it told one. */
  readonly seenAs: Endpoint | undefined;
}

export interface HandshakeStep {
  readonly effects: readonly Effect[];
  /** Set by the message that completes the handshake. */
  readonly completed?: PeerVersion;
  /** The outbound link by which we reached ourselves; the effects disconnect both its ends. */
  readonly reachedSelf?: PeerId;
  /** False: the message is for the machines behind the handshake. */
  readonly handled: boolean;
}

interface Peer {
  readonly direction: Direction;
  readonly remote: Endpoint;
  readonly requiredServices: bigint;
  readonly relay: boolean;
  /** In our version on this link. */
  readonly nonce: bigint;
  readonly deadline: Millis;
  version: VersionMessage | undefined;
  timeOffset: number;
  wtxidRelay: boolean;
  addrV2: boolean;
  completed: PeerVersion | undefined;
}

export class Handshake {
  readonly #limits: Limits;
  readonly #random: Random;
  readonly #services: bigint;
  readonly #userAgent: string;
  readonly #peers = new Map<PeerId, Peer>();
  /** Links that are not through yet; all have the same time, so the first one ends first. */
  readonly #pending = new Map<PeerId, Millis>();

  constructor(options: HandshakeOptions) {
    this.#limits = options.limits;
    this.#random = options.random;
    this.#services = options.services;
    this.#userAgent = options.userAgent;
  }

  /** A new link. On an outbound one our version goes out at once. */
  add(peer: PeerId, link: HandshakeLink, tipHeight: number, now: Now): Effect[] {
    const deadline = now.mono + this.#limits.handshakeTimeoutMs;
    const state: Peer = {
      direction: link.direction,
      remote: link.remote,
      requiredServices: link.requiredServices ?? 0n,
      relay: link.relay ?? true,
      nonce: this.#random.u64(),
      deadline,
      version: undefined,
      timeOffset: 0,
      wtxidRelay: false,
      addrV2: false,
      completed: undefined,
    };
    this.#peers.set(peer, state);
    this.#pending.set(peer, deadline);
    return link.direction === 'outbound' ? [this.#ourVersion(peer, state, tipHeight, now)] : [];
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
    this.#pending.delete(peer);
  }

  onMessage(peer: PeerId, received: Message, tipHeight: number, now: Now): HandshakeStep {
    const state = this.#peers.get(peer);
    if (state === undefined) return IGNORED;
    switch (received.type) {
      case 'version':
        // A second version changes nothing.
        return state.version === undefined ? this.#onVersion(peer, state, received, tipHeight, now) : IGNORED;
      case 'verack':
        return state.version === undefined || state.completed ? IGNORED : this.#complete(peer, state, state.version);
      case 'wtxidrelay':
        if (state.completed) return late(peer);
        if (state.version !== undefined && state.version.version >= FEATURE_VERSION) state.wtxidRelay = true;
        return IGNORED;
      case 'sendaddrv2':
        if (state.completed) return late(peer);
        if (state.version !== undefined) state.addrV2 = true;
        return IGNORED;
      default:
        // What comes before its time is ignored, never answered: nothing leaks to a peer that has not introduced itself.
        return state.completed ? FOR_OTHERS : IGNORED;
    }
  }

  /** What the peer said of itself, once the handshake is complete. */
  completed(peer: PeerId): PeerVersion | undefined {
    return this.#peers.get(peer)?.completed;
  }

  /** Disconnects links whose handshake takes too long. */
  tick(now: Now): Effect[] {
    const effects: Effect[] = [];
    for (const [peer, deadline] of this.#pending) {
      if (deadline > now.mono) break;
      this.#pending.delete(peer);
      effects.push({ type: 'disconnect', peer, reason: 'handshake timeout' });
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    for (const deadline of this.#pending.values()) return deadline;
    return undefined;
  }

  #onVersion(peer: PeerId, state: Peer, received: VersionMessage, tipHeight: number, now: Now): HandshakeStep {
    const lacking = state.requiredServices & ~received.services;
    if (lacking !== 0n)
      return disconnect(peer, `does not offer the expected services (lacks 0x${lacking.toString(16)})`);
    if (received.version < MIN_PROTOCOL_VERSION) return disconnect(peer, `obsolete version ${received.version}`);
    if (state.direction === 'inbound') {
      const self = this.#linkWithNonce(received.nonce);
      if (self !== undefined) {
        const reason = 'connected to ourselves';
        return { ...disconnect(peer, reason, { type: 'disconnect', peer: self, reason }), reachedSelf: self };
      }
    }
    state.version = received;
    state.timeOffset = Number(received.time) - now.unix;
    const effects: Effect[] = [];
    if (state.direction === 'inbound') effects.push(this.#ourVersion(peer, state, tipHeight, now));
    if (received.version >= FEATURE_VERSION) {
      effects.push(message(peer, { type: 'wtxidrelay' }), message(peer, { type: 'sendaddrv2' }));
    }
    effects.push(message(peer, { type: 'verack' }));
    return { effects, handled: true };
  }

  #complete(peer: PeerId, state: Peer, version: VersionMessage): HandshakeStep {
    const ip = ipFromBytes(version.receiver.ip);
    const told = ip.bytes.some((byte) => byte !== 0);
    state.completed = {
      version: version.version,
      services: version.services,
      userAgent: printable(version.userAgent),
      startHeight: version.startHeight,
      relay: version.relay,
      wtxidRelay: state.wtxidRelay,
      addrV2: state.addrV2,
      timeOffset: state.timeOffset,
      seenAs: told ? { host: formatIp(ip), port: version.receiver.port } : undefined,
    };
    this.#pending.delete(peer);
    return { effects: [], completed: state.completed, handled: true };
  }

  #ourVersion(peer: PeerId, state: Peer, tipHeight: number, now: Now): Effect {
    const ip = parseIp(state.remote.host);
    return message(peer, {
      type: 'version',
      version: PROTOCOL_VERSION,
      services: this.#services,
      time: BigInt(now.unix),
      receiver: {
        services: 0n,
        ip: ip === undefined ? new Uint8Array(16) : ipToBytes16(ip),
        port: state.remote.port,
      },
      nonce: state.nonce,
      userAgent: this.#userAgent,
      startHeight: tipHeight,
      relay: state.relay,
    });
  }

  /** The outbound link on which we sent this nonce: whoever sends it to us is ourselves. */
  #linkWithNonce(nonce: bigint): PeerId | undefined {
    for (const [peer, state] of this.#peers) {
      if (state.direction === 'outbound' && !state.completed && state.nonce === nonce) return peer;
    }
    return undefined;
  }
}

const IGNORED: HandshakeStep = { effects: [], handled: true };
const FOR_OTHERS: HandshakeStep = { effects: [], handled: false };

/** Core's SanitizeString: what may safely be shown and logged. */
function printable(text: string): string {
  return text.replace(/[^A-Za-z0-9 .,;\-_/:?@()]/g, '');
}

function disconnect(peer: PeerId, reason: string, ...others: Effect[]): HandshakeStep {
  return { effects: [{ type: 'disconnect', peer, reason }, ...others], handled: true };
}

function late(peer: PeerId): HandshakeStep {
  return { effects: [{ type: 'misbehaved', peer, why: 'late-feature-message' }], handled: true };
}
