/** Which transactions a block template takes, and in which order. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

function select(fixture: Fixture, maxWeight = 3_996_000): Transaction[] {
  const { pool, height, medianTimePast } = fixture;
  return pool.select({ maxWeight, height: height + 1, medianTimePast }).map(({ tx }) => tx);
}

describe('the selection', () => {
  test('is by feerate, the older first among equals', () => {
    const pool = new Fixture();
    const [a, b, c] = pool.coins(3) as [Spendable, Spendable, Spendable];
    const [low, high, alsoLow] = [draft([a]), draft([b], { fee: 2000n }), draft([c])];
    pool.sendAll([low, high, alsoLow]);
    expect(select(pool)).toEqual([high, low, alsoLow]);
  });

  test('lets a child pay for its parents', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    const parent = draft([a], { fee: 111n });
    const child = draft([output(parent)], { fee: 9000n });
    const other = draft([b], { fee: 2000n });
    pool.sendAll([parent, child, other]);
    expect(select(pool)).toEqual([parent, child, other]);
    expect(select(pool, 444)).toEqual([other]);
  });

  test('does not let a child gain by what its parents pay', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    // Together the four pay 6.1 satoshis per byte; the last of them alone pays 5.6, each package without it 4.8.
    const root = draft([a], { fee: 154n, split: 2 });
    const [left, right] = [draft([output(root)], { fee: 1110n }), draft([output(root, 1)], { fee: 1110n })];
    const last = draft([output(left), output(right)], { fee: 946n });
    const other = draft([b], { fee: 655n });
    pool.sendAll([root, left, right, last, other]);
    expect(select(pool)[0]).toEqual(other);
  });

  test('moves down what has lost a rich parent to the block and has a poor one left', () => {
    const pool = new Fixture();
    const [a, b, c] = pool.coins(3) as [Spendable, Spendable, Spendable];
    const [rich, poor] = [draft([a], { fee: 20_000n }), draft([b], { fee: 111n })];
    const child = draft([output(rich), output(poor)], { fee: 5000n });
    const other = draft([c], { fee: 2500n });
    pool.sendAll([rich, poor, child, other]);
    expect(select(pool)).toEqual([rich, other, poor, child]);
  });

  test('moves up what has become cheaper to take, because its parent is in', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    const parent = draft([a], { fee: 200n, split: 2 });
    const rich = draft([output(parent)], { fee: 9000n });
    const fair = draft([output(parent, 1)], { fee: 2000n });
    const other = draft([b], { fee: 1600n });
    pool.sendAll([parent, rich, fair, other]);
    // With its parent still to be paid for, `fair` has 8.3 satoshis per byte against the 14.4 of `other`; without, 18.
    expect(select(pool)).toEqual([parent, rich, fair, other]);
  });

  test('leaves out what pays less than the minimum, whatever its parents pay', () => {
    const pool = new Fixture();
    const free = draft([pool.coinbase(1)], { fee: 0n });
    pool.mine([free]);
    pool.reorg(1, [[]]);
    expect(pool.pool.size).toBe(1);
    expect(select(pool)).toEqual([]);
    pool.sendAll([draft([output(free)], { fee: 222n })]);
    expect(select(pool)).toHaveLength(2);
  });

  test('passes over what does not fit and goes on with what does', () => {
    const pool = new Fixture();
    const [a, b, c] = pool.coins(3) as [Spendable, Spendable, Spendable];
    const [large, small, smaller] = [
      draft([a], { split: 9, fee: 9000n }),
      draft([b], { fee: 500n }),
      draft([c], { fee: 400n }),
    ];
    pool.sendAll([large, small, smaller]);
    expect(select(pool, 1000)).toEqual([small, smaller]);
    expect(select(pool, 444)).toEqual([small]);
    expect(select(pool, 443)).toEqual([]);
  });

  test('takes a package that did not fit when part of it has come in with another', () => {
    const pool = new Fixture();
    const [a] = pool.coins(1) as [Spendable];
    const parent = draft([a], { fee: 300n, split: 2 });
    const rich = draft([output(parent)], { fee: 5000n });
    const richer = draft([output(parent, 1)], { fee: 20_000n, split: 20 });
    const grandchild = draft([output(rich)], { fee: 4000n });
    pool.sendAll([parent, rich, richer, grandchild]);
    expect(select(pool, 616 + 444 + 444)).toEqual([parent, rich, grandchild]);
  });

  test('leaves out what is not final in that block', () => {
    const pool = new Fixture();
    const timed = draft([pool.coinbase()], { lockTime: 110, sequence: 0xfffffffe });
    pool.sendAll([timed]);
    const { medianTimePast } = pool;
    expect(pool.pool.select({ maxWeight: 1e6, height: 111, medianTimePast })).toHaveLength(1);
    expect(pool.pool.select({ maxWeight: 1e6, height: 110, medianTimePast })).toEqual([]);
  });

  test('fills a block from a pool that has more than fits', () => {
    const pool = new Fixture();
    const coins = pool.coins(2000);
    pool.sendAll(coins.map((coin, index) => draft([coin], { fee: BigInt(200 + ((index * 7919) % 1000)) })));
    const taken = select(pool, 444 * 1000);
    expect(taken).toHaveLength(1000);
    const least = Math.min(...taken.map((tx) => Number(pool.pool.get(tx.txid)?.fee)));
    const left = [...pool.pool.entries()].filter(({ tx }) => !taken.includes(tx));
    expect(Math.max(...left.map(({ fee }) => Number(fee)))).toBeLessThanOrEqual(least);
  });
});
