/** Wallet files: what they give back, what they refuse, and that no secret stands in them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { accountDescriptor } from '../../wallet/key-place.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import {
  createWallet,
  createWatchWallet,
  decryptSecret,
  plainSecret,
  readWallet,
  STRONG_COST,
  type Wallet,
  writeDevnetWallet,
} from '../../wallet/keystore.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const MNEMONIC = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const WEAK = { n: 2 ** 10, r: 8, p: 1 };
const { publicKey } = new AccountSecret(seedFromMnemonic(MNEMONIC), regtest);
const descriptor = accountDescriptor(publicKey);

let path: string;
let text: string;

beforeAll(async () => {
  path = join(newFolder(), 'wallets', 'savings.json');
  await createWallet(path, 'regtest', publicKey, { mnemonic: MNEMONIC }, 'pässword', WEAK);
  text = readFileSync(path, 'utf8');
});

function opened(at: string): Wallet {
  const wallet = readWallet(at);
  if (wallet === undefined) throw new Error('there is a wallet');
  return wallet;
}

/** A copy of the wallet with another text. */
function copyWith(changed: string, mode = 0o600): string {
  const copy = join(newFolder(), 'copy.json');
  writeFileSync(copy, changed, { mode });
  return copy;
}

describe('an encrypted wallet', () => {
  test('gives its words back for its password, however the letters are composed', async () => {
    expect(await decryptSecret(opened(path), 'pässword')).toEqual({ mnemonic: MNEMONIC });
    expect(await decryptSecret(opened(path), 'pa\u0308ssword')).toEqual({ mnemonic: MNEMONIC });
  });

  test('shows its addresses without a password', () => {
    expect(opened(path)).toMatchObject({ params: regtest, devnet: false, watchOnly: false, descriptor });
    expect(plainSecret(opened(path))).toBeUndefined();
  });

  test('refuses a wrong password and says so', async () => {
    for (const password of ['password', 'pässword ', 'PÄSSWORD', '']) {
      await expect(decryptSecret(opened(path), password)).rejects.toMatchObject({ code: 'wrong-password', exit: 1 });
    }
  });

  test('has no word, no seed and no private key in its file', () => {
    for (const word of MNEMONIC.split(' ')) expect(text).not.toContain(word);
    expect(text).not.toContain(Buffer.from(seedFromMnemonic(MNEMONIC)).toString('hex'));
    expect(text).not.toContain('prv');
  });

  test('is readable by its owner only, in a folder of its owner, and leaves no other file', () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(readdirSync(dirname(path))).toEqual(['savings.json']);
  });

  test('never replaces another one', async () => {
    const again = createWallet(path, 'regtest', publicKey, { mnemonic: MNEMONIC }, 'other', WEAK);
    await expect(again).rejects.toMatchObject({ code: 'usage', exit: 2 });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('is refused while others can read it, and works again when they cannot', () => {
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      chmodSync(path, mode);
      expect(() => readWallet(path)).toThrow(expect.objectContaining({ code: 'wallet-permissions', exit: 1 }));
    }
    chmodSync(path, 0o600);
    expect(opened(path).descriptor).toEqual(descriptor);
  });

  test('names its damage wherever a character changed, and does not blame the password', () => {
    const { length } = text;
    for (let at = 3; at < length - 4; at += 37) {
      const character = text[at] === 'a' ? 'b' : 'a';
      if (text[at] === ' ' || text[at] === '\n') continue;
      const damaged = copyWith(text.slice(0, at) + character + text.slice(at + 1));
      expect(() => readWallet(damaged)).toThrow(expect.objectContaining({ code: 'wallet-damaged' }));
    }
    for (const cut of ['', '{', 'null', '[]', '"x"', text.slice(0, length / 2)]) {
      expect(() => readWallet(copyWith(cut))).toThrow(expect.objectContaining({ code: 'wallet-damaged' }));
    }
  });

  test('of another format version or network is named as such', () => {
    expect(() => readWallet(copyWith(text.replace('"version": 2', '"version": 3')))).toThrow(/newer grapevine/);
  });

  test('that asks for gigabytes of memory is refused', () => {
    const { checksum: _, ...body } = JSON.parse(text) as Record<string, unknown> & { secret: object };
    const greedy = { ...body, secret: { ...body['secret'], n: 2 ** 30 } };
    const checksum = createHash('sha256').update(JSON.stringify(greedy)).digest('hex');
    const read = () => readWallet(copyWith(JSON.stringify({ ...greedy, checksum })));
    expect(read).toThrow(expect.objectContaining({ code: 'wallet-damaged' }));
  });

  test('whose public key was exchanged does not open: all of the file is authenticated', async () => {
    const { checksum: _, ...body } = JSON.parse(text) as Record<string, unknown>;
    const other = new AccountSecret(seedFromMnemonic('zoo'), regtest).publicKey;
    const forged = { ...body, xpub: other.xpub };
    const checksum = createHash('sha256').update(JSON.stringify(forged)).digest('hex');
    const wallet = opened(copyWith(JSON.stringify({ ...forged, checksum })));
    await expect(decryptSecret(wallet, 'pässword')).rejects.toMatchObject({ code: 'wrong-password' });
  });

  test('that is not there is no error', () => {
    expect(readWallet(join(newFolder(), 'none.json'))).toBeUndefined();
  });

  test('costs a guess 128 MB unless a test says otherwise', () => {
    expect(128 * STRONG_COST.n * STRONG_COST.r).toBe(2 ** 27);
  });
});

describe('damage is named', () => {
  const body = () => {
    const { checksum: _, ...rest } = JSON.parse(text) as Record<string, unknown> & { secret: Record<string, unknown> };
    return rest as Record<string, unknown> & { secret: Record<string, unknown> };
  };
  const sealed = (changed: object) =>
    JSON.stringify({ ...changed, checksum: createHash('sha256').update(JSON.stringify(changed)).digest('hex') });

  test.each<[string, () => string]>([
    ['it is empty', () => ''],
    ['its 200 characters are no JSON: it was cut or overwritten', () => text.slice(0, 200)],
    ['it is no wallet file', () => '{"format":"something else"}'],
    ['its checksum does not match: some of it was changed', () => text.replace('regtest', 'regtesT')],
    ['it has more than 100000 bytes', () => `${text}${' '.repeat(100_000)}`],
    ['"version" is not what it should be', () => sealed({ ...body(), version: 'two' })],
    ['"devnet" is not what it should be', () => sealed({ ...body(), devnet: 'no' })],
    ['"xpub" is not what it should be', () => sealed({ ...body(), xpub: 1 })],
    ['"secret" is not what it should be', () => sealed({ ...body(), secret: null })],
    ['"descriptor" is not what it should be', () => sealed({ ...body(), descriptor: 'tr(…)' })],
    ['"descriptor" is not what it should be', () => sealed({ ...body(), descriptor: { ...descriptor, chains: [] } })],
    ['"secret" is not what it should be', () => sealed({ ...body(), secret: { mnemonic: MNEMONIC } })],
    ['"salt" is not what it should be', () => sealed({ ...body(), secret: { ...body().secret, salt: 'xyz' } })],
    ['"kdf" is not what it should be', () => sealed({ ...body(), secret: { ...body().secret, n: 1000 } })],
    ['"nonce" is not what it should be', () => sealed({ ...body(), secret: { ...body().secret, nonce: '00' } })],
    ['"cipher" is not what it should be', () => sealed({ ...body(), secret: { ...body().secret, cipher: 'none' } })],
    [
      '"ciphertext" is not what it should be',
      () => sealed({ ...body(), secret: { ...body().secret, ciphertext: '' } }),
    ],
  ])('%s', (reason, changed) => {
    const copy = copyWith(changed());
    expect(() => readWallet(copy)).toThrow(
      expect.objectContaining({ code: 'wallet-damaged', message: `${copy} is damaged: ${reason}` }),
    );
  });

  test('a folder in its place is no file', () => {
    expect(() => readWallet(newFolder())).toThrow(expect.objectContaining({ code: 'wallet-unreadable' }));
  });

  test('a pipe in its place is no file either, and nobody waits for what comes out of it', () => {
    const pipe = join(newFolder(), 'pipe.json');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    expect(() => readWallet(pipe)).toThrow(expect.objectContaining({ code: 'wallet-unreadable' }));
  });
});

describe('other wallets', () => {
  test('of version 1 are still read', async () => {
    // Written by the first version, with the password "old" and a weak key derivation.
    const old = opened(copyWith(readFileSync(new URL('wallet-version-1.json', import.meta.url), 'utf8')));
    expect(await decryptSecret(old, 'old')).toEqual({ mnemonic: MNEMONIC });
    expect(old.descriptor).toEqual(descriptor);
  });

  test('keep the passphrase of their words', async () => {
    const file = join(newFolder(), 'wallet.json');
    await createWallet(file, 'regtest', publicKey, { mnemonic: MNEMONIC, passphrase: 'TREZOR' }, 'password', WEAK);
    expect(await decryptSecret(opened(file), 'password')).toEqual({ mnemonic: MNEMONIC, passphrase: 'TREZOR' });
    expect(readFileSync(file, 'utf8')).not.toContain('TREZOR');
  });

  test('that only watch hold a descriptor and nothing encrypted', () => {
    const file = join(newFolder(), 'wallet.json');
    createWatchWallet(file, 'regtest', descriptor);
    expect(opened(file)).toMatchObject({ watchOnly: true, devnet: false, descriptor });
    expect(plainSecret(opened(file))).toBeUndefined();
    chmodSync(file, 0o640);
    expect(() => readWallet(file)).toThrow(expect.objectContaining({ code: 'wallet-permissions' }));
    expect(() => createWatchWallet(file, 'regtest', descriptor)).toThrow(expect.objectContaining({ exit: 2 }));
  });
});

describe("a devnet account's wallet", () => {
  test('is plain, says so, and may be read by anybody', () => {
    const file = join(newFolder(), 'alice.json');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ devnet: true, secret: { mnemonic: MNEMONIC } });
    chmodSync(file, 0o644);
    expect(opened(file)).toMatchObject({ devnet: true, descriptor });
    expect(plainSecret(opened(file))).toEqual({ mnemonic: MNEMONIC });
  });

  test('is replaced without touching what is remembered beside it', () => {
    const file = join(newFolder(), 'alice.json');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    writeFileSync(file.replace('.json', '.state.json'), '{}');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    expect(existsSync(file.replace('.json', '.state.json'))).toBe(true);
  });
});
