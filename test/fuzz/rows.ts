/**
 * Targets: rows of the store that cannot be what was written. Only StoreDamage may come of them, or the notice that says
 * so; never another exception, and never an endless start.
 */
import fc from 'fast-check';
import { hexToBytes } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import type { MemoryStore } from '../../node/chain/memory-store.ts';
import {
  decodeCoin,
  decodeCoinRow,
  decodeHeaderRow,
  decodeScriptCoinRow,
  decodeScriptHistoryKey,
  decodeTip,
  decodeTransactionPlace,
  decodeUndo,
  TIP_KEY,
} from '../../node/chain/schema.ts';
import { FeeDeltas } from '../../node/mempool/fee-deltas.ts';
import { SavedTransactions } from '../../node/mempool/saved-transactions.ts';
import { StoreDamage } from '../../node/ports.ts';
import { encodeMessage } from '../../node/wire/codec.ts';
import { testKey } from '../support/chain-builder.ts';
import { applyEdits, type Edit, edit, spoilt } from './edits.ts';
import { build } from './grammar.ts';
import { material } from './material.ts';
import { greeting } from './stranger.ts';
import { demand, type Target, target } from './target.ts';

/** The rows of a node that has had peers, addresses, a payment of its own and a fee that was changed. */
let kept: MemoryStore | undefined;

function usedStore(): MemoryStore {
  if (kept !== undefined) return kept;
  const { startUnix, stored, transactions } = material();
  const network = new Network({ params: regtest, seed: 2, startUnix });
  const [node] = ['a', 'b', 'c'].map((name, i) => {
    return network.add(name, i === 0 ? {} : { peers: ['a'] }, stored());
  });
  if (node === undefined) throw new Error('no node');
  network.run(2000);
  const stranger = network.stranger(node);
  for (const message of greeting(startUnix, 5n, true)) stranger.send(encodeMessage(message, regtest.magic));
  network.run(100);
  for (const kind of [2, 3, 6, 13]) {
    const message = build({ say: 'addrv2', kind, count: 10, age: 60 }, { theirNonce: 0n, unix: startUnix });
    stranger.send(encodeMessage(message, regtest.magic));
  }
  network.run(2000);
  network.rpc('a', 'prioritisetransaction', [transactions[0]?.txid, 0, 1000]);
  node.core?.handle({ type: 'stop' }, network.now);
  kept = node.store.snapshot();
  return kept;
}

type RowEdit = readonly [prefix: string, row: number, edits: readonly Edit[]];

const start = target<readonly RowEdit[]>({
  name: 'start',
  about: 'a start on a store whose rows were changed',
  runs: 30,
  deadlineMs: 10_000,
  cases: fc.array(
    fc.tuple(
      fc.constantFrom('a', 'a', 'b', 'c', 'f', 'm', 'n', 'p', 't', 'u'),
      fc.nat(1000),
      fc.array(edit, { minLength: 1, maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  check: (changes) => {
    const { startUnix, stored } = material();
    const store = usedStore().snapshot();
    for (const [prefix, number, edits] of changes) {
      const rows = store.range(prefix, String.fromCharCode(prefix.charCodeAt(0) + 1));
      const row = rows[number % Math.max(1, rows.length)];
      if (row !== undefined) store.write([[row.key, applyEdits(row.value, edits)]]);
    }
    const network = new Network({ params: regtest, seed: 3, startUnix: startUnix + 100 });
    let node: SimNode;
    try {
      node = network.add('a', {}, { ...stored(), store });
    } catch (error) {
      if (error instanceof StoreDamage) return;
      throw error;
    }
    const isDamaged = () => node.notices.some(({ kind }) => kind === 'damaged');
    const address = encodeAddress(testKey(5).publicKey, regtest.hrp);
    const tip = material().chain.tip.header.hash;
    for (const [method, params] of [
      ['getblockchaininfo', []],
      ['getnodeaddresses', [0]],
      ['gettxoutsetinfo', []],
      ['getrawmempool', [true]],
      ['invalidateblock', [tip]],
      ['reconsiderblock', [tip]],
      ['generatetoaddress', [1, address]],
    ] as const) {
      network.run(200);
      if (isDamaged()) return;
      void network.call(node, method, params);
    }
    network.run(1000);
    if (!isDamaged()) node.core?.handle({ type: 'stop' }, network.now);
  },
});

/**
 * By name: what reads values, and the prefix of the keys that it is given with them. Keys are never damaged: LevelDB finds
 * a row by its key or not at all.
 */
const readers: Readonly<Record<string, readonly [prefix: string, read: (key: string, value: Uint8Array) => unknown]>> =
  {
    coin: ['c0', (key, value) => decodeCoin(key, value)],
    'coin row': ['c', (key, value) => (key === TIP_KEY ? decodeTip(value) : decodeCoinRow({ key, value }))],
    'script coin row': ['s', (key, value) => decodeScriptCoinRow({ key, value })],
    history: ['h', (key) => decodeScriptHistoryKey(key)],
    header: ['b', (key, value) => decodeHeaderRow({ key, value })],
    place: ['t', (key, value) => decodeTransactionPlace(key, value)],
    undo: ['u', (key, value) => decodeUndo(key, value)],
    deltas: ['f', (_, value) => new FeeDeltas(value)],
    saved: ['p', (key, value) => new SavedTransactions([{ key, value }])],
  };

interface Row {
  readonly reader: string;
  readonly row: number;
  /** As it is, or that of a row of any other kind, and then spoilt. */
  readonly value: string;
}

function rowsOf(prefix: string): readonly { readonly key: string; readonly value: Uint8Array }[] {
  return usedStore().range(prefix, `${prefix}\x7f`);
}

function nth<T>(list: readonly T[], number: number): T | undefined {
  return list[number % Math.max(1, list.length)];
}

const row = target<Row>({
  name: 'row',
  about: 'values of the store, read by what reads values of that kind, or of another',
  runs: 300,
  deadlineMs: 500,
  cases: fc
    .tuple(fc.constantFrom(...Object.keys(readers)), fc.nat(2000), fc.constantFrom(true, true, true, false))
    .chain(([reader, number, own]) => {
      const rows = rowsOf(own ? (readers[reader]?.[0] ?? '') : '');
      const value = nth(rows, number)?.value ?? new Uint8Array(0);
      return fc.record({ reader: fc.constant(reader), row: fc.constant(number), value: spoilt(fc.constant(value)) });
    }),
  check: ({ reader, row: number, value }) => {
    const [prefix, read] = readers[reader] ?? ['', undefined];
    demand(read !== undefined, `there is no reader ${reader}`);
    const key = nth(rowsOf(prefix), number)?.key;
    if (key === undefined) return;
    try {
      read(key, hexToBytes(value));
    } catch (error) {
      if (!(error instanceof StoreDamage)) throw error;
    }
  },
});

export const rowTargets: readonly Target[] = [row, start];
