/**
 * Under which addresses others can dial us: what is announced to peers (address-gossip.ts) and never dialled.
 *
 * 1. What the user says (`announce`). Then nothing else is announced: whoever names addresses wants these.
 * 2. Endpoints on which we listen, where they can be routed.
 * 3. Where we listen on the unspecified address, or on one that means nothing outside, what peers see us as. A peer sees only
 *    the host, since the link comes from a port of the moment; the port is the one on which we listen. Core has this idea in
 *    SeenLocal and GetLocalAddrForPeer.
 *
 * What a peer says in 3 may be a lie, and would make us send others to an address of its choice. So only peers count that
 * we chose to dial and stay linked with: never inbound ones, of which one attacker can have any number, nor those that we
 * leave at once. It needs `limits.ownAddressReports` netgroups that agree, and more than half of all that say something
 * about that network (IPv4 or IPv6). A report lasts as long as its link, so what nobody says any longer is forgotten.
 */
import type { ChainParams } from '../../consensus/params.ts';
import type { ConnectionKind, DialTarget, Endpoint, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { netgroup } from '../netgroup.ts';
import { gossipAddress } from '../wire/address.ts';
import type { GossipAddress } from '../wire/message.ts';
import { addressKey, endpointKey, isLoopback, isRoutable } from './address-rules.ts';

/** Core's LOCAL_BIND and LOCAL_MANUAL: how sure an address is before any peer agrees. */
const SCORE_LISTEN = 2;
const SCORE_ANNOUNCE = 4;
/** Stands for a port where only the host counts. */
const ANY_PORT = 1;
/** The unspecified addresses, in canonical form: we listen on all that this machine has. `::` takes IPv4 too. */
const UNSPECIFIED: Readonly<Record<string, readonly string[]>> = { '0.0.0.0': ['ipv4'], '::': ['ipv4', 'ipv6'] };

/** An address without what changes all the time. */
export type OwnAddress = Pick<GossipAddress, 'network' | 'host' | 'port' | 'path'>;

/** As getnetworkinfo shows it. */
export interface LocalAddress extends OwnAddress {
  /** How sure it is: where it comes from, and how many netgroups see us there. */
  readonly score: number;
}

export interface OwnAddressesOptions {
  readonly limits: Limits;
  readonly params: ChainParams;
  /** Endpoints on which peers reach us by `ws://` and `tcp://`, with the ports that were bound. */
  readonly listen: readonly Endpoint[];
  /** What the user says; absent or empty: nothing. Names only behind `wss://`. */
  readonly announce?: readonly DialTarget[];
}

/** A peer whose handshake is complete. */
export interface SeenLink {
  readonly kind: ConnectionKind;
  readonly remote: Endpoint;
  /** Our address as the peer sees it, if it told one. */
  readonly seenAs: Endpoint | undefined;
}

/** What a peer sees us as. */
interface Report {
  readonly address: OwnAddress;
  /** The peer's netgroup. */
  readonly group: string;
}

export class OwnAddresses {
  readonly #limits: Limits;
  readonly #params: ChainParams;
  readonly #listen: readonly Endpoint[];
  /** The sources 1 or 2, and how sure their addresses are. */
  readonly #fixed: readonly OwnAddress[];
  readonly #fixedScore: number;
  /** Ports at which an address that peers see may be dialled; empty where their reports mean nothing. */
  readonly #seenPorts: ReadonlyMap<string, readonly number[]>;
  /** Of peers that are linked now: no more than there are outbound links. */
  readonly #reports = new Map<PeerId, Report>();
  #announced: readonly OwnAddress[] = [];
  #keys: ReadonlySet<string>;

  constructor(options: OwnAddressesOptions) {
    this.#limits = options.limits;
    this.#params = options.params;
    this.#listen = options.listen;
    this.#keys = new Set(options.listen.map(endpointKey));
    const announce = options.announce ?? [];
    const isManual = announce.length > 0;
    this.#fixedScore = isManual ? SCORE_ANNOUNCE : SCORE_LISTEN;
    this.#fixed = (isManual ? announce : options.listen).flatMap((target) => {
      const address = ownAddress(target);
      return address !== undefined && this.#isOfUse(address) ? [address] : [];
    });
    this.#seenPorts = isManual ? new Map() : this.#portsBehindOthers();
    this.#settle();
  }

  /** Takes what a peer says. True if other addresses are to be announced now. */
  onHandshake(peer: PeerId, { kind, remote, seenAs }: SeenLink): boolean {
    const lasts = kind === 'outbound-full-relay' || kind === 'block-relay-only' || kind === 'manual';
    // The port that it tells is that of this link.
    const address = seenAs === undefined ? undefined : ownAddress({ host: seenAs.host, port: ANY_PORT });
    // A neighbour on the private network says nothing about how the public one sees us; and hosts there are easy to have.
    const from = ownAddress({ host: remote.host, port: ANY_PORT });
    const isPublic = (one: OwnAddress | undefined) => one !== undefined && isRoutable(complete(one), this.#params);
    if (!lasts || address === undefined || !isPublic(address) || !isPublic(from)) return false;
    this.#reports.set(peer, { address, group: netgroup(remote) });
    return this.#settle();
  }

  /** The peer is gone, and what it said with it. True if other addresses are to be announced now. */
  remove(peer: PeerId): boolean {
    return this.#reports.delete(peer) && this.#settle();
  }

  /** What peers are to hear, the surest first: no more than they would pass on. */
  announced(): readonly OwnAddress[] {
    return this.#announced;
  }

  /** For getnetworkinfo. */
  localAddresses(): readonly LocalAddress[] {
    return this.#announced.map((address) => {
      const score = this.#fixed.includes(address) ? this.#fixedScore : 0;
      return { ...address, score: score + this.#groupsFor(address).size };
    });
  }

  /** All that leads to us as far as we know: never to be dialled or kept. Names as the targets behind which they are. */
  endpoints(): readonly (Endpoint | DialTarget)[] {
    const announced = this.#announced.map(({ network, host, port, path }) => {
      if (network !== 'wss') return { host, port };
      return { transport: 'wss' as const, host, port, ...(path === undefined ? {} : { path }) };
    });
    return [...this.#listen, ...announced];
  }

  isOwn(address: GossipAddress): boolean {
    return this.#keys.has(addressKey(address));
  }

  /** True if that changed what is announced. */
  #settle(): boolean {
    const believed = [...this.#seenPorts].flatMap(([network, ports]) => {
      const seen = this.#agreed(network);
      if (seen === undefined) return [];
      return ports.flatMap((port) => (this.#isOfUse({ ...seen, port }) ? [{ ...seen, port }] : []));
    });
    const announced = new Map<string, OwnAddress>();
    for (const address of [...this.#fixed, ...believed]) {
      if (announced.size === this.#limits.addrRelayMaxPerMessage) break;
      const key = addressKey(complete(address));
      if (!announced.has(key)) announced.set(key, address);
    }
    const before = this.#announced.map((address) => addressKey(complete(address)));
    if (before.join() === [...announced.keys()].join()) return false;
    this.#announced = [...announced.values()];
    this.#keys = new Set([...this.#listen.map(endpointKey), ...announced.keys()]);
    return true;
  }

  /** The host on which enough netgroups and most of them agree. */
  #agreed(network: string): OwnAddress | undefined {
    const all = new Set<string>();
    const byHost = new Map<string, { readonly address: OwnAddress; readonly groups: Set<string> }>();
    for (const { address, group } of this.#reports.values()) {
      if (address.network !== network) continue;
      all.add(group);
      const entry = byHost.get(address.host) ?? { address, groups: new Set() };
      byHost.set(address.host, entry);
      entry.groups.add(group);
    }
    for (const { address, groups } of byHost.values()) {
      if (groups.size >= this.#limits.ownAddressReports && 2 * groups.size > all.size) return address;
    }
    return undefined;
  }

  /** The netgroups that see us at that host. */
  #groupsFor({ host }: OwnAddress): ReadonlySet<string> {
    const reports = [...this.#reports.values()].filter(({ address }) => address.host === host);
    return new Set(reports.map(({ group }) => group));
  }

  /** Ports of endpoints that stand for addresses which we do not know, by network. */
  #portsBehindOthers(): ReadonlyMap<string, readonly number[]> {
    const ports = new Map<string, number[]>();
    for (const endpoint of this.#listen) {
      const address = ownAddress(endpoint);
      // Nobody outside reaches a loopback endpoint, wherever this machine is seen.
      if (address === undefined || isLoopback(address.host)) continue;
      // Behind a router that translates addresses: it may lead that port to us.
      const behindRouter = this.#isOfUse(address) ? [] : [address.network];
      for (const network of UNSPECIFIED[address.host] ?? behindRouter) {
        const known = ports.get(network) ?? [];
        if (!known.includes(endpoint.port)) ports.set(network, [...known, endpoint.port]);
      }
    }
    return ports;
  }

  #isOfUse(address: OwnAddress): boolean {
    return address.port !== 0 && isRoutable(complete(address), this.#params);
  }
}

function ownAddress(target: Endpoint | DialTarget): OwnAddress | undefined {
  const address = gossipAddress(target, 0n, 0);
  if (address === undefined) return undefined;
  const { services: _services, time: _time, ...own } = address;
  return own;
}

function complete(address: OwnAddress): GossipAddress {
  return { ...address, services: 0n, time: 0 };
}
