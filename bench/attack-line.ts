/**
 * One socket of an attacker: bytes as they are, over TCP or in WebSocket frames that it makes itself, since no library
 * would send what an attacker sends. It keeps no rule of the protocol.
 */
import { connect, type Socket } from 'node:net';
import type { Bytes } from '../consensus/brand.ts';
import { concatBytes } from '../consensus/codec.ts';
import { regtest } from '../consensus/params.ts';
import { encodeMessage } from '../node/wire/codec.ts';
import { PROTOCOL_VERSION, SERVICE_NETWORK, SERVICE_WITNESS } from '../node/wire/message.ts';

const NODE = '127.0.0.1';
/** Written in one turn while the socket takes it: then other sockets have theirs. */
const PIECES_PER_TURN = 16;

export type Carrier = 'tcp' | 'ws';

export interface LineOptions {
  readonly carrier: Carrier;
  readonly port: number;
  /** The address that it comes from. */
  readonly from: string;
  readonly onOpen: (line: AttackLine) => void;
  /** It has ended; `opened`: it had stood before; `left`: by `leave`. */
  readonly onEnd: (line: AttackLine, opened: boolean, left: boolean) => void;
}

export class AttackLine {
  readonly carrier: Carrier;
  readonly #socket: Socket;
  #opened = false;
  #left = false;

  constructor({ carrier, port, from, onOpen, onEnd }: LineOptions) {
    this.carrier = carrier;
    this.#socket = connect({ host: NODE, port, localAddress: from, noDelay: true });
    this.#socket.once('connect', () => {
      this.#opened = true;
      // What comes is of no interest, unless somebody pauses it.
      this.#socket.resume();
      onOpen(this);
    });
    // The end follows.
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      onEnd(this, this.#opened, this.#left);
    });
  }

  /** What the network has taken. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  get bytesReceived(): number {
    return this.#socket.bytesRead;
  }

  /** As they are. False while they wait. */
  raw(bytes: Bytes | string): boolean {
    return this.#socket.writable && this.#socket.write(bytes);
  }

  /** As a piece of the peer stream. */
  send(bytes: Bytes): boolean {
    return this.raw(this.carrier === 'ws' ? webSocketFrame(bytes) : bytes);
  }

  /** Asks for a WebSocket where it is one, and introduces itself. Answers are not waited for. */
  introduce(): void {
    if (this.carrier === 'ws') this.raw(upgradeText());
    this.send(introduction());
  }

  /** Sends what `next` gives, as fast as the other side takes it; undefined: there is no more. */
  pump(next: () => Bytes | undefined): void {
    this.#pump(() => {
      const bytes = next();
      return bytes === undefined ? undefined : this.carrier === 'ws' ? webSocketFrame(bytes) : bytes;
    });
  }

  /** The same, without frames around it. */
  pumpRaw(next: () => Bytes | undefined): void {
    this.#pump(next);
  }

  /** Calls back once something has come: an answer is the other side's consent. */
  onceAnswered(then: () => void): void {
    this.#socket.once('data', then);
  }

  /** From now on nothing is read. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Ends it from this side. */
  leave(): void {
    this.#left = true;
    this.#socket.destroy();
  }

  #pump(next: () => Bytes | undefined): void {
    for (let piece = 0; piece < PIECES_PER_TURN; piece++) {
      if (!this.#socket.writable) return;
      const bytes = next();
      if (bytes === undefined) return;
      if (this.#socket.write(bytes)) continue;
      this.#socket.once('drain', () => this.#pump(next));
      return;
    }
    setImmediate(() => this.#pump(next));
  }
}

/** The header of a client's frame with so many bytes, whose mask is zero. `first`: 0x82 is a whole binary message. */
export function frameHeader(length: number, first = 0x82): Bytes {
  const head = length < 126 ? [0x80 | length] : length < 65_536 ? [0xfe, length >> 8, length & 255] : [0xff];
  const long = Buffer.alloc(length < 65_536 ? 0 : 8);
  if (long.length > 0) long.writeBigUInt64BE(BigInt(length));
  return Uint8Array.from([first, ...head, ...long, 0, 0, 0, 0]);
}

function webSocketFrame(bytes: Bytes): Bytes {
  return concatBytes(frameHeader(bytes.length), bytes);
}

/** The head of an upgrade; `more` are whole header lines. */
export function upgradeText(more = ''): string {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const lines = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  return `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\nSec-WebSocket-Key: ${key}\r\n${more}\r\n`;
}

/** `version` and `verack`, of a node that offers everything. */
export function introduction(): Bytes {
  return concatBytes(versionMessage(), encodeMessage({ type: 'verack' }, regtest.magic));
}

export function versionMessage(): Bytes {
  const version = {
    type: 'version',
    version: PROTOCOL_VERSION,
    services: SERVICE_NETWORK | SERVICE_WITNESS,
    time: BigInt(Math.floor(Date.now() / 1000)),
    receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
    nonce: 1n,
    userAgent: '/attacker/',
    startHeight: 0,
    relay: true,
  } as const;
  return encodeMessage(version, regtest.magic);
}
