/** When blocks are due, how long a miner pauses, and how fast it is. */
import { describe, expect, test } from '@jest/globals';
import { DutyCycle, HashMeter, Pace } from '../../../node/mining/pace.ts';
import { SeededRandom } from '../../../node/random.ts';

describe('the pace', () => {
  test('is kept from block to block, without a burst after a long search', () => {
    const pace = new Pace({ kind: 'every', intervalMs: 1000 }, 500);
    expect(pace.dueAt).toBe(1500);
    pace.next(1800);
    expect(pace.dueAt).toBe(2500);
    pace.next(9000);
    expect(pace.dueAt).toBe(9000);
    pace.next(9000);
    expect(pace.dueAt).toBe(10_000);
  });

  test('of Poisson has the mean, the spread and the seed that were asked for', () => {
    const waits = (seed: string): number[] => {
      const pace = new Pace({ kind: 'poisson', meanMs: 1000, random: new SeededRandom(seed) }, 0);
      return Array.from({ length: 4000 }, (_, index) => {
        const due = pace.dueAt;
        if (index > 0) expect(Number.isFinite(due)).toBe(true);
        pace.next(due);
        return pace.dueAt - due;
      });
    };
    const values = waits('a');
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    expect(mean).toBeGreaterThan(950);
    expect(mean).toBeLessThan(1050);
    expect(deviation / mean).toBeGreaterThan(0.95);
    expect(deviation / mean).toBeLessThan(1.05);
    expect(waits('a')).toEqual(values);
    expect(waits('b')).not.toEqual(values);
  });

  test('of blocks at once and of blocks for payments has no waiting time', () => {
    for (const kind of ['at-once', 'on-tx'] as const) {
      const pace = new Pace({ kind }, 100);
      pace.next(250);
      expect(pace.dueAt).toBe(250);
    }
  });
});

describe('a share of the time', () => {
  test('is kept to over many slices, whatever they take', () => {
    const duty = new DutyCycle({ share: 0.3, threads: 2 }, 70, 0);
    const random = new SeededRandom('slices');
    let now = 0;
    let busy = 70;
    for (let slice = 0; slice < 200; slice++) {
      const took = 10 + (random.u32() % 100);
      now += took;
      busy += 2 * took;
      now += duty.pauseMs(busy, now);
    }
    expect((busy - 70) / now / 2).toBeCloseTo(0.3, 2);
  });

  test('that was not used is not saved up', () => {
    const duty = new DutyCycle({ share: 0.5, threads: 1 }, 0, 0);
    expect(duty.pauseMs(0, 60_000)).toBe(0);
    expect(duty.pauseMs(100, 60_100)).toBe(100);
  });
});

test('the rate is that of the last ten seconds, or of the time since the start', () => {
  const meter = new HashMeter(1000);
  expect(meter.rate(1000)).toBe(0);
  for (let now = 1100; now <= 3000; now += 100) meter.add(100, now);
  expect(meter.rate(3000)).toBe(1000);
  for (let now = 3100; now <= 31_000; now += 100) meter.add(500, now);
  expect(meter.rate(31_000)).toBeGreaterThan(4700);
  expect(meter.rate(31_000)).toBeLessThan(5300);
  expect(meter.rate(60_000)).toBe(0);
  expect(meter.total).toBe(2000 + 280 * 500);
});
