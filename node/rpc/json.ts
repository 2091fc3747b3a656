/**
 * JSON as Bitcoin Core prints it: amounts are numbers with exactly eight decimals, 64-bit integers keep all their digits.
 * JSON.stringify can do neither, so results of calls are written here. Reading needs nothing of our own.
 */
import { COIN } from '../../consensus/params.ts';

/** A number whose text is decided by us. Make one with `amount`. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value that was serialized before, where doing it for each answer would take too long. */
export class JsonText {
  readonly json: string;

  constructor(json: string) {
    this.json = json;
  }
}

/** What a call can return. Members that are undefined are left out. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonNumber
  | JsonText
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

/** Satoshis as coins with eight decimals: 1n → 0.00000001. */
export function amount(sats: bigint): JsonNumber {
  return new JsonNumber(formatAmount(sats));
}

/** The text of `amount`. */
export function formatAmount(sats: bigint): string {
  const positive = sats < 0n ? -sats : sats;
  return `${sats < 0n ? '-' : ''}${positive / COIN}.${String(positive % COIN).padStart(8, '0')}`;
}

/** One line of JSON. */
export function stringify(value: JsonValue): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return formatNumber(value);
  if (value instanceof JsonNumber) return value.text;
  if (value instanceof JsonText) return value.json;
  if (isArray(value)) return `[${value.map(stringify).join(',')}]`;
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${stringify(member)}`);
  }
  return `{${members.join(',')}}`;
}

/** As many digits as Core prints of a fraction. */
const FRACTION_DIGITS = 16;

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Error('JSON has no such number');
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(FRACTION_DIGITS)));
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Names of JSON types as Core's messages give them. */
export type JsonType = 'null' | 'bool' | 'object' | 'array' | 'string' | 'number';

/** The type of a parsed JSON value; undefined, a parameter that was not given, is null. */
export function jsonType(value: unknown): JsonType {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return 'number';
    case 'string':
      return 'string';
    default:
      return 'object';
  }
}

/** Hex digits in pairs, either case, at least one pair. */
export function isHex(text: string): boolean {
  return text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text);
}

/** Unsigned integer as hex of `digits` digits. */
export function hexNumber(value: number | bigint, digits: number): string {
  return BigInt.asUintN(digits * 4, BigInt(value))
    .toString(16)
    .padStart(digits, '0');
}
