/** Packed checks, what confirms a failure, and which backend is chosen. */
import { describe, expect, test } from '@jest/globals';
import type { Bytes } from '../../../consensus/brand.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { CHECK_SIZE, signSchnorr, xOnlyPublicKey } from '../../../consensus/signature.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type Backend, backendNames, fastBackendNames } from '../../../node/verify/backend.ts';
import { chooseBackend, loadBackend } from '../../../node/verify/choose-backend.ts';
import { verifyChecks } from '../../../node/verify/verify-checks.ts';

function signedChecks(seed: string, count: number): Bytes[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => {
    const secret = random.bytes(32);
    const message = random.bytes(32);
    return concatBytes(xOnlyPublicKey(secret), message, signSchnorr(secret, message, random.bytes(32)));
  });
}

describe('verifyChecks', () => {
  test('answers with the lowest index that fails', () => {
    const checks = signedChecks('order', 6);
    for (const broken of [4, 2]) (checks[broken] as Bytes)[100] = ((checks[broken] as Bytes)[100] ?? 0) ^ 1;
    expect(verifyChecks(concatBytes(...checks))).toBe(2);
  });

  test('answers null when there is nothing to check', () => {
    expect(verifyChecks(new Uint8Array(0))).toBeNull();
  });

  test('does not report a failure that noble does not confirm', () => {
    const doubtful: Backend = { name: 'native', library: 'a test', verify: () => false };
    const checks = signedChecks('doubt', 3);
    expect(verifyChecks(concatBytes(...checks), doubtful)).toBeNull();
    (checks[1] as Bytes)[70] = ((checks[1] as Bytes)[70] ?? 0) ^ 1;
    expect(verifyChecks(concatBytes(...checks), doubtful)).toBe(1);
  });

  test('takes bytes that are no whole number of checks for a bug', () => {
    expect(() => verifyChecks(new Uint8Array(CHECK_SIZE + 1))).toThrow('no whole number of checks');
  });
});

describe('the backend', () => {
  test('is the fastest that loads, unless one is forced', () => {
    const fastest = fastBackendNames.find((name) => loadBackend(name).ok) ?? 'noble';
    expect(chooseBackend('')).toMatchObject({ ok: true, value: { name: fastest } });
    for (const name of backendNames) {
      const loaded = loadBackend(name);
      const choice = chooseBackend(name);
      if (loaded.ok) expect(choice).toMatchObject({ ok: true, value: { name } });
      else expect(choice).toEqual({ ok: false, error: `GRAPEVINE_VERIFY=${name} cannot be used: ${loaded.error}` });
    }
  });

  test('cannot be one that there is not', () => {
    const error = 'GRAPEVINE_VERIFY=gpu is none of system, native, wasm, noble';
    expect(chooseBackend('gpu')).toEqual({ ok: false, error });
  });
});
