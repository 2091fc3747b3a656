/** The command line of what concerns the keys of a wallet: `import`, `export`, `backup`, `restore`, `unlock`, `lock`. */
import { Command } from 'commander';
import { globalOptions, usageError } from '../node/commands/cli.ts';
import { ACCOUNT, PASSWORD_FILE } from './option-texts.ts';

export function keyCommands(): readonly Command[] {
  return [importCommand(), exportCommand(), backupCommand(), restoreCommand(), unlockCommand(), lockCommand()];
}

function importCommand(): Command {
  return new Command('import')
    .description('make a wallet of words that exist, or one that only watches of a public descriptor')
    .argument('[name]', 'name of the wallet (default: "default")')
    .argument('[descriptor]', 'tr(…)#checksum, for a wallet that only watches')
    .option('--mnemonic-file <file>', 'read the words from FILE (- is stdin; else GRAPEVINE_MNEMONIC, else asked for)')
    .option('--passphrase', 'ask for the BIP 39 passphrase that belongs to the words')
    .option('--passphrase-file <file>', 'read that passphrase from the first line of FILE')
    .option('--descriptor-file <file>', 'read the descriptor from FILE (- is stdin), as "wallet export" prints it')
    .option('--gap-limit <n>', 'how many unused addresses are looked at behind the last used one (20)')
    .option('--password-file <file>', PASSWORD_FILE)
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine wallet import savings
  $ grapevine wallet import savings --mnemonic-file words.txt --passphrase
  $ grapevine wallet import till 'tr([73c5da0a/86h/1h/0h]tpub…/<0;1>/*)#…'
  $ grapevine wallet export --descriptor | grapevine wallet import till --descriptor-file -
`,
    )
    .action(async (first: string | undefined, second: string | undefined, _: unknown, command: Command) => {
      const { importWallet } = await import('./import.ts');
      const parsed = command.optsWithGlobals();
      const [name, descriptor] = nameAndDescriptor(first, second);
      await importWallet(globalOptions(parsed), name, {
        mnemonicFile: parsed['mnemonicFile'],
        passphrase: parsed['passphrase'] === true,
        passphraseFile: parsed['passphraseFile'],
        descriptor,
        descriptorFile: parsed['descriptorFile'],
        gapLimit: parsed['gapLimit'],
        passwordFile: parsed['passwordFile'],
      });
    });
}

/** The name may be left out. Words on the command line are the worst mistake that can be made here. */
function nameAndDescriptor(
  first: string | undefined,
  second: string | undefined,
): readonly [name: string | undefined, descriptor: string | undefined] {
  const isDescriptor = (text: string | undefined) => text?.includes('(') ?? false;
  // Words in quotation marks are one argument, which an error about names would show once more.
  const isPhrase = second === undefined && first !== undefined && !isDescriptor(first) && /\S\s+\S/.test(first);
  if (second === undefined && !isPhrase) return isDescriptor(first) ? [undefined, first] : [first, undefined];
  if (isDescriptor(second) && !isDescriptor(first)) return [first, second];
  throw usageError(
    'give a name and a descriptor',
    'words never stand on the command line, where others can read them: they are asked for, or read from --mnemonic-file',
  );
}

function exportCommand(): Command {
  return new Command('export')
    .description('print what shows all addresses and spends nothing, for other wallets')
    .option('--descriptor', 'the descriptors of the receiving and the change chain, with origin and checksum')
    .option('--account <name>', ACCOUNT)
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine wallet export --descriptor --account savings
  $ bitcoin-cli -regtest deriveaddresses "$(grapevine wallet export --descriptor --json | jq -r '.descriptors[0].desc')" '[0,4]'
`,
    )
    .action(async (_: unknown, command: Command) => {
      const { exportDescriptor } = await import('./transfer.ts');
      const parsed = command.optsWithGlobals();
      exportDescriptor(globalOptions(parsed), {
        account: parsed['account'],
        descriptor: parsed['descriptor'] === true,
      });
    });
}

function backupCommand(): Command {
  return new Command('backup')
    .description('copy the encrypted wallet file')
    .argument('<file>', 'where to')
    .option('--account <name>', ACCOUNT)
    .addHelpText('after', '\nExamples:\n  $ grapevine wallet backup /media/stick/savings.json --account savings\n')
    .action(async (file: string, _: unknown, command: Command) => {
      const { backUpWallet } = await import('./transfer.ts');
      const parsed = command.optsWithGlobals();
      await backUpWallet(globalOptions(parsed), file, parsed['account']);
    });
}

function restoreCommand(): Command {
  return new Command('restore')
    .description('make a wallet of a file that "wallet backup" wrote; it keeps its password')
    .argument('<file>', 'the backup')
    .argument('[name]', 'name of the wallet (default: that of the file)')
    .addHelpText('after', '\nExamples:\n  $ grapevine wallet restore /media/stick/savings.json\n')
    .action(async (file: string, name: string | undefined, _: unknown, command: Command) => {
      const { restoreWallet } = await import('./transfer.ts');
      restoreWallet(globalOptions(command.optsWithGlobals()), file, name);
    });
}

function unlockCommand(): Command {
  return new Command('unlock')
    .description('ask for the password once, and then not for a while')
    .argument('[name]', 'the wallet')
    .option('--account <name>', 'the wallet')
    .option('--for <time>', 'how long: 90s, 10m, 2h', '10m')
    .option('--password-file <file>', PASSWORD_FILE)
    .addHelpText(
      'after',
      `
Until then a process of its own keeps the key of the wallet file in its memory, and gives it to your commands only.

Examples:
  $ grapevine wallet unlock savings --for 1h
  $ grapevine wallet lock
`,
    )
    .action(async (name: string | undefined, _: unknown, command: Command) => {
      const { unlockWallet } = await import('./unlock.ts');
      const parsed = command.optsWithGlobals();
      const texts = { time: parsed['for'], passwordFile: parsed['passwordFile'] };
      await unlockWallet(globalOptions(parsed), name ?? parsed['account'], texts);
    });
}

function lockCommand(): Command {
  return new Command('lock')
    .description('ask for the password again from now on')
    .argument('[name]', 'the wallet (default: all that are unlocked)')
    .option('--account <name>', 'the wallet')
    .addHelpText('after', '\nExamples:\n  $ grapevine wallet lock\n  $ grapevine wallet lock savings\n')
    .action(async (name: string | undefined, _: unknown, command: Command) => {
      const { lockWallet } = await import('./unlock.ts');
      const parsed = command.optsWithGlobals();
      await lockWallet(globalOptions(parsed), name ?? parsed['account']);
    });
}
