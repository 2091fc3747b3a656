import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import { Writer } from '../../../consensus/codec.ts';
import { gossipAddress } from '../../../node/wire/address.ts';
import { decodeMessage, encodeMessage, encodePayload } from '../../../node/wire/codec.ts';
import type { Message, MessageType } from '../../../node/wire/message.ts';
import { messages } from './arbitrary.ts';

const types = Object.keys(messages) as MessageType[];
const withPayload = types.filter((type) => {
  const [message] = fc.sample(messages[type], { numRuns: 1, seed: 1 });
  return encodePayload(message as Message).length > 0;
});

function decoded(command: string, payload: Uint8Array): Message | null {
  const result = decodeMessage(command, payload);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

describe('every message', () => {
  test.each(types)('%s survives a round trip', (type) => {
    fc.assert(
      fc.property(messages[type], (message) => {
        expect(decoded(type, encodePayload(message))).toEqual(message);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  test.each(withPayload)('%s is refused wherever it is truncated', (type) => {
    fc.assert(
      fc.property(messages[type], (message) => {
        const payload = encodePayload(message);
        const optional = message.type === 'version' ? versionEnds(message.userAgent) : [];
        const accepted: number[] = [];
        for (let length = 0; length < payload.length; length++) {
          if (decodeMessage(type, payload.subarray(0, length)).ok) accepted.push(length);
        }
        expect(accepted).toEqual(optional);
      }),
      { seed: 2, numRuns: 30 },
    );
  });

  test.each(types)('%s with bytes behind its last field is read as if they were not there', (type) => {
    fc.assert(
      fc.property(messages[type], fc.uint8Array({ minLength: 1, maxLength: 9 }), (message, extra) => {
        const payload = new Writer().raw(encodePayload(message)).raw(extra).finish();
        expect(decoded(type, payload)).toEqual(message);
      }),
      { seed: 3, numRuns: 20 },
    );
  });

  test.each(types)('%s never makes the decoder throw, whatever its payload is', (type) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        decodeMessage(type, payload);
      }),
      { seed: 4, numRuns: 100 },
    );
  });

  test('an unknown command is no error, and neither is the name of a property that every object has', () => {
    for (const command of ['alert', 'cmpctblock', '', 'constructor', '__proto__', 'toString']) {
      expect(decodeMessage(command, Uint8Array.of(1, 2, 3))).toEqual({ ok: true, value: null });
    }
  });
});

/** Lengths at which an old client may end its version message: after "you", the nonce, the user agent, the height. */
function versionEnds(userAgent: string): number[] {
  const agentEnd = 46 + 34 + (userAgent.length < 0xfd ? 1 : 3) + userAgent.length;
  return [46, 46 + 34, agentEnd, agentEnd + 4];
}

describe('version', () => {
  const full: Message = {
    type: 'version',
    version: 70016,
    services: 9n,
    time: 1_700_000_000n,
    receiver: { services: 0n, ip: new Uint8Array(16), port: 18444 },
    nonce: 7n,
    userAgent: '/Grapevine:0.1.0/',
    startHeight: 110,
    relay: false,
  };

  test('everything after the receiver is optional, field by field', () => {
    const payload = encodePayload(full);
    const [afterReceiver, afterNonce, afterAgent, afterHeight] = versionEnds(full.userAgent) as [
      number,
      number,
      number,
      number,
    ];
    const none = { ...full, nonce: 0n, userAgent: '', startHeight: -1, relay: true };
    expect(decoded('version', payload.subarray(0, afterReceiver))).toEqual(none);
    expect(decoded('version', payload.subarray(0, afterNonce))).toEqual({ ...none, nonce: 7n });
    expect(decoded('version', payload.subarray(0, afterAgent))).toEqual({ ...full, startHeight: -1, relay: true });
    expect(decoded('version', payload.subarray(0, afterHeight))).toEqual({ ...full, relay: true });
  });

  test('a user agent may have 256 bytes and no more', () => {
    const of = (length: number) => decodeMessage('version', encodePayload({ ...full, userAgent: 'x'.repeat(length) }));
    expect(of(256).ok).toBe(true);
    expect(of(257).ok).toBe(false);
  });

  test('the sender repeats its services and tells no address, like Core', () => {
    const payload = encodePayload(full);
    expect(bytesToHex(payload.subarray(46, 72))).toBe(`0900000000000000${'00'.repeat(18)}`);
  });
});

describe('limits', () => {
  const count = (value: number) => new Writer().compact(value).finish();
  const locator = (value: number) => new Writer().u32(70016).compact(value).finish();
  const filled = (type: MessageType, head: Uint8Array, itemSize: number, items: number, tail = 0) =>
    decodeMessage(
      type,
      new Writer()
        .raw(head)
        .raw(new Uint8Array(itemSize * items + tail))
        .finish(),
    );

  test.each([
    ['inv', 50_000, 36, 'too-many-inventory'],
    ['getdata', 50_000, 36, 'too-many-inventory'],
    ['addr', 1000, 30, 'too-many-addresses'],
    ['addrv2', 1000, 9, 'too-many-addresses'],
    ['headers', 2000, 81, 'too-many-headers'],
  ] as const)('%s takes %d items; one more names the offence', (type, limit, itemSize, offence) => {
    if (type === 'addrv2') {
      // Nine bytes: time, services, an unknown network, an empty address, port.
      const item = hexToBytes('000000000063000000');
      const writer = new Writer().compact(limit);
      for (let i = 0; i < limit; i++) writer.raw(item);
      expect(decoded(type, writer.finish())).toEqual({ type, addresses: [] });
    } else {
      expect(filled(type, count(limit), itemSize, limit).ok).toBe(true);
    }
    expect(filled(type, count(limit + 1), itemSize, limit + 1)).toMatchObject({ ok: false, error: { offence } });
  });

  test('a locator takes 101 hashes; one more names the offence', () => {
    expect(filled('getheaders', locator(101), 32, 101, 32).ok).toBe(true);
    expect(filled('getheaders', locator(102), 32, 102, 32)).toMatchObject({
      ok: false,
      error: { offence: 'locator-too-long' },
    });
  });

  test('a long notfound is refused but is no offence', () => {
    const result = filled('notfound', count(50_001), 36, 50_001);
    expect(result.ok).toBe(false);
    expect(result).not.toHaveProperty('error.offence');
  });

  test('a count that the payload cannot hold is refused before anything is read', () => {
    for (const type of ['inv', 'addr', 'headers', 'block', 'tx'] as const) {
      expect(decodeMessage(type, hexToBytes('fe00000002')).ok).toBe(false);
    }
  });
});

describe('addrv2 (BIP 155)', () => {
  const entry = (network: number, address: string, length = address.length / 2) =>
    new Writer()
      .compact(1)
      .u32(1_700_000_000)
      .compact(0xfdn)
      .u8(network)
      .compact(length)
      .raw(hexToBytes(address))
      .u16be(8333)
      .finish();
  const read = (network: number, address: string) => decoded('addrv2', entry(network, address));
  const fields = { port: 8333, services: 0xfdn, time: 1_700_000_000 };

  test.each([
    [1, 'ipv4', '01020304', '1.2.3.4'],
    [2, 'ipv6', '20010db8000000000000000000000001', '2001:db8::1'],
    [4, 'torv3', 'ab'.repeat(32), 'ab'.repeat(32)],
    [5, 'i2p', 'cd'.repeat(32), 'cd'.repeat(32)],
    [6, 'cjdns', `fc${'01'.repeat(15)}`, `fc${'01'.repeat(15)}`],
  ] as const)('network %d is %s', (id, network, bytes, host) => {
    expect(read(id, bytes)).toEqual({ type: 'addrv2', addresses: [{ network, host, ...fields }] });
  });

  test.each([
    [1, 3],
    [1, 16],
    [2, 4],
    [2, 15],
    [4, 10],
    [5, 31],
    [6, 4],
  ])('network %d with an address of %d bytes is malformed', (id, length) => {
    expect(decodeMessage('addrv2', entry(id, '00'.repeat(length))).ok).toBe(false);
  });

  test('networks that we do not know are skipped, Tor v2 among them, and what follows is read', () => {
    const known = '00000000' + '00' + '01' + '04' + '7f000001' + '208d';
    for (const unknown of [`030a${'11'.repeat(10)}`, '0700', `fffd0002${'22'.repeat(512)}`]) {
      const payload = hexToBytes(`020000000000${unknown}208d${known}`);
      expect(decoded('addrv2', payload)).toMatchObject({ addresses: [{ host: '127.0.0.1', port: 8333 }] });
    }
  });

  test('an address of more than 512 bytes is malformed even on an unknown network', () => {
    expect(decodeMessage('addrv2', entry(0x99, '00'.repeat(513))).ok).toBe(false);
  });

  test.each([
    ['an IPv4 address inside IPv6', 2, '00000000000000000000ffff01020304'],
    ['a Tor v2 address inside IPv6', 2, 'fd87d87eeb430102030405060708090a'],
    ['a CJDNS address without its prefix', 6, 'fb010101010101010101010101010101'],
  ])('%s counts as no address', (_name, id, bytes) => {
    expect(read(id, bytes)).toEqual({ type: 'addrv2', addresses: [] });
  });

  test('service bits are a CompactSize that may be as large as 64 bits', () => {
    const payload = hexToBytes('01' + '00000000' + 'ff0000000000000080' + '01' + '04' + '01020304' + '208d');
    expect(decoded('addrv2', payload)).toMatchObject({ addresses: [{ services: 1n << 63n }] });
  });
});

describe('nodes behind wss:// in addrv2', () => {
  const ascii = (text: string) => new TextEncoder().encode(text);
  const known = { network: 'ipv4', host: '1.2.3.4', port: 8333, services: 9n, time: 1 } as const;
  const fields = { port: 443, services: 9n, time: 1_700_000_000 };
  /** The name as it is, and an address that is to be read although what stands before it is not. */
  const payload = (name: Uint8Array, port = 443) => {
    const writer = new Writer().compact(2);
    writer.u32(1_700_000_000).compact(9n).u8(0x77).varBytes(name).u16be(port);
    writer
      .u32(1)
      .compact(9n)
      .u8(1)
      .varBytes(Uint8Array.of(1, 2, 3, 4))
      .u16be(8333);
    return writer.finish();
  };
  const longest = [...Array.from({ length: 3 }, () => 'a'.repeat(63)), 'a'.repeat(61)].join('.');

  test.each([
    ['node.example.org', { host: 'node.example.org' }],
    ['localhost', { host: 'localhost' }],
    ['a1.example.org/peer?key=1/2', { host: 'a1.example.org', path: '/peer?key=1/2' }],
    ['xn--bcher-kva.example/!~', { host: 'xn--bcher-kva.example', path: '/!~' }],
    [longest, { host: longest }],
    [`a.org/${'p'.repeat(199)}`, { host: 'a.org', path: `/${'p'.repeat(199)}` }],
  ])('%s is read, and written as it was', (name, expected) => {
    const message = { type: 'addrv2', addresses: [{ network: 'wss', ...expected, ...fields }, known] } as const;
    expect(decoded('addrv2', payload(ascii(name)))).toEqual(message);
    expect(encodePayload(message)).toEqual(payload(ascii(name)));
  });

  test.each([
    ['nothing', ''],
    ['capitals', 'Node.example.org'],
    ['a dot at the end', 'node.example.org.'],
    ['an empty label', 'node..org'],
    ['a hyphen at the edge of a label', '-a.org'],
    ['an underscore', 'a_b.org'],
    ['a label of 64 letters', `${'a'.repeat(64)}.org`],
    ['254 letters', `${longest}a`],
    ['an IPv4 address', '127.0.0.1'],
    ['what a browser takes for an IPv4 address', 'a.0x7f'],
    ['an IPv6 address', '[::1]'],
    ['a port', 'a.org:443'],
    ['a name and a password', 'me:secret@a.org'],
    ['a path that is only a slash', 'a.org/'],
    ['a path alone', '/peer'],
    ['a space in the path', 'a.org/a b'],
    ['a fragment', 'a.org/a#b'],
    ['a line break', 'a.org\n'],
    ['a line break in the path', 'a.org/a\n'],
    ['a letter outside ASCII', 'b\u00fccher.org'],
    ['a path of 201 characters', `a.org/${'p'.repeat(200)}`],
  ])('%s is skipped and is no offence', (_what, name) => {
    expect(decoded('addrv2', payload(Uint8Array.from(name, (letter) => letter.charCodeAt(0))))).toEqual({
      type: 'addrv2',
      addresses: [known],
    });
  });

  test('port 0 is skipped, and so is any bytes that are no text', () => {
    expect(decoded('addrv2', payload(ascii('a.org'), 0))).toEqual({ type: 'addrv2', addresses: [known] });
    expect(decoded('addrv2', payload(new Uint8Array(512)))).toEqual({ type: 'addrv2', addresses: [known] });
  });

  test('they are gossiped by what is dialled; an IP address behind wss, or a name that is not, has no address', () => {
    const target = { transport: 'wss', host: 'A.example.org', port: 443 } as const;
    const address = { network: 'wss', host: 'a.example.org', ...fields };
    expect(gossipAddress(target, 9n, 1_700_000_000)).toEqual(address);
    expect(gossipAddress({ ...target, path: '/' }, 9n, 1_700_000_000)).toEqual(address);
    expect(gossipAddress({ ...target, path: '/x' }, 9n, 1_700_000_000)).toEqual({ ...address, path: '/x' });
    expect(gossipAddress({ ...target, path: '/x#' }, 9n, 0)).toBeUndefined();
    expect(gossipAddress({ ...target, port: 0 }, 9n, 0)).toBeUndefined();
    expect(gossipAddress({ ...target, host: '1.2.3.4' }, 9n, 0)).toBeUndefined();
    expect(gossipAddress({ ...target, host: '::1' }, 9n, 0)).toBeUndefined();
    expect(gossipAddress({ ...target, transport: 'ws' }, 9n, 0)).toBeUndefined();
    expect(gossipAddress({ transport: 'ws', host: '1.2.3.4', port: 8333 }, 9n, 1)).toEqual(known);
  });
});

describe('addr', () => {
  test('an IPv4 address travels inside IPv6', () => {
    const address = { network: 'ipv4', host: '1.2.3.4', port: 8333, services: 9n, time: 1 } as const;
    const payload = encodePayload({ type: 'addr', addresses: [address] });
    expect(bytesToHex(payload)).toBe(
      '01' + '01000000' + '0900000000000000' + '00000000000000000000ffff01020304' + '208d',
    );
    expect(decoded('addr', payload)).toEqual({ type: 'addr', addresses: [address] });
  });

  test('what only addrv2 can carry is a bug of the caller', () => {
    const address = { network: 'torv3', host: 'ab'.repeat(32), port: 1, services: 0n, time: 0 } as const;
    expect(() => encodePayload({ type: 'addr', addresses: [address] })).toThrow('addr cannot carry torv3');
    const name = { ...address, network: 'wss', host: 'a.org' } as const;
    expect(() => encodePayload({ type: 'addr', addresses: [name] })).toThrow('addr cannot carry wss');
  });
});

test('a whole message is the frame that everybody knows', () => {
  expect(bytesToHex(encodeMessage({ type: 'verack' }, hexToBytes('fabfb5da')))).toBe(
    'fabfb5da76657261636b000000000000000000005df6e0e2',
  );
});
