/**
 * Payments and balances of the devnet's accounts, for the faucet and the library: what `grapevine wallet` does with the
 * same files and under the same locks, without its prompts.
 */
import { decodeAddress, p2trScript } from '../consensus/address.ts';
import { outPointKey } from '../consensus/brand.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { type FeeRate, formatBtc } from '../wallet/amount.ts';
import { planTransaction, signTransaction } from '../wallet/build-transaction.ts';
import { DUST_LIMIT, selectCoins } from '../wallet/coin-selection.ts';
import { INTERNAL } from '../wallet/key-place.ts';
import { AccountSecret } from '../wallet/keys.ts';
import { readWallet, type Wallet } from '../wallet/keystore.ts';
import { seedFromMnemonic } from '../wallet/mnemonic.ts';
import { OutputKeys } from '../wallet/output-keys.ts';
import { reservedCoins, reviewPending } from '../wallet/pending-payments.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { submitPayment, unixNow } from '../wallet/submission.ts';
import { type Balance, balanceOf, isMature, viewWallet, type WalletView } from '../wallet/wallet-coins.ts';
import { type PendingPayment, readState, withState } from '../wallet/wallet-state.ts';
import { type OwnedAccount, secureRandomness } from './double-spend.ts';

export interface PayOrder {
  /** The name of an account of the devnet. */
  readonly from: string;
  /** An address, or the name of an account. */
  readonly to: string;
  /** Satoshis. */
  readonly amount: bigint;
  /** Satoshis per 1000 virtual bytes. */
  readonly feeRate?: FeeRate | undefined;
}

export interface Payment {
  readonly txid: string;
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** Satoshis. */
  readonly amount: bigint;
  readonly fee: bigint;
  readonly vsize: number;
  /** The node that got it. */
  readonly node: string;
}

/** A payment as JSON. Amounts are satoshis. */
export type PaymentJson = Omit<Payment, 'amount' | 'fee'> & { readonly amount: number; readonly fee: number };

/** An account, with the address that the devnet shows. */
export interface PayingAccount extends OwnedAccount {
  readonly address: string;
}

const DEFAULT_FEE_RATE: FeeRate = 2000n;

/** The account of that name, or a usage error that lists the names. */
export function findAccount<A extends { readonly name: string }>(accounts: readonly A[], name: string): A {
  const account = accounts.find((candidate) => candidate.name === name);
  if (account !== undefined) return account;
  throw usageError(`there is no account "${name}"`, `the accounts are ${accounts.map((one) => one.name).join(', ')}`);
}

export async function accountBalance(account: PayingAccount, rpc: RpcClient): Promise<Balance> {
  const wallet = openWallet(account);
  return balanceOf(await viewWallet(rpc, new OutputKeys(wallet), readState(wallet.path)));
}

/** Chooses coins, signs, and gives the payment to the node. Confirmed coins go first, then change that is not. */
export async function pay(
  order: PayOrder,
  accounts: readonly PayingAccount[],
  node: { readonly name: string; readonly rpc: RpcClient },
): Promise<Payment> {
  const account = findAccount(accounts, order.from);
  const wallet = openWallet(account);
  const address = recipientAddress(order.to, accounts, wallet);
  const recipient = decodeAddress(address, wallet.params);
  if (!recipient.ok) throw usageError(`cannot pay to "${order.to}": ${recipient.error.message}`);
  if (order.amount < DUST_LIMIT) {
    throw usageError(
      `${order.amount} sat is dust: nodes do not pass on less`,
      `the smallest payment is ${DUST_LIMIT}sat`,
    );
  }
  const keys = new OutputKeys(wallet);
  const onWait = () => undefined;
  return withState(wallet.path, { what: `the wallet of "${account.name}"`, onWait }, async (state) => {
    const view = await viewWallet(node.rpc, keys, state.value);
    const { kept } = reviewPending(state.value.pending, view.coins, unixNow());
    const selection = select(order, view, kept, account.name);
    const changeIndex = Math.max(state.value.next.internal, view.used.internal);
    const changeScript = p2trScript(await keys.derive({ chain: INTERNAL, index: changeIndex }));
    const outputs = [{ value: order.amount, scriptPubKey: recipient.value }];
    const plan = planTransaction(selection, outputs, changeScript, secureRandomness);
    const secret = new AccountSecret(seedFromMnemonic(account.mnemonic), wallet.params);
    const tx = signTransaction(plan, (place) => secret.outputSecret(place), secureRandomness);
    const next = selection.change > 0n ? { ...state.value.next, internal: changeIndex + 1 } : state.value.next;
    state.save({ ...state.value, pending: kept });
    await submitPayment(node.rpc, state, tx, { next });
    const { txid } = tx;
    const { fee, vsize } = plan;
    return { txid, from: account.name, to: order.to, address, amount: order.amount, fee, vsize, node: node.name };
  });
}

function recipientAddress(to: string, accounts: readonly PayingAccount[], wallet: Wallet): string {
  const account = accounts.find(({ name }) => name === to);
  if (account !== undefined) return account.address;
  const script = decodeAddress(to, wallet.params);
  if (script.ok) return to.toLowerCase();
  if (script.error.code === 'format') findAccount(accounts, to);
  throw new CliError(Exit.usage, `address-${script.error.code}`, `cannot pay to "${to}": ${script.error.message}`);
}

function select(order: PayOrder, view: WalletView, pending: readonly PendingPayment[], name: string) {
  const reserved = reservedCoins(pending);
  const own = view.coins.filter(
    (coin) =>
      isMature(coin, view.tip.height) &&
      !reserved.has(outPointKey(coin.prevout.txid, coin.prevout.vout)) &&
      (coin.height !== undefined || coin.place.chain === INTERNAL),
  );
  const request = { payments: [order.amount], feeRate: order.feeRate ?? DEFAULT_FEE_RATE };
  const confirmed = own.filter((coin) => coin.height !== undefined);
  const first = selectCoins({ ...request, coins: confirmed }, secureRandomness);
  if (first.ok) return first.value;
  const second = selectCoins({ ...request, coins: own }, secureRandomness);
  if (second.ok) return second.value;
  if (second.error.type === 'too-heavy') {
    throw new CliError(
      Exit.insufficientFunds,
      'too-many-coins',
      `"${name}" has the money in too many small coins for one payment`,
      `pay ${formatBtc(second.error.spendable)} at most`,
    );
  }
  const { available, fee } = second.error;
  const { immature } = balanceOf(view);
  throw new CliError(
    Exit.insufficientFunds,
    'insufficient-funds',
    `"${name}" can spend ${formatBtc(available)}, and ${formatBtc(order.amount)} with a fee of ${fee} sat are wanted`,
    immature > 0n ? `${formatBtc(immature)} more will be spendable 100 blocks after they were mined` : undefined,
  );
}

function openWallet(account: PayingAccount): Wallet {
  const wallet = readWallet(account.wallet);
  if (wallet !== undefined) return wallet;
  const message = `the wallet of "${account.name}" is not at ${account.wallet}`;
  throw new CliError(Exit.failed, 'wallet-missing', message, 'begin anew: grapevine devnet down --purge');
}
