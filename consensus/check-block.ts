/**
 * The rules of a block that need no coins: those of the block alone (RULES.md A5), and those that need its height and its
 * parent's median time past (A6), after which the subset's own (A1) are applied to every transaction.
 *
 * A reject of kind `mutated` says that the body is not the one the header commits to: the header stays innocent.
 */
import type { Block } from './block.ts';
import { blockStrippedSize, blockWeight } from './block.ts';
import type { Bytes } from './brand.ts';
import { checkHeaderWork } from './check-header.ts';
import { checkSubset, checkTransaction, isFinal } from './check-transaction.ts';
import { equalBytes } from './codec.ts';
import {
  commitmentHash,
  committedHash,
  findCommitment,
  merkleRoot,
  RESERVED_VALUE_SIZE,
  witnessRoot,
} from './merkle.ts';
import { type ChainParams, MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT, WITNESS_SCALE } from './params.ts';
import { type Reject, reject } from './reject.ts';
import { legacySigops } from './sigops.ts';
import { hasWitness, isCoinbase, type Transaction, type TxInput, type TxOutput } from './transaction.ts';

/**
 * A5: what holds for a block wherever it stands. `proofOfWork: false` is for proposals and templates, which have none yet.
 */
export function checkBlock(
  block: Block,
  params: ChainParams,
  options: { readonly proofOfWork: boolean } = { proofOfWork: true },
): Reject | null {
  const work = options.proofOfWork ? checkHeaderWork(block.header, params) : null;
  return work ?? checkMerkleRoot(block) ?? checkShape(block) ?? checkTransactions(block);
}

function checkMerkleRoot(block: Block): Reject | null {
  const { root, mutated } = merkleRoot(block.transactions.map(({ txid }) => txid));
  if (root !== block.header.merkleRoot) return reject('mutated', 'bad-txnmrklroot', 'hashMerkleRoot mismatch');
  if (mutated) return reject('mutated', 'bad-txns-duplicate', 'duplicate transaction');
  return null;
}

function checkShape(block: Block): Reject | null {
  const [coinbase, ...rest] = block.transactions;
  const tooMany = block.transactions.length * WITNESS_SCALE > MAX_BLOCK_WEIGHT;
  if (coinbase === undefined || tooMany || blockStrippedSize(block) * WITNESS_SCALE > MAX_BLOCK_WEIGHT) {
    return reject('consensus', 'bad-blk-length', 'size limits failed');
  }
  if (!isCoinbase(coinbase)) return reject('consensus', 'bad-cb-missing', 'first tx is not coinbase');
  if (rest.some(isCoinbase)) return reject('consensus', 'bad-cb-multiple', 'more than one coinbase');
  return null;
}

function checkTransactions(block: Block): Reject | null {
  let sigops = 0;
  for (const tx of block.transactions) {
    const why = checkTransaction(tx);
    if (why !== null) return { ...why, detail: `Transaction check failed (tx hash ${tx.txid}) ` };
    sigops += legacySigops(tx);
  }
  if (sigops * WITNESS_SCALE <= MAX_BLOCK_SIGOPS_COST) return null;
  return reject('consensus', 'bad-blk-sigops', 'out-of-bounds SigOpCount');
}

/** Where a block stands. */
export interface BlockContext {
  readonly height: number;
  /** Of the parent. */
  readonly medianTimePast: number;
}

/** A6, then S1 to S4 for every transaction. The block has passed `checkBlock`. */
export function checkBlockInContext(block: Block, context: BlockContext, _params: ChainParams): Reject | null {
  const { height, medianTimePast } = context;
  if (!block.transactions.every((tx) => isFinal(tx, height, medianTimePast))) {
    return reject('consensus', 'bad-txns-nonfinal', 'non-final transaction');
  }
  const coinbase = block.transactions[0] as Transaction;
  if (!startsWith((coinbase.inputs[0] as TxInput).scriptSig, heightPush(height))) {
    return reject('consensus', 'bad-cb-height', 'block height mismatch in coinbase');
  }
  const witness = checkWitnessCommitment(block, coinbase);
  if (witness !== null) return witness;
  if (blockWeight(block) > MAX_BLOCK_WEIGHT) return reject('consensus', 'bad-blk-weight', 'weight limit failed');
  for (const tx of block.transactions) {
    const why = checkSubset(tx);
    if (why !== null) return why;
  }
  return null;
}

/** BIP 141. Every way to fail is `mutated`: witnesses can be changed without changing the header. */
function checkWitnessCommitment(block: Block, coinbase: Transaction): Reject | null {
  const index = findCommitment(coinbase);
  if (index === -1) {
    if (!block.transactions.some(hasWitness)) return null;
    return reject('mutated', 'unexpected-witness', 'unexpected witness data found');
  }
  const { witness } = coinbase.inputs[0] as TxInput;
  const reserved = witness[0];
  if (reserved === undefined || witness.length !== 1 || reserved.length !== RESERVED_VALUE_SIZE) {
    return reject('mutated', 'bad-witness-nonce-size', 'invalid witness reserved value size');
  }
  const { scriptPubKey } = coinbase.outputs[index] as TxOutput;
  if (equalBytes(committedHash(scriptPubKey), commitmentHash(witnessRoot(block), reserved))) return null;
  return reject('mutated', 'bad-witness-merkle-match', 'witness merkle commitment mismatch');
}

/**
 * BIP 34: the shortest push of a height, with which the coinbase's script begins. One byte for heights up to 16, else a
 * length and the little-endian number, whose top bit is a sign and must be clear.
 */
export function heightPush(height: number): Bytes {
  if (height === 0) return Uint8Array.of(0);
  if (height <= 16) return Uint8Array.of(0x50 + height);
  const bytes: number[] = [];
  for (let rest = height; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if ((bytes.at(-1) as number) >= 0x80) bytes.push(0);
  return Uint8Array.of(bytes.length, ...bytes);
}

function startsWith(script: Bytes, prefix: Bytes): boolean {
  return script.length >= prefix.length && equalBytes(script.subarray(0, prefix.length), prefix);
}
