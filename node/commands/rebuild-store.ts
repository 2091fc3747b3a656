/** `grapevine node --reindex`: reads all block files and makes the store's headers again; the node that starts on it does the rest. */
import type { ChainParams } from '../../consensus/params.ts';
import type { UnixSeconds } from '../boundary.ts';
import { ChainState } from '../chain/chain-state.ts';
import { HeaderTree } from '../chain/header-tree.ts';
import { Reindex } from '../chain/reindex.ts';
import { headersRange, REINDEX_KEY } from '../chain/schema.ts';
import type { Limits } from '../limits.ts';
import type { DataDirectory } from '../runtime/data-directory.ts';
import type { Logger } from '../runtime/log.ts';

/** If it is cut short, the next start begins it again: the store stays marked until all is known. */
export async function rebuildStore(
  directory: Pick<DataDirectory, 'store' | 'blockFiles'>,
  settings: { readonly params: ChainParams; readonly limits: Limits; readonly now: UnixSeconds },
  logger: Logger,
): Promise<void> {
  const { store, blockFiles } = directory;
  const { params, limits, now } = settings;
  const tree = new HeaderTree(params, await store.rows(headersRange));
  const chain = new ChainState({ params, tree, store, blockFiles, limits, verified: () => false });
  const reindex = new Reindex({ tree, chain, blockFiles, now });
  for (const file of blockFiles.fileNumbers) {
    blockFiles.scan(file, (bytes, place) => reindex.onRecord(bytes, place));
    await store.flush();
    logger.log('info', 'block file read', { file, blocks: reindex.blocks });
  }
  const { blocks, damaged, unconnected, missing } = reindex.finish();
  store.write([[REINDEX_KEY, null]]);
  await store.flush();
  logger.log('info', 'reindexed', { blocks, damaged, unconnected, missing: missing.length });
  if (unconnected > 0) logger.log('warn', 'blocks without their ancestors are left out', { blocks: unconnected });
  const [first] = missing;
  if (first === undefined) return;
  const { hash, height } = first;
  logger.log('warn', 'a block is damaged and must come from a peer', { height, hash, others: missing.length - 1 });
}
