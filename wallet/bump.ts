/**
 * `wallet bump TXID`: a payment of ours that waits for a block is replaced by one that pays a higher fee. Recipients and
 * amounts stay; the change gets smaller, or confirmed coins are added. The rules of replacement are kept before anything is
 * sent, so that a refusal is the exception.
 */
import { bytesToHex, hexToBytes } from '#hash';
import { p2trScript, scriptAddress } from '../consensus/address.ts';
import { outPointKey, type Txid } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import { prevoutKey, readTransaction, type Transaction, type TxOutput } from '../consensus/transaction.ts';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { type Account, blameNodeFirst, chooseAccount, connectFor } from './accounts.ts';
import { type FeeRate, formatBtc, formatFeeRate, MAX_FEE_RATE } from './amount.ts';
import { planTransaction, signTransaction, type TransactionPlan } from './build-transaction.ts';
import type { SelectionError } from './coin-selection.ts';
import type { Connection } from './connect.ts';
import { feesOfNode, type NodeFees } from './fee-rate.ts';
import { freshView } from './fresh-view.ts';
import { INTERNAL, type KeyPlace } from './key-place.ts';
import { OutputKeys } from './output-keys.ts';
import {
  askConsent,
  describePayment,
  namedOutput,
  type PaymentSummary,
  paidFeeRate,
  refuseAbsurdFee,
  requireConsent,
} from './payment-text.ts';
import { isData, leastFeeRate, MAX_EVICTED, type Replaced, selectReplacement } from './replacement.ts';
import { NodeRefusal } from './rpc-client.ts';
import { openAccountSecret, requireSecret } from './secret.ts';
import { secureRandomness } from './secure-randomness.ts';
import { readFeeRate } from './send-order.ts';
import { confirmedCoins, poolEntry } from './spendable.ts';
import { isLostRace, submitPayment } from './submission.ts';
import { confirmationsOf, outcomeOf, readWait, type WaitOrder, waitFailure, waitForConfirmations } from './wait.ts';
import type { WalletView } from './wallet-coins.ts';
import { type OpenState, withState } from './wallet-state.ts';

/** Options of the command as they were written. */
export interface BumpTexts {
  readonly account: string | undefined;
  readonly feeRate: string | undefined;
  readonly wait: string | undefined;
  readonly waitTimeout: string | undefined;
  readonly dryRun: boolean;
  readonly passwordFile: string | undefined;
}

/** What a bump comes to, and its JSON (README.md). Amounts are satoshis. */
export interface BumpResult extends PaymentSummary {
  /** Null for a dry run. */
  readonly txid: string | null;
  readonly replaces: string;
  readonly oldFee: bigint;
  readonly oldFeeRate: number;
  readonly inputs: number;
  /** Coins that the replaced payment did not spend. */
  readonly addedInputs: number;
  /** Transactions that leave the pool: the replaced one, and those that spend from it. */
  readonly evicted: number;
  readonly dryRun: boolean;
  /** Of the payment, or of the one that replaced it while it was waited for. */
  readonly confirmations: number;
  readonly replacedBy: string | null;
}

interface BumpOrder {
  readonly txid: Txid;
  readonly feeRate: FeeRate | undefined;
  readonly wait: WaitOrder;
  readonly dryRun: boolean;
  readonly passwordFile: string | undefined;
}

export async function bump(options: GlobalOptions, txidText: string, texts: BumpTexts): Promise<void> {
  if (!/^[0-9a-f]{64}$/i.test(txidText)) {
    throw usageError(
      `"${txidText}" is no transaction id`,
      'give the 64 hex digits that "grapevine wallet send" printed',
    );
  }
  const order: BumpOrder = {
    txid: txidText.toLowerCase() as Txid,
    feeRate: readFeeRate(texts.feeRate),
    wait: readWait(texts),
    dryRun: texts.dryRun,
    passwordFile: texts.passwordFile,
  };
  const account = await blameNodeFirst(options, () => chooseAccount(options, texts.account));
  if (!order.dryRun) {
    requireSecret(account);
    requireConsent(account, options);
  }
  const connection = await connectFor(account, options);
  try {
    const result = await new Bump(options, account, connection, order).run();
    if (order.wait.confirmations === 0 || result.txid === null) return printBump(options, result);
    if (!options.json) printBump(options, result);
    const sent = { txid: result.txid, walletPath: account.wallet.path };
    const wait = await waitForConfirmations(options, connection, sent, order.wait);
    if (options.json) printBump(options, { ...result, ...outcomeOf(wait, result.txid) });
    const failure = waitFailure(wait, order.wait, account.name);
    if (failure !== undefined) throw failure;
  } finally {
    connection.client.close();
  }
}

/** The payment to be replaced, and where its change goes. */
interface Found extends Replaced {
  readonly tx: Transaction;
  readonly evicted: number;
  readonly change: { readonly output: TxOutput } | undefined;
}

class Bump {
  readonly #options: GlobalOptions;
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #order: BumpOrder;
  readonly #keys: OutputKeys;

  constructor(options: GlobalOptions, account: Account, connection: Connection, order: BumpOrder) {
    this.#options = options;
    this.#account = account;
    this.#connection = connection;
    this.#order = order;
    this.#keys = new OutputKeys(account.wallet);
  }

  run(): Promise<BumpResult> {
    const onWait = (pid: number) => note(this.#options, `waiting for another send of this wallet (process ${pid})`);
    const what = `the wallet of "${this.#account.name}"`;
    return withState(this.#account.wallet.path, { what, onWait }, (state) => this.#runAlone(state));
  }

  async #runAlone(state: OpenState): Promise<BumpResult> {
    const { client } = this.#connection;
    const { dryRun, txid, passwordFile } = this.#order;
    const view = await freshView(this.#options, client, this.#keys, state, dryRun);
    const found = await this.#find(state, view);
    const fees = await feesOfNode(client);
    const feeRate = this.#feeRate(found, fees);
    const rates = { feeRate, incremental: fees.incremental };
    const confirmed = confirmedCoins(view, state.value.pending);
    const selection = selectReplacement(found, confirmed, rates, secureRandomness);
    if (!selection.ok) throw this.#cannotPay(selection.error);

    const fresh = await this.#freshChange(state, view);
    const changeScript = found.change?.output.scriptPubKey ?? p2trScript(await this.#keys.derive(fresh));
    const plan = planTransaction(selection.value, found.payments, changeScript, secureRandomness);
    refuseAbsurdFee(plan);
    const result = this.#resultOf(found, plan);
    if (dryRun) return result;

    await askConsent(this.#account, this.#options, describeBump(result), 'replace it?');
    const secret = await openAccountSecret(this.#account, passwordFile);
    const tx = signTransaction(plan, (place) => secret.outputSecret(place), secureRandomness);
    const { next } = state.value;
    const usesFresh = plan.changeIndex !== undefined && found.change === undefined;
    try {
      await submitPayment(client, state, tx, {
        next: usesFresh ? { ...next, internal: fresh.index + 1 } : next,
        replaces: txid,
      });
    } catch (error) {
      if (error instanceof NodeRefusal && isLostRace(error)) await this.#refuseConfirmed();
      throw error;
    }
    return { ...result, txid: tx.txid };
  }

  /** The payment as the pool has it. Throws CliError where there is nothing to replace, or nothing that we may. */
  async #find(state: OpenState, view: WalletView): Promise<Found> {
    const { txid } = this.#order;
    const { client } = this.#connection;
    const entry = await poolEntry(client, txid);
    if (entry === undefined) throw await this.#notWaiting(state);
    const decoded = decode(hexToBytes((await client.call('getrawtransaction', [txid, 0])) as string), readTransaction);
    if (!decoded.ok) throw new Error(`the node's transaction cannot be decoded: ${decoded.error}`);
    const tx = decoded.value;
    const coins = this.#coinsOf(tx, view);
    if (entry.descendants > MAX_EVICTED) {
      throw refuse(
        'too-many-evicted',
        `${entry.descendants} transactions would leave the pool with it, and ${MAX_EVICTED} may`,
        'wait for the next block',
      );
    }
    const spentChange = view.spent.find(({ prevout, place }) => prevout.txid === txid && place.chain === INTERNAL);
    if (spentChange !== undefined) {
      const { spentBy } = spentChange;
      throw refuse(
        'change-spent',
        `the change of ${txid} is spent by ${spentBy}: replacing it would take that payment back`,
        `bump that one, and miners take both: grapevine wallet bump ${spentBy}`,
      );
    }
    const ours = new Set(
      view.coins
        .filter(({ prevout, place }) => prevout.txid === txid && place.chain === INTERNAL)
        .map((coin) => coin.prevout.vout),
    );
    const payments = tx.outputs.filter((_, vout) => !ours.has(vout));
    if (payments.some(({ value, scriptPubKey }) => value > 0n && isData(scriptPubKey))) {
      throw refuse('burns-coins', `${txid} burns coins in a data output`, 'such a payment is not made again');
    }
    const change = tx.outputs.find((_, vout) => ours.has(vout));
    return {
      tx,
      coins,
      payments,
      fee: entry.fees.own,
      vsize: entry.vsize,
      evictedFees: entry.fees.withDescendants,
      evicted: entry.descendants,
      change: change === undefined ? undefined : { output: change },
    };
  }

  /** The coins of its inputs, all of which must be ours. */
  #coinsOf(tx: Transaction, view: WalletView): Found['coins'] {
    const mine = new Map(
      view.spent
        .filter(({ spentBy }) => spentBy === tx.txid)
        .map((coin) => [outPointKey(coin.prevout.txid, coin.prevout.vout), coin]),
    );
    const coins = tx.inputs.flatMap((input) => mine.get(prevoutKey(input)) ?? []);
    if (coins.length === tx.inputs.length) return coins;
    const { name } = this.#account;
    const what =
      coins.length === 0
        ? `"${name}" did not pay it`
        : `"${name}" paid only ${coins.length} of its ${tx.inputs.length} inputs`;
    throw refuse(
      'foreign-transaction',
      `${tx.txid} cannot be replaced: ${what}`,
      'whoever paid can bump it (--account NAME); whoever is paid can spend it at a higher fee',
    );
  }

  async #notWaiting(state: OpenState): Promise<CliError> {
    const { txid } = this.#order;
    await this.#refuseConfirmed();
    const replacedBy = state.value.pending.find((payment) => payment.txid === txid)?.replacedBy;
    if (replacedBy !== undefined) {
      const confirmations = (await confirmationsOf(this.#connection, replacedBy)) ?? 0;
      if (confirmations > 0) {
        return refuse(
          'already-replaced',
          `${txid} was replaced by ${replacedBy}, which is confirmed`,
          'there is nothing to speed up',
        );
      }
      return refuse(
        'already-replaced',
        `${txid} was replaced by ${replacedBy}`,
        `bump that one: grapevine wallet bump ${replacedBy}`,
      );
    }
    return refuse(
      'unknown-transaction',
      `the node at ${this.#connection.label} does not know ${txid}`,
      'it was never sent, or another payment took its place; "grapevine wallet history" shows what is under way',
    );
  }

  async #refuseConfirmed(): Promise<void> {
    const { txid } = this.#order;
    const confirmations = (await confirmationsOf(this.#connection, txid)) ?? 0;
    if (confirmations === 0) return;
    const many = `${confirmations} confirmation${confirmations === 1 ? '' : 's'}`;
    throw refuse(
      'already-confirmed',
      `${txid} has ${many}: it cannot be replaced any more`,
      'there is nothing to speed up',
    );
  }

  /** What was asked for, if that is enough; else what the node estimates, and at least what the rules want. */
  #feeRate(found: Found, { usual, incremental }: NodeFees): FeeRate {
    const least = leastFeeRate(found, incremental);
    const asked = this.#order.feeRate;
    if (asked !== undefined && asked < least) {
      throw new CliError(
        Exit.usage,
        'fee-rate-low',
        `${formatFeeRate(asked)} is too low to replace a payment of ${paidFeeRate(found.fee, found.vsize)} sat/vB`,
        `at least ${formatFeeRate(least)} is needed: --fee-rate ${Number(least) / 1000}`,
      );
    }
    const rate = asked ?? (usual > least ? usual : least);
    if (rate <= MAX_FEE_RATE) return rate;
    throw refuse('fee-absurd', `a replacement would take ${formatFeeRate(rate)}`, 'wait for the next block');
  }

  #cannotPay(error: SelectionError): CliError {
    if (error.type === 'too-heavy') {
      return refuse('too-many-coins', 'the replacement would be too large to be passed on', 'wait for the next block');
    }
    return new CliError(
      Exit.insufficientFunds,
      'insufficient-funds',
      `a fee of about ${error.fee} sat cannot be paid: the coins of the payment and all confirmed ones are worth ${formatBtc(error.available)}, and its recipients keep what they get`,
      'use a lower --fee-rate, or wait for a block that confirms more coins',
    );
  }

  /** For a payment that had no change: the first change address that was never used. */
  async #freshChange(state: OpenState, view: WalletView): Promise<KeyPlace> {
    return { chain: INTERNAL, index: Math.max(state.value.next.internal, view.used.internal) };
  }

  #resultOf(found: Found, plan: TransactionPlan): BumpResult {
    const { params } = this.#account.wallet;
    const recipients = found.payments
      .filter(({ scriptPubKey }) => !isData(scriptPubKey))
      .map(({ value, scriptPubKey }) => {
        const address = scriptAddress(scriptPubKey, params) ?? bytesToHex(scriptPubKey);
        return namedOutput(this.#options, address, value);
      });
    const changeOutput = plan.changeIndex === undefined ? undefined : plan.fields.outputs[plan.changeIndex];
    return {
      txid: null,
      replaces: found.tx.txid,
      account: this.#account.name,
      recipients,
      amount: recipients.reduce((sum, { amount }) => sum + amount, 0n),
      fee: plan.fee,
      feeRate: paidFeeRate(plan.fee, plan.vsize),
      oldFee: found.fee,
      oldFeeRate: paidFeeRate(found.fee, found.vsize),
      vsize: plan.vsize,
      inputs: plan.coins.length,
      addedInputs: plan.coins.length - found.coins.length,
      evicted: found.evicted,
      change:
        changeOutput === undefined
          ? null
          : { address: scriptAddress(changeOutput.scriptPubKey, params) as string, amount: changeOutput.value },
      dryRun: this.#order.dryRun,
      confirmations: 0,
      replacedBy: null,
    };
  }
}

function refuse(code: string, message: string, hint: string): CliError {
  return new CliError(Exit.failed, code, message, hint);
}

function describeBump(result: BumpResult): string[] {
  const more = [`old fee ${result.oldFee} sat (${result.oldFeeRate} sat/vB)`];
  if (result.addedInputs > 0) more.push(`adds    ${result.addedInputs} more of the confirmed coins`);
  const children = result.evicted - 1;
  if (children > 0)
    more.push(`drops   ${children} unconfirmed payment${children === 1 ? '' : 's'} of others that spend from it`);
  return [`replace ${result.replaces}`, ...describePayment(result, more)];
}

function printBump(options: GlobalOptions, result: BumpResult): void {
  const last = result.dryRun ? 'nothing was sent (--dry-run)' : `txid    ${result.txid}`;
  printResult(options, result, () => [...describeBump(result), last].join('\n'));
}
