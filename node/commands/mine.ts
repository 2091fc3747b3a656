/**
 * `grapevine mine`: blocks on a running node. Where a block costs nothing (regtest) and nothing else is asked for, the node
 * makes them itself; else this process is a miner: see miner.ts. Owns the reading of the options.
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import type { Connection } from '../../wallet/connect.ts';
import { parseDuration } from '../../wallet/duration.ts';
import type { Recipient } from '../../wallet/receiving.ts';
import type { Millis } from '../boundary.ts';
import type { PacePlan } from '../mining/pace.ts';
import { SeededRandom } from '../random.ts';
import { CliError, Exit, type GlobalOptions, globalOptions, note, printResult, usageError } from './cli.ts';

/** Blocks asked for in one call: an interrupt is noticed between calls, and none takes long enough to time out. */
const BLOCKS_PER_CALL = 50;
const MAX_BLOCKS = 1_000_000;
const MAX_THREADS = 256;
const DAY_MS = 86_400_000;

const EXAMPLES = `
Examples:
  $ grapevine mine                            one block, paid to the first account
  $ grapevine mine 10 --to alice
  $ grapevine mine --node n2 --json
  $ grapevine mine --every 10s                a block every ten seconds, until ctrl-C
  $ grapevine mine --on-tx --to alice         a block whenever there is a payment
  $ grapevine mine --forever --network vinenet --to gv1p… --threads 2 --share 30%

With any option but --to, and on networks with real difficulty, this process is the miner, with getblocktemplate and
submitblock: it works with any node. On a terminal it shows what it does; --json prints a line per block and a summary.`;

interface MineOptions {
  readonly to?: string;
  readonly threads?: string;
  readonly share?: string;
  readonly every?: string;
  readonly poisson?: string;
  readonly seed?: string;
  readonly onTx?: boolean;
  readonly forever?: boolean;
}

export function mineCommand(): Command {
  return new Command('mine')
    .description('Mine blocks on a running node.')
    .argument('[count]', 'how many blocks (default: 1; with --every, --poisson or --on-tx without end)')
    .option('--to <address>', 'an address, or the name of an account (default: the first account)')
    .option('--threads <number>', 'threads that search (default: one for each processor)')
    .option('--share <percent>', 'how much of a processor each thread may use, for example 30%')
    .option('--every <duration>', 'a block at this pace: as soon as it is found, but not before its time')
    .option('--poisson <duration>', 'the same with random waiting times of this mean, as blocks really have')
    .option('--seed <text>', 'with --poisson: the same waiting times for the same text')
    .option('--on-tx', 'a block whenever there is something to confirm')
    .option('--forever', 'without end')
    .addHelpText('after', EXAMPLES)
    .action(async (countText: string | undefined, parsed: MineOptions, self: Command) => {
      const options = globalOptions(self.optsWithGlobals());
      const { to, ...own } = parsed;
      const { count, pace, threads, share } = readOrder(countText, own);
      const { connect } = await import('../../wallet/connect.ts');
      const { defaultRecipient, findRecipient, resolveRecipient } = await import('../../wallet/receiving.ts');
      // Without --network and --chain it is the network of whatever node there is.
      const connection = await connect(options, options.network === 'regtest' ? undefined : options.network);
      try {
        const { params } = connection;
        const named = to === undefined ? defaultRecipient(options, params) : findRecipient(options, to, params);
        const recipient = await resolveRecipient(named, connection);
        if (params.retargeting === undefined && Object.keys(own).length === 0) {
          await generate(options, connection, recipient, count);
          return;
        }
        connection.client.close();
        const { label, devnet } = connection;
        const { address, script, name } = recipient;
        const { runMiner } = await import('./miner.ts');
        await runMiner(options, {
          count,
          pace,
          threads,
          share,
          params,
          node: devnet === undefined ? label : `${devnet.name}/${label}`,
          script,
          address,
          payee: name ?? address,
        });
      } finally {
        connection.client.close();
      }
    });
}

/** The node mines. */
async function generate(
  options: GlobalOptions,
  { client, label }: Connection,
  { address, name }: Recipient,
  count: number,
): Promise<void> {
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
}

export interface ReadOrder {
  readonly count: number;
  readonly pace: PacePlan;
  readonly threads: number;
  readonly share: number;
}

/** What the options ask for. Throws usage errors. */
export function readOrder(countText: string | undefined, given: Omit<MineOptions, 'to'>): ReadOrder {
  const pace = readPace(given);
  const isEndless = given.forever === true || (countText === undefined && pace.kind !== 'at-once');
  if (given.forever === true && countText !== undefined) {
    throw usageError('a number of blocks and --forever exclude each other', 'leave one of them out');
  }
  return {
    count: isEndless ? Number.POSITIVE_INFINITY : readCount(countText ?? '1'),
    pace,
    threads: readThreads(given.threads),
    share: readShare(given.share),
  };
}

function readCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_BLOCKS) return count;
  throw usageError(`"${text}" is no number of blocks`, `give a number from 1 to ${MAX_BLOCKS}`);
}

function readThreads(text: string | undefined): number {
  if (text === undefined) return Math.min(MAX_THREADS, availableParallelism());
  const threads = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (threads >= 1 && threads <= MAX_THREADS) return threads;
  throw usageError(`"${text}" is no number of threads`, `give a number from 1 to ${MAX_THREADS}`);
}

function readShare(text: string | undefined): number {
  if (text === undefined) return 1;
  const match = /^(\d{1,3}(?:\.\d{1,2})?)%$/.exec(text);
  const percent = Number(match?.[1] ?? 0);
  if (percent > 0 && percent <= 100) return percent / 100;
  throw usageError(`"${text}" is no share of a processor`, 'write a percentage up to 100: --share 30%');
}

function readPace({ every, poisson, seed, onTx }: Omit<MineOptions, 'to'>): PacePlan {
  if ([every !== undefined, poisson !== undefined, onTx === true].filter(Boolean).length > 1) {
    throw usageError('--every, --poisson and --on-tx exclude each other', 'choose one');
  }
  if (seed !== undefined && poisson === undefined) {
    throw usageError('--seed is for the waiting times of --poisson', 'add --poisson 10s, or leave --seed out');
  }
  if (onTx === true) return { kind: 'on-tx' };
  if (every !== undefined) return { kind: 'every', intervalMs: readInterval('--every', every) };
  if (poisson === undefined) return { kind: 'at-once' };
  const random = new SeededRandom(seed ?? randomBytes(32));
  return { kind: 'poisson', meanMs: readInterval('--poisson', poisson), random };
}

function readInterval(option: string, text: string): Millis {
  const duration = parseDuration(text);
  if (!duration.ok) throw usageError(`${option}: ${duration.error}`);
  if (duration.value > 0 && duration.value <= DAY_MS) return duration.value;
  throw usageError(`${option}: "${text}" is no time between blocks`, 'from 1ms to 24h');
}
