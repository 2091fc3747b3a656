/**
 * Replacement by fee: row 24 of RULES.md B1, the rules B3 in Core's order. Every transaction is replaceable, whether it
 * signals so or not ("full RBF", Core's default since 28).
 */
import { fail, ok, type Result } from '../../consensus/brand.ts';
import { type PolicyCode, type Reject, reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import { type GraphEntry, type TransactionGraph, withDescendants } from './graph.ts';
import { feeFor, feerateOf, formatFeerate, formatMoney, INCREMENTAL_FEERATE, MAX_REPLACED } from './policy.ts';

export interface Replacement {
  readonly tx: Transaction;
  /** The modified one. */
  readonly fee: bigint;
  readonly vsize: number;
  /** The entries that it replaces directly: they spend the same coins, or are the sibling of a version 3 child. */
  readonly direct: ReadonlySet<GraphEntry>;
  /** One of `direct` is a sibling; the rejects say so. */
  readonly siblingEviction: boolean;
}

/** All entries that the transaction would replace, descendants included, or why it may not. */
export function checkReplacement(
  replacement: Replacement,
  graph: TransactionGraph,
): Result<ReadonlySet<GraphEntry>, Reject> {
  const { tx, fee, vsize, direct } = replacement;
  const refuse = (code: PolicyCode, detail: string): Result<never, Reject> => {
    // What pays too little by itself may pay enough together with its child.
    const why = reject(code === 'insufficient fee' ? 'reconsiderable' : 'policy', code, detail);
    return fail(replacement.siblingEviction ? { ...why, reason: `${code} (including sibling eviction)` } : why);
  };
  const feerate = feerateOf(fee, vsize);
  for (const entry of direct) {
    const old = feerateOf(entry.modifiedFee, entry.vsize);
    if (feerate <= old) {
      const detail = `new feerate ${formatFeerate(feerate)} <= old feerate ${formatFeerate(old)}`;
      return refuse('insufficient fee', `rejecting replacement ${tx.txid}; ${detail}`);
    }
  }
  const tooMany = checkReplacedCount(tx, direct);
  if (tooMany !== null) return refuse('too many potential replacements', tooMany);

  const replaced = withDescendants(direct);
  const index = newUnconfirmedInput(tx, replaced, graph);
  if (index !== -1) {
    return refuse('replacement-adds-unconfirmed', `replacement ${tx.txid} adds unconfirmed input, idx ${index}`);
  }

  const tooCheap = checkReplacedFees(tx, replaced, fee, vsize);
  return tooCheap === null ? ok(replaced) : refuse('insufficient fee', tooCheap);
}

/** What is wrong with replacing so many, or null. */
export function checkReplacedCount(tx: Transaction, direct: ReadonlySet<GraphEntry>): string | null {
  // A descendant that several of them share is counted several times: an estimate above is safe and cheap.
  let candidates = 0;
  for (const entry of direct) candidates += entry.descendants.count;
  if (candidates <= MAX_REPLACED) return null;
  return `rejecting replacement ${tx.txid}; too many potential replacements (${candidates} > ${MAX_REPLACED})`;
}

/** Why a fee does not pay for what it replaces and for its own relay, or null. `tx` is the one that is named. */
export function checkReplacedFees(
  tx: Transaction,
  replaced: ReadonlySet<GraphEntry>,
  fee: bigint,
  vsize: number,
): string | null {
  let replacedFees = 0n;
  for (const entry of replaced) replacedFees += entry.modifiedFee;
  if (fee < replacedFees) {
    const detail = `less fees than conflicting txs; ${formatMoney(fee)} < ${formatMoney(replacedFees)}`;
    return `rejecting replacement ${tx.txid}, ${detail}`;
  }
  const relayFee = feeFor(INCREMENTAL_FEERATE, vsize);
  if (fee - replacedFees >= relayFee) return null;
  const detail = `not enough additional fees to relay; ${formatMoney(fee - replacedFees)} < ${formatMoney(relayFee)}`;
  return `rejecting replacement ${tx.txid}, ${detail}`;
}

/** Index of an input that spends an unconfirmed transaction from which none of the replaced ones spends, or -1. */
function newUnconfirmedInput(tx: Transaction, replaced: ReadonlySet<GraphEntry>, graph: TransactionGraph): number {
  const known = new Set<string>();
  for (const entry of replaced) for (const { prevout } of entry.tx.inputs) known.add(prevout.txid);
  return tx.inputs.findIndex(({ prevout }) => !known.has(prevout.txid) && graph.get(prevout.txid) !== undefined);
}
