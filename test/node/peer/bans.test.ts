import { describe, expect, test } from '@jest/globals';
import type { Now } from '../../../node/boundary.ts';
import { internetLimits } from '../../../node/limits.ts';
import { BANS_KEY, Bans } from '../../../node/peer/bans.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { formatSubnet, parseSubnet, type Subnet } from '../../../node/wire/subnet.ts';

const START = 1_700_000_000;
const at = (seconds: number): Now => ({ mono: 5000 + seconds * 1000, unix: START + seconds });
const subnet = (text: string) => parseSubnet(text) as Subnet;
const limits = { ...internetLimits, maxBans: 3, maxDiscouraged: 3 };
const make = (saved?: Uint8Array, now = at(0)) => new Bans({ limits, saved, now });
const listed = (bans: Bans, now: Now) => bans.list(now).map((ban) => formatSubnet(ban.subnet));

describe('a ban', () => {
  test('holds for its subnet until it ends', () => {
    const bans = make();
    expect(bans.isBanned('10.0.0.1', at(0))).toBe(false);
    expect(bans.ban(subnet('10.0.0.0/8'), START + 60, at(0))).toBe(true);
    expect(bans.ban(subnet('fd00::/9'), START + 90, at(0))).toBe(true);
    expect(bans.isBanned('10.9.8.7', at(59))).toBe(true);
    expect(bans.isBanned('::ffff:10.9.8.7', at(59))).toBe(true);
    expect(bans.isBanned('11.0.0.1', at(59))).toBe(false);
    expect(bans.isBanned('fd7f::1', at(59))).toBe(true);
    expect(bans.isBanned('fd80::1', at(59))).toBe(false);
    expect(bans.isBanned('name.example', at(59))).toBe(false);
    expect(bans.isBanned('10.9.8.7', at(60))).toBe(false);
    expect(listed(bans, at(59))).toEqual(['10.0.0.0/8', 'fd00::/9']);
    expect(listed(bans, at(60))).toEqual(['fd00::/9']);
  });

  test('ends when the user says so, by exactly the same subnet', () => {
    const bans = make();
    bans.ban(subnet('10.0.0.0/8'), START + 60, at(0));
    expect(bans.unban(subnet('10.0.0.0/9'), at(1))).toBe(false);
    expect(bans.unban(subnet('10.1.2.3/8'), at(1))).toBe(true);
    expect(bans.isBanned('10.0.0.1', at(1))).toBe(false);
    bans.ban(subnet('1.1.1.1'), START + 60, at(2));
    bans.ban(subnet('2.2.2.2'), START + 60, at(2));
    bans.clear(at(3));
    expect(bans.list(at(3))).toEqual([]);
    expect(bans.nextDeadline()).toBeUndefined();
  });

  test('is one of a limited number; those that have ended do not count', () => {
    const bans = make();
    for (const text of ['1.1.1.1', '2.2.2.2', '3.3.3.3']) {
      expect(bans.ban(subnet(text), START + 60, at(0))).toBe(true);
    }
    expect(bans.ban(subnet('4.4.4.4'), START + 90, at(1))).toBe(false);
    expect(bans.ban(subnet('3.3.3.3'), START + 90, at(1))).toBe(true);
    expect(bans.ban(subnet('4.4.4.4'), START + 90, at(60))).toBe(true);
    expect(listed(bans, at(60))).toEqual(['3.3.3.3/32', '4.4.4.4/32']);
  });

  test('wakes the node when it ends, even where the wall clock was put back meanwhile', () => {
    const bans = make();
    bans.ban(subnet('1.1.1.1'), START + 60, at(0));
    bans.ban(subnet('2.2.2.2'), START + 40, at(0));
    expect(bans.nextDeadline()).toBe(at(40).mono);
    expect(bans.tick(at(39))).toBe(false);
    expect(bans.tick({ mono: at(40).mono, unix: START + 30 })).toBe(false);
    expect(bans.nextDeadline()).toBe(at(50).mono);
    expect(bans.tick(at(50))).toBe(true);
    expect(bans.nextDeadline()).toBe(at(60).mono);
    expect(bans.tick(at(60))).toBe(true);
    expect(bans.nextDeadline()).toBeUndefined();
    bans.ban(subnet('1.1.1.1'), Number.MAX_SAFE_INTEGER, at(60));
    expect(bans.nextDeadline()).toBe(at(60 + 86_400).mono);
  });

  test('outlives a restart in one row, which is written only where something has changed', () => {
    const bans = make();
    expect(bans.save()).toEqual([]);
    bans.ban(subnet('10.0.0.0/8'), START + 60, at(0));
    bans.ban(subnet('fd00::/8'), Number.MAX_SAFE_INTEGER, at(1));
    const [row] = bans.save() as [[string, Uint8Array]];
    expect(row[0]).toBe(BANS_KEY);
    expect(bans.save()).toEqual([]);
    const again = make(row[1], at(2));
    expect(again.list(at(2))).toEqual(bans.list(at(2)));
    expect(again.isBanned('fd00::1', at(2))).toBe(true);
    expect(again.save()).toEqual([]);
    expect(again.nextDeadline()).toBe(at(60).mono);
    expect(again.tick(at(60))).toBe(true);
    expect(again.save()).toHaveLength(1);
    again.clear(at(61));
    expect(again.save()).toEqual([[BANS_KEY, null]]);
  });

  test.each([
    ['cut', (row: Uint8Array) => row.subarray(0, -1)],
    ['longer', (row: Uint8Array) => Uint8Array.of(...row, 0)],
    ['of an address of five bytes', (row: Uint8Array) => Uint8Array.of(5, 0, ...row.subarray(1))],
    ['of a mask of 33 bits', (row: Uint8Array) => row.map((byte, i) => (i === 5 ? 33 : byte))],
  ])('cannot be read from a row that is %s', (_how, damage) => {
    const bans = make();
    bans.ban(subnet('10.0.0.0/8'), START + 60, at(0));
    const [[, row]] = bans.save() as [[string, Uint8Array]];
    expect(() => make(damage(row))).toThrow(StoreDamage);
  });
});

describe('discouragement', () => {
  test('is by address, whatever its spelling, and of this machine never', () => {
    const bans = make();
    for (const host of ['1.2.3.4', 'FD00::1', '127.0.0.1', '127.5.5.5', '0.1.2.3', '::1']) bans.discourage(host);
    expect(bans.isDiscouraged('::ffff:1.2.3.4')).toBe(true);
    expect(bans.isDiscouraged('fd00:0::1')).toBe(true);
    expect(bans.isDiscouraged('fd00::2')).toBe(false);
    for (const host of ['1.2.3.5', '127.0.0.1', '127.5.5.5', '0.1.2.3', '::1']) {
      expect(bans.isDiscouraged(host)).toBe(false);
    }
    expect(bans.isBanned('1.2.3.4', at(0))).toBe(false);
    expect(bans.save()).toEqual([]);
  });

  test('forgets the oldest of too many; who misbehaves again is not the oldest', () => {
    const bans = make();
    for (const host of ['1.1.1.1', '2.2.2.2', '3.3.3.3', '1.1.1.1', '4.4.4.4']) bans.discourage(host);
    const all = ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'];
    expect(all.filter((host) => bans.isDiscouraged(host))).toEqual(['1.1.1.1', '3.3.3.3', '4.4.4.4']);
  });
});
