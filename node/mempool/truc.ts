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

export interface TrucVerdict {
  readonly reject: Reject | null;
  /** With a reject: the other child of the parent. The newcomer may replace it instead, though they share no coin. */
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
    return violation(mixed(tx, ancestor));
  }
  if (!isTruc) return FINE;
  if (vsize > MAX_VSIZE) {
    return violation(`version=3 tx ${named(tx)} is too big: ${vsize} > ${MAX_VSIZE} virtual bytes`);
  }
  if (ancestors.size + 1 > MAX_RELATED) return violation(`tx ${named(tx)} would have too many ancestors`);
  const [parent] = ancestors;
  if (parent === undefined) return FINE;
  if (vsize > MAX_CHILD_VSIZE) return violation(tooBigChild(tx, vsize));
  const children = [...parent.children];
  const replacesChild = children.some((child) => conflicts.has(child));
  if (parent.descendants.count + 1 <= MAX_RELATED || replacesChild) return FINE;
  const tooMany = violation(`tx ${named(parent.tx)} would exceed descendant count limit`);
  const [sibling] = children;
  // A reorg can leave more children or grandchildren; then there is no single one to replace.
  if (sibling !== undefined && parent.descendants.count === 2 && sibling.ancestors.count === 2) {
    return { ...tooMany, sibling };
  }
  return tooMany;
}

/**
 * The same for a member of a package whose parents and children may be other members: why it may not be, or null.
 * `ancestors` are those in the pool; `checkTruc` has found nothing wrong with the member.
 */
export function checkTrucInPackage(
  tx: Transaction,
  vsize: number,
  members: readonly Transaction[],
  ancestors: ReadonlySet<GraphEntry>,
): string | null {
  const parents = members.filter(({ txid }) => tx.inputs.some(({ prevout }) => prevout.txid === txid));
  if (tx.version !== TRUC_VERSION) {
    const odd = parents.find(({ version }) => version === TRUC_VERSION);
    return odd === undefined ? null : mixed(tx, odd);
  }
  if (ancestors.size + parents.length + 1 > MAX_RELATED) return `tx ${named(tx)} would have too many ancestors`;
  const [inPool] = ancestors;
  const parent = inPool?.tx ?? parents[0];
  if (parent === undefined) return null;
  if (vsize > MAX_CHILD_VSIZE) return tooBigChild(tx, vsize);
  if (parent.version !== TRUC_VERSION) return mixed(tx, parent);
  for (const other of members) {
    if (other === tx) continue;
    for (const { prevout } of other.inputs) {
      if (prevout.txid === parent.txid) return `tx ${named(parent)} would exceed descendant count limit`;
      if (prevout.txid === tx.txid) return `tx ${named(other)} would have too many ancestors`;
    }
  }
  const hasChild = inPool !== undefined && inPool.descendants.count > 1;
  return hasChild ? `tx ${named(parent)} would exceed descendant count limit` : null;
}

function mixed(tx: Transaction, parent: Transaction): string {
  const [self, other] = tx.version === TRUC_VERSION ? ['version=3', 'non-version=3'] : ['non-version=3', 'version=3'];
  return `${self} tx ${named(tx)} cannot spend from ${other} tx ${named(parent)}`;
}

function tooBigChild(tx: Transaction, vsize: number): string {
  return `version=3 child tx ${named(tx)} is too big: ${vsize} > ${MAX_CHILD_VSIZE} virtual bytes`;
}

function violation(detail: string): TrucVerdict {
  return { reject: reject('policy', 'TRUC-violation', detail) };
}

function named({ txid, wtxid }: Transaction): string {
  return `${txid} (wtxid=${wtxid})`;
}
