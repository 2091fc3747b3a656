/** Which coins a payment may use, and how many unconfirmed payments may hang together. */
import { describe, expect, test } from '@jest/globals';
import { outPointKey, type Txid } from '../../consensus/brand.ts';
import { EXTERNAL, INTERNAL, type KeyChain } from '../../wallet/key-place.ts';
import { allowedParents, confirmedCoins, type PoolEntry } from '../../wallet/spendable.ts';
import type { WalletCoin, WalletView } from '../../wallet/wallet-coins.ts';

const txid = (n: number) => n.toString(16).padStart(64, '0') as Txid;

function coin(n: number, height: number | undefined, coinbase = false, chain: KeyChain = EXTERNAL): WalletCoin {
  const prevout = { txid: txid(n), vout: 0 };
  return { prevout, value: 1000n, scriptPubKey: new Uint8Array(34), place: { chain, index: 0 }, height, coinbase };
}

describe('confirmed coins', () => {
  test('are those of blocks that are mature and not those of a payment under way', () => {
    const coins = [
      coin(1, 5),
      coin(2, undefined),
      coin(3, undefined, false, INTERNAL),
      coin(4, 102, true),
      coin(5, 101, true),
      coin(6, 7),
    ];
    const view: WalletView = { tip: { height: 200, hash: '' }, coins, spent: [], used: { external: 0, internal: 0 } };
    const pending = { txid: txid(9), hex: '', spends: [outPointKey(txid(6), 0)], createdAt: 0, sent: true };
    expect(confirmedCoins(view, [pending]).map(({ prevout }) => prevout.txid)).toEqual([txid(1), txid(5)]);
  });
});

describe('unconfirmed payments that a new one may spend from', () => {
  /** A pool of chains: `parents[n]` are those of transaction n. Every transaction has 150 virtual bytes unless said otherwise. */
  function pool(parents: Record<number, readonly number[]>, vsizes: Record<number, number> = {}): Map<Txid, PoolEntry> {
    const ids = Object.keys(parents).map(Number);
    const above = (n: number): number[] => (parents[n] ?? []).flatMap((parent) => [parent, ...above(parent)]);
    return new Map(
      ids.map((n) => {
        const descendants = 1 + ids.filter((other) => above(other).includes(n)).length;
        const fees = { own: 0n, withDescendants: 0n };
        return [txid(n), { vsize: vsizes[n] ?? 150, fees, descendants, parents: (parents[n] ?? []).map(txid) }];
      }),
    );
  }
  const chain = (length: number) =>
    Object.fromEntries(Array.from({ length }, (_, n) => [n + 1, n === 0 ? [] : [n]])) as Record<number, number[]>;

  test('are at most 24 in a row: the new one is the 25th', () => {
    expect([...allowedParents([txid(24)], pool(chain(24)))]).toEqual([txid(24)]);
    expect([...allowedParents([txid(25)], pool(chain(25)))]).toEqual([]);
  });

  test('count together where one payment spends from several, the short rows first', () => {
    const two = { ...chain(20), 101: [], 102: [101], 103: [102], 201: [], 202: [201] };
    expect([...allowedParents([txid(20), txid(103), txid(202)], pool(two))]).toEqual([txid(202), txid(103)]);
    const shared = { ...chain(20), 21: [20], 22: [20] };
    expect([...allowedParents([txid(21), txid(22)], pool(shared))]).toEqual([txid(21), txid(22)]);
  });

  test('leave out one whose ancestor has 25 descendants already', () => {
    const wide = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [n + 1, n === 0 ? [] : [1]])) as Record<
      number,
      number[]
    >;
    expect([...allowedParents([txid(7)], pool(wide))]).toEqual([]);
  });

  test('leave out large ones, and one of which the node says nothing', () => {
    expect([...allowedParents([txid(1)], pool({ 1: [] }, { 1: 90_000 }))]).toEqual([]);
    expect([...allowedParents([txid(1), txid(2)], pool({ 2: [] }))]).toEqual([txid(2)]);
  });
});
