/** `wallet send` against a real node: several recipients, everything, data, long chains of change. */
import { describe, expect, test } from '@jest/globals';
import { errorOf, json, Playground } from './playground.ts';
import { NOBODY, RealDevnet } from './real-devnet.ts';

const play = new Playground();
const net = new RealDevnet(play);
const TXID = /^[0-9a-f]{64}$/;

describe('wallet send', () => {
  test('pays several recipients in one transaction', async () => {
    await net.fund('alice', 1);
    const sent = await net.send('bob', '1btc', 'faucet', '50000sat', NOBODY, '0.25btc');
    expect(sent).toMatchObject({ to: null, address: null, amount: 125_050_000, vsize: 154 + 2 * 43 });
    expect(sent['recipients']).toMatchObject([
      { to: 'bob', address: net.addressOf('bob'), amount: 100_000_000 },
      { to: 'faucet', amount: 50_000 },
      { to: NOBODY, amount: 25_000_000 },
    ]);
    const { vout } = await net.show(sent['txid']);
    expect(
      vout
        .map(({ value }) => value)
        .sort((a, b) => a - b)
        .slice(0, 3),
    ).toEqual([0.0005, 0.25, 1]);
  });

  test('--all sends everything, takes the fee from it and leaves no change', async () => {
    await net.fund('alice', 3);
    const sent = await net.send('bob', '--all', '--fee-rate', '4');
    expect(sent).toMatchObject({
      amount: 15_000_000_000 - (sent['fee'] as number),
      inputs: 3,
      change: null,
      feeRate: 4,
    });
    await net.node.mine(1, NOBODY);
    expect(json(await play.run('balance', '--account', 'alice', '--json'))['total']).toBe(0);
  });

  test('--all pays fixed amounts first, and the rest to the last recipient', async () => {
    await net.fund('alice', 1);
    const sent = await net.send('faucet', '1btc', 'bob', '--all');
    const [, bob] = sent['recipients'] as { amount: number }[];
    expect(bob?.amount).toBe(4_900_000_000 - (sent['fee'] as number));
  });

  test('--all with nothing to send is exit 7', async () => {
    const sent = await play.run('send', 'bob', '--all', '--json');
    expect([sent.exit, errorOf(sent).code]).toEqual([7, 'insufficient-funds']);
  });

  test.each([
    ['hello', '6a0568656c6c6f'],
    ['deadbeef', '6a04deadbeef'],
    ['text:deadbeef', '6a086465616462656566'],
    ['ab'.repeat(80), `6a4c50${'ab'.repeat(80)}`],
  ])('--data %s writes the script %s', async (data, script) => {
    await net.fund('alice', 1);
    const sent = await net.send('bob', '1btc', '--data', data);
    const { vout } = await net.show(sent['txid']);
    expect(vout.map(({ scriptPubKey }) => scriptPubKey.hex)).toContain(script);
    expect(sent).toMatchObject({ feeRate: 2, data: script.slice(script.startsWith('6a4c') ? 6 : 4) });
  });
});

describe('a chain of unconfirmed change', () => {
  test('ends at 25 transactions, goes on with another coin, and says what to wait for', async () => {
    await net.fund('alice', 1);
    for (let count = 1; count <= 25; count++) await net.send('bob', '1000sat');
    expect(await net.pool()).toHaveLength(25);
    const stuck = await play.run('send', 'bob', '1000sat', '--json');
    expect([stuck.exit, errorOf(stuck).code]).toEqual([7, 'insufficient-funds']);
    expect(errorOf(stuck).hint).toContain('too many unconfirmed payments in a row: wait for the next block');
    await net.node.mine(1, NOBODY);
    expect(await net.send('bob', '1000sat')).toMatchObject({ txid: expect.stringMatching(TXID) });
  });
});
