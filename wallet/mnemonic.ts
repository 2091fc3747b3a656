/**
 * The words of a wallet (BIP 39): entropy → words → seed, and words that somebody typed. English words.
 * The word list is loaded only when words are made or checked; the seed needs none. PBKDF2 is Node's: twenty times as fast as JavaScript.
 */
import { pbkdf2Sync } from 'node:crypto';
import { type Bytes, fail, ok, type Result } from '../consensus/brand.ts';

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

/** How many words BIP 39 knows. `new` makes 12 or 24; other wallets make the rest too. */
export const WORD_COUNTS: readonly number[] = [12, 15, 18, 21, 24];

/** A word that is not in the list. */
export interface WrongWord {
  /** From 1. */
  readonly position: number;
  readonly word: string;
  /** Words of the list that may be meant, the nearest first. */
  readonly near: readonly string[];
}

export type MnemonicError =
  | { readonly type: 'words'; readonly wrong: readonly WrongWord[] }
  | { readonly type: 'count'; readonly count: number }
  /** All words are in the list, and so many as there may be; but one is another than it was, or two changed places. */
  | { readonly type: 'checksum' };

/** Reads words that somebody typed: in any case, with any white space between them. */
export async function readMnemonic(text: string): Promise<Result<string, MnemonicError>> {
  const [{ validateMnemonic }, { wordlist }] = await Promise.all([
    import('@scure/bip39'),
    import('@scure/bip39/wordlists/english.js'),
  ]);
  const words = text.normalize('NFKD').toLowerCase().split(/\s+/).filter(Boolean);
  const known = new Set(wordlist);
  const wrong = words.flatMap((word, at) => (known.has(word) ? [] : [{ position: at + 1, word }]));
  if (wrong.length > 0) {
    const named = wrong.slice(0, MAX_NAMED).map((entry) => ({ ...entry, near: nearWords(entry.word, wordlist) }));
    return fail({ type: 'words', wrong: named });
  }
  if (!WORD_COUNTS.includes(words.length)) return fail({ type: 'count', count: words.length });
  const mnemonic = words.join(' ');
  return validateMnemonic(mnemonic, wordlist) ? ok(mnemonic) : fail({ type: 'checksum' });
}

/** Wrong words that are named: somebody who gave another text needs no more. */
const MAX_NAMED = 3;
const MAX_NEAR = 3;
const MAX_MISTAKES = 2;
/** The longest word of the list has 8 letters. */
const MAX_COMPARED_LENGTH = 12;

/** Words that begin with the text (four letters tell them all apart), and those that few mistakes make of it. */
function nearWords(word: string, wordlist: readonly string[]): string[] {
  if (word.length > MAX_COMPARED_LENGTH) return [];
  return wordlist
    .map((candidate) => {
      const isBeginning = word.length >= 3 && candidate.startsWith(word);
      return { candidate, mistakes: isBeginning ? 0 : mistakesBetween(word, candidate) };
    })
    .filter(({ mistakes }) => mistakes <= MAX_MISTAKES && mistakes < word.length)
    .sort((a, b) => a.mistakes - b.mistakes)
    .slice(0, MAX_NEAR)
    .map(({ candidate }) => candidate);
}

/** Letters left out, added, exchanged, or swapped with their neighbour (the distance of Damerau and Levenshtein). */
function mistakesBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const steps = [(last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + (same ? 0 : 1)];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(...steps, swapped ? (before[j - 2] as number) + 1 : Number.POSITIVE_INFINITY));
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}

/** The 64 bytes that BIP 32 starts from. The words are taken as they are: their checksum was checked when they came in. */
export function seedFromMnemonic(mnemonic: string, passphrase = ''): Bytes {
  const salt = `mnemonic${passphrase.normalize('NFKD')}`;
  return new Uint8Array(pbkdf2Sync(mnemonic.normalize('NFKD'), salt, 2048, 64, 'sha512'));
}
