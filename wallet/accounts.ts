/**
 * Accounts by name: those of running devnets, and the wallet files of the data directory. `NAME` is looked for in both;
 * `DEVNET/NAME` and `wallets/NAME` say which is meant. Owns the rule that public keys are used on devnets only.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, DEFAULT_NETWORK, Exit, type GlobalOptions, usageError } from '../node/commands/cli.ts';
import { type Connection, connect, connectIfRunning, findTarget } from './connect.ts';
import {
  currentDevnet,
  type DevnetAccount,
  type DevnetFile,
  findDevnetAccount,
  runningDevnets,
} from './devnet-file.ts';
import { readWallet, type Wallet } from './keystore.ts';
import { checkName, isName } from './names.ts';

/** The part before the slash that means the data directory's own wallets. */
const FILES = 'wallets';
export const DEFAULT_WALLET = 'default';

export interface Account {
  readonly name: string;
  readonly wallet: Wallet;
  /** The devnet that it belongs to; undefined for a wallet file. */
  readonly devnet: DevnetFile | undefined;
  /** The address that the devnet funded and shows; undefined for a wallet file. */
  readonly address: string | undefined;
}

export function walletPath(datadir: string, name: string): string {
  return join(datadir, FILES, `${checkName('wallet', name)}.json`);
}

/** An account that can be named. `open` reads its wallet and throws CliError where that cannot be used. */
export interface AccountEntry {
  readonly name: string;
  readonly devnet: DevnetFile | undefined;
  open(): Account;
}

/** All accounts, those of devnets first. */
export function accountEntries(options: GlobalOptions): readonly AccountEntry[] {
  const { datadir } = options;
  const played = runningDevnets(datadir).flatMap((devnet) =>
    [...devnet.accounts, devnet.faucet].map((account) => ({
      name: account.name,
      devnet,
      open: () => devnetAccount(devnet, account),
    })),
  );
  const files = walletFileNames(datadir).map((name) => ({
    name,
    devnet: undefined,
    open: () => findAccount(options, `${FILES}/${name}`),
  }));
  return [...played, ...files];
}

/** The account of that name. Throws `UnknownAccount`, with the names that there are. */
export function findAccount(options: GlobalOptions, name: string): Account {
  const account = findAccountIfAny(options, name);
  if (account !== undefined) return account;
  const known = accountEntries(options).map((entry) => entry.name);
  const hint = known.length === 0 ? MAKE_ONE : `there is ${known.join(', ')}`;
  throw new UnknownAccount(`there is no account "${name}" in ${options.datadir}`, hint);
}

/** Exit 2: no account of that name, or none at all. */
export class UnknownAccount extends CliError {
  constructor(message: string, hint: string) {
    super(Exit.usage, 'unknown-account', message, hint);
  }
}

const MAKE_ONE = 'make one with "grapevine wallet new", or start a devnet with "grapevine devnet up"';

/**
 * What `choose` returns. Where it knows no such account and no node can be reached either, the second is what is wrong: the
 * devnet that would have known the name does not run. For commands that need a node anyway.
 */
export async function blameNodeFirst<T>(options: GlobalOptions, choose: () => T): Promise<T> {
  try {
    return choose();
  } catch (error) {
    if (error instanceof UnknownAccount) (await connect(options)).client.close();
    throw error;
  }
}

/** As `findAccount`, but undefined where there is none of that name. */
export function findAccountIfAny(options: GlobalOptions, text: string): Account | undefined {
  const { datadir } = options;
  const [first = '', second, ...rest] = text.split('/');
  if (rest.length > 0 || !isName(second ?? first)) return undefined;
  if (second === undefined) {
    const current = currentDevnet(runningDevnets(datadir));
    const played = current === undefined ? undefined : findDevnetAccount(current, first);
    const file = fileAccount(datadir, first);
    if (current === undefined || played === undefined) return file;
    if (file === undefined) return devnetAccount(current, played);
    throw usageError(
      `"${first}" is an account of devnet "${current.name}" and a wallet too`,
      `say which: ${current.name}/${first} or ${FILES}/${first}`,
    );
  }
  if (first === FILES) return fileAccount(datadir, second);
  const devnet = runningDevnets(datadir).find((candidate) => candidate.name === first);
  const account = devnet === undefined ? undefined : findDevnetAccount(devnet, second);
  return devnet === undefined || account === undefined ? undefined : devnetAccount(devnet, account);
}

/**
 * The account that is meant: the one named; else the first of the devnet that the command talks to; else the wallet
 * called "default", or the only one. Throws `UnknownAccount` where there is none.
 */
export function chooseAccount(options: GlobalOptions, name: string | undefined): Account {
  return onNamedNetwork(options, accountThatIsMeant(options, name));
}

function accountThatIsMeant(options: GlobalOptions, name: string | undefined): Account {
  if (name !== undefined) return findAccount(options, name);
  const running = runningDevnets(options.datadir);
  const target = options.node === undefined ? currentDevnet(running) : findTarget(options, 'regtest').devnet;
  if (target?.accounts[0] !== undefined) return devnetAccount(target, target.accounts[0]);
  return chooseWallet(options, undefined);
}

/**
 * An account belongs to one network and is used there, whatever is said. Where another one was named, that is not what was
 * meant: nobody should pay on a network that he did not name. (regtest cannot be told from no word about it.)
 */
function onNamedNetwork(options: GlobalOptions, account: Account): Account {
  const { name } = account.wallet.params;
  if (options.network === DEFAULT_NETWORK || options.network === name) return account;
  throw usageError(
    `"${account.name}" is on the network ${name}, not on ${options.network}`,
    `name an account of ${options.network} with --account, or leave out --network and --chain`,
  );
}

/** A wallet file, never a devnet's account: the one named, the one called "default", or the only one. */
export function chooseWallet(options: GlobalOptions, name: string | undefined): Account {
  if (name?.includes('/')) {
    const account = findAccount(options, name);
    if (account.devnet === undefined) return account;
    throw usageError(`"${name}" is a devnet account`, 'its keys are public: it is never locked');
  }
  if (name !== undefined) return findAccount(options, `${FILES}/${checkName('wallet', name)}`);
  const files = walletFileNames(options.datadir);
  const chosen = files.includes(DEFAULT_WALLET) ? DEFAULT_WALLET : files.length === 1 ? files[0] : undefined;
  if (chosen !== undefined) return findAccount(options, `${FILES}/${chosen}`);
  if (files.length > 1) throw usageError('there are several wallets', `name one: --account ${files.join(' | ')}`);
  throw new UnknownAccount(`there is no wallet in ${options.datadir}`, MAKE_ONE);
}

/** Connects to a node that the account may be used with: for a devnet's account, one of that devnet. */
export async function connectFor(account: Account, options: GlobalOptions): Promise<Connection> {
  return allowed(account, await connect(withNodeOf(account, options), account.wallet.params.name));
}

/** As `connectFor`, but undefined where no node runs and none was named. */
export async function connectForIfRunning(account: Account, options: GlobalOptions): Promise<Connection | undefined> {
  const connection = await connectIfRunning(withNodeOf(account, options), account.wallet.params.name);
  return connection === undefined ? undefined : allowed(account, connection);
}

/** Public keys are for devnets: anywhere else the money would be anybody's. */
function allowed(account: Account, connection: Connection): Connection {
  if (!account.wallet.devnet || connection.devnet !== undefined) return connection;
  connection.client.close();
  throw new CliError(
    Exit.usage,
    'devnet-account',
    `"${account.name}" is a devnet account, and the node at ${connection.label} belongs to no devnet here`,
    'its keys are public, so it is for devnets only; make a wallet of your own with "grapevine wallet new"',
  );
}

/** A devnet's account looks for its own devnet's nodes where none was named. */
function withNodeOf(account: Account, options: GlobalOptions): GlobalOptions {
  if (account.devnet === undefined || options.node !== undefined) return options;
  const node = account.devnet.nodes.find((candidate) => candidate.state === 'running') ?? account.devnet.nodes[0];
  return node === undefined ? options : { ...options, node: `${account.devnet.name}/${node.name}` };
}

function devnetAccount(devnet: DevnetFile, { name, address, wallet: path }: DevnetAccount): Account {
  const wallet = readWallet(path);
  if (wallet === undefined) {
    throw new CliError(
      Exit.failed,
      'wallet-missing',
      `the wallet of "${name}" is not at ${path}`,
      'stop that devnet and start it anew: grapevine devnet down --purge',
    );
  }
  return { name, wallet, devnet, address };
}

function fileAccount(datadir: string, name: string): Account | undefined {
  const wallet = readWallet(walletPath(datadir, name));
  return wallet === undefined ? undefined : { name, wallet, devnet: undefined, address: undefined };
}

/** Names of the wallet files of a data directory, in order. Their state files have a second dot. */
function walletFileNames(datadir: string): readonly string[] {
  let entries: string[];
  try {
    entries = readdirSync(join(datadir, FILES));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new CliError(Exit.failed, 'wallets-unreadable', `cannot read the wallets: ${message}`);
  }
  return entries
    .filter((entry) => entry.endsWith('.json'))
    .map((entry) => entry.slice(0, -'.json'.length))
    .filter(isName)
    .sort();
}
