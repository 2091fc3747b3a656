/** What LevelStore adds to LevelDB: checksums, one batch at a time and in order, scans of one moment, failures that are told. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Level } from 'level';
import type { ScanId } from '../../../node/boundary.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { LevelStore, type LevelStoreOptions, type Page } from '../../../node/runtime/level-store.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const scan = 1 as ScanId;
const otherScan = 2 as ScanId;

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : new TextDecoder().decode(value));

async function openStore(folder = newFolder(), options: Partial<LevelStoreOptions> = {}): Promise<LevelStore> {
  const onFailure = (error: Error) => {
    throw error;
  };
  return LevelStore.open(folder, { beforeBatch: () => Promise.resolve(), onFailure, ...options });
}

/** Opens the database behind the store's back. */
async function withDatabase(folder: string, change: (db: Level<string, Uint8Array>) => Promise<void>): Promise<void> {
  const db = new Level<string, Uint8Array>(folder, { keyEncoding: 'utf8', valueEncoding: 'view' });
  await db.open();
  await change(db);
  await db.close();
}

describe('a damaged value', () => {
  test('is noticed when it is read and when it is scanned', async () => {
    const folder = newFolder();
    let store = await openStore(folder);
    store.write([
      ['a', bytes('good')],
      ['b', bytes('bad')],
    ]);
    await store.close();
    await withDatabase(folder, async (db) => {
      const stored = (await db.get('b')) as Uint8Array;
      stored[1] = (stored[1] ?? 0) ^ 4;
      await db.put('b', stored);
    });
    store = await openStore(folder);
    expect(text(store.get('a'))).toBe('good');
    expect(() => store.get('b')).toThrow(StoreDamage);
    await expect(store.scan(scan, 'a', 'c', 10)).rejects.toThrow('"b"');
    await expect(store.rows({ gte: 'a', lt: 'c' })).rejects.toThrow(StoreDamage);
    await store.close();
  });

  test('is noticed when it belongs to another key, and when it is too short to have a checksum', async () => {
    const folder = newFolder();
    let store = await openStore(folder);
    store.write([['a', bytes('value')]]);
    await store.close();
    await withDatabase(folder, async (db) => {
      await db.put('b', (await db.get('a')) as Uint8Array);
      await db.put('c', Uint8Array.of(1, 2));
    });
    store = await openStore(folder);
    expect(() => store.get('b')).toThrow(StoreDamage);
    expect(() => store.get('c')).toThrow(StoreDamage);
    await store.close();
  });
});

describe('batches', () => {
  test('wait for what must be on disk before them, one at a time', async () => {
    const waits: (() => void)[] = [];
    const store = await openStore(newFolder(), {
      beforeBatch: () => new Promise<void>((resolve) => waits.push(resolve)),
    });
    store.write([['a', bytes('1')]]);
    while (waits.length < 1) await Promise.resolve();
    store.write([['b', bytes('2')]]);
    store.write([['b', bytes('3')]]);
    expect(waits).toHaveLength(1);
    let flushed = false;
    const flush = store.flush().then(() => {
      flushed = true;
    });
    waits[0]?.();
    while (waits.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(flushed).toBe(false);
    expect(text(store.get('a'))).toBe('1');
    expect(text(store.get('b'))).toBe('3');
    waits[1]?.();
    await flush;
    expect(waits).toHaveLength(2); // The second and third went together.
    expect(store.backlogBytes).toBe(0);
    await store.close();
  });

  test('written without a pause go together, so that a crash keeps all of one event or nothing', async () => {
    let batches = 0;
    const store = await openStore(newFolder(), {
      beforeBatch: async () => {
        batches++;
      },
    });
    store.write([['a', bytes('1')]]);
    store.write([['b', bytes('2')]]);
    await store.flush();
    expect(batches).toBe(1);
    store.write([['c', bytes('3')]]);
    await store.flush();
    expect(batches).toBe(2);
    await store.close();
  });

  test('count what waits for the disk', async () => {
    const store = await openStore();
    store.write([['key', new Uint8Array(1000)]]);
    expect(store.backlogBytes).toBeGreaterThan(1000);
    await store.flush();
    expect(store.backlogBytes).toBe(0);
    await store.close();
  });

  test('that fail are told once, reject whoever waits, and let nothing follow', async () => {
    const failures: string[] = [];
    const store = await openStore(newFolder(), {
      beforeBatch: () => Promise.reject(new Error('no space left')),
      onFailure: (error) => failures.push(error.message),
    });
    store.write([['a', bytes('1')]]);
    store.write([['b', bytes('1')]]);
    await expect(store.flush()).rejects.toThrow('no space left');
    await expect(store.flush()).rejects.toThrow('no space left');
    expect(() => store.write([['c', bytes('1')]])).toThrow('no space left');
    expect(failures).toEqual(['the store cannot be written: no space left']);
    await expect(store.close()).rejects.toThrow('no space left');
  });
});

describe('scans', () => {
  const rowsOf = (page: Page | undefined) => page?.rows.map(({ key, value }) => `${key}=${text(value)}`);

  test('see what was written before them, page by page, and nothing that came later', async () => {
    const store = await openStore();
    store.write(['a', 'b', 'c', 'd'].map((key) => [key, bytes('1')] as const));
    const first = await store.scan(scan, 'a', 'd', 2);
    expect(rowsOf(first)).toEqual(['a=1', 'b=1']);
    expect(first?.done).toBe(false);
    store.write([
      ['c', bytes('2')],
      ['ca', bytes('2')],
    ]);
    await store.flush();
    const fresh = await store.scan(otherScan, 'c', 'd', 10);
    expect(rowsOf(fresh)).toEqual(['c=2', 'ca=2']);
    expect(fresh?.done).toBe(true);
    const rest = await store.scan(scan, 'a', 'd', 10);
    expect(rowsOf(rest)).toEqual(['c=1']);
    expect(rest?.done).toBe(true);
    await store.close();
  });

  test('that were cancelled begin anew', async () => {
    const store = await openStore();
    store.write([
      ['a', bytes('1')],
      ['b', bytes('1')],
    ]);
    await store.scan(scan, 'a', 'z', 1);
    store.cancelScan(scan);
    expect(rowsOf(await store.scan(scan, 'a', 'z', 1))).toEqual(['a=1']);
    store.cancelScan(scan);
    store.cancelScan(otherScan);
    await store.close();
  });

  test('that are cancelled while a page is read, or before it is, end without one', async () => {
    const store = await openStore();
    store.write(Array.from({ length: 3000 }, (_, i) => [`k${i}`, new Uint8Array(300)] as const));
    const waiting = store.scan(scan, 'k', 'l', 10);
    store.cancelScan(scan);
    expect(await waiting).toBeUndefined();
    await store.flush();
    const reading = store.scan(scan, 'k', 'l', 3000);
    await Promise.resolve();
    await Promise.resolve();
    store.cancelScan(scan);
    expect(await reading).toBeUndefined();
    await store.close();
  });

  test('return full pages of many small and large rows', async () => {
    const store = await openStore();
    const keys = Array.from({ length: 2500 }, (_, i) => `k${String(i).padStart(5, '0')}`);
    store.write(keys.map((key) => [key, new Uint8Array(300)] as const));
    const seen: string[] = [];
    for (let done = false; !done; ) {
      const page = await store.scan(scan, 'k', 'l', 1000);
      done = page?.done ?? true;
      if (!done) expect(page?.rows).toHaveLength(1000);
      seen.push(...(page?.rows ?? []).map(({ key }) => key));
    }
    expect(seen).toEqual(keys);
    expect((await store.rows({ gte: 'k', lt: 'k00003' })).map(({ key }) => key)).toEqual(keys.slice(0, 3));
    await store.close();
  });

  test('do not keep a store from closing', async () => {
    const store = await openStore(join(newFolder(), 'store'));
    store.write([
      ['a', bytes('1')],
      ['b', bytes('1')],
    ]);
    await store.scan(scan, 'a', 'z', 1);
    await store.close();
  });
});
