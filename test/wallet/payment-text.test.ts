/** What is shown before a payment, and the question whether it is meant. */
import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { globalOptions } from '../../node/commands/cli.ts';
import type { Account } from '../../wallet/accounts.ts';
import { askConsent, describePayment, requireConsent } from '../../wallet/payment-text.ts';
import type { Terminal } from '../../wallet/prompt.ts';

const options = globalOptions({});
const account = (devnet: boolean) => ({ name: 'savings', wallet: { devnet } }) as Account;
const summary = {
  account: 'savings',
  recipients: [
    { to: 'bob', address: 'bcrt1pbob', amount: 150_000_000n },
    { to: 'bcrt1pcarol', address: 'bcrt1pcarol', amount: 50_000n },
  ],
  amount: 150_050_000n,
  fee: 394n,
  feeRate: 2,
  vsize: 197,
  change: { address: 'bcrt1pchange', amount: 1000n },
};
const lines = [
  'amount  1.50050000 btc (150050000 sat)',
  'from    savings',
  'to      bob (bcrt1pbob)  1.50000000 btc (150000000 sat)',
  'to      bcrt1pcarol  0.00050000 btc (50000 sat)',
  'fee     394 sat (2 sat/vB, 197 vB)',
  'change  0.00001000 btc (1000 sat)',
];

/** A terminal on which `typed` is typed, and what was shown on it. */
function play(typed: string): { terminal: Terminal; shown: () => string } {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  let shown = '';
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  input.write(typed);
  return { terminal: { input, output } as unknown as Terminal, shown: () => shown };
}

describe('a payment of one’s own money', () => {
  test('is shown with recipients, amounts, fee, feerate and change', () => {
    expect(describePayment(summary)).toEqual(lines);
    expect(describePayment({ ...summary, recipients: summary.recipients.slice(0, 1), change: null })).toEqual([
      lines[0],
      lines[1],
      'to      bob (bcrt1pbob)',
      lines[4],
    ]);
  });

  test('is shown before the question, and goes on after a yes', async () => {
    const { terminal, shown } = play('y\n');
    await askConsent(account(false), options, lines, 'send it?', terminal);
    expect(shown().startsWith(`${lines.join('\n')}\n`)).toBe(true);
    expect(shown()).toContain('send it? [y/N] ');
  });

  test.each(['n\n', '\n', '\u0003', '\u0004'])('does not go on after %j', async (typed) => {
    const asked = askConsent(account(false), options, lines, 'send it?', play(typed).terminal);
    await expect(asked).rejects.toMatchObject({ code: 'cancelled', exit: 1 });
  });

  test('needs a terminal or --yes', () => {
    expect(() => requireConsent(account(false), options)).toThrow(expect.objectContaining({ exit: 5 }));
    expect(() => requireConsent(account(false), { ...options, yes: true })).not.toThrow();
  });
});

test('nobody is asked for the play money of a devnet account, nor with --yes', async () => {
  for (const [who, how] of [
    [account(true), options],
    [account(false), { ...options, yes: true }],
  ] as const) {
    const { terminal, shown } = play('');
    await askConsent(who, how, lines, 'send it?', terminal);
    expect(shown()).toBe('');
  }
  expect(() => requireConsent(account(true), options)).not.toThrow();
});
