/** `grapevine wallet import | export | backup | restore`: wallets of keys that exist, and keys that leave. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { HDKey } from '@scure/bip32';
import { bytesToHex } from '#hash';
import { decodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { withChecksum } from '../../node/rpc/descriptor.ts';
import { EXTERNAL } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { BTC, errorOf, json, PASSWORD, Playground } from './playground.ts';

const play = new Playground();
const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const { publicKey } = new AccountSecret(seedFromMnemonic(WORDS), regtest);
const DESCRIPTOR = withChecksum(`tr([${publicKey.fingerprint}/86h/1h/0h]${publicKey.xpub}/<0;1>/*)`);
/** Of those words, the first one. Derived by Bitcoin Core 28.1 too (descriptor.test.ts). */
const FIRST = 'bcrt1p9y6pr3ec7jfdg6aaa282eu6pxn630ujlmkuwzvmdc6lam3t7dy7qw4aeyz';

const walletFile = (name: string) => join(play.devnet.datadir, 'wallets', `${name}.json`);

function write(name: string, text: string): string {
  const path = join(play.devnet.datadir, name);
  writeFileSync(path, text);
  return path;
}

afterEach(() => {
  delete process.env['GRAPEVINE_MNEMONIC'];
});

describe('words', () => {
  test('make the wallet that they were written down for, whose file holds no secret in the clear', async () => {
    process.env['GRAPEVINE_PASSWORD'] = 'correct horse';
    const words = write('words.txt', `${WORDS}\n`);
    const passphrase = write('passphrase.txt', 'a passphrase, with spaces \nand a second line\n');
    const made = await play.run(
      ...['import', 'old', '--mnemonic-file', words, '--passphrase-file', passphrase, '--gap-limit', '30', '--json'],
    );
    expect([made.exit, made.stderr]).toEqual([0, '']);
    const seed = seedFromMnemonic(WORDS, 'a passphrase, with spaces ');
    const secret = new AccountSecret(seed, regtest);
    const addresses = AccountAddresses.fromPublicKey(secret.publicKey, regtest);
    if (!addresses.ok) throw new Error(addresses.error);
    const key = addresses.value.outputKey({ chain: EXTERNAL, index: 0 });
    const script = decodeAddress(json(made)['address'] as string, regtest);
    expect(script.ok && bytesToHex(script.value.slice(2))).toBe(bytesToHex(key));
    expect(json(made)).toMatchObject({ name: 'old', words: 12, watchOnly: false, network: 'regtest' });

    // As somebody with a hex editor would look: in every file of the folder, as text and as bytes.
    const files = readdirSync(join(play.devnet.datadir, 'wallets'));
    expect(files).toContain('old.json');
    const master = HDKey.fromMasterSeed(seed, regtest.bip32);
    const account = master.derive("m/86'/1'/0'");
    const secrets = [
      seed,
      master.privateKey,
      account.privateKey,
      account.deriveChild(0).privateKey,
      account.deriveChild(0).deriveChild(0).privateKey,
      secret.outputSecret({ chain: EXTERNAL, index: 0 }),
      new Uint8Array(Buffer.from('7f'.repeat(16), 'hex')), // The entropy of these words.
    ].map((bytes) => Buffer.from(bytes as Uint8Array));
    const texts = [
      ...WORDS.split(' '),
      'a passphrase',
      'correct horse',
      'prv',
      master.privateExtendedKey,
      account.privateExtendedKey,
    ];
    for (const file of files) {
      const bytes = readFileSync(join(play.devnet.datadir, 'wallets', file));
      for (const text of texts) expect(bytes.includes(text)).toBe(false);
      for (const one of secrets) {
        expect(bytes.includes(one)).toBe(false);
        expect(bytes.includes(one.toString('hex'))).toBe(false);
        expect(bytes.includes(one.toString('hex').toUpperCase())).toBe(false);
        expect(bytes.includes(one.toString('base64'))).toBe(false);
      }
    }
    expect(statSync(walletFile('old')).mode & 0o777).toBe(0o600);

    // The gap limit is the wallet's from now on.
    play.node.pay(scriptOf(addresses.value, 29), BTC);
    expect(json(await play.run('balance', '--account', 'old', '--json'))['confirmed']).toBe(100_000_000);

    // It signs with the passphrase too.
    const sent = await play.run('send', 'bob', '0.5btc', '--account', 'old', '--yes', '--json');
    expect([sent.exit, play.node.pool.length]).toEqual([0, 1]);
  });

  test('can be given in the environment; the same words twice are noticed', async () => {
    process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
    process.env['GRAPEVINE_MNEMONIC'] = WORDS;
    await play.makeWallet('first');
    const made = await play.run('import', 'second');
    expect(made.stdout).toContain(`address  ${FIRST}\nwords    12`);
    expect(made.stderr).toContain('note: the wallet "first" has the same keys');
  });

  test.each([
    [
      WORDS.replace('winner', 'winer'),
      'mnemonic-words',
      /^not in the list of words: word 2, "winer" \("wine", "winner"/,
    ],
    [`${WORDS} legal`, 'mnemonic-count', /^there are 13 words; a wallet has 12, 15, 18, 21 or 24$/],
    [WORDS.replace('yellow', 'zoo'), 'mnemonic-checksum', /checksum does not match$/],
    ['x'.repeat(20_000), 'mnemonic-file', /too long for the words$/],
  ])('"%.20s…" is exit 2, %s, before a password is asked for', async (words, code, message) => {
    const made = await play.run('import', 'x', '--mnemonic-file', write('words.txt', words), '--json');
    expect([made.exit, errorOf(made).code]).toEqual([2, code]);
    expect(errorOf(made).message).toMatch(message);
    expect(existsSync(walletFile('x'))).toBe(false);
  });

  test('without a terminal and without a source are exit 5, and so is the passphrase', async () => {
    const none = await play.run('import', '--json');
    expect([none.exit, errorOf(none).code]).toEqual([5, 'mnemonic-needed']);
    process.env['GRAPEVINE_MNEMONIC'] = WORDS;
    const passphrase = await play.run('import', '--passphrase', '--json');
    expect([passphrase.exit, errorOf(passphrase).code]).toEqual([5, 'passphrase-needed']);
    const password = await play.run('import', '--json');
    expect([password.exit, errorOf(password).code]).toEqual([5, 'password-needed']);
  });

  test('on the command line are refused', async () => {
    expect((await play.run('import', ...WORDS.split(' '))).exit).toBe(2);
    const two = await play.run('import', 'legal', 'winner', '--json');
    expect([two.exit, errorOf(two).hint]).toEqual([
      2,
      expect.stringContaining('words never stand on the command line'),
    ]);
    const quoted = await play.run('import', WORDS, '--json');
    expect([quoted.exit, errorOf(quoted).hint]).toEqual([
      2,
      expect.stringContaining('words never stand on the command line'),
    ]);
    expect(quoted.stderr).not.toContain('winner');
  });

  test.each([
    [['taken']],
    [['x', '--network', 'mainnet']],
    [['x', '--gap-limit', '0']],
    [['x', '--gap-limit', '1001']],
    [['x', '--mnemonic-file', '/nowhere']],
    [['x', DESCRIPTOR, '--mnemonic-file', 'words.txt']],
    [['x', DESCRIPTOR, '--descriptor-file', 'file']],
    [['x', '--descriptor-file', '/nowhere']],
    [['../x', DESCRIPTOR]],
  ])('import %j is exit 2', async (args) => {
    await play.makeWallet('taken');
    process.env['GRAPEVINE_MNEMONIC'] = WORDS;
    process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
    expect((await play.run('import', ...args)).exit).toBe(2);
  });
});

function scriptOf(addresses: AccountAddresses, index: number): Uint8Array {
  return new Uint8Array([0x51, 0x20, ...addresses.outputKey({ chain: EXTERNAL, index })]);
}

describe('a descriptor', () => {
  test('makes a wallet that shows everything and pays nothing', async () => {
    const made = await play.run('import', 'till', DESCRIPTOR, '--json');
    expect([made.exit, json(made)]).toMatchObject([0, { watchOnly: true, words: null, address: FIRST }]);
    await play.fundWallet('till', 5n * BTC);
    expect(json(await play.run('balance', '--account', 'till', '--json'))['confirmed']).toBe(500_000_000);
    expect((await play.run('list')).stdout).toMatch(/till .* 5\.00000000 btc {2}watch-only\n/);
    expect(json(await play.run('address', '--account', 'till', '--json'))['index']).toBe(1);
    const sent = await play.run('send', 'bob', '1btc', '--account', 'till', '--yes', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([2, 'watch-only']);
    const unlocked = await play.run('unlock', 'till', '--json');
    expect([unlocked.exit, errorOf(unlocked).code]).toEqual([2, 'watch-only']);
  });

  test('of one chain or of one key watches that', async () => {
    const chain = withChecksum(`tr(${publicKey.xpub}/0/*)`);
    expect((await play.run('import', 'chain', chain)).exit).toBe(0);
    await play.fundWallet('chain', BTC);
    expect(json(await play.run('balance', '--account', 'chain', '--json'))['confirmed']).toBe(100_000_000);

    const key = withChecksum('tr(a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd)');
    expect((await play.run('import', 'single', key)).exit).toBe(0);
    const show = async () => (await play.run('address', '--account', 'single')).stdout;
    const address = await show();
    expect(address).toBe('bcrt1pw74tdcrxlzn5r8z6ku2vztr86fgq0m245s72mjktf4afwzsf8ugs4evwdf\n');
    await play.fundWallet('single', BTC);
    expect(await show()).toBe(address);
    expect(json(await play.run('balance', '--account', 'single', '--json'))['confirmed']).toBe(100_000_000);
    const next = await play.run('address', '--account', 'single', '--new', '--json');
    expect([next.exit, errorOf(next).message]).toEqual([2, expect.stringContaining('watches a single address')]);
  });

  test('that is no good is exit 2, and private keys are not taken', async () => {
    const wrong = await play.run(
      'import',
      DESCRIPTOR.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q')),
      '--json',
    );
    expect([wrong.exit, errorOf(wrong).code]).toEqual([2, 'descriptor-checksum']);
    const nobody = await play.run('import', withChecksum(`tr(${'f'.repeat(64)})`), '--json');
    expect([nobody.exit, errorOf(nobody).code]).toEqual([2, 'descriptor-key']);
    const file = write('descriptor', `tr(${publicKey.xpub.replace('tpub', 'tprv')}/0/*)`);
    const secret = await play.run('import', '--descriptor-file', file, '--json');
    expect([secret.exit, errorOf(secret).code]).toEqual([2, 'descriptor-private']);
    expect(existsSync(walletFile('default'))).toBe(false);
  });

  test('that is exported is the one that was imported, and what Core imports', async () => {
    await play.makeWallet('savings');
    const lines = await play.run('export', '--descriptor', '--account', 'savings');
    expect(lines.stdout).toBe(
      [0, 1]
        .map((chain) => `${withChecksum(`tr([${publicKey.fingerprint}/86h/1h/0h]${publicKey.xpub}/${chain}/*)`)}\n`)
        .join(''),
    );
    expect((await play.run('import', 'till', '--descriptor-file', write('lines', lines.stdout))).exit).toBe(0);
    const again = json(await play.run('export', '--descriptor', '--account', 'till', '--json'));
    expect(again).toMatchObject({ account: 'till', network: 'regtest', watchOnly: true, descriptor: DESCRIPTOR });
    const [receiving, change] = again['descriptors'] as Record<string, unknown>[];
    expect(receiving).toEqual({
      desc: lines.stdout.split('\n')[0],
      timestamp: 0,
      internal: false,
      active: true,
      range: [0, 19],
      next_index: 0,
    });
    expect(change).toMatchObject({ internal: true, active: true });
    expect((await play.run('export')).exit).toBe(2);
  });
});

describe('a backup', () => {
  test('is the wallet file, for its owner only, and restores it with its password', async () => {
    const path = await play.makeWallet('savings');
    const copy = join(play.devnet.datadir, 'stick.json');
    const saved = await play.run('backup', copy, '--account', 'savings', '--json');
    expect([saved.exit, json(saved)]).toEqual([0, { account: 'savings', file: copy }]);
    expect(readFileSync(copy)).toEqual(readFileSync(path));
    expect(statSync(copy).mode & 0o777).toBe(0o600);

    const datadir = play.newFolder();
    const restored = await play.run('--datadir', datadir, 'restore', copy);
    expect(restored.exit).toBe(0);
    expect(readFileSync(join(datadir, 'wallets', 'stick.json'))).toEqual(readFileSync(path));
    expect((await play.run('restore', copy, 'savings')).exit).toBe(2);
    expect((await play.run('restore', copy, 'other')).exit).toBe(0);
    await play.fundWallet('other', BTC);
    process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
    expect((await play.run('send', 'bob', '0.1btc', '--account', 'other', '--yes')).exit).toBe(0);
  });

  test('never replaces a file without a yes, and never the wallet itself', async () => {
    const path = await play.makeWallet('savings');
    const copy = write('precious', 'something else');
    const refused = await play.run('backup', copy, '--account', 'savings', '--json');
    expect([refused.exit, errorOf(refused).code]).toEqual([5, 'backup-exists']);
    expect(readFileSync(copy, 'utf8')).toBe('something else');
    expect((await play.run('backup', copy, '--account', 'savings', '--yes')).exit).toBe(0);
    expect(readFileSync(copy)).toEqual(readFileSync(path));
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    for (const target of [path, play.devnet.datadir, join(play.devnet.datadir, 'no', 'folder.json')]) {
      expect((await play.run('backup', target, '--account', 'savings', '--yes')).exit).toBe(2);
    }
    expect((await play.run('balance', '--account', 'savings')).exit).toBe(0);
  });

  test('that is damaged, readable by others, missing or of a devnet account is not restored', async () => {
    const path = await play.makeWallet('savings');
    const restore = async (file: string) => {
      const run = await play.run('restore', file, 'new', '--json');
      return [run.exit, errorOf(run).code];
    };
    const copy = write('copy.json', readFileSync(path, 'utf8').slice(0, 300));
    chmodSync(copy, 0o600);
    expect(await restore(copy)).toEqual([1, 'wallet-damaged']);
    writeFileSync(copy, readFileSync(path));
    chmodSync(copy, 0o644);
    expect(await restore(copy)).toEqual([1, 'wallet-permissions']);
    expect(await restore('/nowhere/at/all')).toEqual([2, 'usage']);
    expect(await restore(play.devnet.walletOf('alice'))).toEqual([2, 'usage']);
    mkdirSync(join(play.devnet.datadir, 'folder'), { mode: 0o700 });
    expect(await restore(join(play.devnet.datadir, 'folder'))).toEqual([1, 'wallet-unreadable']);
    expect(existsSync(walletFile('new'))).toBe(false);
  });
});
