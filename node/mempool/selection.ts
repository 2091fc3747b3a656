/**
 * Which transactions of the pool go into a block: always the one that pays best together with its ancestors that are not in
 * yet. Taking it makes its descendants cheaper to take, so these move up. For a pool of n from which k are taken it costs
 * O(n + k log n), so that a pool of tens of thousands does not hold up a miner.
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

/** Entries for a block in an order in which they can be mined. */
export function selectForBlock(entries: Iterable<GraphEntry>, options: SelectOptions): GraphEntry[] {
  const { maxWeight, height, medianTimePast } = options;
  const selected = new Set<GraphEntry>();
  // Entries none of whose ancestors are selected, and those some of whose ancestors are, with what is left of their sums.
  const untouched = new ScoreQueue([...entries]);
  const touched = new Heap<GraphEntry>();
  const rests = new Map<GraphEntry, Rest>();

  let weight = 0;
  let misfits = 0;
  for (;;) {
    while (untouched.best !== undefined && (selected.has(untouched.best) || rests.has(untouched.best))) untouched.pop();
    const useTouched = -(touched.peekKey() ?? Infinity) >= (untouched.best?.score ?? -Infinity);
    const best = useTouched ? touched.pop() : untouched.pop();
    if (best === undefined) break;
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
        const left = { vsize: vsize - entry.vsize, fees: fees - entry.fee };
        rests.set(descendant, left);
        // One that did not fit gets another chance: there is less of it now.
        touched.set(descendant, -scoreOf(descendant, left), descendant.sequence);
      }
    }
  }
  return [...selected];
}

/** The feerate of the whole package, but no more than the entry's own: it must not gain by what its ancestors pay. */
export function scoreOf(entry: Pick<GraphEntry, 'fee' | 'vsize'>, whole: Rest): number {
  return Math.min(Number(entry.fee) / entry.vsize, Number(whole.fees) / whole.vsize);
}

/**
 * Entries by their score, best first, older first among equals. Built at once in O(n), since most are never taken out; in
 * flat arrays, because a pool of tens of thousands of objects does not fit the processor's cache.
 */
class ScoreQueue {
  readonly #entries: readonly GraphEntry[];
  /** A heap of indexes into the entries, and beside each its score. */
  readonly #indexes: Uint32Array;
  readonly #scores: Float64Array;
  #size: number;

  constructor(entries: readonly GraphEntry[]) {
    this.#entries = entries;
    this.#size = entries.length;
    this.#indexes = Uint32Array.from(entries, (_, index) => index);
    this.#scores = Float64Array.from(entries, ({ score }) => score);
    for (let place = (this.#size >> 1) - 1; place >= 0; place--) this.#down(place);
  }

  get best(): GraphEntry | undefined {
    return this.#size === 0 ? undefined : this.#entries[this.#indexes[0] as number];
  }

  pop(): GraphEntry | undefined {
    const { best } = this;
    if (this.#size === 0) return undefined;
    this.#size -= 1;
    this.#indexes[0] = this.#indexes[this.#size] as number;
    this.#scores[0] = this.#scores[this.#size] as number;
    this.#down(0);
    return best;
  }

  #down(from: number): void {
    const indexes = this.#indexes;
    const scores = this.#scores;
    const size = this.#size;
    const index = indexes[from] as number;
    const score = scores[from] as number;
    const isBetter = (a: number, thanScore: number, thanIndex: number) => {
      const own = scores[a] as number;
      return own > thanScore || (own === thanScore && (indexes[a] as number) < thanIndex);
    };
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && isBetter(child + 1, scores[child] as number, indexes[child] as number)) child += 1;
      if (!isBetter(child, score, index)) break;
      indexes[place] = indexes[child] as number;
      scores[place] = scores[child] as number;
      place = child;
    }
    indexes[place] = index;
    scores[place] = score;
  }
}
