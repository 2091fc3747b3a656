/** What nodes tell of the way of transactions and blocks, and slow links between them, on the in-process network. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { readBlock } from '../../consensus/block.ts';
import { decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network } from '../../devnet/sim/network.ts';
import type { ItemNotice } from '../../node/item-trace.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';

const miner = testKey(1);
const address = encodeAddress(miner.publicKey, regtest.hrp);

/** n0 - n1 - n2 - n3, caught up at block 101, with what each has told since. */
function line() {
  const network = new Network({ params: regtest, seed: 7, latencyMs: 1, jitterMs: 0 });
  for (let i = 0; i < 4; i++) {
    network.add(`n${i}`, { pex: false, traceItems: true, ...(i === 0 ? {} : { peers: [`n${i - 1}`] }) });
  }
  const hashes = network.rpc<string[]>('n0', 'generatetoaddress', [101, address]);
  network.runUntil(() => network.rpc<number>('n3', 'getblockcount') === 101);
  network.run(1000);
  const since = new Map([...network.nodes.values()].map((node) => [node.name, node.notices.length]));
  const told = (name: string) =>
    network
      .node(name)
      .notices.slice(since.get(name))
      .filter((notice): notice is ItemNotice => notice.kind === 'item');
  const coinbase = (hash: string): Transaction => {
    const block = decode(
      Uint8Array.from(Buffer.from(network.rpc<string>('n0', 'getblock', [hash, 0]), 'hex')),
      readBlock,
    );
    if (!block.ok) throw new Error(block.error);
    return block.value.transactions[0] as Transaction;
  };
  const coin = outputOf(coinbase(hashes[0] as string), 0, miner);
  const payment = spend([coin], [pay(miner, 4_999_000_000n)]);
  const send = (tx: Transaction, name = 'n0') =>
    network.rpc<string>(name, 'sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
  return { network, told, coin, payment, send };
}

const short = ({ step, with: peer }: ItemNotice) => (peer === undefined ? step : `${step} ${peer}`);

describe('traced items', () => {
  test('a payment is told at every node of a line: announced, requested, delivered, accepted, passed on', () => {
    const { network, told, payment, send } = line();
    send(payment);
    network.run(2000);
    const from = (peer: string) => [`announced-by ${peer}`, `requested-from ${peer}`, `delivered-by ${peer}`];
    const to = (peer: string) => [`announced-to ${peer}`, `requested-by ${peer}`, `delivered-to ${peer}`];
    expect(told('n0').map(short)).toEqual(['accepted', ...to('n1')]);
    expect(told('n1').map(short)).toEqual([...from('n0'), 'accepted n0', ...to('n2')]);
    expect(told('n3').map(short)).toEqual([...from('n2'), 'accepted n2']);
    expect(told('n0')[0]).toMatchObject({ ids: [payment.txid], wtxid: payment.wtxid, reason: 'local' });
    // Between nodes that both know BIP 339 it goes by its wtxid.
    expect(told('n3')[0]).toMatchObject({ item: 'transaction', ids: [payment.wtxid] });
  });

  test('a block is told with its height, and its transactions as confirmed; a reorg takes that back', () => {
    const { network, told, payment, send } = line();
    send(payment);
    network.run(2000);
    const [hash] = network.rpc<[string]>('n3', 'generatetoaddress', [1, address]);
    network.run(2000);
    const steps = told('n0').filter(({ item }) => item === 'block');
    expect(steps.map(short)).toEqual(['announced-by n1', 'requested-from n1', 'delivered-by n1', 'connected']);
    expect(steps.every(({ ids }) => ids.join() === hash)).toBe(true);
    expect(told('n0').find(({ step }) => step === 'confirmed')).toMatchObject({
      ids: expect.arrayContaining([payment.txid]),
      block: hash,
      height: 102,
    });
    network.rpc('n0', 'invalidateblock', [hash]);
    const undone = told('n0').slice(-4);
    expect(undone.map(({ step }) => step)).toEqual(expect.arrayContaining(['disconnected', 'unconfirmed', 'returned']));
  });

  test('what is refused is told with the reason; what was replaced, with its successor', () => {
    const { network, told, coin, payment, send } = line();
    send(payment);
    network.run(2000);
    const tooMuch = spend([outputOf(payment, 0, miner)], [pay(miner, 5_000_000_000n)]);
    expect(() => send(tooMuch)).toThrow('bad-txns-in-belowout');
    expect(told('n0').at(-1)).toMatchObject({ step: 'rejected', ids: [tooMuch.txid] });
    expect(told('n0').at(-1)?.reason).toContain('bad-txns-in-belowout');
    const dearer = spend([coin], [pay(miner, 4_998_000_000n)]);
    send(dearer);
    network.run(2000);
    expect(told('n3').at(-1)).toMatchObject({
      step: 'replaced',
      ids: [payment.txid],
      reason: `by ${dearer.txid}`,
    });
  });

  test('during initial sync neither headers nor what blocks hold are told', () => {
    const network = new Network({ params: regtest, seed: 8 });
    network.add('n0', { pex: false, traceItems: true });
    network.rpc('n0', 'generatetoaddress', [60, address]);
    network.add('n1', { pex: false, traceItems: true, peers: ['n0'] });
    network.runUntil(() => network.rpc<number>('n1', 'getblockcount') === 60);
    const told = network.node('n1').notices.filter((notice): notice is ItemNotice => notice.kind === 'item');
    const early = told.slice(
      0,
      told.findIndex(({ step, height }) => step === 'connected' && height === 30),
    );
    expect(early.filter(({ step }) => step === 'delivered-by').length).toBeGreaterThan(0);
    expect(early.filter(({ step }) => step === 'announced-by' || step === 'confirmed')).toEqual([]);
  });

  test('a node that is not asked to trace tells nothing of items', () => {
    const network = new Network({ params: regtest, seed: 9 });
    const node = network.add('n0');
    network.rpc('n0', 'generatetoaddress', [3, address]);
    expect(node.notices.filter(({ kind }) => kind === 'item')).toEqual([]);
  });
});

describe('slow links', () => {
  test('setlink delays what goes to that peer, also over a new link to it, until it is taken back', () => {
    const { network } = line();
    const delivered = () => {
      const [hash] = network.rpc<[string]>('n0', 'generatetoaddress', [1, address]);
      const start = network.now.mono;
      network.runUntil(() => network.rpc('n1', 'getbestblockhash') === hash);
      return network.now.mono - start;
    };
    expect(delivered()).toBeLessThan(50);
    network.rpc('n0', 'setlink', [{ links: [{ name: 'n1', delay: 400 }] }]);
    // The announcement and the block; the request comes back over the fast half.
    const slow = delivered();
    expect(slow).toBeGreaterThan(790);
    expect(slow).toBeLessThan(900);
    network.kill(network.node('n1'));
    network.start(network.node('n1'));
    network.run(5000);
    expect(delivered()).toBeGreaterThan(790);
    network.rpc('n0', 'setlink', [{ links: [] }]);
    network.run(1000);
    expect(delivered()).toBeLessThan(50);
  });

  test('other peers are not slowed down', () => {
    const { network } = line();
    network.rpc('n1', 'setlink', [{ links: [{ name: 'n2', delay: 5000 }] }]);
    const [hash] = network.rpc<[string]>('n1', 'generatetoaddress', [1, address]);
    network.run(100);
    expect(network.rpc('n0', 'getbestblockhash')).toBe(hash);
    expect(network.rpc('n2', 'getbestblockhash')).not.toBe(hash);
  });
});

describe('a node that is started offline at a given time', () => {
  test('links with nobody until it is told to, and shows that time', () => {
    const network = new Network({ params: regtest, seed: 10 });
    network.add('n0');
    network.add('n1', { peers: ['n0'], offline: true, mockTime: 2_000_000_000 });
    network.run(3000);
    expect(network.rpc('n1', 'getpeerinfo')).toEqual([]);
    const [hash] = network.rpc<[string]>('n1', 'generatetoaddress', [1, address]);
    expect(network.rpc('n1', 'getblockheader', [hash])).toMatchObject({ time: 2_000_000_000 });
    network.rpc('n1', 'setnetworkactive', [true]);
    network.run(3000);
    expect(network.rpc('n1', 'getpeerinfo')).toHaveLength(1);
  });
});
