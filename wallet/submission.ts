/**
 * A signed payment on its way to the node: it is on disk before the node sees it, and forgotten where the node says no.
 */
import { bytesToHex } from '#hash';
import type { Txid } from '../consensus/brand.ts';
import { encodeTransaction, prevoutKey, type Transaction } from '../consensus/transaction.ts';
import { NodeRefusal, type RpcClient } from './rpc-client.ts';
import type { OpenState, PendingPayment, WalletState } from './wallet-state.ts';

/**
 * Remembers the payment together with `next`, gives it to the node, and remembers that the node took it. A refusal throws
 * and takes the payment back. Any other failure leaves open whether the node has it, so that its coins stay reserved.
 */
export async function submitPayment(
  client: RpcClient,
  state: OpenState,
  tx: Transaction,
  options: { readonly next: WalletState['next']; readonly replaces?: Txid },
): Promise<void> {
  const { next, replaces } = options;
  const payment: PendingPayment = {
    txid: tx.txid,
    hex: bytesToHex(encodeTransaction(tx)),
    spends: tx.inputs.map(prevoutKey),
    createdAt: unixNow(),
    sent: false,
  };
  const remember = (change: (pending: readonly PendingPayment[]) => readonly PendingPayment[]) =>
    state.save({ ...state.value, pending: change(state.value.pending) });
  state.save({ ...state.value, next, pending: [...state.value.pending, payment] });
  try {
    await client.call('sendrawtransaction', [payment.hex]);
  } catch (error) {
    if (!(error instanceof NodeRefusal)) throw error;
    remember((pending) => pending.filter(({ txid }) => txid !== tx.txid));
    throw withHint(error);
  }
  remember((pending) =>
    pending.map((item) => {
      if (item.txid === tx.txid) return { ...item, sent: true };
      return item.txid === replaces ? { ...item, replacedBy: tx.txid, createdAt: payment.createdAt } : item;
    }),
  );
}

/** True for a refusal that says that somebody else spent one of the coins a moment ago. */
export function isLostRace({ code }: NodeRefusal): boolean {
  return LOST_RACES.has(code);
}

const LOST_RACES: ReadonlySet<string> = new Set([
  'insufficient fee',
  'txn-mempool-conflict',
  'bad-txns-inputs-missingorspent',
  'bad-txns-spends-conflicting-tx',
  'replacement-adds-unconfirmed',
  'too many potential replacements',
]);

const SPENT_MEANWHILE = 'another payment spent one of the coins in the meantime; nothing was sent, try again';
const FULL = 'the pool of the node is full of better payers; raise --fee-rate';

/** What helps against the refusals that a correct payment can meet. */
const REFUSAL_HINTS: Readonly<Record<string, string>> = {
  'too-long-mempool-chain': 'too many payments in a row are unconfirmed; wait for the next block',
  'min relay fee not met': 'raise --fee-rate',
  'mempool min fee not met': FULL,
  'mempool full': FULL,
};

/** The refusal with what to do about it, where we know. */
export function withHint(error: NodeRefusal): NodeRefusal {
  const hint = isLostRace(error) ? SPENT_MEANWHILE : REFUSAL_HINTS[error.code];
  return hint === undefined ? error : new NodeRefusal(error.rpcCode, error.message, hint);
}

export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}
