import { expect, test } from '@jest/globals';
import { encodeHeader } from '../../../consensus/block.ts';
import { vinenet } from '../../../consensus/params.ts';
import { grind } from '../../../node/mining/grind.ts';
import { Kernel } from '../../../node/mining/kernel.ts';
import { SeededRandom } from '../../../node/random.ts';

const kernel = new Kernel();
const random = new SeededRandom(new Uint8Array(32).fill(7));

test('the kernel finds what the plain search finds, on headers of any content and any target', () => {
  // 2^12 hashes, 2^8 + some, one whose first word is not all zeros, and one that none meets in the range.
  for (const bits of [0x1f0fffff, 0x2000ffff, 0x1f7fffff, 0x1d00ffff]) {
    for (let i = 0; i < 6; i++) {
      const header = random.bytes(80);
      for (const [start, tries] of [
        [0, 20_000],
        [0xffffffff - 9_000, 20_000],
        [i * 1013, 4_003],
        [5, 3],
      ] as const) {
        const expected = grind(header, bits, start, tries);
        expect(kernel.search(header, bits, start, tries)).toEqual(expected);
      }
    }
  }
});

test("the kernel finds the nonce of vinenet's genesis", () => {
  const { header } = vinenet.genesis;
  const bytes = encodeHeader({ ...header, nonce: 0 });
  expect(kernel.search(bytes, header.bits, 0, 1 << 20)).toEqual({ nonce: header.nonce, hashes: header.nonce + 1 });
  expect(bytes).toEqual(encodeHeader({ ...header, nonce: 0 }));
});

test('one kernel serves one job after the other', () => {
  const headers = Array.from({ length: 5 }, () => random.bytes(80));
  const search = (header: Uint8Array) => kernel.search(header, 0x1f0fffff, 0, 60_000);
  const found = headers.map(search);
  expect(found).toEqual(headers.map((header) => grind(header, 0x1f0fffff, 0, 60_000)));
  expect([...headers].reverse().map(search)).toEqual([...found].reverse());
  expect(new Set(found.map(({ nonce }) => nonce)).size).toBe(5);
});
