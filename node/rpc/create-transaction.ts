/** createrawtransaction and createpsbt: a transaction without signatures out of what a caller lists. */
import { bytesToHex } from '#hash';
import { dataScript, decodeAddress, MAX_DATA_SIZE } from '../../consensus/address.ts';
import { fail, ok, type Result, type Txid } from '../../consensus/brand.ts';
import { type ChainParams, MAX_BLOCK_WEIGHT, WITNESS_SCALE } from '../../consensus/params.ts';
import { makeTransaction, type Transaction, type TxInput, type TxOutput } from '../../consensus/transaction.ts';
import { error, RpcCode, type RpcError } from './answer.ts';
import { jsonType } from './json.ts';
import {
  anyOf,
  bool,
  defaulted,
  list,
  long,
  optional,
  readAmount,
  readHash,
  readHex,
  readInteger,
  wrongType,
} from './params.ts';

/** The sequence number that says nothing, the one that lets the lock time count, and the one that allows replacement. */
const FINAL_SEQUENCE = 0xffffffff;
const LOCKED_SEQUENCE = 0xfffffffe;
const REPLACEABLE_SEQUENCE = 0xfffffffd;
const MAX_UINT32 = 0xffffffff;
const TX_VERSION = 2;
/** An input has 41 bytes at least before it is signed. */
const MAX_INPUTS = Math.floor(MAX_BLOCK_WEIGHT / (41 * WITNESS_SCALE));

/** The parameters of both methods; they are read when all are known, in Core's order. */
export const transactionParams = {
  inputs: list('[{"txid":"hex","vout":n,"sequence":n},...]', 'The outputs to spend', ok),
  outputs: anyOf(
    '[{"address":amount,...},{"data":"hex"},...]',
    'json array or object',
    'What to pay: addresses with coins, and at most one "data" with 1 to 80 bytes in hex',
    ok,
  ),
  locktime: defaulted(long('The lock time: a height or a time; with one, inputs are not final'), 0),
  replaceable: optional(bool('Whether it can be replaced by one with a higher fee (BIP 125); by default it can')),
};

export interface TransactionRequest {
  readonly inputs: readonly unknown[];
  readonly outputs: unknown;
  readonly locktime: number;
  readonly replaceable: boolean | undefined;
}

/** The transaction that was asked for, or Core's error. */
export function createTransaction(request: TransactionRequest, params: ChainParams): Result<Transaction, RpcError> {
  const { locktime, replaceable } = request;
  if (locktime < 0 || locktime > MAX_UINT32) return refuse('Invalid parameter, locktime out of range');
  const sequence = replaceable !== false ? REPLACEABLE_SEQUENCE : locktime > 0 ? LOCKED_SEQUENCE : FINAL_SEQUENCE;
  if (request.inputs.length > MAX_INPUTS)
    return refuse(`Invalid parameter, at most ${MAX_INPUTS} inputs fit in a block`);
  const inputs: TxInput[] = [];
  for (const given of request.inputs) {
    const input = readInput(given, sequence);
    if (!input.ok) return input;
    inputs.push(input.value);
  }
  const outputs = readOutputs(request.outputs, params);
  if (!outputs.ok) return outputs;
  if (replaceable === true && inputs.length > 0 && inputs.every((input) => input.sequence > REPLACEABLE_SEQUENCE)) {
    return refuse('Invalid parameter combination: Sequence number(s) contradict replaceable option');
  }
  return ok(makeTransaction({ version: TX_VERSION, inputs, outputs: outputs.value, lockTime: locktime }));
}

function readInput(given: unknown, sequence: number): Result<TxInput, RpcError> {
  if (jsonType(given) !== 'object') return fail(wrongType(given, 'object'));
  const { txid, vout, sequence: own } = given as Readonly<Record<string, unknown>>;
  if (typeof txid !== 'string') return fail(wrongType(txid, 'string'));
  const id = readHash<Txid>(txid, 'txid');
  if (!id.ok) return id;
  if (typeof vout !== 'number') return refuse('Invalid parameter, missing vout key');
  const index = readInteger(vout, -0x80000000, 0x7fffffff);
  if (!index.ok) return index;
  if (index.value < 0) return refuse('Invalid parameter, vout cannot be negative');
  const prevout = { txid: id.value, vout: index.value };
  const input = { prevout, scriptSig: new Uint8Array(0), witness: [] };
  if (typeof own !== 'number') return ok({ ...input, sequence });
  const number = readInteger(own, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  if (!number.ok) return number;
  if (number.value < 0 || number.value > MAX_UINT32) {
    return refuse('Invalid parameter, sequence number is out of range');
  }
  return ok({ ...input, sequence: number.value });
}

function readOutputs(given: unknown, params: ChainParams): Result<readonly TxOutput[], RpcError> {
  const pairs = readPairs(given);
  if (!pairs.ok) return pairs;
  const outputs: TxOutput[] = [];
  const seen = new Set<string>();
  for (const [name, value] of pairs.value) {
    const output = name === 'data' ? readData(value) : readPayment(name, value, params);
    if (!output.ok) return output;
    const key = name === 'data' ? name : bytesToHex(output.value.scriptPubKey);
    if (seen.has(key)) {
      return refuse(`Invalid parameter, ${name === 'data' ? 'duplicate key: data' : `duplicated address: ${name}`}`);
    }
    seen.add(key);
    outputs.push(output.value);
  }
  return ok(outputs);
}

/** Names and values out of an object, or out of an array of objects with one member each. */
function readPairs(given: unknown): Result<readonly (readonly [name: string, value: unknown])[], RpcError> {
  const type = jsonType(given);
  if (type === 'null') return refuse('Invalid parameter, output argument must be non-null');
  if (type === 'object') return ok(Object.entries(given as object));
  if (type !== 'array') return fail(wrongType(given, 'array'));
  const pairs: [string, unknown][] = [];
  for (const member of given as readonly unknown[]) {
    if (jsonType(member) !== 'object') return refuse('Invalid parameter, key-value pair not an object as expected');
    const [pair, ...more] = Object.entries(member as object);
    if (pair === undefined || more.length > 0) {
      return refuse('Invalid parameter, key-value pair must contain exactly one key');
    }
    pairs.push(pair);
  }
  return ok(pairs);
}

function readData(value: unknown): Result<TxOutput, RpcError> {
  // As in Core, a number counts as its digits.
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const data = readHex(text);
  if (data === undefined) return refuse(`Data must be hexadecimal string (not '${text}')`);
  if (data.length > MAX_DATA_SIZE) {
    return refuse(`Data of an output has at most ${MAX_DATA_SIZE} bytes on this chain (not ${data.length})`);
  }
  return ok({ value: 0n, scriptPubKey: dataScript(data) });
}

function readPayment(address: string, value: unknown, params: ChainParams): Result<TxOutput, RpcError> {
  const sats = readAmount(value);
  if (!sats.ok) return sats;
  const script = decodeAddress(address, params);
  if (!script.ok) return fail(error(RpcCode.addressOrKey, `Invalid Bitcoin address: ${address}`));
  return ok({ value: sats.value, scriptPubKey: script.value });
}

function refuse(message: string): Result<never, RpcError> {
  return fail(error(RpcCode.parameter, message));
}
