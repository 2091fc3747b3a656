import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { Direction, Now, PeerId } from '../../../node/boundary.ts';
import { AddressGossip, type AddressGossipOptions } from '../../../node/discovery/address-gossip.ts';
import type { Effect } from '../../../node/effect.ts';
import { internetLimits, type Limits, localLimits } from '../../../node/limits.ts';
import { SeededRandom } from '../../../node/random.ts';
import type { GossipAddress } from '../../../node/wire/message.ts';

const UNIX = 1_700_000_000;
const at = (mono: number): Now => ({ mono, unix: UNIX + Math.floor(mono / 1000) });
const start = at(0);
const id = (number: number) => number as PeerId;
const own = { host: '127.0.0.1', port: 20_000 };

const address = (port: number, changes: Partial<GossipAddress> = {}): GossipAddress => ({
  network: 'ipv4',
  host: '127.0.0.1',
  port,
  services: 9n,
  time: UNIX,
  ...changes,
});
const many = (count: number, first = 1000) => Array.from({ length: count }, (_, i) => address(first + i));

function gossip(options: Partial<AddressGossipOptions> = {}, limits: Partial<Limits> = {}): AddressGossip {
  return new AddressGossip({
    params: regtest,
    random: new SeededRandom('gossip'),
    own: [own],
    services: 0x1000009n,
    pex: true,
    ...options,
    limits: { ...localLimits, ...limits },
  });
}

function add(machine: AddressGossip, peer: number, direction: Direction, addrV2 = true, host = '127.0.0.1'): Effect[] {
  return machine.add(id(peer), { direction, remote: { host, port: 40_000 + peer }, addrV2 }, start);
}

/** What was told, as [peer, type, ports]. */
const told = (effects: readonly Effect[]): [PeerId, string, number[]][] =>
  effects.map((effect) => {
    if (effect.type !== 'message') throw new Error(`unexpected ${effect.type}`);
    const { message } = effect;
    return message.type === 'addr' || message.type === 'addrv2'
      ? [effect.peer, message.type, message.addresses.map(({ port }) => port)]
      : [effect.peer, message.type, []];
  });

describe('a new peer', () => {
  test('hears our own address at once, with our services and the time', () => {
    expect(add(gossip(), 1, 'inbound')).toEqual([
      {
        type: 'message',
        peer: 1,
        message: { type: 'addrv2', addresses: [address(20_000, { services: 0x1000009n })] },
      },
    ]);
  });

  test('is asked for addresses if we dialled it', () => {
    expect(told(add(gossip(), 1, 'outbound'))).toEqual([
      [1, 'addrv2', [20_000]],
      [1, 'getaddr', []],
    ]);
  });

  test('hears it as addr if it did not ask for addrv2', () => {
    expect(told(add(gossip(), 1, 'inbound', false))).toEqual([[1, 'addr', [20_000]]]);
  });

  test('hears of no loopback address unless it is on this machine', () => {
    expect(add(gossip(), 1, 'inbound', true, '10.0.0.2')).toEqual([]);
    expect(told(add(gossip({ own: [own, { host: '10.0.0.1', port: 5 }] }), 1, 'inbound', true, '10.0.0.2'))).toEqual([
      [1, 'addrv2', [5]],
    ]);
  });

  test('hears of no address that others cannot use', () => {
    const params = { ...regtest, loopbackRoutable: false };
    expect(add(gossip({ params, own: [own, { host: 'example.org', port: 1 }] }), 1, 'inbound')).toEqual([]);
  });
});

describe('our own address', () => {
  test('is announced again after a while, even to those who know it', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    for (let i = 0; i < 3; i++) {
      const due = machine.nextDeadline() as number;
      expect(machine.tick(at(due - 1))).toEqual([]);
      expect(told(machine.tick(at(due)))).toEqual([[1, 'addrv2', [20_000]]]);
    }
  });

  test('may change', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    machine.setOwn([{ host: '127.0.0.1', port: 7 }]);
    expect(told(machine.tick(at(machine.nextDeadline() as number)))).toEqual([[1, 'addrv2', [7]]]);
  });
});

describe('getaddr', () => {
  test('is answered once, to an inbound peer, without what it knows', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    machine.onAddresses(id(1), [address(1)], start);
    const sample = () => [address(1), address(2), address(3)];
    expect(told(machine.onGetaddr(id(1), sample, start))).toEqual([[1, 'addrv2', [2, 3]]]);
    expect(machine.onGetaddr(id(1), sample, start)).toEqual([]);
  });

  test('is not answered to a peer that we dialled', () => {
    const machine = gossip();
    add(machine, 1, 'outbound');
    expect(machine.onGetaddr(id(1), () => [address(2)], start)).toEqual([]);
  });

  test('is answered in messages of the allowed size, and in addr without what only addrv2 carries', () => {
    const machine = gossip({}, { maxAddrPerMessage: 2 });
    add(machine, 1, 'inbound', false);
    const tor = address(9, { network: 'torv3', host: 'ab'.repeat(32) });
    expect(told(machine.onGetaddr(id(1), () => [address(1), tor, address(2), address(3)], start))).toEqual([
      [1, 'addr', [1, 2]],
      [1, 'addr', [3]],
    ]);
  });
});

describe('addresses from a peer', () => {
  test('are passed on to two others, within the flush time, and not to whoever knows them', () => {
    const machine = gossip();
    for (let peer = 1; peer <= 6; peer++) add(machine, peer, 'inbound');
    const { learned } = machine.onAddresses(id(1), [address(1)], start);
    expect(learned).toEqual([address(1)]);
    const effects = machine.tick(at(localLimits.addrFlushMs));
    expect(effects).toHaveLength(2);
    const peers = effects.map((effect) => effect.peer);
    expect(peers).not.toContain(1);
    for (const [, type, ports] of told(effects)) expect([type, ports]).toEqual(['addrv2', [1]]);
    // The same two are chosen all day, and they know it now.
    machine.onAddresses(id(1), [address(1)], at(1000));
    expect(machine.tick(at(2000))).toEqual([]);
  });

  test('go to other peers on another day', () => {
    const chosen = new Set<string>();
    for (let day = 0; day < 10; day++) {
      const machine = gossip();
      for (let peer = 1; peer <= 8; peer++) add(machine, peer, 'inbound');
      const now = { mono: 0, unix: UNIX + day * 86_400 };
      machine.onAddresses(id(1), [address(1, { time: now.unix })], now);
      const effects = machine.tick({ ...now, mono: localLimits.addrFlushMs });
      chosen.add(
        effects
          .map((effect) => effect.peer)
          .sort()
          .join(),
      );
    }
    expect(chosen.size).toBeGreaterThan(3);
  });

  test('are not passed on if they are old, many, or the answer that we asked for', () => {
    const machine = gossip({}, { addrTokensMax: 1000, addrTokensPerSecond: 1000 });
    for (let peer = 1; peer <= 3; peer++) add(machine, peer, 'inbound');
    add(machine, 4, 'outbound');
    const passedOn = (now: Now) =>
      told(machine.tick(now))
        .flatMap(([, , ports]) => ports)
        .filter((port) => port !== 20_000);
    machine.onAddresses(id(1), [address(1, { time: UNIX - 600 })], at(1000));
    machine.onAddresses(id(2), many(11), at(1000));
    expect(machine.onAddresses(id(4), [address(4)], at(1000)).learned).toHaveLength(1);
    expect(passedOn(at(1200))).toEqual([]);
    // The answer has come: what follows is news.
    machine.onAddresses(id(4), [address(5)], at(1200));
    expect(passedOn(at(1400))).toEqual([5, 5]);
  });

  test('too many in one message are an offence', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    expect(machine.onAddresses(id(1), many(1001), start)).toEqual({
      effects: [{ type: 'misbehaved', peer: 1, why: 'too-many-addresses' }],
      learned: [],
      listens: [],
    });
  });

  test('are rated: one at first, then one every ten seconds, up to a thousand', () => {
    const machine = gossip({}, internetLimits);
    add(machine, 1, 'inbound');
    expect(machine.onAddresses(id(1), many(5), start).learned).toHaveLength(1);
    expect(machine.onAddresses(id(1), many(5), at(9999)).learned).toHaveLength(0);
    expect(machine.onAddresses(id(1), many(5), at(30_000)).learned).toHaveLength(3);
    expect(machine.onAddresses(id(1), many(1000), at(1e9)).learned).toHaveLength(1000);
    expect(machine.onAddresses(id(1), many(1000), at(1e9)).learned).toHaveLength(0);
    expect(machine.counts(id(1))).toEqual({ processed: 1004, rateLimited: 1011 });
  });

  test('a peer that we asked may answer with a full message', () => {
    const machine = gossip({}, internetLimits);
    add(machine, 1, 'outbound');
    expect(machine.onAddresses(id(1), many(1000), start).learned).toHaveLength(1000);
  });

  test('those of nodes that do not serve the chain, and loopback ones from elsewhere, are not taken', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    add(machine, 2, 'inbound', true, '10.0.0.2');
    expect(machine.onAddresses(id(1), [address(1, { services: 8n })], at(1000)).learned).toEqual([]);
    expect(machine.onAddresses(id(2), [address(1), address(1, { host: '10.0.0.3' })], at(1000)).learned).toEqual([
      address(1, { host: '10.0.0.3' }),
    ]);
  });

  test('implausible times are corrected, so that such addresses are not passed on', () => {
    const machine = gossip();
    for (let peer = 1; peer <= 3; peer++) add(machine, peer, 'inbound');
    const { learned } = machine.onAddresses(id(1), [address(1, { time: UNIX + 3600 })], start);
    expect(learned).toEqual([address(1, { time: UNIX - 432_000 })]);
    expect(machine.tick(at(localLimits.addrFlushMs))).toEqual([]);
  });

  test('the first message of an inbound peer tells where it listens, if it names the host it comes from', () => {
    const machine = gossip();
    add(machine, 1, 'inbound');
    add(machine, 2, 'outbound');
    const first = [address(1), address(2, { host: '10.0.0.9' })];
    expect(machine.onAddresses(id(1), first, start).listens).toEqual([{ host: '127.0.0.1', port: 1 }]);
    expect(machine.onAddresses(id(1), [address(3)], start).listens).toEqual([]);
    expect(machine.onAddresses(id(2), [address(4)], start).listens).toEqual([]);
  });

  test('what is remembered of a peer, and what waits for it, is bounded', () => {
    const machine = gossip(
      {},
      { knownAddressesPerPeer: 10, maxAddrPerMessage: 20, addrTokensPerSecond: 1e6, addrTokensMax: 1e6 },
    );
    add(machine, 1, 'inbound');
    add(machine, 2, 'inbound');
    for (let i = 0; i < 10; i++) machine.onAddresses(id(1), many(10, 1000 + i * 10), at(1));
    const effects = machine.tick(at(1 + localLimits.addrFlushMs));
    expect(told(effects)).toEqual([[2, 'addrv2', many(20, 1080).map(({ port }) => port)]]);
    // Only the last ten are remembered, so an older one would be told again.
    const sample = () => [address(1085), address(1095)];
    expect(told(machine.onGetaddr(id(2), sample, at(2)))).toEqual([[2, 'addrv2', [1085]]]);
  });
});

test('without peer exchange nothing is said, asked or taken', () => {
  const machine = gossip({ pex: false });
  expect(add(machine, 1, 'outbound')).toEqual([]);
  expect(machine.onGetaddr(id(1), () => [address(1)], start)).toEqual([]);
  expect(machine.onAddresses(id(1), [address(1)], start)).toEqual({ effects: [], learned: [], listens: [] });
  expect(machine.nextDeadline()).toBeUndefined();
});

test('a peer that is gone is told nothing', () => {
  const machine = gossip();
  add(machine, 1, 'inbound');
  add(machine, 2, 'inbound');
  machine.onAddresses(id(1), [address(1)], start);
  machine.remove(id(2));
  machine.remove(id(1));
  expect(machine.nextDeadline()).toBeUndefined();
  expect(machine.tick(at(1_000_000))).toEqual([]);
});
