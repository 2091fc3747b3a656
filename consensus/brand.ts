/**
 * Branded types: strings that cannot be mixed up, and the result type of everything that can be refused.
 *
 * Ids are lower-case hex in display order (the reverse of the order in which the bytes are hashed and sent).
 */
import { bytesToHex, hexToBytes } from '#hash';

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

/** 32 hash bytes in hashing order → id in display order. */
export function idFromBytes<Id extends string>(bytes: Bytes): Id {
  return bytesToHex(Uint8Array.from(bytes).reverse()) as Id;
}

/** Id in display order → 32 bytes in hashing order. */
export function idToBytes(id: string): Bytes {
  return hexToBytes(id).reverse();
}

export function outPointKey(txid: Txid, vout: number): OutPointKey {
  return `${txid}:${vout}` as OutPointKey;
}
