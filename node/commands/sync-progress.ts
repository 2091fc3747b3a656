/**
 * What a node tells of its initial sync: one line that says how far it is, how fast, and how long it will take. Owns the
 * measuring; where the line goes is node-log.ts. Blocks differ in size, so the rate that counts is that of the last seconds.
 */
import type { Notice } from '../boundary.ts';

type TipNotice = Extract<Notice, { kind: 'tip' }>;

/** Milliseconds: the rates are those of about this time. */
const WINDOW_MS = 10_000;
/** Milliseconds between two lines. */
const INTERVAL_MS = { terminal: 200, log: 5000 } as const;

interface Sample {
  readonly at: number;
  readonly height: number;
  /** Transactions since the start. */
  readonly transactions: number;
}

export class SyncProgress {
  readonly #intervalMs: number;
  #samples: Sample[] = [];
  #lastLineAt = Number.NEGATIVE_INFINITY;
  #transactions = 0;

  constructor(where: keyof typeof INTERVAL_MS) {
    this.#intervalMs = INTERVAL_MS[where];
  }

  /** Takes a tip of the initial sync at that moment, in milliseconds; the line that is due, if one is. */
  onTip({ height, syncingTo, transactions }: TipNotice, now: number): string | undefined {
    this.#transactions += transactions;
    const last = this.#samples.at(-1);
    if (last === undefined || now - last.at >= this.#intervalMs / 2) {
      this.#samples.push({ at: now, height, transactions: this.#transactions });
      while (this.#samples.length > 2 && now - (this.#samples[1] as Sample).at > WINDOW_MS) this.#samples.shift();
    }
    if (now - this.#lastLineAt < this.#intervalMs) return undefined;
    this.#lastLineAt = now;
    return this.#line(height, syncingTo ?? height, now);
  }

  #line(height: number, target: number, now: number): string {
    const first = this.#samples[0] as Sample;
    const seconds = (now - first.at) / 1000;
    const part = `syncing: block ${grouped(height)} of ${grouped(target)} (${Math.floor((100 * height) / Math.max(1, target))} %)`;
    if (seconds <= 0 || height === first.height) return part;
    const blocks = (height - first.height) / seconds;
    const transactions = (this.#transactions - first.transactions) / seconds;
    return `${part}, ${grouped(blocks)} blocks/s, ${grouped(transactions)} tx/s, ${duration((target - height) / blocks)} left`;
  }
}

function grouped(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value).toLocaleString('en-US');
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
