/**
 * What feerate confirms within so many blocks, judged by what transactions of this pool have waited so far (RULES.md B7).
 * Transactions are put into buckets by feerate; of each bucket it is counted how many were confirmed within 1, 2, … 48
 * blocks, and how many were not. Old blocks count less and less. Only transactions count that entered by themselves, without
 * unconfirmed parents: of others it is not known what they were mined for.
 *
 * One horizon instead of Core's three, and one threshold for each mode: with little data it says so, as Core does.
 */
import type { Txid } from '../../consensus/brand.ts';

/** Satoshis per 1000 virtual bytes: the lower bound of the first bucket, of the last one, and from one to the next. */
const LOWEST = 1000;
const HIGHEST = 10_000_000;
const STEP = 1.05;
const BUCKETS = Math.ceil(Math.log(HIGHEST / LOWEST) / Math.log(STEP)) + 1;
/** Waiting times are told apart up to so many blocks. */
const MAX_WAIT = 48;
/** How much a block counts less than the next one: half after a day of blocks of ten minutes. */
const DECAY = 0.9952;
/** So many transactions, less where they are old, are needed to say anything. */
const ENOUGH = 20;
/** The share of them that was confirmed in time. */
const SHARE = { economical: 0.85, conservative: 0.95 } as const;
/** Weights grow instead of all counts shrinking; at this one they are scaled back, long before numbers end. */
const MAX_WEIGHT = 1e100;

export type EstimateMode = keyof typeof SHARE;

export interface FeeEstimate {
  /** Satoshis per 1000 virtual bytes; undefined where there is not enough data. */
  readonly feerate: number | undefined;
  /** The target that it is for: not the one that was asked for where that is further than blocks were seen. */
  readonly blocks: number;
}

interface Tracked {
  readonly bucket: number;
  readonly feerate: number;
  /** Of the tip when it entered. */
  readonly height: number;
}

export class FeeEstimator {
  /** Transactions of the pool; no more than are in it. */
  readonly #tracked = new Map<Txid, Tracked>();
  /** Per bucket: confirmed transactions and the sum of their feerates. */
  readonly #confirmed = new Float64Array(BUCKETS);
  readonly #feerates = new Float64Array(BUCKETS);
  /** Per waiting time (1 is the first) and bucket: those that were confirmed within it, and those that left after it unconfirmed. */
  readonly #within = new Float64Array((MAX_WAIT + 1) * BUCKETS);
  readonly #failed = new Float64Array((MAX_WAIT + 1) * BUCKETS);
  /** What one transaction counts now. */
  #weight = 1;
  /** Of the best block so far, and of the first that confirmed a tracked transaction. */
  #height = 0;
  #firstHeight: number | undefined;

  /** A transaction has entered by itself, without unconfirmed parents. `height`: of the tip. */
  onEntry(txid: Txid, feerate: number, height: number): void {
    if (feerate < LOWEST) return;
    this.#tracked.set(txid, { bucket: bucketOf(feerate), feerate, height });
  }

  /** It has left the pool and is not confirmed. */
  onLeft(txid: Txid): void {
    const tracked = this.#tracked.get(txid);
    if (tracked === undefined) return;
    this.#tracked.delete(txid);
    const waited = Math.min(this.#height - tracked.height, MAX_WAIT);
    for (let wait = 1; wait <= waited; wait++) add(this.#failed, wait, tracked.bucket, this.#weight);
  }

  /** A block was connected. One that is not higher than all before it, after a reorg, tells nothing. */
  onBlock(height: number, txids: Iterable<Txid>): void {
    if (height <= this.#height) {
      for (const txid of txids) this.#tracked.delete(txid);
      return;
    }
    this.#height = height;
    if (this.#firstHeight !== undefined) this.#growWeight();
    for (const txid of txids) {
      const tracked = this.#tracked.get(txid);
      if (tracked === undefined) continue;
      this.#tracked.delete(txid);
      const waited = height - tracked.height;
      // It entered on a branch that was higher.
      if (waited < 1) continue;
      this.#firstHeight ??= height;
      const { bucket, feerate } = tracked;
      this.#confirmed[bucket] = (this.#confirmed[bucket] as number) + this.#weight;
      this.#feerates[bucket] = (this.#feerates[bucket] as number) + this.#weight * feerate;
      for (let wait = waited; wait <= MAX_WAIT; wait++) add(this.#within, wait, bucket, this.#weight);
    }
  }

  /** For a target of so many blocks, at least one. Never higher for a longer wait. */
  estimate(target: number, mode: EstimateMode): FeeEstimate {
    const seen = this.#firstHeight === undefined ? 0 : this.#height - this.#firstHeight;
    // The next block may be found before anybody hears of the transaction.
    const blocks = Math.min(Math.max(target, 2), Math.floor(seen / 2));
    if (blocks < 2) return { feerate: undefined, blocks };
    const wait = Math.min(blocks, MAX_WAIT);
    const waiting = this.#waitingLonger(wait);
    let feerate: number | undefined;
    // From the dearest down, as many buckets at a time as hold enough transactions, while enough of them were in time.
    for (let top = BUCKETS - 1; top >= 0; ) {
      let bottom = top + 1;
      let [confirmed, inTime, late] = [0, 0, 0];
      while (bottom > 0 && confirmed < ENOUGH * this.#weight) {
        bottom -= 1;
        confirmed += this.#confirmed[bottom] as number;
        inTime += this.#within[wait * BUCKETS + bottom] as number;
        late += (this.#failed[wait * BUCKETS + bottom] as number) + (waiting[bottom] as number) * this.#weight;
      }
      const isEnough = confirmed >= ENOUGH * this.#weight;
      if (!isEnough || inTime < SHARE[mode] * (confirmed + late)) break;
      feerate = this.#medianOf(bottom, top, confirmed);
      top = bottom - 1;
    }
    return { feerate, blocks };
  }

  /** Per bucket: those that wait already as long or longer. */
  #waitingLonger(wait: number): Float64Array {
    const waiting = new Float64Array(BUCKETS);
    for (const { bucket, height } of this.#tracked.values()) {
      if (this.#height - height >= wait) waiting[bucket] = (waiting[bucket] as number) + 1;
    }
    return waiting;
  }

  /** The mean feerate of the bucket in which the median transaction of several buckets is. */
  #medianOf(bottom: number, top: number, confirmed: number): number {
    let rest = confirmed / 2;
    for (let bucket = bottom; bucket < top; bucket++) {
      const count = this.#confirmed[bucket] as number;
      if (rest <= count) return Math.round((this.#feerates[bucket] as number) / count);
      rest -= count;
    }
    return Math.round((this.#feerates[top] as number) / (this.#confirmed[top] as number));
  }

  #growWeight(): void {
    this.#weight /= DECAY;
    if (this.#weight < MAX_WEIGHT) return;
    for (const counts of [this.#confirmed, this.#feerates, this.#within, this.#failed]) {
      for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) / this.#weight;
    }
    this.#weight = 1;
  }
}

function bucketOf(feerate: number): number {
  return Math.min(BUCKETS - 1, Math.floor(Math.log(feerate / LOWEST) / Math.log(STEP)));
}

function add(counts: Float64Array, wait: number, bucket: number, weight: number): void {
  const at = wait * BUCKETS + bucket;
  counts[at] = (counts[at] as number) + weight;
}
