/**
 * Names that users give to wallets, devnets, nodes and accounts. They become file names and parts of `DEVNET/NAME`,
 * so they are short and plain; an address (62 characters and more) can never be taken for a name.
 */
import { usageError } from '../node/commands/cli.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** The name, or a usage error that says what a name may be. `what` is the thing named: "wallet", "devnet". */
export function checkName(what: string, name: string): string {
  if (isName(name)) return name;
  throw usageError(
    `"${name}" cannot be the name of a ${what}`,
    'a name has 1 to 32 letters, digits, "-" or "_" and begins with a letter or digit',
  );
}
