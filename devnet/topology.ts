/**
 * Topologies as links: who dials whom when a devnet starts. Pure; the same seed gives the same links.
 */
import { below } from '../node/ports.ts';
import { SeededRandom } from '../node/random.ts';
import type { Topology } from './options.ts';
import { neighbourCounts } from './topology-file.ts';

/** For every node the nodes that it is told to dial, by index. The later node dials the earlier one. */
export type DialPlan = readonly (readonly number[])[];

/** Links that peer exchange must have made before a devnet counts as ready; the rest follows soon after. */
export const PEX_READY_PEERS = 4;

export function dialPlan(topology: Topology, nodes: number, seed: number): DialPlan {
  const all = Array.from({ length: nodes }, (_, index) => index);
  switch (topology.kind) {
    case 'pex':
    case 'star':
      return all.map((index) => (index === 0 ? [] : [0]));
    case 'line':
      return all.map((index) => (index === 0 ? [] : [index - 1]));
    case 'ring':
      // The last node closes the ring; with two nodes the line is the ring.
      return all.map((index) => {
        if (index === 0) return [];
        return index === nodes - 1 && nodes > 2 ? [index - 1, 0] : [index - 1];
      });
    case 'full':
      return all.map((index) => all.slice(0, index));
    case 'random':
      return randomPlan(nodes, topology.degree, seed);
    case 'file':
      return topology.dials;
  }
}

/** How many different peers each node must have before the devnet is ready. */
export function expectedPeers(topology: Topology, plan: DialPlan): readonly number[] {
  if (topology.kind === 'pex') return plan.map(() => Math.min(plan.length - 1, PEX_READY_PEERS));
  return neighbourCounts(plan);
}

/** As it was asked for on the command line. */
export function describeTopology(topology: Topology): string {
  if (topology.kind === 'file') return `file:${topology.name}`;
  return topology.kind === 'random' ? `random:${topology.degree}` : topology.kind;
}

/** A random tree keeps the network in one piece; then links are added until every node has `degree` of them. */
function randomPlan(nodes: number, degree: number, seed: number): DialPlan {
  const random = new SeededRandom(`grapevine devnet topology ${seed}`);
  const links = Array.from({ length: nodes }, () => new Set<number>());
  const connect = (a: number, b: number) => {
    links[a]!.add(b);
    links[b]!.add(a);
  };
  for (let index = 1; index < nodes; index++) connect(index, below(random, index));
  for (let index = 0; index < nodes; index++) {
    while (links[index]!.size < degree) {
      const strangers = links.flatMap((_, other) => (other === index || links[index]!.has(other) ? [] : [other]));
      connect(index, strangers[below(random, strangers.length)]!);
    }
  }
  return links.map((peers, index) => [...peers].filter((peer) => peer < index).sort((a, b) => a - b));
}
