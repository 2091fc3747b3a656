/**
 * Whose turn it is to be read from. The event loop gives a fast peer two megabytes at once, and what a peer sends can cost
 * far more than its bytes: a WebSocket frame for each of them, parts without end, pings. So time is what is shared out: a
 * link that has taken some rests, and of those that rest the ones that have had least go on first, a few milliseconds of
 * them in each turn of the event loop. Whoever sends little never rests.
 *
 * This is start-time fair queueing: `used` is virtual time, and who comes back after a while starts at the time of the others
 * instead of with all that it has saved up. Owns who rests; the sockets are the transport's.
 */
import type { Millis } from '../boundary.ts';

/** A link rests when it has taken so much since it last did. */
const MOST_MS: Millis = 0.5;
const MOST_BYTES = 65_536;
/** Of those that rested, in one turn of the event loop. At least one of them goes on. */
const TURN_MS: Millis = 3;
/** What a turn counts at least: a link that costs nothing is resumed too. */
const LEAST_MS: Millis = 0.05;

/** What is known of one link. */
export interface Reader {
  resting: boolean;
  /** Virtual time until which it has been served. */
  used: Millis;
  /** What it took the last time; and since then, in time and bytes. */
  last: Millis;
  ms: Millis;
  bytes: number;
}

export class ReadTurns {
  /** `resting` of that reader has changed. */
  readonly #onChange: (reader: Reader) => void;
  readonly #resting: Reader[] = [];
  /** Virtual time. */
  #time: Millis = 0;
  #turn: NodeJS.Immediate | undefined;

  constructor(onChange: (reader: Reader) => void) {
    this.#onChange = onChange;
  }

  add(): Reader {
    return { resting: false, used: this.#time, last: 0, ms: 0, bytes: 0 };
  }

  /** So many bytes have come, and they have taken so long. */
  onRead(reader: Reader, bytes: number, ms: Millis): void {
    reader.bytes += bytes;
    reader.ms += ms;
    if (reader.resting || (reader.ms < MOST_MS && reader.bytes < MOST_BYTES)) return;
    reader.resting = true;
    this.#resting.push(reader);
    this.#onChange(reader);
    this.#turn ??= setImmediate(() => this.#next());
  }

  remove(reader: Reader): void {
    const at = this.#resting.indexOf(reader);
    if (at !== -1) this.#resting.splice(at, 1);
  }

  close(): void {
    clearImmediate(this.#turn);
    this.#resting.length = 0;
  }

  #next(): void {
    this.#turn = undefined;
    for (const reader of this.#resting) {
      if (reader.ms === 0) continue;
      reader.last = Math.max(reader.ms, LEAST_MS);
      reader.used = Math.max(reader.used, this.#time) + reader.last;
      reader.ms = 0;
      reader.bytes = 0;
    }
    this.#resting.sort((a, b) => a.used - b.used);
    for (let left = TURN_MS; left > 0 && this.#resting.length > 0; ) {
      const reader = this.#resting.shift() as Reader;
      left -= reader.last;
      this.#time = Math.max(this.#time, reader.used - reader.last);
      reader.resting = false;
      this.#onChange(reader);
    }
    if (this.#resting.length > 0) this.#turn = setImmediate(() => this.#next());
  }
}
