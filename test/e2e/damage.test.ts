/** What a user sees of a damaged data directory: a message that names the file and the way out, and `--reindex` that works. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { xOnlyPublicKey } from '../../consensus/signature.ts';
import { eventually, NodeProcess, run } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const address = encodeAddress(xOnlyPublicKey(new Uint8Array(32).fill(7)), regtest.hrp);

/** A directory with 20 blocks, as a kill leaves it, and the hash of its coins. */
async function minedDirectory(): Promise<{ datadir: string; coins: unknown }> {
  const datadir = newFolder();
  const node = await NodeProcess.start(datadir);
  await node.call('generatetoaddress', 20, address);
  const coins = await node.call('gettxoutsetinfo');
  await node.signal('SIGKILL');
  return { datadir, coins };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function refusal(datadir: string): Promise<{ code: string; message: string; hint: string }> {
  const freePorts = ['--rpc', ':0', '--listen', 'ws://127.0.0.1:0'];
  const { code, stdout, stderr } = await run('node', '--json', '--datadir', datadir, ...freePorts, '--no-pex');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).not.toMatch(/^\s+at /m);
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error;
}

const essence = ({ height, bestblock, hash_serialized_3 }: Record<string, unknown>) => ({
  height,
  bestblock,
  hash_serialized_3,
});

describe('a node on a damaged data directory', () => {
  test('says which file of the store is damaged, and --reindex brings all back, once', async () => {
    const { datadir, coins } = await minedDirectory();
    const store = join(datadir, 'regtest', 'store');
    const log = readdirSync(store).find((name) => name.endsWith('.log')) as string;
    flip(join(store, log), 1000);
    const { code, message, hint } = await refusal(datadir);
    expect([code, message, hint]).toEqual([
      'datadir-damaged',
      expect.stringContaining(log),
      expect.stringContaining('--reindex'),
    ]);
    for (const args of [['--reindex'], []]) {
      const node = await NodeProcess.start(datadir, ...args);
      await eventually(
        () => node.call('getblockcount'),
        (height) => height === 20,
      );
      expect(essence(await node.call('gettxoutsetinfo'))).toEqual(essence(coins as Record<string, unknown>));
      expect((await node.signal('SIGTERM')).code).toBe(0);
    }
  });

  test('says so when its store or its block files are gone', async () => {
    const { datadir } = await minedDirectory();
    const blocks = join(datadir, 'regtest', 'blocks', 'blk00000.dat');
    const content = readFileSync(blocks);
    rmSync(blocks);
    expect(await refusal(datadir)).toMatchObject({
      code: 'datadir-damaged',
      message: expect.stringContaining('missing'),
    });
    writeFileSync(blocks, content);
    rmSync(join(datadir, 'regtest', 'store'), { recursive: true });
    expect(await refusal(datadir)).toMatchObject({
      code: 'datadir-damaged',
      message: expect.stringContaining('missing'),
    });
    expect(existsSync(join(datadir, 'regtest', '.cookie'))).toBe(false);
  });

  test('ends with a clear message when it finds a damaged block later, and gets the block from a peer after --reindex', async () => {
    const { datadir, coins } = await minedDirectory();
    const whole = await NodeProcess.start(newFolder());
    const other = await NodeProcess.start(datadir, '--connect', whole.ready.listen[0] as string);
    await eventually(
      () => whole.call('getblockcount'),
      (height) => height === 20,
    );
    const hash = await other.call<string>('getblockhash', 5);
    const { size } = await other.call<{ size: number }>('getblock', hash, 1);
    await other.signal('SIGTERM');
    const blocks = join(datadir, 'regtest', 'blocks', 'blk00000.dat');
    const bytes = readFileSync(blocks);
    // The header of the block ends 76 bytes after its first; its coinbase follows.
    const prevHash = Buffer.from(hash, 'hex').reverse();
    const next = bytes.indexOf(prevHash);
    flip(blocks, next - 4 - 8 - (size >> 1));
    const node = await NodeProcess.start(datadir);
    await node.call('getblock', hash, 1).catch(() => undefined);
    const { code, stderr } = await node.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/blk00000\.dat is damaged.*--reindex/)]);
    const again = await NodeProcess.start(datadir, '--reindex', '--connect', whole.ready.listen[0] as string);
    await eventually(
      () => again.call('getblockcount'),
      (height) => height === 20,
    );
    expect(essence(await again.call('gettxoutsetinfo'))).toEqual(essence(coins as Record<string, unknown>));
    expect(await again.call('getblock', hash, 1)).toMatchObject({ hash });
  });
});
