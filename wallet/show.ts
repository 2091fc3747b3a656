/** `wallet list`, `wallet address` and `wallet balance`: what needs no password. */
import { CliError, type GlobalOptions, note, printResult } from '../node/commands/cli.ts';
import {
  type Account,
  type AccountEntry,
  accountEntries,
  blameNodeFirst,
  chooseAccount,
  connectFor,
  connectForIfRunning,
} from './accounts.ts';
import { formatAmount, formatBtc } from './amount.ts';
import type { Connection } from './connect.ts';
import type { Wallet } from './keystore.ts';
import { readLabels } from './labels.ts';
import { lookUpBalance } from './look-up-balance.ts';
import { OutputKeys } from './output-keys.ts';
import { newReceivingAddress, receivingAddress } from './receiving.ts';
import type { Balance } from './wallet-coins.ts';
import { readState } from './wallet-state.ts';

/** One line of `wallet list`, and its JSON (README.md). */
interface ListEntry {
  readonly name: string;
  readonly kind: 'devnet' | 'wallet';
  /** The devnet that the account belongs to. */
  readonly devnet: string | null;
  readonly network: string | null;
  readonly address: string | null;
  readonly label: string | null;
  /** Whether it can pay without a password: a devnet's account always, a wallet while it is unlocked. */
  readonly keys: 'public' | 'locked' | 'unlocked' | 'watch-only' | null;
  /** Null where no node of its network runs. */
  readonly balance: Balance | null;
  /** Why the wallet cannot be read. */
  readonly error: string | null;
}

export async function listWallets(options: GlobalOptions): Promise<void> {
  const connections = new Map<string, Promise<Connection | undefined>>();
  const entries: ListEntry[] = [];
  try {
    for (const entry of accountEntries(options)) {
      entries.push(
        await listEntry(entry, (account) => {
          // One connection for each devnet, and one for all wallets of a network.
          const key = `${entry.devnet?.name ?? ''}/${account.wallet.params.name}`;
          const connection = connections.get(key) ?? connectForIfRunning(account, options);
          connections.set(key, connection);
          return connection;
        }),
      );
    }
  } finally {
    for (const connection of await Promise.allSettled(connections.values())) {
      if (connection.status === 'fulfilled') connection.value?.client.close();
    }
  }
  printResult(options, entries, () => entries.map(listLine).join('\n'));
  if (entries.length === 0) {
    note(options, 'there is no account yet: "grapevine wallet new" or "grapevine devnet up" makes some');
  }
}

/** One wallet that is damaged, or a devnet whose nodes are down, does not hide the others: it has the error in its line. */
async function listEntry(
  { name, devnet, open }: AccountEntry,
  connectTo: (account: Account) => Promise<Connection | undefined>,
): Promise<ListEntry> {
  let entry: ListEntry = {
    name,
    kind: devnet === undefined ? 'wallet' : 'devnet',
    devnet: devnet?.name ?? null,
    network: null,
    address: null,
    label: null,
    keys: null,
    balance: null,
    error: null,
  };
  try {
    const account = open();
    const { wallet } = account;
    const address = account.address ?? (await receivingAddress(wallet, undefined)).address;
    const labels = readLabels(wallet.path);
    const label = labels.ofAddress(address) ?? null;
    entry = { ...entry, network: wallet.params.name, address, label, keys: await keysOf(wallet) };
    const connection = await connectTo(account);
    if (connection === undefined) return entry;
    const fresh = account.address ?? (await receivingAddress(wallet, connection.client)).address;
    const balance = await balanceAt(wallet, connection.client);
    return { ...entry, address: fresh, label: labels.ofAddress(fresh) ?? null, balance };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { ...entry, error: error.message };
  }
}

async function keysOf(wallet: Wallet): Promise<ListEntry['keys']> {
  if (wallet.devnet) return 'public';
  if (wallet.watchOnly) return 'watch-only';
  const { sessionEnd } = await import('./session.ts');
  return (await sessionEnd(wallet)) === undefined ? 'locked' : 'unlocked';
}

function listLine({ name, kind, devnet, address, label: named, keys, balance, error }: ListEntry): string {
  const label = (devnet === null ? name : `${name} (${devnet})`).padEnd(20);
  if (error !== null) return [label, kind.padEnd(6), address, error].filter((part) => part !== null).join('  ');
  const worth = balance === null ? '' : formatBtc(balance.confirmed + balance.unconfirmed + balance.immature);
  const more = [keys === 'public' ? null : keys, named].filter((part) => part !== null);
  return [label, kind.padEnd(6), address, worth.padStart(24), ...more].join('  ').trimEnd();
}

export async function showAddress(
  options: GlobalOptions,
  texts: { readonly account: string | undefined; readonly isNew: boolean },
): Promise<void> {
  const account = chooseAccount(options, texts.account);
  const connection = await connectForIfRunning(account, options);
  try {
    const { wallet, name } = account;
    const client = connection?.client;
    let shown: { readonly address: string; readonly index: number };
    if (texts.isNew) {
      const onWait = (pid: number) => note(options, `waiting for another command with this wallet (process ${pid})`);
      const fresh = await newReceivingAddress(wallet, client, onWait);
      if (fresh.unpaidRun > 0) {
        note(
          options,
          `note: the last ${fresh.unpaidRun} addresses were never paid; a wallet restored from its words looks no further`,
        );
      }
      shown = fresh;
    } else {
      shown = await receivingAddress(wallet, client);
    }
    if (client === undefined)
      note(options, 'note: no node runs, so payments to this address may not have been noticed');
    const { address, index } = shown;
    printResult(options, { account: name, network: wallet.params.name, address, index }, address);
  } finally {
    connection?.client.close();
  }
}

export async function showBalance(options: GlobalOptions, accountName: string | undefined): Promise<void> {
  const account = await blameNodeFirst(options, () => chooseAccount(options, accountName));
  const connection = await connectFor(account, options);
  try {
    const keys = new OutputKeys(account.wallet);
    const { balance, tip } = await lookUpBalance(connection.client, keys, readState(account.wallet.path));
    const total = balance.confirmed + balance.unconfirmed + balance.immature;
    const { height, hash } = tip;
    printResult(options, { account: account.name, ...balance, total, height, tip: hash }, () =>
      [
        `account      ${account.name}`,
        `confirmed    ${formatAmount(balance.confirmed)}`,
        `unconfirmed  ${formatAmount(balance.unconfirmed)}`,
        `immature     ${formatAmount(balance.immature)}`,
      ].join('\n'),
    );
  } finally {
    connection.client.close();
  }
}

async function balanceAt(wallet: Wallet, client: Connection['client']): Promise<Balance> {
  return (await lookUpBalance(client, new OutputKeys(wallet), readState(wallet.path))).balance;
}
