/**
 * Version 3 transactions, "topologically restricted until confirmation" (BIP 431): row 22 of RULES.md B1. One parent and one
 * child, both small, so that replacing the child is always cheap to reason about.
 */
import { type Reject, reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { GraphEntry } from './graph.ts';

export const TRUC_VERSION = 3;
const MAX_VSIZE = 10_000;
const MAX_CHILD_VSIZE = 1000;
/** An entry and one relative. */
const MAX_RELATED = 2;

/** A reject, or the other child of the parent, which the newcomer may replace though they share no coin; or neither. */
export interface TrucVerdict {
  readonly reject: Reject | null;
  readonly sibling?: GraphEntry;
}

const FINE: TrucVerdict = { reject: null };

/** Judges a transaction by its ancestors in the pool. `conflicts` are the entries that spend the same coins. */
export function checkTruc(
  tx: Transaction,
  vsize: number,
  ancestors: ReadonlySet<GraphEntry>,
  conflicts: ReadonlySet<GraphEntry>,
): TrucVerdict {
  const isTruc = tx.version === TRUC_VERSION;
  for (const { tx: ancestor } of ancestors) {
    if ((ancestor.version === TRUC_VERSION) === isTruc) continue;
    const [self, other] = isTruc ? ['version=3', 'non-version=3'] : ['non-version=3', 'version=3'];
    return violation(`${self} tx ${named(tx)} cannot spend from ${other} tx ${named(ancestor)}`);
  }
  if (!isTruc) return FINE;
  if (vsize > MAX_VSIZE) {
    return violation(`version=3 tx ${named(tx)} is too big: ${vsize} > ${MAX_VSIZE} virtual bytes`);
  }
  if (ancestors.size + 1 > MAX_RELATED) return violation(`tx ${named(tx)} would have too many ancestors`);
  const [parent] = ancestors;
  if (parent === undefined) return FINE;
  if (vsize > MAX_CHILD_VSIZE) {
    return violation(`version=3 child tx ${named(tx)} is too big: ${vsize} > ${MAX_CHILD_VSIZE} virtual bytes`);
  }
  const children = [...parent.children];
  const replacesChild = children.some((child) => conflicts.has(child));
  if (parent.descendants.count + 1 <= MAX_RELATED || replacesChild) return FINE;
  const [sibling] = children;
  // A reorg can leave more children or grandchildren; then there is no single one to replace.
  if (sibling !== undefined && parent.descendants.count === 2 && sibling.ancestors.count === 2) {
    return { reject: null, sibling };
  }
  return violation(`tx ${named(parent.tx)} would exceed descendant count limit`);
}

function violation(detail: string): TrucVerdict {
  return { reject: reject('policy', 'TRUC-violation', detail) };
}

function named({ txid, wtxid }: Transaction): string {
  return `${txid} (wtxid=${wtxid})`;
}
