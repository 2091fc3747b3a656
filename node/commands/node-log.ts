/** The log of a running node: notices as lines on standard error, text for people or NDJSON for programs. */
import { writeSync } from 'node:fs';
import type { Notice, Verifier } from '../boundary.ts';
import { type LogFields, type Logger, type LogLevel, lineLogger } from '../runtime/log.ts';
import { endpointText } from '../runtime/trace.ts';
import type { GlobalOptions } from './cli.ts';
import { SyncProgress } from './sync-progress.ts';

/** To the start of the terminal's line, and clear it. */
const ERASE_LINE = '\r\x1b[K';

const levels: Readonly<Record<Notice['kind'], LogLevel>> = {
  tip: 'info',
  peer: 'info',
  'peer-gone': 'info',
  'not-connected': 'warn',
  misbehaved: 'warn',
  'block-rejected': 'warn',
  transaction: 'info',
  'transaction-rejected': 'debug',
  'initial-sync-done': 'info',
  item: 'info',
  'stop-requested': 'info',
  damaged: 'error',
};

/** Where a node's log goes, and how it tells of its initial sync. */
export interface NodeLog {
  readonly logger: Logger;
  onNotice(notice: Notice): void;
}

/**
 * The log on standard error. People are not told every block of an initial sync but how far it is: on a terminal in one
 * line that stays the last one, elsewhere in a line every few seconds. With `-v`, and in JSON, every block is there.
 */
export function nodeLog(options: GlobalOptions): NodeLog {
  const least = options.quiet ? 'error' : options.verbose ? 'debug' : 'info';
  const lines = new TurnLines();
  const logger = lineLogger((line) => lines.add(line), options.json ? 'json' : 'text', least);
  const onTerminal = process.stderr.isTTY === true;
  const progress =
    options.json || options.quiet || options.verbose ? undefined : new SyncProgress(onTerminal ? 'terminal' : 'log');
  const onNotice = (notice: Notice) => {
    if (notice.kind === 'tip' && notice.syncingTo !== undefined && progress !== undefined) {
      const line = progress.onTip(notice, performance.now());
      if (line === undefined) return;
      if (onTerminal) lines.setLast(line);
      else logger.log('info', line);
      return;
    }
    if (notice.kind === 'initial-sync-done') lines.setLast('');
    logNotice(logger, notice);
  };
  return { logger, onNotice };
}

/** One line: the kind of notice, and what it says as fields. */
function logNotice(logger: Logger, notice: Notice): void {
  const { kind, ...rest } = notice;
  const fields: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (typeof value !== 'object') fields[name] = value;
    else fields[name] = 'host' in value ? endpointText(value) : value.join(' ');
  }
  logger.log(levels[kind], kind, fields);
}

/** `native libsecp256k1, up to 2 workers`. */
export function verifierText({ library, workers }: Verifier): string {
  return `${library}, ${workers === 1 ? '1 worker' : `up to ${workers} workers`}`;
}

/** Collects the lines of one turn of the event loop: a write to a pipe blocks, and a busy node has much to tell. */
class TurnLines {
  #lines = '';
  #due = false;
  /** The line of the terminal that stays below all others, and whether it stands there now. */
  #last = '';
  #isShown = false;

  constructor() {
    process.once('exit', () => {
      this.#last = '';
      const text = this.#take();
      if (text !== '') writeSync(process.stderr.fd, text);
    });
  }

  add(line: string): void {
    this.#lines += line;
    this.#writeSoon();
  }

  /** Shows this line below all others; empty: none. For terminals only. */
  setLast(line: string): void {
    if (line === this.#last) return;
    this.#last = line;
    this.#writeSoon();
  }

  #writeSoon(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      process.stderr.write(this.#take());
    });
  }

  #take(): string {
    const text = `${this.#isShown ? ERASE_LINE : ''}${this.#lines}${this.#last}`;
    this.#lines = '';
    this.#isShown = this.#last !== '';
    return text;
  }
}
