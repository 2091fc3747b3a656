/**
 * A peer that only serves a recorded chain, from memory: it answers the handshake, pings, getheaders and getdata, over
 * WebSocket and plain TCP on one port. It costs hardly more than the sockets do, so what is measured is who syncs from it.
 */
import { type BlockHeader, HEADER_SIZE, readHeader } from '../consensus/block.ts';
import type { Bytes } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import type { ChainParams } from '../consensus/params.ts';
import type { PeerId } from '../node/boundary.ts';
import { localLimits } from '../node/limits.ts';
import { NetTransport, type TransportEvent } from '../node/runtime/transport.ts';
import { decodeMessage, encodeMessage } from '../node/wire/codec.ts';
import { encodeFrame, FrameParser } from '../node/wire/frame.ts';
import {
  type Message,
  PROTOCOL_VERSION,
  SERVICE_NETWORK,
  SERVICE_WEBSOCKET,
  SERVICE_WITNESS,
} from '../node/wire/message.ts';

const SERVICES = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
const MAX_HEADERS = 2000;
const MAX_MESSAGE_BYTES = 4_000_000;

export class ServingPeer {
  readonly port: number;
  /** `performance.now()` of the first headers that were sent. */
  firstHeadersAt: number | undefined;
  readonly #params: ChainParams;
  readonly #transport: NetTransport;
  readonly #headers: readonly BlockHeader[];
  /** Place in the chain by hash, 1 for the first block above genesis. */
  readonly #heights = new Map<string, number>();
  /** Whole messages by hash. */
  readonly #frames = new Map<string, Bytes>();
  readonly #parsers = new Map<PeerId, FrameParser>();

  /** Listens on a free port of the loopback interface. `blocks` are those above genesis, ascending. */
  static async start(blocks: readonly Bytes[], params: ChainParams): Promise<ServingPeer> {
    let peer: ServingPeer | undefined;
    const emit = (event: TransportEvent) => peer?.onEvent(event);
    const transport = new NetTransport({ magic: params.magic, limits: localLimits, emit });
    const { port } = await transport.listen({ host: '127.0.0.1', port: 0 });
    peer = new ServingPeer(blocks, params, transport, port);
    return peer;
  }

  private constructor(blocks: readonly Bytes[], params: ChainParams, transport: NetTransport, port: number) {
    this.port = port;
    this.#params = params;
    this.#transport = transport;
    this.#headers = blocks.map(headerOf);
    this.#heights.set(params.genesis.header.hash, 0);
    for (const [index, { hash }] of this.#headers.entries()) {
      this.#heights.set(hash, index + 1);
      this.#frames.set(hash, encodeFrame(params.magic, 'block', blocks[index] as Bytes));
    }
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  onEvent(event: TransportEvent): void {
    if (event.type === 'link-up') this.#parsers.set(event.peer, new FrameParser(this.#params.magic, MAX_MESSAGE_BYTES));
    if (event.type !== 'bytes') return;
    for (const frame of this.#parsers.get(event.peer)?.push(event.bytes) ?? []) {
      const decoded = frame.type === 'message' ? decodeMessage(frame.command, frame.payload) : undefined;
      if (decoded?.ok === true && decoded.value !== null) this.#onMessage(event.peer, decoded.value);
    }
  }

  #onMessage(peer: PeerId, message: Message): void {
    switch (message.type) {
      case 'version':
        this.#send(peer, {
          type: 'version',
          version: PROTOCOL_VERSION,
          services: SERVICES,
          time: message.time,
          receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
          nonce: BigInt(peer) + 1n,
          userAgent: '/bench/',
          startHeight: this.#headers.length,
          relay: false,
        });
        this.#send(peer, { type: 'verack' });
        break;
      case 'ping':
        this.#send(peer, { type: 'pong', nonce: message.nonce });
        break;
      case 'getheaders': {
        const known = message.locator.find((hash) => this.#heights.has(hash));
        const height = known === undefined ? 0 : (this.#heights.get(known) as number);
        this.firstHeadersAt ??= performance.now();
        this.#send(peer, { type: 'headers', headers: this.#headers.slice(height, height + MAX_HEADERS) });
        break;
      }
      case 'getdata':
        for (const { hash } of message.items) {
          const frame = this.#frames.get(hash);
          if (frame !== undefined) this.#transport.send(peer, frame);
        }
        break;
      default: // Whatever else a peer says needs no answer.
    }
  }

  #send(peer: PeerId, message: Message): void {
    this.#transport.send(peer, encodeMessage(message, this.#params.magic));
  }
}

function headerOf(block: Bytes): BlockHeader {
  const header = decode(block.subarray(0, HEADER_SIZE), readHeader);
  if (!header.ok) throw new Error(`the recorded chain cannot be read: ${header.error}`);
  return header.value;
}
