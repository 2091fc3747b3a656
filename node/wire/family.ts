/** What a message family gives to the codec table: how a payload is read and written. */
import { ok, type Result } from '../../consensus/brand.ts';
import type { Reader, Writer } from '../../consensus/codec.ts';
import type { Offence } from '../effect.ts';
import type { MessageOf, MessageType } from './message.ts';

/** Why a payload was not read. Core ignores most of these; where it punishes the sender, the offence is named. */
export interface DecodeFailure {
  readonly message: string;
  readonly offence?: Offence;
}

export interface PayloadCodec<Type extends MessageType> {
  /** Throws DecodeError on malformed bytes; what is well-formed but above a limit is a failure that names the offence. */
  readonly read: (reader: Reader) => Result<MessageOf<Type>, DecodeFailure>;
  readonly write: (writer: Writer, message: MessageOf<Type>) => void;
}

/** A message without a payload. */
export function emptyPayload<
  Type extends 'verack' | 'sendaddrv2' | 'wtxidrelay' | 'sendheaders' | 'getaddr' | 'mempool',
>(type: Type): PayloadCodec<Type> {
  const message = { type } as MessageOf<Type>;
  return { read: () => ok(message), write: () => undefined };
}

/** A count above its limit. The items behind it are not looked at. */
export function tooMany(
  what: string,
  count: number,
  limit: number,
  offence?: Offence,
): { ok: false; error: DecodeFailure } {
  const message = `${count} ${what}, the limit is ${limit}`;
  return { ok: false, error: offence === undefined ? { message } : { message, offence } };
}
