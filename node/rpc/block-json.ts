/** Headers and blocks as Core prints them. */
import { type Block, blockSize, blockStrippedSize, blockWeight } from '../../consensus/block.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { HeaderNode, HeaderTree } from '../chain/header-tree.ts';
import { hexNumber, type JsonValue } from './json.ts';
import { type JsonObject, transactionJson } from './transaction-json.ts';

/** The easiest target that Bitcoin's first clients could express has difficulty 1. */
export function difficultyOf(bits: number): number {
  const exponent = bits >>> 24;
  return (0xffff / (bits & 0x00ffffff)) * 256 ** (29 - exponent);
}

/** Blocks from this one to the tip, both counted; -1 if it is not on the active chain. */
export function confirmationsOf(node: HeaderNode, tree: HeaderTree, tip: HeaderNode): number {
  return tree.contains(tip, node) ? tip.height - node.height + 1 : -1;
}

export function headerJson(node: HeaderNode, tree: HeaderTree, tip: HeaderNode): JsonObject {
  const { header } = node;
  const confirmations = confirmationsOf(node, tree, tip);
  return {
    hash: header.hash,
    confirmations,
    height: node.height,
    version: header.version,
    versionHex: hexNumber(header.version, 8),
    merkleroot: header.merkleRoot,
    time: header.time,
    mediantime: node.medianTimePast,
    nonce: header.nonce,
    bits: hexNumber(header.bits, 8),
    difficulty: difficultyOf(header.bits),
    chainwork: hexNumber(node.chainwork, 64),
    nTx: node.txCount,
    previousblockhash: node.parent?.hash,
    nextblockhash: confirmations > 1 ? tree.ancestor(tip, node.height + 1).hash : undefined,
  };
}

/** What `blockJson` shows of each transaction. */
export type BlockDetail =
  | { readonly transactions: 'ids' }
  /** `spent`: the coins that the block spent, in the order of its inputs; undefined if it was never connected. */
  | { readonly transactions: 'full'; readonly spent: readonly Coin[] | undefined; readonly prevouts: boolean };

export function blockJson(header: JsonObject, block: Block, params: ChainParams, detail: BlockDetail): JsonObject {
  return {
    ...header,
    strippedsize: blockStrippedSize(block),
    size: blockSize(block),
    weight: blockWeight(block),
    tx: detail.transactions === 'ids' ? block.transactions.map(({ txid }) => txid) : fullJson(block, params, detail),
  };
}

function fullJson(
  block: Block,
  params: ChainParams,
  { spent, prevouts }: Extract<BlockDetail, { transactions: 'full' }>,
): JsonValue {
  let next = 0;
  return block.transactions.map((tx, index) => {
    if (index === 0 || spent === undefined) return transactionJson(tx, params);
    const coins = spent.slice(next, next + tx.inputs.length);
    next += tx.inputs.length;
    return transactionJson(tx, params, { spent: coins, prevouts });
  });
}

/** The coins that one transaction of a block spent, out of those that the block spent; undefined for the coinbase. */
export function spentBy(block: Block, spent: readonly Coin[], index: number): readonly Coin[] | undefined {
  if (index === 0) return undefined;
  let first = 0;
  for (const tx of block.transactions.slice(1, index)) first += tx.inputs.length;
  return spent.slice(first, first + (block.transactions[index]?.inputs.length ?? 0));
}
