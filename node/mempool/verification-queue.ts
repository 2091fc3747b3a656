/**
 * Transactions whose signatures are being verified, in the order in which they were submitted. They settle in that order,
 * whatever the order of the answers, so that the pool comes out as if every transaction had been verified at once; until then
 * their outputs count as coins for those submitted after them.
 */
import type { Brand, Txid, Wtxid } from '../../consensus/brand.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { Limits } from '../limits.ts';

/** A transaction whose signatures are being verified, numbered by the pool. */
export type PoolTicket = Brand<number, 'PoolTicket'>;

export interface VerificationJob {
  readonly ticket: PoolTicket;
  readonly tx: Transaction;
  /** Nobody else sees the outputs of a test. */
  readonly test: boolean;
  /** With a test: earlier members of its package. */
  readonly package: readonly Transaction[];
  /** Undefined until the answer is there: null if all checks hold, else the lowest index of one that does not. */
  failed: number | null | undefined;
}

export class VerificationQueue {
  readonly #limits: Limits;
  // A Map keeps the order of insertion.
  readonly #jobs = new Map<PoolTicket, VerificationJob>();
  readonly #byWtxid = new Map<Wtxid, VerificationJob>();
  /** Transactions that differ in their witnesses alone share a txid. */
  readonly #byTxid = new Map<Txid, Set<VerificationJob>>();
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

  add(tx: Transaction, test: boolean, members: readonly Transaction[]): PoolTicket {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket as PoolTicket;
    const job: VerificationJob = { ticket, tx, test, package: members, failed: undefined };
    this.#jobs.set(ticket, job);
    this.#bytes += tx.size;
    if (test) return ticket;
    this.#byWtxid.set(tx.wtxid, job);
    const variants = this.#byTxid.get(tx.txid);
    if (variants === undefined) this.#byTxid.set(tx.txid, new Set([job]));
    else variants.add(job);
    return ticket;
  }

  /** Records an answer. A ticket that is not waiting for one is a bug of the caller. */
  answer(ticket: PoolTicket, failed: number | null): void {
    const job = this.#jobs.get(ticket);
    if (job === undefined || job.failed !== undefined) throw new Error(`ticket ${ticket} is not being verified`);
    job.failed = failed;
  }

  /** Takes out the first job if it has its answer. */
  takeAnswered(): (VerificationJob & { readonly failed: number | null }) | undefined {
    const [job] = this.#jobs.values();
    if (job?.failed === undefined) return undefined;
    this.#jobs.delete(job.ticket);
    this.#bytes -= job.tx.size;
    if (!job.test) this.#forget(job);
    return { ...job, failed: job.failed };
  }

  /** The ticket under which exactly this transaction is being verified. */
  ticketOf(wtxid: Wtxid): PoolTicket | undefined {
    return this.#byWtxid.get(wtxid)?.ticket;
  }

  get(txid: Txid): Transaction | undefined {
    const [job] = this.#byTxid.get(txid) ?? [];
    return job?.tx;
  }

  #forget(job: VerificationJob): void {
    this.#byWtxid.delete(job.tx.wtxid);
    const variants = this.#byTxid.get(job.tx.txid);
    variants?.delete(job);
    if (variants?.size === 0) this.#byTxid.delete(job.tx.txid);
  }
}
