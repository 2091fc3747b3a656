/** `wallet sign`, `wallet broadcast` and `wallet send --psbt`: watch-only wallets, offline signing, and every wrong input. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { base64 } from '@scure/base';
import { Transaction as Draft } from '@scure/btc-signer';
import { bytesToHex } from '#hash';
import { regtest } from '../../consensus/params.ts';
import { accountDescriptor } from '../../wallet/key-place.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import { createWatchWallet } from '../../wallet/keystore.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { readState } from '../../wallet/wallet-state.ts';
import { runWallet } from './command-line.ts';
import { errorOf, json, PASSWORD, Playground } from './playground.ts';
import { NOBODY, RealDevnet } from './real-devnet.ts';

const play = new Playground();
const net = new RealDevnet(play);

/** What the wallets of the playground are made of. */
const { publicKey } = new AccountSecret(
  seedFromMnemonic('legal winner thank year wave sausage worth useful legal winner thank yellow'),
  regtest,
);

/** A watch-only wallet with coins, and the path of the wallet that has its keys, in a data directory without a node. */
async function watchAndOffline(): Promise<{ offline: string }> {
  createWatchWallet(join(play.devnet.datadir, 'wallets', 'watched.json'), 'regtest', accountDescriptor(publicKey));
  const address = (await play.run('address', '--account', 'watched')).stdout.trim();
  await net.fundAddress(address, 2);
  const offline = play.newFolder();
  await play.makeWallet('savings', offline);
  process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
  return { offline };
}

function file(content: string | Uint8Array): string {
  const path = join(play.newFolder(), 'payment');
  writeFileSync(path, content);
  return path;
}

/** The fields of a PSBT after a change to it. */
function edited(psbt: string, change: (draft: Draft) => void): string {
  const draft = Draft.fromPSBT(base64.decode(psbt), { allowUnknownOutputs: true, unknown: 'ignore' });
  change(draft);
  return base64.encode(draft.toPSBT(0));
}

describe('a watch-only wallet', () => {
  test('makes a PSBT that the wallet with the keys signs where no node runs, and any node takes', async () => {
    const { offline } = await watchAndOffline();
    const made = await play.run('send', 'bob', '70btc', '--account', 'watched', '--psbt');
    expect(made.exit).toBe(0);
    expect(made.stderr).toContain('amount  70.00000000 btc (7000000000 sat)');
    expect(readState(join(play.devnet.datadir, 'wallets', 'watched.json')).next.internal).toBe(1);
    const signed = await runWallet(offline, 'sign', file(made.stdout), '--account', 'savings', '--yes', '--json');
    expect([signed.exit, signed.stderr]).toEqual([0, '']);
    expect(json(signed)).toMatchObject({
      complete: true,
      account: 'savings',
      recipients: [{ to: net.addressOf('bob'), amount: 7_000_000_000 }],
      change: { amount: 3_000_000_000 - (json(signed)['fee'] as number) },
      inputs: 2,
      signed: 2,
      missing: 0,
    });
    const sent = json(await play.run('broadcast', file(`${json(signed)['hex']}\n`), '--json'));
    expect(sent).toEqual({
      txid: json(signed)['txid'],
      wtxid: expect.stringMatching(/^[0-9a-f]{64}$/),
      status: 'sent',
      confirmations: 0,
      vsize: json(signed)['vsize'],
    });
    expect(await net.pool()).toEqual([sent['txid']]);
  });

  test('cannot send or bump, and says what it can', async () => {
    await watchAndOffline();
    const sent = await play.run('send', 'bob', '1btc', '--account', 'watched', '--yes', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([2, 'watch-only']);
    expect(errorOf(sent).hint).toContain('--psbt');
    const bumped = await play.run('bump', 'ab'.repeat(32), '--account', 'watched', '--yes', '--json');
    expect([bumped.exit, errorOf(bumped).code]).toEqual([2, 'watch-only']);
    const signed = await play.run('sign', 'cHNidP8=', '--account', 'watched', '--yes', '--json');
    expect([signed.exit, errorOf(signed).code]).toEqual([2, 'watch-only']);
  });

  test('shows the PSBT of a dry run, and remembers nothing of it', async () => {
    await watchAndOffline();
    const dry = json(await play.run('send', 'bob', '1btc', '--account', 'watched', '--dry-run', '--json'));
    expect(dry).toMatchObject({ txid: null, dryRun: true, psbt: expect.stringMatching(/^cHNidP8B/) });
    expect(readState(join(play.devnet.datadir, 'wallets', 'watched.json')).next.internal).toBe(0);
  });
});

describe('wallet sign', () => {
  test('asks first: without a terminal and --yes it is exit 5', async () => {
    const { offline } = await watchAndOffline();
    const made = await play.run('send', 'bob', '1btc', '--account', 'watched', '--psbt');
    const signed = await runWallet(offline, 'sign', file(made.stdout), '--account', 'savings', '--json');
    expect([signed.exit, errorOf(signed).code]).toEqual([5, 'confirmation-needed']);
  });

  test('takes base64 and binary files, and the PSBT as a word', async () => {
    await net.fund('alice', 1);
    const psbt = (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
    for (const form of [psbt, file(`${psbt}\n`), file(base64.decode(psbt)), file(bytesToHex(base64.decode(psbt)))]) {
      expect(json(await play.run('sign', form, '--json'))).toMatchObject({ complete: true });
    }
  });

  test('signs hex with the coins of a file, amounts in satoshis or with a unit', async () => {
    await net.fund('alice', 1);
    const { psbt } = await net.send('bob', '1btc', '--psbt');
    const draft = Draft.fromPSBT(base64.decode(psbt as string));
    const unsigned = bytesToHex(draft.unsignedTx);
    const { txid, index } = draft.getInput(0);
    const coin = { txid: bytesToHex(txid as Uint8Array), vout: index, address: net.addressOf('alice') };
    for (const amount of [5_000_000_000, '50btc']) {
      const prevouts = file(JSON.stringify([{ ...coin, amount }]));
      const signed = await play.run('sign', file(unsigned), '--prevouts', prevouts);
      expect(signed.exit).toBe(0);
      expect(json(await play.run('broadcast', signed.stdout.trim(), '--json'))).toMatchObject({ txid: draft.id });
    }
  });

  test('signs what is its own in a payment of two wallets, and the second one completes it', async () => {
    await net.fund('alice', 1);
    await net.fund('bob', 1);
    const coinOf = async (height: number) =>
      (await net.node.call<{ tx: string[] }>('getblock', await net.node.call('getblockhash', height), 1))
        .tx[0] as string;
    const draft = new Draft();
    for (const [account, height] of [
      ['alice', 1],
      ['bob', 102],
    ] as const) {
      draft.addInput({
        txid: await coinOf(height),
        index: 0,
        witnessUtxo: { script: play.devnet.script(account), amount: 5_000_000_000n },
      });
    }
    draft.addOutput({ script: play.devnet.script('alice'), amount: 9_999_990_000n });
    const first = json(await play.run('sign', base64.encode(draft.toPSBT()), '--account', 'alice', '--json'));
    expect(first).toMatchObject({ complete: false, signed: 1, missing: 1, hex: null });
    const again = await play.run('sign', first['psbt'] as string, '--account', 'alice', '--json');
    expect([again.exit, errorOf(again).code]).toEqual([1, 'already-signed']);
    const early = await play.run('broadcast', first['psbt'] as string, '--json');
    expect([early.exit, errorOf(early).code]).toEqual([1, 'not-signed']);
    const second = json(await play.run('sign', first['psbt'] as string, '--account', 'bob', '--json'));
    expect(second).toMatchObject({ complete: true, signed: 1, missing: 0 });
    expect(json(await play.run('broadcast', second['psbt'] as string, '--json'))).toMatchObject({ status: 'sent' });
  });
});

describe('a PSBT that cannot be signed', () => {
  async function psbtOfAlice(): Promise<string> {
    await net.fund('alice', 1);
    return (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
  }

  async function refusal(word: string, ...more: string[]): Promise<ReturnType<typeof errorOf> & { exit: number }> {
    const run = await play.run('sign', word, '--json', ...more);
    return { exit: run.exit, ...errorOf(run) };
  }

  test('because every input is signed already', async () => {
    const signed = json(await play.run('sign', await psbtOfAlice(), '--json'));
    expect(await refusal(signed['psbt'] as string)).toMatchObject({ exit: 1, code: 'already-final' });
    const final = edited(signed['psbt'] as string, (draft) => draft.finalize());
    expect(await refusal(final)).toMatchObject({ code: 'already-final', hint: expect.stringContaining('broadcast') });
  });

  test('because none of its coins is ours', async () => {
    const refused = await refusal(await psbtOfAlice(), '--account', 'bob');
    expect(refused).toMatchObject({ exit: 1, code: 'nothing-to-sign' });
    expect(refused.message).toMatch(/none of the coins belongs to "bob" \(they come from [0-9a-f]{8}, and "bob" is/);
  });

  test('because a coin is not named', async () => {
    const draft = new Draft();
    draft.addInput({ txid: 'ab'.repeat(32), index: 3 });
    draft.addOutput({ script: play.devnet.script('bob'), amount: 1000n });
    const refused = await refusal(base64.encode(draft.toPSBT()));
    expect(refused).toMatchObject({ exit: 1, code: 'missing-prevout' });
    expect(refused.message).toBe(`input 0 spends ${'ab'.repeat(32)}:3, and the PSBT does not name that coin`);
    expect(refused.hint).toContain('utxoupdatepsbt');
  });

  test('because it is one of another network', async () => {
    const draft = new Draft();
    const key = play.devnet.script('bob').slice(2);
    const der = { fingerprint: 1, path: [86 + 2 ** 31, 2 ** 31, 2 ** 31, 0, 0] };
    const script = Uint8Array.from([0x51, 0x20, ...new Uint8Array(32).fill(7)]);
    draft.addInput({
      txid: 'ab'.repeat(32),
      index: 0,
      witnessUtxo: { script, amount: 5000n },
      tapBip32Derivation: [[key, { hashes: [], der }]],
    });
    draft.addOutput({ script: play.devnet.script('bob'), amount: 1000n });
    const refused = await refusal(base64.encode(draft.toPSBT()));
    expect(refused).toMatchObject({ exit: 1, code: 'psbt-network' });
    expect(refused.message).toContain("Bitcoin's main network");
  });

  test('because it asks for a signature that leaves something open', async () => {
    const psbt = edited(await psbtOfAlice(), (draft) => draft.updateInput(0, { sighashType: 0x81 }));
    expect(await refusal(psbt)).toMatchObject({ exit: 1, code: 'psbt-sighash' });
  });

  test('because it pays more than its coins are worth, or an absurd fee', async () => {
    const psbt = await psbtOfAlice();
    const script = play.devnet.script('alice');
    const worth = (amount: bigint) =>
      edited(psbt, (draft) => draft.updateInput(0, { witnessUtxo: { script, amount } }));
    expect(await refusal(worth(1000n))).toMatchObject({ exit: 1, code: 'bad-txns-in-belowout' });
    expect(await refusal(worth(6_000_000_000n))).toMatchObject({ exit: 1, code: 'fee-absurd' });
  });

  test('because it is cut, no PSBT at all, or not there', async () => {
    const psbt = await psbtOfAlice();
    expect(await refusal(psbt.slice(0, 120))).toMatchObject({ exit: 2, code: 'psbt-invalid' });
    expect(await refusal(file('not a psbt'))).toMatchObject({ exit: 2, code: 'transaction-unreadable' });
    expect(await refusal(file(''))).toMatchObject({ exit: 2, code: 'transaction-unreadable' });
    expect(await refusal('/nowhere/payment.psbt')).toMatchObject({ exit: 2, code: 'file-unreadable' });
    expect(await refusal('/dev/zero')).toMatchObject({ exit: 2, code: 'file-too-large' });
    expect(await refusal(psbt, '--prevouts', file('[]'))).toMatchObject({ exit: 2, code: 'usage' });
  });

  test('because it is hex, and the file of its coins is missing or wrong', async () => {
    const unsigned = bytesToHex(Draft.fromPSBT(base64.decode(await psbtOfAlice())).unsignedTx);
    expect(await refusal(unsigned)).toMatchObject({ exit: 2, code: 'usage' });
    const coin = { txid: 'ab'.repeat(32), vout: 0, amount: 5, address: NOBODY };
    const wrong = [
      '[',
      '{}',
      [{ ...coin, amount: 0.5 }],
      [{ ...coin, address: undefined }],
      [{ ...coin, vout: '0' }],
      [null],
    ];
    for (const content of wrong) {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      expect(await refusal(unsigned, '--prevouts', file(text))).toMatchObject({ exit: 2, code: 'prevouts-file' });
    }
    const another = await refusal(unsigned, '--prevouts', file(JSON.stringify([coin])));
    expect(another).toMatchObject({ exit: 1, code: 'missing-prevout' });
  });
});

describe('wallet broadcast', () => {
  test('says that a transaction is known or confirmed already, and that is no failure', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    const raw = await net.node.call<string>('getrawtransaction', txid, 0);
    expect(json(await play.run('broadcast', raw, '--json'))).toMatchObject({ txid, status: 'known', confirmations: 0 });
    await net.node.mine(2, NOBODY);
    const again = await play.run('broadcast', raw, '--json');
    expect([again.exit, json(again)]).toMatchObject([0, { txid, status: 'confirmed', confirmations: 2 }]);
    expect((await play.run('broadcast', raw)).stdout).toContain('it is confirmed already, 2 deep');
  });

  test('keeps the node’s reason where it refuses: exit 4', async () => {
    await net.fund('alice', 1);
    const signed = json(await play.run('sign', (await net.send('bob', '1btc', '--psbt'))['psbt'] as string, '--json'));
    await net.send('bob', '2btc');
    const refused = await play.run('broadcast', signed['hex'] as string, '--json');
    expect([refused.exit, errorOf(refused).code]).toEqual([4, 'insufficient fee']);
  });

  test('refuses what is not signed, and hex that is no transaction', async () => {
    await net.fund('alice', 1);
    const psbt = (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
    const unsigned = bytesToHex(Draft.fromPSBT(base64.decode(psbt)).unsignedTx);
    for (const [word, exit, code] of [
      [unsigned, 1, 'not-signed'],
      [unsigned.slice(1), 2, 'transaction-unreadable'],
      [`${unsigned}00`, 2, 'transaction-unreadable'],
    ] as const) {
      const run = await play.run('broadcast', word, '--json');
      expect([run.exit, errorOf(run).code]).toEqual([exit, code]);
    }
  });
});
