/** The two clocks of the machine as the core's `Now`, and the one timer that the driver needs. */
import type { Millis, Now } from '../boundary.ts';

export interface Clock {
  now(): Now;
  /** Calls `wake` once, at `deadline` (of `Now.mono`) or soon after, never before this call has returned. */
  wakeAt(deadline: Millis, wake: () => void): Alarm;
}

export interface Alarm {
  cancel(): void;
}

/** `setTimeout` takes a signed 32-bit delay. Whoever waits longer is woken early and asks again. */
const MAX_DELAY_MS = 0x7fffffff;

export const systemClock: Clock = {
  now: () => ({ mono: performance.now(), unix: Math.floor(Date.now() / 1000) }),

  wakeAt(deadline, wake) {
    const delay = deadline - performance.now();
    if (delay <= 0) {
      // Not a timer of 0: that waits a whole millisecond, and work cut in steps would crawl. I/O comes between two of these.
      const immediate = setImmediate(wake);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(wake, Math.min(Math.ceil(delay), MAX_DELAY_MS));
    return { cancel: () => clearTimeout(timer) };
  },
};
