/**
 * The threads that search for `grapevine mine`. Each works through headers of its own, some ten milliseconds at a time, so
 * that the time in the headers is the present one, hashes are counted as they are made, and a share of a processor can be
 * kept to. The search itself is the kernel's, in runtime/worker.ts.
 */
import type { JobId, Millis } from '../boundary.ts';
import { VERSIONS } from '../mining/kernel.ts';
import { DutyCycle } from '../mining/pace.ts';
import type { Solution, Work } from '../mining/work.ts';
import { type PoolEvent, WorkerPool } from '../runtime/worker-pool.ts';

/** A thread searches for about so long on one header. */
const SLICE_MS = 50;
/** Hashes: what a thread is given first, and the least at any time. */
const LEAST_TRIES = 65_536;
const MOST_TRIES = 2 ** 32;

export interface MiningThreadsOptions {
  readonly threads: number;
  /** Of one processor, for each thread: above 0, at most 1. */
  readonly share: number;
  readonly onFound: (work: Work, solution: Solution) => void;
  readonly onHashes: (hashes: number) => void;
  /** A thread has died: a bug, or no memory. */
  readonly onFailure: (error: Error) => void;
}

interface Thread {
  readonly pool: WorkerPool;
  /** What it searches. */
  slice: Slice | undefined;
  tries: number;
}

interface Slice {
  readonly job: JobId;
  readonly work: Work;
  readonly extraNonce: number;
  readonly time: number;
  readonly since: Millis;
}

export class MiningThreads {
  readonly #options: MiningThreadsOptions;
  readonly #threads: readonly Thread[];
  /** Where the search was begun last, and when. */
  #work: { readonly work: Work; readonly since: Millis } | undefined;
  /** From the first search on: what was overdrawn for one block is not forgiven with the next. */
  #duty: DutyCycle | undefined;
  #pause: NodeJS.Timeout | undefined;
  #lastJob = 0;
  #lastExtra = 0;

  constructor(options: MiningThreadsOptions) {
    this.#options = options;
    this.#threads = Array.from({ length: options.threads }, () => this.#makeThread());
  }

  /** Searches on that work from now on; with `restart` what is under way is dropped. */
  search(work: Work, restart: boolean): void {
    this.#work = { work, since: performance.now() };
    if (restart) this.#cancel();
    if (this.#options.share < 1 && this.#duty === undefined) {
      this.#duty = new DutyCycle(this.#options, busyMs(), performance.now());
    }
    this.#dispatch();
  }

  rest(): void {
    this.#work = undefined;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#cancel();
  }

  async close(): Promise<void> {
    this.rest();
    await Promise.all(this.#threads.map(({ pool }) => pool.close()));
  }

  #makeThread(): Thread {
    const thread: Thread = {
      // One thread each: a job that is spread over several ends only when the slowest has done its part.
      pool: new WorkerPool({
        maxThreads: 1,
        emit: (event) => {
          if (event.type === 'mined') this.#onMined(thread, event);
        },
        onFailure: this.#options.onFailure,
      }),
      slice: undefined,
      tries: LEAST_TRIES,
    };
    return thread;
  }

  #cancel(): void {
    for (const thread of this.#threads) {
      if (thread.slice === undefined) continue;
      thread.pool.cancel(thread.slice.job);
      thread.slice = undefined;
    }
  }

  /** Gives every thread without a slice the next one, unless it is time for a pause. */
  #dispatch(): void {
    const current = this.#work;
    if (current === undefined || this.#pause !== undefined) return;
    const now = performance.now();
    const pauseMs = this.#duty?.pauseMs(busyMs(), now) ?? 0;
    if (pauseMs >= 1) {
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#dispatch();
      }, pauseMs);
      return;
    }
    const { work, since } = current;
    const time = work.timeAfter((now - since) / 1000);
    for (const thread of this.#threads) {
      if (thread.slice !== undefined) continue;
      this.#lastJob += 1;
      this.#lastExtra = (this.#lastExtra + 1) % 2 ** 32;
      const slice: Slice = { job: this.#lastJob as JobId, work, extraNonce: this.#lastExtra, time, since: now };
      thread.slice = slice;
      const nonces = work.rolling ? Math.ceil(thread.tries / VERSIONS) : thread.tries;
      thread.pool.mine(slice.job, work.header(slice.extraNonce, time), work.template.bits, nonces, work.rolling);
    }
  }

  #onMined(thread: Thread, { job, nonce, version, hashes }: Extract<PoolEvent, { type: 'mined' }>): void {
    const { slice } = thread;
    if (slice === undefined || slice.job !== job) return; // Cancelled meanwhile.
    thread.slice = undefined;
    const elapsed = Math.max(0.1, performance.now() - slice.since);
    if (nonce === null) {
      const tries = (hashes * SLICE_MS) / elapsed;
      // Only towards the measured rate, not at once: the first slice also starts the thread.
      thread.tries = Math.round(Math.min(MOST_TRIES, 8 * thread.tries, Math.max(LEAST_TRIES, tries)));
    }
    this.#options.onHashes(hashes);
    if (nonce !== null) {
      this.#options.onFound(slice.work, { extraNonce: slice.extraNonce, time: slice.time, version, nonce });
    }
    this.#dispatch();
  }
}

/** Time on processors of all threads of this process. */
function busyMs(): Millis {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
