/** The pool against a naive model: over random payments, replacements, blocks and reorgs its books must stay right. */
import { describe, expect, test } from '@jest/globals';
import type { OutPointKey } from '../../../consensus/brand.ts';
import { prevoutKey, type Transaction } from '../../../consensus/transaction.ts';
import type { Entry } from '../../../node/mempool/entry.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, keyOf, output } from './fixture.ts';

/** All relatives in one direction by plain recursion. */
function reach(entry: Entry, next: (entry: Entry) => Iterable<Entry>, found = new Set<Entry>()): Set<Entry> {
  for (const relative of next(entry)) {
    if (found.has(relative)) continue;
    found.add(relative);
    reach(relative, next, found);
  }
  return found;
}

function sums(entry: Entry, relatives: Set<Entry>): object {
  const all = [entry, ...relatives];
  return {
    count: all.length,
    vsize: all.reduce((sum, { vsize }) => sum + vsize, 0),
    fees: all.reduce((sum, { modifiedFee }) => sum + modifiedFee, 0n),
  };
}

function must(holds: boolean): void {
  if (!holds) throw new Error('the books are wrong');
}

/** Everything that must hold of a pool, computed from the transactions alone. */
function check(fixture: Fixture): void {
  const { pool } = fixture;
  const entries = [...pool.entries()];
  const byTxid = new Map<string, Entry>(entries.map((entry) => [entry.tx.txid, entry]));
  const spent = new Map<OutPointKey, Entry>();
  const deltas = new Map(pool.feeDeltas());
  let fees = 0n;
  let bytes = 0;
  for (const entry of entries) {
    fees += entry.fee;
    must(entry.modifiedFee === entry.fee + (deltas.get(entry.tx.txid) ?? 0n));
    bytes += entry.vsize;
    const parents = new Set<Entry>();
    for (const input of entry.tx.inputs) {
      const key = prevoutKey(input);
      must(!spent.has(key) && pool.spender(key) === entry);
      spent.set(key, entry);
      const parent = byTxid.get(input.prevout.txid);
      if (parent === undefined) must(fixture.coin(key) !== undefined);
      else parents.add(parent);
    }
    // Entries are compared by identity: a deep comparison would walk the whole graph each time.
    must(parents.size === entry.parents.size && [...parents].every((parent) => entry.parents.has(parent)));
    must([...parents].every((parent) => parent.children.has(entry)));
    must([...entry.children].every((child) => byTxid.get(child.tx.txid) === child));
    expect(entry.ancestors).toEqual(
      sums(
        entry,
        reach(entry, ({ parents }) => parents),
      ),
    );
    expect(entry.descendants).toEqual(
      sums(
        entry,
        reach(entry, ({ children }) => children),
      ),
    );
    expect(entry.ancestors.count).toBeLessThanOrEqual(25);
    must(pool.getByWtxid(entry.tx.wtxid) === entry);
  }
  expect(pool.totalFee).toBe(fees);
  expect(pool.bytes).toBe(bytes);
  checkSelection(fixture);
}

/** What a template would hold can be mined: every coin is there when it is spent, none is spent twice. */
function checkSelection({ pool, height, medianTimePast }: Fixture): void {
  const done = new Set<string>();
  let weight = 0;
  for (const entry of pool.select({ maxWeight: 4000, height: height + 1, medianTimePast })) {
    must([...entry.parents].every((parent) => done.has(parent.tx.txid)));
    done.add(entry.tx.txid);
    weight += entry.weight;
  }
  expect(weight).toBeLessThanOrEqual(4000);
}

describe('over random histories', () => {
  test.each([1, 2, 3, 4])('the books are right (seed %d)', (seed) => {
    const random = new SeededRandom(`pool model ${seed}`);
    const favours = random.fork('favours');
    const fixture = new Fixture({ limits: { mempoolBytes: 150_000 } });
    const pick = <T>(from: readonly T[]): T => from[below(random, from.length)] as T;
    let known: Spendable[] = fixture.coins(12);
    let reorgs = 0;
    for (let step = 0; step < 250; step++) {
      const dice = below(random, 20);
      if (below(favours, 4) === 0) {
        const { txid } = known[below(favours, known.length)] as Spendable;
        fixture.pool.prioritise(txid, BigInt(below(favours, 4000) - 2000));
      }
      if (dice < 15) {
        const from = [...new Set([pick(known), pick(known)])];
        const fee = BigInt(100 + below(random, 3000));
        const tx = draft(from, { fee, split: 1 + below(random, 3), seal: 1 + below(random, 2) });
        fixture.send(tx);
        known.push(...tx.outputs.map((_, vout) => output(tx, vout)));
      } else if (dice < 18) {
        fixture.mine(minable(fixture, below(random, 6)));
      } else {
        reorgs += 1;
        const depth = 1 + below(random, Math.min(3, fixture.height - 111));
        fixture.reorg(depth, [[], minable(fixture, below(random, 2))].slice(0, 1 + below(random, 2)), {
          tag: `${step}`,
        });
      }
      check(fixture);
      // Forget most of what cannot be spent, so that some payments succeed.
      if (known.length > 60) known = known.filter((coin) => fixture.pool.coin(keyOf(coin), fixture) !== undefined);
      if (known.length > 60) known = known.slice(-60);
    }
    expect(reorgs).toBeGreaterThan(10);
  });
});

/** So many of the pool's transactions, parents first. */
function minable({ pool, height, medianTimePast }: Fixture, count: number): Transaction[] {
  const entries = pool.select({ maxWeight: 1e6, height: height + 1, medianTimePast });
  return entries.slice(0, count).map(({ tx }) => tx);
}
