/** BIP 341 messages and digests, by the published vectors: all seven hash types with every intermediate value. */

import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { decode } from '../../consensus/codec.ts';
import { isHashType, SighashCache } from '../../consensus/sighash.ts';
import { signSchnorr, verifySchnorr } from '../../consensus/signature.ts';
import { readTransaction, type Transaction } from '../../consensus/transaction.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';
import { readKeyPathVectors } from '../support/vectors.ts';

function transaction(hex: string): Transaction {
  const decoded = decode(hexToBytes(hex), readTransaction);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded.value;
}

describe.each(readKeyPathVectors())('$source', ({ cases }) => {
  test('every one of the seven hash types occurs', () => {
    const types = new Set(cases.flatMap(({ inputs }) => inputs.map(({ hashType }) => hashType)));
    expect([...types].sort((a, b) => a - b)).toEqual([0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83]);
  });

  describe.each(cases)('transaction $#', ({ unsignedTx, spent, midstates, inputs }) => {
    const coins = spent.map(({ script, value }) => ({ value: BigInt(value), scriptPubKey: hexToBytes(script) }));
    const cache = new SighashCache(transaction(unsignedTx), coins);

    test('the hashes that all inputs share', () => {
      const shared = cache.midstates;
      expect({
        prevouts: bytesToHex(shared.prevouts),
        amounts: bytesToHex(shared.amounts),
        scriptPubKeys: bytesToHex(shared.scriptPubKeys),
        sequences: bytesToHex(shared.sequences),
        outputs: bytesToHex(shared.outputs),
      }).toEqual(midstates);
    });

    test.each(inputs)('input $index with hash type $hashType', (input) => {
      expect(bytesToHex(cache.message(input.index, input.hashType))).toBe(input.message);
      const digest = cache.digest(input.index, input.hashType);
      expect(bytesToHex(digest)).toBe(input.sighash);
      const signature = hexToBytes(input.witness.slice(0, 128));
      expect(verifySchnorr(coins[input.index]?.scriptPubKey.subarray(2) as Uint8Array, digest, signature)).toBe(true);
      const made = bytesToHex(signSchnorr(hexToBytes(input.tweakedSecret), digest, new Uint8Array(32)));
      const type = input.hashType === 0 ? '' : input.hashType.toString(16).padStart(2, '0');
      expect(made + type).toBe(input.witness);
    });
  });
});

describe('hash types', () => {
  test('exactly seven bytes are hash types', () => {
    const types = Array.from({ length: 256 }, (_, type) => type).filter(isHashType);
    expect(types).toEqual([0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83]);
  });

  const parent = spend([], [pay(testKey(1), 5000n), pay(testKey(2), 7000n)]);
  const from = [outputOf(parent, 0, testKey(1)), outputOf(parent, 1, testKey(2))];
  const tx = spend(from, [pay(testKey(3), 4000n)]);

  test('SINGLE without an output at the same index, other types and a missing coin are bugs of the caller', () => {
    const cache = new SighashCache(tx, from);
    expect(() => cache.digest(1, 0x03)).toThrow('SINGLE');
    expect(() => cache.digest(0, 0x04)).toThrow('hash type');
    expect(() => new SighashCache(tx, from.slice(1))).toThrow('spent output');
  });

  // What each type leaves open (BIP 341): the digest of input 0 must not change with it, and must change with all else.
  const open: Record<number, readonly string[]> = {
    0: [],
    1: [],
    2: ['other output', 'outputs'],
    3: ['other output'],
    129: ['other input'],
    130: ['other input', 'other output', 'outputs'],
    131: ['other input', 'other output'],
  };
  const two = spend(from, [pay(testKey(3), 4000n), pay(testKey(4), 100n)]);
  const otherInput = { ...two, inputs: two.inputs.map((input, i) => (i === 1 ? { ...input, sequence: 7 } : input)) };
  const otherOutput = {
    ...two,
    outputs: two.outputs.map((output, i) => (i === 1 ? { ...output, value: 1n } : output)),
  };
  const outputs = { ...two, outputs: two.outputs.map((output, i) => (i === 0 ? { ...output, value: 1n } : output)) };
  const variants: Record<string, Transaction> = {
    'other input': otherInput,
    'other output': otherOutput,
    outputs,
    version: { ...two, version: 1 },
    'lock time': { ...two, lockTime: 1 },
  };

  test.each(Object.keys(open).map(Number))('type %i signs what BIP 341 says', (type) => {
    const digest = (of: Transaction) => bytesToHex(new SighashCache(of, from).digest(0, type));
    const unchanged = Object.keys(variants).filter((name) => digest(variants[name] as Transaction) === digest(two));
    expect(unchanged.sort()).toEqual(open[type]);
  });
});
