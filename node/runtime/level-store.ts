/**
 * The Store on disk, over LevelDB (`level`). What LevelDB does not do by itself is done here:
 * - A batch is invisible to `getSync` until it is written, and two that are not awaited can land in reverse order: so one
 *   batch is in flight at a time, later ones are collected into the next, and reads look there first. What is written
 *   without a pause (all of one event) is always one batch.
 * - A flipped bit in a table comes back as a wrong value without an error: so every value ends in a CRC-32 over key and
 *   value, checked on every read.
 * A batch is handed to the operating system, not forced to the platter: after a power cut the last batches may be missing,
 * but never one in the middle, so what is found is still the state of one block.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { type Iterator, Level } from 'level';
import type { Bytes } from '../../consensus/brand.ts';
import type { Row, ScanId } from '../boundary.ts';
import { type BatchItem, type Store, StoreDamage } from '../ports.ts';
import { PendingRows } from './pending-rows.ts';
import { rowChecksum } from './row-checksum.ts';
import { errorText, systemCode } from './start-error.ts';

/** Less than this and LevelDB stalls writers for 300 ms while it compacts. */
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const CRC_SIZE = 4;
/** What LevelDB hands over at once while it scans. */
const PAGE_BYTES = 256 * 1024;
/** Rows that are handed to LevelDB at a stretch: 2 to 3 ms of work. */
const ROWS_PER_TURN = 1000;

type Database = Level<string, Bytes>;

/** Writes that go to disk together, and who waits for them. */
interface Batch {
  readonly rows: PendingRows;
  readonly waiting: { resolve(): void; reject(error: Error): void }[];
}

interface Scan {
  /** Undefined until all that was written before it is on disk. */
  iterator: Iterator<Database, string, Bytes> | undefined;
  cancelled: boolean;
}

export interface Page {
  readonly rows: readonly Row[];
  /** Nothing follows. */
  readonly done: boolean;
}

export interface LevelStoreOptions {
  /** Awaited before every batch: what a batch names must be on disk before it. */
  readonly beforeBatch: () => Promise<void>;
  /** A batch could not be written. The process must end; the store takes no more. */
  readonly onFailure: (error: Error) => void;
}

export class LevelStore implements Store {
  readonly #db: Database;
  readonly #options: LevelStoreOptions;
  readonly #scans = new Map<ScanId, Scan>();
  /** Being written. */
  #flying: Batch | undefined;
  /** To be written next. */
  #queued: Batch | undefined;
  #isWriting = false;
  #failure: Error | undefined;

  private constructor(db: Database, options: LevelStoreOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Opens the database in a directory that exists, or makes it. Rejects with LevelDB's error; see data-directory.ts. */
  static async open(directory: string, options: LevelStoreOptions): Promise<LevelStore> {
    const db: Database = new Level(directory, {
      keyEncoding: 'utf8',
      valueEncoding: 'view',
      writeBufferSize: WRITE_BUFFER_BYTES,
    });
    await db.open();
    return new LevelStore(db, options);
  }

  /** Bytes that were written by the core and are not on disk. */
  get backlogBytes(): number {
    return (this.#flying?.rows.bytes ?? 0) + (this.#queued?.rows.bytes ?? 0);
  }

  get(key: string): Bytes | undefined {
    let value = this.#queued?.rows.get(key);
    if (value === undefined) value = this.#flying?.rows.get(key);
    if (value !== undefined) return value ?? undefined;
    const stored = readable(() => this.#db.getSync(key));
    return stored === undefined ? undefined : unseal(key, stored);
  }

  write(batch: readonly BatchItem[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (batch.length === 0) return;
    this.#queued ??= { rows: new PendingRows(), waiting: [] };
    this.#queued.rows.add(batch);
    if (this.#isWriting) return;
    this.#isWriting = true;
    // After this turn of the event loop, so that all that one event wrote is in one batch, and lost or kept together.
    queueMicrotask(() => void this.#writeAll());
  }

  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const last = this.#queued ?? this.#flying;
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      last.waiting.push({ resolve, reject });
    });
  }

  /** Writes the queue until it is empty. Never rejects. */
  async #writeAll(): Promise<void> {
    for (let batch = this.#queued; batch !== undefined; batch = this.#queued) {
      this.#flying = batch;
      this.#queued = undefined;
      try {
        await this.#options.beforeBatch();
        // A chained batch takes a quarter of the time of an array of operations and hardly blocks this thread.
        const chain = this.#db.batch();
        let count = 0;
        // In the order of the keys LevelDB puts them away in less than half of the time.
        for (const [key, value] of batch.rows.inOrder()) {
          if (value === null) chain.del(key);
          else chain.put(key, seal(key, value));
          // When more waits behind this batch, whoever writes must not be faster than this.
          const stretch = this.#queued === undefined ? ROWS_PER_TURN : 8 * ROWS_PER_TURN;
          if (++count % stretch === 0) await turn();
        }
        await chain.write();
      } catch (error) {
        this.#fail(new Error(`the store cannot be written: ${errorText(error)}`, { cause: error }));
        return;
      }
      this.#flying = undefined;
      for (const waiter of batch.waiting) waiter.resolve();
    }
    this.#isWriting = false;
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const batch of [this.#flying, this.#queued]) for (const waiter of batch?.waiting ?? []) waiter.reject(error);
    this.#options.onFailure(error);
  }

  /**
   * The next page of the scan `id`: at most `limit` rows with gte <= key < lt. Its first page takes a snapshot of all that
   * was written before the call; the range of later calls does not matter. Undefined if it was cancelled meanwhile.
   * Rejects with StoreDamage on a wrong checksum.
   */
  async scan(id: ScanId, gte: string, lt: string, limit: number): Promise<Page | undefined> {
    const scan = this.#scans.get(id) ?? { iterator: undefined, cancelled: false };
    this.#scans.set(id, scan);
    if (scan.iterator === undefined) {
      await this.flush();
      if (scan.cancelled) return undefined;
      scan.iterator = this.#db.iterator({ gte, lt, highWaterMarkBytes: PAGE_BYTES });
    }
    const rows: Row[] = [];
    while (rows.length < limit) {
      const entries = await scan.iterator.nextv(limit - rows.length).catch(unreadable);
      if (scan.cancelled) return undefined;
      if (entries.length === 0) {
        this.cancelScan(id);
        return { rows, done: true };
      }
      for (const [key, stored] of entries) rows.push({ key, value: unseal(key, stored) });
    }
    return { rows, done: false };
  }

  /** Forgets a scan. One that has ended is forgotten already. */
  cancelScan(id: ScanId): void {
    const scan = this.#scans.get(id);
    if (scan === undefined) return;
    scan.cancelled = true;
    this.#scans.delete(id);
    void scan.iterator?.close();
  }

  /** All rows of a range. For the start, before there is a core. */
  async rows({ gte, lt }: { readonly gte: string; readonly lt: string }): Promise<Row[]> {
    const entries = await this.#db.iterator({ gte, lt, highWaterMarkBytes: PAGE_BYTES }).all().catch(unreadable);
    return entries.map(([key, stored]) => ({ key, value: unseal(key, stored) }));
  }

  /** Writes what is queued and lets go of the directory. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#scans.clear();
      await this.#db.close(); // Closes its iterators too.
    }
  }
}

/** LevelDB says of some damage what it is. */
function unreadable(error: unknown): never {
  const cause = (error as Error).cause ?? error;
  const code = systemCode(cause);
  if (code !== 'LEVEL_CORRUPTION' && code !== 'LEVEL_IO_ERROR') throw error;
  throw new StoreDamage(`the store cannot be read: ${errorText(cause)}`);
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return unreadable(error);
  }
}

/** Deletes a database, whatever its state, unless another process has it open. */
export function destroyLevel(directory: string): Promise<void> {
  // The types of `level` are those that its browser version has too; in Node.js it is `classic-level`.
  const { destroy } = Level as unknown as { destroy(location: string): Promise<void> };
  return destroy(directory);
}

/** Where short values are sealed. LevelDB copies them at once; a small array of its own would first be moved out of the heap. */
const sealed = new Uint8Array(256);
/** The beginnings of it, by length. */
const sealedViews = Array.from({ length: sealed.length }, (_, length) => sealed.subarray(0, length));

/** The value as stored: itself, then CRC-32 over key and value. It holds until the next call. */
function seal(key: string, value: Bytes): Bytes {
  const { length } = value;
  const stored = sealedViews[length + CRC_SIZE] ?? new Uint8Array(length + CRC_SIZE);
  stored.set(value);
  const sum = rowChecksum(key, value);
  for (let i = 0; i < CRC_SIZE; i++) stored[length + i] = sum >>> (8 * i);
  return stored;
}

function unseal(key: string, stored: Bytes): Bytes {
  const size = stored.length - CRC_SIZE;
  if (size < 0) throw damage(key);
  const value = stored.subarray(0, size);
  const sum = new DataView(stored.buffer, stored.byteOffset + size, CRC_SIZE).getUint32(0, true);
  if (rowChecksum(key, value) !== sum) throw damage(key);
  return value;
}

function damage(key: string): StoreDamage {
  return new StoreDamage(`the value of ${JSON.stringify(key)} in the store is damaged: its checksum does not match`);
}
