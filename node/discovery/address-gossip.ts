/**
 * Talk about addresses: our own are announced, what peers tell is rated, passed on and handed to the address manager, and
 * getaddr is asked and answered. RULES.md C4, row "addr". Owns what each peer knows, what waits to be told to it, and the
 * answers to getaddr; which addresses are ours is known by own-addresses.ts.
 *
 * Who takes part depends on the kind of link:
 * - inbound: once it has sent addr or getaddr. Until then it may be a light client that has no use for addresses, and what is
 *   passed on to it would be lost.
 * - full relay and manual: from the start; asked once.
 * - address fetch: asked, and left when it has answered (`fetched`). It hears of us, but nothing is passed on to it.
 * - block-only: not at all, and what it tells is ignored, since by watching the flow of addresses an observer could find such
 *   links. Feelers neither.
 */
import { sha256 } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import { Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { ConnectionKind, Endpoint, Millis, Now, PeerId, Transport } from '../boundary.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { below, earliest, exponential, type Random, shuffled } from '../ports.ts';
import { RollingSet } from '../rolling-set.ts';
import { fitsAddr } from '../wire/address.ts';
import { canonicalHost } from '../wire/ip.ts';
import { type AddressNetwork, type GossipAddress, SERVICE_NETWORK } from '../wire/message.ts';
import { addressKey, endpointKey, isLoopback, isRoutable, plausibleTime } from './address-rules.ts';
import type { OwnAddresses } from './own-addresses.ts';

/** Only addresses seen within this time are passed on, so that gossip dies out. */
const FRESH_SECONDS = 10 * 60;
/** An address goes to the same peers for so long. */
const ROTATION_SECONDS = 24 * 3600;
/** Local ends for which an answer to getaddr is kept: more than a node listens on. */
const MAX_ANSWERS = 16;
/** What a peer's record, and an address that waits for it, take in memory besides the table of what it knows; measured. */
const PEER_BYTES = 800;
const QUEUED_BYTES = 200;

/** Networks that we can dial. */
const REACHABLE: readonly AddressNetwork[] = ['ipv4', 'ipv6', 'wss'];

export interface AddressGossipOptions {
  readonly limits: Limits;
  readonly params: ChainParams;
  readonly random: Random;
  /** What is announced, with these service bits, and what is never taken from others. */
  readonly own: OwnAddresses;
  readonly services: bigint;
  /** False (--no-pex): nothing is asked, answered, announced or passed on, and what comes is ignored. */
  readonly pex: boolean;
  /** We want no links with that host (bans.ts): nobody is told of it, and who tells of it tells us nothing. */
  readonly isShunned: (host: string) => boolean;
}

export interface GossipLink {
  readonly kind: ConnectionKind;
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** The peer sent sendaddrv2. */
  readonly addrV2: boolean;
}

/** What the address manager is to the answer of getaddr. */
export interface KnownAddresses {
  readonly size: number;
  /** Random addresses of good standing, drawn afresh by each call, as many as one answer may tell. */
  sample(now: Now): readonly GossipAddress[];
}

export interface AddressesResult {
  readonly effects: readonly Effect[];
  /** For the address manager: what the rate limit let through and can be routed. */
  readonly learned: readonly GossipAddress[];
  /** Where the peer itself listens, as an inbound peer tells in its first message. For Dialer.onInboundEndpoint. */
  readonly listens: readonly Endpoint[];
  /** The peer of an address fetch has answered: it may be left. */
  readonly fetched: boolean;
}

/** An address and what stands for it where it is remembered: 32 bits of a keyed hash. */
interface Tagged {
  readonly address: GossipAddress;
  readonly tag: number;
  /** It means the machine of whoever dials it. */
  readonly onLoopback: boolean;
}

interface Peer {
  readonly kind: ConnectionKind;
  readonly host: string;
  readonly onLoopback: boolean;
  readonly addrV2: boolean;
  /** The local end, as far as answers to getaddr differ by it. */
  readonly end: string;
  /** It takes part: our own addresses and those of others are told to it. */
  enabled: boolean;
  /** Tags of addresses that the peer told us or that we told it. */
  readonly known: RollingSet;
  /** What will be told at `flushAt`. */
  readonly queue: Tagged[];
  flushAt: Millis | undefined;
  /** When our own addresses are announced again; undefined before the first time. */
  announceAt: Millis | undefined;
  tokens: number;
  tokensAt: Millis;
  /** It was answered a getaddr: once is enough. */
  answered: boolean;
  /** We asked and the answer has not come; what it brings is not news to pass on. */
  asked: boolean;
  spoke: boolean;
  processed: number;
  rateLimited: number;
}

const NOTHING: AddressesResult = { effects: [], learned: [], listens: [], fetched: false };

export class AddressGossip {
  readonly #limits: Limits;
  readonly #params: ChainParams;
  readonly #random: Random;
  readonly #own: OwnAddresses;
  readonly #services: bigint;
  readonly #pex: boolean;
  readonly #isShunned: (host: string) => boolean;
  /** Keys the tags, and the choice of the peers to which an address is passed on. */
  readonly #secret: Bytes;
  readonly #peers = new Map<PeerId, Peer>();
  /** Answers to getaddr by local end, the oldest first. */
  readonly #answers = new Map<string, { readonly until: Millis; readonly addresses: readonly Tagged[] }>();
  /** Not later than the first thing that is due. */
  #wakeAt: Millis | undefined;

  constructor(options: AddressGossipOptions) {
    this.#limits = options.limits;
    this.#params = options.params;
    this.#random = options.random;
    this.#own = options.own;
    this.#services = options.services;
    this.#pex = options.pex;
    this.#isShunned = options.isShunned;
    this.#secret = options.random.bytes(32);
  }

  /** A peer whose handshake is complete. One that we dialled is asked for addresses, and then told ours. */
  add(peer: PeerId, link: GossipLink, now: Now): Effect[] {
    const { kind } = link;
    if (!this.#pex || kind === 'block-relay-only' || kind === 'feeler') return [];
    const asked = kind !== 'inbound';
    const state: Peer = {
      kind,
      host: canonicalHost(link.remote.host),
      onLoopback: isLoopback(link.remote.host),
      addrV2: link.addrV2,
      end: `${link.transport === 'wss' ? 'wss' : 'plain'} ${endpointKey(link.local)}`,
      enabled: false,
      known: new RollingSet(this.#limits.knownAddressesPerPeer),
      queue: [],
      flushAt: undefined,
      announceAt: undefined,
      tokens: asked ? 1 + this.#limits.maxAddrPerMessage : 1,
      tokensAt: now.mono,
      answered: false,
      asked,
      spoke: false,
      processed: 0,
      rateLimited: 0,
    };
    this.#peers.set(peer, state);
    // Asked first, so that the answer to an address fetch comes before the addresses of the peer itself.
    return asked ? [message(peer, { type: 'getaddr' }), ...this.#enable(peer, state, now)] : [];
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
    if (this.#peers.size === 0) this.#wakeAt = undefined;
  }

  /**
   * Answers an inbound peer, once. Outbound peers are not answered: by asking those whom we chose, an observer could tell
   * our table from theirs. All who ask at the same local end get the same answer for about a day, so that asking often does
   * not reveal all that is known; and those who ask at another end get another, so that nobody can tell by the answers that
   * both ends are of one node.
   */
  onGetaddr(peer: PeerId, known: KnownAddresses, now: Now): Effect[] {
    const state = this.#peers.get(peer);
    if (state === undefined || state.kind !== 'inbound' || state.answered) return [];
    state.answered = true;
    const answer = this.#tell(peer, state, this.#answerAt(state.end, known, now));
    return [...answer, ...this.#enable(peer, state, now)];
  }

  onAddresses(peer: PeerId, addresses: readonly GossipAddress[], now: Now): AddressesResult {
    const state = this.#peers.get(peer);
    if (state === undefined) return NOTHING;
    if (addresses.length > this.#limits.maxAddrPerMessage) {
      return { ...NOTHING, effects: [{ type: 'misbehaved', peer, why: 'too-many-addresses' }] };
    }
    const isFew = addresses.length <= this.#limits.addrRelayMaxPerMessage;
    const listens = state.kind === 'inbound' && !state.spoke && isFew ? addresses.filter(isAt(state.host)) : [];
    state.spoke = true;
    const effects = this.#enable(peer, state, now);
    const learned = this.#admit(state, addresses, now);
    if (!state.asked && isFew) {
      for (const tagged of learned) {
        if (tagged.address.time > now.unix - FRESH_SECONDS) this.#passOn(peer, tagged, now);
      }
    }
    // A full message may be one of several; a smaller one ends the answer.
    if (addresses.length < this.#limits.maxAddrPerMessage) state.asked = false;
    return {
      effects,
      learned: learned.map(({ address }) => address),
      listens: listens.map(({ host, port }) => ({ host, port })),
      // A single address is the peer's own, which it tells whether or not it is asked.
      fetched: state.kind === 'addr-fetch' && addresses.length > 1,
    };
  }

  /** OwnAddresses has others than before: peers hear of them soon, and not only with the next announcement. */
  onOwnChanged(now: Now): void {
    for (const state of this.#peers.values()) {
      if (!state.enabled) continue;
      for (const own of this.#ownAddresses(now)) this.#queue(state, own, now);
    }
  }

  /** How many addresses of the peer were taken, and how many the rate limit dropped. */
  counts(peer: PeerId): { readonly processed: number; readonly rateLimited: number } {
    const { processed, rateLimited } = this.#peers.get(peer) ?? { processed: 0, rateLimited: 0 };
    return { processed, rateLimited };
  }

  /** The peer takes part, as getpeerinfo's `addr_relay_enabled` shows it. */
  isEnabled(peer: PeerId): boolean {
    return this.#peers.get(peer)?.enabled ?? false;
  }

  /** About how many bytes are held for the peer. */
  memory(peer: PeerId): number {
    const state = this.#peers.get(peer);
    return state === undefined ? 0 : PEER_BYTES + state.known.bytes + state.queue.length * QUEUED_BYTES;
  }

  tick(now: Now): Effect[] {
    if (this.#wakeAt === undefined || now.mono < this.#wakeAt) return [];
    const effects: Effect[] = [];
    this.#wakeAt = undefined;
    for (const [peer, state] of this.#peers) {
      if (state.announceAt !== undefined && now.mono >= state.announceAt) {
        // Forgotten, so that the announcement is told to those who know us and its echo may come back.
        state.known.clear();
        effects.push(...this.#announce(peer, state, now));
      }
      if (state.flushAt !== undefined && now.mono >= state.flushAt) {
        state.flushAt = undefined;
        effects.push(...this.#tell(peer, state, state.queue.splice(0)));
      }
      this.#wakeAt = earliest(this.#wakeAt, earliest(state.announceAt, state.flushAt));
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    return this.#wakeAt;
  }

  /** From now on the peer takes part, which begins with our own addresses. */
  #enable(peer: PeerId, state: Peer, now: Now): Effect[] {
    if (state.enabled) return [];
    state.enabled = true;
    return this.#announce(peer, state, now);
  }

  #announce(peer: PeerId, state: Peer, now: Now): Effect[] {
    state.announceAt = now.mono + Math.max(1, exponential(this.#random, this.#limits.ownAddressIntervalMs));
    this.#wakeAt = earliest(this.#wakeAt, state.announceAt);
    return this.#tell(peer, state, this.#ownAddresses(now));
  }

  #ownAddresses(now: Now): Tagged[] {
    return this.#own.announced().map((own) => this.#tagged({ ...own, services: this.#services, time: now.unix }));
  }

  #answerAt(end: string, known: KnownAddresses, now: Now): readonly Tagged[] {
    const draw = () =>
      known.sample(now).flatMap((address) => (this.#isShunned(address.host) ? [] : [this.#tagged(address)]));
    // So few are told as a whole; there is nothing to hide, and a stale answer would miss the newest node.
    if (known.size < this.#limits.getaddrAllBelow) return draw();
    const kept = this.#answers.get(end);
    if (kept !== undefined && now.mono < kept.until) return kept.addresses;
    this.#answers.delete(end);
    if (this.#answers.size === MAX_ANSWERS) {
      const [oldest] = this.#answers.keys();
      this.#answers.delete(oldest as string);
    }
    // Seven to nine eighths: nobody knows when the answer will be another.
    const { getaddrCacheMs } = this.#limits;
    const lasts = Math.floor((7 * getaddrCacheMs) / 8) + below(this.#random, Math.floor(getaddrCacheMs / 4) + 1);
    const addresses = draw();
    this.#answers.set(end, { until: now.mono + lasts, addresses });
    return addresses;
  }

  /** Messages with those of the addresses that the peer does not know and has a use for. */
  #tell(peer: PeerId, state: Peer, addresses: readonly Tagged[]): Effect[] {
    const news: GossipAddress[] = [];
    for (const tagged of addresses) {
      if (state.known.has(tagged.tag) || !isForPeer(tagged, state)) continue;
      state.known.add(tagged.tag);
      news.push(tagged.address);
    }
    const effects: Effect[] = [];
    const size = this.#limits.maxAddrPerMessage;
    for (let start = 0; start < news.length; start += size) {
      const part = news.slice(start, start + size);
      effects.push(message(peer, { type: state.addrV2 ? 'addrv2' : 'addr', addresses: part }));
    }
    return effects;
  }

  /** Lets through what the token bucket allows, in random order if it does not allow everything. */
  #admit(state: Peer, addresses: readonly GossipAddress[], now: Now): Tagged[] {
    const { addrTokensPerSecond, addrTokensMax } = this.#limits;
    if (state.tokens < addrTokensMax) {
      const gained = ((now.mono - state.tokensAt) / 1000) * addrTokensPerSecond;
      state.tokens = Math.min(addrTokensMax, state.tokens + gained);
    }
    state.tokensAt = now.mono;
    const allowed = Math.floor(state.tokens);
    const admitted = addresses.length <= allowed ? addresses : shuffled(addresses, this.#random).slice(0, allowed);
    state.tokens -= admitted.length;
    state.rateLimited += addresses.length - admitted.length;
    const learned: Tagged[] = [];
    for (const received of admitted) {
      // A node that does not serve the chain is nobody to dial.
      if ((received.services & SERVICE_NETWORK) === 0n) continue;
      state.processed++;
      const address = { ...received, time: plausibleTime(received.time, now.unix) };
      if (!this.#isOfUse(address)) continue;
      const tagged = this.#tagged(address);
      if (tagged.onLoopback && !state.onLoopback) continue;
      state.known.add(tagged.tag);
      learned.push(tagged);
    }
    return learned;
  }

  /** Neither ours, nor shunned, nor impossible to dial. I2P has no ports and writes 0. */
  #isOfUse(address: GossipAddress): boolean {
    if (address.port === 0 && address.network !== 'i2p') return false;
    return isRoutable(address, this.#params) && !this.#own.isOwn(address) && !this.#isShunned(address.host);
  }

  /**
   * Queues the address for a few peers: the same ones for a day, so that repeating it does not reach more of the network.
   * The day begins at another moment for each address, so that not all go to new peers at once.
   */
  #passOn(from: PeerId, tagged: Tagged, now: Now): void {
    const { address, tag } = tagged;
    const day = Math.floor((now.unix + tag) / ROTATION_SECONDS);
    const seed = new DataView(sha256(new Writer().raw(this.#secret).u32(tag).u32(day).finish()).buffer);
    const ranked: { readonly rank: number; readonly state: Peer }[] = [];
    for (const [peer, state] of this.#peers) {
      if (peer === from || !state.enabled || state.kind === 'addr-fetch' || !isForPeer(tagged, state)) continue;
      ranked.push({ rank: mixed(seed.getUint32(0) ^ mixed(seed.getUint32(4) ^ peer)), state });
    }
    ranked.sort((a, b) => a.rank - b.rank);
    // What we cannot dial ourselves we cannot vouch for: half of such addresses go to one peer less.
    const isHalf = !REACHABLE.includes(address.network) && seed.getUint8(8) % 2 === 1;
    const count = Math.max(1, this.#limits.addrRelayPeers - (isHalf ? 1 : 0));
    for (const { state } of ranked.slice(0, count)) this.#queue(state, tagged, now);
  }

  #queue(state: Peer, tagged: Tagged, now: Now): void {
    if (state.known.has(tagged.tag)) return;
    const { queue } = state;
    // Where it is full a random one makes room, so that nobody can push out the address of another on purpose.
    const place = queue.length < this.#limits.maxAddrPerMessage ? queue.length : below(this.#random, queue.length);
    queue[place] = tagged;
    // At a moment of a Poisson process, so that the time of telling does not tell who was heard when.
    state.flushAt ??= now.mono + Math.max(1, exponential(this.#random, this.#limits.addrFlushMs));
    this.#wakeAt = earliest(this.#wakeAt, state.flushAt);
  }

  #tagged(address: GossipAddress): Tagged {
    const key = new TextEncoder().encode(addressKey(address));
    const hash = sha256(new Writer().raw(this.#secret).raw(key).finish());
    const { network, host } = address;
    const onLoopback = network === 'wss' ? host === 'localhost' : isLoopback(host);
    return { address, tag: new DataView(hash.buffer).getUint32(0), onLoopback };
  }
}

/** A peer that did not ask for addrv2 gets what addr can carry; loopback addresses mean something on loopback links only. */
function isForPeer({ address, onLoopback }: Tagged, state: Peer): boolean {
  return (state.addrV2 || fitsAddr(address)) && (state.onLoopback || !onLoopback);
}

/** Of that host, and possible. */
function isAt(host: string): (address: GossipAddress) => boolean {
  return (address) => address.host === host && address.port !== 0;
}

/**
 * Spreads 32 bits (the last step of MurmurHash3). Enough to rank peers, since what it is given comes from a secret hash:
 * with sha256 for each peer the ranking of 120 took 300 µs.
 */
function mixed(word: number): number {
  let bits = word;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
