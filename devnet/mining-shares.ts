/**
 * Who mines with how much of the machine, on networks where blocks cost work: `--miner` and `--mine-power`, read and checked.
 * Pure.
 */
import { usageError } from '../node/commands/cli.ts';

export interface Miner {
  readonly node: string;
  /** Of the machine's processors: above 0, at most 1. */
  readonly share: number;
}

/** With `--miner`: what is left of the machine keeps nodes and commands quick. */
export const SHARED_POWER = '80%';
/** Without: a devnet that is only there must not keep the fan running. */
export const MODEST_POWER = '20%';
/** A node is told its share in thousandths of a percent. */
const LEAST_SHARE = 0.00001;

/**
 * The miners of a devnet of that many nodes. `given`: texts like `n0=60,n1=30,n2=10`, percentages of the power; undefined:
 * all nodes alike. `power`: a text like `50%`, of the machine.
 */
export function readMiners(given: readonly string[] | undefined, power: string | undefined, nodes: number): Miner[] {
  const whole = readPercent(power ?? (given === undefined ? MODEST_POWER : SHARED_POWER));
  if (whole === undefined) throw usageError(`--mine-power: "${power}" is no share of the machine`, 'such as 50%');
  const parts = given === undefined ? equalParts(nodes) : readParts(given.join(','), nodes);
  const miners = parts.map(([node, percent]) => ({ node, share: (whole / 100) * (percent / 100) }));
  const tiny = miners.find(({ share }) => share < LEAST_SHARE);
  if (tiny === undefined) return miners;
  throw usageError(`${tiny.node} would mine with less than 0.001 % of the machine`, 'give it more, or leave it out');
}

function equalParts(nodes: number): [string, number][] {
  return Array.from({ length: nodes }, (_, index) => [`n${index}`, 100 / nodes]);
}

const EXAMPLE = 'for example --miner n0=60,n1=30,n2=10';

function readParts(text: string, nodes: number): [string, number][] {
  const parts = new Map<string, number>();
  for (const word of text.split(',')) {
    const [, node = '', number = ''] = /^\s*(n\d{1,5})\s*=\s*(\d{1,4}(?:\.\d{1,3})?)%?\s*$/.exec(word) ?? [];
    if (node === '') throw usageError(`--miner: "${word.trim()}" is no node with its share`, EXAMPLE);
    if (Number(node.slice(1)) >= nodes || /^n0\d/.test(node)) {
      const known = nodes === 1 ? 'there is n0 only' : `the nodes are n0 to n${nodes - 1}`;
      throw usageError(`--miner: there is no node ${node}`, known);
    }
    if (parts.has(node)) throw usageError(`--miner: ${node} is named twice`, EXAMPLE);
    const percent = Number(number);
    if (percent === 0)
      throw usageError(`--miner: ${node} has a share of 0`, `leave out ${node}: it does not mine then`);
    parts.set(node, percent);
  }
  const sum = [...parts.values()].reduce((total, percent) => total + percent, 0);
  if (sum <= 100 + 1e-9) return [...parts];
  const hint = 'they are percentages of what is mined with; --mine-power says how much of the machine that is';
  throw usageError(`--miner: the shares come to ${Number(sum.toFixed(3))} %, which is more than 100`, hint);
}

function readPercent(text: string): number | undefined {
  const percent = /^\d{1,3}(\.\d{1,3})?%$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  return percent > 0 && percent <= 100 ? percent : undefined;
}

/** `48%`, `0.3%`. */
export function percentText(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`;
}

/** `n0 mines with 48%, n1 with 24% of this machine`. */
export function describeMiners(miners: readonly Miner[]): string {
  const [first, ...others] = miners;
  if (first === undefined) return 'nobody mines';
  if (others.length > 0 && others.every(({ share }) => share === first.share)) {
    return `all of ${miners.map(({ node }) => node).join(', ')} mine with ${percentText(first.share)} of this machine`;
  }
  const rest = others.map(({ node, share }) => `, ${node} with ${percentText(share)}`).join('');
  return `${first.node} mines with ${percentText(first.share)}${rest} of this machine`;
}
