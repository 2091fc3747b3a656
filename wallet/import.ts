/** `wallet import`: a wallet of words that exist already, or a watch-only one of a public descriptor. */
import { existsSync } from 'node:fs';
import { encodeAddress } from '../consensus/address.ts';
import { type ChainParams, networkByName } from '../consensus/params.ts';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { accountEntries, DEFAULT_WALLET, walletPath } from './accounts.ts';
import { readGapLimit } from './address-walk.ts';
import { formatDescriptor, parseDescriptor } from './descriptor.ts';
import { accountDescriptor, type Descriptor, EXTERNAL } from './key-place.ts';
import { AccountAddresses, AccountSecret } from './keys.ts';
import { createWallet, createWatchWallet, type ScryptCost, STRONG_COST } from './keystore.ts';
import { type MnemonicError, readMnemonic, seedFromMnemonic, WORD_COUNTS } from './mnemonic.ts';
import { askAgain, askSecret, firstLine, isInteractive, readInputFile, readPassword } from './prompt.ts';
import { withState } from './wallet-state.ts';

/** Options of the command as they were written. */
export interface ImportTexts {
  readonly mnemonicFile: string | undefined;
  /** Ask for a passphrase. */
  readonly passphrase: boolean;
  readonly passphraseFile: string | undefined;
  readonly descriptor: string | undefined;
  readonly descriptorFile: string | undefined;
  readonly gapLimit: string | undefined;
  readonly passwordFile: string | undefined;
}

export async function importWallet(
  options: GlobalOptions,
  name = DEFAULT_WALLET,
  texts: ImportTexts,
  cost: ScryptCost = STRONG_COST,
): Promise<void> {
  const params = walletNetwork(options);
  const gapLimit = readGapLimit(texts.gapLimit);
  const path = walletPath(options.datadir, name);
  // Writing the file refuses as well; here it is noticed before anything is asked for.
  if (existsSync(path)) {
    throw usageError(`there is a wallet "${name}" already`, 'choose another name: grapevine wallet import NAME');
  }
  const secretSources = [texts.mnemonicFile, texts.passphraseFile].some((file) => file !== undefined);
  const publicSources = [texts.descriptor, texts.descriptorFile].filter((source) => source !== undefined);
  if (publicSources.length > 1 || (publicSources.length > 0 && (secretSources || texts.passphrase))) {
    throw usageError('give one thing to import', 'the words of a wallet, or a descriptor, or a file with one of them');
  }
  const { descriptor, words } =
    publicSources.length > 0
      ? await importDescriptor(path, params, texts)
      : await importMnemonic(path, name, params, texts, cost);
  if (gapLimit !== undefined) await rememberGapLimit(path, name, gapLimit);
  report(options, { name, path, params, descriptor, words });
}

/** The network of a new wallet's addresses. */
export function walletNetwork({ network }: GlobalOptions): ChainParams {
  const params = networkByName(network);
  if (params === undefined) throw new Error(`the options name a network that is not known: ${network}`);
  return params;
}

/** Keeps the gap limit of a new wallet. */
export function rememberGapLimit(path: string, name: string, gapLimit: number): Promise<void> {
  return withState(path, { what: `the wallet "${name}"` }, async (state) => state.save({ ...state.value, gapLimit }));
}

/** What was written, for the report. `words` is null for a descriptor. */
interface Imported {
  readonly descriptor: Descriptor;
  readonly words: number | null;
}

async function importMnemonic(
  path: string,
  name: string,
  params: ChainParams,
  texts: ImportTexts,
  cost: ScryptCost,
): Promise<Imported> {
  const read = await readMnemonic(await givenMnemonic(name, texts.mnemonicFile));
  if (!read.ok) throw mnemonicError(read.error);
  const mnemonic = read.value;
  const passphrase = await givenPassphrase(texts);
  const question = `a password for the wallet "${name}"`;
  const password = await readPassword({ passwordFile: texts.passwordFile, question, repeat: true });
  const { publicKey } = new AccountSecret(seedFromMnemonic(mnemonic, passphrase), params);
  const secret = passphrase === '' ? { mnemonic } : { mnemonic, passphrase };
  await createWallet(path, params.name, publicKey, secret, password, cost);
  return { descriptor: accountDescriptor(publicKey), words: mnemonic.split(' ').length };
}

async function importDescriptor(
  path: string,
  params: ChainParams,
  { descriptor: text, descriptorFile }: ImportTexts,
): Promise<Imported> {
  const written = text ?? (await readInputFile(descriptorFile as string, 'descriptor-file', 'the descriptor'));
  const descriptor = parseDescriptor(written, params);
  if (!descriptor.ok) {
    const { code, message, hint } = descriptor.error;
    throw new CliError(Exit.usage, code, message, hint);
  }
  const addresses = AccountAddresses.fromDescriptor(descriptor.value, params);
  if (!addresses.ok) throw new CliError(Exit.usage, 'descriptor-key', addresses.error, 'copy the descriptor again');
  createWatchWallet(path, params.name, descriptor.value);
  return { descriptor: descriptor.value, words: null };
}

/** The words, from the file, from GRAPEVINE_MNEMONIC or from the terminal. Never from the command line, where others see them. */
async function givenMnemonic(name: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return readInputFile(file, 'mnemonic-file', 'the words');
  const given = process.env['GRAPEVINE_MNEMONIC'];
  if (given !== undefined) return given;
  if (isInteractive()) return askSecret(`the words of the wallet "${name}" (they are not shown): `);
  throw new CliError(
    Exit.confirm,
    'mnemonic-needed',
    'the words of the wallet are needed, and there is no terminal to ask for them',
    'give them with --mnemonic-file FILE (- is stdin) or in GRAPEVINE_MNEMONIC, or a public descriptor',
  );
}

async function givenPassphrase({ passphrase, passphraseFile }: ImportTexts): Promise<string> {
  if (passphraseFile !== undefined) {
    return firstLine(await readInputFile(passphraseFile, 'passphrase-file', 'the passphrase'));
  }
  if (!passphrase) return '';
  if (!isInteractive()) {
    throw new CliError(
      Exit.confirm,
      'passphrase-needed',
      'the passphrase is needed, and there is no terminal to ask for it',
      'give it with --passphrase-file FILE',
    );
  }
  const typed = await askSecret('the passphrase that belongs to the words: ');
  await askAgain(typed, 'passphrases');
  return typed;
}

function mnemonicError(error: MnemonicError): CliError {
  const refuse = (message: string, hint: string) => new CliError(Exit.usage, `mnemonic-${error.type}`, message, hint);
  switch (error.type) {
    case 'words': {
      const named = error.wrong.map(({ position, word, near }) => {
        const proposal = near.length === 0 ? '' : ` (${near.map((candidate) => `"${candidate}"`).join(', ')}?)`;
        return `word ${position}, "${word}"${proposal}`;
      });
      return refuse(`not in the list of words: ${named.join('; ')}`, 'the words are English ones of BIP 39');
    }
    case 'count':
      return refuse(
        `there are ${error.count} words; a wallet has ${WORD_COUNTS.slice(0, -1).join(', ')} or ${WORD_COUNTS.at(-1)}`,
        'give all of them in their order, with spaces between them',
      );
    case 'checksum':
      return refuse(
        'every word is in the list, but the checksum does not match',
        'one of them is another word than it was, or two have changed places',
      );
  }
}

function report(
  options: GlobalOptions,
  { name, path, params, descriptor, words }: Imported & { name: string; path: string; params: ChainParams },
): void {
  const addresses = AccountAddresses.fromDescriptor(descriptor, params);
  if (!addresses.ok) throw new Error(`an imported key is refused: ${addresses.error}`);
  const address = encodeAddress(addresses.value.outputKey({ chain: EXTERNAL, index: 0 }), params.hrp);
  const watchOnly = words === null;
  const text = formatDescriptor(descriptor);
  const result = { name, network: params.name, file: path, watchOnly, words, address, descriptor: text };
  printResult(options, result, () =>
    [
      `wallet   ${name} (${path})`,
      `network  ${params.name}`,
      `address  ${address}`,
      watchOnly ? `watches  ${text}` : `words    ${words}`,
    ].join('\n'),
  );
  for (const twin of walletsWith(options, text)) {
    if (twin !== name) note(options, `note: the wallet "${twin}" has the same keys`);
  }
  note(options, 'its coins: grapevine wallet balance; if some are missing: grapevine wallet rescan');
}

/** Wallet files of the same keys. One that cannot be read is none of them. */
function walletsWith(options: GlobalOptions, descriptor: string): string[] {
  return accountEntries(options).flatMap(({ name, devnet, open }) => {
    if (devnet !== undefined) return [];
    try {
      return formatDescriptor(open().wallet.descriptor) === descriptor ? [name] : [];
    } catch (error) {
      if (error instanceof CliError) return [];
      throw error;
    }
  });
}
