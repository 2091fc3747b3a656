/**
 * The rules of a header: its own proof of work, and what it must be on top of its parent. RULES.md A4, rows 2, 5 and 7 to 10.
 * Which headers are known, unknown or invalid (rows 1, 3, 4 and 11) is the header tree's to say.
 */
import { requiredBits } from './asert.ts';
import type { BlockHeader } from './block.ts';
import { type ChainParams, MAX_TIMEWARP_SECONDS } from './params.ts';
import { checkProofOfWork } from './pow.ts';
import { type Reject, reject, rejectVersion } from './reject.ts';

/** What a header is judged by besides itself. */
export interface HeaderContext {
  readonly parent: { readonly height: number; readonly time: number };
  /** Time of block 1 on the parent's branch, which is where the difficulty's schedule begins: see asert.ts. */
  readonly anchorTime: number;
  /** Of the parent: the median of its time and of those of the ten blocks before it. */
  readonly medianTimePast: number;
  /** Seconds since 1970 by the node's clock, mock offset included. */
  readonly now: number;
}

/** Row 2: the hash meets a target that the network allows. Before it holds, nothing else about a header is worth a look. */
export function checkHeaderWork(header: BlockHeader, params: ChainParams): Reject | null {
  if (checkProofOfWork(header.hash, header.bits, params)) return null;
  return reject('header', 'high-hash', 'proof of work failed');
}

/** Rows 2, 5 and 7 to 10, in this order. Row 6, the checkpoints, is empty here: only genesis is one. */
export function checkHeader(header: BlockHeader, context: HeaderContext, params: ChainParams): Reject | null {
  return checkHeaderWork(header, params) ?? checkHeaderInContext(header, context, params);
}

/** Rows 5 and 7 to 10: what must hold on top of the parent, also for a header that has no proof of work yet. */
export function checkHeaderInContext(header: BlockHeader, context: HeaderContext, params: ChainParams): Reject | null {
  const { parent, medianTimePast, now } = context;
  if (header.bits !== requiredBits(context, params)) return reject('header', 'bad-diffbits', 'incorrect proof of work');
  if (header.time <= medianTimePast) return reject('header', 'time-too-old', "block's timestamp is too early");
  // BIP 94: the first block of a period cannot be dated far before its parent, which would ease the next target.
  const height = parent.height + 1;
  const startsPeriod = params.timewarpInterval !== undefined && height % params.timewarpInterval === 0;
  if (startsPeriod && header.time < parent.time - MAX_TIMEWARP_SECONDS) {
    return reject('header', 'time-timewarp-attack', "block's timestamp is too early on diff adjustment block");
  }
  // Not a fault of the header for ever: the kind says so, and it is neither remembered nor punished.
  if (header.time > now + params.maxFutureSeconds) {
    return reject('time-future', 'time-too-new', 'block timestamp too far in the future');
  }
  if (header.version < params.minimumVersion) return rejectVersion(header.version);
  return null;
}

/** The median of the times of a block and of up to ten before it, in any order; of an even number, the later middle one. */
export function medianTime(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
