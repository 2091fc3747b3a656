/**
 * Reads the files of a LevelDB before they are opened and checks every checksum in them. LevelDB itself does not (its
 * `paranoid_checks` cannot be asked for from here): it drops a damaged part of its log with all that follows in the same
 * 32 KB, and goes on with what comes after; a damaged table comes back as a missing key. Either would be a state that
 * never was. What a crash leaves is told apart from damage: files that end early, and files that nothing names yet.
 *
 * The formats are those of LevelDB's doc/log_format.md, doc/table_format.md and db/version_edit.cc.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes } from '../../consensus/brand.ts';
import { StoreDamage } from '../ports.ts';
import { crc32c } from './crc32c.ts';
import { errorText, systemCode } from './start-error.ts';

const LOG_BLOCK_SIZE = 32768;
/** Checksum (4 bytes), length (2), type (1). */
const LOG_HEADER_SIZE = 7;
const SECTOR_SIZE = 512;
const FOOTER_SIZE = 48;
const TABLE_MAGIC = 0xdb4775248b80fb57n;
/** Compression (1 byte), checksum (4). */
const BLOCK_TRAILER_SIZE = 5;
const SNAPPY = 1;

/** The tags of a version edit, which says how the set of tables changed. */
const Tag = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9,
} as const;

/** Throws StoreDamage, with the name of the file, if a part of the database is not as it was written. */
export function checkLevelFiles(directory: string): void {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  if (!names.includes('CURRENT')) {
    if (names.some((name) => /^MANIFEST-|\.(ldb|sst)$/.test(name)))
      throw damage(join(directory, 'CURRENT'), 'it is missing');
    return;
  }
  const { manifest, edits } = readManifest(directory);
  const live = new Map<number, number>();
  let logNumber = 0;
  let previousLog = 0;
  for (const edit of edits) {
    const change = readEdit(manifest, edit);
    for (const number of change.deleted) live.delete(number);
    for (const [number, size] of change.added) live.set(number, size);
    logNumber = change.logNumber ?? logNumber;
    previousLog = change.previousLog ?? previousLog;
  }
  for (const [number, size] of live) checkTable(directory, number, size);
  const logs = names.flatMap((name) => /^(\d+)\.log$/.exec(name)?.slice(1).map(Number) ?? []);
  if (!logs.includes(logNumber)) throw damage(join(directory, fileName(logNumber, 'log')), 'it is missing');
  for (const number of logs) {
    if (number < logNumber && number !== previousLog) continue;
    const path = join(directory, fileName(number, 'log'));
    readLog(path, readWhole(path));
  }
}

function readManifest(directory: string): { manifest: string; edits: Bytes[] } {
  const current = join(directory, 'CURRENT');
  const name = /^(MANIFEST-\d{6,})\n$/.exec(readWhole(current).toString('latin1'))?.[1];
  if (name === undefined) throw damage(current, 'it names no manifest');
  const manifest = join(directory, name);
  return { manifest, edits: readLog(manifest, readWhole(manifest)) };
}

/** The whole records of a log. What a crash cut short at its end is left out; anything else that is wrong is damage. */
function readLog(path: string, bytes: Buffer): Bytes[] {
  const records: Bytes[] = [];
  let parts: Bytes[] = [];
  let at = 0;
  while (at + LOG_HEADER_SIZE <= bytes.length) {
    const blockEnd = at - (at % LOG_BLOCK_SIZE) + LOG_BLOCK_SIZE;
    if (blockEnd - at < LOG_HEADER_SIZE) {
      if (bytes.subarray(at, blockEnd).some((byte) => byte !== 0)) throw damage(path, `its block ends wrong at ${at}`);
      at = blockEnd;
      continue;
    }
    const length = bytes.readUInt16LE(at + 4);
    const type = bytes[at + 6] as number;
    const end = at + LOG_HEADER_SIZE + length;
    if (end > blockEnd) throw damage(path, `a record at ${at} is longer than its block`);
    if (end > bytes.length) {
      if (holdsRecord(bytes, at)) throw damage(path, `the length of a record at ${at} is wrong`);
      break;
    }
    if (!isRecord(bytes, at, length)) {
      // A file system may leave zeros where it had no time to write.
      if (endsInZeros(bytes, end)) break;
      throw damage(path, `the checksum of a record at ${at} does not match`);
    }
    const payload = bytes.subarray(at + LOG_HEADER_SIZE, end);
    // 1 is a whole record; 2, 3 and 4 are the first, a middle and the last part of one.
    if (type <= 2) parts = [];
    parts.push(payload);
    if (type === 1 || type === 4) records.push(parts.length === 1 ? payload : Buffer.concat(parts));
    at = end;
  }
  return records;
}

function isRecord(bytes: Buffer, at: number, length: number): boolean {
  const type = bytes[at + 6] as number;
  if (type < 1 || type > 4) return false;
  const content = bytes.subarray(at + 6, at + LOG_HEADER_SIZE + length);
  return content.length === length + 1 && crc32c(content) === unmask(bytes.readUInt32LE(at));
}

/** At a record that seems to end behind the file: true if it is a whole one with a wrong length, or whole ones follow. */
function holdsRecord(bytes: Buffer, from: number): boolean {
  if (isRecord(bytes, from, bytes.length - from - LOG_HEADER_SIZE)) return true;
  for (let at = from + 1; at + LOG_HEADER_SIZE <= bytes.length; at++) {
    const length = bytes.readUInt16LE(at + 4);
    if (at + LOG_HEADER_SIZE + length <= bytes.length && isRecord(bytes, at, length)) return true;
  }
  return false;
}

/** From somewhere before `end` there is nothing but zeros, a sector of them at least. */
function endsInZeros(bytes: Buffer, end: number): boolean {
  const last = bytes.findLastIndex((byte) => byte !== 0);
  return last < end && bytes.length - 1 - last >= SECTOR_SIZE;
}

interface VersionEdit {
  readonly added: [number: number, size: number][];
  readonly deleted: number[];
  logNumber?: number;
  previousLog?: number;
}

function readEdit(path: string, bytes: Bytes): VersionEdit {
  const edit: VersionEdit = { added: [], deleted: [] };
  const reader = new VarintReader(bytes);
  try {
    while (!reader.isAtEnd) {
      const tag = reader.number();
      switch (tag) {
        case Tag.comparator:
          reader.bytes();
          break;
        case Tag.logNumber:
          edit.logNumber = reader.number();
          break;
        case Tag.previousLog:
          edit.previousLog = reader.number();
          break;
        case Tag.nextFile:
        case Tag.lastSequence:
          reader.number();
          break;
        case Tag.compactPointer:
          reader.number();
          reader.bytes();
          break;
        case Tag.deletedFile:
          reader.number();
          edit.deleted.push(reader.number());
          break;
        case Tag.newFile:
          reader.number();
          edit.added.push([reader.number(), reader.number()]);
          reader.bytes();
          reader.bytes();
          break;
        default:
          throw new RangeError(`the tag ${tag} is unknown`);
      }
    }
  } catch (error) {
    throw damage(path, errorText(error));
  }
  return edit;
}

/** Every block of a table: the data, the filter, the index of both. Nothing but padding lies outside of them. */
function checkTable(directory: string, number: number, size: number): void {
  const modern = join(directory, fileName(number, 'ldb'));
  const path = existsSync(modern) ? modern : join(directory, fileName(number, 'sst'));
  if (!existsSync(path)) throw damage(modern, 'it is missing');
  const bytes = readWhole(path);
  if (bytes.length !== size) throw damage(path, `it has ${bytes.length} bytes instead of ${size}`);
  if (size < FOOTER_SIZE || bytes.readBigUInt64LE(size - 8) !== TABLE_MAGIC)
    throw damage(path, 'it does not end as a table');
  try {
    const footer = new VarintReader(bytes.subarray(size - FOOTER_SIZE, size - 8));
    const metaIndex = readBlock(path, bytes, footer);
    const index = readBlock(path, bytes, footer);
    for (const block of [metaIndex, index]) {
      for (const handle of blockValues(block)) checkBlock(path, bytes, new VarintReader(handle));
    }
  } catch (error) {
    throw error instanceof StoreDamage ? error : damage(path, errorText(error));
  }
}

/** Checks the block that a handle (offset, size) names; returns where it lies. */
function checkBlock(path: string, bytes: Buffer, handle: VarintReader): { offset: number; end: number } {
  const offset = handle.number();
  const end = offset + handle.number();
  if (end + BLOCK_TRAILER_SIZE > bytes.length - FOOTER_SIZE) throw damage(path, 'it names a block outside of itself');
  if (crc32c(bytes.subarray(offset, end + 1)) !== unmask(bytes.readUInt32LE(end + 1))) {
    throw damage(path, `the checksum of a block at ${offset} does not match`);
  }
  return { offset, end };
}

function readBlock(path: string, bytes: Buffer, handle: VarintReader): Bytes {
  const { offset, end } = checkBlock(path, bytes, handle);
  const content = bytes.subarray(offset, end);
  return bytes[end] === SNAPPY ? unsnap(content) : content;
}

/** The values of a block's entries: shared key bytes, own key bytes, value bytes; the restart points follow. */
function* blockValues(block: Bytes): Iterable<Bytes> {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const restarts = view.getUint32(block.length - 4, true);
  const reader = new VarintReader(block.subarray(0, block.length - 4 - 4 * restarts));
  while (!reader.isAtEnd) {
    reader.number();
    const keyBytes = reader.number();
    const valueBytes = reader.number();
    reader.take(keyBytes);
    yield reader.take(valueBytes);
  }
}

/** Snappy: the length, then literals and copies of what is there already. Only small index blocks pass through here. */
function unsnap(bytes: Bytes): Bytes {
  const reader = new VarintReader(bytes);
  const out = new Uint8Array(reader.number());
  let size = 0;
  while (!reader.isAtEnd) {
    const tag = reader.byte();
    const upper = tag >>> 2;
    if ((tag & 3) === 0) {
      const length = (upper < 60 ? upper : reader.littleEndian(upper - 59)) + 1;
      out.set(reader.take(length), size);
      size += length;
      continue;
    }
    const isShort = (tag & 3) === 1;
    const length = isShort ? (upper & 7) + 4 : upper + 1;
    const distance = isShort ? ((tag >>> 5) << 8) | reader.byte() : reader.littleEndian((tag & 3) === 2 ? 2 : 4);
    if (distance === 0 || distance > size || size + length > out.length) throw new RangeError('a copy from nowhere');
    // Byte by byte: a copy may reach into what it writes.
    for (let i = 0; i < length; i++, size++) out[size] = out[size - distance] as number;
  }
  if (size !== out.length) throw new RangeError('it is shorter than it says');
  return out;
}

/** Reads numbers of seven bits a byte, lowest first. Throws RangeError at the end of its bytes. */
class VarintReader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('it ends too early');
    return byte;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  littleEndian(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value += this.byte() * 2 ** (8 * i);
    return value;
  }

  take(length: number): Bytes {
    if (this.#at + length > this.#bytes.length) throw new RangeError('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  bytes(): Bytes {
    return this.take(this.number());
  }
}

/** LevelDB stores checksums turned and shifted, because checksums of data that hold checksums are weak. */
function unmask(stored: number): number {
  const turned = (stored - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
}

function fileName(number: number, kind: 'ldb' | 'sst' | 'log'): string {
  return `${String(number).padStart(6, '0')}.${kind}`;
}

function readWhole(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw damage(path, systemCode(error) === 'ENOENT' ? 'it is missing' : errorText(error));
  }
}

function damage(path: string, what: string): StoreDamage {
  return new StoreDamage(`the file ${path} is damaged: ${what}`);
}
