/**
 * Inbound slots under siege: whoever delivers blocks keeps its slot, and there is always one for somebody new. The
 * attacker's peers are scripts that do nothing but answer, and come back from another host whenever they are thrown out.
 */
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { ScriptedPeers } from '../../devnet/sim/scripted-peers.ts';
import { localLimits } from '../../node/limits.ts';
import { addressesOf } from '../support/attacker.ts';
import { testKey } from '../support/chain-builder.ts';

const SYBILS = 500;
const address = encodeAddress(testKey(1).publicKey, regtest.hrp);

interface PeerInfo {
  readonly id: number;
  readonly subver: string;
}

/** A victim that dials nobody, and honest nodes that dial it, each from a netgroup of its own. */
function setup(names: readonly string[]): { network: Network; victim: SimNode } {
  const network = new Network({ params: regtest, seed: 31 });
  const victim = network.add('victim', { endpoint: { host: '20.1.0.1', port: 1 }, pex: false });
  for (const name of names) join(network, name);
  network.run(500);
  return { network, victim };
}

function join(network: Network, name: string): void {
  const endpoint = { host: `20.${network.nodes.size + 1}.0.1`, port: 1 };
  network.add(name, { endpoint, pex: false, peers: ['victim'] });
}

/** The victim's number of its link with that node. */
const linkWith = (network: Network, name: string) =>
  network.rpc<PeerInfo[]>('victim', 'getpeerinfo').find(({ subver }) => subver.includes(`devnet:${name}`))?.id;

/** All identities dial, a few at a time. */
function besiege(network: Network, victim: SimNode, groups: number, while_: () => void): ScriptedPeers {
  const sybils = new ScriptedPeers(network);
  const endpoints = addressesOf({ hosts: SYBILS, groups });
  for (const [i, endpoint] of endpoints.entries()) {
    sybils.dial(victim, endpoint);
    if (i % 25 !== 24) continue;
    network.run(200);
    while_();
  }
  return sybils;
}

describe(`${SYBILS} inbound connections of one attacker, in as many slots as there are`, () => {
  test('do not throw out the peer that delivers blocks', () => {
    const { network, victim } = setup(['honest']);
    const link = linkWith(network, 'honest');
    expect(link).toBeDefined();
    const sybils = besiege(network, victim, 100, () => {
      const [hash] = network.rpc<string[]>('honest', 'generatetoaddress', [1, address]);
      network.run(200);
      expect(network.rpc('victim', 'getbestblockhash')).toBe(hash);
      expect(linkWith(network, 'honest')).toBe(link);
    });
    expect(sybils.open.length).toBeLessThan(localLimits.maxInbound);
    // They throw out each other: the last ones got in.
    expect(sybils.open.length).toBeGreaterThan(localLimits.maxInbound / 2);
    expect(sybils.links.slice(-25).some(({ isOpen }) => isOpen)).toBe(true);
  });

  test('leave a slot for somebody new from another netgroup, who then stays', () => {
    const { network, victim } = setup(['honest']);
    const sybils = besiege(network, victim, 5, () => undefined);
    join(network, 'late');
    network.run(2000);
    const link = linkWith(network, 'late');
    expect(link).toBeDefined();
    const more = new ScriptedPeers(network);
    for (const endpoint of addressesOf({ hosts: 2 * SYBILS, groups: 5 }).slice(SYBILS, SYBILS + 100)) {
      more.dial(victim, endpoint);
      network.run(20);
    }
    expect(linkWith(network, 'late')).toBe(link);
    expect(sybils.open.length + more.open.length).toBeLessThan(localLimits.maxInbound);
    const [hash] = network.rpc<string[]>('late', 'generatetoaddress', [1, address]);
    network.run(1000);
    expect(network.rpc('victim', 'getbestblockhash')).toBe(hash);
  });
});
