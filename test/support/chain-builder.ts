/**
 * Builds regtest chains for tests: keys, signed transactions, blocks with every field open to mutation, and chains of them.
 * What is built is valid unless an option says otherwise. Everything is deterministic: the same calls give the same bytes.
 */
import { sha256 } from '#hash';
import { dataScript, isUnspendable, p2trScript } from '../../consensus/address.ts';
import { type Block, type BlockHeader, type HeaderFields, makeHeader } from '../../consensus/block.ts';
import { type Bytes, type OutPointKey, outPointKey } from '../../consensus/brand.ts';
import { heightPush } from '../../consensus/check-block.ts';
import { medianTime } from '../../consensus/check-header.ts';
import { SEQUENCE_FINAL } from '../../consensus/check-transaction.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { commitmentHash, commitmentScript, merkleRoot, witnessRoot } from '../../consensus/merkle.ts';
import { type ChainParams, MEDIAN_TIME_SPAN, regtest, subsidyAt } from '../../consensus/params.ts';
import { checkProofOfWork } from '../../consensus/pow.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../../consensus/sighash.ts';
import { signSchnorr, xOnlyPublicKey } from '../../consensus/signature.ts';
import {
  type Coin,
  makeTransaction,
  NULL_TXID,
  NULL_VOUT,
  type Transaction,
  type TransactionFields,
  type TxInput,
  type TxOutput,
} from '../../consensus/transaction.ts';

export const BLOCK_VERSION = 0x20000000;
const SPACING_SECONDS = 600;
const NO_AUX = new Uint8Array(32);
const NO_RESERVED_VALUE = new Uint8Array(32);

// Keys

export interface TestKey {
  readonly secret: Bytes;
  /** The output key itself: test keys are not tweaked. */
  readonly publicKey: Bytes;
  /** The P2TR script that pays to it. */
  readonly script: Bytes;
}

const keys = new Map<number, TestKey>();

/** The key of that number: always the same one. */
export function testKey(number: number): TestKey {
  let key = keys.get(number);
  if (key === undefined) {
    const secret = sha256(new TextEncoder().encode(`test key ${number}`));
    const publicKey = xOnlyPublicKey(secret);
    key = { secret, publicKey, script: p2trScript(publicKey) };
    keys.set(number, key);
  }
  return key;
}

// Outputs and transactions

/** An output that a test can spend: where it is, what it holds, and its key. */
export interface Spendable {
  readonly txid: Transaction['txid'];
  readonly vout: number;
  readonly value: bigint;
  readonly scriptPubKey: Bytes;
  readonly key: TestKey;
}

export function pay(key: TestKey, value: bigint): TxOutput {
  return { value, scriptPubKey: key.script };
}

export function carry(data: Bytes | string, value = 0n): TxOutput {
  return { value, scriptPubKey: dataScript(typeof data === 'string' ? new TextEncoder().encode(data) : data) };
}

/** An output of a transaction that pays to `key`. */
export function outputOf(tx: Transaction, vout: number, key: TestKey): Spendable {
  const { value, scriptPubKey } = tx.outputs[vout] as TxOutput;
  return { txid: tx.txid, vout, value, scriptPubKey, key };
}

export interface SpendOptions {
  readonly version?: number;
  readonly lockTime?: number;
  /** One for all inputs, or one per input. */
  readonly sequence?: number | readonly number[];
  readonly hashType?: number | readonly number[];
}

/** A signed transaction that spends all of `from`. Nothing checks that the amounts make sense. */
export function spend(
  from: readonly Spendable[],
  outputs: readonly TxOutput[],
  options: SpendOptions = {},
): Transaction {
  const fields: TransactionFields = {
    version: options.version ?? 2,
    inputs: from.map(({ txid, vout }, index) => ({
      prevout: { txid, vout },
      scriptSig: new Uint8Array(0),
      sequence: pick(options.sequence, index) ?? SEQUENCE_FINAL,
      witness: [],
    })),
    outputs,
    lockTime: options.lockTime ?? 0,
  };
  return sign(fields, from, options.hashType);
}

/** Signs every input anew. The hash type is appended unless it is DEFAULT. */
export function sign(
  fields: TransactionFields,
  from: readonly Spendable[],
  hashType?: number | readonly number[],
): Transaction {
  const sighash = new SighashCache(fields, from);
  const inputs = fields.inputs.map((input, index) => {
    const type = pick(hashType, index) ?? SIGHASH_DEFAULT;
    const { secret } = (from[index] as Spendable).key;
    const signature = signSchnorr(secret, sighash.digest(index, type), NO_AUX);
    return { ...input, witness: [type === SIGHASH_DEFAULT ? signature : concatBytes(signature, Uint8Array.of(type))] };
  });
  return makeTransaction({ ...fields, inputs });
}

/** A copy with other fields; ids and sizes are computed anew, signatures are not. */
export function changed(tx: Transaction, change: Partial<TransactionFields>): Transaction {
  const { version, inputs, outputs, lockTime } = tx;
  return makeTransaction({ version, inputs, outputs, lockTime, ...change });
}

/** A copy with one input changed. */
export function withInput(tx: Transaction, index: number, change: Partial<TxInput>): Transaction {
  return changed(tx, { inputs: tx.inputs.map((input, i) => (i === index ? { ...input, ...change } : input)) });
}

/** A copy with one output changed. */
export function withOutput(tx: Transaction, index: number, change: Partial<TxOutput>): Transaction {
  return changed(tx, { outputs: tx.outputs.map((output, i) => (i === index ? { ...output, ...change } : output)) });
}

// Blocks

/** Where a block is put. */
export interface Place {
  readonly hash: BlockHeader['hash'];
  readonly height: number;
  readonly time: number;
}

export interface CoinbaseOptions {
  /** The key that gets the reward: key 0 unless told. */
  readonly key?: TestKey;
  /** Instead of one output that pays the subsidy and `fees` to the key. The commitment is appended to them. */
  readonly outputs?: readonly TxOutput[];
  /** Paid to the miner besides the subsidy. */
  readonly fees?: bigint;
  /** The whole script, instead of the height and the tag. */
  readonly scriptSig?: Bytes;
  /** After the height, to make blocks differ. */
  readonly tag?: string;
  readonly version?: number;
  readonly sequence?: number;
  readonly lockTime?: number;
  /** Instead of the reserved value. */
  readonly witness?: readonly Bytes[];
}

export interface BlockOptions extends CoinbaseOptions {
  /** After the coinbase. */
  readonly transactions?: readonly Transaction[];
  /** Commit to the witnesses; by default where there are transactions besides the coinbase. */
  readonly commitment?: boolean;
  readonly reserved?: Bytes;
  readonly params?: ChainParams;
  /** Header fields that differ from the right ones. */
  readonly header?: Partial<HeaderFields>;
  readonly time?: number;
}

/** A mined block on top of `parent`, valid unless an option or a transaction makes it otherwise. */
export function buildBlock(parent: Place, options: BlockOptions = {}): Block {
  const transactions = options.transactions ?? [];
  const height = parent.height + 1;
  const bare = buildCoinbase(height, options);
  const committed = (options.commitment ?? transactions.length > 0) ? commit(bare, transactions, options) : bare;
  return assemble(parent, [committed, ...transactions], options);
}

/** A mined block of exactly these transactions. */
export function assemble(parent: Place, transactions: readonly Transaction[], options: BlockOptions = {}): Block {
  const params = options.params ?? regtest;
  const header = mine(
    {
      version: BLOCK_VERSION,
      prevHash: parent.hash,
      merkleRoot: merkleRoot(transactions.map(({ txid }) => txid)).root,
      time: options.time ?? parent.time + SPACING_SECONDS,
      bits: params.powLimitBits,
      nonce: 0,
      ...options.header,
    },
    params,
  );
  return { header, transactions };
}

/** The coinbase without a commitment. */
export function buildCoinbase(height: number, options: BlockOptions = {}): Transaction {
  const params = options.params ?? regtest;
  const reward = subsidyAt(height, params) + (options.fees ?? 0n);
  const tag = new TextEncoder().encode(options.tag ?? '');
  // Two bytes are the least, and the heights up to 16 take one.
  const padding = height <= 16 && tag.length === 0 ? Uint8Array.of(0) : new Uint8Array(0);
  return makeTransaction({
    version: options.version ?? 2,
    inputs: [
      {
        prevout: { txid: NULL_TXID, vout: NULL_VOUT },
        scriptSig: options.scriptSig ?? concatBytes(heightPush(height), tag, padding),
        sequence: options.sequence ?? SEQUENCE_FINAL,
        witness: options.witness ?? [],
      },
    ],
    outputs: options.outputs ?? [pay(options.key ?? testKey(0), reward)],
    lockTime: options.lockTime ?? 0,
  });
}

/** Appends the commitment to the witnesses of `payments`. */
function commit(coinbase: Transaction, payments: readonly Transaction[], options: BlockOptions): Transaction {
  const reserved = options.reserved ?? NO_RESERVED_VALUE;
  const root = witnessRoot({ transactions: [coinbase, ...payments] });
  const output: TxOutput = { value: 0n, scriptPubKey: commitmentScript(commitmentHash(root, reserved)) };
  const input = coinbase.inputs[0] as TxInput;
  return changed(coinbase, {
    inputs: [{ ...input, witness: options.witness ?? [reserved] }],
    outputs: [...coinbase.outputs, output],
  });
}

/** Finds a nonce: two tries on average. Where `bits` allow none, the header is returned as it is. */
export function mine(fields: HeaderFields, params: ChainParams = regtest): BlockHeader {
  const mineable = checkProofOfWork('0'.repeat(64) as BlockHeader['hash'], fields.bits, params);
  for (let nonce = fields.nonce; ; nonce++) {
    const header = makeHeader({ ...fields, nonce });
    if (!mineable || checkProofOfWork(header.hash, header.bits, params)) return header;
  }
}

/** A header that fails its proof of work. */
export function unmine(fields: HeaderFields, params: ChainParams = regtest): BlockHeader {
  for (let nonce = fields.nonce; ; nonce++) {
    const header = makeHeader({ ...fields, nonce });
    if (!checkProofOfWork(header.hash, header.bits, params)) return header;
  }
}

// Chains

/** A chain that starts at genesis. It adds what it is told without checking it. */
export class TestChain {
  readonly params: ChainParams;
  readonly blocks: Block[];

  constructor(params: ChainParams = regtest, blocks: readonly Block[] = [params.genesis]) {
    this.params = params;
    this.blocks = [...blocks];
  }

  /** A chain of so many blocks above genesis, each of which pays key 0. */
  static ofHeight(height: number, options: BlockOptions = {}): TestChain {
    const chain = new TestChain(options.params);
    for (let i = 0; i < height; i++) chain.extend(options);
    return chain;
  }

  get height(): number {
    return this.blocks.length - 1;
  }

  get tip(): Block {
    return this.blocks[this.height] as Block;
  }

  /** The tip as the parent of the next block. */
  get place(): Place {
    return this.placeAt(this.height);
  }

  placeAt(height: number): Place {
    const { hash, time } = this.blockAt(height).header;
    return { hash, height, time };
  }

  blockAt(height: number): Block {
    const block = this.blocks[height];
    if (block === undefined) throw new Error(`the chain has no block of height ${height}`);
    return block;
  }

  /** Builds the next block without adding it. */
  next(options: BlockOptions = {}): Block {
    return buildBlock(this.place, { params: this.params, ...options });
  }

  /** Builds the next block and adds it. */
  extend(options: BlockOptions = {}): Block {
    return this.push(this.next(options));
  }

  push(block: Block): Block {
    this.blocks.push(block);
    return block;
  }

  /** A chain of its own that shares the blocks up to `height`. Give its blocks a tag, or they equal those of this one. */
  fork(height: number): TestChain {
    return new TestChain(this.params, this.blocks.slice(0, height + 1));
  }

  /** Median time past of the block of that height. */
  medianTimePastAt(height: number): number {
    const from = Math.max(0, height - MEDIAN_TIME_SPAN + 1);
    return medianTime(this.blocks.slice(from, height + 1).map(({ header }) => header.time));
  }

  /** The first output of the coinbase of that height, paid to key 0 unless told. */
  coinbase(height: number, key: TestKey = testKey(0)): Spendable {
    return outputOf(this.blockAt(height).transactions[0] as Transaction, 0, key);
  }

  /** The coins after the tip, by replay without any check: a naive oracle. */
  coins(): Map<OutPointKey, Coin> {
    const coins = new Map<OutPointKey, Coin>();
    for (const [height, block] of this.blocks.entries()) if (height > 0) applyBlock(coins, block, height);
    return coins;
  }
}

/** Applies a block to a set of coins in the plainest way, without any check. */
export function applyBlock(coins: Map<OutPointKey, Coin>, block: Block, height: number): void {
  for (const [index, tx] of block.transactions.entries()) {
    if (index > 0) for (const { prevout } of tx.inputs) coins.delete(outPointKey(prevout.txid, prevout.vout));
    for (const [vout, { value, scriptPubKey }] of tx.outputs.entries()) {
      if (isUnspendable(scriptPubKey)) continue;
      coins.set(outPointKey(tx.txid, vout), { value, scriptPubKey, height, coinbase: index === 0 });
    }
  }
}

function pick<T extends number>(value: T | readonly T[] | undefined, index: number): T | undefined {
  return typeof value === 'number' || value === undefined ? value : value[index];
}
