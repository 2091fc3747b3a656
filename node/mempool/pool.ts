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
import { type Reject, reject, rejectScript } from '../../consensus/reject.ts';
import { type Coin, isCoinbase, prevoutKey, type Transaction, vsizeOf, weightOf } from '../../consensus/transaction.ts';
import type { Now } from '../boundary.ts';
import type { ChainUpdate, ChainView } from '../chain/chain-state.ts';
import type { Limits } from '../limits.ts';
import { BoundedSet } from './bounded-set.ts';
import { checkChainLimits } from './chain-limits.ts';
import type { Entry } from './entry.ts';
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
import { CHAIN_LIMITS, checkStandard, feeFor, feerateOf, MIN_RELAY_FEERATE } from './policy.ts';
import { checkReplacement } from './replacement.ts';
import { RollingMinimum } from './rolling-minimum.ts';
import { ScriptIndex } from './script-index.ts';
import { type SelectOptions, scoreOf, selectForBlock } from './selection.ts';
import { checkTruc, TRUC_VERSION } from './truc.ts';
import { type PoolTicket, type VerificationJob, VerificationQueue } from './verification-queue.ts';

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
  /** With `test`: earlier members of the same package, all found acceptable, whose outputs count as coins. */
  readonly package?: readonly Transaction[];
}

/** A transaction that passed everything. With `test` the entry was made up and is not in the pool. */
export interface Accepted {
  readonly type: 'accepted';
  readonly entry: Entry;
  /** What it replaced (RULES B3), descendants included. */
  readonly replaced: readonly Entry[];
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
  readonly ticket: PoolTicket;
  readonly tx: Transaction;
  readonly test: boolean;
  readonly result: Accepted | Rejected;
}

/** What a change of the chain did to the pool. */
export interface PoolUpdate {
  /** Transactions of disconnected blocks that are in the pool again, parents first. */
  readonly returned: readonly Entry[];
  /** What left the pool without being confirmed: conflicts with the new blocks, or no longer valid. With descendants. */
  readonly removed: readonly Entry[];
}

/** A transaction that may enter, and what must leave for it. */
interface Candidate {
  readonly tx: Transaction;
  readonly fee: bigint;
  readonly vsize: number;
  readonly coins: readonly Coin[];
  readonly replaced: ReadonlySet<GraphEntry>;
}

/** How a transaction is judged. */
interface JudgeOptions {
  /** Outputs of these count as coins besides those of the pool and the chain. */
  readonly parents: (txid: Txid) => Transaction | undefined;
  /** No minimum fee and no eviction: the transaction was in a block. */
  readonly bypassLimits: boolean;
}

export class Mempool {
  readonly #limits: Limits;
  readonly #graph = new TransactionGraph();
  readonly #queue: VerificationQueue;
  readonly #scripts = new ScriptIndex();
  /** What to evict first: the least of own and descendants' feerate, the latest first among equals. */
  readonly #eviction = new Heap<GraphEntry>();
  /** Entries that a shorter chain, or one with earlier times, can make invalid: locked ones and spenders of coinbases. */
  readonly #timed = new Set<GraphEntry>();
  /** Signatures that hold, of transactions that are not in the pool. That they hold never changes. */
  readonly #verified: BoundedSet<Wtxid>;
  readonly #minimum = new RollingMinimum();
  #lastSequence = 0;
  #bytes = 0;
  #memory = 0;
  #totalFee = 0n;

  constructor(options: { readonly limits: Limits }) {
    this.#limits = options.limits;
    this.#queue = new VerificationQueue(options.limits);
    this.#verified = new BoundedSet(options.limits.verifiedTx);
  }

  // What happens

  /** Checks a transaction against the pool and the committed chain. */
  submit(tx: Transaction, view: ChainView, now: Now, options: SubmitOptions = {}): Verdict {
    const ticket = this.#queue.ticketOf(tx.wtxid);
    if (ticket !== undefined) return { type: 'pending', ticket };
    const test = options.test ?? false;
    const members = options.package ?? [];
    const fault = checkAlone(tx);
    if (fault !== null) return rejected(fault);
    const judged = this.#judge(tx, view, now, {
      parents: (txid) => this.#queue.get(txid) ?? members.find((member) => member.txid === txid),
      bypassLimits: false,
    });
    if (!judged.ok) return judged.error;
    const candidate = judged.value;
    // While others are being verified it must wait for its turn, though nothing is left to verify.
    if (this.#queue.size === 0 && this.#verified.has(tx.wtxid)) return this.#settle(candidate, test, view, now);
    if (!this.#queue.hasRoomFor(tx)) return { type: 'busy' };
    const checks = signatureChecks(tx, candidate.coins);
    if (!checks.ok) return rejected(checks.error);
    const { fee, vsize } = candidate;
    return { type: 'verify', ticket: this.#queue.add(tx, test, members), checks: checks.value, fee, vsize };
  }

  /**
   * All signatures of a ticket hold (null), or the lowest index of one that does not. Tickets settle in the order of
   * `submit`: none or several at once.
   */
  onVerified(ticket: PoolTicket, failed: number | null, view: ChainView, now: Now): readonly Settled[] {
    this.#queue.answer(ticket, failed);
    const settled: Settled[] = [];
    for (let job = this.#queue.takeAnswered(); job !== undefined; job = this.#queue.takeAnswered()) {
      const result = job.failed === null ? this.#conclude(job, view, now) : badSignature(job.failed);
      settled.push({ ticket: job.ticket, tx: job.tx, test: job.test, result });
    }
    return settled;
  }

  /** Call it once per ChainUpdate, with the view after it: the pool is consistent with the new tip when it returns. */
  onChainUpdate(update: ChainUpdate, view: ChainView, now: Now): PoolUpdate {
    const removed: GraphEntry[] = [];
    const confirmed = new Set<Txid>();
    for (const { block } of update.connected) {
      for (const { txid } of block.transactions) confirmed.add(txid);
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

  /** Entries for a block, parents first, those that pay best. */
  select(options: SelectOptions): readonly Entry[] {
    return selectForBlock(this.#graph.entries(), options);
  }

  // Acceptance

  /** The rows of RULES.md B1 that need the pool and the chain, in their order. */
  #judge(tx: Transaction, view: ChainView, now: Now, options: JudgeOptions): Result<Candidate, Rejected> {
    const height = view.height + 1;
    const { medianTimePast } = view;
    if (!isFinal(tx, height, medianTimePast)) return refuse(reject('premature', 'non-final'));
    if (this.#graph.getByWtxid(tx.wtxid) !== undefined) return refuse(reject('policy', 'txn-already-in-mempool'));
    if (this.#graph.get(tx.txid) !== undefined) return refuse(reject('policy', 'txn-same-nonwitness-data-in-mempool'));
    // Row 12 never refuses: every transaction may be replaced ("full RBF").
    const conflicts = this.#graph.conflictsOf(tx);

    const found = this.#findCoins(tx, view, options.parents);
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
    const tooCheap = options.bypassLimits ? null : this.#checkFee(tx, fee, vsize, now);
    if (tooCheap !== null) return refuse(tooCheap);
    const parents = this.#graph.parentsOf(tx);
    const tooLong = checkChainLimits({ version: tx.version, vsize, parents, conflicts });
    if (tooLong !== null) return refuse(tooLong);
    const ancestors = withAncestors(parents);
    const truc = checkTruc(tx, vsize, ancestors, conflicts);
    if (truc.reject !== null) return refuse(truc.reject);
    for (const ancestor of ancestors) {
      if (!conflicts.has(ancestor)) continue;
      const detail = `${tx.txid} spends conflicting transaction ${ancestor.tx.txid}`;
      return refuse(reject('consensus', 'bad-txns-spends-conflicting-tx', detail));
    }
    const direct = truc.sibling === undefined ? conflicts : new Set([...conflicts, truc.sibling]);
    if (direct.size === 0) return ok({ tx, fee, vsize, coins, replaced: direct });
    const siblingEviction = truc.sibling !== undefined;
    const replaced = checkReplacement({ tx, fee, vsize, direct, siblingEviction }, this.#graph);
    return replaced.ok ? ok({ tx, fee, vsize, coins, replaced: replaced.value }) : refuse(replaced.error);
  }

  /** Row 13: the coin of each input. */
  #findCoins(tx: Transaction, view: ChainView, parents: JudgeOptions['parents']): Result<readonly Coin[], Rejected> {
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
  #checkFee(tx: Transaction, fee: bigint, vsize: number, now: Now): Reject | null {
    const relayFee = feeFor(MIN_RELAY_FEERATE, vsize);
    const belowRelay = fee < relayFee ? reject('policy', 'min relay fee not met', `${fee} < ${relayFee}`) : null;
    if (belowRelay !== null && tx.version !== TRUC_VERSION) return belowRelay;
    const poolFee = feeFor(this.#rollingMinimum(now), vsize);
    if (fee < poolFee) return reject('policy', 'mempool min fee not met', `${fee} < ${poolFee}`);
    return belowRelay;
  }

  #rollingMinimum(now: Now): number {
    return this.#minimum.feerate(now.unix, this.#memory / this.#limits.mempoolBytes);
  }

  /** Its signatures hold: judge it again where things stand now. */
  #conclude(job: VerificationJob, view: ChainView, now: Now): Accepted | Rejected {
    this.#verified.add(job.tx.wtxid);
    const judged = this.#judge(job.tx, view, now, {
      // All that were submitted before it are settled; those after it are none of its parents.
      parents: (txid) => job.package.find((member) => member.txid === txid),
      bypassLimits: false,
    });
    return judged.ok ? this.#settle(judged.value, job.test, view, now) : judged.error;
  }

  #settle(candidate: Candidate, test: boolean, view: ChainView, now: Now): Accepted | Rejected {
    const replaced = [...candidate.replaced];
    if (test) return { type: 'accepted', entry: this.#entryOf(candidate, view, now, 0), replaced };
    this.#remove(candidate.replaced);
    const entry = this.#insert(candidate, view, now);
    this.#trim(now);
    if (this.#graph.get(entry.tx.txid) !== entry) return rejected(reject('policy', 'mempool full'));
    return { type: 'accepted', entry, replaced };
  }

  // Changes of the chain

  /** Takes out what the block confirms, and what conflicts with it; returns the latter. */
  #confirm(block: Block): GraphEntry[] {
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
    const judged = this.#judge(tx, view, now, { parents: () => undefined, bypassLimits: true });
    if (!judged.ok) return undefined;
    this.#remove(judged.value.replaced);
    return this.#insert(judged.value, view, now);
  }

  #isStillValid({ tx }: GraphEntry, view: ChainView): boolean {
    const height = view.height + 1;
    const { medianTimePast } = view;
    const found = this.#findCoins(tx, view, () => undefined);
    if (!found.ok || !isFinal(tx, height, medianTimePast)) return false;
    const medianTimePastAt = (at: number) => view.medianTimePastAt(at);
    return (
      sequenceLocksMet(tx, found.value, { height, medianTimePast, medianTimePastAt }) &&
      checkInputs(tx, found.value, height).ok
    );
  }

  // Bookkeeping

  #entryOf(candidate: Candidate, view: ChainView, now: Now, sequence: number): GraphEntry {
    const { tx, fee, vsize, coins } = candidate;
    return makeEntry({ tx, fee, vsize, weight: weightOf(tx), coins, time: now.unix, height: view.height, sequence });
  }

  #insert(candidate: Candidate, view: ChainView, now: Now): GraphEntry {
    this.#lastSequence += 1;
    const entry = this.#entryOf(candidate, view, now, this.#lastSequence);
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
      this.#scripts.delete(entry);
      this.#timed.delete(entry);
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
    const { fee, vsize, descendants } = entry;
    entry.score = scoreOf(entry, entry.ancestors);
    const worth = Math.max(Number(fee) / vsize, Number(descendants.fees) / descendants.vsize);
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
