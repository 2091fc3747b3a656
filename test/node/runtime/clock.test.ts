/** The system's clock as the driver needs it. */
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../node/runtime/clock.ts';

const wake = (deadline: number) =>
  new Promise<number>((resolve) => {
    systemClock.wakeAt(deadline, () => resolve(systemClock.now().mono));
  });

describe('the clock', () => {
  test('tells milliseconds that never run back, and whole seconds since 1970', () => {
    const [a, b] = [systemClock.now(), systemClock.now()];
    expect(b.mono).toBeGreaterThanOrEqual(a.mono);
    expect(Number.isInteger(a.unix)).toBe(true);
    expect(Math.abs(a.unix - Date.now() / 1000)).toBeLessThan(2);
  });

  test('wakes for a deadline that has passed at once, but not within the call', async () => {
    let woken = false;
    const start = systemClock.now().mono;
    const done = new Promise<void>((resolve) => {
      systemClock.wakeAt(start - 5, () => {
        woken = true;
        resolve();
      });
    });
    expect(woken).toBe(false);
    await done;
    expect(woken).toBe(true);
  });

  test('wakes about when it should', async () => {
    const start = systemClock.now().mono;
    expect(await wake(start + 20)).toBeGreaterThan(start + 18);
  });

  test('does not wake for an alarm that was cancelled, near or far', async () => {
    let woken = 0;
    const start = systemClock.now().mono;
    for (const deadline of [start - 1, start + 1, start + 1e12]) {
      systemClock.wakeAt(deadline, () => woken++).cancel();
    }
    await wake(start + 10);
    expect(woken).toBe(0);
  });
});
