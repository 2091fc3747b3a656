/**
 * What a devnet is asked to be: the options of `devnet up`, read from text and checked. Every refusal is a usage error
 * that names the option and says what is allowed. Owns no process and no file.
 */
import { usageError } from '../node/commands/cli.ts';
import { DEFAULT_DEVNET } from '../wallet/devnet-file.ts';
import { parseDuration } from '../wallet/duration.ts';
import { checkName } from '../wallet/names.ts';
import type { ChainChoice } from './chain-choice.ts';
import { type Miner, readMiners } from './mining-shares.ts';
import type { FileTopology } from './topology-file.ts';

/** Who is linked with whom; `dialPlan` turns it into links. */
export type Topology =
  /** Every node is told of the first one only and finds the rest by peer exchange. */
  | { readonly kind: 'pex' }
  | { readonly kind: 'line' | 'ring' | 'star' | 'full' }
  /** Connected, and every node has at least `degree` links. */
  | { readonly kind: 'random'; readonly degree: number }
  /** The links of a file. */
  | FileTopology;

/** When blocks are mined. */
export type MiningPlan =
  | { readonly kind: 'interval'; readonly intervalMs: number }
  /** A block as soon as a payment is in some mempool. */
  | { readonly kind: 'on-tx' }
  /** Where blocks cost work: these nodes search for them all the time. */
  | { readonly kind: 'work'; readonly miners: readonly Miner[] }
  | { readonly kind: 'off' };

export interface DevnetOptions {
  readonly name: string;
  readonly nodes: number;
  readonly topology: Topology;
  readonly accounts: number;
  readonly mining: MiningPlan;
  /** Names the accounts' keys and, through them, the first blocks. */
  readonly seed: number;
  /** The folder under which all state of Grapevine lives. */
  readonly datadir: string;
  /** The snapshot that is put in place before anything is started; the rest fits it. */
  readonly load?: string | undefined;
  /** The network; regtest where there is none. */
  readonly chain?: ChainChoice | undefined;
  /** RPC port of the first node, where it is not the network's usual one. */
  readonly firstPort?: number | undefined;
}

/** More processes than this do not fit on one machine in any useful way. */
export const MAX_NODES = 64;
/** Every account is paid by a block of its own before the first halving (150 on regtest). */
export const MAX_ACCOUNTS = 100;
export const MIN_BLOCK_TIME_MS = 100;
export const MAX_BLOCK_TIME_MS = 3_600_000;

const TOPOLOGIES = 'pex, line, ring, star, full, random:K or file:NAME.json';

/** The texts of the command line; undefined where the option was not given. */
export interface OptionTexts {
  readonly name?: string | undefined;
  readonly nodes?: string | undefined;
  /** A file has been read by now. */
  readonly topology?: string | FileTopology | undefined;
  readonly accounts?: string | undefined;
  readonly blockTime?: string | undefined;
  readonly onTx?: boolean | undefined;
  readonly noMine?: boolean | undefined;
  /** Given once or more. */
  readonly miner?: readonly string[] | undefined;
  readonly minePower?: string | undefined;
  readonly seed?: string | undefined;
}

/** Reads and checks all options. Throws a usage error on the first that is wrong. `chain`: unless it is regtest. */
export function readOptions(texts: OptionTexts, datadir: string, chain?: ChainChoice): DevnetOptions {
  const { topology = 'pex' } = texts;
  const file = typeof topology === 'string' ? undefined : topology;
  const nodes = readCount(texts.nodes ?? String(file?.nodes ?? 4), '-n', 1, MAX_NODES);
  if (file !== undefined && file.nodes !== nodes) {
    throw usageError(`-n ${nodes}: ${file.name} has ${file.nodes} nodes`, 'leave out -n: the file says how many');
  }
  return {
    name: checkName('devnet', texts.name ?? DEFAULT_DEVNET),
    nodes,
    topology: typeof topology === 'string' ? readTopology(topology, nodes) : topology,
    accounts: readCount(texts.accounts ?? '10', '--accounts', 1, MAX_ACCOUNTS),
    mining: chain === undefined ? readMining(texts) : readWork(texts, nodes, chain.network),
    seed: readCount(texts.seed ?? '1', '--seed', 0, Number.MAX_SAFE_INTEGER),
    datadir,
    ...(chain === undefined ? {} : { chain }),
  };
}

export function readTopology(text: string, nodes: number): Topology {
  if (text === 'pex' || text === 'line' || text === 'ring' || text === 'star' || text === 'full') return { kind: text };
  const degreeText = /^random:(.*)$/.exec(text)?.[1];
  if (degreeText === undefined) throw usageError(`unknown topology "${text}"`, `use ${TOPOLOGIES}`);
  if (nodes < 2) throw usageError('a random topology needs at least 2 nodes', 'for example -n 6 --topology random:2');
  return { kind: 'random', degree: readCount(degreeText, 'the K of --topology random:K', 1, nodes - 1) };
}

/** Milliseconds. */
function readBlockTime(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw usageError(`--block-time: ${parsed.error}`);
  if (parsed.value >= MIN_BLOCK_TIME_MS && parsed.value <= MAX_BLOCK_TIME_MS) return parsed.value;
  throw usageError(`a block time of ${text} is out of range`, 'use 100ms to 60m, or --no-mine and "grapevine mine"');
}

/** Where the difficulty decides when blocks come. */
function readWork(texts: OptionTexts, nodes: number, network: string): MiningPlan {
  const timed = texts.blockTime !== undefined ? '--block-time' : texts.onTx === true ? '--on-tx' : undefined;
  if (timed !== undefined) {
    const hint = 'choose who searches with what: --miner n0=60,n1=40 --mine-power 50%; or --no-mine';
    throw usageError(`${timed}: on ${network} blocks cost work, and its difficulty decides when they come`, hint);
  }
  const { miner, minePower } = texts;
  if (texts.noMine !== true) return { kind: 'work', miners: readMiners(miner, minePower, nodes) };
  if (miner === undefined && minePower === undefined) return { kind: 'off' };
  const other = miner === undefined ? '--mine-power' : '--miner';
  throw usageError(`--no-mine and ${other} exclude each other`, 'use one of them');
}

function readMining(texts: OptionTexts): MiningPlan {
  if (texts.miner !== undefined || texts.minePower !== undefined) {
    const option = texts.miner === undefined ? '--mine-power' : '--miner';
    const hint = 'use it with --network vinenet or --chain FILE; on regtest there is --block-time';
    throw usageError(`${option}: blocks cost nothing on regtest, so there is nothing to share`, hint);
  }
  const given = [
    ...(texts.blockTime === undefined ? [] : ['--block-time']),
    ...(texts.onTx === true ? ['--on-tx'] : []),
    ...(texts.noMine === true ? ['--no-mine'] : []),
  ];
  if (given.length > 1) throw usageError(`${given.join(' and ')} exclude each other`, 'use one of them');
  if (texts.onTx === true) return { kind: 'on-tx' };
  if (texts.noMine === true) return { kind: 'off' };
  return { kind: 'interval', intervalMs: readBlockTime(texts.blockTime ?? '5s') };
}

function readCount(text: string, what: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError(`${what}: "${text}" is not a whole number from ${min} to ${max}`, 'see grapevine devnet up --help');
}

/**
 * The sides of `partition`: node names, in one argument or several, separated by commas; `/` between the sides.
 * Throws a usage error unless there are two sides or more, each with a name, and no name is on two of them.
 */
export function readSides(words: readonly string[]): readonly (readonly string[])[] {
  const hint = 'for example: grapevine devnet partition n0,n1 / n2,n3';
  const sides = words
    .join(',')
    .split('/')
    .map((side) => side.split(/[\s,]+/).filter((name) => name !== ''));
  if (sides.every((side) => side.length === 0)) throw usageError('the partition names no nodes', hint);
  if (sides.length < 2) throw usageError('the partition has one side only', hint);
  if (sides.some((side) => side.length === 0)) throw usageError('a side of the partition is empty', hint);
  const seen = new Set<string>();
  for (const name of sides.flat()) {
    if (seen.has(name)) throw usageError(`${name} is named twice`, 'every node belongs to exactly one side');
    seen.add(name);
  }
  return sides;
}
