/**
 * When the blocks of a miner are due, and how much of its time it may work: pure, with the time as an argument. The miner
 * itself is template-miner.ts.
 */
import type { Millis } from '../boundary.ts';
import type { Random } from '../ports.ts';

/** When a miner hands in its blocks. */
export type PacePlan =
  /** As soon as they are found. */
  | { readonly kind: 'at-once' }
  /** One in each interval, as soon as it is found but not before its time. */
  | { readonly kind: 'every'; readonly intervalMs: Millis }
  /** The same with exponential waiting times of that mean, as blocks have on a network with work. */
  | { readonly kind: 'poisson'; readonly meanMs: Millis; readonly random: Random }
  /** Only where there are transactions to confirm. */
  | { readonly kind: 'on-tx' };

export class Pace {
  readonly #plan: PacePlan;
  #dueAt: Millis;

  /** The first block is due after one interval. */
  constructor(plan: PacePlan, now: Millis) {
    this.#plan = plan;
    this.#dueAt = now + this.#draw();
  }

  /** Before this no block is handed in. */
  get dueAt(): Millis {
    return this.#dueAt;
  }

  /** A block was handed in. The pace is kept from block to block, but what is missed is not made up for in a burst. */
  next(now: Millis): void {
    this.#dueAt = Math.max(now, this.#dueAt + this.#draw());
  }

  #draw(): Millis {
    const plan = this.#plan;
    if (plan.kind === 'every') return plan.intervalMs;
    if (plan.kind !== 'poisson') return 0;
    // From 2^-32 to 1, so that the logarithm is finite.
    return -Math.log((plan.random.u32() + 1) / 2 ** 32) * plan.meanMs;
  }
}

/** Pauses that keep a miner to its share: it may be busy for `share` of the time on each of `threads` threads. */
export class DutyCycle {
  /** Milliseconds of work that each millisecond allows. */
  readonly #rate: number;
  #debtMs = 0;
  #busyMs: Millis;
  #at: Millis;

  /** `busyMs`: time that all threads together have worked so far; it only grows. */
  constructor(options: { readonly share: number; readonly threads: number }, busyMs: Millis, now: Millis) {
    this.#rate = options.share * options.threads;
    this.#busyMs = busyMs;
    this.#at = now;
  }

  /** How long to pause now. What is not used of a share is not saved up. */
  pauseMs(busyMs: Millis, now: Millis): Millis {
    this.#debtMs = Math.max(0, this.#debtMs + busyMs - this.#busyMs - this.#rate * (now - this.#at));
    this.#busyMs = busyMs;
    this.#at = now;
    return this.#debtMs / this.#rate;
  }
}

/** The rate is that of about this time. */
const WINDOW_MS = 10_000;
const SLOT_MS = 500;

/** Counts hashes: how many there were in the last ten seconds, and in all. */
export class HashMeter {
  /** Hashes by half seconds, oldest first. */
  readonly #slots: { readonly at: Millis; hashes: number }[] = [];
  readonly #startedAt: Millis;
  #total = 0;

  constructor(now: Millis) {
    this.#startedAt = now;
  }

  get total(): number {
    return this.#total;
  }

  add(hashes: number, now: Millis): void {
    this.#total += hashes;
    const last = this.#slots.at(-1);
    if (last !== undefined && now - last.at < SLOT_MS) last.hashes += hashes;
    else this.#slots.push({ at: now, hashes });
    this.#forget(now);
  }

  /** Hashes per second. */
  rate(now: Millis): number {
    this.#forget(now);
    let hashes = 0;
    for (const slot of this.#slots) hashes += slot.hashes;
    const ms = Math.min(WINDOW_MS, now - this.#startedAt);
    return ms <= 0 ? 0 : (hashes / ms) * 1000;
  }

  #forget(now: Millis): void {
    while (this.#slots.length > 0 && now - (this.#slots[0] as { at: Millis }).at > WINDOW_MS) this.#slots.shift();
  }
}
