/** `wallet unlock` and `wallet lock`: the password once, and then not for a while. */
import { type GlobalOptions, printResult, usageError } from '../node/commands/cli.ts';
import { chooseWallet } from './accounts.ts';
import { parseDuration } from './duration.ts';
import { keyOfPassword, openSecret, wrongPassword } from './keystore.ts';
import { readPassword } from './prompt.ts';
import { requireSecret } from './secret.ts';
import { endAllSessions, endSession, type SessionLauncher, startSession } from './session.ts';

const DEFAULT_TIME = '10m';
const MAX_TIME_MS = 24 * 3_600_000;

/** Options of the command as they were written. */
export interface UnlockTexts {
  /** `--for`. */
  readonly time: string | undefined;
  readonly passwordFile: string | undefined;
}

export async function unlockWallet(
  options: GlobalOptions,
  accountName: string | undefined,
  texts: UnlockTexts,
  launch?: SessionLauncher,
): Promise<void> {
  const timeMs = readTime(texts.time);
  const account = chooseWallet(options, accountName);
  requireSecret(account);
  const { name, wallet } = account;
  const { passwordFile } = texts;
  if (wallet.devnet) throw usageError(`"${name}" is a devnet account`, 'its keys are public: it is never locked');
  const password = await readPassword({ passwordFile, question: `password of "${name}"`, repeat: false });
  const key = await keyOfPassword(wallet, password);
  if (openSecret(wallet, key) === undefined) throw wrongPassword();
  const expiresAtMs = Date.now() + timeMs;
  await startSession(wallet, key, expiresAtMs, launch);
  key.fill(0);
  const until = Math.floor(expiresAtMs / 1000);
  printResult(options, { account: name, locked: false, until }, () => `${name} is unlocked ${untilText(expiresAtMs)}`);
}

/** Locks a wallet, or all of this user where none is named. */
export async function lockWallet(options: GlobalOptions, accountName: string | undefined): Promise<void> {
  if (accountName === undefined) {
    const count = await endAllSessions();
    const text =
      count === 0 ? 'no wallet was unlocked' : `${count === 1 ? '1 wallet is' : `${count} wallets are`} locked`;
    return printResult(options, { account: null, locked: true, ended: count }, text);
  }
  const { name, wallet } = chooseWallet(options, accountName);
  const ended = await endSession(wallet);
  printResult(
    options,
    { account: name, locked: true, ended: ended ? 1 : 0 },
    ended ? `${name} is locked` : `${name} was locked already`,
  );
}

/** `until 21:05:33`, on the clock of whoever reads it. */
export function untilText(expiresAtMs: number): string {
  return `until ${new Date(expiresAtMs).toLocaleTimeString('en-GB')}`;
}

function readTime(text = DEFAULT_TIME): number {
  const time = parseDuration(text);
  if (!time.ok) throw usageError(time.error);
  if (time.value < 1000 || time.value > MAX_TIME_MS) {
    throw usageError(`a wallet is unlocked for 1s to 24h, not for ${text}`, 'for example --for 10m');
  }
  return time.value;
}
