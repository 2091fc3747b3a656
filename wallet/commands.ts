/** The command line of `grapevine wallet`. Each command loads what it needs when it runs, so that the others start fast. */
import { Command } from 'commander';
import { globalOptions } from '../node/commands/cli.ts';
import { keyCommands } from './key-commands.ts';
import { ACCOUNT, PASSWORD_FILE } from './option-texts.ts';
import { broadcastCommand, bumpCommand, sendCommand, signCommand } from './payment-commands.ts';
import { viewCommands } from './view-commands.ts';

export function walletCommand(): Command {
  const wallet = new Command('wallet').description('keys, addresses, balances and payments').addHelpText(
    'after',
    `
Examples:
  $ grapevine wallet list
  $ grapevine wallet send bob 0.5btc --account alice --wait 1
  $ grapevine wallet new savings
`,
  );
  wallet.addCommand(newCommand());
  wallet.addCommand(listCommand());
  wallet.addCommand(addressCommand());
  wallet.addCommand(balanceCommand());
  wallet.addCommand(sendCommand());
  wallet.addCommand(bumpCommand());
  wallet.addCommand(signCommand());
  wallet.addCommand(broadcastCommand());
  for (const command of [...keyCommands(), ...viewCommands()]) wallet.addCommand(command);
  return wallet;
}

function newCommand(): Command {
  return new Command('new')
    .description('make an encrypted wallet and show its words, once')
    .argument('[name]', 'name of the wallet', 'default')
    .option('--words <12|24>', 'how many words', '12')
    .option('--gap-limit <n>', 'how many unused addresses are looked at behind the last used one (20)')
    .option('--password-file <file>', PASSWORD_FILE)
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine wallet new
  $ grapevine wallet new savings --words 24
  $ GRAPEVINE_PASSWORD=… grapevine wallet new ci --json
`,
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const { newWallet } = await import('./create.ts');
      const parsed = command.optsWithGlobals();
      const { words, gapLimit, passwordFile } = parsed;
      await newWallet(globalOptions(parsed), name, { words, gapLimit, passwordFile });
    });
}

function listCommand(): Command {
  return new Command('list')
    .description('all accounts with their addresses, and their balances where a node runs')
    .addHelpText('after', '\nExamples:\n  $ grapevine wallet list\n  $ grapevine wallet list --json\n')
    .action(async (_: unknown, command: Command) => {
      const { listWallets } = await import('./show.ts');
      await listWallets(globalOptions(command.optsWithGlobals()));
    });
}

function addressCommand(): Command {
  return new Command('address')
    .description('the next receiving address that nobody has paid to yet')
    .option('--account <name>', ACCOUNT)
    .option('--new', 'leave that one behind and show the one after it')
    .addHelpText(
      'after',
      '\nExamples:\n  $ grapevine wallet address --account alice\n  $ grapevine wallet address --new\n',
    )
    .action(async (_: unknown, command: Command) => {
      const { showAddress } = await import('./show.ts');
      const parsed = command.optsWithGlobals();
      await showAddress(globalOptions(parsed), { account: parsed['account'], isNew: parsed['new'] === true });
    });
}

function balanceCommand(): Command {
  return new Command('balance')
    .description('what an account holds: confirmed, unconfirmed and immature')
    .option('--account <name>', ACCOUNT)
    .addHelpText(
      'after',
      '\nExamples:\n  $ grapevine wallet balance --account bob\n  $ grapevine wallet balance --account bob --node n2 --json\n',
    )
    .action(async (_: unknown, command: Command) => {
      const { showBalance } = await import('./show.ts');
      const parsed = command.optsWithGlobals();
      await showBalance(globalOptions(parsed), parsed['account']);
    });
}
