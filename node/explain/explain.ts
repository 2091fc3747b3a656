/**
 * `grapevine explain`: bytes of transactions, headers, blocks and peer messages, with the meaning of each. Whether they are
 * valid is said as far as they tell by themselves. Pure.
 */
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { isDataOutput, isP2tr, scriptAddress } from '../../consensus/address.ts';
import { type Block, blockSize, blockWeight, HEADER_SIZE, readBlock, readHeader } from '../../consensus/block.ts';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { checkBlock } from '../../consensus/check-block.ts';
import {
  checkSubset,
  checkTransaction,
  LOCKTIME_THRESHOLD,
  SEQUENCE_FINAL,
} from '../../consensus/check-transaction.ts';
import { DecodeError, decode, equalBytes, type Reader } from '../../consensus/codec.ts';
import { commitmentHash, committedHash, findCommitment, merkleRoot, witnessRoot } from '../../consensus/merkle.ts';
import { type ChainParams, networkByName, networkNames } from '../../consensus/params.ts';
import { checkProofOfWork, decodeCompact, workOf } from '../../consensus/pow.ts';
import {
  isCoinbase,
  isNullPrevout,
  type OutPoint,
  readTransaction,
  type Transaction,
  vsizeOf,
  weightOf,
} from '../../consensus/transaction.ts';
import { difficultyOf } from '../rpc/block-json.ts';
import { formatAmount } from '../rpc/json.ts';
import { scriptAsm, scriptType } from '../rpc/script-json.ts';
import { FRAME_HEADER_SIZE } from '../wire/frame.ts';
import { type Annotator, annotate, type Field, type Misfit } from './annotator.ts';

export const KINDS = ['tx', 'header', 'block', 'message'] as const;
export type Kind = (typeof KINDS)[number];

export interface Explanation {
  readonly kind: Kind;
  readonly size: number;
  /** What follows from all of it: ids, sizes, checks. */
  readonly summary: readonly Fact[];
  readonly fields: readonly Field[];
}
export type Fact = readonly [name: string, value: string];

const NAMES: Readonly<Record<Kind, string>> = {
  tx: 'transaction',
  header: 'block header',
  block: 'block',
  message: 'peer message',
};

type Summary = (annotator: Annotator, params: ChainParams) => readonly Fact[];
const READERS: Readonly<Record<Kind, Summary>> = {
  tx: (annotator, params) => transactionFacts(readTx(annotator, params, '')),
  header: readBlockHeader,
  block: readWholeBlock,
  message: readMessages,
};

/** Explains bytes as what they are said to be, or as the first kind that all of them fit. */
export function explain(bytes: Bytes, params: ChainParams, as?: Kind): Result<Explanation, readonly Misfit[]> {
  const misfits: Misfit[] = [];
  for (const kind of as === undefined ? candidates(bytes, params) : [as]) {
    const read = annotate(bytes, NAMES[kind], (annotator) => READERS[kind](annotator, params));
    if (read.ok) return ok({ kind, size: bytes.length, summary: read.value.value, fields: read.value.fields });
    misfits.push(read.error);
  }
  // The reading that came furthest is most likely what was meant.
  return fail(misfits.sort((a, b) => b.offset - a.offset));
}

function candidates(bytes: Bytes, params: ChainParams): readonly Kind[] {
  if (networkOf(bytes, params) !== undefined) return ['message'];
  return bytes.length === HEADER_SIZE ? ['tx', 'header'] : ['tx', 'block'];
}

/** The network whose messages begin like this: the one that was asked for, or a built-in one. */
function networkOf(bytes: Bytes, params: ChainParams): string | undefined {
  return [params.name, ...networkNames].find((name) => {
    const magic = name === params.name ? params.magic : networkByName(name)?.magic;
    return magic !== undefined && equalBytes(bytes.subarray(0, magic.length), magic);
  });
}

// Transactions

const show = String;
const showId = (id: string) => id;
const plural = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`;

/** Reads one transaction, the names of whose fields begin with `prefix`. */
function readTx(annotator: Annotator, params: ChainParams, prefix: string): Transaction {
  const { reader } = annotator;
  const start = reader.position;
  annotator.field(`${prefix}version`, (r) => r.u32(), show);
  const segwit = reader.bytes[reader.position] === 0 && reader.remaining > 0;
  if (segwit) {
    annotator.field(
      `${prefix}marker`,
      (r) => r.u8(),
      () => 'no inputs: witnesses follow (BIP 144)',
    );
    annotator.field(`${prefix}flag`, readFlag, () => 'witnesses');
  }
  const inputs = annotator.field(`${prefix}inputs`, readSize, (count) => plural(count, 'input'));
  let coinbase = false;
  for (let i = 0; i < inputs; i++) coinbase = readInput(annotator, `${prefix}inputs[${i}]`, inputs);
  const outputs = annotator.field(`${prefix}outputs`, readSize, (count) => plural(count, 'output'));
  for (let i = 0; i < outputs; i++) readOutput(annotator, `${prefix}outputs[${i}]`, params);
  if (segwit) {
    for (let i = 0; i < inputs; i++) readWitness(annotator, `${prefix}inputs[${i}].witness`, coinbase);
  }
  annotator.field(`${prefix}lockTime`, (r) => r.u32(), showLockTime);
  const tx = decode(annotator.since(start), readTransaction);
  if (!tx.ok) throw new DecodeError(tx.error);
  return tx.value;
}

function readSize(reader: Reader): number {
  return reader.size();
}

function readFlag(reader: Reader): number {
  const flag = reader.u8();
  if (flag !== 1) throw new DecodeError(`the flag behind the marker is ${flag}, not 1`);
  return flag;
}

/** True if it is the only input and mints. */
function readInput(annotator: Annotator, name: string, count: number): boolean {
  const prevout = { txid: annotator.field(`${name}.txid`, (r) => r.id<OutPoint['txid']>(), showId), vout: 0 };
  prevout.vout = annotator.field(`${name}.vout`, (r) => r.u32(), show);
  const coinbase = count === 1 && isNullPrevout(prevout);
  readScript(annotator, `${name}.scriptSig`, (script) => {
    if (!coinbase) return script.length === 0 ? 'empty' : scriptAsm(script);
    const height = pushedHeight(script);
    return `coinbase${height === undefined ? '' : `, height ${height} (BIP 34)`}`;
  });
  annotator.field(`${name}.sequence`, (r) => r.u32(), showSequence);
  return coinbase;
}

function readOutput(annotator: Annotator, name: string, params: ChainParams): void {
  annotator.field(`${name}.value`, (r) => r.i64(), showAmount);
  readScript(annotator, `${name}.scriptPubKey`, (script) => showOutputScript(script, params));
}

/** Length and bytes of a script; there are no bytes to show of an empty one. */
function readScript(annotator: Annotator, name: string, describe: (script: Bytes) => string): void {
  const { reader } = annotator;
  const size = annotator.field(`${name}.length`, readSize, (count) => {
    return count === 0 ? `0 bytes: ${describe(new Uint8Array(0))}` : plural(count, 'byte');
  });
  if (size > 0) annotator.field(name, () => reader.take(size), describe);
}

function readWitness(annotator: Annotator, name: string, coinbase: boolean): void {
  const { reader } = annotator;
  const count = annotator.field(name, readSize, (items) => plural(items, 'item'));
  for (let i = 0; i < count; i++) {
    const size = annotator.field(`${name}[${i}].length`, readSize, (bytes) => plural(bytes, 'byte'));
    if (size > 0)
      annotator.field(
        `${name}[${i}]`,
        () => reader.take(size),
        (item) => showWitnessItem(item, count, coinbase),
      );
  }
}

const HASH_TYPES: Readonly<Record<number, string>> = { 1: 'ALL', 2: 'NONE', 3: 'SINGLE' };

function showWitnessItem(item: Bytes, count: number, coinbase: boolean): string {
  if (coinbase) return 'reserved value of the witness commitment (BIP 141)';
  if (count !== 1 || item.length < 64 || item.length > 65) return 'not a key-path spend';
  const type = item[64] ?? 0;
  const name = HASH_TYPES[type & 0x7f];
  const shown = item.length === 64 ? 'DEFAULT' : name === undefined ? `of unknown type ${type}` : name;
  return `Schnorr signature, ${shown}${type >= 0x80 ? '|ANYONECANPAY' : ''}`;
}

function showAmount(sats: bigint): string {
  return `${formatAmount(sats)} btc (${sats} sat)`;
}

function showOutputScript(script: Bytes, params: ChainParams): string {
  if (isP2tr(script)) return `P2TR, pays to ${scriptAddress(script, params)}`;
  if (script.length === 0) return 'empty: anyone could spend it, so it does not exist on this chain';
  if (!isDataOutput(script)) return `${scriptType(script)}, does not exist on this chain: ${scriptAsm(script)}`;
  const data = script.subarray((script[1] ?? 0) > 75 ? 3 : 2);
  const isText = data.every((byte) => byte >= 0x20 && byte < 0x7f);
  return `data, ${plural(data.length, 'byte')}${isText ? `: "${String.fromCharCode(...data)}"` : ''}`;
}

function showSequence(sequence: number): string {
  if (sequence === SEQUENCE_FINAL) return 'final';
  if (sequence === SEQUENCE_FINAL - 1) return 'lock time counts, not replaceable by signal';
  if (sequence >= 0x80000000) return 'replaceable (BIP 125)';
  const value = sequence & 0xffff;
  const lock = (sequence & 0x00400000) !== 0 ? `${value * 512} s` : plural(value, 'block');
  return `replaceable; in version 2 waits ${lock} after its coin (BIP 68)`;
}

function showLockTime(lockTime: number): string {
  if (lockTime === 0) return 'none';
  return lockTime < LOCKTIME_THRESHOLD ? `height ${lockTime}` : `time ${showTime(lockTime)}`;
}

function showTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().replace('.000', '')} (${seconds})`;
}

/** The height with which a coinbase's script begins, if it does. Four bytes would be centuries of blocks, or no height. */
function pushedHeight(script: Bytes): number | undefined {
  const first = script[0] ?? 0;
  if (first > 0x50 && first <= 0x60) return first - 0x50;
  if (first < 1 || first > 3 || script.length <= first) return undefined;
  let height = 0;
  for (let i = first; i >= 1; i--) height = height * 256 + (script[i] ?? 0);
  return height;
}

function showInputs(tx: Transaction): string {
  if (isCoinbase(tx)) return 'nothing: a coinbase mints';
  const isSigned = tx.inputs.every(({ witness }) => witness.length > 0);
  return `${plural(tx.inputs.length, 'input')}, ${isSigned ? 'with' : 'without'} signatures`;
}

function transactionFacts(tx: Transaction): readonly Fact[] {
  const paid = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  const why = checkTransaction(tx) ?? checkSubset(tx);
  return [
    ['txid', tx.txid],
    ['wtxid', tx.wtxid],
    ['size', `${tx.size} bytes, ${vsizeOf(tx)} vB, weight ${weightOf(tx)}`],
    ['spends', showInputs(tx)],
    ['pays', `${showAmount(paid)} in ${plural(tx.outputs.length, 'output')}`],
    ['rules', why === null ? 'keeps those that need no coins' : `breaks one: ${why.reason}`],
  ];
}

// Blocks

function readBlockHeader(annotator: Annotator, params: ChainParams): readonly Fact[] {
  const start = annotator.reader.position;
  annotator.field('version', (r) => r.i32(), show);
  annotator.field('prevHash', (r) => r.id(), showId);
  annotator.field('merkleRoot', (r) => r.id(), showId);
  annotator.field('time', (r) => r.u32(), showTime);
  annotator.field('bits', (r) => r.u32(), showBits);
  annotator.field('nonce', (r) => r.u32(), show);
  const header = decode(annotator.since(start), readHeader);
  if (!header.ok) throw new DecodeError(header.error);
  const { hash, bits } = header.value;
  const holds = checkProofOfWork(hash, bits, params);
  return [
    ['hash', hash],
    ['proof of work', holds ? `holds: the hash is not above the target (work ${workOf(bits)})` : whyNot(bits, params)],
  ];
}

function showBits(bits: number): string {
  const target = decodeCompact(bits);
  if (target === null || target === 0n) return 'no possible target';
  return `target ${target.toString(16).padStart(64, '0')}, difficulty ${difficultyOf(bits).toPrecision(4)}`;
}

function whyNot(bits: number, params: ChainParams): string {
  const target = decodeCompact(bits);
  if (target === null || target === 0n) return 'fails: bits stand for no target';
  return target > params.powLimit ? `fails: easier than ${params.name} allows` : 'fails: the hash is above the target';
}

function readWholeBlock(annotator: Annotator, params: ChainParams): readonly Fact[] {
  const start = annotator.reader.position;
  const header = readBlockHeader(annotator, params);
  const count = annotator.field('transactions', readSize, (n) => plural(n, 'transaction'));
  for (let i = 0; i < count; i++) readTx(annotator, params, `tx[${i}].`);
  const block = decode(annotator.since(start), readBlock);
  if (!block.ok) throw new DecodeError(block.error);
  return [...header, ...blockFacts(block.value, params)];
}

function blockFacts(block: Block, params: ChainParams): readonly Fact[] {
  const { root } = merkleRoot(block.transactions.map(({ txid }) => txid));
  const why = checkBlock(block, params, { proofOfWork: false }) ?? firstOf(block.transactions, checkSubset);
  return [
    ['size', `${blockSize(block)} bytes, weight ${blockWeight(block)}`],
    [
      'merkle root',
      root === block.header.merkleRoot
        ? 'is that of the transactions'
        : `is wrong: that of the transactions is ${root}`,
    ],
    ['witness commitment', showCommitment(block)],
    ['rules', why === null ? 'keeps those that need neither coins nor chain' : `breaks one: ${why.reason}`],
    ...block.transactions.map(({ txid }, i): Fact => [`tx[${i}]`, txid]),
  ];
}

function firstOf<T, R>(values: readonly T[], judge: (value: T) => R | null): R | null {
  for (const value of values) {
    const found = judge(value);
    if (found !== null) return found;
  }
  return null;
}

function showCommitment(block: Block): string {
  const [coinbase] = block.transactions;
  const index = coinbase === undefined ? -1 : findCommitment(coinbase);
  const script = coinbase?.outputs[index]?.scriptPubKey;
  const reserved = coinbase?.inputs[0]?.witness[0];
  if (script === undefined) return 'none';
  if (reserved === undefined)
    return `in output ${index}; the coinbase has lost its reserved value, so it cannot be checked`;
  const holds = equalBytes(committedHash(script), commitmentHash(witnessRoot(block), reserved));
  return `in output ${index}, ${holds ? 'is that of the witnesses' : 'is wrong: the witnesses are others'}`;
}

// Peer messages

/** One message or several, each with its frame (RULES C1). */
function readMessages(annotator: Annotator, params: ChainParams): readonly Fact[] {
  const { reader } = annotator;
  const facts: Fact[] = [];
  let count = 0;
  do {
    const name = `message[${count}]`;
    facts.push([name, readMessage(annotator, params, name)]);
    count += 1;
  } while (reader.remaining > 0);
  return facts;
}

function readMessage(annotator: Annotator, params: ChainParams, name: string): string {
  const { reader } = annotator;
  annotator.field(
    `${name}.magic`,
    (r) => r.take(4),
    (magic) => networkOf(magic, params) ?? 'of no network that is known here',
  );
  const command = annotator.field(`${name}.command`, (r) => r.take(12), showCommand);
  const length = annotator.field(
    `${name}.length`,
    (r) => r.u32(),
    (size) => plural(size, 'byte'),
  );
  const payload = reader.bytes.subarray(reader.position + 4, reader.position + 4 + length);
  const expected = sha256d(payload).subarray(0, 4);
  const complete = payload.length === length;
  const sum = annotator.field(
    `${name}.checksum`,
    (r) => r.take(4),
    (given) => {
      if (!complete) return `cannot be checked: ${length - payload.length} bytes of the payload are missing`;
      return equalBytes(given, expected)
        ? 'is that of the payload'
        : `is wrong: that of the payload is ${bytesToHex(expected)}`;
    },
  );
  const text = showCommand(command);
  const end = reader.position + length;
  if (text === 'tx' && complete) readTx(annotator, params, `${name}.tx.`);
  else if (text === 'block' && complete) readWholeBlock(annotator, params);
  else if (length > 0)
    annotator.field(
      `${name}.payload`,
      (r) => r.take(length),
      (bytes) => plural(bytes.length, 'byte'),
    );
  if (reader.position !== end) throw new DecodeError('the payload is not as long as the frame says');
  const check = equalBytes(sum, expected) ? 'checksum right' : 'checksum wrong';
  return `${text}, ${FRAME_HEADER_SIZE} + ${plural(length, 'byte')}, ${check}`;
}

function showCommand(command: Bytes): string {
  const end = command.indexOf(0);
  const text = String.fromCharCode(...command.subarray(0, end === -1 ? command.length : end));
  const padded = end === -1 || command.subarray(end).every((byte) => byte === 0);
  return padded && /^[ -~]+$/.test(text) ? text : `no command: ${JSON.stringify(text)}`;
}

/** Bytes out of hex in which white space does not count; the error says which character is wrong. */
export function readHexText(text: string): Result<Bytes, string> {
  const wrong = /[^0-9a-fA-F\s]/.exec(text.replace(/^\s*0x/i, (start) => ' '.repeat(start.length)));
  if (wrong !== null) return fail(`character ${wrong.index + 1} is ${JSON.stringify(wrong[0])}, which is no hex digit`);
  const digits = text.replace(/^\s*0x/i, '').replace(/\s+/g, '');
  if (digits === '') return fail('there are no bytes');
  if (digits.length % 2 !== 0) return fail(`there are ${digits.length} hex digits: the last byte has only one`);
  return ok(hexToBytes(digits));
}
