/**
 * How often a core wants to be woken. A deadline that stays in the past makes a node run in circles, and the virtual network
 * stand still at one instant: each test brings one part of the overlay to its deadlines and counts what it asks for.
 */
import { expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { ScriptedPeers } from '../../devnet/sim/scripted-peers.ts';
import type { Endpoint, Event, Millis, Now } from '../../node/boundary.ts';
import { type Limits, localLimits } from '../../node/limits.ts';
import type { Core } from '../../node/ports.ts';

const MINUTE = 60_000;
/** More wake-ups than that without any time between them are a circle. */
const MAX_AT_ONCE = 50;

/** Counts the ticks of a node from now on; throws at a circle. */
function countTicks(node: SimNode): { ticks: number } {
  const core = node.core as Core;
  const count = { ticks: 0 };
  let last: Millis | undefined;
  let atOnce = 0;
  node.core = {
    nextDeadline: () => core.nextDeadline(),
    handle: (event: Event, now: Now) => {
      if (event.type === 'tick') {
        count.ticks++;
        atOnce = last === now.mono ? atOnce + 1 : 0;
        last = now.mono;
        if (atOnce > MAX_AT_ONCE) throw new Error(`${node.name} is woken again and again at ${now.mono} ms`);
      }
      return core.handle(event, now);
    },
  };
  return count;
}

function at(index: number): Endpoint {
  return { host: `127.${index}.0.1`, port: 18_444 };
}

const quickLimits: Limits = {
  ...localLimits,
  feelerIntervalMs: 5000,
  extraBlockOnlyIntervalMs: 10_000,
  surplusCheckMs: 5000,
  surplusMinMs: 3000,
  staleTipMs: 20_000,
  staleCheckMs: 10_000,
};

function network(limits: Partial<Limits> = {}): Network {
  return new Network({ params: regtest, seed: 6, limits: { ...quickLimits, ...limits } });
}

function chainOf(net: Network, count: number): readonly SimNode[] {
  return Array.from({ length: count }, (_, i) =>
    net.add(`n${i}`, {
      endpoint: at(i + 1),
      ...(i === 0 ? {} : { seedNodes: [{ transport: 'ws' as const, ...at(1) }] }),
    }),
  );
}

/** Ticks per minute of the busiest of the nodes. */
function busiest(net: Network, nodes: readonly SimNode[], minutes: number): number {
  const counts = nodes.map(countTicks);
  net.run(minutes * MINUTE);
  return Math.max(...counts.map(({ ticks }) => ticks)) / minutes;
}

test('a network in which all slots are taken is quiet, with feelers, probes and links beyond the slots', () => {
  const net = network();
  const nodes = chainOf(net, 24);
  net.run(MINUTE);
  expect(busiest(net, nodes, 5)).toBeLessThan(200);
});

test('few nodes, who want more links than there are peers, are quiet', () => {
  const net = network();
  const nodes = chainOf(net, 3);
  net.run(MINUTE);
  expect(busiest(net, nodes, 5)).toBeLessThan(150);
});

test('a seed node that tells no addresses is left, without a circle while the link ends', () => {
  const net = network();
  const seed = new ScriptedPeers(net);
  seed.listen([at(200)]);
  const node = net.add('n0', { endpoint: at(1), seedNodes: [{ transport: 'ws', ...at(200) }] });
  expect(busiest(net, [node], 5)).toBeLessThan(150);
  // It answers, so from then on it is a peer like any other.
  expect(seed.closed.map(({ closed }) => closed)).toEqual(['has told no addresses for too long']);
  expect(seed.open).toHaveLength(1);
});

test('a seed node that does not answer is asked ever more seldom', () => {
  const net = network();
  const node = net.add('n0', { endpoint: at(1), seedNodes: [{ transport: 'ws', ...at(200) }] });
  expect(busiest(net, [node], 5)).toBeLessThan(100);
});

test('a node without a network of its own choice is quiet: offline, switched off, banned, denied', () => {
  const net = network();
  const nodes = chainOf(net, 6);
  net.run(MINUTE);
  const [first, second, third, fourth] = nodes as [SimNode, SimNode, SimNode, SimNode];
  net.rpc(first.name, 'setnetworkactive', [false]);
  net.rpc(second.name, 'setban', ['127.0.0.0/8', 'add', 90]);
  net.rpc(third.name, 'setdeny', [{ names: nodes.map(({ name }) => name), endpoints: [] }]);
  net.rpc(fourth.name, 'setmocktime', [net.now.unix]);
  net.rpc(fourth.name, 'setban', ['127.0.0.0/8', 'add', 30]);
  expect(busiest(net, nodes, 5)).toBeLessThan(400);
  net.rpc(first.name, 'setnetworkactive', [true]);
  net.rpc(third.name, 'setdeny', [{ names: [], endpoints: [] }]);
  net.run(MINUTE);
  for (const node of [first, second, third]) expect(node.neighbours().length).toBeGreaterThan(1);
});

test('peers whose chain stays behind are asked and left without a circle', () => {
  const net = network({ chainSyncMs: 20_000, chainSyncAnswerMs: 5000 });
  const others = new ScriptedPeers(net);
  const endpoints = Array.from({ length: 12 }, (_, i) => at(100 + i));
  others.listen(endpoints);
  const node = net.add('n0', { endpoint: at(1) });
  net.rpc('n0', 'generatetoaddress', [3, 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6']);
  for (const { host, port } of endpoints) net.rpc('n0', 'addpeeraddress', [host, port]);
  expect(busiest(net, [node], 5)).toBeLessThan(1000);
  expect(others.closed.length).toBeGreaterThan(8);
});
