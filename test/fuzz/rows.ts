/**
 * Targets: rows of the store that cannot be what was written. Only StoreDamage may come of them, or the notice that says
 * so; never another exception, and never an endless start.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { hexToBytes } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import type { Now } from '../../node/boundary.ts';
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
import { AddressManager } from '../../node/discovery/address-manager.ts';
import { ANCHORS_KEY, encodeAnchors, readAnchors } from '../../node/discovery/anchors.ts';
import { localLimits } from '../../node/limits.ts';
import { FeeDeltas } from '../../node/mempool/fee-deltas.ts';
import { SavedTransactions } from '../../node/mempool/saved-transactions.ts';
import { BANS_KEY, Bans } from '../../node/peer/bans.ts';
import { StoreDamage } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { encodeMessage } from '../../node/wire/codec.ts';
import { formatIp } from '../../node/wire/ip.ts';
import { parseSubnet } from '../../node/wire/subnet.ts';
import { testKey } from '../support/chain-builder.ts';
import { applyEdits, type Edit, edit, spoilt } from './edits.ts';
import { build } from './grammar.ts';
import { material } from './material.ts';
import { greeting } from './stranger.ts';
import { demand, type Target, target } from './target.ts';

/** The rows of a node that has had peers, addresses, bans, anchors, a payment of its own and a fee that was changed. */
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
  for (const subnet of ['9.1.0.0/16', 'fd00::/8', '8.8.8.8']) network.rpc('a', 'setban', [subnet, 'add', 1000]);
  node.core?.handle({ type: 'stop' }, network.now);
  const anchors = encodeAnchors([
    { transport: 'ws', host: '20.1.0.1', port: 18_444 },
    { transport: 'wss', host: 'example.com', port: 443, path: '/x' },
  ]);
  node.store.write([[ANCHORS_KEY, anchors]]);
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
      fc.constantFrom('a', 'a', 'b', 'c', 'f', 'm', 'n', 'n', 'p', 't', 'u'),
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
      ['listbanned', []],
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
    address: ['a', (key, value) => checkAddressRow(key, value)],
    bans: [BANS_KEY, (_, value) => checkBans(value)],
    anchors: [ANCHORS_KEY, (_, value) => encodeAnchors(readAnchors(value))],
  };

const now: Now = { mono: 0, unix: 1_800_000_000 };

/** What can be read can be used, and is written as something that can be read. */
function checkAddressRow(key: string, value: Uint8Array): void {
  const open = (rows: readonly { readonly key: string; readonly value: Uint8Array }[]) =>
    new AddressManager({ limits: localLimits, params: regtest, random: new SeededRandom('row'), rows, own: [], now });
  const manager = open([{ key, value }]);
  manager.select({ exclude: () => false }, now);
  manager.sample(now);
  const rows = new Map([[key, value]]);
  for (const [written, row] of manager.save()) {
    if (row === null) rows.delete(written);
    else rows.set(written, row);
  }
  const again = open([...rows].map(([written, row]) => ({ key: written, value: row })));
  demand(isDeepStrictEqual(again.entries(), manager.entries()), 'it is another address when it was written');
}

function checkBans(saved: Uint8Array): void {
  const bans = new Bans({ limits: localLimits, saved, now });
  const list = bans.list(now);
  for (const { subnet } of list) demand(bans.isBanned(formatIp(subnet), now), 'what is listed is not banned');
  const one = parseSubnet('9.9.9.0/24');
  if (one === undefined) throw new Error('no subnet');
  bans.ban(one, now.unix + 1, now);
  const written = bans.save().find(([key]) => key === BANS_KEY)?.[1];
  const again = new Bans({ limits: localLimits, saved: written ?? undefined, now });
  demand(isDeepStrictEqual(again.list(now), bans.list(now)), 'the bans are others when they were written');
}

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
