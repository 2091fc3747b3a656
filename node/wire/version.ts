/** `version`: who the peer is. The empty messages of the handshake stand in the table of codec.ts. */
import { type Bytes, ok } from '../../consensus/brand.ts';
import type { PayloadCodec } from './family.ts';

export const MAX_USER_AGENT_BYTES = 256;
const NO_ADDRESS = new Uint8Array(16);

export const version: PayloadCodec<'version'> = {
  read: (reader) => {
    const fields = {
      type: 'version',
      version: reader.i32(),
      services: reader.u64(),
      time: reader.i64(),
      receiver: { services: reader.u64(), ip: reader.take(16), port: reader.u16be() },
    } as const;
    // Everything from here on is optional, one field after the other: the oldest clients send none of it.
    let nonce = 0n;
    let userAgent = '';
    let startHeight = -1;
    let relay = true;
    if (reader.remaining > 0) {
      // The sender's services, IP and port: always wrong behind a router, so nobody reads them.
      reader.view(26);
      nonce = reader.u64();
    }
    if (reader.remaining > 0) userAgent = latin1Text(reader.varBytes(MAX_USER_AGENT_BYTES));
    if (reader.remaining > 0) startHeight = reader.i32();
    if (reader.remaining > 0) relay = reader.u8() !== 0;
    return ok({ ...fields, nonce, userAgent, startHeight, relay });
  },
  write: (writer, message) => {
    writer.i32(message.version).u64(message.services).i64(message.time);
    writer.u64(message.receiver.services).raw(message.receiver.ip).u16be(message.receiver.port);
    // Like Core: our services again, and no address.
    writer.u64(message.services).raw(NO_ADDRESS).u16be(0);
    writer.u64(message.nonce).varBytes(latin1Bytes(message.userAgent));
    writer.i32(message.startHeight).u8(message.relay ? 1 : 0);
  },
};

/** One character per byte, so that any bytes survive a round trip. Whoever shows it must make it printable. */
function latin1Text(bytes: Bytes): string {
  return String.fromCharCode(...bytes);
}

function latin1Bytes(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
