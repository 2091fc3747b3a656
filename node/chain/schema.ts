/**
 * Every key of the store and the form of every value: the one place that knows them. Keys are ASCII and sort so that a
 * range is a question worth asking; values are bytes.
 *
 * | key                                              | value                                                           |
 * |--------------------------------------------------|-----------------------------------------------------------------|
 * | `b` height hash                                  | header record: header, status, failure, order, where the body is |
 * | `c`                                              | tip record: the block whose state all other rows are             |
 * | `c` txid (hashing order) vout                    | coin                                                            |
 * | `u` hash                                         | undo: the coins that the block spent                            |
 * | `s` script hash, txid, vout                      | coin again, so that one scan answers for a script               |
 * | `h` script hash, height, index in block, txid    | nothing: the transaction touches the script                     |
 * | `t` txid                                         | height, index in block: of the chain, so the height is enough   |
 * | `a` …                                            | addresses: discovery/ owns them                                 |
 * | `p` wtxid                                        | transactions of the pool: mempool/ owns them                    |
 * | `f` name                                         | what mempool/ keeps besides transactions                        |
 * | `m` name                                         | facts about the store itself                                    |
 *
 * Numbers in keys are eight hex digits. The tip record sorts before all coins, so a scan of the coins says whose they are.
 */
import { bytesToHex } from '#hash';
import { type BlockHeader, encodeHeader, type MerkleRoot } from '../../consensus/block.ts';
import {
  type BlockHash,
  type Bytes,
  idToBytes,
  type OutPointKey,
  type ScriptHash,
  type Txid,
} from '../../consensus/brand.ts';
import { decode, type Reader, Writer } from '../../consensus/codec.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { Row } from '../boundary.ts';
import { type BatchItem, type Place, StoreDamage } from '../ports.ts';

/** A store of a newer schema is refused; one of an older is rebuilt from the block files. */
export const SCHEMA_VERSION = 2;
/** The schema's number, and the network's name, as ASCII text. */
export const SCHEMA_KEY = 'mschema';
export const NETWORK_KEY = 'mnetwork';
const GENESIS_KEY = 'mgenesis';
/** There while the store is being rebuilt from the block files: it does not know all of them yet. */
export const REINDEX_KEY = 'mreindex';

/** A range of keys: gte <= key < lt. */
export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

/** All header records, by height. They are read before the core is made. */
export const headersRange: KeyRange = { gte: 'b', lt: 'c' };
/** The tip record, then all coins by txid (hashing order) and vout. */
export const coinsRange: KeyRange = { gte: 'c', lt: 'd' };
/** What discovery/ saved. Read before the core is made. */
export const addressesRange: KeyRange = { gte: 'a', lt: 'b' };
/** What mempool/ saved. Read before the core is made. */
export const poolRange: KeyRange = { gte: 'p', lt: 'q' };

export const TIP_KEY = 'c';

/** The coins of one script. */
export function scriptCoinsRange(hash: ScriptHash): KeyRange {
  return { gte: `s${hash}`, lt: `s${hash}g` };
}

/** The transactions that touch one script, by height and index in the block. */
export function scriptHistoryRange(hash: ScriptHash): KeyRange {
  return { gte: `h${hash}`, lt: `h${hash}g` };
}

export function headerKey(height: number, hash: BlockHash): string {
  return `b${hex32(height)}${hash}`;
}

export function coinKey(key: OutPointKey): string {
  return coinKeyOf(hashingOrder(key.slice(0, 64)), Number(key.slice(65)));
}

/** `coinKey` of several outputs of one transaction without turning its id each time: `txid` is in hashing order. */
export function coinKeyOf(txid: string, vout: number): string {
  return `c${txid}${hex32(vout)}`;
}

export function undoKey(hash: BlockHash): string {
  return `u${hash}`;
}

export function scriptCoinKey(hash: ScriptHash, txid: Txid, vout: number): string {
  return `s${hash}${txid}${hex32(vout)}`;
}

export function scriptHistoryKey(hash: ScriptHash, height: number, index: number, txid: Txid): string {
  return `h${hash}${hex32(height)}${hex32(index)}${txid}`;
}

export function transactionKey(txid: Txid): string {
  return `t${txid}`;
}

/** 64 hex digits, their bytes reversed: an id in display order turned into hashing order, or back. */
export function hashingOrder(id: string): string {
  return bytesToHex(idToBytes(id));
}

function hex32(value: number): string {
  const kept = smallNumbers[value];
  if (kept !== undefined) return kept;
  const hex = value.toString(16).padStart(8, '0');
  if (value < MAX_SMALL_NUMBER) smallNumbers[value] = hex;
  return hex;
}

const MAX_SMALL_NUMBER = 10_000;
/** Most numbers in keys are indexes of transactions and outputs: their digits are made once. */
const smallNumbers = new Array<string | undefined>(MAX_SMALL_NUMBER);

/** What is known of a block body. `valid` blocks have been connected once and all their signatures hold. */
export type BodyStatus = 'header' | 'body' | 'valid';
/** Why a block can never be connected; false if nothing speaks against it. */
export type Failure = false | 'consensus' | 'subset';

const STATUSES: readonly BodyStatus[] = ['header', 'body', 'valid'];
const FAILURES: readonly Failure[] = [false, 'consensus', 'subset'];

/** What is stored of a header. */
export interface HeaderRecord {
  readonly header: BlockHeader;
  readonly height: number;
  readonly status: BodyStatus;
  /** Of the block itself; what it inherits from its ancestors is not stored. */
  readonly failure: Failure;
  /** When its branch became complete, counted in blocks; lower came first. Zero while a body is missing. */
  readonly sequence: number;
  /** Transactions of the body; zero while it is missing. */
  readonly txCount: number;
  readonly place: Place | undefined;
}

/** Where values are put together: a writer of its own for each would cost more than the value. */
const scratch = new Writer(256);
const NO_PLACE: Place = { file: 0, offset: 0, length: 0, checksum: 0 };

export function encodeHeaderRecord(record: HeaderRecord): Bytes {
  const { file, offset, length, checksum } = record.place ?? NO_PLACE;
  return scratch
    .clear()
    .raw(encodeHeader(record.header))
    .u8(STATUSES.indexOf(record.status))
    .u8(FAILURES.indexOf(record.failure))
    .i32(record.sequence)
    .u32(record.txCount)
    .u32(file)
    .u32(offset)
    .u32(length)
    .i32(checksum)
    .finish();
}

/** The hash comes from the key, so that a start with many headers hashes none of them. */
export function decodeHeaderRow(row: Row): HeaderRecord {
  const { key, value } = row;
  return decodeValue(key, value, (reader) => {
    const header: BlockHeader = {
      version: reader.i32(),
      prevHash: reader.id<BlockHash>(),
      merkleRoot: reader.id<MerkleRoot>(),
      time: reader.u32(),
      bits: reader.u32(),
      nonce: reader.u32(),
      hash: key.slice(9) as BlockHash,
    };
    const status = STATUSES[reader.u8()];
    const failure = FAILURES[reader.u8()];
    const sequence = reader.i32();
    const txCount = reader.u32();
    const place: Place = {
      file: reader.u32(),
      offset: reader.u32(),
      length: reader.u32(),
      checksum: reader.i32(),
    };
    if (status === undefined || failure === undefined) throw new StoreDamage(`unknown status in the record ${key}`);
    const height = Number.parseInt(key.slice(1, 9), 16);
    return { header, height, status, failure, sequence, txCount, place: status === 'header' ? undefined : place };
  });
}

/** The block that the stored state is the state of. */
export interface TipRecord {
  readonly hash: BlockHash;
  readonly height: number;
  /** Coins in the set. */
  readonly coinCount: number;
}

export function encodeTip(tip: TipRecord): Bytes {
  return scratch.clear().id(tip.hash).u32(tip.height).u64(BigInt(tip.coinCount)).finish();
}

export function decodeTip(value: Bytes): TipRecord {
  return decodeValue(TIP_KEY, value, (reader) => ({
    hash: reader.id<BlockHash>(),
    height: reader.u32(),
    coinCount: Number(reader.u64()),
  }));
}

export function encodeCoin(coin: Coin): Bytes {
  return writeCoin(scratch.clear(), coin).raw(coin.scriptPubKey).finish();
}

/** `key` names the row in the error message only. */
export function decodeCoin(key: string, value: Bytes): Coin {
  return decodeValue(key, value, (reader) => {
    const { height, coinbase, value: amount } = readCoin(reader);
    return { value: amount, scriptPubKey: reader.take(reader.remaining), height, coinbase };
  });
}

/** A row of `coinsRange` other than the tip record. */
export function decodeCoinRow(row: Row): { readonly txid: Txid; readonly vout: number; readonly coin: Coin } {
  const { key } = row;
  const txid = hashingOrder(key.slice(1, 65)) as Txid;
  return { txid, vout: Number.parseInt(key.slice(65), 16), coin: decodeCoin(key, row.value) };
}

/** A row of `scriptCoinsRange`. */
export function decodeScriptCoinRow(row: Row): { readonly txid: Txid; readonly vout: number; readonly coin: Coin } {
  const { key } = row;
  const txid = key.slice(65, 129) as Txid;
  return { txid, vout: Number.parseInt(key.slice(129), 16), coin: decodeCoin(key, row.value) };
}

/** A key of `scriptHistoryRange`. */
export function decodeScriptHistoryKey(key: string): {
  readonly height: number;
  readonly index: number;
  readonly txid: Txid;
} {
  const height = Number.parseInt(key.slice(65, 73), 16);
  return { height, index: Number.parseInt(key.slice(73, 81), 16), txid: key.slice(81) as Txid };
}

/** The coins that a block spent, in the order of its inputs. */
export function encodeUndo(spent: readonly Coin[]): Bytes {
  const writer = new Writer(4 + spent.length * 48).u32(spent.length);
  for (const coin of spent) writeCoin(writer, coin).varBytes(coin.scriptPubKey);
  return writer.finish();
}

export function decodeUndo(key: string, value: Bytes): Coin[] {
  return decodeValue(key, value, (reader) => {
    const count = reader.u32();
    const spent: Coin[] = [];
    for (let i = 0; i < count; i++) {
      const { height, coinbase, value: amount } = readCoin(reader);
      spent.push({ value: amount, scriptPubKey: reader.varBytes(), height, coinbase });
    }
    return spent;
  });
}

/** Where a transaction of the chain stands. */
export interface TransactionPlace {
  readonly height: number;
  /** In its block. */
  readonly index: number;
}

export function encodeTransactionPlace(place: TransactionPlace): Bytes {
  return scratch.clear().u32(place.height).u32(place.index).finish();
}

export function decodeTransactionPlace(key: string, value: Bytes): TransactionPlace {
  return decodeValue(key, value, (reader) => ({ height: reader.u32(), index: reader.u32() }));
}

/** What a store says of itself. */
export interface StoreMeta {
  readonly schema: number;
  readonly network: string;
  /** Two private networks may have one name. Undefined in stores of before there were any. */
  readonly genesis: string | undefined;
}

/** The rows that say what kind of store this is. */
export function metaRows(network: string, genesis: BlockHash): BatchItem[] {
  return [
    [SCHEMA_KEY, asciiBytes(String(SCHEMA_VERSION))],
    [NETWORK_KEY, asciiBytes(network)],
    [GENESIS_KEY, asciiBytes(genesis)],
  ];
}

/** What a store says of itself; undefined where it is empty. */
export function readMeta(get: (key: string) => Bytes | undefined): StoreMeta | undefined {
  const schema = get(SCHEMA_KEY);
  const network = get(NETWORK_KEY);
  if (schema === undefined || network === undefined) return undefined;
  const genesis = get(GENESIS_KEY);
  return {
    schema: Number(asciiText(schema)),
    network: asciiText(network),
    genesis: genesis === undefined ? undefined : asciiText(genesis),
  };
}

function asciiBytes(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function asciiText(bytes: Bytes): string {
  return String.fromCharCode(...bytes);
}

/** Height and the coinbase flag share a number, as in Core: twice the height, plus one for a coinbase. */
function writeCoin(writer: Writer, coin: Coin): Writer {
  return writer.u32(coin.height * 2 + (coin.coinbase ? 1 : 0)).i64(coin.value);
}

function readCoin(reader: Reader): { readonly height: number; readonly coinbase: boolean; readonly value: bigint } {
  const code = reader.u32();
  return { height: code >>> 1, coinbase: (code & 1) === 1, value: reader.i64() };
}

/** What we wrote ourselves and cannot be read is damage. */
function decodeValue<T>(key: string, value: Bytes, read: (reader: Reader) => T): T {
  const result = decode(value, read);
  if (!result.ok) throw new StoreDamage(`the record ${key} cannot be read: ${result.error}`);
  return result.value;
}
