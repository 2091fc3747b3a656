/**
 * Which transactions of the pool go into a block: always the one that pays best together with its ancestors that are not in
 * yet. Taking it makes its descendants cheaper to take, so these move up. The pool keeps its entries in the order in which
 * this begins, so that it costs O(k log k) to take k of them, however many others there are.
 */
import { isFinal } from '../../consensus/check-transaction.ts';
import { WITNESS_SCALE } from '../../consensus/params.ts';
import { descendantsOf, type GraphEntry, withAncestors } from './graph.ts';
import { Heap } from './heap.ts';
import { BLOCK_MIN_FEERATE } from './policy.ts';

export interface SelectOptions {
  /** Of all selected transactions together. */
  readonly maxWeight: number;
  /** Of the block that they are for, and the median time past of its parent. */
  readonly height: number;
  readonly medianTimePast: number;
}

/** Packages in a row that did not fit, after which a nearly full block is left as it is. */
const MAX_MISFITS = 1000;
const NEARLY_FULL_WEIGHT = 4000;

/** What an entry still costs: itself and its ancestors that are not selected yet. */
interface Rest {
  readonly vsize: number;
  readonly fees: bigint;
}

/** Entries for a block in an order in which they can be mined. `byScore`: all, the best score first, the older among equals. */
export function selectForBlock(byScore: Iterable<GraphEntry>, options: SelectOptions): GraphEntry[] {
  const { maxWeight, height, medianTimePast } = options;
  const selected = new Set<GraphEntry>();
  // Entries none of whose ancestors are selected, and those some of whose ancestors are, with what is left of their sums.
  const untouched = byScore[Symbol.iterator]();
  let first = untouched.next();
  const touched = new Heap<GraphEntry>();
  const rests = new Map<GraphEntry, Rest>();

  let weight = 0;
  let misfits = 0;
  for (;;) {
    while (first.done !== true && (selected.has(first.value) || rests.has(first.value))) first = untouched.next();
    const useTouched = -(touched.peekKey() ?? Infinity) >= (first.value?.score ?? -Infinity);
    const best = useTouched ? touched.pop() : (first.value as GraphEntry | undefined);
    if (best === undefined) break;
    if (!useTouched) first = untouched.next();
    const rest = rests.get(best) ?? best.ancestors;
    if (Number(rest.fees) * 1000 < BLOCK_MIN_FEERATE * rest.vsize) break;
    if (weight + rest.vsize * WITNESS_SCALE > maxWeight) {
      misfits++;
      if (misfits > MAX_MISFITS && weight > maxWeight - NEARLY_FULL_WEIGHT) break;
      continue;
    }
    const chosen =
      best.parents.size === 0 ? [best] : [...withAncestors([best])].filter((entry) => !selected.has(entry));
    if (!chosen.every(({ tx }) => isFinal(tx, height, medianTimePast))) continue;
    misfits = 0;
    // A parent has fewer ancestors than its child.
    chosen.sort((a, b) => a.ancestors.count - b.ancestors.count);
    for (const entry of chosen) {
      selected.add(entry);
      touched.delete(entry);
      weight += entry.weight;
    }
    for (const entry of chosen) {
      for (const descendant of descendantsOf(entry)) {
        if (selected.has(descendant)) continue;
        const { vsize, fees } = rests.get(descendant) ?? descendant.ancestors;
        const left = { vsize: vsize - entry.vsize, fees: fees - entry.modifiedFee };
        rests.set(descendant, left);
        // One that did not fit gets another chance: there is less of it now.
        touched.set(descendant, -scoreOf(descendant, left), descendant.sequence);
      }
    }
  }
  return [...selected];
}

/** The feerate of the whole package, but no more than the entry's own: it must not gain by what its ancestors pay. */
export function scoreOf(entry: Pick<GraphEntry, 'modifiedFee' | 'vsize'>, whole: Rest): number {
  return Math.min(Number(entry.modifiedFee) / entry.vsize, Number(whole.fees) / whole.vsize);
}
