/**
 * Scripts as Core prints them: their assembler text, their type, and the output descriptor that says how to find them
 * again (BIP 380). The chain holds two forms only (RULES A1 S1), but decoderawtransaction shows whatever it is given.
 */
import { bytesToHex } from '#hash';
import { isP2tr, outputKey, scriptAddress } from '../../consensus/address.ts';
import type { Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { isCurveX } from './curve.ts';
import { withChecksum } from './descriptor.ts';
import type { JsonValue } from './json.ts';

const OP_PUSHDATA1 = 0x4c;
const OP_PUSHDATA4 = 0x4e;
const OP_1NEGATE = 0x4f;
const OP_RESERVED = 0x50;
const OP_1 = 0x51;
const OP_16 = 0x60;
const OP_NOP = 0x61;
const OP_RETURN = 0x6a;
const OP_INVALID = 0xff;
/** The last opcode that any script may contain. */
const LAST_VALID_OPCODE = 0xb9;
const MAX_PUSH_SIZE = 520;
const MAX_SCRIPT_SIZE = 10_000;

/** Names of the opcodes from OP_NOP (61) to OP_CHECKSIGADD (ba), without the prefix. */
const NAMES = [
  'NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP 3DUP 2OVER 2ROT 2SWAP',
  'IFDUP DEPTH DROP DUP NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT RIGHT SIZE INVERT AND OR XOR EQUAL',
  'EQUALVERIFY RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV NEGATE ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT',
  'BOOLAND BOOLOR NUMEQUAL NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN',
  'MAX WITHIN RIPEMD160 SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY CHECKMULTISIG',
  'CHECKMULTISIGVERIFY NOP1 CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY NOP4 NOP5 NOP6 NOP7 NOP8 NOP9 NOP10 CHECKSIGADD',
]
  .join(' ')
  .split(' ');

/** One step of a script; `data` for opcodes that push. */
interface Step {
  readonly opcode: number;
  readonly data?: Bytes;
}

/** The steps of a script; null in place of a push that is cut short, which ends it. */
function* stepsOf(script: Bytes): Generator<Step | null> {
  for (let at = 0; at < script.length; ) {
    const opcode = script[at++] as number;
    if (opcode > OP_PUSHDATA4) {
      yield { opcode };
      continue;
    }
    let size = opcode;
    if (opcode >= OP_PUSHDATA1) {
      const width = 1 << (opcode - OP_PUSHDATA1);
      size = 0;
      for (let i = width - 1; i >= 0; i--) size = size * 256 + (script[at + i] ?? Number.POSITIVE_INFINITY);
      at += width;
    }
    if (at + size > script.length) return yield null;
    yield { opcode, data: script.subarray(at, at + size) };
    at += size;
  }
}

/** The assembler text of a script. */
export function scriptAsm(script: Bytes): string {
  return [...stepsOf(script)].map(stepAsm).join(' ');
}

function stepAsm(step: Step | null): string {
  if (step === null) return '[error]';
  const { opcode, data } = step;
  if (data !== undefined) return data.length <= 4 ? String(scriptNumber(data)) : bytesToHex(data);
  if (opcode === OP_1NEGATE) return '-1';
  if (opcode === OP_RESERVED) return 'OP_RESERVED';
  if (opcode <= OP_16) return String(opcode - OP_1 + 1);
  if (opcode === OP_INVALID) return 'OP_INVALIDOPCODE';
  const name = NAMES[opcode - OP_NOP];
  return name === undefined ? 'OP_UNKNOWN' : `OP_${name}`;
}

/** At most four bytes, little-endian, the top bit of the last a sign. */
function scriptNumber(data: Bytes): number {
  const last = data.at(-1);
  if (last === undefined) return 0;
  let value = last & 0x7f;
  for (let i = data.length - 2; i >= 0; i--) value = value * 256 + (data[i] as number);
  return last >= 0x80 && value !== 0 ? -value : value;
}

/** True if it consists of opcodes that exist and pushes of at most 520 bytes: a decoder that finds less has misread. */
export function hasValidOpcodes(script: Bytes): boolean {
  if (script.length > MAX_SCRIPT_SIZE) return false;
  for (const step of stepsOf(script)) {
    if (step === null || step.opcode > LAST_VALID_OPCODE || (step.data?.length ?? 0) > MAX_PUSH_SIZE) return false;
  }
  return true;
}

/** True if coins sent to it are lost for certain. */
export function isBurnt(script: Bytes): boolean {
  return script[0] === OP_RETURN || !hasValidOpcodes(script);
}

type ScriptType =
  | 'anchor'
  | 'nonstandard'
  | 'nulldata'
  | 'pubkey'
  | 'pubkeyhash'
  | 'scripthash'
  | 'witness_unknown'
  | 'witness_v0_keyhash'
  | 'witness_v0_scripthash'
  | 'witness_v1_taproot';

/** Core's name of the script's form. Bare multisig, which nobody can pay to here, is `nonstandard`. */
export function scriptType(script: Bytes): ScriptType {
  if (isP2tr(script)) return 'witness_v1_taproot';
  const hex = bytesToHex(script);
  if (/^a914.{40}87$/.test(hex)) return 'scripthash';
  const program = /^(00|5[1-9a-f]|60)([0-4].)(.*)$/.exec(hex);
  const [, version, push = '', data = ''] = program ?? [];
  const size = Number.parseInt(push, 16);
  if (version !== undefined && size >= 2 && size <= 40 && data.length === size * 2) {
    if (version === '00') {
      return size === 20 ? 'witness_v0_keyhash' : size === 32 ? 'witness_v0_scripthash' : 'nonstandard';
    }
    return hex === '51024e73' ? 'anchor' : 'witness_unknown';
  }
  if (script[0] === OP_RETURN && isPushOnly(script.subarray(1))) return 'nulldata';
  if (/^(21(02|03).{64}|41(04|06|07).{128})ac$/.test(hex)) return 'pubkey';
  return /^76a914.{40}88ac$/.test(hex) ? 'pubkeyhash' : 'nonstandard';
}

function isPushOnly(script: Bytes): boolean {
  for (const step of stepsOf(script)) if (step === null || step.opcode > OP_16) return false;
  return true;
}

/** The output descriptor of a script, with its checksum, as far as the script alone tells it. */
export function inferDescriptor(script: Bytes, params: ChainParams): string {
  return scriptDescriptor(script, scriptType(script), scriptAddress(script, params));
}

function scriptDescriptor(script: Bytes, type: ScriptType, address: string | undefined): string {
  const hex = bytesToHex(script);
  if (type === 'pubkey') return withChecksum(`pk(${hex.slice(2, -2)})`);
  if (address === undefined) return withChecksum(`raw(${hex})`);
  // A key that is no point of the curve can be paid, but has no descriptor of its own.
  return withChecksum(isCurveX(outputKey(script)) ? `rawtr(${hex.slice(4)})` : `addr(${address})`);
}

/** An output script as in `scriptPubKey` members. */
export function scriptJson(script: Bytes, params: ChainParams): JsonValue {
  const type = scriptType(script);
  const address = scriptAddress(script, params);
  return {
    asm: scriptAsm(script),
    desc: scriptDescriptor(script, type, address),
    hex: bytesToHex(script),
    address,
    type,
  };
}
