/** What a node was told is not forgotten when its process ends, whichever way: payments of users, and blocks. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { type Block, encodeBlock } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { buildBlock, outputOf, pay, type Spendable, spend, TestChain, testKey } from '../support/chain-builder.ts';

const alice = testKey(0);
const bob = testKey(2);
const base = TestChain.ofHeight(105);
const nobody = encodeAddress(testKey(9).publicKey, regtest.hrp);

const NOTHING_LOST = 60_000;

class Story {
  readonly network = new Network({ params: regtest, seed: 7, startUnix: base.tip.header.time + 1 });
  readonly node: SimNode;

  constructor() {
    this.node = this.network.add('n0');
    for (const block of base.blocks.slice(1)) this.submitBlock(block);
  }

  submitBlock(block: Block): unknown {
    return this.network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
  }

  send(tx: Transaction): unknown {
    return this.network.rpc('n0', 'sendrawtransaction', [bytesToHex(encodeTransaction(tx)), 0]);
  }

  get pool(): string[] {
    return this.network.rpc<string[]>('n0', 'getrawmempool').sort();
  }

  /** Ends the process at once, or in order, and starts it again. */
  restart(how: 'kill' | 'stop'): void {
    const { network, node } = this;
    if (how === 'stop') node.core?.handle({ type: 'stop' }, network.now);
    network.kill(node);
    network.start(node);
    network.run(NOTHING_LOST);
  }

  savedRows(): number {
    return this.node.store.range('p', 'q').length;
  }
}

const payment = (coin: Spendable, fee: bigint, key = bob): Transaction => spend([coin], [pay(key, coin.value - fee)]);
const ids = (...txs: readonly Transaction[]) => txs.map(({ txid }) => txid).sort();

describe('after a restart', () => {
  test.each(['kill', 'stop'] as const)(
    'by %s, payments are in the pool again, parents and children, and are mined',
    (how) => {
      const story = new Story();
      const first = payment(base.coinbase(1), 1000n);
      const second = payment(outputOf(first, 0, bob), 1000n);
      const third = payment(outputOf(second, 0, bob), 1000n);
      const fourth = payment(base.coinbase(2), 2000n);
      for (const tx of [first, second, third, fourth]) expect(story.send(tx)).toBe(tx.txid);
      for (let i = 0; i < 2; i++) {
        story.restart(how);
        expect(story.pool).toEqual(ids(first, second, third, fourth));
      }
      story.network.rpc('n0', 'generatetoaddress', [1, nobody]);
      expect(story.pool).toEqual([]);
      expect(story.savedRows()).toBe(0);
      story.restart('kill');
      expect(story.pool).toEqual([]);
    },
  );

  test('payments that a reorg returned to the pool are there again', () => {
    const story = new Story();
    const tx = payment(base.coinbase(1), 1000n);
    story.send(tx);
    const [hash] = story.network.rpc<string[]>('n0', 'generatetoaddress', [1, nobody]);
    expect([story.pool, story.savedRows()]).toEqual([[], 0]);
    story.network.rpc('n0', 'invalidateblock', [hash]);
    expect(story.pool).toEqual([tx.txid]);
    story.restart('kill');
    expect(story.pool).toEqual([tx.txid]);
  });

  test('a payment that was replaced stays away, and so does one whose coin a block spent', () => {
    const story = new Story();
    const cheap = payment(base.coinbase(1), 1000n);
    const dear = payment(base.coinbase(1), 5000n);
    const doomed = payment(base.coinbase(2), 1000n);
    for (const tx of [cheap, dear, doomed]) story.send(tx);
    expect(story.savedRows()).toBe(2);
    const rival = payment(base.coinbase(2), 3000n, testKey(3));
    expect(story.submitBlock(buildBlock(base.place, { transactions: [rival], fees: 3000n }))).toBeNull();
    expect([story.pool, story.savedRows()]).toEqual([[dear.txid], 1]);
    story.restart('kill');
    expect(story.pool).toEqual([dear.txid]);
  });

  test('rows of what was confirmed, spent or spoiled meanwhile are deleted', () => {
    const story = new Story();
    const tx = payment(base.coinbase(1), 1000n);
    story.send(tx);
    const rows = story.node.store.range('p', 'q');
    story.network.rpc('n0', 'generatetoaddress', [1, nobody]);
    const { store } = story.node;
    store.write(rows.map(({ key, value }) => [key, value]));
    expect(story.savedRows()).toBe(1);
    story.restart('kill');
    expect([story.pool, story.savedRows()]).toEqual([[], 0]);
  });

  test('what peers sent is there after a stop, and the other copy of it that a user sent after a kill', () => {
    const network = new Network({ params: regtest, seed: 8, startUnix: base.tip.header.time + 1 });
    const here = network.add('n0');
    const there = network.add('n1', { peers: ['n0'] });
    for (const block of base.blocks.slice(1)) network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
    network.runUntil(() => network.rpc('n1', 'getblockcount') === base.height);
    const [one, two] = [payment(base.coinbase(1), 1000n), payment(base.coinbase(2), 1000n)];
    for (const tx of [one, two]) network.rpc('n0', 'sendrawtransaction', [bytesToHex(encodeTransaction(tx)), 0]);
    const poolOf = (name: string) => network.rpc<string[]>(name, 'getrawmempool').sort();
    network.runUntil(() => poolOf('n1').length === 2);
    expect(network.rpc('n1', 'sendrawtransaction', [bytesToHex(encodeTransaction(one)), 0])).toBe(one.txid);
    network.kill(here);

    network.kill(there);
    network.start(there);
    network.run(NOTHING_LOST);
    expect(poolOf('n1')).toEqual(ids(one));
    expect(network.rpc('n1', 'sendrawtransaction', [bytesToHex(encodeTransaction(two)), 0])).toBe(two.txid);

    network.start(here);
    network.runUntil(() => poolOf('n0').length === 2);
    here.core?.handle({ type: 'stop' }, network.now);
    network.kill(here);
    network.kill(there);
    network.start(here);
    network.run(NOTHING_LOST);
    expect(poolOf('n0')).toEqual(ids(one, two));
  });

  test('more than fit into verification at once come back, and calls are answered meanwhile', () => {
    const story = new Story();
    const fan = spend(
      [base.coinbase(1)],
      Array.from({ length: 300 }, () => pay(alice, 10_000_000n)),
    );
    expect(story.submitBlock(buildBlock(base.place, { transactions: [fan] }))).toBeNull();
    const txs = fan.outputs.map((_, vout) => payment(outputOf(fan, vout, alice), 1000n));
    for (const tx of txs) story.send(tx);
    const { network, node } = story;
    network.kill(node);
    network.start(node);
    expect(network.rpc('n0', 'getblockcount')).toBe(base.height + 1);
    network.run(NOTHING_LOST);
    expect(story.pool).toEqual(ids(...txs));
    expect(story.savedRows()).toBe(300);
  });
});
