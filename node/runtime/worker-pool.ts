/**
 * The threads beside the main one: signature checks and proof of work. Owns what is queued and who does it; the work
 * itself is in worker.ts.
 *
 * A thread is started when there is work for it. While the load is low a check is sent at once; what comes while the
 * threads are busy is put together into large tasks. A thread has a few tasks ahead of it, so that it goes on while the
 * main thread connects a block. Checks go before mining, and a mining task is short, so that no block waits for the miner.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Bytes, ok, type Result } from '../../consensus/brand.ts';
import { CHECK_SIZE } from '../../consensus/signature.ts';
import type { Event, JobId, Verifier } from '../boundary.ts';
import type { RolledResult } from '../mining/grind.ts';
import { type SearchTask, VERSIONS } from '../mining/kernel.ts';

/** What a thread is asked. */
export type Task =
  /** Packed checks of several pieces one after the other; one answer for each piece. */
  | { readonly type: 'verify'; readonly checks: Bytes; readonly pieceLengths: readonly number[] }
  | ({ readonly type: 'mine' } & SearchTask)
  /** By what does it verify? */
  | { readonly type: 'choose-backend' }
  /** Nothing more will come. No answer. */
  | { readonly type: 'end' };

export type Answer =
  | { readonly type: 'verified'; readonly failed: readonly (number | null)[] }
  | ({ readonly type: 'mined' } & RolledResult)
  | { readonly type: 'backend'; readonly choice: Result<Omit<Verifier, 'workers'>, string> };

/** More would wait for the main thread, which hands out the work. */
const MAX_THREADS = 8;
/** Checks in one task: 64 KB, some 30 ms of work. Fewer and the messages cost more than the work, more and they wait. */
const CHECKS_PER_TASK = 512;
/** A job is not cut in smaller pieces than this, and what waits is not spread over threads in smaller tasks. */
const MIN_CHECKS_PER_PIECE = 64;
/** Tasks of checks that a thread has in hand. */
const TASKS_PER_THREAD = 4;
/** Of single transactions. So few wait for each other; of so many jobs the end of the turn is not waited for. */
const FEW_CHECKS = 16;
const MANY_SMALL_JOBS = 32;
/** Another thread is started when the others have this many checks to do. */
const CHECKS_PER_THREAD = 128;
/** Hashes in one task, some 10 ms of work; 100 where WebAssembly has no vectors. */
const HASHES_PER_TASK = 65_536;
/** A thread that has not ended by itself after this is torn down: noble may have seconds of work in hand. */
const END_TIMEOUT_MS = 2000;

interface VerifyJob {
  readonly type: 'verify';
  readonly id: JobId;
  /** Pieces without an answer. */
  open: number;
  /** Lowest index that failed so far. */
  failed: number | null;
}

interface Piece {
  readonly job: VerifyJob;
  /** Index in the job of the first check. */
  readonly first: number;
  readonly checks: Bytes;
}

interface MineJob {
  readonly type: 'mine';
  readonly id: JobId;
  readonly header: Bytes;
  readonly bits: number;
  readonly rolling: boolean;
  /** Nonces from this on are not tried. */
  readonly end: number;
  /** The next nonce to try. */
  next: number;
  /** Tasks without an answer. */
  open: number;
  hashes: number;
}

/** A task that a thread has in hand, with what its answer is for. */
type Assignment = { readonly type: 'verify'; readonly pieces: readonly Piece[] } | MineJob;

interface Thread {
  readonly worker: Worker;
  /** In the order in which the answers will come. */
  readonly assignments: Assignment[];
  /** Checks in the assignments. */
  checks: number;
  /** When the mining task in hand was sent, and until when the thread mines no more: moments of `performance.now()`. */
  sentAt: number;
  restsUntil: number;
  hasMined: boolean;
}

/** `version`: with which the nonce was found, where the versions were rolled. */
export type PoolEvent =
  | Extract<Event, { type: 'verified' }>
  | (Extract<Event, { type: 'mined' }> & { readonly version: number });

export interface WorkerPoolOptions {
  readonly emit: (event: PoolEvent) => void;
  /** A thread has died: a bug, or no memory. */
  readonly onFailure: (error: Error) => void;
  readonly maxThreads?: number;
  /** The part of its time in which a thread may mine: above 0, at most 1 (the default). Checks are not held up by it. */
  readonly miningShare?: number;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #maxThreads: number;
  readonly #threads: Thread[] = [];
  /** Jobs that were neither answered nor cancelled. */
  readonly #jobs = new Map<JobId, VerifyJob | MineJob>();
  /** Pieces that no thread has. */
  #pieces: Piece[] = [];
  #turn: NodeJS.Immediate | undefined;
  /** Was started to say by what it verifies; it may have ended. */
  #asked: Worker | undefined;
  /** When a thread that rests from mining may go on. */
  #rest: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#maxThreads = options.maxThreads ?? Math.min(MAX_THREADS, Math.max(1, availableParallelism()));
  }

  get threads(): number {
    return this.#threads.length;
  }

  /**
   * By what the threads verify; fails where a backend is forced that cannot be used. A thread finds out and ends: one that
   * waits for work would take 10 MB, and the main thread loads no backend.
   */
  async verifier(): Promise<Result<Verifier, string>> {
    const worker = new Worker(workerFile());
    this.#asked = worker;
    const answered = once(worker, 'message') as Promise<[Answer]>; // Rejected where the thread dies.
    for (const type of ['choose-backend', 'end'] as const) worker.postMessage({ type } satisfies Task);
    const [answer] = await answered;
    if (answer.type !== 'backend') throw new Error('a worker thread answered out of turn');
    return answer.choice.ok ? ok({ ...answer.choice.value, workers: this.#maxThreads }) : answer.choice;
  }

  /** Answers `verified` later. `checks` is copied when it is sent. */
  verify(id: JobId, checks: Bytes): void {
    const count = checks.length / CHECK_SIZE;
    const size = Math.min(CHECKS_PER_TASK, Math.max(MIN_CHECKS_PER_PIECE, Math.ceil(count / this.#maxThreads)));
    const job: VerifyJob = { type: 'verify', id, open: 0, failed: null };
    for (let first = 0; first < count; first += size) {
      const piece = checks.subarray(first * CHECK_SIZE, (first + size) * CHECK_SIZE);
      this.#pieces.push({ job, first, checks: piece });
      job.open++;
    }
    if (job.open === 0) {
      this.#options.emit({ type: 'verified', job: id, failed: null });
      return;
    }
    this.#jobs.set(id, job);
    // Half a batch of transactions is verified while the other half is still being looked at.
    if (count <= FEW_CHECKS && this.#pieces.length >= MANY_SMALL_JOBS) this.#dispatch();
    // What else comes in this turn of the event loop goes into the same task: a message costs as much as two checks.
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#dispatch();
    });
  }

  /** Answers `mined` later. `nonces` are tried, from 0 on; where the version is rolled, each with VERSIONS versions. */
  mine(id: JobId, header: Bytes, bits: number, nonces: number, rolling = false): void {
    this.#jobs.set(id, { type: 'mine', id, header, bits, rolling, end: nonces, next: 0, open: 0, hashes: 0 });
    this.#dispatch();
  }

  /** No answer will come. */
  cancel(id: JobId): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    if (job.type === 'verify') this.#pieces = this.#pieces.filter((piece) => piece.job !== job);
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearImmediate(this.#turn);
    clearTimeout(this.#rest);
    this.#jobs.clear();
    this.#pieces = [];
    const workers = this.#threads.map(({ worker }) => worker);
    if (this.#asked !== undefined) workers.push(this.#asked);
    await Promise.all(workers.map(endWorker));
  }

  #dispatch(): void {
    if (this.#closing) return;
    while (this.#pieces.length > 0 && !this.#areBackSoon()) {
      const thread = this.#threadForChecks();
      if (thread === undefined) return; // All have enough: then mining waits too.
      this.#sendChecks(thread);
    }
    for (const job of this.#jobs.values()) {
      if (job.type !== 'mine') continue;
      // One task first: most jobs of a test network end in it. Then all threads.
      while (job.next < job.end && (job.open === 0 || job.hashes > 0)) {
        const thread = this.#threadToMine();
        if (thread === undefined) return;
        this.#sendNonces(thread, job);
      }
    }
  }

  /**
   * A few checks are under way and a few wait: these go together when the answer is there, within a millisecond. Callers on
   * several connections then share the messages; to wake a thread costs more than to check a signature.
   */
  #areBackSoon(): boolean {
    if (this.#pieces.length >= FEW_CHECKS) return false;
    const [busy, ...others] = this.#threads.filter(({ checks }) => checks > 0);
    if (busy === undefined || others.length > 0) return false;
    return busy.checks <= FEW_CHECKS && busy.assignments[0]?.type === 'verify' && this.#waiting() <= FEW_CHECKS;
  }

  /** Checks that no thread has. */
  #waiting(): number {
    let bytes = 0;
    for (const { checks } of this.#pieces) bytes += checks.length;
    return bytes / CHECK_SIZE;
  }

  /** The thread with the least to do, or a new one if all have a lot to do. */
  #threadForChecks(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (thread.assignments.length >= TASKS_PER_THREAD) continue;
      if (best === undefined || thread.checks < best.checks) best = thread;
    }
    const mining = best?.assignments[0]?.type === 'mine';
    if (best !== undefined && !mining && best.checks < CHECKS_PER_THREAD) return best;
    return this.#start() ?? best;
  }

  /** A thread with nothing to do that need not rest; where all that have nothing to do rest, mining goes on later. */
  #threadToMine(): Thread | undefined {
    const now = performance.now();
    const idle = this.#threads.filter(({ assignments }) => assignments.length === 0);
    const rested = idle.find(({ restsUntil }) => restsUntil <= now) ?? this.#start();
    if (rested !== undefined || idle.length === 0) return rested;
    const soonest = Math.min(...idle.map(({ restsUntil }) => restsUntil));
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#dispatch(), soonest - now);
    return undefined;
  }

  #start(): Thread | undefined {
    if (this.#threads.length >= this.#maxThreads) return undefined;
    const thread: Thread = {
      worker: new Worker(workerFile()),
      assignments: [],
      checks: 0,
      sentAt: 0,
      restsUntil: 0,
      hasMined: false,
    };
    thread.worker.on('message', (answer: Answer) => this.#onAnswer(thread, answer));
    thread.worker.on('error', (error) => {
      if (!this.#closing) this.#options.onFailure(error);
    });
    thread.worker.on('exit', (code) => {
      if (!this.#closing) this.#options.onFailure(new Error(`a worker thread ended with code ${code}`));
    });
    this.#threads.push(thread);
    return thread;
  }

  #sendChecks(thread: Thread): void {
    const pieces: Piece[] = [];
    const share = Math.max(MIN_CHECKS_PER_PIECE, Math.ceil(this.#waiting() / this.#maxThreads));
    const limit = Math.min(CHECKS_PER_TASK, share) * CHECK_SIZE;
    let bytes = 0;
    for (const piece of this.#pieces) {
      if (pieces.length > 0 && bytes + piece.checks.length > limit) break;
      pieces.push(piece);
      bytes += piece.checks.length;
    }
    this.#pieces.splice(0, pieces.length);
    thread.assignments.push({ type: 'verify', pieces });
    thread.checks += bytes / CHECK_SIZE;
    // A copy in one buffer, which is then handed over: the core's views may lie in larger ones.
    const checks = new Uint8Array(bytes);
    let at = 0;
    for (const piece of pieces) {
      checks.set(piece.checks, at);
      at += piece.checks.length;
    }
    const task: Task = { type: 'verify', checks, pieceLengths: pieces.map((piece) => piece.checks.length) };
    thread.worker.postMessage(task, [checks.buffer]);
  }

  #sendNonces(thread: Thread, job: MineJob): void {
    const { header, bits, rolling, next: start } = job;
    const nonces = Math.min(rolling ? HASHES_PER_TASK / VERSIONS : HASHES_PER_TASK, job.end - start);
    const task: Task = { type: 'mine', header, bits, start, nonces, rolling };
    job.next += nonces;
    job.open++;
    thread.assignments.push(job);
    thread.sentAt = performance.now();
    thread.worker.postMessage(task);
  }

  #onAnswer(thread: Thread, answer: Answer): void {
    const assignment = thread.assignments.shift();
    if (answer.type === 'verified' && assignment?.type === 'verify') {
      for (const [i, piece] of assignment.pieces.entries()) {
        thread.checks -= piece.checks.length / CHECK_SIZE;
        this.#onPiece(piece, answer.failed[i] ?? null);
      }
    } else if (answer.type === 'mined' && assignment?.type === 'mine') {
      const now = performance.now();
      // In its first task a thread has started and made its kernel: that is not charged.
      if (thread.hasMined) thread.restsUntil = now + (now - thread.sentAt) * (1 / (this.#options.miningShare ?? 1) - 1);
      thread.hasMined = true;
      this.#onNonces(assignment, answer);
    } else {
      throw new Error('a worker thread answered out of turn');
    }
    this.#dispatch();
  }

  #onPiece({ job, first }: Piece, failed: number | null): void {
    job.open--;
    if (failed !== null) job.failed = Math.min(first + failed, job.failed ?? Number.POSITIVE_INFINITY);
    if (job.open > 0 || this.#jobs.get(job.id) !== job) return;
    this.#jobs.delete(job.id);
    this.#options.emit({ type: 'verified', job: job.id, failed: job.failed });
  }

  #onNonces(job: MineJob, { nonce, hashes, version }: RolledResult): void {
    job.open--;
    job.hashes += hashes;
    if (this.#jobs.get(job.id) !== job) return;
    if (nonce === null && (job.next < job.end || job.open > 0)) return;
    this.#jobs.delete(job.id);
    this.#options.emit({ type: 'mined', job: job.id, nonce, hashes: job.hashes, version });
  }
}

/**
 * Waits until the thread has done what it has in hand and ended. Torn down while it loads a library, or while that throws,
 * it would take the process with it: such a library cannot say any more what went wrong, and aborts.
 */
async function endWorker(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return; // It has ended.
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.postMessage({ type: 'end' } satisfies Task);
  const timeout = setTimeout(() => void worker.terminate(), END_TIMEOUT_MS);
  await ended;
  clearTimeout(timeout);
}

/** A thread cannot run TypeScript: where this file runs from its source (in tests), the built worker is used. */
function workerFile(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../../dist/node/runtime/worker.js' : './worker.js', here);
}
