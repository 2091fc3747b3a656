/**
 * Policy that needs no context: the numbers of RULES.md B2 and the rows 3 to 9 and 16 of B1, in Core's words. These are the
 * defaults of Bitcoin Core; a transaction that breaks them is valid in a block and its sender is never punished.
 */
import { bytesToHex } from '#hash';
import { isP2tr } from '../../consensus/address.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { checkSubset } from '../../consensus/check-transaction.ts';
import { COIN } from '../../consensus/params.ts';
import { type Reject, reject } from '../../consensus/reject.ts';
import { type Transaction, weightOf } from '../../consensus/transaction.ts';

// Feerates are satoshis per 1000 virtual bytes.
export const MIN_RELAY_FEERATE = 1000;
/** What a replacement pays for its own relay, and what is added to the feerate of what was evicted. */
export const INCREMENTAL_FEERATE = 1000;
/** Packages below it are left out of templates. */
export const BLOCK_MIN_FEERATE = 1000;

/** A P2TR output below this costs more to spend than it holds: (43 + 67) bytes at 3 satoshis. */
export const DUST_SATS = 330n;

/** How many unconfirmed transactions may hang together. The transaction itself is counted. */
export interface ChainLimits {
  readonly ancestors: number;
  readonly ancestorVsize: number;
  readonly descendants: number;
  readonly descendantVsize: number;
}
export const CHAIN_LIMITS: ChainLimits = {
  ancestors: 25,
  ancestorVsize: 101_000,
  descendants: 25,
  descendantVsize: 101_000,
};
/** The carve-out: a child of at most this size with a single ancestor may exceed the descendant limits by one. */
export const CARVE_OUT_VSIZE = 10_000;

/** Transactions that one replacement may evict. */
export const MAX_REPLACED = 100;

const MAX_WEIGHT = 400_000;
const MAX_SCRIPT_SIG = 1650;
const MAX_DATA_SCRIPT = 83;
const MIN_STRIPPED_SIZE = 65;
const MAX_TAPSCRIPT_ITEM = 80;
const ANNEX_TAG = 0x50;
const LEAF_MASK = 0xfe;
const TAPSCRIPT_LEAF = 0xc0;
const OP_RETURN = 0x6a;
const OP_16 = 0x60;

/** What `vsize` virtual bytes cost at a feerate, rounded up, at least one satoshi unless the feerate is zero. */
export function feeFor(feerate: number, vsize: number): bigint {
  const fee = BigInt(Math.ceil((feerate * vsize) / 1000));
  return fee === 0n && feerate > 0 && vsize > 0 ? 1n : fee;
}

/** The feerate of a fee, rounded down. */
export function feerateOf(fee: bigint, vsize: number): number {
  return Number((fee * 1000n) / BigInt(vsize));
}

/** A feerate as Core prints it in its messages. */
export function formatFeerate(feerate: number): string {
  const digits = Math.abs(feerate).toFixed(0).padStart(9, '0');
  return `${feerate < 0 ? '-' : ''}${digits.slice(0, -8)}.${digits.slice(-8)} BTC/kvB`;
}

/** Whole coins as Core prints amounts in its messages: two decimals, and up to eight where they are needed. */
export function formatMoney(sats: bigint): string {
  const positive = sats < 0n ? -sats : sats;
  const decimals = (positive % COIN)
    .toString()
    .padStart(8, '0')
    .replace(/0{1,6}$/, '');
  return `${sats < 0n ? '-' : ''}${positive / COIN}.${decimals}`;
}

/** Rows 3 to 9 of B1, row 16, and what Core would take but the subset does not (RULES A1). */
export function checkStandard(tx: Transaction): Reject | null {
  if (tx.version < 1 || tx.version > 3) return reject('policy', 'version');
  if (weightOf(tx) > MAX_WEIGHT) return reject('policy', 'tx-size');
  for (const { scriptSig } of tx.inputs) {
    if (scriptSig.length > MAX_SCRIPT_SIG) return reject('policy', 'scriptsig-size');
    if (!isPushOnly(scriptSig)) return reject('policy', 'scriptsig-not-pushonly');
  }
  return checkOutputs(tx) ?? checkSize(tx) ?? checkWitnesses(tx) ?? checkSubset(tx);
}

function checkOutputs(tx: Transaction): Reject | null {
  let dataOutputs = 0;
  for (const { value, scriptPubKey } of tx.outputs) {
    if (!isStandardScript(scriptPubKey)) return reject('policy', 'scriptpubkey');
    if (scriptPubKey[0] === OP_RETURN) dataOutputs++;
    else if (isP2tr(scriptPubKey) && value < DUST_SATS) return reject('policy', 'dust');
  }
  return dataOutputs > 1 ? reject('policy', 'multi-op-return') : null;
}

function checkSize(tx: Transaction): Reject | null {
  return tx.strippedSize < MIN_STRIPPED_SIZE ? reject('policy', 'tx-size-small') : null;
}

/**
 * Row 16. Core asks this after it has found the coins; every coin is P2TR here, so it can be asked before. A witness that
 * is odd in another way is for `checkSubset` (several elements) or for the signature checks (one or none).
 */
function checkWitnesses(tx: Transaction): Reject | null {
  const odd = tx.inputs.some(({ witness }) => witness.length > 1 && !isStandardScriptPath(witness));
  return odd ? reject('policy', 'bad-witness-nonstandard') : null;
}

/** Several elements on the stack, of which Core says nothing before it runs the script. */
function isStandardScriptPath(witness: readonly Bytes[]): boolean {
  const control = witness.at(-1) as Bytes;
  const first = control[0];
  if (first === undefined || first === ANNEX_TAG) return false;
  if ((first & LEAF_MASK) !== TAPSCRIPT_LEAF) return true;
  return witness.slice(0, -2).every((item) => item.length <= MAX_TAPSCRIPT_ITEM);
}

// A compressed or uncompressed public key, pushed.
const KEY_PUSH = '(?:210[23].{64}|410[467].{128})';
/** Output scripts besides witness programs and data that Core relays, as patterns of their hex. */
const RELAYED_SCRIPT = new RegExp(
  `^(?:76a914.{40}88ac|a914.{40}87|${KEY_PUSH}ac|51${KEY_PUSH}51ae|5[12]${KEY_PUSH}{2}52ae|5[1-3]${KEY_PUSH}{3}53ae)$`,
);
const LONGEST_RELAYED_SCRIPT = 201;

/** True for the output scripts that Core relays. Those outside the subset are refused by `checkSubset`, in our own words. */
export function isStandardScript(script: Bytes): boolean {
  if (isP2tr(script)) return true;
  if (script[0] === OP_RETURN) return script.length <= MAX_DATA_SCRIPT && isPushOnly(script.subarray(1));
  if (isWitnessProgram(script)) return script[0] !== 0 || script.length === 22 || script.length === 34;
  return script.length <= LONGEST_RELAYED_SCRIPT && RELAYED_SCRIPT.test(bytesToHex(script));
}

/** A version (0 to 16) and one push of 2 to 40 bytes (BIP 141). */
function isWitnessProgram(script: Bytes): boolean {
  const [version = 0xff, size = 0] = script;
  const isVersion = version === 0 || (version >= 0x51 && version <= OP_16);
  return isVersion && size >= 2 && size <= 40 && script.length === size + 2;
}

/** True if the script holds nothing but pushes, none of them cut short. */
function isPushOnly(script: Bytes): boolean {
  for (let at = 0; at < script.length; ) {
    const opcode = script[at] as number;
    if (opcode > OP_16) return false;
    at += 1;
    const widths: Readonly<Record<number, number>> = { 76: 1, 77: 2, 78: 4 };
    const width = widths[opcode] ?? 0;
    if (at + width > script.length) return false;
    let size = opcode < 0x4c ? opcode : 0;
    for (let i = width - 1; i >= 0; i--) size = size * 256 + (script[at + i] as number);
    at += width + size;
    if (at > script.length) return false;
  }
  return true;
}
