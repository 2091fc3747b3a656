/**
 * The difficulty of networks with real proof of work: aserti3-2d, "absolutely scheduled exponentially rising targets" of
 * integer arithmetic, version 3 with a cubic approximation (Bitcoin Cash specification 2020-11-15). RULES.md A11.
 *
 * Each block that comes a half-life later than the schedule doubles the target, each that comes so much earlier halves it.
 * The schedule begins at the anchor, so what a target is depends on nothing but the height and the time of the parent.
 */
import type { ChainParams, Retargeting } from './params.ts';
import { decodeCompact, encodeCompact } from './pow.ts';

/** The first block above genesis is the anchor, read from the chain itself: RULES.md A12 says why not genesis. */
const ANCHOR_HEIGHT = 1;
/** Bits after the binary point of the exponent. */
const FRACTION_BITS = 16n;
const ONE = 1n << FRACTION_BITS;
/** 2^(f / 65536) ≈ 1 + (A·f + B·f² + C·f³ + 2^47) / 2^64 for f from 0 to 65535; the error is below 0.013 %. */
const A = 195_766_423_245_049n;
const B = 971_821_376n;
const C = 5127n;
const ROUNDING = 1n << 47n;
/** Shifts beyond the size of a target make it zero or too large, whatever it was. */
const TARGET_BITS = 256n;

/** The parent of the block whose difficulty is asked for, and when the anchor of its branch was mined. */
export interface DifficultyContext {
  readonly parent: { readonly height: number; readonly time: number };
  /** Time of block 1 on this branch, seconds. Not looked at where the parent is genesis or the network never retargets. */
  readonly anchorTime: number;
}

/** The `bits` that a header on top of that parent must carry. */
export function requiredBits({ parent, anchorTime }: DifficultyContext, params: ChainParams): number {
  const { retargeting } = params;
  if (retargeting === undefined) return params.powLimitBits;
  if (parent.height < ANCHOR_HEIGHT) return retargeting.anchorBits;
  const anchorTarget = decodeCompact(retargeting.anchorBits) as bigint;
  const late = BigInt(parent.time) - (BigInt(anchorTime) - BigInt(retargeting.spacing));
  const blocks = BigInt(parent.height - ANCHOR_HEIGHT + 1);
  return encodeCompact(asertTarget(anchorTarget, late, blocks, retargeting, params.powLimit));
}

/**
 * The target after `blocks` blocks from the anchor (itself included) that took `elapsed` seconds from the time of the
 * anchor's parent to that of the tip. From 1 to `powLimit`.
 */
export function asertTarget(
  anchorTarget: bigint,
  elapsed: bigint,
  blocks: bigint,
  { spacing, halfLife }: Pick<Retargeting, 'spacing' | 'halfLife'>,
  powLimit: bigint,
): bigint {
  // The division truncates towards zero, the shift that follows rounds down: BigInt does just that.
  const exponent = ((elapsed - BigInt(spacing) * blocks) * ONE) / BigInt(halfLife);
  const shift = exponent >> FRACTION_BITS;
  const f = exponent - (shift << FRACTION_BITS);
  const factor = ONE + ((A * f + B * f * f + C * f * f * f + ROUNDING) >> 48n);
  // `factor` has the binary point of `exponent`, which is taken back by shifting 16 bits less.
  const places = shift - FRACTION_BITS;
  if (places > TARGET_BITS) return powLimit;
  if (places < -2n * TARGET_BITS) return 1n;
  const product = anchorTarget * factor;
  const target = places >= 0n ? product << places : product >> -places;
  if (target === 0n) return 1n;
  return target > powLimit ? powLimit : target;
}
