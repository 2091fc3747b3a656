/** Receiving addresses: the next one that was never used, and what the name of a recipient stands for. */
import { decodeAddress, encodeAddress } from '../consensus/address.ts';
import type { Bytes } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { CliError, Exit, type GlobalOptions, usageError } from '../node/commands/cli.ts';
import { type Account, chooseAccount, findAccount, findAccountIfAny } from './accounts.ts';
import { GAP_LIMIT, type ScanRange } from './address-walk.ts';
import type { Connection } from './connect.ts';
import { EXTERNAL } from './key-place.ts';
import type { Wallet } from './keystore.ts';
import { isName } from './names.ts';
import { OutputKeys } from './output-keys.ts';
import type { RpcClient } from './rpc-client.ts';
import { anyUsed, viewWallet } from './wallet-coins.ts';
import { readState, withState } from './wallet-state.ts';

export interface ReceivingAddress {
  readonly address: string;
  readonly index: number;
}

/**
 * The first receiving address behind all that were used or left behind with `newReceivingAddress`. Without a node only
 * the latter are known.
 */
export async function receivingAddress(wallet: Wallet, client: RpcClient | undefined): Promise<ReceivingAddress> {
  const keys = new OutputKeys(wallet);
  return addressAt(wallet, keys, await firstFresh(keys, client, readState(wallet.path)));
}

/**
 * Leaves the address of `receivingAddress` behind, even if nobody paid to it, and gives out the one after it.
 * `unpaidRun` is above 0 where so many in front of it were never paid that a restored wallet would not look this far.
 */
export async function newReceivingAddress(
  wallet: Wallet,
  client: RpcClient | undefined,
  onWait: (pid: number) => void,
): Promise<ReceivingAddress & { readonly unpaidRun: number }> {
  return withState(wallet.path, { what: 'the wallet', onWait }, async (state) => {
    const { next, gapLimit = GAP_LIMIT } = state.value;
    const keys = new OutputKeys(wallet);
    const external = (await firstFresh(keys, client, state.value)) + 1;
    if (external >= keys.count(EXTERNAL)) throw noMoreAddresses(wallet);
    state.save({ ...state.value, next: { ...next, external } });
    const isUnpaidRun =
      client !== undefined &&
      external >= gapLimit &&
      !(await anyUsed(client, keys, EXTERNAL, external - gapLimit, external));
    return { ...(await addressAt(wallet, keys, external)), unpaidRun: isUnpaidRun ? gapLimit : 0 };
  });
}

/** A chain that has one address only gives it again and again. */
async function firstFresh(keys: OutputKeys, client: RpcClient | undefined, range: ScanRange): Promise<number> {
  const used = client === undefined ? 0 : (await viewWallet(client, keys, range)).used.external;
  return Math.min(Math.max(range.next.external, used), keys.count(EXTERNAL) - 1);
}

function noMoreAddresses({ path }: Wallet): CliError {
  return usageError(`${path} watches a single address`, 'import a descriptor that ends in /* for one with many');
}

async function addressAt(wallet: Wallet, keys: OutputKeys, index: number): Promise<ReceivingAddress> {
  const key = await keys.derive({ chain: EXTERNAL, index });
  return { address: encodeAddress(key, wallet.params.hrp), index };
}

/** Who is paid: an address, or an account of ours. */
export interface Recipient {
  readonly address: string;
  readonly script: Bytes;
  /** Set where an account was named. */
  readonly name: string | undefined;
}

/** A recipient as far as it can be told without a node: with an address, or with the wallet whose next address is meant. */
export type NamedRecipient =
  | { readonly type: 'address'; readonly recipient: Recipient }
  | { readonly type: 'wallet'; readonly account: Account };

/** An address of that network, or the name of an account. Throws a usage error that says what is wrong with it. */
export function findRecipient(options: GlobalOptions, text: string, params: ChainParams): NamedRecipient {
  const account = findAccountIfAny(options, text);
  if (account !== undefined) return ofAccount(account, params);
  const script = decodeAddress(text, params);
  if (script.ok) {
    return { type: 'address', recipient: { address: text.toLowerCase(), script: script.value, name: undefined } };
  }
  const { code, message } = script.error;
  if (code === 'format' && text.split('/').every(isName)) findAccount(options, text);
  throw new CliError(Exit.usage, `address-${code}`, `cannot pay to "${text}": ${message}`, ADDRESS_HINTS[code]);
}

/** The account that mined coins and the like go to where nobody says otherwise. */
export function defaultRecipient(options: GlobalOptions, params: ChainParams): NamedRecipient {
  return ofAccount(chooseAccount(options, undefined), params);
}

/** The recipient with its address: for a wallet, its next fresh one. */
export async function resolveRecipient(named: NamedRecipient, connection: Connection): Promise<Recipient> {
  if (named.type === 'address') return named.recipient;
  const { wallet, name } = named.account;
  const { address } = await receivingAddress(wallet, connection.client);
  const script = decodeAddress(address, wallet.params);
  if (!script.ok) throw new Error(`an address of our own is refused: ${script.error.message}`);
  return { address, script: script.value, name };
}

const ADDRESS_HINTS = {
  format: 'give an address, or the name of an account ("grapevine wallet list")',
  checksum: 'copy the whole address again',
  network: 'ask for an address of the network that you are on',
  version: 'ask for a Taproot address',
  length: 'copy the whole address again',
} as const;

function ofAccount(account: Account, params: ChainParams): NamedRecipient {
  if (account.wallet.params.name !== params.name) {
    throw usageError(
      `"${account.name}" is an account of ${account.wallet.params.name}, and this is ${params.name}`,
      'choose an account of the same network',
    );
  }
  if (account.address === undefined) return { type: 'wallet', account };
  // A devnet's account is paid at the address that the devnet shows: it is the one that people know.
  const script = decodeAddress(account.address, params);
  if (!script.ok) throw new Error(`the devnet's own address is refused: ${script.error.message}`);
  return { type: 'address', recipient: { address: account.address, script: script.value, name: account.name } };
}
