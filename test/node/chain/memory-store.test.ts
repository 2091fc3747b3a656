/** What only the stores in memory have: copies, and crashes that lose the unflushed tail. */
import { describe, expect, test } from '@jest/globals';
import { MemoryBlockFiles, MemoryStore } from '../../../node/chain/memory-store.ts';
import { StoreDamage } from '../../../node/ports.ts';

const one = Uint8Array.of(1);
const two = Uint8Array.of(2);

function keysOf(store: MemoryStore): string[] {
  return store.range('', '\x7f').map(({ key }) => key);
}

describe('a crash', () => {
  test('loses batches that were not flushed, from the end and as a whole', () => {
    const store = new MemoryStore([{ key: 'a', value: one }]);
    store.write([
      ['b', one],
      ['a', null],
    ]);
    void store.flush();
    store.write([
      ['a', two],
      ['b', two],
    ]);
    store.write([
      ['b', null],
      ['c', one],
      ['c', two],
    ]);
    store.write([['d', one]]);
    expect(store.unflushed).toBe(3);
    store.crash(2);
    expect(keysOf(store)).toEqual(['a', 'c']);
    expect(store.get('c')).toBe(two);
    // What had reached the disk is not lost again.
    store.crash();
    expect(keysOf(store)).toEqual(['a', 'c']);
  });

  test('right after a flush loses nothing, and without one everything', async () => {
    const store = new MemoryStore();
    store.write([['a', one]]);
    await store.flush();
    store.write([['a', two]]);
    store.write([['a', null]]);
    store.crash();
    expect(store.get('a')).toBe(one);
  });

  test('cannot lose more than a disk would have kept back', () => {
    const store = new MemoryStore();
    for (let i = 0; i < 300; i++) store.write([[`k${i}`, one]]);
    store.crash();
    expect(store.size).toBe(300 - 256);
  });
});

describe('a range', () => {
  test('is in key order, ends before its end, and follows every write', () => {
    const store = new MemoryStore();
    store.write([
      ['b', one],
      ['d', one],
      ['a', one],
    ]);
    expect(store.range('a', 'd').map(({ key }) => key)).toEqual(['a', 'b']);
    store.write([
      ['c', one],
      ['a', null],
      ['b', two],
    ]);
    expect(store.range('a', 'e', 2)).toEqual([
      { key: 'b', value: two },
      { key: 'c', value: one },
    ]);
    expect(store.range('e', 'z')).toEqual([]);
  });

  test('of a snapshot does not see what is written later', () => {
    const store = new MemoryStore();
    store.write([['a', one]]);
    const snapshot = store.snapshot();
    store.write([
      ['a', null],
      ['b', one],
    ]);
    expect(keysOf(snapshot)).toEqual(['a']);
    expect(snapshot.get('b')).toBeUndefined();
  });
});

describe('block files', () => {
  test('give back what was appended and nothing else', () => {
    const files = new MemoryBlockFiles();
    const places = [one, two].map((bytes) => files.append(bytes));
    expect(places.map((place) => files.read(place))).toEqual([one, two]);
    expect(() => files.read({ file: 2, offset: 0, length: 1, checksum: 0 })).toThrow(StoreDamage);
    expect(() => files.read({ file: 0, offset: 0, length: 2, checksum: 0 })).toThrow(StoreDamage);
    expect(() => files.read({ file: 0, offset: 1, length: 1, checksum: 0 })).toThrow(StoreDamage);
  });
});
