/** Transactions and blocks out of the hex that callers give. */
import { type Block, type BlockHeader, HEADER_SIZE, readBlock, readHeader } from '../../consensus/block.ts';
import type { Bytes, Txid } from '../../consensus/brand.ts';
import { decode, type Reader } from '../../consensus/codec.ts';
import {
  isCoinbase,
  makeTransaction,
  readTransaction,
  type Transaction,
  type TransactionFields,
  type TxInput,
  type TxOutput,
} from '../../consensus/transaction.ts';
import { readHex } from './params.ts';
import { hasValidOpcodes } from './script-json.ts';

/** Which serializations a caller's transaction may have. */
export type Serialization = 'witness' | 'legacy' | 'either';

/**
 * A transaction of exactly these bytes, or undefined. One without inputs, but with outputs, reads like BIP 144's marker.
 * Calls that take finished transactions read it so and refuse it; for `either` both readings are tried, as in Core's
 * DecodeHexTx: the one whose scripts make sense wins, then the one with witnesses.
 */
export function decodeHexTransaction(hex: string, serialization: Serialization = 'witness'): Transaction | undefined {
  const bytes = readHex(hex);
  if (bytes === undefined) return undefined;
  const extended = serialization === 'legacy' ? undefined : decodeWhole(bytes, readTransaction);
  if (extended !== undefined && hasSaneScripts(extended)) return extended;
  const legacy = serialization === 'witness' ? undefined : decodeWhole(bytes, readLegacy);
  if (legacy !== undefined && (extended === undefined || hasSaneScripts(legacy))) return legacy;
  return extended;
}

/** A block header, or undefined. As in Core, bytes behind it are not looked at. */
export function decodeHexHeader(hex: string): BlockHeader | undefined {
  const bytes = readHex(hex);
  const header = bytes === undefined ? undefined : decode(bytes.subarray(0, HEADER_SIZE), readHeader);
  return header?.ok === true ? header.value : undefined;
}

/** A block, or undefined. As in Core, bytes behind it are not looked at. */
export function decodeHexBlock(hex: string): Block | undefined {
  const bytes = readHex(hex);
  if (bytes === undefined) return undefined;
  const block = decode(bytes, (reader) => {
    const value = readBlock(reader);
    reader.take(reader.remaining);
    return value;
  });
  return block.ok ? block.value : undefined;
}

function decodeWhole(bytes: Bytes, read: (reader: Reader) => Transaction): Transaction | undefined {
  const tx = decode(bytes, read);
  return tx.ok ? tx.value : undefined;
}

/** The serialization before BIP 144: no marker, no witnesses, any number of inputs. */
function readLegacy(reader: Reader): Transaction {
  const version = reader.u32();
  const inputs: TxInput[] = [];
  // 41 and 9 bytes are the smallest input and output: a count that cannot fit is refused before anything is allocated.
  const inputCount = reader.size(Math.floor(reader.remaining / 41));
  for (let i = 0; i < inputCount; i++) {
    const prevout = { txid: reader.id<Txid>(), vout: reader.u32() };
    inputs.push({ prevout, scriptSig: reader.varBytes(), sequence: reader.u32(), witness: [] });
  }
  const outputs: TxOutput[] = [];
  const outputCount = reader.size(Math.floor(reader.remaining / 9));
  for (let i = 0; i < outputCount; i++) outputs.push({ value: reader.i64(), scriptPubKey: reader.varBytes() });
  return makeTransaction({ version, inputs, outputs, lockTime: reader.u32() });
}

function hasSaneScripts(tx: TransactionFields): boolean {
  const inputs = isCoinbase(tx) || tx.inputs.every(({ scriptSig }) => hasValidOpcodes(scriptSig));
  return inputs && tx.outputs.every(({ scriptPubKey }) => hasValidOpcodes(scriptPubKey));
}
