/** `grapevine node`: its options, read from text and checked. What runs a node is loaded only when one is to run. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { decodeAddress } from '../../consensus/address.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { type ChainParams, type NetworkName, networkByName } from '../../consensus/params.ts';
import type { DialTarget, Endpoint } from '../boundary.ts';
import { COIN_MEMORY, internetLimits, type Limits, localLimits } from '../limits.ts';
import { type Listener, readAnnounce, readDialTarget, readEndpoint, readListen, readOrigin } from './addresses.ts';
import { globalOptions, usageError } from './cli.ts';
import { lanPlan } from './lan-plan.ts';
import { addQueries } from './node-queries.ts';

/** What a node is started with. */
export interface NodeSettings {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly rpc: Endpoint;
  readonly listen: readonly Listener[];
  /** Files in PEM, where some of `listen` is over TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** A file of authorities that are trusted when dialling over TLS, beside those that Node trusts. */
  readonly authoritiesFile: string | undefined;
  /** Origins of pages that may be peers, beside those of this machine. */
  readonly allowedOrigins: readonly string[];
  /** What peers are told in place of `listen`; empty: nothing else. */
  readonly announce: readonly DialTarget[];
  readonly connect: readonly DialTarget[];
  /** Asked for addresses, and left. */
  readonly seedNodes: readonly DialTarget[];
  readonly pex: boolean;
  /** Find nodes on the local network. */
  readonly lan: boolean;
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

const DEFAULT_INBOUND = Object.entries(profiles)
  .map(([name, { maxInbound }]) => `${maxInbound} with ${name} limits`)
  .join(', ');

const EXAMPLES = `
Examples:
  $ grapevine node                                            a node on regtest, ports 18443 (RPC) and 18444 (peers)
  $ grapevine node --datadir /tmp/n2 --rpc :0 --listen ws://127.0.0.1:0 --connect ws://127.0.0.1:18444
                                                              a second one beside it, on free ports
  $ grapevine node --listen ws://0.0.0.0:18444 --lan          for the machines in this house, which find it by themselves
  $ grapevine node --network vinenet --listen wss://0.0.0.0:8444 --tls-cert cert.pem --tls-key key.pem \\
      --announce wss://node.example:8444                      for the internet, and for pages in browsers
  $ grapevine node --mine bcrt1p…                             mine all the time
  $ grapevine node status                                     ask the running node
  $ grapevine node rpc getblock HASH 2                        any method of the JSON-RPC interface`;

interface Parsed {
  readonly rpc?: string;
  readonly listen?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly allowOrigin?: readonly string[];
  readonly announce?: readonly string[];
  readonly connect?: readonly string[];
  readonly seedNode?: readonly string[];
  readonly pex: boolean;
  readonly lan?: boolean;
  readonly maxInbound?: string;
  readonly maxOutbound?: string;
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
    .option(
      '--listen <url>',
      'where peers are answered: ws:// or wss://HOST:PORT; repeatable (default: ws://127.0.0.1:18444)',
      collect,
    )
    .option('--tls-cert <file>', 'certificate, with its chain, for --listen wss://')
    .option('--tls-key <file>', 'private key of that certificate')
    .option('--tls-ca <file>', 'more authorities that certificates of peers may come from')
    .option('--allow-origin <origin>', 'pages of https://HOST[:PORT] in browsers may be peers; repeatable', collect)
    .option(
      '--announce <url>',
      'tell peers this address in place of --listen: ws://IP:PORT, tcp://IP:PORT or wss://NAME:PORT/PATH; repeatable',
      collect,
    )
    .option('--connect <url>', 'a peer to stay connected with: ws://, wss:// or tcp://HOST:PORT; repeatable', collect)
    .option('--seed-node <url>', 'a node to ask for addresses and then leave; repeatable', collect)
    .option('--no-pex', 'neither exchange addresses with peers nor dial what they tell')
    .option('--lan', 'find nodes on the local network by multicast DNS, and be found')
    .option('--max-inbound <n>', `links that others may open (default: ${DEFAULT_INBOUND})`)
    .option(
      '--max-outbound <n>',
      `links to keep to what was learned of, besides two for blocks only; 0 for none (default: ${internetLimits.maxOutboundFull})`,
    )
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
  const { userAgentComment = [] } = parsed;
  const listen = (parsed.listen ?? [`ws://127.0.0.1:${params.defaultPort}`]).map(readListen);
  checkDiscovery(parsed, listen, params);
  // Whoever names peers knows better than the network's own list.
  const seeds = parsed.connect === undefined && parsed.pex ? params.seeds : [];
  return {
    params,
    limits: withCounts(withCache(profiles[profile], parsed.dbcache), parsed),
    rpc: readEndpoint(parsed.rpc ?? `127.0.0.1:${params.defaultRpcPort}`, '--rpc'),
    listen,
    tls: readTls(parsed, listen),
    authoritiesFile: parsed.tlsCa,
    allowedOrigins: (parsed.allowOrigin ?? []).map(readOrigin),
    announce: (parsed.announce ?? []).map((text) => readAnnounce(text, params)),
    connect: (parsed.connect ?? []).map((text) => readDialTarget(text, params.defaultPort)),
    seedNodes: (parsed.seedNode ?? seeds).map((text) => readDialTarget(text, params.defaultPort, '--seed-node')),
    pex: parsed.pex,
    lan: parsed.lan === true,
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

/** Options that cannot mean anything together. */
function checkDiscovery(parsed: Parsed, listen: readonly Listener[], { loopbackRoutable }: ChainParams): void {
  const { seedNode, announce, maxOutbound } = parsed;
  const needPex = {
    '--seed-node': seedNode,
    '--announce': announce,
    '--lan': parsed.lan,
    '--max-outbound': maxOutbound,
  };
  for (const [option, value] of Object.entries(needPex)) {
    if (value !== undefined && !parsed.pex) {
      throw usageError(
        `${option} does nothing with --no-pex`,
        'leave one of them out; --connect works without addresses',
      );
    }
  }
  if (seedNode !== undefined && maxOutbound !== undefined && Number(maxOutbound) === 0) {
    throw usageError('--seed-node does nothing with --max-outbound 0', 'with that only --connect is dialled');
  }
  const plain = listen.filter(({ tls }) => !tls);
  if (parsed.lan !== true || lanPlan(plain, loopbackRoutable) !== undefined) return;
  throw usageError(
    '--lan: no machine of the local network can reach this node where it listens',
    loopbackRoutable
      ? 'add --listen ws://0.0.0.0:PORT, or ws://127.0.0.1:PORT for the nodes of this machine'
      : 'add --listen ws://0.0.0.0:PORT; for the nodes of this machine alone there is --profile local',
  );
}

function readTls({ tlsCert, tlsKey }: Parsed, listen: readonly Listener[]): NodeSettings['tls'] {
  const isWanted = listen.some(({ tls }) => tls);
  if (!isWanted && (tlsCert !== undefined || tlsKey !== undefined)) {
    throw usageError('--tls-cert and --tls-key are for a listener over TLS', 'add --listen wss://HOST:PORT');
  }
  if (!isWanted) return undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) return { certFile: tlsCert, keyFile: tlsKey };
  throw usageError(
    `--listen wss:// needs ${tlsCert === undefined ? '--tls-cert FILE' : '--tls-key FILE'}`,
    'both in PEM; a proxy with its own certificate can stand before ws:// instead',
  );
}

/** The most links that one process can be asked for. Each inbound one costs a file descriptor. */
const MAX_INBOUND = 10_000;
const MAX_OUTBOUND = 100;

function withCounts(limits: Limits, { maxInbound, maxOutbound }: Parsed): Limits {
  return {
    ...limits,
    ...(maxInbound === undefined ? {} : { maxInbound: readCount(maxInbound, MAX_INBOUND, '--max-inbound') }),
    ...(maxOutbound === undefined ? {} : slots(limits, readCount(maxOutbound, MAX_OUTBOUND, '--max-outbound'))),
  };
}

/** Whoever wants no links of the node's own choice wants none that carry blocks only either. */
function slots({ maxOutboundBlockOnly }: Limits, maxOutboundFull: number) {
  return { maxOutboundFull, maxOutboundBlockOnly: maxOutboundFull === 0 ? 0 : maxOutboundBlockOnly };
}

function readCount(text: string, most: number, option: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= most) return count;
  throw usageError(`${option}: "${text}" is not a number of links`, `a whole number from 0 to ${most}`);
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
