/**
 * A store and block files that fail as disks and processes do: a crash loses any suffix of what was not flushed, a write
 * fails, a bit flips. What was lost or spoiled is for the test to say; what they give back is what a real one would.
 */
import { crc32 } from 'node:zlib';
import type { Bytes } from '../../consensus/brand.ts';
import type { Row } from '../../node/boundary.ts';
import { MemoryStore } from '../../node/chain/memory-store.ts';
import { type BatchItem, type BlockFiles, type Place, type Store, StoreDamage } from '../../node/ports.ts';

export class FaultyStore implements Store {
  /** What the process sees, and what is on the disk. */
  readonly #visible: MemoryStore;
  readonly #disk: Map<string, Bytes>;
  /** What is stored under these keys is not what was written. */
  readonly #damaged = new Set<string>();
  #unflushed: (readonly BatchItem[])[] = [];
  #settled = 0;
  #failsAt = Number.POSITIVE_INFINITY;
  #failure: Error | undefined;
  #crashed = false;
  /** Told before every batch: these are the moments at which a crash makes a difference. */
  onBatch: () => void = () => {};

  constructor(rows: Iterable<readonly [string, Bytes]> = []) {
    this.#disk = new Map(rows);
    this.#visible = new MemoryStore([...this.#disk].map(([key, value]) => ({ key, value })));
  }

  /** Batches that a crash may lose. */
  get unflushed(): number {
    return this.#unflushed.length;
  }

  get(key: string): Bytes | undefined {
    this.#checkAlive();
    if (this.#damaged.has(key)) throw new StoreDamage(`the value of ${JSON.stringify(key)} is damaged`);
    return this.#visible.get(key);
  }

  write(batch: readonly BatchItem[]): void {
    this.#checkAlive();
    if (this.#failure !== undefined) throw this.#failure;
    this.onBatch();
    this.#unflushed.push([...batch]);
    this.#visible.write(batch);
    for (const [key] of batch) this.#damaged.delete(key);
  }

  /** Rejects where a write failed; what follows that write is never written. */
  async flush(): Promise<void> {
    this.#checkAlive();
    await Promise.resolve();
    this.settle();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The first `count` of the unflushed batches have reached the disk, as those of a busy node do all the time. */
  settle(count = this.#unflushed.length): void {
    for (let i = 0; i < count && this.#failure === undefined; i++) {
      if (++this.#settled >= this.#failsAt) {
        this.#failure = new Error('the store cannot be written: no space left on device');
        return;
      }
      apply(this.#disk, this.#unflushed.shift() ?? []);
    }
  }

  /** The write that reaches the disk after so many others fails. */
  failAfter(batches: number): void {
    this.#failsAt = this.#settled + batches + 1;
  }

  /** A bit of that value flips on the disk. */
  damage(key: string): void {
    this.settle();
    if (!this.#disk.has(key)) throw new Error(`there is no value of ${key} to be damaged`);
    this.#damaged.add(key);
  }

  /** What is found when the power fails now: unflushed batches are lost but for the first `kept`. */
  afterCrash(kept: number): FaultyStore {
    const disk = new Map(this.#disk);
    for (const batch of this.#unflushed.slice(0, kept)) apply(disk, batch);
    const after = new FaultyStore(disk);
    for (const key of this.#damaged) after.#damaged.add(key);
    return after;
  }

  /** The process ends: nothing works here any more. */
  crash(kept: number): FaultyStore {
    const after = this.afterCrash(kept);
    this.#crashed = true;
    return after;
  }

  /** Rows with gte <= key < lt, as the start reads them. */
  range(gte: string, lt: string): Row[] {
    const rows = this.#visible.range(gte, lt);
    for (const { key } of rows) this.get(key);
    return rows;
  }

  #checkAlive(): void {
    if (this.#crashed) throw new Error('the process of this store has ended');
  }
}

function apply(disk: Map<string, Bytes>, batch: readonly BatchItem[]): void {
  for (const [key, value] of batch) {
    if (value === null) disk.delete(key);
    else disk.set(key, value);
  }
}

/** Bytes in one file after another, as on a disk; the end of it may be lost, in the middle of a record too. */
export class FaultyBlockFiles implements BlockFiles {
  #bytes: Uint8Array;
  #size: number;
  #synced: number;
  #failsAt = Number.POSITIVE_INFINITY;
  #appended = 0;
  #crashed = false;
  /** Told before every body. */
  onAppend: () => void = () => {};

  constructor(bytes: Bytes = new Uint8Array(0)) {
    this.#bytes = bytes;
    this.#size = bytes.length;
    this.#synced = bytes.length;
  }

  /** Bytes that a crash may lose. */
  get unsynced(): number {
    return this.#size - this.#synced;
  }

  append(bytes: Bytes): Place {
    this.#checkAlive();
    this.onAppend();
    if (++this.#appended >= this.#failsAt) throw new Error('no space left on device');
    const place = { file: 0, offset: this.#size, length: bytes.length, checksum: crc32(bytes) | 0 };
    const size = this.#size + bytes.length;
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(size * 2);
      grown.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size = size;
    return place;
  }

  read({ file, offset, length, checksum }: Place): Bytes {
    this.#checkAlive();
    const bytes = this.#bytes.slice(offset, Math.min(offset + length, this.#size));
    if (file !== 0 || bytes.length !== length || (crc32(bytes) | 0) !== checksum) {
      throw new StoreDamage(`there is no block of ${length} bytes at ${offset}`);
    }
    return bytes;
  }

  sync(): Promise<void> {
    this.#synced = this.#size;
    return Promise.resolve();
  }

  /** The body that is appended after so many others fails, and all later ones. */
  failAfter(bodies: number): void {
    this.#failsAt = this.#appended + bodies + 1;
  }

  flip(place: Place, bit: number): void {
    const at = place.offset + (bit >>> 3);
    this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 << (bit & 7));
  }

  /** What is found when the power fails now: of what was not synced, only the first `kept` bytes. */
  afterCrash(kept: number): FaultyBlockFiles {
    if (kept > this.unsynced) throw new Error('more is kept than there is');
    return new FaultyBlockFiles(this.#bytes.slice(0, this.#synced + kept));
  }

  /** The process ends: nothing works here any more. */
  crash(kept: number): FaultyBlockFiles {
    const after = this.afterCrash(kept);
    this.#crashed = true;
    return after;
  }

  #checkAlive(): void {
    if (this.#crashed) throw new Error('the process of these files has ended');
  }
}
