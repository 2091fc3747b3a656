/** What the accounts own when a devnet becomes ready, as a node sees it. */
import { p2trScript, scriptHash } from '../consensus/address.ts';
import type { ScriptHash } from '../consensus/brand.ts';
import { COINBASE_MATURITY } from '../consensus/params.ts';
import { satoshisFromJson } from '../wallet/amount.ts';
import { EXTERNAL, INTERNAL } from '../wallet/key-place.ts';
import { readWallet } from '../wallet/keystore.ts';
import { OutputKeys } from '../wallet/output-keys.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { readState } from '../wallet/wallet-state.ts';
import type { AccountKeys } from './accounts.ts';

/** Satoshis. */
export interface AccountBalance {
  /** Unconfirmed coins count, as they do for whoever spends next. */
  readonly spendable: bigint;
  /** Mined, and not yet 100 blocks old. */
  readonly immature: bigint;
}

/** What `getscriptcoins` says of one script, as far as it matters here. */
interface ScriptCoins {
  readonly height: number;
  readonly coins: readonly {
    readonly amount: number;
    readonly coinbase: boolean;
    readonly height?: number;
    readonly spentby?: string;
  }[];
}

/**
 * Balances in the order of the accounts. Looks at the addresses that the wallets have given out: looking for others, as
 * `wallet balance` does, would take a second for ten accounts.
 */
export async function readBalances(
  accounts: readonly (AccountKeys & { readonly wallet: string })[],
  node: RpcClient,
): Promise<AccountBalance[]> {
  const hashes = await Promise.all(accounts.map(givenAddresses));
  const answers = (await node.call('getscriptcoins', [hashes.flat()])) as ScriptCoins[];
  return hashes.map(({ length }) => balanceOf(answers.splice(0, length)));
}

async function givenAddresses(account: AccountKeys & { readonly wallet: string }): Promise<ScriptHash[]> {
  const first = scriptHash(account.script);
  const { external, internal } = readState(account.wallet).next;
  const wallet = external > 1 || internal > 0 ? readWallet(account.wallet) : undefined;
  if (wallet === undefined) return [first];
  const keys = new OutputKeys(wallet);
  const others = [...(await keys.range(EXTERNAL, 1, external)), ...(await keys.range(INTERNAL, 0, internal))];
  keys.save();
  return [first, ...others.map((key) => scriptHash(p2trScript(key)))];
}

function balanceOf(answers: readonly ScriptCoins[]): AccountBalance {
  let spendable = 0n;
  let immature = 0n;
  for (const { height: tip, coins } of answers) {
    for (const { amount, coinbase, height, spentby } of coins) {
      if (spentby !== undefined) continue;
      const isMature = !coinbase || height === undefined || tip + 1 - height >= COINBASE_MATURITY;
      if (isMature) spendable += satoshisFromJson(amount);
      else immature += satoshisFromJson(amount);
    }
  }
  return { spendable, immature };
}
