/** `setban`, `listbanned`, `clearbanned`, and the calls about the address manager. */
import { describe, expect, test } from '@jest/globals';
import { localLimits } from '../../../node/limits.ts';
import { Bans } from '../../../node/peer/bans.ts';
import { RpcNode } from './rpc-node.ts';

const NOW = 1_800_000_000;

describe('setban', () => {
  test('bans an address for a day where no time is given, and listbanned shows it', () => {
    const node = new RpcNode();
    expect(node.call('setban', '192.168.0.6', 'add')).toBeNull();
    node.now = { mono: 6_000, unix: NOW + 60 };
    expect(node.call('listbanned')).toEqual([
      {
        address: '192.168.0.6/32',
        ban_created: NOW,
        banned_until: NOW + 86_400,
        ban_duration: 86_400,
        time_remaining: 86_340,
      },
    ]);
  });

  test('takes a span, a moment, and 0 or less for the usual time', () => {
    const node = new RpcNode();
    const until = (subnet: string, ...time: unknown[]) => {
      expect(node.call('setban', subnet, 'add', ...time)).toBeNull();
      const bans = node.call('listbanned') as { address: string; banned_until: number }[];
      return bans.find(({ address }) => address.startsWith(subnet))?.banned_until;
    };
    expect(until('1.1.1.1', 100)).toBe(NOW + 100);
    expect(until('1.1.1.2', NOW + 7, true)).toBe(NOW + 7);
    expect(until('1.1.1.3', 0)).toBe(NOW + 86_400);
    expect(until('1.1.1.4', -5)).toBe(NOW + 86_400);
    expect(until('1.1.1.5', Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
    const past = { code: -8, message: 'Error: Absolute timestamp is in the past' };
    expect(node.call('setban', '1.1.1.6', 'add', NOW - 1, true)).toEqual(past);
    expect(node.call('setban', '1.1.1.6', 'add', 0, true)).toEqual(past);
  });

  test('refuses what is no address or subnet', () => {
    const node = new RpcNode();
    for (const subnet of ['', 'host', '1.2.3.4/33', '1.2.3.4/255.0.255.0', '::1/129', '0.0.0.0', '1.2.3.4:5']) {
      expect(node.call('setban', subnet, 'add')).toEqual({ code: -30, message: 'Error: Invalid IP/Subnet' });
    }
    expect(node.call('setban', '1.2.3.4', 'ban')).toMatchObject({
      code: -1,
      message: expect.stringMatching(/^setban/),
    });
    expect(node.call('setban', '1.2.3.4')).toMatchObject({ code: -1 });
    expect(node.call('setban', '1.2.3.4', 'add', '5')).toMatchObject({ code: -3 });
  });

  test('refuses what is banned already: an address within a banned subnet, a subnet only if it is the same', () => {
    const node = new RpcNode();
    const already = { code: -23, message: 'Error: IP/Subnet already banned' };
    expect(node.call('setban', '10.0.0.0/24', 'add')).toBeNull();
    expect(node.call('setban', '10.0.0.7', 'add')).toEqual(already);
    expect(node.call('setban', '10.0.0.9/255.255.255.0', 'add')).toEqual(already);
    expect(node.call('setban', '10.0.0.7/32', 'add')).toBeNull();
    expect(node.call('setban', '10.0.0.0/16', 'add')).toBeNull();
    expect((node.call('listbanned') as { address: string }[]).map(({ address }) => address)).toEqual([
      '10.0.0.0/16',
      '10.0.0.0/24',
      '10.0.0.7/32',
    ]);
  });

  test('ends a ban by the same subnet only', () => {
    const node = new RpcNode();
    const failed = {
      code: -30,
      message: 'Error: Unban failed. Requested address/subnet was not previously manually banned.',
    };
    node.call('setban', '10.0.0.0/24', 'add');
    expect(node.call('setban', '10.0.0.7', 'remove')).toEqual(failed);
    expect(node.call('setban', '10.0.0.1/24', 'remove')).toBeNull();
    expect(node.call('setban', '10.0.0.1/24', 'remove')).toEqual(failed);
    node.call('setban', '::1', 'add');
    node.call('setban', '::2', 'add');
    expect(node.call('clearbanned')).toBeNull();
    expect(node.call('listbanned')).toEqual([]);
  });

  test('says so when too many are banned', () => {
    const node = new RpcNode();
    node.bans = new Bans({ limits: { ...localLimits, maxBans: 2 }, saved: undefined, now: node.now });
    for (const subnet of ['10.0.0.0/32', '10.0.0.1/32']) expect(node.call('setban', subnet, 'add')).toBeNull();
    expect(node.call('setban', '10.1.0.0/32', 'add')).toEqual({
      code: -1,
      message: 'Error: Too many IPs and subnets are banned; remove one first',
    });
    expect(node.call('setban', '10.0.0.0/32', 'remove')).toBeNull();
    expect(node.call('setban', '10.1.0.0/32', 'add')).toBeNull();
  });
});

describe('the address manager', () => {
  test('is counted by network', () => {
    const node = new RpcNode();
    node.overrides = {
      addressCounts: () =>
        new Map([
          ['ipv4', { new: 3, tried: 1 }],
          ['torv3', { new: 2, tried: 0 }],
        ]),
    };
    const none = { new: 0, tried: 0, total: 0 };
    expect(node.call('getaddrmaninfo')).toEqual({
      ipv4: { new: 3, tried: 1, total: 4 },
      ipv6: none,
      onion: { new: 2, tried: 0, total: 2 },
      i2p: none,
      cjdns: none,
      wss: none,
      all_networks: { new: 5, tried: 1, total: 6 },
    });
  });

  test('takes addresses for tests', () => {
    const node = new RpcNode();
    const endpoint = { host: '1.2.3.4', port: 8333 };
    expect(node.ask('addpeeraddress', ['1.2.3.4', 8333])).toEqual({
      type: 'command',
      command: { type: 'add-address', endpoint, tried: false },
    });
    expect(node.ask('addpeeraddress', ['1:0::2', 8333, true])).toMatchObject({
      command: { endpoint: { host: '1::2', port: 8333 }, tried: true },
    });
    expect(node.call('addpeeraddress', 'host', 8333)).toEqual({ success: false });
    expect(node.call('addpeeraddress', '1.2.3.4', 65_536)).toEqual({
      code: -1,
      message: 'JSON integer out of range',
    });
  });
});
