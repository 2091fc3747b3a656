/** Amounts and feerates: every way to write them, and every way to get them wrong. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  feeOf,
  formatAmount,
  formatBtc,
  formatFeeRate,
  parseAmount,
  parseFeeRate,
  satoshisFromJson,
} from '../../wallet/amount.ts';
import { parseDuration } from '../../wallet/duration.ts';

const MAX_MONEY = 21_000_000n * 100_000_000n;

describe('amounts', () => {
  test.each([
    ['0.5btc', 50_000_000n],
    ['50000sat', 50_000n],
    ['1sats', 1n],
    ['1btc', 100_000_000n],
    ['1BTC', 100_000_000n],
    ['1 btc', 100_000_000n],
    ['+2btc', 200_000_000n],
    ['0.00000001btc', 1n],
    ['0.500000000000btc', 50_000_000n],
    ['3.0sat', 3n],
    ['0sat', 0n],
    ['21000000btc', MAX_MONEY],
    ['0021btc', 2_100_000_000n],
  ])('%s is %d satoshis', (text, satoshis) => {
    expect(parseAmount(text)).toEqual({ ok: true, value: satoshis });
  });

  test.each([
    ['1', 'amount-unit', 'did you mean 1sat or 1btc?'],
    ['0.5', 'amount-unit', 'did you mean 0.5btc?'],
    ['5mbtc', 'amount-unit', 'unit: 0.5btc or 50000sat'],
    ['5eur', 'amount-unit', 'unit: 0.5btc or 50000sat'],
    ['-1btc', 'amount-negative', 'above zero'],
    ['-5sat', 'amount-negative', 'above zero'],
    ['-5', 'amount-negative', 'above zero'],
    ['0.123456789btc', 'amount-precision', 'last digits'],
    ['1.5sat', 'amount-precision', 'last digits'],
    ['0,5btc', 'amount-format', 'follow a point'],
    ['1e3sat', 'amount-format', 'unit: 0.5btc'],
    ['0x10sat', 'amount-format', 'unit: 0.5btc'],
    ['.5btc', 'amount-format', 'unit: 0.5btc'],
    ['btc', 'amount-format', 'unit: 0.5btc'],
    ['', 'amount-format', 'unit: 0.5btc'],
    ['1btc2', 'amount-format', 'unit: 0.5btc'],
    ['NaN', 'amount-format', 'unit: 0.5btc'],
  ])('"%s" is refused as %s, with a hint', (text, code, hint) => {
    const amount = parseAmount(text);
    expect(amount).toMatchObject({ ok: false, error: { code } });
    if (!amount.ok) expect(amount.error.hint).toContain(hint);
  });

  test('what is shown can be read back, in both units', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_MONEY }), (satoshis) => {
        expect(parseAmount(formatBtc(satoshis))).toEqual({ ok: true, value: satoshis });
        expect(parseAmount(`${satoshis}sat`)).toEqual({ ok: true, value: satoshis });
      }),
      { seed: 7 },
    );
    expect(formatAmount(-1n)).toBe('-0.00000001 btc (-1 sat)');
  });

  test('every JSON number of the node becomes the satoshis that it stood for', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_MONEY }), (satoshis) => {
        const text = `${satoshis / 100_000_000n}.${String(satoshis % 100_000_000n).padStart(8, '0')}`;
        expect(satoshisFromJson(JSON.parse(text) as number)).toBe(satoshis);
        expect(satoshisFromJson(-JSON.parse(text) as number)).toBe(-satoshis);
      }),
      { seed: 7, numRuns: 1000 },
    );
    expect(satoshisFromJson(20999999.99999999)).toBe(MAX_MONEY - 1n);
  });
});

describe('feerates', () => {
  test.each([
    ['1', 1000n],
    ['2', 2000n],
    ['1.5', 1500n],
    ['1.001', 1001n],
    ['2.5000', 2500n],
    ['2sat/vb', 2000n],
    ['10000', 10_000_000n],
  ])('%s sat/vB are %d satoshis per 1000 virtual bytes', (text, rate) => {
    expect(parseFeeRate(text)).toEqual({ ok: true, value: rate });
  });

  test.each(['0', '0.999', '-1', '10000.001', '1e3', '1.0001', 'fast', '', '1btc'])('"%s" is refused', (text) => {
    expect(parseFeeRate(text)).toMatchObject({ ok: false, error: { code: 'fee-rate' } });
  });

  test('a fee is rounded up, and a feerate is shown as it was given', () => {
    expect(feeOf(1000n, 111)).toBe(111n);
    expect(feeOf(1001n, 111)).toBe(112n);
    expect(formatFeeRate(1500n)).toBe('1.5 sat/vB');
  });
});

describe('durations', () => {
  test.each([
    ['90', 90_000],
    ['90s', 90_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['250ms', 250],
  ])('%s are %d milliseconds', (text, ms) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: ms });
  });

  test.each(['', '-1s', '1d', 'soon', '1e3'])('"%s" is refused', (text) => {
    expect(parseDuration(text).ok).toBe(false);
  });
});
