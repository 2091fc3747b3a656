/** Output scripts and addresses: RULES A1 S1, BIP 350, BIP 86. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import {
  dataScript,
  decodeAddress,
  encodeAddress,
  isDataOutput,
  isP2tr,
  isUnspendable,
  outputKey,
  p2trScript,
  scriptAddress,
  scriptHash,
} from '../../consensus/address.ts';
import { type ChainParams, regtest } from '../../consensus/params.ts';
import { readAddressVectors, readDerivationVectors } from '../support/vectors.ts';

const network = (hrp: string): ChainParams => ({ ...regtest, hrp });
const bytes = (hex: string) => hexToBytes(hex.replaceAll(' ', ''));

describe('output scripts', () => {
  test.each([
    ['an output key', `5120${'ab'.repeat(32)}`, 'p2tr'],
    ['an output key that is no point of the curve', `5120${'ff'.repeat(32)}`, 'p2tr'],
    ['31 bytes of key', `511f${'ab'.repeat(31)}`, 'none'],
    ['33 bytes of key', `5121${'ab'.repeat(33)}`, 'none'],
    ['a byte after the key', `5120${'ab'.repeat(32)}00`, 'none'],
    ['witness version 0', `0020${'ab'.repeat(32)}`, 'none'],
    ['witness version 2', `5220${'ab'.repeat(32)}`, 'none'],
    ['a key pushed by OP_PUSHDATA1', `514c20${'ab'.repeat(32)}`, 'none'],
    ['pay to public key hash', `76a914${'ab'.repeat(20)}88ac`, 'none'],
    ['nothing', '', 'none'],
    ['OP_RETURN alone', '6a', 'none'],
    ['an empty push', '6a00', 'none'],
    ['a number opcode', '6a51', 'none'],
    ['one byte', '6a0101', 'data'],
    ['75 bytes', `6a4b${'00'.repeat(75)}`, 'data'],
    ['75 bytes with a longer push than needed', `6a4c4b${'00'.repeat(75)}`, 'none'],
    ['76 bytes', `6a4c4c${'00'.repeat(76)}`, 'data'],
    ['80 bytes', `6a4c50${'00'.repeat(80)}`, 'data'],
    ['81 bytes', `6a4c51${'00'.repeat(81)}`, 'none'],
    ['80 bytes by OP_PUSHDATA2', `6a4d5000${'00'.repeat(80)}`, 'none'],
    ['a push that is cut short', '6a0201', 'none'],
    ['an OP_PUSHDATA1 without its length', '6a4c', 'none'],
    ['two pushes', '6a01010101', 'none'],
    ['an opcode after the push', '6a0101ac', 'none'],
    ['a witness commitment', `6a24aa21a9ed${'00'.repeat(32)}`, 'data'],
  ])('%s is told apart', (_, hex, kind) => {
    expect({ p2tr: isP2tr(bytes(hex)), data: isDataOutput(bytes(hex)) }).toEqual({
      p2tr: kind === 'p2tr',
      data: kind === 'data',
    });
  });

  test('every data script that is made is recognised, holds its data and makes no coin', () => {
    for (let length = 1; length <= 80; length++) {
      const data = new Uint8Array(length).fill(length);
      const script = dataScript(data);
      expect(isDataOutput(script)).toBe(true);
      expect(isUnspendable(script)).toBe(true);
      expect(bytesToHex(script)).toBe(
        `6a${length > 75 ? '4c' : ''}${length.toString(16).padStart(2, '0')}${bytesToHex(data)}`,
      );
    }
  });

  test('scripts of the wrong size are not made', () => {
    expect(() => dataScript(new Uint8Array(0))).toThrow('1 to 80 bytes');
    expect(() => dataScript(new Uint8Array(81))).toThrow('1 to 80 bytes');
    expect(() => p2trScript(new Uint8Array(33))).toThrow('32 bytes');
  });

  test('the script hash is sha256 in the order of its bytes', () => {
    expect(scriptHash(new Uint8Array(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});

describe('addresses', () => {
  const { source, cases } = readAddressVectors();

  test.each(cases)(`${source}: $address`, ({ address, hrp, script, error }) => {
    const decoded = decodeAddress(address, network(hrp));
    if (script === undefined) {
      expect(decoded).toMatchObject({ ok: false, error: { code: error } });
    } else {
      expect(decoded.ok && bytesToHex(decoded.value)).toBe(script);
      expect(scriptAddress(bytes(script), network(hrp))).toBe(address.toLowerCase());
    }
  });

  test.each(readDerivationVectors().cases)('BIP 86: $path', ({ outputKey: key, script, address }) => {
    expect(bytesToHex(p2trScript(bytes(key)))).toBe(script);
    expect(encodeAddress(bytes(key), 'bc')).toBe(address);
  });

  test('every output key has an address that leads back to it, in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.constantFrom('bcrt', 'bc', 'gv'), (key, hrp) => {
        const address = encodeAddress(key, hrp);
        const decoded = decodeAddress(address, network(hrp));
        expect(decoded.ok && outputKey(decoded.value)).toEqual(key);
        expect(decodeAddress(address.toUpperCase(), network(hrp)).ok).toBe(true);
      }),
      { seed: 1 },
    );
  });

  test('no address survives one changed character', () => {
    const address = encodeAddress(new Uint8Array(32).fill(7), 'bcrt');
    for (let i = 0; i < address.length; i++) {
      const other = address[i] === 'q' ? 'p' : 'q';
      expect(decodeAddress(address.slice(0, i) + other + address.slice(i + 1), regtest).ok).toBe(false);
    }
  });

  test.each([
    ['of another network', encodeAddress(new Uint8Array(32), 'bc'), 'network', 'begins with bc1, not bcrt1'],
    ['with a wrong checksum', `${encodeAddress(new Uint8Array(32), 'bcrt').slice(0, -1)}x`, 'checksum', 'mistyped'],
    ['of an older type (P2PKH)', 'mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8', 'version', 'older type'],
    ['of an older type (P2SH)', '2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br', 'version', 'older type'],
    ['that is empty', '', 'format', 'bcrt1p'],
    ['that is a name', 'alice', 'format', 'bcrt1p'],
    ['with a space around it', ` ${encodeAddress(new Uint8Array(32), 'bcrt')}`, 'format', 'bcrt1p'],
    ['that is much too long', `bcrt1${'q'.repeat(1000)}`, 'format', 'bcrt1p'],
  ])('an address %s is refused with the reason', (_, text, code, words) => {
    const decoded = decodeAddress(text, regtest);
    expect(decoded).toMatchObject({ ok: false, error: { code } });
    expect(decoded.ok ? '' : decoded.error.message).toContain(words);
  });

  test('a script that is not P2TR has no address', () => {
    expect(scriptAddress(dataScript(Uint8Array.of(1)), regtest)).toBeUndefined();
  });
});
