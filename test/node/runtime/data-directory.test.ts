/** A wrong data directory is refused with an error that says what is wrong with it, and is left as it was. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { makeChain, type NewChain } from '../../../consensus/chain-file.ts';
import { type ChainParams, regtest } from '../../../consensus/params.ts';
import { metaRows, NETWORK_KEY, SCHEMA_KEY, SCHEMA_VERSION } from '../../../node/chain/schema.ts';
import { openDataDirectory } from '../../../node/runtime/data-directory.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();

const PRIVATE_CHAIN: Omit<NewChain, 'text'> = {
  name: 'cellar',
  spacingSeconds: 2,
  halfLifeSeconds: 120,
  anchorBits: 0x207fffff,
  powLimitBits: 0x207fffff,
  hrp: 'cel',
  peerPort: 30_001,
  rpcPort: 30_002,
  time: 1_767_225_600,
};

const fail = (error: Error) => {
  throw error;
};
const open = (folder: string) => openDataDirectory(folder, regtest, { onFailure: fail });

/** A directory whose store says this of itself. */
async function directoryOf(schema: string, network: string): Promise<string> {
  const folder = newFolder();
  const directory = await open(folder);
  const bytes = (text: string) => new TextEncoder().encode(text);
  directory.store.write([
    [SCHEMA_KEY, bytes(schema)],
    [NETWORK_KEY, bytes(network)],
  ]);
  await directory.close();
  return folder;
}

describe('a data directory', () => {
  test('is made where there is none, with all that is above it', async () => {
    const folder = join(newFolder(), 'a', 'b');
    const directory = await open(folder);
    expect(directory.cookiePath).toBe(join(folder, 'regtest', '.cookie'));
    expect(readdirSync(join(folder, 'regtest')).sort()).toEqual(['blocks', 'store']);
    await directory.close();
  });

  test('can be opened again once it is closed, with what was written', async () => {
    const folder = await directoryOf(String(SCHEMA_VERSION), 'regtest');
    let directory = await open(folder);
    directory.store.write([['k', Uint8Array.of(7)]]);
    const place = directory.blockFiles.append(Uint8Array.of(1, 2));
    await directory.close();
    directory = await open(folder);
    expect([...(directory.store.get('k') ?? [])]).toEqual([7]);
    expect([...directory.blockFiles.read(place)]).toEqual([1, 2]);
    await directory.close();
  });

  test('in use is refused, and can be opened when it is free', async () => {
    const folder = newFolder();
    const directory = await open(folder);
    await expect(open(folder)).rejects.toMatchObject({
      code: 'datadir-in-use',
      message: expect.stringContaining('in use by another process'),
    });
    await directory.close();
    await (await open(folder)).close();
  });

  test('in use is not emptied to be rebuilt, and one that is free loses nothing that no block file holds', async () => {
    const folder = newFolder();
    const directory = await open(folder);
    directory.store.write([
      ['pool', Uint8Array.of(1)],
      ['coin', Uint8Array.of(2)],
      ['fdeltas', Uint8Array.of(3)],
      ['address', Uint8Array.of(4)],
    ]);
    await directory.store.flush();
    const rebuild = () => openDataDirectory(folder, regtest, { onFailure: fail, reindex: true });
    await expect(rebuild()).rejects.toMatchObject({ code: 'datadir-in-use' });
    expect(directory.store.get('coin')).toHaveLength(1);
    // Where its files are damaged it is not opened, and the lock is noticed all the same.
    const current = join(folder, 'regtest', 'store', 'CURRENT');
    const name = readFileSync(current);
    writeFileSync(current, 'nothing');
    await expect(rebuild()).rejects.toMatchObject({ code: 'datadir-in-use' });
    writeFileSync(current, name);
    await directory.close();
    const emptied = await rebuild();
    expect(emptied.needsReindex).toBe(true);
    const left = ['pool', 'coin', 'fdeltas', 'address'].map((key) => emptied.store.get(key)?.[0]);
    expect(left).toEqual([1, undefined, 3, 4]);
    await emptied.close();
  });

  test('of another network is refused by its name', async () => {
    const folder = await directoryOf(String(SCHEMA_VERSION), 'vinenet');
    await expect(open(folder)).rejects.toMatchObject({
      code: 'datadir-other-network',
      message: expect.stringContaining('vinenet'),
    });
    await expect(open(folder)).rejects.toMatchObject({ code: 'datadir-other-network' }); // It was let go.
  });

  test('of another chain with the same name is refused by its first block, and stays as it was', async () => {
    const make = (text: string): ChainParams => {
      const chain = makeChain({ ...PRIVATE_CHAIN, text });
      if (!chain.ok) throw new Error(chain.error.join('; '));
      return chain.value;
    };
    const [ours, theirs] = [make('ours'), make('theirs')];
    const folder = newFolder();
    const openAs = (params: ChainParams, reindex = false) =>
      openDataDirectory(folder, params, { onFailure: fail, reindex });
    const directory = await openAs(theirs);
    const { hash } = theirs.genesis.header;
    directory.store.write([...metaRows(theirs.name, hash), ['k', Uint8Array.of(7)]]);
    await directory.close();
    const why = {
      code: 'datadir-other-chain',
      message: expect.stringMatching(new RegExp(`name ${ours.name}.*${hash}, not ${ours.genesis.header.hash}`)),
    };
    await expect(openAs(ours)).rejects.toMatchObject(why);
    // Nor is it emptied to be rebuilt as what it is not.
    await expect(openAs(ours, true)).rejects.toMatchObject(why);
    const again = await openAs(theirs);
    expect([...(again.store.get('k') ?? [])]).toEqual([7]);
    await again.close();
  });

  test('of a newer schema is refused by its number', async () => {
    const folder = await directoryOf(String(SCHEMA_VERSION + 1), 'regtest');
    await expect(open(folder)).rejects.toMatchObject({
      code: 'datadir-newer',
      message: expect.stringContaining(`schema ${SCHEMA_VERSION + 1}`),
    });
  });

  test('that says nothing readable of itself is refused', async () => {
    await expect(open(await directoryOf('much newer', 'regtest'))).rejects.toMatchObject({ code: 'datadir-newer' });
  });

  test('below a file, or of a user who may not write, is refused', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(open(join(folder, 'file'))).rejects.toMatchObject({ code: 'datadir-not-writable' });
    if (process.getuid?.() === 0) return; // Nothing is forbidden to root.
    const closed = join(folder, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    await expect(open(closed)).rejects.toMatchObject({ code: 'datadir-not-writable' });
    expect(existsSync(join(closed, 'regtest'))).toBe(false);
  });
});
