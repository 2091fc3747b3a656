/**
 * The folder of one network in the data directory, `<datadir>/<network>/`: `store/` (LevelDB), `blocks/` (block files) and
 * `.cookie`. Opening it is where a wrong folder is noticed: one in use, of another network, of a newer schema, damaged, or
 * one that cannot be written. Nothing in it is changed before that is known.
 *
 * The store can be made again from the block files (chain/reindex.ts); here it is emptied for that, and marked until it is
 * whole.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { HEADER_SIZE, readHeader } from '../../consensus/block.ts';
import { decode } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { makeFolder } from '../../wallet/atomic-file.ts';
import type { Row } from '../boundary.ts';
import { addressesRange, poolRange, REINDEX_KEY, readMeta, SCHEMA_VERSION } from '../chain/schema.ts';
import { FEE_DELTAS_KEY } from '../mempool/fee-deltas.ts';
import { type BatchItem, StoreDamage } from '../ports.ts';
import { DiskBlockFiles } from './block-files.ts';
import { checkLevelFiles } from './level-check.ts';
import { destroyLevel, LevelStore } from './level-store.ts';
import { errorText, StartError, systemCode } from './start-error.ts';

const CHECK_TRIES = 3;
const CHECK_PAUSE_MS = 50;

export interface DataDirectory {
  readonly path: string;
  readonly cookiePath: string;
  readonly store: LevelStore;
  readonly blockFiles: DiskBlockFiles;
  /** The store does not know all blocks of the block files: it must be rebuilt before a node can use it. */
  readonly needsReindex: boolean;
  /** Writes what is queued and lets go of the folder. */
  close(): Promise<void>;
}

/** What a damaged directory can be helped with. */
export const REINDEX_HINT = 'Start it once with --reindex: the store is made again from the block files.';

/** What must not be mended by making the store again: it is not ours. */
const KEEPS_STORE = ['datadir-in-use', 'datadir-other-network', 'datadir-other-chain'];

export interface DataDirectoryOptions {
  /** A write has failed later on. */
  readonly onFailure: (error: Error) => void;
  /** Empty the store, whatever is wrong with it, so that it can be rebuilt. */
  readonly reindex?: boolean;
}

/** Opens the folder of the network, or makes it. Rejects with a StartError. */
export async function openDataDirectory(
  datadir: string,
  params: ChainParams,
  options: DataDirectoryOptions,
): Promise<DataDirectory> {
  const { onFailure } = options;
  const path = join(datadir, params.name);
  const blocks = join(path, 'blocks');
  makeWritable(path);
  makeWritable(blocks);
  const saved = options.reindex === true ? await emptyStore(path, params) : undefined;
  if (saved === undefined) await checkStoreFiles(path);
  let blockFiles: DiskBlockFiles | undefined;
  const beforeBatch = () => blockFiles?.sync() ?? Promise.resolve();
  const store = await openStore(path, { beforeBatch, onFailure });
  try {
    checkFacts(store, path, params);
    // Only now: the store's lock is what keeps a second process away from the files.
    const files = new DiskBlockFiles(blocks, params.magic);
    blockFiles = files;
    if (saved !== undefined) {
      store.write([[REINDEX_KEY, new Uint8Array(0)], ...saved.map(({ key, value }): BatchItem => [key, value])]);
      await store.flush();
    }
    const needsReindex = store.get(REINDEX_KEY) !== undefined;
    if (!needsReindex && readMeta((key) => store.get(key)) === undefined && holdsBlocks(files, params)) {
      throw damaged(`the store in ${path} is missing, but its block files hold blocks`);
    }
    const close = async () => {
      try {
        await store.close();
        await files.sync();
      } finally {
        files.close();
      }
    };
    return { path, cookiePath: join(path, '.cookie'), store, blockFiles: files, needsReindex, close };
  } catch (error) {
    await store.close();
    if (error instanceof StoreDamage) throw damaged(error.message);
    throw error instanceof StartError ? error : notWritable(path, error);
  }
}

/**
 * Damage in the store's files is found before they are opened, for LevelDB would go on without what it cannot read. Another
 * process may be changing them, and is noticed only when they are opened: so what looks damaged is looked at again.
 */
async function checkStoreFiles(path: string): Promise<void> {
  for (let tries = CHECK_TRIES; ; tries--) {
    try {
      return checkLevelFiles(join(path, 'store'));
    } catch (error) {
      if (!(error instanceof StoreDamage)) throw notWritable(path, error);
      if (tries === 1) throw damaged(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, CHECK_PAUSE_MS));
  }
}

/** What no block file holds: addresses of peers, changes of fees, transactions that were saved. */
const KEPT = [addressesRange, { gte: FEE_DELTAS_KEY, lt: `${FEE_DELTAS_KEY}~` }, poolRange];

/**
 * Deletes the store and returns what no block file holds. It is lost where the store's files are damaged, for LevelDB ends the process at some of what it may find in those.
 */
async function emptyStore(path: string, params: ChainParams): Promise<readonly Row[]> {
  const directory = join(path, 'store');
  let rows: readonly Row[] = [];
  let store: LevelStore | undefined;
  try {
    checkLevelFiles(directory);
    store = await openStore(path, { beforeBatch: () => Promise.resolve(), onFailure: () => undefined });
    checkFacts(store, path, params);
    const kept: Row[] = [];
    for (const range of KEPT) kept.push(...(await store.rows(range)));
    rows = kept;
  } catch (error) {
    if (error instanceof StartError && KEEPS_STORE.includes(error.code)) throw error;
    if (!(error instanceof StartError) && !(error instanceof StoreDamage)) throw error;
  } finally {
    await store?.close();
  }
  try {
    // LevelDB takes its lock before it deletes anything.
    await destroyLevel(directory);
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    throw /lock/i.test(errorText(cause)) ? inUse(path) : notWritable(path, cause);
  }
  return rows;
}

/** True if there is a block other than genesis, of which a first start that was cut short leaves copies. */
function holdsBlocks(files: DiskBlockFiles, params: ChainParams): boolean {
  let found = false;
  for (const file of files.fileNumbers) {
    files.scan(file, (bytes) => {
      const header = decode(bytes.subarray(0, HEADER_SIZE), readHeader);
      found ||= header.ok && header.value.hash !== params.genesis.header.hash;
      return true;
    });
  }
  return found;
}

function makeWritable(path: string): void {
  try {
    makeFolder(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
}

async function openStore(path: string, options: Parameters<typeof LevelStore.open>[1]): Promise<LevelStore> {
  try {
    return await LevelStore.open(join(path, 'store'), options);
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    switch (systemCode(cause)) {
      case 'LEVEL_LOCKED':
        throw inUse(path);
      case 'LEVEL_CORRUPTION':
        throw damaged(`the store in ${path} is damaged: ${errorText(cause)}`);
      default:
        throw notWritable(path, cause);
    }
  }
}

/** A store that has been used must be of our network and of a schema that we know. A new one gets its facts with genesis. */
function checkFacts(store: LevelStore, path: string, params: ChainParams): void {
  const meta = readMeta((key) => store.get(key));
  if (meta === undefined) return;
  if (meta.network !== params.name) {
    throw new StartError(
      'datadir-other-network',
      `the data directory ${path} holds the network ${meta.network}, not ${params.name}`,
      'Give this node another directory with --datadir.',
    );
  }
  const { hash } = params.genesis.header;
  if (meta.genesis !== undefined && meta.genesis !== hash) {
    throw new StartError(
      'datadir-other-chain',
      `the data directory ${path} holds another chain of the name ${params.name}: its first block is ${meta.genesis}, not ${hash}`,
      'Take the chain file that it was made with, or give this node another directory with --datadir.',
    );
  }
  if (!(meta.schema <= SCHEMA_VERSION)) {
    throw new StartError(
      'datadir-newer',
      `the data directory ${path} was written by a newer version of Grapevine (schema ${meta.schema}, known is ${SCHEMA_VERSION})`,
      'Update Grapevine, or give this node another directory with --datadir.',
    );
  }
}

function inUse(path: string): StartError {
  return new StartError(
    'datadir-in-use',
    `the data directory ${path} is in use by another process`,
    'Stop that node, or give this one another directory with --datadir.',
  );
}

function damaged(message: string): StartError {
  return new StartError('datadir-damaged', message, REINDEX_HINT);
}

function notWritable(path: string, error: unknown): StartError {
  return new StartError(
    'datadir-not-writable',
    `the data directory ${path} cannot be opened for writing: ${errorText(error)}`,
    'Check its owner and the space that is left, or give another directory with --datadir.',
  );
}
