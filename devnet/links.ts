/**
 * Slow links: which of them there are, and how they are asked for. Pure. How a slow line behaves is in
 * node/slow-line.ts; the nodes at both ends send over it.
 */
import { usageError } from '../node/commands/cli.ts';
import { MAX_BITS_PER_SECOND, MAX_DELAY_MS, MAX_JITTER_MS, MIN_BITS_PER_SECOND } from '../node/slow-line.ts';
import { parseDuration } from '../wallet/duration.ts';

/** A link that was made slow: each of its two nodes sends to the other like that. */
export interface SlowLink {
  readonly a: string;
  readonly b: string;
  /** One way. */
  readonly delayMs: number;
  /** Each message takes by chance up to this much more. */
  readonly jitterMs: number;
  /** Each way; null: without a limit. */
  readonly bitsPerSecond: number | null;
}

/** What `link` asks for: a shape, or null to make the link as fast as it can be. */
export type LinkOrder = Omit<SlowLink, 'a' | 'b'> | null;

/** The texts of the command line; undefined where the option was not given. */
export interface LinkTexts {
  readonly delay?: string | undefined;
  readonly jitter?: string | undefined;
  readonly bandwidth?: string | undefined;
  readonly reset?: boolean | undefined;
}

const BIT_UNITS: Readonly<Record<string, number>> = {
  bps: 1,
  kbps: 1000,
  mbps: 1_000_000,
  gbps: 1_000_000_000,
};

/** The slow links of a devnet, each once, whichever of its nodes is named first. */
export class SlowLinks {
  readonly #links = new Map<string, SlowLink>();

  /** Replaces what was set for that link. */
  set(a: string, b: string, order: LinkOrder): void {
    const key = [a, b].sort().join(' ');
    if (order === null) this.#links.delete(key);
    else this.#links.set(key, { a, b, ...order });
  }

  list(): SlowLink[] {
    return [...this.#links.values()];
  }

  /** The parameter of `setlink` at that node. */
  rulesFor(node: string): { links: { name: string; delay: number; jitter: number; bandwidth?: number }[] } {
    const links = this.list().flatMap(({ a, b, delayMs, jitterMs, bitsPerSecond }) => {
      if (a !== node && b !== node) return [];
      const bandwidth = bitsPerSecond === null ? {} : { bandwidth: bitsPerSecond };
      return [{ name: a === node ? b : a, delay: delayMs, jitter: jitterMs, ...bandwidth }];
    });
    return { links };
  }
}

/** Reads the options of `link A B`. Throws a usage error on the first that is wrong. */
export function readLinkOrder(texts: LinkTexts): LinkOrder {
  const { delay, jitter, bandwidth } = texts;
  const isShaped = delay !== undefined || jitter !== undefined || bandwidth !== undefined;
  if (texts.reset === true) {
    if (isShaped) throw usageError('--reset goes alone: it makes the link as fast as it can be');
    return null;
  }
  if (!isShaped) {
    const hint = 'give --delay, --jitter or --bandwidth, or --reset';
    throw usageError('what shall become of the link is missing', hint);
  }
  return {
    delayMs: readMilliseconds(delay, '--delay', MAX_DELAY_MS),
    jitterMs: readMilliseconds(jitter, '--jitter', MAX_JITTER_MS),
    bitsPerSecond: bandwidth === undefined ? null : readBandwidth(bandwidth),
  };
}

/** Checks an order that came over the wire, or from a library. */
export function checkLinkOrder(order: LinkOrder): LinkOrder {
  if (order === null) return null;
  const { delayMs, jitterMs, bitsPerSecond } = order;
  if (!isWithin(delayMs, 0, MAX_DELAY_MS)) throw outOfRange('the delay', `${delayMs} ms`, DELAY_RANGE);
  if (!isWithin(jitterMs, 0, MAX_JITTER_MS)) throw outOfRange('the jitter', `${jitterMs} ms`, JITTER_RANGE);
  if (bitsPerSecond !== null && !isWithin(bitsPerSecond, MIN_BITS_PER_SECOND, MAX_BITS_PER_SECOND)) {
    throw outOfRange('the bandwidth', `${bitsPerSecond} bit/s`, BANDWIDTH_RANGE);
  }
  return { delayMs, jitterMs, bitsPerSecond };
}

const DELAY_RANGE = `0ms to ${MAX_DELAY_MS / 1000}s`;
const JITTER_RANGE = `0ms to ${MAX_JITTER_MS / 1000}s`;
const BANDWIDTH_RANGE = '1kbps to 10gbps';

function readMilliseconds(text: string | undefined, option: string, most: number): number {
  if (text === undefined) return 0;
  const range = `0ms to ${most / 1000}s`;
  const parsed = parseDuration(text);
  if (!parsed.ok) throw usageError(`${option}: "${text}" is no duration from ${range}`, 'write it like 200ms or 1.5s');
  if (parsed.value > most) throw outOfRange(option, text, range);
  return parsed.value;
}

function readBandwidth(text: string): number {
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(bps|kbps|mbps|gbps)$/i.exec(text.trim()) ?? [];
  const factor = BIT_UNITS[unit?.toLowerCase() ?? ''];
  if (digits === undefined || factor === undefined) {
    const message = `--bandwidth: "${text}" is no bandwidth from ${BANDWIDTH_RANGE}`;
    throw usageError(message, 'write it like 64kbps, 1.5mbps or 1gbps (bits per second)');
  }
  const value = Math.round(Number(digits) * factor);
  if (!isWithin(value, MIN_BITS_PER_SECOND, MAX_BITS_PER_SECOND)) {
    throw outOfRange('--bandwidth', text, BANDWIDTH_RANGE);
  }
  return value;
}

function isWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

function outOfRange(what: string, value: string, range: string): Error {
  return usageError(`${what}: ${value} is out of range`, `${range} are allowed`);
}

/** `200ms delay, 50ms jitter, 64kbps`. */
export function describeShape({ delayMs, jitterMs, bitsPerSecond }: Omit<SlowLink, 'a' | 'b'>): string {
  const parts = [
    ...(delayMs > 0 ? [`${duration(delayMs)} delay`] : []),
    ...(jitterMs > 0 ? [`${duration(jitterMs)} jitter`] : []),
    ...(bitsPerSecond === null ? [] : [bandwidthText(bitsPerSecond)]),
  ];
  return parts.length === 0 ? 'no delay' : parts.join(', ');
}

function duration(ms: number): string {
  return ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`;
}

function bandwidthText(bits: number): string {
  const [unit, factor] = Object.entries(BIT_UNITS).findLast(([, size]) => bits >= size) ?? ['bps', 1];
  return `${bits / factor}${unit}`;
}
