import { describe, expect, test } from '@jest/globals';
import { addressKey, isLoopback, isRoutable, plausibleTime } from '../../../node/discovery/address-rules.ts';
import { gossipAddress } from '../../../node/wire/address.ts';
import type { GossipAddress } from '../../../node/wire/message.ts';

const address = (host: string, port = 8333) => gossipAddress({ host, port }, 9n, 0) as GossipAddress;
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
