/**
 * Messages per second through one core, in one process and on one thread: frames go in as bytes, as many of them in each
 * event as a socket would give at once, and what the core asks for is counted and acknowledged but goes nowhere. Each kind is
 * compared with reading alone: cutting the same bytes into frames, summing and decoding them.
 */
import { bytesToHex } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import { concatBytes } from '../consensus/codec.ts';
import { regtest } from '../consensus/params.ts';
import type { Action, Now, PeerId } from '../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../node/chain/memory-store.ts';
import { internetLimits } from '../node/limits.ts';
import { createNode } from '../node/node.ts';
import type { Core } from '../node/ports.ts';
import { SeededRandom } from '../node/random.ts';
import { decodeMessage, encodeMessage } from '../node/wire/codec.ts';
import { FrameParser } from '../node/wire/frame.ts';
import { type GossipAddress, type Message, PROTOCOL_VERSION } from '../node/wire/message.ts';
import { figure, median } from './figures.ts';

export const about = 'ping, inv and addr through one core, against decoding alone';

const { magic } = regtest;
const ROUNDS = 7;
/** What a socket gives at once, at most. */
const CHUNK_BYTES = 65_536;
const SERVICES = 9n;

interface Load {
  readonly name: string;
  readonly count: number;
  /** Message number so many, which no core has seen before. */
  readonly message: (index: number, now: Now) => Message;
}

const random = new SeededRandom('messages');
const loads: readonly Load[] = [
  { name: 'ping', count: 20_000, message: (index) => ({ type: 'ping', nonce: BigInt(index) }) },
  {
    // As many as the core remembers of one peer.
    name: 'inv of one transaction',
    count: internetLimits.maxTxAnnouncementsPerPeer,
    message: () => ({ type: 'inv', items: [{ kind: 5, hash: bytesToHex(random.bytes(32)) }] }),
  },
  {
    name: 'addr of 10, rate-limited',
    count: 5000,
    message: (_, now) => ({ type: 'addr', addresses: Array.from({ length: 10 }, () => address(now.unix)) }),
  },
  {
    name: 'addr of 1,000, rate-limited',
    count: 100,
    message: (_, now) => ({ type: 'addr', addresses: Array.from({ length: 1000 }, () => address(now.unix)) }),
  },
];

export async function run(): Promise<void> {
  for (const load of loads) {
    const through: number[] = [];
    const reading: number[] = [];
    // The first round only warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      const bench = new CoreBench();
      const chunks = chunksOf(load, bench.now);
      reading.push(perSecond(load.count, () => readAll(chunks, load.count)));
      through.push(perSecond(load.count, () => bench.take(chunks)));
    }
    const rate = median(through.slice(1));
    const alone = median(reading.slice(1));
    figure(`${load.name}: through the core`, rate, '/s', `${(rate / alone).toFixed(2)} × decoding; ${ROUNDS} rounds`);
    figure(`${load.name}: decoding alone`, alone, '/s');
  }
}

/** A core with one inbound peer past its handshake. It stands on a fresh chain, on Core's limits, past its initial sync. */
class CoreBench {
  readonly now: Now = { mono: 0, unix: regtest.genesis.header.time + 3600 };
  readonly #core: Core;
  readonly #peer = 1 as PeerId;
  #mono = 0;
  #sent = 0;

  constructor() {
    this.#core = createNode({
      params: regtest,
      limits: internetLimits,
      random: new SeededRandom('bench'),
      store: new MemoryStore(),
      blockFiles: new MemoryBlockFiles(),
      rows: { headers: [], addresses: [], pool: [] },
      listen: [],
      connect: [],
      pex: true,
      now: this.now,
    });
    // It asks for no transactions before.
    this.#mono = internetLimits.headersTimeoutMs;
    this.#perform(this.#core.handle({ type: 'tick' }, this.#clock()));
    const remote = { host: '10.0.0.1', port: 50_000 };
    const local = { host: '10.0.0.2', port: 18_444 };
    const link = { peer: this.#peer, direction: 'inbound', transport: 'tcp', remote, local } as const;
    this.#perform(this.#core.handle({ type: 'link-up', ...link }, this.now));
    this.take([
      concatBytes(
        encodeMessage(
          {
            type: 'version',
            version: PROTOCOL_VERSION,
            services: SERVICES,
            time: BigInt(this.now.unix),
            receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
            nonce: 1n,
            userAgent: '/bench/',
            startHeight: 0,
            relay: true,
          },
          magic,
        ),
        encodeMessage({ type: 'verack' }, magic),
      ),
    ]);
  }

  /** Hands the core one chunk after the other, each when the one before it is dealt with. */
  take(chunks: readonly Bytes[]): void {
    for (const bytes of chunks) {
      const actions = this.#core.handle({ type: 'bytes', peer: this.#peer, bytes }, this.#clock());
      let paused = this.#perform(actions);
      // What one turn did not read is read in the next ones.
      while (paused) paused = this.#perform(this.#core.handle({ type: 'tick' }, this.#clock())) ?? true;
    }
  }

  /** Time goes on, so that rate limits let through what they would in as much time. */
  #clock(): Now {
    this.#mono += 1;
    return { mono: this.#mono, unix: this.now.unix + Math.floor(this.#mono / 1000) };
  }

  /** Everything that is sent leaves at once. Whether the core does not read now; undefined where it said nothing of that. */
  #perform(actions: readonly Action[]): boolean | undefined {
    let paused: boolean | undefined;
    for (const action of actions) {
      if (action.type === 'disconnect') throw new Error(`the core ends the link: ${action.reason}`);
      if (action.type === 'pause' || action.type === 'resume') paused = action.type === 'pause';
      if (action.type === 'send') this.#sent += action.bytes.length;
    }
    const bytes = this.#sent;
    this.#sent = 0;
    if (bytes === 0) return paused;
    const drained = this.#core.handle({ type: 'drained', peer: this.#peer, bytes }, this.#clock());
    return this.#perform(drained) ?? paused;
  }
}

function readAll(chunks: readonly Bytes[], count: number): void {
  const parser = new FrameParser(magic, internetLimits.maxMessageBytes);
  let read = 0;
  for (const chunk of chunks) {
    for (const frame of parser.push(chunk)) {
      if (frame.type !== 'message' || !decodeMessage(frame.command, frame.payload).ok) throw new Error('unreadable');
      read++;
    }
  }
  if (read !== count) throw new Error(`read ${read} messages of ${count}`);
}

function chunksOf({ count, message }: Load, now: Now): Bytes[] {
  const stream = concatBytes(...Array.from({ length: count }, (_, index) => encodeMessage(message(index, now), magic)));
  const chunks: Bytes[] = [];
  for (let at = 0; at < stream.length; at += CHUNK_BYTES) chunks.push(stream.slice(at, at + CHUNK_BYTES));
  return chunks;
}

function address(time: number): GossipAddress {
  const [a = 0, b = 0, c = 0] = random.bytes(3);
  return { network: 'ipv4', host: `11.${a}.${b}.${c}`, port: 8333, services: SERVICES, time };
}

function perSecond(count: number, work: () => void): number {
  const began = performance.now();
  work();
  return count / ((performance.now() - began) / 1000);
}
