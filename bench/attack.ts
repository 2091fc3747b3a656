/**
 * What attacks on one node do to the others. Two honest nodes have no link but those to a third, which is attacked over real
 * sockets, in one way after another, while blocks with payments go from either honest node to the other. Printed for each
 * attack: how long a block takes, against a time without attack; the memory and processor time of the attacked node; what
 * became of the attacker's links. The exit code is 1 if the attacked node lost a link to an honest one, held more memory
 * than MAX_MEGABYTES, or did not pass a block on.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '#hash';
import { encodeAddress, outputKey } from '../consensus/address.ts';
import { regtest } from '../consensus/params.ts';
import { encodeTransaction } from '../consensus/transaction.ts';
import { attackNames, type Outcome } from './attacker.ts';
import { type BenchCoin, COIN_SCRIPT, coinChain, payOn, submitBlocks } from './coins.ts';
import { median, processorSeconds, residentMegabytes, sleep } from './figures.ts';
import { type RunningNode, startNode, stopNode } from './node-process.ts';

export const about =
  'floods, half-open sockets, giant frames, Sybils against one of three nodes [--seconds N, 8] [attack …]';

const MAX_MEGABYTES = 400;
const PAYMENTS_PER_BLOCK = 3;
const PAUSE_MS = 150;
const ARRIVAL_MS = 20_000;
/** Between two attacks: what the last one left behind is gone. */
const CALM_MS = 1500;
/** Blocks for which attackers ask: those with transactions among them. */
const BLOCKS_ASKED = 100;
const ADDRESS = encodeAddress(outputKey(COIN_SCRIPT), regtest.hrp);
const FILE = join(import.meta.dirname, 'attacker.js');

interface Network {
  readonly attacked: RunningNode;
  readonly port: number;
  readonly honest: readonly [RunningNode, RunningNode];
  readonly coins: BenchCoin[];
}

interface Peer {
  readonly id: number;
  readonly subver: string;
}

interface Figures {
  readonly blockMs: readonly number[];
  readonly megabytes: number;
  /** Processor seconds of the attacked node for each second. */
  readonly processor: number;
}

export async function run(args: readonly string[]): Promise<void> {
  const { seconds, names } = readArguments(args);
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const nodes: RunningNode[] = [];
  const attackers = new Set<ChildProcess>();
  const interrupt = () => {
    for (const child of attackers) child.kill();
    for (const { child } of nodes) child.kill();
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const network = await startNetwork(folder, nodes, 20 * seconds * (names.length + 1));
    await measureAll(network, names, seconds, attackers);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    for (const child of attackers) child.kill();
    await Promise.all(nodes.map(stopNode));
    rmSync(folder, { recursive: true, force: true });
  }
}

function readArguments(args: readonly string[]): { readonly seconds: number; readonly names: readonly string[] } {
  const at = args.indexOf('--seconds');
  const seconds = at === -1 ? 8 : Number(args[at + 1]);
  if (!(Number.isInteger(seconds) && seconds >= 2 && seconds <= 600)) {
    throw new Error(`--seconds must be a whole number from 2 to 600, not ${args[at + 1]}`);
  }
  const given = at === -1 ? args : args.toSpliced(at, 2);
  const unknown = given.find((name) => !attackNames.includes(name));
  if (unknown !== undefined) throw new Error(`there is no attack ${unknown}; there are: ${attackNames.join(', ')}`);
  return { seconds, names: given.length === 0 ? attackNames : given };
}

async function startNetwork(folder: string, nodes: RunningNode[], coinCount: number): Promise<Network> {
  const start = async (name: string, ...args: readonly string[]) => {
    const node = await startNode(join(folder, name), ...args);
    nodes.push(node);
    return node;
  };
  const attacked = await start('attacked');
  const { localaddresses } = (await attacked.client.call('getnetworkinfo')) as { localaddresses: { port: number }[] };
  const port = localaddresses[0]?.port;
  if (port === undefined) throw new Error('the node does not say where it listens');
  const link = ['--no-pex', '--connect', `ws://127.0.0.1:${port}`];
  const honest = [await start('left', ...link), await start('right', ...link)] as const;
  const { blocks, coins } = coinChain(coinCount);
  await submitBlocks(attacked.client, blocks);
  for (const { client } of honest) await arrival(client, blocks.at(-1)?.header.hash as string);
  return { attacked, port, honest, coins: [...coins] };
}

async function measureAll(
  network: Network,
  names: readonly string[],
  seconds: number,
  attackers: Set<ChildProcess>,
): Promise<void> {
  const titles = ['block, median', 'worst', '× calm', 'memory', 'processor', 'links', 'ended', 'sent', 'addresses'];
  line('attack', titles);
  const links = await honestLinks(network);
  if (links.length !== 2) throw new Error('the honest nodes are not connected');
  const calm = await measure(network, seconds);
  line('none', columns(calm, calm));
  const blocks = await recentBlocks(network);
  for (const name of names) {
    const attacker = fork(FILE, [name, String(network.port), ...blocks], { execArgv: [] });
    attackers.add(attacker);
    const figures = await measure(network, seconds);
    const answer = once(attacker, 'message') as Promise<[Outcome]>;
    attacker.send('stop');
    const [outcome] = await answer;
    attackers.delete(attacker);
    const known = (await network.attacked.client.call('getnodeaddresses', [0])) as unknown[];
    const { opened, ended, megabytesSent } = outcome;
    line(name, [...columns(figures, calm), String(opened), String(ended), `${megabytesSent} MB`, String(known.length)]);
    if (figures.megabytes > MAX_MEGABYTES) fail(`${name}: the node took ${Math.round(figures.megabytes)} MB`);
    if (String(await honestLinks(network)) !== String(links)) fail(`${name}: an honest peer lost its link`);
    await sleep(CALM_MS);
  }
}

/** Blocks with payments from either honest node to the other, one after another for so long. */
async function measure(network: Network, seconds: number): Promise<Figures> {
  const { attacked, honest, coins } = network;
  const pid = attacked.child.pid as number;
  const began = performance.now();
  const processorBefore = processorSeconds(pid) ?? 0;
  const blockMs: number[] = [];
  let megabytes = 0;
  while (performance.now() - began < 1000 * seconds) {
    const [from, to] = blockMs.length % 2 === 0 ? honest : [honest[1], honest[0]];
    for (const coin of coins.splice(0, PAYMENTS_PER_BLOCK)) {
      await from.client.call('sendrawtransaction', [bytesToHex(encodeTransaction(payOn(coin)))]);
    }
    const [hash] = (await from.client.call('generatetoaddress', [1, ADDRESS])) as [string];
    blockMs.push(await arrival(to.client, hash));
    megabytes = Math.max(megabytes, residentMegabytes(pid) ?? 0);
    await sleep(PAUSE_MS);
  }
  const processor = (processorSeconds(pid) ?? 0) - processorBefore;
  return { blockMs, megabytes, processor: (1000 * processor) / (performance.now() - began) };
}

/** Milliseconds until that block is the tip there. */
async function arrival(client: RunningNode['client'], hash: string): Promise<number> {
  const began = performance.now();
  while ((await client.call('getbestblockhash')) !== hash) {
    if (performance.now() - began > ARRIVAL_MS) throw new Error(`a block did not arrive within ${ARRIVAL_MS / 1000} s`);
    await sleep(1);
  }
  return performance.now() - began;
}

/** Ids that the attacked node has for the honest ones: others where a link was lost in between. */
async function honestLinks({ attacked }: Network): Promise<number[]> {
  const peers = (await attacked.client.call('getpeerinfo')) as Peer[];
  return peers.filter(({ subver }) => subver.startsWith('/Grapevine')).map(({ id }) => id);
}

async function recentBlocks({ attacked: { client } }: Network): Promise<string[]> {
  const height = (await client.call('getblockcount')) as number;
  const heights = Array.from({ length: Math.min(BLOCKS_ASKED, height) }, (_, i) => height - i);
  return (await client.batch(heights.map((at) => ['getblockhash', [at]] as const))) as string[];
}

function columns({ blockMs, megabytes, processor }: Figures, calm: Figures): string[] {
  const middle = median(blockMs);
  return [
    `${middle.toFixed(1)} ms`,
    `${Math.max(...blockMs).toFixed(0)} ms`,
    (middle / median(calm.blockMs)).toFixed(1),
    `${megabytes.toFixed(0)} MB`,
    `${processor.toFixed(2)} s/s`,
  ];
}

function line(name: string, values: readonly string[]): void {
  process.stdout.write(`${name.padEnd(20)}${values.map((value) => value.padStart(14)).join('')}\n`);
}

function fail(what: string): void {
  process.stdout.write(`FAILED: ${what}\n`);
  process.exitCode = 1;
}
