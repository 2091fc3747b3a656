/** Methods for transactions that are judged together, and for the fees by which they are judged; and their answers. */
import { type Txid, unreachable, type Wtxid } from '../../consensus/brand.ts';
import type { Reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { MemberResult, PackageReject, PackageResult } from '../mempool/packages.ts';
import { command, error, RpcCode, type RpcReply, result } from './answer.ts';
import { rejectText } from './answers.ts';
import { decodeHexTransaction } from './decode-hex.ts';
import { isAboveLimit } from './fee-limit.ts';
import { amount, type JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { coins, defaulted, feeRate, hash, int, long, optional, texts } from './params.ts';
import { isBurnt } from './script-json.ts';

/** 0.1 coins per 1000 virtual bytes. */
const DEFAULT_MAX_FEE_RATE = 10_000_000n;
/** A child and a parent; a child and all the parents that it may have. */
const MIN_PACKAGE_COUNT = 2;
const MAX_PACKAGE_COUNT = 25;

/** submitpackage: what is said of the whole, of each member, and what they replaced. */
export function submitPackageAnswer(txs: readonly Transaction[], { reject, members }: PackageResult): RpcReply {
  const results: [Wtxid, JsonValue][] = [];
  const replaced = new Set<Txid>();
  for (const { txid, wtxid } of txs) {
    const member = members.get(wtxid);
    // As in Core: nothing is said of members that were not looked at.
    if (member === undefined) continue;
    results.push([wtxid, { txid, ...memberJson(member) }]);
    if (member.type === 'accepted') for (const { tx } of member.replaced) replaced.add(tx.txid);
  }
  return result({
    package_msg: reject === null ? 'success' : packageText(reject),
    'tx-results': Object.fromEntries(results),
    'replaced-transactions': [...replaced].sort(),
  });
}

function memberJson(member: MemberResult): { readonly [name: string]: JsonValue } {
  switch (member.type) {
    case 'accepted': {
      const { vsize, fee } = member.entry;
      return { vsize, fees: feesJson(fee, member.feerate, member.includes) };
    }
    case 'known':
      return { vsize: member.entry.vsize, fees: { base: amount(member.entry.fee) } };
    case 'other-witness':
      return { 'other-wtxid': member.wtxid };
    case 'rejected':
      return { error: rejectText(member.reject) };
    default:
      return unreachable(member);
  }
}

/** testmempoolaccept of several. */
export function testPackageAnswer(
  txs: readonly Transaction[],
  { reject, members }: PackageResult,
  maxFeeRate: bigint,
): RpcReply {
  const wrong = reject?.kind === 'policy' ? { 'package-error': packageText(reject) } : {};
  let stopped = false;
  return result(
    txs.map(({ txid, wtxid }): JsonValue => {
      const ids = { txid, wtxid, ...wrong };
      const member = members.get(wtxid);
      if (stopped || member === undefined) return ids;
      if (member.type === 'rejected') return { ...ids, allowed: false, 'reject-reason': reasonOf(member.reject) };
      if (member.type !== 'accepted') throw new Error('a test knows nothing but accepted and rejected members');
      const { fee, vsize } = member.entry;
      if (isAboveLimit(fee, maxFeeRate, vsize)) {
        stopped = true;
        return { ...ids, allowed: false, 'reject-reason': 'max-fee-exceeded' };
      }
      return { ...ids, allowed: true, vsize, fees: feesJson(fee, member.feerate, member.includes) };
    }),
  );
}

function feesJson(fee: bigint, feerate: number, includes: readonly Wtxid[]): JsonValue {
  return { base: amount(fee), 'effective-feerate': amount(BigInt(feerate)), 'effective-includes': includes };
}

function reasonOf({ kind, reason }: Reject): string {
  return kind === 'missing-inputs' ? 'missing-inputs' : reason;
}

function packageText({ code, detail }: PackageReject): string {
  return detail === undefined ? code : `${code}, ${detail}`;
}

/** prioritisetransaction. */
export function prioritiseAnswer(done: boolean): RpcReply {
  if (done) return result(true);
  const message = 'Too many transactions have a fee delta; take some back with the opposite fee_delta first';
  return error(RpcCode.misc, message);
}

/** All but the last are parents of the last, and none of them spends from another. */
function isChildWithParentsTree(txs: readonly Transaction[]): boolean {
  const parents = txs.slice(0, -1);
  const parentIds = new Set(parents.map(({ txid }) => txid));
  const spentByChild = new Set(txs.at(-1)?.inputs.map(({ prevout }) => prevout.txid));
  return parents.every(
    ({ txid, inputs }) => spentByChild.has(txid) && !inputs.some(({ prevout }) => parentIds.has(prevout.txid)),
  );
}

export const packageMethods: readonly RpcMethod[] = [
  method({
    name: 'submitpackage',
    category: 'rawtransactions',
    description:
      'Puts a child and its unconfirmed parents into the mempool together: the child may pay for parents whose own fee is\n' +
      'below the minimum of the mempool. Each is tried by itself first. Parents must not spend from each other.',
    params: {
      package: texts('rawtx', 'Serialized transactions, hex, parents first, the child last'),
      maxfeerate: defaulted(
        feeRate('The feerate above which one is refused; 0 for no limit'),
        DEFAULT_MAX_FEE_RATE,
        '0.10',
      ),
      maxburnamount: defaulted(coins('The most that an output may burn (outputs that nobody can spend)'), 0n, '0.00'),
    },
    result: '{ "package_msg", "tx-results": { "wtxid": {...}, ... }, "replaced-transactions": [...] }    (object)',
    example: '\'["rawtx parent", "rawtx child"]\'',
    run: (_, { package: raw, maxfeerate, maxburnamount }) => {
      if (raw.length < MIN_PACKAGE_COUNT || raw.length > MAX_PACKAGE_COUNT) {
        const message = `Array must contain between ${MIN_PACKAGE_COUNT} and ${MAX_PACKAGE_COUNT} transactions.`;
        return error(RpcCode.parameter, message);
      }
      const txs: Transaction[] = [];
      for (const hex of raw) {
        const tx = decodeHexTransaction(hex);
        if (tx === undefined) {
          const message = `TX decode failed: ${hex} Make sure the tx has at least one input.`;
          return error(RpcCode.deserialization, message);
        }
        if (tx.outputs.some(({ scriptPubKey, value }) => value > maxburnamount && isBurnt(scriptPubKey))) {
          const message = 'Unspendable output exceeds maximum configured by user (maxburnamount)';
          return error(RpcCode.verify, message);
        }
        txs.push(tx);
      }
      if (!isChildWithParentsTree(txs)) {
        const message = 'package topology disallowed. not child-with-parents or parents depend on each other.';
        return error(RpcCode.verify, message);
      }
      return command({ type: 'submit-package', txs, maxFeeRate: maxfeerate });
    },
  }),

  method({
    name: 'prioritisetransaction',
    category: 'mining',
    description:
      'Has a transaction judged and mined as if it paid more, or less, than it does. Nothing is paid by it; it may not be in\n' +
      'the mempool yet. Deltas of the same transaction add up, and are forgotten when it is confirmed.',
    params: {
      txid: hash<Txid>('txid', 'The transaction'),
      dummy: optional(int('0 or null; it had a meaning once')),
      fee_delta: long('Satoshis to add, or to take off if negative'),
    },
    result: 'true    (boolean)',
    example: '"txid" 0 10000',
    run: (_, { txid, dummy, fee_delta }) => {
      if (dummy !== undefined && dummy !== 0) {
        const message = 'Priority is no longer supported, dummy argument to prioritisetransaction must be 0.';
        return error(RpcCode.parameter, message);
      }
      return command({ type: 'prioritise', txid, satoshis: BigInt(fee_delta) });
    },
  }),

  method({
    name: 'getprioritisedtransactions',
    category: 'mining',
    description: 'What prioritisetransaction added to fees, by transaction.',
    params: {},
    result: '{ "txid": { "fee_delta", "in_mempool", "modified_fee" }, ... }    (object)',
    example: '',
    run: ({ pool }) =>
      result(
        Object.fromEntries(
          [...pool.feeDeltas()].map(([txid, delta]): [Txid, JsonValue] => {
            const entry = pool.get(txid);
            return [txid, { fee_delta: delta, in_mempool: entry !== undefined, modified_fee: entry?.modifiedFee }];
          }),
        ),
      ),
  }),
];
