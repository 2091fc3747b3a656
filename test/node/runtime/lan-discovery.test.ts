/** Local discovery over real multicast sockets, on the loopback interface only. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import multicastDns from 'multicast-dns';
import type { Endpoint } from '../../../node/boundary.ts';
import { LanDiscovery } from '../../../node/runtime/lan-discovery.ts';
import { pause } from './transport-fixture.ts';

const LOOPBACK = '127.0.0.1';
const SERVICE = '_grapevine._tcp.local';
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, LOOPBACK);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** A node on the machine, and all that it was told. */
async function join(port: number, ports: readonly number[], genesis = 'g1') {
  const found: Endpoint[] = [];
  const sources: Endpoint[] = [];
  const troubles: string[] = [];
  const lan = await LanDiscovery.start({
    genesis,
    network: 'test',
    ports,
    interfaceAddress: LOOPBACK,
    onFound: (addresses, source) => {
      found.push(...addresses);
      sources.push(source);
    },
    onTrouble: (reason) => troubles.push(reason),
    port,
    now: () => performance.now(),
  });
  closers.push(() => lan.close());
  return { lan, found, sources, troubles };
}

/** A stranger who says what it likes. */
async function stranger(port: number) {
  const dns = multicastDns({ port, bind: '0.0.0.0', interface: LOOPBACK });
  closers.push(() => new Promise<void>((resolve) => dns.destroy(resolve)));
  await new Promise<void>((resolve) => dns.once('ready', resolve));
  return dns;
}

const instance = (name: string, port: number, { genesis = 'g1', ttl = 120 } = {}) => [
  { name: SERVICE, type: 'PTR' as const, ttl, data: `${name}.${SERVICE}` },
  { name: `${name}.${SERVICE}`, type: 'SRV' as const, ttl, data: { port, target: 'x.local' } },
  { name: `${name}.${SERVICE}`, type: 'TXT' as const, ttl, data: ['txtvers=1', `genesis=${genesis}`] },
];

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5);
}
const portsOf = (found: readonly Endpoint[]) => found.map(({ port }) => port).sort((a, b) => a - b);

describe('nodes on one network', () => {
  test('find each other whoever comes first, each once, and nobody finds itself', async () => {
    const port = await freeUdpPort();
    const a = await join(port, [1001]);
    await pause(30);
    const b = await join(port, [1002, 1003]);
    await until(() => a.found.length >= 2 && b.found.length >= 1);
    await pause(1200); // Questions and answers go on.
    expect(portsOf(a.found)).toEqual([1002, 1003]);
    expect(b.found).toEqual([{ host: LOOPBACK, port: 1001 }]);
    expect(b.sources[0]?.host).toBe(LOOPBACK);
  });

  test('of different chains pass each other over', async () => {
    const port = await freeUdpPort();
    const a = await join(port, [1001], 'g1');
    const b = await join(port, [1002], 'g2');
    const c = await join(port, [1003], 'g1');
    await until(() => a.found.length > 0 && c.found.length > 0);
    await pause(100);
    expect(portsOf(a.found)).toEqual([1003]);
    expect(portsOf(c.found)).toEqual([1001]);
    expect(b.found).toEqual([]);
  });
});

describe('a stranger', () => {
  test('who asks is answered at most once a second', async () => {
    const port = await freeUdpPort();
    await join(port, [1001]);
    const dns = await stranger(port);
    let answers = 0;
    dns.on('response', () => answers++);
    for (let i = 0; i < 50; i++) dns.query([{ name: SERVICE, type: 'PTR' }]);
    await until(() => answers > 0);
    await pause(200);
    expect(answers).toBeLessThanOrEqual(2);
  });

  test('can make us tell a bounded number of addresses, and nothing that is no node of this chain', async () => {
    const port = await freeUdpPort();
    const { found } = await join(port, [1001]);
    const dns = await stranger(port);
    const says = (answers: ReturnType<typeof instance>) =>
      new Promise<void>((resolve) => dns.respond(answers, () => resolve()));
    await says(instance('gone', 2001, { ttl: 0 }));
    await says(instance('other', 2002, { genesis: 'g2' }));
    await says(instance('zero', 0));
    await says(instance('plain', 2003).slice(0, 2));
    for (let i = 0; i < 400; i++) await says(instance(`n${i}`, 3000 + i));
    await until(() => found.length > 0);
    await pause(200);
    expect(found.length).toBeLessThanOrEqual(256);
    expect(found.every((address) => address.host === LOOPBACK && address.port >= 3000)).toBe(true);
  });

  test('who sends what cannot be read is ignored', async () => {
    const port = await freeUdpPort();
    const { found, troubles } = await join(port, [1001]);
    const socket = createSocket('udp4');
    closers.push(() => socket.close());
    for (const hex of ['', '00', '0000840000000001000000000000', `00008400ffffffffffffffff${'c00c'.repeat(50)}`]) {
      await new Promise<void>((resolve) => socket.send(Buffer.from(hex, 'hex'), port, LOOPBACK, () => resolve()));
    }
    const b = await join(port, [1002]);
    await until(() => found.length > 0 && b.found.length > 0);
    expect(portsOf(found)).toEqual([1002]);
    expect(troubles.length).toBeGreaterThan(0);
  });
});
