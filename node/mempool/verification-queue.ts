/**
 * Transactions whose signatures are being verified, in the order in which they were submitted. They settle in that order,
 * whatever the order of the answers, so that the pool comes out as if every transaction had been verified at once; until then
 * their outputs count as coins for those submitted after them.
 */
import type { Brand, Txid, Wtxid } from '../../consensus/brand.ts';
import type { Reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { UnixSeconds } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import type { PackageOptions } from './pool.ts';

/** A transaction whose signatures are being verified, numbered by the pool. */
export type PoolTicket = Brand<number, 'PoolTicket'>;

interface Job {
  readonly ticket: PoolTicket;
  /** Nobody else sees the outputs of a test. */
  readonly test: boolean;
  /** Undefined until the answer is there: null if all checks hold, else the lowest index of one that does not. */
  failed: number | null | undefined;
}

export interface TransactionJob extends Job {
  readonly kind: 'transaction';
  readonly tx: Transaction;
  /** When it entered an earlier run of the node. */
  readonly time: UnixSeconds | undefined;
}

/** Several transactions that are judged together when all before them have settled. */
export interface PackageJob extends Job {
  readonly kind: 'package';
  readonly txs: readonly Transaction[];
  readonly options: PackageOptions;
  /** What is known of signatures: that those of a member hold (null), or why they do not. */
  readonly facts: Map<Wtxid, Reject | null>;
  /** Members whose signatures are being verified, one after the other. */
  proving: readonly Transaction[];
}

type VerificationJob = TransactionJob | PackageJob;
type Answered<J extends Job> = J & { readonly failed: number | null };

export class VerificationQueue {
  readonly #limits: Limits;
  // A Map keeps the order of insertion.
  #jobs = new Map<PoolTicket, VerificationJob>();
  readonly #byWtxid = new Map<Wtxid, TransactionJob>();
  /** Transactions that differ in their witnesses alone share a txid. */
  readonly #byTxid = new Map<Txid, Set<Transaction>>();
  #bytes = 0;
  #lastTicket = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#jobs.size;
  }

  hasRoomFor(tx: Transaction): boolean {
    if (this.#jobs.size === 0) return true;
    return this.#jobs.size < this.#limits.maxVerifyingTx && this.#bytes + tx.size <= this.#limits.maxVerifyingTxBytes;
  }

  add(tx: Transaction, test: boolean, time?: UnixSeconds): PoolTicket {
    const ticket = this.#nextTicket();
    const job: TransactionJob = { kind: 'transaction', ticket, tx, test, time, failed: undefined };
    this.#jobs.set(job.ticket, job);
    if (!test) this.#byWtxid.set(tx.wtxid, job);
    this.#remember(tx, test);
    return job.ticket;
  }

  /** A package that waits for its turn; set `failed` to undefined where there is something to verify before. */
  addPackage(txs: readonly Transaction[], options: PackageOptions): PackageJob {
    const ticket = this.#nextTicket();
    const test = options.test ?? false;
    const job: PackageJob = {
      kind: 'package',
      ticket,
      test,
      txs,
      options,
      facts: new Map(),
      proving: [],
      failed: null,
    };
    this.#jobs.set(ticket, job);
    for (const tx of txs) this.#remember(tx, test);
    return job;
  }

  /** A package that was taken out needs more signatures: it stays the first. */
  putBack({ ticket, test, txs, options, facts }: PackageJob, proving: readonly Transaction[]): void {
    const job: PackageJob = { kind: 'package', ticket, test, txs, options, facts, proving, failed: undefined };
    this.#jobs = new Map([[ticket, job], ...this.#jobs]);
    for (const tx of txs) this.#remember(tx, test);
  }

  /** Records an answer. A ticket that is not waiting for one is a bug of the caller. */
  answer(ticket: PoolTicket, failed: number | null): void {
    const job = this.#jobs.get(ticket);
    if (job === undefined || job.failed !== undefined) throw new Error(`ticket ${ticket} is not being verified`);
    job.failed = failed;
  }

  /** Takes out the first job if it has its answer. */
  takeAnswered(): Answered<TransactionJob> | Answered<PackageJob> | undefined {
    const [job] = this.#jobs.values();
    if (job?.failed === undefined) return undefined;
    this.#jobs.delete(job.ticket);
    if (job.kind === 'transaction' && !job.test) this.#byWtxid.delete(job.tx.wtxid);
    for (const tx of job.kind === 'transaction' ? [job.tx] : job.txs) this.#forget(tx, job.test);
    return { ...job, failed: job.failed };
  }

  /** The ticket under which exactly this transaction is being verified. */
  ticketOf(wtxid: Wtxid): PoolTicket | undefined {
    return this.#byWtxid.get(wtxid)?.ticket;
  }

  get(txid: Txid): Transaction | undefined {
    const [tx] = this.#byTxid.get(txid) ?? [];
    return tx;
  }

  #nextTicket(): PoolTicket {
    this.#lastTicket += 1;
    return this.#lastTicket as PoolTicket;
  }

  #remember(tx: Transaction, test: boolean): void {
    this.#bytes += tx.size;
    if (test) return;
    const variants = this.#byTxid.get(tx.txid);
    if (variants === undefined) this.#byTxid.set(tx.txid, new Set([tx]));
    else variants.add(tx);
  }

  #forget(tx: Transaction, test: boolean): void {
    this.#bytes -= tx.size;
    if (test) return;
    const variants = this.#byTxid.get(tx.txid);
    variants?.delete(tx);
    if (variants?.size === 0) this.#byTxid.delete(tx.txid);
  }
}
