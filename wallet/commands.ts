/** The command line of `grapevine wallet`. Each command loads what it needs when it runs, so that the others start fast. */
import { Command } from 'commander';
import { globalOptions, usageError } from '../node/commands/cli.ts';

const ACCOUNT = 'a devnet account or a wallet (DEVNET/NAME and wallets/NAME say which)';
const PASSWORD_FILE = 'read the password from the first line of FILE (else GRAPEVINE_PASSWORD, else it is asked for)';

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
  return wallet;
}

function newCommand(): Command {
  return new Command('new')
    .description('make an encrypted wallet and show its words, once')
    .argument('[name]', 'name of the wallet', 'default')
    .option('--words <12|24>', 'how many words', '12')
    .option('--network <name>', 'the network of its addresses', 'regtest')
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
      const texts = { words: parsed['words'], network: parsed['network'], passwordFile: parsed['passwordFile'] };
      await newWallet(globalOptions(parsed), name, texts);
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

function sendCommand(): Command {
  return (
    new Command('send')
      .description('pay to an address or to an account')
      .argument('<to>', 'an address, or the name of an account')
      .argument('<amount>', 'with its unit: 0.5btc or 50000sat')
      .option('--account <name>', `who pays: ${ACCOUNT}`)
      .option('--fee-rate <rate>', 'satoshis per virtual byte')
      .option('--wait <n>', 'come back when the payment has N confirmations')
      .option('--wait-timeout <time>', 'give up waiting after this time (10m; exit code 6)')
      .option('--dry-run', 'show what would be sent and send nothing')
      .option('--password-file <file>', PASSWORD_FILE)
      // "-5btc" is a wrong amount and no option, "1 btc" an amount in two words: all is let through, and judged below.
      .allowUnknownOption()
      .allowExcessArguments()
      .addHelpText(
        'after',
        `
Examples:
  $ grapevine wallet send bob 0.5btc --account alice
  $ grapevine wallet send bcrt1p… 50000sat --fee-rate 3 --wait 1
  $ grapevine wallet send bob 0.1btc --dry-run
`,
      )
      .action(async (to: string, amount: string, _: unknown, command: Command) => {
        checkSendWords(command.args);
        const { send } = await import('./send.ts');
        const parsed = command.optsWithGlobals();
        await send(globalOptions(parsed), to, amount, {
          account: parsed['account'],
          feeRate: parsed['feeRate'],
          wait: parsed['wait'],
          waitTimeout: parsed['waitTimeout'],
          dryRun: parsed['dryRun'] === true,
          passwordFile: parsed['passwordFile'],
        });
      })
  );
}

function checkSendWords(words: readonly string[]): void {
  const option = words.find((word) => word.startsWith('-') && !/^-[\d.]/.test(word));
  if (option !== undefined) throw usageError(`unknown option "${option}"`, 'see grapevine wallet send --help');
  if (words.length <= 2) return;
  const isSplit = words.length === 3 && /^\d/.test(words[1] ?? '') && /^[a-z]+$/i.test(words[2] ?? '');
  throw usageError(
    `too many words: ${words.join(' ')}`,
    isSplit ? `write the amount as one word: ${words[1]}${words[2]}` : 'give a recipient and an amount: bob 0.5btc',
  );
}
