import { describe, expect, test } from '@jest/globals';
import type { Topology } from '../../devnet/options.ts';
import { checkSides, deniedNodes } from '../../devnet/partition.ts';
import { type DialPlan, dialPlan, expectedPeers } from '../../devnet/topology.ts';

/** True if every node can be reached from the first. */
function isConnected(plan: DialPlan): boolean {
  const reached = new Set([0]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [index, dials] of plan.entries()) {
      for (const target of dials) {
        if (reached.has(index) === reached.has(target)) continue;
        reached.add(index).add(target);
        grown = true;
      }
    }
  }
  return reached.size === plan.length;
}

describe('topologies', () => {
  test.each<[Topology, DialPlan]>([
    [{ kind: 'pex' }, [[], [0], [0], [0]]],
    [{ kind: 'star' }, [[], [0], [0], [0]]],
    [{ kind: 'line' }, [[], [0], [1], [2]]],
    [{ kind: 'ring' }, [[], [0], [1], [2, 0]]],
    [{ kind: 'full' }, [[], [0], [0, 1], [0, 1, 2]]],
  ])('%j of four nodes', (topology, plan) => {
    expect(dialPlan(topology, 4, 1)).toEqual(plan);
  });

  test('a ring of two nodes is one link, and one node has none', () => {
    expect(dialPlan({ kind: 'ring' }, 2, 1)).toEqual([[], [0]]);
    for (const kind of ['pex', 'line', 'ring', 'star', 'full'] as const) expect(dialPlan({ kind }, 1, 1)).toEqual([[]]);
  });

  test('a random topology is in one piece, with enough links for every node, the same for the same seed', () => {
    for (let seed = 0; seed < 50; seed++) {
      for (const [nodes, degree] of [
        [2, 1],
        [5, 1],
        [6, 3],
        [12, 2],
        [8, 7],
      ] as const) {
        const topology = { kind: 'random', degree } as const;
        const plan = dialPlan(topology, nodes, seed);
        expect(isConnected(plan)).toBe(true);
        expect(Math.min(...expectedPeers(topology, plan))).toBeGreaterThanOrEqual(degree);
        expect(plan).toEqual(dialPlan(topology, nodes, seed));
      }
    }
    const plans = new Set(
      [1, 2, 3, 4].map((seed) => JSON.stringify(dialPlan({ kind: 'random', degree: 2 }, 12, seed))),
    );
    expect(plans.size).toBe(4);
  });

  test('a node is expected to have the peers that its links give it; by peer exchange, up to four', () => {
    const of = (topology: Topology, nodes: number) => expectedPeers(topology, dialPlan(topology, nodes, 1));
    expect(of({ kind: 'line' }, 4)).toEqual([1, 2, 2, 1]);
    expect(of({ kind: 'star' }, 4)).toEqual([3, 1, 1, 1]);
    expect(of({ kind: 'ring' }, 4)).toEqual([2, 2, 2, 2]);
    expect(of({ kind: 'full' }, 4)).toEqual([3, 3, 3, 3]);
    expect(of({ kind: 'pex' }, 4)).toEqual([3, 3, 3, 3]);
    expect(of({ kind: 'pex' }, 8)).toEqual([4, 4, 4, 4, 4, 4, 4, 4]);
    expect(of({ kind: 'pex' }, 1)).toEqual([0]);
  });
});

describe('partitions', () => {
  const nodes = ['n0', 'n1', 'n2', 'n3'];
  const sides = [['n0', 'n1'], ['n2']];

  test('a node is kept from all that are not on its side', () => {
    expect(deniedNodes('n0', sides, nodes)).toEqual(['n2', 'n3']);
    expect(deniedNodes('n2', sides, nodes)).toEqual(['n0', 'n1', 'n3']);
    expect(deniedNodes('n0', [], nodes)).toEqual([]);
  });

  test('a node on no side is alone', () => {
    expect(deniedNodes('n3', sides, nodes)).toEqual(['n0', 'n1', 'n2']);
  });

  test('names that do not exist are refused with those that do', () => {
    expect(() => checkSides([['n0', 'n7'], ['bob']], nodes, nodes)).toThrow('there is no node "n7", "bob"');
  });

  test('every running node must be on a side; a stopped one may be left out', () => {
    expect(() => checkSides(sides, nodes, nodes)).toThrow('n3 is on no side of the partition');
    expect(() => checkSides(sides, nodes, ['n0', 'n1', 'n2'])).not.toThrow();
  });
});
