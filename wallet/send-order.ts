/** What `wallet send` is asked for: its words and options, read and checked before anything is asked of a node. */
import { bytesToHex, hexToBytes } from '#hash';
import { dataScript, MAX_DATA_SIZE } from '../consensus/address.ts';
import type { Bytes } from '../consensus/brand.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { type FeeRate, parseAmount, parseFeeRate } from './amount.ts';
import { DUST_LIMIT } from './coin-selection.ts';
import { readWait, type WaitOrder } from './wait.ts';

/** Recipients of one payment. More would not fit into a transaction that nodes pass on (RULES A10). */
const MAX_RECIPIENTS = 2000;

/** Options of the command as they were written. */
export interface SendTexts {
  readonly account: string | undefined;
  readonly all: boolean;
  readonly data: string | undefined;
  readonly feeRate: string | undefined;
  readonly wait: string | undefined;
  readonly waitTimeout: string | undefined;
  readonly dryRun: boolean;
  readonly psbt: boolean;
  readonly passwordFile: string | undefined;
}

/** One recipient as it was written. */
export interface NamedPayment {
  readonly to: string;
  /** Satoshis; undefined for the one who gets all that is left. */
  readonly amount: bigint | undefined;
}

export interface SendOrder {
  readonly payments: readonly NamedPayment[];
  /** Script of the data output; undefined where there is none. */
  readonly dataScript: Bytes | undefined;
  /** Undefined: the node's. */
  readonly feeRate: FeeRate | undefined;
  readonly wait: WaitOrder;
  readonly dryRun: boolean;
  readonly psbt: boolean;
  readonly passwordFile: string | undefined;
}

/** Throws CliError, exit 2, that says what is wrong. */
export function readSendOrder(words: readonly string[], texts: SendTexts): SendOrder {
  const payments = readPayments(words, texts.all);
  const wait = readWait(texts);
  if (texts.dryRun && texts.psbt)
    throw usageError('--dry-run makes nothing, and --psbt makes a PSBT', 'give one of them');
  if (wait.confirmations > 0 && (texts.dryRun || texts.psbt)) {
    throw usageError(
      '--wait waits for a payment, and nothing is sent',
      `leave out --wait or --${texts.psbt ? 'psbt' : 'dry-run'}`,
    );
  }
  return {
    payments,
    dataScript: texts.data === undefined ? undefined : dataScript(readData(texts.data)),
    feeRate: readFeeRate(texts.feeRate),
    wait,
    dryRun: texts.dryRun,
    psbt: texts.psbt,
    passwordFile: texts.passwordFile,
  };
}

/** `--fee-rate`; undefined where it was not given. */
export function readFeeRate(text: string | undefined): FeeRate | undefined {
  if (text === undefined) return undefined;
  const rate = parseFeeRate(text);
  if (!rate.ok) throw new CliError(Exit.usage, rate.error.code, rate.error.message, rate.error.hint);
  return rate.value;
}

function readPayments(words: readonly string[], all: boolean): readonly NamedPayment[] {
  const option = words.find((word) => word.startsWith('-') && !/^-[\d.]/.test(word));
  if (option !== undefined) throw usageError(`unknown option "${option}"`, 'see grapevine wallet send --help');
  const split = words.findIndex((word, at) => /^[\d.]+$/.test(word) && /^(btc|sats?)$/i.test(words[at + 1] ?? ''));
  if (split !== -1) {
    throw usageError(
      `too many words: ${words.join(' ')}`,
      `write the amount as one word: ${words[split]}${words[split + 1]}`,
    );
  }
  const isOdd = words.length % 2 === 1;
  if (all && !isOdd) {
    throw usageError(
      '--all needs a recipient without an amount, the last',
      'for example: send bob --all, or send carol 1btc bob --all',
    );
  }
  if (!all && isOdd) {
    const hint =
      words.length === 1
        ? `${words[0]} 0.5btc, or ${words[0]} --all`
        : 'recipients and amounts take turns: bob 0.5btc carol 1btc';
    throw usageError(`"${words.at(-1)}" stands without an amount`, hint);
  }
  if (words.length > 2 * MAX_RECIPIENTS)
    throw usageError(`more than ${MAX_RECIPIENTS} recipients`, 'pay them in several payments');
  const payments: NamedPayment[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const text = words[at + 1];
    payments.push({ to: words[at] as string, amount: text === undefined ? undefined : readAmount(text) });
  }
  return payments;
}

function readAmount(text: string): bigint {
  const amount = parseAmount(text);
  if (!amount.ok) throw new CliError(Exit.usage, amount.error.code, amount.error.message, amount.error.hint);
  if (amount.value >= DUST_LIMIT) return amount.value;
  throw new CliError(
    Exit.usage,
    'amount-dust',
    `${amount.value} sat is dust: nodes do not pass on outputs below ${DUST_LIMIT} sat`,
    `the smallest payment is ${DUST_LIMIT}sat`,
  );
}

/** Bytes in hex, or a text; `text:` before it says that it is one although it looks like hex. */
function readData(text: string): Bytes {
  const isHex = /^([0-9a-f]{2})+$/i.test(text);
  const bytes = isHex ? hexToBytes(text.toLowerCase()) : new TextEncoder().encode(text.replace(/^text:/, ''));
  if (bytes.length >= 1 && bytes.length <= MAX_DATA_SIZE) return bytes;
  throw new CliError(
    Exit.usage,
    'data-size',
    `the data has ${bytes.length} bytes`,
    `a data output holds 1 to ${MAX_DATA_SIZE} bytes: hex, or a text`,
  );
}

/** The data of a data output, in hex and, where it is one, as text in quotes. */
export function describeData(script: Bytes): { readonly hex: string; readonly text: string } {
  const bytes = script.subarray(script.length - dataLength(script));
  const hex = bytesToHex(bytes);
  let decoded: string | undefined;
  try {
    decoded = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // It is no text, and hex says all.
  }
  const isPlain = decoded !== undefined && /^[\x20-\x7e\u00a0-\u{10ffff}]+$/u.test(decoded);
  return { hex, text: isPlain ? `${hex} ("${decoded}")` : hex };
}

/** `6a <length> …` up to 75 bytes, else `6a 4c <length> …`. */
function dataLength(script: Bytes): number {
  return script[1] === 0x4c ? (script[2] as number) : (script[1] as number);
}
