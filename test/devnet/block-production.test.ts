import { describe, expect, test } from '@jest/globals';
import { BlockProduction, describeMining, minerOfTurn } from '../../devnet/block-production.ts';
import { describeEvent, EventFilter } from '../../devnet/events.ts';

describe('turns of mining', () => {
  const turns = (sides: readonly (readonly string[])[], count: number) =>
    Array.from({ length: count }, (_, turn) => minerOfTurn(turn, sides));

  test('go round all nodes', () => {
    expect(turns([['n0', 'n1', 'n2']], 7)).toEqual(['n0', 'n1', 'n2', 'n0', 'n1', 'n2', 'n0']);
  });

  test('go from side to side of a partition, and round the nodes of each', () => {
    expect(turns([['n0', 'n1', 'n2'], ['n3']], 6)).toEqual(['n0', 'n3', 'n1', 'n3', 'n2', 'n3']);
  });

  test('leave out a side where no node runs, and nobody mines where none does at all', () => {
    expect(turns([[], ['n3']], 2)).toEqual(['n3', 'n3']);
    expect(turns([[]], 1)).toEqual([undefined]);
    expect(turns([], 1)).toEqual([undefined]);
  });
});

test('miners of networks with work rest while something is done that they would disturb, and go on also if it fails', async () => {
  const told: string[] = [];
  const miners = {
    begin: async () => void told.push('begin'),
    pause: async () => void told.push('pause'),
    end: () => void told.push('end'),
  };
  const mines = { sides: () => [['n0']], mine: async () => void told.push('mine') };
  const production = new BlockProduction({ kind: 'work', miners: [{ node: 'n0', share: 0.5 }] }, mines, miners);
  production.start();
  const failed = production.pausedFor(async () => {
    told.push('reorg');
    throw new Error('lost');
  });
  await expect(failed).rejects.toThrow('lost');
  expect(told).toEqual(['begin', 'pause', 'reorg', 'begin']);
  production.stop();
  await production.pausedFor(async () => void told.push('last'));
  expect(told.slice(4)).toEqual(['end', 'last']);
});

test('a mining plan is said in words', () => {
  expect(describeMining({ kind: 'interval', intervalMs: 5000 })).toBe('a block every 5s');
  expect(describeMining({ kind: 'interval', intervalMs: 250 })).toBe('a block every 250ms');
  expect(describeMining({ kind: 'on-tx' })).toBe('a block for every payment');
  expect(describeMining({ kind: 'off' })).toBe('no blocks but those of `grapevine mine`');
});

describe('events', () => {
  const hash = 'ab'.repeat(32);
  const txid = 'cd'.repeat(32);
  const tip = { level: 'info', message: 'tip', hash, height: 7, disconnected: 0, transactions: 3 };

  test('a block is told once, by the node that had it first', () => {
    const filter = new EventFilter();
    const event = filter.read('n1', tip);
    expect(event).toEqual({ event: 'block', height: 7, hash, payments: 2, node: 'n1' });
    expect(describeEvent(event!)).toBe(`block 7 ${hash} at n1, 2 payments`);
    expect(filter.read('n2', tip)).toBeUndefined();
  });

  test('a reorg is told by every node that makes it', () => {
    const filter = new EventFilter();
    filter.read('n1', tip);
    for (const node of ['n2', 'n3']) {
      const event = filter.read(node, { ...tip, disconnected: 2 });
      expect(event).toEqual({ event: 'reorg', node, dropped: 2, height: 7, hash });
      expect(describeEvent(event!)).toBe(`reorg at ${node}: 2 blocks dropped, now 7 ${hash}`);
    }
  });

  test('a payment is told once, and again when a reorg returns it', () => {
    const filter = new EventFilter();
    const line = { level: 'info', message: 'transaction', txid, source: 'peer' };
    expect(describeEvent(filter.read('n0', line)!)).toBe(`payment ${txid} at n0`);
    expect(filter.read('n1', line)).toBeUndefined();
    expect(describeEvent(filter.read('n1', { ...line, source: 'reorg' })!)).toBe(
      `payment ${txid} back in the mempool of n1`,
    );
  });

  test('other lines of a log are none', () => {
    const filter = new EventFilter();
    expect(filter.read('n0', { message: 'peer', userAgent: '/x/' })).toBeUndefined();
    expect(filter.read('n0', { message: 'tip' })).toBeUndefined();
    expect(filter.read('n0', {})).toBeUndefined();
  });
});
