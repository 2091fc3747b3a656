/** A chain file may name a block whose signatures, and those of its ancestors, need not be verified again. */
import { expect, test } from '@jest/globals';
import type { Block } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { pay, spend, TestChain, testKey, withInput } from '../../support/chain-builder.ts';
import { TestNode, WRONG } from './harness.ts';

const base = TestChain.ofHeight(110);

/** One more block, with a payment out of the coinbase of block `n`, rightly signed or not. */
function grow(chain: TestChain, n: number, signature: 'right' | 'wrong'): Block {
  const coin = chain.coinbase(n);
  const right = spend([coin], [pay(testKey(1), coin.value - 1000n)]);
  const wrong = withInput(right, 0, { witness: [new Uint8Array(64).fill(WRONG)] });
  return chain.extend({ transactions: [signature === 'right' ? right : wrong] });
}

/** A node that has the chain up to its last block but these, and trusts the named one. */
function nodeOf(named: Block, ...chains: readonly TestChain[]): TestNode {
  const node = new TestNode({}, undefined, { ...regtest, assumeValid: named.header.hash });
  for (const chain of chains) for (const block of chain.blocks.slice(1)) node.accept(block);
  return node;
}

test('signatures of the block that is named, and of its ancestors, are not verified; of its descendants they are', () => {
  const chain = base.fork(110);
  grow(chain, 1, 'wrong');
  const named = grow(chain, 2, 'wrong');
  const above = grow(chain, 3, 'right');
  const node = nodeOf(named, chain);
  node.settle();
  expect([node.tipHash, node.checksEmitted]).toEqual([above.header.hash, 1]);
  expect(node.submit(grow(chain, 4, 'wrong'))).toMatch(/^mandatory-script-verify-flag-failed/);
  expect(node.tipHash).toBe(above.header.hash);
});

test('a branch that does not lead to the block that is named is verified', () => {
  const ours = base.fork(110);
  const named = grow(ours, 1, 'right');
  const theirs = base.fork(109);
  theirs.extend({ tag: 'theirs' });
  theirs.extend({ tag: 'theirs' });
  grow(theirs, 1, 'wrong');
  const node = nodeOf(named, ours, theirs);
  node.settle();
  expect([node.tipHash, node.checksEmitted]).toEqual([named.header.hash, 1]);
  expect(node.failures).toMatchObject([{ reason: expect.stringMatching(/^mandatory-script-verify-flag-failed/) }]);
});

test('a block that is named and unknown spares nothing', () => {
  const chain = base.fork(110);
  const named = grow(chain.fork(110), 1, 'right');
  const last = grow(chain, 2, 'right');
  const node = nodeOf(named, chain);
  node.settle();
  expect([node.tipHash, node.checksEmitted]).toEqual([last.header.hash, 1]);
});
