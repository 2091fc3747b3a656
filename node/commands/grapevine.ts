#!/usr/bin/env node
/**
 * The binary: finds the command in the arguments, loads that one only (a node must answer half a second after its start),
 * and turns whatever it throws into a message and an exit code.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { networkNames } from '../../consensus/params.ts';
import { Exit, type ExitCode, reportError, usageError } from './cli.ts';

interface Group {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

/** In the order of the help text. */
const groups: readonly Group[] = [
  {
    name: 'devnet',
    summary: 'a whole network of nodes on this machine',
    load: async () => (await import('../../devnet/commands.ts')).devnetCommand(),
  },
  {
    name: 'wallet',
    summary: 'accounts, balances and payments',
    load: async () => (await import('../../wallet/commands.ts')).walletCommand(),
  },
  {
    name: 'mine',
    summary: 'mine blocks on a running node',
    load: async () => (await import('./mine.ts')).mineCommand(),
  },
  {
    name: 'chain',
    summary: 'private networks with real difficulty',
    load: async () => (await import('./chain.ts')).chainCommand(),
  },
  {
    name: 'node',
    summary: 'run one node, or ask a running one',
    load: async () => (await import('./node.ts')).nodeCommand(),
  },
  {
    name: 'explain',
    summary: 'what the bytes of a transaction, header, block or message mean',
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  {
    name: 'completion',
    summary: 'a script by which your shell completes all this',
    load: async () => (await import('./completion.ts')).completionCommand(() => makeProgram(() => true)),
  },
];

const EXAMPLES = `
Examples:
  $ grapevine devnet up                          four nodes, ten funded accounts, a block every 5 s
  $ grapevine wallet send bob 0.5btc             pay from the first account
  $ grapevine mine 1                             mine a block now
  $ grapevine node --connect ws://HOST:18444     run a node of your own

Exit codes:
  0 done   1 failed   2 usage   3 node unreachable   4 refused by the node
  5 confirmation needed   6 timed out   7 insufficient funds`;

/** Options of the program that take a value: the next argument is not the command. */
const OPTIONS_WITH_VALUE = ['--datadir', '--node', '--network', '--chain'];

async function main(args: readonly string[]): Promise<ExitCode> {
  try {
    const wanted = commandNames(args);
    const program = await makeProgram((name) => wanted.includes(name));
    await program.parseAsync(args, { from: 'user' });
    return exitCodeOf(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return Exit.done; // Help or the version was printed.
    const json = args.includes('--json');
    if (error instanceof CommanderError && error.code === 'commander.help' && !json) return Exit.usage;
    const verbose = args.includes('-v') || args.includes('--verbose');
    return reportError(error instanceof CommanderError ? readable(error) : error, { json, verbose });
  }
}

/** Commands may end well with another code than 0 (a node that was stopped by an error): they set `process.exitCode`. */
function exitCodeOf(code: typeof process.exitCode): ExitCode {
  return Object.values(Exit).find((known) => known === code) ?? Exit.done;
}

/** The tree of commands; of groups that are not wanted only the names. */
async function makeProgram(isWanted: (group: string) => boolean): Promise<Command> {
  const program = new Command('grapevine')
    .description('A proof-of-work gossip ledger: nodes, a wallet, and a whole network on your machine.')
    .version(version(), '-V, --version', 'print the version')
    .option('--json', 'results and errors as JSON')
    .option('-q, --quiet', 'no progress and no notes')
    .option('-v, --verbose', 'more of both')
    .option('--yes', 'answer yes to every question')
    .option('--datadir <dir>', 'where state is kept (default: $GRAPEVINE_DATADIR or ~/.grapevine)')
    .option('--node <node>', 'the node to talk to: a name of the devnet, HOST:PORT or URL')
    .option('--network <name>', `the network: ${networkNames.join(', ')} (default: regtest)`)
    .option('--chain <file>', 'the network of a chain file: see "grapevine chain"')
    .addHelpText('after', EXAMPLES);
  for (const group of groups) {
    const command = isWanted(group.name) ? await group.load() : new Command(group.name);
    program.addCommand(command.summary(group.summary));
  }
  inherit(program);
  return program;
}

/** The words of the arguments that may name a command: the first, or the second after `help`. */
function commandNames(args: readonly string[]): readonly string[] {
  const words = args.filter((arg, i) => !arg.startsWith('-') && !OPTIONS_WITH_VALUE.includes(args[i - 1] ?? ''));
  return words[0] === 'help' ? words.slice(1, 2) : words.slice(0, 1);
}

/** Errors are thrown and printed here, and the help of every command names the program's options. */
function inherit(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true });
  for (const child of command.commands) inherit(child);
}

/** Commander's message without its prefix; its proposal is the hint. */
function readable(error: CommanderError): Error {
  if (error.code === 'commander.help') return usageError('a command is missing', 'see --help');
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const proposal = rest
    .join(' ')
    .trim()
    .replace(/^\((.*)\)$/, '$1');
  return usageError(first, proposal === '' ? 'see --help' : proposal);
}

function version(): string {
  // As far from the source as from the bundled program.
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

// Whoever reads our output may stop early (`| head`): that is no error. Nobody reads the log any more: neither.
process.stderr.on('error', () => undefined);
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(Exit.done);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
