/** `grapevine wallet send` as a user types it, against a fake node that judges payments by the rules of consensus. */
import { existsSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { hexToBytes } from '#hash';
import type { OutPointKey } from '../../consensus/brand.ts';
import { decode } from '../../consensus/codec.ts';
import { prevoutKey, readTransaction } from '../../consensus/transaction.ts';
import { EXTERNAL, INTERNAL } from '../../wallet/key-place.ts';
import { waitFailure } from '../../wallet/wait.ts';
import { readState, withState } from '../../wallet/wallet-state.ts';
import { BTC, errorOf, json, Playground } from './playground.ts';

const play = new Playground();

describe('wallet send', () => {
  test('pays, and the text on stdout says what and for how much', async () => {
    play.fund('alice', 50n * BTC);
    const sent = await play.run('send', 'bob', '1.5btc');
    expect(sent.exit).toBe(0);
    expect(sent.stdout).toMatch(/^amount {2}1\.50000000 btc \(150000000 sat\)\nfrom {4}alice\nto {6}bob \(bcrt1p/);
    expect(sent.stdout).toContain('fee     308 sat (2 sat/vB, 154 vB)');
    expect(sent.stdout).toContain(`txid    ${play.node.pool[0]?.txid}`);
    expect(play.node.pool[0]?.outputs.some(({ value }) => value === (3n * BTC) / 2n)).toBe(true);
  });

  test('answers with one JSON document of integers', async () => {
    play.fund('alice', 50n * BTC);
    const sent = json(await play.run('send', 'bob', '0.5btc', '--account', 'alice', '--fee-rate', '3', '--json'));
    expect(sent).toEqual({
      txid: play.node.pool[0]?.txid,
      account: 'alice',
      to: 'bob',
      address: play.devnet.file.accounts[1]?.address,
      recipients: [{ to: 'bob', address: play.devnet.file.accounts[1]?.address, amount: 50_000_000 }],
      amount: 50_000_000,
      data: null,
      fee: 462,
      feeRate: 3,
      vsize: 154,
      inputs: 1,
      change: { address: expect.stringMatching(/^bcrt1p/), amount: 4_949_999_538 },
      dryRun: false,
      psbt: null,
      confirmations: 0,
      replacedBy: null,
    });
  });

  test('twice within a second spends the change of the first, from another change address each', async () => {
    play.fund('alice', 50n * BTC);
    const [first, second] = [
      json(await play.run('send', 'bob', '1btc', '--json')),
      json(await play.run('send', 'bob', '1btc', '--json')),
    ];
    expect(play.node.pool).toHaveLength(2);
    expect(play.node.pool[1]?.inputs[0]?.prevout.txid).toBe(first['txid']);
    expect(first['change']).not.toEqual(second['change']);
    play.node.mine();
    const balance = json(await play.run('balance', '--account', 'bob', '--json'));
    expect(balance['confirmed']).toBe(200_000_000);
  });

  test('at the same time serializes: each spends another coin, and no index is used twice', async () => {
    play.fund('alice', 5n * BTC, 5n * BTC, 5n * BTC);
    const runs = await Promise.all([1, 2, 3, 4].map(() => play.run('send', 'bob', '2btc', '--json')));
    expect(runs.map(({ exit }) => exit)).toEqual([0, 0, 0, 0]);
    expect(play.node.pool).toHaveLength(4);
    expect(readState(play.devnet.walletOf('alice')).next.internal).toBe(4);
  });

  test('prefers confirmed coins to change that is not', async () => {
    const [, second] = play.fund('alice', 5n * BTC, 5n * BTC);
    await play.run('send', 'bob', '4.9btc');
    const spent = play.node.pool[0]?.inputs[0]?.prevout.txid;
    await play.run('send', 'bob', '4.9btc');
    expect(play.node.pool[1]?.inputs).toHaveLength(1);
    expect(play.node.pool[1]?.inputs[0]?.prevout.txid).not.toBe(play.node.pool[0]?.txid);
    expect(`${spent}:0` === second || `${play.node.pool[1]?.inputs[0]?.prevout.txid}:0` === second).toBe(true);
  });

  test('never spends an unconfirmed payment of somebody else, nor a coinbase that is not mature', async () => {
    play.node.payUnconfirmed(play.devnet.script('alice'), 10n * BTC);
    play.node.pay(play.devnet.script('alice'), 10n * BTC, { height: play.node.height - 98, coinbase: true });
    const sent = await play.run('send', 'bob', '1btc', '--json');
    expect(sent.exit).toBe(7);
    expect(errorOf(sent).hint).toContain('20.00000000 btc more is unconfirmed, immature');
    play.node.pay(play.devnet.script('alice'), 10n * BTC, { height: play.node.height - 99, coinbase: true });
    expect((await play.run('send', 'bob', '1btc')).exit).toBe(0);
  });

  test('finds coins behind the gap of either chain, up to 20 unused addresses', async () => {
    play.node.pay(play.devnet.script('alice', { chain: EXTERNAL, index: 19 }), BTC);
    play.node.pay(play.devnet.script('alice', { chain: EXTERNAL, index: 39 }), BTC);
    play.node.pay(play.devnet.script('alice', { chain: EXTERNAL, index: 60 }), BTC);
    play.node.pay(play.devnet.script('alice', { chain: INTERNAL, index: 19 }), BTC);
    expect(json(await play.run('balance', '--json'))['confirmed']).toBe(300_000_000);
    const sent = json(await play.run('send', 'bob', '2.5btc', '--json'));
    expect(sent['inputs']).toBe(3);
    // The change goes behind the highest index that was ever used.
    expect(readState(play.devnet.walletOf('alice')).next.internal).toBe(21);
  });

  test('leaves no dust: what is below the limit goes to the fee', async () => {
    play.fund('alice', BTC + 222n + 329n);
    expect(json(await play.run('send', 'bob', '1btc', '--json'))).toMatchObject({ change: null, fee: 551, vsize: 111 });
    expect(play.node.pool[0]?.outputs).toHaveLength(1);
    expect(readState(play.devnet.walletOf('alice')).next.internal).toBe(0);
  });

  test('--dry-run shows everything, signs and remembers nothing', async () => {
    play.fund('alice', 50n * BTC);
    const dry = await play.run('send', 'bob', '1btc', '--dry-run', '--json');
    expect(json(dry)).toMatchObject({ txid: null, dryRun: true, fee: 308, amount: 100_000_000 });
    expect(play.node.calls).not.toContain('sendrawtransaction');
    expect(existsSync(play.devnet.walletOf('alice').replace('.json', '.state.json'))).toBe(false);
  });

  test('--wait comes back when the payment is confirmed, with progress on stderr', async () => {
    play.fund('alice', 50n * BTC);
    play.node.onCall = (method) => {
      if (method === 'getblockcount') play.node.mine();
    };
    const sent = await play.run('send', 'bob', '1btc', '--wait', '2', '--wait-timeout', '20s');
    expect(sent.exit).toBe(0);
    expect(sent.stderr).toBe(
      ['0 of 2 confirmations, height 201', '1 of 2 confirmations, height 202', '2 of 2 confirmations, height 203']
        .map((line) => `waiting: ${line}\n`)
        .join(''),
    );
    expect(sent.stdout).not.toContain('waiting');
  });

  test('--wait that lasts too long is exit 6, and the result is still printed', async () => {
    play.fund('alice', 50n * BTC);
    const sent = await play.run('send', 'bob', '1btc', '--wait', '1', '--wait-timeout', '50ms', '--json');
    expect(sent.exit).toBe(6);
    expect(json(sent)).toMatchObject({ txid: play.node.pool[0]?.txid, confirmations: 0 });
    expect(errorOf(sent)).toMatchObject({ code: 'wait-timeout' });
  });

  test('--wait that is interrupted by ctrl-C is exit 1, and says that the payment was sent and how to look at it', async () => {
    play.fund('alice', 50n * BTC);
    play.node.onCall = (method) => {
      if (method === 'getblockcount') process.emit('SIGINT');
    };
    const sent = await play.run('send', 'bob', '1btc', '--wait', '1', '--json');
    const txid = play.node.pool[0]?.txid;
    expect([sent.exit, errorOf(sent).code]).toEqual([1, 'interrupted']);
    expect(errorOf(sent).message).toContain(`the payment ${txid} was sent`);
    expect(errorOf(sent).hint).toContain(`getrawtransaction ${txid}`);
    expect(json(sent)).toMatchObject({ txid, confirmations: 0 });
    expect(process.listenerCount('SIGINT')).toBe(0);
  });

  test('--wait that ends after the first confirmation does not speak of a bump, which would be refused', async () => {
    const failure = (confirmations: number) =>
      waitFailure({ end: 'time-out', txid: 'ab', confirmations }, { confirmations: 6, timeoutMs: 1_000 }, 'alice');
    expect(failure(0)?.hint).toContain('wallet bump ab');
    expect(failure(1)?.hint).not.toContain('bump');
  });

  test('takes the feerate from the node’s estimate where it has one', async () => {
    play.fund('alice', 50n * BTC);
    play.node.estimate = 0.00012345;
    expect(json(await play.run('send', 'bob', '1btc', '--json'))).toMatchObject({ feeRate: 12.35, vsize: 154 });
    play.node.estimate = 0.2;
    const absurd = await play.run('send', 'bob', '1btc', '--json');
    expect([absurd.exit, errorOf(absurd).code]).toEqual([1, 'fee-rate']);
    expect((await play.run('send', 'bob', '1btc', '--fee-rate', '3')).exit).toBe(0);
  });

  test('a fee above 0.1 btc is refused, whatever feerate leads to it', async () => {
    play.fund('alice', ...Array<bigint>(40).fill(BTC));
    const sent = await play.run('send', 'bob', '39btc', '--fee-rate', '9000', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([1, 'fee-absurd']);
  });

  test('to the name of a wallet pays its next fresh address', async () => {
    play.fund('alice', 50n * BTC);
    await play.makeWallet('savings');
    const first = json(await play.run('send', 'savings', '1btc', '--json', '--account', 'alice'));
    const second = json(await play.run('send', 'savings', '1btc', '--json', '--account', 'alice'));
    expect(first['to']).toBe('savings');
    expect(first['address']).not.toBe(second['address']);
  });
});

describe('wallet send that fails loses nothing', () => {
  test('a refusal of the node is exit 4 with its reason, and the coins are free again', async () => {
    play.fund('alice', 50n * BTC);
    play.node.refuse = 'too-long-mempool-chain, too many unconfirmed ancestors [limit: 25]';
    const refused = await play.run('send', 'bob', '1btc', '--json');
    expect(refused.exit).toBe(4);
    expect(errorOf(refused)).toEqual({
      code: 'too-long-mempool-chain',
      message: play.node.refuse,
      hint: 'too many payments in a row are unconfirmed; wait for the next block',
    });
    play.node.refuse = undefined;
    const state = readState(play.devnet.walletOf('alice'));
    expect(state.pending).toEqual([]);
    expect(state.next.internal).toBe(1);
    expect((await play.run('send', 'bob', '1btc')).exit).toBe(0);
  });

  test('the change index and the payment are on disk before the node sees the payment', async () => {
    play.fund('alice', 50n * BTC);
    let seen: unknown;
    play.node.onCall = (method) => {
      if (method === 'sendrawtransaction') seen = readState(play.devnet.walletOf('alice'));
    };
    await play.run('send', 'bob', '1btc');
    expect(seen).toMatchObject({ next: { internal: 1 }, pending: [{ txid: play.node.pool[0]?.txid, sent: false }] });
    expect(readState(play.devnet.walletOf('alice')).pending).toMatchObject([{ sent: true }]);
  });

  test('a payment that another node has, but not this one, is given to this one and not double spent', async () => {
    play.fund('alice', 5n * BTC);
    await play.run('send', 'bob', '1btc');
    const known = play.node.pool.splice(0);
    await play.run('send', 'bob', '1btc');
    expect(play.node.pool.map(({ txid }) => txid)).toContain(known[0]?.txid);
    expect(play.node.pool).toHaveLength(2);
    expect(play.node.pool[1]?.inputs[0]?.prevout.txid).toBe(known[0]?.txid);
  });

  test('coins of such a payment stay reserved where the node does not take it', async () => {
    play.fund('alice', 5n * BTC);
    await play.run('send', 'bob', '1btc');
    play.node.pool.splice(0);
    play.node.refuse = 'mempool min fee not met';
    const sent = await play.run('send', 'bob', '1btc');
    expect(sent.exit).toBe(7);
    expect(sent.stderr).toContain('does not take the earlier payment');
    expect(readState(play.devnet.walletOf('alice')).pending).toHaveLength(1);
  });

  test('a send that was interrupted before the node answered frees its coins, and says so', async () => {
    const [coin] = play.fund('alice', 5n * BTC);
    await withState(play.devnet.walletOf('alice'), { what: 'it' }, async (state) => {
      const txid = 'ab'.repeat(32) as never;
      const spends = [coin as never];
      const pending = [{ txid, hex: '00', spends, createdAt: Math.floor(Date.now() / 1000) - 5, sent: false }];
      state.save({ ...state.value, pending });
    });
    const sent = await play.run('send', 'bob', '1btc');
    expect(sent.exit).toBe(0);
    expect(sent.stderr).toContain(`the interrupted payment ${'ab'.repeat(32)} was never sent`);
    expect(play.node.pool[0]?.inputs.map(prevoutKey)).toEqual([coin]);
    expect(readState(play.devnet.walletOf('alice')).pending.map(({ txid }) => txid)).toEqual([play.node.pool[0]?.txid]);
  });

  test('what is remembered of a payment is the payment', async () => {
    play.fund('alice', 5n * BTC);
    await play.run('send', 'bob', '1btc');
    const [pending] = readState(play.devnet.walletOf('alice')).pending;
    const tx = decode(hexToBytes(pending?.hex ?? ''), readTransaction);
    expect(tx.ok && [tx.value.txid, tx.value.wtxid]).toEqual([play.node.pool[0]?.txid, play.node.pool[0]?.wtxid]);
  });
});

describe('a coin that somebody else spends first', () => {
  test('is replaced by another one', async () => {
    const coins = play.fund('alice', 5n * BTC, 5n * BTC);
    let stolen: string | undefined;
    play.node.onCall = (method) => {
      if (method !== 'sendrawtransaction' || stolen !== undefined) return;
      [stolen] = readState(play.devnet.walletOf('alice')).pending.flatMap(({ spends }) => spends);
      play.node.steal(stolen as OutPointKey);
    };
    const sent = await play.run('send', 'bob', '1btc');
    expect(sent.exit).toBe(0);
    expect(sent.stderr).toContain('another payment was faster; looking for other coins');
    expect(play.node.pool[0]?.inputs.map(prevoutKey)).toEqual(coins.filter((key) => key !== stolen));
    expect(readState(play.devnet.walletOf('alice')).pending).toHaveLength(1);
  });

  test('is a clear error where there is no other', async () => {
    const [coin] = play.fund('alice', 5n * BTC);
    play.node.onCall = (method) => {
      if (method === 'sendrawtransaction') play.node.steal(coin as OutPointKey);
    };
    const sent = await play.run('send', 'bob', '1btc', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([7, 'insufficient-funds']);
    expect(readState(play.devnet.walletOf('alice')).pending).toEqual([]);
  });

  test('is not looked for again and again where the node refuses a coin that it shows', async () => {
    play.fund('alice', 5n * BTC);
    play.node.refuse = 'insufficient fee, rejecting replacement';
    const sent = await play.run('send', 'bob', '1btc', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([4, 'insufficient fee']);
    expect(errorOf(sent).hint).toContain('another payment spent one of the coins');
    expect(play.node.calls.filter((method) => method === 'sendrawtransaction')).toHaveLength(1);
  });
});

describe('wallet send with bad input', () => {
  const address = 'bcrt1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was4fsc5u';

  test.each([
    ['1', 'amount-unit'],
    ['-1btc', 'amount-negative'],
    ['-1', 'amount-negative'],
    ['0.123456789btc', 'amount-precision'],
    ['1.5sat', 'amount-precision'],
    ['329sat', 'amount-dust'],
    ['0btc', 'amount-dust'],
    ['much', 'amount-format'],
  ])('an amount of %s is exit 2, %s', async (amount, code) => {
    const sent = await play.run('send', 'bob', amount, '--json');
    expect([sent.exit, sent.stdout, errorOf(sent).code]).toEqual([2, '', code]);
    expect(errorOf(sent).hint).toBeTruthy();
  });

  test.each([
    ['tb1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9hsj2j', 'address-checksum'],
    ['bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh', 'address-network'],
    [address.replace(/.$/, 'q'), 'address-checksum'],
    ['bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', 'address-version'],
    ['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'address-version'],
    ['nobody', 'unknown-account'],
    ['nobody@example.org', 'address-format'],
  ])('a payment to %s is exit 2, %s', async (to, code) => {
    const sent = await play.run('send', to, '1btc', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([2, code]);
    expect(errorOf(sent).hint).toBeTruthy();
    expect(play.node.calls).not.toContain('sendrawtransaction');
  });

  test.each([
    [['--fee-rate', '0.1'], 'fee-rate'],
    [['--fee-rate', '20000'], 'fee-rate'],
    [['--wait', 'x'], 'usage'],
    [['--wait', '-1'], 'usage'],
    [['--wait-timeout', 'soon'], 'usage'],
    [['--account', 'nobody'], 'unknown-account'],
    [['--bogus'], 'usage'],
    [['btc'], 'usage'],
    [['carol'], 'usage'],
    [['--all'], 'usage'],
    [['bob', '1btc'], 'usage'],
    [['--data', ''], 'data-size'],
    [['--data', 'x'.repeat(81)], 'data-size'],
    [['--dry-run', '--psbt'], 'usage'],
    [['--psbt', '--wait', '1'], 'usage'],
  ])('%j is exit 2', async (more, code) => {
    const sent = await play.run('send', 'bob', '1btc', ...more, '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([2, code]);
  });

  test('an amount in two words is recognised', async () => {
    expect(errorOf(await play.run('send', 'bob', '1', 'btc', '--json')).hint).toBe(
      'write the amount as one word: 1btc',
    );
  });

  test('more than there is is exit 7, and says what could be sent', async () => {
    play.fund('alice', BTC);
    const sent = await play.run('send', 'bob', '1btc', '--json');
    expect([sent.exit, errorOf(sent).code, errorOf(sent).hint]).toEqual([
      7,
      'insufficient-funds',
      'send at most 99999778sat',
    ]);
    expect((await play.run('send', 'bob', '99999778sat')).exit).toBe(0);
  });
});
