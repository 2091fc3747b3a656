import { describe, expect, test } from '@jest/globals';
import {
  addressKey,
  dialTargetOf,
  endpointKey,
  isLoopback,
  isPublicIp,
  isRoutable,
  plausibleTime,
  targetKey,
} from '../../../node/discovery/address-rules.ts';
import { gossipAddress } from '../../../node/wire/address.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';

const address = (host: string, port = 8333) => gossipAddress({ host, port }, 9n, 0) as GossipAddress;
const named = (host: string, changes: Partial<GossipAddress> = {}): GossipAddress => ({
  network: 'wss',
  host,
  port: 443,
  services: 9n,
  time: 0,
  ...changes,
});
const open = { loopbackRoutable: false };
const devnet = { loopbackRoutable: true };

describe('routable addresses', () => {
  test.each(['1.2.3.4', '172.32.0.1', '128.0.0.1', '223.255.255.255', '2600::1', '64:ff9b::102:304'])(
    '%s is routable everywhere',
    (host) => {
      expect(isRoutable(address(host), open)).toBe(true);
      expect(isRoutable(address(host), devnet)).toBe(true);
    },
  );

  test.each([
    ...['127.0.0.1', '127.255.0.1', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.1.1'],
    ...['198.18.0.1', '198.19.0.1', '100.64.0.1', '192.0.2.1', '198.51.100.1', '203.0.113.1'],
    ...['::1', 'fe80::1', 'fc00::1', 'fd12::1', '2001:10::1', '2001:20::1'],
  ])('%s is routable only where loopback is', (host) => {
    expect(isRoutable(address(host), open)).toBe(false);
    expect(isRoutable(address(host), devnet)).toBe(true);
  });

  test.each(['0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '::', 'ff02::1', '2001:db8::1'])(
    '%s is never routable',
    (host) => {
      expect(isRoutable(address(host), open)).toBe(false);
      expect(isRoutable(address(host), devnet)).toBe(false);
    },
  );

  test('port 0 is never routable', () => {
    expect(isRoutable(address('1.2.3.4', 0), devnet)).toBe(false);
  });

  test('loopback is 127.0.0.0/8 and ::1, in any spelling', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '0:0::1', '::ffff:127.0.0.1'])
      expect(isLoopback(host)).toBe(true);
    for (const host of ['128.0.0.1', '::2', 'localhost']) expect(isLoopback(host)).toBe(false);
  });
});

describe('names behind wss', () => {
  const label = 'a'.repeat(63);

  test.each([
    ['a name', named('a.example')],
    ['a deep one', named('a-b.c-d.e.example')],
    ['digits in front', named('1.2.3.example')],
    ['the longest label', named(`${label}.example`)],
    ['the longest name', named(`${label}.${label}.${label}.${'a'.repeat(61)}`)],
    ['a path', named('a.example', { path: '/x/y?z=1%20' })],
    ['the longest path', named('a.example', { path: `/${'x'.repeat(199)}` })],
    ['the end of a private network inside a name', named('local.example')],
    ['a name that ends almost like a private one', named('a.xlocal')],
  ])('%s is routable everywhere', (_name, address) => {
    expect(isRoutable(address, open)).toBe(true);
    expect(isRoutable(address, devnet)).toBe(true);
  });

  test('localhost is routable only where loopback is', () => {
    expect(isRoutable(named('localhost'), open)).toBe(false);
    expect(isRoutable(named('localhost'), devnet)).toBe(true);
  });

  test.each([
    ...['', 'intranet', 'a..example', '.example', 'a.example.', 'A.example', 'a_b.example', '-a.example', 'a-.example'],
    ...['ä.example', 'a b.example', 'a.example:1', 'a.example/x', 'user@a.example', '[2600::1]', '2600::1', '1.2.3.4'],
    ...['127.0.0.1', '127.1', 'a.1', '0x7f.0.0.1', `${label}a.example`],
    `${label}.${label}.${label}.${'a'.repeat(62)}`,
    ...['a.local', 'a.localhost', 'a.internal', 'a.onion', 'a.i2p', '1.0.0.127.in-addr.arpa'],
  ])('"%s" is never routable', (host) => {
    expect(isRoutable(named(host), open)).toBe(false);
    expect(isRoutable(named(host), devnet)).toBe(false);
  });

  test.each(['', '/', 'x', '/x#y', '/x y', '/x\n', '/\u00e4', '/\u007f', `/${'x'.repeat(200)}`])(
    'the path %j is never routable',
    (path) => {
      expect(isRoutable(named('a.example', { path }), devnet)).toBe(false);
    },
  );

  test('port 0 is never routable', () => {
    expect(isRoutable(named('a.example', { port: 0 }), devnet)).toBe(false);
  });
});

test('addresses of Tor, I2P and CJDNS may be passed on everywhere', () => {
  for (const network of ['torv3', 'i2p', 'cjdns'] as const)
    expect(isRoutable({ ...address('1.2.3.4'), network, host: 'ab'.repeat(32) }, open)).toBe(true);
});

describe('public IP addresses', () => {
  test.each([
    ...['1.2.3.4', '172.32.0.1', '192.0.1.1', '223.255.255.255', '2600::1', '::ffff:1.2.3.4'],
    ...['64:ff9b::102:304', '2002:102:304::1'],
  ])('%s is one', (host) => {
    expect(isPublicIp(host)).toBe(true);
  });

  test.each([
    ...['0.0.0.0', '127.0.0.1', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.1'],
    ...['224.0.0.1', '255.255.255.255', '::', '::1', '::7f00:1', '::ffff:127.0.0.1', 'fe80::1', 'febf::1', 'fec0::1'],
    ...['fc00::1', 'ff02::1', '2001:db8::1', '2001::1', '100::1', '64:ff9b:1::102:304'],
    // A private address behind a public gateway.
    ...['64:ff9b::7f00:1', '64:ff9b::a00:1', '2002:7f00:1::1', '2002:a00:1::1'],
    ...['a.example', 'localhost', ''],
  ])('"%s" is none', (host) => {
    expect(isPublicIp(host)).toBe(false);
  });
});

describe('keys', () => {
  test('of a target are those of the address it came from', () => {
    for (const each of [
      address('1.2.3.4'),
      address('2600::1'),
      { ...address('1.2.3.4'), services: SERVICE_WEBSOCKET },
      named('a.example'),
      named('a.example', { path: '/x' }),
    ])
      expect(targetKey(dialTargetOf(each))).toBe(addressKey(each));
  });

  test('of one endpoint are equal, however it is written', () => {
    expect(endpointKey({ host: '0:0::1', port: 5 })).toBe('[::1]:5');
    expect(endpointKey({ host: '::ffff:1.2.3.4', port: 5 })).toBe('1.2.3.4:5');
    expect(targetKey({ transport: 'wss', host: '1.2.3.4', port: 5 })).toBe('1.2.3.4:5');
    expect(targetKey({ transport: 'wss', host: 'A.example', port: 5 })).toBe('wss/a.example:5/');
    expect(targetKey({ transport: 'wss', host: 'a.example', port: 5, path: '/' })).toBe('wss/a.example:5/');
    expect(targetKey({ transport: 'ws', host: 'A.example', port: 5 })).toBe('a.example:5');
  });

  test('of names differ by port and path', () => {
    const all = [named('a.example'), named('a.example', { port: 1 }), named('a.example', { path: '/x' })];
    expect(new Set(all.map(addressKey)).size).toBe(3);
  });
});

test('an address is dialled by WebSocket if it says that it has one, else over TCP', () => {
  expect(dialTargetOf(address('1.2.3.4'))).toEqual({ transport: 'tcp', host: '1.2.3.4', port: 8333 });
  const services = 9n | SERVICE_WEBSOCKET;
  expect(dialTargetOf({ ...address('1.2.3.4'), services }).transport).toBe('ws');
  expect(dialTargetOf(named('a.example', { path: '/x' }))).toEqual({
    transport: 'wss',
    host: 'a.example',
    port: 443,
    path: '/x',
  });
  expect(dialTargetOf(named('a.example'))).not.toHaveProperty('path');
});

test('an implausible time counts as five days ago', () => {
  const now = 1_700_000_000;
  expect(plausibleTime(now, now)).toBe(now);
  expect(plausibleTime(now + 600, now)).toBe(now + 600);
  expect(plausibleTime(now + 601, now)).toBe(now - 432_000);
  expect(plausibleTime(100_000_000, now)).toBe(now - 432_000);
  expect(plausibleTime(100_000_001, now)).toBe(100_000_001);
});

test('addresses of networks whose hosts look alike have different keys', () => {
  const host = 'ab'.repeat(32);
  const fields = { host, port: 1, services: 0n, time: 0 };
  expect(addressKey({ network: 'torv3', ...fields })).not.toBe(addressKey({ network: 'i2p', ...fields }));
  expect(addressKey(address('::1', 5))).toBe('[::1]:5');
});
