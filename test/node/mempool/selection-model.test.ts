/** The selection for a block against a naive one that looks at every entry again for every package. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { Entry } from '../../../node/mempool/entry.ts';
import { SeededRandom } from '../../../node/random.ts';
import type { Spendable } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from './fixture.ts';

/** Satoshis for 1000 virtual bytes below which a package is not mined. */
const LEAST_FEERATE = 1000;

/** Again and again the best package that fits: an entry with all its ancestors that are not in yet. */
function naive(fixture: Fixture, maxWeight: number): Entry[] {
  const entries = [...fixture.pool.entries()];
  const chosen = new Set<Entry>();
  let weight = 0;
  for (;;) {
    let best: { readonly members: readonly Entry[]; readonly score: number } | undefined;
    for (const entry of entries) {
      if (chosen.has(entry)) continue;
      const members = [...withAncestors(entry)].filter((member) => !chosen.has(member));
      const vsize = members.reduce((sum, member) => sum + member.vsize, 0);
      const fees = members.reduce((sum, member) => sum + member.modifiedFee, 0n);
      const score = Math.min(Number(entry.modifiedFee) / entry.vsize, Number(fees) / vsize);
      if (weight + 4 * vsize > maxWeight || Number(fees) * 1000 < LEAST_FEERATE * vsize) continue;
      if (score * 1000 >= LEAST_FEERATE && (best === undefined || score > best.score)) best = { members, score };
    }
    if (best === undefined) return [...chosen];
    for (const member of [...best.members].sort((a, b) => withAncestors(a).size - withAncestors(b).size)) {
      chosen.add(member);
      weight += member.weight;
    }
  }
}

function withAncestors(entry: Entry): Set<Entry> {
  const found = new Set([entry]);
  for (const member of found) for (const parent of member.parents) found.add(parent);
  return found;
}

function selected(fixture: Fixture, maxWeight: number): readonly Entry[] {
  const { pool, height, medianTimePast } = fixture;
  return pool.select({ maxWeight, height: height + 1, medianTimePast });
}

function compare(fixture: Fixture, maxWeight: number): void {
  const ours = selected(fixture, maxWeight);
  const theirs = naive(fixture, maxWeight);
  const sum = (list: readonly Entry[]) => list.reduce((total, entry) => total + entry.modifiedFee, 0n);
  expect(sum(ours)).toBe(sum(theirs));
  expect(new Set(ours)).toEqual(new Set(theirs));
  const seen = new Set<Entry>();
  for (const entry of ours) {
    for (const parent of entry.parents) expect(seen.has(parent)).toBe(true);
    seen.add(entry);
  }
}

/** A pool of families: each transaction spends a coin of its own, or outputs of one or two that are in the pool. */
function randomPool(random: SeededRandom, size: number): { fixture: Fixture; spare: Spendable[] } {
  const fixture = new Fixture();
  const coins = fixture.coins(3 * size);
  const open: Spendable[] = [];
  while (fixture.pool.size < size) {
    const from: Spendable[] = [];
    const parents = random.u32() % 3;
    for (let i = 0; i < parents && open.length > 0; i++) {
      from.push(...open.splice(random.u32() % open.length, 1));
    }
    if (from.length === 0) from.push(coins.pop() as Spendable);
    const split = 1 + (random.u32() % 3);
    // Fees that are far apart and rarely equal; sometimes so low that only a child can pay for them.
    const tx = draft(from, { split, fee: 300n + BigInt(random.u32() % (random.u32() % 2 === 0 ? 60_000 : 600)) });
    if (fixture.send(tx) === 'accepted') open.push(...outputsOf(tx));
  }
  return { fixture, spare: coins };
}

function outputsOf(tx: Transaction): Spendable[] {
  return tx.outputs.map((_, vout) => output(tx, vout));
}

describe('the selection agrees with a naive one', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    test(`in a pool of families that changes, seed ${seed}`, () => {
      const random = new SeededRandom(`selection ${seed}`);
      const { fixture, spare } = randomPool(random, 120);
      const { pool } = fixture;
      for (const weight of [3_996_000, 40_000, 20_000, 5000]) compare(fixture, weight);

      // The user of the node thinks otherwise of some.
      for (const { tx } of [...pool.entries()].filter(() => random.u32() % 6 === 0)) {
        pool.prioritise(tx.txid, BigInt(random.u32() % 100_000) - 30_000n);
      }
      for (const weight of [3_996_000, 30_000]) compare(fixture, weight);

      // Some are replaced, with what they have as descendants, and others come.
      for (const entry of [...pool.entries()].filter(() => random.u32() % 10 === 0)) {
        const [coin] = entry.tx.inputs.map(({ prevout }) => pool.get(prevout.txid)?.tx);
        if (coin === undefined || pool.get(entry.tx.txid) === undefined) continue;
        const vout = entry.tx.inputs[0]?.prevout.vout as number;
        fixture.send(draft([output(coin, vout)], { fee: 250_000n + BigInt(random.u32() % 1000) }));
      }
      for (let i = 0; i < 20; i++) fixture.send(draft([spare.pop() as Spendable], { fee: BigInt(300 + i * 317) }));
      for (const weight of [3_996_000, 30_000]) compare(fixture, weight);

      // A block takes the best, and what stays has fewer ancestors; then the block is gone again.
      fixture.mine(selected(fixture, 20_000).map(({ tx }) => tx));
      for (const weight of [3_996_000, 10_000]) compare(fixture, weight);
      fixture.reorg(1, [[], []]);
      for (const weight of [3_996_000, 30_000]) compare(fixture, weight);
    });
  }
});
