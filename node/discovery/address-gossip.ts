/**
 * Talk about addresses: our own are announced, what peers tell is rated, passed on and handed to the address table, and
 * getaddr is asked and answered. RULES.md C4, row "addr". Owns what each peer knows and what waits to be told to it.
 */
import { sha256 } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import { Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { Direction, Endpoint, Millis, Now, PeerId } from '../boundary.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { below, earliest, exponential, type Random } from '../ports.ts';
import { fitsAddr, gossipAddress } from '../wire/address.ts';
import { canonicalHost } from '../wire/ip.ts';
import { type GossipAddress, SERVICE_NETWORK } from '../wire/message.ts';
import { addressKey, isLoopback, isRoutable, plausibleTime } from './address-rules.ts';

/** Only addresses seen within this time are passed on, so that gossip dies out. */
const FRESH_SECONDS = 10 * 60;
const DAY_SECONDS = 24 * 3600;

export interface AddressGossipOptions {
  readonly limits: Limits;
  readonly params: ChainParams;
  readonly random: Random;
  /** Our listen endpoints that peers may dial, and the service bits that go with them. */
  readonly own: readonly Endpoint[];
  readonly services: bigint;
  /** False (--no-pex): nothing is asked, answered, announced or passed on, and what comes is ignored. */
  readonly pex: boolean;
}

export interface GossipLink {
  readonly direction: Direction;
  readonly remote: Endpoint;
  /** The peer sent sendaddrv2. */
  readonly addrV2: boolean;
}

export interface AddressesResult {
  readonly effects: readonly Effect[];
  /** For AddressTable.add: what the rate limit let through. */
  readonly learned: readonly GossipAddress[];
  /** Where the peer itself listens, as an inbound peer tells in its first message. For Dialer.onInboundEndpoint. */
  readonly listens: readonly Endpoint[];
}

interface Peer {
  readonly inbound: boolean;
  readonly host: string;
  readonly onLoopback: boolean;
  readonly addrV2: boolean;
  /** Keys of addresses that the peer told us or that we told it, oldest first. */
  readonly known: Set<string>;
  /** What will be told at `flushAt`. */
  readonly queue: Map<string, GossipAddress>;
  flushAt: Millis | undefined;
  /** When our own addresses are announced again. */
  announceAt: Millis;
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

const NOTHING: AddressesResult = { effects: [], learned: [], listens: [] };

export class AddressGossip {
  readonly #limits: Limits;
  readonly #params: ChainParams;
  readonly #random: Random;
  readonly #services: bigint;
  readonly #pex: boolean;
  /** Keys the choice of the peers to which an address is passed on. */
  readonly #secret: Bytes;
  readonly #peers = new Map<PeerId, Peer>();
  #own: readonly Endpoint[];
  /** Not later than the first thing that is due. */
  #wakeAt: Millis | undefined;

  constructor(options: AddressGossipOptions) {
    this.#limits = options.limits;
    this.#params = options.params;
    this.#random = options.random;
    this.#services = options.services;
    this.#pex = options.pex;
    this.#own = options.own;
    this.#secret = options.random.bytes(32);
  }

  /** A peer whose handshake is complete. Our own addresses are announced first, then an outbound peer is asked for its. */
  add(peer: PeerId, link: GossipLink, now: Now): Effect[] {
    if (!this.#pex) return [];
    const inbound = link.direction === 'inbound';
    const state: Peer = {
      inbound,
      host: canonicalHost(link.remote.host),
      onLoopback: isLoopback(link.remote.host),
      addrV2: link.addrV2,
      known: new Set(),
      queue: new Map(),
      flushAt: undefined,
      announceAt: now.mono,
      tokens: inbound ? 1 : 1 + this.#limits.maxAddrPerMessage,
      tokensAt: now.mono,
      answered: false,
      asked: !inbound,
      spoke: false,
      processed: 0,
      rateLimited: 0,
    };
    this.#peers.set(peer, state);
    const effects = this.#announce(peer, state, now);
    if (!inbound) effects.push(message(peer, { type: 'getaddr' }));
    return effects;
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
    if (this.#peers.size === 0) this.#wakeAt = undefined;
  }

  /**
   * Answers an inbound peer, once. Outbound peers are not answered: by asking those whom we chose, an observer could tell
   * our table from theirs. `sample` (AddressTable.sample) is called only if an answer is due.
   */
  onGetaddr(peer: PeerId, sample: (now: Now) => readonly GossipAddress[], now: Now): Effect[] {
    const state = this.#peers.get(peer);
    if (state === undefined || !state.inbound || state.answered) return [];
    state.answered = true;
    return this.#tell(peer, state, sample(now));
  }

  onAddresses(peer: PeerId, addresses: readonly GossipAddress[], now: Now): AddressesResult {
    const state = this.#peers.get(peer);
    if (state === undefined) return NOTHING;
    if (addresses.length > this.#limits.maxAddrPerMessage) {
      return { ...NOTHING, effects: [{ type: 'misbehaved', peer, why: 'too-many-addresses' }] };
    }
    const isFew = addresses.length <= this.#limits.addrRelayMaxPerMessage;
    const listens = state.inbound && !state.spoke && isFew ? addresses.filter(({ host }) => host === state.host) : [];
    state.spoke = true;
    const learned = this.#admit(state, addresses, now);
    if (!state.asked && isFew) {
      for (const address of learned) {
        const isFresh = address.time > now.unix - FRESH_SECONDS;
        if (isFresh && isRoutable(address, this.#params)) this.#passOn(peer, address, now);
      }
    }
    // A full message may be one of several; a smaller one ends the answer.
    if (addresses.length < this.#limits.maxAddrPerMessage) state.asked = false;
    return { effects: [], learned, listens: listens.map(({ host, port }) => ({ host, port })) };
  }

  /** Our own addresses changed; peers hear of it with the next announcement. */
  setOwn(own: readonly Endpoint[]): void {
    this.#own = own;
  }

  /** How many addresses of the peer were taken, and how many the rate limit dropped. */
  counts(peer: PeerId): { readonly processed: number; readonly rateLimited: number } {
    const { processed, rateLimited } = this.#peers.get(peer) ?? { processed: 0, rateLimited: 0 };
    return { processed, rateLimited };
  }

  tick(now: Now): Effect[] {
    if (this.#wakeAt === undefined || now.mono < this.#wakeAt) return [];
    const effects: Effect[] = [];
    this.#wakeAt = undefined;
    for (const [peer, state] of this.#peers) {
      if (now.mono >= state.announceAt) {
        // Forgotten, so that the announcement is told to those who know us and its echo may come back.
        state.known.clear();
        effects.push(...this.#announce(peer, state, now));
      }
      if (state.flushAt !== undefined && now.mono >= state.flushAt) {
        state.flushAt = undefined;
        effects.push(...this.#tell(peer, state, [...state.queue.values()]));
        state.queue.clear();
      }
      this.#wakeAt = earliest(this.#wakeAt, earliest(state.announceAt, state.flushAt));
    }
    return effects;
  }

  nextDeadline(): Millis | undefined {
    return this.#wakeAt;
  }

  #announce(peer: PeerId, state: Peer, now: Now): Effect[] {
    state.announceAt = now.mono + Math.max(1, exponential(this.#random, this.#limits.ownAddressIntervalMs));
    this.#wakeAt = earliest(this.#wakeAt, state.announceAt);
    const addresses: GossipAddress[] = [];
    for (const endpoint of this.#own) {
      const address = gossipAddress(endpoint, this.#services, now.unix);
      if (address !== undefined && isRoutable(address, this.#params)) addresses.push(address);
    }
    return this.#tell(peer, state, addresses);
  }

  /** Messages with those of the addresses that the peer does not know and has a use for. */
  #tell(peer: PeerId, state: Peer, addresses: readonly GossipAddress[]): Effect[] {
    const news = addresses.filter((address) => !state.known.has(addressKey(address)) && isForPeer(address, state));
    const effects: Effect[] = [];
    const size = this.#limits.maxAddrPerMessage;
    for (let start = 0; start < news.length; start += size) {
      const part = news.slice(start, start + size);
      effects.push(message(peer, { type: state.addrV2 ? 'addrv2' : 'addr', addresses: part }));
    }
    for (const address of news) this.#markKnown(state, addressKey(address));
    return effects;
  }

  /** Lets through what the token bucket allows, in random order if it does not allow everything. */
  #admit(state: Peer, addresses: readonly GossipAddress[], now: Now): GossipAddress[] {
    const { addrTokensPerSecond, addrTokensMax } = this.#limits;
    if (state.tokens < addrTokensMax) {
      const gained = ((now.mono - state.tokensAt) / 1000) * addrTokensPerSecond;
      state.tokens = Math.min(addrTokensMax, state.tokens + gained);
    }
    state.tokensAt = now.mono;
    const admitted = addresses.length <= state.tokens ? addresses : this.#choose(addresses, Math.floor(state.tokens));
    state.tokens -= admitted.length;
    state.rateLimited += addresses.length - admitted.length;
    const learned: GossipAddress[] = [];
    for (const received of admitted) {
      // A node that does not serve the chain is nobody to dial.
      if ((received.services & SERVICE_NETWORK) === 0n) continue;
      if (isLoopback(received.host) && !state.onLoopback) continue;
      const address = { ...received, time: plausibleTime(received.time, now.unix) };
      this.#markKnown(state, addressKey(address));
      state.processed++;
      learned.push(address);
    }
    return learned;
  }

  #choose(addresses: readonly GossipAddress[], count: number): GossipAddress[] {
    const pool = [...addresses];
    const chosen: GossipAddress[] = [];
    while (chosen.length < count) chosen.push(...pool.splice(below(this.#random, pool.length), 1));
    return chosen;
  }

  /** Queues the address for a few peers: the same ones all day, so that repeating it does not reach more of the network. */
  #passOn(from: PeerId, address: GossipAddress, now: Now): void {
    const key = addressKey(address);
    const day = Math.floor(now.unix / DAY_SECONDS);
    const ranked: { readonly rank: number; readonly state: Peer }[] = [];
    for (const [peer, state] of this.#peers) {
      if (peer === from || !isForPeer(address, state)) continue;
      const input = new Writer().raw(this.#secret).u32(day).u32(peer).raw(new TextEncoder().encode(key)).finish();
      ranked.push({ rank: new DataView(sha256(input).buffer).getUint32(0), state });
    }
    ranked.sort((a, b) => a.rank - b.rank);
    for (const { state } of ranked.slice(0, this.#limits.addrRelayPeers)) this.#queue(state, key, address, now);
  }

  #queue(state: Peer, key: string, address: GossipAddress, now: Now): void {
    if (state.known.has(key)) return;
    if (state.queue.size >= this.#limits.maxAddrPerMessage) dropOldest(state.queue);
    state.queue.set(key, address);
    // At a random moment, so that the time of telling does not tell who was heard when.
    state.flushAt ??= now.mono + 1 + below(this.#random, this.#limits.addrFlushMs);
    this.#wakeAt = earliest(this.#wakeAt, state.flushAt);
  }

  #markKnown(state: Peer, key: string): void {
    // Taken out and put back: what was heard of last is forgotten last.
    state.known.delete(key);
    if (state.known.size >= this.#limits.knownAddressesPerPeer) dropOldest(state.known);
    state.known.add(key);
  }
}

/** A peer that did not ask for addrv2 gets what addr can carry; loopback addresses mean something on loopback links only. */
function isForPeer(address: GossipAddress, state: Peer): boolean {
  return (state.addrV2 || fitsAddr(address)) && (state.onLoopback || !isLoopback(address.host));
}

function dropOldest(collection: Map<string, unknown> | Set<string>): void {
  for (const key of collection.keys()) {
    collection.delete(key);
    return;
  }
}
