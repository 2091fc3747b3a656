/** Branches beside the chain: how deep a reorg may be, what an invalid one costs, and how much room the others may take. */
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../../consensus/block.ts';
import type { HeaderNode } from '../../../node/chain/header-tree.ts';
import { outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import { expectState, GENESIS_STATE, type ReplayedState, replay, TestNode } from './harness.ts';

const DEPTH = 1000;
const alice = testKey(0);

/** A branch from `height` on, with a payment in every hundredth block. */
function branchOf(base: TestChain, height: number, length: number, tag: string): TestChain {
  const chain = base.fork(height);
  for (let i = 1; i <= length; i++) {
    const coin = i % 100 === 0 ? chain.coinbase(i / 100) : undefined;
    const transactions = coin === undefined ? [] : [spend([coin], [pay(alice, coin.value - 1000n)])];
    chain.extend({ tag: `${tag} ${i}`, transactions });
  }
  return chain;
}

function stateOf(chain: TestChain): ReplayedState {
  return chain.blocks.reduce(
    (state, block, height) => (height === 0 ? state : replay(state, block, height)),
    GENESIS_STATE,
  );
}

describe('a reorg of 1,000 blocks', () => {
  const base = TestChain.ofHeight(110);
  const ours = branchOf(base, 110, DEPTH, 'ours');
  const theirs = branchOf(base, 110, DEPTH + 1, 'theirs');

  /** A node on our branch that has all of theirs but the last block. */
  function nodeBefore(limits: ConstructorParameters<typeof TestNode>[0]): TestNode {
    const node = new TestNode(limits);
    for (const block of ours.blocks.slice(1)) node.accept(block);
    node.settle();
    expect(node.tipHash).toBe(ours.tip.header.hash);
    for (const block of theirs.blocks.slice(111, -1)) node.accept(block);
    node.settle();
    expect(node.tipHash).toBe(ours.tip.header.hash);
    node.updates.length = 0;
    return node;
  }

  test('is one commit where its overlay is small', () => {
    const node = nodeBefore({});
    node.submit(theirs.tip);
    expect(node.tipHash).toBe(theirs.tip.header.hash);
    expect(node.updates).toHaveLength(1);
    expectState(node, stateOf(theirs));
  });

  test('never holds more than the limit of an overlay, and then is many commits, each the state of one block', () => {
    const overlayBytes = 100_000;
    const node = nodeBefore({ overlayBytes, blockCacheBytes: 100_000 });
    let at: HeaderNode = node.chain.tip;
    let most = 0;
    node.onUpdate = ({ disconnected, connected, tip }) => {
      for (const step of disconnected) {
        expect(step.node).toBe(at);
        at = step.node.parent as HeaderNode;
      }
      for (const step of connected) {
        expect(step.node.parent).toBe(at);
        at = step.node;
      }
      expect(tip).toBe(at);
    };
    node.accept(theirs.tip);
    while (node.step()) most = Math.max(most, node.chain.stats.windowBytes);
    node.settle();
    expect(node.tipHash).toBe(theirs.tip.header.hash);
    expect(node.updates.length).toBeGreaterThan(10);
    expect(most).toBeLessThan(overlayBytes + 2000);
    expectState(node, stateOf(theirs));
  });

  test('goes on after a restart anywhere on its way', () => {
    const node = nodeBefore({ overlayBytes: 100_000 });
    node.accept(theirs.tip);
    for (let restarts = 0; node.tipHash !== theirs.tip.header.hash; restarts++) {
      expect(restarts).toBeLessThan(50);
      for (let steps = 0; steps < 300; steps++) {
        node.step();
        for (const ticket of [...node.waiting.keys()]) node.answer(ticket);
      }
      node.open();
      const { chain } = node;
      const known = [ours, theirs].find(({ blocks }) => blocks[chain.height]?.header.hash === chain.hash);
      expect(node.tipHash).toBe(known?.blockAt(chain.height).header.hash);
    }
    expectState(node, stateOf(theirs));
  });

  test('to a branch that turns invalid in the middle ends at the best valid block', () => {
    const overlayBytes = 100_000;
    for (const good of [0, 500]) {
      const bad = theirs.fork(110 + good);
      bad.extend({ tag: 'greedy', fees: 1n });
      while (bad.height < theirs.height + 5) bad.extend({ tag: 'on a greedy block' });
      const node = nodeBefore({ overlayBytes });
      for (const block of bad.blocks.slice(111 + good)) node.accept(block);
      node.settle();
      expect(node.failures.map(({ reason }) => reason)).toEqual(['bad-cb-amount']);
      expect(node.tipHash).toBe(ours.tip.header.hash);
      expectState(node, stateOf(ours));
    }
  });
});

describe('bodies that lead nowhere', () => {
  const chain = TestChain.ofHeight(20);
  const sibling = (number: number): Block => chain.fork(19).next({ tag: `sibling ${number}` });
  const forkBytes = 5000;

  function floodedNode(): TestNode {
    const node = new TestNode({ forkBytes });
    for (const block of chain.blocks.slice(1)) expect(node.submit(block)).toBeNull();
    for (let i = 0; i < 200; i++) expect(node.submit(sibling(i))).toBeNull();
    return node;
  }

  test('are kept up to a limit, and after that neither they nor their headers', () => {
    const node = floodedNode();
    expect(node.tree.untriedBytes).toBeGreaterThan(forkBytes - 400);
    expect(node.tree.untriedBytes).toBeLessThan(forkBytes + 400);
    expect(node.tree.size).toBeLessThan(21 + 40);
    expect(node.chain.forksAreFull).toBe(true);
    node.open();
    expect(node.chain.forksAreFull).toBe(true);
    expect(node.accept(sibling(500))).toEqual({ result: null, isNew: false });
  });

  test('leave room for all that leads to something better', () => {
    const node = floodedNode();
    expect(node.submit(chain.next())).toBeNull();
    expect(node.chain.height).toBe(21);
    // A longer branch, of which the headers come first.
    const longer = chain.fork(10);
    while (longer.height < 25) longer.extend({ tag: 'longer' });
    for (const { header } of longer.blocks.slice(11)) expect(node.tree.add(header, header.time).ok).toBe(true);
    for (const block of longer.blocks.slice(11))
      expect(node.accept(block)).toMatchObject({ result: null, isNew: true });
    node.settle();
    expect(node.tipHash).toBe(longer.tip.header.hash);
    expectState(node, stateOf(longer));
  });

  test('are judged all the same', () => {
    const node = floodedNode();
    const coin = outputOf(chain.blockAt(1).transactions[0]!, 0, alice);
    const bad = chain.fork(19).next({ transactions: [spend([coin], [pay(alice, 1n)])], commitment: false });
    expect(node.accept(bad).result).toBeNull(); // Its fault shows only in its context, which it is not given.
    const mutated = { ...sibling(900), transactions: [...sibling(900).transactions, ...sibling(901).transactions] };
    expect(node.accept(mutated).result?.reason).toBe('bad-txnmrklroot');
  });
});
