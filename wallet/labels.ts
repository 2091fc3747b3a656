/**
 * Labels of addresses and transactions, in `NAME.labels.jsonl` beside the wallet: lines as BIP 329 has them, so that other
 * wallets can read and write them. Lines of kinds that are not used here (keys, single coins) are kept as they are.
 */
import { readFileSync } from 'node:fs';
import type { Txid } from '../consensus/brand.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { replaceFile } from './atomic-file.ts';

export type LabelKind = 'addr' | 'tx';

/** BIP 329 counts 255 characters as the most that every wallet shows. */
export const MAX_LABEL_LENGTH = 255;
/** Labels of one wallet. */
const MAX_LABELS = 100_000;

export class Labels {
  readonly #path: string;
  readonly #lines: readonly Line[];
  readonly #texts: ReadonlyMap<string, string>;

  constructor(path: string, lines: readonly Line[]) {
    this.#path = path;
    this.#lines = lines;
    this.#texts = new Map(lines.flatMap(({ key, label }) => (key === undefined ? [] : [[key, label] as const])));
  }

  ofAddress(address: string): string | undefined {
    return this.#texts.get(keyOf('addr', address));
  }

  ofTransaction(txid: Txid): string | undefined {
    return this.#texts.get(keyOf('tx', txid));
  }

  /** The labels with one changed, added, or (undefined) taken away; written to disk before it returns. */
  with(kind: LabelKind, ref: string, label: string | undefined): Labels {
    const key = keyOf(kind, ref);
    const others = this.#lines.filter((line) => line.key !== key);
    const lines = label === undefined ? others : [...others, lineOf(kind, ref, label)];
    if (lines.length > MAX_LABELS) {
      throw new CliError(Exit.failed, 'labels-full', `a wallet has at most ${MAX_LABELS} labels`, 'remove some');
    }
    replaceFile(this.#path, lines.map(({ text }) => `${text}\n`).join(''));
    return new Labels(this.#path, lines);
  }
}

/** The labels of the wallet at `walletPath`; none where no file is. CliError "labels-damaged" names the line. */
export function readLabels(walletPath: string): Labels {
  const path = walletPath.replace(/\.json$/, '.labels.jsonl');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Labels(path, []);
    throw new CliError(Exit.failed, 'labels-unreadable', `cannot read the labels: ${(error as Error).message}`);
  }
  const lines = text.split(/\r?\n/).flatMap((line, at) => (line.trim() === '' ? [] : [readLine(path, line, at + 1)]));
  return new Labels(path, lines);
}

interface Line {
  /** As it stands in the file. */
  readonly text: string;
  /** Undefined for kinds that are not used here. */
  readonly key: string | undefined;
  readonly label: string;
}

function readLine(path: string, text: string, number: number): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null) {
    throw new CliError(
      Exit.failed,
      'labels-damaged',
      `line ${number} of ${path} is damaged`,
      'mend or remove that line: nothing but labels is in the file',
    );
  }
  const { type, ref, label } = value as Record<string, unknown>;
  const isOurs = (type === 'addr' || type === 'tx') && typeof ref === 'string' && typeof label === 'string';
  return isOurs ? { text, key: keyOf(type, ref), label } : { text, key: undefined, label: '' };
}

function lineOf(type: LabelKind, ref: string, label: string): Line {
  return { text: JSON.stringify({ type, ref, label }), key: keyOf(type, ref), label };
}

function keyOf(kind: LabelKind, ref: string): string {
  return `${kind} ${ref}`;
}
