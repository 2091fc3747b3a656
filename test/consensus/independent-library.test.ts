/** Transactions that an independent library builds and signs: our code must read them the same way and accept them. */

import { describe, expect, test } from '@jest/globals';
import { Transaction as OtherTransaction, OutScript, p2tr, SigHash } from '@scure/btc-signer';
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { decodeAddress, scriptAddress } from '../../consensus/address.ts';
import { checkInputs, checkSubset, checkTransaction, signatureChecks } from '../../consensus/check-transaction.ts';
import { decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { SighashCache } from '../../consensus/sighash.ts';
import { tweakPublicKey, tweakSecretKey, xOnlyPublicKey } from '../../consensus/signature.ts';
import {
  type Coin,
  encodeTransaction,
  readTransaction,
  type Transaction,
  vsizeOf,
} from '../../consensus/transaction.ts';
import { testKey } from '../support/chain-builder.ts';
import { firstFailure } from '../support/judge.ts';

const network = { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef };
const types = [
  SigHash.DEFAULT,
  SigHash.ALL,
  SigHash.NONE,
  SigHash.SINGLE,
  SigHash.ALL_ANYONECANPAY,
  SigHash.NONE_ANYONECANPAY,
  SigHash.SINGLE_ANYONECANPAY,
];

interface Plan {
  readonly inputs: readonly {
    readonly key: number;
    readonly type: number;
    readonly value: bigint;
    readonly sequence: number;
  }[];
  readonly outputs: readonly number[];
  readonly version: number;
  readonly lockTime: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  inputs: fc.array(
    fc.record({
      key: fc.integer({ min: 1, max: 5 }),
      type: fc.constantFrom(...types),
      value: fc.bigInt({ min: 2000n, max: 10_000_000n }),
      sequence: fc.integer({ min: 0, max: 0xffffffff }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  // As many outputs as inputs at least, which SINGLE needs.
  outputs: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 3, maxLength: 4 }),
  version: fc.constantFrom(1, 2),
  lockTime: fc.integer({ min: 0, max: 0xffffffff }),
});

function build({ inputs, outputs, version, lockTime }: Plan): { other: OtherTransaction; coins: Coin[] } {
  const other = new OtherTransaction({ version, lockTime });
  const coins = inputs.map(({ key, type, value, sequence }, index) => {
    const { script, tapInternalKey } = p2tr(testKey(key).publicKey, undefined, network);
    const txid = Uint8Array.from({ length: 32 }, (_, i) => i + index);
    other.addInput({
      txid,
      index,
      sequence,
      witnessUtxo: { script, amount: value },
      tapInternalKey,
      sighashType: type,
    });
    return { value, scriptPubKey: script, height: 1, coinbase: false };
  });
  for (const key of outputs)
    other.addOutputAddress(p2tr(testKey(key).publicKey, undefined, network).address as string, 500n, network);
  for (const [index, { key, type }] of inputs.entries())
    other.signIdx(testKey(key).secret, index, [type], new Uint8Array(32));
  other.finalize();
  return { other, coins };
}

function read(bytes: Uint8Array): Transaction {
  const decoded = decode(bytes, readTransaction);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded.value;
}

describe('a transaction of @scure/btc-signer', () => {
  test('has the same bytes, ids and size here, and is accepted', () => {
    fc.assert(
      fc.property(plan, (value) => {
        const { other, coins } = build(value);
        const tx = read(other.extract());
        expect(bytesToHex(encodeTransaction(tx))).toBe(other.hex);
        expect({ txid: tx.txid, vsize: vsizeOf(tx) }).toEqual({ txid: other.id, vsize: other.vsize });
        expect(checkTransaction(tx) ?? checkSubset(tx)).toBeNull();
        const paid = value.inputs.reduce((sum, input) => sum + input.value, 0n);
        expect(checkInputs(tx, coins, 2)).toEqual({ ok: true, value: paid - 500n * BigInt(value.outputs.length) });
        const checks = signatureChecks(tx, coins);
        expect(checks.ok && firstFailure(checks.value)).toBe(-1);
      }),
      { seed: 1, numRuns: 12 },
    );
  });

  test('has the same digests for every hash type', () => {
    fc.assert(
      fc.property(plan, (value) => {
        const { other, coins } = build(value);
        const ours = new SighashCache(read(other.extract()), coins);
        for (const [index] of value.inputs.entries()) {
          for (const type of types) {
            const theirs = other.preimageWitnessV1(
              index,
              coins.map(({ scriptPubKey }) => scriptPubKey),
              type,
              coins.map((coin) => coin.value),
            );
            expect(bytesToHex(ours.digest(index, type))).toBe(bytesToHex(theirs));
          }
        }
      }),
      { seed: 2, numRuns: 8 },
    );
  });

  test('is refused when any amount or script that it spends is another', () => {
    const { other, coins } = build({
      inputs: [1, 2].map((key) => ({ key, type: SigHash.DEFAULT, value: 5000n, sequence: 0 })),
      outputs: [3, 4, 5],
      version: 2,
      lockTime: 0,
    });
    const tx = read(other.extract());
    const swapped = signatureChecks(tx, coins.toReversed());
    expect(swapped.ok && firstFailure(swapped.value)).toBe(0);
  });
});

describe('an address of @scure/btc-signer', () => {
  test('is ours, and the key behind it is tweaked the same way', () => {
    for (let number = 1; number <= 5; number++) {
      const { publicKey, secret } = testKey(number);
      const { address, script } = p2tr(publicKey, undefined, network);
      expect(scriptAddress(script, regtest)).toBe(address);
      expect(decodeAddress(address as string, regtest)).toEqual({ ok: true, value: script });
      const output = tweakPublicKey(publicKey);
      expect(output.ok && bytesToHex(output.value)).toBe(bytesToHex(script.subarray(2)));
      expect(bytesToHex(xOnlyPublicKey(tweakSecretKey(secret)))).toBe(bytesToHex(script.subarray(2)));
      expect(OutScript.decode(script).type).toBe('tr');
    }
  });
});
