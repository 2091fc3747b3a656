/**
 * What all cases begin with: a chain of regtest that three nodes have, and beside it what strangers have to offer, blocks
 * and transactions that are valid, nearly valid or out of place. Made once; the same in every run.
 */
import { bytesToHex } from '#hash';
import { type Block, type BlockHeader, encodeBlock, makeHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes, Txid } from '../../consensus/brand.ts';
import { merkleRoot } from '../../consensus/merkle.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network } from '../../devnet/sim/network.ts';
import { MemoryBlockFiles, type MemoryStore } from '../../node/chain/memory-store.ts';
import {
  carry,
  changed,
  mine,
  outputOf,
  pay,
  type Spendable,
  spend,
  TestChain,
  testKey,
  unmine,
  withInput,
  withOutput,
} from '../support/chain-builder.ts';

/** Coinbases can be spent after 100 blocks: those of the first nine are mature, and stay so in every fork. */
const HEIGHT = 112;
/** Strangers fork the chain from here on. */
const FIRST_FORK = 108;
/** Never spent by anybody before the end of a case: the last transaction that must still get through. */
const RESERVED = 1;

export interface Material {
  readonly chain: TestChain;
  /** Seconds since 1970 when cases begin. */
  readonly startUnix: number;
  /** Of the chain, its forks, and what is wrong or leads nowhere. */
  readonly blocks: readonly Block[];
  /** Branches of headers, each of which begins with a child of the chain, or of nothing. */
  readonly branches: readonly (readonly BlockHeader[])[];
  readonly transactions: readonly Transaction[];
  /** Of a coin that nobody else knows of. */
  readonly lastPayment: Transaction;
  /** A store and block files that hold the chain. */
  stored(): { readonly store: MemoryStore; readonly blockFiles: MemoryBlockFiles };
}

let made: Material | undefined;

export function material(): Material {
  made ??= make();
  return made;
}

function make(): Material {
  const chain = TestChain.ofHeight(HEIGHT);
  const key = testKey(0);
  const other = testKey(1);
  const coin = (height: number) => chain.coinbase(height);
  const send = (from: Spendable, fee = 10_000n, to = other) => spend([from], [pay(to, from.value - fee)]);

  const first = send(coin(2));
  const child = spend([outputOf(first, 0, other)], [pay(key, 1_000_000n), pay(other, 2_000_000n)]);
  const unknownParent = changed(first, { lockTime: 1 });
  const valid = [
    first,
    child,
    send(coin(3)),
    send(coin(4)),
    spend([coin(5)], [carry('fuzz'), pay(key, 4_000_000_000n)]),
  ];
  const conflict = send(coin(2), 500_000n);
  const strange: Transaction[] = [
    conflict,
    spend([outputOf(unknownParent, 0, other)], [pay(key, 1000n)]),
    spend([outputOf(conflict, 0, other)], [pay(key, 1_000_000n)]),
    send(coin(6), 0n),
    send(coin(6), -1n),
    spend([coin(6)], [pay(key, 1n)]),
    spend([coin(HEIGHT)], [pay(key, 1000n)]),
    spend([coin(6), coin(6)], [pay(key, 1000n)]),
    withInput(send(coin(7)), 0, { witness: [new Uint8Array(64)] }),
    withInput(send(coin(7)), 0, { witness: [] }),
    withInput(send(coin(7)), 0, { witness: [new Uint8Array(65), new Uint8Array(1)] }),
    withInput(send(coin(7)), 0, { scriptSig: Uint8Array.of(1) }),
    withOutput(send(coin(7)), 0, { scriptPubKey: Uint8Array.of(0x51) }),
    withOutput(send(coin(7)), 0, { value: -1n }),
    changed(send(coin(7)), { outputs: [] }),
    changed(send(coin(7)), { inputs: [] }),
    spend([coin(8)], [pay(key, 1_000_000n)], { lockTime: HEIGHT + 5, sequence: 0 }),
    spend([coin(8)], [pay(key, 1_000_000n)], { version: 3 }),
    chain.tip.transactions[0] as Transaction,
  ];

  // Forks of every length around that of the chain itself; the longer ones win where a node takes them.
  const forks: Block[][] = [];
  for (const [from, length] of [
    [FIRST_FORK, 2],
    [FIRST_FORK, 4],
    [FIRST_FORK + 1, 5],
    [HEIGHT - 1, 1],
    [HEIGHT - 1, 3],
    [HEIGHT, 1],
    [HEIGHT, 2],
  ] as const) {
    const fork = chain.fork(from);
    for (let i = 0; i < length; i++) {
      fork.extend({
        tag: `fork ${from} ${length}`,
        ...(i === 0 && length > 1 ? { transactions: [first], fees: 10_000n } : {}),
      });
    }
    forks.push(fork.blocks.slice(from + 1));
  }
  const { place, tip } = chain;
  const twin = chain.next({ transactions: valid.slice(0, 2) });
  const bad: Block[] = [
    chain.next({ fees: 1n, tag: 'too much' }),
    chain.next({ tag: 'bad signature', transactions: [strange[8] as Transaction] }),
    chain.next({ tag: 'no coin', transactions: [strange[1] as Transaction] }),
    chain.next({ tag: 'no height', scriptSig: Uint8Array.of(1, 2, 3) }),
    chain.next({ tag: 'no commitment', transactions: [first], commitment: false }),
    chain.next({ tag: 'other script', outputs: [{ value: 0n, scriptPubKey: Uint8Array.of(0x51) }] }),
    { header: twin.header, transactions: [...twin.transactions].reverse() },
    { header: twin.header, transactions: [] },
    withTransactions(twin, []),
    withTransactions(twin, twin.transactions.slice(1)),
    { header: twin.header, transactions: [...twin.transactions, ...twin.transactions.slice(-1)] },
    twin,
    chain.next({ tag: 'late', time: place.time + 100_000_000 }),
    chain.next({ tag: 'early', time: 1 }),
    chain.next({ tag: 'bits', header: { bits: 0x207ffffe } }),
    chain.next({ tag: 'version', header: { version: 0 } }),
    { header: unmine({ ...chain.next({ tag: 'no work' }).header }), transactions: tip.transactions },
  ];
  // What descends from a block that is wrong, and from one that nobody has.
  const onBad = new TestChain(regtest, [...chain.blocks, bad[0] as Block]);
  const nowhere = new TestChain(regtest, [...chain.blocks, changedHeader(chain.next({ tag: 'hidden' }))]);
  const descendants = [onBad, nowhere].flatMap((branch) => [branch.extend({ tag: 'x' }), branch.extend({ tag: 'y' })]);
  // Heavier than all else, and nobody ever delivers the bodies.
  const promised = chain.fork(HEIGHT);
  for (let i = 0; i < 20; i++) promised.extend({ tag: 'promised' });

  const headers = (blocks: readonly Block[]) => blocks.map(({ header }) => header);
  const branches = [
    headers(chain.blocks.slice(1)),
    ...forks.map(headers),
    ...bad.map((block) => [block.header]),
    headers(descendants.slice(0, 2)),
    headers(descendants.slice(2)),
    headers(promised.blocks.slice(HEIGHT + 1)),
  ];
  const blocks = [...chain.blocks.slice(-5), ...forks.flat(), ...bad, ...descendants];
  const startUnix = tip.header.time + 600;
  return {
    chain,
    startUnix,
    blocks,
    branches,
    transactions: [...valid, ...strange],
    lastPayment: send(coin(RESERVED)),
    stored: storeOf(chain, startUnix),
  };
}

/** Its root and its work are right again. */
function withTransactions({ header }: Block, transactions: readonly Transaction[]): Block {
  const root = transactions.length === 0 ? header.merkleRoot : merkleRoot(transactions.map(({ txid }) => txid)).root;
  return { header: mine({ ...header, merkleRoot: root }), transactions };
}

/** The same block by another name: no work is in it, and nobody has it. */
function changedHeader({ header, transactions }: Block): Block {
  return { header: makeHeader({ ...header, nonce: header.nonce + 1 }), transactions };
}

class KeptBlockFiles extends MemoryBlockFiles {
  readonly bodies: Bytes[] = [];

  override append(bytes: Bytes): ReturnType<MemoryBlockFiles['append']> {
    this.bodies.push(bytes);
    return super.append(bytes);
  }
}

/** Lets a node take the chain once; each case gets a copy of what it stored. */
function storeOf(chain: TestChain, startUnix: number): Material['stored'] {
  const network = new Network({ params: regtest, seed: 0, startUnix });
  const files = new KeptBlockFiles();
  const node = network.add('base', { pex: false }, { blockFiles: files });
  for (const block of chain.blocks.slice(1)) {
    const refused = network.rpc<string | null>('base', 'submitblock', [bytesToHex(encodeBlock(block))]);
    if (refused !== null) throw new Error(refused);
  }
  network.rpc('base', 'sendrawtransaction', [
    bytesToHex(encodeTransaction(spend([chain.coinbase(9)], [pay(testKey(2), 4_999_000_000n)]))),
  ]);
  const { store } = node;
  return () => {
    const blockFiles = new MemoryBlockFiles();
    for (const body of files.bodies) blockFiles.append(body);
    return { store: store.snapshot(), blockFiles };
  };
}

/** Ids that nobody knows. */
export function unknownHash(number: number): BlockHash & Txid {
  return number.toString(16).padStart(64, 'f') as BlockHash & Txid;
}
