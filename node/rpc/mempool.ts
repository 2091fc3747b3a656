/** Methods that look at the pool of transactions that wait for a block. */
import type { Txid } from '../../consensus/brand.ts';
import type { Entry } from '../mempool/entry.ts';
import { error, RpcCode, result } from './answer.ts';
import { amount, type JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { bool, defaulted, hash, int, text } from './params.ts';

/** What every transaction must pay to be relayed, and what a replacement adds: satoshis per 1000 virtual bytes, RULES B2. */
export const RELAY_FEE_RATE = 1000n;

/** An input with a sequence number up to this one says that its transaction may be replaced (BIP 125). */
const MAX_REPLACEABLE_SEQUENCE = 0xfffffffd;
/** The furthest target that Core estimates fees for, in blocks. */
const MAX_CONFIRMATION_TARGET = 1008;
const ESTIMATE_MODES = ['unset', 'economical', 'conservative'];

/** One more than the number of the last transaction that entered. */
function sequenceOf(entries: readonly Entry[]): number {
  return entries.reduce((last, { sequence }) => Math.max(last, sequence), 0) + 1;
}

export function entryJson(entry: Entry, ancestors: readonly Entry[]): JsonValue {
  const replaceable = [entry, ...ancestors].some(({ tx }) =>
    tx.inputs.some(({ sequence }) => sequence <= MAX_REPLACEABLE_SEQUENCE),
  );
  return {
    vsize: entry.vsize,
    weight: entry.weight,
    time: entry.time,
    height: entry.height,
    descendantcount: entry.descendants.count,
    descendantsize: entry.descendants.vsize,
    ancestorcount: entry.ancestors.count,
    ancestorsize: entry.ancestors.vsize,
    wtxid: entry.tx.wtxid,
    fees: {
      base: amount(entry.fee),
      modified: amount(entry.modifiedFee),
      ancestor: amount(entry.ancestors.fees),
      descendant: amount(entry.descendants.fees),
    },
    depends: [...entry.parents].map(({ tx }) => tx.txid).sort(),
    spentby: [...entry.children].map(({ tx }) => tx.txid).sort(),
    'bip125-replaceable': replaceable,
    unbroadcast: false,
  };
}

export const mempoolMethods: readonly RpcMethod[] = [
  method({
    name: 'getmempoolentry',
    category: 'blockchain',
    description: 'A transaction of the mempool: its size, its fees, and what it hangs together with.',
    params: { txid: hash<Txid>('parameter 1', 'The transaction') },
    result: '{ "vsize", "weight", "time", "fees", "depends", "spentby", ... }    (object)',
    example: '"txid"',
    run: ({ pool }, { txid }) => {
      const entry = pool.get(txid);
      if (entry === undefined) return error(RpcCode.addressOrKey, 'Transaction not in mempool');
      return result(entryJson(entry, pool.ancestors(entry)));
    },
  }),

  method({
    name: 'getmempoolinfo',
    category: 'blockchain',
    description: 'Size and fees of the mempool.',
    params: {},
    result: '{ "size", "bytes", "usage", "total_fee", "mempoolminfee", ... }    (object)',
    example: '',
    run: ({ pool, limits, now }) =>
      result({
        loaded: true,
        size: pool.size,
        bytes: pool.bytes,
        usage: pool.memory,
        total_fee: amount(pool.totalFee),
        maxmempool: limits.mempoolBytes,
        mempoolminfee: amount(BigInt(Math.ceil(pool.minFeeRate(now)))),
        minrelaytxfee: amount(RELAY_FEE_RATE),
        incrementalrelayfee: amount(RELAY_FEE_RATE),
        unbroadcastcount: 0,
        fullrbf: true,
      }),
  }),

  method({
    name: 'getrawmempool',
    category: 'blockchain',
    description: 'The transactions of the mempool, parents before children.',
    params: {
      verbose: defaulted(bool('An object with an entry for each, or their ids'), false),
      mempool_sequence: defaulted(bool('With ids: also a number that grows with every transaction that enters'), false),
    },
    result: '[ "txid", ... ]    (array)\n{ "txid": {...}, ... }    (object) with verbose=true',
    example: 'true',
    run: ({ pool }, { verbose, mempool_sequence }) => {
      // After a reorg a parent may have entered later than its child, but it never has more ancestors.
      const entries = [...pool.entries()].sort((a, b) => a.ancestors.count - b.ancestors.count);
      const txids = entries.map(({ tx }) => tx.txid);
      if (!verbose) return result(mempool_sequence ? { txids, mempool_sequence: sequenceOf(entries) } : txids);
      if (mempool_sequence) {
        return error(RpcCode.parameter, 'Verbose results cannot contain mempool sequence values.');
      }
      return result(
        Object.fromEntries(entries.map((entry) => [entry.tx.txid, entryJson(entry, pool.ancestors(entry))])),
      );
    },
  }),

  method({
    name: 'estimatesmartfee',
    category: 'util',
    description:
      'The feerate that confirms within a number of blocks, judged by how long transactions have waited since this node was\n' +
      'started; an error where that is not enough to tell. Never less than what it takes to enter the mempool.',
    params: {
      conf_target: int('Blocks, 1 to 1008'),
      estimate_mode: defaulted(text('unset, economical or conservative'), 'economical'),
    },
    result:
      '{ "feerate", "blocks" }    (object) in coins per 1000 virtual bytes\n{ "errors": ["..."], "blocks" }    (object)',
    example: '6',
    run: ({ pool, now }, { conf_target, estimate_mode }) => {
      if (conf_target < 1 || conf_target > MAX_CONFIRMATION_TARGET) {
        const message = `Invalid conf_target, must be between 1 and ${MAX_CONFIRMATION_TARGET}`;
        return error(RpcCode.parameter, message);
      }
      if (!ESTIMATE_MODES.includes(estimate_mode.toLowerCase())) {
        const modes = ESTIMATE_MODES.join('", "');
        return error(RpcCode.parameter, `Invalid estimate_mode parameter, must be one of: "${modes}"`);
      }
      const mode = estimate_mode.toLowerCase() === 'conservative' ? 'conservative' : 'economical';
      const { feerate, blocks } = pool.estimateFee(conf_target, mode, now);
      if (feerate === undefined) return result({ errors: ['Insufficient data or no feerate found'], blocks });
      return result({ feerate: amount(BigInt(Math.ceil(feerate))), blocks });
    },
  }),
];
