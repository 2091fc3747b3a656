/** Methods that read, judge and send transactions. */
import { bytesToHex } from '#hash';
import { type BlockHash, outPointKey, type Txid } from '../../consensus/brand.ts';
import { encodeTransaction, type Transaction, type TxInput, vsizeOf } from '../../consensus/transaction.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import { command, error, type RpcAnswer, RpcCode, result } from './answer.ts';
import { spentBy } from './block-json.ts';
import type { RpcContext } from './context.ts';
import { decodeHexTransaction } from './decode-hex.ts';
import { feeLimit } from './fee-limit.ts';
import { method, type RpcMethod } from './method.ts';
import { alias, bool, coins, defaulted, feeRate, hash, optional, text, texts, verbosity } from './params.ts';
import { isBurnt } from './script-json.ts';
import { type JsonObject, transactionJson } from './transaction-json.ts';

/** Transactions that testmempoolaccept takes at once. */
const MAX_PACKAGE_COUNT = 25;
/** 0.1 coins per 1000 virtual bytes. */
const DEFAULT_MAX_FEE_RATE = 10_000_000n;

const maxFeeRate = () =>
  defaulted(feeRate('The feerate above which it is refused; 0 for no limit'), DEFAULT_MAX_FEE_RATE, '0.10');

/** A transaction with its place in the chain; no node for one of the mempool. */
interface Found {
  readonly tx: Transaction;
  readonly node?: HeaderNode;
  readonly index?: number;
}

/** In the mempool or, by the index, in the chain. */
export function findAnywhere({ pool, chain }: RpcContext, txid: Txid): Found | undefined {
  const entry = pool.get(txid);
  if (entry !== undefined) return { tx: entry.tx };
  const place = chain.findTransaction(txid);
  if (place === undefined) return undefined;
  const tx = chain.readBlock(place.node).transactions[place.index];
  if (tx === undefined) throw new Error(`the index names a transaction that block ${place.node.hash} does not have`);
  return { tx, node: place.node, index: place.index };
}

function findInBlock({ chain }: RpcContext, txid: Txid, node: HeaderNode): Found | undefined {
  const { transactions } = chain.readBlock(node);
  const index = transactions.findIndex((tx) => tx.txid === txid);
  const tx = transactions[index];
  return tx === undefined ? undefined : { tx, node, index };
}

/** getrawtransaction's object: the transaction, and where it stands if it is in a block. */
function foundJson({ params, chain, tree }: RpcContext, { tx, node, index = 0 }: Found, prevouts: boolean): JsonObject {
  if (node === undefined) return transactionJson(tx, params);
  const all = prevouts ? chain.undo(node) : undefined;
  const spent = all === undefined ? undefined : spentBy(chain.readBlock(node), all, index);
  const active = tree.contains(chain.tip, node);
  return {
    ...transactionJson(tx, params, { spent, prevouts }),
    blockhash: node.hash,
    confirmations: active ? chain.tip.height - node.height + 1 : 0,
    time: active ? node.header.time : undefined,
    blocktime: active ? node.header.time : undefined,
  };
}

/** It is in a block, and so what it spends is gone: while all that is there, nothing need be looked up on disk. */
function isInCoins({ pool, chain }: RpcContext, tx: Transaction): boolean {
  const spends = ({ prevout }: TxInput) =>
    pool.get(prevout.txid) !== undefined || chain.coin(outPointKey(prevout.txid, prevout.vout)) !== undefined;
  if (tx.inputs.length > 0 && tx.inputs.every(spends)) return false;
  return tx.outputs.some((_, vout) => chain.coin(outPointKey(tx.txid, vout)) !== undefined);
}

function getRawTransaction(
  context: RpcContext,
  txid: Txid,
  verbosity: number,
  blockhash: BlockHash | undefined,
): RpcAnswer {
  const { params, tree, chain } = context;
  if (txid === params.genesis.transactions[0]?.txid) {
    const message = 'The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved';
    return error(RpcCode.addressOrKey, message);
  }
  const asked = blockhash === undefined ? undefined : tree.get(blockhash);
  if (blockhash !== undefined && asked === undefined) return error(RpcCode.addressOrKey, 'Block hash not found');
  if (asked !== undefined && asked.place === undefined) return error(RpcCode.misc, 'Block not available');
  const found = asked === undefined ? findAnywhere(context, txid) : findInBlock(context, txid, asked);
  if (found === undefined) {
    const where = asked === undefined ? 'mempool or blockchain transaction' : 'transaction found in the provided block';
    return error(RpcCode.addressOrKey, `No such ${where}. Use gettransaction for wallet transactions.`);
  }
  if (verbosity <= 0) return result(bytesToHex(encodeTransaction(found.tx)));
  const json = foundJson(context, found, verbosity >= 2);
  return result(asked === undefined ? json : { in_active_chain: tree.contains(chain.tip, asked), ...json });
}

export const transactionMethods: readonly RpcMethod[] = [
  method({
    name: 'decoderawtransaction',
    category: 'rawtransactions',
    description: 'A serialized transaction as an object. Nothing is checked.',
    params: {
      hexstring: text('The serialized transaction, hex'),
      iswitness: optional(bool('Whether it has witnesses; both are tried if this is not given')),
    },
    result: '{ "txid", "hash", "version", "size", "vin": [...], "vout": [...], ... }    (object)',
    example: '"hexstring"',
    run: ({ params }, { hexstring, iswitness }) => {
      const serialization = iswitness === undefined ? 'either' : iswitness ? 'witness' : 'legacy';
      const tx = decodeHexTransaction(hexstring, serialization);
      if (tx === undefined) return error(RpcCode.deserialization, 'TX decode failed');
      return result(transactionJson(tx, params, { hex: false }));
    },
  }),

  method({
    name: 'getrawtransaction',
    category: 'rawtransactions',
    description: 'A transaction of the mempool or of any block of the active chain, or of the given block.',
    params: {
      txid: hash<Txid>('parameter 1', 'The transaction'),
      verbosity: alias(
        defaulted(verbosity('Serialized (0), as an object (1), with its fee and the outputs it spends (2)'), 0),
        'verbose',
      ),
      blockhash: optional(hash<BlockHash>('parameter 3', 'The block to look in')),
    },
    result: '"hex"    (string) with verbosity 0\n{...}    (object) otherwise',
    example: '"txid" 1',
    run: (context, { txid, verbosity, blockhash }) => getRawTransaction(context, txid, verbosity, blockhash),
  }),

  method({
    name: 'sendrawtransaction',
    category: 'rawtransactions',
    description: 'Puts a signed transaction into the mempool and relays it.',
    params: {
      hexstring: text('The serialized transaction, hex'),
      maxfeerate: maxFeeRate(),
      maxburnamount: defaulted(coins('The most that an output may burn (outputs that nobody can spend)'), 0n, '0.00'),
    },
    result: '"txid"    (string, hex)',
    example: '"hexstring"',
    run: (context, { hexstring, maxfeerate, maxburnamount }) => {
      const tx = decodeHexTransaction(hexstring);
      if (tx === undefined) {
        return error(RpcCode.deserialization, 'TX decode failed. Make sure the tx has at least one input.');
      }
      if (tx.outputs.some(({ scriptPubKey, value }) => value > maxburnamount && isBurnt(scriptPubKey))) {
        const message = 'Unspendable output exceeds maximum configured by user (maxburnamount)';
        return error(RpcCode.verify, message);
      }
      if (isInCoins(context, tx)) {
        return error(RpcCode.alreadyInUtxoSet, 'Transaction outputs already in utxo set');
      }
      return command({ type: 'send-transaction', tx, maxFee: feeLimit(maxfeerate, vsizeOf(tx)) });
    },
  }),

  method({
    name: 'testmempoolaccept',
    category: 'rawtransactions',
    description:
      'Says whether transactions would be accepted into the mempool, without sending them. Several are tried in order,\n' +
      'each on top of those before it; the first that fails ends it.',
    params: {
      rawtxs: texts('rawtx', 'Serialized transactions, hex, parents before children'),
      maxfeerate: maxFeeRate(),
    },
    result: '[ { "txid", "wtxid", "allowed", "vsize", "fees", "reject-reason" }, ... ]    (array of objects)',
    example: '\'["rawtx"]\'',
    run: (_, { rawtxs, maxfeerate }) => {
      if (rawtxs.length < 1 || rawtxs.length > MAX_PACKAGE_COUNT) {
        const message = `Array must contain between 1 and ${MAX_PACKAGE_COUNT} transactions.`;
        return error(RpcCode.parameter, message);
      }
      const txs: Transaction[] = [];
      for (const hex of rawtxs) {
        const tx = decodeHexTransaction(hex);
        if (tx === undefined) {
          const message = `TX decode failed: ${hex} Make sure the tx has at least one input.`;
          return error(RpcCode.deserialization, message);
        }
        txs.push(tx);
      }
      return command({ type: 'test-accept', txs, maxFeeRate: maxfeerate });
    },
  }),
];
