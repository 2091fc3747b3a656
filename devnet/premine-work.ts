/**
 * The first blocks of a devnet whose blocks cost work: when they are dated, so that the difficulty lets them be made in
 * seconds, and their search. The dates are chosen near the present, so these blocks are other ones at every start.
 *
 * The schedule of the difficulty (consensus/asert.ts) begins at block 1 with its own time and bits; every half-life that the
 * chain is late halves the work. So block 1 is dated in the past, and all others just now: each then finds its parent late.
 * How far back is the question. What the chain is late afterwards it owes: until so many blocks more are mined, blocks come
 * faster than the network aims at, at first as fast as the first ones. So block 1 is dated no further back than makes
 * the search last `SEARCH_SECONDS` on this machine, and never less than the schedule itself asks for, which owes nothing.
 *
 * On vinenet (10 s, half-life 2,880 s, blocks 1 and 2 cost 2^22 hashes each whatever their dates, 110 blocks), where a core
 * makes some 2 to 6 million hashes a second:
 *
 *   block 1 dated back   0.4 half-lives   1.5      2.5      4.1      5.8
 *   hashes               412 million      200      100      40       18
 *   blocks owed          0                310      620      1,060    1,560
 *
 * The last is about the least there is, because most blocks then are at the limit of 2^16 hashes: two busy cores do that in five
 * seconds, eight fast ones have 200 million hashes in that time. The dates of the others rise by one second a block: a block
 * must be later than the median of the eleven before it, and none may be dated far ahead of the nodes' clocks.
 */
import { requiredBits } from '../consensus/asert.ts';
import { type Block, encodeHeader, makeHeader } from '../consensus/block.ts';
import type { Bytes } from '../consensus/brand.ts';
import { medianTime } from '../consensus/check-header.ts';
import { merkleRoot } from '../consensus/merkle.ts';
import { type ChainParams, MEDIAN_TIME_SPAN } from '../consensus/params.ts';
import { workOf } from '../consensus/pow.ts';
import { BLOCK_VERSION, coinbaseTransaction } from './premine.ts';

/** How long the search is to take on this machine, on average. */
export const SEARCH_SECONDS = 5;
/** It may take so much longer than the least that is possible: with less, many blocks would be owed for little. */
const OVER_LEAST = 1.15;

export interface DatePlan {
  /** Of blocks 1, 2, …: seconds since 1970. */
  readonly times: readonly number[];
  /** That it takes on average to make them. */
  readonly hashes: number;
  /** Blocks that the schedule asks for after them; negative: the chain is ahead of it by so many. */
  readonly owed: number;
}

/** The dates of `count` blocks, of which the last is made `now`; the search is to take `budget` hashes. */
export function chooseDates(params: ChainParams, count: number, now: number, budget: number): DatePlan {
  const spacing = params.retargeting?.spacing ?? 1;
  const onSchedule = (count - 1) * spacing;
  // A chain that was made just now cannot have older blocks.
  const oldest = Math.max(0, now - params.genesis.header.time - 1);
  const plan = (age: number) => datesFrom(params, count, now, age);
  let least = Math.min(onSchedule, oldest);
  let most = oldest;
  const enough = Math.max(budget, OVER_LEAST * plan(most).hashes);
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (plan(middle).hashes <= enough) most = middle;
    else least = middle + 1;
  }
  return plan(most);
}

/** With block 1 so many seconds before `now`. */
function datesFrom(params: ChainParams, count: number, now: number, age: number): DatePlan {
  const anchorTime = now - age;
  const times: number[] = [];
  const known = [params.genesis.header.time];
  let hashes = 0;
  for (let height = 1; height <= count; height++) {
    const parent = { height: height - 1, time: known.at(-1) as number };
    hashes += Number(workOf(requiredBits({ parent, anchorTime }, params)));
    const wanted = height === 1 ? anchorTime : now - (count - height);
    const time = Math.max(wanted, medianTime(known.slice(-MEDIAN_TIME_SPAN)) + 1);
    times.push(time);
    known.push(time);
  }
  const spacing = params.retargeting?.spacing ?? 1;
  const due = ((times.at(-1) as number) - (times[0] as number)) / spacing;
  return { times, hashes, owed: Math.round(due - (count - 1)) };
}

/** Finds a number of a header, and its nonce, that meet the target: see NonceSearch. */
export type Find = (
  headerOf: (extra: number) => Bytes,
  bits: number,
) => Promise<{ readonly extra: number; readonly nonce: number }>;

export interface WorkOrder {
  readonly times: readonly number[];
  /** That the blocks pay, in their order; the last one also pays those that follow. */
  readonly scripts: readonly Bytes[];
  readonly params: ChainParams;
  readonly find: Find;
  /** A block is there. */
  readonly onBlock: (height: number) => void;
}

/** Makes the blocks, as many as there are times. */
export async function premineWork({ times, scripts, params, find, onBlock }: WorkOrder): Promise<Block[]> {
  const blocks: Block[] = [];
  let parent = params.genesis.header;
  for (const [index, time] of times.entries()) {
    const height = index + 1;
    const script = scripts[index] ?? (scripts.at(-1) as Bytes);
    const anchorTime = times[0] as number;
    const bits = requiredBits({ parent: { height: index, time: parent.time }, anchorTime }, params);
    const fieldsOf = (extra: number) => {
      const coinbase = coinbaseTransaction(height, script, params, coinbaseText(extra));
      const root = merkleRoot([coinbase.txid]).root;
      return {
        coinbase,
        fields: { version: BLOCK_VERSION, prevHash: parent.hash, merkleRoot: root, time, bits },
      };
    };
    const { extra, nonce } = await find((number) => encodeHeader({ ...fieldsOf(number).fields, nonce: 0 }), bits);
    const { coinbase, fields } = fieldsOf(extra);
    const header = makeHeader({ ...fields, nonce });
    blocks.push({ header, transactions: [coinbase] });
    parent = header;
    onBlock(height);
  }
  return blocks;
}

function coinbaseText(extra: number): Bytes {
  return new TextEncoder().encode(`grapevine devnet ${extra}`);
}
