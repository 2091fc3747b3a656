/** `wallet bump` against a real node, which judges replacements by its own rules. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import type { Txid } from '../../consensus/brand.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction } from '../../consensus/transaction.ts';
import { planTransaction, signTransaction } from '../../wallet/build-transaction.ts';
import { EXTERNAL } from '../../wallet/key-place.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { readState } from '../../wallet/wallet-state.ts';
import { errorOf, json, Playground } from './playground.ts';
import { NOBODY, RealDevnet } from './real-devnet.ts';
import { seededRandomness } from './seeded-randomness.ts';

const play = new Playground();
const net = new RealDevnet(play);

/** What bob's wallet would not do: he spends what alice paid him and is not confirmed. */
async function spendAsBob(txid: Txid, fee: bigint): Promise<string> {
  const script = bytesToHex(play.devnet.script('bob'));
  const { vout } = await net.show(txid);
  const output = vout.find(({ scriptPubKey }) => scriptPubKey.hex === script);
  if (output === undefined) throw new Error('bob is not paid');
  const place = { chain: EXTERNAL, index: 0 } as const;
  const value = BigInt(Math.round(output.value * 1e8));
  const coin = { prevout: { txid, vout: output.n }, value, scriptPubKey: hexToBytes(script), place };
  const random = seededRandomness(1);
  const payments = [{ value: value - fee, scriptPubKey: p2trScript(new Uint8Array(32).fill(7)) }];
  const plan = planTransaction({ coins: [coin], change: 0n, fee, vsize: 111 }, payments, new Uint8Array(0), random);
  const { mnemonic } = play.devnet.file.accounts[1] as { mnemonic: string };
  const secret = new AccountSecret(seedFromMnemonic(mnemonic), regtest);
  const tx = signTransaction(plan, (at) => secret.outputSecret(at), random);
  return net.node.call<string>('sendrawtransaction', bytesToHex(encodeTransaction(tx)));
}

describe('wallet bump', () => {
  test('replaces a payment by one that pays more from its change', async () => {
    await net.fund('alice', 1);
    const sent = await net.send('bob', '1btc');
    const bumped = json(await play.run('bump', sent['txid'] as string, '--json'));
    expect(bumped).toMatchObject({
      replaces: sent['txid'],
      oldFee: 308,
      oldFeeRate: 2,
      fee: 308 + 154,
      inputs: 1,
      addedInputs: 0,
      evicted: 1,
      recipients: [{ to: 'bob', address: net.addressOf('bob'), amount: 100_000_000 }],
      change: { address: (sent['change'] as { address: string }).address, amount: 4_899_999_692 - 154 },
    });
    expect(await net.pool()).toEqual([bumped['txid']]);
  });

  test('--fee-rate is what is paid, and one that is too low is exit 2 and says what is needed', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    const low = await play.run('bump', txid as string, '--fee-rate', '2.9', '--json');
    expect([low.exit, errorOf(low)]).toEqual([
      2,
      {
        code: 'fee-rate-low',
        message: '2.9 sat/vB is too low to replace a payment of 2 sat/vB',
        hint: 'at least 3 sat/vB is needed: --fee-rate 3',
      },
    ]);
    const bumped = json(await play.run('bump', txid as string, '--fee-rate', '20', '--json'));
    expect(bumped).toMatchObject({ feeRate: 20, fee: 3080 });
  });

  test('the lowest feerate that it names is one that the node takes', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc', '--fee-rate', '1.234');
    const { hint } = errorOf(await play.run('bump', txid as string, '--fee-rate', '1', '--json'));
    const least = hint.match(/--fee-rate ([\d.]+)$/)?.[1] as string;
    expect((await play.run('bump', txid as string, '--fee-rate', least)).exit).toBe(0);
  });

  test('adds confirmed coins where the change does not suffice', async () => {
    await net.fund('alice', 2);
    // All but a few satoshis of one coin: there is no change.
    const sent = await net.send('bob', '49.999995btc', '--fee-rate', '2');
    expect(sent).toMatchObject({ inputs: 1, change: null });
    const bumped = json(await play.run('bump', sent['txid'] as string, '--fee-rate', '30', '--json'));
    expect(bumped).toMatchObject({ addedInputs: 1, feeRate: 30, amount: 4_999_999_500 });
    expect(await net.pool()).toEqual([bumped['txid']]);
    // The change of the replacement has an address of its own.
    expect(readState(play.devnet.walletOf('alice')).next.internal).toBe(1);
  });

  test('of a payment of everything says that there is nothing to take the fee from', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '--all');
    const bumped = await play.run('bump', txid as string, '--json');
    expect([bumped.exit, errorOf(bumped).code]).toEqual([7, 'insufficient-funds']);
    expect(await net.pool()).toEqual([txid]);
  });

  test('can be done again, and the first of the three is known as replaced', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    const first = json(await play.run('bump', txid as string, '--json'));
    const second = json(await play.run('bump', first['txid'] as string, '--json'));
    expect(second).toMatchObject({ oldFee: first['fee'], fee: (first['fee'] as number) + 154 });
    const again = await play.run('bump', txid as string, '--json');
    expect([again.exit, errorOf(again).code]).toEqual([1, 'already-replaced']);
    expect(errorOf(again).hint).toContain(first['txid']);
    await net.node.mine(1, NOBODY);
    const late = await play.run('bump', first['txid'] as string, '--json');
    expect([late.exit, errorOf(late).code]).toEqual([1, 'already-replaced']);
    expect(errorOf(late)).toMatchObject({
      message: `${first['txid']} was replaced by ${second['txid']}, which is confirmed`,
      hint: 'there is nothing to speed up',
    });
  });

  test('pays for what leaves the pool with it, and says so', async () => {
    await net.fund('alice', 1);
    const sent = await net.send('bob', '1btc');
    const child = await spendAsBob(sent['txid'] as Txid, 50_000n);
    expect(await net.pool()).toEqual([sent['txid'], child]);
    const dry = await play.run('bump', sent['txid'] as string, '--dry-run');
    expect(dry.stdout).toContain('drops   1 unconfirmed payment of others that spend from it');
    const bumped = json(await play.run('bump', sent['txid'] as string, '--json'));
    // Its own fee, that of the child, and one satoshi for each of its bytes (RULES B3, rows 4 and 5).
    expect(bumped).toMatchObject({ evicted: 2, oldFee: 308 });
    expect(bumped['fee'] as number).toBeGreaterThanOrEqual(308 + 50_000 + 154);
    expect(await net.pool()).toEqual([bumped['txid']]);
  });

  test('of a confirmed payment is refused', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    await net.node.mine(2, NOBODY);
    const bumped = await play.run('bump', txid as string, '--json');
    expect([bumped.exit, errorOf(bumped).code]).toEqual([1, 'already-confirmed']);
    expect(errorOf(bumped).message).toContain('has 2 confirmations');
  });

  test('of somebody else’s payment is refused', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    const bumped = await play.run('bump', txid as string, '--account', 'bob', '--json');
    expect([bumped.exit, errorOf(bumped).code]).toEqual([1, 'foreign-transaction']);
    expect(errorOf(bumped).message).toContain('"bob" did not pay it');
  });

  test('of a payment whose change is spent names the payment that spends it', async () => {
    await net.fund('alice', 1);
    const first = await net.send('bob', '1btc');
    const second = await net.send('bob', '2btc');
    const bumped = await play.run('bump', first['txid'] as string, '--json');
    expect([bumped.exit, errorOf(bumped).code]).toEqual([1, 'change-spent']);
    expect(errorOf(bumped).hint).toContain(second['txid']);
    const child = json(await play.run('bump', second['txid'] as string, '--json'));
    expect(await net.pool()).toEqual([first['txid'], child['txid']]);
  });

  test('of a transaction that the node does not know, and of no id at all', async () => {
    await net.fund('alice', 1);
    const unknown = await play.run('bump', 'ab'.repeat(32), '--json');
    expect([unknown.exit, errorOf(unknown).code]).toEqual([1, 'unknown-transaction']);
    expect((await play.run('bump', 'abc')).exit).toBe(2);
  });

  test('is followed by whoever waits for the payment', async () => {
    await net.fund('alice', 1);
    const waiting = play.run('send', 'bob', '1btc', '--wait', '1', '--wait-timeout', '20s', '--json');
    while ((await net.pool()).length === 0) await new Promise((wake) => setTimeout(wake, 20));
    const [txid] = await net.pool();
    const bumped = json(await play.run('bump', txid as string, '--json'));
    await net.node.mine(1, NOBODY);
    const waited = await waiting;
    expect([waited.exit, json(waited)]).toMatchObject([0, { txid, replacedBy: bumped['txid'], confirmations: 1 }]);
  });

  test('--dry-run changes nothing', async () => {
    await net.fund('alice', 1);
    const { txid } = await net.send('bob', '1btc');
    const before = readState(play.devnet.walletOf('alice'));
    expect(json(await play.run('bump', txid as string, '--dry-run', '--json'))).toMatchObject({ txid: null, fee: 462 });
    expect(await net.pool()).toEqual([txid]);
    expect(readState(play.devnet.walletOf('alice'))).toEqual(before);
  });
});
