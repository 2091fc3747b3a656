/** Events on their way to a driver that may not exist yet: those that come before it wait for it, and none is overtaken. */
import type { Event } from '../boundary.ts';

export class EarlyEvents {
  readonly #waiting: Event[] = [];
  #driver: { deliver(event: Event): void } | undefined;

  /** Delivers it, or keeps it until there is somebody to deliver it to. */
  emit(event: Event): void {
    if (this.#driver === undefined) this.#waiting.push(event);
    else this.#driver.deliver(event);
  }

  /** Delivers what waits, and from then on all that comes, in one go: nothing can happen in between. */
  open(driver: { deliver(event: Event): void }): void {
    // What comes of one of them meanwhile is put at the end, where this loop finds it.
    for (const event of this.#waiting) driver.deliver(event);
    this.#waiting.length = 0;
    this.#driver = driver;
  }
}
