/**
 * The table of peer messages: one line per command, each read and written by its family's file. RULES.md C2.
 * A new message is a member of `Message`, a codec beside this file, and a line here.
 */
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { decode, Writer } from '../../consensus/codec.ts';
import { addr, addrv2 } from './address.ts';
import { block, tx } from './block-tx.ts';
import { type DecodeFailure, emptyPayload, type PayloadCodec } from './family.ts';
import { encodeFrame } from './frame.ts';
import { getheaders, headers } from './headers.ts';
import { getdata, inv, notfound } from './inventory.ts';
import type { Message, MessageType } from './message.ts';
import { ping, pong } from './ping.ts';
import { feefilter, sendcmpct } from './preferences.ts';
import { version } from './version.ts';

export type { DecodeFailure } from './family.ts';

/** By command: the type of a message is its command. */
const codecs: { readonly [Type in MessageType]: PayloadCodec<Type> } = {
  addr,
  addrv2,
  block,
  feefilter,
  getaddr: emptyPayload('getaddr'),
  getdata,
  getheaders,
  headers,
  inv,
  mempool: emptyPayload('mempool'),
  notfound,
  ping,
  pong,
  sendaddrv2: emptyPayload('sendaddrv2'),
  sendcmpct,
  sendheaders: emptyPayload('sendheaders'),
  tx,
  verack: emptyPayload('verack'),
  version,
  wtxidrelay: emptyPayload('wtxidrelay'),
};

/** A whole frame, ready to be sent. */
export function encodeMessage(message: Message, magic: Bytes): Bytes {
  return encodeFrame(magic, message.type, encodePayload(message));
}

export function encodePayload(message: Message): Bytes {
  const writer = new Writer();
  codecOf(message.type).write(writer, message);
  return writer.finish();
}

/**
 * Reads the payload of a command; null for one that we do not know, which is no error. Bytes behind the last field are
 * ignored as Core ignores them, so that a later protocol can append fields.
 */
export function decodeMessage(command: string, payload: Bytes): Result<Message | null, DecodeFailure> {
  if (!Object.hasOwn(codecs, command)) return ok(null);
  const decoded = decode(payload, (reader) => {
    const message = codecOf(command as MessageType).read(reader);
    reader.view(reader.remaining);
    return message;
  });
  return decoded.ok ? decoded.value : fail({ message: decoded.error });
}

/** The table's type pairs each message with its codec, which TypeScript cannot follow through a lookup by a union. */
function codecOf(type: MessageType): PayloadCodec<MessageType> {
  return codecs[type] as unknown as PayloadCodec<MessageType>;
}
