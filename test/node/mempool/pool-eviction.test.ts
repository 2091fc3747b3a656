/** A full pool: eviction, the minimum that it leaves behind, and expiry. RULES.md B4. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import { RollingMinimum } from '../../../node/mempool/rolling-minimum.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

const HOUR = 3600;

/** The memory that a payment with one input and one output is counted for. */
function memoryOfOne(): number {
  const pool = new Fixture();
  pool.sendAll([draft([pool.coinbase()])]);
  return pool.pool.memory;
}

/** A pool with room for so many payments. */
function roomFor(count: number): Fixture {
  return new Fixture({ limits: { mempoolBytes: memoryOfOne() * count } });
}

describe('a full pool', () => {
  test('evicts what pays least and takes nothing that pays as little', () => {
    const pool = roomFor(3);
    const coins = pool.coins(6);
    const [a, b, c, d, e, f] = coins.map((coin, index) => draft([coin], { fee: 1000n + BigInt(index) * 500n })) as [
      Transaction,
      Transaction,
      Transaction,
      Transaction,
      Transaction,
      Transaction,
    ];
    pool.sendAll([b, c, d]);
    expect(pool.send(e)).toBe('accepted');
    expect(pool.txids()).toEqual(new Set([c.txid, d.txid, e.txid]));
    // 1500 satoshis for 111 virtual bytes were evicted: 13513 per 1000, and 1000 on top.
    expect(pool.pool.minFeeRate(pool.now)).toBe(14513);
    expect(pool.send(a)).toBe('mempool min fee not met');
    const cheap = draft([coins[0] as Spendable], { fee: 1611n });
    expect(pool.send(cheap)).toBe('mempool full');
    expect(pool.pool.size).toBe(3);
    expect(pool.send(f)).toBe('accepted');
    expect(pool.has(c)).toBe(false);
  });

  test('evicts the latest of those that pay the same', () => {
    const pool = roomFor(2);
    const [a, b, c, d] = pool.coins(4) as [Spendable, Spendable, Spendable, Spendable];
    const [first, second] = [draft([a]), draft([b])];
    pool.sendAll([first, second, draft([c], { fee: 2000n })]);
    expect(pool.has(first)).toBe(true);
    expect(pool.has(second)).toBe(false);
    expect(pool.send(draft([d], { fee: 1110n }))).toBe('mempool min fee not met');
  });

  test('keeps a parent for the sake of a child that pays for it, and evicts it with its child else', () => {
    const pool = roomFor(4);
    const [x, y, z] = pool.coins(3) as [Spendable, Spendable, Spendable];
    const parent = draft([x], { fee: 200n });
    const child = draft([output(parent)], { fee: 9000n });
    const poor = draft([y], { fee: 300n });
    const poorChild = draft([output(poor)], { fee: 300n });
    pool.sendAll([parent, child, poor, poorChild]);
    pool.sendAll([draft([z], { fee: 5000n })]);
    expect(pool.has(parent)).toBe(true);
    expect(pool.has(child)).toBe(true);
    expect(pool.has(poorChild)).toBe(false);
  });

  test('never exceeds its bytes', () => {
    const pool = roomFor(20);
    const coins = pool.coins(60);
    let worst = 0;
    for (const [index, coin] of coins.entries()) {
      pool.send(draft([coin], { fee: BigInt(200 + ((index * 7919) % 1000)) }));
      worst = Math.max(worst, pool.pool.memory);
    }
    expect(worst).toBeLessThanOrEqual(memoryOfOne() * 20);
    expect(pool.pool.size).toBe(20);
  });

  test('forgets what is older than two weeks, with its descendants', () => {
    const pool = new Fixture();
    const [old, recent] = [draft([pool.coinbase()]), draft([pool.coinbase(2)])];
    pool.sendAll([old]);
    pool.now = { ...pool.now, unix: pool.now.unix + 200 * HOUR };
    const child = draft([output(old)]);
    pool.sendAll([recent, child]);
    pool.now = { ...pool.now, unix: pool.now.unix + 136 * HOUR };
    pool.sendAll([draft([pool.coinbase(3)])]);
    expect(pool.pool.size).toBe(4);
    pool.now = { ...pool.now, unix: pool.now.unix + 1 };
    pool.sendAll([draft([pool.coinbase(4)])]);
    expect(pool.has(old)).toBe(false);
    expect(pool.has(child)).toBe(false);
    expect(pool.has(recent)).toBe(true);
  });
});

describe('the minimum that eviction leaves', () => {
  test('stays until a block comes, then halves every 12 hours, sooner while there is room', () => {
    const minimum = new RollingMinimum();
    expect(minimum.feerate(0, 1)).toBe(0);
    minimum.onEvicted(63_000);
    expect(minimum.feerate(100 * HOUR, 1)).toBe(64_000);
    minimum.onBlock(100 * HOUR);
    expect(minimum.feerate(100 * HOUR + 10, 1)).toBe(64_000);
    expect(minimum.feerate(112 * HOUR, 1)).toBe(32_000);
    expect(minimum.feerate(118 * HOUR, 0.4)).toBe(16_000);
    expect(minimum.feerate(121 * HOUR, 0.2)).toBe(8000);
    expect(minimum.feerate(121 * HOUR + 1, 1)).toBe(8000);
    // A new rise stops the decay until the next block.
    minimum.onEvicted(9000);
    expect(minimum.feerate(200 * HOUR, 1)).toBe(10_000);
  });

  test('is never below the increment, and zero below half of it', () => {
    const minimum = new RollingMinimum();
    minimum.onEvicted(1000);
    minimum.onBlock(0);
    expect(minimum.feerate(18 * HOUR, 1)).toBe(1000);
    expect(minimum.feerate(25 * HOUR, 1)).toBe(0);
  });
});
