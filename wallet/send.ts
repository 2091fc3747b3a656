/**
 * `wallet send`: chooses coins, shows the fee, signs, remembers the payment and gives it to the node.
 *
 * All of it happens under the wallet's lock, so that two sends never choose the same coin. What is remembered is on disk
 * before the node sees the payment: the index of the change address, so that it is never used twice, and the payment
 * itself. Whatever interrupts a send, every coin stays findable and spendable.
 */
import { base64 } from '@scure/base';
import { encodeAddress, p2trScript } from '../consensus/address.ts';
import { outPointKey } from '../consensus/brand.ts';
import { prevoutKey, type Transaction, type TxOutput } from '../consensus/transaction.ts';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { type Account, blameNodeFirst, chooseAccount, connectFor } from './accounts.ts';
import { type FeeRate, formatAmount, formatBtc } from './amount.ts';
import { planTransaction, type SpendableCoin, signTransaction, type TransactionPlan } from './build-transaction.ts';
import { DUST_LIMIT, type Selection, type SelectionError, selectCoins, sweepCoins } from './coin-selection.ts';
import type { Connection } from './connect.ts';
import { feesOfNode } from './fee-rate.ts';
import { freshView } from './fresh-view.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from './key-place.ts';
import { OutputKeys } from './output-keys.ts';
import {
  askConsent,
  describePayment,
  type PaidOutput,
  type PaymentSummary,
  paidFeeRate,
  refuseAbsurdFee,
  requireConsent,
} from './payment-text.ts';
import { findRecipient, type Recipient, resolveRecipient } from './receiving.ts';
import { NodeRefusal } from './rpc-client.ts';
import { openAccountSecret } from './secret.ts';
import { secureRandomness } from './secure-randomness.ts';
import { describeData, readSendOrder, type SendOrder, type SendTexts } from './send-order.ts';
import { confirmedCoins, type SpendableCoins, spendableCoins } from './spendable.ts';
import { isLostRace, submitPayment } from './submission.ts';
import { outcomeOf, waitFailure, waitForConfirmations } from './wait.ts';
import type { WalletCoin, WalletView } from './wallet-coins.ts';
import { type OpenState, type WalletState, withState } from './wallet-state.ts';

/** What a send comes to, and its JSON (README.md). Amounts are satoshis. */
export interface SendResult extends PaymentSummary {
  /** Null where nothing was sent: for a dry run and for a PSBT. */
  readonly txid: string | null;
  /** The only recipient; null where there are several. */
  readonly to: string | null;
  readonly address: string | null;
  /** Hex. */
  readonly data: string | null;
  readonly inputs: number;
  readonly dryRun: boolean;
  /** Base64; null where the payment was sent. */
  readonly psbt: string | null;
  /** Of the payment, or of the one that replaced it while it was waited for. */
  readonly confirmations: number;
  readonly replacedBy: string | null;
}

/** How often other coins are tried where somebody else spent the chosen ones first. */
const MAX_ATTEMPTS = 3;

/** Runs the command: prints the result, and with `--wait` comes back when the payment is confirmed. */
export async function send(options: GlobalOptions, words: readonly string[], texts: SendTexts): Promise<void> {
  const order = readSendOrder(words, texts);
  const account = await blameNodeFirst(options, () => chooseAccount(options, texts.account));
  const { params, watchOnly } = account.wallet;
  const named = [];
  for (const { to } of order.payments) {
    named.push(await blameNodeFirst(options, () => findRecipient(options, to, params)));
  }
  if (!order.dryRun && !order.psbt) {
    if (watchOnly) throw cannotSign(account);
    requireConsent(account, options);
  }
  const connection = await connectFor(account, options);
  try {
    const recipients: Recipient[] = [];
    for (const one of named) recipients.push(await resolveRecipient(one, connection));
    requireDistinct(recipients);
    const payment = new Payment(options, account, connection, recipients, order);
    const result = await payment.run();
    if (order.wait.confirmations === 0 || result.txid === null) return printSend(options, result, order);
    if (!options.json) printSend(options, result, order);
    const sent = { txid: result.txid, walletPath: account.wallet.path };
    const wait = await waitForConfirmations(options, connection, sent, order.wait);
    if (options.json) printSend(options, { ...result, ...outcomeOf(wait, result.txid) }, order);
    const failure = waitFailure(wait, order.wait, account.name);
    if (failure !== undefined) throw failure;
  } finally {
    connection.client.close();
  }
}

function cannotSign({ name }: Account): CliError {
  return new CliError(
    Exit.usage,
    'watch-only',
    `"${name}" only watches: it has no keys to sign with`,
    'make a PSBT with --psbt, and sign it where the keys are: grapevine wallet sign FILE',
  );
}

/** The same address twice is more likely a slip than meant. */
function requireDistinct(recipients: readonly Recipient[]): void {
  const seen = new Set<string>();
  for (const { address, name } of recipients) {
    if (seen.has(address)) {
      throw usageError(`${name ?? address} stands there twice`, 'give every recipient once, with the whole amount');
    }
    seen.add(address);
  }
}

/** What would be signed, and what was decided for it. */
interface Proposal {
  readonly plan: TransactionPlan;
  readonly next: WalletState['next'];
  readonly changePlace: KeyPlace;
  readonly result: SendResult;
}

/** One payment from the choice of its coins to the node's answer. */
class Payment {
  readonly #options: GlobalOptions;
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #recipients: readonly Recipient[];
  readonly #order: SendOrder;
  readonly #keys: OutputKeys;

  constructor(
    options: GlobalOptions,
    account: Account,
    connection: Connection,
    recipients: readonly Recipient[],
    order: SendOrder,
  ) {
    this.#options = options;
    this.#account = account;
    this.#connection = connection;
    this.#recipients = recipients;
    this.#order = order;
    this.#keys = new OutputKeys(account.wallet);
  }

  run(): Promise<SendResult> {
    const onWait = (pid: number) => note(this.#options, `waiting for another send of this wallet (process ${pid})`);
    const what = `the wallet of "${this.#account.name}"`;
    return withState(this.#account.wallet.path, { what, onWait }, (state) => this.#runAlone(state));
  }

  async #runAlone(state: OpenState): Promise<SendResult> {
    const { dryRun, psbt } = this.#order;
    const feeRate = this.#order.feeRate ?? (await feesOfNode(this.#connection.client)).usual;
    let lost: { readonly error: NodeRefusal; readonly tx: Transaction } | undefined;
    for (let attempt = 1; ; attempt++) {
      const view = await freshView(this.#options, this.#connection.client, this.#keys, state, dryRun);
      // Where the coins are still free in the eyes of the node, others would be refused as well.
      if (lost?.tx.inputs.every((input) => isFree(view, prevoutKey(input)))) throw lost.error;
      const proposal = await this.#propose(state, view, feeRate);
      if (dryRun || psbt) {
        if (psbt) state.save({ ...state.value, next: proposal.next });
        return { ...proposal.result, psbt: await this.#psbtOf(proposal) };
      }
      const lines = describeResult(proposal.result, this.#order);
      await askConsent(this.#account, this.#options, lines, 'send it?');
      const secret = await openAccountSecret(this.#account, this.#order.passwordFile);
      const tx = signTransaction(proposal.plan, (place) => secret.outputSecret(place), secureRandomness);
      try {
        await submitPayment(this.#connection.client, state, tx, { next: proposal.next });
        return { ...proposal.result, txid: tx.txid };
      } catch (error) {
        if (!(error instanceof NodeRefusal) || !isLostRace(error) || attempt >= MAX_ATTEMPTS) throw error;
        note(this.#options, `note: ${error.message}: another payment was faster; looking for other coins`);
        lost = { error, tx };
      }
    }
  }

  async #propose(state: OpenState, view: WalletView, feeRate: FeeRate): Promise<Proposal> {
    const { selection, amounts } = await this.#select(view, state.value, feeRate);
    const { place: changePlace, next } = this.#changePlace(state.value.next, view);
    const changeKey = await this.#keys.derive(changePlace);
    const payments = this.#recipients.map(({ script }, at): TxOutput => {
      return { value: amounts[at] as bigint, scriptPubKey: script };
    });
    if (this.#order.dataScript !== undefined) payments.push({ value: 0n, scriptPubKey: this.#order.dataScript });
    const plan = planTransaction(selection, payments, p2trScript(changeKey), secureRandomness);
    refuseAbsurdFee(plan);
    const changeAddress = encodeAddress(changeKey, this.#account.wallet.params.hrp);
    const hasChange = selection.change > 0n;
    const change = hasChange ? { address: changeAddress, amount: selection.change } : null;
    const result = this.#resultOf(plan, amounts, change);
    return { plan, changePlace, next: hasChange ? next : state.value.next, result };
  }

  /** The first change address that was never used. A watch-only wallet may have none: then a receiving one serves. */
  #changePlace(next: WalletState['next'], view: WalletView): { place: KeyPlace; next: WalletState['next'] } {
    const chain = this.#keys.count(INTERNAL) > 0 ? INTERNAL : EXTERNAL;
    const name = chain === INTERNAL ? 'internal' : 'external';
    const fresh = Math.max(next[name], view.used[name]);
    const index = Math.min(fresh, this.#keys.count(chain) - 1);
    return { place: { chain, index }, next: { ...next, [name]: index + 1 } };
  }

  /** Coins in blocks first; own change that is still in the pool only where they do not suffice. */
  async #select(
    view: WalletView,
    { pending }: WalletState,
    feeRate: FeeRate,
  ): Promise<{ selection: Selection<SpendableCoin>; amounts: readonly bigint[] }> {
    const amounts = this.#order.payments.map(({ amount }) => amount);
    const fixed = amounts.filter((amount) => amount !== undefined);
    const isSweep = fixed.length < amounts.length;
    const wanted = { payments: fixed, dataScriptSize: this.#order.dataScript?.length ?? 0, feeRate };
    if (!isSweep) {
      const first = selectCoins({ ...wanted, coins: confirmedCoins(view, pending) }, secureRandomness);
      if (first.ok) return { selection: first.value, amounts: fixed };
    }
    const spendable = await spendableCoins(this.#connection.client, view, pending);
    const coins = [...spendable.confirmed, ...spendable.change];
    if (!isSweep) {
      const second = selectCoins({ ...wanted, coins }, secureRandomness);
      if (second.ok) return { selection: second.value, amounts: fixed };
      throw this.#cannotPay(second.error, view, spendable, fixed);
    }
    const sweep = sweepCoins({ ...wanted, coins });
    if (!sweep.ok) throw this.#cannotPay(sweep.error, view, spendable, fixed);
    const behind = sumOf(view.coins) - sumOf(sweep.value.coins);
    if (behind > 0n) {
      note(
        this.#options,
        `note: ${formatBtc(behind)} stays: unconfirmed, immature, in use, or worth less than its fee`,
      );
    }
    return { selection: sweep.value, amounts: amounts.map((amount) => amount ?? sweep.value.rest) };
  }

  #cannotPay(error: SelectionError, view: WalletView, spendable: SpendableCoins, fixed: readonly bigint[]): CliError {
    const { name } = this.#account;
    if (error.type === 'too-heavy') {
      return new CliError(
        Exit.failed,
        'too-many-coins',
        `the coins of "${name}" are too small: a transaction of them would be too large to be passed on`,
        error.spendable > 0n ? `send at most ${error.spendable}sat at once` : 'use a lower --fee-rate',
      );
    }
    const target = fixed.reduce((sum, amount) => sum + amount, 0n);
    const isSweep = fixed.length < this.#order.payments.length;
    const rest = sumOf(view.coins) - sumOf(spendable.confirmed) - sumOf(spendable.change) - sumOf(spendable.blocked);
    const most = error.available - error.fee;
    const hints = [];
    if (!isSweep && most >= DUST_LIMIT && most < target) hints.push(`send at most ${most}sat`);
    if (spendable.blocked.length > 0) {
      const blocked = formatBtc(sumOf(spendable.blocked));
      hints.push(`${blocked} more is change behind too many unconfirmed payments in a row: wait for the next block`);
    }
    if (rest > 0n) hints.push(`${formatBtc(rest)} more is unconfirmed, immature or in use by a pending payment`);
    const takes =
      isSweep && fixed.length === 0 ? `nothing is left beside` : `the payment takes ${formatAmount(target)} and`;
    return new CliError(
      Exit.insufficientFunds,
      'insufficient-funds',
      `"${name}" can spend ${formatAmount(error.available)}; ${takes} a fee of about ${error.fee} sat`,
      hints.join('; ') || 'see "grapevine wallet balance"',
    );
  }

  #resultOf(plan: TransactionPlan, amounts: readonly bigint[], change: SendResult['change']): SendResult {
    const recipients = this.#recipients.map(({ name, address }, at): PaidOutput => {
      return { to: name ?? address, address, amount: amounts[at] as bigint };
    });
    const only = recipients.length === 1 ? recipients[0] : undefined;
    const { dataScript, dryRun } = this.#order;
    return {
      txid: null,
      account: this.#account.name,
      to: only?.to ?? null,
      address: only?.address ?? null,
      recipients,
      amount: amounts.reduce((sum, amount) => sum + amount, 0n),
      data: dataScript === undefined ? null : describeData(dataScript).hex,
      fee: plan.fee,
      feeRate: paidFeeRate(plan.fee, plan.vsize),
      vsize: plan.vsize,
      inputs: plan.coins.length,
      change,
      dryRun,
      psbt: null,
      confirmations: 0,
      replacedBy: null,
    };
  }

  async #psbtOf({ plan, changePlace }: Proposal): Promise<string> {
    const { makePsbt } = await import('./psbt.ts');
    return base64.encode(makePsbt(plan, changePlace, this.#account.wallet));
  }
}

function isFree(view: WalletView, key: string): boolean {
  return view.coins.some(({ prevout }) => outPointKey(prevout.txid, prevout.vout) === key);
}

function describeResult(result: SendResult, order: SendOrder): string[] {
  const data = order.dataScript === undefined ? [] : [`data    ${describeData(order.dataScript).text}`];
  return describePayment(result, data);
}

/** A PSBT is the result itself, so that it can be piped on; what it holds is told beside it. */
function printSend(options: GlobalOptions, result: SendResult, order: SendOrder): void {
  const lines = describeResult(result, order);
  if (order.psbt) {
    note(
      options,
      [...lines, 'nothing was sent: sign this PSBT with "grapevine wallet sign", then broadcast it'].join('\n'),
    );
    return printResult(options, result, result.psbt as string);
  }
  const last = result.dryRun ? 'nothing was sent (--dry-run)' : `txid    ${result.txid}`;
  printResult(options, result, () => [...lines, last].join('\n'));
}

function sumOf(coins: readonly WalletCoin[]): bigint {
  return coins.reduce((sum, coin) => sum + coin.value, 0n);
}
