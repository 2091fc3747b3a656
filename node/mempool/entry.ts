/** A transaction in the pool, as others see it. The pool alone makes and changes entries. */
import type { Coin, Transaction } from '../../consensus/transaction.ts';
import type { UnixSeconds } from '../boundary.ts';

/** Sums over an entry and all its ancestors, or all its descendants, in the pool. The entry itself is counted. */
export interface Totals {
  readonly count: number;
  readonly vsize: number;
  /** Satoshis, as modified by `prioritise`. */
  readonly fees: bigint;
}

export interface Entry {
  readonly tx: Transaction;
  /** Satoshis that it pays. */
  readonly fee: bigint;
  /** Satoshis by which it is judged: its fee and what the user of this node added or took off (prioritisetransaction). */
  readonly modifiedFee: bigint;
  readonly vsize: number;
  readonly weight: number;
  /** The coins that it spends, in the order of its inputs. Those of pool transactions have the height of the next block. */
  readonly coins: readonly Coin[];
  /** When it entered the pool. */
  readonly time: UnixSeconds;
  /** Height of the tip when it entered. */
  readonly height: number;
  /** Counts up with each entry of this pool. */
  readonly sequence: number;
  /** Pool transactions whose outputs it spends, and those that spend its outputs. */
  readonly parents: ReadonlySet<Entry>;
  readonly children: ReadonlySet<Entry>;
  readonly ancestors: Totals;
  readonly descendants: Totals;
}
