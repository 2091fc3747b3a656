/**
 * The pool: transactions that could be in the next block. It owns the rules of acceptance in Core's order (RULES.md B1), the
 * transactions under verification, what a change of the chain does to the pool, eviction and expiry (B4).
 *
 * Every transaction is judged twice: before its signatures are verified, so that nobody can make us verify what we would
 * refuse anyway, and again when the answer is there, because the chain or the pool may have changed meanwhile. Conflicts with
 * transactions under verification are decided the second time only: one with a false signature must not keep out another.
 *
 * It does not own: relay and requests (relay.ts), orphans (orphans.ts), how a refused sender is treated.
 */
import { isP2tr } from '../../consensus/address.ts';
import type { Block } from '../../consensus/block.ts';
import {
  type Bytes,
  fail,
  type OutPointKey,
  ok,
  outPointKey,
  type Result,
  type ScriptHash,
  type Txid,
  type Wtxid,
} from '../../consensus/brand.ts';
import {
  checkInputs,
  checkTransaction,
  isFinal,
  sequenceLocksMet,
  signatureChecks,
} from '../../consensus/check-transaction.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { type Reject, reject, rejectScript } from '../../consensus/reject.ts';
import { type Coin, isCoinbase, prevoutKey, type Transaction, vsizeOf, weightOf } from '../../consensus/transaction.ts';
import type { Now, UnixSeconds } from '../boundary.ts';
import type { ChainUpdate, ChainView } from '../chain/chain-state.ts';
import type { Limits } from '../limits.ts';
import { BoundedSet } from './bounded-set.ts';
import { checkChainLimits } from './chain-limits.ts';
import type { Entry } from './entry.ts';
import { FeeDeltas } from './fee-deltas.ts';
import { type EstimateMode, type FeeEstimate, FeeEstimator } from './fee-estimator.ts';
import {
  ancestorsOf,
  descendantsOf,
  type GraphEntry,
  makeEntry,
  TransactionGraph,
  withAncestors,
  withDescendants,
} from './graph.ts';
import { Heap } from './heap.ts';
import {
  acceptPackage,
  checkFamily,
  checkTogether,
  checkWellFormed,
  type PackageResult,
  type PoolAccess,
  type Prechecked,
  testPackage,
} from './packages.ts';
import { CHAIN_LIMITS, checkStandard, feeFor, feerateOf, MIN_RELAY_FEERATE } from './policy.ts';
import { checkReplacement } from './replacement.ts';
import { RollingMinimum } from './rolling-minimum.ts';
import { ScriptIndex } from './script-index.ts';
import { type SelectOptions, scoreOf, selectForBlock } from './selection.ts';
import { checkTruc, TRUC_VERSION } from './truc.ts';
import { type PackageJob, type PoolTicket, type TransactionJob, VerificationQueue } from './verification-queue.ts';

export type { PoolTicket } from './verification-queue.ts';

/** Outputs of a transaction that are looked up to find out that it is confirmed already: one unspent is enough. */
const KNOWN_OUTPUT_LOOKUPS = 16;
/** What an entry, an input and an output take in memory besides the serialized bytes; measured on 64 bits. */
const ENTRY_MEMORY = 2000;
const INPUT_MEMORY = 1000;
const OUTPUT_MEMORY = 700;

export interface SubmitOptions {
  /** Only find out whether it would be accepted: nothing is kept, nobody else sees it. */
  readonly test?: boolean;
  /** When it entered an earlier run of the node: it is not younger for that. */
  readonly time?: UnixSeconds;
}

export interface PackageOptions {
  /** Only find out whether all would be accepted one after the other, each for its own fee: nothing is kept. */
  readonly test?: boolean;
  /** A member whose feerate is higher is refused: satoshis per 1000 virtual bytes, 0n for no limit. */
  readonly maxFeeRate?: bigint;
  /** Signatures are verified only where fees and limits let the whole enter: a peer cannot make us work for nothing. */
  readonly cheapFirst?: boolean;
}

/** What `submitPackage` says at once. */
export type PackageVerdict =
  | { readonly type: 'settled'; readonly result: PackageResult }
  /** Verify these checks and tell `onVerified`. */
  | { readonly type: 'verify'; readonly ticket: PoolTicket; readonly checks: Bytes }
  /** Its turn comes when all that were submitted before it have settled: `onVerified` goes on with it. */
  | { readonly type: 'waits'; readonly ticket: PoolTicket }
  /** As for a single transaction. */
  | { readonly type: 'busy' };

/** A transaction that passed everything. With `test` the entry was made up and is not in the pool. */
export interface Accepted {
  readonly type: 'accepted';
  readonly entry: Entry;
  /** What it replaced (RULES B3), descendants included. */
  readonly replaced: readonly Entry[];
  /** What expired or was evicted on this occasion, if anything. */
  readonly left?: readonly Entry[];
}

export interface Rejected {
  readonly type: 'rejected';
  readonly reject: Reject;
  /** Where coins are missing: the transactions that would bring them, each once. */
  readonly missing?: readonly Txid[];
}

/** What `submit` says at once. */
export type Verdict =
  | Rejected
  /** Its signatures were known to hold. */
  | Accepted
  /** Verify these checks and tell `onVerified`. */
  | {
      readonly type: 'verify';
      readonly ticket: PoolTicket;
      readonly checks: Bytes;
      readonly fee: bigint;
      readonly vsize: number;
    }
  /** The same transaction is being verified. A peer's copy can be dropped; a user waits for the ticket and submits again. */
  | { readonly type: 'pending'; readonly ticket: PoolTicket }
  /** Too much is being verified. Nothing was recorded: submit it again after the next `onVerified`. */
  | { readonly type: 'busy' };

/** How a transaction under verification ended. */
export interface Settled {
  readonly type: 'transaction';
  readonly ticket: PoolTicket;
  readonly tx: Transaction;
  readonly test: boolean;
  readonly result: Accepted | Rejected;
}

/** How a package goes on. */
export interface PackageStep {
  readonly type: 'package';
  readonly ticket: PoolTicket;
  /** Settled, or there are more signatures to verify under the same ticket. */
  readonly verdict: Extract<PackageVerdict, { type: 'settled' | 'verify' }>;
}

/** What a change of the chain did to the pool. */
export interface PoolUpdate {
  /** Transactions of disconnected blocks that are in the pool again, parents first. */
  readonly returned: readonly Entry[];
  /** What left the pool without being confirmed: conflicts with the new blocks, or no longer valid. With descendants. */
  readonly removed: readonly Entry[];
}

/** A transaction that may enter, but for what it replaces. */
interface Newcomer extends Prechecked {
  readonly fee: bigint;
  readonly coins: readonly Coin[];
  /** The other child of a version 3 parent, to be replaced though they share no coin. */
  readonly sibling: GraphEntry | undefined;
}

/** A transaction that may enter, and what must leave for it. */
interface Candidate extends Newcomer {
  readonly replaced: ReadonlySet<GraphEntry>;
}

/** In what company a transaction comes: the rules differ. */
interface Company {
  /** No minimum fee and no eviction: the transaction was in a block. */
  readonly bypassLimits?: boolean;
  /** It is a member of a package: Core's exceptions for those that come alone do not apply. */
  readonly member?: boolean;
  /** The minimum of the pool is asked of the whole package. */
  readonly paidTogether?: boolean;
  /** It may not conflict with anything. */
  readonly mayNotReplace?: boolean;
  /** It may not take the place of the other child of its parent. */
  readonly keepsSiblings?: boolean;
  /** As in PackageOptions. */
  readonly maxFeeRate?: bigint | undefined;
}

/** Outputs of these count as coins besides those of the pool and the chain. */
type Parents = (txid: Txid) => Transaction | undefined;

const NO_PARENTS: Parents = () => undefined;
const ALONE: Company = {};

export class Mempool {
  readonly #limits: Limits;
  readonly #graph = new TransactionGraph();
  readonly #queue: VerificationQueue;
  readonly #scripts = new ScriptIndex();
  /** What to evict first: the least of own and descendants' feerate, the latest first among equals. */
  readonly #eviction = new Heap<GraphEntry>();
  /** What to mine first: the best score, the oldest first among equals. */
  readonly #ranking = new Heap<GraphEntry>();
  /** Entries that a shorter chain, or one with earlier times, can make invalid: locked ones and spenders of coinbases. */
  readonly #timed = new Set<GraphEntry>();
  /** Signatures that hold, of transactions that are not in the pool. That they hold never changes. */
  readonly #verified: BoundedSet<Wtxid>;
  readonly #minimum = new RollingMinimum();
  #lastSequence = 0;
  #bytes = 0;
  #memory = 0;
  #totalFee = 0n;
  readonly #deltas: FeeDeltas;
  readonly #estimator = new FeeEstimator();
  #prioritised = 0;

  /** `feeDeltas`: the row FEE_DELTAS_KEY of the store. */
  constructor(options: { readonly limits: Limits; readonly feeDeltas?: Bytes | undefined }) {
    this.#limits = options.limits;
    this.#deltas = new FeeDeltas(options.feeDeltas);
    this.#queue = new VerificationQueue(options.limits);
    this.#verified = new BoundedSet(options.limits.verifiedTx);
  }

  // What happens

  /** Checks a transaction against the pool and the committed chain. */
  submit(tx: Transaction, view: ChainView, now: Now, options: SubmitOptions = {}): Verdict {
    const ticket = this.#queue.ticketOf(tx.wtxid);
    if (ticket !== undefined) return { type: 'pending', ticket };
    const test = options.test ?? false;
    const fault = checkAlone(tx);
    if (fault !== null) return rejected(fault);
    const judged = this.#judge(tx, view, now, (txid) => this.#queue.get(txid), ALONE);
    if (!judged.ok) return judged.error;
    const candidate = judged.value;
    // While others are being verified it must wait for its turn, though nothing is left to verify.
    if (this.#queue.size === 0 && this.#verified.has(tx.wtxid))
      return this.#settle(candidate, test, view, now, options.time);
    if (!this.#queue.hasRoomFor(tx)) return { type: 'busy' };
    const checks = signatureChecks(tx, candidate.coins);
    if (!checks.ok) return rejected(checks.error);
    const { fee, vsize } = candidate;
    return { type: 'verify', ticket: this.#queue.add(tx, test, options.time), checks: checks.value, fee, vsize };
  }

  /**
   * All signatures of a ticket hold (null), or the lowest index of one that does not. Tickets settle in the order of
   * `submit`: none or several at once.
   */
  onVerified(ticket: PoolTicket, failed: number | null, view: ChainView, now: Now): readonly (Settled | PackageStep)[] {
    this.#queue.answer(ticket, failed);
    const settled: (Settled | PackageStep)[] = [];
    for (let job = this.#queue.takeAnswered(); job !== undefined; job = this.#queue.takeAnswered()) {
      if (job.kind === 'package') {
        settled.push(this.#continuePackage(job, view, now));
        continue;
      }
      const result = job.failed === null ? this.#conclude(job, view, now) : badSignature(job.failed);
      settled.push({ type: 'transaction', ticket: job.ticket, tx: job.tx, test: job.test, result });
    }
    return settled;
  }

  /**
   * Checks transactions against the pool and the chain together: a child with its unconfirmed parents, parents first, or with
   * `test` any that do not conflict. RULES.md B5.
   */
  submitPackage(txs: readonly Transaction[], view: ChainView, now: Now, options: PackageOptions = {}): PackageVerdict {
    const isConfirmed = (input: Transaction['inputs'][number]) => view.coin(prevoutKey(input)) !== undefined;
    const malformed = checkWellFormed(txs) ?? (options.test === true ? null : checkFamily(txs, isConfirmed));
    if (malformed !== null) return { type: 'settled', result: { reject: malformed, members: new Map() } };
    if (this.#queue.size > 0) {
      if (!txs.every((tx) => this.#queue.hasRoomFor(tx))) return { type: 'busy' };
      return { type: 'waits', ticket: this.#queue.addPackage(txs, options).ticket };
    }
    const facts = new Map<Wtxid, Reject | null>();
    const next = this.#judgePackage({ txs, options, facts }, view, now);
    if (next.type === 'settled') return next;
    const job = this.#queue.addPackage(txs, options);
    for (const [wtxid, fact] of facts) job.facts.set(wtxid, fact);
    job.proving = next.proving;
    job.failed = undefined;
    return { type: 'verify', ticket: job.ticket, checks: next.checks };
  }

  /**
   * Adds to the fee by which a transaction is judged, or takes off, whether it is in the pool or comes later; until it is
   * confirmed. False where too many have such a delta.
   */
  prioritise(txid: Txid, satoshis: bigint): boolean {
    if (!this.#deltas.add(txid, satoshis)) return false;
    this.#prioritised += 1;
    const entry = this.#graph.get(txid);
    if (entry !== undefined) this.#applyDelta(entry);
    return true;
  }

  /** The transactions whose fees were changed, in the pool or not, with what was added. */
  feeDeltas(): Iterable<readonly [Txid, bigint]> {
    return this.#deltas.entries();
  }

  /** What the row FEE_DELTAS_KEY must become: null to delete it, undefined if it need not change. */
  feeDeltasRow(): Bytes | null | undefined {
    return this.#deltas.row();
  }

  /** Call it once per ChainUpdate, with the view after it: the pool is consistent with the new tip when it returns. */
  onChainUpdate(update: ChainUpdate, view: ChainView, now: Now): PoolUpdate {
    const removed: GraphEntry[] = [];
    const confirmed = new Set<Txid>();
    for (const [index, { block }] of update.connected.entries()) {
      for (const { txid } of block.transactions) confirmed.add(txid);
      this.#estimator.onBlock(
        view.height - update.connected.length + 1 + index,
        block.transactions.map(({ txid }) => txid),
      );
      removed.push(...this.#confirm(block));
    }
    if (update.connected.length > 0) this.#minimum.onBlock(now.unix);

    const returned: GraphEntry[] = [];
    if (update.disconnected.length > 0) {
      const returning = this.#returning(update, confirmed);
      for (const tx of returning.lost) removed.push(...this.#drop(this.#graph.spendersOf(tx)));
      for (const tx of returning.transactions) {
        const entry = this.#returnToPool(tx, view, now);
        if (entry === undefined) removed.push(...this.#drop(this.#graph.spendersOf(tx)));
        else returned.push(entry);
      }
      removed.push(...this.#drop(overLimits(returned)));
      removed.push(...this.#drop([...this.#timed].filter((entry) => !this.#isStillValid(entry, view))));
      removed.push(...this.#trim(now));
    }
    return { returned: returned.filter((entry) => this.#graph.get(entry.tx.txid) === entry), removed };
  }

  // What others ask

  get(txid: Txid): Entry | undefined {
    return this.#graph.get(txid);
  }

  getByWtxid(wtxid: Wtxid): Entry | undefined {
    return this.#graph.getByWtxid(wtxid);
  }

  /**
   * There is no need to ask for it: it is in the pool, or exactly this transaction is being verified. One that is being
   * verified and known by its txid alone might have false witnesses, so that the right one is still wanted.
   */
  has(kind: 'txid' | 'wtxid', hash: string): boolean {
    if (kind === 'txid') return this.#graph.get(hash as Txid) !== undefined;
    return this.#graph.getByWtxid(hash as Wtxid) !== undefined || this.#queue.ticketOf(hash as Wtxid) !== undefined;
  }

  /** The pool transaction that spends this outpoint. */
  spender(key: OutPointKey): Entry | undefined {
    return this.#graph.spender(key);
  }

  /**
   * The coin as a transaction of the next block would see it: outputs of pool transactions, with the height of that block, on
   * top of the chain. It may be spent by a pool transaction: see `spender`.
   */
  coin(key: OutPointKey, view: ChainView): Coin | undefined {
    const [txid, vout] = key.split(':');
    const entry = this.#graph.get(txid as Txid);
    return entry === undefined ? view.coin(key) : unconfirmedCoin(entry.tx, Number(vout), view);
  }

  /** Pool transactions that pay to or spend from a script, in the order in which they entered. */
  byScript(hash: ScriptHash): readonly Entry[] {
    return this.#scripts.get(hash);
  }

  /** All entries in the order in which they entered. */
  entries(): Iterable<Entry> {
    return this.#graph.entries();
  }

  /** All ancestors of an entry in the pool, without itself. */
  ancestors(entry: Entry): readonly Entry[] {
    return [...ancestorsOf(entry as GraphEntry)];
  }

  /** All descendants of an entry in the pool, without itself. */
  descendants(entry: Entry): readonly Entry[] {
    return [...descendantsOf(entry as GraphEntry)];
  }

  /** True if the signatures of this transaction are known to hold: it is in the pool, or was verified lately. */
  verified(wtxid: Wtxid): boolean {
    return this.#graph.getByWtxid(wtxid) !== undefined || this.#verified.has(wtxid);
  }

  /** Number of transactions in the pool. */
  get size(): number {
    return this.#graph.size;
  }

  /** Counts all that ever entered, left or was prioritised: it differs whenever the pool is another one. */
  get changes(): number {
    return 2 * this.#lastSequence - this.size + this.#prioritised;
  }

  /** Sum of their virtual sizes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** An estimate of the memory they take; bounded by limits.mempoolBytes. */
  get memory(): number {
    return this.#memory;
  }

  /** Sum of their fees in satoshis. */
  get totalFee(): bigint {
    return this.#totalFee;
  }

  /** Transactions whose signatures are being verified. */
  get verifying(): number {
    return this.#queue.size;
  }

  /** What a transaction must pay to enter, satoshis per 1000 virtual bytes: the relay minimum, or more after the pool was full. */
  minFeeRate(now: Now): number {
    return Math.max(this.#rollingMinimum(now), MIN_RELAY_FEERATE);
  }

  /** What confirms within so many blocks, satoshis per 1000 virtual bytes: never less than it takes to enter. */
  estimateFee(target: number, mode: EstimateMode, now: Now): FeeEstimate {
    const { feerate, blocks } = this.#estimator.estimate(target, mode);
    return { feerate: feerate === undefined ? undefined : Math.max(feerate, this.minFeeRate(now)), blocks };
  }

  /** The same for callers that must have an answer: without enough data, what it takes to enter. */
  feeRateFor(target: number, now: Now): number {
    return this.estimateFee(target, 'economical', now).feerate ?? this.minFeeRate(now);
  }

  /** Entries for a block, parents first, those that pay best. */
  select(options: SelectOptions): readonly Entry[] {
    return selectForBlock(this.#ranking.inOrder(), options);
  }

  // Acceptance

  /** The rows of RULES.md B1 that need the pool and the chain, in their order. */
  #judge(tx: Transaction, view: ChainView, now: Now, parents: Parents, company: Company): Result<Candidate, Rejected> {
    const checked = this.#precheck(tx, view, now, parents, company);
    if (!checked.ok) return checked;
    const { modifiedFee, vsize, conflicts, sibling } = checked.value;
    const direct = sibling === undefined ? conflicts : new Set([...conflicts, sibling]);
    if (direct.size === 0) return ok({ ...checked.value, replaced: direct });
    const siblingEviction = sibling !== undefined;
    const replaced = checkReplacement({ tx, fee: modifiedFee, vsize, direct, siblingEviction }, this.#graph);
    return replaced.ok ? ok({ ...checked.value, replaced: replaced.value }) : refuse(replaced.error);
  }

  /** The same without row 24. */
  #precheck(
    tx: Transaction,
    view: ChainView,
    now: Now,
    parentsBesides: Parents,
    company: Company,
  ): Result<Newcomer, Rejected> {
    const height = view.height + 1;
    const { medianTimePast } = view;
    if (!isFinal(tx, height, medianTimePast)) return refuse(reject('premature', 'non-final'));
    if (this.#graph.getByWtxid(tx.wtxid) !== undefined) return refuse(reject('policy', 'txn-already-in-mempool'));
    if (this.#graph.get(tx.txid) !== undefined) return refuse(reject('policy', 'txn-same-nonwitness-data-in-mempool'));
    // Row 12 refuses in tests of packages only: every transaction may be replaced ("full RBF").
    const conflicts = this.#graph.conflictsOf(tx);
    if (conflicts.size > 0 && company.mayNotReplace === true) {
      return refuse(reject('policy', 'bip125-replacement-disallowed'));
    }

    const found = this.#findCoins(tx, view, parentsBesides);
    if (!found.ok) return found;
    const coins = found.value;
    const medianTimePastAt = (at: number) => view.medianTimePastAt(at);
    if (!sequenceLocksMet(tx, coins, { height, medianTimePast, medianTimePastAt })) {
      return refuse(reject('premature', 'non-BIP68-final'));
    }
    const amounts = checkInputs(tx, coins, height);
    if (!amounts.ok) return refuse(amounts.error);
    const fee = amounts.value;
    // Only a data output of a pool transaction can be such a coin; in the chain it is none. No witness belongs to it.
    if (!coins.every(({ scriptPubKey }) => isP2tr(scriptPubKey))) {
      return refuse(reject('policy', 'bad-witness-nonstandard'));
    }

    const vsize = vsizeOf(tx);
    const modifiedFee = fee + this.#deltas.get(tx.txid);
    const tooCheap = company.bypassLimits === true ? null : this.#checkFee(tx, modifiedFee, vsize, now, company);
    if (tooCheap !== null) return refuse(tooCheap);
    const parents = this.#graph.parentsOf(tx);
    const alone = company.member !== true;
    const tooLong = checkChainLimits({ version: tx.version, vsize, parents, conflicts, alone });
    if (tooLong !== null) return refuse(tooLong);
    const ancestors = withAncestors(parents);
    const truc = checkTruc(tx, vsize, ancestors, conflicts);
    const sibling = company.keepsSiblings === true ? undefined : truc.sibling;
    if (truc.reject !== null && sibling === undefined) return refuse(truc.reject);
    for (const ancestor of ancestors) {
      if (!conflicts.has(ancestor)) continue;
      const detail = `${tx.txid} spends conflicting transaction ${ancestor.tx.txid}`;
      return refuse(reject('consensus', 'bad-txns-spends-conflicting-tx', detail));
    }
    const { maxFeeRate = 0n } = company;
    if (maxFeeRate > 0n && BigInt(feerateOf(modifiedFee, vsize)) > maxFeeRate) {
      return refuse(reject('policy', 'max feerate exceeded'));
    }
    return ok({ tx, fee, modifiedFee, vsize, coins, ancestors, conflicts, sibling });
  }

  /** Row 13: the coin of each input. */
  #findCoins(tx: Transaction, view: ChainView, parents: Parents): Result<readonly Coin[], Rejected> {
    const coins: Coin[] = [];
    const missing = new Set<Txid>();
    for (const input of tx.inputs) {
      const { txid, vout } = input.prevout;
      const parent = this.#graph.get(txid)?.tx ?? parents(txid);
      const coin = parent === undefined ? view.coin(prevoutKey(input)) : unconfirmedCoin(parent, vout, view);
      if (coin === undefined) missing.add(txid);
      else coins.push(coin);
    }
    if (missing.size === 0) return ok(coins);
    // They are missing because the transaction itself was mined, perhaps.
    const lookups = Math.min(tx.outputs.length, KNOWN_OUTPUT_LOOKUPS);
    for (let vout = 0; vout < lookups; vout++) {
      if (view.coin(outPointKey(tx.txid, vout)) !== undefined) return refuse(reject('policy', 'txn-already-known'));
    }
    const why = reject('missing-inputs', 'bad-txns-inputs-missingorspent');
    return fail({ type: 'rejected', reject: why, missing: [...missing] });
  }

  /** Rows 19 and 20. Version 3 is excused from row 19, but not from the same minimum in row 20. */
  #checkFee(tx: Transaction, fee: bigint, vsize: number, now: Now, company: Company): Reject | null {
    const relayFee = feeFor(MIN_RELAY_FEERATE, vsize);
    if (fee < relayFee && tx.version !== TRUC_VERSION) {
      return reject('policy', 'min relay fee not met', `${fee} < ${relayFee}`);
    }
    return company.paidTogether === true ? null : this.#checkMinimum(fee, vsize, now);
  }

  /** Row 20, for a transaction or a package. */
  #checkMinimum(fee: bigint, vsize: number, now: Now): Reject | null {
    const poolFee = feeFor(this.#rollingMinimum(now), vsize);
    if (fee < poolFee) return reject('reconsiderable', 'mempool min fee not met', `${fee} < ${poolFee}`);
    const relayFee = feeFor(MIN_RELAY_FEERATE, vsize);
    return fee < relayFee ? reject('reconsiderable', 'min relay fee not met', `${fee} < ${relayFee}`) : null;
  }

  #rollingMinimum(now: Now): number {
    return this.#minimum.feerate(now.unix, this.#memory / this.#limits.mempoolBytes);
  }

  /** Its signatures hold: judge it again where things stand now. */
  #conclude(job: TransactionJob, view: ChainView, now: Now): Accepted | Rejected {
    this.#verified.add(job.tx.wtxid);
    // All that were submitted before it are settled; those after it are none of its parents.
    const judged = this.#judge(job.tx, view, now, NO_PARENTS, ALONE);
    return judged.ok ? this.#settle(judged.value, job.test, view, now, job.time) : judged.error;
  }

  #settle(
    candidate: Candidate,
    test: boolean,
    view: ChainView,
    now: Now,
    time: UnixSeconds | undefined,
  ): Accepted | Rejected {
    const replaced = [...candidate.replaced];
    if (test) return { type: 'accepted', entry: this.#entryOf(candidate, view, now, 0), replaced };
    this.#remove(candidate.replaced);
    const entry = this.#insert(candidate, view, now, time);
    // One that others pay for, or that the user favours, says nothing of what others have to pay.
    if (entry.parents.size === 0 && entry.modifiedFee === entry.fee) {
      this.#estimator.onEntry(entry.tx.txid, feerateOf(entry.fee, entry.vsize), entry.height);
    }
    const left = this.#trim(now);
    if (this.#graph.get(entry.tx.txid) !== entry) return rejected(reject('reconsiderable', 'mempool full'));
    return { type: 'accepted', entry, replaced, ...(left.length === 0 ? {} : { left }) };
  }

  // Packages

  /** Its turn has come, or the answer to what it had verified. */
  #continuePackage(job: PackageJob & { readonly failed: number | null }, view: ChainView, now: Now): PackageStep {
    let first = 0;
    for (const { wtxid, inputs } of job.proving) {
      const index = job.failed === null ? -1 : job.failed - first;
      if (index >= inputs.length || index < 0) job.facts.set(wtxid, null);
      else job.facts.set(wtxid, badSignature(index).reject);
      first += inputs.length;
      // Of those behind it nothing is known.
      if (job.failed !== null && first > job.failed) break;
    }
    const next = this.#judgePackage(job, view, now);
    const { ticket } = job;
    if (next.type === 'settled') return { type: 'package', ticket, verdict: next };
    this.#queue.putBack(job, next.proving);
    return { type: 'package', ticket, verdict: { type: 'verify', ticket, checks: next.checks } };
  }

  /** The result, or the signatures that must be verified before there can be one. */
  #judgePackage(
    job: Pick<PackageJob, 'txs' | 'options' | 'facts'>,
    view: ChainView,
    now: Now,
  ):
    | { readonly type: 'settled'; readonly result: PackageResult }
    | { readonly type: 'verify'; readonly proving: readonly Transaction[]; readonly checks: Bytes } {
    const { txs, options, facts } = job;
    const access = this.#accessFor(job, view, now);
    if (options.cheapFirst === true && !txs.some((tx) => access.judge(tx).ok)) {
      const hopeless = checkTogether(txs, access);
      if (!hopeless.ok) return { type: 'settled', result: hopeless.error };
    }
    const proving: Transaction[] = [];
    const checks: Bytes[] = [];
    for (const tx of txs) {
      const checksOfOne = facts.has(tx.wtxid) ? undefined : this.#checksOf(tx, txs, view);
      if (checksOfOne === undefined) continue;
      if (!checksOfOne.ok) facts.set(tx.wtxid, checksOfOne.error);
      else if (checksOfOne.value.length === 0) facts.set(tx.wtxid, null);
      else {
        proving.push(tx);
        checks.push(checksOfOne.value);
      }
    }
    if (proving.length > 0) return { type: 'verify', proving, checks: concatBytes(...checks) };
    const result = options.test === true ? testPackage(txs, access) : acceptPackage(txs, access);
    return { type: 'settled', result };
  }

  /** The signature checks of a member: none if they are known to hold, undefined where it is refused without them. */
  #checksOf(tx: Transaction, members: readonly Transaction[], view: ChainView): Result<Bytes, Reject> | undefined {
    if (this.#graph.get(tx.txid) !== undefined || checkAlone(tx) !== null) return undefined;
    if (this.#verified.has(tx.wtxid)) return ok(new Uint8Array(0));
    const found = this.#findCoins(tx, view, (txid) => members.find((member) => member.txid === txid));
    if (!found.ok || !found.value.every(({ scriptPubKey }) => isP2tr(scriptPubKey))) return undefined;
    return signatureChecks(tx, found.value);
  }

  #accessFor(
    { txs, options, facts }: Pick<PackageJob, 'txs' | 'options' | 'facts'>,
    view: ChainView,
    now: Now,
  ): PoolAccess<Newcomer> {
    const { maxFeeRate } = options;
    const members: Parents = (txid) => txs.find((tx) => tx.txid === txid);
    const together: Company =
      options.test === true
        ? { member: true, keepsSiblings: true, mayNotReplace: true }
        : { member: true, keepsSiblings: true, paidTogether: true, maxFeeRate };
    // A member whose coins are found has been looked into: see #judgePackage.
    const checkSignatures = (tx: Transaction) => facts.get(tx.wtxid) ?? null;
    const precheck = (tx: Transaction, parents: Parents, company: Company): Result<Newcomer, Reject> => {
      const fault = checkAlone(tx);
      if (fault !== null) return fail(fault);
      const checked = this.#precheck(tx, view, now, parents, company);
      return checked.ok ? checked : fail(checked.error.reject);
    };
    return {
      get: (txid) => this.#graph.get(txid),
      judge: (tx) => {
        const fault = checkAlone(tx);
        if (fault !== null) return fail(fault);
        const judged = this.#judge(tx, view, now, NO_PARENTS, { member: true, maxFeeRate });
        if (!judged.ok) return fail(judged.error.reject);
        const why = checkSignatures(tx);
        return why === null ? ok({ candidate: judged.value, replaced: judged.value.replaced }) : fail(why);
      },
      precheck: (tx) => precheck(tx, members, together),
      checkFee: (fee, vsize) => this.#checkMinimum(fee, vsize, now),
      checkSignatures,
      parentsOf: (tx) => this.#graph.parentsOf(tx),
      remove: (entries) => this.#remove(entries),
      insert: (candidate) => this.#insert(candidate, view, now),
      makeUp: (candidate) => this.#entryOf(candidate, view, now, 0),
      trim: () => this.#trim(now),
    };
  }

  #applyDelta(entry: GraphEntry): void {
    const modifiedFee = entry.fee + this.#deltas.get(entry.tx.txid);
    for (const changed of this.#graph.prioritise(entry, modifiedFee)) this.#rank(changed);
  }

  // Changes of the chain

  /** Takes out what the block confirms, and what conflicts with it; returns the latter. */
  #confirm(block: Block): GraphEntry[] {
    for (const { txid } of block.transactions) this.#deltas.delete(txid);
    if (this.#graph.size === 0) return [];
    const confirmed = new Set<GraphEntry>();
    for (const { txid } of block.transactions) {
      const entry = this.#graph.get(txid);
      if (entry !== undefined) confirmed.add(entry);
    }
    this.#remove(confirmed);
    const conflicts = new Set<GraphEntry>();
    for (const tx of block.transactions) for (const entry of this.#graph.conflictsOf(tx)) conflicts.add(entry);
    return this.#drop(conflicts);
  }

  /**
   * The transactions of disconnected blocks that the new branch does not confirm, in the order of the chain; and those that
   * are lost: coinbases, and the newest of more than limits.maxReturnedTxBytes.
   */
  #returning(update: ChainUpdate, confirmed: ReadonlySet<Txid>): { transactions: Transaction[]; lost: Transaction[] } {
    const transactions: Transaction[] = [];
    const lost: Transaction[] = [];
    let bytes = 0;
    for (const { block } of update.disconnected.toReversed()) {
      for (const tx of block.transactions) {
        // Their signatures were checked when the block was connected.
        if (!isCoinbase(tx)) this.#verified.add(tx.wtxid);
        if (confirmed.has(tx.txid)) continue;
        if (!isCoinbase(tx)) bytes += tx.size;
        const kept = !isCoinbase(tx) && bytes <= this.#limits.maxReturnedTxBytes;
        (kept ? transactions : lost).push(tx);
      }
    }
    return { transactions, lost };
  }

  /** The rules of relay apply to it again, but for the minimum fee. Undefined where it can never be mined as things stand. */
  #returnToPool(tx: Transaction, view: ChainView, now: Now): GraphEntry | undefined {
    if (checkAlone(tx) !== null) return undefined;
    const judged = this.#judge(tx, view, now, NO_PARENTS, { bypassLimits: true });
    if (!judged.ok) return undefined;
    this.#remove(judged.value.replaced);
    return this.#insert(judged.value, view, now);
  }

  #isStillValid({ tx }: GraphEntry, view: ChainView): boolean {
    const height = view.height + 1;
    const { medianTimePast } = view;
    const found = this.#findCoins(tx, view, NO_PARENTS);
    if (!found.ok || !isFinal(tx, height, medianTimePast)) return false;
    const medianTimePastAt = (at: number) => view.medianTimePastAt(at);
    return (
      sequenceLocksMet(tx, found.value, { height, medianTimePast, medianTimePastAt }) &&
      checkInputs(tx, found.value, height).ok
    );
  }

  // Bookkeeping

  #entryOf(candidate: Newcomer, view: ChainView, now: Now, sequence: number): GraphEntry {
    const { tx, fee, modifiedFee, vsize, coins } = candidate;
    const [time, { height }] = [now.unix, view];
    return makeEntry({ tx, fee, modifiedFee, vsize, weight: weightOf(tx), coins, time, height, sequence });
  }

  #insert(candidate: Newcomer, view: ChainView, now: Now, time = now.unix): GraphEntry {
    this.#lastSequence += 1;
    const entry = this.#entryOf(candidate, view, { ...now, unix: time }, this.#lastSequence);
    for (const changed of this.#graph.add(entry)) this.#rank(changed);
    this.#rank(entry);
    this.#scripts.add(entry);
    if (isTimed(entry)) this.#timed.add(entry);
    this.#verified.delete(entry.tx.wtxid);
    this.#count(entry, 1);
    return entry;
  }

  #remove(entries: ReadonlySet<GraphEntry>): void {
    if (entries.size === 0) return;
    const changed = this.#graph.remove(entries);
    for (const entry of entries) {
      this.#eviction.delete(entry);
      this.#ranking.delete(entry);
      this.#scripts.delete(entry);
      this.#timed.delete(entry);
      this.#estimator.onLeft(entry.tx.txid);
      this.#verified.add(entry.tx.wtxid);
      this.#count(entry, -1);
    }
    for (const entry of changed) this.#rank(entry);
  }

  /** Removes entries with all their descendants and returns them. */
  #drop(entries: Iterable<GraphEntry>): GraphEntry[] {
    const all = withDescendants(entries);
    this.#remove(all);
    return [...all];
  }

  #count(entry: GraphEntry, sign: 1 | -1): void {
    this.#bytes += sign * entry.vsize;
    this.#memory += sign * memoryOf(entry.tx);
    this.#totalFee += BigInt(sign) * entry.fee;
  }

  /** Its relatives have changed: when is it mined, when evicted? */
  #rank(entry: GraphEntry): void {
    const { modifiedFee, vsize, descendants } = entry;
    entry.score = scoreOf(entry, entry.ancestors);
    this.#ranking.set(entry, -entry.score, entry.sequence);
    const worth = Math.max(Number(modifiedFee) / vsize, Number(descendants.fees) / descendants.vsize);
    this.#eviction.set(entry, worth, -entry.sequence);
  }

  /** Expires what is too old, and evicts what pays worst until the rest fits. Returns what left. */
  #trim(now: Now): GraphEntry[] {
    const removed: GraphEntry[] = [];
    const oldest = now.unix - this.#limits.mempoolExpirySeconds;
    for (const entry of this.#graph.entries()) {
      if (entry.time >= oldest) break;
      removed.push(...this.#drop([entry]));
    }
    while (this.#memory > this.#limits.mempoolBytes) {
      const worst = this.#eviction.peek();
      if (worst === undefined) break;
      this.#minimum.onEvicted(feerateOf(worst.descendants.fees, worst.descendants.vsize));
      removed.push(...this.#drop([worst]));
    }
    return removed;
  }
}

/** Rows 1 to 9 of B1: what a transaction is refused for whatever the state of chain and pool. */
function checkAlone(tx: Transaction): Reject | null {
  return checkTransaction(tx) ?? (isCoinbase(tx) ? reject('consensus', 'coinbase') : checkStandard(tx));
}

/** Row 25, by what a worker found: there is one check per input. */
function badSignature(input: number): Rejected {
  return rejected(rejectScript('Invalid Schnorr signature', `input ${input}`));
}

function rejected(why: Reject): Rejected {
  return { type: 'rejected', reject: why };
}

function refuse(why: Reject): Result<never, Rejected> {
  return fail(rejected(why));
}

/** An output of an unconfirmed transaction as a coin: it counts as mined in the next block. */
function unconfirmedCoin(tx: Transaction, vout: number, view: ChainView): Coin | undefined {
  const output = tx.outputs[vout];
  if (output === undefined) return undefined;
  return { value: output.value, scriptPubKey: output.scriptPubKey, height: view.height + 1, coinbase: false };
}

/** Entries under a returned one that have more ancestors than the limits allow, now that it is there. */
function overLimits(returned: readonly GraphEntry[]): Set<GraphEntry> {
  const over = new Set<GraphEntry>();
  for (const entry of withDescendants(returned.filter(({ children }) => children.size > 0))) {
    const { count, vsize } = entry.ancestors;
    if (count > CHAIN_LIMITS.ancestors || vsize > CHAIN_LIMITS.ancestorVsize) over.add(entry);
  }
  return over;
}

function isTimed({ tx, coins }: GraphEntry): boolean {
  // Without a lock time and without a relative lock the rules of time ask nothing (`isFinal`, `sequenceLocksMet`).
  const relative = tx.version >= 2 && tx.inputs.some(({ sequence }) => sequence < 0x80000000);
  return tx.lockTime !== 0 || relative || coins.some(({ coinbase }) => coinbase);
}

function memoryOf(tx: Transaction): number {
  return ENTRY_MEMORY + tx.size + tx.inputs.length * INPUT_MEMORY + tx.outputs.length * OUTPUT_MEMORY;
}
