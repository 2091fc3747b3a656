/**
 * The attacks of `npm run bench -- attack`, each against one node and for a while. Owns what is sent and over how many
 * sockets; what it costs the others is measured in attack.ts.
 *
 * Hosts are 127.x.y.z, so that one machine has many in many netgroups. Fabricated addresses are of the same range: whoever
 * believes them dials nobody but this machine.
 */
import { bytesToHex } from '#hash';
import { makeHeader } from '../consensus/block.ts';
import type { BlockHash, Bytes } from '../consensus/brand.ts';
import { concatBytes } from '../consensus/codec.ts';
import { regtest } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import { localLimits } from '../node/limits.ts';
import type { SeededRandom } from '../node/random.ts';
import { encodeMessage } from '../node/wire/codec.ts';
import { encodeFrame } from '../node/wire/frame.ts';
import {
  type GossipAddress,
  INV_BLOCK,
  INV_WITNESS_BLOCK,
  INV_WTX,
  type Message,
  PROTOCOL_VERSION,
  SERVICE_NETWORK,
  SERVICE_WEBSOCKET,
  SERVICE_WITNESS,
} from '../node/wire/message.ts';
import { type AttackLine, type Carrier, frameHeader, upgradeText, versionMessage } from './attack-line.ts';

const { magic } = regtest;
const LANES = 16;
/** Before a socket that was ended is opened again. */
const REOPEN_MS = 10;
const MANY_REOPEN_MS = 100;
const NO_STOP = '0'.repeat(64) as BlockHash;

/** What an attacker knows of the network. */
export interface Known {
  /** Blocks of the chain, the largest first. */
  readonly blocks: readonly BlockHash[];
}

export interface Attack {
  readonly about: string;
  /** Sockets at a time. */
  readonly lanes: number;
  /** What they speak, in turn. */
  readonly carriers: readonly Carrier[];
  /** A socket that has ended is opened again after this; undefined: it is not. */
  readonly reopenMs: number | undefined;
  /**
   * What RULES.md C1 to C4 have in store for it: each socket is ended (`dropped`), at most as many stand as there are
   * places (`bounded`), or it is served in its turn (`served`).
   */
  readonly fate: 'dropped' | 'bounded' | 'served';
  /** What one socket does once it is open. */
  readonly play: (known: Known, random: SeededRandom) => (line: AttackLine) => void;
}

const BOTH: readonly Carrier[] = ['tcp', 'ws'];
const flood = (about: string, pieces: (known: Known, random: SeededRandom) => readonly Bytes[]): Attack => ({
  about,
  lanes: LANES,
  carriers: BOTH,
  reopenMs: REOPEN_MS,
  fate: 'served',
  play: (known, random) => {
    const sent = pieces(known, random);
    return (line) => {
      line.introduce();
      line.pump(overAndOver(sent));
    };
  },
});

/** One piece, and again as soon as the node has ended the link. */
const offence = (about: string, piece: (random: SeededRandom) => Bytes): Attack => ({
  ...flood(about, (_, random) => [piece(random)]),
  fate: 'dropped',
});

/** By name, in the order in which they are played. */
export const attacks: Readonly<Record<string, Attack>> = {
  ping: flood('ping, 500 in a piece', () => [frames(500, { type: 'ping', nonce: 7n })]),
  getaddr: flood('getaddr, 500 in a piece', () => [frames(500, { type: 'getaddr' })]),
  version: flood('version again and again', () => [repeated(200, versionMessage())]),
  handshakes: {
    ...flood('whole handshakes, one after the other', () => []),
    fate: 'bounded',
    play: () => (line) => {
      line.introduce();
      line.onceAnswered(() => setTimeout(() => line.leave(), 5));
    },
  },
  addr: flood('addr, a thousand fresh ones each', (_, random) =>
    Array.from({ length: 24 }, () => encodeMessage(addressMessage(random, 1000), magic)),
  ),
  'addr-relay': flood('addr, ten fresh ones each, as they are passed on', (_, random) =>
    Array.from({ length: 200 }, () => encodeMessage(addressMessage(random, 10), magic)),
  ),
  'addr-1001': offence('addr, one more than there may be', (random) =>
    encodeMessage(addressMessage(random, 1001), magic),
  ),
  poison: {
    ...flood('a thousand fresh addresses from each of many hosts', () => []),
    lanes: 48,
    play: (_, random) => (line) => {
      line.introduce();
      line.send(encodeMessage({ type: 'addr', addresses: freshAddresses(random, 1000) }, magic));
      setTimeout(() => line.leave(), 200);
    },
  },
  inv: flood('inv of transactions that nobody has', (_, random) =>
    Array.from({ length: 16 }, () => inventory('inv', INV_WTX, hashes(random, 1000))),
  ),
  'inv-blocks': flood('inv of blocks that nobody has', (_, random) =>
    Array.from({ length: 16 }, () => inventory('inv', INV_BLOCK, hashes(random, 1000))),
  ),
  getheaders: flood('getheaders from the start', () => [
    frames(20, { type: 'getheaders', version: PROTOCOL_VERSION, locator: [], stop: NO_STOP }),
  ]),
  headers: flood('headers of branches with too little work', (_, random) => deadBranches(random, 24, 50)),
  orphans: flood('headers without a parent', (_, random) => [
    concatBytes(...Array.from({ length: 200 }, () => headersMessage(hashes(random, 1)[0] as BlockHash, random, 1))),
  ]),
  getdata: flood('getdata of the largest block', ({ blocks }) => [
    inventory('getdata', INV_WITNESS_BLOCK, new Array<BlockHash>(50).fill(blocks[0] as BlockHash)),
  ]),
  'getdata-none': flood('getdata of what nobody has', (_, random) =>
    Array.from({ length: 16 }, () => inventory('getdata', INV_WTX, hashes(random, 500))),
  ),
  unread: {
    ...flood('blocks and headers asked for and never read', () => []),
    lanes: 32,
    fate: 'bounded',
    play: ({ blocks }) => {
      const asked = concatBytes(
        inventory('getdata', INV_WITNESS_BLOCK, new Array<BlockHash>(200).fill(blocks[0] as BlockHash)),
        frames(10, { type: 'getheaders', version: PROTOCOL_VERSION, locator: [], stop: NO_STOP }),
      );
      return (line) => {
        line.introduce();
        line.stopReading();
        line.pump(overAndOver([asked]));
      };
    },
  },
  silent: { ...many('connections that say nothing', 300), play: () => () => undefined },
  'half-upgrades': {
    ...many('upgrades that never end, and words that never end', 300),
    play: () => (line) => line.raw(line.carrier === 'ws' ? upgradeText().slice(0, 90) : magic.subarray(0, 2)),
  },
  'half-handshakes': {
    ...many('handshakes that never end', 300),
    play: () => (line) => {
      if (line.carrier === 'ws') line.raw(upgradeText());
      line.send(versionMessage());
    },
  },
  'huge-headers': {
    ...many('upgrades with huge headers', 32),
    carriers: ['ws'],
    reopenMs: REOPEN_MS,
    fate: 'dropped',
    play: () => {
      const huge = upgradeText(`X-Large: ${'x'.repeat(1_000_000)}\r\n`);
      return (line) => line.raw(huge);
    },
  },
  oversized: offence('frames declared longer than any', () => declared(localLimits.maxMessageBytes + 1)),
  'oversized-ws': {
    ...many('WebSocket frames declared longer than any', 32),
    carriers: ['ws'],
    reopenMs: REOPEN_MS,
    fate: 'dropped',
    play: () => (line) => {
      line.introduce();
      line.raw(frameHeader(1_000_000_000_000));
    },
  },
  unfinished: {
    ...flood('frames of the full length whose end never comes', () => []),
    lanes: 48,
    fate: 'bounded',
    play: () => {
      const piece = new Uint8Array(65_536);
      return (line) => {
        line.introduce();
        // One byte is missing. Over WebSocket it is the frame of that which does not end.
        let left = localLimits.maxMessageBytes - 1;
        if (line.carrier === 'ws') line.raw(frameHeader(left + 1));
        else line.send(declared(left + 1));
        line.pumpRaw(() => {
          const taken = piece.subarray(0, Math.min(left, piece.length));
          left -= taken.length;
          return taken.length === 0 ? undefined : taken;
        });
      };
    },
  },
  bytes: {
    ...flood('messages in pieces of one byte', () => []),
    play: () => {
      const message = encodeMessage({ type: 'ping', nonce: 9n }, magic);
      const bytes = [...message].map((byte) => Uint8Array.of(byte));
      // A frame each; many of them in one write, or the attacker would be the slower one.
      const framed = concatBytes(...bytes.flatMap((byte) => [frameHeader(1), byte]));
      return (line) => {
        line.introduce();
        if (line.carrier === 'ws') line.pumpRaw(overAndOver([repeated(50, framed)]));
        else line.pump(overAndOver(bytes));
      };
    },
  },
  fragments: {
    ...many('WebSocket messages in parts without end', LANES),
    carriers: ['ws'],
    reopenMs: REOPEN_MS,
    fate: 'dropped',
    play: () => {
      const part = concatBytes(frameHeader(1, 0x00), Uint8Array.of(0));
      return (line) => {
        line.introduce();
        line.raw(concatBytes(frameHeader(1, 0x02), Uint8Array.of(0)));
        line.pumpRaw(overAndOver([repeated(500, part)]));
      };
    },
  },
  'ws-pings': {
    ...many('WebSocket pings, never read', LANES),
    carriers: ['ws'],
    reopenMs: REOPEN_MS,
    fate: 'served',
    play: () => {
      const ping = concatBytes(frameHeader(125, 0x89), new Uint8Array(125));
      return (line) => {
        line.introduce();
        line.stopReading();
        line.pumpRaw(overAndOver([repeated(100, ping)]));
      };
    },
  },
  junk: {
    ...flood('messages of unknown commands', () => [
      repeated(100, encodeFrame(magic, 'nonsense', new Uint8Array(100))),
    ]),
    fate: 'dropped',
  },
  sybil: {
    ...many('500 peers that do all that is asked of them', 500),
    fate: 'bounded',
    play: () => (line) => line.introduce(),
  },
};

/** Many sockets that cost the attacker little. */
function many(about: string, lanes: number): Omit<Attack, 'play'> {
  return { about, lanes, carriers: BOTH, reopenMs: MANY_REOPEN_MS, fate: 'bounded' };
}

/** A host of the attacker: in a netgroup of its own as far as there are such, and another one for each attack. */
export function attackHost(attack: number, lane: number): string {
  return `127.${1 + (lane % 250)}.${1 + attack}.${1 + Math.floor(lane / 250)}`;
}

/** Nobody honest is there. */
export function isFabricated(host: string): boolean {
  return !host.startsWith('127.0.');
}

function overAndOver(pieces: readonly Bytes[]): () => Bytes | undefined {
  let next = 0;
  return () => pieces[next++ % pieces.length];
}

function repeated(count: number, bytes: Bytes): Bytes {
  return concatBytes(...new Array<Bytes>(count).fill(bytes));
}

function frames(count: number, message: Message): Bytes {
  return repeated(count, encodeMessage(message, magic));
}

function hashes(random: SeededRandom, count: number): BlockHash[] {
  return Array.from({ length: count }, () => bytesToHex(random.bytes(32)) as BlockHash);
}

function inventory(type: 'inv' | 'getdata', kind: number, of: readonly string[]): Bytes {
  return encodeMessage({ type, items: of.map((hash) => ({ kind, hash })) }, magic);
}

function addressMessage(random: SeededRandom, count: number): Message {
  return { type: 'addr', addresses: freshAddresses(random, count) };
}

function freshAddresses(random: SeededRandom, count: number): GossipAddress[] {
  const time = Math.floor(Date.now() / 1000);
  const services = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
  return Array.from({ length: count }, () => {
    const [a = 0, b = 0, c = 0, high = 0, low = 0] = random.bytes(5);
    const host = `127.${1 + (a % 254)}.${b}.${c}`;
    return { network: 'ipv4', host, port: 1024 + (high << 7) + low, services, time };
  });
}

/** The header of a frame with so long a payload, and nothing of that. */
function declared(length: number): Bytes {
  const frame = encodeFrame(magic, 'block', new Uint8Array(0));
  new DataView(frame.buffer).setUint32(16, length, true);
  return frame;
}

/** Messages of headers that stand on the first block. Proof of work costs two hashes each on this network. */
function deadBranches(random: SeededRandom, count: number, length: number): Bytes[] {
  return Array.from({ length: count }, () => headersMessage(regtest.genesis.header.hash, random, length));
}

function headersMessage(parent: BlockHash, random: SeededRandom, length: number): Bytes {
  const headers = [];
  let prevHash = parent;
  let { time } = regtest.genesis.header;
  for (let i = 0; i < length; i++) {
    time += 60;
    const merkleRoot = bytesToHex(random.bytes(32)) as typeof regtest.genesis.header.merkleRoot;
    const fields = { version: 0x20000000, prevHash, merkleRoot, time, bits: regtest.genesis.header.bits };
    let header = makeHeader({ ...fields, nonce: 0 });
    for (let nonce = 1; !checkProofOfWork(header.hash, header.bits, regtest); nonce++) {
      header = makeHeader({ ...fields, nonce });
    }
    headers.push(header);
    prevHash = header.hash;
  }
  return encodeMessage({ type: 'headers', headers }, magic);
}
