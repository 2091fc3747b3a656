/**
 * One attacker with hundreds of identities against one honest link: numbers of peers decide nothing, work that is valid
 * does. On the in-process network; the attacker's peers are scripts (devnet/sim/scripted-peers.ts).
 */
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import type { Block } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { type PeerScript, ScriptedPeers } from '../../devnet/sim/scripted-peers.ts';
import { localLimits } from '../../node/limits.ts';
import { addressesOf } from '../support/attacker.ts';
import { TestChain, testKey } from '../support/chain-builder.ts';

const SYBILS = 200;
const HONEST_HEIGHT = 20;
/** Late enough for the blocks of test chains, which are ten minutes apart. */
const startUnix = regtest.genesis.header.time + 30 * 24 * 3600;
/** All of them get in: what is tested is what they can do then. */
const limits = { ...localLimits, maxInbound: SYBILS + 10 };
const address = encodeAddress(testKey(1).publicKey, regtest.hrp);

interface PeerInfo {
  readonly id: number;
  readonly subver: string;
}

const mine = (network: Network, name: string, count: number) =>
  network.rpc<string[]>(name, 'generatetoaddress', [count, address]);
const tipOf = (network: Network, name: string) => network.rpc<string>(name, 'getbestblockhash');

/** Two honest nodes with one link, and a crowd that dials one of them, the victim. */
function setup(script: PeerScript): { network: Network; victim: SimNode; sybils: ScriptedPeers; honestLink: number } {
  const network = new Network({ params: regtest, seed: 11, limits, startUnix });
  network.add('honest', { endpoint: { host: '20.1.0.1', port: 1 } });
  const victim = network.add('victim', { endpoint: { host: '20.2.0.1', port: 1 }, peers: ['honest'] });
  network.run(500);
  const [link] = network.rpc<PeerInfo[]>('victim', 'getpeerinfo');
  const sybils = new ScriptedPeers(network, script);
  for (const endpoint of addressesOf({ hosts: SYBILS, groups: 50 })) sybils.dial(victim, endpoint);
  network.run(500);
  return { network, victim, sybils, honestLink: link?.id as number };
}

/** The honest link is the one that there was at first, and nobody who is honest was called anything else. */
function expectHonestLink(network: Network, victim: SimNode, honestLink: number): void {
  const peers = network.rpc<PeerInfo[]>('victim', 'getpeerinfo');
  expect(peers.filter(({ subver }) => subver.includes('devnet:honest')).map(({ id }) => id)).toEqual([honestLink]);
  const judged = victim.notices.flatMap((notice) => (notice.kind === 'misbehaved' ? [notice.peer] : []));
  expect(judged).not.toContain(honestLink);
}

function chainOf(height: number): Block[] {
  return TestChain.ofHeight(height, { tag: 'sybil' }).blocks.slice(1);
}

describe(`${SYBILS} peers of one attacker against one honest peer`, () => {
  test('with a valid chain of less work do not keep the node from the heavier one, and are not punished for it', () => {
    const { network, victim, sybils, honestLink } = setup({ chain: chainOf(HONEST_HEIGHT - 1) });
    network.run(5000);
    expect(network.rpc('victim', 'getblockcount')).toBe(HONEST_HEIGHT - 1);
    const tip = mine(network, 'honest', HONEST_HEIGHT).at(-1);
    network.run(2000);
    expect(tipOf(network, 'victim')).toBe(tip);
    expect(tipOf(network, 'honest')).toBe(tip);
    expect(sybils.open).toHaveLength(SYBILS);
    expectHonestLink(network, victim, honestLink);
  });

  test('with a chain of more work that is invalid half way do not get a block behind that into the node', () => {
    const chain = TestChain.ofHeight(HONEST_HEIGHT, { tag: 'sybil' });
    const invalid = chain.extend({ fees: 1n });
    for (let i = 0; i < 2 * HONEST_HEIGHT; i++) chain.extend();
    const { network, victim, honestLink } = setup({ chain: chain.blocks.slice(1) });
    network.run(2000);
    // As far as it is valid it is the heaviest that there is.
    expect(network.rpc('honest', 'getblockcount')).toBe(HONEST_HEIGHT);
    for (let i = 0; i < HONEST_HEIGHT; i++) {
      const [hash] = mine(network, 'honest', 1);
      network.run(500);
      expect(tipOf(network, 'victim')).toBe(hash);
    }
    const rejected = victim.notices.flatMap((notice) => (notice.kind === 'block-rejected' ? [notice.hash] : []));
    expect(rejected).toContain(invalid.header.hash);
    const behind = chain.blocks.slice(HONEST_HEIGHT + 1).map(({ header }) => header.hash as string);
    expect(behind).toEqual(expect.arrayContaining(rejected));
    expectHonestLink(network, victim, honestLink);
  });

  test('that announce a heavier chain and never give its blocks do not hold up the one that can be had', () => {
    const { network, victim, honestLink } = setup({ chain: chainOf(5 * HONEST_HEIGHT), withholdsBodies: true });
    for (let i = 0; i < HONEST_HEIGHT; i++) {
      const [hash] = mine(network, 'honest', 1);
      network.run(1000);
      expect(tipOf(network, 'victim')).toBe(hash);
    }
    expectHonestLink(network, victim, honestLink);
  });

  test('with the heaviest valid chain are followed, whoever they are', () => {
    const chain = chainOf(HONEST_HEIGHT);
    const { network, victim, honestLink } = setup({ chain });
    network.run(2000);
    expect(tipOf(network, 'victim')).toBe(chain.at(-1)?.header.hash);
    expect(tipOf(network, 'honest')).toBe(chain.at(-1)?.header.hash);
    expectHonestLink(network, victim, honestLink);
  });
});

describe('500 inbound connections of one attacker', () => {
  const CROWD = 500;

  test('do not touch the links that the node has chosen itself, and these hold it on the honest chain', () => {
    const network = new Network({ params: regtest, seed: 12, startUnix });
    network.add('h0', { endpoint: { host: '20.1.0.1', port: 1 } });
    for (let i = 1; i < 5; i++) network.add(`h${i}`, { endpoint: { host: `20.${i + 1}.0.1`, port: 1 }, peers: ['h0'] });
    const victim = network.add('victim', { endpoint: { host: '20.9.0.1', port: 1 }, peers: ['h0'] });
    network.run(3000);
    const outbound = () =>
      network
        .rpc<{ id: number; inbound: boolean }[]>('victim', 'getpeerinfo')
        .flatMap(({ id, inbound }) => (inbound ? [] : [id]));
    const before = outbound();
    expect(before.length).toBeGreaterThan(0);
    const sybils = new ScriptedPeers(network, { chain: chainOf(3) });
    for (const endpoint of addressesOf({ hosts: CROWD, groups: 100 })) sybils.dial(victim, endpoint);
    for (let i = 0; i < 10; i++) {
      const [hash] = mine(network, `h${i % 5}`, 1);
      network.run(1000);
      if (i >= 3) expect(tipOf(network, 'victim')).toBe(hash);
    }
    expect(sybils.open.length).toBeLessThanOrEqual(localLimits.maxInbound);
    for (const id of before) expect(outbound()).toContain(id);
  });
});
