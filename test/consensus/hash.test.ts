/** Both implementations of `#hash` agree, so that the same rules hold in Node and in a browser. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as browser from '../../consensus/hash-browser.ts';
import * as node from '../../consensus/hash-node.ts';

describe('the two hash modules', () => {
  test('export the same names', () => {
    expect(Object.keys(browser).sort()).toEqual(Object.keys(node).sort());
  });

  test('hash any bytes to the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, from) => {
        // A view into a longer buffer must be hashed as the view.
        const view = bytes.subarray(Math.min(from, bytes.length));
        expect(browser.sha256(view)).toEqual(node.sha256(view));
        expect(browser.sha256d(view)).toEqual(node.sha256d(view));
        expect(node.sha256d(view)).toEqual(node.sha256(node.sha256(view)));
        const hex = node.bytesToHex(view);
        expect(browser.bytesToHex(view)).toBe(hex);
        expect(node.hexToBytes(hex)).toEqual(Uint8Array.from(view));
        expect(browser.hexToBytes(hex.toUpperCase())).toEqual(Uint8Array.from(view));
      }),
      { seed: 1 },
    );
  });

  test.each(['0', 'zz', '0g', '00 ', '0x00'])('refuse %p, which is no hex', (text) => {
    expect(() => node.hexToBytes(text)).toThrow();
    expect(() => browser.hexToBytes(text)).toThrow();
  });

  test('sha256 of nothing is the published value', () => {
    expect(node.bytesToHex(node.sha256(new Uint8Array(0)))).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });
});
