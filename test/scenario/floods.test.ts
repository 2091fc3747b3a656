/**
 * Floods against the node that all others hang on: a block and a transaction still get through in about the time that they
 * take in peace, nobody honest loses a link, and whoever breaks a rule loses its own. Cores take time here (`cost`), or a
 * flood would cost nobody anything; what they take is near what `npm run bench -- messages` measures.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { type Block, readBlock } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { concatBytes, decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { type PeerScript, type ScriptedLink, ScriptedPeers } from '../../devnet/sim/scripted-peers.ts';
import { localLimits } from '../../node/limits.ts';
import { SeededRandom } from '../../node/random.ts';
import { encodeMessage } from '../../node/wire/codec.ts';
import { encodeFrame } from '../../node/wire/frame.ts';
import type { Message } from '../../node/wire/message.ts';
import { addressesOf, gossipOf } from '../support/attacker.ts';
import { outputOf, pay, type Spendable, spend, testKey } from '../support/chain-builder.ts';

const { magic } = regtest;
const miner = testKey(1);
const address = encodeAddress(miner.publicKey, regtest.hrp);

const SPOKES = ['h1', 'h2', 'h3', 'h4'] as const;
const ATTACKERS = 10;
const ROUNDS = 2;
/**
 * What a flood may cost those who do not take part. Before each message by which the hub gets a block or a transaction and
 * passes it on every attacker may have its turn, but one that does not grow with what it sends.
 */
const FACTOR = 6;
const PUMP_MS = 1;

const cost = { perEventMs: 0.02, perActionMs: 0.01, perKilobyteMs: 0.02 };

/** A hub, and honest nodes that are linked with it alone: whatever one of them tells the others goes through the hub. */
class Wheel {
  readonly network = new Network({ params: regtest, seed: 21, cost });
  readonly hub: SimNode;
  /** The hub's numbers of the honest links. */
  readonly honest: readonly number[];
  #coin: Spendable;

  constructor() {
    const { network } = this;
    this.hub = network.add('hub', { endpoint: { host: '20.1.0.1', port: 1 } });
    for (const [i, name] of SPOKES.entries()) {
      network.add(name, { endpoint: { host: `20.${i + 2}.0.1`, port: 1 }, pex: false, peers: ['hub'] });
    }
    network.run(500);
    const [first] = network.rpc<string[]>('h1', 'generatetoaddress', [101, address]);
    network.run(2000);
    this.#coin = outputOf(this.#block(first as string).transactions[0] as Transaction, 0, miner);
    this.honest = this.links();
  }

  links(): number[] {
    return this.network
      .rpc<{ id: number; subver: string }[]>('hub', 'getpeerinfo')
      .flatMap(({ id, subver }) => (subver.includes('devnet:h') ? [id] : []));
  }

  /** Virtual time until a block of one spoke is the tip of all others, the longest of some. */
  blockMs(): number {
    return this.#longest((name) => {
      const [hash] = this.network.rpc<string[]>(name, 'generatetoaddress', [1, address]);
      return (node) => node.notices.some((notice) => notice.kind === 'tip' && notice.hash === hash);
    });
  }

  transactionMs(): number {
    return this.#longest((name) => {
      const tx = spend([this.#coin], [pay(miner, this.#coin.value - 1000n)]);
      this.#coin = outputOf(tx, 0, miner);
      this.network.rpc(name, 'sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
      return (node) => node.notices.some((notice) => notice.kind === 'transaction' && notice.txid === tx.txid);
    });
  }

  #longest(begin: (name: string) => (node: SimNode) => boolean): number {
    const { network } = this;
    let longest = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const has = begin(SPOKES[round % SPOKES.length] as string);
      const began = network.now.mono;
      const nodes = SPOKES.map((name) => network.node(name));
      network.runUntil(() => nodes.every(has), 30_000, 'all spokes to have it');
      longest = Math.max(longest, network.now.mono - began);
      network.run(50);
    }
    return longest;
  }

  #block(hash: string): Block {
    const hex = this.network.rpc<string>('h1', 'getblock', [hash, 0]);
    const block = decode(Uint8Array.from(Buffer.from(hex, 'hex')), readBlock);
    if (!block.ok) throw new Error(block.error);
    return block.value;
  }
}

interface Attack {
  readonly name: string;
  /** What is sent over and over, piece by piece. */
  readonly pieces: (wheel: Wheel, attacker: number) => readonly Bytes[];
  readonly script?: PeerScript;
  /** The attacker loses its links at the latest after this much virtual time; undefined: it is served in its turn. */
  readonly droppedAfterMs?: number;
}

const frames = (count: number, message: Message) =>
  concatBytes(...Array.from({ length: count }, () => encodeMessage(message, magic)));
const hashOf = (random: SeededRandom) => bytesToHex(random.bytes(32));
const randomOf = (attacker: number) => new SeededRandom(`attacker ${attacker}`);

/** Messages of fresh addresses that nobody has heard of and nobody answers at. */
function freshAddresses(wheel: Wheel, attacker: number, count: number): Message {
  const random = randomOf(attacker);
  const { unix } = wheel.network.now;
  const addresses = Array.from({ length: count }, () => {
    const [a = 0, b = 0, c = 0] = random.bytes(3);
    return gossipOf({ host: `11.${a}.${b}.${c}`, port: 8333 }, unix);
  });
  return { type: 'addrv2', addresses };
}

/** The header of a frame whose payload would be larger than any message may be. */
function oversizedFrame(): Bytes {
  const frame = encodeFrame(magic, 'block', new Uint8Array(0));
  new DataView(frame.buffer).setUint32(16, localLimits.maxMessageBytes + 1, true);
  return frame;
}

const attacks: readonly Attack[] = [
  {
    name: 'addresses, a thousand at a time',
    pieces: (wheel, attacker) => [encodeMessage(freshAddresses(wheel, attacker, 1000), magic)],
  },
  {
    name: 'fresh addresses, ten at a time, as they would be passed on',
    pieces: (wheel, attacker) => [encodeMessage(freshAddresses(wheel, attacker, 10), magic)],
  },
  {
    name: 'more addresses than a message may hold',
    pieces: (wheel, attacker) => [encodeMessage(freshAddresses(wheel, attacker, 1001), magic)],
    droppedAfterMs: 100,
  },
  { name: 'getaddr', pieces: () => [frames(100, { type: 'getaddr' })] },
  { name: 'ping', pieces: () => [frames(1000, { type: 'ping', nonce: 7n })] },
  {
    name: 'version',
    pieces: () => [
      frames(100, {
        type: 'version',
        version: 70016,
        services: 9n,
        time: 0n,
        receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
        nonce: 5n,
        userAgent: '/again/',
        startHeight: 0,
        relay: true,
      }),
    ],
  },
  {
    name: 'announcements of transactions that nobody has',
    pieces: (_, attacker) => {
      const random = randomOf(attacker);
      const items = Array.from({ length: 1000 }, () => ({ kind: 5, hash: hashOf(random) }));
      return [encodeMessage({ type: 'inv', items }, magic)];
    },
  },
  {
    name: 'requests for transactions that nobody has',
    pieces: (_, attacker) => {
      const random = randomOf(attacker);
      const items = Array.from({ length: 100 }, () => ({ kind: 0x40000001, hash: hashOf(random) }));
      return [encodeMessage({ type: 'getdata', items }, magic)];
    },
  },
  {
    name: 'messages of unknown commands, 64 KB each',
    pieces: () => [encodeFrame(magic, 'nonsense', new Uint8Array(65_536))],
    droppedAfterMs: 60_000,
  },
  {
    name: 'messages in pieces of one byte',
    pieces: () => [...frames(1, { type: 'getaddr' })].map((byte) => Uint8Array.of(byte)),
  },
  { name: 'frames that are too long', pieces: () => [oversizedFrame()], droppedAfterMs: 100 },
  {
    name: 'connections that say nothing',
    pieces: () => [],
    script: { mute: true },
    droppedAfterMs: localLimits.handshakeTimeoutMs + 1000,
  },
];

/** Sends the pieces in turn, over and over, as fast as the node reads them: one read takes what a socket holds. */
function pump(network: Network, link: ScriptedLink, pieces: readonly Bytes[]): void {
  let next = 0;
  const send = () => {
    if (!link.isOpen || pieces.length === 0) return;
    if (link.unread === 0) link.send(pieces[next++ % pieces.length] as Bytes);
    network.after(PUMP_MS, send);
  };
  send();
}

describe(`while ${ATTACKERS} peers send`, () => {
  let inPeace: { readonly blockMs: number; readonly transactionMs: number };
  beforeAll(() => {
    const wheel = new Wheel();
    inPeace = { blockMs: wheel.blockMs(), transactionMs: wheel.transactionMs() };
  });

  test.each(attacks)('$name, honest ones are served as before', ({ pieces, script, droppedAfterMs }) => {
    const { blockMs, transactionMs } = inPeace;
    const wheel = new Wheel();
    const { network, hub } = wheel;
    const attackers = new ScriptedPeers(network, script);
    for (const endpoint of addressesOf({ hosts: ATTACKERS, groups: ATTACKERS })) attackers.dial(hub, endpoint);
    network.run(100);
    for (const [i, link] of attackers.links.entries()) pump(network, link, pieces(wheel, i));
    network.run(100);

    expect(wheel.blockMs()).toBeLessThanOrEqual(FACTOR * blockMs);
    expect(wheel.transactionMs()).toBeLessThanOrEqual(FACTOR * transactionMs);
    if (droppedAfterMs === undefined) expect(attackers.open).toHaveLength(ATTACKERS);
    else {
      const allGone = () => attackers.open.length === 0;
      network.runUntil(allGone, droppedAfterMs, 'the attackers to be dropped');
    }
    expect(wheel.links()).toEqual(wheel.honest);
    const judged = hub.notices.flatMap((notice) => (notice.kind === 'misbehaved' ? [notice.peer as number] : []));
    for (const peer of wheel.honest) expect(judged).not.toContain(peer);
  });
});
