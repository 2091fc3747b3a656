/**
 * The rows by which a change of the chain changes the store: the history of scripts and the places of transactions, block
 * by block; and coins with their index by script, where several blocks count as one change. The same code for both
 * directions.
 */

import { isUnspendable, scriptHash } from '../../consensus/address.ts';
import type { Block } from '../../consensus/block.ts';
import type { Bytes, OutPointKey, ScriptHash, Txid } from '../../consensus/brand.ts';
import type { Coin, Transaction } from '../../consensus/transaction.ts';
import type { BatchItem } from '../ports.ts';
import type { HeaderNode } from './header-tree.ts';
import {
  coinKey,
  encodeCoin,
  encodeTransactionPlace,
  scriptCoinKey,
  scriptHistoryKey,
  transactionKey,
} from './schema.ts';

/** A block of the tree with the coins that it spends, in the order of its inputs (those of the coinbase left out). */
export interface BlockAt {
  readonly node: HeaderNode;
  readonly block: Block;
  readonly spent: readonly Coin[];
}

const NOTHING: Bytes = new Uint8Array(0);

/** Appends the rows of one block that are not about the set of coins: which transaction stands where, and what it touches. */
export function pushIndexRows(batch: BatchItem[], { node, block, spent }: BlockAt, connect: boolean): void {
  const { height } = node;
  const touched = new Set<ScriptHash>();
  let nextSpent = 0;
  for (let index = 0; index < block.transactions.length; index++) {
    const tx = block.transactions[index] as Transaction;
    touched.clear();
    if (index > 0) {
      for (let input = 0; input < tx.inputs.length; input++) {
        touched.add(scriptHash((spent[nextSpent++] as Coin).scriptPubKey));
      }
    }
    for (const { scriptPubKey } of tx.outputs) if (!isUnspendable(scriptPubKey)) touched.add(scriptHash(scriptPubKey));
    for (const script of touched) {
      batch.push([scriptHistoryKey(script, height, index, tx.txid), connect ? NOTHING : null]);
    }
    batch.push([transactionKey(tx.txid), connect ? encodeTransactionPlace({ height, index }) : null]);
  }
}

/** Appends the rows of coins that go and come: each is in the set and in the index by script. */
export function pushCoinRows(
  batch: BatchItem[],
  removed: ReadonlyMap<OutPointKey, Coin>,
  created: ReadonlyMap<OutPointKey, Coin>,
): void {
  for (const [key, coin] of removed) if (!created.has(key)) pushCoin(batch, key, coin, null);
  for (const [key, coin] of created) pushCoin(batch, key, coin, encodeCoin(coin));
}

function pushCoin(batch: BatchItem[], key: OutPointKey, coin: Coin, value: Bytes | null): void {
  const txid = key.slice(0, 64) as Txid;
  const vout = Number(key.slice(65));
  batch.push([coinKey(key), value], [scriptCoinKey(scriptHash(coin.scriptPubKey), txid, vout), value]);
}
