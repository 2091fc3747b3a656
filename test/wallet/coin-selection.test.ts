/** Coin selection: what holds for every set of coins, and the cases that a user would notice. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Txid } from '../../consensus/brand.ts';
import { feeOf } from '../../wallet/amount.ts';
import {
  costOfChange,
  DUST_LIMIT,
  MAX_STANDARD_WEIGHT,
  type Randomness,
  type Selection,
  selectCoins,
  sweepCoins,
  type ValuedCoin,
  vsizeOfSpend,
} from '../../wallet/coin-selection.ts';
import { seededRandomness } from './seeded-randomness.ts';

const btc = (amount: number) => BigInt(Math.round(amount * 1e8));

function coinsOf(values: readonly bigint[]): ValuedCoin[] {
  return values.map((value, index) => ({
    prevout: { txid: index.toString(16).padStart(64, '0') as Txid, vout: index % 3 },
    value,
  }));
}

function select(values: readonly bigint[], payment: bigint, feeRate = 2000n, random: Randomness = seededRandomness(1)) {
  return selectCoins({ coins: coinsOf(values), payments: [payment], feeRate }, random);
}

function selected(values: readonly bigint[], payment: bigint, feeRate = 2000n): Selection<ValuedCoin> {
  const selection = select(values, payment, feeRate);
  if (!selection.ok) throw new Error(selection.error.type);
  return selection.value;
}

const sum = (coins: readonly ValuedCoin[]) => coins.reduce((total, { value }) => total + value, 0n);

describe('what every selection keeps', () => {
  const values = fc.array(
    fc.oneof(
      fc.bigInt({ min: 1n, max: 2000n }),
      fc.bigInt({ min: 330n, max: 100_000n }),
      fc.bigInt({ min: 100_000n, max: 5_000_000_000n }),
      fc.constantFrom(5_000_000_000n, 100_000n, 1_000_000n),
    ),
    { maxLength: 40 },
  );
  const payments = fc.array(fc.bigInt({ min: DUST_LIMIT, max: 3_000_000_000n }), { minLength: 1, maxLength: 3 });
  const rates = fc.bigInt({ min: 1000n, max: 200_000n });

  test('coins pay for outputs and fee exactly; the fee is enough and no more than a lost change; change is no dust', () => {
    let found = 0;
    fc.assert(
      fc.property(values, payments, rates, fc.nat(), (amounts, paid, feeRate, seed) => {
        const coins = coinsOf(amounts);
        const answer = selectCoins({ coins, payments: paid, feeRate }, seededRandomness(seed));
        const target = paid.reduce((total, value) => total + value, 0n);
        if (!answer.ok) {
          // Only where all coins that are worth their input do not suffice either.
          const worthy = coins.filter(({ value }) => value > feeOf(feeRate, 58));
          expect(answer.error.type).toBe('insufficient');
          expect(sum(worthy) - target).toBeLessThan(
            feeOf(feeRate, vsizeOfSpend(Math.max(worthy.length, 1), paid.length)),
          );
          return;
        }
        found += 1;
        const { coins: chosen, change, fee, vsize } = answer.value;
        expect(new Set(chosen).size).toBe(chosen.length);
        expect(chosen.every((coin) => coins.includes(coin))).toBe(true);
        expect(sum(chosen)).toBe(target + change + fee);
        expect(change === 0n || change >= DUST_LIMIT).toBe(true);
        const outputs = paid.length + (change > 0n ? 1 : 0);
        expect(vsize).toBe(vsizeOfSpend(chosen.length, outputs));
        const needed = feeOf(feeRate, vsize);
        // What is left goes to the fee where change would be dust, or would cost more than it is worth.
        const dust = feeOf(feeRate, 43) + DUST_LIMIT;
        const lostChange = dust > costOfChange(feeRate) ? dust : costOfChange(feeRate);
        expect(fee).toBeGreaterThanOrEqual(needed);
        expect(fee).toBeLessThanOrEqual(change > 0n ? needed : needed + lostChange);
      }),
      { seed: 20, numRuns: 400 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test('the same seed gives the same choice, in whatever order the coins were listed', () => {
    fc.assert(
      fc.property(values, fc.bigInt({ min: 1000n, max: 1_000_000_000n }), fc.nat(), (amounts, payment, seed) => {
        const coins = coinsOf(amounts);
        const request = { payments: [payment], feeRate: 3000n };
        const first = selectCoins({ ...request, coins }, seededRandomness(seed));
        const second = selectCoins({ ...request, coins: [...coins].reverse() }, seededRandomness(seed));
        expect(second).toEqual(first);
      }),
      { seed: 21, numRuns: 200 },
    );
  });
});

describe('a choice without change', () => {
  test('is found wherever coins fit exactly, and wastes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 2000n, max: 100_000_000n }), { minLength: 1, maxLength: 12 }),
        fc.nat({ max: 4095 }),
        fc.bigInt({ min: 1000n, max: 10_000n }),
        fc.nat(),
        (amounts, mask, feeRate, seed) => {
          const subset = amounts.filter((_, index) => ((mask >> index) & 1) === 1);
          const target =
            subset.reduce((total, value) => total + value, 0n) - feeOf(feeRate, vsizeOfSpend(subset.length, 1));
          if (subset.length === 0 || target < DUST_LIMIT) return;
          const answer = selectCoins({ coins: coinsOf(amounts), payments: [target], feeRate }, seededRandomness(seed));
          if (!answer.ok) throw new Error(answer.error.type);
          const { coins, change, fee, vsize } = answer.value;
          expect([change, fee]).toEqual([0n, feeOf(feeRate, vsize)]);
          expect(sum(coins)).toBe(target + fee);
        },
      ),
      { seed: 22, numRuns: 300 },
    );
  });

  test('is taken up to what change would cost, and not above', () => {
    const fee = feeOf(10_000n, vsizeOfSpend(1, 1));
    const rest = costOfChange(10_000n);
    expect(rest).toBe(430n + 580n);
    // A large coin stands beside it, so that change could be made.
    expect(selected([btc(1) + fee + rest, btc(9)], btc(1), 10_000n)).toMatchObject({ change: 0n, fee: fee + rest });
    expect(selected([btc(1) + fee + rest + 1n], btc(1), 10_000n).change).toBeGreaterThanOrEqual(DUST_LIMIT);
  });

  test('of many inputs is not taken where inputs are dear and change is cheaper', () => {
    const small = Array<bigint>(20).fill(btc(0.05) + feeOf(100_000n, 58));
    const dear = selected([...small, btc(5)], btc(1), 100_000n);
    expect(dear.coins.map(({ value }) => value)).toEqual([btc(5)]);
  });
});

describe('everything', () => {
  test('is every coin that is worth its fee; the rest goes to the last recipient', () => {
    const coins = coinsOf([btc(1), btc(2), 300n, 580n]);
    const sweep = sweepCoins({ coins, payments: [btc(0.5)], feeRate: 10_000n });
    const fee = feeOf(10_000n, vsizeOfSpend(2, 2));
    expect(sweep).toMatchObject({ ok: true, value: { change: 0n, fee, rest: btc(2.5) - fee } });
    expect(sweepCoins({ coins: coinsOf([400n]), payments: [], feeRate: 1000n }).ok).toBe(false);
    expect(sweepCoins({ coins: coinsOf([]), payments: [], feeRate: 1000n }).ok).toBe(false);
  });

  test('of too many coins says how much can be sent at once', () => {
    const coins = coinsOf(Array<bigint>(2000).fill(10_000n));
    const sweep = sweepCoins({ coins, payments: [], feeRate: 1000n });
    if (sweep.ok || sweep.error.type !== 'too-heavy') throw new Error('it should be too heavy');
    const chosen = selectCoins({ coins, payments: [sweep.error.spendable], feeRate: 1000n }, seededRandomness(1));
    expect(chosen.ok).toBe(true);
  });
});

describe('a replacement', () => {
  const replaced = coinsOf([btc(1)]);
  const others = coinsOf([btc(9), btc(2), btc(1)]).map((coin) => ({ ...coin, prevout: { ...coin.prevout, vout: 9 } }));
  const atLeast = { fee: 5000n, feeRate: 1000n };

  test('adds nothing where its own coins suffice, and pays for what it evicts and for itself', () => {
    const answer = selectCoins(
      { coins: others, payments: [btc(0.5)], feeRate: 1000n, required: replaced, atLeast },
      seededRandomness(1),
    );
    const fee = 5000n + feeOf(1000n, vsizeOfSpend(1, 2));
    expect(answer).toEqual({ ok: true, value: { coins: replaced, change: btc(0.5) - fee, fee, vsize: 154 } });
  });

  test('keeps its own coins and adds others where they do not suffice', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: btc(1), max: btc(12) }),
        fc.bigInt({ min: 1000n, max: 50_000n }),
        fc.nat(),
        (paid, feeRate, seed) => {
          const request = { coins: others, payments: [paid], feeRate, required: replaced, atLeast };
          const answer = selectCoins(request, seededRandomness(seed));
          if (!answer.ok) throw new Error(answer.error.type);
          const { coins, change, fee, vsize } = answer.value;
          expect(coins.slice(0, 1)).toEqual(replaced);
          expect(new Set(coins).size).toBe(coins.length);
          expect(sum(coins)).toBe(paid + change + fee);
          expect(fee).toBeGreaterThanOrEqual(feeOf(feeRate, vsize));
          expect(fee).toBeGreaterThanOrEqual(5000n + feeOf(1000n, vsize));
        },
      ),
      { seed: 23, numRuns: 100 },
    );
  });
});

test('a data output costs what its bytes weigh', () => {
  const plain = selected([btc(1)], btc(0.5));
  for (const [scriptSize, bytes] of [
    [3, 12],
    [83, 92],
  ] as const) {
    const request = { coins: coinsOf([btc(1)]), payments: [btc(0.5)], dataScriptSize: scriptSize, feeRate: 2000n };
    const answer = selectCoins(request, seededRandomness(1));
    expect(answer.ok && answer.value.vsize - plain.vsize).toBe(bytes);
  }
});

describe('choices', () => {
  test('one coin pays and gives change', () => {
    const { coins, change, fee, vsize } = selected([btc(50)], btc(1.5));
    expect([coins.length, change, fee, vsize]).toEqual([1, btc(48.5) - 308n, 308n, 154]);
  });

  test('coins that fit exactly leave no change', () => {
    const fee = feeOf(2000n, vsizeOfSpend(2, 1));
    const { coins, change } = selected([btc(1), btc(0.3), btc(0.7) + fee, btc(5)], btc(1));
    expect([change, sum(coins)]).toEqual([0n, btc(1) + fee]);
    expect(coins).toHaveLength(2);
  });

  test('a rest below the dust limit goes to the fee', () => {
    const fee = feeOf(2000n, vsizeOfSpend(1, 1));
    expect(selected([btc(1) + fee + 329n], btc(1))).toMatchObject({ change: 0n, fee: fee + 329n });
  });

  test('change is made from exactly the dust limit on', () => {
    const fee = feeOf(2000n, vsizeOfSpend(1, 2));
    expect(selected([btc(1) + fee + DUST_LIMIT], btc(1)).change).toBe(DUST_LIMIT);
    expect(selected([btc(1) + fee + DUST_LIMIT - 1n], btc(1)).change).toBe(0n);
  });

  test('a coin that costs more than it is worth is left alone', () => {
    const { coins } = selected([btc(1), ...Array<bigint>(20).fill(580n)], btc(0.999), 10_000n);
    expect(coins).toHaveLength(1);
    expect(select(Array<bigint>(1000).fill(580n), 1000n, 10_000n).ok).toBe(false);
  });

  test('too little money says how much there is and what it would cost', () => {
    const answer = select([btc(1), btc(0.5)], btc(1.5));
    expect(answer).toEqual({
      ok: false,
      error: { type: 'insufficient', available: btc(1.5), fee: feeOf(2000n, vsizeOfSpend(2, 1)) },
    });
    expect(select([], btc(1))).toMatchObject({ ok: false, error: { type: 'insufficient', available: 0n } });
  });

  test('among thousands of small coins the large ones are taken when others would make it too heavy', () => {
    const small = Array.from({ length: 5000 }, (_, index) => 10_000n + BigInt(index));
    const { coins } = selected([...small, ...Array<bigint>(20).fill(btc(1))], btc(19));
    expect(coins.length).toBeLessThan(25);
  });

  test('coins that are too many for one transaction say how much can be sent at once', () => {
    const answer = select(Array<bigint>(5000).fill(10_000n), 40_000_000n);
    if (answer.ok || answer.error.type !== 'too-heavy') throw new Error('it should be too heavy');
    const { spendable } = answer.error;
    const { coins } = selected(Array<bigint>(5000).fill(10_000n), spendable);
    expect(vsizeOfSpend(coins.length, 2) * 4).toBeLessThanOrEqual(MAX_STANDARD_WEIGHT + 3);
  });

  test('10,000 coins are chosen from within a fraction of a second', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => BigInt(5_000 + ((index * 7919) % 100_000)));
    const begin = performance.now();
    expect(select(values, 30_000_000n).ok).toBe(true);
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});
