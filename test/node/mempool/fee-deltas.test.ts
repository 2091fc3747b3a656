import { describe, expect, test } from '@jest/globals';
import type { Txid } from '../../../consensus/brand.ts';
import { FeeDeltas, MAX_FEE_DELTAS } from '../../../node/mempool/fee-deltas.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { draft, Fixture, output } from './fixture.ts';

const id = (number: number) => number.toString(16).padStart(64, '0') as Txid;

describe('fee deltas', () => {
  test('add up, and are gone when they come to nothing', () => {
    const deltas = new FeeDeltas(undefined);
    expect(deltas.add(id(1), 500n)).toBe(true);
    expect(deltas.add(id(1), -200n)).toBe(true);
    expect(deltas.get(id(1))).toBe(300n);
    deltas.add(id(1), -300n);
    expect([...deltas.entries()]).toEqual([]);
    deltas.add(id(2), 1n << 62n);
    deltas.add(id(2), 1n << 62n);
    expect(deltas.get(id(2))).toBe((1n << 63n) - 1n);
  });

  test('are no more than the limit', () => {
    const deltas = new FeeDeltas(undefined);
    for (let i = 1; i <= MAX_FEE_DELTAS; i++) deltas.add(id(i), 1n);
    expect(deltas.add(id(0), 1n)).toBe(false);
    expect(deltas.add(id(1), 1n)).toBe(true);
    deltas.delete(id(1));
    expect(deltas.add(id(0), 1n)).toBe(true);
  });

  test('are read back from their row, which is written only when it has changed', () => {
    const deltas = new FeeDeltas(undefined);
    expect(deltas.row()).toBeUndefined();
    deltas.add(id(1), 500n);
    deltas.add(id(2), -500n);
    const row = deltas.row();
    if (row === undefined || row === null) throw new Error('there is something to write');
    expect(deltas.row()).toBeUndefined();
    const read = new FeeDeltas(row);
    expect([...read.entries()]).toEqual([...deltas.entries()]);
    expect(read.row()).toBeUndefined();
    read.delete(id(1));
    read.delete(id(2));
    expect(read.row()).toBeNull();
    expect(() => new FeeDeltas(row.subarray(1))).toThrow(StoreDamage);
  });
});

describe('a transaction with a delta', () => {
  test('is selected, kept and replaced by its modified fee', () => {
    const pool = new Fixture();
    const [poor, rich] = [draft([pool.coinbase()], { fee: 111n }), draft([pool.coinbase(2)], { fee: 9000n })];
    pool.sendAll([poor, rich]);
    const first = () => {
      const [entry] = pool.pool.select({ maxWeight: 1e6, height: 111, medianTimePast: pool.medianTimePast });
      return entry?.tx;
    };
    expect(first()).toBe(rich);
    const before = pool.pool.changes;
    pool.pool.prioritise(poor.txid, 20_000n);
    expect(pool.pool.changes).not.toBe(before);
    expect(first()).toBe(poor);
    expect(pool.pool.totalFee).toBe(9111n);
    expect(pool.send(draft([pool.coinbase()], { fee: 20_000n }))).toBe('insufficient fee');
    expect(pool.send(draft([pool.coinbase()], { fee: 20_222n }))).toBe('accepted');
    // Those of what was replaced are kept, those of what was mined are not.
    expect([...pool.pool.feeDeltas()]).toEqual([[poor.txid, 20_000n]]);
    pool.mine([poor]);
    expect([...pool.pool.feeDeltas()]).toEqual([]);
  });

  test('is evicted last, or first, and its relatives count it so', () => {
    const memory = (() => {
      const pool = new Fixture();
      pool.sendAll([draft([pool.coinbase()])]);
      return pool.pool.memory;
    })();
    const pool = new Fixture({ limits: { mempoolBytes: 3 * memory } });
    const [a, b, c] = [1, 2, 3].map((height) => draft([pool.coinbase(height)], { fee: BigInt(height) * 1000n }));
    if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
    pool.sendAll([a, b]);
    pool.pool.prioritise(a.txid, 5000n);
    const child = draft([output(a)], { fee: 500n });
    pool.sendAll([child]);
    expect(pool.pool.get(child.txid)?.ancestors.fees).toBe(6500n);
    pool.sendAll([c]);
    expect(pool.has(a)).toBe(true);
    expect(pool.has(child)).toBe(false);
  });
});
