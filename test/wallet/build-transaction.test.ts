/** Built transactions: judged by consensus, their signatures verified, decoded and signed anew by an independent library. */
import { describe, expect, test } from '@jest/globals';
import { Transaction as LibraryTransaction, SigHash } from '@scure/btc-signer';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import { decodeAddress, encodeAddress, p2trScript } from '../../consensus/address.ts';
import type { Txid } from '../../consensus/brand.ts';
import { checkInputs, checkSubset, checkTransaction, signatureChecks } from '../../consensus/check-transaction.ts';
import { regtest } from '../../consensus/params.ts';
import { type Coin, encodeTransaction, makeTransaction, vsizeOf } from '../../consensus/transaction.ts';
import { planTransaction, type SpendableCoin, signTransaction } from '../../wallet/build-transaction.ts';
import { DUST_LIMIT, selectCoins } from '../../wallet/coin-selection.ts';
import { EXTERNAL, INTERNAL } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { firstFailure } from '../support/judge.ts';
import { seededRandomness } from './seeded-randomness.ts';

const secret = new AccountSecret(hexToBytes('000102030405060708090a0b0c0d0e0f'), regtest);
const addresses = (() => {
  const opened = AccountAddresses.fromPublicKey(secret.publicKey, regtest);
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
})();
/** Deriving takes milliseconds: a few keys serve all coins. */
const places = [0, 1, 2, 3].flatMap((index) => [
  { chain: EXTERNAL, index } as const,
  { chain: INTERNAL, index } as const,
]);
const scripts = places.map((place) => p2trScript(addresses.outputKey(place)));
const secrets = new Map(places.map((place) => [place, secret.outputSecret(place)]));
const changeScript = p2trScript(addresses.outputKey({ chain: INTERNAL, index: 9 }));
const recipient = p2trScript(addresses.outputKey({ chain: EXTERNAL, index: 77 }));

function coinsOf(values: readonly bigint[]): SpendableCoin[] {
  return values.map((value, index) => ({
    prevout: { txid: (index + 1).toString(16).padStart(64, '0') as Txid, vout: index },
    value,
    scriptPubKey: scripts[index % scripts.length] as Uint8Array,
    place: places[index % places.length] as (typeof places)[number],
  }));
}

function build(values: readonly bigint[], payment: bigint, seed: number, feeRate = 2000n) {
  const random = seededRandomness(seed);
  const selection = selectCoins({ coins: coinsOf(values), payments: [payment], feeRate }, random);
  if (!selection.ok) return undefined;
  const plan = planTransaction(selection.value, [{ value: payment, scriptPubKey: recipient }], changeScript, random);
  const tx = signTransaction(plan, (place) => secrets.get(place as (typeof places)[number]) as Uint8Array, random);
  return { plan, tx, selection: selection.value };
}

/** The coins as consensus wants them, in the order of the inputs. */
function spentCoins(plan: { readonly coins: readonly SpendableCoin[] }): Coin[] {
  return plan.coins.map(({ value, scriptPubKey }) => ({ value, scriptPubKey, height: 1, coinbase: false }));
}

const values = fc.array(fc.bigInt({ min: 1000n, max: 10_000_000n }), { minLength: 1, maxLength: 6 });

describe('a built transaction', () => {
  test('passes every rule, and its signatures hold', () => {
    fc.assert(
      fc.property(values, fc.bigInt({ min: DUST_LIMIT, max: 8_000_000n }), fc.nat(), (amounts, payment, seed) => {
        const built = build(amounts, payment, seed);
        if (built === undefined) return;
        const { plan, tx, selection } = built;
        expect([checkTransaction(tx), checkSubset(tx)]).toEqual([null, null]);
        expect(checkInputs(tx, spentCoins(plan), 300)).toEqual({ ok: true, value: selection.fee });
        const checks = signatureChecks(tx, spentCoins(plan));
        expect(checks.ok && firstFailure(checks.value)).toBe(-1);
        expect(vsizeOf(tx)).toBe(plan.vsize);
        const paid = tx.outputs.filter(({ scriptPubKey }) => scriptPubKey === recipient);
        expect(paid.map(({ value }) => value)).toEqual([payment]);
        const change = plan.changeIndex === undefined ? undefined : tx.outputs[plan.changeIndex];
        expect(change?.value ?? 0n).toBe(selection.change);
        expect(change === undefined || change.scriptPubKey === changeScript).toBe(true);
      }),
      { seed: 5, numRuns: 25 },
    );
  });

  test('a changed output breaks every signature', () => {
    const built = build([5_000_000n, 4_000_000n], 7_000_000n, 1);
    if (built === undefined) throw new Error('the coins suffice');
    const outputs = built.tx.outputs.map((output, index) =>
      index === 0 ? { ...output, value: output.value - 1n } : output,
    );
    const checks = signatureChecks(makeTransaction({ ...built.tx, outputs }), spentCoins(built.plan));
    expect(checks.ok && firstFailure(checks.value)).toBe(0);
  });

  test('is never the same one twice, although everything in it is', () => {
    // One coin and one output: two wallets with the same keys can choose nothing else.
    const ids = Array.from({ length: 50 }, (_, seed) => build([100_000n], 99_778n, seed));
    expect(ids.map((built) => built?.plan.changeIndex)).toEqual(ids.map(() => undefined));
    expect(new Set(ids.map((built) => built?.tx.txid)).size).toBe(50);
  });

  test('is decoded by @scure/btc-signer to the same fields', () => {
    const built = build([5_000_000n, 4_000_000n, 123_456n], 8_000_000n, 3);
    if (built === undefined) throw new Error('the coins suffice');
    const { tx, plan } = built;
    const other = LibraryTransaction.fromRaw(encodeTransaction(tx));
    expect([other.id, other.vsize]).toEqual([tx.txid, plan.vsize]);
    expect(bytesToHex(other.toBytes(true, true))).toBe(bytesToHex(encodeTransaction(tx)));
    expect(other.inputsLength).toBe(tx.inputs.length);
    for (const [index, { prevout }] of tx.inputs.entries()) {
      const input = other.getInput(index);
      expect([bytesToHex(input.txid as Uint8Array), input.index]).toEqual([prevout.txid, prevout.vout]);
      // It locks nothing (BIP 68) and may be replaced (BIP 125).
      expect(input.sequence).toBeGreaterThanOrEqual(0x80000000);
      expect(input.sequence).toBeLessThanOrEqual(0xfffffffd);
    }
    const network = { bech32: regtest.hrp, pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef };
    const paidTo = Array.from({ length: other.outputsLength }, (_, index) => other.getOutputAddress(index, network));
    expect(paidTo).toContain(encodeAddress(recipient.subarray(2), regtest.hrp));
    expect(decodeAddress(paidTo[0] as string, regtest).ok).toBe(true);
  });

  test('what it signs is the message that @scure/btc-signer computes', () => {
    const library = new LibraryTransaction();
    const built = build([5_000_000n], 1_000_000n, 4);
    if (built === undefined) throw new Error('the coin suffices');
    const { tx, plan } = built;
    for (const { prevout, scriptPubKey, value } of plan.coins) {
      library.addInput({
        txid: prevout.txid,
        index: prevout.vout,
        sequence: tx.inputs[0]?.sequence as number,
        witnessUtxo: { script: scriptPubKey, amount: value },
      });
    }
    for (const { value, scriptPubKey } of tx.outputs) library.addOutput({ script: scriptPubKey, amount: value });
    const digest = library.preimageWitnessV1(
      0,
      plan.coins.map(({ scriptPubKey }) => scriptPubKey),
      SigHash.DEFAULT,
      plan.coins.map(({ value }) => value),
    );
    const checks = signatureChecks(tx, spentCoins(plan));
    expect(checks.ok && bytesToHex(checks.value.subarray(32, 64))).toBe(bytesToHex(digest));
  });

  test('the same seed gives the same bytes, another one another order or signature', () => {
    const bytes = (seed: number) => {
      const built = build([5_000_000n, 4_000_000n, 3_000_000n], 9_500_000n, seed);
      return built === undefined ? '' : bytesToHex(encodeTransaction(built.tx));
    };
    expect(bytes(1)).toBe(bytes(1));
    expect(bytes(1)).not.toBe(bytes(2));
  });

  test('neither the payment nor the change is always first', () => {
    const places = new Set<number | undefined>();
    for (let seed = 0; seed < 12; seed++) {
      const random = seededRandomness(seed);
      const selection = selectCoins({ coins: coinsOf([5_000_000n]), payments: [1_000_000n], feeRate: 2000n }, random);
      if (!selection.ok) throw new Error('the coin suffices');
      const payments = [{ value: 1_000_000n, scriptPubKey: recipient }];
      places.add(planTransaction(selection.value, payments, changeScript, random).changeIndex);
    }
    expect([...places].sort()).toEqual([0, 1]);
  });
});
