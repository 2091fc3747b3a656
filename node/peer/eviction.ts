/**
 * Which inbound link goes when one more comes than there are places. RULES.md C4, "inbound eviction"; the rules are Core's
 * (node/eviction.cpp).
 *
 * Places are scarce and identities are free: whoever wants to be alone with us can open any number of links. So nobody is
 * judged by number. Peers are kept for what costs something to have: an address in a netgroup that nobody can foresee we
 * prefer, a short way to us, news (transactions that entered our pool, blocks that we did not have), and a long time spent
 * here. To push out an honest peer an attacker must be better than it at all of these at once. That is also the incentive to
 * serve: who brings blocks and transactions stays, and who only takes makes room for the next.
 *
 * Each rule in turn takes its best peers out of the choice; the order is part of the rules. Of those that are left the
 * youngest goes, of the netgroup that has most, for that is where one operator most likely has many.
 *
 * It does not know links, limits or clocks: node.ts says when somebody must go and tells the facts
 * (eviction-candidates.ts).
 */
import { sha256 } from '#hash';
import { concatBytes } from '../../consensus/codec.ts';
import type { Millis, PeerId } from '../boundary.ts';
import type { Random } from '../ports.ts';

/** How many each rule keeps. They are part of the algorithm, not bounds: the same in every profile. */
const KEPT_BY_NETGROUP = 4;
const KEPT_BY_PING = 8;
const KEPT_BY_TRANSACTIONS = 4;
const KEPT_BLOCK_ONLY = 8;
const KEPT_BY_BLOCKS = 4;
/** Netgroups whose keys are remembered. */
const MAX_KEYS = 1000;

/** An inbound link as the rules see it. */
export interface EvictionCandidate {
  readonly peer: PeerId;
  readonly netgroup: string;
  /** Times are of any one clock: only their order counts. */
  readonly connectedAt: Millis;
  /** Undefined while no ping was answered. */
  readonly minPingMs: Millis | undefined;
  /** When it last brought a transaction that entered our pool, and a block that we did not have; 0 for never. */
  readonly lastTransaction: Millis;
  readonly lastBlock: Millis;
  /** It wants to hear of transactions. */
  readonly relaysTransactions: boolean;
  /** It serves what we need of a peer. */
  readonly usefulServices: boolean;
  /** It comes from this machine, as through a proxy, on a network where that is no matter of course. */
  readonly local: boolean;
  readonly discouraged: boolean;
  /** The user has said that it shall never go. */
  readonly noban: boolean;
}

/** Negative where `a` is kept rather than `b`. */
type Order = (a: EvictionCandidate, b: EvictionCandidate) => number;

const oldest: Order = (a, b) => a.connectedAt - b.connectedAt;
const useful: Order = (a, b) => Number(b.usefulServices) - Number(a.usefulServices);
const byPing: Order = (a, b) =>
  compare(a.minPingMs ?? Number.POSITIVE_INFINITY, b.minPingMs ?? Number.POSITIVE_INFINITY);
const byTransactions: Order = (a, b) =>
  b.lastTransaction - a.lastTransaction || Number(b.relaysTransactions) - Number(a.relaysTransactions) || oldest(a, b);
const byBlocks: Order = (a, b) => b.lastBlock - a.lastBlock || useful(a, b) || oldest(a, b);
const blockOnlyByBlocks: Order = (a, b) =>
  Number(a.relaysTransactions) - Number(b.relaysTransactions) || byBlocks(a, b);
const localByAge: Order = (a, b) => Number(b.local) - Number(a.local) || oldest(a, b);

/**
 * The link that has to go, or undefined where all are to be kept. `keyOf` maps netgroups to numbers that nobody outside can
 * foresee (`netgroupKeys`).
 */
export function selectEviction(
  candidates: readonly EvictionCandidate[],
  keyOf: (netgroup: string) => number,
): PeerId | undefined {
  let left = candidates.filter(({ noban }) => !noban);
  left = keep(left, KEPT_BY_NETGROUP, (a, b) => keyOf(b.netgroup) - keyOf(a.netgroup));
  left = keep(left, KEPT_BY_PING, byPing);
  left = keep(left, KEPT_BY_TRANSACTIONS, byTransactions);
  const servesBlocks = (one: EvictionCandidate) => !one.relaysTransactions && one.usefulServices;
  left = keep(left, KEPT_BLOCK_ONLY, blockOnlyByBlocks, servesBlocks);
  left = keep(left, KEPT_BY_BLOCKS, byBlocks);
  left = keepHalf(left);
  if (left.some(({ discouraged }) => discouraged)) left = left.filter(({ discouraged }) => discouraged);
  return youngestOfLargestGroup(left)?.peer;
}

/** A secret order of netgroups. */
export function netgroupKeys(random: Random): (netgroup: string) => number {
  const secret = random.bytes(32);
  const keys = new Map<string, number>();
  return (netgroup) => {
    let key = keys.get(netgroup);
    if (key === undefined) {
      const digest = sha256(concatBytes(secret, new TextEncoder().encode(netgroup)));
      key = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
      if (keys.size >= MAX_KEYS) keys.clear();
      keys.set(netgroup, key);
    }
    return key;
  };
}

/** The others, where the first `count` in that order are kept, or those of them that qualify. */
function keep(
  candidates: readonly EvictionCandidate[],
  count: number,
  order: Order,
  qualifies: (one: EvictionCandidate) => boolean = () => true,
): EvictionCandidate[] {
  return [...candidates].sort(order).filter((one, place) => place >= count || !qualifies(one));
}

/**
 * Keeps the half that has been here longest, so that an attack that begins now finds the places taken. Half of them are for
 * peers that come through a proxy on this machine, if there are so many: they share an address and have long pings, so that
 * the rules before are not for them.
 */
function keepHalf(candidates: readonly EvictionCandidate[]): EvictionCandidate[] {
  const half = Math.floor(candidates.length / 2);
  const others = keep(candidates, Math.floor(half / 2), localByAge, ({ local }) => local);
  return keep(others, half - (candidates.length - others.length), oldest);
}

function youngestOfLargestGroup(candidates: readonly EvictionCandidate[]): EvictionCandidate | undefined {
  const groups = new Map<string, { readonly youngest: EvictionCandidate; size: number }>();
  for (const candidate of [...candidates].sort((a, b) => oldest(b, a) || b.peer - a.peer)) {
    const group = groups.get(candidate.netgroup);
    if (group === undefined) groups.set(candidate.netgroup, { youngest: candidate, size: 1 });
    else group.size++;
  }
  // The first of the largest is the one with the youngest: groups stand in the order of their youngest.
  let largest: { readonly youngest: EvictionCandidate; readonly size: number } | undefined;
  for (const group of groups.values()) if (largest === undefined || group.size > largest.size) largest = group;
  return largest?.youngest;
}

/** As a difference, but infinities are equal. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
