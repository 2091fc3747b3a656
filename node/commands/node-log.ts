/** The log of a running node: notices as lines on standard error, text for people or NDJSON for programs. */
import { writeSync } from 'node:fs';
import type { Notice, Verifier } from '../boundary.ts';
import { type LogFields, type Logger, type LogLevel, lineLogger } from '../runtime/log.ts';
import { endpointText } from '../runtime/trace.ts';
import type { GlobalOptions } from './cli.ts';

const levels: Readonly<Record<Notice['kind'], LogLevel>> = {
  tip: 'info',
  peer: 'info',
  'peer-gone': 'info',
  misbehaved: 'warn',
  'block-rejected': 'warn',
  transaction: 'info',
  'transaction-rejected': 'debug',
  'initial-sync-done': 'info',
  'stop-requested': 'info',
  damaged: 'error',
};

export function nodeLogger(options: GlobalOptions): Logger {
  const least = options.quiet ? 'error' : options.verbose ? 'debug' : 'info';
  return lineLogger(turnWriter(), options.json ? 'json' : 'text', least);
}

/** One line: the kind of notice, and what it says as fields. */
export function logNotice(logger: Logger, notice: Notice): void {
  const { kind, ...rest } = notice;
  const fields: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(rest)) {
    fields[name] = typeof value === 'object' ? endpointText(value) : value;
  }
  logger.log(levels[kind], kind, fields);
}

/** `native libsecp256k1, up to 2 workers`. */
export function verifierText({ library, workers }: Verifier): string {
  return `${library}, ${workers === 1 ? '1 worker' : `up to ${workers} workers`}`;
}

/** Collects the lines of one turn of the event loop: a write to a pipe blocks, and a busy node has much to tell. */
function turnWriter(): (line: string) => void {
  let lines = '';
  const flush = () => {
    const text = lines;
    lines = '';
    process.stderr.write(text);
  };
  process.once('exit', () => {
    if (lines !== '') writeSync(process.stderr.fd, lines);
  });
  return (line) => {
    if (lines === '') setImmediate(flush);
    lines += line;
  };
}
