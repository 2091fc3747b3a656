/** Output descriptors: what is read and written, against addresses that Bitcoin Core 28.1 derived; what is refused, and how. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { withChecksum } from '../../node/rpc/descriptor.ts';
import { formatChain, formatDescriptor, parseDescriptor } from '../../wallet/descriptor.ts';
import {
  accountDescriptor,
  addressCount,
  type Descriptor,
  EXTERNAL,
  INTERNAL,
  type KeyChain,
} from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { loadLookUpKey } from '../../wallet/look-up-keys.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';

const MNEMONIC = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const { publicKey } = new AccountSecret(seedFromMnemonic(MNEMONIC), regtest);
const XPUB = publicKey.xpub;
const ORIGIN = '[b8688df1/86h/1h/0h]';
const KEY = 'a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd';

function read(text: string): Descriptor {
  const parsed = parseDescriptor(text, regtest);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function refusal(text: string): { code: string; message: string; hint: string } {
  const parsed = parseDescriptor(text, regtest);
  if (parsed.ok) throw new Error('it was accepted');
  return parsed.error;
}

function addressAt(descriptor: Descriptor, chain: KeyChain, index: number): string {
  const addresses = AccountAddresses.fromDescriptor(descriptor, regtest);
  if (!addresses.ok) throw new Error(addresses.error);
  return encodeAddress(addresses.value.outputKey({ chain, index }), regtest.hrp);
}

describe('a descriptor', () => {
  // What `deriveaddresses` of Bitcoin Core 28.1 answered, for index 0 and 1 where there are several.
  test.each([
    [
      `tr(${ORIGIN}${XPUB}/0/*)`,
      'bcrt1p9y6pr3ec7jfdg6aaa282eu6pxn630ujlmkuwzvmdc6lam3t7dy7qw4aeyz',
      'bcrt1p4355zke8l8sjxjnevk9sytl93qw3ysa48kca74y8uzv22purwwuq3948gf',
    ],
    [
      `tr(${XPUB}/*)`,
      'bcrt1penmf9pa6qs7zs7feewqezt76rns2eqk8jvn57xmnm3wq72gva88q2ylg68',
      'bcrt1pshg325devfe594ptd3rzjjqyp2fjj4cxt8xvhnzk9qs60hrvzq9q2d9ul0',
    ],
    [
      `tr([00aabbcc/1h/2]${XPUB}/7/2147483647/*)`,
      'bcrt1ps48rtwga2dyzl7m4g2n4yjxu459lswxj45s4e4nc73cy3xzfafqs9pk8kd',
      'bcrt1puyxerum79wy9avt29vuh77a6lx629ggjh59fw5q8atw9a8j28ndqvrygz4',
    ],
    [`tr(${XPUB}/0/5)`, 'bcrt1pqhspkm78jcyducdx3flrmj2m6vla88ukv5ar2acn7r75ksjtu5cqnrku94'],
    [`tr(${XPUB})`, 'bcrt1pmgj9lcxprwtuzwlsas4pvmvust7k3486hn0k0rgswvrzgc8mhv3sjyl8ng'],
    [`tr(02${KEY})`, 'bcrt1pw74tdcrxlzn5r8z6ku2vztr86fgq0m245s72mjktf4afwzsf8ugs4evwdf'],
    [`tr(${KEY})`, 'bcrt1pw74tdcrxlzn5r8z6ku2vztr86fgq0m245s72mjktf4afwzsf8ugs4evwdf'],
  ])('%s has the addresses that Core derives', (body, ...addresses) => {
    const descriptor = read(withChecksum(body));
    expect(addresses.map((_, index) => addressAt(descriptor, EXTERNAL, index))).toEqual(addresses);
    expect(addressCount(descriptor, EXTERNAL)).toBe(addresses.length > 1 ? 2 ** 31 : 1);
    expect(addressCount(descriptor, INTERNAL)).toBe(0);
    expect(read(formatDescriptor(descriptor))).toEqual(descriptor);
  });

  test('of an account holds both chains, and is written as it was read', () => {
    const text = withChecksum(`tr(${ORIGIN}${XPUB}/<0;1>/*)`);
    expect(read(text)).toEqual(accountDescriptor(publicKey));
    expect(formatDescriptor(accountDescriptor(publicKey))).toBe(text);
    expect(formatChain(accountDescriptor(publicKey), INTERNAL)).toBe(withChecksum(`tr(${ORIGIN}${XPUB}/1/*)`));
  });

  test('can stand in two lines, one for each chain, and says the same', () => {
    const lines = [EXTERNAL, INTERNAL].map((chain) => formatChain(accountDescriptor(publicKey), chain as KeyChain));
    expect(read(`${lines.join('\n')}\n`)).toEqual(accountDescriptor(publicKey));
  });

  test('may write hardened steps of its origin in any of the three ways', () => {
    const descriptor = read(withChecksum(`tr([B8688DF1/86'/1H/0h]${XPUB}/<0;1>/*)`));
    expect(descriptor).toEqual(accountDescriptor(publicKey));
  });
});

describe('a descriptor is refused', () => {
  test('with a wrong checksum, and the right one is named', () => {
    const right = withChecksum(`tr(${XPUB}/0/*)`);
    const checksum = right.slice(-8);
    const wrong = right.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'));
    expect(refusal(wrong)).toMatchObject({ code: 'descriptor-checksum', message: expect.stringContaining(checksum) });
    expect(refusal(right.slice(0, -9))).toMatchObject({
      code: 'descriptor-checksum',
      hint: expect.stringContaining(`#${checksum}`),
    });
    expect(refusal(`${right}#${checksum}`).code).toBe('descriptor-checksum');
  });

  test.each([
    [`wpkh(${XPUB}/0/*)`, 'wpkh() is a segwit address of version 0 (P2WPKH)'],
    [`sh(wpkh(${XPUB}/0/*))`, 'sh() is a script hash (P2SH)'],
    [`wsh(multi(1,${XPUB}/0/*))`, 'wsh() is a script of segwit version 0 (P2WSH)'],
    [`pkh(${XPUB})`, 'pkh() is an address of the oldest kind (P2PKH)'],
    [`rawtr(${KEY})`, 'rawtr() is an output key without the internal key that it was made of'],
    [`frob(${KEY})`, 'frob() is not known here'],
    [`tr(${KEY},pk(${KEY}))`, 'tr() with a tree of scripts is not spent with its key alone'],
    [`tr(musig(${KEY},${KEY}))`, 'musig() is a key of several'],
  ])('%s: a script that cannot be spent here, by name', (body, message) => {
    expect(refusal(withChecksum(body))).toMatchObject({ code: 'descriptor-script', message });
  });

  test('with a private key, which is not repeated in the message, whatever else is wrong', () => {
    const xprv = XPUB.replace('tpub', 'tprv');
    const wif = 'cVpF924EspNh8KjYsfhgY96mmxvT6DgdWiTYMtMjuM74hJaU5psW';
    for (const body of [`tr(${xprv}/0/*)`, `wpkh(${xprv})`, `tr(${wif})`, `tr(${ORIGIN}${xprv}/<0;1>/*)`]) {
      for (const text of [withChecksum(body), body, `${body}#qqqqqqqq`]) {
        const { code, message, hint } = refusal(text);
        expect(code).toBe('descriptor-private');
        expect(message + hint).not.toContain(xprv.slice(4, 20));
        expect(message + hint).not.toContain(wif.slice(0, 10));
      }
    }
  });

  test('of another network', () => {
    const mainnet =
      'xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ';
    expect(refusal(withChecksum(`tr(${mainnet}/<0;1>/*)`))).toMatchObject({
      code: 'descriptor-network',
      message: expect.stringContaining('xpub'),
    });
  });

  test.each([
    [`tr(${XPUB}/0h/*)`, 'descriptor-key', 'the step "0h" is hardened'],
    [`tr(${XPUB}/0/*h)`, 'descriptor-key', 'the step "*h" is hardened'],
    [`tr(${XPUB}/<0;1;2>/*)`, 'descriptor-key', '"<0;1;2>" is no step'],
    [`tr(${XPUB}/<0;1>/<0;1>/*)`, 'descriptor-key', 'does not tell two chains apart'],
    [`tr(${XPUB}/<1;1>/*)`, 'descriptor-key', 'does not tell two chains apart'],
    [`tr(${XPUB}/2147483648/*)`, 'descriptor-key', '"2147483648" is no step'],
    [`tr(${XPUB}/x/*)`, 'descriptor-key', '"x" is no step'],
    [`tr(${XPUB}${'/1'.repeat(17)})`, 'descriptor-key', 'more than 16 steps'],
    [`tr(${XPUB.replace(/.$/, 'x')}/0/*)`, 'descriptor-key', 'the checksum of the extended public key'],
    [`tr(${KEY}/0)`, 'descriptor-key', 'a single key has no path'],
    [`tr(${KEY.slice(2)})`, 'descriptor-key', 'this one has 62 hex digits'],
    [`tr([b8688d/86h]${XPUB}/0/*)`, 'descriptor-format', 'is no origin of a key'],
    ['tr()', 'descriptor-key', 'neither an extended public key nor 32 bytes in hex'],
    ['hello', 'descriptor-format', 'this is no descriptor'],
  ])('%s: %s', (body, code, message) => {
    expect(refusal(withChecksum(body))).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('of a key that nobody can have, when its addresses are asked for', () => {
    const nobody = read(withChecksum(`tr(${'f'.repeat(64)})`));
    expect(AccountAddresses.fromDescriptor(nobody, regtest)).toEqual({
      ok: false,
      error: 'the key is no point of the curve',
    });
  });

  test('empty, too long, with characters of no descriptor, or of two keys at once', () => {
    expect(refusal('').message).toBe('there is no descriptor');
    expect(refusal(`tr(${'a'.repeat(2000)})`).code).toBe('descriptor-format');
    expect(refusal(`tr(${KEY}é)`).message).toBe('"é" cannot stand in a descriptor');
    const one = withChecksum(`tr(${KEY})`);
    const other = withChecksum(`tr(${XPUB}/0/*)`);
    expect(refusal(`${one}\n${other}`).message).toContain('not the receiving and the change chain of one key');
    expect(refusal(`${other}\n${other}`).code).toBe('descriptor-format');
    expect(refusal(`${one}\n${one}\n${one}`).code).toBe('descriptor-format');
  });
});

describe('keys for look-ups', () => {
  test('are the keys of the addresses, on both chains', () => {
    const derive = loadLookUpKey();
    const addresses = AccountAddresses.fromDescriptor(accountDescriptor(publicKey), regtest);
    if (derive === undefined || !addresses.ok) throw new Error('no library loads');
    for (const chain of [EXTERNAL, INTERNAL] as const) {
      const parent = addresses.value.chainKey(chain);
      if (parent === undefined) throw new Error('the chain has many keys');
      for (const index of [0, 1, 2, 3, 4, 5, 1000, 2 ** 31 - 1]) {
        expect(bytesToHex(derive(parent, index))).toBe(bytesToHex(addresses.value.outputKey({ chain, index })));
      }
    }
  });
});
