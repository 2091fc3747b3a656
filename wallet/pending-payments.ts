/**
 * Payments that were signed here and may not have reached the node that we ask. Pure.
 * Their coins are not chosen again, whatever that node says, as another node may have the payment already.
 */
import { type OutPointKey, outPointKey } from '../consensus/brand.ts';
import type { WalletCoin } from './wallet-coins.ts';
import type { PendingPayment } from './wallet-state.ts';

/** A payment whose coins are spent in the eyes of a node is remembered so long, for the nodes that lag behind. */
const SETTLED_SECONDS = 600;
/** Pools forget a transaction after two weeks, and so do we. */
const EXPIRY_SECONDS = 14 * 24 * 3600;
/** A request of a command that died may still be on its way to the node. */
const IN_FLIGHT_SECONDS = 2;

export interface PendingReview {
  /** Still to be remembered. Their coins stay reserved. */
  readonly kept: readonly PendingPayment[];
  /** Of those kept, the ones that this node does not know: it should get them. Oldest first. */
  readonly unknown: readonly PendingPayment[];
  /** Interrupted before any node had taken them; their coins are free again. */
  readonly abandoned: readonly PendingPayment[];
  /** Interrupted a moment ago: look again in this many seconds. */
  readonly retryInSeconds: number | undefined;
}

/** Compares what was sent with the unspent coins of a node. Only while nobody else sends from this wallet. */
export function reviewPending(
  pending: readonly PendingPayment[],
  coins: readonly WalletCoin[],
  now: number,
): PendingReview {
  const unspent = new Set(coins.map((coin) => outPointKey(coin.prevout.txid, coin.prevout.vout)));
  const kept: PendingPayment[] = [];
  const unknown: PendingPayment[] = [];
  const abandoned: PendingPayment[] = [];
  let retryInSeconds: number | undefined;
  for (const payment of pending) {
    // A clock that was set back makes nothing young again.
    const age = now >= payment.createdAt ? now - payment.createdAt : IN_FLIGHT_SECONDS;
    const isUnknown = payment.spends.every((key) => unspent.has(key));
    if (age > (isUnknown ? EXPIRY_SECONDS : SETTLED_SECONDS)) continue;
    // Remembered only to say what became of it; the coins are those of its replacement.
    if (payment.replacedBy !== undefined) {
      if (age <= SETTLED_SECONDS) kept.push(payment);
      continue;
    }
    if (isUnknown && !payment.sent && age >= IN_FLIGHT_SECONDS) {
      abandoned.push(payment);
      continue;
    }
    // A payment whose coins are gone did reach the node, whether or not its sender lived to see it.
    kept.push(isUnknown ? payment : { ...payment, sent: true });
    if (isUnknown && payment.sent) unknown.push(payment);
    if (isUnknown && !payment.sent) retryInSeconds = IN_FLIGHT_SECONDS - age;
  }
  return { kept, unknown, abandoned, retryInSeconds };
}

/** Keys of the coins that pending payments spend. */
export function reservedCoins(pending: readonly PendingPayment[]): ReadonlySet<OutPointKey> {
  return new Set(pending.flatMap((payment) => payment.spends));
}
