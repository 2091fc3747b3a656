/** The rules of one transaction: RULES A1, A2 and A3, each broken alone. What only a block can show is in block-rules.test.ts. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import {
  checkInputs,
  checkSubset,
  checkTransaction,
  isFinal,
  type LockContext,
  SEQUENCE_FINAL,
  sequenceLocksMet,
  signatureChecks,
} from '../../consensus/check-transaction.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { COIN, MAX_MONEY } from '../../consensus/params.ts';
import { SighashCache } from '../../consensus/sighash.ts';
import { CHECK_SIZE } from '../../consensus/signature.ts';
import { type Coin, makeTransaction, type Transaction, type TxInput } from '../../consensus/transaction.ts';
import {
  buildCoinbase,
  carry,
  changed,
  outputOf,
  pay,
  spend,
  testKey,
  withInput,
  withOutput,
} from '../support/chain-builder.ts';
import { firstFailure } from '../support/judge.ts';

const parent = spend(
  [],
  [1, 2, 3].map((number) => pay(testKey(number), COIN)),
);
const from = [1, 2, 3].map((number) => outputOf(parent, number - 1, testKey(number)));
const coins: Coin[] = from.map(({ value, scriptPubKey }) => ({ value, scriptPubKey, height: 10, coinbase: false }));
const good = spend(from, [pay(testKey(4), 2n * COIN), pay(testKey(5), COIN - 1000n)]);
const coinbase = buildCoinbase(100);
const withScript = (length: number) => withInput(coinbase, 0, { scriptSig: new Uint8Array(length) });
/** An output of 9 + 3 + 65,536 bytes. */
const large = { value: 0n, scriptPubKey: new Uint8Array(65_536) };

describe('A2: without context', () => {
  const nullPrevout = (coinbase.inputs[0] as TxInput).prevout;

  test.each<[string, Transaction, string | null]>([
    ['a payment', good, null],
    ['a coinbase', coinbase, null],
    ['no inputs', changed(good, { inputs: [] }), 'bad-txns-vin-empty'],
    ['no inputs and no outputs', changed(good, { inputs: [], outputs: [] }), 'bad-txns-vin-empty'],
    ['no outputs', changed(good, { outputs: [] }), 'bad-txns-vout-empty'],
    ['more than 1,000,000 bytes', changed(good, { outputs: Array(16).fill(large) }), 'bad-txns-oversize'],
    ['less than 1,000,000 bytes', changed(good, { outputs: Array(15).fill(large) }), null],
    ['a witness of any size', withInput(good, 0, { witness: [new Uint8Array(2_000_000)] }), null],
    ['a negative amount', withOutput(good, 1, { value: -1n }), 'bad-txns-vout-negative'],
    ['all money', changed(good, { outputs: [pay(testKey(1), MAX_MONEY)] }), null],
    ['more than all money', withOutput(good, 1, { value: MAX_MONEY + 1n }), 'bad-txns-vout-toolarge'],
    ['the largest amount', withOutput(good, 1, { value: (1n << 63n) - 1n }), 'bad-txns-vout-toolarge'],
    [
      'all money and one more',
      changed(good, { outputs: [pay(testKey(1), MAX_MONEY), pay(testKey(1), 1n)] }),
      'bad-txns-txouttotal-toolarge',
    ],
    [
      'the same coin twice',
      changed(good, { inputs: [...good.inputs, good.inputs[0] as TxInput] }),
      'bad-txns-inputs-duplicate',
    ],
    ['a coinbase script of 1 byte', withScript(1), 'bad-cb-length'],
    ['a coinbase script of 2 bytes', withScript(2), null],
    ['a coinbase script of 100 bytes', withScript(100), null],
    ['a coinbase script of 101 bytes', withScript(101), 'bad-cb-length'],
    ['a null prevout among two', withInput(good, 1, { prevout: nullPrevout }), 'bad-txns-prevout-null'],
    [
      'the index of a null prevout, not its id',
      withInput(good, 1, { prevout: { ...nullPrevout, txid: parent.txid } }),
      null,
    ],
    [
      'two null prevouts',
      changed(good, { inputs: [coinbase.inputs[0] as TxInput, coinbase.inputs[0] as TxInput] }),
      'bad-txns-inputs-duplicate',
    ],
  ])('%s', (_, tx, reason) => {
    expect(checkTransaction(tx)?.reason ?? null).toBe(reason);
    expect(checkTransaction(tx)?.kind ?? 'consensus').toBe('consensus');
  });
});

describe('A1: the subset', () => {
  const script = (scriptPubKey: Uint8Array) => withOutput(good, 1, { scriptPubKey });

  test.each<[string, Transaction, string | null]>([
    ['a payment', good, null],
    [
      'a coinbase, whose input is free',
      withInput(coinbase, 0, { witness: [new Uint8Array(1), new Uint8Array(2)] }),
      null,
    ],
    ['a data output', changed(good, { outputs: [carry('text')] }), null],
    ['another output script', script(Uint8Array.of(0x51)), 'subset-output-script'],
    [
      'another output script in a coinbase',
      withOutput(coinbase, 0, { scriptPubKey: new Uint8Array(0) }),
      'subset-output-script',
    ],
    [
      'two elements of witness',
      withInput(good, 2, { witness: [new Uint8Array(64), new Uint8Array(1)] }),
      'subset-witness',
    ],
    ['64 bytes', spend(from.slice(0, 1), [carry(Uint8Array.of(1, 2))]), 'subset-tx-size'],
    ['65 bytes', spend(from.slice(0, 1), [carry(Uint8Array.of(1, 2, 3))]), null],
    ['63 bytes', spend(from.slice(0, 1), [carry(Uint8Array.of(1))]), null],
  ])('%s', (_, tx, reason) => {
    expect(checkSubset(tx)?.reason ?? null).toBe(reason);
    expect(checkSubset(tx)?.kind ?? 'subset').toBe('subset');
  });
});

describe('A3: finality', () => {
  const locked = (lockTime: number, sequences: readonly number[] = [0, 0, 0]) =>
    changed(good, {
      lockTime,
      inputs: good.inputs.map((input, i) => ({ ...input, sequence: sequences[i] as number })),
    });
  const final = SEQUENCE_FINAL;

  test.each<[string, Transaction, number, number, boolean]>([
    ['no lock', locked(0), 0, 0, true],
    ['a height that is reached', locked(9), 10, 0, true],
    ['a height that is not', locked(10), 10, 0, false],
    ['the last height', locked(499_999_999), 500_000_000, 0, true],
    ['the first time is no height', locked(500_000_000), 600_000_000, 500_000_000, false],
    ['a time that is reached', locked(500_000_000), 0, 500_000_001, true],
    ['a time that is not', locked(1_600_000_000), 0, 1_600_000_000, false],
    ['all inputs opt out', locked(10, [final, final, final]), 1, 0, true],
    ['one input does not opt out', locked(10, [final, final - 1, final]), 1, 0, false],
  ])('%s', (_, tx, height, time, expected) => {
    expect(isFinal(tx, height, time)).toBe(expected);
  });
});

describe('A3: amounts and maturity', () => {
  const coin = (value: bigint, change: Partial<Coin> = {}): Coin => ({ ...(coins[0] as Coin), value, ...change });
  const reward = (height: number) => coin(COIN, { coinbase: true, height });
  const to = (value: bigint) => changed(good, { outputs: [pay(testKey(1), value)] });

  test('the fee is what the outputs leave', () => {
    expect(checkInputs(good, coins, 11)).toEqual({ ok: true, value: 1000n });
    expect(checkInputs(to(3n * COIN), coins, 11)).toEqual({ ok: true, value: 0n });
  });

  test.each<[string, Transaction, Coin[], number, string, string | undefined]>([
    [
      'more out than in',
      to(COIN + 1n),
      [coin(COIN)],
      11,
      'bad-txns-in-belowout',
      'value in (1.00) < value out (1.00000001)',
    ],
    [
      'out and nothing in',
      to(123_456_780n),
      [coin(0n)],
      11,
      'bad-txns-in-belowout',
      'value in (0.00) < value out (1.2345678)',
    ],
    [
      'a coinbase of depth 99',
      to(1n),
      [reward(1)],
      100,
      'bad-txns-premature-spend-of-coinbase',
      'tried to spend coinbase at depth 99',
    ],
    [
      'a coinbase of depth 0',
      to(1n),
      [reward(5)],
      5,
      'bad-txns-premature-spend-of-coinbase',
      'tried to spend coinbase at depth 0',
    ],
    ['a coin above all money', to(1n), [coin(MAX_MONEY + 1n)], 11, 'bad-txns-inputvalues-outofrange', undefined],
    ['a negative coin', to(1n), [coin(-1n)], 11, 'bad-txns-inputvalues-outofrange', undefined],
    [
      'coins that are above all money together',
      to(1n),
      [coin(MAX_MONEY), coin(1n)],
      11,
      'bad-txns-inputvalues-outofrange',
      undefined,
    ],
  ])('%s', (_, tx, spent, height, reason, detail) => {
    const answer = checkInputs(tx, spent, height);
    expect(answer.ok ? null : answer.error.reason).toBe(reason);
    expect(answer.ok ? null : answer.error.detail).toBe(detail);
  });

  test('a coinbase of depth 100 is mature', () => {
    expect(checkInputs(to(1n), [reward(1)], 101).ok).toBe(true);
  });

  test('what is only too early has a kind of its own, since the mempool does not blame for it', () => {
    expect(checkInputs(to(1n), [reward(1)], 100)).toMatchObject({ error: { kind: 'premature' } });
  });
});

describe('A3: relative locks', () => {
  const TIME = 0x00400000;
  const OFF = 0x80000000;
  // Blocks of 600 seconds; the transaction is to be in block 100.
  const context: LockContext = {
    height: 100,
    medianTimePast: 1_000_000,
    medianTimePastAt: (height) => 1_000_000 - (99 - height) * 600,
  };
  const met = (sequence: number, coinHeight: number, version = 2) =>
    sequenceLocksMet(
      changed(good, { version, inputs: [{ ...(good.inputs[0] as TxInput), sequence }] }),
      [{ ...(coins[0] as Coin), height: coinHeight }],
      context,
    );

  test.each<[string, boolean, boolean]>([
    ['10 blocks on a coin of 10 blocks', met(10, 90), true],
    ['11 blocks on a coin of 10 blocks', met(11, 90), false],
    ['0 blocks on a coin of this block', met(0, 100), true],
    ['1 block on a coin of this block', met(1, 100), false],
    ['65,535 blocks', met(0xffff, 0), false],
    // The block before a coin of height 90 is 10 · 600 seconds old: 11 · 512 = 5,632 have passed, 12 · 512 = 6,144 have not.
    ['11 units of time', met(TIME | 11, 90), true],
    ['12 units of time', met(TIME | 12, 90), false],
    ['0 units of time on a coin of this block', met(TIME, 100), true],
    ['1 unit of time on a coin of this block', met(TIME | 1, 100), false],
    ['a coin of height 0, before which there is no block', met(TIME | 115, 0), true],
    ['a lock that is switched off', met((OFF | TIME | 0xffff) >>> 0, 100), true],
    ['other bits, which mean nothing', met(0x7fbf0000 | 10, 90), true],
    ['version 1', met(0xffff, 100, 1), true],
    ['version 0', met(0xffff, 100, 0), true],
    ['version 0xffffffff', met(0xffff, 100, 0xffffffff), false],
  ])('%s', (_, answer, expected) => {
    expect(answer).toBe(expected);
  });

  test('every input counts', () => {
    const tx = changed(good, { inputs: good.inputs.map((input, i) => ({ ...input, sequence: i === 2 ? 91 : 90 })) });
    expect(sequenceLocksMet(tx, coins, context)).toBe(false);
  });
});

describe('A3: signature checks', () => {
  test('are packed in the order of the inputs: key, digest, signature', () => {
    const typed = spend(from, [...good.outputs, carry('third')], { hashType: [0x00, 0x01, 0x83] });
    const answer = signatureChecks(typed, coins);
    expect(answer.ok && answer.value.length).toBe(3 * CHECK_SIZE);
    const sighash = new SighashCache(typed, coins);
    const expected = [0x00, 0x01, 0x83].flatMap((type, i) => [
      testKey(i + 1).publicKey,
      sighash.digest(i, type),
      typed.inputs[i]?.witness[0]?.subarray(0, 64) as Uint8Array,
    ]);
    expect(answer.ok && bytesToHex(answer.value)).toBe(bytesToHex(concatBytes(...expected)));
  });

  test('of a signed transaction hold, and of one with another amount do not', () => {
    const all = signatureChecks(good, coins);
    expect(all.ok && firstFailure(all.value)).toBe(-1);
    const other = signatureChecks(
      good,
      coins.map((coin, i) => (i === 1 ? { ...coin, value: 5n } : coin)),
    );
    expect(other.ok && firstFailure(other.value)).toBe(0);
  });

  test('a missing witness may be the fault of somebody on the way, unless other inputs have one', () => {
    const bare = changed(good, { inputs: good.inputs.map((input) => ({ ...input, witness: [] })) });
    const reason = 'mandatory-script-verify-flag-failed (Witness program was passed an empty witness)';
    expect(signatureChecks(bare, coins)).toMatchObject({ error: { kind: 'witness-stripped', reason } });
    expect(signatureChecks(withInput(good, 1, { witness: [] }), coins)).toMatchObject({
      error: { kind: 'consensus', reason },
    });
  });

  test('the first fault by the order of the inputs is reported', () => {
    const tx = withInput(withInput(good, 2, { scriptSig: Uint8Array.of(0) }), 1, { witness: [new Uint8Array(1)] });
    expect(signatureChecks(tx, coins)).toMatchObject({
      error: { reason: 'mandatory-script-verify-flag-failed (Invalid Schnorr signature size)' },
    });
  });

  test('an output key that is no point is not found out here, but by verification', () => {
    const coin = { ...(coins[0] as Coin), scriptPubKey: p2trScript(new Uint8Array(32).fill(0xff)) };
    const tx = spend(from.slice(0, 1), good.outputs);
    const answer = signatureChecks(tx, [coin]);
    expect(answer.ok && firstFailure(answer.value)).toBe(0);
  });
});

test('no rule throws, whatever a transaction holds', () => {
  const bytes = fc.uint8Array({ maxLength: 66 });
  const input = fc.record({
    prevout: fc.record({
      txid: fc.constantFrom(parent.txid, coinbase.inputs[0]?.prevout.txid as Transaction['txid']),
      vout: fc.constantFrom(0, 0xffffffff),
    }),
    scriptSig: fc.uint8Array({ maxLength: 2 }),
    sequence: fc.integer({ min: 0, max: 0xffffffff }),
    witness: fc.array(bytes, { maxLength: 3 }),
  });
  const output = fc.record({ value: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), scriptPubKey: bytes });
  fc.assert(
    fc.property(
      fc.array(input, { maxLength: 3 }),
      fc.array(output, { maxLength: 3 }),
      fc.nat(),
      (inputs, outputs, lockTime) => {
        const tx = makeTransaction({ version: 2, inputs, outputs, lockTime });
        const spent = inputs.map(() => coins[0] as Coin);
        checkTransaction(tx);
        checkSubset(tx);
        isFinal(tx, 1, 1);
        checkInputs(tx, spent, 100);
        signatureChecks(tx, spent);
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});
