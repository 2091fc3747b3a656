/**
 * Rows that were written and are not on disk yet: they are found here first, and leave in an order that LevelDB likes.
 * Owns no rule of when they are written; see level-store.ts.
 *
 * A few rows go into a Map. Many at once (the chain tells the store of thousands during initial sync) are only put in
 * order: rows are looked up by the beginning of their key, as a number, which takes a tenth of the time of a Map with its
 * long keys, and it is the order in which they leave.
 */
import type { Bytes } from '../../consensus/brand.ts';
import type { BatchItem } from '../ports.ts';

/** A batch of fewer rows goes into a Map. */
const MIN_RUN = 256;
/** Rows of one run: their index is kept in the low bits of a number of 53 bits. */
const MAX_RUN = 2 ** 17;
/** Hex digits of a key that its order is made of, after the first character. */
const ORDER_DIGITS = 7;
/** Rough size of a row in memory beside its key and value. */
const ROW_OVERHEAD = 64;

export class PendingRows {
  /** What came later is later here, so that the last one that has a key has its value. */
  readonly #parts: (Map<string, Bytes | null> | Run)[] = [];
  #bytes = 0;

  /** Roughly, in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The rows must not be changed afterwards. */
  add(batch: readonly BatchItem[]): void {
    for (const [key, value] of batch) this.#bytes += key.length + (value?.length ?? 0) + ROW_OVERHEAD;
    if (batch.length >= MIN_RUN) {
      for (let from = 0; from < batch.length; from += MAX_RUN) {
        this.#parts.push(new Run(batch.slice(from, from + MAX_RUN)));
      }
      return;
    }
    let last = this.#parts.at(-1);
    if (!(last instanceof Map)) {
      last = new Map();
      this.#parts.push(last);
    }
    for (const [key, value] of batch) last.set(key, value);
  }

  /** The value, null if the row is to be deleted, undefined if nothing is to happen to it. */
  get(key: string): Bytes | null | undefined {
    for (let i = this.#parts.length - 1; i >= 0; i--) {
      const value = this.#parts[i]?.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** All rows, nearly in the order of their keys; of two with the same key the later one comes later. */
  *inOrder(): Generator<BatchItem, void> {
    for (const part of this.#parts) yield* (part instanceof Map ? new Run([...part]) : part).rows();
  }
}

/** Rows that came together, in the order of their keys as far as `orderOf` tells it. */
class Run {
  readonly #rows: readonly BatchItem[];
  /** For each row MAX_RUN times its order plus its index, ascending. */
  readonly #order: Float64Array;

  constructor(rows: readonly BatchItem[]) {
    this.#rows = rows;
    this.#order = new Float64Array(rows.length);
    for (let index = 0; index < rows.length; index++) {
      this.#order[index] = orderOf((rows[index] as BatchItem)[0]) * MAX_RUN + index;
    }
    this.#order.sort();
  }

  get(key: string): Bytes | null | undefined {
    const first = orderOf(key) * MAX_RUN;
    // From behind, because later rows win.
    for (let at = this.#below(first + MAX_RUN) - 1; at >= 0 && (this.#order[at] as number) >= first; at--) {
      const row = this.#at(at);
      if (row[0] === key) return row[1];
    }
    return undefined;
  }

  *rows(): Generator<BatchItem, void> {
    for (let at = 0; at < this.#order.length; at++) yield this.#at(at);
  }

  #at(at: number): BatchItem {
    return this.#rows[(this.#order[at] as number) % MAX_RUN] as BatchItem;
  }

  /** How many of the numbers are below that one. */
  #below(bound: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] as number) < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The beginning of a key as a number below 2^36, ascending with the key where what follows its first character is hex. */
function orderOf(key: string): number {
  let order = key.charCodeAt(0) & 0x7f;
  for (let i = 1; i <= ORDER_DIGITS; i++) {
    // A digit gives 0 to 9, a lower-case letter 10 and more, the end of the key 0.
    const code = key.charCodeAt(i);
    order = order * 16 + (((code & 0x0f) + 9 * (code >> 6)) & 0x0f);
  }
  return order;
}
