/** `grapevine devnet link`: slow links, and what is printed of them. */
import type { Command } from 'commander';
import { type GlobalOptions, printResult, usageError } from '../node/commands/cli.ts';
import { formatTable } from '../node/commands/table.ts';
import { describeShape, type LinkTexts, readLinkOrder, type SlowLink } from './links.ts';
import { call, type NameOption, named, nameFlag, optionsOf } from './reach.ts';

const LINK_EXAMPLES = `
Examples:
  $ grapevine devnet link n0 n1 --delay 200ms --jitter 50ms     each way takes 200 to 250 ms
  $ grapevine devnet link n0 n1 --bandwidth 64kbps              bits per second, each way
  $ grapevine devnet link n0 n1 --reset                         as fast as it can be
  $ grapevine devnet link                                       which links are slow

A setting replaces the one before, stays when nodes are restarted or linked anew, and ends with the devnet.`;

interface LinkParsed extends NameOption, LinkTexts {}

export function addLinkCommand(devnet: Command): void {
  named(devnet.command('link'), 'make the link between two nodes slow, or list the slow ones')
    .argument('[node]', 'its name, for example n0')
    .argument('[other]', 'the node at the other end')
    .option('--delay <time>', 'what a message takes, one way: 200ms, 1.5s')
    .option('--jitter <time>', 'up to this much more, by chance; the order of messages is kept')
    .option('--bandwidth <rate>', 'bits per second, each way: 64kbps, 1.5mbps')
    .option('--reset', 'make it fast again')
    .addHelpText('after', LINK_EXAMPLES)
    .action((a: string | undefined, b: string | undefined, parsed: LinkParsed, self: Command) =>
      link(a, b, parsed, optionsOf(self)),
    );
}

async function link(
  a: string | undefined,
  b: string | undefined,
  parsed: LinkParsed,
  global: GlobalOptions,
): Promise<void> {
  if (a === undefined) {
    const { delay, jitter, bandwidth, reset } = parsed;
    if ([delay, jitter, bandwidth, reset].some((option) => option !== undefined)) {
      throw usageError('which link is meant is not said', 'for example: grapevine devnet link n0 n1 --delay 200ms');
    }
    const result = await call(parsed, global, 'links', {});
    printResult(global, result, () => describeLinks(result.links));
    return;
  }
  if (b === undefined) throw usageError(`a link has two ends: ${a} and which other node?`);
  const order = readLinkOrder(parsed);
  const result = await call(parsed, global, 'link', { a, b, order });
  printResult(global, result, () => {
    const what = order === null ? 'as fast as it can be' : `${describeShape(order)}, each way`;
    const unlinked = result.linked ? '' : '\nThey are not linked now; it will hold when they are.';
    const undo =
      order === null ? '' : `; undo it: grapevine devnet link ${a} ${b} --reset${nameFlag(parsed.name ?? 'default')}`;
    return `${a} - ${b}: ${what}${undo}${unlinked}`;
  });
}

function describeLinks(links: readonly SlowLink[]): string {
  if (links.length === 0) return 'No link is slow.';
  return formatTable(
    ['NODE', 'OTHER', 'EACH WAY'],
    links.map((slow) => [slow.a, slow.b, describeShape(slow)]),
  );
}
