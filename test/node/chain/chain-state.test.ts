/** Scenarios: lists of blocks, what arrives when, and the tip or the reject that must come of it. */
import { describe, expect, test } from '@jest/globals';
import { type Block, encodeBlock } from '../../../consensus/block.ts';
import type { BlockHash, Bytes, Txid } from '../../../consensus/brand.ts';
import { outPointKey } from '../../../consensus/brand.ts';
import { merkleRoot } from '../../../consensus/merkle.ts';
import { regtest } from '../../../consensus/params.ts';
import type { Transaction } from '../../../consensus/transaction.ts';
import { NETWORK_KEY, SCHEMA_KEY, TIP_KEY, undoKey } from '../../../node/chain/schema.ts';
import { type BatchItem, StoreDamage } from '../../../node/ports.ts';
import {
  assemble,
  carry,
  changed,
  outputOf,
  pay,
  spend,
  TestChain,
  testKey,
  withInput,
} from '../../support/chain-builder.ts';
import { expectState, GENESIS_STATE, NOW, type ReplayedState, replay, TestNode, WRONG } from './harness.ts';

const REWARD = 5_000_000_000n;
const alice = testKey(1);
const bob = testKey(2);

/** 110 blocks, so that the coinbases of the first ten can be spent. Built and connected once. */
const base = TestChain.ofHeight(110);
const baseNode = new TestNode();
for (const block of base.blocks.slice(1)) baseNode.submit(block);

function nodeAtBase(limits: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  return new TestNode(limits, baseNode);
}

/** Payment number `n` of the base: the coinbase of height n to alice, for a fee of 1000. */
function payment(n: number): Transaction {
  return spend([base.coinbase(n)], [pay(alice, REWARD - 1000n)]);
}

/** The same with a signature that the test calls wrong. */
function wrongPayment(n: number): Transaction {
  const signature = new Uint8Array(64).fill(1);
  signature[0] = WRONG;
  return withInput(payment(n), 0, { witness: [signature] });
}

/** `count` more blocks on a chain; the tag makes the branch another one. */
function grow(chain: TestChain, count: number, tag: string): Block[] {
  return Array.from({ length: count }, () => chain.extend({ tag }));
}

function stateOf(chain: TestChain): ReplayedState {
  return chain.blocks.slice(1).reduce((state, block, index) => replay(state, block, index + 1), GENESIS_STATE);
}

function expectChain(node: TestNode, chain: TestChain): void {
  expect(node.tipHash).toBe(chain.tip.header.hash);
  expectState(node, stateOf(chain));
}

describe('an empty store', () => {
  test('becomes one of the genesis block, whose coinbase is no coin and cannot be found', () => {
    const node = new TestNode();
    expect(node.chain).toMatchObject({ height: 0, hash: regtest.genesis.header.hash });
    expectState(node, GENESIS_STATE);
    const coinbase = regtest.genesis.transactions[0] as Transaction;
    expect(node.chain.coin(outPointKey(coinbase.txid, 0))).toBeUndefined();
    expect(node.chain.findTransaction(coinbase.txid)).toBeUndefined();
    expect(node.chain.readBlock(node.chain.tip)).toEqual(regtest.genesis);
    expect(node.chain.undo(node.chain.tip)).toEqual([]);
  });

  test('is asked nothing twice: opening it again changes nothing', () => {
    const node = new TestNode();
    const before = node.store.range('', '\x7f');
    node.open();
    expect(node.store.range('', '\x7f')).toEqual(before);
  });
});

describe('growing', () => {
  test('a chain with payments gives the coins, the indexes and the undo data of its replay', () => {
    const chain = base.fork(110);
    const node = nodeAtBase();
    const [first, second] = [payment(1), payment(2)];
    const child = spend([outputOf(first, 0, alice)], [pay(bob, 1000n), pay(alice, REWARD - 5000n), carry('note')]);
    expect(node.submit(chain.extend({ transactions: [first, child, second], fees: 5000n }))).toBe(null);
    expect(node.submit(chain.extend({ transactions: [spend([outputOf(child, 1, alice)], [pay(bob, 7000n)])] }))).toBe(
      null,
    );
    expectChain(node, chain);

    expect(node.chain.coin(outPointKey(child.txid, 0))).toEqual({ ...pay(bob, 1000n), height: 111, coinbase: false });
    expect(node.chain.coin(outPointKey(first.txid, 0))).toBeUndefined();
    expect(node.chain.findTransaction(child.txid)).toMatchObject({ index: 2 });
    const spent = node.chain.undo(node.node(chain.blockAt(111)));
    expect(spent?.map(({ height, value }) => [height, value])).toEqual([
      [1, REWARD],
      [111, REWARD - 1000n],
      [2, REWARD],
    ]);
  });

  test('a block that was just received is not read back', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    let reads = 0;
    const read = node.blockFiles.read.bind(node.blockFiles);
    node.blockFiles.read = (place) => {
      reads++;
      return read(place);
    };
    for (const block of grow(chain, 20, 'fresh')) expect(node.accept(block).result).toBe(null);
    node.settle();
    expect(node.tipHash).toBe(chain.tip.header.hash);
    node.blockFiles.read = read;
    expect(reads).toBe(0);
  });

  test('bodies in any order are stored and connected when the gap closes', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const blocks = grow(chain, 5, 'gap');
    for (const { header } of blocks) expect(node.tree.add(header, NOW).ok).toBe(true);
    for (const index of [4, 1, 3, 2]) {
      expect(node.accept(blocks[index] as Block)).toMatchObject({ result: null, isNew: true });
      node.settle();
      expect(node.chain.height).toBe(110);
    }
    expect(node.chain.isPending(chain.tip.header.hash)).toBe(false);
    expect(node.submit(blocks[0] as Block)).toBe(null);
    expectChain(node, chain);
  });

  test('a body without a header in the tree and without a known parent is refused and not kept', () => {
    const node = nodeAtBase();
    const [, second] = grow(base.fork(110), 2, 'orphan');
    expect(node.accept(second as Block)).toMatchObject({
      result: { kind: 'missing-prev', reason: 'prev-blk-not-found' },
      isNew: false,
    });
    expect(node.tree.get(second?.header.hash as BlockHash)).toBeUndefined();
  });

  test('a block that is known is a duplicate, an invalid one duplicate-invalid, and nobody is blamed for a subset one', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const block = chain.extend({ tag: 'once' });
    node.submit(block);
    expect(node.accept(block)).toMatchObject({ result: { kind: 'policy', reason: 'duplicate' }, isNew: false });
    const greedy = chain.next({ fees: 1n });
    expect(node.submit(greedy)).toBe('bad-cb-amount');
    expect(node.accept(greedy).result).toMatchObject({ kind: 'cached-invalid', reason: 'duplicate-invalid' });
    const foreign = chain.next({ outputs: [{ value: 1n, scriptPubKey: Uint8Array.of(0x51) }] });
    expect(node.submit(foreign)).toBe('subset-output-script');
    expect(node.accept(foreign).result).toMatchObject({ kind: 'subset', reason: 'duplicate-invalid' });
    expectChain(node, chain);
  });

  test('signatures that the pool has verified are not verified again', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const [known, unknown] = [payment(1), payment(2)];
    node.verifiedTx.add(known.wtxid);
    expect(node.submit(chain.extend({ transactions: [known, unknown], fees: 2000n }))).toBe(null);
    expect(node.checksEmitted).toBe(1);
  });
});

describe('bodies that do not belong to their header', () => {
  const chain = base.fork(110);
  const good = chain.next({ transactions: [payment(1), payment(2)], fees: 2000n });
  const [coinbase, first, second] = good.transactions as [Transaction, Transaction, Transaction];
  const otherWitness = withInput(second, 0, { witness: [new Uint8Array(64).fill(7)] });
  const bare = changed(coinbase, { inputs: coinbase.inputs.map((input) => ({ ...input, witness: [] })) });
  const cases: [reason: string, transactions: Transaction[]][] = [
    ['bad-txnmrklroot', [coinbase, first]],
    ['bad-txns-duplicate', [coinbase, first, second, second]],
    ['bad-witness-nonce-size', [bare, first, second]],
    ['bad-witness-merkle-match', [coinbase, first, otherWitness]],
  ];

  test.each(cases)('%s leaves the header innocent, and the true body is taken', (reason, transactions) => {
    const node = nodeAtBase();
    const mutated = { header: good.header, transactions };
    for (const headerFirst of [false, true]) {
      if (headerFirst) node.tree.add(good.header, NOW);
      expect(node.accept(mutated).result).toMatchObject({ kind: 'mutated', reason });
      expect(node.tree.get(good.header.hash)?.invalid ?? false).toBe(false);
    }
    expect(node.submit(good)).toBe(null);
    expect(node.tipHash).toBe(good.header.hash);
  });

  test('unexpected-witness leaves the header innocent too', () => {
    const node = nodeAtBase();
    const plain = base.next({ tag: 'plain' });
    const dressed = plain.transactions.map((tx) => withInput(tx, 0, { witness: [new Uint8Array(32)] }));
    const mutated = { header: plain.header, transactions: dressed };
    expect(node.accept(mutated).result).toMatchObject({ kind: 'mutated', reason: 'unexpected-witness' });
    expect(node.submit(plain)).toBe(null);
  });

  test('inner nodes of the Merkle tree in place of transactions leave the header innocent', () => {
    const node = nodeAtBase();
    const four = chain.next({ transactions: [payment(1), payment(2), payment(3)], fees: 3000n });
    const ids = four.transactions.map(({ txid }) => txid);
    const inner = [ids.slice(0, 2), ids.slice(2)].map((pair) => merkleRoot(pair).root as string as Txid);
    const forged = inner.map((txid) => ({ ...payment(4), txid, strippedSize: 64 }));
    node.tree.add(four.header, NOW);
    expect(node.accept({ header: four.header, transactions: forged }).result?.reason).toBe('bad-cb-missing');
    expect(node.submit(four)).toBe(null);
  });

  test('a body that its header does commit to and that is wrong marks the header', () => {
    const node = nodeAtBase();
    const empty = assemble(base.place, [payment(1)]);
    expect(node.accept(empty).result).toMatchObject({ kind: 'consensus', reason: 'bad-cb-missing' });
    node.tree.add(empty.header, NOW);
    expect(node.accept(empty).result?.reason).toBe('bad-cb-missing');
    expect(node.accept(empty).result?.reason).toBe('duplicate-invalid');
  });
});

describe('forks', () => {
  test('of two branches with the same work the one that was complete first stays, also after a restart', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    const [a1, a2] = grow(a, 2, 'a') as [Block, Block];
    const [b1, b2] = grow(b, 2, 'b') as [Block, Block];
    for (const { header } of [b1, b2, a1, a2]) node.tree.add(header, NOW);
    // The end of b is there before anything of a, but a is complete first.
    for (const block of [b2, a1, a2, b1]) node.submit(block);
    expectChain(node, a);
    node.open();
    node.settle();
    expectChain(node, a);
    expect(node.submit(b.extend({ tag: 'b' }))).toBe(null);
    expectChain(node, b);
    expect(node.updates.at(-1)).toMatchObject({ disconnected: [{ block: a2 }, { block: a1 }] });
    expect(node.updates.at(-1)?.connected.map(({ block }) => block)).toEqual(b.blocks.slice(111));
  });

  test('a transaction of both branches keeps its place on the one that stands', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    const shared = payment(1);
    node.submit(a.extend({ transactions: [shared, payment(2)], fees: 2000n, tag: 'a' }));
    node.submit(b.extend({ tag: 'b' }));
    expect(node.submit(b.extend({ transactions: [payment(3), shared], fees: 2000n, tag: 'b' }))).toBe(null);
    expectChain(node, b);
    expect(node.chain.findTransaction(shared.txid)).toMatchObject({ index: 2 });
    // Undo data of what was left behind stays: it is a fact about the block.
    expect(node.chain.undo(node.node(a.tip))).toHaveLength(2);
  });

  test('a heavier branch that fails leaves the chain as it was, without a moment in between', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 2, 'a')) node.submit(block);
    const updates = node.updates.length;
    for (const block of grow(b, 2, 'b')) node.submit(block);
    const bad = b.extend({ transactions: [wrongPayment(1)], fees: 1000n });
    const [child] = grow(b, 1, 'b');
    node.tree.add(bad.header, NOW);
    node.tree.add((child as Block).header, NOW);
    node.accept(child as Block);
    expect(node.submit(bad)).toBe('mandatory-script-verify-flag-failed (Invalid Schnorr signature)');
    expectChain(node, a);
    expect(node.updates).toHaveLength(updates);
    expect(node.failures).toHaveLength(1);
    expect(node.node(child as Block).invalid).toBe('consensus');
    expect(node.tree.best.hash).toBe(a.tip.header.hash);
  });

  test('the valid part of a branch that fails is taken where it is the better one', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 1, 'a')) node.submit(block);
    const good = grow(b, 2, 'b');
    const bad = b.next({ transactions: [wrongPayment(1)], fees: 1000n });
    for (const block of [...good, bad]) node.accept(block);
    node.settle();
    expectChain(node, b);
    expect(node.failures.map(({ reason }) => reason)).toEqual([
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
    ]);
  });

  test('what descends from a block of another class than ours is of that class, whoever sends it', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const foreign = chain.extend({ outputs: [{ value: 1n, scriptPubKey: Uint8Array.of(0x51) }] });
    const child = chain.extend();
    node.tree.add(foreign.header, NOW);
    node.tree.add(child.header, NOW);
    const grandchild = chain.extend();
    expect(node.accept(foreign).result).toMatchObject({ kind: 'subset', reason: 'subset-output-script' });
    expect(node.accept(child).result).toMatchObject({ kind: 'subset', reason: 'duplicate-invalid' });
    expect(node.accept(grandchild).result).toMatchObject({ kind: 'subset', reason: 'bad-prevblk' });
    node.open();
    expect(node.accept(grandchild).result).toMatchObject({ kind: 'subset', reason: 'bad-prevblk' });
    expect(node.tree.tipStatus(node.node(child), node.chain.tip)).toBe('invalid');
  });

  test('getchaintips can be told from the tree', () => {
    const node = nodeAtBase();
    const [a, b, c, d, e] = [1, 2, 3, 4, 5].map(() => base.fork(110)) as [
      TestChain,
      TestChain,
      TestChain,
      TestChain,
      TestChain,
    ];
    node.submit(a.extend({ tag: 'once connected' }));
    for (const block of grow(b, 3, 'active')) node.submit(block);
    node.submit(c.extend({ tag: 'never tried' }));
    node.tree.add(d.extend({ tag: 'header alone' }).header, NOW);
    node.submit(b.next({ fees: 1n, tag: 'invalid' }));
    node.tree.add(e.extend({ tag: 'no body' }).header, NOW);
    node.tree.add(e.extend().header, NOW);
    node.accept(e.tip);
    const statuses = new Map(node.tree.tips().map((tip) => [tip.hash, node.tree.tipStatus(tip, node.chain.tip)]));
    expect(statuses.get(a.tip.header.hash)).toBe('valid-fork');
    expect(node.tree.tipStatus(node.chain.tip, node.chain.tip)).toBe('active');
    expect(statuses.get(c.tip.header.hash)).toBe('valid-headers');
    expect(statuses.get(d.tip.header.hash)).toBe('headers-only');
    expect(statuses.get(e.tip.header.hash)).toBe('headers-only');
    expect([...statuses.values()].filter((status) => status === 'invalid')).toHaveLength(1);
    expect(statuses.size).toBe(5);
  });
});

describe('the window of unverified blocks', () => {
  /** Four blocks with a payment each, taken but not answered. */
  function waitingNode(limits = {}): { node: TestNode; chain: TestChain; tickets: number[] } {
    const node = nodeAtBase(limits);
    const chain = base.fork(110);
    for (const n of [1, 2, 3, 4]) {
      expect(node.accept(chain.extend({ transactions: [payment(n)], fees: 1000n })).result).toBe(null);
    }
    node.advance();
    return { node, chain, tickets: [...node.waiting.keys()] };
  }

  test('holds several blocks, and what is committed does not know of them', () => {
    const { node, tickets } = waitingNode();
    expect(tickets).toHaveLength(4);
    expect(node.chain.stats).toMatchObject({ windowSteps: 4, verifying: 4 });
    expectChain(node, base);
    expect(node.chain.coin(outPointKey(payment(1).txid, 0))).toBeUndefined();
    expect(node.chain.coin(outPointKey(base.coinbase(1).txid, 0))).toBeDefined();
  });

  test('is as long as the limit and goes on with every answer', () => {
    const { node, tickets, chain } = waitingNode({ verifyWindowBlocks: 2 });
    expect(tickets).toHaveLength(2);
    node.settle();
    expectChain(node, chain);
    // Bytes count as well as blocks: what exceeds them goes no further.
    expect(waitingNode({ overlayBytes: 1 }).tickets).toHaveLength(1);
  });

  test('is committed in order, a block at a time, whatever the order of the answers', () => {
    const { node, tickets, chain } = waitingNode();
    const heights: number[] = [];
    node.onUpdate = ({ tip }) => heights.push(tip.height);
    for (const index of [2, 1, 3]) node.answer(tickets[index] as number);
    node.advance();
    expect(node.chain.height).toBe(110);
    node.answer(tickets[0] as number);
    node.advance();
    expect(heights).toEqual([111, 112, 113, 114]);
    expectChain(node, chain);
  });

  test('remembers what it spent of blocks that were committed meanwhile', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const first = payment(1);
    const second = (value: bigint) => spend([outputOf(first, 0, alice)], [pay(bob, value)]);
    node.accept(chain.extend({ transactions: [first], fees: 1000n }));
    node.accept(chain.extend({ transactions: [second(1000n)] }));
    node.advance();
    const [ticket] = node.waiting.keys();
    node.answer(ticket as number);
    node.advance();
    expect(node.chain.height).toBe(111);
    // The coinbase and the payment of the second block, and the coin that it spends.
    expect(node.chain.stats).toMatchObject({ windowSteps: 1, overlaidCoins: 3 });
    expect(node.submit(chain.next({ transactions: [second(2000n)] }))).toBe('bad-txns-inputs-missingorspent');
    expectChain(node, chain);
    expect(node.chain.stats.overlaidCoins).toBe(0);
  });

  test('loses what follows a block that fails, cancels its checks and keeps what stands before it', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    const blocks = [payment(1), wrongPayment(2), payment(3)].map((tx) =>
      chain.extend({ transactions: [tx], fees: 1000n }),
    );
    for (const block of blocks) node.accept(block);
    node.advance();
    const [first, second, third] = [...node.waiting.keys()] as [number, number, number];
    const progress = node.answer(second);
    expect(progress.cancel).toEqual([third]);
    expect(progress.failures).toMatchObject([{ reject: { detail: expect.stringContaining(wrongPayment(2).txid) } }]);
    node.answer(first);
    node.advance();
    expectChain(node, chain.fork(111));
    expect(node.chain.isPending((blocks[2] as Block).header.hash)).toBe(false);
  });

  test('is dropped when the user invalidates one of its blocks, and a late answer does no harm', () => {
    const { node, chain, tickets } = waitingNode();
    const checks = node.waiting.get(tickets[1] as number) as Bytes;
    expect(node.chain.invalidate(node.node(chain.blockAt(112)))).toBe(true);
    node.advance();
    expect([...node.waiting.keys()]).toEqual([tickets[0]]);
    node.waiting.set(tickets[1] as number, checks);
    expect(node.answer(tickets[1] as number)).toMatchObject({ updates: [], failures: [], more: false });
    node.settle();
    expectChain(node, chain.fork(111));
  });

  test('goes when an ancestor of the tip is invalidated, and comes back without new checks for what was verified', () => {
    const { node, chain, tickets } = waitingNode();
    node.answer(tickets[1] as number);
    expect(node.chain.invalidate(node.node(base.blockAt(109)))).toBe(true);
    node.advance();
    expectChain(node, base.fork(108));
    expect(node.waiting.size).toBe(0);
    const emitted = node.checksEmitted;
    node.chain.reconsider(node.node(base.blockAt(109)));
    node.settle();
    expectChain(node, chain);
    expect(node.checksEmitted - emitted).toBe(3);
  });

  test('gives way to a branch that has become heavier, and its answers are not asked for again', () => {
    const { node, chain, tickets } = waitingNode();
    node.answer(tickets[3] as number);
    const other = base.fork(110);
    for (const block of grow(other, 5, 'other')) node.accept(block);
    node.settle();
    expectChain(node, other);
    const emitted = node.checksEmitted;
    for (const block of grow(chain, 2, 'again')) node.accept(block);
    node.settle();
    expectChain(node, chain);
    expect(node.checksEmitted - emitted).toBe(3);
  });

  test('tells which blocks are undecided', () => {
    const { node, chain, tickets } = waitingNode();
    const other = base.fork(110);
    const [side] = grow(other, 1, 'side') as [Block];
    node.accept(side);
    expect(node.chain.isPending(chain.tip.header.hash)).toBe(true);
    expect(node.chain.isPending(chain.blockAt(111).header.hash)).toBe(true);
    expect(node.chain.isPending(side.header.hash)).toBe(false);
    expect(node.chain.isPending(base.tip.header.hash)).toBe(false);
    for (const ticket of tickets) node.answer(ticket);
    node.advance();
    expect(node.chain.isPending(chain.tip.header.hash)).toBe(false);
  });
});

describe('a word of the user', () => {
  test('invalidates a block and all above it: the best of the rest becomes the chain, a block at a time on the way down', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 4, 'a')) node.submit(block);
    for (const block of grow(b, 2, 'b')) node.submit(block);
    const heights: number[] = [];
    node.onUpdate = ({ tip }) => heights.push(tip.height);
    node.chain.invalidate(node.node(a.blockAt(111)));
    node.settle();
    expectChain(node, b);
    expect(heights).toEqual([113, 112, 111, 110, 111, 112]);
    expect(node.accept(a.extend({ tag: 'a' })).result).toMatchObject({ kind: 'invalid-prev', reason: 'bad-prevblk' });
    node.open();
    node.settle();
    expectChain(node, b);
    node.chain.reconsider(node.node(a.blockAt(113)));
    node.settle();
    expectChain(node, a.fork(114));
  });

  test('survives a restart in the middle of the way down', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    for (const block of grow(chain, 4, 'long')) node.submit(block);
    node.chain.invalidate(node.node(chain.blockAt(111)));
    for (let i = 0; i < 3; i++) node.step();
    expect(node.chain.height).toBeGreaterThan(110);
    expect(node.chain.height).toBeLessThan(114);
    node.open();
    node.settle();
    expectChain(node, base);
  });

  test('cannot invalidate genesis', () => {
    expect(nodeAtBase().chain.invalidate(baseNode.tree.genesis)).toBe(false);
  });

  test('prefers a block to others of the same work until there is more work elsewhere', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    node.submit(a.extend({ tag: 'a' }));
    node.submit(b.extend({ tag: 'b' }));
    node.chain.precious(node.node(b.tip));
    node.settle();
    expectChain(node, b);
    node.chain.precious(node.node(a.tip));
    node.settle();
    expectChain(node, a);
    node.open();
    node.settle();
    expectChain(node, a);
    node.submit(b.extend({ tag: 'b' }));
    expectChain(node, b);
    node.chain.precious(node.node(a.tip));
    node.settle();
    expectChain(node, b);
  });
});

describe('a reorg', () => {
  test('is one batch: nothing between the two tips is ever stored', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 5, 'a')) node.submit(block);
    for (const block of grow(b, 5, 'b')) node.submit(block);
    const batches: (readonly BatchItem[])[] = [];
    const write = node.store.write.bind(node.store);
    node.store.write = (batch) => {
      batches.push(batch);
      write(batch);
    };
    node.submit(b.extend({ tag: 'b' }));
    expect(batches.filter((batch) => batch.some(([key]) => key === TIP_KEY))).toHaveLength(1);
    expect(node.updates.at(-1)).toMatchObject({ disconnected: { length: 5 }, connected: { length: 6 } });
    expectChain(node, b);
  });

  test('that was under way when its own branch grew never happened', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    node.submit(a.extend({ tag: 'a' }));
    node.accept(b.extend({ tag: 'b' }));
    node.accept(b.extend({ transactions: [payment(1)], fees: 1000n, tag: 'b' }));
    node.advance();
    expect(node.chain.stats).toMatchObject({ windowSteps: 3, verifying: 1 });
    const updates = node.updates.length;
    for (const block of grow(a, 2, 'a')) node.accept(block);
    node.settle();
    expectChain(node, a);
    expect(node.updates.slice(updates).map(({ disconnected }) => disconnected.length)).toEqual([0, 0]);
  });

  test('that would take too much memory is a sequence of states, each that of one block', () => {
    const node = nodeAtBase({ overlayBytes: 2000 });
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 8, 'a')) node.submit(block);
    for (const block of grow(b, 8, 'b')) node.submit(block);
    const updates = node.updates.length;
    const states = new Map<string, ReplayedState>();
    for (const chain of [a, b]) {
      for (let height = 110; height <= 118; height++) {
        states.set(chain.blockAt(height).header.hash, stateOf(chain.fork(height)));
      }
    }
    node.onUpdate = ({ tip }) => {
      const state = states.get(tip.hash);
      if (state !== undefined) expectState(node, state);
    };
    node.submit(b.extend({ tag: 'b' }));
    expect(node.updates.length - updates).toBeGreaterThan(4);
    expectChain(node, b);
  });

  test('that fails after it began to be committed goes all the way back', () => {
    const node = nodeAtBase({ overlayBytes: 1 });
    const [a, b] = [base.fork(110), base.fork(110)];
    for (const block of grow(a, 4, 'a')) node.submit(block);
    for (const block of grow(b, 4, 'b')) node.accept(block);
    expect(node.submit(b.next({ transactions: [wrongPayment(1)], fees: 1000n }))).toMatch(/^mandatory-script/);
    expectChain(node, a);
  });

  test('of which only a part can be committed yet keeps the rest right: a coin that came again stays spent', () => {
    const node = nodeAtBase();
    const [a, b] = [base.fork(110), base.fork(110)];
    const shared = payment(1);
    const coin = outputOf(shared, 0, alice);
    const spendTo = (value: bigint) => spend([coin], [pay(bob, value)]);
    node.submit(a.extend({ transactions: [shared], fees: 1000n, tag: 'a' }));
    node.verifiedTx.add(shared.wtxid);
    node.accept(b.extend({ transactions: [shared], fees: 1000n, tag: 'b' }));
    node.accept(b.extend({ transactions: [spendTo(1000n)], tag: 'b' }));
    node.advance();
    expect(node.chain.stats).toMatchObject({ windowSteps: 3, verifying: 1 });
    // The first block of b is now better than that of a, the second still waits for its answer.
    node.chain.precious(node.node(b.blockAt(111)));
    node.advance();
    expect(node.tipHash).toBe(b.blockAt(111).header.hash);
    expect(node.chain.stats).toMatchObject({ windowSteps: 1, verifying: 1 });
    const again = b.next({ transactions: [spendTo(2000n)], tag: 'b' });
    expect(node.submit(again)).toBe('bad-txns-inputs-missingorspent');
    expectChain(node, b);
  });

  test('checks relative locks by the times of the branch on which the block stands', () => {
    const node = nodeAtBase();
    const [fast, slow] = [base.fork(110), base.fork(110)];
    for (const block of grow(fast, 12, 'fast')) node.submit(block);
    for (let i = 0; i < 12; i++) node.submit(slow.extend({ tag: 'slow', time: slow.place.time + 1 }));
    // Between the coin of height 9 and the tip lie 67,200 seconds of median time past on one branch, 63,607 on the other.
    const locked = (units: number) =>
      spend([base.coinbase(9)], [pay(alice, REWARD - 1000n)], { sequence: 0x00400000 + units });
    const onSlow = (units: number) =>
      slow.next({ transactions: [locked(units)], fees: 1000n, time: slow.place.time + 1 });
    const late = fast.next({ transactions: [locked(125)], fees: 1000n });
    expect(node.submit(onSlow(125))).toBe('bad-txns-nonfinal');
    expect(node.submit(late)).toBe(null);
    expect(node.tipHash).toBe(late.header.hash);
    node.chain.invalidate(node.node(late));
    expect(node.submit(onSlow(124))).toBe(null);
    expect(node.chain.height).toBe(123);
  });
});

describe('what is written', () => {
  test('the headers of one message are one batch, and a restart knows them', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    for (const { header } of grow(chain, 30, 'headers')) node.tree.add(header, NOW);
    const before = node.store.unflushed;
    node.chain.saveHeaders();
    node.chain.saveHeaders();
    expect(node.store.unflushed - before).toBe(1);
    node.open();
    expect(node.tree.best.hash).toBe(chain.tip.header.hash);
    expect(node.chain.tip.hash).toBe(base.tip.header.hash);
  });

  test('bytes that the caller has are stored as they are', () => {
    const node = nodeAtBase();
    const block = base.next({ tag: 'bytes' });
    const bytes = encodeBlock(block);
    const { node: stored } = node.chain.acceptBlock(block, NOW, bytes);
    expect(stored !== undefined && node.chain.readBlockBytes(stored)).toBe(bytes);
  });

  test('a restart finds what was stored but not yet connected and goes on', () => {
    const node = nodeAtBase();
    const chain = base.fork(110);
    for (const n of [1, 2, 3]) node.accept(chain.extend({ transactions: [payment(n)], fees: 1000n }));
    node.advance();
    node.open();
    expect(node.chain.height).toBe(110);
    node.settle();
    expectChain(node, chain);
  });
});

describe('damage', () => {
  /** A node one block above the base, whose block spends the first coinbase. */
  function nodeWithPayment(): { node: TestNode; chain: TestChain } {
    const node = nodeAtBase();
    const chain = base.fork(110);
    node.submit(chain.extend({ transactions: [payment(1)], fees: 1000n }));
    return { node, chain };
  }

  /** Deletes the row of a coin behind the node's back and makes it forget what it had in memory. */
  function loseCoin(node: TestNode, txid: string): void {
    const row = node.store.range('c', 'd').find(({ key }) => key.slice(1, 65) === reversed(txid));
    node.store.write([[row?.key as string, null]]);
    node.open();
  }

  test('a coin of the chain that is missing is not taken for one that was spent', () => {
    const { node, chain } = nodeWithPayment();
    loseCoin(node, base.coinbase(2).txid);
    const block = chain.next({ transactions: [payment(2)], fees: 1000n });
    node.accept(block);
    expect(() => node.advance()).toThrow(StoreDamage);
    expect(node.node(block).invalid).toBe(false);
  });

  test('a coin that is missing when its block is disconnected is noticed', () => {
    const { node, chain } = nodeWithPayment();
    loseCoin(node, payment(1).txid);
    node.chain.invalidate(node.node(chain.tip));
    expect(() => node.advance()).toThrow(StoreDamage);
  });

  test('a start notices a missing or unfitting undo record, a tip that does not exist, and a missing tip', () => {
    const { node, chain } = nodeWithPayment();
    const key = undoKey(chain.tip.header.hash);
    const undo = node.store.get(key) as Bytes;
    const tip = node.store.get(TIP_KEY) as Bytes;
    const withRow = (row: BatchItem) => () => {
      node.store.write([row]);
      node.open();
    };
    expect(withRow([key, null])).toThrow('the undo record of the block');
    expect(withRow([key, new Uint8Array(4)])).toThrow('does not fit');
    expect(withRow([key, undo.slice(0, -1)])).toThrow('cannot be read');
    node.store.write([[key, undo]]);
    expect(withRow([TIP_KEY, tip.map((byte, index) => (index === 3 ? byte ^ 1 : byte))])).toThrow('the tip');
    expect(withRow([TIP_KEY, null])).toThrow('the tip record is missing');
    node.store.write([[TIP_KEY, tip]]);
    node.open();
    expect(node.chain.height).toBe(111);
  });

  test('a start notices a header without its parent and a store of another network or schema', () => {
    const text = (value: string) => new TextEncoder().encode(value);
    const node = nodeAtBase();
    const headers = node.store.range('b', 'c');
    node.store.write([[headers[50]?.key as string, null]]);
    expect(() => node.open()).toThrow('has no parent');
    node.store.write([[headers[50]?.key as string, headers[50]?.value as Bytes]]);
    node.store.write([[NETWORK_KEY, text('vinenet')]]);
    expect(() => node.open()).toThrow('vinenet');
    node.store.write([
      [NETWORK_KEY, text('regtest')],
      [SCHEMA_KEY, text('1')],
    ]);
    expect(() => node.open()).toThrow('schema 1');
    node.store.write([[SCHEMA_KEY, null]]);
    expect(() => node.open()).toThrow('does not say what it is');
  });
});

function reversed(id: string): string {
  return (id.match(/../g) as string[]).reverse().join('');
}
