/**
 * Searches for nonces on all processors, for commands that make blocks themselves. Every thread works through headers of its
 * own, a few milliseconds at a time; what differs from header to header is the caller's.
 */
import { availableParallelism } from 'node:os';
import type { Bytes } from '../../consensus/brand.ts';
import type { JobId } from '../boundary.ts';
import { WorkerPool } from '../runtime/worker-pool.ts';
import { CliError, Exit } from './cli.ts';

/** Nonces that are tried for one header, some 3 ms of work: what other threads still do when one has found is lost. */
const TRIES = 16_384;
const MAX_THREADS = 32;
/** How long the speed is measured, once all threads are there. */
const MEASURE_MS = 200;
/** A target that is not met: the lowest there is. */
const HOPELESS_BITS = 0x01010000;

export interface Found {
  /** The number of the header. */
  readonly extra: number;
  readonly nonce: number;
}

interface Search {
  readonly headerOf: (extra: number) => Bytes;
  readonly bits: number;
  readonly onTried: () => void;
  readonly end: (found: Found) => void;
  readonly fail: (error: Error) => void;
}

export class NonceSearch {
  readonly #pools: readonly WorkerPool[];
  #search: Search | undefined;
  #hashes = 0;
  #nextExtra = 0;
  #nextJob = 0;
  /** What each job in hand tries; of the search that is under way, or of one that has ended. */
  readonly #jobs = new Map<JobId, { readonly pool: WorkerPool; readonly extra: number; readonly search: Search }>();

  constructor(threads: number = Math.min(MAX_THREADS, availableParallelism())) {
    this.#pools = Array.from({ length: threads }, () => this.#makePool());
  }

  /** Hashes so far. */
  get hashes(): number {
    return this.#hashes;
  }

  /**
   * A header and nonce that meet the target. `headerOf` makes the header (80 bytes) of a number that is asked for once.
   * Only one search at a time. Rejects when this is closed.
   */
  find(headerOf: (extra: number) => Bytes, bits: number): Promise<Found> {
    return new Promise((end, fail) => this.#begin({ headerOf, bits, end, fail, onTried: () => undefined }));
  }

  /** Hashes per second, by trying. `header` is any. */
  async measure(header: Bytes): Promise<number> {
    // The first answer of a thread says that it is there; from then on time is taken.
    let waitsFor = this.#pools.length;
    let since: { at: number; hashes: number } | undefined;
    await new Promise<void>((done, fail) => {
      const onTried = () => {
        waitsFor -= 1;
        if (waitsFor === 0) since = { at: performance.now(), hashes: this.#hashes };
        else if (since !== undefined && performance.now() - since.at > MEASURE_MS) {
          this.#search = undefined;
          done();
        }
      };
      this.#begin({ headerOf: () => header, bits: HOPELESS_BITS, end: () => done(), fail, onTried });
    });
    const { at, hashes } = since ?? { at: 0, hashes: 0 };
    return ((this.#hashes - hashes) / (performance.now() - at)) * 1000;
  }

  async close(): Promise<void> {
    this.#fail(new CliError(Exit.failed, 'interrupted', 'the search was ended'));
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }

  #makePool(): WorkerPool {
    return new WorkerPool({
      maxThreads: 1,
      emit: (event) => {
        if (event.type === 'mined') this.#onMined(event.job, event.nonce, event.hashes);
      },
      onFailure: (error) => this.#fail(error),
    });
  }

  #begin(search: Search): void {
    this.#search = search;
    // A thread that still is at a header of the last search goes on when it is done.
    const busy = new Set([...this.#jobs.values()].map(({ pool }) => pool));
    for (const pool of this.#pools) if (!busy.has(pool)) this.#next(pool, search);
  }

  #next(pool: WorkerPool, search: Search): void {
    const job = this.#nextJob++ as JobId;
    const extra = this.#nextExtra++;
    this.#jobs.set(job, { pool, extra, search });
    pool.mine(job, search.headerOf(extra), search.bits, TRIES);
  }

  #onMined(job: JobId, nonce: number | null, hashes: number): void {
    const done = this.#jobs.get(job);
    if (done === undefined) return;
    this.#jobs.delete(job);
    this.#hashes += hashes;
    if (done.search === this.#search) {
      if (nonce !== null) {
        this.#search = undefined;
        done.search.end({ extra: done.extra, nonce });
      } else {
        done.search.onTried();
      }
    }
    if (this.#search !== undefined) this.#next(done.pool, this.#search);
  }

  #fail(error: Error): void {
    this.#search?.fail(error);
    this.#search = undefined;
  }
}
