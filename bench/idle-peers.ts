/**
 * What idle inbound connections cost a real node in memory: WebSocket links past their handshake that answer pings and say
 * nothing more. The peers are this process; the node is another one, whose resident memory is read at some counts. What a
 * connection costs is the slope between the counts, so that what the node takes anyway is not shared out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { regtest } from '../consensus/params.ts';
import type { DialId, PeerId } from '../node/boundary.ts';
import { localLimits } from '../node/limits.ts';
import { NetTransport, type TransportEvent } from '../node/runtime/transport.ts';
import { decodeMessage, encodeMessage } from '../node/wire/codec.ts';
import { FrameParser } from '../node/wire/frame.ts';
import { type Message, PROTOCOL_VERSION, SERVICE_NETWORK, SERVICE_WITNESS } from '../node/wire/message.ts';
import { figure, processorSeconds, residentMegabytes, sleep } from './figures.ts';
import { type RunningNode, startNode, stopNode } from './node-process.ts';

export const about = 'memory of a node with 1,000 idle inbound connections [connections, 1000]';

const AIM_KILOBYTES = 20;
const STEPS = 4;
/** The node collects its garbage and tells of itself meanwhile. */
const SETTLE_MS = 5000;
const GIVE_UP_MS = 30_000;
/** Dials under way at once: a listening socket keeps some hundred waiting. */
const DIALS_AT_ONCE = 50;

export async function run([given]: readonly string[]): Promise<void> {
  const count = given === undefined ? 1000 : Number(given);
  if (!(Number.isInteger(count) && count >= STEPS && count <= 10_000)) {
    throw new Error(`not a number from ${STEPS} to 10000: ${given}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const idle = new IdlePeers();
  let node: RunningNode | undefined;
  try {
    node = await startNode(folder, '--no-pex', '--max-inbound', String(count));
    await measure(node, idle, count);
  } finally {
    await idle.close();
    if (node !== undefined) await stopNode(node);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure({ child, client }: RunningNode, idle: IdlePeers, count: number): Promise<void> {
  const pid = child.pid as number;
  const { localaddresses } = (await client.call('getnetworkinfo')) as { localaddresses: { port: number }[] };
  const port = localaddresses[0]?.port;
  if (port === undefined) throw new Error('the node does not say where it listens');
  const memory: number[] = [];
  for (let step = 0; step <= STEPS; step++) {
    const wanted = Math.round((count * step) / STEPS);
    await idle.raiseTo(wanted, port);
    await sleep(SETTLE_MS);
    const connections = (await client.call('getconnectioncount')) as number;
    if (connections !== wanted) throw new Error(`the node has ${connections} connections, not ${wanted}`);
    const megabytes = residentMegabytes(pid);
    if (megabytes === undefined) throw new Error('this system does not tell the memory of a process');
    memory.push(megabytes);
    figure(`memory with ${wanted} connections`, megabytes, 'MB');
  }
  const kilobytes = (from: number, to: number) =>
    (1024 * ((memory[to] as number) - (memory[from] as number))) / ((count * (to - from)) / STEPS);
  figure('one connection, of all', kilobytes(0, STEPS), 'KB', `aim ${AIM_KILOBYTES} KB`);
  figure('one connection, of the last half', kilobytes(STEPS / 2, STEPS), 'KB', 'without what the first ones warm up');
  const before = processorSeconds(pid);
  await sleep(SETTLE_MS);
  const after = processorSeconds(pid);
  if (before === undefined || after === undefined) return;
  figure(`processor time with ${count} connections`, (after - before) / (SETTLE_MS / 1000), 's/s');
}

/** Links that complete their handshake, answer pings, and do nothing else. */
class IdlePeers {
  readonly #transport: NetTransport;
  readonly #parsers = new Map<PeerId, FrameParser>();
  #dials = 0;
  #ready = 0;
  #failure: string | undefined;

  constructor() {
    const emit = (event: TransportEvent) => this.#onEvent(event);
    this.#transport = new NetTransport({ magic: regtest.magic, limits: localLimits, emit });
  }

  async raiseTo(count: number, port: number): Promise<void> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    while (this.#ready < count) {
      while (this.#dials < count && this.#dials - this.#ready < DIALS_AT_ONCE) {
        this.#transport.dial(this.#dials++ as DialId, { transport: 'ws', host: '127.0.0.1', port });
      }
      await sleep(5);
      if (this.#failure !== undefined) throw new Error(`a connection ended: ${this.#failure}`);
      if (performance.now() > giveUpAt) throw new Error(`only ${this.#ready} of ${count} connections are ready`);
    }
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #onEvent(event: TransportEvent): void {
    switch (event.type) {
      case 'link-up':
        this.#parsers.set(event.peer, new FrameParser(regtest.magic, localLimits.maxMessageBytes));
        return this.#send(event.peer, {
          type: 'version',
          version: PROTOCOL_VERSION,
          services: SERVICE_NETWORK | SERVICE_WITNESS,
          time: BigInt(Math.floor(Date.now() / 1000)),
          receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
          nonce: BigInt(event.peer) + 1n,
          userAgent: '/bench/',
          startHeight: 0,
          relay: true,
        });
      case 'bytes':
        for (const frame of this.#parsers.get(event.peer)?.push(event.bytes) ?? []) {
          const decoded = frame.type === 'message' ? decodeMessage(frame.command, frame.payload) : undefined;
          if (decoded?.ok === true && decoded.value !== null) this.#onMessage(event.peer, decoded.value);
        }
        return;
      case 'link-down':
      case 'dial-failed':
        this.#failure = event.reason;
        return;
      default: // What leaves us is of no interest.
    }
  }

  #onMessage(peer: PeerId, message: Message): void {
    if (message.type === 'version') this.#send(peer, { type: 'verack' });
    if (message.type === 'verack') this.#ready++;
    if (message.type === 'ping') this.#send(peer, { type: 'pong', nonce: message.nonce });
  }

  #send(peer: PeerId, message: Message): void {
    this.#transport.send(peer, encodeMessage(message, regtest.magic));
  }
}
