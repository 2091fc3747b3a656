import { expect, test } from '@jest/globals';
import { SyncProgress } from '../../../node/commands/sync-progress.ts';

const tip = (height: number, transactions: number) =>
  ({ kind: 'tip', hash: '00'.repeat(32), height, disconnected: 0, transactions, syncingTo: 2000 }) as const;

test('the line says how far the sync is, how fast it goes and how long it will take', () => {
  const progress = new SyncProgress('terminal');
  expect(progress.onTip(tip(1, 1), 0)).toBe('syncing: block 1 of 2,000 (0 %)');
  let line: string | undefined;
  for (let i = 2; i <= 1000; i++) line = progress.onTip(tip(i, 335), i * 10) ?? line;
  // 100 blocks of 335 transactions in a second; a thousand blocks remain.
  expect(line).toMatch(/^syncing: block 1,000 of 2,000 \(50 %\), 100 blocks\/s, 33,467 tx\/s, 11 s left$/);
});

test('lines come no closer than 200 ms on a terminal and 5 s in a log', () => {
  for (const [where, pause] of [
    ['terminal', 200],
    ['log', 5000],
  ] as const) {
    const progress = new SyncProgress(where);
    const moments = Array.from({ length: 1500 }, (_, i) => i * 10);
    const lines = moments.filter((at) => progress.onTip(tip(at, 1), at) !== undefined);
    expect(lines).toEqual(moments.filter((at) => at % pause === 0));
  }
});

test('the rate is that of the last ten seconds, so that a slow stretch shows', () => {
  const progress = new SyncProgress('log');
  let at = 0;
  let height = 0;
  let last: string | undefined;
  for (; at < 20_000; at += 10) last = progress.onTip(tip(++height, 10), at) ?? last;
  for (; at < 60_000; at += 1000) last = progress.onTip(tip(++height, 10), at) ?? last;
  expect(last).toContain(' 1 blocks/s, 10 tx/s');
});
