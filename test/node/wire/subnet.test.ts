import { describe, expect, test } from '@jest/globals';
import { formatSubnet, isWithin, parseSubnet, type Subnet, subnetKey } from '../../../node/wire/subnet.ts';

const subnet = (text: string) => parseSubnet(text) as Subnet;

describe('subnets', () => {
  test.each([
    ['192.168.0.6', '192.168.0.6/32'],
    ['192.168.0.6/24', '192.168.0.0/24'],
    ['192.168.0.6/255.255.0.0', '192.168.0.0/16'],
    ['192.168.255.6/255.255.254.0', '192.168.254.0/23'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['1.2.3.4/0.0.0.0', '0.0.0.0/0'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['1.2.3.4/255.255.255.255', '1.2.3.4/32'],
    ['1.2.3.4/024', '1.2.3.0/24'],
    ['::ffff:1.2.3.4', '1.2.3.4/32'],
    ['::ffff:1.2.3.4/8', '1.0.0.0/8'],
    ['::1', '::1/128'],
    ['[::1]', '::1/128'],
    ['[FD00::1]/8', 'fd00::/8'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['fe80::1/ffc0::', 'fe80::/10'],
    ['::/0', '::/0'],
  ])('%s is %s', (text, expected) => {
    expect(formatSubnet(subnet(text))).toBe(expected);
  });

  test.each([
    '',
    '/',
    '/8',
    'host',
    'host/8',
    '1.2.3.4/',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/255.0.255.0',
    '1.2.3.4/255.255.255.253',
    '1.2.3.4/ffff::',
    '::1/255.0.0.0',
    '::1/129',
    '::1/ffff:0:ffff::',
    '1.2.3.4/8/8',
    '1.2.3.4:80',
    '1.2.3.4 ',
    '0.0.0.0',
    '255.255.255.255',
    '::',
    '2001:db8::1',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.onion',
  ])('%j is none', (text) => {
    expect(parseSubnet(text)).toBeUndefined();
  });

  test('hold the addresses whose leading bits are theirs, of their own network only', () => {
    expect(isWithin('10.1.2.3', subnet('10.0.0.0/8'))).toBe(true);
    expect(isWithin('11.1.2.3', subnet('10.0.0.0/8'))).toBe(false);
    expect(isWithin('10.127.255.255', subnet('10.0.0.0/9'))).toBe(true);
    expect(isWithin('10.128.0.0', subnet('10.0.0.0/9'))).toBe(false);
    expect(isWithin('::ffff:10.1.2.3', subnet('10.0.0.0/8'))).toBe(true);
    expect(isWithin('1.2.3.4', subnet('0.0.0.0/0'))).toBe(true);
    expect(isWithin('::1', subnet('0.0.0.0/0'))).toBe(false);
    expect(isWithin('fd12::1', subnet('fd00::/8'))).toBe(true);
    expect(isWithin('host', subnet('0.0.0.0/0'))).toBe(false);
  });

  test('are listed with IPv4 first, by address, the wider one first', () => {
    const order = ['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/24', '10.0.1.0/24', '::/0', '::1/128', 'fd00::/8'];
    const sorted = [...order].reverse().sort((a, b) => (subnetKey(subnet(a)) < subnetKey(subnet(b)) ? -1 : 1));
    expect(sorted).toEqual(order);
  });
});
