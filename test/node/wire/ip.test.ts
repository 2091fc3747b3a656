import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hexToBytes } from '#hash';
import {
  canonicalHost,
  formatEndpoint,
  formatIp,
  ipFromBytes,
  ipToBytes16,
  parseEndpoint,
  parseIp,
} from '../../../node/wire/ip.ts';
import { bytesOf } from './arbitrary.ts';

describe('IP addresses', () => {
  test('bytes survive the way to text and back', () => {
    // Few different bytes, so that runs of zeros and mapped addresses occur.
    const bytes16 = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(
        fc.oneof(
          bytesOf(16),
          bytes16.map((bytes) => Uint8Array.from(bytes)),
        ),
        (bytes) => {
          const ip = ipFromBytes(bytes);
          expect(ipToBytes16(ip)).toEqual(bytes);
          expect(parseIp(formatIp(ip))).toEqual(ip);
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });

  // RFC 5952, sections 4 and 5.
  test.each([
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::AAAA', '2001:db8::aaaa'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['127.0.0.1', '127.0.0.1'],
    ['LocalHost', 'localhost'],
  ])('%s is written as %s', (text, canonical) => {
    expect(canonicalHost(text)).toBe(canonical);
  });

  test.each([
    ...['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 ', '0x7f.0.0.1', '1..2.3'],
    ...[':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::8', '12345::', '::g', '1.2.3.4::'],
    ...['::1.2.3', '::1.2.3.4:5', 'fe80::1%eth0', 'example.org'],
  ])('"%s" is no IP address', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test('an IPv4 address is mapped into 16 bytes', () => {
    expect(ipToBytes16({ network: 'ipv4', bytes: hexToBytes('7f000001') })).toEqual(
      hexToBytes('00000000000000000000ffff7f000001'),
    );
  });
});

describe('endpoints', () => {
  test.each([
    ['127.0.0.1:18444', '127.0.0.1:18444'],
    ['[::1]:18444', '[::1]:18444'],
    ['[2001:0DB8::1]:1', '[2001:db8::1]:1'],
    ['[::ffff:10.0.0.1]:1', '10.0.0.1:1'],
    ['Node.Example:80', 'node.example:80'],
  ])('%s reads and writes as %s', (text, canonical) => {
    const endpoint = parseEndpoint(text);
    expect(endpoint === undefined ? undefined : formatEndpoint(endpoint)).toBe(canonical);
  });

  test.each([
    '',
    '127.0.0.1',
    ':1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '::1:1',
    '[::1]',
    '[nonsense]:1',
    'a b:1',
    'ws://h:1',
  ])('"%s" is no endpoint', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });
});
