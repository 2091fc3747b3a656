/**
 * A selection of coins → a signed transaction. Pure: keys and randomness are given. BIP 341 key-path spends, SIGHASH_DEFAULT.
 * What it makes passes consensus/check-transaction.ts and every rule of relay.
 */
import type { Bytes } from '../consensus/brand.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../consensus/sighash.ts';
import { signSchnorr } from '../consensus/signature.ts';
import { makeTransaction, type Transaction, type TransactionFields, type TxOutput } from '../consensus/transaction.ts';
import { type Randomness, type Selection, shuffle, type ValuedCoin } from './coin-selection.ts';
import type { KeyPlace } from './key-place.ts';

/** BIP 68 applies to it, without a lock; any version from 1 to 3 would be relayed. */
const VERSION = 2;
/** The greatest sequence that says that the transaction may be replaced by one with a higher fee (BIP 125). */
const MAX_REPLACEABLE_SEQUENCE = 0xfffffffd;
/** From here on a sequence locks nothing (BIP 68). */
const MIN_UNLOCKED_SEQUENCE = 0x80000000;

/** A coin with what it takes to sign for it. */
export interface SpendableCoin extends ValuedCoin {
  readonly scriptPubKey: Bytes;
  /** Where its key stands in the account. */
  readonly place: KeyPlace;
}

/** A transaction before it is signed: what the user is asked to confirm. */
export interface TransactionPlan {
  readonly coins: readonly SpendableCoin[];
  readonly fields: TransactionFields;
  readonly fee: bigint;
  readonly vsize: number;
  /** Index of the change output, if there is one. */
  readonly changeIndex: number | undefined;
}

/**
 * Puts the outputs and the chosen coins in random order, so that neither tells which output is the change.
 * `changeScript` gets the selection's change and is not used where there is none.
 */
export function planTransaction(
  selection: Selection<SpendableCoin>,
  payments: readonly TxOutput[],
  changeScript: Bytes,
  random: Randomness,
): TransactionPlan {
  const change: TxOutput = { value: selection.change, scriptPubKey: changeScript };
  const outputs = shuffle(selection.change > 0n ? [...payments, change] : payments, random);
  const coins = shuffle(selection.coins, random);
  const sequence = drawSequence(random);
  const fields: TransactionFields = {
    version: VERSION,
    inputs: coins.map((coin) => ({
      prevout: coin.prevout,
      scriptSig: new Uint8Array(0),
      sequence,
      witness: [],
    })),
    outputs,
    lockTime: 0,
  };
  const changeIndex = selection.change > 0n ? outputs.indexOf(change) : undefined;
  return { coins, fields, fee: selection.fee, vsize: selection.vsize, changeIndex };
}

/**
 * One of the two thousand million sequences that lock nothing and can be replaced. Two wallets with the same keys that pay the
 * same at the same time choose the same coins and the same change address: were their transactions one and the same, both
 * would be told that they had paid, and only one payment would be there.
 */
function drawSequence(random: Randomness): number {
  return MIN_UNLOCKED_SEQUENCE + random.below(MAX_REPLACEABLE_SEQUENCE - MIN_UNLOCKED_SEQUENCE + 1);
}

/** Signs every input. `secretAt` gives the secret key of the output at a place, tweak included. */
export function signTransaction(
  plan: TransactionPlan,
  secretAt: (place: KeyPlace) => Bytes,
  random: Randomness,
): Transaction {
  const sighashes = new SighashCache(plan.fields, plan.coins);
  const inputs = plan.fields.inputs.map((input, index) => {
    const coin = plan.coins[index] as SpendableCoin;
    const digest = sighashes.digest(index, SIGHASH_DEFAULT);
    return { ...input, witness: [signSchnorr(secretAt(coin.place), digest, random.bytes(32))] };
  });
  return makeTransaction({ ...plan.fields, inputs });
}
