/**
 * Partially signed transactions (BIP 174, taproot fields of BIP 371) as bytes: the one place that knows the library which
 * reads and writes them. What the fields mean for coins of this chain is in psbt.ts.
 *
 * Fields that nobody here understands are kept as they are: signers of other programs find them again.
 */
import { base64 } from '@scure/base';
import {
  PSBTGlobal,
  PSBTInput,
  type PSBTKeyMapKeys,
  PSBTOutput,
  RawPSBTV0,
  TaprootControlBlock,
  type TransactionInput,
  type TransactionOutput,
} from '@scure/btc-signer/psbt.js';
import { bytesToHex, hexToBytes } from '#hash';
import { type Bytes, fail, ok, type Result, type Txid } from '../../consensus/brand.ts';
import { decode, Reader, Writer } from '../../consensus/codec.ts';
import {
  makeTransaction,
  type Transaction,
  type TransactionFields,
  type TxInput,
  type TxOutput,
} from '../../consensus/transaction.ts';

/** All but the transaction itself. */
export type PsbtGlobal = Omit<PSBTKeyMapKeys<typeof PSBTGlobal>, 'unsignedTx'>;
export type PsbtInput = TransactionInput;
export type PsbtOutput = TransactionOutput;

/** A transaction without signatures, and for each of its inputs and outputs what is known and signed so far. */
export interface Psbt {
  readonly tx: Transaction;
  readonly global: PsbtGlobal;
  readonly inputs: readonly PsbtInput[];
  readonly outputs: readonly PsbtOutput[];
}

/** Longest text that is read: three quarters as many bytes. */
const MAX_PSBT_TEXT = 4_000_000;
/** Maps and their fields that are read, inputs and outputs that are written: the largest standard transaction needs less. */
const MAX_PARTS = 10_000;
/** The time that it takes to write a map grows with the square of its fields. */
const MAX_FIELDS_OF_MAP = 1000;
const MAX_PARTS_TOGETHER = 2 * MAX_PARTS;
/** What is said of too many of either. */
export const TOO_MANY_PARTS = `a PSBT has at most ${MAX_PARTS} maps and fields, inputs and outputs`;
/** Longest text of a library's error that is passed on: it may print what it has read. */
const MAX_REASON = 200;
const MAGIC = hexToBytes('70736274ff');

/** A PSBT that knows nothing but its transaction, whose signatures are left out. */
export function blankPsbt(tx: TransactionFields): Psbt {
  const inputs = tx.inputs.map((input) => ({ ...input, scriptSig: NO_BYTES, witness: [] }));
  return {
    tx: makeTransaction({ ...tx, inputs }),
    global: {},
    inputs: inputs.map(() => ({})),
    outputs: tx.outputs.map(() => ({})),
  };
}

const NO_BYTES: Bytes = new Uint8Array(0);

interface RawInput {
  /** In display order. */
  readonly txid: Bytes;
  readonly index: number;
  readonly finalScriptSig: Bytes;
  readonly sequence: number;
}
interface RawOutput {
  /** Without sign. */
  readonly amount: bigint;
  readonly script: Bytes;
}
interface RawTransaction {
  /** With sign. */
  readonly version: number;
  readonly inputs: readonly RawInput[];
  readonly outputs: readonly RawOutput[];
  readonly witnesses?: readonly (readonly Bytes[])[] | undefined;
  readonly lockTime: number;
}

/** What the library reads and writes; its own type of it is too deep to be followed. */
interface RawPsbt {
  readonly global: PsbtGlobal & { readonly unsignedTx: RawTransaction };
  readonly inputs: readonly PsbtInput[];
  readonly outputs: readonly PsbtOutput[];
}
const rawPsbt = RawPSBTV0 as unknown as { decode(bytes: Bytes): RawPsbt; encode(raw: RawPsbt): Bytes };

/** True if a PSBT of this transaction is read again. */
export function fitsPsbt({ inputs, outputs }: TransactionFields): boolean {
  return inputs.length + outputs.length <= MAX_PARTS;
}

/** Maps and fields, or why they are too many. The library takes long over each, so they are counted before. */
function countParts(bytes: Bytes): Result<number, string> {
  let parts = 0;
  let fields = 0;
  // Where it cannot be followed here the library cannot follow it either, and says so.
  decode(bytes.subarray(MAGIC.length), (reader) => {
    for (; reader.remaining > 0 && parts <= MAX_PARTS && fields <= MAX_FIELDS_OF_MAP; parts++) {
      if (reader.varBytes().length === 0) {
        fields = 0;
        continue;
      }
      fields += 1;
      reader.varBytes();
    }
  });
  if (parts > MAX_PARTS) return fail(TOO_MANY_PARTS);
  if (fields > MAX_FIELDS_OF_MAP) return fail(`a map of a PSBT has at most ${MAX_FIELDS_OF_MAP} fields`);
  return ok(parts);
}

/** Several of them for one call, which together may have a little more than one alone. */
export function decodePsbts(texts: readonly string[]): Result<readonly Psbt[], string> {
  const psbts: Psbt[] = [];
  const budget = { parts: MAX_PARTS_TOGETHER };
  for (const text of texts) {
    const psbt = decodePsbt(text, budget);
    if (!psbt.ok) return psbt;
    psbts.push(psbt.value);
  }
  return ok(psbts);
}

/** Reads base64. The error says what is wrong in words that follow "TX decode failed". */
export function decodePsbt(text: string, budget = { parts: MAX_PARTS }): Result<Psbt, string> {
  if (text.length > MAX_PSBT_TEXT) return fail(`a PSBT has at most ${MAX_PSBT_TEXT} characters`);
  let bytes: Bytes;
  try {
    bytes = base64.decode(text);
  } catch {
    // The library tells a bad text by an exception only.
    return fail('invalid base64');
  }
  if (bytes.length < MAGIC.length) return malformed('DataStream::read(): end of data');
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) return malformed('Invalid PSBT magic bytes');
  const parts = countParts(bytes);
  if (!parts.ok) return parts;
  budget.parts -= parts.value;
  if (budget.parts < 0) return fail(`together the PSBTs have more than ${MAX_PARTS_TOGETHER} maps and fields`);
  let raw: RawPsbt;
  try {
    raw = rawPsbt.decode(bytes);
  } catch (error) {
    // Likewise.
    return malformed(reasonOf((error as Error).message));
  }
  const { unsignedTx, ...global } = raw.global;
  const { inputs, outputs } = raw;
  const tx = makeTransaction({
    version: unsignedTx.version >>> 0,
    inputs: unsignedTx.inputs.map((input) => readInput(input, [])),
    outputs: unsignedTx.outputs.map(readOutput),
    lockTime: unsignedTx.lockTime,
  });
  // The library lets an empty map more pass that some programs write where there are no inputs.
  if (outputs.length > tx.outputs.length) return fail('extra data after PSBT');
  return checkPrevious({ tx, global, inputs, outputs });
}

/** The full transactions that inputs come with must be those that they spend. */
function checkPrevious(psbt: Psbt): Result<Psbt, string> {
  for (const [index, input] of psbt.inputs.entries()) {
    const { prevout } = psbt.tx.inputs[index] as Transaction['inputs'][number];
    const previous = previousTransaction(input);
    if (previous === undefined) continue;
    if (previous.txid !== prevout.txid) return malformed('Non-witness UTXO does not match outpoint hash');
    if (prevout.vout >= previous.outputs.length) return malformed('Input specifies output index that does not exist');
  }
  return ok(psbt);
}

/** The base64 of it. */
export function encodePsbt({ tx, global, inputs, outputs }: Psbt): string {
  const unsignedTx = {
    version: tx.version | 0,
    inputs: tx.inputs.map(writeInput),
    outputs: tx.outputs.map(writeOutput),
    lockTime: tx.lockTime,
  };
  // The library sorts lists in place.
  const copy = <Fields extends PsbtGlobal | PsbtInput | PsbtOutput>({ unknown, ...fields }: Fields) => {
    return (unknown === undefined ? fields : { ...fields, unknown: [...unknown] }) as Fields;
  };
  return base64.encode(
    rawPsbt.encode({ global: { ...copy(global), unsignedTx }, inputs: inputs.map(copy), outputs: outputs.map(copy) }),
  );
}

/** The whole transaction whose output the input spends, where it was given. */
export function previousTransaction({ nonWitnessUtxo }: PsbtInput): Transaction | undefined {
  if (nonWitnessUtxo === undefined) return undefined;
  const { version, inputs, outputs, witnesses, lockTime } = nonWitnessUtxo as RawTransaction;
  return makeTransaction({
    version: version >>> 0,
    inputs: inputs.map((input, i) => readInput(input, witnesses?.[i] ?? [])),
    outputs: outputs.map(readOutput),
    lockTime,
  });
}

/** The input with the whole transaction that it spends from, without its witnesses. */
export function withPreviousTransaction(input: PsbtInput, tx: Transaction): PsbtInput {
  const nonWitnessUtxo = {
    version: tx.version | 0,
    segwitFlag: false,
    inputs: tx.inputs.map(writeInput),
    outputs: tx.outputs.map(writeOutput),
    witnesses: undefined,
    lockTime: tx.lockTime,
  };
  return { ...input, nonWitnessUtxo };
}

/** The output that the input spends, as it was given; it is taken on trust until a signature covers it. */
export function givenOutput({ witnessUtxo }: PsbtInput): TxOutput | undefined {
  return witnessUtxo === undefined ? undefined : readOutput(witnessUtxo);
}

export function writeOutput({ value, scriptPubKey }: TxOutput): RawOutput {
  return { amount: BigInt.asUintN(64, value), script: scriptPubKey };
}

function readInput({ txid, index, finalScriptSig, sequence }: RawInput, witness: readonly Bytes[]): TxInput {
  return { prevout: { txid: bytesToHex(txid) as Txid, vout: index }, scriptSig: finalScriptSig, sequence, witness };
}

function writeInput({ prevout, scriptSig, sequence }: TxInput): RawInput {
  return { txid: hexToBytes(prevout.txid), index: prevout.vout, finalScriptSig: scriptSig, sequence };
}

function readOutput({ amount, script }: RawOutput): TxOutput {
  return { value: BigInt.asIntN(64, amount), scriptPubKey: script };
}

/** All that two PSBTs of the same transaction know; where they differ the first one counts, as in Core. */
export function mergePsbts(first: Psbt, second: Psbt): Psbt {
  return {
    tx: first.tx,
    global: mergeGlobals(first.global, second.global),
    inputs: first.inputs.map((input, i) => mergeFields(PSBTInput, input, second.inputs[i] ?? {})),
    outputs: first.outputs.map((output, i) => mergeFields(PSBTOutput, output, second.outputs[i] ?? {})),
  };
}

/** The same for what PSBTs say of the whole transaction. */
export function mergeGlobals(first: PsbtGlobal, second: PsbtGlobal): PsbtGlobal {
  return mergeFields(PSBTGlobal, first, second);
}

interface Coder {
  encode(value: unknown): Bytes;
}
/** The type of each field, how its keys are written (false where there is but one), and its values. */
type FieldTable = Readonly<Record<string, readonly [type: number, key: Coder | false, value: Coder, ...unknown[]]>>;
type Pair = readonly [key: unknown, value: unknown];
type UnknownKey = { readonly type: number; readonly key: Bytes };

function mergeFields<Fields extends object>(table: object, first: Fields, second: Fields): Fields {
  const merged = { ...second, ...first } as Record<string, unknown>;
  for (const [name, theirs] of Object.entries(second)) {
    const mine = (first as Record<string, unknown>)[name];
    const keyOf = keyReader(table as FieldTable, name);
    if (mine === undefined || keyOf === undefined) continue;
    const known = new Set((mine as readonly Pair[]).map(keyOf));
    merged[name] = [
      ...(mine as readonly Pair[]),
      ...(theirs as readonly Pair[]).filter((pair) => !known.has(keyOf(pair))),
    ];
  }
  return merged as Fields;
}

/** How the key of a pair is written, in hex; undefined for a field that is no list of pairs. */
function keyReader(table: FieldTable, name: string): ((pair: Pair) => string) | undefined {
  if (name === 'unknown') {
    return ([key]) => {
      const { type, key: data } = key as UnknownKey;
      return bytesToHex(new Writer().compact(type).raw(data).finish());
    };
  }
  const [type, coder] = table[name] ?? [0, false];
  return coder ? ([key]) => bytesToHex(new Writer().compact(type).raw(coder.encode(key)).finish()) : undefined;
}

/**
 * Fields by their keys and values in hex, sorted: those of which nothing is known, and known ones but for those named in
 * `shown`.
 */
export function otherFields(
  kind: 'global' | 'input' | 'output',
  fields: PsbtGlobal | PsbtInput | PsbtOutput,
  shown: readonly string[],
): Readonly<Record<string, string>> {
  const table = { global: PSBTGlobal, input: PSBTInput, output: PSBTOutput }[kind] as unknown as FieldTable;
  const found: [key: string, value: string][] = [];
  for (const [name, field] of Object.entries(fields) as [string, unknown][]) {
    if (shown.includes(name)) continue;
    const [type, , values] = table[name] ?? [];
    const write = (value: unknown) => bytesToHex(values === undefined ? (value as Bytes) : values.encode(value));
    const keyOf = keyReader(table, name);
    if (keyOf === undefined) found.push([bytesToHex(new Writer().compact(type ?? 0).finish()), write(field)]);
    else for (const pair of field as readonly Pair[]) found.push([keyOf(pair), write(pair[1])]);
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How Core ends what its reader of bytes complains of. */
function malformed(reason: string): Result<never, string> {
  return fail(`${reason}: iostream error`);
}

/** What the library says where Core has words of its own for it. */
const CORE_WORDS: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/missing unsignedTx/, 'No unsigned transaction was provided'],
  [/scriptSig found in unsignedTx/, 'Unsigned tx does not have empty scriptSigs and scriptWitnesses.'],
  [/Wrong number of input maps/, 'Inputs provided does not match the number of inputs in transaction.'],
  [/Not outputs inputs/, 'Outputs provided does not match the number of outputs in transaction.'],
  [/field version is not allowed|inputCount|outputCount/, 'Unsupported version number'],
  [/duplicate key=|Same keys/, 'Duplicate Key, a field is given twice'],
  [/Unexpected end of buffer/, 'the PSBT is cut short, or a length in it is wrong'],
  [/Cannot find square root|bad point/i, 'a public key in it is no point of the curve'],
  [/Expected non-Schnorr key/, 'Size of key was not the expected size'],
];

function reasonOf(message: string): string {
  const words = CORE_WORDS.find(([pattern]) => pattern.test(message))?.[1];
  // Without the path through the library's coders, and the bytes that it repeats.
  return (
    words ??
    message
      .replace(/^Reader\([^)]*\): /, '')
      .replace(/ \(key=.*$/, '')
      .slice(0, MAX_REASON)
  );
}

/** The key of a field that a program made for itself (BIP 174), type byte included. */
export function proprietaryKeyOf(suffix: Bytes): {
  readonly identifier: Bytes;
  readonly subtype: number;
  readonly key: Bytes;
} {
  const key = new Writer(1 + suffix.length).u8(PROPRIETARY).raw(suffix).finish();
  const reader = new Reader(suffix);
  return { identifier: reader.varBytes(), subtype: Number(reader.compact()), key };
}

const PROPRIETARY = 0xfc;

/** The bytes that prove that a script is in the tree of an output (BIP 341). */
export function encodeControlBlock(block: Parameters<typeof TaprootControlBlock.encode>[0]): Bytes {
  return TaprootControlBlock.encode(block);
}
