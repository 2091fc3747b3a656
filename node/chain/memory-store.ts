/**
 * The store and the block files in memory, for the simulator and for tests. They behave as those on disk do, a crash
 * included: what was not flushed may be lost, but only from the end and only in whole batches.
 */
import type { Bytes } from '../../consensus/brand.ts';
import type { Row } from '../boundary.ts';
import { type BatchItem, type BlockFiles, type Place, type Store, StoreDamage } from '../ports.ts';

/** Batches that may be lost in a crash. Older ones count as written, as a disk would have written them by then. */
const MAX_UNFLUSHED = 256;

export class MemoryStore implements Store {
  readonly #values: Map<string, Bytes>;
  /** Per unflushed batch: the former values of its keys. */
  #unflushed: [key: string, value: Bytes | undefined][][] = [];
  /** All keys in order, until the next write. */
  #sorted: string[] | undefined;

  constructor(rows: Iterable<Row> = []) {
    this.#values = new Map();
    for (const { key, value } of rows) this.#values.set(key, value);
  }

  get size(): number {
    return this.#values.size;
  }

  /** Batches since the last flush. */
  get unflushed(): number {
    return this.#unflushed.length;
  }

  get(key: string): Bytes | undefined {
    return this.#values.get(key);
  }

  write(batch: readonly BatchItem[]): void {
    const former: [string, Bytes | undefined][] = [];
    for (const [key, value] of batch) {
      former.push([key, this.#values.get(key)]);
      this.#set(key, value ?? undefined);
    }
    this.#unflushed.push(former);
    if (this.#unflushed.length > MAX_UNFLUSHED) this.#unflushed.shift();
  }

  flush(): Promise<void> {
    this.#unflushed = [];
    return Promise.resolve();
  }

  /** Rows with gte <= key < lt in key order, at most `limit`. */
  range(gte: string, lt: string, limit = Number.POSITIVE_INFINITY): Row[] {
    this.#sorted ??= [...this.#values.keys()].sort();
    const rows: Row[] = [];
    for (let at = this.#firstFrom(gte); at < this.#sorted.length && rows.length < limit; at++) {
      const key = this.#sorted[at] as string;
      if (key >= lt) break;
      rows.push({ key, value: this.#values.get(key) as Bytes });
    }
    return rows;
  }

  /** A copy as of now, from which all pages of a scan come. */
  snapshot(): MemoryStore {
    return new MemoryStore(this.range('', '\x7f'));
  }

  /** The power fails: all unflushed batches are lost but the first `kept`, which had reached the disk. */
  crash(kept = 0): void {
    for (const former of this.#unflushed.splice(kept).reverse()) {
      for (const [key, value] of former.reverse()) this.#set(key, value);
    }
    this.#unflushed = [];
  }

  #set(key: string, value: Bytes | undefined): void {
    if (value === undefined ? this.#values.delete(key) : !this.#values.has(key)) this.#sorted = undefined;
    if (value !== undefined) this.#values.set(key, value);
  }

  /** Index of the first sorted key that is not below `key`. */
  #firstFrom(key: string): number {
    const sorted = this.#sorted as string[];
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Bodies are kept as the arrays that were given: equal bytes of many simulated nodes are held once. */
export class MemoryBlockFiles implements BlockFiles {
  readonly #bodies: Bytes[] = [];

  append(bytes: Bytes): Place {
    this.#bodies.push(bytes);
    return { file: this.#bodies.length - 1, offset: 0, length: bytes.length, checksum: 0 };
  }

  read(place: Place): Bytes {
    const bytes = this.#bodies[place.file];
    if (bytes === undefined || place.offset !== 0 || bytes.length !== place.length) {
      throw new StoreDamage(`there is no block body at ${place.file}:${place.offset}`);
    }
    return bytes;
  }
}
