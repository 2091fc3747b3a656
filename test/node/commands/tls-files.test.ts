/** The files of TLS: what is wrong with them is said before a node starts. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CliError } from '../../../node/commands/cli.ts';
import { readAuthorities, readIdentity } from '../../../node/commands/tls-files.ts';
import {
  AUTHORITY,
  ELSEWHERE,
  ENCRYPTED_KEY,
  EXPIRED,
  LEAF_KEY,
  LOCAL,
  OTHER_KEY,
} from '../../support/certificates.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const NOW = Date.parse('2026-01-01');

function file(text: string): string {
  const path = join(newFolder(), 'file.pem');
  writeFileSync(path, text);
  return path;
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof CliError && error.exit === 2 && error.hint !== undefined) return error.message;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a certificate and its key', () => {
  test('are read, with the chain', () => {
    const { identity, warnings } = readIdentity(file(LOCAL + AUTHORITY), file(LEAF_KEY), ['localhost'], NOW);
    expect(identity).toEqual({ cert: LOCAL + AUTHORITY, key: LEAF_KEY });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['expired', EXPIRED, [], NOW, 'has expired'],
    ['of the future', LOCAL, [], Date.parse('2019-01-01'), 'is not valid yet'],
    ['for another name than the one that is announced', ELSEWHERE, ['node.example'], NOW, 'is not for node.example'],
  ])('that is %s is a warning', (_name, cert, names, now, warning) => {
    const { warnings } = readIdentity(file(cert), file(LEAF_KEY), names, now);
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });

  const missing = () => join(newFolder(), 'missing.pem');
  test.each([
    ['a certificate that is not there', missing, () => file(LEAF_KEY), /--tls-cert: .*missing.pem.*no such file/],
    ['a key that is not there', () => file(LOCAL), missing, /--tls-key: .*missing.pem.*no such file/],
    ['a folder', () => newFolder(), () => file(LEAF_KEY), /--tls-cert: .*cannot be read/],
    ['an empty file', () => file(''), () => file(LEAF_KEY), /--tls-cert: there is no certificate/],
    ['a damaged certificate', () => file(LOCAL.replace('MII', 'AAA')), () => file(LEAF_KEY), /cannot be read/],
    ['a key instead of a certificate', () => file(LEAF_KEY), () => file(LEAF_KEY), /there is no certificate/],
    ['a certificate instead of a key', () => file(LOCAL), () => file(LOCAL), /there is no private key/],
    ['the key of another', () => file(LOCAL), () => file(OTHER_KEY), /is not the key of the certificate/],
    ['a key with a password', () => file(LOCAL), () => file(ENCRYPTED_KEY), /protected by a password/],
    ['a damaged key', () => file(LOCAL), () => file(LEAF_KEY.replace('MIG', 'AAA')), /--tls-cert, --tls-key/],
  ])('refuses %s', (_name, cert, key, message) => {
    expect(refusal(() => readIdentity(cert(), key(), [], NOW))).toMatch(message);
  });

  // Root may read everything.
  const unprivileged = process.platform === 'win32' || process.getuid?.() === 0 ? test.skip : test;
  unprivileged('refuses a key that it may not read', () => {
    const key = file(LEAF_KEY);
    chmodSync(key, 0);
    expect(refusal(() => readIdentity(file(LOCAL), key, [], NOW))).toMatch(/--tls-key: .*EACCES/);
  });
});

describe('authorities', () => {
  test('can be several in one file', () => {
    expect(readAuthorities(file(AUTHORITY + LOCAL))).toBe(AUTHORITY + LOCAL);
  });

  test('that are none, or not there, are refused', () => {
    expect(refusal(() => readAuthorities(file('nothing')))).toMatch(/--tls-ca: there is no certificate/);
    expect(refusal(() => readAuthorities('/nowhere/ca.pem'))).toMatch(/--tls-ca: .*no such file/);
  });
});
