/** Snapshots as files: whole or not at all, checked before they are used, named where they cannot be. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { DevnetFolder } from '../../devnet/folder.ts';
import { putInPlace, savedSpecs } from '../../devnet/snapshot-operations.ts';
import {
  checkNewSnapshot,
  listSnapshots,
  openSnapshot,
  type SavedState,
  snapshotsFolder,
  stageSnapshot,
  writeSnapshot,
} from '../../devnet/snapshots.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const savedAt = new Date('2026-01-02T03:04:05Z');
const node = { running: true, connect: [], pex: true, height: 110, tip: 'f'.repeat(64), peers: [], mempool: 0 };
const state: SavedState = {
  devnet: 'default',
  network: 'regtest',
  seed: 1,
  accounts: 2,
  baseNodes: 2,
  topology: { kind: 'line' },
  nodes: [
    { name: 'n0', ...node },
    { name: 'n1', ...node, height: 112, connect: ['n0'] },
  ],
  sides: [['n0'], ['n1']],
  links: [{ a: 'n0', b: 'n1', delayMs: 5, jitterMs: 0, bitsPerSecond: null }],
  clock: { kind: 'fixed', unix: 1_900_000_000 },
};

let datadir: string;
let folder: DevnetFolder;

function write(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
}

beforeEach(() => {
  datadir = newFolder();
  folder = new DevnetFolder(datadir, 'default');
  for (const name of ['n0', 'n1']) {
    write(join(folder.path, name, 'regtest/blocks/blk00000.dat'), `blocks of ${name}`);
    write(join(folder.path, name, 'regtest/store/CURRENT'), 'MANIFEST');
    write(join(folder.path, name, 'regtest/store/LOCK'), '');
    write(join(folder.path, name, 'regtest/.cookie'), 'secret');
    write(join(folder.path, name, 'node.log'), 'log\n');
    write(join(folder.path, name, 'node.log.1'), 'older log\n');
  }
  write(join(folder.path, 'wallets/alice.json'), '{}');
  folder.writeShape({ schema: 1, network: 'regtest', seed: 1, nodes: 2, accounts: 2 });
});

const save = (name = 'one') => writeSnapshot(datadir, name, folder, state, savedAt);
const manifestOf = (name: string) => join(snapshotsFolder(datadir), name, 'manifest.json');
const change = (path: string, from: string, to: string) =>
  writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));

async function load(name = 'one'): Promise<void> {
  const snapshot = openSnapshot(datadir, name);
  await stageSnapshot(snapshot, folder.stage);
  putInPlace(folder, snapshot.manifest.state);
}

describe('a snapshot', () => {
  test('holds the data of the nodes and the wallets, and nothing that is true only while they run', async () => {
    await save();
    expect(openSnapshot(datadir, 'one').manifest.files.map(({ path }) => path)).toEqual([
      'n0/regtest/blocks/blk00000.dat',
      'n0/regtest/store/CURRENT',
      'n1/regtest/blocks/blk00000.dat',
      'n1/regtest/store/CURRENT',
      'wallets/alice.json',
    ]);
    expect(openSnapshot(datadir, 'one').manifest.state).toEqual(state);
  });

  test('is listed with its date, its size and how far it was', async () => {
    expect(listSnapshots(datadir)).toEqual([]);
    const summary = await save();
    expect(listSnapshots(datadir)).toEqual([summary]);
    expect(summary).toMatchObject({ name: 'one', savedAt: savedAt.toISOString(), nodes: 2, height: 112, fault: null });
    expect(summary.bytes).toBe(2 * ('blocks of n0'.length + 'MANIFEST'.length) + '{}'.length);
  });

  test('brings everything back, wrecked or changed, and leaves the logs', async () => {
    await save();
    rmSync(join(folder.path, 'n0'), { recursive: true });
    write(join(folder.path, 'n1/regtest/blocks/blk00000.dat'), 'something else');
    write(join(folder.path, 'n1/regtest/blocks/blk00001.dat'), 'later');
    write(join(folder.path, 'n2/regtest/store/CURRENT'), 'a node that was added later');
    rmSync(join(folder.path, 'shape.json'));
    await load();
    expect(folder.nodeNames()).toEqual(['n0', 'n1']);
    expect(readFileSync(join(folder.path, 'n0/regtest/blocks/blk00000.dat'), 'utf8')).toBe('blocks of n0');
    expect(readFileSync(join(folder.path, 'n1/regtest/blocks/blk00000.dat'), 'utf8')).toBe('blocks of n1');
    expect(existsSync(join(folder.path, 'n1/regtest/blocks/blk00001.dat'))).toBe(false);
    expect(readFileSync(join(folder.path, 'n1/node.log.1'), 'utf8')).toBe('older log\n');
    expect(folder.readShape()).toMatchObject({ nodes: 2, seed: 1, accounts: 2 });
    expect(folder.readClock()).toEqual(state.clock);
    expect(folder.readLoaded()).toEqual(state);
    expect(existsSync(folder.stage)).toBe(false);
    await load();
  });

  test('is not replaced unless that is asked for, and then in one piece', async () => {
    await save();
    expect(() => checkNewSnapshot(datadir, 'one', false)).toThrow('there is a snapshot "one" already');
    checkNewSnapshot(datadir, 'one', true);
    write(join(folder.path, 'wallets/alice.json'), '{"a":1}');
    await save();
    await load();
    expect(readFileSync(join(folder.path, 'wallets/alice.json'), 'utf8')).toBe('{"a":1}');
    expect(readdirSync(snapshotsFolder(datadir))).toEqual(['one']);
  });

  test('leaves nothing half-written where copying fails, and the one before it whole', async () => {
    await save();
    const dataFiles = folder.dataFiles.bind(folder);
    folder.dataFiles = (nodes) => [...dataFiles(nodes), 'n1/that/went/away'];
    await expect(save()).rejects.toMatchObject({ code: 'not-writable', message: expect.stringContaining('"one"') });
    await expect(save('two')).rejects.toMatchObject({ code: 'not-writable' });
    expect(readdirSync(snapshotsFolder(datadir))).toEqual(['one']);
    await load();
  });

  test('cannot be saved where no folder can be made', async () => {
    writeFileSync(join(datadir, 'snapshots'), 'a file');
    await expect(save()).rejects.toMatchObject({ exit: 1, code: 'not-writable' });
  });

  test('of a save that was killed is no snapshot, and makes room for the next', async () => {
    const left = join(snapshotsFolder(datadir), `.one.${2 ** 22 + 5}.partial`);
    write(join(left, 'data/n0/file'), 'half');
    expect(listSnapshots(datadir)).toEqual([]);
    expect(() => openSnapshot(datadir, 'one')).toThrow('there is no snapshot "one"');
    await save();
    expect(readdirSync(snapshotsFolder(datadir))).toEqual(['one']);
  });

  test('that was put aside by a save which was killed in between is back at the next', async () => {
    await save();
    const parent = snapshotsFolder(datadir);
    const { renameSync } = await import('node:fs');
    renameSync(join(parent, 'one'), join(parent, `.one.${2 ** 22 + 5}.partial.old`));
    folder.dataFiles = () => ['n1/that/went/away'];
    await expect(save()).rejects.toMatchObject({ code: 'not-writable' });
    expect(openSnapshot(datadir, 'one').manifest.state.devnet).toBe('default');
  });
});

describe('a snapshot that cannot be used', () => {
  const files = ['n0/regtest/blocks/blk00000.dat', 'wallets/alice.json'];

  test.each(files)('is named, and nothing is touched, where %s has changed or is missing', async (file) => {
    await save();
    const copy = join(snapshotsFolder(datadir), 'one/data', file);
    const before = readFileSync(copy, 'utf8');
    writeFileSync(copy, before.replace(/.$/, '!'));
    await expect(load()).rejects.toMatchObject({ code: 'snapshot-damaged', message: expect.stringContaining(file) });
    rmSync(copy);
    await expect(load()).rejects.toThrow(`snapshot "one" is damaged or unfinished: its file ${file} is missing`);
    expect(existsSync(folder.stage)).toBe(false);
    expect(readFileSync(join(folder.path, files[0] as string), 'utf8')).toBe('blocks of n0');
    expect(folder.readLoaded()).toBeUndefined();
  });

  test.each([
    ['format', '"format": 1', '"format": 2', 'format 2; this version reads format 1'],
    ['schema', /"schema": \d+/, '"schema": 99', 'stores of schema 99'],
  ])('of another %s is refused by name', async (_what, from, to, message) => {
    await save();
    change(manifestOf('one'), readFileSync(manifestOf('one'), 'utf8').match(from)?.[0] as string, to);
    const refusal = { code: 'snapshot-version', message: expect.stringContaining(message) };
    await expect(load()).rejects.toMatchObject(refusal);
    expect(listSnapshots(datadir)[0]?.fault).toContain('snapshot "one" was saved by version');
  });

  test('is damaged where its manifest is cut off, lacks something, or leads out of its folder', async () => {
    await save();
    const whole = readFileSync(manifestOf('one'), 'utf8');
    for (const text of [
      whole.slice(0, -20),
      '[]',
      whole.replace('"seed"', '"sead"'),
      whole.replace('n0/regtest/store/CURRENT', '../../escaped'),
      whole.replace('"name": "n1"', '"name": "../n1"'),
    ]) {
      writeFileSync(manifestOf('one'), text);
      expect(() => openSnapshot(datadir, 'one')).toThrow('snapshot "one" is damaged or unfinished');
    }
    rmSync(manifestOf('one'));
    expect(() => openSnapshot(datadir, 'one')).toThrow('snapshot "one" is damaged or unfinished');
  });

  test('has a name that is no path', () => {
    for (const name of ['../one', '', 'a/b', '.hidden']) {
      expect(() => openSnapshot(datadir, name)).toThrow('cannot be the name of a snapshot');
      expect(() => checkNewSnapshot(datadir, name, false)).toThrow('cannot be the name of a snapshot');
    }
  });
});

test('saved nodes dial whom they dialled, wherever these are now', () => {
  const ports = new Map([
    ['n0', { rpc: 100, listen: 101 }],
    ['n1', { rpc: 200, listen: 201 }],
  ]);
  const specs = savedSpecs(state.nodes, ports, regtest, folder);
  expect(specs.map(({ name, connect }) => [name, ...connect])).toEqual([['n0'], ['n1', 'ws://127.0.0.1:101']]);
  expect(specs[1]).toMatchObject({ datadir: join(folder.path, 'n1'), pex: true, ports: { rpc: 200 } });
});
