/** `grapevine node`: its options, read from text and checked. What runs a node is loaded only when one is to run. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { decodeAddress } from '../../consensus/address.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { type ChainParams, type NetworkName, networkByName } from '../../consensus/params.ts';
import type { DialTarget, Endpoint } from '../boundary.ts';
import { COIN_MEMORY, internetLimits, type Limits, localLimits } from '../limits.ts';
import { readDialTarget, readEndpoint, readListen } from './addresses.ts';
import { globalOptions, usageError } from './cli.ts';
import { addQueries } from './node-queries.ts';

/** What a node is started with. */
export interface NodeSettings {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly rpc: Endpoint;
  readonly listen: readonly Endpoint[];
  readonly connect: readonly DialTarget[];
  readonly pex: boolean;
  readonly userAgentComments: readonly string[];
  /** Where miners are answered that speak Stratum. */
  readonly stratum: Endpoint | undefined;
  /** The part of each core's time that mining may take. */
  readonly miningShare: number;
  /** Script that blocks are mined to all the time. */
  readonly mineTo: Bytes | undefined;
  /** Make the store again from the block files. */
  readonly reindex: boolean;
  /** No links until `setnetworkactive true`. */
  readonly offline: boolean;
  /** Seconds since 1970 at which the clock stands still. */
  readonly mockTime: number | undefined;
  /** Log what happens to each transaction and block. */
  readonly traceItems: boolean;
  /** End when the process that started this one has closed our standard input. */
  readonly exitWithParent: boolean;
}

const profiles = { local: localLimits, internet: internetLimits } as const;

const MEGABYTE = 1_000_000;
/** More than that and JavaScript's own heap is the limit. */
const CACHE_RANGE = { least: 4, most: 1024 } as const;
const DEFAULT_CACHE = Object.entries(profiles)
  .map(
    ([name, { coinCacheEntries }]) => `${Math.round((coinCacheEntries * COIN_MEMORY) / MEGABYTE)} with ${name} limits`,
  )
  .join(', ');

const EXAMPLES = `
Examples:
  $ grapevine node                                            a node on regtest, ports 18443 (RPC) and 18444 (peers)
  $ grapevine node --datadir /tmp/n2 --rpc :0 --listen ws://127.0.0.1:0 --connect ws://127.0.0.1:18444
                                                              a second one beside it, on free ports
  $ grapevine node --mine bcrt1p…                             mine all the time
  $ grapevine node status                                     ask the running node
  $ grapevine node rpc getblock HASH 2                        any method of the JSON-RPC interface`;

interface Parsed {
  readonly rpc?: string;
  readonly listen?: readonly string[];
  readonly connect?: readonly string[];
  readonly pex: boolean;
  readonly mine?: string;
  readonly mineShare?: string;
  readonly stratum?: string;
  readonly profile?: keyof typeof profiles;
  readonly userAgentComment?: readonly string[];
  readonly dbcache?: string;
  readonly reindex?: boolean;
  readonly traceItems?: boolean;
  readonly offline?: boolean;
  readonly mockTime?: string;
  readonly exitWithParent?: boolean;
}

export function nodeCommand(): Command {
  const command = new Command('node')
    .description('Run a full node: it finds peers, checks and relays blocks and transactions, and answers JSON-RPC.')
    .option('--rpc <host:port>', 'where JSON-RPC is answered; port 0 picks a free one (default: 127.0.0.1:18443)')
    .option('--listen <url>', 'where peers are answered; repeatable (default: ws://127.0.0.1:18444)', collect)
    .option('--connect <url>', 'a peer to stay connected with: ws://, wss:// or tcp://HOST:PORT; repeatable', collect)
    .option('--no-pex', 'neither exchange addresses with peers nor dial what they tell')
    .option('--mine <address>', 'mine all the time, to this address')
    .option('--mine-share <percent>', 'the part of its cores that the node may mine with, such as 30% (default: 100%)')
    .option(
      '--stratum <host:port>',
      'answer miners that speak Stratum; their names are the addresses that they mine for',
    )
    .addOption(
      new Option('--profile <name>', 'limits for this machine alone or for the internet (default: by network)').choices(
        Object.keys(profiles),
      ),
    )
    .option('--user-agent-comment <text>', 'appears in the user agent; repeatable', collectComment)
    .option('--dbcache <MB>', `memory for coins that are kept at hand (default: ${DEFAULT_CACHE})`)
    .option('--reindex', 'make the store again from the block files, after damage')
    .option('--offline', 'no links to peers until the call "setnetworkactive true"')
    .option('--mock-time <seconds>', 'let the clock stand still there, as the call "setmocktime" does; regtest only')
    .option('--trace-items', 'log who announced, requested and delivered each transaction and block, and its fate')
    .option('--exit-with-parent', 'end when standard input is closed')
    .addHelpText('after', EXAMPLES)
    .helpCommand(true)
    .allowExcessArguments() // A word that is no command is named in our own error.
    .action(async (parsed: Parsed, self: Command) => {
      if (self.args.length > 0) {
        const known = self.commands.map((child) => child.name()).join(', ');
        throw usageError(
          `unknown command 'node ${self.args[0]}'`,
          `known are ${known}; "grapevine node" alone runs one`,
        );
      }
      const options = globalOptions(self.optsWithGlobals());
      const settings = readSettings(parsed, options.network);
      const { runNode } = await import('./run-node.ts');
      await runNode(settings, options);
    });
  addQueries(command);
  return command;
}

function readSettings(parsed: Parsed, network: NetworkName): NodeSettings {
  const known = networkByName(network) as ChainParams;
  const profile = parsed.profile ?? (known.loopbackRoutable ? 'local' : 'internet');
  // A network of this machine alone has no other addresses.
  const params = { ...known, loopbackRoutable: profile === 'local' };
  const { listen = [`ws://127.0.0.1:${params.defaultPort}`], userAgentComment = [] } = parsed;
  const connect = parsed.connect ?? (parsed.pex ? params.seeds : []);
  return {
    params,
    limits: withCache(profiles[profile], parsed.dbcache),
    rpc: readEndpoint(parsed.rpc ?? `127.0.0.1:${params.defaultRpcPort}`, '--rpc'),
    listen: listen.map(readListen),
    connect: connect.map((text) => readDialTarget(text, params.defaultPort)),
    pex: parsed.pex,
    userAgentComments: userAgentComment,
    stratum: parsed.stratum === undefined ? undefined : readEndpoint(parsed.stratum, '--stratum'),
    miningShare: readShare(parsed.mineShare ?? '100%'),
    mineTo: parsed.mine === undefined ? undefined : readAddress(parsed.mine, params),
    reindex: parsed.reindex === true,
    offline: parsed.offline === true,
    mockTime: parsed.mockTime === undefined ? undefined : readMockTime(parsed.mockTime, params),
    traceItems: parsed.traceItems === true,
    exitWithParent: parsed.exitWithParent === true,
  };
}

function withCache(limits: Limits, given: string | undefined): Limits {
  if (given === undefined) return limits;
  const megabytes = /^\d{1,6}$/.test(given) ? Number(given) : Number.NaN;
  const { least, most } = CACHE_RANGE;
  if (!(megabytes >= least && megabytes <= most)) {
    throw usageError(`--dbcache: "${given}" is not a number of megabytes`, `a whole number from ${least} to ${most}`);
  }
  return { ...limits, coinCacheEntries: Math.floor((megabytes * MEGABYTE) / COIN_MEMORY) };
}

/** `30%` as 0.3. */
function readShare(text: string): number {
  const percent = /^\d{1,3}(\.\d{1,3})?%$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent / 100;
  throw usageError(`--mine-share: "${text}" is no share`, 'above 0% and at most 100%');
}

function readAddress(text: string, params: ChainParams): Bytes {
  const script = decodeAddress(text, params);
  if (script.ok) return script.value;
  throw usageError(`--mine: ${script.error.message}`, `an address of ${params.name} begins with ${params.hrp}1p`);
}

function readMockTime(text: string, params: ChainParams): number {
  if (params.name !== 'regtest')
    throw usageError(`--mock-time: ${params.name} goes by the real time`, 'use it with regtest');
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= 0xffffffff) return seconds;
  throw usageError(`--mock-time: "${text}" is no moment`, 'seconds since 1970, as setmocktime takes them');
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** BIP 14 gives brackets, slashes and semicolons a meaning; 256 bytes are all that a peer may send. */
function collectComment(value: string, earlier: readonly string[] = []): readonly string[] {
  const comments = [...earlier, value];
  if (/^[\w .,:?@+-]+$/.test(value) && comments.join('; ').length <= 128) return comments;
  throw new InvalidArgumentError('Letters, digits, spaces and . , : ? @ + - _ only, 128 together.');
}
