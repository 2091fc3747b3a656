/** `grapevine node status | peers | tips | mempool | ban | unban | bans | rpc | stop`: questions to a running node, over its JSON-RPC. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Connection } from '../../wallet/connect.ts';
import { parseDuration } from '../../wallet/duration.ts';
import type { Verifier } from '../boundary.ts';
import { CliError, Exit, type GlobalOptions, globalOptions, printResult, usageError } from './cli.ts';
import { verifierText } from './node-log.ts';
import { formatTable } from './table.ts';

/** The parts of the node's answers that are shown. */
interface ChainInfo {
  readonly chain: string;
  readonly blocks: number;
  readonly headers: number;
  readonly bestblockhash: string;
  readonly initialblockdownload: boolean;
}
interface NetworkInfo {
  readonly subversion: string;
  readonly connections_in: number;
  readonly connections_out: number;
  /** Ours; missing in the first moments of a node, and in other programs' answers. */
  readonly verifier?: Verifier;
}
interface MempoolInfo {
  readonly size: number;
  readonly bytes: number;
}
interface Peer {
  readonly id: number;
  readonly addr: string;
  readonly inbound: boolean;
  readonly connection_type: string;
  /** Ours; missing in other programs' answers. */
  readonly learned?: string;
  readonly netgroup?: string;
  readonly subver: string;
  readonly synced_blocks: number;
  readonly pingtime?: number;
  readonly bytessent: number;
  readonly bytesrecv: number;
}
interface Ban {
  readonly address: string;
  readonly ban_created: number;
  readonly banned_until: number;
  readonly time_remaining: number;
}
interface Tip {
  readonly height: number;
  readonly hash: string;
  readonly branchlen: number;
  readonly status: string;
}
interface PoolEntry {
  readonly vsize: number;
  readonly time: number;
  /** In bitcoin. */
  readonly fees: { readonly base: number };
}

/** How long `stop` waits for the node to be gone. */
const STOP_TIMEOUT_MS = 10_000;
const STOP_POLL_MS = 50;

/** Adds them to `grapevine node`. */
export function addQueries(node: Command): void {
  node.command('status').description('height, tip, peers and mempool of the running node').action(query(status));
  node.command('peers').description('the links of the running node').action(query(peers));
  node.command('tips').description('all branches that the running node knows').action(query(tips));
  node.command('mempool').description('transactions that wait for a block').action(query(mempool));
  addBans(node);
  node
    .command('rpc <method> [args...]')
    .description('call any JSON-RPC method; arguments that are JSON are sent as such, others as strings')
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine node rpc getblockhash 10
  $ grapevine node rpc getblock HASH 2
  $ grapevine node rpc help`,
    )
    .action(async (method: string, args: readonly string[], _parsed: unknown, self: Command) => {
      await withNode(globalOptions(self.optsWithGlobals()), async ({ client }, options) => {
        const result = await client.call(method, args.map(readArgument));
        printResult(options, result, () => (typeof result === 'string' ? result : JSON.stringify(result, null, 2)));
      });
    });
  node.command('stop').description('end the running node').action(query(stop));
}

function addBans(node: Command): void {
  const examples = `
Examples:
  $ grapevine node ban 203.0.113.7
  $ grapevine node ban 203.0.113.0/24 --for 30m
  $ grapevine node bans
  $ grapevine node unban 203.0.113.0/24`;
  node
    .command('ban <subnet>')
    .description('close the links to an address or a subnet, and make and take none')
    .option('--for <time>', 'how long, such as 90s, 30m or 24h', '24h')
    .addHelpText('after', examples)
    .action(async (subnet: string, parsed: { readonly for: string }, self: Command) => {
      const seconds = readSeconds(parsed.for);
      await withNode(globalOptions(self.optsWithGlobals()), async ({ client }, options) => {
        await client.call('setban', [subnet, 'add', seconds]);
        printResult(options, { banned: subnet, seconds }, `${subnet} is banned for ${parsed.for}`);
      });
    });
  node
    .command('unban <subnet>')
    .description('end a ban; the subnet as "bans" shows it')
    .addHelpText('after', examples)
    .action(async (subnet: string, _parsed: unknown, self: Command) => {
      await withNode(globalOptions(self.optsWithGlobals()), async ({ client }, options) => {
        await client.call('setban', [subnet, 'remove']);
        printResult(options, { unbanned: subnet }, `${subnet} is banned no more`);
      });
    });
  node.command('bans').description('what is banned').addHelpText('after', examples).action(query(bans));
}

function readSeconds(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw usageError(`--for: ${duration.error}`);
  const seconds = Math.ceil(duration.value / 1000);
  if (seconds > 0) return seconds;
  throw usageError(`--for: ${text} is no time to be banned for`, 'unban ends a ban');
}

type Query = (connection: Connection, options: GlobalOptions) => Promise<void>;

/** The action of a command without arguments. */
function query(ask: Query): (parsed: unknown, self: Command) => Promise<void> {
  return (_parsed, self) => withNode(globalOptions(self.optsWithGlobals()), ask);
}

async function withNode(options: GlobalOptions, ask: Query): Promise<void> {
  const { connect } = await import('../../wallet/connect.ts');
  const connection = await connect(options);
  try {
    await ask(connection, options);
  } finally {
    connection.client.close();
  }
}

async function status({ client, label }: Connection, options: GlobalOptions): Promise<void> {
  const [chain, network, pool, uptime] = (await client.batch([
    ['getblockchaininfo', []],
    ['getnetworkinfo', []],
    ['getmempoolinfo', []],
    ['uptime', []],
  ])) as [ChainInfo, NetworkInfo, MempoolInfo, number];
  const value = {
    node: label,
    network: chain.chain,
    height: chain.blocks,
    tip: chain.bestblockhash,
    headers: chain.headers,
    initialSync: chain.initialblockdownload,
    peers: { inbound: network.connections_in, outbound: network.connections_out },
    mempool: { transactions: pool.size, vsize: pool.bytes },
    uptimeSeconds: uptime,
    userAgent: network.subversion,
    signatures: network.verifier ?? null,
  };
  const behind = chain.headers - chain.blocks;
  printResult(options, value, () =>
    [
      `node        ${label}, ${network.subversion}, up ${uptime} s`,
      `network     ${chain.chain}${chain.initialblockdownload ? ' (initial sync)' : ''}`,
      `height      ${chain.blocks}${behind > 0 ? `, ${behind} behind its best header` : ''}`,
      `tip         ${chain.bestblockhash}`,
      `peers       ${network.connections_in} inbound, ${network.connections_out} outbound`,
      `mempool     ${pool.size} transactions, ${pool.bytes} vB`,
      `signatures  ${network.verifier === undefined ? 'not known' : verifierText(network.verifier)}`,
    ].join('\n'),
  );
}

async function peers({ client }: Connection, options: GlobalOptions): Promise<void> {
  const list = (await client.call('getpeerinfo')) as readonly Peer[];
  const value = list.map((peer) => ({
    id: peer.id,
    address: peer.addr,
    direction: peer.inbound ? 'inbound' : 'outbound',
    kind: peer.connection_type,
    learned: peer.learned ?? null,
    netgroup: peer.netgroup ?? null,
    userAgent: peer.subver,
    syncedBlocks: peer.synced_blocks,
    pingMs: peer.pingtime === undefined ? null : Math.round(peer.pingtime * 1000),
    bytesSent: peer.bytessent,
    bytesReceived: peer.bytesrecv,
  }));
  printResult(options, value, () =>
    value.length === 0
      ? 'no peers'
      : formatTable(
          ['id', 'address', 'kind', 'learned', 'netgroup', 'blocks', 'ping', 'sent', 'received', 'user agent'],
          value.map((peer) => [
            peer.id,
            peer.address,
            peer.kind,
            peer.learned ?? '',
            peer.netgroup ?? '',
            peer.syncedBlocks,
            peer.pingMs === null ? '' : `${peer.pingMs} ms`,
            peer.bytesSent,
            peer.bytesReceived,
            peer.userAgent,
          ]),
        ),
  );
}

async function bans({ client }: Connection, options: GlobalOptions): Promise<void> {
  const list = (await client.call('listbanned')) as readonly Ban[];
  const value = list.map((ban) => ({
    subnet: ban.address,
    created: ban.ban_created,
    until: ban.banned_until,
    remainingSeconds: ban.time_remaining,
  }));
  printResult(options, value, () =>
    value.length === 0
      ? 'nothing is banned'
      : formatTable(
          ['subnet', 'until', 'remaining'],
          value.map(({ subnet, until, remainingSeconds }) => [subnet, timeText(until), `${remainingSeconds} s`]),
        ),
  );
}

/** As in a log; moments that no calendar has are numbers. */
function timeText(unix: number): string {
  const date = new Date(unix * 1000);
  return Number.isNaN(date.getTime()) ? String(unix) : date.toISOString().slice(0, 19);
}

async function tips({ client }: Connection, options: GlobalOptions): Promise<void> {
  const list = (await client.call('getchaintips')) as readonly Tip[];
  const value = list.map(({ height, hash, branchlen, status }) => ({ height, hash, branchLength: branchlen, status }));
  printResult(options, value, () =>
    formatTable(
      ['height', 'branch', 'status', 'hash'],
      value.map((tip) => [tip.height, tip.branchLength, tip.status, tip.hash]),
    ),
  );
}

async function mempool({ client }: Connection, options: GlobalOptions): Promise<void> {
  const entries = (await client.call('getrawmempool', [true])) as Readonly<Record<string, PoolEntry>>;
  const value = Object.entries(entries).map(([txid, { vsize, time, fees }]) => ({
    txid,
    vsize,
    feeSats: Math.round(fees.base * 1e8),
    time,
  }));
  printResult(options, value, () =>
    value.length === 0
      ? 'no transactions'
      : formatTable(
          ['txid', 'vsize', 'fee', 'since'],
          value.map((tx) => [tx.txid, tx.vsize, `${tx.feeSats}sat`, timeText(tx.time)]),
        ),
  );
}

/** Asks the node to end and waits until nothing answers any more. */
async function stop({ client, label }: Connection, options: GlobalOptions): Promise<void> {
  await client.call('stop');
  for (let waited = 0; waited < STOP_TIMEOUT_MS; waited += STOP_POLL_MS) {
    await sleep(STOP_POLL_MS);
    if (await isGone(client)) {
      printResult(options, { stopped: label }, `${label} has stopped`);
      return;
    }
  }
  throw new CliError(
    Exit.timeout,
    'timeout',
    `${label} still answers ${STOP_TIMEOUT_MS / 1000} s after it was told to stop`,
  );
}

async function isGone(client: Connection['client']): Promise<boolean> {
  try {
    await client.call('uptime');
    return false;
  } catch (error) {
    return error instanceof CliError && error.code === 'node-unreachable';
  }
}

/** Numbers, truth values, null, arrays, objects and quoted strings are JSON; hex that looks like a number is not. */
function readArgument(text: string): unknown {
  if (!/^(?:true|false|null|-?(?:0|[1-9]\d{0,15})(?:\.\d+)?|[[{"].*)$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
