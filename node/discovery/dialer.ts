/**
 * Decides whom to dial and when. Manual targets (--connect, addnode) are kept linked; free outbound slots are filled from
 * the address table. Owns dials under way, and which endpoints are linked.
 *
 * How two nodes that know each other end with one link, or with two, but never with none:
 * 1. An endpoint is not dialled while a link that we dialled leads to it, while a dial to it is under way, or while an
 *    inbound peer lives that told us, from the same host, that it listens there.
 * 2. Of two nodes that learn of each other at the same moment the one whose endpoint sorts first dials, and the other
 *    waits for a while (AddressTable).
 * 3. If they dial each other all the same, both links stay. Nobody closes a double: both ends might choose the other one.
 */
import type { DialId, DialTarget, Endpoint, Millis, Now, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { earliest } from '../ports.ts';
import { parseIp } from '../wire/ip.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../wire/message.ts';
import { endpointKey, isLoopback } from './address-rules.ts';
import { type AddressTable, type Exclude, redialDelay } from './address-table.ts';

/** Endpoints that we believe of one inbound peer. */
const MAX_LISTENS_PER_PEER = 10;

export interface DialerOptions {
  readonly limits: Limits;
  /** Outbound slots are filled from it; attempts, successes and failures are reported to it. */
  readonly table: AddressTable;
  /** Our own endpoints: never dialled. */
  readonly own: readonly Endpoint[];
  /** False (--no-pex): manual targets only. */
  readonly pex: boolean;
}

/** node.ts turns it into a dial action; the driver answers each with a link or a failure. */
export interface DialOrder {
  readonly dial: DialId;
  readonly target: DialTarget;
}

/** What a link was dialled as. */
export interface DialledLink {
  readonly target: DialTarget;
  /** The user named it: it takes no outbound slot and any services are welcome. */
  readonly manual: boolean;
}

interface Link extends DialledLink {
  /** The endpoint that was dialled, and the one that was reached (they differ where the target is a name). */
  readonly keys: readonly string[];
  readonly remote: Endpoint;
  /** Its handshake was completed. */
  good: boolean;
}

interface ManualTarget {
  readonly target: DialTarget;
  failures: number;
  retryAt: Millis;
}

export class Dialer {
  readonly #limits: Limits;
  readonly #table: AddressTable;
  readonly #own: Set<string>;
  readonly #pex: boolean;
  readonly #manual = new Map<string, ManualTarget>();
  readonly #once: DialTarget[] = [];
  readonly #dials = new Map<DialId, DialledLink>();
  readonly #links = new Map<PeerId, Link>();
  /** Endpoints that inbound peers told us to be theirs. */
  readonly #listens = new Map<PeerId, string[]>();
  #denies: (endpoint: Endpoint) => boolean = () => false;
  #nextDial = 1;
  /** When the next slot may be filled: an interval after the last one. */
  #fillAt: Millis = 0;
  /** Counts our own changes that may have made an address of the table dialable. */
  #openings = 0;
  /** The table had nothing for us: it is asked again after an opening or a change of its own, or at `until`. */
  #nothing: { readonly openings: number; readonly until: Millis | undefined } | undefined;
  /** Counts all changes of ours. */
  #changes = 0;
  /** The deadline as computed after so many changes: it is asked for after every event of the node. */
  #deadline: { readonly changes: number; readonly at: Millis | undefined } | undefined;

  constructor(options: DialerOptions) {
    this.#limits = options.limits;
    this.#table = options.table;
    this.#own = new Set(options.own.map(endpointKey));
    this.#pex = options.pex;
  }

  /** Outbound slots in use: links and dials that are not manual. */
  get outboundCount(): number {
    let count = 0;
    for (const link of this.#links.values()) if (!link.manual) count++;
    for (const dial of this.#dials.values()) if (!dial.manual) count++;
    return count;
  }

  /** Keeps the target linked until it is removed. False if it is one already. */
  addManual(target: DialTarget, now: Now): boolean {
    const key = endpointKey(target);
    if (this.#manual.has(key)) return false;
    this.#manual.set(key, { target, failures: 0, retryAt: now.mono });
    this.#changes++;
    return true;
  }

  /** Stops keeping it linked; a link that is there stays. False if it was not one. */
  removeManual(endpoint: Endpoint): boolean {
    this.#openings++;
    this.#changes++;
    return this.#manual.delete(endpointKey(endpoint));
  }

  /** Dials once, whatever slots are free (addnode onetry). */
  dialOnce(target: DialTarget): void {
    this.#once.push(target);
    this.#changes++;
  }

  manualTargets(): readonly DialTarget[] {
    return [...this.#manual.values()].map(({ target }) => target);
  }

  /** From now on endpoints for which `denies` holds are not dialled. What was backing off is tried again at once. */
  setDeny(denies: (endpoint: Endpoint) => boolean, now: Now): void {
    this.#denies = denies;
    for (const manual of this.#manual.values()) {
      manual.failures = 0;
      manual.retryAt = now.mono;
    }
    this.#table.retryAll(now);
    this.#openings++;
    this.#changes++;
  }

  /** Whom to dial now. Costs nothing while nothing is due. */
  tick(now: Now): DialOrder[] {
    const due = this.nextDeadline();
    if (due === undefined || due > now.mono) return [];
    const orders: DialOrder[] = [];
    for (const target of this.#once.splice(0)) orders.push(this.#order(target, true, now));
    for (const [key, manual] of this.#manual) {
      if (manual.retryAt <= now.mono && this.#mayDialManual(key, manual)) {
        orders.push(this.#order(manual.target, true, now));
      }
    }
    const address = this.#fillsSlot(now) ? this.#pick(now) : undefined;
    if (address !== undefined) {
      this.#fillAt = now.mono + this.#limits.dialIntervalMs;
      orders.push(this.#order(targetOf(address), false, now));
    }
    this.#deadline = undefined;
    return orders;
  }

  /** The manual target that failed, if its user should be told: the first time, until it was reached. */
  onDialFailed(dial: DialId, now: Now): DialTarget | undefined {
    const failed = this.#dials.get(dial);
    if (failed === undefined) return undefined;
    this.#dials.delete(dial);
    return this.#onFailed(failed.target, now);
  }

  /** An outbound link is open. Undefined if the dial is not ours. */
  onLinkUp(dial: DialId, peer: PeerId, remote: Endpoint): DialledLink | undefined {
    const dialled = this.#dials.get(dial);
    if (dialled === undefined) return undefined;
    this.#dials.delete(dial);
    this.#changes++;
    const keys = [endpointKey(dialled.target), endpointKey(remote)];
    this.#links.set(peer, { ...dialled, keys, remote, good: false });
    return dialled;
  }

  /** The handshake on a link that we dialled is complete. `services` are what the peer said of itself. */
  onHandshake(peer: PeerId, services: bigint, now: Now): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    link.good = true;
    this.#changes++;
    const manual = this.#manual.get(endpointKey(link.target));
    if (manual !== undefined) manual.failures = 0;
    this.#table.onConnected(reached(link), services, now);
  }

  /** Any link is down, inbound ones too. As `onDialFailed`, where there was no handshake. */
  onLinkDown(peer: PeerId, now: Now): DialTarget | undefined {
    this.#changes++;
    if (this.#listens.delete(peer)) this.#openings++;
    const link = this.#links.get(peer);
    if (link === undefined) return undefined;
    this.#openings++;
    this.#links.delete(peer);
    if (!link.good) return this.#onFailed(link.target, now);
    this.#table.onClosed(reached(link), now);
    const manual = this.#manual.get(endpointKey(link.target));
    if (manual !== undefined) manual.retryAt = now.mono + redialDelay(1, this.#limits);
    return undefined;
  }

  /** The inbound peer told that it listens there. The caller has seen that it comes from that host. */
  onInboundEndpoint(peer: PeerId, endpoint: Endpoint): void {
    const listens = this.#listens.get(peer) ?? [];
    if (listens.length < MAX_LISTENS_PER_PEER) this.#listens.set(peer, [...listens, endpointKey(endpoint)]);
    this.#changes++;
  }

  /** The outbound link led to ourselves: its endpoints are never dialled again. */
  onSelf(peer: PeerId): void {
    for (const key of this.#links.get(peer)?.keys ?? []) this.#own.add(key);
    this.#changes++;
  }

  nextDeadline(): Millis | undefined {
    const changes = this.#changes + this.#table.changes;
    if (this.#deadline?.changes !== changes) this.#deadline = { changes, at: this.#computeDeadline() };
    return this.#deadline.at;
  }

  #computeDeadline(): Millis | undefined {
    // A deadline that has passed means at once.
    if (this.#once.length > 0) return 0;
    let next: Millis | undefined;
    for (const [key, manual] of this.#manual) {
      if (this.#mayDialManual(key, manual)) next = earliest(next, manual.retryAt);
    }
    return earliest(next, this.#nextFill());
  }

  #nextFill(): Millis | undefined {
    if (!this.#pex || this.outboundCount >= this.#limits.maxOutboundFull) return undefined;
    if (this.#nothing === undefined || this.#nothing.openings !== this.#openings + this.#table.changes) {
      return this.#fillAt;
    }
    return this.#nothing.until === undefined ? undefined : Math.max(this.#fillAt, this.#nothing.until);
  }

  #fillsSlot(now: Now): boolean {
    const due = this.#nextFill();
    return due !== undefined && due <= now.mono;
  }

  #pick(now: Now): GossipAddress | undefined {
    const linked = this.#linkedKeys();
    const exclude: Exclude = (endpoint, key) =>
      linked.has(key) || this.#own.has(key) || this.#manual.has(key) || this.#denies(endpoint);
    const address = this.#table.pick(now, exclude);
    const openings = this.#openings + this.#table.changes;
    this.#nothing = address === undefined ? { openings, until: this.#table.nextTry(now, exclude) } : undefined;
    return address;
  }

  /** Endpoints that are dialled, linked, or listened on by an inbound peer. */
  #linkedKeys(): Set<string> {
    const keys = new Set<string>();
    for (const { target } of this.#dials.values()) keys.add(endpointKey(target));
    for (const link of this.#links.values()) for (const key of link.keys) keys.add(key);
    for (const listens of this.#listens.values()) for (const key of listens) keys.add(key);
    return keys;
  }

  #mayDialManual(key: string, manual: ManualTarget): boolean {
    if (this.#own.has(key) || this.#denies(manual.target)) return false;
    for (const { target } of this.#dials.values()) if (endpointKey(target) === key) return false;
    for (const link of this.#links.values()) if (link.keys.includes(key)) return false;
    // On one machine its own link to us will do. Elsewhere another node behind the same address could pretend to be it.
    if (!isLoopback(manual.target.host)) return true;
    for (const listens of this.#listens.values()) if (listens.includes(key)) return false;
    return true;
  }

  #order(target: DialTarget, manual: boolean, now: Now): DialOrder {
    const dial = this.#nextDial++ as DialId;
    this.#dials.set(dial, { target, manual });
    this.#changes++;
    this.#table.onAttempt(target, now);
    return { dial, target };
  }

  #onFailed(target: DialTarget, now: Now): DialTarget | undefined {
    this.#openings++;
    this.#changes++;
    this.#table.onFailed(target, now);
    const manual = this.#manual.get(endpointKey(target));
    if (manual === undefined) return undefined;
    manual.failures++;
    manual.retryAt = now.mono + redialDelay(manual.failures, this.#limits);
    return manual.failures === 1 ? manual.target : undefined;
  }
}

/** The endpoint that was reached: the target itself unless that is a name. */
function reached(link: Link): Endpoint {
  return parseIp(link.target.host) === undefined ? link.remote : link.target;
}

function targetOf(address: GossipAddress): DialTarget {
  const transport = (address.services & SERVICE_WEBSOCKET) === 0n ? 'tcp' : 'ws';
  return { transport, host: address.host, port: address.port };
}
