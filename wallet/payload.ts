/** A transaction or a PSBT that a user hands to a command: on the command line, in a file or on standard input. */
import { closeSync, openSync, readSync } from 'node:fs';
import { hexToBytes } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import { decode } from '../consensus/codec.ts';
import { readTransaction, type Transaction } from '../consensus/transaction.ts';
import { CliError, Exit } from '../node/commands/cli.ts';

/** Hex of the largest transaction that a block can hold, and some room. */
const MAX_PAYLOAD_BYTES = 10_000_000;
const STANDARD_INPUT = '-';

export type Payload =
  | { readonly type: 'psbt'; readonly bytes: Bytes }
  | { readonly type: 'transaction'; readonly tx: Transaction };

/** Reads `-` (standard input), the content itself, or else a file. Throws CliError, exit 2, for what is neither. */
export async function readPayload(word: string): Promise<Payload> {
  if (word === STANDARD_INPUT) return parsePayload(await readStandardInput(), 'standard input');
  const isContent = /^[0-9a-f]{20,}$/i.test(word) || word.startsWith(PSBT_MAGIC_BASE64);
  return isContent ? parsePayload(Buffer.from(word), 'what was given') : parsePayload(readFile(word), word);
}

/** The bytes of a file, which must not be larger than anything that is signed. */
export function readFile(path: string): Bytes {
  try {
    return readBounded(path);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(
      Exit.usage,
      'file-unreadable',
      `cannot read ${path}: ${(error as Error).message}`,
      'give a file, a transaction in hex, a PSBT in base64, or - for standard input',
    );
  }
}

/** Not by the size that a file says it has: pipes have none, and a device such as /dev/zero never ends. */
function readBounded(path: string): Bytes {
  const bytes = new Uint8Array(MAX_PAYLOAD_BYTES + 1);
  const handle = openSync(path, 'r');
  try {
    let size = 0;
    for (;;) {
      const read = readSync(handle, bytes, size, bytes.length - size, null);
      if (read === 0) return bytes.slice(0, size);
      size += read;
      if (size > MAX_PAYLOAD_BYTES) throw tooLarge(path);
    }
  } finally {
    closeSync(handle);
  }
}

async function readStandardInput(): Promise<Bytes> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_PAYLOAD_BYTES) throw tooLarge('standard input');
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** `psbt` and 0xff: how every PSBT begins. */
const PSBT_MAGIC = '70736274ff';
const PSBT_MAGIC_BASE64 = 'cHNidP';

/** A PSBT in binary, base64 or hex; a transaction in hex. */
export function parsePayload(bytes: Bytes, where: string): Payload {
  if (Buffer.from(bytes.subarray(0, 5)).toString('hex') === PSBT_MAGIC) return { type: 'psbt', bytes };
  const text = new TextDecoder().decode(bytes).replace(/\s+/g, '');
  if (text.startsWith(PSBT_MAGIC_BASE64)) {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw unreadable(where, 'a PSBT with characters that are no base64');
    return { type: 'psbt', bytes: new Uint8Array(Buffer.from(text, 'base64')) };
  }
  if (text === '') throw unreadable(where, 'nothing');
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw unreadable(where, 'neither a PSBT nor hex');
  const decoded = hexToBytes(text.toLowerCase());
  if (text.toLowerCase().startsWith(PSBT_MAGIC)) return { type: 'psbt', bytes: decoded };
  const tx = decode(decoded, readTransaction);
  if (!tx.ok) throw unreadable(where, `no transaction: ${tx.error}`);
  return { type: 'transaction', tx: tx.value };
}

function unreadable(where: string, what: string): CliError {
  const hint = 'a transaction is given in hex, a PSBT in base64, hex or binary';
  return new CliError(Exit.usage, 'transaction-unreadable', `${where} holds ${what}`, hint);
}

function tooLarge(where: string): CliError {
  return new CliError(Exit.usage, 'file-too-large', `${where} has more than ${MAX_PAYLOAD_BYTES} bytes`);
}
