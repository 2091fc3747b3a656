import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../node/random.ts';

const draws = (random: SeededRandom, count = 8) => Array.from({ length: count }, () => random.u32());

describe('seeded randomness', () => {
  test('the same seed gives the same stream, another seed another', () => {
    expect(draws(new SeededRandom('a'))).toEqual(draws(new SeededRandom('a')));
    expect(draws(new SeededRandom('a'))).not.toEqual(draws(new SeededRandom('b')));
    expect(draws(new SeededRandom(Uint8Array.of(97)))).toEqual(draws(new SeededRandom('a')));
  });

  test('this is the stream of today: a change of the generator changes every simulation', () => {
    expect(draws(new SeededRandom('grapevine'), 4)).toEqual([141478846, 2557647268, 236538077, 216846907]);
  });

  test('a fork depends on the seed and its label, and not on what was drawn', () => {
    const drawn = new SeededRandom('a');
    draws(drawn);
    expect(draws(drawn.fork('x'))).toEqual(draws(new SeededRandom('a').fork('x')));
    expect(draws(drawn.fork('x'))).not.toEqual(draws(drawn.fork('y')));
    expect(draws(drawn.fork('x').fork('y'))).not.toEqual(draws(drawn.fork('y').fork('x')));
  });

  test('bytes and 64-bit numbers come from the same words, any length', () => {
    for (const length of [0, 1, 4, 7, 32]) expect(new SeededRandom('a').bytes(length)).toHaveLength(length);
    const [low, high] = draws(new SeededRandom('a'), 2) as [number, number];
    expect(new SeededRandom('a').u64()).toBe((BigInt(high) << 32n) | BigInt(low));
    expect([...new SeededRandom('a').bytes(4)]).toEqual([0, 8, 16, 24].map((shift) => (low >>> shift) & 0xff));
  });

  test('numbers are spread evenly', () => {
    const random = new SeededRandom('spread');
    const low = new Array<number>(16).fill(0);
    const high = new Array<number>(16).fill(0);
    let bits = 0;
    for (let i = 0; i < 160_000; i++) {
      const word = random.u32();
      low[word & 15]!++;
      high[word >>> 28]!++;
      for (let rest = word; rest !== 0; rest &= rest - 1) bits++;
    }
    // Five standard deviations of a fair generator.
    for (const count of [...low, ...high]) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(Math.abs(bits - 16 * 160_000)).toBeLessThan(5700);
  });
});
