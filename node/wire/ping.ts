/** `ping` and `pong` (BIP 31). */
import { ok } from '../../consensus/brand.ts';
import type { PayloadCodec } from './family.ts';

export const ping: PayloadCodec<'ping'> = {
  read: (reader) => ok({ type: 'ping', nonce: reader.u64() }),
  write: (writer, { nonce }) => void writer.u64(nonce),
};

export const pong: PayloadCodec<'pong'> = {
  read: (reader) => ok({ type: 'pong', nonce: reader.u64() }),
  write: (writer, { nonce }) => void writer.u64(nonce),
};
