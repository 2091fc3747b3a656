/** The signature backends against the published vectors and, on ten thousand seeded checks, against noble. */
import { describe, expect, test } from '@jest/globals';
import { hexToBytes } from '#hash';
import type { Bytes } from '../../../consensus/brand.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { type Backend, backendNames } from '../../../node/verify/backend.ts';
import { loadBackend } from '../../../node/verify/choose-backend.ts';
import { nobleBackend } from '../../../node/verify/noble.ts';
import { passesSelfTest, selfTestVectors } from '../../../node/verify/self-test.ts';
import { loadSystemBackend } from '../../../node/verify/system.ts';
import { verifyChecks } from '../../../node/verify/verify-checks.ts';
import { readSchnorrVectors } from '../../support/vectors.ts';
import { holding, seededChecks } from './seeded-checks.ts';

const loaded = backendNames.flatMap((name) => {
  const backend = loadBackend(name);
  return backend.ok ? [backend.value] : [];
});
// The published file also has messages of other lengths, which a transaction never signs.
const vectors = readSchnorrVectors().flatMap((file) => file.cases.filter(({ message }) => message.length === 64));

test('WebAssembly and noble load everywhere, native where its package has a binary', () => {
  const names = loaded.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['wasm', 'noble']));
  if (['linux-x64', 'darwin-arm64', 'win32-x64'].includes(`${process.platform}-${process.arch}`)) {
    expect(names).toContain('native');
  }
});

describe.each(loaded)('the $name backend', (backend: Backend) => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))('judges vector %s of BIP 340', (_name, vector) => {
    const parts = [vector.publicKey, vector.message, vector.signature].map(hexToBytes) as [Bytes, Bytes, Bytes];
    expect(backend.verify(...parts)).toBe(vector.valid);
    expect(verifyChecks(concatBytes(...parts), backend)).toBe(vector.valid ? null : 0);
  });
});

describe('ten thousand seeded checks', () => {
  const checks = seededChecks('backends');
  const verdicts = checks.map(({ key, message, signature }) => nobleBackend.verify(key, message, signature));

  test('are judged by noble as they were made', () => {
    expect(checks).toHaveLength(10_000);
    const surprises = checks.filter(({ kind }, i) => verdicts[i] !== holding.includes(kind));
    expect(surprises).toEqual([]);
  });

  test.each(loaded.filter(({ name }) => name !== 'noble'))('are judged by $name as by noble', (backend: Backend) => {
    const differences = checks.filter(
      ({ key, message, signature }, i) => backend.verify(key, message, signature) !== verdicts[i],
    );
    expect(differences).toEqual([]);
  });
});

describe('the self-test', () => {
  const passes = (verify: Backend['verify']) => passesSelfTest({ name: 'native', library: 'a test', verify });

  test('is made of published vectors', () => {
    for (const [number, { key, message, signature, holds }] of Object.entries(selfTestVectors)) {
      const published = vectors.find(({ name }) => name.split(':')[0] === number);
      expect(published).toMatchObject({ publicKey: key, message, signature, valid: holds });
    }
  });

  test('passes noble, and nothing that always agrees, never agrees or throws', () => {
    expect(passesSelfTest(nobleBackend)).toBe(true);
    expect(passes(() => true)).toBe(false);
    expect(passes(() => false)).toBe(false);
    expect(
      passes(() => {
        throw new Error('no');
      }),
    ).toBe(false);
  });
});

describe('the system backend', () => {
  const why = (...files: string[]) => {
    const backend = loadSystemBackend(files);
    return backend.ok ? '' : backend.error;
  };

  test('says why it does not load: no such library, or one that is no libsecp256k1', () => {
    if (why('libnone.so.1').includes('koffi')) return; // An optional dependency.
    expect(why('libnone.so.1', 'libnone.so.0')).toBe('no libsecp256k1 is installed (libnone.so.1, libnone.so.0)');
    const other = { linux: 'libc.so.6', darwin: 'libSystem.B.dylib', win32: 'kernel32.dll' }[
      process.platform as string
    ];
    if (other !== undefined) expect(why(other, 'libnone.so.0')).toContain(`${other} is too old, or was built without`);
  });
});
