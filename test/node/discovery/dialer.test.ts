import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { DialId, DialTarget, Millis, Now, PeerId } from '../../../node/boundary.ts';
import { AddressManager, type Candidate } from '../../../node/discovery/address-manager.ts';
import { Dialer, type DialerOptions, type DialOrder } from '../../../node/discovery/dialer.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';

const HOST = '127.0.0.1';
const OWN = { host: HOST, port: 10 };
const NEVER = 1e12;
/** Slots alone: no feelers, probes or block-only links. */
const slots = {
  maxOutboundFull: 2,
  maxOutboundBlockOnly: 0,
  feelerIntervalMs: NEVER,
  extraBlockOnlyIntervalMs: NEVER,
} as const;

const at = (mono: number): Now => ({ mono, unix: 1_700_000_000 + Math.floor(mono / 1000) });
const target = (port: number, host = HOST): DialTarget => ({ transport: 'ws', host, port });
/** In the netgroup `group`, which is not 0. */
const inGroup = (group: number, port: number) => target(port, `127.${group}.0.1`);
const peer = (number: number) => number as PeerId;
const ports = (orders: readonly DialOrder[]) => orders.map((order) => order.target.port);
const kinds = (orders: readonly DialOrder[]) => orders.map((order) => order.kind);

type Options = Partial<Omit<DialerOptions, 'limits'>> & { readonly limits?: Partial<Limits> };

function start(options: Options = {}) {
  const limits: Limits = { ...localLimits, ...slots, ...options.limits };
  const table =
    options.table ??
    new AddressManager({ limits, params: regtest, random: new SeededRandom('d'), rows: [], own: [OWN], now: at(0) });
  const dialer = new Dialer({
    random: new SeededRandom('dialer'),
    own: [OWN],
    pex: true,
    publicOnly: false,
    anchors: [],
    seedNodes: [],
    now: at(0),
    ...options,
    limits,
    table,
  });

  const learn = (...targets: readonly (number | DialTarget)[]) => {
    const addresses = targets.map((item) => addressOf(typeof item === 'number' ? target(item) : item));
    table.add(addresses, { host: HOST, port: 1 }, at(0));
  };
  const open = (order: DialOrder, number: number, now: Now, good = true) => {
    const link = dialer.onLinkUp(order.dial, peer(number), order.target);
    if (good) dialer.onHandshake(peer(number), 9n | SERVICE_WEBSOCKET, now);
    return link;
  };
  /** The one dial that is due, answered with a link. */
  const connect = (number: number, now: Now, good = true): DialOrder => {
    const [order, ...more] = dialer.tick(now);
    if (order === undefined || more.length > 0) throw new Error(`${more.length + (order ? 1 : 0)} dials`);
    open(order, number, now, good);
    return order;
  };
  /** Does what is due until then, at the moments that `nextDeadline` names. `answer` says what becomes of a dial. */
  const run = (from: Millis, until: Millis, answer: (order: DialOrder, now: Now) => void) => {
    let wakes = 0;
    for (let next = dialer.nextDeadline(); next !== undefined && next <= until; next = dialer.nextDeadline()) {
      const now = at(Math.max(from, next));
      wakes++;
      if (wakes > 100_000) throw new Error('it does not rest');
      for (const order of dialer.tick(now)) answer(order, now);
    }
    return wakes;
  };
  return { limits, table, dialer, learn, open, connect, run };
}

function addressOf({ host, port }: DialTarget): GossipAddress {
  return { network: 'ipv4', host, port, services: 9n | SERVICE_WEBSOCKET, time: at(0).unix };
}

describe('outbound slots', () => {
  test('are filled from the table, one each interval, until all are taken', () => {
    const { dialer, learn } = start();
    learn(11, 12, 13);
    const first = dialer.tick(at(0));
    expect(kinds(first)).toEqual(['outbound-full-relay']);
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(100);
    expect(dialer.tick(at(99))).toEqual([]);
    const second = dialer.tick(at(100));
    expect(second).toHaveLength(1);
    expect(ports(second)).not.toEqual(ports(first));
    expect(dialer.outboundCount).toBe(2);
    expect(dialer.nextDeadline()).toBeGreaterThan(1_000_000);
    expect(dialer.tick(at(1000))).toEqual([]);
  });

  test('for full links come first, then those for block-only ones; of each as many as the limits say', () => {
    const { dialer, learn, run, open } = start({ limits: { maxOutboundFull: 8, maxOutboundBlockOnly: 2 } });
    learn(...Array.from({ length: 15 }, (_, i) => 11 + i));
    const orders: DialOrder[] = [];
    run(0, 60_000, (order, now) => open(order, orders.push(order), now));
    expect(kinds(orders)).toEqual([...Array(8).fill('outbound-full-relay'), ...Array(2).fill('block-relay-only')]);
    expect(new Set(ports(orders)).size).toBe(10);
    expect(dialer.counts()).toEqual({
      inbound: 0,
      'outbound-full-relay': 8,
      'block-relay-only': 2,
      feeler: 0,
      'addr-fetch': 0,
      manual: 0,
    });
  });

  test('that are free again are filled again, with a link of the kind that ended', () => {
    const { dialer, learn, connect } = start({ limits: { maxOutboundFull: 1, maxOutboundBlockOnly: 1 } });
    learn(11, 12, 13, 14);
    connect(1, at(0));
    expect(connect(2, at(100)).kind).toBe('block-relay-only');
    dialer.onLinkDown(peer(2), at(1000));
    expect(connect(3, at(1000)).kind).toBe('block-relay-only');
    dialer.onLinkDown(peer(1), at(2000));
    expect(connect(4, at(2000)).kind).toBe('outbound-full-relay');
  });

  test('the transport follows the service bits', () => {
    const { table, dialer } = start();
    const fields = { network: 'ipv4', host: HOST, time: at(0).unix } as const;
    table.add([{ ...fields, port: 11, services: 9n }], OWN, at(0));
    expect(dialer.tick(at(0))).toMatchObject([{ target: { transport: 'tcp', port: 11 } }]);
    table.add([{ ...fields, port: 12, services: 9n | SERVICE_WEBSOCKET }], OWN, at(100));
    expect(dialer.tick(at(100))).toMatchObject([{ target: { transport: 'ws', port: 12 } }]);
  });

  test('a failed dial frees its slot and backs off', () => {
    const { dialer, learn } = start();
    learn(11);
    const [order] = dialer.tick(at(0));
    dialer.onDialFailed((order as DialOrder).dial, at(10));
    expect(dialer.outboundCount).toBe(0);
    expect(dialer.tick(at(100))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(510);
    expect(ports(dialer.tick(at(510)))).toEqual([11]);
  });

  test('a link without a handshake counts as a failure, a good one is dialled again soon', () => {
    const { dialer, learn, connect } = start();
    learn(11);
    connect(1, at(0), false);
    dialer.onLinkDown(peer(1), at(100));
    expect(dialer.tick(at(599))).toEqual([]);
    connect(2, at(600));
    dialer.onLinkDown(peer(2), at(10_000));
    expect(dialer.tick(at(10_499))).toEqual([]);
    expect(ports(dialer.tick(at(10_500)))).toEqual([11]);
  });

  test('with nothing to dial there is no deadline, until something is learned', () => {
    const { dialer, learn } = start();
    expect(dialer.nextDeadline()).toBeDefined();
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(dialer.nextDeadline());
    learn(11);
    expect(dialer.nextDeadline()).toBeLessThanOrEqual(100);
    expect(ports(dialer.tick(at(100)))).toEqual([11]);
  });

  test('without peer exchange they stay empty, and nobody else is dialled either', () => {
    const anchors = [target(12)];
    const { dialer, learn } = start({ pex: false, anchors, seedNodes: [target(13)], limits: localLimits });
    learn(11);
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
  });
});

describe('among the automatic links', () => {
  test('no two are in one netgroup, be they full or block-only', () => {
    const { learn, open, run, dialer } = start({ limits: { maxOutboundFull: 4, maxOutboundBlockOnly: 2 } });
    for (let group = 1; group <= 6; group++) learn(inGroup(group, 11), inGroup(group, 12), inGroup(group, 13));
    const orders: DialOrder[] = [];
    run(0, 60_000, (order, now) => open(order, orders.push(order), now));
    expect(orders.map((order) => order.target.host).sort()).toEqual([1, 2, 3, 4, 5, 6].map((g) => `127.${g}.0.1`));
    expect(dialer.outboundCount).toBe(6);
  });

  test('a netgroup is free again when its link or dial has ended', () => {
    const { dialer, learn, connect } = start();
    learn(inGroup(1, 11), inGroup(1, 12));
    const first = connect(1, at(0));
    expect(dialer.tick(at(1000))).toEqual([]);
    dialer.onLinkDown(peer(1), at(2000));
    const [second] = dialer.tick(at(2000)) as [DialOrder];
    expect(second.target.port).toBe(23 - first.target.port);
    expect(dialer.tick(at(3000))).toEqual([]);
    dialer.onDialFailed(second.dial, at(4000));
    expect(ports(dialer.tick(at(4000)))).toEqual([first.target.port]);
  });

  test('what was reached under a name counts by the address, too', () => {
    const { dialer, learn } = start({ anchors: [target(20, 'a.test')], limits: { maxOutboundBlockOnly: 1 } });
    const [anchor] = dialer.tick(at(0)) as [DialOrder];
    dialer.onLinkUp(anchor.dial, peer(1), inGroup(1, 20));
    learn(inGroup(1, 11), target(12, 'b.test'));
    expect(dialer.tick(at(1000))).toEqual([]);
  });

  test('manual links, address fetches and feelers do not count', () => {
    const { dialer, learn, open } = start({ seedNodes: [inGroup(1, 21)] });
    dialer.addManual(inGroup(1, 20), at(0));
    for (const [i, order] of dialer.tick(at(0)).entries()) open(order, i + 1, at(0));
    expect(dialer.counts()).toMatchObject({ manual: 1, 'addr-fetch': 1 });
    learn(inGroup(1, 11));
    expect(ports(dialer.tick(at(1000)))).toEqual([11]);
  });

  test('what was tried lately is passed over for thirty draws, and then taken', () => {
    const { limits } = start();
    const drawn: number[] = [];
    class Scripted extends AddressManager {
      script: (draw: number) => number = () => 0;
      override select(): Candidate {
        drawn.push(this.script(drawn.length));
        const port = drawn.at(-1) as number;
        return { address: addressOf(target(port)), tried: true, lastTry: port === 11 ? 4000 : 1000 };
      }
    }
    const make = (script: (draw: number) => number) => {
      drawn.length = 0;
      const options = { limits, params: regtest, random: new SeededRandom('s'), rows: [], own: [], now: at(0) };
      const table = new Scripted(options);
      table.script = script;
      return start({ table }).dialer.tick(at(5000));
    };
    expect(ports(make(() => 11))).toEqual([11]);
    expect(drawn).toHaveLength(31);
    expect(ports(make((draw) => (draw < 7 ? 11 : 12)))).toEqual([12]);
    expect(drawn).toHaveLength(8);
  });

  test('what strangers named is dialled in public only, on a public network; what users named is not', () => {
    const options = { publicOnly: true, anchors: [target(12)], seedNodes: [target(13)] };
    const { dialer, learn } = start({ ...options, limits: { maxOutboundBlockOnly: 1 } });
    dialer.addManual(target(14), at(0));
    dialer.dialOnce(target(15));
    const orders = dialer.tick(at(0));
    learn(11);
    orders.push(...dialer.tick(at(100)));
    const told = orders.map(({ target: { port }, publicOnly }) => [port, publicOnly]);
    expect(told).toEqual([
      [15, false],
      [14, false],
      [13, false],
      [12, true],
      [11, true],
    ]);
  });
});

describe('an endpoint is not dialled', () => {
  test('while a dial or a link to it is under way', () => {
    const { dialer, learn } = start();
    learn(11);
    const [order] = dialer.tick(at(0)) as [DialOrder];
    expect(dialer.tick(at(1000))).toEqual([]);
    dialer.onLinkUp(order.dial, peer(1), order.target);
    expect(dialer.tick(at(2000))).toEqual([]);
  });

  test('while an inbound peer lives that listens there', () => {
    const { dialer, learn } = start();
    learn(11);
    dialer.onInboundEndpoint(peer(1), { host: HOST, port: 11 });
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.tick(at(1_000_000))).toEqual([]);
    dialer.onLinkDown(peer(1), at(1_000_000));
    expect(ports(dialer.tick(at(1_000_000)))).toEqual([11]);
  });

  test('beyond ten of an inbound peer, so that it cannot keep us from the rest of the network', () => {
    const { dialer, learn } = start();
    for (let port = 100; port < 120; port++) dialer.onInboundEndpoint(peer(1), { host: HOST, port });
    learn(109, 110);
    expect(ports(dialer.tick(at(0)))).toEqual([110]);
  });

  test('if it is our own, or turned out to be', () => {
    const { dialer, learn, connect } = start();
    expect(dialer.addManual(target(10), at(0))).toBe(true);
    expect(dialer.tick(at(0))).toEqual([]);
    learn(11);
    connect(1, at(0), false);
    dialer.onSelf(peer(1));
    dialer.onLinkDown(peer(1), at(0));
    expect(dialer.tick(at(100_000))).toEqual([]);
    expect(dialer.tick(at(10_000_000))).toEqual([]);
  });

  test('while it is denied; afterwards it is tried at once', () => {
    const { dialer, learn } = start();
    dialer.addManual(target(20), at(0));
    learn(11);
    dialer.setDeny(({ port }) => port === 11 || port === 20, at(0));
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.tick(at(59_999))).toEqual([]);
    dialer.setDeny(() => false, at(60_000));
    expect(ports(dialer.tick(at(60_000))).sort()).toEqual([11, 20]);
  });
});

describe('a manual target', () => {
  test('is dialled at once, beside the slots, and is known as manual', () => {
    const { dialer, learn } = start();
    learn(11);
    dialer.addManual(target(20), at(0));
    const orders = dialer.tick(at(0));
    expect(ports(orders)).toEqual([20, 11]);
    const [manual, automatic] = orders as [DialOrder, DialOrder];
    expect(dialer.onLinkUp(manual.dial, peer(1), target(20))).toMatchObject({ target: target(20), kind: 'manual' });
    expect(dialer.onLinkUp(automatic.dial, peer(2), target(11))).toMatchObject({ kind: 'outbound-full-relay' });
    expect(dialer.outboundCount).toBe(1);
    expect(dialer.counts()).toMatchObject({ manual: 1, 'outbound-full-relay': 1 });
  });

  test('that does not answer is dialled again after a time that doubles to its limit', () => {
    const { dialer, connect } = start();
    dialer.addManual(target(20), at(0));
    let now = 0;
    for (const delay of [500, 1000, 2000, 2000]) {
      const [order] = dialer.tick(at(now)) as [DialOrder];
      dialer.onDialFailed(order.dial, at(now));
      expect(dialer.tick(at(now + delay - 1))).toEqual([]);
      expect(dialer.nextDeadline()).toBe(now + delay);
      now += delay;
    }
    connect(1, at(now));
    dialer.onLinkDown(peer(1), at(now));
    expect(dialer.tick(at(now))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(now + 500);
  });

  test('is told to its user when it fails, once until it was reached', () => {
    const { dialer, learn, connect } = start();
    const fail = (now: Now) => {
      const [order] = dialer.tick(now);
      return dialer.onDialFailed((order as DialOrder).dial, now);
    };
    dialer.addManual(target(20), at(0));
    expect(fail(at(0))).toEqual(target(20));
    expect(fail(at(10_000))).toBeUndefined();
    connect(1, at(30_000), false);
    expect(dialer.onLinkDown(peer(1), at(30_000))).toBeUndefined();
    connect(2, at(60_000));
    expect(dialer.onLinkDown(peer(2), at(60_000))).toBeUndefined();
    expect(fail(at(90_000))).toEqual(target(20));
    // What the table gave is nobody's wish.
    dialer.removeManual(target(20));
    learn(11);
    expect(fail(at(200_000))).toBeUndefined();
  });

  test('that backs off is not dialled because it was learned of, too', () => {
    const { dialer, learn } = start();
    dialer.addManual(target(20), at(0));
    for (const mono of [0, 500, 1500]) {
      const [order] = dialer.tick(at(mono)) as [DialOrder];
      dialer.onDialFailed(order.dial, at(mono));
    }
    learn(20);
    expect(dialer.tick(at(3499))).toEqual([]);
    expect(kinds(dialer.tick(at(3500)))).toEqual(['manual']);
  });

  test('that is linked is not dialled, by name or by the address that was reached', () => {
    const { table, dialer } = start();
    dialer.addManual(target(20, 'localhost'), at(0));
    const [order] = dialer.tick(at(0)) as [DialOrder];
    dialer.onLinkUp(order.dial, peer(1), { host: HOST, port: 20 });
    dialer.onHandshake(peer(1), 9n, at(0));
    // The handshake taught us the address; it is not dialled beside the name.
    expect(table.entries()).toMatchObject([{ host: HOST, port: 20 }]);
    dialer.addManual(target(20), at(0));
    expect(dialer.tick(at(10_000))).toEqual([]);
    dialer.onLinkDown(peer(1), at(10_000));
    expect(dialer.tick(at(20_000))).toHaveLength(2);
  });

  test('on this machine is content with its own link to us; elsewhere it is dialled all the same', () => {
    const { dialer } = start();
    dialer.onInboundEndpoint(peer(1), { host: HOST, port: 20 });
    dialer.onInboundEndpoint(peer(2), { host: '10.0.0.2', port: 20 });
    dialer.addManual(target(20), at(0));
    dialer.addManual(target(20, '10.0.0.2'), at(0));
    expect(dialer.tick(at(0)).map((order) => order.target.host)).toEqual(['10.0.0.2']);
    dialer.onLinkDown(peer(1), at(10));
    expect(dialer.tick(at(10)).map((order) => order.target.host)).toEqual([HOST]);
  });

  test('is added once, listed, and no longer dialled when it is removed', () => {
    const { dialer, connect } = start();
    expect(dialer.addManual(target(20), at(0))).toBe(true);
    expect(dialer.addManual(target(20), at(0))).toBe(false);
    expect(dialer.manualTargets()).toEqual([target(20)]);
    connect(1, at(0));
    expect(dialer.removeManual(target(20))).toBe(true);
    expect(dialer.removeManual(target(20))).toBe(false);
    dialer.onLinkDown(peer(1), at(0));
    expect(dialer.manualTargets()).toEqual([]);
  });

  test('behind wss:// is another one for another path', () => {
    const { dialer } = start();
    const first = { transport: 'wss', host: 'a.test', port: 443, path: '/one' } as const;
    dialer.addManual(first, at(0));
    dialer.addManual({ ...first, path: '/two' }, at(0));
    expect(dialer.tick(at(0)).map((order) => order.target.path)).toEqual(['/one', '/two']);
  });

  test('of addnode onetry is dialled once, whatever slots are free', () => {
    const { dialer, learn } = start();
    learn(11, 12);
    dialer.tick(at(0));
    dialer.tick(at(100));
    dialer.dialOnce(target(20));
    expect(dialer.nextDeadline()).toBeLessThanOrEqual(100);
    const [order] = dialer.tick(at(100)) as [DialOrder];
    expect(order).toMatchObject({ target: target(20), kind: 'manual' });
    dialer.onDialFailed(order.dial, at(200));
    expect(dialer.tick(at(200))).toEqual([]);
  });
});

describe('a node on the local network', () => {
  const found = (last: number) => ({ host: `192.168.1.${last}`, port: 18444 });
  const dialled = (orders: readonly DialOrder[]) => orders.map((order) => order.target.host);

  test('is dialled once, beside the slots, and says where it came from', () => {
    const { dialer } = start({ publicOnly: true });
    dialer.dialFound(found(1));
    const [order] = dialer.tick(at(0)) as [DialOrder];
    expect(order).toMatchObject({ target: { transport: 'ws', ...found(1) }, kind: 'manual', publicOnly: false });
    expect(dialer.onLinkUp(order.dial, peer(1), found(1))).toMatchObject({ kind: 'manual', origin: 'lan' });
    dialer.onLinkDown(peer(1), at(10));
    expect(dialer.tick(at(1e6))).toEqual([]);
  });

  test('is one of few, and of one host only one', () => {
    const { dialer } = start();
    for (let last = 1; last < 100; last++) {
      dialer.dialFound(found(last));
      dialer.dialFound({ ...found(last), port: 18445 });
    }
    expect(dialled(dialer.tick(at(0)))).toEqual([1, 2, 3, 4].map((last) => `192.168.1.${last}`));
  });

  test('is left alone where it is denied, ours, named by the user, or addresses are not to be used', () => {
    const { dialer } = start({ own: [found(1)] });
    dialer.setDeny(({ host }) => host === found(2).host, at(0));
    dialer.addManual(target(18444, found(3).host), at(0));
    for (const last of [1, 2, 3]) dialer.dialFound(found(last));
    expect(dialled(dialer.tick(at(0)))).toEqual([found(3).host]);
    const { dialer: alone } = start({ pex: false });
    alone.dialFound(found(1));
    expect(alone.tick(at(0))).toEqual([]);
  });
});

describe('names', () => {
  const named = (name: string): GossipAddress => ({
    network: 'wss',
    host: name,
    port: 443,
    services: 9n | SERVICE_WEBSOCKET,
    time: at(0).unix,
  });

  test('of several owners that lead to one netgroup get one slot, not all', () => {
    const { dialer, table } = start({ limits: { maxOutboundFull: 3 } });
    table.add([named('a.example.com'), named('b.example.net'), named('c.example.org')], OWN, at(0));
    const remotes = [
      { host: '20.1.0.1', port: 443 },
      { host: '20.1.9.9', port: 443 },
      { host: '20.2.0.1', port: 443 },
    ];
    const crowded = remotes.map((remote, index) => {
      const [order] = dialer.tick(at(100 * index)) as [DialOrder];
      dialer.onLinkUp(order.dial, peer(index), remote);
      return dialer.isCrowded(peer(index));
    });
    expect(crowded).toEqual([false, true, false]);
  });
});

describe('without slots', () => {
  test('nobody is dialled but whom the user names', () => {
    const limits = { maxOutboundFull: 0, maxOutboundBlockOnly: 0, feelerIntervalMs: 1000 };
    const { dialer, learn, run } = start({ limits, seedNodes: [target(30)], anchors: [target(31)] });
    learn(11, 12);
    dialer.setTipStale(true);
    dialer.dialFound({ host: '192.168.1.1', port: 18444 });
    const orders: DialOrder[] = [];
    run(0, 1e6, (order) => orders.push(order));
    expect(orders).toEqual([]);
    dialer.addManual(target(20), at(1e6));
    expect(ports(dialer.tick(at(1e6)))).toEqual([20]);
  });
});

describe('anchors', () => {
  const anchors = [inGroup(1, 20), inGroup(2, 21)];
  const limits = { maxOutboundFull: 1, maxOutboundBlockOnly: 2 };

  test('are dialled first, as block-only links, one each interval', () => {
    const { dialer, learn, connect } = start({ anchors, limits });
    learn(11, 12);
    expect(connect(1, at(0))).toMatchObject({ kind: 'block-relay-only', target: anchors[0] });
    expect(dialer.tick(at(99))).toEqual([]);
    expect(connect(2, at(100))).toMatchObject({ kind: 'block-relay-only', target: anchors[1] });
    expect(connect(3, at(200))).toMatchObject({ kind: 'outbound-full-relay' });
  });

  test('are dialled once: one that fails is like any other address', () => {
    const { dialer } = start({ anchors, limits });
    for (const mono of [0, 100]) {
      const [order] = dialer.tick(at(mono)) as [DialOrder];
      dialer.onDialFailed(order.dial, at(mono));
    }
    expect(dialer.tick(at(1_000_000))).toEqual([]);
  });

  test('take their netgroups, and are passed over where one is taken, or where they are ours, named or denied', () => {
    const own = [inGroup(3, 20)];
    const all = [anchors[0], inGroup(1, 30), own[0], inGroup(4, 20), inGroup(5, 20), anchors[1]] as DialTarget[];
    const { dialer, learn, connect } = start({ anchors: all, own, limits });
    dialer.setDeny(({ host }) => host === '127.5.0.1', at(0));
    dialer.addManual(inGroup(4, 20), at(0));
    for (const order of dialer.tick(at(0))) dialer.onLinkUp(order.dial, peer(order.dial), order.target);
    expect(dialer.counts()).toMatchObject({ manual: 1, 'block-relay-only': 1 });
    expect(connect(10, at(100)).target).toEqual(anchors[1]);
    learn(inGroup(1, 11), inGroup(2, 11), inGroup(6, 11));
    expect(connect(11, at(200)).target).toEqual(inGroup(6, 11));
  });

  test('that are all unfit cost no time', () => {
    const { learn, connect } = start({ anchors: [OWN as DialTarget, OWN as DialTarget], limits });
    learn(11);
    expect(connect(1, at(0))).toMatchObject({ kind: 'outbound-full-relay', target: { port: 11 } });
  });

  test('of the next start are the block-only links that are good, the oldest first and at most two', () => {
    const { dialer, open, learn } = start({ limits: { maxOutboundFull: 0, maxOutboundBlockOnly: 4 } });
    learn(11, 12, 13, 14);
    const orders = [0, 100, 200, 300].map((mono) => dialer.tick(at(mono))[0] as DialOrder);
    expect(dialer.anchors()).toEqual([]);
    for (const [i, order] of orders.entries()) open(order, i + 1, at(400), i > 0);
    expect(dialer.anchors()).toEqual([orders[1]?.target, orders[2]?.target]);
    dialer.onLinkDown(peer(2), at(500));
    expect(dialer.anchors()).toEqual([orders[2]?.target, orders[3]?.target]);
  });
});

describe('seed nodes', () => {
  const seedNodes = [target(20, 'a.test'), target(20, 'b.test'), target(20, 'c.test')];
  const hosts = (orders: readonly DialOrder[]) => orders.map((order) => order.target.host);

  test('are asked at the start if no address is known, one each interval, until one is', () => {
    const { dialer, learn } = start({ seedNodes });
    const first = dialer.tick(at(0));
    expect(kinds(first)).toEqual(['addr-fetch']);
    expect(dialer.tick(at(99))).toEqual([]);
    const second = dialer.tick(at(100));
    expect(new Set(hosts([...first, ...second])).size).toBe(2);
    learn(11);
    expect(kinds(dialer.tick(at(200)))).toEqual(['outbound-full-relay']);
    expect(dialer.counts()).toMatchObject({ 'addr-fetch': 2, 'outbound-full-relay': 1 });
  });

  test('are each asked first by some', () => {
    const firsts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].flatMap((seed) =>
      hosts(start({ seedNodes, random: new SeededRandom(seed) }).dialer.tick(at(0))),
    );
    expect(new Set(firsts).size).toBe(3);
  });

  test('are asked again, later each time, while no address is known', () => {
    const { dialer, run } = start({ seedNodes: [target(20, 'a.test')] });
    const times: Millis[] = [];
    run(0, 10_000, (order, now) => {
      times.push(now.mono);
      dialer.onDialFailed(order.dial, now);
    });
    expect(times).toEqual([0, 500, 1500, 3500, 5500, 7500, 9500]);
  });

  test('that answer and know nobody are asked again, later', () => {
    const { dialer, connect } = start({ seedNodes: [target(20, 'a.test')] });
    const [order] = dialer.tick(at(0)) as [DialOrder];
    dialer.onLinkUp(order.dial, peer(1), { host: '0.0.0.0', port: 20 });
    dialer.onHandshake(peer(1), 9n, at(10));
    expect(dialer.tick(at(5000))).toEqual([]);
    dialer.onLinkDown(peer(1), at(5000));
    expect(dialer.tick(at(5499))).toEqual([]);
    expect(connect(2, at(5500)).kind).toBe('addr-fetch');
  });

  test('are left alone by who knows addresses and finds peers', () => {
    const { learn, open, run } = start({ seedNodes });
    learn(11, 12, 13);
    const orders: DialOrder[] = [];
    run(0, 1_000_000, (order, now) => open(order, orders.push(order), now));
    expect(kinds(orders)).toEqual(['outbound-full-relay', 'outbound-full-relay']);
  });

  test('are asked one after the other, each once, by whom the known addresses lead nowhere', () => {
    const { dialer, learn, run } = start({ seedNodes });
    learn(11);
    const asked: [Millis, string][] = [];
    run(0, 100_000, (order, now) => {
      if (order.kind === 'addr-fetch') asked.push([now.mono, order.target.host]);
      dialer.onDialFailed(order.dial, now);
    });
    expect(asked.map(([mono]) => mono)).toEqual([2000, 4000, 6000]);
    expect(asked.map(([, host]) => host).sort()).toEqual(['a.test', 'b.test', 'c.test']);
  });

  test('that are linked already, named by the user, denied or ourselves are not asked', () => {
    const { dialer } = start({ seedNodes: [...seedNodes, OWN as DialTarget] });
    dialer.addManual(target(20, 'a.test'), at(0));
    dialer.onInboundEndpoint(peer(9), { host: 'b.test', port: 20 });
    dialer.setDeny(({ host }) => host === 'c.test', at(0));
    expect(kinds(dialer.tick(at(0)))).toEqual(['manual']);
    expect(dialer.tick(at(100_000))).toEqual([]);
  });
});

describe('feelers', () => {
  const limits = { maxOutboundFull: 1, feelerIntervalMs: 10_000 };
  class Colliding extends AddressManager {
    tested: GossipAddress | undefined;
    resolved = 0;
    override collision() {
      return this.tested;
    }
    override resolveCollisions(now: Now) {
      this.resolved++;
      super.resolveCollisions(now);
    }
  }
  const colliding = () =>
    new Colliding({
      limits: localLimits,
      params: regtest,
      random: new SeededRandom('c'),
      rows: [],
      own: [],
      now: at(0),
    });

  test('go to addresses that were never reached, at random times with the mean that the limits say', () => {
    const { dialer, learn, run, open } = start({ limits });
    for (let group = 1; group <= 200; group++) learn(inGroup(group, 11), inGroup(group, 12));
    let peers = 0;
    const times: Millis[] = [];
    const felt = new Set<string>();
    run(0, 2_000_000, (order, now) => {
      open(order, ++peers, now);
      if (order.kind !== 'feeler') return;
      times.push(now.mono);
      felt.add(`${order.target.host}:${order.target.port}`);
      dialer.onLinkDown(peer(peers), now);
    });
    expect(times.length).toBeGreaterThan(160);
    expect(times.length).toBeLessThan(240);
    // None twice: who was reached is no longer new.
    expect(felt.size).toBe(times.length);
    expect(dialer.counts()).toMatchObject({ 'outbound-full-relay': 1, feeler: 0 });
  });

  test('wait while there is a slot to fill, and for each other', () => {
    const { dialer, learn } = start({ limits: { ...limits, maxOutboundFull: 2 } });
    learn(11, 12, 13, 14);
    expect(kinds(dialer.tick(at(200_000)))).toEqual(['outbound-full-relay']);
    const [, feeler] = dialer.tick(at(200_100)) as [DialOrder, DialOrder];
    expect(feeler.kind).toBe('feeler');
    expect(dialer.tick(at(900_000))).toEqual([]);
    dialer.onDialFailed(feeler.dial, at(900_000));
    expect(kinds(dialer.tick(at(900_000)))).toEqual(['feeler']);
  });

  test('do not wait for slots that nobody can fill, and care for no netgroup', () => {
    const { dialer, learn, connect } = start({ limits: { ...limits, maxOutboundFull: 8 } });
    learn(inGroup(1, 11), inGroup(1, 12));
    connect(1, at(0));
    expect(dialer.tick(at(100))).toEqual([]);
    expect(kinds(dialer.tick(at(200_000)))).toEqual(['feeler']);
  });

  test('do not wait for slots whose candidates back off', () => {
    const { dialer, learn, connect } = start({
      limits: { maxOutboundFull: 8, feelerIntervalMs: 1, redialMs: 60_000, redialMaxMs: 60_000 },
    });
    learn(inGroup(1, 11));
    connect(1, at(0));
    learn(inGroup(1, 12), inGroup(2, 13));
    const [order] = dialer.tick(at(100)) as [DialOrder];
    expect(order.target).toEqual(inGroup(2, 13));
    dialer.onDialFailed(order.dial, at(100));
    expect(connect(2, at(200))).toMatchObject({ kind: 'feeler', target: inGroup(1, 12) });
    dialer.onLinkDown(peer(2), at(300));
    expect(kinds(dialer.tick(at(60_100)))).toEqual(['outbound-full-relay']);
  });

  test('look for an address to test when a new one was reached', () => {
    const table = colliding();
    const { dialer, learn, connect } = start({ table, limits });
    learn(11);
    connect(1, at(0), false);
    expect(dialer.tick(at(200_000))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
    table.tested = addressOf(target(20));
    dialer.onHandshake(peer(1), 9n, at(200_000));
    expect(connect(2, at(400_000))).toMatchObject({ kind: 'feeler', target: target(20) });
  });

  test('rest when there is nobody new, until somebody is', () => {
    const { dialer, learn, connect } = start({ limits });
    learn(11);
    connect(1, at(0));
    expect(dialer.tick(at(200_000))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
    learn(12);
    expect(dialer.nextDeadline()).toBeLessThan(400_000);
    expect(kinds(dialer.tick(at(400_000)))).toEqual(['feeler']);
  });

  test('go first to the tried address that a newly reached one would displace', () => {
    const table = colliding();
    const { dialer, learn, connect } = start({ table, limits });
    learn(11, 12, 13);
    connect(1, at(0));
    table.tested = addressOf(target(20));
    expect(connect(2, at(200_000))).toMatchObject({ kind: 'feeler', target: target(20) });
    expect(table.resolved).toBe(1);
    dialer.onLinkDown(peer(2), at(200_010));
  });

  test('are not needed where we are linked with that one: a link is as good as an answer', () => {
    const table = colliding();
    const { learn, connect } = start({ table, limits });
    learn(11, 12);
    const linked = connect(1, at(0)).target;
    table.tested = addressOf(linked);
    const good: string[] = [];
    table.onConnected = (endpoint) => good.push(`${endpoint.host}:${endpoint.port}`);
    expect(connect(2, at(200_000)).target.port).toBe(23 - linked.port);
    expect(good).toEqual([`${HOST}:${linked.port}`, `${HOST}:${23 - linked.port}`]);
  });

  test('keep testing while an address is to be tested that cannot be dialled now', () => {
    const table = colliding();
    const { dialer, learn, connect } = start({ table, limits });
    learn(11);
    connect(1, at(0));
    table.tested = addressOf(target(20));
    dialer.onInboundEndpoint(peer(9), target(20));
    expect(dialer.tick(at(200_000))).toEqual([]);
    expect(dialer.nextDeadline()).toBeGreaterThan(200_000);
    expect(dialer.nextDeadline()).toBeLessThan(400_000);
  });
});

describe('a block-only link more', () => {
  const limits = { maxOutboundFull: 1, maxOutboundBlockOnly: 1, extraBlockOnlyIntervalMs: 60_000 };

  test('is made at random times once all slots are full, one at a time', () => {
    const { dialer, learn, open, run } = start({ limits });
    learn(11, 12, 13, 14, 15);
    const orders: DialOrder[] = [];
    run(0, 1000, (order, now) => open(order, orders.push(order), now));
    expect(kinds(orders)).toEqual(['outbound-full-relay', 'block-relay-only']);
    run(1000, 1_000_000, (order, now) => {
      expect(now.mono).toBeGreaterThan(1000);
      open(order, orders.push(order), now);
      // Nobody looks for what is too much in this test.
      dialer.surplus(() => undefined, at(NEVER));
    });
    expect(kinds(orders)).toEqual(['outbound-full-relay', 'block-relay-only', 'block-relay-only']);
  });

  test('is not made while a slot is free', () => {
    const { dialer, learn, connect } = start({ limits });
    learn(inGroup(1, 11), inGroup(1, 12));
    connect(1, at(0));
    expect(dialer.tick(at(1_000_000))).toEqual([]);
    expect(dialer.tick(at(100_000_000))).toEqual([]);
  });

  test('keeps to its times when its dials fail', () => {
    const { dialer, learn, open, run } = start({ limits });
    for (let group = 1; group <= 200; group++) learn(inGroup(group, 11));
    let orders = 0;
    run(0, 6_000_000, (order, now) => {
      if (++orders <= 2) open(order, orders, now);
      else dialer.onDialFailed(order.dial, now);
    });
    expect(orders).toBeGreaterThan(70);
    expect(orders).toBeLessThan(130);
  });
});

describe('while the tip is stale', () => {
  const limits = { maxOutboundFull: 2, maxOutboundBlockOnly: 1 };

  test('one full link more is made, once all slots are full', () => {
    const { dialer, learn, open, run } = start({ limits });
    learn(11, 12, 13, 14, 15, 16);
    dialer.setTipStale(true);
    const orders: DialOrder[] = [];
    run(0, 10_000, (order, now) => open(order, orders.push(order), now));
    const full = 'outbound-full-relay';
    expect(kinds(orders)).toEqual([full, full, 'block-relay-only', full]);
    expect(dialer.counts()).toMatchObject({ [full]: 3, 'block-relay-only': 1 });
  });

  test('it is tried until one answers', () => {
    const { dialer, learn, open, run } = start({ limits });
    learn(11, 12, 13, 14, 15, 16);
    let links = 0;
    run(0, 1000, (order, now) => open(order, ++links, now));
    dialer.setTipStale(true);
    const [first] = dialer.tick(at(1000)) as [DialOrder];
    dialer.onDialFailed(first.dial, at(1000));
    expect(kinds(dialer.tick(at(1100)))).toEqual(['outbound-full-relay']);
    expect(dialer.tick(at(1200))).toEqual([]);
  });

  test('it is wanted no more when a block came, or when one was judged, until the next look at the tip', () => {
    const { dialer, learn, open, run } = start({ limits });
    learn(11, 12, 13, 14, 15, 16);
    let links = 0;
    run(0, 1000, (order, now) => open(order, ++links, now));
    dialer.setTipStale(true);
    dialer.setTipStale(false);
    expect(dialer.tick(at(1000))).toEqual([]);
    dialer.setTipStale(true);
    for (const order of dialer.tick(at(2000))) open(order, ++links, at(2000));
    expect(dialer.surplusDue(at(46_999))).toBe(false);
    expect(dialer.nextDeadline()).toBe(47_000);
    expect(dialer.surplusDue(at(47_000))).toBe(true);
    const activity = () => ({ lastBlockMs: undefined, connectedMs: 2000, busy: false });
    expect(dialer.surplus(activity, at(47_000))).toMatchObject({ peer: peer(links) });
    expect(dialer.surplusDue(at(47_000))).toBe(false);
    dialer.onLinkDown(peer(links), at(47_001));
    expect(dialer.tick(at(500_000))).toEqual([]);
    expect(dialer.surplusDue(at(500_000))).toBe(false);
    dialer.setTipStale(true);
    expect(kinds(dialer.tick(at(500_000)))).toEqual(['outbound-full-relay']);
  });
});

describe('of links beyond the slots', () => {
  type Activity = ReturnType<Parameters<Dialer['surplus']>[0]>;
  const old = { connectedMs: 0, busy: false };

  /** As many links of that kind with peers 1, 2, 3…, one more than their slots. */
  function linked(kind: 'full' | 'block-only', count: number) {
    const limits = {
      maxOutboundFull: kind === 'full' ? count - 1 : 0,
      maxOutboundBlockOnly: kind === 'full' ? 0 : count - 1,
      extraBlockOnlyIntervalMs: 1,
    };
    const { dialer, learn, open, run } = start({ limits });
    learn(...Array.from({ length: count }, (_, i) => 11 + i));
    let links = 0;
    run(0, 5000, (order, now) => open(order, ++links, now));
    dialer.setTipStale(true);
    run(5000, 10_000, (order, now) => open(order, ++links, now));
    expect(links).toBe(count);
    return (...activities: readonly Activity[]) => dialer.surplus((id) => activities[id - 1], at(60_000))?.peer;
  }

  test('the full one goes whose last new block is oldest, the youngest if several have brought none', () => {
    const surplus = linked('full', 4);
    expect(surplus(...[9, 3, 5, 7].map((lastBlockMs) => ({ ...old, lastBlockMs })))).toBe(2);
    expect(surplus(...[9, undefined, undefined, 7].map((lastBlockMs) => ({ ...old, lastBlockMs })))).toBe(3);
    expect(surplus(...[9, 3, 3, 3].map((lastBlockMs) => ({ ...old, lastBlockMs })))).toBe(4);
  });

  test('none goes while the one that would is young or has blocks to bring', () => {
    const surplus = linked('full', 3);
    const others = [
      { ...old, lastBlockMs: 5 },
      { ...old, lastBlockMs: 3 },
    ];
    expect(surplus(...others, { lastBlockMs: undefined, busy: false, connectedMs: 30_001 })).toBeUndefined();
    expect(surplus(...others, { lastBlockMs: undefined, busy: true, connectedMs: 30_000 })).toBeUndefined();
    expect(surplus(...others, { lastBlockMs: undefined, busy: false, connectedMs: 30_000 })).toBe(3);
  });

  test('none goes where one is being closed already', () => {
    const surplus = linked('full', 3);
    expect(surplus({ ...old, lastBlockMs: 5 }, { ...old, lastBlockMs: 3 }, undefined)).toBeUndefined();
  });

  test('the youngest block-only one goes, unless it brought a block more recently than the second youngest', () => {
    const surplus = linked('block-only', 3);
    const judge = (...blocks: readonly (Millis | undefined)[]) =>
      surplus(...blocks.map((lastBlockMs) => ({ ...old, lastBlockMs })));
    expect(judge(undefined, undefined, undefined)).toBe(3);
    expect(judge(undefined, 7, 6)).toBe(3);
    expect(judge(undefined, 7, 7)).toBe(3);
    expect(judge(undefined, 7, 8)).toBe(2);
    expect(judge(undefined, undefined, 1)).toBe(2);
  });

  test('no block-only one goes while it is young or has blocks to bring', () => {
    const surplus = linked('block-only', 2);
    const first = { ...old, lastBlockMs: undefined };
    expect(surplus(first, { lastBlockMs: undefined, busy: false, connectedMs: 30_001 })).toBeUndefined();
    expect(surplus(first, { lastBlockMs: undefined, busy: true, connectedMs: 0 })).toBeUndefined();
    expect(surplus({ ...first, busy: true }, { ...first, lastBlockMs: 4 })).toBeUndefined();
  });

  test('the reason is told', () => {
    const { dialer, learn, open, run } = start({ limits: { maxOutboundFull: 1 } });
    learn(11, 12);
    dialer.setTipStale(true);
    let links = 0;
    run(0, 1000, (order, now) => open(order, ++links, now));
    expect(dialer.surplus(() => ({ ...old, lastBlockMs: undefined }), at(60_000))).toEqual({
      peer: 2,
      reason: 'one full link too many, and its last new block is the oldest',
    });
  });
});

describe('at rest', () => {
  test('who is linked with all that it knows never wakes, though slots are free', () => {
    const { dialer, learn, open, run } = start({ limits: localLimits });
    learn(11, 12, 13);
    dialer.addManual(target(20), at(0));
    dialer.onInboundEndpoint(peer(99), { host: HOST, port: 13 });
    let links = 0;
    run(0, 60_000, (order, now) => open(order, ++links, now));
    expect(links).toBe(3);
    expect(dialer.nextDeadline()).toBeUndefined();
    // Nor is it kept awake by what it knows already.
    learn(11, 12, 13);
    expect(run(60_000, NEVER, () => undefined)).toBeLessThanOrEqual(1);
    expect(dialer.nextDeadline()).toBeUndefined();
  });

  test('who knows a dead address wakes to try it, no more often than its back-off says', () => {
    const { dialer, learn, run } = start({ limits: { ...localLimits, feelerIntervalMs: NEVER } });
    learn(11);
    let dials = 0;
    const wakes = run(0, 100_000, (order, now) => {
      dials++;
      dialer.onDialFailed(order.dial, now);
    });
    expect(dials).toBeLessThanOrEqual(52);
    expect(wakes).toBeLessThanOrEqual(2 * dials + 1);
  });

  test('who has all its links wakes for feelers and probes only', () => {
    const { dialer, learn, open, run } = start({ limits: localLimits });
    for (let group = 1; group <= 200; group++) learn(inGroup(group, 11), inGroup(group, 12));
    let links = 0;
    run(0, 5000, (order, now) => open(order, ++links, now));
    const before = links;
    const wakes = run(5000, 605_000, (order, now) => {
      open(order, ++links, now);
      dialer.onLinkDown(peer(links), now);
    });
    // Sixty feelers and ten probes in ten minutes.
    expect(links - before).toBeGreaterThan(45);
    expect(links - before).toBeLessThan(100);
    expect(wakes).toBeLessThanOrEqual(links - before + 10);
  });
});

test('a link that answers no dial of ours is not claimed', () => {
  const { dialer } = start();
  expect(dialer.onLinkUp(99 as DialId, peer(1), OWN)).toBeUndefined();
  expect(dialer.onDialFailed(99 as DialId, at(0))).toBeUndefined();
});
