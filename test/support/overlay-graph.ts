/** The overlay as a graph: which nodes of an in-process network are linked, and what holds it together. */
import type { Network } from '../../devnet/sim/network.ts';

/** By name of a running node, the names of the nodes that it is linked with. */
export type OverlayGraph = ReadonlyMap<string, ReadonlySet<string>>;

export function overlayGraph(network: Network): OverlayGraph {
  const graph = new Map<string, Set<string>>();
  for (const node of network.nodes.values()) {
    if (node.running) graph.set(node.name, new Set(node.neighbours().map(({ name }) => name)));
  }
  return graph;
}

/** The parts that hang together, the largest first. */
export function components(graph: OverlayGraph): string[][] {
  const found: string[][] = [];
  const seen = new Set<string>();
  for (const name of graph.keys()) {
    if (seen.has(name)) continue;
    const part = [...distances(graph, name).keys()];
    for (const member of part) seen.add(member);
    found.push(part);
  }
  return found.sort((a, b) => b.length - a.length);
}

/** The longest of the shortest ways between two nodes, in links; infinite where there is none. */
export function diameter(graph: OverlayGraph): number {
  let longest = 0;
  for (const name of graph.keys()) {
    const reached = distances(graph, name);
    if (reached.size < graph.size) return Number.POSITIVE_INFINITY;
    longest = Math.max(longest, ...reached.values());
  }
  return longest;
}

/** Links to every node that can be reached from one, by its name, in the order of their distance. */
function distances(graph: OverlayGraph, from: string): Map<string, number> {
  const reached = new Map([[from, 0]]);
  for (const [name, distance] of reached) {
    for (const next of graph.get(name) ?? []) {
      if (graph.has(next) && !reached.has(next)) reached.set(next, distance + 1);
    }
  }
  return reached;
}
