/** Slow lines: when what is sent arrives, in what pieces it leaves, and which shapes there may be. */
import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../node/random.ts';
import { SlowSends } from '../../node/runtime/slow-sends.ts';
import { SlowLine, shapeFault } from '../../node/slow-line.ts';

const still = () => 0;
const bytes = (length: number, value = 0) => new Uint8Array(length).fill(value);

describe('a slow line', () => {
  test('delays everything by the same without jitter', () => {
    const line = new SlowLine({ delayMs: 200, jitterMs: 0, bitsPerSecond: undefined }, still);
    expect([line.arrival(1000, 0), line.arrival(1, 5), line.arrival(1, 5)]).toEqual([200, 205, 205]);
  });

  test('carries bytes one after the other at its rate', () => {
    // 64 kbit/s are 8 bytes a millisecond.
    const line = new SlowLine({ delayMs: 100, jitterMs: 0, bitsPerSecond: 64_000 }, still);
    expect(line.arrival(800, 0)).toBe(200);
    expect(line.arrival(800, 0)).toBe(300);
    // It has been idle since 200 and does not make up for that.
    expect(line.arrival(800, 1000)).toBe(1200);
  });

  test('jitter adds from nothing to all of it, and nothing overtakes', () => {
    const random = new SeededRandom('jitter');
    const line = new SlowLine({ delayMs: 10, jitterMs: 50, bitsPerSecond: undefined }, () => random.u32() / 2 ** 32);
    let last = 0;
    const delays: number[] = [];
    for (let at = 0; at < 20_000; at += 100) {
      const arrival = line.arrival(1, at);
      expect(arrival).toBeGreaterThanOrEqual(last);
      last = arrival;
      delays.push(arrival - at);
    }
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(10);
    expect(Math.min(...delays)).toBeLessThan(15);
    expect(Math.max(...delays)).toBeLessThan(60);
    expect(Math.max(...delays)).toBeGreaterThan(55);
    const burst = new SlowLine(line.shape, () => random.u32() / 2 ** 32);
    const arrivals = Array.from({ length: 100 }, () => burst.arrival(1, 0));
    expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b));
  });

  test('shapes out of range are named with the range', () => {
    const shape = { delayMs: 0, jitterMs: 0, bitsPerSecond: undefined };
    expect(shapeFault({ ...shape, delayMs: 10_000, jitterMs: 10_000, bitsPerSecond: 1000 })).toBeUndefined();
    for (const delayMs of [-1, 10_001, Number.NaN])
      expect(shapeFault({ ...shape, delayMs })).toContain('0 to 10000 ms');
    expect(shapeFault({ ...shape, jitterMs: -1 })).toContain('jitter of -1 ms');
    for (const bitsPerSecond of [0, 999, 1e10 + 1]) {
      expect(shapeFault({ ...shape, bitsPerSecond })).toContain('1kbps to 10gbps');
    }
  });
});

describe('what waits for a slow line', () => {
  /** All that leaves up to that moment. */
  function leaves(sends: SlowSends, now: number): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (let piece = sends.take(now); piece !== undefined; piece = sends.take(now)) out.push(piece);
    return out;
  }
  const lengths = (pieces: readonly Uint8Array[]) => pieces.map(({ length }) => length);

  test('leaves whole and in order when its time has come, and says when that is', () => {
    const sends = new SlowSends({ delayMs: 200, jitterMs: 0, bitsPerSecond: undefined }, still);
    expect(sends.nextAt).toBeUndefined();
    sends.push(bytes(3, 1), 0);
    sends.push(bytes(2, 2), 50);
    expect(sends.nextAt).toBe(200);
    expect(leaves(sends, 199.9)).toEqual([]);
    expect(leaves(sends, 200)).toEqual([bytes(3, 1)]);
    expect(sends.nextAt).toBe(250);
    expect(leaves(sends, 1000)).toEqual([bytes(2, 2)]);
    expect(sends.nextAt).toBeUndefined();
  });

  test('leaves piece by piece at the rate of the line', () => {
    const sends = new SlowSends({ delayMs: 0, jitterMs: 0, bitsPerSecond: 64_000 }, still);
    sends.push(bytes(1000), 0);
    // 50 ms carry 400 bytes.
    expect(lengths(leaves(sends, 49))).toEqual([]);
    expect(lengths(leaves(sends, 50))).toEqual([400]);
    expect(lengths(leaves(sends, 100))).toEqual([400]);
    expect(sends.nextAt).toBe(125);
    expect(lengths(leaves(sends, 125))).toEqual([200]);
  });

  test('comes out at once when the line is fast again, what had left not twice', () => {
    const sends = new SlowSends({ delayMs: 0, jitterMs: 0, bitsPerSecond: 64_000 }, still);
    sends.push(bytes(1000, 1), 0);
    sends.push(bytes(5, 2), 0);
    leaves(sends, 50);
    expect(sends.takeAll()).toEqual([bytes(600, 1), bytes(5, 2)]);
    expect(sends.nextAt).toBeUndefined();
    expect(sends.takeAll()).toEqual([]);
  });

  test('goes by another line from the moment that this is set', () => {
    const sends = new SlowSends({ delayMs: 10_000, jitterMs: 0, bitsPerSecond: undefined }, still);
    sends.push(bytes(7), 0);
    sends.reshape({ delayMs: 100, jitterMs: 0, bitsPerSecond: undefined }, 50);
    expect(sends.nextAt).toBe(150);
  });

  test('a long message over the slowest line neither loses nor doubles a byte', () => {
    const sends = new SlowSends({ delayMs: 5, jitterMs: 20, bitsPerSecond: 1000 }, still);
    const message = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
    sends.push(message, 0);
    const out: number[] = [];
    for (let now = 0; sends.nextAt !== undefined; now += 777)
      for (const piece of leaves(sends, now)) out.push(...piece);
    expect(Uint8Array.from(out)).toEqual(message);
  });
});
