/**
 * Block bodies on disk: append-only files `blk00000.dat`, `blk00001.dat` … of records magic ‖ length ‖ block, the layout
 * of Bitcoin Core's files. A record that a crash cut short is never named by the store; new ones follow behind it.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { HEADER_SIZE } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { type BlockFiles, type Place, StoreDamage } from '../ports.ts';
import { errorText } from './start-error.ts';

/** A file that has reached this size gets no further records. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;
/** Magic (4 bytes), length (4 bytes, little-endian). */
const RECORD_HEADER_SIZE = 8;
/** Files kept open for reading. */
const MAX_OPEN_FILES = 16;

const fdatasyncAsync = promisify(fdatasync);

export class DiskBlockFiles implements BlockFiles {
  readonly #directory: string;
  readonly #magic: Bytes;
  readonly #maxFileBytes: number;
  /** The file that is appended to. Its size is where the next record begins. */
  #last: { readonly file: number; readonly fd: number; size: number };
  /** Descriptors for reading by file number, the one that was used last at the end. */
  readonly #readers = new Map<number, number>();
  /** Written since they were last synced. */
  readonly #dirty = new Set<number>();
  /** Full files that are closed once they are synced. */
  readonly #retired = new Set<number>();
  #bytes = 0;

  /** Opens the files of a directory that exists. Throws what the operating system says. */
  constructor(directory: string, magic: Bytes, maxFileBytes: number = MAX_FILE_BYTES) {
    this.#directory = directory;
    this.#magic = magic;
    this.#maxFileBytes = maxFileBytes;
    const files = fileNumbers(directory);
    const last = Math.max(0, ...files);
    for (const file of files) if (file !== last) this.#bytes += fstatSync(this.#reader(file)).size;
    this.#last = this.#openLast(last);
    this.#bytes += this.#last.size;
  }

  /** Bytes of all files. */
  get size(): number {
    return this.#bytes;
  }

  append(bytes: Bytes): Place {
    const record = Buffer.allocUnsafe(RECORD_HEADER_SIZE + bytes.length);
    record.set(this.#magic, 0);
    record.writeUInt32LE(bytes.length, 4);
    record.set(bytes, RECORD_HEADER_SIZE);
    if (this.#last.size > 0 && this.#last.size + record.length > this.#maxFileBytes) {
      if (this.#dirty.has(this.#last.fd)) this.#retired.add(this.#last.fd);
      else closeSync(this.#last.fd);
      this.#last = this.#openLast(this.#last.file + 1);
    }
    const { file, fd, size } = this.#last;
    this.#dirty.add(fd);
    for (let done = 0; done < record.length; ) done += writeSync(fd, record, done, record.length - done, size + done);
    this.#last.size += record.length;
    this.#bytes += record.length;
    return { file, offset: size + RECORD_HEADER_SIZE, length: bytes.length, checksum: checksumOf(bytes) };
  }

  read(place: Place): Bytes {
    const record = Buffer.allocUnsafe(RECORD_HEADER_SIZE + place.length);
    let read = 0;
    try {
      const fd = this.#reader(place.file);
      read = readSync(fd, record, 0, record.length, place.offset - RECORD_HEADER_SIZE);
    } catch (error) {
      throw new StoreDamage(`cannot read ${this.#path(place.file)}: ${errorText(error)}`);
    }
    if (read !== record.length) {
      throw new StoreDamage(
        `${this.#path(place.file)} is missing or cut short: it ends before ${place.offset + place.length}`,
      );
    }
    const magicHolds = record.subarray(0, 4).equals(this.#magic);
    if (!magicHolds || record.readUInt32LE(4) !== place.length) {
      throw new StoreDamage(`${this.#path(place.file)} has no block of ${place.length} bytes at ${place.offset}`);
    }
    const bytes = new Uint8Array(record.buffer, record.byteOffset + RECORD_HEADER_SIZE, place.length);
    if (checksumOf(bytes) !== place.checksum) {
      throw new StoreDamage(`the block at ${place.offset} of ${this.#path(place.file)} is damaged`);
    }
    return bytes;
  }

  /** The numbers of the files that are there, ascending. */
  get fileNumbers(): readonly number[] {
    return fileNumbers(this.#directory);
  }

  /**
   * Shows every record of a file to `isBlock`, in order. Where it says no, the search goes on inside of the record: its
   * length may be what is wrong, or a crash cut it short and others follow.
   */
  scan(file: number, isBlock: (bytes: Bytes, place: Place) => boolean): void {
    const content = readFileSync(this.#path(file));
    for (let at = content.indexOf(this.#magic); at !== -1; ) {
      const offset = at + RECORD_HEADER_SIZE;
      const length = offset <= content.length ? content.readUInt32LE(at + 4) : content.length;
      let next = at + 1;
      if (offset + length <= content.length && length >= HEADER_SIZE) {
        // A copy: what is kept of it must not keep the whole file.
        const bytes = Uint8Array.from(content.subarray(offset, offset + length));
        const place: Place = { file, offset, length, checksum: checksumOf(bytes) };
        if (isBlock(bytes, place)) next = offset + length;
      }
      at = content.indexOf(this.#magic, next);
    }
  }

  /** Resolves when all that was appended before the call is on disk. */
  async sync(): Promise<void> {
    if (this.#dirty.size === 0) return;
    const files = [...this.#dirty];
    // What is appended while the disk works makes its file dirty again.
    this.#dirty.clear();
    for (const fd of files) {
      await fdatasyncAsync(fd);
      if (this.#retired.delete(fd)) closeSync(fd);
    }
  }

  /** Call `sync` first. */
  close(): void {
    for (const fd of [this.#last.fd, ...this.#retired, ...this.#readers.values()]) closeSync(fd);
    this.#readers.clear();
    this.#retired.clear();
  }

  #path(file: number): string {
    return join(this.#directory, `blk${String(file).padStart(5, '0')}.dat`);
  }

  /** Opens a file for appending. A new one is named in its directory, and that must reach the disk too. */
  #openLast(file: number): { file: number; fd: number; size: number } {
    const fd = openSync(this.#path(file), constants.O_RDWR | constants.O_CREAT, 0o600);
    const { size } = fstatSync(fd);
    if (size === 0) {
      const directory = openSync(this.#directory, 'r');
      fsyncSync(directory);
      closeSync(directory);
    }
    return { file, fd, size };
  }

  #reader(file: number): number {
    let fd = this.#readers.get(file);
    if (fd === undefined) fd = openSync(this.#path(file), 'r');
    else this.#readers.delete(file);
    this.#readers.set(file, fd);
    if (this.#readers.size > MAX_OPEN_FILES) {
      for (const [oldest, oldestFd] of this.#readers) {
        this.#readers.delete(oldest);
        closeSync(oldestFd);
        break;
      }
    }
    return fd;
  }
}

function fileNumbers(directory: string): number[] {
  const names = readdirSync(directory);
  const numbers = names.flatMap((name) => /^blk(\d{5,})\.dat$/.exec(name)?.slice(1).map(Number) ?? []);
  return numbers.sort((a, b) => a - b);
}

function checksumOf(bytes: Bytes): number {
  return crc32(bytes) | 0;
}
