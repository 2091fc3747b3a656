/** Calls that are held: for blocks, and while a long check goes on; and what becomes of those whose caller has gone. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../../consensus/address.ts';
import { encodeBlock } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { encodeTransaction } from '../../../consensus/transaction.ts';
import { Network } from '../../../devnet/sim/network.ts';
import type { Action, Event, RequestId, RpcParams } from '../../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../../node/chain/memory-store.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { createNode } from '../../../node/node.ts';
import { SeededRandom } from '../../../node/random.ts';
import { pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';

const address = encodeAddress(testKey(1).publicKey, regtest.hrp);
const none = '00'.repeat(32);

interface Tip {
  readonly hash: string;
  readonly height: number;
}

/** A network of one node, and calls of it that nobody waits for. */
function start() {
  const network = new Network({ params: regtest, seed: 1 });
  const node = network.add('n0');
  const ask = (method: string, ...params: readonly unknown[]) => {
    const call: { tip: Tip | undefined } = { tip: undefined };
    void network.call(node, method, params).then((outcome) => {
      if (!outcome.ok) throw new Error(outcome.message);
      call.tip = JSON.parse(outcome.json);
    });
    return call;
  };
  const mine = async () => {
    const [hash] = network.rpc<string[]>('n0', 'generatetoaddress', [1, address]);
    await settle();
    return hash as string;
  };
  return { network, ask, mine };
}

const settle = () => new Promise((done) => setImmediate(done));

describe('waiting for blocks', () => {
  test('ends with the block that was waited for', async () => {
    const { ask, mine } = start();
    const next = ask('waitfornewblock');
    const second = ask('waitforblockheight', 2);
    const unknown = ask('waitforblock', none);
    await settle();
    expect([next.tip, second.tip, unknown.tip]).toEqual([undefined, undefined, undefined]);
    const first = await mine();
    expect(next.tip).toEqual({ hash: first, height: 1 });
    expect(second.tip).toBeUndefined();
    const hash = await mine();
    expect(second.tip).toEqual({ hash, height: 2 });
    const known = [ask('waitforblock', hash), ask('waitforblockheight', 1)];
    await settle();
    for (const { tip } of known) expect(tip).toEqual({ hash, height: 2 });
    expect(unknown.tip).toBeUndefined();
  });

  test('ends with the present tip when the time is up', async () => {
    const { network, ask } = start();
    const calls = [ask('waitfornewblock', 500), ask('waitforblock', none, 500), ask('waitforblockheight', 9, 500)];
    network.run(499);
    await settle();
    for (const { tip } of calls) expect(tip).toBeUndefined();
    network.run(1);
    await settle();
    for (const { tip } of calls) expect(tip).toEqual({ hash: regtest.genesis.header.hash, height: 0 });
  });

  test('a block that another block replaces is a new tip too', async () => {
    const { network, ask, mine } = start();
    const hash = await mine();
    const next = ask('waitfornewblock');
    network.rpc('n0', 'invalidateblock', [hash]);
    await settle();
    expect(next.tip).toEqual({ hash: regtest.genesis.header.hash, height: 0 });
  });
});

/** One node by itself, of which every event and action is seen. */
class Bare {
  readonly core;
  readonly replies = new Map<RequestId, string>();
  #mono = 0;
  #next = 1;

  constructor(limits: Limits = localLimits) {
    this.core = createNode({
      params: regtest,
      limits,
      random: new SeededRandom('waiting'),
      store: new MemoryStore(),
      blockFiles: new MemoryBlockFiles(),
      rows: { headers: [], addresses: [], pool: [] },
      listen: [],
      connect: [],
      pex: false,
      now: this.now,
    });
  }

  get now() {
    return { mono: this.#mono, unix: 1_700_000_000 + Math.floor(this.#mono / 1000) };
  }

  handle(event: Event): readonly Action[] {
    const actions = this.core.handle(event, this.now);
    for (const action of actions) {
      if (action.type === 'reply') this.replies.set(action.request, JSON.stringify(action.outcome));
    }
    return actions;
  }

  ask(method: string, params: RpcParams = []): RequestId {
    const request = this.#next++ as RequestId;
    this.handle({ type: 'request', request, method, params });
    return request;
  }

  tickAt(mono: number): void {
    this.#mono = mono;
    this.handle({ type: 'tick' });
  }
}

describe('held calls', () => {
  test('cost nothing once their caller has gone', () => {
    const node = new Bare({ ...localLimits, maxHeldCalls: 2 });
    const [first, second] = [node.ask('waitfornewblock', [700]), node.ask('waitfornewblock')];
    expect(node.core.nextDeadline()).toBe(700);
    const third = node.ask('waitfornewblock');
    expect(node.replies.get(third)).toContain('Too many calls wait');
    node.handle({ type: 'request-closed', request: first });
    expect(node.core.nextDeadline()).not.toBe(700);
    const fourth = node.ask('waitfornewblock');
    node.tickAt(1000);
    for (const request of [first, second, fourth]) expect(node.replies.has(request)).toBe(false);
    expect(node.replies.get(node.ask('getrpcinfo'))).toMatch(
      /waitfornewblock.*1000000.*waitfornewblock.*1000000.*getrpcinfo/,
    );
  });

  test('are answered when the node stops', () => {
    const node = new Bare();
    const wait = node.ask('waitfornewblock');
    const template = node.ask('getblocktemplate', [{ rules: ['segwit'], longpollid: true }]);
    node.handle({ type: 'stop' });
    expect(node.replies.get(wait)).toContain(regtest.genesis.header.hash);
    expect(node.replies.get(template)).toContain('Shutting down');
  });

  test('verifychain goes a block at a time, and others are answered meanwhile', async () => {
    const { network } = start();
    network.rpc('n0', 'generatetoaddress', [20, address]);
    let isSound: string | undefined;
    void network.call(network.node('n0'), 'verifychain', [4, 0]).then((outcome) => {
      isSound = outcome.ok ? outcome.json : outcome.message;
    });
    expect(network.rpc('n0', 'getblockcount')).toBe(20);
    await settle();
    expect(isSound).toBeUndefined();
    network.run(1);
    await settle();
    expect(isSound).toBe('true');
  });
});

test('savemempool writes what came from peers', () => {
  const network = new Network({ params: regtest, seed: 1, startUnix: 1_700_000_000 });
  network.add('n0');
  const other = network.add('n1', { peers: ['n0'] });
  const chain = TestChain.ofHeight(101);
  for (const block of chain.blocks.slice(1)) network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
  const tx = spend([chain.coinbase(1)], [pay(testKey(1), 4_999_990_000n)]);
  network.runUntil(() => network.rpc<number>('n1', 'getblockcount') === 101);
  network.rpc('n0', 'sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
  network.runUntil(() => network.rpc<string[]>('n1', 'getrawmempool').length === 1);
  const rows = () => other.store.range('p', 'q', 10).length;
  expect(rows()).toBe(0);
  expect(network.rpc('n1', 'savemempool')).toEqual({ filename: 'store' });
  expect(rows()).toBe(1);
});

describe('the network switch', () => {
  test('closes all links, makes none while it is off, and makes them again', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('n0');
    network.add('n1', { peers: ['n0'] });
    const links = (name: string) => network.rpc<number>(name, 'getconnectioncount');
    network.runUntil(() => links('n0') > 0 && links('n1') > 0);
    network.run(1000);
    const { totalbytessent } = network.rpc<{ totalbytessent: number }>('n1', 'getnettotals');
    expect(totalbytessent).toBeGreaterThan(0);
    expect(network.rpc('n1', 'setnetworkactive', [false])).toBe(false);
    expect(network.rpc('n1', 'getnetworkinfo')).toMatchObject({ networkactive: false });
    network.run(20_000);
    expect([links('n0'), links('n1')]).toEqual([0, 0]);
    expect(() => network.rpc('n1', 'addnode', ['127.0.0.1:1', 'onetry'])).toThrow('Networking is off');
    // What went over closed links still counts.
    const after = network.rpc<{ totalbytessent: number }>('n1', 'getnettotals').totalbytessent;
    expect(after).toBeGreaterThanOrEqual(totalbytessent);
    network.rpc('n1', 'setnetworkactive', [true]);
    network.runUntil(() => links('n0') > 0 && links('n1') > 0);
  });

  test('a ping goes to every peer at once, and getaddednodeinfo sees the links', () => {
    const network = new Network({ params: regtest, seed: 1 });
    const { endpoint } = network.add('n0');
    network.add('n1', { pex: false });
    const name = `ws://${endpoint.host}:${endpoint.port}`;
    expect(network.rpc('n1', 'getaddednodeinfo')).toEqual([]);
    network.rpc('n1', 'addnode', [name, 'add']);
    network.runUntil(() => network.rpc<number>('n1', 'getconnectioncount') > 0);
    network.run(1000);
    expect(network.rpc('n1', 'getaddednodeinfo')).toEqual([
      {
        addednode: name,
        connected: true,
        addresses: [{ address: `${endpoint.host}:${endpoint.port}`, connected: 'outbound' }],
      },
    ]);
    const pings = () => {
      const [peer] = network.rpc<{ bytessent_per_msg: { ping: number } }[]>('n1', 'getpeerinfo');
      return peer?.bytessent_per_msg.ping ?? 0;
    };
    const before = pings();
    network.rpc('n1', 'ping');
    expect(pings()).toBe(before + 32);
    network.rpc('n1', 'addnode', [name, 'remove']);
    expect(network.rpc('n1', 'getaddednodeinfo')).toEqual([]);
  });

  test('addnode stops where too many nodes are added', () => {
    const node = new Bare({ ...localLimits, maxAddedNodes: 1 });
    expect(node.replies.get(node.ask('addnode', ['127.0.0.1:1', 'add']))).toContain('null');
    expect(node.replies.get(node.ask('addnode', ['127.0.0.1:2', 'add']))).toContain('Too many nodes');
  });
});
