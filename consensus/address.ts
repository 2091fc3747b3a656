/**
 * Output scripts and addresses: the two scripts that exist (P2TR and one bounded data output, RULES.md A1 S1), and the
 * text form of the first (BIP 350, bech32m, witness version 1).
 */

import { bech32, bech32m } from '@scure/base';
import { bytesToHex, sha256Into } from '#hash';
import { type Bytes, fail, ok, type Result, type ScriptHash } from './brand.ts';
import { concatBytes } from './codec.ts';
import type { ChainParams } from './params.ts';

const OP_1 = 0x51;
const OP_RETURN = 0x6a;
const OP_PUSHDATA1 = 0x4c;
export const KEY_SIZE = 32;
/** Where the output key stands in a P2TR script. */
export const OUTPUT_KEY_AT = 2;
const MAX_DIRECT_PUSH = 75;
export const MAX_DATA_SIZE = 80;
/** Longest text that BIP 173's checksum protects. */
const MAX_ADDRESS_LENGTH = 90;

/** The script that pays to an output key: `51 20 <32 bytes>`. Whether the key is on the curve matters only to its spender. */
export function p2trScript(key: Bytes): Bytes {
  if (key.length !== KEY_SIZE) throw new Error('an output key has 32 bytes');
  return concatBytes(Uint8Array.of(OP_1, KEY_SIZE), key);
}

export function isP2tr(script: Bytes): boolean {
  return script.length === 2 + KEY_SIZE && script[0] === OP_1 && script[1] === KEY_SIZE;
}

/** The 32 bytes of output key in a P2TR script: a view. */
export function outputKey(script: Bytes): Bytes {
  return script.subarray(OUTPUT_KEY_AT);
}

/** The script that carries 1 to 80 bytes and can never be spent: `6a <shortest push>`. */
export function dataScript(data: Bytes): Bytes {
  if (data.length < 1 || data.length > MAX_DATA_SIZE) throw new Error('a data output holds 1 to 80 bytes');
  const push = data.length <= MAX_DIRECT_PUSH ? Uint8Array.of(data.length) : Uint8Array.of(OP_PUSHDATA1, data.length);
  return concatBytes(Uint8Array.of(OP_RETURN), push, data);
}

/** True for exactly the scripts that `dataScript` makes. */
export function isDataOutput(script: Bytes): boolean {
  if (script[0] !== OP_RETURN) return false;
  const push = script[1] ?? 0;
  if (push >= 1 && push <= MAX_DIRECT_PUSH) return script.length === 2 + push;
  const length = script[2] ?? 0;
  return push === OP_PUSHDATA1 && length > MAX_DIRECT_PUSH && length <= MAX_DATA_SIZE && script.length === 3 + length;
}

/** True where no coin is made: the output can never be spent and its value is burnt. */
export function isUnspendable(script: Bytes): boolean {
  return script[0] === OP_RETURN;
}

const digest = new Uint8Array(32);

/** sha256 of the script, the key of the script index. */
export function scriptHash(script: Bytes): ScriptHash {
  sha256Into(script, digest, 0);
  return bytesToHex(digest) as ScriptHash;
}

/** Why a text is no address here. `message` says what is wrong in words for people. */
export interface AddressError {
  readonly code: 'format' | 'checksum' | 'network' | 'version' | 'length';
  readonly message: string;
}

/** The address of an output key. */
export function encodeAddress(key: Bytes, hrp: string): string {
  return bech32m.encode(hrp, [1, ...bech32m.toWords(key)]);
}

/** The address of a P2TR script, or undefined for any other script. */
export function scriptAddress(script: Bytes, params: ChainParams): string | undefined {
  return isP2tr(script) ? encodeAddress(outputKey(script), params.hrp) : undefined;
}

/** The output script that an address stands for. */
export function decodeAddress(text: string, params: ChainParams): Result<Bytes, AddressError> {
  if (isBase58Shaped(text)) {
    return refuse(
      'version',
      'this is an address of an older type; only Taproot addresses (witness version 1) are paid',
    );
  }
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) {
    return refuse('format', 'an address is all lower case or all upper case');
  }
  if (text.length > MAX_ADDRESS_LENGTH || !/^[!-~]+1[a-z0-9]{6,}$/i.test(text)) {
    return refuse('format', `this is no address; one of ${params.name} begins with ${params.hrp}1p`);
  }
  const modern = bech32m.decodeUnsafe(text, MAX_ADDRESS_LENGTH);
  const decoded = modern ?? bech32.decodeUnsafe(text, MAX_ADDRESS_LENGTH);
  if (!decoded) return refuse('checksum', 'the checksum does not match: the address was mistyped or cut');
  if (decoded.prefix !== params.hrp) {
    return refuse(
      'network',
      `this is an address of another network: it begins with ${decoded.prefix}1, not ${params.hrp}1`,
    );
  }
  const [version, ...words] = decoded.words;
  if (version === undefined || version > 16) return refuse('format', 'the address has no witness version');
  // BIP 350: version 0 keeps the checksum of BIP 173, and all others have the new one.
  if ((version === 0) !== (modern === undefined)) {
    return refuse('checksum', `the checksum is of the wrong kind for witness version ${version}`);
  }
  if (version !== 1) {
    return refuse('version', `the address has witness version ${version}; only Taproot (version 1) is paid`);
  }
  const program = bech32m.fromWordsUnsafe(words);
  if (!program) return refuse('format', 'the address does not hold whole bytes');
  if (program.length !== KEY_SIZE) {
    return refuse('length', `the address holds ${program.length} bytes; a Taproot address holds 32`);
  }
  return ok(p2trScript(program));
}

function refuse(code: AddressError['code'], message: string): Result<never, AddressError> {
  return fail({ code, message });
}

/** Looks like a base58 address of any Bitcoin network (P2PKH, P2SH). Their first characters are fixed by the version bytes. */
function isBase58Shaped(text: string): boolean {
  return /^[123mn][1-9A-HJ-NP-Za-km-z]{25,34}$/.test(text);
}
