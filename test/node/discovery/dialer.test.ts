import { beforeEach, describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { DialId, DialTarget, Now, PeerId } from '../../../node/boundary.ts';
import { AddressTable } from '../../../node/discovery/address-table.ts';
import { Dialer, type DialOrder } from '../../../node/discovery/dialer.ts';
import { localLimits } from '../../../node/limits.ts';
import { SeededRandom } from '../../../node/random.ts';
import { SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';

const at = (mono: number): Now => ({ mono, unix: 1_700_000_000 + Math.floor(mono / 1000) });
const HOST = '127.0.0.1';
const OWN = { host: HOST, port: 10 };
const limits = { ...localLimits, maxOutboundFull: 2 };
const target = (port: number, host = HOST): DialTarget => ({ transport: 'ws', host, port });
const peer = (number: number) => number as PeerId;

let table: AddressTable;
let dialer: Dialer;
beforeEach(() => {
  table = new AddressTable({
    limits,
    params: regtest,
    random: new SeededRandom('d'),
    rows: [],
    own: [OWN],
    now: at(0),
  });
  dialer = new Dialer({ limits, table, own: [OWN], pex: true });
});

function learn(...ports: number[]): void {
  const fields = { network: 'ipv4', host: HOST, services: 9n | SERVICE_WEBSOCKET, time: at(0).unix } as const;
  table.add(
    ports.map((port) => ({ ...fields, port })),
    at(0),
  );
}

const ports = (orders: readonly DialOrder[]) => orders.map((order) => order.target.port);
/** The one dial that is due, answered with a link. */
function connect(number: number, now: Now, good = true): DialOrder {
  const [order, ...more] = dialer.tick(now);
  if (order === undefined || more.length > 0) throw new Error(`${more.length + (order ? 1 : 0)} dials`);
  dialer.onLinkUp(order.dial, peer(number), order.target);
  if (good) dialer.onHandshake(peer(number), 9n, now);
  return order;
}

describe('outbound slots', () => {
  test('are filled from the table, one each interval, until all are taken', () => {
    learn(11, 12, 13);
    const first = dialer.tick(at(0));
    expect(first).toHaveLength(1);
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(100);
    expect(dialer.tick(at(99))).toEqual([]);
    const second = dialer.tick(at(100));
    expect(second).toHaveLength(1);
    expect(ports(second)).not.toEqual(ports(first));
    expect(dialer.outboundCount).toBe(2);
    expect(dialer.nextDeadline()).toBeUndefined();
    expect(dialer.tick(at(1000))).toEqual([]);
  });

  test('the transport follows the service bits', () => {
    const fields = { network: 'ipv4', host: HOST, time: at(0).unix } as const;
    table.add([{ ...fields, port: 11, services: 9n }], at(0));
    expect(dialer.tick(at(0))).toMatchObject([{ target: { transport: 'tcp', port: 11 } }]);
    table.add([{ ...fields, port: 12, services: 9n | SERVICE_WEBSOCKET }], at(100));
    expect(dialer.tick(at(100))).toMatchObject([{ target: { transport: 'ws', port: 12 } }]);
  });

  test('a failed dial frees its slot and backs off', () => {
    learn(11);
    const [order] = dialer.tick(at(0));
    dialer.onDialFailed((order as DialOrder).dial, at(10));
    expect(dialer.outboundCount).toBe(0);
    expect(dialer.tick(at(100))).toEqual([]);
    expect(dialer.nextDeadline()).toBe(510);
    expect(ports(dialer.tick(at(510)))).toEqual([11]);
  });

  test('a link without a handshake counts as a failure, a good one is dialled again soon', () => {
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
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
    learn(11);
    expect(dialer.nextDeadline()).toBeLessThanOrEqual(100);
    expect(ports(dialer.tick(at(100)))).toEqual([11]);
  });

  test('without peer exchange they stay empty', () => {
    dialer = new Dialer({ limits, table, own: [], pex: false });
    learn(11);
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
  });
});

describe('an endpoint is not dialled', () => {
  test('while a dial or a link to it is under way', () => {
    learn(11);
    const [order] = dialer.tick(at(0)) as [DialOrder];
    expect(dialer.tick(at(1000))).toEqual([]);
    dialer.onLinkUp(order.dial, peer(1), order.target);
    expect(dialer.tick(at(2000))).toEqual([]);
  });

  test('while an inbound peer lives that listens there', () => {
    learn(11);
    dialer.onInboundEndpoint(peer(1), { host: HOST, port: 11 });
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
    dialer.onLinkDown(peer(1), at(50));
    expect(ports(dialer.tick(at(50)))).toEqual([11]);
  });

  test('beyond ten of an inbound peer, so that it cannot keep us from the rest of the network', () => {
    for (let port = 100; port < 120; port++) dialer.onInboundEndpoint(peer(1), { host: HOST, port });
    learn(109, 110);
    expect(ports(dialer.tick(at(0)))).toEqual([110]);
  });

  test('if it is our own, or turned out to be', () => {
    expect(dialer.addManual(target(10), at(0))).toBe(true);
    expect(dialer.tick(at(0))).toEqual([]);
    learn(11);
    connect(1, at(0), false);
    dialer.onSelf(peer(1));
    dialer.onLinkDown(peer(1), at(0));
    expect(dialer.tick(at(100_000))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
  });

  test('are told to the user when they fail, once until they were reached', () => {
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

  test('while it is denied; afterwards it is tried at once', () => {
    dialer.addManual(target(20), at(0));
    learn(11);
    dialer.setDeny(({ port }) => port === 11 || port === 20, at(0));
    expect(dialer.tick(at(0))).toEqual([]);
    expect(dialer.nextDeadline()).toBeUndefined();
    dialer.setDeny(() => false, at(60_000));
    expect(ports(dialer.tick(at(60_000))).sort()).toEqual([11, 20]);
  });
});

describe('a manual target', () => {
  test('is dialled at once, beside the slots, and is known as manual', () => {
    learn(11);
    dialer.addManual(target(20), at(0));
    const orders = dialer.tick(at(0));
    expect(ports(orders)).toEqual([20, 11]);
    const [manual, automatic] = orders as [DialOrder, DialOrder];
    expect(dialer.onLinkUp(manual.dial, peer(1), target(20))).toEqual({ target: target(20), manual: true });
    expect(dialer.onLinkUp(automatic.dial, peer(2), target(11))).toMatchObject({ manual: false });
    expect(dialer.outboundCount).toBe(1);
  });

  test('that does not answer is dialled again after a time that doubles to its limit', () => {
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

  test('that is linked is not dialled, by name or by the address that was reached', () => {
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
    dialer.onInboundEndpoint(peer(1), { host: HOST, port: 20 });
    dialer.onInboundEndpoint(peer(2), { host: '10.0.0.2', port: 20 });
    dialer.addManual(target(20), at(0));
    dialer.addManual(target(20, '10.0.0.2'), at(0));
    expect(dialer.tick(at(0)).map((order) => order.target.host)).toEqual(['10.0.0.2']);
    dialer.onLinkDown(peer(1), at(10));
    expect(dialer.tick(at(10)).map((order) => order.target.host)).toEqual([HOST]);
  });

  test('is added once, listed, and no longer dialled when it is removed', () => {
    expect(dialer.addManual(target(20), at(0))).toBe(true);
    expect(dialer.addManual(target(20), at(0))).toBe(false);
    expect(dialer.manualTargets()).toEqual([target(20)]);
    connect(1, at(0));
    expect(dialer.removeManual({ host: HOST, port: 20 })).toBe(true);
    expect(dialer.removeManual({ host: HOST, port: 20 })).toBe(false);
    dialer.onLinkDown(peer(1), at(0));
    expect(dialer.manualTargets()).toEqual([]);
  });

  test('of addnode onetry is dialled once, whatever slots are free', () => {
    learn(11, 12);
    dialer.tick(at(0));
    dialer.tick(at(100));
    dialer.dialOnce(target(20));
    expect(dialer.nextDeadline()).toBeLessThanOrEqual(100);
    const [order] = dialer.tick(at(100)) as [DialOrder];
    expect(order.target).toEqual(target(20));
    dialer.onDialFailed(order.dial, at(200));
    expect(dialer.tick(at(200))).toEqual([]);
  });
});

test('a link that answers no dial of ours is not claimed', () => {
  expect(dialer.onLinkUp(99 as DialId, peer(1), OWN)).toBeUndefined();
});
