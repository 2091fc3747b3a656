/** How a command gets the keys that sign: from the session of an unlocked wallet, else by its password. */
import { CliError, Exit } from '../node/commands/cli.ts';
import type { Account } from './accounts.ts';
import type { AccountSecret } from './keys.ts';
import { decryptSecret, plainSecret } from './keystore.ts';
import { readPassword } from './prompt.ts';
import { sessionSecret } from './session.ts';

/**
 * The account's keys. Nothing is asked for where the account is a devnet's or its wallet is unlocked; else the password,
 * from `--password-file`, from GRAPEVINE_PASSWORD or on the terminal. Throws CliError: "watch-only" (exit 2),
 * "wrong-password" (exit 1), "password-needed" (exit 5).
 */
export async function openAccountSecret(account: Account, passwordFile: string | undefined): Promise<AccountSecret> {
  requireSecret(account);
  const { wallet, name } = account;
  const source = { passwordFile, question: `password of "${name}"`, repeat: false };
  const { mnemonic, passphrase } =
    plainSecret(wallet) ?? (await sessionSecret(wallet)) ?? (await decryptSecret(wallet, await readPassword(source)));
  const [{ seedFromMnemonic }, { AccountSecret }] = await Promise.all([import('./mnemonic.ts'), import('./keys.ts')]);
  return new AccountSecret(seedFromMnemonic(mnemonic, passphrase), wallet.params);
}

/** Throws "watch-only" for an account without secret keys. Call it before the user is asked anything. */
export function requireSecret({ wallet, name }: Account): void {
  if (!wallet.watchOnly) return;
  throw new CliError(
    Exit.usage,
    'watch-only',
    `"${name}" only watches: it has no keys to sign with`,
    'sign where the keys are; a wallet that can pay is made of its words: grapevine wallet import',
  );
}
