/**
 * `wallet send`: chooses coins, shows the fee, signs, remembers the payment and gives it to the node.
 *
 * All of it happens under the wallet's lock, so that two sends never choose the same coin. What is remembered is on disk
 * before the node sees the payment: the index of the change address, so that it is never used twice, and the payment
 * itself. Whatever interrupts a send, every coin stays findable and spendable.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesToHex } from '#hash';
import { encodeAddress, p2trScript } from '../consensus/address.ts';
import { outPointKey } from '../consensus/brand.ts';
import { encodeTransaction, prevoutKey, type Transaction } from '../consensus/transaction.ts';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { type Account, blameNodeFirst, chooseAccount, connectFor } from './accounts.ts';
import {
  type FeeRate,
  formatAmount,
  formatBtc,
  formatFeeRate,
  parseAmount,
  parseFeeRate,
  satoshisFromJson,
} from './amount.ts';
import { planTransaction, type SpendableCoin, signTransaction, type TransactionPlan } from './build-transaction.ts';
import { DUST_LIMIT, type Randomness, type Selection, type SelectionError, selectCoins } from './coin-selection.ts';
import type { Connection } from './connect.ts';
import { parseDuration } from './duration.ts';
import { INTERNAL } from './key-place.ts';
import { decryptMnemonic, plainMnemonic } from './keystore.ts';
import { OutputKeys } from './output-keys.ts';
import { reservedCoins, reviewPending } from './pending-payments.ts';
import { confirm, isInteractive, readPassword } from './prompt.ts';
import { findRecipient, type Recipient, resolveRecipient } from './receiving.ts';
import { NodeRefusal } from './rpc-client.ts';
import { isMature, viewWallet, type WalletCoin, type WalletView } from './wallet-coins.ts';
import { type OpenState, type PendingPayment, withState } from './wallet-state.ts';

/** Options of the command as they were written. */
export interface SendTexts {
  readonly account: string | undefined;
  readonly feeRate: string | undefined;
  readonly wait: string | undefined;
  readonly waitTimeout: string | undefined;
  readonly dryRun: boolean;
  readonly passwordFile: string | undefined;
}

/** What a send comes to, and its JSON (README.md). Amounts are satoshis. */
export interface SendResult {
  /** Null for a dry run: nothing was signed. */
  readonly txid: string | null;
  readonly account: string;
  readonly to: string;
  readonly address: string;
  readonly amount: bigint;
  readonly fee: bigint;
  /** Satoshis per virtual byte, as paid. */
  readonly feeRate: number;
  readonly vsize: number;
  readonly inputs: number;
  readonly change: { readonly address: string; readonly amount: bigint } | null;
  readonly dryRun: boolean;
  readonly confirmations: number;
}

const DEFAULT_FEE_RATE: FeeRate = 2000n;
const DEFAULT_WAIT_TIMEOUT_MS = 600_000;
const WAIT_POLL_MS = 200;
const MAX_CONFIRMATIONS = 1_000_000;

const secureRandomness: Randomness = {
  below: (bound) => randomInt(bound),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

/** Runs the command: prints the result, and with `--wait` comes back when the payment is confirmed. */
export async function send(options: GlobalOptions, to: string, amountText: string, texts: SendTexts): Promise<void> {
  const order = readOrder(amountText, texts);
  const account = await blameNodeFirst(options, () => chooseAccount(options, texts.account));
  const named = await blameNodeFirst(options, () => findRecipient(options, to, account.wallet.params));
  if (!order.dryRun) requireConsent(account, options);
  const connection = await connectFor(account, options);
  try {
    const recipient = await resolveRecipient(named, connection);
    const payment = new Payment(options, account, connection, recipient, order);
    const result = await payment.run();
    if (order.confirmations === 0 || result.txid === null) return printSend(options, result, recipient);
    if (!options.json) printSend(options, result, recipient);
    const wait = await waitForConfirmations(options, connection, result.txid, order);
    if (options.json) printSend(options, { ...result, confirmations: wait.confirmations }, recipient);
    if (wait.confirmations >= order.confirmations) return;
    throw new CliError(
      Exit.timeout,
      'wait-timeout',
      `${wait.confirmations} of ${order.confirmations} confirmations after ${order.waitTimeoutMs / 1000} s; the payment was sent`,
      `it stays valid: look again with "grapevine wallet balance", or mine a block with "grapevine mine"`,
    );
  } finally {
    connection.client.close();
  }
}

/** What is asked for, read and checked. */
interface Order {
  readonly amount: bigint;
  /** Undefined: the usual one. */
  readonly feeRate: FeeRate | undefined;
  readonly confirmations: number;
  readonly waitTimeoutMs: number;
  readonly dryRun: boolean;
  readonly passwordFile: string | undefined;
}

function readOrder(amountText: string, texts: SendTexts): Order {
  const amount = parseAmount(amountText);
  if (!amount.ok) throw new CliError(Exit.usage, amount.error.code, amount.error.message, amount.error.hint);
  if (amount.value < DUST_LIMIT) {
    throw new CliError(
      Exit.usage,
      'amount-dust',
      `${amount.value} sat is dust: nodes do not pass on outputs below ${DUST_LIMIT} sat`,
      `the smallest payment is ${DUST_LIMIT}sat`,
    );
  }
  const feeRate = texts.feeRate === undefined ? undefined : parseFeeRate(texts.feeRate);
  if (feeRate?.ok === false)
    throw new CliError(Exit.usage, feeRate.error.code, feeRate.error.message, feeRate.error.hint);
  const confirmations = texts.wait === undefined ? 0 : /^\d{1,7}$/.test(texts.wait) ? Number(texts.wait) : -1;
  if (confirmations < 0 || confirmations > MAX_CONFIRMATIONS) {
    throw usageError(`"${texts.wait}" is no number of confirmations`, 'for example --wait 1');
  }
  const timeout = texts.waitTimeout === undefined ? undefined : parseDuration(texts.waitTimeout);
  if (timeout?.ok === false) throw usageError(timeout.error, 'for example --wait-timeout 90s');
  return {
    amount: amount.value,
    feeRate: feeRate?.value,
    confirmations,
    waitTimeoutMs: timeout?.value ?? DEFAULT_WAIT_TIMEOUT_MS,
    dryRun: texts.dryRun,
    passwordFile: texts.passwordFile,
  };
}

/** Money of one's own is not sent without a yes. Devnet coins are play money: nobody is asked. */
function requireConsent(account: Account, options: GlobalOptions): void {
  if (account.wallet.devnet || options.yes || isInteractive()) return;
  throw new CliError(
    Exit.confirm,
    'confirmation-needed',
    'a payment must be confirmed, and there is no terminal to ask on',
    'look at it with --dry-run, then send it with --yes',
  );
}

/** One payment from the choice of its coins to the node's answer. */
class Payment {
  readonly #options: GlobalOptions;
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #recipient: Recipient;
  readonly #order: Order;
  readonly #keys: OutputKeys;

  constructor(options: GlobalOptions, account: Account, connection: Connection, recipient: Recipient, order: Order) {
    this.#options = options;
    this.#account = account;
    this.#connection = connection;
    this.#recipient = recipient;
    this.#order = order;
    this.#keys = new OutputKeys(account.wallet);
  }

  run(): Promise<SendResult> {
    const onWait = (pid: number) => note(this.#options, `waiting for another send of this wallet (process ${pid})`);
    const what = `the wallet of "${this.#account.name}"`;
    return withState(this.#account.wallet.path, { what, onWait }, (state) => this.#runAlone(state));
  }

  async #runAlone(state: OpenState): Promise<SendResult> {
    const { dryRun } = this.#order;
    const feeRate = this.#order.feeRate ?? (await this.#usualFeeRate());
    const view = await this.#freshView(state);
    const selection = this.#select(view, state.value.pending, feeRate);
    const changeIndex = Math.max(state.value.next.internal, view.used.internal);
    const changeKey = await this.#keys.derive({ chain: INTERNAL, index: changeIndex });
    const payments = [{ value: this.#order.amount, scriptPubKey: this.#recipient.script }];
    const plan = planTransaction(selection, payments, p2trScript(changeKey), secureRandomness);
    const result = this.#resultOf(plan, selection.change, encodeAddress(changeKey, this.#account.wallet.params.hrp));
    if (dryRun) return result;

    await this.#askConsent(result);
    const tx = await this.#sign(plan);
    const pending: PendingPayment = {
      txid: tx.txid,
      hex: bytesToHex(encodeTransaction(tx)),
      spends: tx.inputs.map(prevoutKey),
      createdAt: unixNow(),
      sent: false,
    };
    const before = state.value;
    const next = selection.change > 0n ? { ...before.next, internal: changeIndex + 1 } : before.next;
    state.save({ ...before, next, pending: [...before.pending, pending] });
    await this.#broadcast(pending, state);
    return { ...result, txid: tx.txid };
  }

  /** What the node takes at least, and no less than ours. */
  async #usualFeeRate(): Promise<FeeRate> {
    const info = (await this.#connection.client.call('getmempoolinfo')) as Record<string, unknown>;
    const rates = [info['mempoolminfee'], info['minrelaytxfee']].map((rate) =>
      typeof rate === 'number' ? satoshisFromJson(rate) : 0n,
    );
    return rates.reduce((most, rate) => (rate > most ? rate : most), DEFAULT_FEE_RATE);
  }

  /** The wallet as the node sees it, after the node has got the payments of ours that it did not know. */
  async #freshView(state: OpenState): Promise<WalletView> {
    const resent = new Set<string>();
    for (;;) {
      const view = await viewWallet(this.#connection.client, this.#keys, state.value.next);
      const review = reviewPending(state.value.pending, view.coins, unixNow());
      if (review.retryInSeconds !== undefined && !this.#order.dryRun) {
        await sleep(review.retryInSeconds * 1000);
        continue;
      }
      if (this.#order.dryRun) return view;
      for (const payment of review.abandoned) {
        note(this.#options, `note: the interrupted payment ${payment.txid} was never sent; its coins are free again`);
      }
      if (review.kept.length !== state.value.pending.length) state.save({ ...state.value, pending: review.kept });
      const unknown = review.unknown.find((payment) => !resent.has(payment.txid));
      if (unknown === undefined) return view;
      resent.add(unknown.txid);
      await this.#resend(unknown);
    }
  }

  /** A node that refuses it now may know it later; until then its coins stay reserved. */
  async #resend(payment: PendingPayment): Promise<void> {
    try {
      await this.#connection.client.call('sendrawtransaction', [payment.hex]);
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      note(this.#options, `note: the node does not take the earlier payment ${payment.txid}: ${error.message}`);
    }
  }

  /** Coins in blocks first; own change that is still in the pool only where they do not suffice. */
  #select(view: WalletView, pending: readonly PendingPayment[], feeRate: FeeRate): Selection<SpendableCoin> {
    const reserved = reservedCoins(pending);
    const free = view.coins.filter(
      (coin) => isMature(coin, view.tip.height) && !reserved.has(outPointKey(coin.prevout.txid, coin.prevout.vout)),
    );
    const confirmed = free.filter((coin) => coin.height !== undefined);
    const own = free.filter((coin) => coin.height !== undefined || coin.place.chain === INTERNAL);
    const payments = [this.#order.amount];
    const first = selectCoins({ coins: confirmed, payments, feeRate }, secureRandomness);
    if (first.ok) return first.value;
    const second = selectCoins({ coins: own, payments, feeRate }, secureRandomness);
    if (second.ok) return second.value;
    throw this.#cannotPay(second.error, view.coins, own);
  }

  #cannotPay(error: SelectionError, all: readonly WalletCoin[], own: readonly WalletCoin[]): CliError {
    const { name } = this.#account;
    if (error.type === 'too-heavy') {
      return new CliError(
        Exit.failed,
        'too-many-coins',
        `the coins of "${name}" are too small: a transaction of them would be too large to be passed on`,
        error.spendable > 0n ? `send at most ${error.spendable}sat at once` : 'use a lower --fee-rate',
      );
    }
    const rest = sumOf(all) - sumOf(own);
    const most = error.available - error.fee;
    const advice = most >= DUST_LIMIT && most < this.#order.amount ? `send at most ${most}sat` : undefined;
    const waiting =
      rest > 0n ? `${formatBtc(rest)} more is unconfirmed, immature or in use by a pending payment` : undefined;
    const hint = [advice, waiting].filter((part) => part !== undefined).join('; ') || 'see "grapevine wallet balance"';
    return new CliError(
      Exit.insufficientFunds,
      'insufficient-funds',
      `"${name}" can spend ${formatAmount(error.available)}; the payment takes ${formatAmount(this.#order.amount)} and a fee of about ${error.fee} sat`,
      hint,
    );
  }

  #resultOf(plan: TransactionPlan, change: bigint, changeAddress: string): SendResult {
    return {
      txid: null,
      account: this.#account.name,
      to: this.#recipient.name ?? this.#recipient.address,
      address: this.#recipient.address,
      amount: this.#order.amount,
      fee: plan.fee,
      feeRate: Number((plan.fee * 1000n) / BigInt(plan.vsize)) / 1000,
      vsize: plan.vsize,
      inputs: plan.coins.length,
      change: change > 0n ? { address: changeAddress, amount: change } : null,
      dryRun: this.#order.dryRun,
      confirmations: 0,
    };
  }

  async #askConsent(result: SendResult): Promise<void> {
    if (this.#account.wallet.devnet || this.#options.yes) return;
    process.stderr.write(`${describe(result, this.#recipient).join('\n')}\n`);
    if (await confirm('send it?')) return;
    throw new CliError(Exit.failed, 'cancelled', 'nothing was sent');
  }

  async #sign(plan: TransactionPlan): Promise<Transaction> {
    const { wallet, name } = this.#account;
    const { passwordFile } = this.#order;
    const mnemonic =
      plainMnemonic(wallet) ??
      (await decryptMnemonic(
        wallet,
        await readPassword({ passwordFile, question: `password of "${name}"`, repeat: false }),
      ));
    const [{ seedFromMnemonic }, { AccountSecret }] = await Promise.all([import('./mnemonic.ts'), import('./keys.ts')]);
    const secret = new AccountSecret(seedFromMnemonic(mnemonic), wallet.params);
    return signTransaction(plan, (place) => secret.outputSecret(place), secureRandomness);
  }

  async #broadcast(payment: PendingPayment, state: OpenState): Promise<void> {
    const remember = (change: (pending: readonly PendingPayment[]) => readonly PendingPayment[]) =>
      state.save({ ...state.value, pending: change(state.value.pending) });
    try {
      await this.#connection.client.call('sendrawtransaction', [payment.hex]);
    } catch (error) {
      // A node that answers "no" has not taken it. Any other failure leaves that open, so its coins stay reserved for now.
      if (!(error instanceof NodeRefusal)) throw error;
      remember((pending) => pending.filter(({ txid }) => txid !== payment.txid));
      throw withHint(error);
    }
    remember((pending) => pending.map((item) => (item.txid === payment.txid ? { ...item, sent: true } : item)));
  }
}

/** What helps against the refusals that a correct payment can meet. */
const REFUSAL_HINTS: Readonly<Record<string, string>> = {
  'too-long-mempool-chain': 'too many payments in a row are unconfirmed; wait for the next block',
  'min relay fee not met': 'raise --fee-rate',
  'mempool min fee not met': 'the pool of the node is full of better payers; raise --fee-rate',
  'mempool full': 'the pool of the node is full of better payers; raise --fee-rate',
  'insufficient fee': 'a coin was spent in the meantime by a payment that is not confirmed; try again',
  'txn-mempool-conflict': 'a coin was spent in the meantime by a payment that is not confirmed; try again',
  'bad-txns-inputs-missingorspent': 'a coin was spent in the meantime; try again',
};

function withHint(error: NodeRefusal): NodeRefusal {
  const hint = REFUSAL_HINTS[error.code];
  return hint === undefined ? error : new NodeRefusal(error.rpcCode, error.message, hint);
}

function describe(result: SendResult, recipient: Recipient): string[] {
  const to = recipient.name === undefined ? recipient.address : `${recipient.name} (${recipient.address})`;
  const lines = [
    `amount  ${formatAmount(result.amount)}`,
    `from    ${result.account}`,
    `to      ${to}`,
    `fee     ${result.fee} sat (${formatFeeRate(BigInt(Math.round(result.feeRate * 1000)))}, ${result.vsize} vB)`,
  ];
  if (result.change !== null) lines.push(`change  ${formatAmount(result.change.amount)}`);
  return lines;
}

function printSend(options: GlobalOptions, result: SendResult, recipient: Recipient): void {
  printResult(options, result, () => {
    const last = result.dryRun ? 'nothing was sent (--dry-run)' : `txid    ${result.txid}`;
    return [...describe(result, recipient), last].join('\n');
  });
}

/** Polls until the payment has as many confirmations as were asked for, or the time is over. Shows every change. */
async function waitForConfirmations(
  options: GlobalOptions,
  connection: Connection,
  txid: string,
  order: Order,
): Promise<{ readonly confirmations: number }> {
  const end = performance.now() + order.waitTimeoutMs;
  let shown = '';
  for (;;) {
    const confirmations = await confirmationsOf(connection, txid);
    const progress =
      confirmations === undefined
        ? 'waiting: the node does not know the payment at the moment'
        : `waiting: ${confirmations} of ${order.confirmations} confirmations`;
    if (progress !== shown) note(options, progress);
    shown = progress;
    const known = confirmations ?? 0;
    if (known >= order.confirmations || performance.now() >= end) return { confirmations: known };
    await sleep(Math.min(WAIT_POLL_MS, Math.max(end - performance.now(), 0)));
  }
}

/** 0 while it is in the pool; undefined if the node knows nothing of it, as after a reorg that dropped it. */
async function confirmationsOf(connection: Connection, txid: string): Promise<number | undefined> {
  try {
    const tx = (await connection.client.call('getrawtransaction', [txid, true])) as Record<string, unknown>;
    return typeof tx['confirmations'] === 'number' ? tx['confirmations'] : 0;
  } catch (error) {
    if (error instanceof NodeRefusal && error.rpcCode === UNKNOWN_TRANSACTION) return undefined;
    throw error;
  }
}

const UNKNOWN_TRANSACTION = -5;

function sumOf(coins: readonly WalletCoin[]): bigint {
  return coins.reduce((sum, coin) => sum + coin.value, 0n);
}

function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}
