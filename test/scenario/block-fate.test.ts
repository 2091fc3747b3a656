/** The answer to `submitblock` when the chain turns away from the block while its signatures are being verified. */
import { expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeBlock } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { Network } from '../../devnet/sim/network.ts';
import type { RpcOutcome } from '../../node/boundary.ts';
import { pay, spend, TestChain, testKey } from '../support/chain-builder.ts';

test('a block above a tip that was given up meanwhile is inconclusive', async () => {
  const chain = TestChain.ofHeight(105);
  const network = new Network({ params: regtest, seed: 1, startUnix: chain.tip.header.time + 1 });
  const node = network.add('n0');
  for (const block of chain.blocks.slice(1)) network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
  const coin = chain.coinbase(1);
  const next = chain.next({ transactions: [spend([coin], [pay(testKey(1), coin.value)])] });
  const answer: Promise<RpcOutcome> = network.call(node, 'submitblock', [bytesToHex(encodeBlock(next))]);
  network.rpc('n0', 'invalidateblock', [chain.blockAt(100).header.hash]);
  expect(await answer).toEqual({ ok: true, json: '"inconclusive"' });
  expect(network.rpc('n0', 'getblockcount')).toBe(99);
});
