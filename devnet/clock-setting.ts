/**
 * The time that a devnet shows: real, moved by so many seconds, or standing still. Pure: reads what people write, and
 * computes. The supervisor gives it to the nodes (devnet-clock.ts).
 */
import { usageError } from '../node/commands/cli.ts';

export type ClockSetting =
  | { readonly kind: 'real' }
  /** Runs as the real clock does, so many seconds ahead of it, or behind it where negative. */
  | { readonly kind: 'moved'; readonly seconds: number }
  /** Stands still at that second since 1970. */
  | { readonly kind: 'fixed'; readonly unix: number };

export type ClockOrder =
  | { readonly kind: 'show' }
  | { readonly kind: 'move'; readonly seconds: number }
  | { readonly kind: 'set'; readonly unix: number }
  | { readonly kind: 'resume' };

export const REAL_CLOCK: ClockSetting = { kind: 'real' };

/** Nothing in the chain is older than regtest's genesis block. */
export const EARLIEST_TIME = 1_296_688_602;
/** Times of headers have 32 bits, and nodes look two hours ahead. */
export const LATEST_TIME = 2 ** 32 - 1 - 7200;

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const EXAMPLES = 'for example: devnet time +1h, devnet time -30m, devnet time set 2030-01-01T12:00, devnet time resume';

/** The words behind `devnet time`. Throws a usage error on what is no time. */
export function readClockOrder(words: readonly string[]): ClockOrder {
  const [first, ...rest] = words;
  if (first === undefined) return { kind: 'show' };
  if (first === 'resume' && rest.length === 0) return { kind: 'resume' };
  if (first === 'set' && rest.length > 0) return { kind: 'set', unix: readMoment(rest.join('T')) };
  if (/^[+-]/.test(first) && rest.length === 0) return { kind: 'move', seconds: readShift(first) };
  throw usageError(`"${words.join(' ')}" is no time`, EXAMPLES);
}

/** `+1h`, `-30m`, `+1d12h`: seconds. */
export function readShift(text: string): number {
  const match = /^([+-])((?:\d{1,9}[smhdw])+)$/.exec(text);
  if (match === null) throw usageError(`"${text}" is no step in time`, EXAMPLES);
  const parts = [...(match[2] as string).matchAll(/(\d+)([smhdw])/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_SECONDS[unit as string] ?? 0), 0);
  if (seconds === 0) throw usageError(`"${text}" moves nothing`, EXAMPLES);
  return match[1] === '-' ? -seconds : seconds;
}

/** A date (UTC unless it says otherwise), with or without the time of day, or seconds since 1970. */
function readMoment(text: string): number {
  if (/^\d{9,11}$/.test(text)) return Number(text);
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/i.exec(text);
  const [, day, time = '00:00', zone = 'Z'] = match ?? [];
  const moment = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  const isDay = Number.isFinite(moment) && new Date(Date.parse(`${day}T00:00Z`)).toISOString().startsWith(String(day));
  if (isDay) return Math.floor(moment / 1000);
  throw usageError(`"${text}" is no date`, 'write 2030-01-01, 2030-01-01T12:00 (UTC) or seconds since 1970');
}

/** What the clock shows when the real one shows `real`. */
export function shownTime(setting: ClockSetting, real: number): number {
  switch (setting.kind) {
    case 'real':
      return real;
    case 'moved':
      return real + setting.seconds;
    case 'fixed':
      return setting.unix;
  }
}

/** The setting after an order. Throws a usage error where no block could have that time. */
export function changeClock(setting: ClockSetting, order: ClockOrder, real: number): ClockSetting {
  const changed = applied(setting, order);
  const shown = shownTime(changed, real);
  if (changed.kind === 'real' || (shown >= EARLIEST_TIME && shown <= LATEST_TIME)) return changed;
  throw usageError(
    `no block can have the time that is ${shown} seconds after 1970`,
    `times go from ${describeMoment(EARLIEST_TIME)} to ${describeMoment(LATEST_TIME)}`,
  );
}

function applied(setting: ClockSetting, order: ClockOrder): ClockSetting {
  switch (order.kind) {
    case 'show':
      return setting;
    case 'resume':
      return REAL_CLOCK;
    case 'set':
      return { kind: 'fixed', unix: order.unix };
    case 'move': {
      if (setting.kind === 'fixed') return { kind: 'fixed', unix: setting.unix + order.seconds };
      const seconds = (setting.kind === 'moved' ? setting.seconds : 0) + order.seconds;
      return seconds === 0 ? REAL_CLOCK : { kind: 'moved', seconds };
    }
  }
}

/** A setting that was stored, or undefined if it is none. */
export function readClockSetting(value: unknown): ClockSetting | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, seconds, unix } = value as Record<string, unknown>;
  if (kind === 'moved' && Number.isSafeInteger(seconds)) return { kind, seconds: seconds as number };
  if (kind === 'fixed' && Number.isSafeInteger(unix)) return { kind, unix: unix as number };
  return kind === 'real' ? REAL_CLOCK : undefined;
}

/** `2030-01-01T12:00:00Z`. */
export function describeMoment(unix: number): string {
  const date = new Date(unix * 1000);
  return Number.isFinite(date.getTime()) ? date.toISOString().replace('.000Z', 'Z') : `${unix} s after 1970`;
}

/** In words, after "the clock": `shows real time`. */
export function describeClock(setting: ClockSetting): string {
  switch (setting.kind) {
    case 'real':
      return 'shows real time';
    case 'moved':
      return `is ${describeSpan(Math.abs(setting.seconds))} ${setting.seconds < 0 ? 'behind' : 'ahead'} and runs`;
    case 'fixed':
      return 'stands still';
  }
}

/** `1d2h`, with the units that `readShift` knows. */
function describeSpan(seconds: number): string {
  let rest = seconds;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(rest / (UNIT_SECONDS[unit] as number));
    rest -= count * (UNIT_SECONDS[unit] as number);
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
