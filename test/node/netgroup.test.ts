import { describe, expect, test } from '@jest/globals';
import { netgroup } from '../../node/netgroup.ts';

const group = (host: string, port = 8333) => netgroup({ host, port });

describe('netgroups', () => {
  test.each([
    ['IPv4', '1.2.3.4', '1.2.200.9', '1.3.3.4'],
    ['IPv4 inside IPv6', '::ffff:1.2.3.4', '1.2.9.9', '::ffff:1.3.3.4'],
    ['IPv6', '2600:1234::1', '2600:1234:ffff::9', '2600:1235::1'],
    ['IPv6 of Hurricane Electric', '2001:470:1234::1', '2001:470:1fff::1', '2001:470:2234::1'],
    ['6to4', '2002:0102:0304::1', '1.2.9.9', '2002:0103:0304::1'],
    // The client's address is inverted: 1.2.3.4.
    ['Teredo', '2001:0:1111:2222:3333:4444:fefd:fcfb', '1.2.9.9', '2001:0:1111:2222:3333:4444:fefc:fcfb'],
    ['NAT64', '64:ff9b::102:304', '1.2.9.9', '64:ff9b::103:304'],
    ['RFC 6145', '::ffff:0:102:304', '1.2.9.9', '::ffff:0:103:304'],
    ['names', 'a.Example.org', 'b.c.example.ORG', 'a.example.com'],
    ['loopback beyond 127.0', '127.1.2.3', '127.1.200.9', '127.2.2.3'],
    ['link-local beyond fe80::/64', 'fe80:0:0:1::1', 'fe80:0:ff::1', 'fe81::1'],
  ])('%s: hosts that one operator has are one group', (_name, host, same, other) => {
    expect(group(host)).toBe(group(same));
    expect(group(host, 1)).toBe(group(same, 2));
    expect(group(host)).not.toBe(group(other));
  });

  test.each(['10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12::1', 'fe80::1'])(
    '%s is of a private network: each host is a group, on any port',
    (host) => {
      const neighbour = host.replace(/\d$/, (digit) => String(Number(digit) + 3));
      expect(group(host)).toContain('private/');
      expect(group(host, 1)).toBe(group(host, 2));
      expect(group(host)).not.toBe(group(neighbour));
    },
  );

  test.each(['11.0.0.1', '172.15.0.1', '172.32.0.1', '192.167.0.1', '192.169.0.1', '128.0.0.1', 'fe80:0:0:1::1'])(
    '%s is not',
    (host) => {
      expect(group(host)).not.toContain('private/');
    },
  );

  test('a private address inside a tunnel is a group by its first half, however it is written', () => {
    expect(group('2002:0a01:0203::1')).toBe(group('2002:0a01:ffff::1'));
    expect(group('2002:0a01:0203::1')).not.toContain('private/');
    expect(group('64:ff9b::7f00:1', 1)).toBe(group('64:ff9b::7f00:1', 2));
  });

  test.each(['127.0.0.1', '127.0.9.9', '::1', '::ffff:127.0.0.1'])('%s: each port is a group', (host) => {
    expect(group(host, 1)).not.toBe(group(host, 2));
    expect(group(host, 1)).toBe(group('127.0.0.1', 1));
  });

  test('a name of one label is its own group', () => {
    expect(group('localhost')).toBe(group('LOCALHOST', 1));
    expect(group('localhost')).not.toBe(group('intranet'));
  });

  test('no group of one kind is also one of another', () => {
    const hosts = ['1.2.3.4', '2600::1', '10.0.0.1', '127.0.0.1', 'a.example', 'fd00::1', '127.1.0.1'];
    expect(new Set(hosts.map((host) => group(host))).size).toBe(hosts.length);
  });
});
