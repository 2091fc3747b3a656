/** `block` and `tx`, with witnesses (BIP 144). */
import { encodeBlock, readBlock } from '../../consensus/block.ts';
import { ok } from '../../consensus/brand.ts';
import { encodeTransaction, readTransaction } from '../../consensus/transaction.ts';
import type { PayloadCodec } from './family.ts';

export const block: PayloadCodec<'block'> = {
  read: (reader) => ok({ type: 'block', block: readBlock(reader) }),
  write: (writer, message) => void writer.raw(encodeBlock(message.block)),
};

export const tx: PayloadCodec<'tx'> = {
  read: (reader) => ok({ type: 'tx', tx: readTransaction(reader) }),
  write: (writer, message) => void writer.raw(encodeTransaction(message.tx)),
};
