/** Replacement by fee: RULES.md B3, each rule broken alone. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import { pay, type Spendable, testKey } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

describe('a replacement', () => {
  test('pays for what it replaces and for its own relay, to the satoshi', () => {
    const pool = new Fixture();
    const original = draft([pool.coinbase()], { fee: 1000n });
    pool.sendAll([original]);
    expect(pool.send(draft([pool.coinbase()], { fee: 1110n }))).toBe('insufficient fee');
    const replacement = draft([pool.coinbase()], { fee: 1111n });
    const result = pool.judge(replacement);
    expect(result.type === 'accepted' && result.replaced.map(({ tx }) => tx)).toEqual([original]);
    expect(pool.txids()).toEqual(new Set([replacement.txid]));
    expect(pool.pool.totalFee).toBe(1111n);
  });

  test('needs no signal in what it replaces, and takes its descendants with it', () => {
    const pool = new Fixture();
    const original = draft([pool.coinbase()]);
    const child = draft([output(original)]);
    pool.sendAll([original, child]);
    expect(pool.send(draft([pool.coinbase()], { fee: 2110n }))).toBe('insufficient fee');
    expect(pool.send(draft([pool.coinbase()], { fee: 2111n }))).toBe('accepted');
    expect(pool.pool.size).toBe(1);
  });

  test('has a higher feerate than each that it conflicts with', () => {
    const pool = new Fixture();
    const original = draft([pool.coinbase()], { fee: 5000n });
    pool.sendAll([original]);
    const wide = draft([pool.coinbase()], { fee: 9000n, split: 5 });
    expect(pool.send(wide)).toBe('insufficient fee');
    const result = pool.judge(wide);
    expect(result.type === 'rejected' && result.reject.detail).toBe(
      `rejecting replacement ${wide.txid}; new feerate 0.00031802 BTC/kvB <= old feerate 0.00045045 BTC/kvB`,
    );
  });

  test('replaces at most 100', () => {
    const pool = new Fixture();
    const coins = pool.coins(101);
    for (const coin of coins) pool.sendAll([draft([coin], { fee: 111n })]);
    expect(pool.send(draft(coins, { fee: 1_000_000n }))).toBe('too many potential replacements');
    expect(pool.send(draft(coins.slice(1), { fee: 1_000_000n }))).toBe('accepted');
    expect(pool.pool.size).toBe(2);
  });

  test('spends nothing unconfirmed that the replaced one did not', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    const original = draft([a]);
    const unconfirmed = draft([b]);
    pool.sendAll([original, unconfirmed]);
    expect(pool.send(draft([a, output(unconfirmed)], { fee: 9000n }))).toBe('replacement-adds-unconfirmed');
  });

  test('may spend from the parents of what it replaces', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { split: 2 });
    const original = draft([output(parent)]);
    pool.sendAll([parent, original]);
    expect(pool.send(draft([output(parent), output(parent, 1)], { fee: 9000n }))).toBe('accepted');
    expect(pool.has(original)).toBe(false);
  });

  test('cannot spend what it replaces', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    const original = draft([a, b], { split: 2 });
    pool.sendAll([original]);
    const result = pool.judge(draft([a, output(original)], { fee: 90_000n }));
    expect(result.type === 'rejected' && result.reject).toMatchObject({
      reason: 'bad-txns-spends-conflicting-tx',
      kind: 'consensus',
    });
  });

  test('of several conflicts pays for all of them', () => {
    const pool = new Fixture();
    const [a, b] = pool.coins(2) as [Spendable, Spendable];
    pool.sendAll([draft([a]), draft([b])]);
    const both = (fee: bigint): Transaction =>
      draft([a, b], { fee, outputs: [pay(testKey(1), a.value + b.value - fee)] });
    expect(pool.send(both(2100n))).toBe('insufficient fee');
    expect(pool.send(both(2169n))).toBe('accepted');
    expect(pool.pool.size).toBe(1);
  });
});
