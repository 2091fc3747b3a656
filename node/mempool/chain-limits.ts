/** How many unconfirmed transactions may hang together: row 21 of RULES.md B1, with Core's two exceptions. */
import { type Reject, reject } from '../../consensus/reject.ts';
import type { GraphEntry } from './graph.ts';
import { CARVE_OUT_VSIZE, CHAIN_LIMITS, type ChainLimits } from './policy.ts';
import { TRUC_VERSION } from './truc.ts';

/** What the limits must know of a transaction that wants to enter. */
export interface Newcomer {
  readonly version: number;
  readonly vsize: number;
  readonly parents: ReadonlySet<GraphEntry>;
  /** The entries that spend the same coins. */
  readonly conflicts: ReadonlySet<GraphEntry>;
  /** Core's two exceptions are for transactions that come alone. */
  readonly alone: boolean;
}

export function checkChainLimits(newcomer: Newcomer): Reject | null {
  const { parents, conflicts, vsize } = newcomer;
  if (parents.size === 0) return null;
  const limits = newcomer.alone ? forReplacement(CHAIN_LIMITS, conflicts) : CHAIN_LIMITS;
  const exceeded = exceededLimit(parents, { count: 1, vsize }, limits);
  if (exceeded === null) return null;
  // The carve-out lets both parties of a contract bump its fee, whatever the other one hangs under the transaction.
  const eligible = newcomer.alone && vsize <= CARVE_OUT_VSIZE && newcomer.version !== TRUC_VERSION;
  if (eligible && exceededLimit(parents, { count: 1, vsize }, forCarveOut(limits)) === null) return null;
  return reject('policy', 'too-long-mempool-chain', exceeded);
}

/**
 * The same for several transactions that enter together, counted as if every one were a relative of every other: stricter
 * than it need be, and cheap. `parents`: those of all of them in the pool. Which limit they would break, or null.
 */
export function checkPackageLimits(parents: ReadonlySet<GraphEntry>, count: number, vsize: number): string | null {
  const { ancestors, ancestorVsize, descendants, descendantVsize } = CHAIN_LIMITS;
  const whole = `package count ${count} exceeds`;
  if (count > ancestors) return `${whole} ancestor count limit [limit: ${ancestors}]`;
  if (count > descendants) return `${whole} descendant count limit [limit: ${descendants}]`;
  if (vsize > ancestorVsize) return `package size ${vsize} exceeds ancestor size limit [limit: ${ancestorVsize}]`;
  if (vsize > descendantVsize) return `package size ${vsize} exceeds descendant size limit [limit: ${descendantVsize}]`;
  if (parents.size + count > ancestors) return `too many unconfirmed parents [limit: ${ancestors}]`;
  const exceeded = exceededLimit(parents, { count, vsize }, CHAIN_LIMITS);
  return exceeded === null ? null : `possibly ${exceeded}`;
}

/** A replacement of one entry takes that entry's place, which is still counted. */
function forReplacement(limits: ChainLimits, conflicts: ReadonlySet<GraphEntry>): ChainLimits {
  const [conflict] = conflicts;
  if (conflict === undefined || conflicts.size !== 1) return limits;
  return {
    ...limits,
    descendants: limits.descendants + 1,
    descendantVsize: limits.descendantVsize + conflict.descendants.vsize,
  };
}

/** One child more, if its parent is its only ancestor. */
function forCarveOut(limits: ChainLimits): ChainLimits {
  return {
    ancestors: 2,
    ancestorVsize: limits.ancestorVsize,
    descendants: limits.descendants + 1,
    descendantVsize: limits.descendantVsize + CARVE_OUT_VSIZE,
  };
}

/** Which limit newcomers of that number and size with these parents would break, in Core's words. */
function exceededLimit(
  parents: ReadonlySet<GraphEntry>,
  { count, vsize }: { readonly count: number; readonly vsize: number },
  limits: ChainLimits,
): string | null {
  const tooMany = (what: string) => `too many unconfirmed ${what} [limit: ${limits.ancestors}]`;
  if (parents.size + count > limits.ancestors) return tooMany('parents');
  const ancestors = new Set(parents);
  let total = vsize;
  for (const ancestor of ancestors) {
    const { descendants, tx } = ancestor;
    total += ancestor.vsize;
    if (descendants.vsize + vsize > limits.descendantVsize) {
      return `exceeds descendant size limit for tx ${tx.txid} [limit: ${limits.descendantVsize}]`;
    }
    if (descendants.count + count > limits.descendants) {
      return `too many descendants for tx ${tx.txid} [limit: ${limits.descendants}]`;
    }
    if (total > limits.ancestorVsize) return `exceeds ancestor size limit [limit: ${limits.ancestorVsize}]`;
    for (const parent of ancestor.parents) ancestors.add(parent);
    if (ancestors.size + count > limits.ancestors) return tooMany('ancestors');
  }
  return null;
}
