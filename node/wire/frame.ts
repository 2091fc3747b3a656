/**
 * The v1 frame around every peer message, over a byte stream whose cuts mean nothing. RULES.md C1.
 * Knows nothing of what is inside. Work and memory are linear in the bytes received: of a message that is announced but
 * not sent only what has come is held.
 */
import { sha256d } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import type { Offence } from '../effect.ts';

/** Magic (4), command (12, padded with NUL), length (4), first 4 bytes of sha256d(payload). */
export const FRAME_HEADER_SIZE = 24;
const COMMAND_SIZE = 12;
/** First allocation for a payload that comes in pieces. */
const FIRST_CAPACITY = 4096;
const EMPTY: Bytes = new Uint8Array(0);

export type Frame =
  /** The payload may be a view of the bytes that were pushed: decode it before they are reused. */
  | { readonly type: 'message'; readonly command: string; readonly payload: Bytes }
  /** A message that is ignored for its checksum or its command; the stream goes on behind it. */
  | { readonly type: 'skipped'; readonly reason: string }
  /** The stream cannot be followed any more; the parser ignores whatever comes after. */
  | { readonly type: 'fatal'; readonly offence: FatalOffence };

type FatalOffence = Extract<Offence, 'bad-magic' | 'oversized-message'>;

/** One message as it goes over the link. `command` is at most 12 ASCII characters. */
export function encodeFrame(magic: Bytes, command: string, payload: Bytes): Bytes {
  if (command.length > COMMAND_SIZE) throw new Error(`the command ${command} is too long`);
  const out = new Uint8Array(FRAME_HEADER_SIZE + payload.length);
  out.set(magic);
  for (let i = 0; i < command.length; i++) out[4 + i] = command.charCodeAt(i);
  new DataView(out.buffer).setUint32(16, payload.length, true);
  out.set(sha256d(payload).subarray(0, 4), 20);
  out.set(payload, FRAME_HEADER_SIZE);
  return out;
}

/** Cuts the stream of one peer into frames. */
export class FrameParser {
  readonly #magic: Bytes;
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(FRAME_HEADER_SIZE);
  #headerFilled = 0;
  /** Length of the payload that is being received; meaningful once the header is complete. */
  #length = 0;
  /** The part of the payload that has come, where it did not come in one piece. */
  #payload: Bytes = EMPTY;
  #payloadFilled = 0;
  #dead = false;

  /** `maxBytes` bounds the payload of one message. */
  constructor(magic: Bytes, maxBytes: number) {
    this.#magic = magic;
    this.#maxBytes = maxBytes;
  }

  /** Memory held for a message that has come in part. */
  get partialBytes(): number {
    return this.#payload.length;
  }

  /** Takes the next piece of the stream and returns the frames that it completes, in order. */
  push(bytes: Bytes): Frame[] {
    return [...this.frames(bytes)];
  }

  /** The same, one frame at a time: nothing is read or summed before it is asked for. Finish it before the next piece. */
  *frames(bytes: Bytes): Generator<Frame, void> {
    let at = 0;
    while (!this.#dead && at < bytes.length) {
      if (this.#headerFilled < FRAME_HEADER_SIZE) {
        at += this.#takeHeader(bytes.subarray(at));
        const offence = this.#headerOffence();
        if (offence !== undefined) {
          this.#dead = true;
          yield { type: 'fatal', offence };
          return;
        }
        // A message without a payload is complete with its header.
        if (this.#headerFilled < FRAME_HEADER_SIZE || this.#length > 0) continue;
      }
      const piece = bytes.subarray(at, at + this.#length - this.#payloadFilled);
      at += piece.length;
      const payload = this.#takePayload(piece);
      if (payload !== undefined) yield this.#finish(payload);
    }
  }

  /** Copies header bytes. Returns how many were taken. */
  #takeHeader(bytes: Bytes): number {
    const taken = Math.min(bytes.length, FRAME_HEADER_SIZE - this.#headerFilled);
    this.#header.set(bytes.subarray(0, taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === FRAME_HEADER_SIZE) {
      this.#length = new DataView(this.#header.buffer).getUint32(16, true);
    }
    return taken;
  }

  /** What is wrong with the part of the header that has come. */
  #headerOffence(): FatalOffence | undefined {
    for (let i = 0; i < Math.min(4, this.#headerFilled); i++) {
      if (this.#header[i] !== this.#magic[i]) return 'bad-magic';
    }
    return this.#headerFilled === FRAME_HEADER_SIZE && this.#length > this.#maxBytes ? 'oversized-message' : undefined;
  }

  /** Adds a piece of the payload; returns the whole of it once it is complete, without a copy where it came in one piece. */
  #takePayload(piece: Bytes): Bytes | undefined {
    if (piece.length === this.#length) return piece;
    const end = this.#payloadFilled + piece.length;
    if (end > this.#payload.length) {
      // Doubling keeps one-byte pieces linear; an announced length alone allocates nothing.
      const grown = new Uint8Array(Math.min(this.#length, Math.max(end, this.#payload.length * 2, FIRST_CAPACITY)));
      grown.set(this.#payload.subarray(0, this.#payloadFilled));
      this.#payload = grown;
    }
    this.#payload.set(piece, this.#payloadFilled);
    this.#payloadFilled = end;
    return end === this.#length ? this.#payload : undefined;
  }

  /** Core's order: the checksum, then the command. */
  #finish(payload: Bytes): Frame {
    const sum = sha256d(payload);
    const command = readCommand(this.#header);
    const sumHolds = [0, 1, 2, 3].every((i) => sum[i] === this.#header[20 + i]);
    this.#headerFilled = 0;
    this.#payload = EMPTY;
    this.#payloadFilled = 0;
    if (!sumHolds) return { type: 'skipped', reason: 'wrong checksum' };
    if (command === undefined) return { type: 'skipped', reason: 'unreadable command' };
    return { type: 'message', command, payload };
  }
}

/** Printable ASCII, then NUL to the end; anything else is no command. */
function readCommand(header: Bytes): string | undefined {
  let command = '';
  let ended = false;
  for (let i = 4; i < 4 + COMMAND_SIZE; i++) {
    const byte = header[i] as number;
    if (byte === 0) ended = true;
    else if (ended || byte < 0x20 || byte > 0x7e) return undefined;
    else command += String.fromCharCode(byte);
  }
  return command;
}
