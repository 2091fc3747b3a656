/** Nodes that local discovery has found: what the core does with them, by the rules of its network. */
import { expect, test } from '@jest/globals';
import { type ChainParams, regtest } from '../../consensus/params.ts';
import type { Endpoint, PeerId } from '../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../node/chain/memory-store.ts';
import { internetLimits, localLimits } from '../../node/limits.ts';
import { createNode } from '../../node/node.ts';
import { SeededRandom } from '../../node/random.ts';

function makeNode(profile: 'local' | 'internet') {
  const params: ChainParams = { ...regtest, loopbackRoutable: profile === 'local' };
  const now = { mono: 1000, unix: 1_700_000_000 };
  const core = createNode({
    params,
    limits: profile === 'local' ? localLimits : internetLimits,
    random: new SeededRandom('found'),
    store: new MemoryStore(),
    blockFiles: new MemoryBlockFiles(),
    rows: { headers: [], addresses: [], pool: [] },
    listen: [],
    connect: [],
    pex: true,
    now,
  });
  const find = (...addresses: readonly Endpoint[]) => {
    const source = { host: addresses[0]?.host ?? '', port: 5353 };
    const actions = [...core.handle({ type: 'addresses-found', addresses, source }, now)];
    actions.push(...core.handle({ type: 'tick' }, { ...now, mono: now.mono + 1000 }));
    return actions.flatMap((action) => (action.type === 'dial' ? [action.target] : []));
  };
  return { core, find, now };
}

test('where private addresses are of use they are learned, and dialled in time', () => {
  const { find } = makeNode('local');
  expect(find({ host: '192.168.1.7', port: 18444 })).toEqual([{ transport: 'ws', host: '192.168.1.7', port: 18444 }]);
});

test('on a public network a node in the house is dialled, unless there is a link to its host', () => {
  const { core, find, now } = makeNode('internet');
  expect(find({ host: '192.168.1.7', port: 18444 })).toEqual([{ transport: 'ws', host: '192.168.1.7', port: 18444 }]);
  core.handle(
    {
      type: 'link-up',
      peer: 0 as PeerId,
      direction: 'inbound',
      transport: 'ws',
      remote: { host: '192.168.1.8', port: 50_000 },
      local: { host: '192.168.1.1', port: 18444 },
    },
    now,
  );
  expect(find({ host: '192.168.1.8', port: 18444 })).toEqual([]);
});
