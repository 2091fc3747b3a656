/** `grapevine explain HEX`: what bytes mean. Needs no node. */
import { Command, Option } from 'commander';
import { bytesToHex } from '#hash';
import { type ChainParams, networkByName } from '../../consensus/params.ts';
import { type Explanation, explain, KINDS, type Kind, readHexText } from '../explain/explain.ts';
import { CliError, Exit, globalOptions, printResult, usageError } from './cli.ts';

/** Two full blocks in hex. */
const MAX_TEXT = 20_000_000;
const BYTES_PER_LINE = 16;
/** How every PSBT begins in base64. */
const PSBT_START = 'cHNidP';
const KIND_NAMES: Readonly<Record<Kind, string>> = {
  tx: 'transaction',
  header: 'block header',
  block: 'block',
  message: 'peer message',
};

const EXAMPLES = `
Examples:
  $ grapevine explain 0200000001…                               the bytes of a transaction, each with its meaning
  $ grapevine node rpc getblock HASH 0 | grapevine explain -    a block of a running node
  $ grapevine explain --as header --network vinenet 0000002006…
  $ grapevine explain fabfb5da7665727261636b…                   a message between peers`;

export function explainCommand(): Command {
  return new Command('explain')
    .description('Say what the bytes of a transaction, block header, block or peer message mean.')
    .argument('<hex>', 'the bytes in hex, or - to read them from standard input')
    .addOption(new Option('--as <kind>', 'what the bytes are (default: found out by trying)').choices(KINDS))
    .addHelpText('after', EXAMPLES)
    .action(async (hex: string, parsed: { readonly as?: Kind }, self: Command) => {
      const options = globalOptions(self.optsWithGlobals());
      const params = networkByName(options.network);
      if (params === undefined) throw new Error('the options name known networks only');
      const explanation = explainText(hex === '-' ? await readInput() : hex, params, parsed.as);
      printResult(options, toJsonValue(explanation, params), () => toText(explanation, params));
    });
}

function explainText(text: string, params: ChainParams, as: Kind | undefined): Explanation {
  const bytes = readHexText(text);
  if (!bytes.ok) {
    const hint = text.trim().startsWith(PSBT_START)
      ? 'this looks like a PSBT: "grapevine node rpc decodepsbt PSBT" shows what is in it'
      : 'give whole bytes, two digits 0-9 or a-f each';
    throw usageError(`this is no hex: ${bytes.error}`, hint);
  }
  const explanation = explain(bytes.value, params, as);
  if (explanation.ok) return explanation.value;
  const [closest, ...others] = explanation.error;
  const hint =
    bytes.value.length === 32
      ? `this looks like an id: its bytes are those of "grapevine node rpc getrawtransaction ${text.trim()}"`
      : others.length > 0
        ? others.map(({ message }) => message).join('; ')
        : 'bytes are missing, or there are too many: copy all of them again';
  throw new CliError(
    Exit.failed,
    'not-decodable',
    `${bytes.value.length} bytes that cannot be read: ${closest?.message}`,
    hint,
  );
}

async function readInput(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > MAX_TEXT) throw usageError(`more than ${MAX_TEXT} characters`, 'a block has at most 8,000,000');
  }
  return text;
}

function toJsonValue({ kind, size, summary, fields }: Explanation, params: ChainParams): unknown {
  return {
    kind,
    network: params.name,
    size,
    summary: Object.fromEntries(summary.map(([name, value]) => [camelCase(name), value])),
    fields: fields.map(({ offset, bytes, name, value, meaning }) => {
      return { offset, length: bytes.length, name, hex: bytesToHex(bytes), value: value ?? null, meaning };
    }),
  };
}

/** `proof of work` as the name of a member: `proofOfWork`. */
function camelCase(name: string): string {
  return name.replace(/ (.)/g, (_, letter: string) => letter.toUpperCase());
}

function toText({ kind, size, summary, fields }: Explanation, params: ChainParams): string {
  const label = Math.max(...summary.map(([name]) => name.length));
  const name = Math.max(...fields.map((field) => field.name.length));
  const offset = String(size).length;
  const hexWidth = BYTES_PER_LINE * 2;
  const lines = [`${KIND_NAMES[kind]} of ${size} bytes, ${params.name}`];
  for (const [what, value] of summary) lines.push(`  ${what.padEnd(label)}  ${value}`);
  lines.push('', `${'at'.padStart(offset)}  ${'bytes'.padEnd(hexWidth)}  ${'field'.padEnd(name)}  meaning`);
  for (const field of fields) {
    const hex = bytesToHex(field.bytes);
    const first = hex.slice(0, hexWidth).padEnd(hexWidth);
    lines.push(
      `${String(field.offset).padStart(offset)}  ${first}  ${field.name.padEnd(name)}  ${field.meaning}`.trimEnd(),
    );
    for (let at = hexWidth; at < hex.length; at += hexWidth)
      lines.push(`${' '.repeat(offset)}  ${hex.slice(at, at + hexWidth)}`);
  }
  return lines.join('\n');
}
