/** LevelDB's files are read before they are opened: any flipped bit is told, and what a crash leaves is none. */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Level } from 'level';
import { below, StoreDamage } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { crc32c } from '../../../node/runtime/crc32c.ts';
import { checkLevelFiles } from '../../../node/runtime/level-check.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const random = new SeededRandom('level check');

/** A database with several tables, of which some were merged and deleted, and a log. Closed or, as after a kill, copied. */
async function makeDatabase(how: 'closed' | 'killed'): Promise<string> {
  const folder = newFolder();
  const open = async () => {
    const db = new Level<string, Uint8Array>(folder, { valueEncoding: 'view', writeBufferSize: 100_000 });
    await db.open();
    return db;
  };
  let db = await open();
  for (let i = 0; i < 300; i++) {
    const batch = db.batch();
    for (let j = 0; j < 10; j++) {
      const key = `${below(random, 500)} key`.repeat(4);
      // Some compress and some do not.
      if (below(random, 5) === 0) batch.del(key);
      else batch.put(key, i % 2 === 0 ? random.bytes(below(random, 500)) : new Uint8Array(below(random, 500)));
    }
    await batch.write();
    if (i % 100 === 99) {
      await db.close();
      db = await open();
    }
  }
  await db.put('last', random.bytes(50_000));
  if (how === 'closed') {
    await db.close();
    return folder;
  }
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  await db.close();
  return copy;
}

const closed = await makeDatabase('closed');
const killed = await makeDatabase('killed');

function errorOf(call: () => void): Error | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Files that hold what was written; the others are notes for people, and a lock. */
const dataFiles = (folder: string) => readdirSync(folder).filter((name) => !/^LO(G|CK)/.test(name));

function withChange(folder: string, change: (copy: string) => void): () => void {
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  change(copy);
  return () => checkLevelFiles(copy);
}

describe.each([
  ['that was closed', closed],
  ['whose process was killed', killed],
])('a database %s', (_name, folder) => {
  test('passes', () => {
    expect(dataFiles(folder).filter((name) => name.endsWith('.ldb')).length).toBeGreaterThan(1);
    expect(() => checkLevelFiles(folder)).not.toThrow();
  });

  test.each(dataFiles(folder))('does not pass with a bit flipped anywhere in %s', (name) => {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    try {
      for (let i = 0; i < 60; i++) {
        const at = i < 20 ? bytes.length - 1 - below(random, Math.min(bytes.length, 600)) : below(random, bytes.length);
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << below(random, 8));
        writeFileSync(path, changed);
        const isPadding = name.endsWith('.ldb') && at >= bytes.length - 48 && at < bytes.length - 8 && bytes[at] === 0;
        if (isPadding) continue;
        const error = errorOf(() => checkLevelFiles(folder));
        expect(error).toBeInstanceOf(StoreDamage);
        // A name with a flipped bit is that of a file that is missing.
        expect(error?.message).toContain(name === 'CURRENT' ? folder : path);
      }
    } finally {
      writeFileSync(path, bytes);
    }
  });

  test('does not pass without one of its files, or with a table that is cut short', () => {
    for (const name of dataFiles(folder)) {
      expect(withChange(folder, (copy) => rmSync(join(copy, name)))).toThrow('missing');
      if (!name.endsWith('.ldb')) continue;
      const size = below(random, statSync(join(folder, name)).size);
      expect(withChange(folder, (copy) => truncateSync(join(copy, name), size))).toThrow(name);
    }
  });
});

test('what a crash leaves passes: a log or a manifest cut anywhere or filled with zeros, tables that nothing names', () => {
  const log = dataFiles(killed).find((name) => name.endsWith('.log')) as string;
  const { size } = statSync(join(killed, log));
  expect(size).toBeGreaterThan(50_000);
  for (let i = 0; i < 40; i++) {
    const kept = below(random, size + 1);
    const change = withChange(killed, (copy) => {
      truncateSync(join(copy, log), kept);
      if (i % 2 === 0) truncateSync(join(copy, log), kept + 512 + below(random, 70_000));
    });
    expect(change).not.toThrow();
  }
  expect(withChange(killed, (copy) => writeFileSync(join(copy, '999999.ldb'), 'half a table'))).not.toThrow();
  expect(withChange(killed, (copy) => truncateSync(join(copy, log), size + 100_000))).not.toThrow();
});

test('an empty or missing folder passes: there is no database yet', () => {
  const folder = newFolder();
  expect(() => checkLevelFiles(folder)).not.toThrow();
  expect(() => checkLevelFiles(join(folder, 'none'))).not.toThrow();
});

test('CRC-32C gives the checksums of RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
});
