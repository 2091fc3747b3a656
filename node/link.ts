/** What node.ts keeps of one link besides what the machines keep: its ends, its frame parser and its counters. */
import type { Bytes } from '../consensus/brand.ts';
import type {
  ConnectionKind,
  Direction,
  Endpoint,
  Event,
  Millis,
  Now,
  PeerId,
  Transport,
  UnixSeconds,
} from './boundary.ts';
import type { DialledLink } from './discovery/dialer.ts';
import { netgroup } from './netgroup.ts';
import { type Frame, FrameParser } from './wire/frame.ts';

export class Link {
  readonly peer: PeerId;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Of the other end. */
  readonly netgroup: string;
  readonly #parser: FrameParser;
  /** Pieces of the stream that have come and are not read yet, and the frames of the one being read. */
  #pieces: Bytes[] = [];
  #frames: Iterator<Frame, void> | undefined;
  /** Length of the piece that is being read. */
  #reading = 0;
  /** The turn that the two numbers are of: what was spent of its budget, and items that were served. */
  #turn = 0;
  #spent = 0;
  #served = 0;
  readonly connectedAt: UnixSeconds;
  readonly connectedMs: Millis;
  /** How it was dialled; undefined for inbound links. */
  readonly dialled: DialledLink | undefined;
  /** We asked for it to be closed: what still comes is ignored. */
  closing = false;
  /** The transport was told to stop reading. */
  paused = false;
  lastSend: UnixSeconds = 0;
  lastReceive: UnixSeconds = 0;
  /** When it last brought a transaction that entered our pool, and a block that we did not have; by both clocks. */
  lastTransaction: UnixSeconds = 0;
  lastTransactionMs: Millis | undefined;
  lastBlock: UnixSeconds = 0;
  lastBlockMs: Millis | undefined;
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
    this.netgroup = netgroup(event.remote);
    this.#parser = new FrameParser(magic, maxMessageBytes);
    this.connectedAt = now.unix;
    this.connectedMs = now.mono;
    this.dialled = dialled;
  }

  get kind(): ConnectionKind {
    return this.dialled?.kind ?? 'inbound';
  }

  onNewTransaction(now: Now): void {
    this.lastTransaction = now.unix;
    this.lastTransactionMs = now.mono;
  }

  onNewBlock(now: Now): void {
    this.lastBlock = now.unix;
    this.lastBlockMs = now.mono;
  }

  /** What the link has cost in that turn, in the units of `limits.readPerTurn`. */
  spent(turn: number): number {
    this.#begin(turn);
    return this.#spent;
  }

  spend(turn: number, units: number): void {
    this.#begin(turn);
    this.#spent += units;
  }

  /** Counts an item that the peer has asked for. False if it has had as many in that turn as it may. */
  serveOne(turn: number, most: number): boolean {
    this.#begin(turn);
    if (this.#served >= most) return false;
    this.#served++;
    return true;
  }

  #begin(turn: number): void {
    if (turn === this.#turn) return;
    this.#turn = turn;
    this.#spent = 0;
    this.#served = 0;
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
        this.#reading = piece.length;
        this.#frames = this.#parser.frames(piece);
      }
      const { value, done } = this.#frames.next();
      if (done !== true) return value;
      this.#frames = undefined;
      this.#reading = 0;
    }
  }

  /** Something that has come is not read yet. */
  get isBehind(): boolean {
    return this.#frames !== undefined || this.#pieces.length > 0;
  }

  /** Bytes of what has come and is not read yet. */
  get heldBytes(): number {
    let bytes = this.#parser.partialBytes + this.#reading;
    for (const piece of this.#pieces) bytes += piece.length;
    return bytes;
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
