/**
 * A small honest network with steady traffic, one node of which is attacked by a process of its own, one attack after the
 * other (attacks.ts). Told of each: how long honest payments and blocks take against the time without any attack, what the
 * attacked node takes of memory and processor, and what becomes of the attacker. The bench fails if an honest link ends, if
 * memory goes over its bound, if the nodes do not agree any more, or if an attacker keeps what it should lose.
 *
 * The attacker has machines of its own in the world. Here it shares the processors with the honest nodes, and gives way to
 * them; what it makes the attacked node do is the node's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { localLimits } from '../node/limits.ts';
import type { Order, Outcome, Told } from './attacker.ts';
import { type Attack, attacks, isFabricated } from './attacks.ts';
import { figure, median, processorSeconds, residentMegabytes, sleep } from './figures.ts';
import {
  type HonestNetwork,
  type Latencies,
  type LogLine,
  type PeerInfo,
  withHonestNetwork,
} from './honest-network.ts';

export const about = 'attacks on one node of an honest network [--seconds 4] [names of attacks]';

const ATTACKER = join(import.meta.dirname, 'attacker.js');
const DEFAULT_SECONDS = 4;
/** The attacked node, whatever is done to it: what it takes in peace and the bounds of limits.ts together, with garbage. */
const MEMORY_BOUND_MB = 500;
const AIM_RATIO = 5;
const SAMPLE_MS = 200;
/** After an attack, before the next one: what was held is let go. */
const SETTLE_MS = 500;
/** Exit code, as of a shell's command. */
const INTERRUPTED = 130;
const REASONS_SHOWN = 2;

/** What was seen of the attacked node meanwhile. */
interface Watched {
  readonly peakMegabytes: number;
  readonly grownMegabytes: number;
  /** Of one processor. */
  readonly share: number;
  /** The longest answer to a call. */
  readonly answerMs: number;
  /** The most inbound links that stood at once, and bytes that were held for one of the attacker's. */
  readonly inbound: number;
  readonly heldBytes: number;
}

interface Result extends Watched, Outcome {
  readonly name: string;
  readonly attack: Attack;
  readonly latencies: Latencies;
  readonly reasons: string;
  readonly logKilobytes: number;
  /** Fabricated addresses in the table of the attacked node, and the most in that of another one. */
  readonly addresses: number;
  readonly passedOn: number;
}

export async function run(args: readonly string[]): Promise<void> {
  if (process.platform !== 'linux') throw new Error('only Linux has 127.x.y.z and tells what a process takes');
  const { seconds, names } = readArguments(args);
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const failures: string[] = [];
  try {
    await withHonestNetwork(stop.signal, (network) => play(network, names, seconds, failures, stop.signal));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
    return;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
  if (failures.length > 0) process.exitCode = 1;
}

function readArguments(args: readonly string[]): { seconds: number; names: readonly string[] } {
  const at = args.indexOf('--seconds');
  const seconds = at === -1 ? DEFAULT_SECONDS : Number(args[at + 1]);
  if (!(seconds >= 1 && seconds <= 600)) throw new Error(`not a number of seconds from 1 to 600: ${args[at + 1]}`);
  const given = at === -1 ? args : args.filter((_, place) => place !== at && place !== at + 1);
  const unknown = given.find((name) => !Object.hasOwn(attacks, name));
  if (unknown !== undefined) {
    throw new Error(`there is no attack ${unknown}, but ${Object.keys(attacks).join(', ')}`);
  }
  return { seconds, names: given.length > 0 ? given : Object.keys(attacks) };
}

async function play(
  network: HonestNetwork,
  names: readonly string[],
  seconds: number,
  failures: string[],
  stop: AbortSignal,
): Promise<void> {
  // What is run for the first time is slow.
  await network.traffic(timer(2));
  const quiet = await measureQuiet(network, seconds, 'quiet');
  printHeader();
  for (const name of names) {
    stop.throwIfAborted();
    const result = await underAttack(network, name, attacks[name] as Attack, seconds, stop);
    printRow(result, quiet);
    failures.push(...judge(result));
    const lost = await network.lostLinks();
    if (lost > 0) failures.push(`${name}: ${lost} honest links have ended`);
    await network.untilAgreed();
    if (lost > 0) break;
    await sleep(SETTLE_MS);
  }
  stop.throwIfAborted();
  await measureQuiet(network, seconds, 'quiet again');
  const memory = residentMegabytes(network.hub.child.pid as number);
  if (memory !== undefined) figure('memory of the attacked node in the end', memory, 'MB');
}

async function measureQuiet(network: HonestNetwork, seconds: number, name: string): Promise<Latencies> {
  const { latencies, watched } = await watch(network, () => network.traffic(timer(seconds)));
  for (const [what, values] of Object.entries(latencies) as [string, number[]][]) {
    figure(`${name}: ${what} at all nodes, median`, median(values), 'ms', `longest ${Math.max(...values).toFixed(0)}`);
  }
  figure(`${name}: processor of the node in the middle`, 100 * watched.share, '%');
  figure(`${name}: memory of it`, watched.peakMegabytes, 'MB', `bound ${MEMORY_BOUND_MB}`);
  return latencies;
}

async function underAttack(
  network: HonestNetwork,
  name: string,
  attack: Attack,
  seconds: number,
  stop: AbortSignal,
): Promise<Result> {
  network.takeLog();
  const order: Order = { attack: name, port: network.hubPort, seconds, blocks: network.largeBlocks.slice(0, 10) };
  // Options of this process, such as a profiler's, are none of the attacker's.
  const child = fork(ATTACKER, [JSON.stringify(order)], { execArgv: [] });
  setPriority(child.pid as number, constants.priority.PRIORITY_BELOW_NORMAL);
  const end = () => void child.kill('SIGKILL');
  stop.addEventListener('abort', end);
  try {
    const outcome = outcomeOf(child);
    let isOver = false;
    const over = outcome.finally(() => {
      isOver = true;
    });
    const [{ latencies, watched }, told] = await Promise.all([
      watch(network, () => network.traffic(() => isOver)),
      over,
    ]);
    const addresses = await Promise.all(network.nodes.map(({ client }) => fabricated(client)));
    const log = network.takeLog();
    return {
      ...watched,
      ...told,
      ...{ name, attack, latencies, reasons: reasonsOf(log.lines), logKilobytes: log.bytes / 1024 },
      addresses: addresses[0] as number,
      passedOn: Math.max(...addresses.slice(1)),
    };
  } finally {
    stop.removeEventListener('abort', end);
    end();
  }
}

/** What the attacker tells in the end; rejects where it ends without that. */
async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const ended = once(child, 'exit').then(() => {
    throw new Error('the attacker has ended before its time');
  });
  const told = new Promise<Outcome>((resolve) => {
    child.on('message', (message: Told) => {
      if (message.type === 'ends') resolve(message);
    });
  });
  return Promise.race([told, ended]);
}

/** Looks at the node in the middle again and again while that goes on. */
async function watch(
  network: HonestNetwork,
  body: () => Promise<Latencies>,
): Promise<{ latencies: Latencies; watched: Watched }> {
  const { client, child } = network.hub;
  const pid = child.pid as number;
  const memory: number[] = [];
  const seen = { answerMs: 0, inbound: 0, heldBytes: 0 };
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      memory.push(residentMegabytes(pid) ?? 0);
      const began = performance.now();
      const peers = (await client.call('getpeerinfo')) as PeerInfo[];
      seen.answerMs = Math.max(seen.answerMs, performance.now() - began);
      seen.inbound = Math.max(seen.inbound, peers.filter(({ inbound }) => inbound).length);
      for (const { addr, memory: held } of peers) {
        if (isFabricated(addr)) seen.heldBytes = Math.max(seen.heldBytes, held);
      }
      await sleep(SAMPLE_MS);
    }
  };
  const [began, ranBefore] = [performance.now(), processorSeconds(pid) ?? 0];
  const looking = look();
  try {
    const latencies = await body();
    const share = ((processorSeconds(pid) ?? 0) - ranBefore) / ((performance.now() - began) / 1000);
    const peakMegabytes = Math.max(...memory);
    return { latencies, watched: { ...seen, share, peakMegabytes, grownMegabytes: peakMegabytes - (memory[0] ?? 0) } };
  } finally {
    isOver = true;
    await looking;
  }
}

async function fabricated(client: { call(method: string, params: readonly unknown[]): Promise<unknown> }) {
  const addresses = (await client.call('getnodeaddresses', [0])) as { address: string }[];
  return addresses.filter(({ address }) => isFabricated(address)).length;
}

/** Why the attacked node has ended links, the most frequent first. */
function reasonsOf(log: readonly LogLine[]): string {
  const counts = new Map<string, number>();
  for (const { message, reason = '' } of log) {
    if (message !== 'peer-gone' && message !== 'misbehaved') continue;
    // An offence and the end of its link are told with the same reason.
    const shown = reason.replace(/\d+ (addresses|headers|items)/, 'too many $1').slice(0, 48);
    counts.set(shown, (counts.get(shown) ?? 0) + 1);
  }
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, REASONS_SHOWN);
  return most.map(([reason, count]) => `${reason} (${count})`).join('; ');
}

function judge({ name, attack, peakMegabytes, inbound, opened, lanesEnded }: Result): string[] {
  const failures: string[] = [];
  if (peakMegabytes > MEMORY_BOUND_MB) {
    failures.push(`${name}: ${peakMegabytes.toFixed(0)} MB are more than ${MEMORY_BOUND_MB} MB`);
  }
  if (opened === 0) failures.push(`${name}: the attacker got no connection: nothing was measured`);
  if (attack.fate === 'dropped' && lanesEnded < attack.lanes) {
    failures.push(`${name}: of ${attack.lanes} sockets only ${lanesEnded} were ended`);
  }
  // Whoever has to go for a newcomer is gone with the next turn of the event loop, which may have many newcomers.
  if (inbound > 2 * localLimits.maxInbound) failures.push(`${name}: ${inbound} inbound links at once`);
  return failures;
}

const COLUMNS: readonly (readonly [name: string, width: number])[] = [
  ['attack', 16],
  ['payment ms', 11],
  ['longest', 8],
  ['×', 6],
  ['block ms', 9],
  ['longest', 8],
  ['×', 6],
  ['call ms', 8],
  ['cpu %', 6],
  ['MB', 5],
  ['grown', 6],
  ['held KB', 8],
  ['links', 6],
  ['opened', 7],
  ['ended', 7],
  ['open', 5],
  ['sent MB', 8],
  ['addr', 6],
  ['told', 6],
  ['log KB', 8],
];

function printHeader(): void {
  process.stdout.write(`\n${row(COLUMNS.map(([name]) => name))} why links ended\n`);
}

function printRow(result: Result, quiet: Latencies): void {
  const { latencies } = result;
  const times = (values: readonly number[], before: readonly number[]) => {
    if (values.length === 0) return ['-', '-', '-'];
    const middle = median(values);
    const ratio = middle / median(before);
    const mark = ratio > AIM_RATIO ? '!' : '';
    return [middle.toFixed(0), Math.max(...values).toFixed(0), `${mark}${ratio.toFixed(1)}`];
  };
  const cells = [
    result.name,
    ...times(latencies.payments, quiet.payments),
    ...times(latencies.blocks, quiet.blocks),
    result.answerMs.toFixed(0),
    (100 * result.share).toFixed(0),
    result.peakMegabytes.toFixed(0),
    result.grownMegabytes.toFixed(0),
    (result.heldBytes / 1024).toFixed(0),
    String(result.inbound),
    String(result.opened),
    String(result.ended),
    String(result.open),
    result.megabytesSent.toFixed(1),
    String(result.addresses),
    String(result.passedOn),
    result.logKilobytes.toFixed(0),
  ];
  process.stdout.write(`${row(cells)} ${result.reasons}\n`);
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, place) => {
      const width = COLUMNS[place]?.[1] ?? 0;
      return place === 0 ? cell.padEnd(width) : cell.padStart(width);
    })
    .join('');
}

function timer(seconds: number): () => boolean {
  const end = performance.now() + 1000 * seconds;
  return () => performance.now() > end;
}
