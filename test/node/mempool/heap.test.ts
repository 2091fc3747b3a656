import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BoundedSet } from '../../../node/mempool/bounded-set.ts';
import { Heap } from '../../../node/mempool/heap.ts';

describe('the heap', () => {
  test('agrees with a sorted list over random changes', () => {
    const change = fc.record({ item: fc.nat(20), key: fc.integer({ min: -5, max: 5 }), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
        const heap = new Heap<number>();
        const model = new Map<number, number>();
        for (const { item, key, remove } of changes) {
          if (remove) {
            expect(heap.delete(item)).toBe(model.delete(item));
          } else {
            heap.set(item, key, item);
            model.set(item, key);
          }
          const sorted = [...model].sort(([a, x], [b, y]) => x - y || a - b);
          expect(heap.size).toBe(sorted.length);
          expect(heap.peek()).toBe(sorted[0]?.[0]);
          expect(heap.peekKey()).toBe(sorted[0]?.[1]);
        }
        const inOrder = [...model].sort(([a, x], [b, y]) => x - y || a - b).map(([item]) => item);
        expect([...heap.inOrder()]).toEqual(inOrder);
        const drained: number[] = [];
        for (let item = heap.pop(); item !== undefined; item = heap.pop()) drained.push(item);
        expect(drained).toEqual(inOrder);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('is the same after it was looked through in order, wholly or in part', () => {
    const heap = new Heap<number>();
    for (let item = 0; item < 100; item++) heap.set(item, (item * 37) % 100);
    const [first, second] = heap.inOrder();
    expect([first, second]).toEqual([0, 73]);
    expect([...heap.inOrder()].map((item) => (item * 37) % 100)).toEqual(Array.from({ length: 100 }, (_, key) => key));
    expect(heap.size).toBe(100);
    expect(heap.pop()).toBe(0);
  });

  test('knows what is in it and forgets everything', () => {
    const heap = new Heap<string>();
    heap.set('a', 1);
    expect(heap.has('a')).toBe(true);
    heap.clear();
    expect(heap.has('a')).toBe(false);
    expect(heap.pop()).toBeUndefined();
  });
});

describe('the bounded set', () => {
  test('forgets the oldest, and counts a member that is added again as new', () => {
    const set = new BoundedSet<number>(2);
    for (const member of [1, 2, 1, 3]) set.add(member);
    expect([1, 2, 3].map((member) => set.has(member))).toEqual([true, false, true]);
    expect(set.size).toBe(2);
    set.clear();
    expect(set.has(1)).toBe(false);
  });
});
