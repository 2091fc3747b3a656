/**
 * The overlay of 60 nodes that know one address: it forms by peer exchange alone, and a third of it can die at once.
 * On the in-process network, with the `local` profile, on virtual time.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network } from '../../devnet/sim/network.ts';
import { localLimits } from '../../node/limits.ts';
import { shuffled } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { testKey } from '../support/chain-builder.ts';
import { components, diameter, type OverlayGraph, overlayGraph } from '../support/overlay-graph.ts';

const NODES = 60;
const KILLED = NODES / 3;
/** The aim of the issue for real nodes; these ones lose no time to processes. */
const FORMED_WITHIN_MS = 10_000;
const BLOCK_WITHIN_MS = 1000;
const SEED = 6;

const address = encodeAddress(testKey(1).publicKey, regtest.hrp);

/** `n0`, and 59 nodes that know it and nobody else. All stand at 127.0.0.1: there the port is the netgroup. */
function overlayOf(count: number, seed: number): Network {
  const network = new Network({ params: regtest, seed });
  network.add('n0');
  for (let i = 1; i < count; i++) network.add(`n${i}`, { peers: ['n0'] });
  return network;
}

interface PeerInfo {
  readonly inbound: boolean;
  readonly connection_type: string;
}

const running = (network: Network) => [...network.nodes.values()].filter((node) => node.running);

/** Nodes that still want full outbound links. Whoever is linked with everybody, as the first node may be, wants none. */
function wanting(network: Network): string[] {
  const nodes = running(network);
  return nodes.flatMap(({ name }) => {
    const peers = network.rpc<PeerInfo[]>(name, 'getpeerinfo');
    const outbound = peers.filter(({ connection_type: type }) => type === 'outbound-full-relay').length;
    return outbound >= localLimits.maxOutboundFull || peers.length >= nodes.length - 1 ? [] : [name];
  });
}

/** Virtual time until every node has its full outbound links. */
function formationMs(network: Network): number {
  const began = network.now.mono;
  while (wanting(network).length > 0) {
    if (network.now.mono - began > FORMED_WITHIN_MS) throw new Error(`without links: ${wanting(network)}`);
    network.run(100);
  }
  return network.now.mono - began;
}

/** Virtual time from the making of a block at that node until all running nodes have it as their tip. */
function blockMs(network: Network, miner: string): number {
  const [hash] = network.rpc<string[]>(miner, 'generatetoaddress', [1, address]);
  const began = network.now.mono;
  const isEverywhere = () =>
    running(network).every(({ notices }) => notices.some((notice) => notice.kind === 'tip' && notice.hash === hash));
  network.runUntil(isEverywhere, 60_000, 'the block to be everywhere');
  return network.now.mono - began;
}

describe('60 nodes that know one address', () => {
  let network: Network;
  let formed: number;
  let graph: OverlayGraph;

  beforeAll(() => {
    network = overlayOf(NODES, SEED);
    formed = formationMs(network);
    graph = overlayGraph(network);
  }, 60_000);

  test('all reach their number of outbound links by peer exchange within ten seconds', () => {
    expect(formed).toBeLessThanOrEqual(FORMED_WITHIN_MS);
  });

  test('form one connected overlay in which every node is a few links from every other', () => {
    expect(components(graph)).toHaveLength(1);
    expect(diameter(graph)).toBeLessThanOrEqual(4);
  });

  test('do not hang on the node that all of them know', () => {
    const without = new Map([...graph].filter(([name]) => name !== 'n0'));
    expect(components(without)).toHaveLength(1);
  });

  test('pass a block on to everybody', () => {
    expect(blockMs(network, 'n7')).toBeLessThanOrEqual(BLOCK_WITHIN_MS);
  });

  test('stay connected when a third of them, the first among them, is killed at once, and a block still reaches all', () => {
    const others = [...network.nodes.values()].slice(1);
    const victims = shuffled(others, new SeededRandom('a third')).slice(1, KILLED);
    for (const node of [network.node('n0'), ...victims]) network.kill(node);
    const left = overlayGraph(network);
    expect(left.size).toBe(NODES - KILLED);
    expect(components(left)).toHaveLength(1);
    const [miner] = left.keys();
    expect(blockMs(network, miner as string)).toBeLessThanOrEqual(BLOCK_WITHIN_MS);
  });

  test('then fill the links that they have lost', () => {
    expect(formationMs(network)).toBeLessThanOrEqual(FORMED_WITHIN_MS);
  });

  test('take back those that return without the node that they were told of', () => {
    const dead = [...network.nodes.values()].filter((node) => !node.running && node.name !== 'n0');
    for (const node of dead) network.start(node, { peers: [] });
    network.run(5000);
    expect(components(overlayGraph(network))).toHaveLength(1);
    expect(blockMs(network, dead[0]?.name as string)).toBeLessThanOrEqual(BLOCK_WITHIN_MS);
  });
});

test('60 nodes stay connected when the third with most links is killed at once', () => {
  const network = overlayOf(NODES, SEED + 1);
  formationMs(network);
  const graph = overlayGraph(network);
  const byDegree = [...graph].sort(([, a], [, b]) => b.size - a.size).map(([name]) => name);
  for (const name of byDegree.slice(0, KILLED)) network.kill(network.node(name));
  expect(components(overlayGraph(network))).toHaveLength(1);
  expect(blockMs(network, byDegree.at(-1) as string)).toBeLessThanOrEqual(BLOCK_WITHIN_MS);
}, 60_000);
