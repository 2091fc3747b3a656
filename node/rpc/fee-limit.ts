/** The limits that callers set to the fee of what they send. */

/** The most satoshis that a transaction of that size may pay at a feerate per 1000 virtual bytes; 0n means no limit. */
export function feeLimit(maxFeeRate: bigint, vsize: number): bigint {
  // Rounded up, as every fee for a size is.
  return (maxFeeRate * BigInt(vsize) + 999n) / 1000n;
}

/** True if a fee is above the limit of `feeLimit`. */
export function isAboveLimit(fee: bigint, maxFeeRate: bigint, vsize: number): boolean {
  return maxFeeRate !== 0n && fee > feeLimit(maxFeeRate, vsize);
}
