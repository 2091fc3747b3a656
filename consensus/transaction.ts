/**
 * Transactions: the type, its serialization (BIP 144) and its two ids. No rule is checked here but what cannot be decoded.
 */
import { sha256d } from '#hash';
import { type Bytes, idFromBytes, type OutPointKey, outPointKey, type Txid, type Wtxid } from './brand.ts';
import { compactLength, DecodeError, type Reader, Writer } from './codec.ts';

/** The output that an input spends. */
export interface OutPoint {
  readonly txid: Txid;
  readonly vout: number;
}

export interface TxInput {
  readonly prevout: OutPoint;
  readonly scriptSig: Bytes;
  readonly sequence: number;
  readonly witness: readonly Bytes[];
}

export interface TxOutput {
  /** Satoshis; signed 64 bits on the wire, so it can be negative until it is checked. */
  readonly value: bigint;
  readonly scriptPubKey: Bytes;
}

/** The fields of a transaction, without what is derived from them. */
export interface TransactionFields {
  /** Unsigned 32 bits. */
  readonly version: number;
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  readonly lockTime: number;
}

/** A transaction with its ids and sizes, each computed once. Make one with `makeTransaction` or `readTransaction`. */
export interface Transaction extends TransactionFields {
  readonly txid: Txid;
  readonly wtxid: Wtxid;
  /** Bytes with witnesses. */
  readonly size: number;
  /** Bytes without witnesses. */
  readonly strippedSize: number;
}

/** A coin: an unspent output with what its spender must know. The set holds P2TR outputs only. */
export interface Coin {
  readonly value: bigint;
  readonly scriptPubKey: Bytes;
  readonly height: number;
  readonly coinbase: boolean;
}

export const NULL_TXID = '0'.repeat(64) as Txid;
export const NULL_VOUT = 0xffffffff;

/** Computes ids and sizes of the given fields. */
export function makeTransaction(fields: TransactionFields): Transaction {
  const stripped = encodeFields(fields, false);
  const full = hasWitness(fields) ? encodeFields(fields, true) : stripped;
  const digest = sha256d(stripped);
  return {
    version: fields.version,
    inputs: fields.inputs,
    outputs: fields.outputs,
    lockTime: fields.lockTime,
    txid: idFromBytes<Txid>(digest),
    wtxid: idFromBytes<Wtxid>(full === stripped ? digest : sha256d(full)),
    size: full.length,
    strippedSize: stripped.length,
  };
}

/** Serialization with witnesses where there are any (BIP 144), or the one that txids hash. */
export function encodeTransaction(tx: TransactionFields, options: { witness: boolean } = { witness: true }): Bytes {
  return encodeFields(tx, options.witness && hasWitness(tx));
}

/** Reads one transaction and leaves the reader behind it. Throws DecodeError; call it through `decode`. */
export function readTransaction(reader: Reader): Transaction {
  const start = reader.position;
  const version = reader.u32();
  let body = reader.position;
  let segwit = false;
  // An empty input list here is BIP 144's marker, never a transaction without inputs.
  if (reader.remaining >= 2 && reader.bytes[body] === 0) {
    reader.u8();
    if (reader.u8() !== 1) throw new DecodeError('unknown transaction flag');
    segwit = true;
    body += 2;
  }
  // 41 and 9 bytes are the smallest input and output: a count that cannot fit is refused before anything is allocated.
  const inputCount = reader.size(Math.floor(reader.remaining / 41));
  const bare: Omit<TxInput, 'witness'>[] = [];
  for (let i = 0; i < inputCount; i++) {
    bare.push({
      prevout: { txid: reader.id<Txid>(), vout: reader.u32() },
      scriptSig: reader.varBytes(),
      sequence: reader.u32(),
    });
  }
  const outputCount = reader.size(Math.floor(reader.remaining / 9));
  const outputs: TxOutput[] = [];
  for (let i = 0; i < outputCount; i++) outputs.push({ value: reader.i64(), scriptPubKey: reader.varBytes() });
  const bodyEnd = reader.position;
  let anyWitness = false;
  const inputs: TxInput[] = bare.map((input) => {
    const witness: Bytes[] = [];
    if (segwit) {
      const items = reader.size(reader.remaining);
      for (let i = 0; i < items; i++) witness.push(reader.varBytes());
      if (items > 0) anyWitness = true;
    }
    return { prevout: input.prevout, scriptSig: input.scriptSig, sequence: input.sequence, witness };
  });
  if (segwit && !anyWitness) throw new DecodeError('superfluous witness record');
  const lockTime = reader.u32();
  const full = reader.bytes.subarray(start, reader.position);
  let digest: Bytes;
  let strippedSize = full.length;
  if (segwit) {
    strippedSize = 8 + bodyEnd - body;
    const stripped = new Uint8Array(strippedSize);
    stripped.set(full.subarray(0, 4));
    stripped.set(reader.bytes.subarray(body, bodyEnd), 4);
    stripped.set(full.subarray(full.length - 4), strippedSize - 4);
    digest = sha256d(stripped);
  } else {
    digest = sha256d(full);
  }
  return {
    version,
    inputs,
    outputs,
    lockTime,
    txid: idFromBytes<Txid>(digest),
    wtxid: idFromBytes<Wtxid>(segwit ? sha256d(full) : digest),
    size: full.length,
    strippedSize,
  };
}

/** BIP 141 weight: three times the stripped size plus the full size. */
export function weightOf(tx: Pick<Transaction, 'size' | 'strippedSize'>): number {
  return tx.strippedSize * 3 + tx.size;
}

/** Weight in virtual bytes, rounded up. */
export function vsizeOf(tx: Pick<Transaction, 'size' | 'strippedSize'>): number {
  return Math.ceil(weightOf(tx) / 4);
}

/** True for the one form that mints: a single input with the null prevout. */
export function isCoinbase(tx: TransactionFields): boolean {
  const first = tx.inputs[0];
  return tx.inputs.length === 1 && first !== undefined && isNullPrevout(first.prevout);
}

export function isNullPrevout(prevout: OutPoint): boolean {
  return prevout.vout === NULL_VOUT && prevout.txid === NULL_TXID;
}

export function hasWitness(tx: TransactionFields): boolean {
  return tx.inputs.some((input) => input.witness.length > 0);
}

export function prevoutKey(input: TxInput): OutPointKey {
  return outPointKey(input.prevout.txid, input.prevout.vout);
}

function encodeFields(tx: TransactionFields, witness: boolean): Bytes {
  const writer = new Writer(64 + tx.inputs.length * 110 + tx.outputs.length * 44);
  writer.u32(tx.version);
  if (witness) writer.u8(0).u8(1);
  writer.compact(tx.inputs.length);
  for (const input of tx.inputs) {
    writer.id(input.prevout.txid).u32(input.prevout.vout).varBytes(input.scriptSig).u32(input.sequence);
  }
  writer.compact(tx.outputs.length);
  for (const output of tx.outputs) writer.i64(output.value).varBytes(output.scriptPubKey);
  if (witness) {
    for (const input of tx.inputs) {
      writer.compact(input.witness.length);
      for (const item of input.witness) writer.varBytes(item);
    }
  }
  return writer.u32(tx.lockTime).finish();
}

/** Bytes of an input without its witness: 36 prevout, script with its length, 4 sequence. */
export function inputSize(input: TxInput): number {
  return 40 + compactLength(input.scriptSig.length) + input.scriptSig.length;
}
