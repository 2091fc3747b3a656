/** `wallet label`: a name for an address or a transaction, shown wherever it is listed. */
import { decodeAddress } from '../consensus/address.ts';
import type { Txid } from '../consensus/brand.ts';
import { CliError, Exit, type GlobalOptions, printResult, usageError } from '../node/commands/cli.ts';
import { chooseAccount } from './accounts.ts';
import type { Wallet } from './keystore.ts';
import { type LabelKind, MAX_LABEL_LENGTH, readLabels } from './labels.ts';
import { withState } from './wallet-state.ts';

/** Shows the label of an address or transaction, or writes it if there is a text. An empty text takes it away. */
export async function labelSomething(
  options: GlobalOptions,
  refText: string,
  text: string | undefined,
  accountName: string | undefined,
): Promise<void> {
  const { name, wallet } = chooseAccount(options, accountName);
  const { kind, ref } = readReference(refText, wallet);
  const label = text === undefined ? currentLabel(wallet, kind, ref) : readLabel(text);
  if (text !== undefined) {
    // Alone with the wallet, so that two labels that are written at once are both kept.
    await withState(wallet.path, { what: `the wallet of "${name}"` }, async () => {
      readLabels(wallet.path).with(kind, ref, label);
    });
  }
  printResult(options, { account: name, type: kind, ref, label: label ?? null }, label ?? '');
}

function currentLabel(wallet: Wallet, kind: LabelKind, ref: string): string | undefined {
  const labels = readLabels(wallet.path);
  return kind === 'addr' ? labels.ofAddress(ref) : labels.ofTransaction(ref as Txid);
}

function readReference(text: string, { params }: Wallet): { readonly kind: LabelKind; readonly ref: string } {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return { kind: 'tx', ref: text.toLowerCase() };
  const address = decodeAddress(text, params);
  if (address.ok) return { kind: 'addr', ref: text.toLowerCase() };
  throw new CliError(
    Exit.usage,
    `address-${address.error.code}`,
    `"${text}" is neither an address nor a transaction id: ${address.error.message}`,
    'copy the whole of it from "grapevine wallet history"',
  );
}

function readLabel(text: string): string | undefined {
  const label = text.trim();
  // Control characters could draw anything on the terminal that shows the label.
  if (/\p{Cc}/u.test(label)) throw usageError('a label is one line of text', 'leave out line breaks and tabs');
  if (label.length > MAX_LABEL_LENGTH) throw usageError(`a label has at most ${MAX_LABEL_LENGTH} characters`);
  return label === '' ? undefined : label;
}
