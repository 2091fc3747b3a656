/**
 * The answers of commands, made when the node has done them: requests.ts collects what happened and calls these.
 * Owns the form of the results only; what is true is decided by the machines.
 */
import { bytesToHex } from '#hash';
import { type Block, encodeBlock } from '../../consensus/block.ts';
import { type BlockHash, unreachable } from '../../consensus/brand.ts';
import type { Reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import { error, RpcCode, type RpcReply, result } from './answer.ts';
import { isAboveLimit } from './fee-limit.ts';
import { amount, type JsonValue } from './json.ts';

export { CoinScan } from './coin-scan.ts';
export { CoinStats } from './coin-stats.ts';
export { ScriptBalances } from './script-balances.ts';
export { type RowReader, ScriptCoins, ScriptHistory } from './script-rows.ts';

/** What became of a transaction in the pool. */
export type TransactionFate =
  | { readonly type: 'accepted'; readonly fee: bigint; readonly modifiedFee: bigint; readonly vsize: number }
  | { readonly type: 'rejected'; readonly reject: Reject }
  /** Valid, but its fee is above the caller's limit: not taken. */
  | { readonly type: 'fee-exceeded' };

/** sendrawtransaction: the txid, or why not. */
export function sendTransactionAnswer(tx: Transaction, fate: TransactionFate): RpcReply {
  switch (fate.type) {
    case 'accepted':
      return result(tx.txid);
    case 'fee-exceeded':
      return error(RpcCode.verify, 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)');
    case 'rejected': {
      const { kind, code } = fate.reject;
      // Somebody else sent the same one meanwhile.
      if (code === 'txn-already-in-mempool') return result(tx.txid);
      if (kind === 'missing-inputs') return error(RpcCode.verify, 'bad-txns-inputs-missingorspent');
      return error(RpcCode.verifyRejected, rejectText(fate.reject));
    }
    default:
      return unreachable(fate);
  }
}

/** testmempoolaccept of one transaction; the answer for several is in packages.ts. */
export function testAcceptAnswer({ txid, wtxid }: Transaction, fate: TransactionFate, maxFeeRate: bigint): RpcReply {
  const refused = (reason: string): JsonValue => ({ txid, wtxid, allowed: false, 'reject-reason': reason });
  if (fate.type === 'rejected') {
    return result([refused(fate.reject.kind === 'missing-inputs' ? 'missing-inputs' : fate.reject.reason)]);
  }
  if (fate.type === 'fee-exceeded' || isAboveLimit(fate.fee, maxFeeRate, fate.vsize)) {
    return result([refused('max-fee-exceeded')]);
  }
  const { fee, modifiedFee, vsize } = fate;
  const fees = {
    base: amount(fee),
    'effective-feerate': amount((modifiedFee * 1000n) / BigInt(vsize)),
    'effective-includes': [wtxid],
  };
  return result([{ txid, wtxid, allowed: true, vsize, fees }]);
}

/** What became of a submitted block. */
export type BlockFate =
  /** Connected: it is (or was, for a moment) the tip. */
  | { readonly type: 'connected' }
  /** We had it already. */
  | { readonly type: 'duplicate' }
  /** Stored, but never tried, as a branch with less work. */
  | { readonly type: 'inconclusive' }
  | { readonly type: 'rejected'; readonly reject: Reject };

/** submitblock: null, or a word of BIP 22, or the reject reason. */
export function submitBlockAnswer(fate: BlockFate): RpcReply {
  switch (fate.type) {
    case 'connected':
      return result(null);
    case 'duplicate':
    case 'inconclusive':
      return result(fate.type);
    case 'rejected': {
      const { kind, code, reason } = fate.reject;
      // A header that is known to be invalid is refused as `duplicate`, too; a block that is merely known is no one's fault.
      return result(code === 'duplicate' && kind !== 'policy' ? 'duplicate-invalid' : reason);
    }
    default:
      return unreachable(fate);
  }
}

/** generatetoaddress: the hashes of the blocks that were mined, as many as the tries allowed. */
export function generateAnswer(hashes: readonly BlockHash[]): RpcReply {
  return result(hashes);
}

export type GenerateBlockFate =
  | { readonly type: 'mined'; readonly block: Block; readonly submitted: boolean }
  /** The block would not be valid. */
  | { readonly type: 'rejected'; readonly reject: Reject }
  /** No nonce within the number of tries. */
  | { readonly type: 'failed' };

/** generateblock. */
export function generateBlockAnswer(fate: GenerateBlockFate): RpcReply {
  switch (fate.type) {
    case 'mined': {
      const { hash } = fate.block.header;
      return result({ hash, hex: fate.submitted ? undefined : bytesToHex(encodeBlock(fate.block)) });
    }
    case 'rejected':
      return error(RpcCode.verify, `testBlockValidity failed: ${rejectText(fate.reject)}`);
    case 'failed':
      return error(RpcCode.misc, 'Failed to make block.');
    default:
      return unreachable(fate);
  }
}

/** The reason and, where there is one, what Core says behind it. Of a signature it says no more. */
export function rejectText({ code, reason, detail }: Reject): string {
  return detail === undefined || code === 'mandatory-script-verify-flag-failed' ? reason : `${reason}, ${detail}`;
}
