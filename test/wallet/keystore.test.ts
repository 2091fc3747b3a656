/** Wallet files: what they give back, what they refuse, and that no secret stands in them. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import {
  createWallet,
  decryptMnemonic,
  plainMnemonic,
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

let path: string;
let text: string;

beforeAll(async () => {
  path = join(newFolder(), 'wallets', 'savings.json');
  await createWallet(path, 'regtest', publicKey, MNEMONIC, 'pässword', WEAK);
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
    expect(await decryptMnemonic(opened(path), 'pässword')).toBe(MNEMONIC);
    expect(await decryptMnemonic(opened(path), 'pa\u0308ssword')).toBe(MNEMONIC);
  });

  test('shows its addresses without a password', () => {
    expect(opened(path)).toMatchObject({ params: regtest, devnet: false, publicKey });
    expect(plainMnemonic(opened(path))).toBeUndefined();
  });

  test('refuses a wrong password and says so', async () => {
    for (const password of ['password', 'pässword ', 'PÄSSWORD', '']) {
      await expect(decryptMnemonic(opened(path), password)).rejects.toMatchObject({ code: 'wrong-password', exit: 1 });
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
    const again = createWallet(path, 'regtest', publicKey, MNEMONIC, 'other', WEAK);
    await expect(again).rejects.toMatchObject({ code: 'usage', exit: 2 });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('is refused while others can read it, and works again when they cannot', () => {
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      chmodSync(path, mode);
      expect(() => readWallet(path)).toThrow(expect.objectContaining({ code: 'wallet-permissions', exit: 1 }));
    }
    chmodSync(path, 0o600);
    expect(opened(path).publicKey).toEqual(publicKey);
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
    expect(() => readWallet(copyWith(text.replace('"version": 1', '"version": 2')))).toThrow(/newer grapevine/);
  });

  test('that asks for gigabytes of memory is refused', async () => {
    const { createHash } = await import('node:crypto');
    const { checksum: _, ...body } = JSON.parse(text) as Record<string, unknown> & { secret: object };
    const greedy = { ...body, secret: { ...body['secret'], n: 2 ** 30 } };
    const checksum = createHash('sha256').update(JSON.stringify(greedy)).digest('hex');
    const wallet = opened(copyWith(JSON.stringify({ ...greedy, checksum })));
    await expect(decryptMnemonic(wallet, 'pässword')).rejects.toMatchObject({ code: 'wallet-damaged' });
  });

  test('whose public key was exchanged does not open: all of the file is authenticated', async () => {
    const { createHash } = await import('node:crypto');
    const { checksum: _, ...body } = JSON.parse(text) as Record<string, unknown>;
    const other = new AccountSecret(seedFromMnemonic('zoo'), regtest).publicKey;
    const forged = { ...body, xpub: other.xpub };
    const checksum = createHash('sha256').update(JSON.stringify(forged)).digest('hex');
    const wallet = opened(copyWith(JSON.stringify({ ...forged, checksum })));
    await expect(decryptMnemonic(wallet, 'pässword')).rejects.toMatchObject({ code: 'wrong-password' });
  });

  test('that is not there is no error', () => {
    expect(readWallet(join(newFolder(), 'none.json'))).toBeUndefined();
  });

  test('costs a guess 128 MB unless a test says otherwise', () => {
    expect(128 * STRONG_COST.n * STRONG_COST.r).toBe(2 ** 27);
  });
});

describe("a devnet account's wallet", () => {
  test('is plain, says so, and may be read by anybody', () => {
    const file = join(newFolder(), 'alice.json');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ devnet: true, secret: { mnemonic: MNEMONIC } });
    chmodSync(file, 0o644);
    expect(opened(file)).toMatchObject({ devnet: true, publicKey });
    expect(plainMnemonic(opened(file))).toBe(MNEMONIC);
  });

  test('is replaced without touching what is remembered beside it', () => {
    const file = join(newFolder(), 'alice.json');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    writeFileSync(file.replace('.json', '.state.json'), '{}');
    writeDevnetWallet(file, 'regtest', publicKey, MNEMONIC);
    expect(existsSync(file.replace('.json', '.state.json'))).toBe(true);
  });
});
