/** What node.ts keeps of one link besides what the machines keep: its ends, its frame parser and its counters. */
import type { Bytes } from '../consensus/brand.ts';
import type { Direction, Endpoint, Event, Now, PeerId, Transport, UnixSeconds } from './boundary.ts';
import type { DialledLink } from './discovery/dialer.ts';
import { type Frame, FrameParser } from './wire/frame.ts';

export class Link {
  readonly peer: PeerId;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #parser: FrameParser;
  /** Pieces of the stream that have come and are not read yet, and the frames of the one being read. */
  #pieces: Bytes[] = [];
  #frames: Iterator<Frame, void> | undefined;
  readonly connectedAt: UnixSeconds;
  /** How it was dialled; undefined for inbound links. */
  readonly dialled: DialledLink | undefined;
  /** We asked for it to be closed: what still comes is ignored. */
  closing = false;
  /** The transport was told to stop reading. */
  paused = false;
  lastSend: UnixSeconds = 0;
  lastReceive: UnixSeconds = 0;
  lastTransaction: UnixSeconds = 0;
  lastBlock: UnixSeconds = 0;
  bytesSent = 0;
  bytesReceived = 0;
  readonly sentByType = new Map<string, number>();
  readonly receivedByType = new Map<string, number>();

  constructor(
    event: Extract<Event, { type: 'link-up' }>,
    magic: Bytes,
    maxMessageBytes: number,
    dialled: DialledLink | undefined,
    now: Now,
  ) {
    this.peer = event.peer;
    this.direction = event.direction;
    this.transport = event.transport;
    this.remote = event.remote;
    this.local = event.local;
    this.#parser = new FrameParser(magic, maxMessageBytes);
    this.connectedAt = now.unix;
    this.dialled = dialled;
  }

  /** Takes a piece of the stream. Its frames come out of `nextFrame`. */
  push(bytes: Bytes): void {
    this.#pieces.push(bytes);
  }

  /** The next complete frame, or undefined when all that has come is read. */
  nextFrame(): Frame | undefined {
    for (;;) {
      if (this.#frames === undefined) {
        const piece = this.#pieces.shift();
        if (piece === undefined) return undefined;
        this.#frames = this.#parser.frames(piece);
      }
      const { value, done } = this.#frames.next();
      if (done !== true) return value;
      this.#frames = undefined;
    }
  }

  /** Bytes that are held because their message is not complete, or not read. */
  get heldBytes(): number {
    let bytes = this.#parser.partialBytes;
    for (const piece of this.#pieces) bytes += piece.length;
    return bytes;
  }

  /** Something that has come is not read yet. */
  get isBehind(): boolean {
    return this.#frames !== undefined || this.#pieces.length > 0;
  }

  countSent(type: string, bytes: number, now: Now): void {
    this.bytesSent += bytes;
    this.lastSend = now.unix;
    this.sentByType.set(type, (this.sentByType.get(type) ?? 0) + bytes);
  }

  /** `type` is a command that we know, or `*other*` as in Core: a peer must not grow this map. */
  countReceived(type: string, bytes: number): void {
    this.receivedByType.set(type, (this.receivedByType.get(type) ?? 0) + bytes);
  }
}
