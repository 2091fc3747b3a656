/**
 * The transactions of the pool as a graph: who spends whom, and sums over ancestors and descendants that are kept right
 * with every change. It applies no rule; pool.ts decides what goes in and out.
 *
 * An entry that is added has at most 25 ancestors and 25 descendants unless a reorg put it under existing ones, so a change
 * costs little whatever the size of the pool.
 */
import { type OutPointKey, outPointKey, type Txid, type Wtxid } from '../../consensus/brand.ts';
import { prevoutKey, type Transaction } from '../../consensus/transaction.ts';
import type { Entry } from './entry.ts';

interface MutableTotals {
  count: number;
  vsize: number;
  fees: bigint;
}

/** An entry with what the graph changes. Outside the pool it is seen as `Entry`. */
export interface GraphEntry extends Entry {
  parents: ReadonlySet<GraphEntry>;
  children: ReadonlySet<GraphEntry>;
  readonly ancestors: MutableTotals;
  readonly descendants: MutableTotals;
  modifiedFee: bigint;
  /** How well it pays together with its ancestors, for the selection of a block; the pool keeps it right. */
  score: number;
}

/** What an entry is made of. */
export type EntryFields = Pick<
  Entry,
  'tx' | 'fee' | 'modifiedFee' | 'vsize' | 'weight' | 'coins' | 'time' | 'height' | 'sequence'
>;

/** The relatives of an entry that has none, as most have: sets of its own would be a third of its memory. */
const NOBODY: ReadonlySet<GraphEntry> = new Set();

/** An entry that belongs to no graph: without relatives. */
export function makeEntry(fields: EntryFields): GraphEntry {
  const { tx, fee, modifiedFee, vsize, weight, coins, time, height, sequence } = fields;
  return {
    tx,
    fee,
    modifiedFee,
    vsize,
    weight,
    coins,
    time,
    height,
    sequence,
    parents: NOBODY,
    children: NOBODY,
    ancestors: { count: 1, vsize, fees: modifiedFee },
    descendants: { count: 1, vsize, fees: modifiedFee },
    score: 0,
  };
}

export class TransactionGraph {
  readonly #byTxid = new Map<Txid, GraphEntry>();
  readonly #byWtxid = new Map<Wtxid, GraphEntry>();
  readonly #spenders = new Map<OutPointKey, GraphEntry>();

  get size(): number {
    return this.#byTxid.size;
  }

  get(txid: Txid): GraphEntry | undefined {
    return this.#byTxid.get(txid);
  }

  getByWtxid(wtxid: Wtxid): GraphEntry | undefined {
    return this.#byWtxid.get(wtxid);
  }

  spender(key: OutPointKey): GraphEntry | undefined {
    return this.#spenders.get(key);
  }

  /** In the order in which they were added. */
  entries(): IterableIterator<GraphEntry> {
    return this.#byTxid.values();
  }

  /** The entries whose outputs a transaction spends, each once. */
  parentsOf(tx: Transaction): Set<GraphEntry> {
    const parents = new Set<GraphEntry>();
    for (const { prevout } of tx.inputs) {
      const parent = this.#byTxid.get(prevout.txid);
      if (parent !== undefined) parents.add(parent);
    }
    return parents;
  }

  /** The entries that spend a coin which the transaction spends, too, each once. */
  conflictsOf(tx: Transaction): Set<GraphEntry> {
    const conflicts = new Set<GraphEntry>();
    for (const input of tx.inputs) {
      const spender = this.#spenders.get(prevoutKey(input));
      if (spender !== undefined && spender.tx.wtxid !== tx.wtxid) conflicts.add(spender);
    }
    return conflicts;
  }

  /** The entries that spend outputs of a transaction, whether that is in the graph or not. */
  spendersOf(tx: Transaction): Set<GraphEntry> {
    const spenders = new Set<GraphEntry>();
    for (let vout = 0; vout < tx.outputs.length; vout++) {
      const spender = this.#spenders.get(outPointKey(tx.txid, vout));
      if (spender !== undefined) spenders.add(spender);
    }
    return spenders;
  }

  /** Adds an entry under its parents, and over those that spend its outputs already (after a reorg). Returns whose sums changed. */
  add(entry: GraphEntry): ReadonlySet<GraphEntry> {
    const { tx } = entry;
    this.#byTxid.set(tx.txid, entry);
    this.#byWtxid.set(tx.wtxid, entry);
    for (const input of tx.inputs) this.#spenders.set(prevoutKey(input), entry);
    for (const parent of this.parentsOf(tx)) link(parent, entry);
    for (const child of this.spendersOf(tx)) link(entry, child);

    const ancestors = ancestorsOf(entry);
    for (const ancestor of ancestors) addTo(entry.ancestors, ancestor);
    if (entry.children.size === 0) {
      for (const ancestor of ancestors) addTo(ancestor.descendants, entry);
      return ancestors;
    }
    // It joined two parts of the graph that shared relatives or not: count these anew.
    const descendants = descendantsOf(entry);
    for (const descendant of descendants) recount(descendant.ancestors, descendant, ancestorsOf(descendant));
    recount(entry.descendants, entry, descendants);
    for (const ancestor of ancestors) recount(ancestor.descendants, ancestor, descendantsOf(ancestor));
    return new Set([...ancestors, ...descendants]);
  }

  /**
   * Removes entries together: a set that holds with each entry all its descendants (it became invalid) or all its ancestors
   * (it was confirmed). Returns those that stay and whose sums changed.
   */
  remove(entries: ReadonlySet<GraphEntry>): ReadonlySet<GraphEntry> {
    const changed = new Set<GraphEntry>();
    for (const entry of entries) {
      for (const ancestor of ancestorsOf(entry)) {
        if (entries.has(ancestor)) continue;
        takeFrom(ancestor.descendants, entry);
        changed.add(ancestor);
      }
      for (const descendant of descendantsOf(entry)) {
        if (entries.has(descendant)) continue;
        takeFrom(descendant.ancestors, entry);
        changed.add(descendant);
      }
    }
    for (const entry of entries) this.#unlink(entry);
    return changed;
  }

  /** Changes the fee by which an entry is judged. Returns whose sums changed. */
  prioritise(entry: GraphEntry, modifiedFee: bigint): ReadonlySet<GraphEntry> {
    const change = modifiedFee - entry.modifiedFee;
    entry.modifiedFee = modifiedFee;
    entry.ancestors.fees += change;
    entry.descendants.fees += change;
    const ancestors = ancestorsOf(entry);
    const descendants = descendantsOf(entry);
    for (const { descendants: totals } of ancestors) totals.fees += change;
    for (const { ancestors: totals } of descendants) totals.fees += change;
    return new Set([entry, ...ancestors, ...descendants]);
  }

  #unlink(entry: GraphEntry): void {
    const { tx } = entry;
    this.#byTxid.delete(tx.txid);
    this.#byWtxid.delete(tx.wtxid);
    for (const input of tx.inputs) this.#spenders.delete(prevoutKey(input));
    for (const parent of entry.parents) parent.children = without(parent.children, entry);
    for (const child of entry.children) child.parents = without(child.parents, entry);
  }
}

/** All ancestors, without the entry. */
export function ancestorsOf(entry: GraphEntry): Set<GraphEntry> {
  return closure(entry.parents, ({ parents }) => parents);
}

/** All descendants, without the entry. */
export function descendantsOf(entry: GraphEntry): Set<GraphEntry> {
  return closure(entry.children, ({ children }) => children);
}

/** The entries and all their descendants. */
export function withDescendants(entries: Iterable<GraphEntry>): Set<GraphEntry> {
  return closure(entries, ({ children }) => children);
}

/** The entries and all their ancestors. */
export function withAncestors(entries: Iterable<GraphEntry>): Set<GraphEntry> {
  return closure(entries, ({ parents }) => parents);
}

function closure(start: Iterable<GraphEntry>, next: (entry: GraphEntry) => ReadonlySet<GraphEntry>): Set<GraphEntry> {
  const found = new Set(start);
  // A Set visits members that are added while it is walked.
  for (const entry of found) for (const relative of next(entry)) found.add(relative);
  return found;
}

function link(parent: GraphEntry, child: GraphEntry): void {
  parent.children = including(parent.children, child);
  child.parents = including(child.parents, parent);
}

/** Only sets of one's own are changed. */
function including(relatives: ReadonlySet<GraphEntry>, entry: GraphEntry): ReadonlySet<GraphEntry> {
  return relatives === NOBODY ? new Set([entry]) : (relatives as Set<GraphEntry>).add(entry);
}

function without(relatives: ReadonlySet<GraphEntry>, entry: GraphEntry): ReadonlySet<GraphEntry> {
  (relatives as Set<GraphEntry>).delete(entry);
  return relatives.size === 0 ? NOBODY : relatives;
}

function addTo(totals: MutableTotals, entry: GraphEntry): void {
  totals.count += 1;
  totals.vsize += entry.vsize;
  totals.fees += entry.modifiedFee;
}

function takeFrom(totals: MutableTotals, entry: GraphEntry): void {
  totals.count -= 1;
  totals.vsize -= entry.vsize;
  totals.fees -= entry.modifiedFee;
}

function recount(totals: MutableTotals, entry: GraphEntry, relatives: ReadonlySet<GraphEntry>): void {
  totals.count = 1;
  totals.vsize = entry.vsize;
  totals.fees = entry.modifiedFee;
  for (const relative of relatives) addTo(totals, relative);
}
