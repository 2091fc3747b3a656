/**
 * A disk for the address manager, and what its rows say, read independently of it: in which tables and places each address
 * is cannot be asked of it.
 */
import { sha256 } from '#hash';
import type { Bytes } from '../../../consensus/brand.ts';
import { concatBytes, Reader } from '../../../consensus/codec.ts';
import type { Row } from '../../../node/boundary.ts';
import type { Limits } from '../../../node/limits.ts';
import { netgroup } from '../../../node/netgroup.ts';
import type { BatchItem } from '../../../node/ports.ts';

export interface AddressRow {
  readonly tried: boolean;
  readonly reachedAt: number;
  readonly tries: number;
  readonly buckets: readonly number[];
  /** Bytes of the row before the list of buckets. */
  readonly flatLength: number;
}

export class Disk {
  readonly #rows = new Map<string, Bytes>();

  constructor(rows: readonly Row[] = []) {
    for (const { key, value } of rows) this.#rows.set(key, value);
  }

  /** Applies what was saved; returns the keys that were written or deleted. */
  apply(batch: readonly BatchItem[]): string[] {
    for (const [key, value] of batch) {
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
    return batch.map(([key]) => key);
  }

  /** As the store returns them: by key. */
  get rows(): Row[] {
    const keys = [...this.#rows.keys()].sort();
    return keys.map((key) => ({ key, value: this.#rows.get(key) as Bytes }));
  }

  get secret(): Bytes {
    return this.#rows.get('a') as Bytes;
  }

  /** By the key of the address. */
  get addresses(): Map<string, AddressRow> {
    const rows = this.rows.filter(({ key }) => key.startsWith('a/'));
    return new Map(rows.map(({ key, value }) => [key.slice(2), readAddressRow(value)]));
  }

  /** What each address has: `table/bucket/place`. Of two that have the same one, both say so. */
  places(limits: Limits): Map<string, string[]> {
    const hash = (...parts: (string | number)[]) => {
      const digest = sha256(concatBytes(this.secret, new TextEncoder().encode(parts.join('\n'))));
      return new DataView(digest.buffer, digest.byteOffset).getUint32(0);
    };
    const out = new Map<string, string[]>();
    for (const [key, { tried, buckets }] of this.addresses) {
      const place = (table: string, bucket: number) =>
        `${table}/${bucket}/${hash('place', table, bucket, key) % limits.bucketSize}`;
      const triedHash = hash('address', key) % limits.triedBucketsPerGroup;
      const triedBucket = hash('tried', groupOf(key), triedHash) % limits.triedBuckets;
      out.set(key, [...(tried ? [place('tried', triedBucket)] : []), ...buckets.map((bucket) => place('new', bucket))]);
    }
    return out;
  }
}

function groupOf(key: string): string {
  const [, host, port] = /^(?:wss\/)?\[?(.+?)\]?:(\d+)(?:\/.*)?$/.exec(key) as unknown as [string, string, string];
  return netgroup({ host, port: Number(port) });
}

export function readAddressRow(value: Bytes): AddressRow {
  const reader = new Reader(value);
  reader.u8();
  reader.varBytes();
  reader.u16be();
  reader.varBytes();
  reader.u64();
  reader.u32();
  reader.varBytes();
  reader.u16be();
  const tried = reader.u8() === 1;
  const reachedAt = reader.u32();
  const tries = reader.u8();
  const flatLength = reader.position;
  // Rows of before there was a list have none.
  const buckets = reader.remaining === 0 ? [] : Array.from({ length: reader.u8() }, () => reader.u32());
  reader.end();
  return { tried, reachedAt, tries, buckets, flatLength };
}
