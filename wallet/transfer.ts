/** `wallet export`, `wallet backup` and `wallet restore`: keys that other programs read, and copies of the wallet file. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { chooseAccount, DEFAULT_WALLET, walletPath } from './accounts.ts';
import { GAP_LIMIT } from './address-walk.ts';
import { replaceFile } from './atomic-file.ts';
import { formatChain, formatDescriptor } from './descriptor.ts';
import { EXTERNAL, INTERNAL } from './key-place.ts';
import { addWalletCopy, readWallet, type Wallet } from './keystore.ts';
import { isName } from './names.ts';
import { confirm, isInteractive } from './prompt.ts';
import { readState } from './wallet-state.ts';

/** One element of the array that Core documents for `importdescriptors`. */
interface ImportableDescriptor {
  readonly desc: string;
  /** 0: the whole chain is looked through. */
  readonly timestamp: number;
  readonly internal: boolean;
  /** New addresses are taken from it. Only where there is more than one. */
  readonly active?: boolean;
  readonly range?: readonly [first: number, last: number];
  readonly next_index?: number;
}

/** Prints the descriptors of the receiving and the change chain, one in each line. */
export function exportDescriptor(
  options: GlobalOptions,
  texts: { account: string | undefined; descriptor: boolean },
): void {
  if (!texts.descriptor) throw usageError('say what to export', 'grapevine wallet export --descriptor');
  const { name, wallet } = chooseAccount(options, texts.account);
  const descriptors = importableDescriptors(wallet);
  const result = {
    account: name,
    network: wallet.params.name,
    watchOnly: wallet.watchOnly,
    descriptor: formatDescriptor(wallet.descriptor),
    descriptors,
  };
  printResult(options, result, () => descriptors.map(({ desc }) => desc).join('\n'));
  note(options, 'whoever has these sees all payments of the account, and can spend nothing');
}

function importableDescriptors(wallet: Wallet): ImportableDescriptor[] {
  const { descriptor } = wallet;
  const { next, gapLimit = GAP_LIMIT } = readState(wallet.path);
  return ([EXTERNAL, INTERNAL] as const).flatMap((chain): ImportableDescriptor[] => {
    if (descriptor.chains[chain] === undefined) return [];
    const desc = formatChain(descriptor, chain);
    const internal = chain === INTERNAL;
    if (!descriptor.ranged) return [{ desc, timestamp: 0, internal }];
    const nextIndex = internal ? next.internal : next.external;
    const range = [0, nextIndex + gapLimit - 1] as const;
    return [{ desc, timestamp: 0, internal, active: true, range, next_index: nextIndex }];
  });
}

/** Copies the wallet file as it is: encrypted, for its owner only. Something that is there is replaced after a yes. */
export async function backUpWallet(
  options: GlobalOptions,
  file: string,
  accountName: string | undefined,
): Promise<void> {
  const { name, wallet } = chooseAccount(options, accountName);
  const target = resolve(file);
  const there = statSync(target, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw usageError(`${target} is a folder`, `name a file: ${target}/${name}.json`);
  if (!existsSync(dirname(target))) throw usageError(`there is no folder ${dirname(target)}`, 'make it first');
  if (there !== undefined && realpathSync(target) === realpathSync(wallet.path)) {
    throw usageError(`${target} is the wallet itself`, 'name another file');
  }
  const text = readFileSync(wallet.path, 'utf8');
  if (there !== undefined) await askToReplace(options, target);
  if (there === undefined) writeNewFile(target, text);
  else replaceFile(target, text);
  if (readFileSync(target, 'utf8') !== text) {
    throw new CliError(Exit.failed, 'backup-differs', `${target} is not what was written`, 'use another disk');
  }
  printResult(options, { account: name, file: target }, `${name} is saved in ${target}`);
  if (process.platform !== 'win32' && (statSync(target).mode & 0o077) !== 0) {
    note(options, `note: others can read ${target}: its file system keeps no permissions`);
  }
  note(
    options,
    wallet.watchOnly
      ? 'it holds no secret'
      : 'it opens with the password that the wallet has now; labels are not in it',
  );
}

async function askToReplace(options: GlobalOptions, target: string): Promise<void> {
  if (options.yes) return;
  if (!isInteractive()) {
    throw new CliError(
      Exit.confirm,
      'backup-exists',
      `there is a file ${target} already`,
      'name another one, or replace it with --yes',
    );
  }
  if (!(await confirm(`replace ${target}?`))) throw new CliError(Exit.failed, 'cancelled', 'nothing was saved');
}

/** Not by `createFile`: the file systems of memory sticks have no links. */
function writeNewFile(path: string, text: string): void {
  let handle: number | undefined;
  try {
    handle = openSync(path, 'wx', 0o600);
    writeFileSync(handle, text);
    fsyncSync(handle);
  } catch (error) {
    if (handle !== undefined) rmSync(path, { force: true });
    throw new CliError(Exit.failed, 'not-writable', `cannot write ${path}: ${(error as Error).message}`);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** Makes a wallet of a backup. It keeps its password. */
export function restoreWallet(options: GlobalOptions, file: string, nameText: string | undefined): void {
  const source = resolve(file);
  const wallet = readBackup(source);
  if (wallet.devnet) {
    throw usageError(`${source} is of a devnet account`, 'its keys are public: make a wallet of your own');
  }
  const fileName = basename(source).replace(/\.json$/, '');
  const name = nameText ?? (isName(fileName) ? fileName : DEFAULT_WALLET);
  const path = walletPath(options.datadir, name);
  if (existsSync(path)) {
    throw usageError(`there is a wallet "${name}" already`, 'choose another name: grapevine wallet restore FILE NAME');
  }
  addWalletCopy(path, wallet);
  const result = { name, network: wallet.params.name, file: path, watchOnly: wallet.watchOnly };
  printResult(options, result, () => `wallet   ${name} (${path})\nnetwork  ${wallet.params.name}`);
}

function readBackup(source: string): Wallet {
  try {
    const wallet = readWallet(source);
    if (wallet !== undefined) return wallet;
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'wallet-permissions') throw error;
    const hint = `make it yours alone (chmod 600), or copy it first from a disk that keeps no permissions: install -m 600 ${source} COPY`;
    throw new CliError(error.exit, error.code, error.message, hint);
  }
  throw usageError(`there is no file ${source}`, 'name a file that "grapevine wallet backup" wrote');
}
