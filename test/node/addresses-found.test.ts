/** Nodes that local discovery has found: what the core does with them, by the rules of its network. */
import { expect, test } from '@jest/globals';
import { type ChainParams, regtest } from '../../consensus/params.ts';
import type { Endpoint, PeerId, RequestId } from '../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../node/chain/memory-store.ts';
import { internetLimits, localLimits } from '../../node/limits.ts';
import { createNode } from '../../node/node.ts';
import { SeededRandom } from '../../node/random.ts';
import { encodeMessage } from '../../node/wire/codec.ts';
import type { Message } from '../../node/wire/message.ts';
import { TestChain } from '../support/chain-builder.ts';

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

test('on a public network a found node that is banned is left alone, and one that cheats is not dialled again', () => {
  const { core, find, now } = makeNode('internet');
  const [banned, cheat] = [
    { host: '192.168.1.7', port: 18444 },
    { host: '192.168.1.8', port: 18444 },
  ];
  core.handle({ type: 'request', request: 1 as RequestId, method: 'setban', params: [banned.host, 'add'] }, now);
  expect(find(banned)).toEqual([]);
  const source = { host: cheat.host, port: 5353 };
  const [dial] = core.handle({ type: 'addresses-found', addresses: [cheat], source }, now);
  if (dial?.type !== 'dial') throw new Error('it was not dialled');
  const peer = 1 as PeerId;
  const local = { host: '192.168.1.1', port: 50_000 };
  const direction = 'outbound';
  core.handle({ type: 'link-up', peer, dial: dial.dial, direction, transport: 'ws', remote: cheat, local }, now);
  const version: Message = {
    type: 'version',
    version: 70016,
    services: 9n,
    time: 0n,
    receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
    nonce: 1n,
    userAgent: '/test/',
    startHeight: 0,
    relay: true,
  };
  const offence: Message = { type: 'block', block: TestChain.ofHeight(3).tip };
  const sent: readonly Message[] = [version, { type: 'verack' }, offence];
  const actions = sent.flatMap((message) =>
    core.handle({ type: 'bytes', peer, bytes: encodeMessage(message, regtest.magic) }, now),
  );
  const reason = 'unrequested-orphan-block';
  expect(actions).toContainEqual({ type: 'disconnect', peer, reason });
  core.handle({ type: 'link-down', peer, reason }, now);
  expect(find(cheat)).toEqual([]);
});

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
