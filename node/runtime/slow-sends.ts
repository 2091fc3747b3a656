/**
 * What waits to be sent over a slow line: a queue of one link, in the order of sending. It only says what is due when; the
 * transport holds the timer and sends. Its size is bounded by the core, which counts what it sent until it has left.
 *
 * Long messages go in pieces, as they would over a slow line: the peer hears from us while they come.
 */
import type { Bytes } from '../../consensus/brand.ts';
import type { LinkShape, Millis } from '../boundary.ts';
import { SlowLine } from '../slow-line.ts';

/** A piece is what the line carries in this time, within these bounds. */
const PIECE_MS = 50;
const MIN_PIECE_BYTES = 256;
const MAX_PIECE_BYTES = 65_536;

interface Waiting {
  readonly bytes: Bytes;
  readonly at: Millis;
}

export class SlowSends {
  readonly #chance: () => number;
  #line: SlowLine;
  #pieceBytes: number;
  #queue: Waiting[] = [];
  /** Of the first in the queue: how much has left. */
  #sent = 0;
  /** The piece that leaves next, and when. */
  #next: { readonly size: number; readonly at: Millis } | undefined;

  constructor(shape: LinkShape, chance: () => number) {
    this.#chance = chance;
    this.#line = new SlowLine(shape, chance);
    this.#pieceBytes = pieceBytes(shape);
  }

  push(bytes: Bytes, now: Millis): void {
    if (bytes.length === 0) return;
    this.#queue.push({ bytes, at: now });
    if (this.#queue.length === 1) this.#plan();
  }

  /** When the next piece is due; undefined if none waits. */
  get nextAt(): Millis | undefined {
    return this.#next?.at;
  }

  /** Takes out the next piece if it is due. */
  take(now: Millis): Bytes | undefined {
    const next = this.#next;
    const first = this.#queue[0];
    if (next === undefined || first === undefined || next.at > now) return undefined;
    const piece = first.bytes.subarray(this.#sent, this.#sent + next.size);
    this.#sent += next.size;
    if (this.#sent === first.bytes.length) {
      this.#queue.shift();
      this.#sent = 0;
    }
    this.#plan();
    return piece;
  }

  /** All that waits, at once and in order: the line is as fast as any again. */
  takeAll(): Bytes[] {
    const rest = this.#queue.map(({ bytes }, index) => (index === 0 ? bytes.subarray(this.#sent) : bytes));
    this.#queue = [];
    this.#sent = 0;
    this.#next = undefined;
    return rest;
  }

  /** Another line from now on, also for what waits already. */
  reshape(shape: LinkShape, now: Millis): void {
    const rest = this.takeAll();
    this.#line = new SlowLine(shape, this.#chance);
    this.#pieceBytes = pieceBytes(shape);
    for (const bytes of rest) this.push(bytes, now);
  }

  #plan(): void {
    const first = this.#queue[0];
    if (first === undefined) {
      this.#next = undefined;
      return;
    }
    const size = Math.min(this.#pieceBytes, first.bytes.length - this.#sent);
    this.#next = { size, at: this.#line.arrival(size, first.at) };
  }
}

function pieceBytes({ bitsPerSecond }: LinkShape): number {
  if (bitsPerSecond === undefined) return Number.POSITIVE_INFINITY;
  const carried = Math.floor((bitsPerSecond / 8 / 1000) * PIECE_MS);
  return Math.min(MAX_PIECE_BYTES, Math.max(MIN_PIECE_BYTES, carried));
}
