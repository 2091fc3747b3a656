/** `wallet new`: a new encrypted wallet. Its words are shown once and nowhere else. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { encodeAddress } from '../consensus/address.ts';
import { type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { DEFAULT_WALLET, walletPath } from './accounts.ts';
import { readGapLimit } from './address-walk.ts';
import { rememberGapLimit, walletNetwork } from './import.ts';
import { EXTERNAL } from './key-place.ts';
import { AccountAddresses, AccountSecret } from './keys.ts';
import { createWallet, type ScryptCost, STRONG_COST } from './keystore.ts';
import { ENTROPY_BYTES, mnemonicFromEntropy, seedFromMnemonic } from './mnemonic.ts';
import { readPassword } from './prompt.ts';

/** Options of the command as they were written. */
export interface NewTexts {
  readonly words: string | undefined;
  readonly gapLimit: string | undefined;
  readonly passwordFile: string | undefined;
}

export async function newWallet(
  options: GlobalOptions,
  name = DEFAULT_WALLET,
  texts: NewTexts,
  cost: ScryptCost = STRONG_COST,
): Promise<void> {
  const words = Number(texts.words ?? 12);
  if (words !== 12 && words !== 24) throw usageError(`a wallet has 12 or 24 words, not ${texts.words}`);
  const params = walletNetwork(options);
  const gapLimit = readGapLimit(texts.gapLimit);
  const path = walletPath(options.datadir, name);
  // `createWallet` refuses as well; here it is noticed before a password is asked for.
  if (existsSync(path)) {
    throw usageError(`there is a wallet "${name}" already`, 'choose another name: grapevine wallet new NAME');
  }
  const question = `a password for the new wallet "${name}"`;
  const password = await readPassword({ passwordFile: texts.passwordFile, question, repeat: true });
  const mnemonic = await mnemonicFromEntropy(new Uint8Array(randomBytes(ENTROPY_BYTES[words])));
  const { publicKey } = new AccountSecret(seedFromMnemonic(mnemonic), params);
  const addresses = AccountAddresses.fromPublicKey(publicKey, params);
  if (!addresses.ok) throw new Error(`a new key is refused: ${addresses.error}`);
  const address = encodeAddress(addresses.value.outputKey({ chain: EXTERNAL, index: 0 }), params.hrp);
  await createWallet(path, params.name, publicKey, { mnemonic }, password, cost);
  if (gapLimit !== undefined) await rememberGapLimit(path, name, gapLimit);
  const result = { name, network: params.name, file: path, words, mnemonic, address };
  printResult(options, result, () =>
    [`wallet   ${name} (${path})`, `network  ${params.name}`, `address  ${address}`, `words    ${mnemonic}`].join('\n'),
  );
  note(options, 'write the words down now: they are shown once, and whoever has them has the money');
}
