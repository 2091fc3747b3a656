/** Unsigned and partly signed transactions as signers see them, and what becomes of them. Pure. */
import { isP2tr } from '../consensus/address.ts';
import { type Bytes, fail, ok, type Result } from '../consensus/brand.ts';
import { signatureChecks } from '../consensus/check-transaction.ts';
import { concatBytes } from '../consensus/codec.ts';
import { SIGHASH_ALL, SIGHASH_DEFAULT, SighashCache } from '../consensus/sighash.ts';
import { CHECK_SIZE, signSchnorr, verifySchnorr } from '../consensus/signature.ts';
import {
  makeTransaction,
  type Transaction,
  type TransactionFields,
  type TxOutput,
  vsizeOf,
} from '../consensus/transaction.ts';

const SIGNATURE_SIZE = 64;
const NO_SIGNATURE = new Uint8Array(SIGNATURE_SIZE);

/** A signature of the key path. Type ALL carries its type, the default does not. */
export function signInput(
  fields: TransactionFields,
  spent: readonly TxOutput[],
  index: number,
  key: { readonly secret: Bytes; readonly hashType: number | undefined },
  aux: Bytes,
): Bytes {
  const hashType = key.hashType ?? SIGHASH_DEFAULT;
  const digest = new SighashCache(fields, spent).digest(index, hashType);
  const signature = signSchnorr(key.secret, digest, aux);
  return hashType === SIGHASH_DEFAULT ? signature : concatBytes(signature, Uint8Array.of(hashType));
}

/** True for the types that cover everything: with another one, what is shown is not what is agreed to. */
export function coversAll(hashType: number | undefined): boolean {
  return hashType === undefined || hashType === SIGHASH_DEFAULT || hashType === SIGHASH_ALL;
}

/** The transaction once each input has its witness. */
export function withWitnesses(fields: TransactionFields, witnesses: readonly (readonly Bytes[])[]): Transaction {
  const inputs = fields.inputs.map((input, index) => ({ ...input, witness: witnesses[index] as readonly Bytes[] }));
  return makeTransaction({ ...fields, inputs });
}

/** Virtual bytes it will have when every input that has no witness yet has a signature. */
export function signedVsize(fields: TransactionFields): number {
  return vsizeOf(
    withWitnesses(
      fields,
      fields.inputs.map(({ witness }) => (witness.length > 0 ? witness : [NO_SIGNATURE])),
    ),
  );
}

/** The index of the first signature that does not hold, or what makes it impossible to tell. */
export function checkSignatures(tx: Transaction, spent: readonly TxOutput[]): Result<number | undefined, string> {
  const odd = spent.findIndex(({ scriptPubKey }) => !isP2tr(scriptPubKey));
  if (odd !== -1) return fail(`input ${odd} spends no Taproot output`);
  const coins = spent.map((output) => ({ ...output, height: 0, coinbase: false }));
  const checks = signatureChecks(tx, coins);
  if (!checks.ok) return fail(checks.error.reason);
  for (let at = 0; at < checks.value.length; at += CHECK_SIZE) {
    const check = checks.value.subarray(at, at + CHECK_SIZE);
    if (!verifySchnorr(check.subarray(0, 32), check.subarray(32, 64), check.subarray(64))) return ok(at / CHECK_SIZE);
  }
  return ok(undefined);
}
