/**
 * A line that is slower than the machine: how long what is handed over takes to arrive. Pure arithmetic on a clock that
 * the caller reads; used by the transport and by the simulator, so that both mean the same by delay, jitter and bandwidth.
 *
 * Bytes leave one after the other at the line's rate, and each arrives a delay later. Nothing is lost, and nothing
 * overtakes what was handed over before it.
 */
import type { LinkShape, Millis } from './boundary.ts';

/** A round trip at these is still within the time in which a peer must have answered. */
export const MAX_DELAY_MS = 10_000;
export const MAX_JITTER_MS = 10_000;
export const MIN_BITS_PER_SECOND = 1000;
export const MAX_BITS_PER_SECOND = 10_000_000_000;

/** What is wrong with a shape, in words that name the allowed range; undefined for nothing. */
export function shapeFault({ delayMs, jitterMs, bitsPerSecond }: LinkShape): string | undefined {
  if (!(delayMs >= 0 && delayMs <= MAX_DELAY_MS)) {
    return `a delay of ${delayMs} ms is out of range: 0 to ${MAX_DELAY_MS} ms are allowed`;
  }
  if (!(jitterMs >= 0 && jitterMs <= MAX_JITTER_MS)) {
    return `a jitter of ${jitterMs} ms is out of range: 0 to ${MAX_JITTER_MS} ms are allowed`;
  }
  if (bitsPerSecond === undefined) return undefined;
  if (bitsPerSecond >= MIN_BITS_PER_SECOND && bitsPerSecond <= MAX_BITS_PER_SECOND) return undefined;
  return `a bandwidth of ${bitsPerSecond} bit/s is out of range: 1kbps to 10gbps are allowed`;
}

export class SlowLine {
  readonly shape: LinkShape;
  readonly #chance: () => number;
  /** When the last byte so far has left, and when the last one arrives. */
  #freeAt: Millis = 0;
  #arrivesAt: Millis = 0;

  /** `chance` gives numbers from 0 up to, not including, 1. */
  constructor(shape: LinkShape, chance: () => number) {
    this.shape = shape;
    this.#chance = chance;
  }

  /** When so many bytes arrive that are handed over at `at`, which is never before that of the call before. */
  arrival(bytes: number, at: Millis): Millis {
    const { delayMs, jitterMs, bitsPerSecond } = this.shape;
    const takes = bitsPerSecond === undefined ? 0 : (bytes * 8 * 1000) / bitsPerSecond;
    this.#freeAt = Math.max(this.#freeAt, at) + takes;
    const jitter = jitterMs === 0 ? 0 : this.#chance() * jitterMs;
    this.#arrivesAt = Math.max(this.#arrivesAt, this.#freeAt + delayMs + jitter);
    return this.#arrivesAt;
  }
}
