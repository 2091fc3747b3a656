/**
 * The attacker of attack.ts, a process of its own: `node attacker.js NAME PORT`. It attacks the node at that port of the
 * loopback interface over real sockets, from as many loopback hosts as it likes, and opens a link again whenever it loses one.
 * Told so by its parent, it says what became of its links, and ends. It also ends when its parent does.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { BlockHash, Bytes } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { makeTransaction } from '../consensus/transaction.ts';
import { localLimits } from '../node/limits.ts';
import { decodeMessage, encodeMessage } from '../node/wire/codec.ts';
import { encodeFrame, FRAME_HEADER_SIZE, FrameParser } from '../node/wire/frame.ts';
import {
  type GossipAddress,
  INV_TX,
  INV_WITNESS_BLOCK,
  type Message,
  PROTOCOL_VERSION,
  SERVICE_NETWORK,
  SERVICE_WITNESS,
} from '../node/wire/message.ts';
import { COIN_SCRIPT } from './coins.ts';

export interface Outcome {
  /** Links that were opened, and those of them that the node ended or refused. */
  readonly opened: number;
  readonly ended: number;
  readonly megabytesSent: number;
}

/** A link that the node ended is opened again after so long: a thousand attempts a second need no attacker to be seen. */
const REOPEN_MS = 100;
/** What floods write at once. */
const CHUNK_BYTES = 256 * 1024;
const HOSTS = 20_000;

let opened = 0;
let ended = 0;
let bytesSent = 0;
let stopped = false;

class Link {
  readonly socket: Socket;
  readonly #isReading: boolean;
  readonly #parser = new FrameParser(regtest.magic, localLimits.maxMessageBytes);

  /** `onReady`: connected, and with `greets` also past the handshake. */
  constructor(port: number, options: { greets: boolean; reads?: boolean }, onReady: (link: Link) => void) {
    const { greets, reads = true } = options;
    this.#isReading = reads;
    const number = opened++ % HOSTS;
    const localAddress = `127.${20 + (number % 200)}.${Math.floor(number / 200)}.1`;
    this.socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    // Whatever ends it, 'close' follows.
    this.socket.on('error', () => undefined);
    this.socket.on('connect', () => {
      if (greets) this.send(greeting());
      else onReady(this);
    });
    this.socket.on('data', (bytes) => {
      if (greets) this.#read(bytes, onReady);
    });
  }

  /** False where the socket takes no more for now. */
  write(bytes: Bytes): boolean {
    bytesSent += bytes.length;
    return !this.socket.destroyed && this.socket.write(bytes);
  }

  send(...messages: readonly Message[]): boolean {
    return this.write(framesOf(messages));
  }

  /** Writes what `next` makes for as long as there is a link, as fast as the node takes it. */
  flood(next: () => Bytes): void {
    const more = () => {
      if (!this.socket.destroyed && this.write(next())) setImmediate(more);
    };
    this.socket.on('drain', more);
    more();
  }

  #read(bytes: Bytes, onReady: (link: Link) => void): void {
    for (const frame of this.#parser.push(bytes)) {
      if (frame.type !== 'message') continue;
      if (frame.command === 'version') this.send({ type: 'verack' });
      if (frame.command === 'verack') {
        if (!this.#isReading) this.socket.pause();
        onReady(this);
      }
      if (frame.command === 'ping') {
        const ping = decodeMessage('ping', frame.payload);
        if (ping.ok && ping.value?.type === 'ping') this.send({ type: 'pong', nonce: ping.value.nonce });
      }
    }
  }
}

interface Attack {
  readonly links: number;
  readonly greets: boolean;
  readonly reads?: boolean;
  /** What a link does once it is there. */
  act(link: Link): void;
}

/** Links that have shaken hands and then write one and the same thing. */
function flood(links: number, next: () => Bytes, reads = true): Attack {
  return { links, greets: true, reads, act: (link) => link.flood(next) };
}

/** Many small messages in one chunk, made once. */
function floodOf(links: number, message: () => Message): Attack {
  let chunk: Bytes | undefined;
  return flood(links, () => {
    if (chunk === undefined) {
      const size = framesOf([message()]).length;
      chunk = framesOf(Array.from({ length: Math.max(1, Math.floor(CHUNK_BYTES / size)) }, message));
    }
    return chunk;
  });
}

const blockRequest = (hashes: readonly string[]): Message => ({
  type: 'getdata',
  items: hashes.map((hash) => ({ kind: INV_WITNESS_BLOCK, hash })),
});

const attacks: Readonly<Record<string, (hashes: readonly string[]) => Attack>> = {
  ping: () => floodOf(8, () => ({ type: 'ping', nonce: randomBytes(8).readBigUInt64LE() })),
  version: () => floodOf(8, () => greeting()),
  getaddr: () => floodOf(8, () => ({ type: 'getaddr' })),
  addr: () => flood(8, () => framesOf([{ type: 'addr', addresses: addresses(1000) }])),
  'addr-1001': () => flood(8, () => framesOf([{ type: 'addr', addresses: addresses(1001) }])),
  inv: () => floodOf(8, () => ({ type: 'inv', items: hashes(10_000).map((hash) => ({ kind: INV_TX, hash })) })),
  orphans: () => floodOf(8, () => ({ type: 'tx', tx: orphan() })),
  getheaders: () =>
    floodOf(8, () => ({ type: 'getheaders', version: 1, locator: [], stop: hashes(1)[0] as BlockHash })),
  'getheaders-genesis': () =>
    floodOf(8, () => ({
      type: 'getheaders',
      version: 1,
      locator: [regtest.genesis.header.hash],
      stop: '00'.repeat(32) as BlockHash,
    })),
  getdata: (blocks) => floodOf(8, () => blockRequest(blocks)),
  'getdata, not read': (blocks) => {
    const request = framesOf([blockRequest(blocks)]);
    return flood(100, () => request, false);
  },
  'silent sockets': () => ({ links: 300, greets: false, act: () => undefined }),
  'half handshakes': () => ({ links: 300, greets: false, act: (link) => void link.send(greeting()) }),
  'half upgrades': () => ({
    links: 300,
    greets: false,
    act: (link) => void link.write(text('GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\n')),
  }),
  'endless headers': () => ({
    links: 100,
    greets: false,
    act: (link) => {
      link.write(text('GET / HTTP/1.1\r\nHost: node\r\n'));
      link.flood(() => text(`X-${'a'.repeat(1000)}: ${'b'.repeat(60_000)}\r\n`));
    },
  }),
  'too large': () => flood(20, () => header(localLimits.maxMessageBytes + 1)),
  'large, not finished': () => ({
    links: 100,
    greets: true,
    act: (link) => {
      link.write(header(localLimits.maxMessageBytes));
      link.write(new Uint8Array(localLimits.maxMessageBytes - 1));
    },
  }),
  'single bytes': () => ({
    links: 50,
    greets: true,
    act: (link) => {
      const bytes = framesOf([{ type: 'ping', nonce: 1n }]);
      let at = 0;
      link.flood(() => bytes.subarray(at % bytes.length, (at++ % bytes.length) + 1));
    },
  }),
  'endless fragments': () => ({
    links: 50,
    greets: false,
    act: (link) => {
      link.write(text(UPGRADE));
      // A message begins, and no part of it is the last one. RFC 6455, section 5.2: masked with zeros.
      const fragment = (opcode: number) => {
        const out = new Uint8Array(14 + 65_536);
        out.set([opcode, 0x80 | 127]);
        new DataView(out.buffer).setBigUint64(2, 65_536n);
        return out;
      };
      const [first, next] = [fragment(2), fragment(0)];
      link.socket.once('data', () => {
        link.write(first);
        link.flood(() => next);
      });
    },
  }),
  garbage: () => ({ links: 50, greets: false, act: (link) => link.flood(() => randomBytes(CHUNK_BYTES)) }),
  poisoning: () => ({
    links: 60,
    greets: true,
    act: (link) => {
      const tell = () => {
        if (link.socket.destroyed) return;
        link.send({ type: 'addr', addresses: addresses(1000) });
        setTimeout(tell, 1000);
      };
      tell();
    },
  }),
  'Sybil peers': () => ({ links: 500, greets: true, act: () => undefined }),
};

export const attackNames: readonly string[] = Object.keys(attacks);

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: node',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Version: 13',
  '\r\n',
].join('\r\n');

function text(value: string): Bytes {
  return new TextEncoder().encode(value);
}

function framesOf(messages: readonly Message[]): Bytes {
  return Buffer.concat(messages.map((message) => encodeMessage(message, regtest.magic)));
}

/** The header of a message of that length, without the message. */
function header(length: number): Bytes {
  const frame = encodeFrame(regtest.magic, 'block', new Uint8Array(0));
  new DataView(frame.buffer).setUint32(16, length, true);
  return frame.subarray(0, FRAME_HEADER_SIZE);
}

function greeting(): Message {
  return {
    type: 'version',
    version: PROTOCOL_VERSION,
    services: SERVICE_NETWORK | SERVICE_WITNESS,
    time: BigInt(Math.floor(Date.now() / 1000)),
    receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
    nonce: randomBytes(8).readBigUInt64LE(),
    userAgent: '/attacker/',
    startHeight: 0,
    relay: true,
  };
}

/** Hosts of the loopback network, of which each /16 counts as a netgroup. Nobody listens there. */
function addresses(count: number): GossipAddress[] {
  return Array.from({ length: count }, () => ({
    network: 'ipv4',
    host: `127.${20 + ((randomBytes(1)[0] as number) % 200)}.${randomBytes(1)[0]}.${1 + ((randomBytes(1)[0] as number) % 254)}`,
    port: 1,
    services: SERVICE_NETWORK | SERVICE_WITNESS,
    time: Math.floor(Date.now() / 1000),
  }));
}

function hashes(count: number): string[] {
  return Array.from({ length: count }, () => randomBytes(32).toString('hex'));
}

/** Spends a coin that there is not. */
function orphan() {
  const prevout = { txid: hashes(1)[0] as never, vout: 0 };
  const input = { prevout, scriptSig: new Uint8Array(0), sequence: 0xffffffff, witness: [new Uint8Array(64)] };
  return makeTransaction({
    version: 2,
    inputs: [input],
    outputs: [{ value: 1000n, scriptPubKey: COIN_SCRIPT }],
    lockTime: 0,
  });
}

function keepOpen(attack: Attack, port: number): void {
  const link = new Link(port, attack, (ready) => attack.act(ready));
  link.socket.on('close', () => {
    if (stopped) return;
    ended++;
    setTimeout(() => keepOpen(attack, port), REOPEN_MS);
  });
}

function attackOf(name: string, blocks: readonly string[]): Attack {
  const make = attacks[name];
  if (make === undefined) throw new Error(`there is no attack ${name}`);
  return make(blocks);
}

if (process.argv[1] === import.meta.filename) {
  const [name = '', port = '', ...blocks] = process.argv.slice(2);
  const attack = attackOf(name, blocks);
  for (let i = 0; i < attack.links; i++) keepOpen(attack, Number(port));
  process.on('message', () => {
    stopped = true;
    process.send?.({ opened, ended, megabytesSent: Math.round(bytesSent / 1e6) } satisfies Outcome, () =>
      process.exit(0),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
