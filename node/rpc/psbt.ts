/**
 * What is done with PSBTs whose coins are spent by their keys (BIP 174's roles, BIP 371): updated with coins, joined,
 * analyzed and finalized. Signatures are checked; nothing is signed here. Inputs of other kinds are passed on as they are
 * and never become final.
 */
import { bytesToHex, sha256 } from '#hash';
import { isP2tr, outputKey } from '../../consensus/address.ts';
import { fail, ok, type Result } from '../../consensus/brand.ts';
import { concatBytes, equalBytes } from '../../consensus/codec.ts';
import { MAX_MONEY } from '../../consensus/params.ts';
import { isHashType, SIGHASH_ANYONECANPAY, SIGHASH_SINGLE, SighashCache } from '../../consensus/sighash.ts';
import { verifySchnorr } from '../../consensus/signature.ts';
import {
  encodeTransaction,
  makeTransaction,
  type OutPoint,
  type Transaction,
  type TxInput,
  type TxOutput,
  vsizeOf,
} from '../../consensus/transaction.ts';
import type { ExpandedScript } from './descriptor.ts';
import { amount, type JsonValue } from './json.ts';
import {
  blankPsbt,
  givenOutput,
  mergeGlobals,
  type Psbt,
  type PsbtGlobal,
  type PsbtInput,
  type PsbtOutput,
  previousTransaction,
  withPreviousTransaction,
  writeOutput,
} from './psbt-format.ts';
import { isBurnt } from './script-json.ts';

/** A signature takes about 2 ms to check, and the node does nothing else meanwhile. */
export const MAX_CHECKED_INPUTS = 250;
const SIGNATURE_SIZE = 64;

/** The output that each input spends; undefined where the PSBT does not know it. */
export function spentOutputs({ tx, inputs }: Psbt): readonly (TxOutput | undefined)[] {
  return tx.inputs.map(({ prevout }, index) => {
    const input = inputs[index] ?? {};
    const previous = previousTransaction(input);
    return previous === undefined ? givenOutput(input) : previous.outputs[prevout.vout];
  });
}

/** Tells whether a witness spends an input by its key. All spent outputs are signed, so all must be known. */
function witnessChecker({ tx }: Psbt, spent: readonly (TxOutput | undefined)[]) {
  const known = spent.filter((output) => output !== undefined);
  const cache = known.length === tx.inputs.length ? new SighashCache(tx, known) : undefined;
  return (index: number, witness: readonly Uint8Array[] | undefined): boolean => {
    const script = spent[index]?.scriptPubKey;
    const [signature] = witness ?? [];
    if (cache === undefined || script === undefined || signature === undefined) return false;
    if (witness?.length !== 1 || !isP2tr(script)) return false;
    const hashType = signature.length === SIGNATURE_SIZE ? 0 : (signature[SIGNATURE_SIZE] ?? 0);
    if (signature.length > SIGNATURE_SIZE && hashType === 0) return false;
    if (!isHashType(hashType)) return false;
    if ((hashType & ~SIGHASH_ANYONECANPAY) === SIGHASH_SINGLE && index >= tx.outputs.length) return false;
    return verifySchnorr(outputKey(script), cache.digest(index, hashType), signature.subarray(0, SIGNATURE_SIZE));
  };
}

export interface Finalized {
  readonly psbt: Psbt;
  /** The transaction with its witnesses, where every input is final. */
  readonly tx: Transaction | undefined;
}

/** Turns signatures that hold into witnesses. */
export function finalizePsbt(psbt: Psbt): Result<Finalized, string> {
  if (psbt.inputs.length > MAX_CHECKED_INPUTS) return tooManyInputs(psbt);
  const spent = spentOutputs(psbt);
  const holds = witnessChecker(psbt, spent);
  let complete = true;
  const inputs = psbt.inputs.map((input, index): PsbtInput => {
    if (holds(index, input.finalScriptWitness)) return input;
    const { tapKeySig } = input;
    const output = spent[index];
    if (tapKeySig !== undefined && output !== undefined && holds(index, [tapKeySig])) {
      return finalInput(input, tapKeySig, output);
    }
    complete = false;
    // What the coin is can be told already.
    return output !== undefined && isP2tr(output.scriptPubKey) ? { ...input, witnessUtxo: writeOutput(output) } : input;
  });
  const final = { ...psbt, inputs };
  return ok({ psbt: final, tx: complete ? extract(final) : undefined });
}

/** Of an input that is final only the coin and what others put there are kept (BIP 174). */
function finalInput({ nonWitnessUtxo, unknown, proprietary }: PsbtInput, signature: Uint8Array, spent: TxOutput) {
  return {
    ...(nonWitnessUtxo === undefined ? {} : { nonWitnessUtxo }),
    witnessUtxo: writeOutput(spent),
    finalScriptWitness: [signature],
    ...(unknown === undefined ? {} : { unknown }),
    ...(proprietary === undefined ? {} : { proprietary }),
  };
}

function extract({ tx, inputs }: Psbt): Transaction {
  const signed = tx.inputs.map((input, i) => ({ ...input, witness: inputs[i]?.finalScriptWitness ?? [] }));
  return makeTransaction({ ...tx, inputs: signed });
}

const tooManyInputs = ({ inputs }: Psbt) =>
  fail(`The signatures of at most ${MAX_CHECKED_INPUTS} inputs are checked here (not ${inputs.length})`);

const ROLES = ['creator', 'updater', 'signer', 'finalizer', 'extractor'] as const;
type Role = (typeof ROLES)[number];

const isMoney = (value: bigint) => value >= 0n && value <= MAX_MONEY;

/** analyzepsbt: what every input has and who is to do something with it next. */
export function analyzePsbt(psbt: Psbt): Result<JsonValue, string> {
  if (psbt.inputs.length > MAX_CHECKED_INPUTS) return tooManyInputs(psbt);
  const invalid = (reason: string) => ok({ next: 'creator', error: `PSBT is not valid. ${reason}` });
  const spent = spentOutputs(psbt);
  const holds = witnessChecker(psbt, spent);
  let total = 0n;
  const inputs: { has_utxo: boolean; is_final: boolean; next: Role }[] = [];
  for (const [index, input] of psbt.inputs.entries()) {
    const output = spent[index];
    if (output === undefined) {
      inputs.push({ has_utxo: false, is_final: false, next: 'updater' });
      continue;
    }
    if (!isMoney(output.value) || !isMoney(total + output.value)) return invalid(`Input ${index} has invalid value`);
    total += output.value;
    if (isBurnt(output.scriptPubKey)) return invalid(`Input ${index} spends unspendable output`);
    const isFinal = holds(index, input.finalScriptWitness);
    const isSigned = isFinal || (input.tapKeySig !== undefined && holds(index, [input.tapKeySig]));
    inputs.push({
      has_utxo: true,
      is_final: isFinal,
      next: isFinal ? 'extractor' : isSigned ? 'finalizer' : 'updater',
    });
  }
  const next = inputs.reduce<Role>((first, one) => (isBefore(one.next, first) ? one.next : first), 'extractor');
  const shown = inputs.length > 0 ? inputs : undefined;
  if (spent.includes(undefined)) return ok({ inputs: shown, next });
  let paid = 0n;
  for (const { value } of psbt.tx.outputs) {
    paid += value;
    if (!isMoney(value) || !isMoney(paid)) return invalid('Output amount invalid');
  }
  const fee = total - paid;
  const vsize = estimateVsize(psbt, spent);
  return ok({
    inputs: shown,
    estimated_vsize: vsize,
    estimated_feerate: vsize === undefined ? undefined : amount((fee * 1000n) / BigInt(vsize)),
    fee: amount(fee),
    next,
  });
}

function isBefore(one: Role, other: Role): boolean {
  return ROLES.indexOf(one) < ROLES.indexOf(other);
}

/** The size that it will have with the signatures that are missing; undefined where other inputs make it uncertain. */
function estimateVsize(psbt: Psbt, spent: readonly (TxOutput | undefined)[]): number | undefined {
  const inputs: TxInput[] = [];
  for (const [index, input] of psbt.tx.inputs.entries()) {
    const { tapKeySig, finalScriptWitness } = psbt.inputs[index] ?? {};
    if (!isP2tr(spent[index]?.scriptPubKey ?? new Uint8Array(0))) return undefined;
    inputs.push({ ...input, witness: finalScriptWitness ?? [tapKeySig ?? new Uint8Array(SIGNATURE_SIZE)] });
  }
  return vsizeOf(makeTransaction({ ...psbt.tx, inputs }));
}

/** What an updater can look up. */
export interface CoinSource {
  /** A transaction of the chain or of the mempool. */
  transaction(outPoint: OutPoint): Transaction | undefined;
  /** An unspent output. */
  coin(outPoint: OutPoint): TxOutput | undefined;
}

/** utxoupdatepsbt: adds the coins that are spent, and the keys that the given scripts are made of. */
export function updatePsbt(psbt: Psbt, source: CoinSource, scripts: readonly ExpandedScript[]): Psbt {
  const byScript = new Map(scripts.map((one) => [bytesToHex(one.script), one]));
  const inputs = psbt.inputs.map((input, index): PsbtInput => {
    const { prevout } = psbt.tx.inputs[index] as TxInput;
    const withCoin = addCoin(input, prevout, source);
    const given = givenOutput(withCoin);
    return given === undefined || isFinal(withCoin)
      ? withCoin
      : addKeys(withCoin, byScript.get(bytesToHex(given.scriptPubKey)));
  });
  const outputs = psbt.outputs.map((output, index): PsbtOutput => {
    const script = psbt.tx.outputs[index]?.scriptPubKey ?? new Uint8Array(0);
    return addKeys(output, byScript.get(bytesToHex(script)));
  });
  // Taproot signatures cover amounts and scripts: where all inputs are taproot, whole transactions are not needed.
  const isTaproot = inputs.every((input) => isP2tr(givenOutput(input)?.scriptPubKey ?? new Uint8Array(0)));
  return { ...psbt, inputs: isTaproot ? inputs.map(({ nonWitnessUtxo: _, ...rest }) => rest) : inputs, outputs };
}

function isFinal({ finalScriptSig, finalScriptWitness }: PsbtInput): boolean {
  return (finalScriptSig?.length ?? 0) > 0 || finalScriptWitness !== undefined;
}

function addCoin(input: PsbtInput, prevout: OutPoint, source: CoinSource): PsbtInput {
  const previous = previousTransaction(input) ?? source.transaction(prevout);
  const output = previous === undefined ? source.coin(prevout) : previous.outputs[prevout.vout];
  const known = output ?? givenOutput(input);
  const full = previous === undefined ? input : withPreviousTransaction(input, previous);
  return known !== undefined && isP2tr(known.scriptPubKey) && !isFinal(input)
    ? { ...full, witnessUtxo: writeOutput(known) }
    : full;
}

function addKeys<Fields extends PsbtInput | PsbtOutput>(fields: Fields, found: ExpandedScript | undefined): Fields {
  if (found?.internal === undefined) return fields;
  const { key, fingerprint, path } = found.internal;
  const others = (fields.tapBip32Derivation ?? []).filter(([other]) => !equalBytes(other, key));
  const der = { fingerprint: Number.parseInt(fingerprint, 16), path: [...path] };
  return { ...fields, tapInternalKey: key, tapBip32Derivation: [...others, [key, { hashes: [], der }]] };
}

/**
 * joinpsbts: one PSBT with the inputs and outputs of all, in an order that does not tell whose they were. Signatures are
 * left out: they signed another transaction.
 */
export function joinPsbts(psbts: readonly Psbt[]): Result<Psbt, string> {
  const inputs: { readonly input: TxInput; readonly fields: PsbtInput }[] = [];
  const outputs: { readonly output: TxOutput; readonly fields: PsbtOutput }[] = [];
  const seen = new Set<string>();
  let global: PsbtGlobal = {};
  for (const psbt of psbts) {
    for (const [i, input] of psbt.tx.inputs.entries()) {
      const name = `${input.prevout.txid}:${input.prevout.vout}`;
      if (seen.has(name)) return fail(`Input ${name} exists in multiple PSBTs`);
      seen.add(name);
      inputs.push({ input, fields: withoutSignatures(psbt.inputs[i] ?? {}) });
    }
    for (const [i, output] of psbt.tx.outputs.entries()) outputs.push({ output, fields: psbt.outputs[i] ?? {} });
    global = mergeGlobals(global, psbt.global);
  }
  const seed = sha256(concatBytes(...psbts.map(({ tx }) => encodeTransaction(tx))));
  const mixedInputs = mix(inputs, seed);
  const mixedOutputs = mix(outputs, seed);
  const blank = blankPsbt({
    version: Math.max(1, ...psbts.map(({ tx }) => tx.version)),
    inputs: mixedInputs.map(({ input }) => input),
    outputs: mixedOutputs.map(({ output }) => output),
    lockTime: Math.min(...psbts.map(({ tx }) => tx.lockTime)),
  });
  return ok({
    tx: blank.tx,
    global,
    inputs: mixedInputs.map(({ fields }) => fields),
    outputs: mixedOutputs.map(({ fields }) => fields),
  });
}

function withoutSignatures(input: PsbtInput): PsbtInput {
  const {
    partialSig: _,
    tapKeySig: __,
    tapScriptSig: ___,
    finalScriptSig: ____,
    finalScriptWitness: _____,
    ...rest
  } = input;
  return rest;
}

/** An order that only the content decides: the same PSBTs always make the same one. */
function mix<T>(members: readonly T[], seed: Uint8Array): readonly T[] {
  const keyed = members.map((member, index) => {
    const place = new Uint8Array(4);
    new DataView(place.buffer).setUint32(0, index);
    return { member, key: bytesToHex(sha256(concatBytes(seed, place))) };
  });
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ member }) => member);
}
