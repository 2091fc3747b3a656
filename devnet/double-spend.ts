/**
 * A payment that takes the place of another: it spends the same coins and gives them back to their owner. It can be made
 * only for coins whose keys the devnet has, those of its accounts.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { bytesToHex, hexToBytes } from '#hash';
import { p2trScript } from '../consensus/address.ts';
import type { Bytes, Txid } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import type { ChainParams } from '../consensus/params.ts';
import { readTransaction, type Transaction } from '../consensus/transaction.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { feeOf } from '../wallet/amount.ts';
import { planTransaction, type SpendableCoin, signTransaction } from '../wallet/build-transaction.ts';
import { DUST_LIMIT, type Randomness, vsizeOfSpend } from '../wallet/coin-selection.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from '../wallet/key-place.ts';
import { AccountSecret } from '../wallet/keys.ts';
import { readWallet } from '../wallet/keystore.ts';
import { seedFromMnemonic } from '../wallet/mnemonic.ts';
import { OutputKeys } from '../wallet/output-keys.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { readState } from '../wallet/wallet-state.ts';

/** An account of the devnet with its wallet file. */
export interface OwnedAccount {
  readonly name: string;
  readonly mnemonic: string;
  readonly wallet: string;
}

/** Addresses behind the last one that was given out, as wallets look for them. */
const GAP = 20;
const FEE_RATE = 2000n;

export const secureRandomness: Randomness = {
  below: (bound) => randomInt(bound),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

/** Throws `not-ours` where the devnet has no key of any coin that `target` spends. */
export async function doubleSpend(
  target: Transaction,
  accounts: readonly OwnedAccount[],
  node: RpcClient,
  params: ChainParams,
): Promise<Transaction> {
  const coins = await spentCoins(target, node);
  for (const account of accounts) {
    const places = await placesOf(account, new Set(coins.map((coin) => bytesToHex(coin.scriptPubKey))));
    const owned = coins.flatMap((coin) => {
      const place = places.get(bytesToHex(coin.scriptPubKey));
      return place === undefined ? [] : [{ ...coin, place }];
    });
    if (owned.length > 0) return giveBack(owned, account, params);
  }
  throw new CliError(
    Exit.failed,
    'not-ours',
    `no account of this devnet signed ${target.txid}, so it cannot be double-spent`,
    'without --drop the reorg takes it out of its block, and it goes back to the mempools',
  );
}

type SpentCoin = Omit<SpendableCoin, 'place'>;

/** The coins that a transaction spends, as the transactions that made them say. */
async function spentCoins(target: Transaction, node: RpcClient): Promise<SpentCoin[]> {
  const parents = new Map<Txid, Transaction>();
  for (const { prevout } of target.inputs) {
    if (parents.has(prevout.txid)) continue;
    const parent = decode(
      hexToBytes((await node.call('getrawtransaction', [prevout.txid])) as string),
      readTransaction,
    );
    if (!parent.ok) throw new Error(`a node gave a transaction that cannot be read: ${parent.error}`);
    parents.set(prevout.txid, parent.value);
  }
  return target.inputs.map(({ prevout }) => {
    const output = parents.get(prevout.txid)?.outputs[prevout.vout];
    if (output === undefined) throw new Error('a transaction in a block spends outputs that exist');
    return { prevout, value: output.value, scriptPubKey: output.scriptPubKey };
  });
}

/** Where in the account the keys of these scripts stand. */
async function placesOf(account: OwnedAccount, scripts: ReadonlySet<string>): Promise<Map<string, KeyPlace>> {
  const wallet = readWallet(account.wallet);
  const found = new Map<string, KeyPlace>();
  if (wallet === undefined) return found;
  const keys = new OutputKeys(wallet);
  const { next } = readState(account.wallet);
  for (const [chain, given] of [
    [EXTERNAL, next.external],
    [INTERNAL, next.internal],
  ] as const) {
    for (const [index, key] of (await keys.range(chain, 0, given + GAP)).entries()) {
      const script = bytesToHex(p2trScript(key));
      if (scripts.has(script)) found.set(script, { chain, index });
    }
  }
  keys.save();
  return found;
}

function giveBack(coins: readonly SpendableCoin[], account: OwnedAccount, params: ChainParams): Transaction {
  const vsize = vsizeOfSpend(coins.length, 1);
  const fee = feeOf(FEE_RATE, vsize);
  const value = coins.reduce((sum, coin) => sum + coin.value, 0n) - fee;
  const script = (coins[0] as SpendableCoin).scriptPubKey as Bytes;
  if (value < DUST_LIMIT) {
    throw new CliError(Exit.failed, 'amount-dust', 'what that payment spends is too little to be spent otherwise');
  }
  const selection = { coins, change: 0n, fee, vsize };
  const plan = planTransaction(selection, [{ value, scriptPubKey: script }], script, secureRandomness);
  const secret = new AccountSecret(seedFromMnemonic(account.mnemonic), params);
  return signTransaction(plan, (place) => secret.outputSecret(place), secureRandomness);
}
