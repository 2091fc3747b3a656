/**
 * Logs. A line is a moment, a level, a message and fields; where lines go and how they look is the command's choice.
 * Levels: `debug` prints every event and action at the edge of the core, `info` what people want to know.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [name: string]: string | number | boolean | null | undefined };

export interface Logger {
  /** False spares the work of describing what would not be printed. */
  readonly debugging: boolean;
  log(level: LogLevel, message: string, fields?: LogFields): void;
}

const severity: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Prints nothing. */
export const silentLogger: Logger = { debugging: false, log: () => undefined };

/** Lines of text or of JSON (NDJSON) from `least` upwards. */
export function lineLogger(write: (line: string) => void, format: 'text' | 'json', least: LogLevel): Logger {
  return {
    debugging: least === 'debug',
    log(level, message, fields = {}) {
      if (severity[level] < severity[least]) return;
      const time = timeText(Date.now());
      write(
        format === 'json'
          ? `${JSON.stringify({ time, level, message, ...fields })}\n`
          : `${time.slice(11, 23)} ${level === 'info' ? '' : `${level} `}${message}${textFields(fields)}\n`,
      );
    },
  };
}

let lastTime = { at: Number.NaN, text: '' };

/** A busy node prints several lines in a millisecond, and to spell a date takes longer than all the rest. */
function timeText(at: number): string {
  if (lastTime.at !== at) lastTime = { at, text: new Date(at).toISOString() };
  return lastTime.text;
}

function textFields(fields: LogFields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) text += ` ${name}=${printable(value)}`;
  return text;
}

/** What strangers name themselves must not begin a line of the log, nor speak to the terminal. */
function printable(value: NonNullable<LogFields[string]> | null): string {
  return String(value).replace(/\p{C}/gu, (sign) => `\\u{${(sign.codePointAt(0) as number).toString(16)}}`);
}
