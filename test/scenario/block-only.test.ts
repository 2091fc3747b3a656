/** Block-only links in an overlay of 60 nodes: all have theirs, and an observer of addresses and transactions sees none. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { Network } from '../../devnet/sim/network.ts';
import { localLimits } from '../../node/limits.ts';

const NODES = 60;
const FORMED_WITHIN_MS = 10_000;

interface PeerInfo {
  readonly inbound: boolean;
  readonly connection_type: string;
  readonly addr_relay_enabled: boolean;
  readonly relaytxes: boolean;
  readonly bytessent_per_msg: Readonly<Record<string, number>>;
}

describe('60 nodes that know one address', () => {
  const network = new Network({ params: regtest, seed: 71 });
  const peersOf = (name: string) => network.rpc<PeerInfo[]>(name, 'getpeerinfo');
  const blockOnly = (name: string) => peersOf(name).filter((peer) => peer.connection_type === 'block-relay-only');

  beforeAll(() => {
    network.add('n0');
    for (let i = 1; i < NODES; i++) network.add(`n${i}`, { peers: ['n0'] });
    network.run(FORMED_WITHIN_MS);
  });

  test('all have their block-only links within ten seconds', () => {
    for (const name of network.nodes.keys()) {
      // Whoever is linked with everybody wants none.
      if (peersOf(name).length >= NODES - 1) continue;
      expect(blockOnly(name).length).toBeGreaterThanOrEqual(localLimits.maxOutboundBlockOnly);
    }
  });

  test('say nothing of addresses or transactions on them', () => {
    for (const name of network.nodes.keys()) {
      for (const peer of blockOnly(name)) {
        for (const type of ['addr', 'addrv2', 'getaddr', 'inv', 'tx', 'feefilter']) {
          expect(peer.bytessent_per_msg[type] ?? 0).toBe(0);
        }
      }
    }
  });
});
