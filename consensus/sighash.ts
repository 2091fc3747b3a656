/**
 * BIP 341: the message that a key-path signature signs (extension flag 0, no annex).
 * The parts that all inputs share are hashed once per transaction, so the cost stays linear in its size.
 */
import { sha256, sha256Into } from '#hash';
import type { Bytes } from './brand.ts';
import { Writer } from './codec.ts';
import type { OutPoint, TransactionFields, TxInput, TxOutput } from './transaction.ts';

export const SIGHASH_DEFAULT = 0x00;
export const SIGHASH_ALL = 0x01;
export const SIGHASH_NONE = 0x02;
export const SIGHASH_SINGLE = 0x03;
export const SIGHASH_ANYONECANPAY = 0x80;

const OUTPUT_MASK = 0x03;
/** sha256("TapSighash") twice: how every tagged hash of BIP 340 begins. */
const TAG = sha256(new TextEncoder().encode('TapSighash'));
const TAG_PREFIX = new Writer(64).raw(TAG).raw(TAG).finish();
/** Where everything that is hashed here is put together; each use begins with `clear`. */
const scratch = new Writer(1024);

const HASH_SIZE = 32;
/** Where the hashes that all inputs share stand in `common`: behind epoch, hash type, version and lock time. */
const SHARED_AT = TAG_PREFIX.length + 10;
const INDEX_AT = SHARED_AT + 5 * HASH_SIZE + 1;
/**
 * What is hashed for DEFAULT and ALL, which is nearly always: put together in place, so that nothing is allocated. The
 * shared hashes in it are those of `commonOf`.
 */
const common = new Uint8Array(INDEX_AT + 4);
common.set(TAG_PREFIX);
const commonView = new DataView(common.buffer);
let commonOf: SighashCache | undefined;

/** True for the seven hash types of BIP 341. */
export function isHashType(hashType: number): boolean {
  const outputs = hashType & ~SIGHASH_ANYONECANPAY;
  return outputs >= SIGHASH_ALL ? outputs <= SIGHASH_SINGLE : hashType === SIGHASH_DEFAULT;
}

/** The hashes that the messages of all inputs of one transaction share. */
export interface SighashMidstates {
  readonly prevouts: Bytes;
  readonly amounts: Bytes;
  readonly scriptPubKeys: Bytes;
  readonly sequences: Bytes;
  readonly outputs: Bytes;
}

/** Digests of one transaction, whose spent outputs are all known. */
export class SighashCache {
  readonly #tx: TransactionFields;
  readonly #spent: readonly TxOutput[];

  /** `spent` holds the outputs that the inputs spend, in the order of the inputs. */
  constructor(tx: TransactionFields, spent: readonly TxOutput[]) {
    if (spent.length !== tx.inputs.length) throw new Error('a spent output per input is needed');
    this.#tx = tx;
    this.#spent = spent;
  }

  get midstates(): SighashMidstates {
    this.#hashShared();
    const at = (index: number) => common.slice(SHARED_AT + index * HASH_SIZE, SHARED_AT + (index + 1) * HASH_SIZE);
    return { prevouts: at(0), amounts: at(1), scriptPubKeys: at(2), sequences: at(3), outputs: at(4) };
  }

  /** The 32 bytes to sign. The hash type must be one of the seven; SINGLE needs an output at the input's index. */
  digest(inputIndex: number, hashType: number): Bytes {
    return sha256(this.#write(inputIndex, hashType));
  }

  /** The same, written to `target` from `at` on. */
  digestInto(inputIndex: number, hashType: number, target: Bytes, at: number): void {
    sha256Into(this.#write(inputIndex, hashType), target, at);
  }

  /** What `digest` hashes under the tag "TapSighash": the epoch and BIP 341's SigMsg. */
  message(inputIndex: number, hashType: number): Bytes {
    return this.#write(inputIndex, hashType).slice(TAG_PREFIX.length);
  }

  #write(inputIndex: number, hashType: number): Bytes {
    if (!isHashType(hashType)) throw new Error(`no hash type: ${hashType}`);
    const tx = this.#tx;
    this.#hashShared();
    if (hashType === SIGHASH_DEFAULT || hashType === SIGHASH_ALL) {
      common[TAG_PREFIX.length + 1] = hashType;
      commonView.setUint32(TAG_PREFIX.length + 2, tx.version, true);
      commonView.setUint32(TAG_PREFIX.length + 6, tx.lockTime, true);
      commonView.setUint32(INDEX_AT, inputIndex, true);
      return common;
    }
    const which = hashType & OUTPUT_MASK;
    const anyoneCanPay = (hashType & SIGHASH_ANYONECANPAY) !== 0;
    // Hashed first, because it is written to the same memory.
    const single = which === SIGHASH_SINGLE ? hashSingle(tx, inputIndex) : undefined;

    scratch.clear().raw(TAG_PREFIX).u8(0).u8(hashType).u32(tx.version).u32(tx.lockTime);
    if (!anyoneCanPay) scratch.raw(common.subarray(SHARED_AT, SHARED_AT + 4 * HASH_SIZE));
    if (which === SIGHASH_ALL) scratch.raw(common.subarray(SHARED_AT + 4 * HASH_SIZE, SHARED_AT + 5 * HASH_SIZE));
    // The spend type: twice the extension flag, plus one if there is an annex.
    scratch.u8(0);
    if (anyoneCanPay) {
      const { prevout, sequence } = tx.inputs[inputIndex] as TxInput;
      writePrevout(prevout);
      writeOutput(this.#spent[inputIndex] as TxOutput);
      scratch.u32(sequence);
    } else {
      scratch.u32(inputIndex);
    }
    if (single !== undefined) scratch.raw(single);
    return scratch.view();
  }

  /** Puts the hashes that all inputs share into `common`, unless they are there. */
  #hashShared(): void {
    if (commonOf === this) return;
    commonOf = this;
    const { inputs, outputs } = this.#tx;
    scratch.clear();
    for (const { prevout } of inputs) writePrevout(prevout);
    hashTo(0);
    for (const { value } of this.#spent) scratch.i64(value);
    hashTo(1);
    for (const { scriptPubKey } of this.#spent) scratch.varBytes(scriptPubKey);
    hashTo(2);
    for (const { sequence } of inputs) scratch.u32(sequence);
    hashTo(3);
    for (const output of outputs) writeOutput(output);
    hashTo(4);
  }
}

/** Hashes what was written, as the shared hash of that index, and starts over. */
function hashTo(index: number): void {
  sha256Into(scratch.view(), common, SHARED_AT + index * HASH_SIZE);
  scratch.clear();
}

function hashSingle({ outputs }: TransactionFields, index: number): Bytes {
  const output = outputs[index];
  if (output === undefined) throw new Error('SIGHASH_SINGLE without an output at the same index');
  scratch.clear();
  writeOutput(output);
  return sha256(scratch.view());
}

function writePrevout({ txid, vout }: OutPoint): void {
  scratch.id(txid).u32(vout);
}

function writeOutput({ value, scriptPubKey }: TxOutput): void {
  scratch.i64(value).varBytes(scriptPubKey);
}
