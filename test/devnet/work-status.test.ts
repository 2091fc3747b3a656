import { describe, expect, test } from '@jest/globals';
import { requiredBits } from '../../consensus/asert.ts';
import { vinenet } from '../../consensus/params.ts';
import { describeWork, hashText, type MinedBlock, RATE_BLOCKS, workStatus } from '../../devnet/work-status.ts';

const ANCHOR_TIME = 1_795_000_000;
const miners = [
  { node: 'n0', share: 0.48 },
  { node: 'n1', share: 0.24 },
];
const nodeOf = (script: string) => (script === 'a0' ? 'n0' : script === 'a1' ? 'n1' : undefined);

/** Blocks from height 110 on, `seconds` apart, at 2^22 hashes each. */
function chainOf(scripts: readonly string[], seconds: number): MinedBlock[] {
  return ['first', ...scripts].map((script, index) => ({
    hash: `h${index}`,
    height: 110 + index,
    time: ANCHOR_TIME + 1090 + index * seconds,
    bits: 0x1e03ffff,
    script,
  }));
}

function look(chain: readonly MinedBlock[], stale = 0) {
  const now = chain.at(-1)!.time;
  return workStatus({ params: vinenet, anchorTime: ANCHOR_TIME, now, chain, stale, miners, nodeOf });
}

describe('the figures of work', () => {
  test('are hash rate, interval, lost blocks, and the blocks of each miner', () => {
    const scripts = Array.from({ length: 40 }, (_, index) => (index % 4 === 0 ? 'a1' : index === 39 ? 'xx' : 'a0'));
    const chain = chainOf(scripts, 4);
    const work = look(chain, 10);
    expect(work).toMatchObject({ meanInterval: 4, spacing: 10, blocks: 40, stale: 10, staleRate: 0.2 });
    expect(work.hashRate).toBeCloseTo(2 ** 22 / 4, -2);
    expect(work.miners).toEqual([
      { node: 'n0', share: 0.48, blocks: 29, part: 0.725 },
      { node: 'n1', share: 0.24, blocks: 10, part: 0.25 },
      { node: null, share: null, blocks: 1, part: 0.025 },
    ]);
    const bits = requiredBits({ parent: chain.at(-1)!, anchorTime: ANCHOR_TIME }, vinenet);
    expect(work.bits).toBe(bits.toString(16));
    // 40 blocks in 160 s: 24 more than the schedule asks for, after a premine that was just on it.
    expect(work.owed).toBe(-24);
    expect(describeWork(work)).toMatch(/about 1\.05 Mhash\/s, a block every 4 s \(schedule: 10 s, 24 ahead\)/);
    expect(describeWork(work)).toMatch(/40 mined, 10 more were lost to forks \(20%\)/);
    expect(describeWork(work)).toMatch(/^n1 +24% +10 +25%$/m);
  });

  test('look at the last blocks only for the rate', () => {
    const slow = chainOf(Array<string>(20).fill('a0'), 100);
    const last = slow.at(-1)!;
    const fast = Array.from({ length: RATE_BLOCKS }, (_, index) => ({
      ...last,
      height: last.height + index + 1,
      time: last.time + 2 * (index + 1),
    }));
    expect(look([...slow, ...fast]).meanInterval).toBe(2);
  });

  test('are not made up before there are two blocks', () => {
    for (const scripts of [[], ['a0']]) {
      const work = look(chainOf(scripts, 10));
      expect(work).toMatchObject({ hashRate: null, meanInterval: null, blocks: scripts.length, staleRate: 0 });
      expect(describeWork(work)).toContain('too few blocks yet');
    }
  });
});

test('hashes are told with three digits and a unit', () => {
  expect([0.5, 999, 999.7, 4_194_304, 1.5e12].map(hashText)).toEqual([
    '0.5 hash',
    '999 hash',
    '1 khash',
    '4.19 Mhash',
    '1.5 Thash',
  ]);
});
