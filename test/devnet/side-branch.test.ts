import { beforeAll, describe, expect, test } from '@jest/globals';
import { isolated } from '../../devnet/operations.ts';
import type { Find } from '../../devnet/premine-work.ts';
import { checkDepth, MAX_DEPTH } from '../../devnet/reorg.ts';
import { ancestorsOf, type BranchPoint, buildBranch, descendantsOf, searchBranch } from '../../devnet/side-branch.ts';
import { grind } from '../../node/mining/grind.ts';
import { outputOf, pay, spend, TestChain, testKey } from '../support/chain-builder.ts';
import { isReject, judge } from '../support/judge.ts';

const HEIGHT = 143;
const DEPTH = 3;
const mark = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const key = testKey(0);

describe('a branch beside the chain', () => {
  let chain: TestChain;
  let point: BranchPoint;
  let now: number;
  beforeAll(() => {
    chain = TestChain.ofHeight(HEIGHT);
    const fork = HEIGHT - DEPTH;
    const times = chain.blocks.slice(fork - 10, fork + 1).map(({ header }) => header.time);
    point = { hash: chain.blockAt(fork).header.hash, height: fork, times, anchorTime: chain.blockAt(1).header.time };
    now = chain.tip.header.time + 5;
  });

  test('is valid, across the first block of a period (BIP 94), and pays no more than it may', () => {
    const coin = chain.coinbase(20);
    const payment = spend([coin], [pay(testKey(1), coin.value - 500n)]);
    const child = spend([outputOf(payment, 0, testKey(1))], [pay(key, coin.value - 900n)]);
    const contents = [[], [payment, child], [], []];
    const branch = buildBranch(point, { contents, script: key.script, mark, now, params: chain.params });
    expect(branch).toHaveLength(DEPTH + 1);
    const other = chain.fork(HEIGHT - DEPTH);
    for (const block of branch) {
      const answer = judge(other, other.coins(), block, now);
      expect(isReject(answer) ? answer.reason : 'valid').toBe('valid');
      other.push(block);
    }
    expect(other.height).toBe(HEIGHT + 1);
    expect(branch.map((block) => block.transactions.length)).toEqual([1, 3, 1, 1]);
  });

  test('is valid where its blocks are searched for, whichever header has the nonce', async () => {
    const seen: number[] = [];
    const find: Find = async (headerOf, bits) => {
      const extra = 3 + seen.length;
      const { nonce } = grind(headerOf(extra), bits, 0, 1000);
      seen.push(extra);
      return { extra, nonce: nonce as number };
    };
    const order = { contents: [[], []], script: key.script, mark, now, params: chain.params };
    const branch = await searchBranch(point, order, find);
    expect(seen).toEqual([3, 4]);
    const other = chain.fork(HEIGHT - DEPTH);
    for (const block of branch) {
      const answer = judge(other, other.coins(), block, now);
      expect(isReject(answer) ? answer.reason : 'valid').toBe('valid');
      other.push(block);
    }
  });

  test('is valid where the clocks of the nodes stand before the last block', () => {
    const early = point.times[0]!;
    const [block] = buildBranch(point, { contents: [[]], script: key.script, mark, now: early, params: chain.params });
    const other = chain.fork(HEIGHT - DEPTH);
    const answer = judge(other, other.coins(), block!, early + 7200);
    expect(isReject(answer) ? answer.reason : 'valid').toBe('valid');
  });

  test('is another one for every mark', () => {
    const order = { contents: [[]], script: key.script, now, params: chain.params };
    const [first] = buildBranch(point, { ...order, mark });
    const [same] = buildBranch(point, { ...order, mark });
    const [other] = buildBranch(point, { ...order, mark: Uint8Array.of(9) });
    expect(same!.header.hash).toBe(first!.header.hash);
    expect(other!.header.hash).not.toBe(first!.header.hash);
  });
});

describe('transactions that depend on each other', () => {
  const chain = TestChain.ofHeight(3);
  const from = (height: number) => chain.coinbase(height);
  const step = (parent: ReturnType<typeof from>) => spend([parent], [pay(key, parent.value - 100n)]);
  const a = step(from(1));
  const b = step(outputOf(a, 0, key));
  const c = step(outputOf(b, 0, key));
  const stranger = step(from(2));
  const undone = [[a, stranger], [b], [c]];

  test('are void together with what they depend on', () => {
    expect(descendantsOf(b.txid, undone)).toEqual([b.txid, c.txid]);
    expect(descendantsOf(stranger.txid, undone)).toEqual([stranger.txid]);
  });

  test('need their ancestors, each where it stood', () => {
    expect(ancestorsOf(c, undone)).toEqual([[a], [b], []]);
    expect(ancestorsOf(a, undone)).toEqual([[], [], []]);
  });
});

test('a depth is a whole number of blocks', () => {
  expect(checkDepth(1)).toBe(1);
  expect(checkDepth(MAX_DEPTH)).toBe(MAX_DEPTH);
  for (const depth of [0, -1, 1.5, Number.NaN, MAX_DEPTH + 1]) expect(() => checkDepth(depth)).toThrow('a depth of');
});

test('an isolated node is a side of its own, and the others stay where they are', () => {
  const names = ['n0', 'n1', 'n2', 'n3'];
  expect(isolated('n1', [], names)).toEqual([['n0', 'n2', 'n3'], ['n1']]);
  expect(
    isolated(
      'n1',
      [
        ['n0', 'n1'],
        ['n2', 'n3'],
      ],
      names,
    ),
  ).toEqual([['n0'], ['n2', 'n3'], ['n1']]);
  expect(isolated('n1', [['n1'], ['n0', 'n2', 'n3']], names)).toEqual([['n0', 'n2', 'n3'], ['n1']]);
  expect(() => isolated('n0', [], ['n0'])).toThrow('n0 is the only node');
});
