/** estimatesmartfee over a chain whose blocks confirm what pays enough. Its errors are compared in core-comparison.test.ts. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import { RpcNode } from './rpc-node.ts';

const key = testKey(0);
const BLOCKS = 10;
const PER_BLOCK = 3;
const COIN = 10_000_000n;

describe('estimatesmartfee', () => {
  const node = new RpcNode();

  beforeAll(() => {
    const chain = TestChain.ofHeight(101);
    const outputs = Array.from({ length: BLOCKS * PER_BLOCK }, () => pay(key, COIN));
    const fan = spend([chain.coinbase(1)], outputs);
    chain.extend({ transactions: [fan] });
    for (const block of chain.blocks.slice(1)) node.submitBlock(block);
    expect(node.call('estimatesmartfee', 6)).toEqual({ errors: ['Insufficient data or no feerate found'], blocks: 0 });
    for (let height = 0; height < BLOCKS; height++) {
      const payments = Array.from({ length: PER_BLOCK }, (_, index) =>
        spend([outputOf(fan, height * PER_BLOCK + index, key)], [pay(key, COIN - 2220n)]),
      );
      for (const tx of payments) expect(node.submitTransaction(tx).type).toBe('accepted');
      node.submitBlock(chain.extend({ transactions: payments }));
    }
  });

  test('tells what was paid, in coins per 1000 virtual bytes', () => {
    expect(node.call('estimatesmartfee', 1)).toEqual({ feerate: 0.0002, blocks: 2 });
    expect(node.call('estimatesmartfee', 4, 'conservative')).toEqual({ feerate: 0.0002, blocks: 4 });
  });

  test('names the target that it can speak of', () => {
    expect(node.call('estimatesmartfee', 1008)).toEqual({ feerate: 0.0002, blocks: 4 });
  });
});
