/** Which numbers are the x of a point of secp256k1. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { xOnlyPublicKey } from '../../../consensus/signature.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { isCurveX } from '../../../node/rpc/curve.ts';

const P = 2n ** 256n - 2n ** 32n - 977n;
const key = (x: bigint) => hexToBytes(x.toString(16).padStart(64, '0'));

/** The definition, by Euler's criterion: slow and plain. */
function isSquare(value: bigint): boolean {
  let [result, base, exponent] = [1n, value % P, (P - 1n) / 2n];
  for (; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % P;
    base = (base * base) % P;
  }
  return result <= 1n;
}

describe('isCurveX', () => {
  test('agrees with the definition at both ends of the field, at powers of two and by chance', () => {
    const random = new SeededRandom('curve');
    const numbers = Array.from({ length: 100 }, (_, i) => BigInt(i));
    for (let bit = 8n; bit < 256n; bit++) numbers.push(2n ** bit - 1n, 2n ** bit);
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from({ length: 32 }, () => below(random, 256));
      numbers.push(BigInt(`0x${bytesToHex(bytes)}`) >> BigInt(below(random, 256)));
    }
    for (const x of numbers) {
      for (const candidate of [x % P, P - 1n - (x % P)]) {
        expect([candidate, isCurveX(key(candidate))]).toEqual([candidate, isSquare(candidate ** 3n + 7n)]);
      }
    }
  });

  test('is true of public keys', () => {
    for (let i = 1; i <= 20; i++) expect(isCurveX(xOnlyPublicKey(new Uint8Array(32).fill(i)))).toBe(true);
  });

  test('is false from the prime of the field on', () => {
    expect(isCurveX(key(P + 1n))).toBe(false); // As 1 it would be one.
    expect(isCurveX(key(1n))).toBe(true);
    expect(isCurveX(key(P))).toBe(false);
    expect(isCurveX(key(2n ** 256n - 1n))).toBe(false);
  });
});
