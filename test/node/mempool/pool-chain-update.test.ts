/** What a change of the chain does to the pool. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import { carry, pay, type Spendable, testKey } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

const txs = (entries: readonly { readonly tx: Transaction }[]) => entries.map(({ tx }) => tx);

describe('a block', () => {
  test('takes what it confirms and leaves the children', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    pool.sendAll([parent, child]);
    const update = pool.mine([parent]);
    expect(update).toEqual({ returned: [], removed: [] });
    expect(pool.txids()).toEqual(new Set([child.txid]));
    expect(pool.pool.get(child.txid)?.ancestors.count).toBe(1);
    expect(pool.pool.totalFee).toBe(1000n);
  });

  test('takes a transaction whose witness was another one in the pool', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const child = draft([output(tx)]);
    pool.sendAll([tx, child]);
    pool.mine([draft([pool.coinbase()], { seal: 2 })]);
    expect(pool.txids()).toEqual(new Set([child.txid]));
  });

  test('takes what conflicts with it, descendants included', () => {
    const pool = new Fixture();
    const loser = draft([pool.coinbase()]);
    const child = draft([output(loser)]);
    const bystander = draft([pool.coinbase(2)]);
    pool.sendAll([loser, child, bystander]);
    const update = pool.mine([draft([pool.coinbase()], { split: 2 })]);
    expect(new Set(txs(update.removed))).toEqual(new Set([loser, child]));
    expect(pool.txids()).toEqual(new Set([bystander.txid]));
  });
});

describe('a reorg', () => {
  test('brings back what the other branch does not confirm, parents first, under their children', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    const grandchild = draft([output(child)]);
    const elsewhere = draft([pool.coinbase(2)]);
    pool.mine([parent, elsewhere]);
    pool.mine([child]);
    pool.sendAll([grandchild]);
    const update = pool.reorg(2, [[], [], [elsewhere]]);
    expect(txs(update.returned)).toEqual([parent, child]);
    expect(update.removed).toEqual([]);
    expect(pool.txids()).toEqual(new Set([parent.txid, child.txid, grandchild.txid]));
    expect(pool.pool.get(grandchild.txid)?.ancestors).toEqual({ count: 3, vsize: 333, fees: 3000n });
    expect(pool.pool.get(parent.txid)?.descendants).toEqual({ count: 3, vsize: 333, fees: 3000n });
    pool.mine([parent, child, grandchild]);
    expect(pool.pool.size).toBe(0);
  });

  test('asks no fee of what comes back', () => {
    const pool = new Fixture();
    const free = draft([pool.coinbase()], { fee: 0n });
    expect(pool.send(free)).toBe('min relay fee not met');
    pool.mine([free]);
    expect(txs(pool.reorg(1, [[], []]).returned)).toEqual([free]);
  });

  test('does not bring back what the rules of relay refuse, and takes its children', () => {
    const pool = new Fixture();
    const odd = draft([pool.coinbase()], { outputs: [carry('a'), carry('b'), pay(testKey(1), 1_000_000n)] });
    const child = draft([output(odd, 2)]);
    pool.mine([odd]);
    pool.sendAll([child]);
    const update = pool.reorg(1, [[], []]);
    expect(update.returned).toEqual([]);
    expect(txs(update.removed)).toEqual([child]);
    expect(pool.pool.size).toBe(0);
    // A block that holds it again costs no signatures.
    expect(pool.pool.verified(odd.wtxid)).toBe(true);
  });

  test('removes what loses to the other branch, with its children in the pool', () => {
    const pool = new Fixture();
    const [coin] = pool.coins(1) as [Spendable];
    const ours = draft([coin]);
    const child = draft([output(ours)]);
    pool.mine([ours]);
    pool.sendAll([child]);
    const update = pool.reorg(1, [[draft([coin], { split: 2 })], []]);
    expect(update.returned).toEqual([]);
    expect(txs(update.removed)).toEqual([child]);
  });

  test('removes spenders of coinbases that are gone or no longer mature', () => {
    const pool = new Fixture({ height: 110 });
    const immature = draft([pool.coinbase(11)]);
    const child = draft([output(immature)]);
    const mature = draft([pool.coinbase(10)]);
    pool.sendAll([immature, child, mature]);
    const update = pool.reorg(1, []);
    expect(new Set(txs(update.removed))).toEqual(new Set([immature, child]));
    expect(pool.txids()).toEqual(new Set([mature.txid]));
    pool.reorg(105, []);
    expect(pool.pool.size).toBe(0);
  });

  test('removes what is no longer final', () => {
    const pool = new Fixture();
    const height = draft([pool.coinbase()], { lockTime: 110, sequence: 0xfffffffe });
    const time = draft([pool.coinbase(2)], { lockTime: pool.medianTimePast - 1, sequence: 0xfffffffe });
    const opted = draft([pool.coinbase(3)], { lockTime: 110 });
    pool.sendAll([height, time, opted]);
    const update = pool.reorg(1, []);
    expect(new Set(txs(update.removed))).toEqual(new Set([height, time]));
    expect(pool.txids()).toEqual(new Set([opted.txid]));
  });

  test('removes what a relative lock holds back again, also because its parent is unconfirmed again', () => {
    const pool = new Fixture();
    const locked = draft([pool.coinbase(10)], { sequence: 101 });
    const parent = draft([pool.coinbase(2)]);
    pool.mine([parent]);
    const young = draft([output(parent)], { sequence: 1 });
    pool.sendAll([locked, young]);
    expect(new Set(txs(pool.reorg(1, [[]]).removed))).toEqual(new Set([young]));
    expect(txs(pool.reorg(2, []).removed)).toEqual([locked]);
    expect(pool.has(parent)).toBe(true);
  });

  test('does not leave longer chains than may be', () => {
    const pool = new Fixture();
    const confirmed = draft([pool.coinbase()]);
    pool.mine([confirmed]);
    const chain: Transaction[] = [];
    for (let last = output(confirmed); chain.length < 25; last = output(chain.at(-1) as Transaction)) {
      chain.push(draft([last]));
    }
    pool.sendAll(chain);
    const update = pool.reorg(1, [[], []]);
    expect(txs(update.returned)).toEqual([confirmed]);
    expect(txs(update.removed)).toEqual([chain[24]]);
    expect(pool.pool.size).toBe(25);
  });

  test('brings back no more bytes than the limit, the oldest first', () => {
    const pool = new Fixture({ limits: { maxReturnedTxBytes: 400 } });
    const blocks = [1, 2, 3].map((height) => draft([pool.coinbase(height)])) as [Transaction, Transaction, Transaction];
    for (const tx of blocks) pool.mine([tx]);
    const child = draft([output(blocks[2])]);
    pool.sendAll([child]);
    const update = pool.reorg(3, [[]]);
    expect(txs(update.returned)).toEqual([blocks[0], blocks[1]]);
    expect(txs(update.removed)).toEqual([child]);
  });

  test('to a branch that confirms the same transactions leaves the pool as it was', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const waiting = draft([output(tx)]);
    pool.mine([tx]);
    pool.sendAll([waiting]);
    expect(pool.reorg(1, [[], [tx]])).toEqual({ returned: [], removed: [] });
    expect(pool.txids()).toEqual(new Set([waiting.txid]));
  });
});
