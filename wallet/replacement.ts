/**
 * What takes the place of a payment that waits for a block (RULES B3): the same recipients and amounts, a higher fee, paid
 * from the change or with further coins. Pure.
 */
import type { Bytes, Result } from '../consensus/brand.ts';
import type { TxOutput } from '../consensus/transaction.ts';
import type { FeeRate } from './amount.ts';
import type { SpendableCoin } from './build-transaction.ts';
import { type Randomness, type Selection, type SelectionError, selectCoins } from './coin-selection.ts';

/** Transactions that one replacement may evict, the replaced one included. RULES B3, row 2. */
export const MAX_EVICTED = 100;

/** A payment in the pool, as far as its replacement depends on it. */
export interface Replaced {
  /** The coins that it spends, all of them ours. */
  readonly coins: readonly SpendableCoin[];
  /** Outputs that stay as they are. */
  readonly payments: readonly TxOutput[];
  readonly fee: bigint;
  readonly vsize: number;
  /** Fees of all transactions that leave the pool with it, its own included. */
  readonly evictedFees: bigint;
}

/**
 * The lowest feerate of a replacement of the same size: above that of the replaced payment (row 1), and enough for all fees
 * that are lost and for its own relay (rows 4 and 5).
 */
export function leastFeeRate({ fee, evictedFees, vsize }: Replaced, incremental: FeeRate): FeeRate {
  const lost = evictedFees > fee ? evictedFees : fee;
  return (lost * 1000n + BigInt(vsize) - 1n) / BigInt(vsize) + incremental;
}

/**
 * The coins of the replacement: those of the replaced payment, which make it a replacement, and more of `confirmed` where
 * they do not suffice. Unconfirmed coins may not be added (row 3).
 */
export function selectReplacement(
  replaced: Replaced,
  confirmed: readonly SpendableCoin[],
  rates: { readonly feeRate: FeeRate; readonly incremental: FeeRate },
  random: Randomness,
): Result<Selection<SpendableCoin>, SelectionError> {
  const data = replaced.payments.find(({ scriptPubKey }) => isData(scriptPubKey));
  return selectCoins(
    {
      coins: confirmed,
      payments: replaced.payments.filter(({ scriptPubKey }) => !isData(scriptPubKey)).map(({ value }) => value),
      dataScriptSize: data?.scriptPubKey.length ?? 0,
      feeRate: rates.feeRate,
      required: replaced.coins,
      atLeast: { fee: replaced.evictedFees, feeRate: rates.incremental },
    },
    random,
  );
}

export function isData(script: Bytes): boolean {
  return script[0] === 0x6a;
}
