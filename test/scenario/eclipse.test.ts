/**
 * An attacker fills a node's address tables through gossip and waits for its restart. Netgroups bound what few netgroups
 * can get, the tried table what many can, and anchors bring the node back to peers that it had.
 *
 * What is expected. A draw takes the new or the tried table with the same chance, and a netgroup that has a link is passed
 * over. So with a links of G netgroups to the attacker, and k of the h honest nodes in tried linked, the next one leads to the
 * attacker with p = w / (w + u), where
 *     w = ((1 - a / G) · (ν + τ)) / 2     and     u = (1 - ν + (1 - τ) · (1 - k / h)) / 2.
 * He owns nearly all of what was heard of, ν → 1, but of what was reached only what the node dialled by itself, τ. His part of
 * the links follows from p by summing over all ways to fill them: the number of his addresses is not in it.
 */
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import { type ScriptedLink, ScriptedPeers } from '../../devnet/sim/scripted-peers.ts';
import type { Endpoint } from '../../node/boundary.ts';
import { localLimits } from '../../node/limits.ts';
import { netgroup } from '../../node/netgroup.ts';
import { addressesOf, gossipOf } from '../support/attacker.ts';
import { testKey } from '../support/chain-builder.ts';

const HONEST = 20;
const ADDRESSES = 1000;
const SOURCES = 16;
const SOURCE_PORT = 9999;
/** So long addresses are told, as many at a time by each source as the rate limit lets through, and some more. */
const POISON_MS = 20_000;
const POISON_EVERY_MS = 1000;
const TOLD = localLimits.addrTokensPerSecond * 1.25;
const SETTLE_MS = 8000;
const ANCHORS_KEY = 'nanchors';
/** Honest nodes dial few, and before the victim comes: whoever has dialled it is linked, and not dialled by it. */
const honestLimits = { ...localLimits, maxOutboundFull: 3, maxOutboundBlockOnly: 0 };
const OUTBOUND = localLimits.maxOutboundFull + localLimits.maxOutboundBlockOnly;

const address = encodeAddress(testKey(1).publicKey, regtest.hrp);

interface PeerInfo {
  readonly addr: string;
  readonly inbound: boolean;
  readonly subver: string;
  readonly connection_type: string;
}

class Siege {
  readonly network: Network;
  readonly victim: SimNode;
  readonly attacker: ScriptedPeers;
  readonly #endpoints: readonly Endpoint[];
  #told = 0;

  /** A victim among honest nodes with all its outbound links, and an attacker who answers at all of its addresses. */
  constructor(seed: number, groups: number) {
    this.network = new Network({ params: regtest, seed });
    const { network } = this;
    for (let i = 0; i < HONEST; i++) {
      const endpoint = { host: `20.${i + 1}.0.1`, port: 1 };
      network.add(`h${i}`, { endpoint, limits: honestLimits, peers: i === 0 ? [] : ['h0'] });
    }
    network.run(2000);
    this.victim = network.add('victim', { endpoint: { host: '20.90.0.1', port: 1 }, peers: ['h0'] });
    network.run(SETTLE_MS);
    expect(this.outbound().filter(isHonest).length).toBeGreaterThanOrEqual(OUTBOUND);
    this.#endpoints = addressesOf({ hosts: ADDRESSES, groups });
    this.attacker = new ScriptedPeers(network, {
      addresses: () => this.#endpoints.map((endpoint) => gossipOf(endpoint, network.now.unix)),
    });
    this.attacker.listen(this.#endpoints);
  }

  poison(): void {
    const { network, victim, attacker } = this;
    // Sources have netgroups of their own, as far as the attacker has any: the new table gives each of them its buckets.
    const sources = this.#endpoints
      .slice(0, SOURCES)
      .map(({ host }) => attacker.dial(victim, { host, port: SOURCE_PORT }));
    const end = network.now.mono + POISON_MS;
    while (network.now.mono < end) {
      for (const source of sources) this.#tell(source);
      network.run(POISON_EVERY_MS);
    }
    for (const source of sources) source.close();
    network.run(100);
  }

  /** The victim without the help of a node that it was told of. */
  restart(options: { readonly anchors: boolean }): void {
    const { network, victim } = this;
    network.stop(victim);
    if (!options.anchors) victim.store.write([[ANCHORS_KEY, null]]);
    network.run(1000);
    network.start(victim, { peers: [] });
    network.run(SETTLE_MS);
  }

  /** Links that the victim made to fill its slots. */
  outbound(): PeerInfo[] {
    const peers = this.network.rpc<PeerInfo[]>('victim', 'getpeerinfo');
    return peers.filter(({ connection_type: type }) => type === 'outbound-full-relay' || type === 'block-relay-only');
  }

  /** How many of so many links lead to the attacker by what the tables hold now. */
  expectedAttackers(links: number, groups: number): number {
    const { all_networks: counts } = this.network.rpc<{ all_networks: { new: number; tried: number } }>(
      'victim',
      'getaddrmaninfo',
    );
    // Whoever is dialled is reached: all of the attacker's addresses answer.
    const dialled = this.attacker.links.filter(({ endpoint }) => endpoint.port !== SOURCE_PORT);
    const attackersTried = new Set(dialled.map(({ endpoint }) => endpoint.host)).size;
    const honestTried = counts.tried - attackersTried;
    const heard = 1 - (HONEST - honestTried) / counts.new;
    const tried = attackersTried / counts.tried;
    const expected = (attackers: number, honest: number): number => {
      if (attackers + honest === links) return attackers;
      const w = (1 - attackers / groups) * (heard + tried);
      const u = 1 - heard + (1 - tried) * Math.max(0, 1 - honest / honestTried);
      const p = w / (w + u);
      return p * expected(attackers + 1, honest) + (1 - p) * expected(attackers, honest + 1);
    };
    return expected(0, 0);
  }

  #tell(source: ScriptedLink): void {
    const { unix } = this.network.now;
    const addresses = Array.from({ length: TOLD }, () =>
      gossipOf(this.#endpoints[this.#told++ % ADDRESSES] as Endpoint, unix),
    );
    source.tell({ type: 'addrv2', addresses });
  }
}

const isHonest = ({ subver }: PeerInfo) => subver.includes('devnet:h');
const groupOf = ({ addr }: PeerInfo) => {
  const at = addr.lastIndexOf(':');
  return netgroup({ host: addr.slice(0, at), port: Number(addr.slice(at + 1)) });
};

/** Extra links that are made for a while may be among them. */
function expectOneOfEachGroup(peers: readonly PeerInfo[]): void {
  expect(new Set(peers.map(groupOf)).size).toBe(peers.length);
}

function expectHonestChain({ network }: Siege): void {
  const [hash] = network.rpc<string[]>('h3', 'generatetoaddress', [1, address]);
  network.run(1000);
  expect(network.rpc('victim', 'getbestblockhash')).toBe(hash);
}

describe(`${ADDRESSES} addresses of one attacker, told by ${SOURCES} peers before a restart`, () => {
  test('in three netgroups get three links at most', () => {
    const groups = 3;
    const siege = new Siege(41, groups);
    siege.poison();
    for (let round = 0; round < 3; round++) {
      siege.restart({ anchors: false });
      const outbound = siege.outbound();
      expectOneOfEachGroup(outbound);
      expect(outbound.filter((peer) => !isHonest(peer)).length).toBeLessThanOrEqual(groups);
      expect(outbound.length).toBeGreaterThanOrEqual(localLimits.maxOutboundFull);
      expectHonestChain(siege);
    }
  });

  test('in a hundred netgroups get the part of the links that follows from the tables, not from their number', () => {
    const groups = 100;
    let links = 0;
    let attackers = 0;
    let expected = 0;
    for (let round = 0; round < 6; round++) {
      const siege = new Siege(150 + round, groups);
      siege.poison();
      const share = siege.expectedAttackers(OUTBOUND, groups) / OUTBOUND;
      siege.restart({ anchors: false });
      const outbound = siege.outbound();
      expectOneOfEachGroup(outbound);
      links += outbound.length;
      attackers += outbound.filter((peer) => !isHonest(peer)).length;
      expected += share * outbound.length;
    }
    // Three standard deviations of a binomial share.
    const share = expected / links;
    const deviation = Math.sqrt((share * (1 - share)) / links);
    expect(Math.abs(attackers / links - share)).toBeLessThanOrEqual(3 * deviation);
  }, 60_000);
});

describe('after a restart with poisoned tables', () => {
  const seeds = [61, 62, 63];

  function honestBlockOnly(seed: number, anchors: boolean): number {
    const siege = new Siege(seed, 100);
    siege.poison();
    siege.restart({ anchors });
    const honest = siege
      .outbound()
      .filter((peer) => peer.connection_type === 'block-relay-only' && isHonest(peer)).length;
    if (honest > 0) expectHonestChain(siege);
    return honest;
  }

  test('anchors bring the node back to honest block-only peers, and more of them than it finds without', () => {
    const withAnchors = seeds.map((seed) => honestBlockOnly(seed, true));
    const without = seeds.map((seed) => honestBlockOnly(seed, false));
    for (const count of withAnchors) expect(count).toBeGreaterThanOrEqual(1);
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    expect(sum(without)).toBeLessThan(sum(withAnchors));
  }, 60_000);
});
