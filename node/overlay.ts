/**
 * Whom this node is linked with: the way of a link from the dial or the open door to its end, and of the addresses by which
 * further ones are found. Brings together the machines of peer/ and discovery/; what is said over a link once it stands
 * (headers, blocks, transactions) is none of its business. The links themselves are node.ts's.
 */
import type { Bytes } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import type {
  Action,
  DialId,
  DialTarget,
  Endpoint,
  LinkShape,
  Millis,
  Notice,
  Now,
  PeerId,
  Row,
  UnixSeconds,
} from './boundary.ts';
import { AddressGossip } from './discovery/address-gossip.ts';
import { AddressManager, GOSSIP_PENALTY_SECONDS, REQUIRED_SERVICES } from './discovery/address-manager.ts';
import { isLoopback, isRoutable } from './discovery/address-rules.ts';
import { ANCHORS_KEY, encodeAnchors, readAnchors } from './discovery/anchors.ts';
import { Dialer } from './discovery/dialer.ts';
import { type LocalAddress, OwnAddresses } from './discovery/own-addresses.ts';
import type { Effect } from './effect.ts';
import { evictionCandidates } from './eviction-candidates.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import { type Ban, Bans } from './peer/bans.ts';
import { DenyRules, devnetName } from './peer/deny.ts';
import { netgroupKeys, selectEviction } from './peer/eviction.ts';
import { Handshake, type HandshakeStep, type PeerVersion } from './peer/handshake.ts';
import { JunkCounts } from './peer/junk-counts.ts';
import { type LinkRule, LinkRules } from './peer/link-rules.ts';
import { Pings, type RoundTrip } from './peer/ping.ts';
import { type BatchItem, earliest, type Random, shuffled } from './ports.ts';
import { gossipAddress } from './wire/address.ts';
import { formatEndpoint } from './wire/ip.ts';
import type { GossipAddress, Message } from './wire/message.ts';
import { isWithin, type Subnet } from './wire/subnet.ts';

/** What the node does for its overlay. */
export interface OverlayHost {
  now(): Now;
  tipHeight(): number;
  links(): ReadonlyMap<PeerId, Link>;
  perform(effects: readonly Effect[]): void;
  act(action: Action): void;
  notice(notice: Notice): void;
  disconnect(peer: PeerId, reason: string): void;
  /** A block that the peer was asked for is on the way. */
  isBusy(peer: PeerId): boolean;
  save(batch: readonly BatchItem[]): void;
}

export interface OverlayOptions {
  readonly params: ChainParams;
  readonly limits: Limits;
  /** Forked here: one stream for each machine. */
  readonly random: Random;
  readonly services: bigint;
  readonly userAgent: string;
  /** What the address table saved. */
  readonly rows: readonly Row[];
  /** What `Bans` saved, and the anchors of the last run. */
  readonly savedBans: Bytes | undefined;
  readonly savedAnchors: Bytes | undefined;
  /** Nodes to ask for addresses. */
  readonly seedNodes: readonly DialTarget[];
  /** Where peers can dial us without TLS. */
  readonly listen: readonly Endpoint[];
  /** What the user wants to be told to peers instead of these. */
  readonly announce: readonly DialTarget[];
  readonly connect: readonly DialTarget[];
  readonly pex: boolean;
  readonly active: boolean;
  readonly now: Now;
  readonly host: OverlayHost;
}

export class Overlay {
  readonly dialer: Dialer;
  readonly deny = new DenyRules();
  readonly #params: ChainParams;
  readonly #limits: Limits;
  readonly #host: OverlayHost;
  readonly #services: bigint;
  readonly #handshake: Handshake;
  readonly #pings: Pings;
  readonly #junk: JunkCounts;
  readonly #bans: Bans;
  /** The secret order of netgroups for eviction. */
  readonly #netgroupKey: (netgroup: string) => number;
  readonly #addresses: AddressManager;
  readonly #own: OwnAddresses;
  readonly #gossip: AddressGossip;
  readonly #linkRules = new LinkRules();
  readonly #shuffle: Random;
  /** Links that are to bring addresses only, and when each is given up. */
  readonly #fetches = new Map<PeerId, Millis>();
  /** The row of the anchors is still there. */
  #forgetAnchors: boolean;
  /** When the tip was last another one, and when it is next looked at. */
  #tipAt: Millis;
  #staleCheckAt: Millis;
  /** False while the user wants no links. */
  #active: boolean;

  constructor(options: OverlayOptions) {
    const { params, limits, random, services, userAgent, rows, listen, pex, now, host } = options;
    this.#params = params;
    this.#limits = limits;
    this.#host = host;
    this.#services = services;
    this.#active = options.active;
    this.#shuffle = random.fork('shown addresses');
    this.#handshake = new Handshake({ limits, random: random.fork('handshake'), services, userAgent });
    this.#pings = new Pings({ limits, random: random.fork('ping') });
    this.#junk = new JunkCounts(limits);
    this.#bans = new Bans({ limits, saved: options.savedBans, now });
    this.#netgroupKey = netgroupKeys(random.fork('eviction'));
    this.#own = new OwnAddresses({ limits, params, listen, announce: options.announce });
    const own = this.#own.endpoints();
    this.#addresses = new AddressManager({ limits, params, random: random.fork('addresses'), rows, own, now });
    this.#gossip = new AddressGossip({
      limits,
      params,
      random: random.fork('gossip'),
      own: this.#own,
      services,
      pex,
      isShunned: (address) => this.#bans.isBanned(address, host.now()) || this.#bans.isDiscouraged(address),
    });
    this.dialer = new Dialer({
      limits,
      table: this.#addresses,
      random: random.fork('dialer'),
      own: listen,
      pex,
      publicOnly: !params.loopbackRoutable,
      anchors: readAnchors(options.savedAnchors),
      seedNodes: options.seedNodes,
      now,
    });
    this.#staleCheckAt = now.mono + limits.staleCheckMs;
    this.#tipAt = now.mono;
    // Read once: should they be what makes this node end, the next start is without them.
    this.#forgetAnchors = options.savedAnchors !== undefined;
    for (const target of options.connect) this.dialer.addManual(target, now);
    this.#tellDialer();
  }

  get active(): boolean {
    return this.#active;
  }

  /** False: no links are made or taken until it is true again. Those that stand are the caller's to close. */
  set active(active: boolean) {
    this.#active = active;
  }

  // The life of a link

  onLinkUp(link: Link): void {
    const { peer, direction, remote, dialled } = link;
    if (direction === 'outbound' && dialled === undefined) return this.#host.disconnect(peer, 'it was not asked for');
    if (!this.#active) return this.#host.disconnect(peer, 'networking is off');
    // The rule may be younger than the dial.
    if (dialled !== undefined && this.deny.deniesEndpoint(dialled.target)) {
      return this.#host.disconnect(peer, 'a deny rule names it');
    }
    const refused = link.dialled?.origin === 'manual' ? undefined : this.#refusal(link);
    if (refused !== undefined) return this.#host.disconnect(peer, refused);
    const { kind } = link;
    const isOurChoice = kind !== 'inbound' && kind !== 'manual' && kind !== 'addr-fetch';
    const first = {
      direction,
      remote,
      relay: kind !== 'block-relay-only' && kind !== 'feeler',
      ...(isOurChoice ? { requiredServices: REQUIRED_SERVICES } : {}),
    };
    this.#host.perform(this.#handshake.add(peer, first, this.#host.tipHeight(), this.#host.now()));
  }

  /** Why a new link may not stay, or undefined; it may take the place of another. */
  #refusal(link: Link): string | undefined {
    const { host } = link.remote;
    const now = this.#host.now();
    if (this.#bans.isBanned(host, now)) return 'it is banned';
    const discouraged = this.#bans.isDiscouraged(host);
    if (link.direction === 'outbound') {
      if (discouraged) return 'it is discouraged';
      return this.dialer.isCrowded(link.peer) ? 'another link leads to its netgroup' : undefined;
    }
    const { maxInbound } = this.#limits;
    const candidates = evictionCandidates(this.#host.links().values(), link, {
      version: (peer) => this.version(peer),
      minPingMs: (peer) => this.rtt(peer).minMs,
      isDiscouraged: (other) => this.#bans.isDiscouraged(other),
      isLocal: (other) => !this.#params.loopbackRoutable && isLoopback(other),
      requiredServices: REQUIRED_SERVICES,
    });
    if (discouraged && candidates.length + 1 >= maxInbound) return 'it is discouraged, and places are few';
    if (candidates.length < maxInbound) return undefined;
    const victim = selectEviction(candidates, this.#netgroupKey);
    if (victim === undefined) return 'too many inbound links, all of them of more use';
    this.#host.disconnect(victim, 'its place was taken by a newer peer');
    return undefined;
  }

  /** The peer did what none does by mistake. Whom the user named is never given up. */
  discourage(peer: PeerId): void {
    const link = this.#host.links().get(peer);
    if (link !== undefined && link.dialled?.origin !== 'manual') this.#bans.discourage(link.remote.host);
  }

  onDialFailed(dial: DialId, reason: string): void {
    this.#tellUnreached(this.dialer.onDialFailed(dial, this.#host.now()), reason);
  }

  /** Bytes came from the peer. */
  onTraffic(peer: PeerId): void {
    this.#pings.onTraffic(peer, this.#host.now());
  }

  /** A message that told us nothing. */
  onJunk(peer: PeerId): void {
    this.#host.perform(this.#junk.onJunk(peer, this.#host.now()));
  }

  /** The handshake's part of every message. `completed` is set once: then `welcome` it, and tell the other machines. */
  onMessage(peer: PeerId, message: Message): HandshakeStep {
    const step = this.#handshake.onMessage(peer, message, this.#host.tipHeight(), this.#host.now());
    this.#host.perform(step.effects);
    if (step.reachedSelf !== undefined) this.dialer.onSelf(step.reachedSelf);
    return step;
  }

  /** A peer whose handshake is complete. False where nothing but addresses, or nothing at all, is wanted of it. */
  welcome(link: Link, version: PeerVersion): boolean {
    const { peer, direction, kind, remote } = link;
    const now = this.#host.now();
    if (this.deny.deniesName(version.userAgent)) {
      this.#host.disconnect(peer, 'a deny rule names it');
      return false;
    }
    if (kind === 'feeler') {
      // That it answers is all that we wanted to know.
      this.dialer.onHandshake(peer, version.services, now);
      this.#host.disconnect(peer, 'a feeler, and it answers');
      return false;
    }
    this.#host.notice({ kind: 'peer', peer, userAgent: version.userAgent, direction, remote });
    const shape = this.#linkRules.shapeFor(version.userAgent);
    if (shape !== undefined) this.#host.act({ type: 'shape', peer, shape });
    this.dialer.onHandshake(peer, version.services, now);
    this.#host.perform(this.#pings.add(peer, now));
    const { transport, local } = link;
    if (this.#own.onHandshake(peer, { kind, remote, seenAs: version.seenAs })) this.#onOwnChanged();
    this.#host.perform(this.#gossip.add(peer, { kind, transport, remote, local, addrV2: version.addrV2 }, now));
    if (kind !== 'addr-fetch') return true;
    this.#fetches.set(peer, now.mono + this.#limits.addrFetchMs);
    return false;
  }

  onLinkDown(link: Link, reason: string): void {
    const { peer } = link;
    this.#fetches.delete(peer);
    if (this.#handshake.completed(peer) !== undefined && link.kind !== 'feeler')
      this.#host.notice({ kind: 'peer-gone', peer, reason });
    this.#handshake.remove(peer);
    this.#pings.remove(peer);
    this.#junk.remove(peer);
    this.#gossip.remove(peer);
    if (this.#own.remove(peer)) this.#onOwnChanged();
    const unreached = this.dialer.onLinkDown(peer, this.#host.now());
    this.#tellUnreached(unreached, `${reason}, before the handshake: it may be of another network`);
  }

  /** Whoever named a peer should hear why there is no link: it may not run, or be of another network. */
  #tellUnreached(target: DialTarget | undefined, reason: string): void {
    if (target === undefined) return;
    const { host, port } = target;
    this.#host.notice({ kind: 'not-connected', remote: { host, port }, reason });
  }

  // Messages of the overlay

  onPing(peer: PeerId, nonce: bigint): void {
    this.#host.perform(this.#pings.onPing(peer, nonce));
  }

  onPong(peer: PeerId, nonce: bigint): void {
    this.#pings.onPong(peer, nonce, this.#host.now());
  }

  onGetaddr(peer: PeerId): void {
    this.#host.perform(this.#gossip.onGetaddr(peer, this.#addresses, this.#host.now()));
  }

  onAddresses(peer: PeerId, addresses: readonly GossipAddress[]): void {
    const now = this.#host.now();
    const { effects, learned, listens, fetched } = this.#gossip.onAddresses(peer, addresses, now);
    this.#host.perform(effects);
    const remote = this.#host.links().get(peer)?.remote;
    if (remote !== undefined) this.#addresses.add(learned, remote, now, GOSSIP_PENALTY_SECONDS);
    for (const endpoint of listens) this.dialer.onInboundEndpoint(peer, endpoint);
    if (fetched) this.#host.disconnect(peer, 'it has told its addresses');
  }

  /**
   * Nodes on the local network. On a public network their addresses are private: nobody keeps or passes on such, so the node
   * is dialled here and now, unless there is a link to that host.
   */
  onFound(found: readonly Endpoint[], source: Endpoint): void {
    const now = this.#host.now();
    for (const endpoint of found) {
      const address = gossipAddress(endpoint, this.#services, now.unix);
      if (address === undefined) continue;
      if (isRoutable(address, this.#params)) this.#addresses.add([address], source, now);
      else if (!this.#isLinkedWith(endpoint.host)) this.dialer.dialFound(endpoint);
    }
  }

  #isLinkedWith(host: string): boolean {
    for (const link of this.#host.links().values()) if (link.remote.host === host) return true;
    return false;
  }

  #onOwnChanged(): void {
    this.#gossip.onOwnChanged(this.#host.now());
    this.#addresses.setOwn(this.#own.endpoints());
  }

  // Time

  /** Dials whom it is time to dial. */
  dial(): void {
    if (this.#forgetAnchors) {
      this.#forgetAnchors = false;
      this.#host.save([[ANCHORS_KEY, null]]);
    }
    if (!this.#active) return;
    for (const { dial, target, publicOnly } of this.dialer.tick(this.#host.now())) {
      this.#host.act({ type: 'dial', dial, target, ...(publicOnly ? { publicOnly } : {}) });
    }
  }

  tick(): void {
    const now = this.#host.now();
    this.#host.perform(this.#handshake.tick(now));
    this.#host.perform(this.#pings.tick(now));
    this.#host.perform(this.#gossip.tick(now));
    this.#host.save(this.#addresses.tick(now));
    if (this.#bans.tick(now)) this.#onBansChanged();
    for (const [peer, until] of this.#fetches) {
      if (until > now.mono) continue;
      // At once: its deadline would wake the node in a circle until the link is down.
      this.#fetches.delete(peer);
      this.#host.disconnect(peer, 'has told no addresses for too long');
    }
    if (this.#staleCheckAt <= now.mono) {
      this.#staleCheckAt = now.mono + this.#limits.staleCheckMs;
      this.dialer.setTipStale(now.mono - this.#tipAt >= this.#limits.staleTipMs);
    }
    if (this.dialer.surplusDue(now)) this.#dropSurplus();
  }

  /** The chain has another tip: nobody need be found who knows a better one. */
  onTip(): void {
    this.#tipAt = this.#host.now().mono;
    this.dialer.setTipStale(false);
  }

  #dropSurplus(): void {
    const activity = (peer: PeerId) => {
      const link = this.#host.links().get(peer);
      if (link === undefined || link.closing) return undefined;
      const { lastBlockMs, connectedMs } = link;
      return { lastBlockMs, connectedMs, busy: this.#host.isBusy(peer) };
    };
    const surplus = this.dialer.surplus(activity, this.#host.now());
    if (surplus !== undefined) this.#host.disconnect(surplus.peer, surplus.reason);
  }

  nextDeadline(): Millis | undefined {
    const machines = [this.#handshake, this.#pings, this.#addresses, this.#gossip, this.#bans];
    let next = this.#active ? this.dialer.nextDeadline() : undefined;
    for (const machine of machines) next = earliest(next, machine.nextDeadline());
    for (const until of this.#fetches.values()) next = earliest(next, until);
    return earliest(next, this.#staleCheckAt);
  }

  onStop(): void {
    this.#host.save([...this.#addresses.save(), [ANCHORS_KEY, encodeAnchors(this.dialer.anchors())]]);
  }

  // What users ask for

  pingAll(): void {
    this.#host.perform(this.#pings.pingAll(this.#host.now()));
  }

  /** Replaces the deny rules: links to what they name are closed, and what they no longer name is dialled at once. */
  setDeny(names: readonly string[], endpoints: readonly string[]): void {
    this.deny.set({ names, endpoints });
    this.#tellDialer();
    for (const { peer, dialled } of this.#host.links().values()) {
      const version = this.#handshake.completed(peer);
      const denied =
        (version !== undefined && this.deny.deniesName(version.userAgent)) ||
        (dialled !== undefined && this.deny.deniesEndpoint(dialled.target));
      if (denied) this.#host.disconnect(peer, 'a deny rule names it');
    }
  }

  #tellDialer(): void {
    const mayNotDial = (endpoint: Endpoint) => {
      const { host } = endpoint;
      if (this.deny.deniesEndpoint(endpoint) || this.#bans.isBanned(host, this.#host.now())) return true;
      // Whom the user named is never given up for what some peer of that host has done.
      return this.#bans.isDiscouraged(host) && !this.dialer.manualTargets().some((target) => target.host === host);
    };
    this.dialer.setDeny(mayNotDial, this.#host.now());
  }

  /** Until that moment there are no links with the subnet but those that the user dials. False where too many are banned. */
  ban(subnet: Subnet, until: UnixSeconds): boolean {
    if (!this.#bans.ban(subnet, until, this.#host.now())) return false;
    for (const { peer, remote } of this.#host.links().values()) {
      if (isWithin(remote.host, subnet)) this.#host.disconnect(peer, 'it is banned');
    }
    this.#onBansChanged();
    return true;
  }

  /** False where that subnet was not banned. */
  unban(subnet: Subnet): boolean {
    const found = this.#bans.unban(subnet, this.#host.now());
    this.#onBansChanged();
    return found;
  }

  clearBans(): void {
    this.#bans.clear(this.#host.now());
    this.#onBansChanged();
  }

  #onBansChanged(): void {
    this.#host.save(this.#bans.save());
    this.#tellDialer();
  }

  /** An address from the user, as if its node had told it of itself; `tried`: as if it had been reached. */
  addAddress(endpoint: Endpoint, tried: boolean): 'added' | 'not-new' | 'not-tried' {
    const services = REQUIRED_SERVICES;
    const now = this.#host.now();
    const address = gossipAddress(endpoint, services, now.unix);
    if (address === undefined || this.#addresses.add([address], endpoint, now).length === 0) return 'not-new';
    if (!tried) return 'added';
    this.#addresses.onConnected(endpoint, services, now);
    return this.#addresses.isTried(endpoint) ? 'added' : 'not-tried';
  }

  /** Replaces the rules of links: those that lead to what they name are slowed down, all others go as fast as they can. */
  setLinks(rules: readonly LinkRule[]): void {
    const peers = [...this.#host.links().keys()];
    const before = new Map(peers.map((peer) => [peer, this.#shapeOf(peer)]));
    this.#linkRules.set(rules);
    for (const peer of peers) {
      const shape = this.#shapeOf(peer);
      if (shape !== undefined || before.get(peer) !== undefined) this.#host.act({ type: 'shape', peer, shape });
    }
  }

  #shapeOf(peer: PeerId): LinkShape | undefined {
    const version = this.#handshake.completed(peer);
    return version === undefined ? undefined : this.#linkRules.shapeFor(version.userAgent);
  }

  // What is known

  /** What the peer said of itself; undefined before the handshake is complete. */
  version(peer: PeerId): PeerVersion | undefined {
    return this.#handshake.completed(peer);
  }

  /** Its name in a devnet, else its address. */
  nameOf(peer: PeerId): string {
    const name = devnetName(this.version(peer)?.userAgent ?? '');
    const remote = this.#host.links().get(peer)?.remote;
    return name ?? (remote === undefined ? `peer ${peer}` : formatEndpoint(remote));
  }

  rtt(peer: PeerId): RoundTrip {
    return this.#pings.rtt(peer, this.#host.now());
  }

  gossipCounts(peer: PeerId): ReturnType<AddressGossip['counts']> {
    return this.#gossip.counts(peer);
  }

  /** Bytes that are held of what the peer knows of addresses. */
  memory(peer: PeerId): number {
    return this.#gossip.memory(peer);
  }

  /** It takes part in the exchange of addresses. */
  exchangesAddresses(peer: PeerId): boolean {
    return this.#gossip.isEnabled(peer);
  }

  localAddresses(): readonly LocalAddress[] {
    return this.#own.localAddresses();
  }

  bans(): readonly Ban[] {
    return this.#bans.list(this.#host.now());
  }

  /** Known addresses by network: those only heard of, and those that were reached. */
  addressCounts(): ReturnType<AddressManager['countsByNetwork']> {
    return this.#addresses.countsByNetwork();
  }

  /** All addresses that are known, in random order. */
  addresses(): GossipAddress[] {
    return shuffled(this.#addresses.entries(), this.#shuffle);
  }
}
