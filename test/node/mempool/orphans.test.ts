import { describe, expect, test } from '@jest/globals';
import type { PeerId } from '../../../node/boundary.ts';
import { localLimits } from '../../../node/limits.ts';
import { Orphans } from '../../../node/mempool/orphans.ts';
import { SeededRandom } from '../../../node/random.ts';
import { TestChain } from '../../support/chain-builder.ts';
import { draft, output } from './fixture.ts';

const A = 1 as PeerId;
const B = 2 as PeerId;
const now = { mono: 1000, unix: 0 };
const coinbase = TestChain.ofHeight(4);

function make(maxOrphans = 100): Orphans {
  return new Orphans({ limits: { ...localLimits, maxOrphans }, random: new SeededRandom('orphans') });
}

const parent = draft([coinbase.coinbase(1)], { split: 2 });
const child = draft([output(parent)]);
const other = draft([output(parent, 1)]);
const stranger = draft([coinbase.coinbase(2)]);

describe('orphans', () => {
  test('wait for their parents and are taken out once', () => {
    const orphans = make();
    expect(orphans.add(child, A, now)).toBe(true);
    expect(orphans.add(child, B, now)).toBe(false);
    orphans.add(other, B, now);
    orphans.add(stranger, B, now);
    expect(orphans.has(child.wtxid)).toBe(true);
    expect(orphans.takeChildren(parent.txid)).toMatchObject([
      { tx: child, peer: A },
      { tx: other, peer: B },
    ]);
    expect(orphans.takeChildren(parent.txid)).toEqual([]);
    expect(orphans.size).toBe(1);
  });

  test('go with the peer that sent them', () => {
    const orphans = make();
    orphans.add(child, A, now);
    orphans.add(other, B, now);
    orphans.onPeerGone(A);
    expect(orphans.has(child.wtxid)).toBe(false);
    expect(orphans.has(other.wtxid)).toBe(true);
  });

  test('pay for a parent: the newest of the same peer first, then any, and none twice', () => {
    const orphans = make();
    const everyOne = () => true;
    expect(orphans.childToPayFor(parent, A, everyOne)).toBeUndefined();
    orphans.add(child, A, now);
    orphans.add(other, A, now);
    const strange = draft([output(parent)], { fee: 5000n });
    orphans.add(strange, B, now);
    expect(orphans.childToPayFor(parent, A, everyOne)?.tx).toBe(other);
    expect(orphans.childToPayFor(parent, A, (tx) => tx !== other)?.tx).toBe(child);
    expect(orphans.childToPayFor(parent, A, (tx) => tx === strange)).toMatchObject({ tx: strange, peer: B });
    expect(orphans.childToPayFor(stranger, A, everyOne)).toBeUndefined();
    orphans.forget(other.wtxid);
    expect(orphans.childToPayFor(parent, A, everyOne)?.tx).toBe(child);
    expect(orphans.size).toBe(2);
  });

  test('expire, the oldest first', () => {
    const orphans = make();
    orphans.add(child, A, now);
    orphans.add(other, A, { ...now, mono: 2000 });
    const deadline = 1000 + localLimits.orphanExpiryMs;
    expect(orphans.nextDeadline()).toBe(deadline);
    orphans.tick({ ...now, mono: deadline - 1 });
    expect(orphans.size).toBe(2);
    orphans.tick({ ...now, mono: deadline });
    expect(orphans.has(child.wtxid)).toBe(false);
    expect(orphans.nextDeadline()).toBe(deadline + 1000);
  });

  test('are never more than the limit', () => {
    const orphans = make(2);
    for (const tx of [child, other, stranger]) orphans.add(tx, A, now);
    expect(orphans.size).toBe(2);
  });

  test('are dropped when a block holds them or spends their coins, and come back when it holds their parents', () => {
    const orphans = make();
    const grandchild = draft([output(child)]);
    for (const tx of [child, other, stranger, grandchild]) orphans.add(tx, A, now);
    const rival = draft([coinbase.coinbase(2)], { split: 3 });
    const block = coinbase.next({ transactions: [parent, child, rival] });
    expect(orphans.onBlock(block).map(({ tx }) => tx)).toEqual([other, grandchild]);
    expect(orphans.size).toBe(0);
  });
});
