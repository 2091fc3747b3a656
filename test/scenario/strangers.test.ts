/** Peers that are no nodes: what they send costs them their link where it must, and never disturbs the others. */
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network } from '../../devnet/sim/network.ts';
import { encodeMessage } from '../../node/wire/codec.ts';
import { encodeFrame, FrameParser } from '../../node/wire/frame.ts';
import type { Message } from '../../node/wire/message.ts';
import { buildBlock, changed, testKey } from '../support/chain-builder.ts';

const { magic } = regtest;

function setup() {
  const network = new Network({ params: regtest, seed: 3 });
  const node = network.add('n0');
  network.add('n1', { peers: ['n0'] });
  network.run(1000);
  const stranger = network.stranger(node);
  const send = (message: Message) => stranger.send(encodeMessage(message, magic));
  const version: Message = {
    type: 'version',
    version: 70016,
    services: 9n,
    time: 0n,
    receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
    nonce: 99n,
    userAgent: '/stranger/',
    startHeight: 0,
    relay: true,
  };
  const handshake = () => {
    send(version);
    network.run(100);
    send({ type: 'verack' });
    network.run(100);
  };
  const commands = () => {
    const parser = new FrameParser(magic, 4_000_000);
    return stranger.received.flatMap((bytes) =>
      parser.push(bytes).flatMap((frame) => (frame.type === 'message' ? [frame.command] : [])),
    );
  };
  /** The honest peer is still there, and blocks still reach it. */
  const expectHonestNetwork = () => {
    const address = encodeAddress(testKey(1).publicKey, regtest.hrp);
    const [hash] = network.rpc<string[]>('n0', 'generatetoaddress', [1, address]);
    network.run(500);
    expect(network.rpc('n1', 'getbestblockhash')).toBe(hash);
  };
  return { network, node, stranger, send, handshake, commands, expectHonestNetwork };
}

describe('a stranger', () => {
  test('that speaks the protocol gets its handshake and its pong', () => {
    const { network, stranger, send, handshake, commands } = setup();
    handshake();
    send({ type: 'ping', nonce: 5n });
    network.run(100);
    expect(commands()).toEqual(expect.arrayContaining(['version', 'verack', 'sendheaders', 'pong']));
    expect(stranger.closed()).toBeUndefined();
  });

  test.each([
    ['another magic', encodeFrame(Uint8Array.of(1, 2, 3, 4), 'version', new Uint8Array(0))],
    ['garbage', new TextEncoder().encode('GARBAGE that is no frame at all')],
    [
      'an oversized length',
      (() => {
        const frame = encodeFrame(magic, 'block', new Uint8Array(0));
        new DataView(frame.buffer).setUint32(16, 4_000_001, true);
        return frame;
      })(),
    ],
  ])('that sends %s is disconnected at once', (_what, bytes) => {
    const { network, stranger, expectHonestNetwork } = setup();
    stranger.send(bytes);
    network.run(100);
    expect(stranger.closed()).toBeDefined();
    expectHonestNetwork();
  });

  test('that sends a wrong checksum, an unknown command or an undecodable payload keeps its link', () => {
    const { network, stranger, send, handshake, commands } = setup();
    handshake();
    const wrong = encodeFrame(magic, 'ping', new Uint8Array(8));
    wrong[20] = (wrong[20] as number) ^ 1;
    stranger.send(wrong);
    stranger.send(encodeFrame(magic, 'nonsense', new Uint8Array(3)));
    stranger.send(encodeFrame(magic, 'inv', Uint8Array.of(5, 1)));
    send({ type: 'ping', nonce: 5n });
    network.run(100);
    expect(commands()).toContain('pong');
    expect(stranger.closed()).toBeUndefined();
  });

  test('that sends half a message and nothing more loses its link only by time', () => {
    const { network, stranger, handshake, expectHonestNetwork } = setup();
    handshake();
    stranger.send(encodeFrame(magic, 'block', new Uint8Array(1000)).subarray(0, 500));
    network.run(10_000);
    expect(stranger.closed()).toBeUndefined();
    expectHonestNetwork();
    network.run(21 * 60_000);
    expect(stranger.closed()).toBeDefined();
  });

  test('that never finishes its handshake is dropped after a minute', () => {
    const { network, stranger } = setup();
    network.run(59_000);
    expect(stranger.closed()).toBeUndefined();
    network.run(2000);
    expect(stranger.closed()).toBeDefined();
  });

  test('that sends an invalid block is disconnected, and the block stays out', () => {
    const { network, stranger, send, handshake, expectHonestNetwork } = setup();
    handshake();
    const genesis = { hash: regtest.genesis.header.hash, height: 0, time: regtest.genesis.header.time };
    const block = buildBlock(genesis, { fees: 1n });
    send({ type: 'headers', headers: [block.header] });
    network.run(100);
    send({ type: 'block', block });
    network.run(100);
    expect(stranger.closed()).toContain('bad-cb-amount');
    expect(network.rpc('n0', 'getblockcount')).toBe(0);
    expectHonestNetwork();
  });

  test('that sends a body which does not belong to its header spoils nothing: the right body is still taken', () => {
    const { network, stranger, send, handshake } = setup();
    handshake();
    const genesis = { hash: regtest.genesis.header.hash, height: 0, time: regtest.genesis.header.time };
    const block = buildBlock(genesis);
    const [coinbase] = block.transactions;
    if (coinbase === undefined) throw new Error('no coinbase');
    send({ type: 'headers', headers: [block.header] });
    network.run(100);
    send({ type: 'block', block: { header: block.header, transactions: [changed(coinbase, { lockTime: 5 })] } });
    network.run(100);
    expect(stranger.closed()).toContain('bad-txnmrklroot');
    const second = network.stranger(network.node('n0'));
    const version = encodeMessage(
      {
        type: 'version',
        version: 70016,
        services: 9n,
        time: 0n,
        receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
        nonce: 98n,
        userAgent: '/second/',
        startHeight: 0,
        relay: true,
      },
      magic,
    );
    second.send(version);
    second.send(encodeMessage({ type: 'verack' }, magic));
    network.run(100);
    second.send(encodeMessage({ type: 'headers', headers: [block.header] }, magic));
    network.run(100);
    second.send(encodeMessage({ type: 'block', block }, magic));
    network.run(200);
    expect(network.rpc('n0', 'getbestblockhash')).toBe(block.header.hash);
    expect(second.closed()).toBeUndefined();
  });

  test('that breaks only a rule of the subset is not punished, but its block stays out', () => {
    const { network, stranger, send, handshake } = setup();
    handshake();
    const genesis = { hash: regtest.genesis.header.hash, height: 0, time: regtest.genesis.header.time };
    const block = buildBlock(genesis, { outputs: [{ value: 0n, scriptPubKey: Uint8Array.of(0x51) }] });
    const child = buildBlock({ hash: block.header.hash, height: 1, time: block.header.time });
    send({ type: 'headers', headers: [block.header] });
    network.run(100);
    send({ type: 'block', block });
    network.run(100);
    send({ type: 'headers', headers: [child.header] });
    network.run(100);
    expect(stranger.closed()).toBeUndefined();
    expect(network.rpc('n0', 'getblockcount')).toBe(0);
  });
});
