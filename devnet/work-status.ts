/**
 * What a devnet says of its proof of work: difficulty, hash rate, how often blocks come, who finds them, how many are lost.
 * Pure: computed from the blocks that chain-watch.ts has read.
 */
import { requiredBits } from '../consensus/asert.ts';
import type { ChainParams } from '../consensus/params.ts';
import { workOf } from '../consensus/pow.ts';
import { formatTable } from '../node/commands/table.ts';
import { type Miner, percentText } from './mining-shares.ts';

/** A block of the chain. */
export interface MinedBlock {
  readonly hash: string;
  readonly height: number;
  readonly time: number;
  readonly bits: number;
  /** Script that its coinbase pays, as hex. */
  readonly script: string;
}

/** The rate is estimated, and the interval averaged, over so many of the last blocks. */
export const RATE_BLOCKS = 30;

export interface MinerStatus {
  /** The name of the node; null: all others together. */
  readonly node: string | null;
  /** Of the machine, that it mines with; null where that is not known here. */
  readonly share: number | null;
  readonly blocks: number;
  /** Of all blocks, from 0 to 1. */
  readonly part: number;
}

export interface WorkStatus {
  /** Of the next block: as hex, and how many hashes it costs on average. */
  readonly bits: string;
  readonly hashesPerBlock: number;
  /** Hashes a second of all miners, as their last blocks let suppose. Null before there are two. */
  readonly hashRate: number | null;
  /** Seconds between those blocks. */
  readonly meanInterval: number | null;
  /** Seconds that the network aims at. */
  readonly spacing: number;
  /** Blocks that the schedule asks for by now; negative: the chain is ahead of it. */
  readonly owed: number;
  /** Blocks above the premined ones, at most the last CHAIN_BLOCKS, and those beside them that did not become part of the chain. */
  readonly blocks: number;
  readonly stale: number;
  readonly staleRate: number;
  readonly miners: readonly MinerStatus[];
}

export interface WorkFacts {
  readonly params: ChainParams;
  /** Times of block 1, and of now: seconds since 1970. */
  readonly anchorTime: number;
  readonly now: number;
  /** Ends of the chain, from low to high: the premined tip, or a later block, and all above it. */
  readonly chain: readonly MinedBlock[];
  readonly stale: number;
  readonly miners: readonly Miner[];
  /** The node that is paid with that script. */
  readonly nodeOf: (script: string) => string | undefined;
}

export function workStatus(facts: WorkFacts): WorkStatus {
  const { params, anchorTime, now, chain, stale, miners, nodeOf } = facts;
  const tip = chain.at(-1) as MinedBlock;
  const spacing = params.retargeting?.spacing ?? 0;
  const bits = requiredBits({ parent: tip, anchorTime }, params);
  // The first one is where counting begins.
  const mined = chain.slice(1);
  const recent = chain.slice(-RATE_BLOCKS - 1);
  const seconds = tip.time - (recent[0] as MinedBlock).time;
  const hashes = recent.slice(1).reduce((sum, block) => sum + Number(workOf(block.bits)), 0);
  const isEnough = recent.length > 2 && seconds > 0;
  const found = new Map<string | null, number>(miners.map(({ node }) => [node, 0]));
  for (const { script } of mined) {
    const node = nodeOf(script) ?? null;
    found.set(node, (found.get(node) ?? 0) + 1);
  }
  const shares = new Map<string | null, number>(miners.map(({ node, share }) => [node, share]));
  return {
    bits: bits.toString(16).padStart(8, '0'),
    hashesPerBlock: Number(workOf(bits)),
    hashRate: isEnough ? hashes / seconds : null,
    meanInterval: isEnough ? seconds / (recent.length - 1) : null,
    spacing,
    owed: Math.floor((now - anchorTime) / spacing) - (tip.height - 1),
    blocks: mined.length,
    stale,
    staleRate: stale === 0 ? 0 : stale / (stale + mined.length),
    miners: [...found].map(([node, blocks]) => ({
      node,
      share: shares.get(node) ?? null,
      blocks,
      part: mined.length === 0 ? 0 : blocks / mined.length,
    })),
  };
}

export function describeWork(work: WorkStatus): string {
  const { bits, hashesPerBlock, hashRate, meanInterval, spacing, owed, blocks, stale, staleRate, miners } = work;
  const pace =
    hashRate === null || meanInterval === null
      ? 'too few blocks yet to say how fast'
      : `about ${hashText(hashRate)}/s, a block every ${secondsText(meanInterval)}`;
  const schedule = owed > 0 ? `, ${owed} owed` : owed < 0 ? `, ${-owed} ahead` : '';
  const lines = [
    `Difficulty: ${bits}, ${hashText(hashesPerBlock)} a block; ${pace} (schedule: ${spacing} s${schedule}).`,
    `Blocks: ${blocks} mined, ${stale} more were lost to forks (${percentText(staleRate)}).`,
  ];
  if (miners.length === 0) return lines.join('\n');
  const rows = miners.map(({ node, share, blocks: count, part }) => [
    node ?? 'others',
    share === null ? '-' : percentText(share),
    count,
    percentText(part),
  ]);
  return [...lines, formatTable(['MINER', 'OF MACHINE', 'BLOCKS', 'PART'], rows)].join('\n');
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** `4.19 Mhash`. */
export function hashText(hashes: number): string {
  let value = hashes;
  let unit = 0;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${Number(value.toPrecision(3))} ${UNITS[unit]}hash`;
}

function secondsText(seconds: number): string {
  return `${Number(seconds.toPrecision(3))} s`;
}
