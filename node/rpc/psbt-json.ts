/** decodepsbt: a PSBT as Core prints it. Fields that Core 28 does not know are shown under `unknown`, as there. */
import { bytesToHex } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import { compareBytes } from '../../consensus/codec.ts';
import { type ChainParams, MAX_MONEY } from '../../consensus/params.ts';
import type { TxOutput } from '../../consensus/transaction.ts';
import { formatExtendedKey, formatPath } from './extended-key.ts';
import { amount, hexNumber, type JsonValue } from './json.ts';
import { spentOutputs } from './psbt.ts';
import {
  encodeControlBlock,
  givenOutput,
  otherFields,
  type Psbt,
  type PsbtGlobal,
  type PsbtInput,
  type PsbtOutput,
  previousTransaction,
  proprietaryKeyOf,
} from './psbt-format.ts';
import { scriptAsm, scriptJson, scriptType } from './script-json.ts';
import { type JsonObject, transactionJson } from './transaction-json.ts';

/** Fields that have a member of their own; all others are `unknown`. */
const SHOWN = {
  global: ['xpub', 'version', 'proprietary'],
  input: [
    'nonWitnessUtxo',
    'witnessUtxo',
    'partialSig',
    'sighashType',
    'redeemScript',
    'witnessScript',
    'bip32Derivation',
    'finalScriptSig',
    'finalScriptWitness',
    'ripemd160',
    'sha256',
    'hash160',
    'hash256',
    'tapKeySig',
    'tapScriptSig',
    'tapLeafScript',
    'tapBip32Derivation',
    'tapInternalKey',
    'tapMerkleRoot',
    'proprietary',
  ],
  output: [
    'redeemScript',
    'witnessScript',
    'bip32Derivation',
    'tapInternalKey',
    'tapTree',
    'tapBip32Derivation',
    'proprietary',
  ],
} as const;

const SIGHASH_NAMES: Readonly<Record<number, string>> = {
  0: 'DEFAULT',
  1: 'ALL',
  2: 'NONE',
  3: 'SINGLE',
  129: 'ALL|ANYONECANPAY',
  130: 'NONE|ANYONECANPAY',
  131: 'SINGLE|ANYONECANPAY',
};

const isMoney = (value: bigint) => value >= 0n && value <= MAX_MONEY;

export function psbtJson(psbt: Psbt, params: ChainParams): JsonObject {
  const { tx, global, inputs, outputs } = psbt;
  return {
    tx: transactionJson(tx, params, { hex: false }),
    global_xpubs: sorted(global.xpub ?? []).map(([xpub, { fingerprint, path }]) => {
      return { xpub: formatExtendedKey(xpub), master_fingerprint: hexNumber(fingerprint, 8), path: pathText(path) };
    }),
    psbt_version: global.version ?? 0,
    proprietary: proprietaryJson(global) ?? [],
    unknown: otherFields('global', global, SHOWN.global),
    inputs: inputs.map((input) => inputJson(input, params)),
    outputs: outputs.map(outputJson),
    fee: feeOf(psbt),
  };
}

/** Undefined unless every amount is known and possible. */
function feeOf(psbt: Psbt): JsonValue | undefined {
  const sum = (outputs: readonly (TxOutput | undefined)[]): bigint | undefined => {
    let total = 0n;
    for (const output of outputs) {
      if (output === undefined || !isMoney(output.value) || !isMoney(total + output.value)) return undefined;
      total += output.value;
    }
    return total;
  };
  const [spent, paid] = [sum(spentOutputs(psbt)), sum(psbt.tx.outputs)];
  return spent === undefined || paid === undefined ? undefined : amount(spent - paid);
}

function inputJson(input: PsbtInput, params: ChainParams): JsonObject {
  const coin = givenOutput(input);
  const previous = previousTransaction(input);
  const { finalScriptSig } = input;
  return {
    witness_utxo: coin && { amount: amount(coin.value), scriptPubKey: scriptJson(coin.scriptPubKey, params) },
    non_witness_utxo: previous && transactionJson(previous, params, { hex: false }),
    partial_signatures: hexPairs(input.partialSig),
    sighash: input.sighashType === undefined ? undefined : (SIGHASH_NAMES[input.sighashType & 0xff] ?? ''),
    redeem_script: plainScript(input.redeemScript),
    witness_script: plainScript(input.witnessScript),
    bip32_derivs: derivations(input.bip32Derivation),
    final_scriptSig: isGiven(finalScriptSig)
      ? { asm: scriptAsm(finalScriptSig), hex: bytesToHex(finalScriptSig) }
      : undefined,
    final_scriptwitness: input.finalScriptWitness?.map(bytesToHex),
    ripemd160_preimages: hexPairs(input.ripemd160),
    sha256_preimages: hexPairs(input.sha256),
    hash160_preimages: hexPairs(input.hash160),
    hash256_preimages: hexPairs(input.hash256),
    taproot_key_path_sig: input.tapKeySig && bytesToHex(input.tapKeySig),
    taproot_script_path_sigs: input.tapScriptSig?.map(([{ pubKey, leafHash }, signature]) => {
      return { pubkey: bytesToHex(pubKey), leaf_hash: bytesToHex(leafHash), sig: bytesToHex(signature) };
    }),
    taproot_scripts: leafScripts(input.tapLeafScript),
    taproot_bip32_derivs: taprootDerivations(input.tapBip32Derivation),
    taproot_internal_key: input.tapInternalKey && bytesToHex(input.tapInternalKey),
    taproot_merkle_root: input.tapMerkleRoot && bytesToHex(input.tapMerkleRoot),
    proprietary: proprietaryJson(input),
    unknown: unlessEmpty(otherFields('input', input, SHOWN.input)),
  };
}

function outputJson(output: PsbtOutput): JsonObject {
  return {
    redeem_script: plainScript(output.redeemScript),
    witness_script: plainScript(output.witnessScript),
    bip32_derivs: derivations(output.bip32Derivation),
    taproot_internal_key: output.tapInternalKey && bytesToHex(output.tapInternalKey),
    taproot_tree: output.tapTree?.map(({ depth, version, script }) => {
      return { depth, leaf_ver: version, script: bytesToHex(script) };
    }),
    taproot_bip32_derivs: taprootDerivations(output.tapBip32Derivation),
    proprietary: proprietaryJson(output),
    unknown: unlessEmpty(otherFields('output', output, SHOWN.output)),
  };
}

function isGiven(bytes: Bytes | undefined): bytes is Bytes {
  return bytes !== undefined && bytes.length > 0;
}

/** A script that is no output of its own. */
function plainScript(script: Bytes | undefined): JsonValue | undefined {
  return isGiven(script) ? { asm: scriptAsm(script), hex: bytesToHex(script), type: scriptType(script) } : undefined;
}

function hexPairs(pairs: readonly (readonly [Bytes, Bytes])[] | undefined): JsonValue | undefined {
  return pairs && Object.fromEntries(pairs.map(([key, value]) => [bytesToHex(key), bytesToHex(value)]));
}

interface KeyOrigin {
  readonly fingerprint: number;
  readonly path: readonly number[];
}

function originJson({ fingerprint, path }: KeyOrigin) {
  return { master_fingerprint: hexNumber(fingerprint, 8), path: pathText(path) };
}

function pathText(path: readonly number[]): string {
  return `m${formatPath(path)}`;
}

function derivations(pairs: readonly (readonly [Bytes, KeyOrigin])[] | undefined): JsonValue | undefined {
  return pairs && byKey(pairs).map(([key, origin]) => ({ pubkey: bytesToHex(key), ...originJson(origin) }));
}

function taprootDerivations(
  pairs: readonly (readonly [Bytes, { readonly hashes: readonly Bytes[]; readonly der: KeyOrigin }])[] | undefined,
): JsonValue | undefined {
  return (
    pairs &&
    byKey(pairs).map(([key, { hashes, der }]) => {
      return { pubkey: bytesToHex(key), ...originJson(der), leaf_hashes: hashes.map(bytesToHex) };
    })
  );
}

/** One entry for each script, with all its control blocks. */
function leafScripts(pairs: PsbtInput['tapLeafScript']): JsonValue | undefined {
  if (pairs === undefined) return undefined;
  const scripts = new Map<string, { script: string; leaf_ver: number; control_blocks: string[] }>();
  for (const [controlBlock, leaf] of pairs) {
    const script = bytesToHex(leaf.subarray(0, -1));
    const version = leaf.at(-1) ?? 0;
    const entry = scripts.get(`${script} ${version}`) ?? { script, leaf_ver: version, control_blocks: [] };
    entry.control_blocks.push(bytesToHex(encodeControlBlock(controlBlock)));
    scripts.set(`${script} ${version}`, entry);
  }
  return [...scripts.values()];
}

function proprietaryJson({ proprietary }: PsbtGlobal | PsbtInput | PsbtOutput): JsonValue | undefined {
  return proprietary?.map(([suffix, value]) => {
    const { identifier, subtype, key } = proprietaryKeyOf(suffix);
    return { identifier: bytesToHex(identifier), subtype, key: bytesToHex(key), value: bytesToHex(value) };
  });
}

function unlessEmpty(fields: Readonly<Record<string, string>>): JsonValue | undefined {
  return Object.keys(fields).length > 0 ? fields : undefined;
}

function byKey<T>(pairs: readonly (readonly [Bytes, T])[]): readonly (readonly [Bytes, T])[] {
  return [...pairs].sort(([a], [b]) => compareBytes(a, b));
}

/** By the origin of the keys. */
function sorted(pairs: NonNullable<PsbtGlobal['xpub']>): NonNullable<PsbtGlobal['xpub']> {
  const keyOf = ({ fingerprint, path }: KeyOrigin) => [fingerprint, ...path].map((step) => hexNumber(step, 8)).join('');
  return [...pairs].sort(([, a], [, b]) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
