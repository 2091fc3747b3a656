/** Methods that look closely at blocks and at the pool: figures, relations, and the check of what is stored. */
import { describe, expect, test } from '@jest/globals';
import type { OutPointKey } from '../../../consensus/brand.ts';
import type { Coin, Transaction } from '../../../consensus/transaction.ts';
import type { ChainState } from '../../../node/chain/chain-state.ts';
import { carry, outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import { RpcNode } from './rpc-node.ts';

const key = testKey(7);
const none = '00'.repeat(32);
const vsize = ({ strippedSize, size }: Transaction) => (3 * strippedSize + size) / 4;

/** 104 blocks, two payments in the last but one. */
const chain = TestChain.ofHeight(102);
const first = spend([chain.coinbase(1)], [pay(key, 1_000_000_000n), pay(testKey(8), 3_999_990_000n)]);
const second = spend([outputOf(first, 0, key)], [pay(testKey(8), 999_000_000n), carry('hello')]);
chain.extend({ transactions: [first, second], fees: 1_010_000n });
chain.extend();
const stale = chain.fork(102).extend({ tag: 'stale' });
const grandparent = spend([outputOf(first, 1, testKey(8))], [pay(key, 3_999_980_000n)]);
const parent = spend([outputOf(grandparent, 0, key)], [pay(key, 3_999_970_000n)]);
const child = spend([outputOf(parent, 0, key)], [pay(key, 3_999_960_000n)]);

function newNode(): RpcNode {
  const node = new RpcNode();
  for (const block of [...chain.blocks.slice(1), stale]) node.submitBlock(block);
  return node;
}

describe('getblockstats', () => {
  const node = newNode();

  test('has all figures of a block, by its height or its hash', () => {
    const [, one, two] = chain.blockAt(103).transactions;
    const [small, large] = [one?.size ?? 0, two?.size ?? 0].sort((a, b) => a - b) as [number, number];
    const stats = node.call('getblockstats', 103);
    expect(stats).toMatchObject({
      blockhash: chain.blockAt(103).header.hash,
      height: 103,
      txs: 3,
      ins: 2,
      // The coinbase and its commitment, and two of each payment.
      outs: 6,
      totalfee: 1_010_000,
      avgfee: 505_000,
      minfee: 10_000,
      medianfee: 505_000,
      maxfee: 1_000_000,
      mintxsize: small,
      maxtxsize: large,
      mediantxsize: Math.floor((small + large) / 2),
      total_out: 4_999_990_000 + 999_000_000,
      swtxs: 2,
      subsidy: 5_000_000_000,
      utxo_increase: 4,
      // Neither the commitment nor the data can be spent.
      utxo_increase_actual: 2,
      utxo_size_inc_actual: 2 * (8 + 1 + 34 + 41),
    });
    const { feerate_percentiles } = stats as { feerate_percentiles: number[] };
    const rates = [Math.floor(10_000 / vsize(first)), Math.floor(1_000_000 / vsize(second))];
    expect(feerate_percentiles).toEqual([rates[0], rates[0], rates[0], rates[1], rates[1]]);
    expect(node.call('getblockstats', chain.blockAt(103).header.hash)).toEqual(stats);
    expect(node.call('getblockstats', 103, ['txs', 'ins'])).toEqual({ txs: 3, ins: 2 });
  });

  test('refuses blocks that there are not, that were never connected, and figures that there are not', () => {
    expect(node.call('getblockstats', 105)).toMatchObject({ code: -8 });
    expect(node.call('getblockstats', -1)).toMatchObject({ code: -8 });
    expect(node.call('getblockstats', none)).toMatchObject({ code: -5 });
    expect(node.call('getblockstats', true)).toMatchObject({ code: -3 });
    expect(node.call('getblockstats', stale.header.hash)).toMatchObject({ code: -1 });
    for (const name of ['what', 'constructor']) {
      expect(node.call('getblockstats', 1, [name])).toMatchObject({ code: -8 });
    }
  });
});

test('getchaintxstats counts the transactions of a window', () => {
  const node = newNode();
  const [start, end] = [chain.medianTimePastAt(102), chain.medianTimePastAt(104)];
  expect(node.call('getchaintxstats', 2)).toEqual({
    time: chain.tip.header.time,
    txcount: 105 + 2,
    window_final_block_hash: chain.tip.header.hash,
    window_final_block_height: 104,
    window_block_count: 2,
    window_interval: end - start,
    window_tx_count: 4,
    txrate: expect.closeTo(4 / (end - start), 12),
  });
  expect(node.call('getchaintxstats')).toMatchObject({ window_block_count: 103 });
  expect(node.call('getchaintxstats', 104)).toMatchObject({ code: -8 });
  expect(node.call('getchaintxstats', 1, stale.header.hash)).toMatchObject({ code: -8 });
});

describe('relations in the mempool', () => {
  const node = newNode();
  for (const tx of [grandparent, parent, child]) node.submitTransaction(tx);

  test('ancestors and descendants are found however far away', () => {
    const ancestors = node.call('getmempoolancestors', child.txid) as string[];
    expect(ancestors.sort()).toEqual([grandparent.txid, parent.txid].sort());
    expect(node.call('getmempooldescendants', parent.txid)).toEqual([child.txid]);
    expect(node.call('getmempoolancestors', grandparent.txid)).toEqual([]);
    expect(node.call('getmempoolancestors', parent.txid, true)).toEqual({
      [grandparent.txid]: node.call('getmempoolentry', grandparent.txid),
    });
    expect(node.call('getmempooldescendants', none)).toMatchObject({ code: -5 });
  });

  test('gettxspendingprevout names who spends each output', () => {
    const spent = { txid: first.txid, vout: 1 };
    const unspent = { txid: child.txid, vout: 0 };
    expect(node.call('gettxspendingprevout', [spent, unspent])).toEqual([
      { ...spent, spendingtxid: grandparent.txid },
      unspent,
    ]);
    expect(node.call('gettxspendingprevout', [])).toMatchObject({ code: -8 });
    expect(node.call('gettxspendingprevout', [{ txid: none }])).toEqual({ code: -3, message: 'Missing vout' });
    expect(node.call('gettxspendingprevout', [{ ...spent, n: 1 }])).toMatchObject({ code: -3 });
    expect(node.call('gettxspendingprevout', [{ ...spent, vout: -1 }])).toMatchObject({ code: -8 });
  });
});

describe('verifychain', () => {
  /** The chain of a node, but for some coins. */
  function withCoins(node: RpcNode, coin: (key: OutPointKey) => Coin | undefined): Partial<typeof node.context> {
    const { chain: real } = node;
    const view = {
      tip: real.tip,
      readBlock: (at: typeof real.tip) => real.readBlock(at),
      undo: (at: typeof real.tip) => real.undo(at),
      medianTimePastAt: (height: number) => real.medianTimePastAt(height),
      coin,
    };
    return { chain: view as unknown as ChainState };
  }

  test('finds nothing wrong with a sound chain, at any level', () => {
    const node = newNode();
    for (const level of [0, 1, 2, 3, 4]) expect(node.call('verifychain', level, 0)).toBe(true);
    expect(node.call('verifychain')).toBe(true);
  });

  test('finds a coin that is lost, one that is another, and one that should be spent', () => {
    const node = newNode();
    const { chain: real } = node;
    const lost = `${second.txid}:0` as OutPointKey;
    node.overrides = withCoins(node, (key) => (key === lost ? undefined : real.coin(key)));
    expect(node.call('verifychain', 2, 0)).toBe(true);
    expect(node.call('verifychain', 3, 0)).toBe(false);
    node.overrides = withCoins(node, (key) => {
      const coin = real.coin(key);
      return key === lost && coin !== undefined ? { ...coin, value: coin.value + 1n } : coin;
    });
    expect(node.call('verifychain', 3, 0)).toBe(false);
    const spent = real.coin(`${chain.coinbase(2).txid}:0` as OutPointKey);
    node.overrides = withCoins(node, (key) => (key === `${chain.coinbase(1).txid}:0` ? spent : real.coin(key)));
    expect(node.call('verifychain', 3, 0)).toBe(false);
    // The block in question is not among the last two.
    expect(node.call('verifychain', 3, 1)).toBe(true);
  });
});

describe('what the node keeps and enforces', () => {
  test('all of Bitcoin’s later rules, the index of transactions, and no filters', () => {
    const node = newNode();
    const { deployments } = node.call('getdeploymentinfo') as { deployments: Record<string, object> };
    expect(Object.keys(deployments)).toEqual(['bip34', 'bip66', 'bip65', 'csv', 'segwit', 'taproot']);
    for (const one of Object.values(deployments)) expect(one).toMatchObject({ active: true });
    expect(node.call('getdeploymentinfo', none)).toMatchObject({ code: -5 });
    expect(node.call('getindexinfo')).toEqual({ txindex: { synced: true, best_block_height: 104 } });
    expect(node.call('getindexinfo', 'coinstatsindex')).toEqual({});
    expect(node.call('getblockfilter', chain.tip.header.hash)).toMatchObject({ code: -1 });
    expect(node.call('getblockfilter', chain.tip.header.hash, 'x')).toMatchObject({ code: -5 });
    expect(node.call('getmemoryinfo')).toHaveProperty('locked.used', 0);
    expect(node.call('getmemoryinfo', 'mallocinfo')).toMatchObject({ code: -8 });
  });

  test('generatetodescriptor mines to the script of one descriptor', () => {
    const node = newNode();
    const order = { type: 'generate', count: 2, script: key.script, maxTries: 1_000_000 };
    const descriptor = `rawtr(${Buffer.from(key.publicKey).toString('hex')})`;
    expect(node.ask('generatetodescriptor', [2, descriptor])).toEqual({ type: 'command', command: order });
    expect(node.call('generatetodescriptor', 0, descriptor)).toEqual([]);
    expect(node.call('generatetodescriptor', 1, 'x')).toMatchObject({ code: -5 });
    expect(node.ask('generateblock', [descriptor, []])).toMatchObject({ command: { script: key.script } });
  });
});
