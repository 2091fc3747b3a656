/**
 * Which coins pay. Pure: the same coins, target and random numbers give the same choice.
 *
 * First a set whose remainder is too small for a change output is looked for (branch and bound); the remainder goes to the
 * fee, and no change is made. Else coins are drawn at random until they pay for everything and for change that is no
 * dust; where that would make the transaction too heavy, the largest coins are taken.
 * A coin that costs more than it is worth at this feerate is never chosen.
 */

import { fail, ok, type Result } from '../consensus/brand.ts';
import { compactLength } from '../consensus/codec.ts';
import type { OutPoint } from '../consensus/transaction.ts';
import { type FeeRate, feeOf } from './amount.ts';

/** A P2TR output of less than this is dust: nodes do not pass it on. RULES B2. */
export const DUST_LIMIT = 330n;
/** A heavier transaction is not passed on. RULES B1, row 4. */
export const MAX_STANDARD_WEIGHT = 400_000;

/** Weight units: an input with a 64-byte signature, and a P2TR output. RULES A10. */
const INPUT_WEIGHT = 230;
const OUTPUT_WEIGHT = 172;
/** Version and locktime, and BIP 144's marker and flag. The two counts are added. */
const FRAME_WEIGHT = 4 * 8 + 2;
/** Branch and bound gives up after so many steps: a better choice is not worth more than a few milliseconds. */
const MAX_STEPS = 20_000;

/** Numbers and bytes that nobody can guess, or those of a seed. */
export interface Randomness {
  /** Uniform in [0, bound). */
  below(bound: number): number;
  bytes(length: number): Uint8Array;
}

export interface ValuedCoin {
  readonly prevout: OutPoint;
  readonly value: bigint;
}

export interface SelectionRequest<C extends ValuedCoin> {
  readonly coins: readonly C[];
  /** Value of each output that somebody is paid. All are P2TR outputs. */
  readonly payments: readonly bigint[];
  readonly feeRate: FeeRate;
}

export interface Selection<C extends ValuedCoin> {
  readonly coins: readonly C[];
  /** Value of the change output, or 0n: then there is none. */
  readonly change: bigint;
  readonly fee: bigint;
  readonly vsize: number;
}

export type SelectionError =
  /** `available` is the worth of all coins that are worth spending; `fee` is what they and the payments would cost. */
  | { readonly type: 'insufficient'; readonly available: bigint; readonly fee: bigint }
  /** The coins suffice, but are so many that no node would pass the transaction on. */
  | { readonly type: 'too-heavy'; readonly spendable: bigint };

/** Virtual bytes of a transaction of key-path spends and P2TR outputs, every signature 64 bytes long. */
export function vsizeOfSpend(inputs: number, outputs: number): number {
  return Math.ceil(weightOfSpend(inputs, outputs) / 4);
}

export function selectCoins<C extends ValuedCoin>(
  request: SelectionRequest<C>,
  random: Randomness,
): Result<Selection<C>, SelectionError> {
  const { payments, feeRate } = request;
  const target = payments.reduce((sum, value) => sum + value, 0n);
  const inputFee = feeOf(feeRate, Math.ceil(INPUT_WEIGHT / 4));
  // Largest first; equal values in an order that does not depend on how the node listed them.
  const coins = request.coins.filter((coin) => coin.value > inputFee).sort(byValue);
  const needs: Needs = { target, outputs: payments.length, feeRate };

  const choice = searchChangeless(coins, needs) ?? accumulate(shuffle(coins, random), needs);
  if (choice !== undefined && isLight(choice, needs)) return ok(choice);
  const largest = accumulate(coins, needs);
  if (largest === undefined) return fail(insufficient(coins, needs));
  if (isLight(largest, needs)) return ok(largest);
  const most = Math.floor((MAX_STANDARD_WEIGHT - weightOfSpend(0, payments.length + 1) - 8) / INPUT_WEIGHT);
  const fee = feeOf(feeRate, vsizeOfSpend(most, payments.length));
  return fail({ type: 'too-heavy', spendable: sumOf(coins.slice(0, most)) - fee });
}

/** What the chosen coins must cover. */
interface Needs {
  readonly target: bigint;
  readonly outputs: number;
  readonly feeRate: FeeRate;
}

/** What so many coins, worth `sum`, pay for: with change if it would be no dust, else the rest is fee. Undefined if too little. */
function settle(count: number, sum: bigint, needs: Needs): Omit<Selection<never>, 'coins'> | undefined {
  const rest = sum - needs.target;
  const vsizeWithChange = vsizeOfSpend(count, needs.outputs + 1);
  const change = rest - feeOf(needs.feeRate, vsizeWithChange);
  if (change >= DUST_LIMIT) return { change, fee: rest - change, vsize: vsizeWithChange };
  const vsize = vsizeOfSpend(count, needs.outputs);
  return rest >= feeOf(needs.feeRate, vsize) ? { change: 0n, fee: rest, vsize } : undefined;
}

/**
 * The set without change that wastes least. Depth first over the coins, largest first, with each and then without it; a
 * branch ends where it pays for everything, or where all that is left cannot.
 */
function searchChangeless<C extends ValuedCoin>(coins: readonly C[], needs: Needs): Selection<C> | undefined {
  const left: bigint[] = new Array(coins.length + 1).fill(0n);
  for (let i = coins.length - 1; i >= 0; i--) left[i] = (left[i + 1] as bigint) + (coins[i] as C).value;
  const chosen: number[] = [];
  let best: Selection<C> | undefined;
  let sum = 0n;
  let index = 0;
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const settled = chosen.length === 0 ? undefined : settle(chosen.length, sum, needs);
    if (settled?.change === 0n && (best === undefined || settled.fee < best.fee)) {
      best = { ...settled, coins: chosen.map((at) => coins[at] as C) };
    }
    // A further coin is worth more than it costs, so behind a set that pays there is none that wastes less.
    const hopeless = settled !== undefined || sum + (left[index] as bigint) < needs.target || index === coins.length;
    if (!hopeless) {
      chosen.push(index);
      sum += (coins[index] as C).value;
      index += 1;
      continue;
    }
    const last = chosen.pop();
    if (last === undefined) break;
    const { value } = coins[last] as C;
    sum -= value;
    // Leaving out one of several equal coins is the same as leaving out the next.
    index = last + 1;
    while (index < coins.length && (coins[index] as C).value === value) index += 1;
  }
  return best;
}

/** The first so many coins that pay for everything. */
function accumulate<C extends ValuedCoin>(coins: readonly C[], needs: Needs): Selection<C> | undefined {
  let sum = 0n;
  for (const [at, coin] of coins.entries()) {
    sum += coin.value;
    const settled = settle(at + 1, sum, needs);
    if (settled !== undefined) return { ...settled, coins: coins.slice(0, at + 1) };
  }
  return undefined;
}

function isLight(selection: Selection<ValuedCoin>, needs: Needs): boolean {
  const outputs = needs.outputs + (selection.change > 0n ? 1 : 0);
  return weightOfSpend(selection.coins.length, outputs) <= MAX_STANDARD_WEIGHT;
}

function insufficient(coins: readonly ValuedCoin[], needs: Needs): SelectionError {
  const fee = feeOf(needs.feeRate, vsizeOfSpend(Math.max(coins.length, 1), needs.outputs));
  return { type: 'insufficient', available: sumOf(coins), fee };
}

function weightOfSpend(inputs: number, outputs: number): number {
  const counts = 4 * (compactLength(inputs) + compactLength(outputs));
  return FRAME_WEIGHT + counts + inputs * INPUT_WEIGHT + outputs * OUTPUT_WEIGHT;
}

function sumOf(coins: readonly ValuedCoin[]): bigint {
  return coins.reduce((sum, coin) => sum + coin.value, 0n);
}

function byValue(a: ValuedCoin, b: ValuedCoin): number {
  if (a.value !== b.value) return a.value > b.value ? -1 : 1;
  if (a.prevout.txid !== b.prevout.txid) return a.prevout.txid < b.prevout.txid ? -1 : 1;
  return a.prevout.vout - b.prevout.vout;
}

/** Fisher and Yates: every order is equally likely. */
export function shuffle<T>(items: readonly T[], random: Randomness): T[] {
  const shuffled = [...items];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
  }
  return shuffled;
}
