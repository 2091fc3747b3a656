/** How a peer wants blocks and transactions announced: `sendcmpct` (BIP 152) and `feefilter` (BIP 133). */
import { ok } from '../../consensus/brand.ts';
import type { PayloadCodec } from './family.ts';

export const sendcmpct: PayloadCodec<'sendcmpct'> = {
  // BIP 152 allows 0 and 1; Core takes any other value for 1.
  read: (reader) => ok({ type: 'sendcmpct', highBandwidth: reader.u8() !== 0, version: reader.u64() }),
  write: (writer, message) => void writer.u8(message.highBandwidth ? 1 : 0).u64(message.version),
};

export const feefilter: PayloadCodec<'feefilter'> = {
  read: (reader) => ok({ type: 'feefilter', satPerKvb: reader.i64() }),
  write: (writer, message) => void writer.i64(message.satPerKvb),
};
