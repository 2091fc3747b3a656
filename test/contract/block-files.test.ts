/** One suite for all BlockFiles: what the core may rely on, in memory, on disk, and where the disk fails. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { hexToBytes } from '#hash';
import { MemoryBlockFiles } from '../../node/chain/memory-store.ts';
import { type BlockFiles, below, type Place, type Random, StoreDamage } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { DiskBlockFiles } from '../../node/runtime/block-files.ts';
import { FaultyBlockFiles } from '../support/faulty-store.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const magic = hexToBytes('fabfb5da');

interface Opened {
  readonly files: BlockFiles;
  /** Absent where nothing is ever on a disk. */
  readonly disk?: {
    sync(): Promise<void>;
    /** The power fails: what is found is what was synced, and some of what was not, cut anywhere. */
    crash(random: Random): Opened;
    flip(place: Place, bit: number): void;
  };
}

function openFaulty(files = new FaultyBlockFiles()): Opened {
  return {
    files,
    disk: {
      sync: () => files.sync(),
      crash: (random) => openFaulty(files.crash(below(random, files.unsynced + 1))),
      flip: (place, bit) => files.flip(place, bit),
    },
  };
}

function openDisk(maxFileBytes?: number, folder = newFolder()): Opened {
  const files = new DiskBlockFiles(folder, magic, maxFileBytes);
  const sizes = () => new Map(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]));
  let synced = sizes();
  return {
    files,
    disk: {
      async sync() {
        await files.sync();
        synced = sizes();
      },
      crash(random) {
        const after = join(newFolder(), 'after');
        mkdirSync(after);
        let isLost = false;
        for (const [name, size] of [...sizes()].sort()) {
          const safe = synced.get(name) ?? 0;
          // A file whose data was lost may be there by name.
          const kept: number = isLost ? safe : safe + below(random, size - safe + 1);
          copyFileSync(join(folder, name), join(after, name));
          truncateSync(join(after, name), kept);
          isLost ||= kept < size;
        }
        files.close();
        return openDisk(maxFileBytes, after);
      },
      flip({ file, offset }, bit) {
        const path = join(folder, `blk${String(file).padStart(5, '0')}.dat`);
        const bytes = readFileSync(path);
        const at = offset + (bit >>> 3);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
        writeFileSync(path, bytes);
      },
    },
  };
}

describe.each([
  ['in memory', (): Opened => ({ files: new MemoryBlockFiles() })],
  ['with faults', openFaulty],
  ['on disk', (): Opened => openDisk()],
  ['on disk in small files', (): Opened => openDisk(1000)],
] as const)('block files %s', (_name, open) => {
  test('give back what was appended, at once and in any order', () => {
    const { files } = open();
    const random = new SeededRandom('bodies');
    const bodies = Array.from({ length: 30 }, (_, i) => random.bytes(i * 17));
    const places = bodies.map((body) => files.append(body));
    for (const i of [29, 0, 15, 3, 28, 3]) {
      expect(Buffer.from(files.read(places[i]!))).toEqual(Buffer.from(bodies[i]!));
    }
  });

  test('name the place by the length of the body', () => {
    expect(open().files.append(new Uint8Array(123)).length).toBe(123);
  });

  test('call it damage if a place holds no body', () => {
    const { files } = open();
    const place = files.append(new Uint8Array(100));
    expect(() => files.read({ ...place, file: place.file + 7 })).toThrow(StoreDamage);
    expect(() => files.read({ ...place, offset: place.offset + 1 })).toThrow(StoreDamage);
    expect(() => files.read({ ...place, length: 99 })).toThrow(StoreDamage);
  });

  test('call it damage if any bit of a body has flipped, and give the others', () => {
    const { files, disk } = open();
    if (disk === undefined) return;
    const random = new SeededRandom('flips');
    for (let i = 0; i < 20; i++) {
      const bodies = [random.bytes(90), random.bytes(200), random.bytes(90)] as const;
      const places = bodies.map((body) => files.append(body));
      disk.flip(places[1]!, below(random, 1600));
      expect(() => files.read(places[1]!)).toThrow(StoreDamage);
      for (const at of [0, 2]) expect(Buffer.from(files.read(places[at]!))).toEqual(Buffer.from(bodies[at]!));
    }
  });

  test('lose nothing in a crash that was synced, never give another body for one that is lost, and go on', async () => {
    const random = new SeededRandom('crashes');
    for (let round = 0; round < 12; round++) {
      let opened = open();
      if (opened.disk === undefined) return;
      const safe: [Place, Uint8Array][] = [];
      for (let life = 0; life < 4; life++) {
        const fresh: [Place, Uint8Array][] = [];
        for (let i = below(random, 12); i > 0; i--) {
          const body = random.bytes(below(random, 400));
          fresh.push([opened.files.append(body), body]);
          if (below(random, 4) !== 0) continue;
          await opened.disk?.sync();
          safe.push(...fresh.splice(0));
        }
        opened = opened.disk?.crash(random) as Opened;
        for (const [place, body] of safe) expect(Buffer.from(opened.files.read(place))).toEqual(Buffer.from(body));
        opened.files.append(random.bytes(300));
        for (const [place, body] of fresh) {
          const found = readOrDamage(opened.files, place);
          if (found !== undefined) expect(Buffer.from(found)).toEqual(Buffer.from(body));
        }
      }
    }
  });
});

function readOrDamage(files: BlockFiles, place: Place): Uint8Array | undefined {
  try {
    return files.read(place);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreDamage);
    return undefined;
  }
}

test('faulty block files fail when told to', () => {
  const files = new FaultyBlockFiles();
  files.failAfter(1);
  files.append(new Uint8Array(5));
  expect(() => files.append(new Uint8Array(5))).toThrow('no space left');
  expect(() => files.append(new Uint8Array(5))).toThrow('no space left');
});
