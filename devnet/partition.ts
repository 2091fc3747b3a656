/**
 * Partitions: which node must not talk to which. Pure. A side is a list of names; a node that was stopped and not named
 * is a side of its own, so that it joins nobody when it comes back.
 */
import { usageError } from '../node/commands/cli.ts';

export type Sides = readonly (readonly string[])[];

/** Refuses names that do not exist, and a partition that leaves a running node on no side. */
export function checkSides(sides: Sides, nodes: readonly string[], running: readonly string[]): void {
  const named = new Set(sides.flat());
  const unknown = [...named].filter((name) => !nodes.includes(name));
  if (unknown.length > 0) {
    const names = unknown.map((name) => `"${name}"`).join(', ');
    throw usageError(`there is no node ${names}`, `the nodes are ${nodes.join(', ')}`);
  }
  const twice = sides.flat().find((name, at, all) => all.indexOf(name) !== at);
  if (twice !== undefined) throw usageError(`${twice} is named twice`, 'every node belongs to exactly one side');
  const missing = running.filter((name) => !named.has(name));
  if (missing.length > 0) {
    throw usageError(
      `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} on no side of the partition`,
      'name every running node on exactly one side',
    );
  }
}

/** The nodes that `name` must not be linked with. Nobody without a partition. */
export function deniedNodes(name: string, sides: Sides, nodes: readonly string[]): string[] {
  if (sides.length === 0) return [];
  const side = sides.find((members) => members.includes(name)) ?? [name];
  return nodes.filter((other) => !side.includes(other));
}
