/**
 * Which link goes where there is one more than its slots: Core's EvictExtraOutboundPeers. Pure; dialer.ts decides when to
 * make such links and when to look, node.ts closes them.
 *
 * Both rules first choose and then ask whether the chosen one may go yet. Otherwise a link more, too young to be judged,
 * would cost an old one its place.
 */
import type { Millis, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';

/** What a link has been good for; times as in `Now.mono`. */
export interface LinkActivity {
  /** When it last brought a block, or the announcement of one, that was new to us; undefined for never. */
  readonly lastBlockMs: Millis | undefined;
  /** When it was opened. */
  readonly connectedMs: Millis;
  /** A block that we asked it for is on the way. */
  readonly busy: boolean;
}

export interface JudgedLink extends LinkActivity {
  readonly peer: PeerId;
}

/**
 * Of more full links than `slots` the one whose last new block is oldest, of several the youngest. So the peer that gave the
 * newest block never goes.
 */
export function surplusFull(links: readonly JudgedLink[], slots: number, limits: Limits, mono: Millis) {
  if (links.length <= slots) return undefined;
  const [worst] = [...links].sort((a, b) => lastBlock(a) - lastBlock(b) || b.peer - a.peer);
  return worst !== undefined && mayGo(worst, limits, mono) ? worst.peer : undefined;
}

/**
 * Of more block-only links than `slots` one of the two youngest. The youngest was made for a while, to compare tips with: it
 * goes, unless it has brought a block since the second youngest did; then it takes that one's place.
 */
export function surplusBlockOnly(links: readonly JudgedLink[], slots: number, limits: Limits, mono: Millis) {
  if (links.length <= slots) return undefined;
  const [youngest, second] = [...links].sort((a, b) => b.peer - a.peer);
  if (youngest === undefined) return undefined;
  const goes = second !== undefined && lastBlock(youngest) > lastBlock(second) ? second : youngest;
  return mayGo(goes, limits, mono) ? goes.peer : undefined;
}

function lastBlock({ lastBlockMs }: JudgedLink): Millis {
  // Finite, so that two of them compare as equal.
  return lastBlockMs ?? -1;
}

function mayGo({ connectedMs, busy }: JudgedLink, limits: Limits, mono: Millis): boolean {
  return !busy && mono - connectedMs >= limits.surplusMinMs;
}
