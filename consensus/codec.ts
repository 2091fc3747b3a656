/**
 * Bitcoin's serialization: a reader that refuses what is truncated or not minimal, and a writer.
 * Owns the primitive encodings only; transactions, blocks and messages are written with them.
 */
import { type Brand, type Bytes, fail, idFromBytes, ok, type Result, writeId } from './brand.ts';

/** What a decoder throws on malformed bytes. Only `decode` catches it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** No CompactSize used as a size may exceed this (`serialize.h: MAX_SIZE`). */
export const MAX_SIZE = 0x02000000;

/**
 * Runs a decoder over all of `bytes`. The only place where a DecodeError becomes data; anything else that is thrown is a bug.
 * Trailing bytes are an error.
 */
export function decode<T>(bytes: Bytes, read: (reader: Reader) => T): Result<T, string> {
  try {
    const reader = new Reader(bytes);
    const value = read(reader);
    reader.end();
    return ok(value);
  } catch (error) {
    if (error instanceof DecodeError) return fail(error.message);
    throw error;
  }
}

/** A writer keeps views that are shorter than this. */
const MAX_KEPT_VIEW = 256;
/** All arrays of no bytes are alike: inputs have one each. */
const NO_BYTES: Bytes = new Uint8Array(0);

/** Reads little-endian values from a byte array. Every method throws DecodeError where the bytes end too early. */
export class Reader {
  readonly bytes: Bytes;
  position = 0;
  readonly #view: DataView;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes after the end`);
  }

  #take(size: number): number {
    const start = this.position;
    if (size > this.bytes.length - start) throw new DecodeError('ends too early');
    this.position = start + size;
    return start;
  }

  u8(): number {
    return this.bytes[this.#take(1)] as number;
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  /** Big-endian, as ports are. */
  u16be(): number {
    return this.#view.getUint16(this.#take(2), false);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** A view of the next `size` bytes, not a copy. */
  view(size: number): Bytes {
    const start = this.#take(size);
    return this.bytes.subarray(start, start + size);
  }

  /** A copy of the next `size` bytes. */
  take(size: number): Bytes {
    const start = this.#take(size);
    return this.bytes.slice(start, start + size);
  }

  /** A hash of 32 bytes, as an id in display order. */
  id<Id extends Brand<string, string>>(): Id {
    return idFromBytes<Id>(this.bytes, this.#take(32));
  }

  /** CompactSize without a limit on the value (service bits in addrv2). */
  compact(): bigint {
    const first = this.u8();
    const value = first < 0xfd ? first : first === 0xfd ? this.u16() : first === 0xfe ? this.u32() : this.u64();
    if (
      (first === 0xfd && Number(value) < 0xfd) ||
      (first === 0xfe && Number(value) < 0x10000) ||
      (first === 0xff && BigInt(value) < 0x100000000n)
    ) {
      throw new DecodeError('CompactSize is not minimal');
    }
    return BigInt(value);
  }

  /** CompactSize used as a size or a count: at most `limit`, never more than MAX_SIZE. */
  size(limit = MAX_SIZE): number {
    const start = this.position;
    const first = this.u8();
    let value = first;
    if (first >= 0xfd) {
      this.position = start;
      const big = this.compact();
      if (big > BigInt(MAX_SIZE)) throw new DecodeError('size is too large');
      value = Number(big);
    }
    if (value > limit) throw new DecodeError(`size ${value} is above the limit of ${limit}`);
    return value;
  }

  /** CompactSize, then as many bytes: a copy. */
  varBytes(limit = MAX_SIZE): Bytes {
    const size = this.size(limit);
    return size === 0 ? NO_BYTES : this.take(size);
  }
}

/** Appends little-endian values to a growing byte array. */
export class Writer {
  #bytes: Bytes;
  #view: DataView;
  /** Views of the bytes that were handed out, by length. */
  #views: Bytes[] = [];
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #grow(size: number): number {
    const start = this.#length;
    const end = start + size;
    if (end > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      bytes.set(this.#bytes.subarray(0, start));
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
      this.#views = [];
    }
    this.#length = end;
    return start;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }
  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u16be(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, false);
    return this;
  }
  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  i32(value: number): this {
    const at = this.#grow(4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }
  i64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigInt64(at, value, true);
    return this;
  }
  raw(bytes: Bytes): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  /** An id in display order, as 32 bytes in hashing order. */
  id(id: string): this {
    const at = this.#grow(32);
    writeId(id, this.#bytes, at);
    return this;
  }
  compact(value: number | bigint): this {
    if (value < 0xfd) return this.u8(Number(value));
    if (value < 0x10000) return this.u8(0xfd).u16(Number(value));
    if (value < 0x100000000) return this.u8(0xfe).u32(Number(value));
    return this.u8(0xff).u64(BigInt(value));
  }
  varBytes(bytes: Bytes): this {
    return this.compact(bytes.length).raw(bytes);
  }

  /** The bytes written so far: a copy of exactly that length. */
  finish(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes written so far: a view that holds until the next write. */
  view(): Bytes {
    const length = this.#length;
    if (length >= MAX_KEPT_VIEW) return this.#bytes.subarray(0, length);
    // Writers that are cleared and used again see the same lengths again and again.
    const view = this.#views[length] ?? this.#bytes.subarray(0, length);
    this.#views[length] = view;
    return view;
  }

  /** Starts over in the same memory, for a writer whose bytes are only hashed: an allocation costs as much as the hash. */
  clear(): this {
    this.#length = 0;
    return this;
  }
}

/** Bytes that CompactSize needs for `value`. */
export function compactLength(value: number): number {
  return value < 0xfd ? 1 : value < 0x10000 ? 3 : value < 0x100000000 ? 5 : 9;
}

export function concatBytes(...parts: readonly Bytes[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
