import { describe, expect, test } from '@jest/globals';
import { readOptions } from '../../devnet/options.ts';
import type { NodeStatus } from '../../devnet/status.ts';
import { dialPlan, expectedPeers } from '../../devnet/topology.ts';
import {
  checkTopologyFile,
  describeLinks,
  formatTopologyFile,
  loadTopologyFile,
  parseTopologyFile,
} from '../../devnet/topology-file.ts';

const CHAIN = {
  nodes: 3,
  links: [
    { from: 'n1', to: 'n0' },
    { from: 'n1', to: 'n2', direction: 'both' },
  ],
};

describe('a topology file', () => {
  test('says who dials whom, in one direction or both', () => {
    const topology = parseTopologyFile(JSON.stringify(CHAIN), 'chain.json');
    expect(topology).toEqual({ kind: 'file', name: 'chain.json', nodes: 3, dials: [[], [0, 2], [1]] });
    expect(dialPlan(topology, 3, 1)).toEqual([[], [0, 2], [1]]);
    expect(expectedPeers(topology, topology.dials)).toEqual([1, 2, 1]);
  });

  test.each<[unknown, string]>([
    [[], 'a topology is an object'],
    [{ ...CHAIN, edges: [] }, '"edges" is no field of a topology'],
    [{ links: [] }, 'nodes: not a whole number from 1 to 64'],
    [{ nodes: 65, links: [] }, 'nodes: not a whole number from 1 to 64'],
    [{ nodes: 2 }, 'links: not a list'],
    [{ nodes: 2, links: ['n1'] }, 'links[0]: not an object'],
    [{ nodes: 2, links: [{ from: 'n1' }] }, 'links[0].to: it is missing; the nodes are n0 to n1'],
    [{ nodes: 2, links: [{ from: 'n1', to: 'n2' }] }, 'links[0].to: "n2" is no node; the nodes are n0 to n1'],
    [{ nodes: 2, links: [{ from: 'alice', to: 'n0' }] }, 'links[0].from: "alice" is no node'],
    [{ nodes: 2, links: [{ from: 'n1', to: 'n1' }] }, 'links[0]: n1 cannot dial itself'],
    [{ nodes: 2, links: [{ from: 'n1', to: 'n0', delay: 5 }] }, 'links[0].delay: no field of a link'],
    [{ nodes: 2, links: [{ from: 'n1', to: 'n0', direction: 'up' }] }, 'links[0].direction: not "one" or "both"'],
    [
      {
        nodes: 2,
        links: [
          { from: 'n1', to: 'n0' },
          { from: 'n1', to: 'n0' },
        ],
      },
      'links[1]: n1 dials n0 already',
    ],
    [
      {
        nodes: 4,
        links: [
          { from: 'n1', to: 'n0' },
          { from: 'n3', to: 'n2' },
        ],
      },
      'no way leads from n0 to n2, n3',
    ],
  ])('%j is refused with the place', (value, message) => {
    expect(() => checkTopologyFile(value, 'mine.json')).toThrow(
      `mine.json: ${message.startsWith('no way') ? 'links: ' : ''}${message}`,
    );
  });

  test('that is no JSON is refused with the line', () => {
    const text = '{\n  "nodes": 2,\n  "links": [\n    {"from": "n1", "to": "n0"}\n    {"from": "n1"}\n  ]\n}';
    expect(() => parseTopologyFile(text, 'mine.json')).toThrow('mine.json line 5: ');
    expect(() => parseTopologyFile(' '.repeat(1_000_001), 'mine.json')).toThrow('too large');
    expect(() => loadTopologyFile('/nowhere/mine.json')).toThrow('cannot read the topology');
  });

  test('decides how many nodes there are', () => {
    const topology = checkTopologyFile(CHAIN, 'chain.json');
    expect(readOptions({ topology }, '/tmp')).toMatchObject({ nodes: 3, topology });
    expect(readOptions({ topology, nodes: '3' }, '/tmp').nodes).toBe(3);
    expect(() => readOptions({ topology, nodes: '4' }, '/tmp')).toThrow('chain.json has 3 nodes');
  });
});

test('the links of running nodes are described as a file that makes them again', () => {
  const nodes = ['n0', 'n1', 'n2', 'n3'].map((name): NodeStatus => {
    return { name, state: 'running', pid: 1, rpc: '', listen: [] };
  });
  const outbound = new Map([
    ['n0', ['n2']],
    ['n1', ['n0', 'somebody else']],
    ['n2', ['n1', 'n0']],
  ]);
  const file = describeLinks(nodes, outbound);
  expect(file).toEqual({
    nodes: 4,
    links: [
      { from: 'n1', to: 'n0' },
      { from: 'n2', to: 'n0', direction: 'both' },
      { from: 'n2', to: 'n1' },
    ],
  });
  expect(JSON.parse(formatTopologyFile(file))).toEqual(file);
  expect(JSON.parse(formatTopologyFile({ nodes: 1, links: [] }))).toEqual({ nodes: 1, links: [] });
});
