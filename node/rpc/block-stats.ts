/** Figures about blocks and about stretches of the chain: getblockstats and getchaintxstats, with Core's definitions. */
import { isUnspendable } from '../../consensus/address.ts';
import type { BlockHash } from '../../consensus/brand.ts';

import { compactLength } from '../../consensus/codec.ts';
import { subsidyAt } from '../../consensus/params.ts';
import { hasWitness, type Transaction, type TxOutput } from '../../consensus/transaction.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import { error, RpcCode, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import type { JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { either, hash, int, optional, readHash, readInt, texts } from './params.ts';

/** What a coin takes in Core's store besides its output: outpoint, height, and whether it is of a coinbase. */
const COIN_OVERHEAD = 36 + 4 + 1;
/** The window of getchaintxstats unless it is told, and how far blocks are apart where no rule says so. */
const MONTH_SECONDS = 30 * 24 * 3600;
const DEFAULT_SPACING_SECONDS = 600;
const PERCENTILES = [0.1, 0.25, 0.5, 0.75, 0.9];

const weightOf = (tx: Transaction) => 3 * tx.strippedSize + tx.size;

function storedSize({ scriptPubKey }: Pick<TxOutput, 'scriptPubKey'>): number {
  return 8 + compactLength(scriptPubKey.length) + scriptPubKey.length + COIN_OVERHEAD;
}

/** The middle one, or the rounded down mean of the two; 0 of none. */
function truncatedMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number) => sorted[index] ?? 0;
  if (sorted.length % 2 === 1) return at(Math.floor(middle));
  return Math.floor((at(middle - 1) + at(middle)) / 2);
}

/** The feerates below which these parts of the weight are. */
function percentilesByWeight(rates: readonly (readonly [rate: number, weight: number])[], total: number): number[] {
  const sorted = [...rates].sort(([a], [b]) => a - b);
  const found: number[] = [];
  let weight = 0;
  for (const [rate, own] of sorted) {
    weight += own;
    while (found.length < PERCENTILES.length && weight >= total * (PERCENTILES[found.length] as number))
      found.push(rate);
  }
  while (found.length < PERCENTILES.length) found.push(sorted.at(-1)?.[0] ?? 0);
  return found;
}

/** All figures of a block that is stored. `fees` are in satoshis, one per payment. */
function statsOf({ chain, params }: RpcContext, node: HeaderNode, fees: readonly number[], coinBytes: number): Stats {
  const { transactions } = chain.readBlock(node);
  const payments = transactions.slice(1);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
  const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);
  const mean = (total: number) => (payments.length === 0 ? 0 : Math.floor(total / payments.length));

  const sizes = payments.map(({ size }) => size);
  const weights = payments.map(weightOf);
  const totalWeight = sum(weights);
  const rates = fees.map((fee, index) => Math.floor((fee * 4) / (weights[index] as number)));
  const witnessed = payments.filter(hasWitness);
  const outputs = transactions.flatMap((tx) => tx.outputs);
  // The coinbase of genesis made no coins.
  const spendable = node.height === 0 ? [] : outputs.filter(({ scriptPubKey }) => !isUnspendable(scriptPubKey));
  const inputs = sum(payments.map((tx) => tx.inputs.length));
  const totalFee = sum(fees);
  return {
    avgfee: mean(totalFee),
    avgfeerate: totalWeight === 0 ? 0 : Math.floor((totalFee * 4) / totalWeight),
    avgtxsize: mean(sum(sizes)),
    blockhash: node.hash,
    feerate_percentiles: percentilesByWeight(
      rates.map((rate, index) => [rate, weights[index] as number]),
      totalWeight,
    ),
    height: node.height,
    ins: inputs,
    maxfee: most(fees),
    maxfeerate: most(rates),
    maxtxsize: most(sizes),
    medianfee: truncatedMedian(fees),
    mediantime: node.medianTimePast,
    mediantxsize: truncatedMedian(sizes),
    minfee: least(fees),
    minfeerate: least(rates),
    mintxsize: least(sizes),
    outs: outputs.length,
    subsidy: subsidyAt(node.height, params),
    swtotal_size: sum(witnessed.map(({ size }) => size)),
    swtotal_weight: sum(witnessed.map(weightOf)),
    swtxs: witnessed.length,
    time: node.header.time,
    total_out: payments.flatMap((tx) => tx.outputs).reduce((total, { value }) => total + value, 0n),
    total_size: sum(sizes),
    total_weight: totalWeight,
    totalfee: totalFee,
    txs: transactions.length,
    utxo_increase: outputs.length - inputs,
    utxo_size_inc: sum(outputs.map(storedSize)) - coinBytes,
    utxo_increase_actual: spendable.length - inputs,
    utxo_size_inc_actual: sum(spendable.map(storedSize)) - coinBytes,
  };
}

type Stats = { readonly [name: string]: JsonValue };

/** The fee of each payment of a block, given the coins that they spent in the order of their inputs. */
function feesOf(payments: readonly Transaction[], spent: readonly { readonly value: bigint }[]): number[] {
  let next = 0;
  return payments.map(({ inputs, outputs }) => {
    let fee = 0n;
    for (const { value } of spent.slice(next, next + inputs.length)) fee += value;
    for (const { value } of outputs) fee -= value;
    next += inputs.length;
    return Number(fee);
  });
}

/** A block of the active chain by its height, or any by its hash. */
function find({ chain, tree }: RpcContext, place: number | BlockHash): HeaderNode | ReturnType<typeof error> {
  if (typeof place === 'string') return tree.get(place) ?? error(RpcCode.addressOrKey, 'Block not found');
  if (place < 0) return error(RpcCode.parameter, `Target block height ${place} is negative`);
  const { height } = chain.tip;
  return chain.at(place) ?? error(RpcCode.parameter, `Target block height ${place} after current tip ${height}`);
}

/** Transactions of a block and all before it. */
function transactionsUpTo(end: HeaderNode): number {
  let count = 0;
  for (let node: HeaderNode | null = end; node !== null; node = node.parent) count += node.txCount;
  return count;
}

export const statsMethods: readonly RpcMethod[] = [
  method({
    name: 'getblockstats',
    category: 'blockchain',
    description:
      'Figures of one block: fees, feerates, sizes, coins. Amounts are satoshis, feerates satoshis per virtual byte.',
    params: {
      hash_or_height: either<number | BlockHash>('string or numeric', 'The block', (value) => {
        if (typeof value === 'number') return readInt(value);
        if (typeof value === 'string') return readHash<BlockHash>(value, 'hash_or_height');
        return undefined;
      }),
      stats: optional(texts('height', 'Only these figures')),
    },
    result: '{ "avgfee", "avgfeerate", "feerate_percentiles", "ins", "outs", "totalfee", "txs", ... }    (object)',
    example: '1000 \'["minfeerate","avgfeerate"]\'',
    run: (context, { hash_or_height, stats = [] }) => {
      const node = find(context, hash_or_height);
      if ('type' in node) return node;
      if (node.place === undefined) return error(RpcCode.misc, 'Block not found on disk');
      const spent = context.chain.undo(node);
      if (spent === undefined) return error(RpcCode.misc, "Can't read undo data from disk");
      const fees = feesOf(context.chain.readBlock(node).transactions.slice(1), spent);
      const coinBytes = spent.reduce((total, coin) => total + storedSize(coin), 0);
      const all = statsOf(context, node, fees, coinBytes);
      if (stats.length === 0) return result(all);
      const unknown = stats.find((name) => !Object.hasOwn(all, name));
      if (unknown !== undefined) return error(RpcCode.parameter, `Invalid selected statistic '${unknown}'`);
      return result(Object.fromEntries(stats.map((name) => [name, all[name]])));
    },
  }),

  method({
    name: 'getchaintxstats',
    category: 'blockchain',
    description:
      'How many transactions there are in the chain, and how many there were per second in a window of blocks.',
    params: {
      nblocks: optional(int('Blocks in the window; those of a month unless given')),
      blockhash: optional(hash<BlockHash>('blockhash', 'The block that ends the window; the tip unless given')),
    },
    result:
      '{ "time", "txcount", "window_block_count", "window_interval", "window_tx_count", "txrate", ... }    (object)',
    example: '2016',
    run: ({ chain, tree, params }, { nblocks, blockhash }) => {
      const monthBlocks = Math.floor(MONTH_SECONDS / (params.retargeting?.spacing ?? DEFAULT_SPACING_SECONDS));
      const end = blockhash === undefined ? chain.tip : tree.get(blockhash);
      if (end === undefined) return error(RpcCode.addressOrKey, 'Block not found');
      if (!chain.contains(end)) return error(RpcCode.parameter, 'Block is not in main chain');
      const count = nblocks ?? Math.max(0, Math.min(monthBlocks, end.height - 1));
      if (count < 0 || (count > 0 && count >= end.height)) {
        return error(RpcCode.parameter, "Invalid block count: should be between 0 and the block's height - 1");
      }
      const start = tree.ancestor(end, end.height - count);
      const total = transactionsUpTo(end);
      const inWindow = total - transactionsUpTo(start);
      const seconds = end.medianTimePast - start.medianTimePast;
      return result({
        time: end.header.time,
        txcount: total,
        window_final_block_hash: end.hash,
        window_final_block_height: end.height,
        window_block_count: count,
        window_interval: count > 0 ? seconds : undefined,
        window_tx_count: count > 0 ? inWindow : undefined,
        txrate: count > 0 && seconds > 0 ? inWindow / seconds : undefined,
      });
    },
  }),
];
