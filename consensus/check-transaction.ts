/**
 * The rules of a single transaction, each group in Core's order: those that need no context (RULES.md A2), the subset's
 * own (A1), and those that need its coins and the chain (A3). Blocks and the mempool apply the same functions.
 */

import { isDataOutput, isP2tr, KEY_SIZE, OUTPUT_KEY_AT } from './address.ts';
import { type Bytes, fail, ok, type Result } from './brand.ts';
import { COINBASE_MATURITY, MAX_BLOCK_WEIGHT, MAX_MONEY, WITNESS_SCALE } from './params.ts';
import { type Reject, reject, rejectScript, type ScriptFailure } from './reject.ts';
import { isHashType, SIGHASH_ANYONECANPAY, SIGHASH_DEFAULT, SIGHASH_SINGLE, SighashCache } from './sighash.ts';
import { CHECK_SIZE } from './signature.ts';
import {
  type Coin,
  hasWitness,
  isCoinbase,
  isNullPrevout,
  prevoutKey,
  type Transaction,
  type TransactionFields,
  type TxInput,
} from './transaction.ts';

/** Lock times below are heights, the others are times (BIP 65, BIP 113). */
export const LOCKTIME_THRESHOLD = 500_000_000;
/** Sequence of an input that opts out of the transaction's lock time. */
export const SEQUENCE_FINAL = 0xffffffff;
// BIP 68: the bits of a sequence that is a relative lock.
const SEQUENCE_DISABLE_BIT = 0x80000000;
const SEQUENCE_TIME_BIT = 0x00400000;
const SEQUENCE_MASK = 0xffff;
const SEQUENCE_GRANULARITY_SECONDS = 512;
const MIN_COINBASE_SCRIPT = 2;
const MAX_COINBASE_SCRIPT = 100;
const SIGNATURE_SIZE = 64;
/** A transaction of this size looks like an inner node of a Merkle tree (BIP 54). */
const FORBIDDEN_STRIPPED_SIZE = 64;

/** What holds for every transaction anywhere. RULES.md A2. */
export function checkTransaction(tx: Transaction): Reject | null {
  if (tx.inputs.length === 0) return reject('consensus', 'bad-txns-vin-empty');
  if (tx.outputs.length === 0) return reject('consensus', 'bad-txns-vout-empty');
  if (tx.strippedSize * WITNESS_SCALE > MAX_BLOCK_WEIGHT) return reject('consensus', 'bad-txns-oversize');
  return checkOutputValues(tx) ?? checkPrevouts(tx);
}

function checkOutputValues(tx: Transaction): Reject | null {
  let total = 0n;
  for (const { value } of tx.outputs) {
    if (value < 0n) return reject('consensus', 'bad-txns-vout-negative');
    if (value > MAX_MONEY) return reject('consensus', 'bad-txns-vout-toolarge');
    total += value;
    if (total > MAX_MONEY) return reject('consensus', 'bad-txns-txouttotal-toolarge');
  }
  return null;
}

function checkPrevouts(tx: Transaction): Reject | null {
  if (tx.inputs.length > 1 && new Set(tx.inputs.map(prevoutKey)).size !== tx.inputs.length) {
    return reject('consensus', 'bad-txns-inputs-duplicate');
  }
  if (isCoinbase(tx)) {
    const { length } = (tx.inputs[0] as TxInput).scriptSig;
    return length < MIN_COINBASE_SCRIPT || length > MAX_COINBASE_SCRIPT ? reject('consensus', 'bad-cb-length') : null;
  }
  return tx.inputs.some(({ prevout }) => isNullPrevout(prevout)) ? reject('consensus', 'bad-txns-prevout-null') : null;
}

/**
 * What Bitcoin allows and we do not. RULES.md A1: S1 and S2 (output scripts), S4 (size), and of S3 the part that Core can
 * accept, a witness of several elements. The rest of S3 is invalid in Core too, and `signatureChecks` says so in its words.
 */
export function checkSubset(tx: Transaction): Reject | null {
  const odd = tx.outputs.findIndex(({ scriptPubKey }) => !isP2tr(scriptPubKey) && !isDataOutput(scriptPubKey));
  if (odd !== -1) {
    const detail = `output ${odd} is neither P2TR nor a data output of 1 to 80 bytes`;
    return reject('subset', 'subset-output-script', detail);
  }
  if (!isCoinbase(tx)) {
    const index = tx.inputs.findIndex(({ witness }) => witness.length > 1);
    if (index !== -1) return reject('subset', 'subset-witness', `input ${index} is more than a key-path spend`);
  }
  if (tx.strippedSize === FORBIDDEN_STRIPPED_SIZE) {
    return reject('subset', 'subset-tx-size', `${FORBIDDEN_STRIPPED_SIZE} bytes without witnesses`);
  }
  return null;
}

/**
 * True if the lock time lets the transaction be in a block of the given height whose parent has the given median time past
 * (BIP 113). It lets it where all inputs opt out, too.
 */
export function isFinal(tx: TransactionFields, height: number, medianTimePast: number): boolean {
  if (tx.lockTime === 0) return true;
  if (tx.lockTime < (tx.lockTime < LOCKTIME_THRESHOLD ? height : medianTimePast)) return true;
  return tx.inputs.every((input) => input.sequence === SEQUENCE_FINAL);
}

/** The amounts: the fee, if the coins (one per input, in order) may be spent at that height and suffice. RULES.md A3. */
export function checkInputs(tx: Transaction, coins: readonly Coin[], spendHeight: number): Result<bigint, Reject> {
  let valueIn = 0n;
  for (const coin of coins) {
    const depth = spendHeight - coin.height;
    if (coin.coinbase && depth < COINBASE_MATURITY) {
      const detail = `tried to spend coinbase at depth ${depth}`;
      return fail(reject('premature', 'bad-txns-premature-spend-of-coinbase', detail));
    }
    valueIn += coin.value;
    if (coin.value < 0n || coin.value > MAX_MONEY || valueIn > MAX_MONEY) {
      return fail(reject('consensus', 'bad-txns-inputvalues-outofrange'));
    }
  }
  let valueOut = 0n;
  for (const { value } of tx.outputs) valueOut += value;
  if (valueIn < valueOut) {
    const detail = `value in (${formatCoins(valueIn)}) < value out (${formatCoins(valueOut)})`;
    return fail(reject('consensus', 'bad-txns-in-belowout', detail));
  }
  // Core's bad-txns-fee-outofrange cannot happen: both sums are in range and their difference is not negative.
  return ok(valueIn - valueOut);
}

/** Where a transaction with relative locks is to be mined. */
export interface LockContext {
  /** Of the block that is to contain it. */
  readonly height: number;
  /** Of that block's parent. */
  readonly medianTimePast: number;
  /** Median time past of the block of that height on the same chain; asked for below `height` only. */
  medianTimePastAt(height: number): number;
}

/**
 * True if the relative locks of all inputs have passed (BIP 68). An unconfirmed coin counts as mined at `context.height`.
 */
export function sequenceLocksMet(tx: Transaction, coins: readonly Coin[], context: LockContext): boolean {
  if (tx.version < 2) return true;
  return tx.inputs.every(({ sequence }, index) => {
    if ((sequence & SEQUENCE_DISABLE_BIT) !== 0) return true;
    const { height } = coins[index] as Coin;
    const value = sequence & SEQUENCE_MASK;
    if ((sequence & SEQUENCE_TIME_BIT) === 0) return height + value - 1 < context.height;
    // Time is counted from the median time past of the block before the coin's.
    const start = context.medianTimePastAt(Math.max(height - 1, 0));
    return start + value * SEQUENCE_GRANULARITY_SECONDS - 1 < context.medianTimePast;
  });
}

/**
 * The checks of all signatures, packed in the order of the inputs (CHECK_SIZE bytes each), or why one cannot be valid.
 * `coins` holds the coin of each input, in order. A valid answer depends on nothing but the wtxid.
 */
export function signatureChecks(tx: Transaction, coins: readonly Coin[]): Result<Bytes, Reject> {
  const checks = new Uint8Array(tx.inputs.length * CHECK_SIZE);
  const why = writeSignatureChecks(tx, coins, checks, 0);
  return why === null ? ok(checks) : fail(why);
}

/** `signatureChecks` into memory of the caller, who has many transactions: CHECK_SIZE bytes per input from `start` on. */
export function writeSignatureChecks(
  tx: Transaction,
  coins: readonly Coin[],
  checks: Bytes,
  start: number,
): Reject | null {
  const sighash = new SighashCache(tx, coins);
  for (let index = 0; index < tx.inputs.length; index++) {
    const input = tx.inputs[index] as TxInput;
    const hashType = hashTypeOf(input, index, tx);
    if (typeof hashType === 'string') return scriptReject(hashType, tx);
    const at = start + index * CHECK_SIZE;
    // Byte by byte: views to copy from would take longer.
    const { scriptPubKey } = coins[index] as Coin;
    for (let i = 0; i < KEY_SIZE; i++) checks[at + i] = scriptPubKey[OUTPUT_KEY_AT + i] as number;
    sighash.digestInto(index, hashType, checks, at + 32);
    const signature = input.witness[0] as Bytes;
    for (let i = 0; i < SIGNATURE_SIZE; i++) checks[at + 64 + i] = signature[i] as number;
  }
  return null;
}

/** The hash type of a key-path spend, or what is wrong with its form. The order is Core's VerifyScript. */
function hashTypeOf(input: TxInput, index: number, tx: TransactionFields): number | ScriptFailure {
  if (input.scriptSig.length !== 0) return 'Witness requires empty scriptSig';
  const signature = input.witness[0];
  if (signature === undefined) return 'Witness program was passed an empty witness';
  if (signature.length === SIGNATURE_SIZE) return SIGHASH_DEFAULT;
  if (signature.length !== SIGNATURE_SIZE + 1) return 'Invalid Schnorr signature size';
  const hashType = signature[SIGNATURE_SIZE] as number;
  // DEFAULT has no byte: with one, the same signature would have two encodings.
  if (hashType === SIGHASH_DEFAULT || !isHashType(hashType)) return 'Invalid Schnorr signature hash type';
  if ((hashType & ~SIGHASH_ANYONECANPAY) === SIGHASH_SINGLE && index >= tx.outputs.length) {
    return 'Invalid Schnorr signature hash type';
  }
  return hashType;
}

/** A transaction without any witness may have lost it on the way, so that its sender is not blamed. */
function scriptReject(failure: ScriptFailure, tx: Transaction): Reject {
  const why = rejectScript(failure);
  return hasWitness(tx) ? why : { ...why, kind: 'witness-stripped' };
}

/** Whole coins with two to eight decimals, as Core prints amounts in its messages. */
function formatCoins(value: bigint): string {
  const digits = value.toString().padStart(9, '0');
  const decimals = digits.slice(-8).replace(/0{1,6}$/, '');
  return `${digits.slice(0, -8)}.${decimals}`;
}
