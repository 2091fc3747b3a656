/** The command line of what a wallet shows beyond its balance: `history`, `utxos`, `label`, `rescan`. */
import { Command } from 'commander';
import { globalOptions } from '../node/commands/cli.ts';
import { ACCOUNT } from './option-texts.ts';

export function viewCommands(): readonly Command[] {
  return [historyCommand(), coinsCommand(), labelCommand(), rescanCommand()];
}

function historyCommand(): Command {
  return new Command('history')
    .description('payments of an account, the newest last')
    .option('--account <name>', ACCOUNT)
    .option('--limit <n>', 'the last N only')
    .addHelpText(
      'after',
      '\nExamples:\n  $ grapevine wallet history --account bob\n  $ grapevine wallet history --limit 10 --json\n',
    )
    .action(async (_: unknown, command: Command) => {
      const { showHistory } = await import('./show-history.ts');
      const parsed = command.optsWithGlobals();
      await showHistory(globalOptions(parsed), { account: parsed['account'], limit: parsed['limit'] });
    });
}

function coinsCommand(): Command {
  return new Command('utxos')
    .description('the coins of an account, the oldest first')
    .option('--account <name>', ACCOUNT)
    .addHelpText('after', '\nExamples:\n  $ grapevine wallet utxos --account bob\n  $ grapevine wallet utxos --json\n')
    .action(async (_: unknown, command: Command) => {
      const { showCoins } = await import('./show-history.ts');
      const parsed = command.optsWithGlobals();
      await showCoins(globalOptions(parsed), parsed['account']);
    });
}

function labelCommand(): Command {
  return new Command('label')
    .description('name an address or a transaction; without a text, show its label')
    .argument('<address|txid>', 'what is named')
    .argument('[text]', 'the label; "" takes it away')
    .option('--account <name>', ACCOUNT)
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine wallet label bcrt1p… 'rent, from Bob' --account savings
  $ grapevine wallet label bcrt1p… --account savings
`,
    )
    .action(async (ref: string, text: string | undefined, _: unknown, command: Command) => {
      const { labelSomething } = await import('./label.ts');
      const parsed = command.optsWithGlobals();
      await labelSomething(globalOptions(parsed), ref, text, parsed['account']);
    });
}

function rescanCommand(): Command {
  return new Command('rescan')
    .description('look for used addresses far behind the last known one, and remember them')
    .option('--account <name>', ACCOUNT)
    .option('--range <n>', 'look at the first N addresses of each chain at least (1000)')
    .option('--gap-limit <n>', 'from now on look at N unused addresses behind the last used one')
    .addHelpText(
      'after',
      '\nExamples:\n  $ grapevine wallet rescan --account savings\n  $ grapevine wallet rescan --range 20000 --gap-limit 100\n',
    )
    .action(async (_: unknown, command: Command) => {
      const { rescanWallet } = await import('./rescan.ts');
      const parsed = command.optsWithGlobals();
      const { account, range, gapLimit } = parsed;
      await rescanWallet(globalOptions(parsed), { account, range, gapLimit });
    });
}
