/**
 * Topologies of one's own: a small JSON file that says which node dials which. Pure, apart from `loadTopologyFile`.
 *
 *   { "nodes": 4,
 *     "links": [ { "from": "n1", "to": "n0" },
 *                { "from": "n2", "to": "n1", "direction": "both" } ] }
 *
 * The node in `from` dials the one in `to`; with "both" each dials the other as well, so the link is made again whichever
 * of them is restarted. What travels over a link does not depend on who dialled.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { usageError } from '../node/commands/cli.ts';
import type { NodeStatus } from './status.ts';

export interface TopologyLink {
  readonly from: string;
  readonly to: string;
  readonly direction?: 'one' | 'both';
}

export interface TopologyFile {
  readonly nodes: number;
  readonly links: readonly TopologyLink[];
}

export interface FileTopology {
  readonly kind: 'file';
  /** Of the file, without its folder. */
  readonly name: string;
  /** How many nodes it has. */
  readonly nodes: number;
  /** For every node the nodes that it dials, by index. */
  readonly dials: readonly (readonly number[])[];
}

/** A node more than the devnet's limit is refused there; this bounds the file. */
const MAX_FILE_BYTES = 1_000_000;
const MAX_FILE_NODES = 64;
const MAX_LINKS = 4096;

export function loadTopologyFile(path: string): FileTopology {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`cannot read the topology: ${(error as Error).message}`, 'for example --topology file:ring.json');
  }
  return parseTopologyFile(text, basename(path));
}

/** Throws a usage error that names the place in the file. */
export function parseTopologyFile(text: string, name: string): FileTopology {
  if (text.length > MAX_FILE_BYTES) throw usageError(`${name} is too large for a topology`, EXAMPLE);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw usageError(`${name}${lineOf(text, error)}: ${(error as Error).message}`, EXAMPLE);
  }
  return checkTopologyFile(value, name);
}

const EXAMPLE = 'for example {"nodes":3,"links":[{"from":"n1","to":"n0"},{"from":"n2","to":"n1","direction":"both"}]}';

/** ` line 3`, where the parser says at which character it stopped. */
function lineOf(text: string, error: unknown): string {
  const position = /at position (\d+)/.exec((error as Error).message)?.[1];
  return position === undefined ? '' : ` line ${text.slice(0, Number(position)).split('\n').length}`;
}

export function checkTopologyFile(value: unknown, name: string): FileTopology {
  const wrong = (place: string, what: string) => usageError(`${name}: ${place}${what}`, EXAMPLE);
  if (!isRecord(value)) throw wrong('', 'a topology is an object');
  const unknown = Object.keys(value).find((key) => key !== 'nodes' && key !== 'links');
  if (unknown !== undefined) throw wrong('', `"${unknown}" is no field of a topology`);
  const { nodes, links } = value;
  if (!Number.isSafeInteger(nodes) || (nodes as number) < 1 || (nodes as number) > MAX_FILE_NODES) {
    throw wrong('nodes: ', `not a whole number from 1 to ${MAX_FILE_NODES}`);
  }
  if (!Array.isArray(links)) throw wrong('links: ', 'not a list');
  if (links.length > MAX_LINKS) throw wrong('links: ', `more than ${MAX_LINKS}`);
  const dials = Array.from({ length: nodes as number }, () => new Set<number>());
  for (const [at, link] of links.entries()) {
    const place = `links[${at}]`;
    if (!isRecord(link)) throw wrong(`${place}: `, 'not an object with "from" and "to"');
    const strange = Object.keys(link).find((key) => key !== 'from' && key !== 'to' && key !== 'direction');
    if (strange !== undefined) throw wrong(`${place}.${strange}: `, 'no field of a link');
    const read = (field: 'from' | 'to') => {
      const index = nodeIndex(link[field], nodes as number);
      if (index !== undefined) return index;
      const known = nodes === 1 ? 'n0' : `n0 to n${(nodes as number) - 1}`;
      const what = link[field] === undefined ? 'it is missing' : `${JSON.stringify(link[field])} is no node`;
      throw wrong(`${place}.${field}: `, `${what}; the nodes are ${known}`);
    };
    const [from, to] = [read('from'), read('to')];
    if (from === to) throw wrong(`${place}: `, `n${from} cannot dial itself`);
    const { direction = 'one' } = link;
    if (direction !== 'one' && direction !== 'both') throw wrong(`${place}.direction: `, 'not "one" or "both"');
    if (dials[from]?.has(to)) throw wrong(`${place}: `, `n${from} dials n${to} already`);
    dials[from]?.add(to);
    if (direction === 'both') dials[to]?.add(from);
  }
  const apart = unreached(dials);
  if (apart.length > 0) {
    const hint = 'a devnet begins in one piece; cut it later with "grapevine devnet partition"';
    throw usageError(`${name}: links: no way leads from n0 to ${apart.map((index) => `n${index}`).join(', ')}`, hint);
  }
  return { kind: 'file', name, nodes: nodes as number, dials: dials.map((set) => [...set].sort((a, b) => a - b)) };
}

/** The links as the nodes have them now, as a file that makes them again. */
export function describeLinks(
  nodes: readonly NodeStatus[],
  outbound: ReadonlyMap<string, readonly string[]>,
): TopologyFile {
  const names = nodes.map(({ name }) => name);
  const dials = (from: string, to: string) => outbound.get(from)?.includes(to) === true;
  const links: TopologyLink[] = [];
  for (const [at, a] of names.entries()) {
    for (const b of names.slice(0, at)) {
      if (dials(a, b) && dials(b, a)) links.push({ from: a, to: b, direction: 'both' });
      else if (dials(a, b)) links.push({ from: a, to: b });
      else if (dials(b, a)) links.push({ from: b, to: a });
    }
  }
  return { nodes: names.length, links };
}

/** One link a line. */
export function formatTopologyFile({ nodes, links }: TopologyFile): string {
  const lines = links.map((link) => `    ${JSON.stringify(link)}`);
  const list = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`;
  return `{\n  "nodes": ${nodes},\n  "links": ${list}\n}`;
}

/** Different nodes that each is linked with. */
export function neighbourCounts(dials: FileTopology['dials']): readonly number[] {
  const neighbours = dials.map((targets) => new Set(targets));
  for (const [from, targets] of dials.entries()) for (const to of targets) neighbours[to]?.add(from);
  return neighbours.map(({ size }) => size);
}

function unreached(dials: readonly ReadonlySet<number>[]): number[] {
  const reached = new Set([0]);
  for (const at of reached) {
    for (const [from, targets] of dials.entries()) {
      if (from === at) for (const to of targets) reached.add(to);
      else if (targets.has(at)) reached.add(from);
    }
  }
  return [...dials.keys()].filter((index) => !reached.has(index));
}

function nodeIndex(name: unknown, nodes: number): number | undefined {
  const match = typeof name === 'string' ? /^n(0|[1-9]\d{0,4})$/.exec(name) : null;
  const index = Number(match?.[1]);
  return match !== null && index < nodes ? index : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
