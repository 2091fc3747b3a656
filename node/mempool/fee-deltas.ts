/**
 * What the user of this node adds to the fees of single transactions, or takes off, when it is decided whether they may
 * stay, what they may replace and when they are mined (prioritisetransaction). Kept for transactions that are not there
 * yet, and saved when the node stops. Owns the one row of the store that holds them.
 */
import type { Bytes, Txid } from '../../consensus/brand.ts';
import { decode, Writer } from '../../consensus/codec.ts';
import { StoreDamage } from '../ports.ts';

/** The row: txid (32 bytes) and satoshis (8 bytes, signed) of each. */
export const FEE_DELTAS_KEY = 'fdeltas';
const ROW_SIZE = 40;
/** More than a user has a reason to name; the row stays below half a megabyte. */
export const MAX_FEE_DELTAS = 10_000;
/** What eight bytes hold. */
const MOST = (1n << 63n) - 1n;

export class FeeDeltas {
  readonly #deltas = new Map<Txid, bigint>();
  /** The row, as it is in the store. */
  #saved: Bytes;

  /** `row`: what an earlier run left, if it left any. Throws StoreDamage where that cannot be read. */
  constructor(row: Bytes | undefined) {
    this.#saved = row ?? new Uint8Array(0);
    const read = decode(this.#saved, (reader) => {
      while (reader.remaining > 0) this.#deltas.set(reader.id<Txid>(), reader.i64());
    });
    if (!read.ok) throw new StoreDamage(`the record ${FEE_DELTAS_KEY} cannot be read: ${read.error}`);
  }

  get(txid: Txid): bigint {
    return this.#deltas.get(txid) ?? 0n;
  }

  /** Adds to what was added before. False where too many have a delta already. */
  add(txid: Txid, satoshis: bigint): boolean {
    const sum = this.get(txid) + satoshis;
    const bounded = sum > MOST ? MOST : sum < -MOST ? -MOST : sum;
    if (bounded === 0n) this.#deltas.delete(txid);
    else if (this.#deltas.size >= MAX_FEE_DELTAS && !this.#deltas.has(txid)) return false;
    else this.#deltas.set(txid, bounded);
    return true;
  }

  /** The transaction is confirmed. */
  delete(txid: Txid): void {
    this.#deltas.delete(txid);
  }

  entries(): Iterable<readonly [Txid, bigint]> {
    return this.#deltas;
  }

  /** The row to write, null where it is to be deleted, or undefined where it has not changed. */
  row(): Bytes | null | undefined {
    const writer = new Writer(this.#deltas.size * ROW_SIZE);
    for (const [txid, satoshis] of this.#deltas) writer.id(txid).i64(satoshis);
    const row = writer.finish();
    if (row.length === this.#saved.length && row.every((byte, index) => byte === this.#saved[index])) return undefined;
    this.#saved = row;
    return row.length === 0 ? null : row;
  }
}
