/** Dials to what strangers named: nothing that leads into this machine or the house is connected to. */
import { createSocket, type Socket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { isIP, type LookupFunction } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { isPublicIp } from '../../../node/discovery/address-rules.ts';
import { dnsLookup, literalRefusal, publicLookup } from '../../../node/runtime/public-lookup.ts';
import { dialOf, rawServer, startTransport } from './transport-fixture.ts';

describe('a public address', () => {
  test.each(['1.2.3.4', '8.8.8.8', '2606:4700::1111', '64:ff9b::808:808', '2002:808:808::1'])('is %s', (host) => {
    expect(isPublicIp(host)).toBe(true);
  });

  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.8',
    '224.0.0.251',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::7f00:1',
    'fe80::1',
    'fe80:0:0:1::1',
    'fec0::1',
    'fd00::1',
    'ff02::fb',
    '64:ff9b::7f00:1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::1',
    '2002:c0a8:101::1',
    '2001:0:1::1',
    '2001:db8::1',
    'localhost',
    '',
  ])('is not %s', (host) => {
    expect(isPublicIp(host)).toBe(false);
  });
});

describe('a name', () => {
  const answering = (...addresses: readonly string[]): LookupFunction =>
    ((_name, options, callback) => {
      expect(options.all).toBe(true);
      callback(
        null,
        addresses.map((address) => ({ address, family: isIP(address) })),
      );
    }) as LookupFunction;
  const ask = (resolve: LookupFunction, all: boolean) =>
    new Promise<string | LookupAddress[]>((settle, refuse) => {
      publicLookup(resolve)('name.example', { all }, (error, found) =>
        error === null ? settle(found) : refuse(error),
      );
    });

  test('leads to all of its addresses where all are public', async () => {
    const found = [
      { address: '1.2.3.4', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ];
    expect(await ask(answering('1.2.3.4', '2606:4700::1'), true)).toEqual(found);
    expect(await ask(answering('1.2.3.4', '2606:4700::1'), false)).toBe('1.2.3.4');
  });

  test.each([[['127.0.0.1']], [['1.2.3.4', '10.0.0.1']], [['::ffff:192.168.0.1']], [[]]])(
    'that leads to %j is not dialled',
    async (addresses) => {
      const refused = ask(answering(...addresses), true);
      await expect(refused).rejects.toThrow('name.example leads to no public address');
    },
  );

  test('that does not exist fails as it is', async () => {
    const missing = ((_name, _options, callback) => callback(new Error('ENOTFOUND'), '', 0)) as LookupFunction;
    await expect(ask(missing, true)).rejects.toThrow('ENOTFOUND');
  });
});

describe('the DNS', () => {
  /** A name server that gives every name the IPv4 address 1.2.3.4 and no other, or that never answers. */
  const nameServer = async (answers: boolean) => {
    const socket = createSocket('udp4');
    let asked = 0;
    socket.on('message', (query, { port, address }) => {
      asked++;
      if (!answers) return;
      const question = query.subarray(12, query.indexOf(0, 12) + 5);
      const isIpv4 = question.at(-3) === 1;
      const head = Buffer.from([
        query[0] as number,
        query[1] as number,
        0x81,
        0x80,
        0,
        1,
        0,
        Number(isIpv4),
        0,
        0,
        0,
        0,
      ]);
      const answer = isIpv4 ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4] : [];
      socket.send(Buffer.concat([head, question, Buffer.from(answer)]), port, address);
    });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    servers.push(socket);
    return { server: `127.0.0.1:${socket.address().port}`, asked: () => asked };
  };
  const servers: Socket[] = [];
  afterEach(() => {
    for (const socket of servers.splice(0)) socket.close();
  });
  const look = (server: string, host = 'name.example.com') =>
    new Promise((settle, refuse) => {
      publicLookup(dnsLookup([server]))(host, { all: true }, (error, found) =>
        error === null ? settle(found) : refuse(error),
      );
    });

  test('is asked for both kinds of addresses', async () => {
    const { server, asked } = await nameServer(true);
    expect(await look(server)).toEqual([{ address: '1.2.3.4', family: 4 }]);
    expect(asked()).toBe(2);
  });

  test('is not asked for names that cannot be public', async () => {
    const { server, asked } = await nameServer(true);
    for (const host of ['localhost', 'router.local', '127.1', '0x7f.1', '2130706433']) {
      await expect(look(server, host)).rejects.toThrow('leads to no public address');
    }
    expect(asked()).toBe(0);
  });

  test('that does not answer keeps no thread from those who write files', async () => {
    const { server, asked } = await nameServer(false);
    const silent = Promise.allSettled(Array.from({ length: 8 }, () => look(server)));
    while (asked() < 8) await new Promise((resolve) => setTimeout(resolve, 5));
    const before = performance.now();
    await readFile(new URL(import.meta.url));
    expect(performance.now() - before).toBeLessThan(1000);
    expect((await silent).every(({ status }) => status === 'rejected')).toBe(true);
  }, 20_000);
});

test('a literal is judged as it stands, a name is not', () => {
  expect(literalRefusal('127.0.0.1')).toContain('no public address');
  expect(literalRefusal('1.2.3.4')).toBeUndefined();
  expect(literalRefusal('localhost')).toBeUndefined();
});

describe('a dial for a stranger', () => {
  test.each([
    ['tcp', '127.0.0.1'],
    ['tcp', 'localhost'],
    // Old ways to write 127.0.0.1, which the system resolves and which a URL makes an address of.
    ['tcp', '0x7f000001'],
    ['tcp', '2130706433'],
    ['tcp', '127.1'],
    ['tcp', '::1'],
    ['tcp', '::ffff:127.0.0.1'],
    ['ws', '127.0.0.1'],
    ['ws', 'localhost'],
    ['ws', '0x7f000001'],
    ['ws', '2130706433'],
    ['ws', '127.1'],
    ['ws', '::ffff:127.0.0.1'],
    ['wss', 'localhost'],
    ['wss', '127.0.0.1'],
  ] as const)('over %s to %s fails, and nothing is connected', async (transport, host) => {
    let connections = 0;
    const port = await rawServer(() => connections++);
    const { transport: net, until } = await startTransport();
    net.dial(dialOf(1), { transport, host, port }, true);
    expect((await until('dial-failed')).reason).toContain('leads to no public address');
    expect(connections).toBe(0);
  });

  test('to the same place works where the user named it', async () => {
    const b = await startTransport();
    const a = await startTransport();
    a.transport.dial(dialOf(1), { transport: 'ws', host: 'localhost', port: b.endpoint.port });
    await a.until('link-up');
  });
});
