/** Unconfirmed transactions that hang together: RULES.md B1 rows 21 and 22, and the sums that the pool keeps over them. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import { carry, pay, type Spendable, testKey } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

/** So many transactions, each of which spends the one before. */
function chainOf(count: number, from: Spendable, fee = 1000n): Transaction[] {
  const txs: Transaction[] = [];
  for (let last = from; txs.length < count; ) {
    const tx = draft([last], { fee });
    txs.push(tx);
    last = output(tx);
  }
  return txs;
}

describe('ancestors and descendants', () => {
  test('two payments within a second can spend each other’s change', () => {
    const pool = new Fixture();
    const first = draft([pool.coinbase()], { outputs: [pay(testKey(2), 10_000n), pay(testKey(1), 40_0000_0000n)] });
    const second = draft([output(first, 1)], { outputs: [pay(testKey(3), 10_000n), pay(testKey(1), 39_0000_0000n)] });
    pool.sendAll([first, second]);
    pool.mine([first, second]);
    expect(pool.pool.size).toBe(0);
  });

  test('25 may hang in a row, the 26th is refused', () => {
    const pool = new Fixture();
    const txs = chainOf(26, pool.coinbase());
    pool.sendAll(txs.slice(0, 25));
    expect(pool.send(txs[25] as Transaction)).toBe('too-long-mempool-chain');
    pool.mine([txs[0] as Transaction]);
    expect(pool.send(txs[25] as Transaction)).toBe('accepted');
  });

  test('24 children may hang on one, and one more small one whose only ancestor it is', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { split: 30, fee: 5000n });
    pool.sendAll([parent]);
    for (let vout = 0; vout < 24; vout++) pool.sendAll([draft([output(parent, vout)])]);
    expect(pool.pool.get(parent.txid)?.descendants.count).toBe(25);
    const stranger = draft([pool.coinbase(2)]);
    pool.sendAll([stranger]);
    expect(pool.send(draft([output(parent, 24), output(stranger)]))).toBe('too-long-mempool-chain');
    const big = draft([output(parent, 24)], { split: 250, fee: 20_000n });
    expect(pool.send(big)).toBe('too-long-mempool-chain');
    expect(pool.send(draft([output(parent, 24)]))).toBe('accepted');
    expect(pool.send(draft([output(parent, 25)]))).toBe('too-long-mempool-chain');
    // A replacement takes the place of what it replaces.
    expect(pool.send(draft([output(parent, 24)], { fee: 5000n }))).toBe('accepted');
  });

  test('together they may have 101,000 virtual bytes', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { split: 1800, fee: 200_000n });
    const child = draft([output(parent)], {
      outputs: Array.from({ length: 900 }, () => pay(testKey(1), 400n)),
      fee: 0n,
    });
    pool.sendAll([parent]);
    expect(pool.pool.get(parent.txid)?.vsize).toBeGreaterThan(70_000);
    expect(pool.send(child)).toBe('too-long-mempool-chain');
  });

  test('a child and a parent know of each other, whichever leaves first', () => {
    const pool = new Fixture();
    const [parent, child, grandchild] = chainOf(3, pool.coinbase()) as [Transaction, Transaction, Transaction];
    pool.sendAll([parent, child, grandchild]);
    const entry = pool.pool.get(child.txid);
    if (entry === undefined) throw new Error('not in the pool');
    expect(pool.pool.ancestors(entry).map(({ tx }) => tx)).toEqual([parent]);
    expect(pool.pool.descendants(entry).map(({ tx }) => tx)).toEqual([grandchild]);
    expect(pool.pool.get(grandchild.txid)?.ancestors).toEqual({ count: 3, vsize: 333, fees: 3000n });
    expect(pool.pool.get(parent.txid)?.descendants).toEqual({ count: 3, vsize: 333, fees: 3000n });
    pool.mine([parent]);
    expect(entry.parents.size).toBe(0);
    expect(pool.pool.get(grandchild.txid)?.ancestors).toEqual({ count: 2, vsize: 222, fees: 2000n });
    // Replacing the grandchild leaves the child with nothing below it.
    pool.sendAll([draft([output(child)], { outputs: [carry('instead', 0n), pay(testKey(1), 1000n)] })]);
    expect(entry.descendants.count).toBe(2);
    expect(pool.has(grandchild)).toBe(false);
  });
});

describe('version 3', () => {
  const v3 = { version: 3 } as const;

  test('has one parent and one child, of its own version', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { ...v3, split: 3 });
    pool.sendAll([parent]);
    expect(pool.send(draft([output(parent)]))).toBe('TRUC-violation');
    const child = draft([output(parent)], v3);
    pool.sendAll([child]);
    expect(pool.send(draft([output(child)], v3))).toBe('TRUC-violation');
    const ordinary = draft([pool.coinbase(2)]);
    pool.sendAll([ordinary]);
    expect(pool.send(draft([output(ordinary)], v3))).toBe('TRUC-violation');
  });

  test('a second child replaces the first if it pays for it', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { ...v3, split: 3 });
    const child = draft([output(parent, 0)], { ...v3, fee: 1000n });
    pool.sendAll([parent, child]);
    expect(pool.send(draft([output(parent, 0)], { ...v3, fee: 1001n }))).toBe('insufficient fee');
    expect(pool.send(draft([output(parent, 1)], { ...v3, fee: 1000n }))).toBe(
      'insufficient fee (including sibling eviction)',
    );
    expect(pool.send(draft([output(parent, 1)], { ...v3, fee: 1111n }))).toBe('accepted');
    expect(pool.has(child)).toBe(false);
  });

  test('is small, and its child smaller', () => {
    const pool = new Fixture();
    expect(pool.send(draft([pool.coinbase()], { ...v3, split: 240, fee: 20_000n }))).toBe('TRUC-violation');
    const parent = draft([pool.coinbase()], { ...v3, split: 30, fee: 20_000n });
    pool.sendAll([parent]);
    expect(pool.send(draft([output(parent)], { ...v3, split: 30, fee: 20_000n }))).toBe('TRUC-violation');
    expect(pool.send(draft([output(parent)], { ...v3, fee: 110n }))).toBe('min relay fee not met');
  });
});
