/**
 * Counts signature operations as Bitcoin did before BIP 141. Key-path spends have none; the count matters for the coinbase's
 * script alone, and for scripts that the subset refuses in any case. RULES.md A5 row 6.
 */
import type { Bytes } from './brand.ts';
import type { TransactionFields } from './transaction.ts';

const OP_PUSHDATA1 = 0x4c;
const OP_PUSHDATA2 = 0x4d;
const OP_PUSHDATA4 = 0x4e;
const OP_CHECKSIG = 0xac;
const OP_CHECKSIGVERIFY = 0xad;
const OP_CHECKMULTISIG = 0xae;
const OP_CHECKMULTISIGVERIFY = 0xaf;
const SIGOPS_PER_MULTISIG = 20;

/** Signature operations in all scripts of a transaction. */
export function legacySigops(tx: TransactionFields): number {
  let count = 0;
  for (const { scriptSig } of tx.inputs) count += scriptSigops(scriptSig);
  for (const { scriptPubKey } of tx.outputs) count += scriptSigops(scriptPubKey);
  return count;
}

/** Signature operations in one script: pushed data is skipped, and a push that is cut short ends the count. */
function scriptSigops(script: Bytes): number {
  let count = 0;
  for (let at = 0; at < script.length; ) {
    const opcode = script[at] as number;
    at += 1;
    if (opcode === OP_CHECKSIG || opcode === OP_CHECKSIGVERIFY) count += 1;
    else if (opcode === OP_CHECKMULTISIG || opcode === OP_CHECKMULTISIGVERIFY) count += SIGOPS_PER_MULTISIG;
    else if (opcode <= OP_PUSHDATA4) at += pushSize(script, at, opcode);
  }
  return count;
}

/** Bytes of a push after its opcode: the length field, if it has one, and the data. Infinite where the field is cut short. */
function pushSize(script: Bytes, at: number, opcode: number): number {
  if (opcode < OP_PUSHDATA1) return opcode;
  const width = opcode === OP_PUSHDATA1 ? 1 : opcode === OP_PUSHDATA2 ? 2 : 4;
  if (at + width > script.length) return Number.POSITIVE_INFINITY;
  let length = 0;
  for (let i = width - 1; i >= 0; i--) length = length * 256 + (script[at + i] as number);
  return width + length;
}
