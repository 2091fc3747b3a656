import { describe, expect, test } from '@jest/globals';
import { BucketTable } from '../../../node/discovery/bucket-table.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';

const contents = (table: BucketTable<string>, random: SeededRandom) =>
  [...table.buckets(random)].map((bucket) => [...bucket].sort());

describe('a table of buckets', () => {
  test('that is empty has nothing', () => {
    const random = new SeededRandom('empty');
    const table = new BucketTable<string>(4);
    expect(table.size).toBe(0);
    expect(table.get(0, 0)).toBeUndefined();
    expect(table.draw(random)).toBeUndefined();
    expect(contents(table, random)).toEqual([]);
    table.delete(0, 0);
    expect(table.size).toBe(0);
  });

  test('has no more places in a bucket than it says', () => {
    const table = new BucketTable<string>(4);
    table.set(0, 3, 'last');
    expect(() => table.set(0, 4, 'beyond')).toThrow('a bucket has 4 places');
    expect(table.size).toBe(1);
  });

  test('is what a map from places is, whatever is set and deleted', () => {
    const random = new SeededRandom('model');
    const table = new BucketTable<string>(4);
    const model = new Map<string, string>();
    for (let i = 0; i < 4000; i++) {
      const bucket = below(random, 6);
      const place = below(random, 4);
      // Filled and emptied by turns.
      if (below(random, 10) < (i % 400 < 200 ? 7 : 2)) {
        table.set(bucket, place, `value ${i}`);
        model.set(`${bucket}/${place}`, `value ${i}`);
      } else {
        table.delete(bucket, place);
        model.delete(`${bucket}/${place}`);
      }
      expect(table.size).toBe(model.size);
      expect(table.get(bucket, place)).toBe(model.get(`${bucket}/${place}`));
      expect(contents(table, random).flat().sort()).toEqual([...model.values()].sort());
      const drawn = table.draw(random);
      if (model.size === 0) expect(drawn).toBeUndefined();
      else expect([...model.values()]).toContain(drawn);
    }
  });

  test('draws each bucket that holds something equally often, and then each place of it', () => {
    const random = new SeededRandom('fair');
    const table = new BucketTable<string>(64);
    for (let place = 0; place < 50; place++) table.set(7, place, `many ${place}`);
    table.set(900, 63, 'alone');
    table.set(3, 0, 'gone');
    table.delete(3, 0);
    const counts = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const drawn = table.draw(random) as string;
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    expect(counts.size).toBe(51);
    expect(Math.abs((counts.get('alone') as number) - 10_000)).toBeLessThan(300);
    for (let place = 0; place < 50; place++)
      expect(Math.abs((counts.get(`many ${place}`) as number) - 200)).toBeLessThan(60);
  });

  test('goes through each bucket once, from any of them on', () => {
    const random = new SeededRandom('walk');
    const table = new BucketTable<string>(2);
    for (const bucket of [5, 1, 9]) {
      table.set(bucket, 0, `${bucket} first`);
      table.set(bucket, 1, `${bucket} second`);
    }
    const starts = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const walk = contents(table, random);
      starts.add((walk[0] as string[])[0] as string);
      expect(walk.map(([first]) => first).sort()).toEqual(['1 first', '5 first', '9 first']);
    }
    expect(starts.size).toBe(3);
  });
});
