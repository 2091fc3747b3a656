/** `grapevine wallet new | list | address | balance`, wallets of one's own, and nodes that cannot be used. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withState } from '../../wallet/wallet-state.ts';
import { runWallet, writeCookie } from './command-line.ts';
import { fakeDevnet } from './fake-devnet.ts';
import { COOKIE } from './fake-node.ts';
import { BTC, errorOf, json, PASSWORD, Playground } from './playground.ts';

const play = new Playground();

describe('wallets of one’s own', () => {
  test('new shows the words once and keeps them encrypted', async () => {
    process.env['GRAPEVINE_PASSWORD'] = 'secret';
    const made = await play.run('new', 'fresh', '--words', '24', '--json');
    const { mnemonic, file, address } = json(made) as { mnemonic: string; file: string; address: string };
    expect(made.exit).toBe(0);
    expect(mnemonic.split(' ')).toHaveLength(24);
    expect(readFileSync(file, 'utf8')).not.toContain(mnemonic.split(' ')[3]);
    expect((await play.run('address', '--account', 'fresh')).stdout).toBe(`${address}\n`);
    const again = await play.run('new', 'fresh', '--json');
    expect([again.exit, errorOf(again).message]).toEqual([2, 'there is a wallet "fresh" already']);
  });

  test.each([
    [['new', 'a b']],
    [['new', '../escape']],
    [['new', 'x', '--words', '13']],
    [['new', 'x', '--network', 'mainnet']],
    [['new', 'x', '--gap-limit', 'far']],
  ])('%j is exit 2', async (args) => {
    process.env['GRAPEVINE_PASSWORD'] = 'secret';
    expect((await play.run(...args)).exit).toBe(2);
  });

  test('without a terminal a new wallet needs a password source: exit 5', async () => {
    expect((await play.run('new', 'x')).exit).toBe(5);
    expect(existsSync(join(play.devnet.datadir, 'wallets', 'x.json'))).toBe(false);
  });

  test('pay after a yes and the password only', async () => {
    await play.makeWallet('savings');
    await play.fundWallet('savings', 5n * BTC);
    const pay = (...more: string[]) => play.run('send', 'bob', '1btc', '--account', 'savings', '--json', ...more);
    const unasked = await pay();
    expect([unasked.exit, errorOf(unasked).code]).toEqual([5, 'confirmation-needed']);
    const locked = await pay('--yes');
    expect([locked.exit, errorOf(locked).code]).toEqual([5, 'password-needed']);
    process.env['GRAPEVINE_PASSWORD'] = 'wrong';
    const wrong = await pay('--yes');
    expect([wrong.exit, errorOf(wrong).code]).toEqual([1, 'wrong-password']);
    expect(play.node.calls).not.toContain('sendrawtransaction');
    const file = join(play.devnet.datadir, 'password');
    writeFileSync(file, `${PASSWORD}\n`);
    expect((await pay('--yes', '--password-file', file)).exit).toBe(0);
    expect(play.node.pool).toHaveLength(1);
  });

  test('can be looked at without either: address, balance, dry run', async () => {
    await play.makeWallet('savings');
    await play.fundWallet('savings', 5n * BTC);
    expect(json(await play.run('balance', '--account', 'savings', '--json'))['confirmed']).toBe(500_000_000);
    const dry = await play.run('send', 'bob', '1btc', '--account', 'savings', '--dry-run', '--json');
    expect(dry.exit).toBe(0);
  });

  test('that others can read are refused, and do not hide the other accounts of the list', async () => {
    const path = await play.makeWallet('savings');
    chmodSync(path, 0o644);
    expect((await play.run('balance', '--account', 'savings', '--json')).exit).toBe(1);
    const list = JSON.parse((await play.run('list', '--json')).stdout) as { name: string; error: string | null }[];
    expect(list.map(({ name, error }) => [name, error === null])).toEqual([
      ['alice', true],
      ['bob', true],
      ['faucet', true],
      ['savings', false],
    ]);
  });

  test('are not used where another network than theirs was named', async () => {
    await play.makeWallet('savings');
    await play.fundWallet('savings', 5n * BTC);
    process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
    const pay = ['send', 'bob', '1btc', '--account', 'savings', '--yes', '--json'];
    const meant = await play.run(...pay, '--network', 'vinenet');
    expect([meant.exit, errorOf(meant).message]).toEqual([2, '"savings" is on the network regtest, not on vinenet']);
    expect(play.node.pool).toHaveLength(0);
    expect((await play.run(...pay, '--network', 'regtest')).exit).toBe(0);
  });

  test('of the same name as a devnet account must be told apart', async () => {
    await play.makeWallet('alice');
    play.fund('alice', BTC);
    const either = await play.run('balance', '--account', 'alice', '--json');
    expect([either.exit, errorOf(either).hint]).toEqual([2, 'say which: default/alice or wallets/alice']);
    expect(json(await play.run('balance', '--account', 'default/alice', '--json'))['confirmed']).toBe(100_000_000);
    expect(json(await play.run('balance', '--account', 'wallets/alice', '--json'))['confirmed']).toBe(0);
  });
});

describe('accounts, addresses and balances', () => {
  test('list shows every account with its address and balance', async () => {
    play.fund('alice', 50n * BTC);
    const list = JSON.parse((await play.run('list', '--json')).stdout) as unknown[];
    expect(list[0]).toEqual({
      name: 'alice',
      kind: 'devnet',
      devnet: 'default',
      network: 'regtest',
      address: play.devnet.file.accounts[0]?.address,
      label: null,
      keys: 'public',
      balance: { confirmed: 5_000_000_000, unconfirmed: 0, immature: 0 },
      error: null,
    });
    expect((await play.run('list')).stdout).toMatch(/^alice \(default\) +devnet +bcrt1p\w+ +50\.00000000 btc\nbob/);
  });

  test('list shows what it can of a devnet whose nodes are stopped', async () => {
    const datadir = play.newFolder();
    await fakeDevnet(datadir, [play.node], { stopped: ['n0'] });
    const [alice] = JSON.parse((await runWallet(datadir, 'list', '--json')).stdout) as unknown[];
    expect(alice).toMatchObject({ name: 'alice', address: expect.stringMatching(/^bcrt1p/), balance: null });
    expect(alice).toMatchObject({ error: 'node n0 of devnet "default" is stopped' });
  });

  test('list works where no node runs, without balances', async () => {
    const datadir = play.newFolder();
    await play.makeWallet('savings', datadir);
    const list = JSON.parse((await runWallet(datadir, 'list', '--json')).stdout) as { balance: unknown }[];
    expect(list).toMatchObject([{ name: 'savings', kind: 'wallet', balance: null }]);
    expect((await runWallet(play.newFolder(), 'list')).stderr).toContain('there is no account yet');
  });

  test('address moves on when it was paid, and with --new', async () => {
    await play.makeWallet('savings');
    const show = async (...more: string[]) =>
      json(await play.run('address', '--account', 'savings', '--json', ...more));
    const first = await show();
    expect(await show()).toEqual(first);
    expect(first['index']).toBe(0);
    await play.fundWallet('savings', BTC);
    expect((await show())['index']).toBe(1);
    expect((await show('--new'))['index']).toBe(2);
    expect((await show('--new'))['index']).toBe(3);
    expect((await show())['index']).toBe(3);
  });

  test('address warns when nobody paid to the last 20', async () => {
    const path = await play.makeWallet('savings');
    await withState(path, { what: 'it' }, async (state) =>
      state.save({ ...state.value, next: { external: 19, internal: 0 } }),
    );
    expect((await play.run('address', '--account', 'savings', '--new')).stderr).toContain(
      'last 20 addresses were never paid',
    );
  });

  test('a coin behind addresses that were given out is found, however many they are', async () => {
    const path = await play.makeWallet('savings');
    await withState(path, { what: 'it' }, async (state) =>
      state.save({ ...state.value, next: { external: 230, internal: 0 } }),
    );
    await play.fundWallet('savings', BTC);
    expect(json(await play.run('balance', '--account', 'savings', '--json'))['confirmed']).toBe(100_000_000);
  });

  test('balance keeps confirmed, unconfirmed and immature apart, to the satoshi', async () => {
    play.fund('alice', 12_345_678n);
    play.node.payUnconfirmed(play.devnet.script('alice'), 1n);
    play.node.pay(play.devnet.script('alice'), 5_000_000_000n, { height: play.node.height, coinbase: true });
    const balance = await play.run('balance', '--account', 'alice');
    expect(balance.stdout).toBe(
      [
        'account      alice',
        'confirmed    0.12345678 btc (12345678 sat)',
        'unconfirmed  0.00000001 btc (1 sat)',
        'immature     50.00000000 btc (5000000000 sat)',
        '',
      ].join('\n'),
    );
    expect(json(await play.run('balance', '--json'))).toEqual({
      account: 'alice',
      confirmed: 12_345_678,
      unconfirmed: 1,
      immature: 5_000_000_000,
      total: 5_012_345_679,
      height: play.node.height,
      tip: play.node.tip,
    });
  });

  test('a block that comes in during a look-up makes it begin again', async () => {
    play.fund('alice', BTC);
    let blocks = 2;
    play.node.onCall = (method) => {
      if (method === 'getscripthistory' && blocks-- > 0) play.node.mine();
    };
    const balance = json(await play.run('balance', '--json'));
    expect([balance['height'], balance['confirmed']]).toEqual([play.node.height, 100_000_000]);
    blocks = 1000;
    expect(errorOf(await play.run('balance', '--json')).code).toBe('tip-moves');
  });
});

describe('nodes that cannot be used', () => {
  test('no node at all is exit 3, whatever else is missing', async () => {
    const datadir = play.newFolder();
    for (const args of [['balance'], ['balance', '--account', 'alice'], ['send', 'bob', '1btc']]) {
      const failed = await runWallet(datadir, ...args, '--json');
      expect([failed.exit, errorOf(failed).code]).toEqual([3, 'no-node']);
    }
  });

  test('a node that is gone, a wrong cookie and another network are exit 3', async () => {
    const datadir = play.newFolder();
    await play.makeWallet('savings', datadir);
    writeCookie(datadir, '__cookie__:wrong');
    const at = (endpoint: string) => runWallet(datadir, 'balance', '--node', endpoint, '--json');
    expect(errorOf(await at('127.0.0.1:1'))).toMatchObject({ code: 'node-unreachable' });
    expect(errorOf(await at(play.node.endpoint))).toMatchObject({ code: 'not-authorised' });
    writeCookie(datadir, COOKIE);
    expect((await at(play.node.endpoint)).exit).toBe(0);
    play.node.chain = 'main';
    const other = await at(play.node.endpoint);
    expect([other.exit, errorOf(other).code]).toEqual([3, 'wrong-network']);
  });

  test('a devnet account is refused at a node that belongs to no devnet', async () => {
    const foreign = await play.startNode();
    writeCookie(play.devnet.datadir, COOKIE);
    const sent = await play.run('send', 'bob', '1btc', '--account', 'alice', '--node', foreign.endpoint, '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([2, 'devnet-account']);
    expect(foreign.calls).toEqual(['getblockchaininfo']);
  });

  test('its wallet file, copied among one’s own, is refused there too', async () => {
    const datadir = play.newFolder();
    const path = await play.makeWallet('mine', datadir);
    writeFileSync(path, readFileSync(play.devnet.walletOf('alice')));
    writeCookie(datadir, COOKIE);
    const balance = await runWallet(datadir, 'balance', '--node', play.node.endpoint, '--json');
    expect([balance.exit, errorOf(balance).code]).toEqual([2, 'devnet-account']);
  });
});
