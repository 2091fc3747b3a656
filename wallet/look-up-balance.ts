/**
 * The balance of a wallet as one node knows it, its pool included. The node adds up the coins of each address, so that a
 * wallet with thousands of them is looked up as quickly as one with a few; wallet-coins.ts has the coins themselves.
 */
import { type ScanRange, type WalletAddress, walkAddresses } from './address-walk.ts';
import { satoshisFromJson } from './amount.ts';
import type { KeyPlace } from './key-place.ts';
import type { OutputKeys } from './output-keys.ts';
import type { RpcClient } from './rpc-client.ts';
import { type Balance, MAX_RESTARTS, tipMoves, type WalletView } from './wallet-coins.ts';

export interface BalanceAtTip {
  readonly balance: Balance;
  readonly tip: WalletView['tip'];
}

/** What node/rpc/script-balances.ts and script-rows.ts answer for each script. */
interface ScriptAnswer {
  readonly bestblock: string;
  readonly height: number;
}
interface BalanceOfScript extends ScriptAnswer {
  /** In whole coins. */
  readonly confirmed: number;
  readonly unconfirmed: number;
  readonly immature: number;
  readonly coins: number;
}
interface HistoryOfScript extends ScriptAnswer {
  readonly transactions: readonly unknown[];
}

/** Adds up what the addresses of a wallet hold. All of it belongs to the same tip. */
export async function lookUpBalance(client: RpcClient, keys: OutputKeys, range: ScanRange): Promise<BalanceAtTip> {
  for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
    const found = await addUp(client, keys, range);
    if (found !== undefined) {
      keys.save();
      return found;
    }
  }
  throw tipMoves();
}

/** Undefined if the tip moved meanwhile. */
async function addUp(client: RpcClient, keys: OutputKeys, range: ScanRange): Promise<BalanceAtTip | undefined> {
  let [confirmed, unconfirmed, immature] = [0n, 0n, 0n];
  let tip: WalletView['tip'] | undefined;
  let moved = false;
  const ask = async <A extends ScriptAnswer>(method: string, batch: readonly WalletAddress[]) => {
    const answers = (await client.call(method, [batch.map(({ hash }) => hash)])) as readonly A[];
    for (const { bestblock, height } of answers) {
      tip ??= { hash: bestblock, height };
      if (tip.hash !== bestblock) moved = true;
    }
    return answers;
  };
  const used = await walkAddresses(keys, range, async (batch) => {
    const places: KeyPlace[] = [];
    const unknown: WalletAddress[] = [];
    for (const [at, sums] of (await ask<BalanceOfScript>('getscriptbalance', batch)).entries()) {
      const address = batch[at] as WalletAddress;
      if (sums.coins > 0) places.push(address.place);
      else if (!address.given) unknown.push(address);
      confirmed += satoshisFromJson(sums.confirmed);
      unconfirmed += satoshisFromJson(sums.unconfirmed);
      immature += satoshisFromJson(sums.immature);
    }
    // An address without coins may have had some. That matters only where it does not count as given out anyway.
    if (unknown.length > 0) {
      const histories = await ask<HistoryOfScript>('getscripthistory', unknown);
      for (const [at, { transactions }] of histories.entries()) {
        if (transactions.length > 0) places.push((unknown[at] as WalletAddress).place);
      }
    }
    return moved ? undefined : places;
  });
  if (used === undefined) return undefined;
  if (tip === undefined) throw new Error('a look-up asks at least once');
  return { balance: { confirmed, unconfirmed, immature }, tip };
}
