/**
 * Parameters of methods: each is a value that knows its type, its help line and how to read a JSON value. Reading either
 * gives what the method wants or an error with Core's code and message; methods themselves never see raw JSON.
 */
import { hexToBytes } from '#hash';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { COIN, MAX_MONEY } from '../../consensus/params.ts';
import type { RpcParams } from '../boundary.ts';
import { error, RpcCode, type RpcError } from './answer.ts';
import { isHex, type JsonType, jsonType } from './json.ts';

export interface Param<T> {
  /** Other names by which it can be given. */
  readonly aliases: readonly string[];
  /** What it must be before any parameter is read; undefined where several types are fine. */
  readonly type: JsonType | undefined;
  /** Whether null stands for "not given". */
  readonly optional: boolean;
  /** Accepted, but not shown in the help. */
  readonly hidden: boolean;
  /** How the usage line shows it, as `"blockhash"`. */
  readonly shown: (name: string) => string;
  /** What stands in the brackets of the help. */
  readonly kind: string;
  readonly description: string;
  read(value: unknown): Result<T, RpcError>;
}

/** The parameters of a method in order, by name. */
export type Params = { readonly [name: string]: Param<unknown> };
/** What a method gets: its parameters read. */
export type Arguments<P extends Params> = { readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never };

/** Makes parameters that must be given; `optional` and `defaulted` make them optional. */
function param<T>(
  type: JsonType | undefined,
  kind: string,
  description: string,
  read: (value: unknown) => Result<T, RpcError>,
): Param<T> {
  const shown = (name: string) => (type === 'string' ? `"${name}"` : name);
  return { aliases: [], type, optional: false, hidden: false, shown, kind, description, read };
}

/** A parameter that is undefined where it is not given. */
export function optional<T>(inner: Param<T>): Param<T | undefined> {
  return { ...inner, optional: true, read: (value) => (isGiven(value) ? inner.read(value) : ok(undefined)) };
}

/** A parameter with a value for when it is not given. */
export function defaulted<T>(inner: Param<T>, value: T, shown = String(value)): Param<T> {
  return {
    ...inner,
    optional: true,
    kind: `${inner.kind}, default=${shown}`,
    read: (given) => (isGiven(given) ? inner.read(given) : ok(value)),
  };
}

export function alias<T>(inner: Param<T>, ...aliases: readonly string[]): Param<T> {
  return { ...inner, aliases };
}

export function hidden<T>(inner: Param<T>): Param<T> {
  return { ...inner, hidden: true };
}

/** Any text. */
export function text(description: string): Param<string> {
  return param('string', 'string', description, (value) => ok(value as string));
}

export function bool(description: string): Param<boolean> {
  return param('bool', 'boolean', description, (value) => ok(value as boolean));
}

/** A 32-byte id in display order. `label` is what Core's message calls it. */
export function hash<Id extends string>(label: string, description: string): Param<Id> {
  return param('string', 'string, hex', description, (value) => readHash<Id>(value as string, label));
}

/** Signed 32 bits. */
export function int(description: string): Param<number> {
  return param('number', 'numeric', description, (value) => readInteger(value, -0x80000000, 0x7fffffff));
}

/** Unsigned 16 bits. */
export function uint16(description: string): Param<number> {
  return param('number', 'numeric', description, (value) => readInteger(value, 0, 0xffff));
}

/** Unsigned 32 bits. */
export function uint32(description: string): Param<number> {
  return param('number', 'numeric', description, (value) => readInteger(value, 0, 0xffffffff));
}

/** Signed 64 bits as far as a JSON number is exact. */
export function long(description: string): Param<number> {
  return param('number', 'numeric', description, (value) =>
    readInteger(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  );
}

/** An integer, or a boolean that stands for 0 or 1. */
export function verbosity(description: string): Param<number> {
  return param(undefined, 'numeric or boolean', description, (value) => {
    if (typeof value === 'boolean') return ok(value ? 1 : 0);
    if (typeof value !== 'number') return fail(wrongType(value, 'number'));
    return readInteger(value, -0x80000000, 0x7fffffff);
  });
}

/** Coins as a number or a text, in satoshis. */
export function coins(description: string): Param<bigint> {
  return param(undefined, 'numeric or string, coins', description, readAmount);
}

/** Coins per 1000 virtual bytes as satoshis; less than one coin. */
export function feeRate(description: string): Param<bigint> {
  return param(undefined, 'numeric or string, coins per 1000 virtual bytes', description, (value) => {
    const rate = readAmount(value);
    if (!rate.ok || rate.value < COIN) return rate;
    return fail(error(RpcCode.parameter, 'Fee rates larger than or equal to 1BTC/kvB are not accepted'));
  });
}

/** An array of texts. */
export function texts(element: string, description: string): Param<readonly string[]> {
  const inner = param('array', 'array of strings', description, readTexts);
  return { ...inner, shown: () => `["${element}",...]` };
}

/** One text or an array of texts, and which of the two it was. */
export function oneOrMore(
  element: string,
  description: string,
): Param<{ readonly values: readonly string[]; readonly single: boolean }> {
  const inner = param(undefined, 'string or array of strings', description, (value) => {
    if (typeof value === 'string') return ok({ values: [value], single: true });
    if (!Array.isArray(value)) return fail(wrongType(value, 'array'));
    const values = readTexts(value);
    return values.ok ? ok({ values: values.value, single: false }) : values;
  });
  return { ...inner, shown: (name) => `"${name}"|["${element}",...]` };
}

/** A JSON object, read by the given function. */
export function object<T>(
  shown: string,
  description: string,
  read: (value: Readonly<Record<string, unknown>>) => Result<T, RpcError>,
): Param<T> {
  const inner = param('object', 'json object', description, (value) => read(value as Record<string, unknown>));
  return { ...inner, shown: () => shown };
}

/** A JSON array of members of any type, read by the given function. */
export function list<T>(
  shown: string,
  description: string,
  read: (value: readonly unknown[]) => Result<T, RpcError>,
): Param<T> {
  const inner = param('array', 'json array', description, (value) => read(value as readonly unknown[]));
  return { ...inner, shown: () => shown };
}

/** A value whose type the given function looks at. */
export function anyOf<T>(
  shown: string,
  kind: string,
  description: string,
  read: (value: unknown) => Result<T, RpcError>,
): Param<T> {
  const inner = param(undefined, kind, description, read);
  return { ...inner, shown: () => shown };
}

/** A value of several types, read by the given function, which knows nothing to do with the others. */
export function either<T>(
  kind: string,
  description: string,
  read: (value: unknown) => Result<T, RpcError> | undefined,
): Param<T> {
  return param(undefined, kind, description, (value) => read(value) ?? fail(wrongType(value, 'string')));
}

/** A JSON array, read by the given function. */
export function array<T>(
  shown: string,
  description: string,
  read: (value: readonly unknown[]) => Result<T, RpcError>,
): Param<T> {
  const inner = param('array', 'json array', description, (value) => read(value as readonly unknown[]));
  return { ...inner, shown: () => shown };
}

/** Whatever it is, it is not looked at. */
export function ignored(description: string): Param<null> {
  return param(undefined, 'any', description, () => ok(null));
}

/** Signed 32 bits. */
export function readInt(value: number): Result<number, RpcError> {
  return readInteger(value, -0x80000000, 0x7fffffff);
}

/** A 32-byte id in display order out of its text. */
export function readHash<Id extends string>(value: string, label: string): Result<Id, RpcError> {
  if (value.length !== 64) {
    const message = `${label} must be of length 64 (not ${value.length}, for '${value}')`;
    return fail(error(RpcCode.parameter, message));
  }
  if (!isHex(value)) {
    return fail(error(RpcCode.parameter, `${label} must be hexadecimal string (not '${value}')`));
  }
  return ok(value.toLowerCase() as Id);
}

/** Bytes out of hex, or undefined. */
export function readHex(value: string): Bytes | undefined {
  return isHex(value) ? hexToBytes(value) : undefined;
}

/** Members of an array must be texts. */
export function readTexts(value: unknown): Result<readonly string[], RpcError> {
  if (!Array.isArray(value)) return fail(wrongType(value, 'array'));
  for (const member of value as readonly unknown[]) {
    if (typeof member !== 'string') return fail(wrongType(member, 'string'));
  }
  return ok(value as readonly string[]);
}

/** The error of Core where a value is of another JSON type than is needed. */
export function wrongType(value: unknown, expected: JsonType): RpcError {
  return error(RpcCode.type, `JSON value of type ${jsonType(value)} is not of expected type ${expected}`);
}

/** An integer within bounds. The value is known to be a number. */
export function readInteger(value: unknown, min: number, max: number): Result<number, RpcError> {
  const number = value as number;
  if (!Number.isInteger(number) || number < min || number > max) {
    return fail(error(RpcCode.misc, 'JSON integer out of range'));
  }
  // -0 is a number of JavaScript only.
  return ok(number === 0 ? 0 : number);
}

/** The text of a JSON number or a string of the same form: sign, digits, at most eight decimals that count, exponent. */
const DECIMAL = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Coins as a number or a text, in satoshis. */
export function readAmount(value: unknown): Result<bigint, RpcError> {
  if (typeof value !== 'number' && typeof value !== 'string') {
    return fail(error(RpcCode.type, 'Amount is not a number or string'));
  }
  const match = DECIMAL.exec(String(value));
  if (match === null) return fail(error(RpcCode.type, 'Invalid amount'));
  const [, sign, whole = '', decimals = '', exponent = '0'] = match;
  const digits = (whole + decimals).replace(/0+$/, '');
  const dropped = whole.length + decimals.length - digits.length;
  // The value is digits · 10^shift satoshis.
  const shift = dropped - decimals.length + Number(exponent) + 8;
  if (digits !== '' && (shift < 0 || digits.length + shift > 18)) return fail(error(RpcCode.type, 'Invalid amount'));
  const sats = digits === '' ? 0n : BigInt(digits) * 10n ** BigInt(shift);
  if ((sign === '-' && sats > 0n) || sats > MAX_MONEY) return fail(error(RpcCode.type, 'Amount out of range'));
  return ok(sats);
}

function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/**
 * Named parameters as positional ones. What was not given before something that was is null. The member `args` is an
 * array of leading positional values.
 */
export function toPositional(given: RpcParams, params: Params): Result<readonly unknown[], RpcError> {
  if (Array.isArray(given)) return ok(given);
  const named = new Map(Object.entries(given as Readonly<Record<string, unknown>>));
  const values: unknown[] = [];
  let firstNamed: number | undefined;
  let position = 0;
  for (const [name, { aliases }] of Object.entries(params)) {
    const key = [name, ...aliases].find((candidate) => named.has(candidate));
    if (key !== undefined) {
      while (values.length < position) values.push(null);
      values.push(named.get(key));
      named.delete(key);
      firstNamed ??= position;
    }
    position += 1;
  }
  const leading = named.get('args');
  if (Array.isArray(leading)) {
    named.delete('args');
    if (firstNamed !== undefined && firstNamed < leading.length) {
      const [name, { aliases }] = Object.entries(params)[firstNamed] as [string, Param<unknown>];
      const names = [name, ...aliases].join('|');
      const message = `Parameter ${names} specified twice both as positional and named argument`;
      return fail(error(RpcCode.parameter, message));
    }
    for (const [index, value] of leading.entries()) values[index] = value;
  }
  for (const name of named.keys()) return fail(error(RpcCode.parameter, `Unknown named parameter ${name}`));
  return ok(values);
}
