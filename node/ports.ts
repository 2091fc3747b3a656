/**
 * The ports of the node: what its core calls (Store, BlockFiles, Random) and how it is driven (Core).
 * Each has at least two implementations; `test/contract` runs one suite over all of them.
 */
import type { Bytes } from '../consensus/brand.ts';
import type { Action, Event, Millis, Now } from './boundary.ts';

/** The node as a synchronous function with memory. */
export interface Core {
  /** Never throws on what a peer or a user sent; whatever it throws is a bug. */
  handle(event: Event, now: Now): readonly Action[];
  /** When `tick` is wanted next, in `Now.mono`; undefined if nothing is waited for. */
  nextDeadline(): Millis | undefined;
}

/** Key and value to put, or the key to delete where the value is null. Later writes of a batch win. */
export type BatchItem = readonly [key: string, value: Bytes | null];

/**
 * Ordered keys (ASCII strings) and values (bytes). A write is visible to `get` at once and atomic on disk; batches reach
 * the disk in the order of the calls, so a crash may cost the last of them, but never one before another that is kept.
 * Ranges are read by the `scan` action.
 */
export interface Store {
  /** The value, or undefined. The bytes belong to the store: do not change them. Throws StoreDamage on a wrong checksum. */
  get(key: string): Bytes | undefined;
  write(batch: readonly BatchItem[]): void;
  /** Resolves when all that was written before the call is on disk; rejects if that failed, and then nothing more is written. */
  flush(): Promise<void>;
}

/** Thrown by a store or block file whose content cannot be what was written. The process must end and say so. */
export class StoreDamage extends Error {
  override readonly name = 'StoreDamage';
}

/** Where a block lies in the block files. */
export interface Place {
  readonly file: number;
  /** Of the block's first byte. */
  readonly offset: number;
  readonly length: number;
  /** Of its bytes, by which `read` notices damage: CRC-32 as a signed number, or 0 where nothing can be damaged. */
  readonly checksum: number;
}

/**
 * Append-only files of block bodies. What was appended before a batch of the store is on disk before that batch: so a crash
 * may cost bodies from the end, the last of them in part, but none that the store names.
 */
export interface BlockFiles {
  append(bytes: Bytes): Place;
  /** The bytes at a place that `append` returned. Throws StoreDamage if they are not there. */
  read(place: Place): Bytes;
}

/** Seeded or secret randomness. A fork per machine, so that a new draw in one does not shift the others. */
export interface Random {
  /** Uniform in [0, 2^32). */
  u32(): number;
  u64(): bigint;
  bytes(length: number): Bytes;
  fork(label: string): Random;
}

/** Uniform integer in [0, bound), bound <= 2^32. */
export function below(random: Random, bound: number): number {
  const limit = 0x100000000 - (0x100000000 % bound);
  for (;;) {
    const value = random.u32();
    if (value < limit) return value % bound;
  }
}

/** The items in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(random, i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

/** Exponential with the given mean, in whole milliseconds: the gap of a Poisson process. */
export function exponential(random: Random, meanMs: Millis): Millis {
  const uniform = (random.u32() + 1) / 0x100000000;
  return Math.round(-Math.log(uniform) * meanMs);
}

/** The earlier of two deadlines, where undefined is never. */
export function earliest(a: Millis | undefined, b: Millis | undefined): Millis | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}
