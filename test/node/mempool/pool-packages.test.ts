/** Packages in a pool that is or was full, where a child pays for its parents: what mempool_limit.py has Core do. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { MemberResult, PackageResult } from '../../../node/mempool/packages.ts';
import type { PackageOptions } from '../../../node/mempool/pool.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

/** Submits a package and lets all signatures hold but those of `forged`. */
function submit(
  pool: Fixture,
  txs: readonly Transaction[],
  options: PackageOptions = {},
  forged?: Transaction,
): PackageResult & { readonly verified: number } {
  let verdict = pool.pool.submitPackage(txs, pool, pool.now, options);
  let verified = 0;
  while (verdict.type === 'verify') {
    const checks = verdict.checks.length / 128;
    // One input each, unless a test says otherwise: the forged one is where its turn comes.
    const at = forged === undefined ? -1 : txs.filter((tx) => !pool.has(tx)).indexOf(forged);
    const failed = at >= 0 && at < checks && verified === 0 ? at : null;
    verified += checks;
    const [step] = pool.pool.onVerified(verdict.ticket, failed, pool, pool.now);
    if (step?.type !== 'package') throw new Error('the package goes on');
    verdict = step.verdict;
  }
  if (verdict.type !== 'settled') throw new Error(verdict.type);
  return { ...verdict.result, verified };
}

function said(member: MemberResult | undefined): string {
  return member?.type === 'rejected' ? member.reject.reason : (member?.type ?? 'nothing');
}

const saidOf = (result: PackageResult, txs: readonly Transaction[]) =>
  txs.map(({ wtxid }) => said(result.members.get(wtxid)));

function memoryOfOne(): number {
  const pool = new Fixture();
  pool.sendAll([draft([pool.coinbase()])]);
  return pool.pool.memory;
}

/** A pool with room for ten payments of 45,045 satoshis per 1000 bytes that has been full; and coins. */
function fullPool(): { pool: Fixture; coins: Spendable[] } {
  const pool = new Fixture({ limits: { mempoolBytes: memoryOfOne() * 10 + 500 } });
  const coins = pool.coins(30);
  for (let i = 0; i < 10; i++) pool.sendAll([draft([coins.pop() as Spendable], { fee: 5000n })]);
  expect(pool.send(draft([coins.pop() as Spendable], { fee: 5000n }))).toBe('mempool full');
  expect(pool.pool.minFeeRate(pool.now)).toBe(46_045);
  return { pool, coins };
}

describe('when the pool has been full', () => {
  test('a parent below its minimum enters with a child that pays for both', () => {
    const { pool, coins } = fullPool();
    const parent = draft([coins.pop() as Spendable], { fee: 200n });
    const child = draft([output(parent)], { fee: 20_000n });
    expect(pool.send(parent)).toBe('mempool min fee not met');
    const result = submit(pool, [parent, child]);
    expect(result.reject).toBeNull();
    expect(result.members.get(parent.wtxid)).toMatchObject({
      type: 'accepted',
      feerate: Math.floor((20_200 * 1000) / 222),
      includes: [parent.wtxid, child.wtxid],
    });
    expect([pool.has(parent), pool.has(child)]).toEqual([true, true]);
    expect(pool.pool.memory).toBeLessThanOrEqual(memoryOfOne() * 10 + 500);
  });

  test('and not with one that pays too little, to the satoshi', () => {
    const { pool, coins } = fullPool();
    const parent = draft([coins.pop() as Spendable], { fee: 200n });
    const needed = BigInt(Math.ceil((46_045 * 222) / 1000));
    const child = (fee: bigint) => draft([output(parent)], { fee: fee - 200n });
    const short = submit(pool, [parent, child(needed - 1n)]);
    expect(short.reject).toMatchObject({ kind: 'transaction', code: 'transaction failed' });
    expect(saidOf(short, [parent, child(needed - 1n)])).toEqual(['mempool min fee not met', 'mempool min fee not met']);
    expect(pool.pool.size).toBe(10);
    const exact = submit(pool, [parent, child(needed)]);
    expect(saidOf(exact, [parent, child(needed)])).toEqual(['accepted', 'accepted']);
  });

  test('a parent that can pay for itself does not lend its fee to the child', () => {
    const { pool, coins } = fullPool();
    const parent = draft([coins.pop() as Spendable], { fee: 50_000n });
    const child = draft([output(parent)], { fee: 200n });
    const result = submit(pool, [parent, child]);
    expect(saidOf(result, [parent, child])).toEqual(['accepted', 'mempool min fee not met']);
    expect(pool.has(parent)).toBe(true);
    expect(pool.has(child)).toBe(false);
  });

  test('the whole of a package is evicted again if all else pays more', () => {
    const pool = new Fixture({ limits: { mempoolBytes: memoryOfOne() * 4 + 500 } });
    const coins = pool.coins(6);
    for (let i = 0; i < 4; i++) pool.sendAll([draft([coins.pop() as Spendable], { fee: 100_000n })]);
    const parent = draft([coins.pop() as Spendable], { version: 3, fee: 0n });
    const child = draft([output(parent)], { version: 3, fee: 5000n });
    const result = submit(pool, [parent, child]);
    expect(result.reject).toMatchObject({ code: 'transaction failed' });
    expect(saidOf(result, [parent, child])).toEqual(['mempool full', 'mempool full']);
    expect(pool.pool.size).toBe(4);
  });
});

describe('the signatures of a package', () => {
  test('are verified once: what fails alone needs no second look', () => {
    const pool = new Fixture();
    const parents = [1, 2].map((height) => draft([pool.coinbase(height)]));
    const child = draft(parents.map((tx) => output(tx)));
    expect(submit(pool, [...parents, child]).verified).toBe(4);
    expect(submit(pool, [...parents, child])).toMatchObject({ reject: null, verified: 0 });
  });

  test('behind a false one are verified in a second round', () => {
    const pool = new Fixture();
    const parents = [1, 2, 3].map((height) => draft([pool.coinbase(height)])) as [
      Transaction,
      Transaction,
      Transaction,
    ];
    const child = draft(parents.map((tx) => output(tx)));
    const result = submit(pool, [...parents, child], {}, parents[1]);
    expect(saidOf(result, [...parents, child])).toEqual([
      'accepted',
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
      'accepted',
      'bad-txns-inputs-missingorspent',
    ]);
    expect(pool.pool.size).toBe(2);
    // Six were sent out, of which four were those behind the false one.
    expect(result.verified).toBe(6 + 4);
  });

  test('of a peer are not verified where the fees cannot do', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()], { version: 3, fee: 0n });
    const cheap = draft([output(parent)], { version: 3, fee: 200n });
    expect(submit(pool, [parent, cheap], { cheapFirst: true })).toMatchObject({ verified: 0 });
    expect(submit(pool, [parent, cheap])).toMatchObject({ verified: 2 });
    const dear = draft([output(parent)], { version: 3, fee: 2000n });
    expect(submit(pool, [parent, dear], { cheapFirst: true })).toMatchObject({ reject: null, verified: 2 });
  });

  test('of a test leave nothing behind', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    expect(submit(pool, [parent, child], { test: true })).toMatchObject({ reject: null, verified: 2 });
    expect(pool.pool.size).toBe(0);
  });
});

describe('while others are being verified', () => {
  test('a package waits, and its outputs are coins for those behind it', () => {
    const pool = new Fixture();
    const before = pool.pool.submit(draft([pool.coinbase()]), pool, pool.now);
    if (before.type !== 'verify') throw new Error(before.type);
    const parent = draft([pool.coinbase(2)]);
    const child = draft([output(parent)]);
    const waiting = pool.pool.submitPackage([parent, child], pool, pool.now);
    if (waiting.type !== 'waits') throw new Error(waiting.type);
    const behind = pool.pool.submit(draft([output(child)]), pool, pool.now);
    if (behind.type !== 'verify') throw new Error(behind.type);
    expect(pool.pool.onVerified(behind.ticket, null, pool, pool.now)).toEqual([]);
    const [first, second, ...rest] = pool.pool.onVerified(before.ticket, null, pool, pool.now);
    expect(first).toMatchObject({ type: 'transaction', result: { type: 'accepted' } });
    expect(second).toMatchObject({ type: 'package', ticket: waiting.ticket, verdict: { type: 'verify' } });
    expect(rest).toEqual([]);
    const last = pool.pool.onVerified(waiting.ticket, null, pool, pool.now);
    expect(last).toMatchObject([
      { type: 'package', verdict: { type: 'settled', result: { reject: null } } },
      { type: 'transaction', result: { type: 'accepted' } },
    ]);
    expect(pool.pool.size).toBe(4);
    expect(pool.pool.verifying).toBe(0);
  });

  test('there may be too much of it', () => {
    const pool = new Fixture({ limits: { maxVerifyingTx: 1 } });
    const before = pool.pool.submit(draft([pool.coinbase()]), pool, pool.now);
    expect(before.type).toBe('verify');
    const parent = draft([pool.coinbase(2)]);
    expect(pool.pool.submitPackage([parent, draft([output(parent)])], pool, pool.now)).toEqual({ type: 'busy' });
  });
});
