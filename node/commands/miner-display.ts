/**
 * What a miner shows: on a terminal one line that changes, elsewhere a line for each block, with `--json` NDJSON. Hashes
 * of blocks are the result and go to stdout, all else to stderr.
 */
import { formatBtc } from '../../wallet/amount.ts';
import type { Millis } from '../boundary.ts';
import type { MinerEvent, MinerTotals, TemplateMiner } from '../mining/template-miner.ts';
import { difficultyOf } from '../rpc/block-json.ts';
import { type GlobalOptions, note, toJson } from './cli.ts';

const LIVE_MS = 500;
/** Where the terminal does not say how wide it is. */
const DEFAULT_COLUMNS = 80;
/** Back to the start of the line, and the rest of it empty. */
const NEW_LINE_HERE = '\r\u001b[K';

export interface Mining {
  readonly node: string;
  readonly address: string;
  readonly payee: string;
  readonly threads: number;
  readonly count: number;
}

export class MinerDisplay {
  readonly #options: GlobalOptions;
  readonly #mining: Mining;
  readonly #isLive: boolean;
  readonly #startedAt = performance.now();
  #lastBlockAt = this.#startedAt;
  #away: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #miner: TemplateMiner | undefined;

  constructor(options: GlobalOptions, mining: Mining) {
    this.#options = options;
    this.#mining = mining;
    this.#isLive = process.stderr.isTTY === true && !options.quiet && !options.json;
  }

  begin(miner: () => TemplateMiner): void {
    const { node, payee, threads, count } = this.#mining;
    const what = Number.isFinite(count) ? `${count} block${count === 1 ? '' : 's'}` : 'until ctrl-C';
    note(this.#options, `mining ${what} at ${node} to ${payee} with ${threads} thread${threads === 1 ? '' : 's'}`);
    if (!this.#isLive) return;
    this.#miner = miner();
    this.#timer = setInterval(() => this.#draw(performance.now()), LIVE_MS);
  }

  onEvent(event: MinerEvent, now: Millis): void {
    switch (event.type) {
      case 'mined': {
        const { outcome, block } = event;
        const tookMs = Math.round(now - this.#lastBlockAt);
        if (outcome.type === 'block') this.#lastBlockAt = now;
        if (this.#options.json) {
          const reason = outcome.type === 'refused' ? { reason: outcome.reason } : {};
          this.#json({ event: outcome.type, ...block, ...reason, tookMs });
        } else if (outcome.type === 'block') {
          const { height, transactions, rewardSats } = block;
          const payments = transactions === 1 ? '1 transaction' : `${transactions} transactions`;
          this.#clear();
          process.stdout.write(`${block.hash}\n`);
          if (!this.#isLive) {
            const reward = formatBtc(BigInt(rewardSats));
            note(this.#options, `block ${height} after ${duration(tookMs)}: ${payments}, ${reward}`);
          }
        } else {
          const why = outcome.type === 'stale' ? 'is stale: another one came first' : `was refused: ${outcome.reason}`;
          this.#say(`block ${block.height} ${why} (${block.hash})`);
        }
        break;
      }
      case 'away':
        this.#away = event.failure === 'not-ready' ? 'the node has no work' : 'waiting for the node';
        if (this.#options.json) this.#json({ event: 'away', message: event.message });
        else this.#say(`${this.#away}: ${event.message}`);
        break;
      case 'back':
        this.#away = undefined;
        if (this.#options.json) this.#json({ event: 'back' });
        else this.#say('the node is back');
        break;
    }
    if (this.#isLive) this.#draw(now);
  }

  /** Ends the live line and sums up. */
  end(totals: MinerTotals, now: Millis): void {
    clearInterval(this.#timer);
    this.#clear();
    const seconds = (now - this.#startedAt) / 1000;
    const hashRate = Math.round(totals.hashes / Math.max(seconds, 0.001));
    if (this.#options.json) {
      const { node, address } = this.#mining;
      this.#json({ event: 'summary', node, address, ...totals, seconds: Math.round(seconds * 1000) / 1000, hashRate });
      return;
    }
    const { found, stale, refused, earnedSats } = totals;
    const lost = `${stale} stale${refused === 0 ? '' : `, ${refused} refused`}`;
    const earned = formatBtc(BigInt(earnedSats));
    const time = duration(seconds * 1000);
    note(this.#options, `${found} found, ${lost} in ${time}; ${formatRate(hashRate)} on average; earned ${earned}`);
  }

  #draw(now: Millis): void {
    const miner = this.#miner;
    if (miner === undefined) return;
    process.stderr.write(`${NEW_LINE_HERE}${this.#line(miner, now)}`);
  }

  #line(miner: TemplateMiner, now: Millis): string {
    const { found, stale, earnedSats } = miner.totals;
    const { bits } = miner;
    const expectedMs = miner.expectedMs(now);
    const parts = [this.#away ?? formatRate(miner.rate(now)), `${found} found, ${stale} stale`];
    if (bits !== undefined) parts.push(`difficulty ${significant(difficultyOf(bits))}`);
    if (expectedMs !== undefined) parts.push(`~${duration(expectedMs)} a block`);
    parts.push(`${formatBtc(BigInt(earnedSats)).replace(/\.?0+ btc$/, ' btc')}`);
    // A line that is broken by the terminal cannot be taken back.
    return parts.join(' · ').slice(0, (process.stderr.columns || DEFAULT_COLUMNS) - 1);
  }

  #say(text: string): void {
    this.#clear();
    note(this.#options, text);
  }

  #clear(): void {
    if (this.#isLive) process.stderr.write(NEW_LINE_HERE);
  }

  #json(value: unknown): void {
    process.stdout.write(`${toJson(value)}\n`);
  }
}

/** `7.93 MH/s`. */
export function formatRate(hashesPerSecond: number): string {
  const units = ['H/s', 'kH/s', 'MH/s', 'GH/s', 'TH/s'];
  let value = hashesPerSecond;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? Math.round(value) : significant(value)} ${units[unit]}`;
}

/** `350 ms`, `4.2 s`, `12 min 5 s`, `3 h 20 min`, `5 days`. */
export function duration(ms: Millis): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / (24 * 60))} days`;
}

function significant(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
}
