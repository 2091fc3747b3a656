/** One suite for every Store: what the core may rely on, in memory, on disk, and where the disk fails. */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Level } from 'level';
import { bytesToHex } from '#hash';
import { MemoryStore } from '../../node/chain/memory-store.ts';
import { type BatchItem, below, type Random, type Store, StoreDamage } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { LevelStore } from '../../node/runtime/level-store.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();

interface Opened {
  readonly store: Store;
  /** Closes it and opens what it left behind. */
  reopen(): Promise<Opened>;
  close(): Promise<void>;
  /** The power fails: what was flushed is found, and some of what was written after it. */
  crash(random: Random): Promise<Opened>;
  /** A bit of the value flips on the disk. Absent where there is none. */
  damage?(key: string): Promise<Opened>;
  /** The next write fails. */
  fail?(): void;
}

function openMemory(store = new MemoryStore()): Promise<Opened> {
  return Promise.resolve({
    store,
    reopen: () => openMemory(store.snapshot()),
    close: () => Promise.resolve(),
    crash: (random) => {
      store.crash(below(random, store.unflushed + 1));
      return openMemory(store);
    },
  });
}

function openFaulty(store = new FaultyStore()): Promise<Opened> {
  return Promise.resolve({
    store,
    async reopen() {
      await store.flush();
      return openFaulty(store.crash(0));
    },
    close: () => Promise.resolve(),
    crash: (random) => openFaulty(store.crash(below(random, store.unflushed + 1))),
    damage(key) {
      store.damage(key);
      return openFaulty(store);
    },
    fail: () => store.failAfter(0),
  });
}

async function openLevel(folder = newFolder()): Promise<Opened> {
  let isFull = false;
  const store = await LevelStore.open(folder, {
    beforeBatch: () => (isFull ? Promise.reject(new Error('no space left on device')) : Promise.resolve()),
    onFailure: (error) => {
      if (!isFull) throw error;
    },
  });
  // Small databases have one log, to which every batch is appended.
  const logSize = () => {
    const log = readdirSync(folder).find((name) => name.endsWith('.log')) as string;
    return { log, size: statSync(join(folder, log)).size };
  };
  let safe = logSize().size;
  return {
    store: {
      get: (key) => store.get(key),
      write: (batch) => store.write(batch),
      async flush() {
        await store.flush();
        safe = logSize().size;
      },
    },
    async reopen() {
      await store.close();
      return openLevel(folder);
    },
    close: () => store.close().catch(() => undefined),
    async crash(random) {
      // Batches are on their way; some of what they had brought to the disk is lost.
      for (let i = below(random, 4); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
      const after = newFolder();
      cpSync(folder, after, { recursive: true });
      rmSync(join(after, 'LOCK'));
      const { log, size } = logSize();
      truncateSync(join(after, log), safe + below(random, size - safe + 1));
      await store.close();
      return openLevel(after);
    },
    async damage(key) {
      await store.close();
      const db = new Level<string, Uint8Array>(folder, { keyEncoding: 'utf8', valueEncoding: 'view' });
      const value = (await db.get(key)) as Uint8Array;
      value[value.length >>> 1] = (value[value.length >>> 1] ?? 0) ^ 16;
      await db.put(key, value);
      await db.close();
      return openLevel(folder);
    },
    fail() {
      isFull = true;
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const hex = (value: Uint8Array | undefined) => value && bytesToHex(value);

describe.each([
  ['in memory', openMemory],
  ['with faults', openFaulty],
  ['on disk', openLevel],
] as const)('a store %s', (_name, open) => {
  test('shows a write at once, and after it was flushed, and after it was opened again', async () => {
    let opened = await open();
    opened.store.write([['ka', bytes('1')]]);
    expect(opened.store.get('ka')).toEqual(bytes('1'));
    await opened.store.flush();
    expect(opened.store.get('ka')).toEqual(bytes('1'));
    opened = await opened.reopen();
    expect(new Uint8Array(opened.store.get('ka') ?? [])).toEqual(bytes('1'));
    await opened.close();
  });

  test('forgets a deleted key at once, before and after the value was on disk', async () => {
    let opened = await open();
    opened.store.write([['k', bytes('1')]]);
    opened.store.write([['k', null]]);
    expect(opened.store.get('k')).toBeUndefined();
    await opened.store.flush();
    expect(opened.store.get('k')).toBeUndefined();
    opened.store.write([['k', bytes('2')]]);
    await opened.store.flush();
    opened.store.write([['k', null]]);
    expect(opened.store.get('k')).toBeUndefined();
    opened = await opened.reopen();
    expect(opened.store.get('k')).toBeUndefined();
    await opened.close();
  });

  test('lets the later of two writes of one key win, in one batch and in two', async () => {
    const { store, close } = await open();
    store.write([
      ['a', bytes('1')],
      ['a', bytes('2')],
    ]);
    store.write([['b', bytes('1')]]);
    store.write([['b', bytes('2')]]);
    await store.flush();
    expect([store.get('a'), store.get('b')].map((value) => new TextDecoder().decode(value))).toEqual(['2', '2']);
    await close();
  });

  test('keeps empty values apart from missing ones', async () => {
    let opened = await open();
    opened.store.write([['empty', new Uint8Array(0)]]);
    expect(opened.store.get('empty')).toHaveLength(0);
    opened = await opened.reopen();
    expect(opened.store.get('empty')).toHaveLength(0);
    expect(opened.store.get('missing')).toBeUndefined();
    await opened.close();
  });

  test('agrees with a map over random batches, flushes and restarts', async () => {
    const random = new SeededRandom('store contract');
    const model = new Map<string, Uint8Array>();
    let opened = await open();
    for (let round = 0; round < 60; round++) {
      const batch: BatchItem[] = [];
      for (let i = below(random, 20); i > 0; i--) {
        const key = `k${below(random, 50)}`;
        batch.push([key, below(random, 4) === 0 ? null : random.bytes(below(random, 200))]);
      }
      opened.store.write(batch);
      for (const [key, value] of batch) {
        if (value === null) model.delete(key);
        else model.set(key, value);
      }
      const dice = below(random, 10);
      if (dice < 3) await opened.store.flush();
      if (dice === 9) opened = await opened.reopen();
      const stored = Array.from({ length: 50 }, (_, key) => hex(opened.store.get(`k${key}`)));
      expect(stored).toEqual(Array.from({ length: 50 }, (_, key) => hex(model.get(`k${key}`))));
    }
    await opened.close();
  });

  test('after a crash holds the first so many of its batches whole, and all that were flushed', async () => {
    const random = new SeededRandom('store crashes');
    for (let round = 0; round < 25; round++) {
      let opened = await open();
      /** What a replay of the first so many batches gives. */
      let states: Record<string, string>[] = [{}];
      for (let life = 0; life < 3; life++) {
        let flushed = 0;
        for (let i = below(random, 12); i > 0; i--) {
          const state = { ...states.at(-1) };
          const batch: BatchItem[] = [];
          for (let j = 1 + below(random, 6); j > 0; j--) {
            const key = `k${below(random, 8)}`;
            const value = below(random, 4) === 0 ? null : random.bytes(below(random, 3000));
            batch.push([key, value]);
            if (value === null) delete state[key];
            else state[key] = bytesToHex(value);
          }
          opened.store.write(batch);
          states.push(state);
          if (below(random, 3) === 0) {
            await opened.store.flush();
            flushed = states.length - 1;
          }
        }
        opened = await opened.crash(random);
        const found: Record<string, string> = {};
        for (let key = 0; key < 8; key++) {
          const value = hex(opened.store.get(`k${key}`));
          if (value !== undefined) found[`k${key}`] = value;
        }
        const expected = states.slice(flushed).find((state) => isEqual(state, found));
        expect(found).toEqual(expected);
        states = [found];
      }
      await opened.close();
    }
  });

  test('calls a value damaged in which a bit has flipped, until it is written again', async () => {
    let opened = await open();
    if (opened.damage === undefined) return opened.close();
    opened.store.write([
      ['a', bytes('one')],
      ['b', bytes('two')],
    ]);
    await opened.store.flush();
    opened = await opened.damage('a');
    expect(() => opened.store.get('a')).toThrow(StoreDamage);
    expect(hex(opened.store.get('b'))).toBe(hex(bytes('two')));
    opened.store.write([['a', bytes('three')]]);
    expect(hex(opened.store.get('a'))).toBe(hex(bytes('three')));
    await opened.close();
  });

  test('says that a write failed, and takes no more', async () => {
    const opened = await open();
    if (opened.fail === undefined) return opened.close();
    opened.store.write([['a', bytes('1')]]);
    await opened.store.flush();
    opened.fail();
    opened.store.write([['b', bytes('1')]]);
    await expect(opened.store.flush()).rejects.toThrow('no space left');
    expect(() => opened.store.write([['c', bytes('1')]])).toThrow('no space left');
    await expect(opened.store.flush()).rejects.toThrow('no space left');
    await opened.close();
  });
});

function isEqual(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
