/**
 * What every command shares: exit codes, errors with a hint, output that is text for people or JSON for programs.
 * Results go to stdout and nothing else does; progress, prompts and errors go to stderr. DESIGN.md section 7.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { decodeChainFile } from '../../consensus/chain-file.ts';
import {
  type ChainParams,
  defineNetwork,
  type NetworkName,
  networkByName,
  networkNames,
} from '../../consensus/params.ts';

export const DEFAULT_NETWORK: NetworkName = 'regtest';

/** The exit codes that other people's scripts rely on. */
export const Exit = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Node unreachable or not authorised. */
  unreachable: 3,
  /** The node refused; its reason is kept. */
  refused: 4,
  /** Confirmation needed and no terminal. */
  confirm: 5,
  /** Timed out waiting. */
  timeout: 6,
  insufficientFunds: 7,
} as const;
export type ExitCode = (typeof Exit)[keyof typeof Exit];

/** An error that the user can act on: printed as a message and a hint, never as a stack trace. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit: ExitCode;
  /** Stable, for programs: `insufficient-funds`, or the node's own reject string. */
  readonly code: string;
  readonly hint: string | undefined;

  constructor(exit: ExitCode, code: string, message: string, hint?: string) {
    super(message);
    this.exit = exit;
    this.code = code;
    this.hint = hint;
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError(Exit.usage, 'usage', message, hint);
}

/** The options that every command has. */
export interface GlobalOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Never ask. */
  readonly yes: boolean;
  /** `--datadir`, else `GRAPEVINE_DATADIR`, else `~/.grapevine`. */
  readonly datadir: string;
  /** `--node`: a devnet node's name, HOST:PORT or URL. */
  readonly node: string | undefined;
  /** `--network`, or the network of `--chain`, which is then known to this process; else regtest. */
  readonly network: NetworkName;
  /** `--chain`. */
  readonly chainFile: string | undefined;
}

/** The options as commander parsed them, with defaults from the environment. */
export function globalOptions(parsed: Record<string, unknown>): GlobalOptions {
  const text = (name: string) => (typeof parsed[name] === 'string' ? (parsed[name] as string) : undefined);
  return {
    json: parsed['json'] === true,
    quiet: parsed['quiet'] === true,
    verbose: parsed['verbose'] === true,
    yes: parsed['yes'] === true,
    // An empty variable is none: state must not land in whatever folder the command runs in.
    datadir: text('datadir') ?? (process.env['GRAPEVINE_DATADIR'] || join(homedir(), '.grapevine')),
    node: text('node'),
    network: readNetwork(text('network'), text('chain')),
    chainFile: text('chain'),
  };
}

/** The network that is meant, by its name. Throws a usage error where there is no such one, or the file is wrong. */
function readNetwork(name: string | undefined, chainFile: string | undefined): NetworkName {
  if (chainFile !== undefined) {
    if (name !== undefined) throw usageError('--network and --chain exclude each other', 'a chain file says its name');
    const params = readChainFile(chainFile);
    defineNetwork(params);
    return params.name;
  }
  if (name === undefined) return DEFAULT_NETWORK;
  if (networkByName(name) !== undefined) return name;
  const hint = `known networks: ${networkNames.join(', ')}; others are files: --chain FILE`;
  throw usageError(`there is no network "${name}"`, hint);
}

/** The network of a chain file. Throws a usage error that names all that is wrong with it. */
export function readChainFile(file: string): ChainParams {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usageError(`the chain file ${file} cannot be read: ${code}`, 'grapevine chain new FILE writes one');
  }
  const chain = decodeChainFile(text);
  if (chain.ok) return chain.value;
  const hint = chain.error.length === 1 ? 'see grapevine chain new --help' : `${chain.error.length} problems`;
  throw usageError(`the chain file ${file}: ${chain.error.join('; ')}`, hint);
}

/** A result: its JSON (one document, one line) or its text. */
export function printResult(options: GlobalOptions, value: unknown, text: string | (() => string)): void {
  const line = options.json ? toJson(value) : typeof text === 'string' ? text : text();
  if (line !== '') process.stdout.write(`${line}\n`);
}

/** Something worth knowing that is not the result: stderr, and nothing with `--quiet` or `--json`. */
export function note(options: GlobalOptions, text: string): void {
  if (!options.quiet && !options.json) process.stderr.write(`${text}\n`);
}

/** JSON with bigints (satoshis) as integers. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? Number(item) : item));
}

/** Prints an error in the asked form and returns the exit code. An error that is not ours is a bug: its stack helps with `-v`. */
export function reportError(error: unknown, options: Pick<GlobalOptions, 'json' | 'verbose'>): ExitCode {
  if (error instanceof CliError) {
    if (options.json) {
      process.stderr.write(
        `${toJson({ error: { code: error.code, message: error.message, hint: error.hint ?? null } })}\n`,
      );
    } else {
      process.stderr.write(`error: ${error.message}\n${error.hint === undefined ? '' : `hint: ${error.hint}\n`}`);
    }
    return error.exit;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (options.json) process.stderr.write(`${toJson({ error: { code: 'internal', message, hint: null } })}\n`);
  else process.stderr.write(`error: ${message}\n`);
  if (options.verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return Exit.failed;
}
