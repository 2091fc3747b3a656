/** What the estimator says of blocks whose miners take what pays best: small histories with a known answer. */
import { describe, expect, test } from '@jest/globals';
import type { Txid } from '../../../consensus/brand.ts';
import { type EstimateMode, FeeEstimator } from '../../../node/mempool/fee-estimator.ts';
import { draft, Fixture } from './fixture.ts';

let nextId = 1;
const newId = () => (nextId++).toString(16).padStart(64, '0') as Txid;

/** Blocks of `perBlock` transactions of each feerate, which are confirmed after so many blocks, undefined for never. */
function history(blocks: number, perBlock: number, waits: ReadonlyMap<number, number | undefined>): FeeEstimator {
  const estimator = new FeeEstimator();
  const due = new Map<number, Txid[]>();
  for (let height = 100; height < 100 + blocks; height++) {
    estimator.onBlock(height, due.get(height) ?? []);
    for (const [feerate, wait] of waits) {
      for (let i = 0; i < perBlock; i++) {
        const txid = newId();
        estimator.onEntry(txid, feerate, height);
        if (wait !== undefined) due.set(height + wait, [...(due.get(height + wait) ?? []), txid]);
      }
    }
  }
  return estimator;
}

const feerateOf = (estimator: FeeEstimator, target: number, mode: EstimateMode = 'economical') =>
  estimator.estimate(target, mode).feerate;

describe('the estimator', () => {
  test('says nothing without data, nor of targets further than it has seen', () => {
    expect(new FeeEstimator().estimate(6, 'economical')).toEqual({ feerate: undefined, blocks: 0 });
    const young = history(6, 10, new Map([[5000, 1]]));
    expect(young.estimate(6, 'economical')).toEqual({ feerate: 5000, blocks: 2 });
    expect(history(3, 100, new Map([[5000, 1]])).estimate(2, 'economical')).toEqual({ feerate: undefined, blocks: 0 });
    expect(feerateOf(history(100, 0, new Map([[5000, 1]])), 2)).toBeUndefined();
  });

  test('names the cheapest feerate that was in time', () => {
    const waits = new Map([
      [50_000, 1],
      [20_000, 3],
      [8000, 10],
      [2000, undefined],
    ]);
    const estimator = history(200, 3, waits);
    expect(feerateOf(estimator, 1)).toBe(50_000);
    expect(feerateOf(estimator, 2)).toBe(50_000);
    expect(feerateOf(estimator, 3)).toBe(20_000);
    expect(feerateOf(estimator, 9)).toBe(20_000);
    expect(feerateOf(estimator, 10)).toBe(8000);
    expect(feerateOf(estimator, 99)).toBe(8000);
    expect(estimator.estimate(1, 'economical').blocks).toBe(2);
    expect(estimator.estimate(1000, 'economical').blocks).toBe(99);
  });

  test('never asks more for a longer wait', () => {
    const waits = new Map(Array.from({ length: 30 }, (_, i) => [1000 * 1.2 ** i, 1 + ((i * 7) % 11)] as const));
    const estimator = history(120, 2, waits);
    for (const mode of ['economical', 'conservative'] as const) {
      let last = Infinity;
      for (let target = 1; target <= 60; target++) {
        const feerate = feerateOf(estimator, target, mode) ?? Infinity;
        expect(feerate).toBeLessThanOrEqual(last);
        last = feerate;
      }
    }
  });

  test('counts what left unconfirmed, and what still waits, as too late', () => {
    const estimator = new FeeEstimator();
    for (let height = 100; height < 200; height++) {
      const [good, bad] = [newId(), newId()];
      estimator.onEntry(good, 5000, height);
      estimator.onEntry(bad, 5000, height);
      estimator.onBlock(height + 1, [good]);
      if (height % 2 === 0) estimator.onLeft(bad);
    }
    // Half of them are in time, half are not: those that left at once have waited one block.
    expect(feerateOf(estimator, 2)).toBeUndefined();
  });

  test('asks a conservative caller for a larger share', () => {
    const estimator = new FeeEstimator();
    for (let height = 100; height < 200; height++) {
      const batch = Array.from({ length: 10 }, newId);
      const dear = newId();
      for (const txid of batch) estimator.onEntry(txid, 5000, height);
      estimator.onEntry(dear, 50_000, height);
      // One of ten never makes it.
      estimator.onBlock(height + 1, [...batch.slice(1), dear]);
    }
    expect(feerateOf(estimator, 4)).toBe(5000);
    expect(feerateOf(estimator, 4, 'conservative')).toBe(50_000);
  });

  test('forgets: what blocks were like long ago counts little', () => {
    const estimator = history(150, 5, new Map([[50_000, 1]]));
    let height = 250;
    for (let i = 0; i < 1500; i++, height++) {
      const txid = newId();
      estimator.onEntry(txid, 3000, height - 1);
      estimator.onBlock(height, [txid]);
    }
    expect(feerateOf(estimator, 6)).toBe(3000);
  });

  test('keeps its counts right when weights are scaled back', () => {
    const estimator = history(100, 5, new Map([[7000, 1]]));
    // ln(1e100) / -ln(0.9952) is about 47,850 blocks.
    for (let height = 200; height < 49_000; height++) {
      const txid = newId();
      estimator.onEntry(txid, 4000, height - 1);
      estimator.onBlock(height, [txid]);
    }
    expect(feerateOf(estimator, 6)).toBe(4000);
  });

  test('learns nothing from a block of a branch that is no higher', () => {
    const estimator = history(100, 3, new Map([[5000, 1]]));
    const before = estimator.estimate(6, 'economical');
    const txid = newId();
    estimator.onEntry(txid, 5000, 199);
    estimator.onBlock(150, [txid]);
    estimator.onLeft(txid);
    expect(estimator.estimate(6, 'economical')).toEqual(before);
  });
});

describe('the pool', () => {
  test('has an answer for those who must have one: what it takes to enter', () => {
    const pool = new Fixture();
    expect(pool.pool.feeRateFor(6, pool.now)).toBe(1000);
    expect(pool.pool.estimateFee(6, 'economical', pool.now)).toEqual({ feerate: undefined, blocks: 0 });
  });

  test('learns from blocks what is paid, but not from children and favourites', () => {
    const pool = new Fixture();
    const coins = pool.coins(60);
    for (let round = 0; round < 10; round++) {
      const txs = coins.splice(0, 5).map((coin) => draft([coin], { fee: 2220n }));
      pool.sendAll(txs);
      pool.mine(txs);
    }
    const favourites = coins.splice(0, 10).map((coin) => draft([coin], { fee: 90_000n }));
    for (const tx of favourites) pool.pool.prioritise(tx.txid, 1n);
    pool.sendAll(favourites);
    for (let i = 0; i < 10; i++) pool.mine();
    expect(pool.pool.estimateFee(4, 'economical', pool.now)).toEqual({ feerate: 20_000, blocks: 4 });
    expect(pool.pool.feeRateFor(4, pool.now)).toBe(20_000);
  });
});
