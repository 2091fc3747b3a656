/** BIP 340 signatures and BIP 341 key tweaks, by the published vectors. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress, p2trScript } from '../../consensus/address.ts';
import type { Result } from '../../consensus/brand.ts';
import {
  signSchnorr,
  taggedHash,
  tweakPublicKey,
  tweakSecretKey,
  verifySchnorr,
  xOnlyPublicKey,
} from '../../consensus/signature.ts';
import {
  readDerivationVectors,
  readKeyPathVectors,
  readOutputKeyVectors,
  readSchnorrVectors,
} from '../support/vectors.ts';

const root = (hex: string | null) => (hex === null ? undefined : hexToBytes(hex));

function hexOf(result: Result<Uint8Array, string>): string {
  if (!result.ok) throw new Error(result.error);
  return bytesToHex(result.value);
}

describe.each(readSchnorrVectors())('$source', ({ cases }) => {
  test.each(cases)('$name: the signature is judged right', ({ publicKey, message, signature, valid }) => {
    expect(verifySchnorr(hexToBytes(publicKey), hexToBytes(message), hexToBytes(signature))).toBe(valid);
  });

  test.each(cases.filter(({ secret }) => secret !== undefined))('$name: the same signature is made', (row) => {
    const secret = hexToBytes(row.secret as string);
    expect(bytesToHex(xOnlyPublicKey(secret))).toBe(row.publicKey);
    expect(bytesToHex(signSchnorr(secret, hexToBytes(row.message), hexToBytes(row.aux as string)))).toBe(row.signature);
  });
});

describe.each(readOutputKeyVectors())('$source', ({ cases }) => {
  test.each(cases)(
    '$internalKey becomes $outputKey',
    ({ internalKey, merkleRoot, tweak, outputKey, script, address }) => {
      const key = hexToBytes(internalKey);
      expect(bytesToHex(taggedHash('TapTweak', key, root(merkleRoot) ?? new Uint8Array(0)))).toBe(tweak);
      expect(hexOf(tweakPublicKey(key, root(merkleRoot)))).toBe(outputKey);
      expect(bytesToHex(p2trScript(hexToBytes(outputKey)))).toBe(script);
      expect(encodeAddress(hexToBytes(outputKey), 'bc')).toBe(address);
    },
  );
});

describe.each(readKeyPathVectors())('$source', ({ cases }) => {
  test.each(cases.flatMap(({ inputs }) => inputs))('the secret key of input $index is tweaked', (input) => {
    expect(bytesToHex(tweakSecretKey(hexToBytes(input.secret), root(input.merkleRoot)))).toBe(input.tweakedSecret);
  });
});

describe('key tweaks', () => {
  test.each(readDerivationVectors().cases)('BIP 86 $path: the output key commits to no script', (row) => {
    expect(hexOf(tweakPublicKey(hexToBytes(row.internalKey)))).toBe(row.outputKey);
  });

  test('the tweaked secret key signs for the tweaked public key', () => {
    fc.assert(
      fc.property(
        fc
          .uint8Array({ minLength: 32, maxLength: 32 })
          .map((bytes) => bytes.map((byte, i) => (i === 0 ? byte & 0x7f : byte))),
        fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined }),
        (secret, tree) => {
          fc.pre(secret.some((byte) => byte !== 0));
          const output = hexOf(tweakPublicKey(xOnlyPublicKey(secret), tree));
          expect(bytesToHex(xOnlyPublicKey(tweakSecretKey(secret, tree)))).toBe(output);
        },
      ),
      { seed: 1, numRuns: 20 },
    );
  });

  test('an internal key that is no point of the curve has no output key', () => {
    expect(tweakPublicKey(new Uint8Array(32).fill(0xff))).toMatchObject({ ok: false });
    expect(tweakPublicKey(hexToBytes('eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34')).ok).toBe(
      false,
    );
    expect(tweakPublicKey(new Uint8Array(31)).ok).toBe(false);
  });

  test('a secret key of zero or of the order of the group is refused', () => {
    const order = hexToBytes('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    for (const secret of [new Uint8Array(32), order]) {
      expect(() => xOnlyPublicKey(secret)).toThrow();
      expect(() => tweakSecretKey(secret)).toThrow();
      expect(() => signSchnorr(secret, new Uint8Array(32), new Uint8Array(32))).toThrow();
    }
  });
});

test('one flipped bit anywhere in key, message or signature is noticed', () => {
  const secret = new Uint8Array(32).fill(3);
  const message = new Uint8Array(32).fill(5);
  const signature = signSchnorr(secret, message, new Uint8Array(32));
  const check = Uint8Array.of(...xOnlyPublicKey(secret), ...message, ...signature);
  const verify = (bytes: Uint8Array) => verifySchnorr(bytes.slice(0, 32), bytes.slice(32, 64), bytes.slice(64));
  expect(verify(check)).toBe(true);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1023 }), (bit) => {
      const broken = check.slice();
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(verify(broken)).toBe(false);
    }),
    { seed: 1, numRuns: 60 },
  );
});
