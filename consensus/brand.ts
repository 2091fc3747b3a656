/**
 * Branded types: strings that cannot be mixed up, and the result type of everything that can be refused.
 *
 * Ids are lower-case hex in display order (the reverse of the order in which the bytes are hashed and sent).
 */
import { bytesToHex, sha256dInto } from '#hash';

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** sha256d of a transaction without its witnesses. */
export type Txid = Brand<string, 'Txid'>;
/** sha256d of a transaction with its witnesses. */
export type Wtxid = Brand<string, 'Wtxid'>;
/** sha256d of an 80-byte block header. */
export type BlockHash = Brand<string, 'BlockHash'>;
/** `txid:vout`, the key of a coin. */
export type OutPointKey = Brand<string, 'OutPointKey'>;
/** sha256 of an output script, in the order of its bytes (not reversed): the key of the script index. */
export type ScriptHash = Brand<string, 'ScriptHash'>;

export type Bytes = Uint8Array;

/** The answer of a function that may refuse its input: a value, or a reason that is data. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function fail<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** Ends a switch over a union: does not compile while a member is not handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

const ID_SIZE = 32;
/** Value of a hex digit by its character code; negative for any other character. */
const hexDigits = new Int8Array(0x80).fill(-1);
for (const digit of '0123456789abcdefABCDEF') hexDigits[digit.charCodeAt(0)] = Number.parseInt(digit, 16);
/** Where the bytes of an id are turned around. A loop: `reverse` and `toReversed` of typed arrays take four times as long. */
const reversed = new Uint8Array(ID_SIZE);
const digest = new Uint8Array(ID_SIZE);

/** 32 hash bytes in hashing order, those of `bytes` from `at` on → id in display order. */
export function idFromBytes<Id extends string>(bytes: Bytes, at = 0): Id {
  for (let i = 0; i < ID_SIZE; i++) reversed[i] = bytes[at + ID_SIZE - 1 - i] as number;
  return bytesToHex(reversed) as Id;
}

/** The id of what has this serialization: its sha256d. */
export function idOf<Id extends string>(serialized: Bytes): Id {
  sha256dInto(serialized, digest, 0);
  return idFromBytes<Id>(digest);
}

/** Id in display order → 32 bytes in hashing order. */
export function idToBytes(id: string): Bytes {
  const bytes = new Uint8Array(ID_SIZE);
  writeId(id, bytes, 0);
  return bytes;
}

/** `idToBytes` into `target` from `at` on. Throws on what is no id. */
export function writeId(id: string, target: Bytes, at: number): void {
  if (id.length !== 2 * ID_SIZE) throw new Error('an id has 64 hex digits');
  let digits = 0;
  for (let i = 0; i < ID_SIZE; i++) {
    const high = hexDigit(id.charCodeAt(2 * i));
    const low = hexDigit(id.charCodeAt(2 * i + 1));
    digits |= high | low;
    target[at + ID_SIZE - 1 - i] = (high << 4) | low;
  }
  if (digits < 0) throw new Error('an id has 64 hex digits');
}

function hexDigit(code: number): number {
  return hexDigits[code] ?? -1;
}

export function outPointKey(txid: Txid, vout: number): OutPointKey {
  return `${txid}:${vout}` as OutPointKey;
}
