/** The adapter to the format of PSBTs: what is damaged is refused as data, and what is foreign is kept. */
import { describe, expect, test } from '@jest/globals';
import { Transaction as Draft } from '@scure/btc-signer';
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { makeTransaction } from '../../consensus/transaction.ts';
import { planTransaction } from '../../wallet/build-transaction.ts';
import { accountDescriptor, EXTERNAL, INTERNAL } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import type { Wallet } from '../../wallet/keystore.ts';
import { makePsbt, originOf, Psbt, parsePath } from '../../wallet/psbt.ts';
import { seededRandomness } from './seeded-randomness.ts';

const { publicKey } = new AccountSecret(new Uint8Array(16).fill(1), regtest);
const descriptor = accountDescriptor(publicKey);
const wallet = { path: '', params: regtest, devnet: false, watchOnly: true, descriptor } as unknown as Wallet;
const addresses = (() => {
  const opened = AccountAddresses.fromDescriptor(descriptor, regtest);
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
})();
const changePlace = { chain: INTERNAL, index: 7 } as const;
const coins = [3, 4].map((index) => {
  const place = { chain: EXTERNAL, index } as const;
  const prevout = { txid: index.toString(16).padStart(64, '0') as never, vout: index };
  return { prevout, value: 10_000n, scriptPubKey: p2trScript(addresses.outputKey(place)), place };
});
const plan = planTransaction(
  { coins, change: 5000n, fee: 1000n, vsize: 211 },
  [{ value: 14_000n, scriptPubKey: p2trScript(new Uint8Array(32).fill(7)) }],
  p2trScript(addresses.outputKey(changePlace)),
  seededRandomness(1),
);
const bytes = makePsbt(plan, changePlace, wallet);

function read(psbt: Uint8Array): Psbt {
  const result = Psbt.read(psbt);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe('a PSBT of ours', () => {
  test('holds the transaction, its coins, and where the keys of coins and change come from', () => {
    const psbt = read(bytes);
    expect(makeTransaction(psbt.fields).txid).toBe(makeTransaction(plan.fields).txid);
    expect(psbt.inputs.map(({ prevout, spent }) => [prevout, spent?.value])).toEqual(
      plan.coins.map(({ prevout, value }) => [prevout, value]),
    );
    for (const [index, { origins }] of psbt.inputs.entries()) {
      const place = plan.coins[index]?.place as (typeof coins)[number]['place'];
      expect(origins).toEqual([originOf(wallet, place)]);
    }
    expect(psbt.outputOrigins(plan.changeIndex as number)).toEqual([originOf(wallet, changePlace)]);
    expect(psbt.outputOrigins(1 - (plan.changeIndex as number))).toEqual([]);
    expect(originOf(wallet, changePlace)).toEqual({
      fingerprint: publicKey.fingerprint,
      path: [...parsePath('86h/1h/0h'), 1, 7],
    });
  });

  test('keeps the fields of others through reading, signing and writing', () => {
    const draft = Draft.fromPSBT(bytes, { unknown: 'ignore' });
    const key = { type: 0xef, key: Uint8Array.of(1, 2) };
    draft.updateInput(0, { unknown: [[key, Uint8Array.of(3)]] });
    const psbt = read(draft.toPSBT(0));
    psbt.sign(0, new Uint8Array(64).fill(9));
    const again = Draft.fromPSBT(psbt.encode(), { unknown: 'ignore' });
    expect(again.getInput(0).unknown).toEqual([[key, Uint8Array.of(3)]]);
    expect(again.getInput(0).tapKeySig).toEqual(new Uint8Array(64).fill(9));
  });
});

describe('a damaged PSBT', () => {
  test('is refused as data wherever it is cut', () => {
    for (let length = 0; length < bytes.length; length += 3)
      expect(Psbt.read(bytes.subarray(0, length)).ok).toBe(false);
  });

  test('of whatever bytes never throws, and what is read can be used', () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = bytes.slice();
        damaged[at] = (damaged[at] as number) ^ flip;
        const result = Psbt.read(damaged);
        if (result.ok) expect(bytesToHex(result.value.encode()).length).toBeGreaterThan(0);
      }),
      { seed: 30, numRuns: 400 },
    );
  });

  test('whose coin is another than that of the transaction that it comes with is refused', () => {
    const earlier = new Draft();
    earlier.addInput({ txid: '11'.repeat(32), index: 0 });
    earlier.addOutput({ script: coins[0]?.scriptPubKey as Uint8Array, amount: 10_000n });
    const make = (amount: bigint, txid = earlier.id) => {
      const draft = new Draft({ disableScriptCheck: true });
      const script = coins[0]?.scriptPubKey as Uint8Array;
      draft.addInput({ txid, index: 0, witnessUtxo: { script, amount } });
      draft.addOutput({ script, amount: 1000n });
      draft.updateInput(0, { nonWitnessUtxo: earlier.unsignedTx });
      return draft.toPSBT(0);
    };
    expect(read(make(10_000n)).inputs[0]?.spent?.value).toBe(10_000n);
    expect(() => read(make(9_000n))).toThrow();
  });
});
