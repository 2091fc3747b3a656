/**
 * The words of a wallet (BIP 39): entropy → words → seed. English words, no passphrase.
 * The word list is loaded only when words are made; the seed needs none. PBKDF2 is Node's: twenty times as fast as JavaScript.
 */
import { pbkdf2Sync } from 'node:crypto';
import type { Bytes } from '../consensus/brand.ts';

/** How many words a wallet may have, and the bytes of entropy in them. */
export const ENTROPY_BYTES = { 12: 16, 24: 32 } as const;
export type WordCount = keyof typeof ENTROPY_BYTES;

/** The words for 16 or 32 bytes of entropy, separated by spaces. */
export async function mnemonicFromEntropy(entropy: Bytes): Promise<string> {
  const [{ entropyToMnemonic }, { wordlist }] = await Promise.all([
    import('@scure/bip39'),
    import('@scure/bip39/wordlists/english.js'),
  ]);
  return entropyToMnemonic(entropy, wordlist);
}

/** The 64 bytes that BIP 32 starts from. The words are taken as they are: their checksum was checked when they came in. */
export function seedFromMnemonic(mnemonic: string, passphrase = ''): Bytes {
  const salt = `mnemonic${passphrase.normalize('NFKD')}`;
  return new Uint8Array(pbkdf2Sync(mnemonic.normalize('NFKD'), salt, 2048, 64, 'sha512'));
}
