/** What is to happen on the virtual network: a binary heap, by time and then by the order of asking. */
import type { Millis } from '../../node/boundary.ts';

export interface Scheduled {
  readonly at: Millis;
  readonly order: number;
  readonly run: () => void;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];

  peek(): Scheduled | undefined {
    return this.#heap[0];
  }

  push(item: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Scheduled;
      if (!before(item, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  }

  pop(): Scheduled | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1] as Scheduled, heap[down] as Scheduled)) down++;
      const child = heap[down] as Scheduled;
      if (!before(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
