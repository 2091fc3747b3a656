/** A wallet as the node sees it, after the node has got the payments of ours that it did not know. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type GlobalOptions, note } from '../node/commands/cli.ts';
import type { OutputKeys } from './output-keys.ts';
import { reviewPending } from './pending-payments.ts';
import { NodeRefusal, type RpcClient } from './rpc-client.ts';
import { unixNow } from './submission.ts';
import { viewWallet, type WalletView } from './wallet-coins.ts';
import type { OpenState, PendingPayment } from './wallet-state.ts';

/**
 * Looks the wallet up, gives the node what it lacks, and forgets payments that are settled or were never sent. With
 * `onlyLook` nothing is given and nothing changes.
 */
export async function freshView(
  options: GlobalOptions,
  client: RpcClient,
  keys: OutputKeys,
  state: OpenState,
  onlyLook: boolean,
): Promise<WalletView> {
  const resent = new Set<string>();
  for (;;) {
    const view = await viewWallet(client, keys, state.value);
    if (onlyLook) return view;
    const review = reviewPending(state.value.pending, view.coins, unixNow());
    if (review.retryInSeconds !== undefined) {
      await sleep(review.retryInSeconds * 1000);
      continue;
    }
    for (const payment of review.abandoned) {
      note(options, `note: the interrupted payment ${payment.txid} was never sent; its coins are free again`);
    }
    if (review.kept.length !== state.value.pending.length) state.save({ ...state.value, pending: review.kept });
    const unknown = review.unknown.find((payment) => !resent.has(payment.txid));
    if (unknown === undefined) return view;
    resent.add(unknown.txid);
    await resend(options, client, unknown);
  }
}

/** A node that refuses it now may know it later; until then its coins stay reserved. */
async function resend(options: GlobalOptions, client: RpcClient, payment: PendingPayment): Promise<void> {
  try {
    await client.call('sendrawtransaction', [payment.hex]);
  } catch (error) {
    if (!(error instanceof NodeRefusal)) throw error;
    note(options, `note: the node does not take the earlier payment ${payment.txid}: ${error.message}`);
  }
}
