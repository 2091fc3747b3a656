/** How a payment is shown before it is confirmed and after it was sent, and the question in between. */
import { CliError, Exit, type GlobalOptions } from '../node/commands/cli.ts';
import type { Account } from './accounts.ts';
import { formatAmount, formatBtc, formatFeeRate } from './amount.ts';
import { runningDevnets } from './devnet-file.ts';
import { confirm, isInteractive, processTerminal, type Terminal } from './prompt.ts';

/** A fee above it is a mistake: Core's "maxtxfee". */
const MAX_FEE = 10_000_000n;

/** Somebody who is paid. */
export interface PaidOutput {
  /** The name of the account, else the address. */
  readonly to: string;
  readonly address: string;
  readonly amount: bigint;
}

/** What every payment has. Amounts are satoshis. */
export interface PaymentSummary {
  readonly account: string;
  readonly recipients: readonly PaidOutput[];
  /** What all recipients get. */
  readonly amount: bigint;
  readonly fee: bigint;
  /** Satoshis per virtual byte, as paid. */
  readonly feeRate: number;
  readonly vsize: number;
  readonly change: { readonly address: string; readonly amount: bigint } | null;
}

/** A recipient of a payment that was made before: accounts of running devnets are known by their address. */
export function namedOutput(options: GlobalOptions, address: string, amount: bigint): PaidOutput {
  const accounts = runningDevnets(options.datadir).flatMap((devnet) => [...devnet.accounts, devnet.faucet]);
  const known = accounts.find((account) => account.address === address);
  return { to: known?.name ?? address, address, amount };
}

/** Satoshis per virtual byte with three decimals. */
export function paidFeeRate(fee: bigint, vsize: number): number {
  return Number((fee * 1000n) / BigInt(vsize)) / 1000;
}

/** Throws CliError for a fee that nobody means, whatever feerate led to it. */
export function refuseAbsurdFee({ fee, vsize }: Pick<PaymentSummary, 'fee' | 'vsize'>): void {
  if (fee <= MAX_FEE) return;
  throw new CliError(
    Exit.failed,
    'fee-absurd',
    `the fee would be ${formatAmount(fee)} for ${vsize} vB: above ${formatBtc(MAX_FEE)} nobody means it`,
    'use a lower --fee-rate, or send in several payments',
  );
}

/** Lines for people. `extra` stands behind the recipients. */
export function describePayment(summary: PaymentSummary, extra: readonly string[] = []): string[] {
  const { recipients, fee, feeRate, vsize, change } = summary;
  const lines = [`amount  ${formatAmount(summary.amount)}`, `from    ${summary.account}`];
  for (const { to, address, amount } of recipients) {
    const who = to === address ? address : `${to} (${address})`;
    lines.push(`to      ${who}${recipients.length === 1 ? '' : `  ${formatAmount(amount)}`}`);
  }
  lines.push(...extra, `fee     ${fee} sat (${formatFeeRate(BigInt(Math.round(feeRate * 1000)))}, ${vsize} vB)`);
  if (change !== null) lines.push(`change  ${formatAmount(change.amount)}`);
  return lines;
}

/**
 * Money of one's own is not sent without a yes: exit 5 where nobody can give it. The keys of devnet accounts are public and
 * their coins play money: nobody is asked for them.
 */
export function requireConsent(
  account: Account,
  options: GlobalOptions,
  hint = 'look at it with --dry-run, then send it with --yes',
): void {
  if (account.wallet.devnet || options.yes || isInteractive()) return;
  throw new CliError(
    Exit.confirm,
    'confirmation-needed',
    'a payment must be confirmed, and there is no terminal to ask on',
    hint,
  );
}

/** Shows the lines and asks, where a yes is needed. Throws CliError "cancelled" for a no. */
export async function askConsent(
  account: Account,
  options: GlobalOptions,
  lines: readonly string[],
  question: string,
  terminal: Terminal = processTerminal,
): Promise<void> {
  if (account.wallet.devnet || options.yes) return;
  terminal.output.write(`${lines.join('\n')}\n`);
  if (await confirm(question, terminal)) return;
  throw new CliError(Exit.failed, 'cancelled', 'cancelled; nothing was signed and nothing was sent');
}
