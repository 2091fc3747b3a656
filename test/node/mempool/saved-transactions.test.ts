/** The rows of the pool: which are written and deleted, and in which order a start takes them up again. */
import { describe, expect, test } from '@jest/globals';
import { NULL_TXID, type Transaction } from '../../../consensus/transaction.ts';
import type { Row } from '../../../node/boundary.ts';
import { MemoryStore } from '../../../node/chain/memory-store.ts';
import { poolRange } from '../../../node/chain/schema.ts';
import type { Entry } from '../../../node/mempool/entry.ts';
import { SavedTransactions } from '../../../node/mempool/saved-transactions.ts';
import { type BatchItem, StoreDamage } from '../../../node/ports.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

const fixture = new Fixture();
const coin = (height: number): Spendable => fixture.chain.coinbase(height);
const entryOf = (tx: Transaction, time: number) => ({ tx, time }) as Entry;

const parent = draft([coin(1)], { split: 2 });
const child = draft([output(parent)]);
const grandchild = draft([output(child), output(parent, 1)]);
const other = draft([coin(2)]);

function rowsAfter(...batches: readonly (readonly BatchItem[])[]): Row[] {
  const store = new MemoryStore();
  for (const batch of batches) store.write(batch);
  return store.range(poolRange.gte, poolRange.lt);
}

function takeAll(saved: SavedTransactions): string[] {
  const txids: string[] = [];
  while (saved.waiting > 0) txids.push(saved.next().tx.txid);
  return txids;
}

describe('transactions of the pool in the store', () => {
  test('come back as they were, each once', () => {
    const saved = new SavedTransactions([]);
    const rows = rowsAfter(
      saved.save(entryOf(parent, 100), true),
      saved.saveAll([entryOf(parent, 300), entryOf(other, 200)]),
    );
    expect(rows).toHaveLength(2);
    const again = new SavedTransactions(rows);
    expect([again.waiting, again.open, again.isLoading]).toEqual([2, 0, true]);
    expect(again.next()).toEqual({ tx: parent, time: 100, own: true });
    expect(again.next()).toEqual({ tx: other, time: 200, own: false });
    expect([again.waiting, again.open, again.isLoading]).toEqual([0, 2, true]);
    again.onEnd();
    again.onEnd();
    expect(again.isLoading).toBe(false);
    expect([again.isOwn(parent.txid), again.isOwn(other.txid), again.isOwn(child.txid)]).toEqual([true, false, false]);
  });

  test('come back parents first, whatever their times, and otherwise by time', () => {
    const saved = new SavedTransactions([]);
    const entries = [entryOf(grandchild, 1), entryOf(child, 2), entryOf(other, 3), entryOf(parent, 4)];
    const again = new SavedTransactions(rowsAfter(saved.saveAll(entries)));
    expect(takeAll(again)).toEqual([parent, child, grandchild, other].map(({ txid }) => txid));
  });

  test('a chain of thousands comes back in order', () => {
    const chain = [other];
    for (let i = 0; i < 3000; i++) chain.push(draft([output(chain.at(-1) as Transaction)], { fee: 1n }));
    const saved = new SavedTransactions([]);
    const again = new SavedTransactions(rowsAfter(saved.saveAll(chain.map((tx, i) => entryOf(tx, 5000 - i)))));
    expect(takeAll(again)).toEqual(chain.map(({ txid }) => txid));
  });

  test('are deleted when they leave the pool, also where a block holds them with another witness', () => {
    const saved = new SavedTransactions([]);
    const written = saved.saveAll([entryOf(parent, 1), entryOf(child, 1), entryOf(other, 1)]);
    const resealed = draft([coin(1)], { split: 2, seal: 9 });
    expect([resealed.txid === parent.txid, resealed.wtxid === parent.wtxid]).toEqual([true, false]);
    expect(rowsAfter(written, saved.forget([resealed, grandchild]))).toHaveLength(2);
    expect(
      rowsAfter(
        written,
        saved.sweep((txid) => txid === other.txid),
      ),
    ).toHaveLength(2);
    expect(saved.size).toBe(1);
  });

  test('one that replaces its twin with another witness replaces its row', () => {
    const saved = new SavedTransactions([]);
    const resealed = draft([coin(1)], { split: 2, seal: 9 });
    const rows = rowsAfter(saved.save(entryOf(parent, 1), true), saved.save(entryOf(resealed, 2), true));
    expect(rows.map(({ key }) => key)).toEqual([`p${resealed.wtxid}`]);
  });

  test('call a row damaged that cannot be read or holds another transaction', () => {
    const [row] = rowsAfter(new SavedTransactions([]).saveAll([entryOf(parent, 1)])) as [Row];
    expect(() => new SavedTransactions([{ key: row.key, value: row.value.subarray(0, 40) }])).toThrow(StoreDamage);
    expect(() => new SavedTransactions([{ key: `p${NULL_TXID}`, value: row.value }])).toThrow(StoreDamage);
  });
});
