/**
 * Amounts and feerates as people write and read them. Pure.
 * An amount carries its unit (`0.5btc`, `50000sat`): a bare number could be either, and a wrong guess costs 10⁸ times the sum.
 */
import { fail, ok, type Result } from '../consensus/brand.ts';
import { COIN } from '../consensus/params.ts';

export interface AmountError {
  readonly code: 'amount-unit' | 'amount-negative' | 'amount-precision' | 'amount-format' | 'fee-rate';
  readonly message: string;
  readonly hint: string;
}

const BTC_DECIMALS = 8;
const EXAMPLES = 'write an amount with its unit: 0.5btc or 50000sat';

/** Satoshis of an amount with a unit: `btc`, `sat` or `sats`, in any case. */
export function parseAmount(text: string): Result<bigint, AmountError> {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?\s*([a-z]*)$/i.exec(text.trim());
  if (match === null) {
    const hint = /^[+-]?\d+,\d/.test(text.trim()) ? 'decimals follow a point: 0.5btc' : EXAMPLES;
    return refuse('amount-format', `"${text}" is no amount`, hint);
  }
  const [, sign, whole = '', decimals = '', unitText = ''] = match;
  if (sign === '-') return refuse('amount-negative', `"${text}" is negative`, 'an amount is above zero');
  const unit = unitText.toLowerCase();
  if (unit === '') {
    const number = text.trim();
    const hint = decimals === '' ? `${number}sat or ${number}btc?` : `${number}btc?`;
    return refuse('amount-unit', `"${number}" has no unit`, `did you mean ${hint}`);
  }
  if (unit !== 'btc' && unit !== 'sat' && unit !== 'sats') {
    return refuse('amount-unit', `"${unitText}" is no unit of an amount`, EXAMPLES);
  }
  const places = unit === 'btc' ? BTC_DECIMALS : 0;
  const significant = decimals.replace(/0+$/, '');
  if (significant.length > places) {
    const message =
      places === 0
        ? `"${text}" is too precise: a satoshi cannot be divided`
        : `"${text}" is too precise: a coin has ${places} decimals, and the smallest amount is 0.00000001btc (1sat)`;
    return refuse('amount-precision', message, 'leave out the last digits');
  }
  return ok(BigInt(whole + significant.padEnd(places, '0')));
}

/** `0.50000000 btc`, with all eight decimals and the sign of negative amounts. */
export function formatBtc(satoshis: bigint): string {
  const digits = (satoshis < 0n ? -satoshis : satoshis).toString().padStart(BTC_DECIMALS + 1, '0');
  const sign = satoshis < 0n ? '-' : '';
  return `${sign}${digits.slice(0, -BTC_DECIMALS)}.${digits.slice(-BTC_DECIMALS)} btc`;
}

/** Both units, for the amounts that somebody checks: `0.50000000 btc (50000000 sat)`. */
export function formatAmount(satoshis: bigint): string {
  return `${formatBtc(satoshis)} (${satoshis} sat)`;
}

/** Satoshis of a JSON number in whole coins, as RPC answers hold them. Every sum up to 21 million coins comes out exactly. */
export function satoshisFromJson(coins: number): bigint {
  const [whole = '0', decimals = ''] = coins.toFixed(BTC_DECIMALS).split('.');
  const magnitude = BigInt(whole.replace('-', '')) * COIN + BigInt(decimals);
  return coins < 0 ? -magnitude : magnitude;
}

/** A feerate in satoshis per 1000 virtual bytes: whole numbers, as the node counts. */
export type FeeRate = bigint;

/** What the node relays at least. */
export const MIN_FEE_RATE: FeeRate = 1000n;
/** Above it nobody means it: the node refuses 0.1 coins per 1000 virtual bytes as well. */
export const MAX_FEE_RATE: FeeRate = 10_000_000n;

/** A feerate written in satoshis per virtual byte with up to three decimals: `2`, `1.5`, `2sat/vb`. */
export function parseFeeRate(text: string): Result<FeeRate, AmountError> {
  const hint = 'write satoshis per virtual byte: --fee-rate 2';
  const match = /^(\d{1,9})(?:\.(\d{1,3})0*)?\s*(?:sats?\/vb?)?$/i.exec(text.trim());
  if (match === null) return refuse('fee-rate', `"${text}" is no feerate`, hint);
  const rate = BigInt((match[1] ?? '') + (match[2] ?? '').padEnd(3, '0'));
  if (rate < MIN_FEE_RATE) {
    return refuse('fee-rate', `a feerate of ${text} sat/vB is too low: nodes pass nothing on below 1 sat/vB`, hint);
  }
  if (rate > MAX_FEE_RATE) {
    return refuse('fee-rate', `a feerate of ${text} sat/vB is absurd: more than 10000 sat/vB`, hint);
  }
  return ok(rate);
}

/** `2 sat/vB`, `1.5 sat/vB`. */
export function formatFeeRate(rate: FeeRate): string {
  return `${Number(rate) / 1000} sat/vB`;
}

/** The fee of so many virtual bytes, rounded up, as the node computes it. */
export function feeOf(rate: FeeRate, vsize: number): bigint {
  return (rate * BigInt(vsize) + 999n) / 1000n;
}

function refuse(code: AmountError['code'], message: string, hint: string): Result<never, AmountError> {
  return fail({ code, message, hint });
}
