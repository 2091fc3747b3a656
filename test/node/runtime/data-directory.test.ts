/** A wrong data directory is refused with an error that says what is wrong with it, and is left as it was. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import { NETWORK_KEY, SCHEMA_KEY, SCHEMA_VERSION } from '../../../node/chain/schema.ts';
import { openDataDirectory } from '../../../node/runtime/data-directory.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();

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
    expect([emptied.needsReindex, emptied.store.get('pool')?.length, emptied.store.get('coin')]).toEqual([
      true,
      1,
      undefined,
    ]);
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
