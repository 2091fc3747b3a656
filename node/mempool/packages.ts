/**
 * Transactions that are judged together (RULES.md B5): a child with its unconfirmed parents, of which the child may pay for
 * parents that pay too little by themselves. Owns the form that a package must have, the order in which its members are
 * tried, and what is said of each; the rules for a single transaction, and the pool itself, are those of pool.ts.
 */
import type { Txid, Wtxid } from '../../consensus/brand.ts';
import { fail, ok, type Result } from '../../consensus/brand.ts';
import { type Reject, reject } from '../../consensus/reject.ts';
import { prevoutKey, type Transaction, weightOf } from '../../consensus/transaction.ts';
import { checkPackageLimits } from './chain-limits.ts';
import type { Entry } from './entry.ts';
import { checkDiagram } from './feerate-diagram.ts';
import { type GraphEntry, withDescendants } from './graph.ts';
import { feerateOf, formatFeerate } from './policy.ts';
import { checkReplacedCount, checkReplacedFees } from './replacement.ts';
import { checkTrucInPackage } from './truc.ts';

const MAX_PACKAGE_COUNT = 25;
const MAX_PACKAGE_WEIGHT = 404_000;

/** Core's strings; those that begin with `package RBF failed` go on with what failed. */
export type PackageCode =
  | 'package-too-many-transactions'
  | 'package-too-large'
  | 'package-contains-duplicates'
  | 'package-not-sorted'
  | 'conflict-in-package'
  | 'package-not-child-with-parents'
  | 'package-not-child-with-unconfirmed-parents'
  | 'package-mempool-limits'
  | 'TRUC-violation'
  | 'transaction failed'
  | `package RBF failed: ${string}`;

/** What is wrong with a package. */
export interface PackageReject {
  /** `transaction`: with one of its members, whose own result says what; else with the package as such. */
  readonly kind: 'transaction' | 'policy';
  readonly code: PackageCode;
  readonly detail?: string;
}

/** What became of one member. */
export type MemberResult =
  | {
      readonly type: 'accepted';
      /** In the pool; made up where it was a test. */
      readonly entry: Entry;
      /** Satoshis per 1000 virtual bytes by which it was judged, and the transactions that were judged so together. */
      readonly feerate: number;
      readonly includes: readonly Wtxid[];
      readonly replaced: readonly Entry[];
    }
  /** It was there before. */
  | { readonly type: 'known'; readonly entry: Entry }
  /** The pool has it with another witness. */
  | { readonly type: 'other-witness'; readonly wtxid: Wtxid }
  | { readonly type: 'rejected'; readonly reject: Reject };

export interface PackageResult {
  /** Null if all members are in the pool, or with a test would be. */
  readonly reject: PackageReject | null;
  /** Members of which nothing is said were not looked at. */
  readonly members: ReadonlyMap<Wtxid, MemberResult>;
  /** What had to leave the pool for lack of room. */
  readonly left?: readonly Entry[];
}

/** A member that has passed everything but its signatures and what it may replace. */
export interface Prechecked {
  readonly tx: Transaction;
  readonly modifiedFee: bigint;
  readonly vsize: number;
  readonly ancestors: ReadonlySet<GraphEntry>;
  /** The entries that spend the same coins. */
  readonly conflicts: ReadonlySet<GraphEntry>;
}

/** One that may enter, and what must leave for it. */
interface Judged<P extends Prechecked> {
  readonly candidate: P;
  readonly replaced: ReadonlySet<GraphEntry>;
}

/** What the pool does for a package. `P` is its own idea of a transaction that may enter. */
export interface PoolAccess<P extends Prechecked> {
  get(txid: Txid): GraphEntry | undefined;
  /** By itself, signatures included. */
  judge(tx: Transaction): Result<Judged<P>, Reject>;
  /** All but signatures and replacement; outputs of other members count as coins. */
  precheck(tx: Transaction): Result<P, Reject>;
  /** The minimum of the pool, for the whole. */
  checkFee(fee: bigint, vsize: number): Reject | null;
  checkSignatures(tx: Transaction): Reject | null;
  parentsOf(tx: Transaction): ReadonlySet<GraphEntry>;
  remove(entries: ReadonlySet<GraphEntry>): void;
  insert(candidate: P): GraphEntry;
  /** An entry that is not put into the pool. */
  makeUp(candidate: P): Entry;
  /** Evicts until the pool fits its room; returns what left. */
  trim(): readonly Entry[];
}

const FAILED: PackageReject = { kind: 'transaction', code: 'transaction failed' };

function policy(code: PackageCode, detail?: string): PackageReject {
  return detail === undefined ? { kind: 'policy', code } : { kind: 'policy', code, detail };
}

/** What is wrong with the form of a package, whatever the pool holds. */
export function checkWellFormed(txs: readonly Transaction[]): PackageReject | null {
  if (txs.length > MAX_PACKAGE_COUNT) return policy('package-too-many-transactions');
  let weight = 0;
  for (const tx of txs) weight += weightOf(tx);
  // Of a single one it is said that it is too large by itself.
  if (txs.length > 1 && weight > MAX_PACKAGE_WEIGHT) return policy('package-too-large');
  const later = new Set(txs.map(({ txid }) => txid));
  if (later.size !== txs.length) return policy('package-contains-duplicates');
  for (const { txid, inputs } of txs) {
    if (inputs.some(({ prevout }) => later.has(prevout.txid))) return policy('package-not-sorted');
    later.delete(txid);
  }
  const spent = new Set<string>();
  for (const { inputs } of txs) {
    const keys = inputs.map(prevoutKey);
    if (keys.length === 0 || keys.some((key) => spent.has(key))) return policy('conflict-in-package');
    for (const key of keys) spent.add(key);
  }
  return null;
}

/** All but the last are parents of the last. */
function isChildWithParents(txs: readonly Transaction[]): boolean {
  const child = txs.at(-1);
  if (child === undefined || txs.length < 2) return false;
  const parents = new Set(child.inputs.map(({ prevout }) => prevout.txid));
  return txs.slice(0, -1).every(({ txid }) => parents.has(txid));
}

/** A child with all its unconfirmed parents, or a single transaction. `isConfirmed` knows the coins of the chain. */
export function checkFamily(
  txs: readonly Transaction[],
  isConfirmed: (input: Transaction['inputs'][number]) => boolean,
): PackageReject | null {
  const child = txs.at(-1);
  if (child === undefined || txs.length < 2) return null;
  if (!isChildWithParents(txs)) return policy('package-not-child-with-parents');
  const parents = new Set(txs.map(({ txid }) => txid));
  const complete = child.inputs.every((input) => parents.has(input.prevout.txid) || isConfirmed(input));
  return complete ? null : policy('package-not-child-with-unconfirmed-parents');
}

/**
 * Puts a well-formed family into the pool as far as it may enter. Every member is tried by itself first, so that none is
 * held back by the others and none is paid for that can pay for itself; those that failed for their fee, or because such a
 * parent is missing, are then judged together.
 */
export function acceptPackage<P extends Prechecked>(txs: readonly Transaction[], pool: PoolAccess<P>): PackageResult {
  const settled = new Map<Wtxid, MemberResult>();
  const failed = new Map<Wtxid, MemberResult>();
  const together: Transaction[] = [];
  let hopeless = false;
  for (const tx of txs) {
    const known = pool.get(tx.txid);
    if (known !== undefined) {
      const same = known.tx.wtxid === tx.wtxid;
      settled.set(tx.wtxid, same ? { type: 'known', entry: known } : { type: 'other-witness', wtxid: known.tx.wtxid });
      continue;
    }
    const judged = pool.judge(tx);
    if (judged.ok) {
      settled.set(tx.wtxid, enter(judged.value, pool));
      continue;
    }
    failed.set(tx.wtxid, { type: 'rejected', reject: judged.error });
    const { kind } = judged.error;
    if (txs.length > 1 && (kind === 'reconsiderable' || kind === 'missing-inputs')) together.push(tx);
    else hopeless = true;
  }
  const joint =
    hopeless || together.length === 0
      ? { reject: hopeless ? FAILED : null, members: new Map<Wtxid, MemberResult>() }
      : acceptTogether(together, pool);
  const left = pool.trim();

  let { reject: why } = joint;
  const members = new Map<Wtxid, MemberResult>();
  for (const { txid, wtxid } of txs) {
    const result = joint.members.get(wtxid) ?? settled.get(wtxid) ?? failed.get(wtxid);
    if (result === undefined) continue;
    if (result.type === 'rejected' || pool.get(txid) !== undefined) members.set(wtxid, result);
    else {
      why = FAILED;
      members.set(wtxid, { type: 'rejected', reject: reject('reconsiderable', 'mempool full') });
    }
  }
  return { reject: why, members, left };
}

/** It can pay for itself. */
function enter<P extends Prechecked>({ candidate, replaced }: Judged<P>, pool: PoolAccess<P>): MemberResult {
  pool.remove(replaced);
  const feerate = feerateOf(candidate.modifiedFee, candidate.vsize);
  const includes = [candidate.tx.wtxid];
  return { type: 'accepted', entry: pool.insert(candidate), feerate, includes, replaced: [...replaced] };
}

/** The members that could not enter by themselves: by the feerate of all of them, all or none. */
function acceptTogether<P extends Prechecked>(txs: readonly Transaction[], pool: PoolAccess<P>): PackageResult {
  const [only] = txs;
  if (txs.length === 1 && only !== undefined) {
    // Others of its package have entered meanwhile.
    const judged = pool.judge(only);
    if (!judged.ok) return failure(only, judged.error);
    return { reject: null, members: new Map([[only.wtxid, enter(judged.value, pool)]]) };
  }
  const checked = checkTogether(txs, pool);
  if (!checked.ok) return checked.error;
  const { candidates, replaced, feerate } = checked.value;
  for (const { tx } of candidates) {
    const why = pool.checkSignatures(tx);
    if (why !== null) return failure(tx, why);
  }
  pool.remove(replaced);
  const includes = txs.map(({ wtxid }) => wtxid);
  const members = new Map<Wtxid, MemberResult>();
  for (const candidate of candidates) {
    const entry = pool.insert(candidate);
    // What they replace, they replace together: it is told once.
    const told = members.size === 0 ? [...replaced] : [];
    members.set(candidate.tx.wtxid, { type: 'accepted', entry, feerate, includes, replaced: told });
  }
  return { reject: null, members };
}

/** What the rules say of a package but for the signatures: it may enter, for that feerate, in the place of `replaced`. */
export function checkTogether<P extends Prechecked>(
  txs: readonly Transaction[],
  pool: PoolAccess<P>,
): Result<
  { readonly candidates: readonly P[]; readonly replaced: ReadonlySet<GraphEntry>; readonly feerate: number },
  PackageResult
> {
  const members = precheckAll(txs, pool);
  if (!members.ok) return members;
  const candidates = members.value;
  let fee = 0n;
  let vsize = 0;
  for (const candidate of candidates) {
    fee += candidate.modifiedFee;
    vsize += candidate.vsize;
  }
  const tooCheap = pool.checkFee(fee, vsize);
  if (tooCheap !== null) return fail(failure(txs.at(-1) as Transaction, tooCheap));
  const outOfBounds = checkLimits(txs, vsize, pool);
  if (outOfBounds !== null) return fail({ reject: outOfBounds, members: new Map() });
  const direct = new Set<GraphEntry>();
  for (const { conflicts } of candidates) for (const entry of conflicts) direct.add(entry);
  const replaced = withDescendants(direct);
  const why = direct.size === 0 ? null : checkPackageReplacement(candidates, direct, replaced, fee, vsize);
  if (why !== null) return fail({ reject: why, members: new Map() });
  return ok({ candidates, replaced, feerate: feerateOf(fee, vsize) });
}

/** Several transactions that nobody will send: each pays for itself, and nothing is replaced (testmempoolaccept). */
export function testPackage<P extends Prechecked>(txs: readonly Transaction[], pool: PoolAccess<P>): PackageResult {
  const prechecked = precheckAll(txs, pool);
  if (!prechecked.ok) return prechecked.error;
  const candidates = prechecked.value;
  let vsize = 0;
  for (const candidate of candidates) vsize += candidate.vsize;
  const outOfBounds = txs.length > 1 ? checkLimits(txs, vsize, pool) : null;
  if (outOfBounds !== null) return { reject: outOfBounds, members: new Map() };
  const members = new Map<Wtxid, MemberResult>();
  for (const candidate of candidates) {
    const { tx } = candidate;
    const why = pool.checkSignatures(tx);
    if (why !== null) {
      members.set(tx.wtxid, { type: 'rejected', reject: why });
      return { reject: FAILED, members };
    }
    const entry = pool.makeUp(candidate);
    const feerate = feerateOf(candidate.modifiedFee, candidate.vsize);
    members.set(tx.wtxid, { type: 'accepted', entry, feerate, includes: [tx.wtxid], replaced: [] });
  }
  return { reject: null, members };
}

function precheckAll<P extends Prechecked>(
  txs: readonly Transaction[],
  pool: PoolAccess<P>,
): Result<readonly P[], PackageResult> {
  const candidates: P[] = [];
  for (const tx of txs) {
    const prechecked = pool.precheck(tx);
    if (!prechecked.ok) return fail(failure(tx, prechecked.error));
    candidates.push(prechecked.value);
  }
  for (const { tx, vsize, ancestors } of candidates) {
    const violation = checkTrucInPackage(tx, vsize, txs, ancestors);
    if (violation !== null) return fail({ reject: policy('TRUC-violation', violation), members: new Map() });
  }
  return ok(candidates);
}

function checkLimits<P extends Prechecked>(
  txs: readonly Transaction[],
  vsize: number,
  pool: PoolAccess<P>,
): PackageReject | null {
  const parents = new Set<GraphEntry>();
  for (const tx of txs) for (const parent of pool.parentsOf(tx)) parents.add(parent);
  const exceeded = checkPackageLimits(parents, txs.length, vsize);
  return exceeded === null ? null : policy('package-mempool-limits', exceeded);
}

/** RULES.md B3 for packages. Core names the child in what it says. */
function checkPackageReplacement(
  candidates: readonly Prechecked[],
  direct: ReadonlySet<GraphEntry>,
  replaced: ReadonlySet<GraphEntry>,
  fee: bigint,
  vsize: number,
): PackageReject | null {
  const refuse = (what: string, detail?: string) => policy(`package RBF failed: ${what}`, detail);
  const [parent, child] = candidates;
  if (parent === undefined || child === undefined || candidates.length !== 2) {
    return refuse('package must be 1-parent-1-child');
  }
  if (parent.ancestors.size > 0 || child.ancestors.size > 0) {
    return refuse('new transaction cannot have mempool ancestors');
  }
  const tooMany = checkReplacedCount(child.tx, direct);
  if (tooMany !== null) return refuse('too many potential replacements', tooMany);
  const tooCheap = checkReplacedFees(child.tx, replaced, fee, vsize);
  if (tooCheap !== null) return refuse('insufficient anti-DoS fees', tooCheap);
  const [whole, own] = [feerateOf(fee, vsize), feerateOf(parent.modifiedFee, parent.vsize)];
  // Else the child pays for the replacement only, and the parent would be mined without it.
  if (whole <= own) {
    const detail = `package feerate ${formatFeerate(whole)} <= parent feerate is ${formatFeerate(own)}`;
    return refuse('package feerate is less than or equal to parent feerate', detail);
  }
  const worse = checkDiagram(direct, replaced, fee, vsize);
  return worse === null ? null : refuse(worse);
}

function failure(tx: Transaction, why: Reject): PackageResult {
  return { reject: FAILED, members: new Map([[tx.wtxid, { type: 'rejected', reject: why }]]) };
}
