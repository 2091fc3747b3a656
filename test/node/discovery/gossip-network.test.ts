import { describe, expect, test } from '@jest/globals';
import { GossipNetwork } from './gossip-network.ts';

const seeds = Array.from({ length: 20 }, (_, i) => `seed ${i}`);

describe('nodes that know one bootstrap node', () => {
  test('four are all linked with each other within 300 ms', () => {
    for (const seed of seeds) {
      const network = new GossipNetwork(4, seed);
      expect(network.run(300, () => network.isFullMesh())).toBeLessThanOrEqual(300);
    }
  });

  test('of four, hardly any two end with two links', () => {
    let links = 0;
    for (const seed of seeds) {
      const network = new GossipNetwork(4, seed);
      network.run(5000);
      expect(network.isFullMesh()).toBe(true);
      for (const node of network.nodes) links += node.links.size;
    }
    // Three for each of four nodes.
    expect(links / seeds.length).toBeLessThan(12.5);
  });

  test.each([8, 20, 40])('%d all know each other in ten seconds, and all slots are full', (count) => {
    const network = new GossipNetwork(count, 'many');
    const all = () => network.nodes.every((node) => node.table.size === count - 1);
    expect(network.run(10_000, all)).toBeDefined();
    network.run(5000);
    for (const node of network.nodes) {
      expect(node.neighbours().length).toBeGreaterThanOrEqual(Math.min(count - 1, network.limits.maxOutboundFull));
    }
  });

  test('once everybody is linked nobody dials', () => {
    const network = new GossipNetwork(4, 'quiet');
    network.run(2000);
    const dials = network.nodes.map((node) => node.dials);
    network.run(600_000);
    expect(network.nodes.map((node) => node.dials)).toEqual(dials);
  });
});

describe('a node that was killed', () => {
  test.each([
    ['the bootstrap node, with its table', 0, true],
    ['the bootstrap node, without it', 0, false],
    ['another node, with its table', 3, true],
    ['another node, without it', 3, false],
  ])('is linked with everybody again within a second of its restart: %s', (_name, index, keepTable) => {
    for (const seed of seeds) {
      for (const downMs of [100, 1000, 20_000]) {
        const network = new GossipNetwork(4, seed);
        network.run(2000);
        network.kill(index);
        network.run(downMs);
        network.restart(index, keepTable);
        expect([seed, downMs, network.run(1000, () => network.isFullMesh())]).not.toContain(undefined);
      }
    }
  });

  test('is dialled less and less often while it is down', () => {
    const network = new GossipNetwork(4, 'down');
    network.run(2000);
    network.kill(2);
    const before = network.nodes.map((node) => node.dials);
    network.run(60_000);
    for (const [i, node] of network.nodes.entries()) {
      if (i !== 2)
        expect(node.dials - (before[i] as number)).toBeLessThanOrEqual(60_000 / network.limits.redialMaxMs + 3);
    }
  });
});

describe('a partition', () => {
  test('cuts the links between its sides and heals within a second', () => {
    for (const seed of seeds) {
      const network = new GossipNetwork(4, seed);
      network.run(2000);
      network.partition([0, 1]);
      expect(network.nodes.map((node) => node.neighbours())).toEqual([[1], [0], [3], [2]]);
      network.run(30_000);
      expect(network.nodes.map((node) => node.neighbours())).toEqual([[1], [0], [3], [2]]);
      network.partition([]);
      expect(network.run(1000, () => network.isFullMesh())).toBeDefined();
      // One link, not two, between any two nodes.
      network.run(2000);
      expect(network.nodes.reduce((sum, node) => sum + node.links.size, 0)).toBeLessThanOrEqual(14);
    }
  });
});
