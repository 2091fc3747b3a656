/** Runs `grapevine wallet …` inside the test process, as the binary would, and catches what it prints. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { Exit, reportError, usageError } from '../../node/commands/cli.ts';
import { walletCommand } from '../../wallet/commands.ts';

export interface Run {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the run that writes has written so far: several may go on at once. */
const printed = new AsyncLocalStorage<{ stdout: string; stderr: string }>();

for (const name of ['stdout', 'stderr'] as const) {
  const stream = process[name];
  const write = stream.write.bind(stream);
  stream.write = ((...args: Parameters<typeof stream.write>) => {
    const run = printed.getStore();
    if (run === undefined) return write(...args);
    run[name] += String(args[0]);
    return true;
  }) as typeof stream.write;
}
// Whoever runs the tests may sit at a terminal; the commands must not notice.
process.stdin.isTTY = false;

export function runWallet(datadir: string, ...args: string[]): Promise<Run> {
  return catchOutput(() => exitCodeOf(['wallet', '--datadir', datadir, ...args]));
}

/** What an action prints, and the exit code that it comes to. */
export function catchOutput(action: () => Promise<number>): Promise<Run> {
  const output = { stdout: '', stderr: '' };
  return printed.run(output, async () => {
    const exit = await action();
    return { exit, ...output };
  });
}

async function exitCodeOf(args: readonly string[]): Promise<number> {
  const program = new Command('grapevine')
    .option('--json')
    .option('-q, --quiet')
    .option('-v, --verbose')
    .option('--yes')
    .option('--datadir <dir>')
    .option('--node <node>')
    .option('--network <name>')
    .option('--chain <file>');
  program.addCommand(walletCommand());
  inherit(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return Exit.done;
  } catch (error) {
    const readable = error instanceof CommanderError ? usageError(error.message) : error;
    return reportError(readable, { json: args.includes('--json'), verbose: true });
  }
}

function inherit(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const child of command.commands) inherit(child);
}

/** Puts the node's cookie where a data directory keeps it. */
export function writeCookie(datadir: string, cookie: string): void {
  mkdirSync(join(datadir, 'regtest'), { recursive: true });
  writeFileSync(join(datadir, 'regtest', '.cookie'), cookie);
}
