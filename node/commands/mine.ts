/** `grapevine mine`: blocks on a running node, now. The node builds and mines them; this asks and prints their hashes. */
import { Command } from 'commander';
import { CliError, Exit, globalOptions, note, printResult, usageError } from './cli.ts';

/** Blocks asked for in one call: an interrupt is noticed between calls, and none takes long enough to time out. */
const BLOCKS_PER_CALL = 50;
const MAX_BLOCKS = 1_000_000;

const EXAMPLES = `
Examples:
  $ grapevine mine                       one block, paid to the first account
  $ grapevine mine 10 --to alice
  $ grapevine mine --node n2 --json`;

export function mineCommand(): Command {
  return new Command('mine')
    .description('Mine blocks on a running node.')
    .argument('[count]', 'how many blocks', '1')
    .option('--to <address>', 'an address, or the name of an account (default: the first account)')
    .addHelpText('after', EXAMPLES)
    .action(async (countText: string, { to }: { readonly to?: string }, self: Command) => {
      const options = globalOptions(self.optsWithGlobals());
      const count = readCount(countText);
      const { connect } = await import('../../wallet/connect.ts');
      const { defaultRecipient, findRecipient, resolveRecipient } = await import('../../wallet/receiving.ts');
      const connection = await connect(options);
      try {
        const { client, label, params } = connection;
        const named = to === undefined ? defaultRecipient(options, params) : findRecipient(options, to, params);
        const { address, name } = await resolveRecipient(named, connection);
        note(options, `mining ${count} block${count === 1 ? '' : 's'} at ${label} to ${name ?? address}`);
        const hashes: string[] = [];
        while (hashes.length < count) {
          const some = Math.min(BLOCKS_PER_CALL, count - hashes.length);
          const mined = (await client.call('generatetoaddress', [some, address])) as readonly string[];
          hashes.push(...mined);
          if (!options.json) process.stdout.write(mined.map((hash) => `${hash}\n`).join(''));
          if (mined.length < some) {
            throw new CliError(
              Exit.failed,
              'mining-gave-up',
              `only ${hashes.length} of ${count} blocks were found`,
              'the difficulty is too high for so few tries: try again',
            );
          }
        }
        printResult(options, { node: label, address, blocks: hashes }, '');
      } finally {
        connection.client.close();
      }
    });
}

function readCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_BLOCKS) return count;
  throw usageError(`"${text}" is no number of blocks`, `give a number from 1 to ${MAX_BLOCKS}`);
}
