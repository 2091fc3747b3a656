/**
 * Block templates: what a miner needs to find a block on the tip. Owns the coinbase and the header; which transactions of
 * the pool are worth it is the pool's to say. RULES.md D4, A6.
 */

import { requiredBits } from '../../consensus/asert.ts';
import { type Block, makeHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import { heightPush } from '../../consensus/check-block.ts';
import { SEQUENCE_FINAL } from '../../consensus/check-transaction.ts';
import { concatBytes } from '../../consensus/codec.ts';
import {
  commitmentHash,
  commitmentScript,
  merkleRoot,
  RESERVED_VALUE_SIZE,
  witnessRoot,
} from '../../consensus/merkle.ts';
import { type ChainParams, MAX_BLOCK_WEIGHT, MAX_TIMEWARP_SECONDS, subsidyAt } from '../../consensus/params.ts';
import {
  makeTransaction,
  NULL_TXID,
  NULL_VOUT,
  type Transaction,
  type TxInput,
  type TxOutput,
} from '../../consensus/transaction.ts';
import type { UnixSeconds } from '../boundary.ts';
import type { Mempool } from '../mempool/pool.ts';

/** BIP 9: the top bits of a version that signals nothing. */
const BLOCK_VERSION = 0x20000000;
const COINBASE_VERSION = 2;
/** Left free for the header, the count and the coinbase. */
export const COINBASE_RESERVE_WEIGHT = 4000;
/** The least and the most that a coinbase's script may have. */
const MIN_COINBASE_SCRIPT = 2;
const MAX_COINBASE_SCRIPT = 100;

/** The block to build on. */
export interface TipInfo {
  readonly hash: BlockHash;
  readonly height: number;
  readonly time: UnixSeconds;
  readonly medianTimePast: number;
  /** Time of block 1 on its branch: see asert.ts. */
  readonly anchorTime: UnixSeconds;
}

/** A block without proof of work and Merkle root, and what getblocktemplate tells about it. */
export interface Template {
  readonly height: number;
  readonly version: number;
  readonly prevHash: BlockHash;
  readonly time: UnixSeconds;
  /** Earliest time that the rules allow. */
  readonly minTime: UnixSeconds;
  readonly bits: number;
  readonly coinbase: Transaction;
  /** Without the coinbase, parents first. */
  readonly transactions: readonly Transaction[];
  /** Satoshis, one per transaction; zero for those that the caller named, whose fees are not claimed. */
  readonly fees: readonly bigint[];
  /** Subsidy and fees, satoshis. */
  readonly coinbaseValue: bigint;
}

export interface TemplateOptions {
  /** Where transactions come from: the pool, or exactly these in this order (generateblock; their fees are not claimed). */
  readonly source: Mempool | readonly Transaction[];
  readonly tip: TipInfo;
  readonly params: ChainParams;
  readonly now: UnixSeconds;
  /** Script of the coinbase's output. */
  readonly script: Bytes;
  /** Appended to the height in the coinbase's script, so that the same template has another root. At most 90 bytes. */
  readonly extra?: Bytes;
}

export function buildTemplate(options: TemplateOptions): Template {
  const { tip, params } = options;
  const height = tip.height + 1;
  const { transactions, fees } = chooseTransactions(options, height);
  let coinbaseValue = subsidyAt(height, params);
  for (const fee of fees) coinbaseValue += fee;
  const minTime = earliestTime(tip, height, params);
  return {
    height,
    version: BLOCK_VERSION,
    prevHash: tip.hash,
    time: Math.max(minTime, options.now),
    minTime,
    bits: requiredBits({ parent: tip, anchorTime: tip.anchorTime }, params),
    coinbase: buildCoinbase(options, height, coinbaseValue, transactions),
    transactions,
    fees,
    coinbaseValue,
  };
}

/** The block of a template, with nonce 0: the proof of work is still to be found. */
export function assembleBlock(template: Template): Block {
  const { version, prevHash, time, bits } = template;
  const transactions = [template.coinbase, ...template.transactions];
  const { root } = merkleRoot(transactions.map(({ txid }) => txid));
  return { header: makeHeader({ version, prevHash, merkleRoot: root, time, bits, nonce: 0 }), transactions };
}

function chooseTransactions(
  { source, tip }: TemplateOptions,
  height: number,
): { transactions: readonly Transaction[]; fees: readonly bigint[] } {
  if (!isPool(source)) return { transactions: source, fees: source.map(() => 0n) };
  const maxWeight = MAX_BLOCK_WEIGHT - COINBASE_RESERVE_WEIGHT;
  const entries = source.select({ maxWeight, height, medianTimePast: tip.medianTimePast });
  return { transactions: entries.map(({ tx }) => tx), fees: entries.map(({ fee }) => fee) };
}

function isPool(source: TemplateOptions['source']): source is Mempool {
  return !Array.isArray(source);
}

/** Later than the median of the last eleven, and on the first block of a period not much before its parent (BIP 94). */
function earliestTime(tip: TipInfo, height: number, params: ChainParams): UnixSeconds {
  const interval = params.timewarpInterval;
  const startsPeriod = interval !== undefined && height % interval === 0;
  return Math.max(tip.medianTimePast + 1, startsPeriod ? tip.time - MAX_TIMEWARP_SECONDS : 0);
}

/** Pays everything to one output; commits to the witnesses where there are any (BIP 141). */
function buildCoinbase(
  options: TemplateOptions,
  height: number,
  value: bigint,
  transactions: readonly Transaction[],
): Transaction {
  const outputs: TxOutput[] = [{ value, scriptPubKey: options.script }];
  const scriptSig = coinbaseScript(height, options.extra ?? new Uint8Array(0));
  const input: TxInput = {
    prevout: { txid: NULL_TXID, vout: NULL_VOUT },
    scriptSig,
    sequence: SEQUENCE_FINAL,
    witness: [],
  };
  const bare = makeTransaction({ version: COINBASE_VERSION, inputs: [input], outputs, lockTime: 0 });
  if (transactions.length === 0) return bare;
  const reserved = new Uint8Array(RESERVED_VALUE_SIZE);
  const commitment = commitmentScript(commitmentHash(witnessRoot({ transactions: [bare, ...transactions] }), reserved));
  return makeTransaction({
    version: COINBASE_VERSION,
    inputs: [{ ...input, witness: [reserved] }],
    outputs: [...outputs, { value: 0n, scriptPubKey: commitment }],
    lockTime: 0,
  });
}

/** The height (BIP 34), then `extra`; heights up to 16 alone would be a byte too short. */
function coinbaseScript(height: number, extra: Bytes): Bytes {
  const script = concatBytes(heightPush(height), extra);
  if (script.length > MAX_COINBASE_SCRIPT) throw new Error('too many extra bytes for the coinbase');
  return script.length < MIN_COINBASE_SCRIPT ? concatBytes(script, Uint8Array.of(0)) : script;
}
