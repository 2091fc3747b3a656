/**
 * Decides whom to dial, when and for what. Owns dials under way, which endpoints are linked, and what each link that we
 * dialled is for. What is known of an address is the address manager's; links are opened and closed by node.ts.
 * RULES.md C4, rows "outbound", "anchors" and "stale tip"; Core's ThreadOpenConnections.
 *
 * Manual targets (--connect, addnode) are kept linked and take no slot. Nor do nodes that were found on the local network and
 * that the table does not keep: they are dialled once, so many at most as a node of no other links would have twice. They are
 * no replacement for others: whoever is in the house could announce any number of them. Everything else is automatic:
 * - Anchors are dialled first, each once: whoever makes us restart cannot choose all our peers.
 * - Slots are filled one each `dialIntervalMs`, from the address manager: those for full links, then those for block-only
 *   ones. Among these no two are in one netgroup. Anchors count in this; manual links do not, nor feelers, who soon leave.
 *   Where a name leads is known when the link is up: `isCrowded` tells of one that should end then.
 * - With all slots taken: one full link more while the tip is stale, and from time to time one block-only link more, to hear
 *   of a chain that our peers may hide. `surplus` tells which link goes then.
 * - Feelers find out whether somebody answers at an address that was never reached, or at the one that a newly reached
 *   address would displace. They wait while there is a slot to fill.
 * - Without slots (both limits 0) nobody is dialled by ourselves at all.
 * - Seed nodes are asked for addresses and left. Those who find peers without them leave them alone: seeds serve everybody.
 *   They are dialled while no address is known at all, one after the other, again and again; else each once, while fewer
 *   than two full links are up and `seedIntervalMs` have passed since the start or the last of them.
 *
 * How two nodes that know each other end with one link, or with two, but never with none:
 * 1. An endpoint is not dialled while a link that we dialled leads to it, while a dial to it is under way, or while an
 *    inbound peer lives that told us, from the same host, that it listens there.
 * 2. Of two nodes that learn of each other at the same moment the one whose endpoint sorts first dials, and the other
 *    waits for a while (AddressManager).
 * 3. If they dial each other all the same, both links stay. Nobody closes a double: both ends might choose the other one.
 *
 * Nothing is polled. Whoever asked the address manager in vain rests until something has changed: an address was learned,
 * a link has ended, a back-off is over.
 */
import type { ConnectionKind, DialId, DialTarget, Endpoint, Millis, Now, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { netgroup } from '../netgroup.ts';
import { earliest, exponential, type Random, shuffled } from '../ports.ts';
import { parseIp } from '../wire/ip.ts';
import type { GossipAddress } from '../wire/message.ts';
import { type AddressManager, type Exclude as IsExcluded, redialDelay } from './address-manager.ts';
import { addressKey, dialTargetOf, endpointKey, isLoopback, targetKey } from './address-rules.ts';
import { type LinkActivity, surplusBlockOnly, surplusFull } from './surplus.ts';

/** Endpoints that we believe of one inbound peer. */
const MAX_LISTENS_PER_PEER = 10;
/** With so many full links seed nodes are not needed. */
const LINKS_WITHOUT_SEEDS = 2;

export interface DialerOptions {
  readonly limits: Limits;
  /** Outbound slots are filled from it; attempts, successes and failures are reported to it. */
  readonly table: AddressManager;
  readonly random: Random;
  /** Our own endpoints: never dialled. */
  readonly own: readonly Endpoint[];
  /** False (--no-pex): manual targets only. */
  readonly pex: boolean;
  /** The network is a public one: what strangers name must not lead into this machine or the house. */
  readonly publicOnly: boolean;
  /** What `anchors` told in the last run. */
  readonly anchors: readonly DialTarget[];
  /** Nodes that are asked for addresses and left (--seed-node, and those of the chain). */
  readonly seedNodes: readonly DialTarget[];
  readonly now: Now;
}

export type OutboundKind = Exclude<ConnectionKind, 'inbound'>;

/** How we came to know whom we dial: from the user, by local discovery, as a seed node or an anchor, or from other peers. */
export type Origin = 'manual' | 'lan' | 'seed' | 'anchor' | 'gossip';

/** node.ts turns it into a dial action; the driver answers each with a link or a failure. */
export interface DialOrder {
  readonly dial: DialId;
  readonly target: DialTarget;
  readonly kind: OutboundKind;
  /** A stranger named the target, and the network is a public one. */
  readonly publicOnly: boolean;
}

/** What a link was dialled as. Manual ones, address fetches and feelers take no slot. */
export interface DialledLink {
  readonly target: DialTarget;
  /** `manual` for nodes on the local network too: these have another origin. */
  readonly kind: OutboundKind;
  readonly origin: Origin;
}

interface Dial extends DialledLink {
  readonly key: string;
}

interface Link extends Dial {
  /** The endpoint that was dialled, and the one that was reached (they differ where the target is a name). */
  readonly keys: readonly string[];
  readonly remote: Endpoint;
  /** Its handshake was completed. */
  good: boolean;
}

/** A target that the user named, and how it fares. */
interface NamedTarget {
  readonly target: DialTarget;
  failures: number;
  retryAt: Millis;
}

/** The address manager had nothing: it is asked again after an opening or a change of its own, or at `until`. */
interface Rest {
  readonly openings: number;
  readonly until: Millis | undefined;
}

type SlotKind = 'outbound-full-relay' | 'block-relay-only';

/** The next link that is wanted. */
interface Wanted {
  readonly kind: SlotKind;
  /** `slot`: it has a slot; `extra`: one more while the tip is stale; `probe`: one more for a while. */
  readonly purpose: 'anchor' | 'slot' | 'extra' | 'probe';
}

export class Dialer {
  readonly #limits: Limits;
  readonly #table: AddressManager;
  readonly #random: Random;
  readonly #own: Set<string>;
  readonly #pex: boolean;
  readonly #publicOnly: boolean;
  /** Anchors that were not dialled yet. */
  readonly #anchors: DialTarget[];
  readonly #seeds = new Map<string, NamedTarget>();
  readonly #manual = new Map<string, NamedTarget>();
  readonly #once: { readonly target: DialTarget; readonly origin: 'manual' | 'lan' }[] = [];
  readonly #dials = new Map<DialId, Dial>();
  readonly #links = new Map<PeerId, Link>();
  /** Endpoints that inbound peers told us to be theirs. */
  readonly #listens = new Map<PeerId, string[]>();
  #denies: (endpoint: Endpoint) => boolean = () => false;
  #nextDial = 1;
  /** When the next slot may be filled: an interval after the last one. */
  #fillAt: Millis = 0;
  #probeAt: Millis;
  #feelerAt: Millis;
  /** When the next seed node may be dialled: while no address is known, and otherwise. */
  #firstSeedAt: Millis = 0;
  #nextSeedAt: Millis;
  /** When links beyond the slots are looked for; undefined while there are none. */
  #surplusAt: Millis | undefined;
  /** One full link more is wanted. */
  #tipStale = false;
  /** Counts our own changes that may have made an address of the table dialable. */
  #openings = 0;
  #slotRest: Rest | undefined;
  #feelerRest: Rest | undefined;
  /** Counts all changes of ours. */
  #changes = 0;
  /** The deadline as computed after so many changes: it is asked for after every event of the node. */
  #deadline: { readonly changes: number; readonly at: Millis | undefined } | undefined;

  constructor(options: DialerOptions) {
    const { limits, random, now } = options;
    this.#limits = limits;
    this.#table = options.table;
    this.#random = random;
    this.#own = new Set(options.own.map(endpointKey));
    this.#pex = options.pex;
    this.#publicOnly = options.publicOnly;
    this.#anchors = [...options.anchors];
    for (const target of shuffled(options.seedNodes, random)) {
      this.#seeds.set(targetKey(target), { target, failures: 0, retryAt: now.mono });
    }
    this.#nextSeedAt = now.mono + limits.seedIntervalMs;
    this.#probeAt = this.#later(limits.extraBlockOnlyIntervalMs, now);
    this.#feelerAt = this.#later(limits.feelerIntervalMs, now);
  }

  /** Full and block-only links, and dials for them. */
  get outboundCount(): number {
    const counts = this.counts();
    return counts['outbound-full-relay'] + counts['block-relay-only'];
  }

  /** Links that we dialled and dials under way, by what they are for. Of inbound links it does not know: 0. */
  counts(): Readonly<Record<ConnectionKind, number>> {
    const counts = {
      inbound: 0,
      'outbound-full-relay': 0,
      'block-relay-only': 0,
      feeler: 0,
      'addr-fetch': 0,
      manual: 0,
    };
    for (const { kind } of this.#dialled()) counts[kind]++;
    return counts;
  }

  /** Keeps the target linked until it is removed. False if it is one already. */
  addManual(target: DialTarget, now: Now): boolean {
    const key = targetKey(target);
    if (this.#manual.has(key)) return false;
    this.#manual.set(key, { target, failures: 0, retryAt: now.mono });
    this.#changes++;
    return true;
  }

  /** Stops keeping it linked; a link that is there stays. False if it was not one. */
  removeManual(target: DialTarget): boolean {
    this.#openings++;
    this.#changes++;
    return this.#manual.delete(targetKey(target));
  }

  /** Dials once, whatever slots are free (addnode onetry). */
  dialOnce(target: DialTarget): void {
    this.#once.push({ target, origin: 'manual' });
    this.#changes++;
  }

  /** Dials once what was found on the local network, unless it is denied, or its host or enough others are linked. */
  dialFound(endpoint: Endpoint): void {
    const target: DialTarget = { transport: 'ws', ...endpoint };
    const key = targetKey(target);
    if (!this.#pex || this.#own.has(key) || this.#manual.has(key) || this.#denies(endpoint)) return;
    const dialled = [...this.#dialled(), ...this.#once];
    if (dialled.length >= 2 * this.#limits.maxOutboundFull) return;
    if (dialled.some((one) => one.target.host === endpoint.host)) return;
    this.#once.push({ target, origin: 'lan' });
    this.#changes++;
  }

  manualTargets(): readonly DialTarget[] {
    return [...this.#manual.values()].map(({ target }) => target);
  }

  /** From now on endpoints for which `denies` holds are not dialled. What was backing off is tried again at once. */
  setDeny(denies: (endpoint: Endpoint) => boolean, now: Now): void {
    this.#denies = denies;
    for (const named of [...this.#manual.values(), ...this.#seeds.values()]) {
      named.failures = 0;
      named.retryAt = now.mono;
    }
    this.#table.retryAll(now);
    this.#openings++;
    this.#changes++;
  }

  /**
   * What a look at the tip has found; to be told at every look (`limits.staleCheckMs`). True asks for one full link more:
   * when `surplus` has judged that one, the next is made after the next look, to bother the network no more than needed.
   */
  setTipStale(stale: boolean): void {
    if (this.#tipStale === stale) return;
    this.#tipStale = stale;
    this.#changes++;
  }

  /** Whom to dial now. Costs nothing while nothing is due. */
  tick(now: Now): DialOrder[] {
    const due = this.nextDeadline();
    if (due === undefined || due > now.mono) return [];
    const orders: DialOrder[] = [];
    for (const { target, origin } of this.#once.splice(0)) orders.push(this.#order(target, 'manual', origin, now));
    for (const [key, manual] of this.#manual) {
      if (manual.retryAt <= now.mono && this.#mayDialManual(key, manual)) {
        orders.push(this.#order(manual.target, 'manual', 'manual', now));
      }
    }
    for (const order of [this.#askSeed(now), this.#fillSlot(now), this.#feel(now)]) {
      if (order !== undefined) orders.push(order);
    }
    this.#deadline = undefined;
    return orders;
  }

  /** The manual target that failed, if its user should be told: the first time, until it was reached. */
  onDialFailed(dial: DialId, now: Now): DialTarget | undefined {
    const failed = this.#dials.get(dial);
    if (failed === undefined) return undefined;
    this.#dials.delete(dial);
    return this.#onFailed(failed, now);
  }

  /** An outbound link is open. Undefined if the dial is not ours. */
  onLinkUp(dial: DialId, peer: PeerId, remote: Endpoint): DialledLink | undefined {
    const dialled = this.#dials.get(dial);
    if (dialled === undefined) return undefined;
    this.#dials.delete(dial);
    this.#changes++;
    const keys = [dialled.key, endpointKey(remote)];
    this.#links.set(peer, { ...dialled, keys, remote, good: false });
    const { target, kind, origin } = dialled;
    return { target, kind, origin };
  }

  /**
   * The link takes a slot and has reached the netgroup of an older one that does. It was dialled by name: names cost little,
   * and whoever has many could lead all our slots to one machine.
   */
  isCrowded(peer: PeerId): boolean {
    const link = this.#links.get(peer);
    if (link === undefined || !takesSlot(link)) return false;
    const group = netgroup(link.remote);
    for (const [other, { remote, kind }] of this.#links) {
      if (other === peer) return false;
      if (takesSlot({ kind }) && netgroup(remote) === group) return true;
    }
    return false;
  }

  /** The handshake on a link that we dialled is complete. `services` are what the peer said of itself. */
  onHandshake(peer: PeerId, services: bigint, now: Now): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    link.good = true;
    this.#changes++;
    const manual = this.#manual.get(link.key);
    if (manual !== undefined) manual.failures = 0;
    this.#table.onConnected(reached(link), services, now);
    // It may have found its place in the table taken: then a feeler has somebody to test.
    this.#feelerRest = undefined;
    if (this.#hasSurplus()) this.#surplusAt ??= now.mono + this.#limits.surplusCheckMs;
  }

  /** Any link is down, inbound ones too. As `onDialFailed`, where there was no handshake. */
  onLinkDown(peer: PeerId, now: Now): DialTarget | undefined {
    this.#changes++;
    if (this.#listens.delete(peer)) this.#openings++;
    const link = this.#links.get(peer);
    if (link === undefined) return undefined;
    this.#openings++;
    this.#links.delete(peer);
    if (!this.#hasSurplus()) this.#surplusAt = undefined;
    if (!link.good) return this.#onFailed(link, now);
    this.#table.onClosed(reached(link), now, link.kind === 'block-relay-only');
    const manual = this.#manual.get(link.key);
    if (manual !== undefined) manual.retryAt = now.mono + redialDelay(1, this.#limits);
    if (link.kind === 'addr-fetch') this.#seedEnded(link.key, now);
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

  /** The targets of block-only links, the oldest first and at most `limits.maxAnchors`: for the next start. */
  anchors(): DialTarget[] {
    const links = [...this.#links.values()].filter(({ kind, good }) => kind === 'block-relay-only' && good);
    return links.slice(0, this.#limits.maxAnchors).map(({ target }) => target);
  }

  /** It is time to call `surplus`. */
  surplusDue(now: Now): boolean {
    return this.#surplusAt !== undefined && this.#surplusAt <= now.mono;
  }

  /**
   * The link to close because there is one more than its slots, with the reason for the log; at most one each time.
   * `activity` answers undefined for a link that is being closed already.
   */
  surplus(
    activity: (peer: PeerId) => LinkActivity | undefined,
    now: Now,
  ): { readonly peer: PeerId; readonly reason: string } | undefined {
    this.#surplusAt = this.#hasSurplus() ? now.mono + this.#limits.surplusCheckMs : undefined;
    this.#changes++;
    const judged = (kind: SlotKind) =>
      [...this.#links].flatMap(([peer, link]) => {
        const known = link.kind === kind && link.good ? activity(peer) : undefined;
        return known === undefined ? [] : [{ ...known, peer }];
      });
    const { maxOutboundBlockOnly, maxOutboundFull } = this.#limits;
    const blockOnly = surplusBlockOnly(judged('block-relay-only'), maxOutboundBlockOnly, this.#limits, now.mono);
    if (blockOnly !== undefined) {
      return { peer: blockOnly, reason: 'one block-only link too many, and another brought a block no less recently' };
    }
    const full = surplusFull(judged('outbound-full-relay'), maxOutboundFull, this.#limits, now.mono);
    if (full === undefined) return undefined;
    // A link more was made and judged. The next one waits for the next look at the tip.
    this.#tipStale = false;
    return { peer: full, reason: 'one full link too many, and its last new block is the oldest' };
  }

  nextDeadline(): Millis | undefined {
    const changes = this.#changes + this.#table.changes;
    if (this.#deadline?.changes !== changes) this.#deadline = { changes, at: this.#computeDeadline() };
    return this.#deadline.at;
  }

  #computeDeadline(): Millis | undefined {
    // A deadline that has passed means at once.
    if (this.#once.length > 0) return 0;
    let next = this.#surplusAt;
    for (const [key, manual] of this.#manual) {
      if (this.#mayDialManual(key, manual)) next = earliest(next, manual.retryAt);
    }
    for (const at of [this.#nextSeed()?.at, this.#nextSlot()?.at, this.#nextFeeler()]) next = earliest(next, at);
    return next;
  }

  // Seed nodes

  #nextSeed(): { readonly at: Millis; readonly seed: NamedTarget } | undefined {
    if (!this.#pex || this.#seeds.size === 0 || !this.#hasSlots) return undefined;
    const knowsNobody = this.#table.size === 0;
    if (!knowsNobody && this.#goodLinks('outbound-full-relay') >= LINKS_WITHOUT_SEEDS) return undefined;
    const linked = this.#linkedKeys();
    let next: { at: Millis; seed: NamedTarget } | undefined;
    for (const [key, seed] of this.#seeds) {
      if (this.#own.has(key) || this.#manual.has(key) || linked.has(key) || this.#denies(seed.target)) continue;
      if (!knowsNobody && seed.failures > 0) continue;
      const at = Math.max(seed.retryAt, knowsNobody ? this.#firstSeedAt : this.#nextSeedAt);
      if (next === undefined || at < next.at) next = { at, seed };
    }
    return next;
  }

  #askSeed(now: Now): DialOrder | undefined {
    const next = this.#nextSeed();
    if (next === undefined || next.at > now.mono) return undefined;
    this.#firstSeedAt = now.mono + this.#limits.dialIntervalMs;
    this.#nextSeedAt = now.mono + this.#limits.seedIntervalMs;
    return this.#order(next.seed.target, 'addr-fetch', 'seed', now);
  }

  /** Whether it answered or not: it is asked again only if we still know nobody, and later each time. */
  #seedEnded(key: string, now: Now): void {
    const seed = this.#seeds.get(key);
    if (seed === undefined) return;
    seed.failures++;
    seed.retryAt = now.mono + redialDelay(seed.failures, this.#limits);
  }

  // Slots

  /** The link that is to be made next, though there may be nobody for it. */
  #wanted(): Wanted | undefined {
    const { maxOutboundFull, maxOutboundBlockOnly } = this.#limits;
    const { 'outbound-full-relay': full, 'block-relay-only': blockOnly } = this.counts();
    if (this.#anchors.length > 0 && blockOnly < maxOutboundBlockOnly) {
      return { kind: 'block-relay-only', purpose: 'anchor' };
    }
    if (full < maxOutboundFull) return { kind: 'outbound-full-relay', purpose: 'slot' };
    if (blockOnly < maxOutboundBlockOnly) return { kind: 'block-relay-only', purpose: 'slot' };
    if (this.#tipStale && maxOutboundFull > 0 && full === maxOutboundFull)
      return { kind: 'outbound-full-relay', purpose: 'extra' };
    if (maxOutboundBlockOnly > 0 && blockOnly === maxOutboundBlockOnly) {
      return { kind: 'block-relay-only', purpose: 'probe' };
    }
    return undefined;
  }

  #nextSlot(): { readonly at: Millis; readonly wanted: Wanted; readonly rests: boolean } | undefined {
    const wanted = this.#pex ? this.#wanted() : undefined;
    if (wanted === undefined) return undefined;
    const rest = wanted.purpose === 'anchor' ? undefined : this.#inForce(this.#slotRest);
    if (rest !== undefined && rest.until === undefined) return undefined;
    const notBefore = wanted.purpose === 'probe' ? Math.max(this.#fillAt, this.#probeAt) : this.#fillAt;
    return { at: Math.max(notBefore, rest?.until ?? 0), wanted, rests: rest !== undefined };
  }

  #fillSlot(now: Now): DialOrder | undefined {
    const next = this.#nextSlot();
    if (next === undefined || next.at > now.mono) return undefined;
    const { kind, purpose } = next.wanted;
    const exclude = this.#excluding(this.#netgroups());
    if (purpose === 'probe') this.#probeAt = this.#later(this.#limits.extraBlockOnlyIntervalMs, now);
    const target = purpose === 'anchor' ? this.#takeAnchor(exclude) : this.#drawForSlot(exclude, now);
    // What was in vain cost the network nothing: the next try need not wait for its interval.
    if (target === undefined) return purpose === 'anchor' ? this.#fillSlot(now) : undefined;
    this.#fillAt = now.mono + this.#limits.dialIntervalMs;
    return this.#order(target, kind, purpose === 'anchor' ? 'anchor' : 'gossip', now);
  }

  #drawForSlot(exclude: IsExcluded, now: Now): DialTarget | undefined {
    const address = this.#draw(false, exclude, now);
    this.#slotRest = address === undefined ? this.#rest(exclude, now) : undefined;
    return address && dialTargetOf(address);
  }

  /** The first anchor that may be dialled; those before it have had their turn. */
  #takeAnchor(exclude: IsExcluded): DialTarget | undefined {
    for (;;) {
      const anchor = this.#anchors.shift();
      if (anchor === undefined || !exclude(anchor, targetKey(anchor))) return anchor;
    }
  }

  // Feelers

  #nextFeeler(): Millis | undefined {
    if (!this.#pex || !this.#hasSlots || this.counts().feeler > 0) return undefined;
    const slot = this.#nextSlot();
    if (slot !== undefined && slot.wanted.purpose !== 'probe' && !slot.rests) return undefined;
    const rest = this.#inForce(this.#feelerRest);
    if (rest === undefined) return this.#feelerAt;
    return rest.until === undefined ? undefined : Math.max(this.#feelerAt, rest.until);
  }

  #feel(now: Now): DialOrder | undefined {
    const at = this.#nextFeeler();
    if (at === undefined || at > now.mono) return undefined;
    this.#feelerAt = this.#later(this.#limits.feelerIntervalMs, now);
    this.#table.resolveCollisions(now);
    const exclude = this.#excluding(new Set());
    const tested = this.#table.collision(now);
    if (tested !== undefined) {
      const key = addressKey(tested);
      const target = dialTargetOf(tested);
      // A link to it is as good as an answer.
      if (this.#leadsTo(key)) this.#table.onConnected(target, tested.services, now);
      else if (!exclude(tested, key)) return this.#order(target, 'feeler', 'gossip', now);
    }
    const address = this.#draw(true, exclude, now);
    this.#feelerRest = address === undefined && tested === undefined ? this.#rest(exclude, now) : undefined;
    return address && this.#order(dialTargetOf(address), 'feeler', 'gossip', now);
  }

  /** A link of ours, with a handshake, leads there. */
  #leadsTo(key: string): boolean {
    for (const link of this.#links.values()) if (link.good && link.keys.includes(key)) return true;
    return false;
  }

  // Drawing from the table

  /** An address to dial; undefined if there is none at all. What was tried lately is passed over for so many draws. */
  #draw(newOnly: boolean, exclude: IsExcluded, now: Now): GossipAddress | undefined {
    const { drawsPerDial, cautiousDraws, recentTryMs } = this.#limits;
    for (let draw = 1; ; draw++) {
      const candidate = this.#table.select({ newOnly, exclude }, now);
      if (candidate === undefined) return undefined;
      const { address, lastTry } = candidate;
      const isRecent = lastTry !== undefined && now.mono - lastTry < recentTryMs;
      if (!isRecent || draw > cautiousDraws || draw >= drawsPerDial) return address;
    }
  }

  #excluding(netgroups: ReadonlySet<string>): IsExcluded {
    const linked = this.#linkedKeys();
    return (endpoint, key) =>
      linked.has(key) ||
      this.#own.has(key) ||
      this.#manual.has(key) ||
      this.#denies(endpoint) ||
      (netgroups.size > 0 && netgroups.has(netgroup(endpoint)));
  }

  /** Those that automatic links are in, by what was dialled and by what was reached. */
  #netgroups(): Set<string> {
    const groups = new Set<string>();
    for (const link of this.#dialled()) {
      if (!takesSlot(link)) continue;
      groups.add(netgroup(link.target));
      if (link.remote !== undefined) groups.add(netgroup(link.remote));
    }
    return groups;
  }

  /** Endpoints that are dialled, linked, or listened on by an inbound peer. */
  #linkedKeys(): Set<string> {
    const keys = new Set<string>();
    for (const { key } of this.#dials.values()) keys.add(key);
    for (const link of this.#links.values()) for (const key of link.keys) keys.add(key);
    for (const listens of this.#listens.values()) for (const key of listens) keys.add(key);
    return keys;
  }

  #rest(exclude: IsExcluded, now: Now): Rest {
    const until = this.#table.nextTry(now, exclude);
    return { openings: this.#openings + this.#table.changes, until };
  }

  #inForce(rest: Rest | undefined): Rest | undefined {
    return rest?.openings === this.#openings + this.#table.changes ? rest : undefined;
  }

  /** The next event of a Poisson process; never now, or a tick might follow upon itself. */
  #later(meanMs: Millis, now: Now): Millis {
    return now.mono + Math.max(1, exponential(this.#random, meanMs));
  }

  // Links and dials

  *#dialled(): Generator<Dial & { readonly remote?: Endpoint }> {
    yield* this.#links.values();
    yield* this.#dials.values();
  }

  #goodLinks(kind: OutboundKind): number {
    let count = 0;
    for (const link of this.#links.values()) if (link.kind === kind && link.good) count++;
    return count;
  }

  /** The user wants us to dial by ourselves. */
  get #hasSlots(): boolean {
    return this.#limits.maxOutboundFull + this.#limits.maxOutboundBlockOnly > 0;
  }

  #hasSurplus(): boolean {
    return (
      this.#goodLinks('outbound-full-relay') > this.#limits.maxOutboundFull ||
      this.#goodLinks('block-relay-only') > this.#limits.maxOutboundBlockOnly
    );
  }

  #mayDialManual(key: string, manual: NamedTarget): boolean {
    if (this.#own.has(key) || this.#denies(manual.target)) return false;
    for (const dial of this.#dials.values()) if (dial.key === key) return false;
    for (const link of this.#links.values()) if (link.keys.includes(key)) return false;
    // On one machine its own link to us will do. Elsewhere another node behind the same address could pretend to be it.
    if (!isLoopback(manual.target.host)) return true;
    for (const listens of this.#listens.values()) if (listens.includes(key)) return false;
    return true;
  }

  #order(target: DialTarget, kind: OutboundKind, origin: Origin, now: Now): DialOrder {
    const dial = this.#nextDial++ as DialId;
    this.#dials.set(dial, { target, kind, origin, key: targetKey(target) });
    this.#changes++;
    this.#table.onAttempt(target, now);
    const ofStranger = kind !== 'manual' && kind !== 'addr-fetch';
    return { dial, target, kind, publicOnly: this.#publicOnly && ofStranger };
  }

  #onFailed({ target, key, kind }: Dial, now: Now): DialTarget | undefined {
    this.#openings++;
    this.#changes++;
    this.#table.onFailed(target, now);
    if (kind === 'addr-fetch') this.#seedEnded(key, now);
    const manual = this.#manual.get(key);
    if (manual === undefined) return undefined;
    manual.failures++;
    manual.retryAt = now.mono + redialDelay(manual.failures, this.#limits);
    return manual.failures === 1 ? manual.target : undefined;
  }
}

function takesSlot({ kind }: Pick<DialledLink, 'kind'>): boolean {
  return kind === 'outbound-full-relay' || kind === 'block-relay-only';
}

/** The endpoint that was reached: the target itself, unless that is a name. A node behind `wss://` is known by its name. */
function reached({ target, remote }: Link): Endpoint {
  return target.transport === 'wss' || parseIp(target.host) !== undefined ? target : remote;
}
