/** `grapevine wallet history | utxos | label | rescan`, against a real node. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { encodeAddress, outputKey } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { devnetFilePath } from '../../wallet/devnet-file.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from '../../wallet/key-place.ts';
import { MAX_LABEL_LENGTH } from '../../wallet/labels.ts';
import { readState } from '../../wallet/wallet-state.ts';
import { errorOf, json, Playground } from './playground.ts';
import { RealNode } from './real-node.ts';

const play = new Playground();
const COIN = 100_000_000;
/** Whoever mines where a test does not say otherwise. */
const NOBODY = encodeAddress(new Uint8Array(32).fill(7), regtest.hrp);

let node: RealNode;

beforeAll(async () => {
  node = await RealNode.start();
});
afterAll(() => node.stop());

// The accounts are the same in all tests, and so is the chain: each test asks what came behind its beginning.
beforeEach(() => node.joinDevnet(devnetFilePath(play.devnet.datadir, 'default')));

const addressOf = (account: string, place?: KeyPlace) =>
  encodeAddress(outputKey(play.devnet.script(account, place)), regtest.hrp);

async function list<T = Record<string, unknown>>(...args: string[]): Promise<T[]> {
  const run = await play.run(...args, '--json');
  if (run.exit !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout) as T[];
}

const history = (account: string, ...more: string[]) => list('history', '--account', account, ...more);

test('a history tells rewards, payments in and out and to oneself apart, the newest last', async () => {
  expect((await play.run('history', '--account', 'bob')).stderr).toContain('nothing was paid to this account yet');
  await node.mine(1, addressOf('alice'));
  await node.mine(100, NOBODY);
  const sent = json(await play.run('send', 'bob', '1.5btc', '--account', 'alice', '--json'));
  await node.mine(1, NOBODY);
  const self = json(await play.run('send', addressOf('alice'), '1btc', '--account', 'alice', '--json'));
  const chained = json(await play.run('send', 'bob', '2btc', '--account', 'alice', '--json'));

  const own = await history('alice');
  expect(own.map(({ type, amount, fee, confirmations }) => [type, amount, fee, confirmations])).toEqual([
    ['mined', 50 * COIN, null, 102],
    ['out', -1.5 * COIN, sent['fee'], 1],
    ['self', 0, self['fee'], 0],
    ['out', -2 * COIN, chained['fee'], 0],
  ]);
  expect(own.map(({ txid }) => txid).slice(1)).toEqual([sent['txid'], self['txid'], chained['txid']]);
  expect(own[1]).toMatchObject({ height: 102, addresses: [addressOf('bob')], label: null, time: expect.any(Number) });
  expect(own[3]).toMatchObject({ height: null, time: expect.any(Number) });

  const others = await history('bob');
  expect(others.map(({ type, amount, fee }) => [type, amount, fee])).toEqual([
    ['in', 1.5 * COIN, null],
    ['in', 2 * COIN, null],
  ]);
  // The sum of what a history tells is what is there.
  const total = own.reduce((sum, { amount, fee }) => sum + Number(amount) - Number(fee ?? 0), 0);
  expect(json(await play.run('balance', '--account', 'alice', '--json'))['total']).toBe(total);

  expect(await history('alice', '--limit', '2')).toEqual(own.slice(2));
  expect(await history('alice', '--limit', '99')).toEqual(own);
  const text = await play.run('history', '--account', 'alice');
  expect(text.stdout.split('\n')[1]).toMatch(
    new RegExp(
      `^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ +1 conf +out +-1\\.50000000 btc +fee ${sent['fee']} sat +${sent['txid']}`,
    ),
  );
  for (const limit of ['0', '-1', 'x']) expect((await play.run('history', '--limit', limit)).exit).toBe(2);
});

test('coins are listed with their age, and rewards with the blocks that they still wait', async () => {
  await node.mine(1, NOBODY);
  await node.mine(1, addressOf('faucet'));
  const [young] = await list('utxos', '--account', 'faucet');
  expect(young).toMatchObject({ amount: 50 * COIN, coinbase: true, confirmations: 1, maturesIn: 99, change: false });
  expect((await play.run('utxos', '--account', 'faucet')).stdout).toContain('matures in 99 blocks');
  await node.mine(99, NOBODY);
  expect(await list('utxos', '--account', 'faucet')).toMatchObject([{ confirmations: 100, maturesIn: 0 }]);
  await play.run('send', NOBODY, '1btc', '--account', 'faucet');
  const [change, ...none] = await list('utxos', '--account', 'faucet');
  expect(none).toEqual([]);
  expect(change).toMatchObject({ change: true, coinbase: false, confirmations: 0, height: null, reserved: false });
  expect(change?.['address']).toBe(addressOf('faucet', { chain: INTERNAL, index: 0 }));
});

describe('labels', () => {
  const label = (...args: string[]) => play.run('label', ...args, '--account', 'alice');

  test('of addresses and transactions are shown wherever those are listed', async () => {
    await node.mine(1, addressOf('alice'));
    const address = addressOf('alice');
    expect((await label(address)).stdout).toBe('');
    expect((await label(address.toUpperCase(), ' rent, from Bob ')).stdout).toBe('rent, from Bob\n');
    expect((await label(address)).stdout).toBe('rent, from Bob\n');
    const [entry] = await list<{ label: string }>('list');
    expect(entry?.label).toBe('rent, from Bob');
    const mined = (await history('alice')).filter(({ type }) => type === 'mined').at(-1) as Record<string, string>;
    expect(mined['label']).toBe('rent, from Bob');
    await label(mined['txid'] as string, 'the reward');
    expect((await history('alice')).find(({ txid }) => txid === mined['txid'])?.['label']).toBe('the reward');
    const coins = await list('utxos', '--account', 'alice');
    expect(coins.find(({ txid }) => txid === mined['txid'])?.['label']).toBe('the reward');
    expect((await play.run('list')).stdout).toMatch(/^alice .* {2}rent, from Bob\n/);
  });

  test('are changed and taken away, and lines of other wallets are kept', async () => {
    const path = join(play.devnet.walletOf('alice').replace('.json', '.labels.jsonl'));
    const foreign = '{ "type": "xpub", "ref": "tpub…", "label": "mine", "more": [1] }';
    writeFileSync(path, `${foreign}\n{"type":"addr","ref":"${addressOf('alice')}","label":"old"}\n`);
    expect((await label(addressOf('alice'))).stdout).toBe('old\n');
    await label(addressOf('alice'), 'new');
    expect(readFileSync(path, 'utf8')).toBe(
      `${foreign}\n{"type":"addr","ref":"${addressOf('alice')}","label":"new"}\n`,
    );
    await label(addressOf('alice'), '');
    expect(readFileSync(path, 'utf8')).toBe(`${foreign}\n`);
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => label(text.repeat(64), text)));
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(6);
    writeFileSync(path, `${foreign}\nhello\n`);
    const damaged = await label(addressOf('alice'), 'new', '--json');
    expect([damaged.exit, errorOf(damaged).code]).toEqual([1, 'labels-damaged']);
    expect(errorOf(damaged).message).toContain('line 2 of ');
  });

  test.each([
    ['nothing', 'x'],
    ['bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh', 'x'],
    ['ab'.repeat(31), 'x'],
    ['ab'.repeat(32), 'two\nlines'],
    ['ab'.repeat(32), '\u001b[2J'],
    ['ab'.repeat(32), 'x'.repeat(MAX_LABEL_LENGTH + 1)],
  ])('label %s %j is exit 2', async (ref, text) => {
    expect((await label(ref, text)).exit).toBe(2);
  });
});

describe('rescan', () => {
  test('finds used addresses behind the gap on both chains, says which, and remembers them', async () => {
    const far = [
      { chain: EXTERNAL, index: 150 },
      { chain: INTERNAL, index: 77 },
    ] as const;
    const before = json(await play.run('balance', '--account', 'bob', '--json'))['total'] as number;
    for (const place of far) await node.mine(1, addressOf('bob', place));
    const balance = async () => json(await play.run('balance', '--account', 'bob', '--json'))['total'] as number;
    expect(await balance()).toBe(before);
    const scan = await play.run('rescan', '--account', 'bob', '--range', '151', '--json');
    expect(json(scan)).toMatchObject({
      account: 'bob',
      range: 151,
      gapLimit: 20,
      found: [
        { address: addressOf('bob', far[0]), change: false, index: 150 },
        { address: addressOf('bob', far[1]), change: true, index: 77 },
      ],
    });
    const total = json(scan)['total'] as number;
    expect(total).toBeGreaterThan(before);
    expect(await balance()).toBe(total);
    expect(readState(play.devnet.walletOf('bob')).next).toEqual({ external: 151, internal: 78 });
    const again = await play.run('rescan', '--account', 'bob');
    expect(again.stdout).toContain('found         nothing that was not known\n');
    expect(again.stderr).toContain('looking at the first 1000 addresses of each chain');
  });

  test('with a gap limit keeps it', async () => {
    await node.mine(1, addressOf('faucet', { chain: EXTERNAL, index: 49 }));
    const before = json(await play.run('balance', '--account', 'faucet', '--json'))['total'] as number;
    const scan = json(await play.run('rescan', '--account', 'faucet', '--range', '1', '--gap-limit', '49', '--json'));
    expect(scan).toMatchObject({ gapLimit: 49, found: [{ index: 49 }] });
    await node.mine(1, addressOf('faucet', { chain: EXTERNAL, index: 49 + 49 }));
    const after = json(await play.run('balance', '--account', 'faucet', '--json'))['total'] as number;
    expect(after).toBeGreaterThan(before + 1);
    expect(readState(play.devnet.walletOf('faucet')).gapLimit).toBe(49);
  });

  test('mends keys that were remembered wrongly', async () => {
    await node.mine(1, addressOf('alice'));
    const path = play.devnet.walletOf('alice').replace('.json', '.addresses.json');
    const { checksum: _, ...body } = JSON.parse(readFileSync(path, 'utf8')) as { checksum: string; keys: string[][] };
    (body.keys[0] as string[])[0] = '07'.repeat(32);
    const checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex');
    writeFileSync(path, JSON.stringify({ ...body, checksum }));
    const total = async () => json(await play.run('balance', '--account', 'alice', '--json'))['total'] as number;
    const wrong = await total();
    await play.run('rescan', '--account', 'alice', '--range', '1');
    expect(await total()).toBeGreaterThan(0);
    expect(await total()).not.toBe(wrong);
  });

  test.each([
    [['--range', '0']],
    [['--range', '100001']],
    [['--range', 'x']],
    [['--gap-limit', '0']],
    [['--gap-limit', '1001']],
  ])('%j is exit 2', async (args) => {
    expect((await play.run('rescan', ...args)).exit).toBe(2);
  });
});
