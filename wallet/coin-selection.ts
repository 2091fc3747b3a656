/**
 * Which coins pay. Pure: the same coins, target and random numbers give the same choice.
 *
 * First a set that needs no change is looked for (branch and bound, by Mark Erhardt: "An evaluation of coin selection
 * strategies", 2016): its remainder costs less than a change output would, and goes to the fee. Besides that, coins are
 * drawn at random until they pay for everything and for change that is no dust. Of the two the one that wastes less is
 * taken; where that would make the transaction too heavy, the largest coins are.
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
const INPUT_VSIZE = Math.ceil(INPUT_WEIGHT / 4);
const OUTPUT_VSIZE = OUTPUT_WEIGHT / 4;
/** Version and locktime, and BIP 144's marker and flag. The two counts are added. */
const FRAME_WEIGHT = 4 * 8 + 2;
/**
 * What a coin is spent at some day, at most (Core's "consolidatefeerate"). Above it every input counts as waste; below it
 * an input costs now what it would cost later.
 */
const LONG_TERM_FEE_RATE: FeeRate = 10_000n;
/** Branch and bound gives up after so many steps, as Core does: that takes some tens of milliseconds. */
const MAX_STEPS = 100_000;

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
  /** Value of each P2TR output that somebody is paid. */
  readonly payments: readonly bigint[];
  /** Bytes of the script of a data output, which holds no value; 0 or absent where there is none. */
  readonly dataScriptSize?: number;
  readonly feeRate: FeeRate;
  /** Coins that are spent in any case: those of the payment that is replaced. They are none of `coins`. */
  readonly required?: readonly C[];
  /** What a replacement pays at least (RULES B3, rows 4 and 5): this fee, and for each virtual byte this feerate above it. */
  readonly atLeast?: LeastFee;
}

export interface LeastFee {
  readonly fee: bigint;
  readonly feeRate: FeeRate;
}

export interface Selection<C extends ValuedCoin> {
  readonly coins: readonly C[];
  /** Value of the change output, or 0n: then there is none. */
  readonly change: bigint;
  readonly fee: bigint;
  readonly vsize: number;
}

/** A selection without change, and what is left for the recipient who gets all. */
export interface Sweep<C extends ValuedCoin> extends Selection<C> {
  readonly rest: bigint;
}

export type SelectionError =
  /** `available` is the worth of all coins that are worth spending; `fee` is what they and the payments would cost. */
  | { readonly type: 'insufficient'; readonly available: bigint; readonly fee: bigint }
  /** The coins suffice, but are so many that no node would pass the transaction on. */
  | { readonly type: 'too-heavy'; readonly spendable: bigint };

/**
 * Virtual bytes of a transaction of key-path spends and P2TR outputs, every signature 64 bytes long, and of a data output
 * where the size of its script is given.
 */
export function vsizeOfSpend(inputs: number, outputs: number, dataScriptSize = 0): number {
  return Math.ceil(weightOfSpend(inputs, outputs, dataScriptSize) / 4);
}

/** What change costs: its output now, and its input some day. A remainder below that is better left to the fee. */
export function costOfChange(feeRate: FeeRate): bigint {
  return feeOf(feeRate, OUTPUT_VSIZE) + feeOf(longTerm(feeRate), INPUT_VSIZE);
}

export function selectCoins<C extends ValuedCoin>(
  request: SelectionRequest<C>,
  random: Randomness,
): Result<Selection<C>, SelectionError> {
  const needs = needsOf(request);
  const coins = worthSpending(request.coins, needs);
  // A replacement adds nothing as long as its own coins suffice.
  const unchanged = settle(0, 0n, needs);
  const choice =
    unchanged === undefined ? bestOf(candidates(coins, needs, random), needs) : { ...unchanged, coins: needs.required };
  if (choice !== undefined && isLight(choice, needs)) return ok(choice);
  const largest = accumulate(coins, needs);
  if (largest === undefined) return fail(insufficient(coins, needs));
  return isLight(largest, needs) ? ok(largest) : fail(tooHeavy(coins, needs, needs.outputs + 1));
}

/** All coins that are worth spending: `payments` get theirs, and one output more gets all that is left. */
export function sweepCoins<C extends ValuedCoin>(request: SelectionRequest<C>): Result<Sweep<C>, SelectionError> {
  const needs = needsOf(request);
  const outputs = needs.outputs + 1;
  const coins = worthSpending(request.coins, needs);
  const vsize = vsizeOfSpend(coins.length, outputs, needs.dataScriptSize);
  const fee = feeOf(needs.feeRate, vsize);
  const rest = sumOf(coins) - needs.target - fee;
  if (rest < DUST_LIMIT) return fail({ type: 'insufficient', available: sumOf(coins), fee });
  const isTooHeavy = weightOfSpend(coins.length, outputs, needs.dataScriptSize) > MAX_STANDARD_WEIGHT;
  return isTooHeavy ? fail(tooHeavy(coins, needs, outputs + 1)) : ok({ coins, change: 0n, fee, vsize, rest });
}

/** What the chosen coins must cover. */
interface Needs<C extends ValuedCoin = ValuedCoin> {
  readonly target: bigint;
  /** P2TR outputs without the change. */
  readonly outputs: number;
  readonly dataScriptSize: number;
  readonly feeRate: FeeRate;
  readonly required: readonly C[];
  readonly requiredSum: bigint;
  readonly atLeast: LeastFee;
}

function needsOf<C extends ValuedCoin>(request: SelectionRequest<C>): Needs<C> {
  const { payments, dataScriptSize = 0, feeRate, required = [], atLeast = { fee: 0n, feeRate: 0n } } = request;
  return {
    target: payments.reduce((sum, value) => sum + value, 0n),
    outputs: payments.length,
    dataScriptSize,
    feeRate,
    required,
    requiredSum: sumOf(required),
    atLeast,
  };
}

/** Largest first; equal values in an order that does not depend on how the node listed them. */
function worthSpending<C extends ValuedCoin>(coins: readonly C[], { feeRate, atLeast }: Needs): C[] {
  const inputFee = feeOf(feeRate > atLeast.feeRate ? feeRate : atLeast.feeRate, INPUT_VSIZE);
  return coins.filter((coin) => coin.value > inputFee).sort(byValue);
}

function feeNeeded(vsize: number, { feeRate, atLeast }: Needs): bigint {
  const [usual, least] = [feeOf(feeRate, vsize), atLeast.fee + feeOf(atLeast.feeRate, vsize)];
  return usual > least ? usual : least;
}

/**
 * What `count` chosen coins of this worth pay for together with the required ones: with change if it would be no dust, else
 * the rest is fee. Undefined if they do not suffice.
 */
function settle(count: number, sum: bigint, needs: Needs): Omit<Selection<never>, 'coins'> | undefined {
  const inputs = needs.required.length + count;
  if (inputs === 0) return undefined;
  const rest = needs.requiredSum + sum - needs.target;
  const vsizeWithChange = vsizeOfSpend(inputs, needs.outputs + 1, needs.dataScriptSize);
  const change = rest - feeNeeded(vsizeWithChange, needs);
  if (change >= DUST_LIMIT) return { change, fee: rest - change, vsize: vsizeWithChange };
  const vsize = vsizeOfSpend(inputs, needs.outputs, needs.dataScriptSize);
  return rest >= feeNeeded(vsize, needs) ? { change: 0n, fee: rest, vsize } : undefined;
}

function candidates<C extends ValuedCoin>(
  coins: readonly C[],
  needs: Needs<C>,
  random: Randomness,
): readonly (Selection<C> | undefined)[] {
  const drawn = accumulate(shuffle(coins, random), needs);
  // Where inputs are dear, few large coins may be the best.
  const few = needs.feeRate > LONG_TERM_FEE_RATE ? accumulate(coins, needs) : undefined;
  return [searchChangeless(coins, needs), drawn, few];
}

/** The one that wastes least; of equal ones the first. */
function bestOf<C extends ValuedCoin>(
  selections: readonly (Selection<C> | undefined)[],
  needs: Needs,
): Selection<C> | undefined {
  let best: Selection<C> | undefined;
  for (const selection of selections) {
    if (selection === undefined || !isLight(selection, needs)) continue;
    if (best === undefined || wasteOf(selection, needs) < wasteOf(best, needs)) best = selection;
  }
  return best;
}

/**
 * Satoshis that are lost by this choice: what its inputs cost now and would not cost later, and the cost of the change or
 * what goes to the fee in its place.
 */
function wasteOf(selection: Selection<ValuedCoin>, needs: Needs): number {
  const lost = selection.change > 0n ? costOfChange(needs.feeRate) : selection.fee - feeNeeded(selection.vsize, needs);
  return selection.coins.length * wasteOfInput(needs) + Number(lost);
}

function wasteOfInput({ feeRate }: Needs): number {
  return (Number(feeRate - longTerm(feeRate)) * INPUT_WEIGHT) / 4000;
}

function longTerm(feeRate: FeeRate): FeeRate {
  return feeRate < LONG_TERM_FEE_RATE ? feeRate : LONG_TERM_FEE_RATE;
}

/**
 * The set without change that wastes least. Depth first over the coins, largest first, with each and then without it; a
 * branch ends where it pays for everything, where all that is left cannot, or where its inputs alone waste too much.
 * Sums are numbers, which hold all coins that there can be exactly.
 */
function searchChangeless<C extends ValuedCoin>(coins: readonly C[], needs: Needs<C>): Selection<C> | undefined {
  const values = coins.map(({ value }) => Number(value));
  const left: number[] = new Array(values.length + 1).fill(0);
  for (let i = values.length - 1; i >= 0; i--) left[i] = (left[i + 1] as number) + (values[i] as number);
  const costs: number[] = [];
  /** What so many chosen coins must be worth. */
  const costOf = (count: number): number => {
    const known = costs[count];
    if (known !== undefined) return known;
    const vsize = vsizeOfSpend(needs.required.length + count, needs.outputs, needs.dataScriptSize);
    const cost = Number(needs.target + feeNeeded(vsize, needs) - needs.requiredSum);
    costs[count] = cost;
    return cost;
  };
  const allowed = Number(costOfChange(needs.feeRate));
  const inputWaste = wasteOfInput(needs);

  const chosen: number[] = [];
  let best: readonly number[] = [];
  let leastWaste = Number.POSITIVE_INFINITY;
  let sum = 0;
  let index = 0;
  for (let steps = 0; steps < MAX_STEPS && leastWaste > 0; steps++) {
    const count = chosen.length;
    const excess = count === 0 ? -1 : sum - costOf(count);
    const waste = count * inputWaste + Math.max(excess, 0);
    // A further coin is worth more than it costs, so behind a set that pays there is none that wastes less.
    const most = sum + (left[index] as number) - costOf(count + values.length - index);
    const hopeless = excess >= 0 || waste >= leastWaste || most < 0 || index === values.length;
    if (excess >= 0 && excess <= allowed && waste < leastWaste) {
      best = [...chosen];
      leastWaste = waste;
    }
    if (!hopeless) {
      chosen.push(index);
      sum += values[index] as number;
      index += 1;
      continue;
    }
    const last = chosen.pop();
    if (last === undefined) break;
    const value = values[last] as number;
    sum -= value;
    // Leaving out one of several equal coins is the same as leaving out the next.
    index = last + 1;
    while (index < values.length && values[index] === value) index += 1;
  }
  if (best.length === 0) return undefined;
  const all = [...needs.required, ...best.map((at) => coins[at] as C)];
  const vsize = vsizeOfSpend(all.length, needs.outputs, needs.dataScriptSize);
  return { coins: all, change: 0n, fee: sumOf(all) - needs.target, vsize };
}

/** The required coins and the first so many others that pay for everything. */
function accumulate<C extends ValuedCoin>(coins: readonly C[], needs: Needs<C>): Selection<C> | undefined {
  let sum = 0n;
  for (const [at, coin] of coins.entries()) {
    sum += coin.value;
    const settled = settle(at + 1, sum, needs);
    if (settled !== undefined) return { ...settled, coins: [...needs.required, ...coins.slice(0, at + 1)] };
  }
  return undefined;
}

function isLight(selection: Selection<ValuedCoin>, needs: Needs): boolean {
  const outputs = needs.outputs + (selection.change > 0n ? 1 : 0);
  return weightOfSpend(selection.coins.length, outputs, needs.dataScriptSize) <= MAX_STANDARD_WEIGHT;
}

function insufficient(coins: readonly ValuedCoin[], needs: Needs): SelectionError {
  const inputs = Math.max(needs.required.length + coins.length, 1);
  const fee = feeNeeded(vsizeOfSpend(inputs, needs.outputs, needs.dataScriptSize), needs);
  return { type: 'insufficient', available: needs.requiredSum + sumOf(coins), fee };
}

/** How much can be paid at once with the largest coins: `outputs` counts those of the payment and one of change. */
function tooHeavy(coins: readonly ValuedCoin[], needs: Needs, outputs: number): SelectionError {
  // Eight units: the count of the inputs grows by two bytes.
  const room = MAX_STANDARD_WEIGHT - weightOfSpend(0, outputs, needs.dataScriptSize) - 8;
  const most = Math.max(Math.floor(room / INPUT_WEIGHT) - needs.required.length, 0);
  const vsize = vsizeOfSpend(needs.required.length + most, outputs - 1, needs.dataScriptSize);
  return { type: 'too-heavy', spendable: needs.requiredSum + sumOf(coins.slice(0, most)) - feeNeeded(vsize, needs) };
}

function weightOfSpend(inputs: number, outputs: number, dataScriptSize: number): number {
  const hasData = dataScriptSize > 0;
  const counts = 4 * (compactLength(inputs) + compactLength(outputs + (hasData ? 1 : 0)));
  const dataWeight = hasData ? 4 * (8 + compactLength(dataScriptSize) + dataScriptSize) : 0;
  return FRAME_WEIGHT + counts + inputs * INPUT_WEIGHT + outputs * OUTPUT_WEIGHT + dataWeight;
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
