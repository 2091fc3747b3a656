/**
 * Transactions of the pool in the store, so that a restart does not forget them: a user's before the user is answered,
 * those of peers when the node stops. Owns the rows with the prefix `p`, which of them exist, and their order at the start.
 *
 * A row is a claim, not a fact: at the start its transaction is submitted like any other, and the row of one that is
 * refused is deleted. So a row that outlives its transaction for a while does no harm.
 */
import type { Bytes, Txid, Wtxid } from '../../consensus/brand.ts';
import { decode, Writer } from '../../consensus/codec.ts';
import { encodeTransaction, readTransaction, type Transaction } from '../../consensus/transaction.ts';
import type { Row, UnixSeconds } from '../boundary.ts';
import { type BatchItem, StoreDamage } from '../ports.ts';
import type { Entry } from './entry.ts';

const KEY_PREFIX = 'p';
/** A user of this node sent it: it is announced until a peer asks for it. */
const FLAG_OWN = 1;
/** Time (4 bytes), flags (1 byte). */
const HEAD_SIZE = 5;

/** A transaction that an earlier run left in the store. */
export interface SavedTransaction {
  readonly tx: Transaction;
  /** When it was saved; a restart does not make it younger. */
  readonly time: UnixSeconds;
  readonly own: boolean;
}

export class SavedTransactions {
  /** What has a row. */
  readonly #rows = new Map<Txid, { readonly wtxid: Wtxid; readonly own: boolean }>();
  /** What was in the store at the start and has not been submitted yet, the next one last. */
  readonly #waiting: SavedTransaction[];
  #open = 0;

  /** `rows`: those of the store with 'p' <= key < 'q'. */
  constructor(rows: readonly Row[]) {
    const saved = rows.map(decodeRow);
    for (const { tx, own } of saved) this.#rows.set(tx.txid, { wtxid: tx.wtxid, own });
    this.#waiting = parentsFirst(saved).reverse();
  }

  /** Transactions that have a row. */
  get size(): number {
    return this.#rows.size;
  }

  /** What an earlier run left and is still to be submitted. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** What was submitted of it and has not ended. */
  get open(): number {
    return this.#open;
  }

  get isLoading(): boolean {
    return this.#waiting.length > 0 || this.#open > 0;
  }

  /** Takes the next that waits, parents before children. Call `onEnd` when it is decided. */
  next(): SavedTransaction {
    this.#open++;
    return this.#waiting.pop() as SavedTransaction;
  }

  onEnd(): void {
    this.#open--;
  }

  /** It has a row, and a user of this node sent it. */
  isOwn(txid: Txid): boolean {
    return this.#rows.get(txid)?.own === true;
  }

  /** The row of a transaction that entered the pool; none if it has one. */
  save({ tx, time }: Entry, own: boolean): BatchItem[] {
    const batch: BatchItem[] = [];
    const former = this.#rows.get(tx.txid);
    if (former?.wtxid === tx.wtxid) return batch;
    // The same payment with another witness.
    if (former !== undefined) batch.push([rowKey(former.wtxid), null]);
    this.#rows.set(tx.txid, { wtxid: tx.wtxid, own });
    batch.push([rowKey(tx.wtxid), encodeRow({ tx, time, own })]);
    return batch;
  }

  /** The rows of all entries that have none. */
  saveAll(entries: Iterable<Entry>): BatchItem[] {
    const batch: BatchItem[] = [];
    for (const entry of entries) batch.push(...this.save(entry, false));
    return batch;
  }

  /** Deletes the rows of transactions that left the pool or never came back to it. */
  forget(transactions: Iterable<Transaction>): BatchItem[] {
    const batch: BatchItem[] = [];
    for (const { txid } of transactions) this.#forget(txid, batch);
    return batch;
  }

  /** Deletes the rows of what is no longer wanted, however it left. */
  sweep(isWanted: (txid: Txid) => boolean): BatchItem[] {
    const batch: BatchItem[] = [];
    for (const txid of [...this.#rows.keys()]) if (!isWanted(txid)) this.#forget(txid, batch);
    return batch;
  }

  #forget(txid: Txid, batch: BatchItem[]): void {
    const row = this.#rows.get(txid);
    if (row === undefined) return;
    this.#rows.delete(txid);
    batch.push([rowKey(row.wtxid), null]);
  }
}

function rowKey(wtxid: Wtxid): string {
  return KEY_PREFIX + wtxid;
}

function encodeRow({ tx, time, own }: SavedTransaction): Bytes {
  return new Writer(HEAD_SIZE + tx.size)
    .u32(time)
    .u8(own ? FLAG_OWN : 0)
    .raw(encodeTransaction(tx))
    .finish();
}

function decodeRow({ key, value }: Row): SavedTransaction {
  const result = decode(value, (reader): SavedTransaction => {
    const time = reader.u32();
    const flags = reader.u8();
    return { time, own: (flags & FLAG_OWN) !== 0, tx: readTransaction(reader) };
  });
  if (!result.ok) throw new StoreDamage(`the record ${key} cannot be read: ${result.error}`);
  if (rowKey(result.value.tx.wtxid) !== key) throw new StoreDamage(`the record ${key} holds another transaction`);
  return result.value;
}

/** By time, but no transaction before one whose output it spends. */
function parentsFirst(saved: readonly SavedTransaction[]): SavedTransaction[] {
  const byTxid = new Map(saved.map((one) => [one.tx.txid, one]));
  const ordered = new Set<SavedTransaction>();
  for (const one of [...saved].sort((a, b) => a.time - b.time)) {
    // A list of its own instead of recursion: a chain of transactions may be long.
    const path = [one];
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const parent = at.tx.inputs.map(({ prevout }) => byTxid.get(prevout.txid)).find((p) => p && !ordered.has(p));
      if (parent !== undefined) path.push(parent);
      else ordered.add(path.pop() as SavedTransaction);
    }
  }
  return [...ordered];
}
