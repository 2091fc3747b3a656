/** Numbers, scripts and descriptors as Core prints them. */
import { describe, expect, test } from '@jest/globals';
import { hexToBytes } from '#hash';
import { regtest } from '../../../consensus/params.ts';
import { difficultyOf } from '../../../node/rpc/block-json.ts';
import { withChecksum } from '../../../node/rpc/descriptor.ts';
import { feeLimit, isAboveLimit } from '../../../node/rpc/fee-limit.ts';
import { amount, hexNumber, stringify } from '../../../node/rpc/json.ts';
import { hasValidOpcodes, isBurnt, scriptAsm, scriptJson, scriptType } from '../../../node/rpc/script-json.ts';

describe('JSON', () => {
  test('amounts have eight decimals and integers all their digits', () => {
    const value = {
      a: amount(1n),
      b: amount(-2_100_000_000_000_001n),
      c: 2n ** 64n - 1n,
      d: 'x"\n',
      e: [null, true, 0],
    };
    expect(stringify(value)).toBe(
      '{"a":0.00000001,"b":-21000000.00000001,"c":18446744073709551615,"d":"x\\"\\n","e":[null,true,0]}',
    );
  });

  test('members that are undefined are left out, and a member may have any name', () => {
    expect(stringify({ a: undefined, constructor: 1, 'b"': 2 })).toBe('{"constructor":1,"b\\"":2}');
  });

  test('fractions have sixteen digits', () => {
    expect(stringify(difficultyOf(0x207fffff))).toBe('4.656542373906925e-10');
    expect(stringify(difficultyOf(0x1d00ffff))).toBe('1');
    expect(stringify(difficultyOf(0x1b0404cb))).toBe('16307.42093852398');
    expect(stringify(1 / 3)).toBe('0.3333333333333333');
  });

  test('hex numbers are padded, negative ones are two’s complement', () => {
    expect(hexNumber(-1, 8)).toBe('ffffffff');
    expect(hexNumber(0x20000000, 8)).toBe('20000000');
    expect(hexNumber(5n, 16)).toBe('0000000000000005');
  });
});

describe('fee limits', () => {
  test('are rounded up, and zero is none', () => {
    expect(feeLimit(1000n, 111)).toBe(111n);
    expect(feeLimit(1n, 111)).toBe(1n);
    expect(isAboveLimit(1n, 1n, 111)).toBe(false);
    expect(isAboveLimit(2n, 1n, 111)).toBe(true);
    expect(isAboveLimit(10n ** 12n, 0n, 111)).toBe(false);
  });
});

describe('scripts', () => {
  const key = '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';

  test.each([
    [`5120${key}`, `1 ${key}`, 'witness_v1_taproot'],
    ['6a0568656c6c6f', 'OP_RETURN 68656c6c6f', 'nulldata'],
    ['6a0401020304', 'OP_RETURN 67305985', 'nulldata'],
    ['6a020180', 'OP_RETURN -1', 'nulldata'],
    ['6a00', 'OP_RETURN 0', 'nulldata'],
    ['6a4f60', 'OP_RETURN -1 16', 'nulldata'],
    ['6a61', 'OP_RETURN OP_NOP', 'nonstandard'],
    ['6a05', 'OP_RETURN [error]', 'nonstandard'],
    ['4c', '[error]', 'nonstandard'],
    ['4d0100', '[error]', 'nonstandard'],
    ['4e05000000aabbccddee', 'aabbccddee', 'nonstandard'],
    ['50b9bafeff', 'OP_RESERVED OP_NOP10 OP_CHECKSIGADD OP_UNKNOWN OP_INVALIDOPCODE', 'nonstandard'],
    [`76a914${'11'.repeat(20)}88ac`, `OP_DUP OP_HASH160 ${'11'.repeat(20)} OP_EQUALVERIFY OP_CHECKSIG`, 'pubkeyhash'],
    [`a914${'11'.repeat(20)}87`, `OP_HASH160 ${'11'.repeat(20)} OP_EQUAL`, 'scripthash'],
    [`0014${'11'.repeat(20)}`, `0 ${'11'.repeat(20)}`, 'witness_v0_keyhash'],
    [`0020${'11'.repeat(32)}`, `0 ${'11'.repeat(32)}`, 'witness_v0_scripthash'],
    [`0015${'11'.repeat(21)}`, `0 ${'11'.repeat(21)}`, 'nonstandard'],
    ['51024e73', '1 29518', 'anchor'],
    ['52021122', '2 8721', 'witness_unknown'],
    [`2102${key}ac`, `02${key} OP_CHECKSIG`, 'pubkey'],
    ['', '', 'nonstandard'],
  ])('%s', (hex, asm, type) => {
    expect(scriptAsm(hexToBytes(hex))).toBe(asm);
    expect(scriptType(hexToBytes(hex))).toBe(type);
  });

  test('a key on the curve has a descriptor of its own, one off it only its address', () => {
    expect(scriptJson(hexToBytes(`5120${key}`), regtest)).toMatchObject({ desc: `rawtr(${key})#xsjqcczm` });
    const offCurve = `${'00'.repeat(31)}05`;
    expect(scriptJson(hexToBytes(`5120${offCurve}`), regtest)).toMatchObject({
      desc: expect.stringMatching(/^addr\(bcrt1p.*\)#.{8}$/),
    });
    const aboveField = 'ff'.repeat(32);
    expect(scriptJson(hexToBytes(`5120${aboveField}`), regtest)).toMatchObject({
      desc: expect.stringMatching(/^addr\(/),
    });
  });

  test('checksums are those of BIP 380', () => {
    expect(withChecksum('raw(deadbeef)')).toBe('raw(deadbeef)#89f8spxm');
    expect(() => withChecksum('ü')).toThrow();
  });

  test('burnt is what begins with OP_RETURN or holds what no script may hold', () => {
    expect(isBurnt(hexToBytes('6a'))).toBe(true);
    expect(isBurnt(hexToBytes('ba'))).toBe(true);
    expect(isBurnt(hexToBytes('02aa'))).toBe(true);
    expect(isBurnt(hexToBytes(`5120${key}`))).toBe(false);
    expect(isBurnt(new Uint8Array(10_001).fill(0x51))).toBe(true);
    expect(hasValidOpcodes(hexToBytes(`4d0902${'00'.repeat(521)}`))).toBe(false);
    expect(hasValidOpcodes(hexToBytes(`4d0802${'00'.repeat(520)}`))).toBe(true);
  });
});
