/**
 * Transactions: the type, its serialization (BIP 144) and its two ids. No rule is checked here but what cannot be decoded.
 */
import { type Bytes, idOf, type OutPointKey, outPointKey, type Txid, type Wtxid } from './brand.ts';
import { DecodeError, type Reader, Writer } from './codec.ts';

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

/** Bytes of an input and of an output with empty scripts. */
const MIN_INPUT_SIZE = 41;
const MIN_OUTPUT_SIZE = 9;
const NO_WITNESS: readonly Bytes[] = [];
/** Where the bytes without witnesses are put together to be hashed. */
const scratch = new Writer(1024);

/** Computes ids and sizes of the given fields. */
export function makeTransaction(fields: TransactionFields): Transaction {
  const stripped = encodeFields(fields, false);
  const full = hasWitness(fields) ? encodeFields(fields, true) : stripped;
  const txid = idOf<Txid>(stripped);
  return {
    version: fields.version,
    inputs: fields.inputs,
    outputs: fields.outputs,
    lockTime: fields.lockTime,
    txid,
    wtxid: full === stripped ? (txid as string as Wtxid) : idOf<Wtxid>(full),
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
  let inputCount = readCount(reader, MIN_INPUT_SIZE);
  let segwit = false;
  let outputs: readonly TxOutput[] = [];
  if (inputCount === 0) {
    // BIP 144: no inputs is a marker, and a flag follows. Flag 0 is left to mean "no outputs either".
    const flag = reader.u8();
    if (flag > 1) throw new DecodeError('unknown transaction flag');
    segwit = flag === 1;
    if (segwit) {
      body = reader.position;
      inputCount = readCount(reader, MIN_INPUT_SIZE);
    }
  }
  const inputs = readInputs(reader, inputCount);
  if (segwit || inputCount > 0) outputs = readOutputs(reader);
  const bodyEnd = reader.position;
  if (segwit) readWitnesses(reader, inputs);
  const lockTime = reader.u32();

  const full = reader.bytes.subarray(start, reader.position);
  const stripped = segwit
    ? scratch.clear().u32(version).raw(reader.bytes.subarray(body, bodyEnd)).u32(lockTime).view()
    : full;
  const txid = idOf<Txid>(stripped);
  return {
    version,
    inputs,
    outputs,
    lockTime,
    txid,
    wtxid: segwit ? idOf<Wtxid>(full) : (txid as string as Wtxid),
    size: full.length,
    strippedSize: stripped.length,
  };
}

/** A number of items of at least `minSize` bytes each: one that cannot fit is refused before anything is allocated. */
function readCount(reader: Reader, minSize: number): number {
  return reader.size(Math.floor(reader.remaining / minSize));
}

interface MutableInput extends TxInput {
  witness: readonly Bytes[];
}

function readInputs(reader: Reader, count: number): MutableInput[] {
  const inputs: MutableInput[] = [];
  for (let i = 0; i < count; i++) {
    const prevout = { txid: reader.id<Txid>(), vout: reader.u32() };
    inputs.push({ prevout, scriptSig: reader.varBytes(), sequence: reader.u32(), witness: NO_WITNESS });
  }
  return inputs;
}

function readOutputs(reader: Reader): TxOutput[] {
  const count = readCount(reader, MIN_OUTPUT_SIZE);
  const outputs: TxOutput[] = [];
  for (let i = 0; i < count; i++) outputs.push({ value: reader.i64(), scriptPubKey: reader.varBytes() });
  return outputs;
}

function readWitnesses(reader: Reader, inputs: readonly MutableInput[]): void {
  let any = false;
  for (const input of inputs) {
    const count = readCount(reader, 1);
    if (count === 0) continue;
    any = true;
    const items: Bytes[] = [];
    for (let i = 0; i < count; i++) items.push(reader.varBytes());
    input.witness = items;
  }
  if (!any) throw new DecodeError('superfluous witness record');
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

/** The same transaction as peers know it that do not speak BIP 144: no witnesses, and so another wtxid. */
export function withoutWitness(tx: Transaction): Transaction {
  if (!hasWitness(tx)) return tx;
  return makeTransaction({ ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) });
}
