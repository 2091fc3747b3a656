/** Peers that promise and do not deliver, flood, or hold other opinions: sync goes on and everyone keeps its turn. */
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { type Block, readBlock } from '../../consensus/block.ts';
import { concatBytes, decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { localLimits } from '../../node/limits.ts';
import { decodeMessage, encodeMessage } from '../../node/wire/codec.ts';
import { FrameParser } from '../../node/wire/frame.ts';
import type { Message } from '../../node/wire/message.ts';
import { testKey } from '../support/chain-builder.ts';

const { magic } = regtest;
const address = encodeAddress(testKey(1).publicKey, regtest.hrp);
const mine = (network: Network, name: string, count: number) =>
  network.rpc<string[]>(name, 'generatetoaddress', [count, address]);
const height = (network: Network, name: string) => network.rpc<number>(name, 'getblockcount');

function headersOf(network: Network, name: string): Block['header'][] {
  return Array.from({ length: height(network, name) }, (_, i) => {
    const hash = network.rpc<string>(name, 'getblockhash', [i + 1]);
    const hex = network.rpc<string>(name, 'getblock', [hash, 0]);
    const block = decode(Uint8Array.from(Buffer.from(hex, 'hex')), readBlock);
    if (!block.ok) throw new Error(block.error);
    return block.value.header;
  });
}

/** A peer under the control of the test, past its handshake. `take` returns the messages that came since it was last called. */
function connect(network: Network, node: SimNode, nonce: bigint) {
  const stranger = network.stranger(node);
  const parser = new FrameParser(magic, 4_000_000);
  const send = (...messages: Message[]) =>
    stranger.send(concatBytes(...messages.map((one) => encodeMessage(one, magic))));
  const take = () =>
    stranger.received.splice(0).flatMap((bytes) =>
      parser.push(bytes).flatMap((frame): Message[] => {
        if (frame.type !== 'message') return [];
        const message = decodeMessage(frame.command, frame.payload);
        return message.ok && message.value !== null ? [message.value] : [];
      }),
    );
  send(
    {
      type: 'version',
      version: 70016,
      services: 9n,
      time: 0n,
      receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
      nonce,
      userAgent: '/test/',
      startHeight: 0,
      relay: true,
    },
    { type: 'verack' },
  );
  network.run(100);
  return { ...stranger, send, take };
}

describe('a peer that announces blocks', () => {
  test('and answers notfound for them does not keep us from fetching them elsewhere', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('honest', { pex: false });
    mine(network, 'honest', 30);
    const victim = network.add('victim', { pex: false });
    const liar = connect(network, victim, 1n);
    liar.send({ type: 'headers', headers: headersOf(network, 'honest') });
    let rounds = 0;
    const answer = () => {
      for (const message of liar.take()) {
        if (message.type !== 'getdata') continue;
        rounds++;
        liar.send({ type: 'notfound', items: message.items });
      }
    };
    for (let i = 0; i < 20; i++) {
      network.run(50);
      answer();
    }
    network.rpc('victim', 'addnode', [`ws://127.0.0.1:${network.node('honest').endpoint.port}`, 'add']);
    for (let i = 0; i < 100; i++) {
      network.run(50);
      answer();
    }
    expect(height(network, 'victim')).toBe(30);
    expect(rounds).toBeLessThan(5);
  });

  test('and never sends them loses its link after the time for a block', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('honest', { pex: false });
    mine(network, 'honest', 3);
    const victim = network.add('victim', { pex: false });
    const silent = connect(network, victim, 1n);
    silent.send({ type: 'headers', headers: headersOf(network, 'honest') });
    network.run(localLimits.blockTimeoutMs - 1000);
    expect(silent.closed()).toBeUndefined();
    network.run(2000);
    expect(silent.closed()).toContain('timed out');
    expect(network.rpc('victim', 'getpeerinfo')).toEqual([]);
  });

  test('without bodies does not hold us in initial sync', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('honest', { pex: false });
    mine(network, 'honest', 60);
    const headers = headersOf(network, 'honest');
    const other = new Network({ params: regtest, seed: 2 });
    other.add('n0', { pex: false });
    const victim = other.add('n1', { pex: false, peers: ['n0'] });
    const liar = connect(other, victim, 1n);
    liar.send({ type: 'headers', headers });
    for (let i = 0; i < 20; i++) {
      mine(other, 'n0', 1);
      other.run(5000);
    }
    expect(other.rpc('n1', 'getblockchaininfo')).toMatchObject({ initialblockdownload: false, blocks: 20 });
  });
});

describe('a flood', () => {
  test.each([
    ['getheaders', { type: 'getheaders', version: 70016, locator: [], stop: regtest.genesis.header.hash }],
    ['ping', { type: 'ping', nonce: 7n }],
  ] as const)('of %s in one piece is answered in turns, never faster than it is taken', (_name, message) => {
    const network = new Network({ params: regtest, seed: 1 });
    const node = network.add('n0', { pex: false });
    const peer = connect(network, node, 1n);
    const flood = concatBytes(...Array.from({ length: 5000 }, () => encodeMessage(message as Message, magic)));
    const sends = (actions: readonly { type: string }[]) => actions.filter(({ type }) => type === 'send').length;
    const { core } = node;
    if (core === undefined) throw new Error('not running');
    const first = core.handle({ type: 'bytes', peer: peer.peer, bytes: flood }, network.now);
    expect(sends(first)).toBe(localLimits.readPerTurn);
    expect(first.map(({ type }) => type)).toContain('pause');
    expect(core.nextDeadline()).toBe(network.now.mono);
    let answered = sends(first);
    let resumed = false;
    for (let turn = 0; turn < 1000 && !resumed; turn++) {
      const actions = core.handle({ type: 'tick' }, network.now);
      answered += sends(actions);
      resumed = actions.some(({ type }) => type === 'resume');
    }
    expect(answered).toBe(5000);
    expect(resumed).toBe(true);
  });

  test('in many pieces has one turn for all of them that come before the next tick', () => {
    const network = new Network({ params: regtest, seed: 1 });
    const node = network.add('n0', { pex: false });
    const { peer } = connect(network, node, 1n);
    const { core } = node;
    if (core === undefined) throw new Error('not running');
    const bytes = concatBytes(...Array.from({ length: 40 }, () => encodeMessage({ type: 'ping', nonce: 7n }, magic)));
    core.handle({ type: 'tick' }, network.now);
    const pongs = (actions: readonly { type: string }[]) => actions.filter(({ type }) => type === 'send').length;
    const answered = [1, 2, 3].map(() => pongs(core.handle({ type: 'bytes', peer, bytes }, network.now)));
    expect(answered).toEqual([40, localLimits.readPerTurn - 40, 0]);
    expect(pongs(core.handle({ type: 'tick' }, network.now))).toBe(120 - localLimits.readPerTurn);
  });

  test('of many peers takes no longer in a turn than one of a few: they share it, and each has something', () => {
    const network = new Network({ params: regtest, seed: 1 });
    const node = network.add('n0', { pex: false });
    const peers = Array.from({ length: 16 }, (_, i) => connect(network, node, BigInt(i + 1)).peer);
    const { core } = node;
    if (core === undefined) throw new Error('not running');
    const bytes = concatBytes(...Array.from({ length: 200 }, () => encodeMessage({ type: 'ping', nonce: 7n }, magic)));
    for (const peer of peers) core.handle({ type: 'bytes', peer, bytes }, network.now);
    const turn = core.handle({ type: 'tick' }, network.now);
    const share = localLimits.readPerTurnOfAll / peers.length;
    for (const peer of peers) {
      expect(turn.filter((action) => action.type === 'send' && action.peer === peer)).toHaveLength(share);
    }
  });

  test('of getdata for transactions that nobody has ends in one notfound per hundred', () => {
    const network = new Network({ params: regtest, seed: 1 });
    const node = network.add('n0', { pex: false });
    const peer = connect(network, node, 1n);
    peer.take();
    const items = Array.from({ length: 5000 }, (_, i) => ({ kind: 5, hash: i.toString(16).padStart(64, '0') }));
    peer.send({ type: 'getdata', items });
    network.run(1000);
    const answers = peer.take();
    expect(answers).toHaveLength(50);
    expect(answers.every((answer) => answer.type === 'notfound' && answer.items.length === 100)).toBe(true);
  });
});

describe('after a user has called a block invalid', () => {
  test('peers that agree follow the new branch while it is still the shorter one', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('n0');
    network.add('n1', { peers: ['n0'] });
    network.run(1000);
    const hashes = mine(network, 'n0', 10);
    network.run(500);
    for (const name of ['n0', 'n1']) network.rpc(name, 'invalidateblock', [hashes[7]]);
    expect(height(network, 'n0')).toBe(7);
    const [fresh] = mine(network, 'n0', 1);
    network.run(2000);
    expect(network.rpc('n1', 'getbestblockhash')).toBe(fresh);
  });

  test('a peer that disagrees is not asked for its headers without end', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('n0');
    network.add('n1', { peers: ['n0'] });
    network.run(1000);
    const hashes = mine(network, 'n0', 2060);
    network.run(10_000);
    expect(height(network, 'n1')).toBe(2060);
    network.rpc('n1', 'invalidateblock', [hashes[20]]);
    const node = network.node('n1');
    network.kill(node);
    network.start(node);
    network.run(10_000);
    const [peer] = network.rpc<{ bytesrecv_per_msg: { headers?: number } }[]>('n1', 'getpeerinfo');
    expect(peer?.bytesrecv_per_msg.headers ?? 0).toBeLessThan(4 * 2000 * 81);
  });
});
