/**
 * A real data directory in which a bit flips, a file is cut short or goes missing: either the node starts in the right state,
 * or it says what is damaged; and then it can be rebuilt from the block files. Never is a coin there that should not be.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { type ChainProgress, ChainState } from '../../../node/chain/chain-state.ts';
import { type HeaderNode, HeaderTree } from '../../../node/chain/header-tree.ts';
import { MemoryStore } from '../../../node/chain/memory-store.ts';
import { headersRange } from '../../../node/chain/schema.ts';
import { rebuildStore } from '../../../node/commands/rebuild-store.ts';
import { localLimits } from '../../../node/limits.ts';
import { below, StoreDamage } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type DataDirectory, openDataDirectory } from '../../../node/runtime/data-directory.ts';
import { silentLogger } from '../../../node/runtime/log.ts';
import { StartError } from '../../../node/runtime/start-error.ts';
import { buildBlock, outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';
import { expectState, GENESIS_STATE, NOW, type ReplayedState, replay } from '../chain/harness.ts';

const newFolder = temporaryFolders();
const random = new SeededRandom(process.env['SEED'] ?? 'damage');
const FLIPS_PER_FILE = Number(process.env['FLIPS'] ?? 3);

const chain = TestChain.ofHeight(105);
const alice = testKey(0);
const bob = testKey(1);
for (let i = 1; i <= 8; i++) {
  const tx = spend([chain.coinbase(i)], [pay(alice, 2_000_000_000n), pay(bob, 3_000_000_000n)]);
  chain.extend({ transactions: [tx, spend([outputOf(tx, 0, alice)], [pay(bob, 2_000_000_000n)])] });
}
const stale = buildBlock(chain.placeAt(110), { tag: 'stale' });

const states = new Map<string, ReplayedState>();
let state = GENESIS_STATE;
for (const [height, block] of chain.blocks.entries()) {
  if (height > 0) state = replay(state, block, height);
  states.set(block.header.hash, state);
  if (height === 110) states.set(stale.header.hash, replay(state, stale, 111));
}

class DiskNode {
  readonly directory: DataDirectory;
  readonly tree: HeaderTree;
  readonly chain: ChainState;

  constructor(directory: DataDirectory, tree: HeaderTree) {
    this.directory = directory;
    this.tree = tree;
    const { store, blockFiles } = directory;
    const limits = localLimits;
    this.chain = new ChainState({ params: regtest, tree, store, blockFiles, limits, verified: () => true });
  }

  static async open(folder: string, reindex = false): Promise<DiskNode> {
    const onFailure = (error: Error) => {
      throw error;
    };
    const directory = await openDataDirectory(folder, regtest, { onFailure, reindex });
    try {
      expect(directory.needsReindex).toBe(reindex);
      if (reindex) await rebuildStore(directory, { params: regtest, limits: localLimits, now: NOW }, silentLogger);
      return new DiskNode(directory, new HeaderTree(regtest, await directory.store.rows(headersRange)));
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  deliver(block: Block): void {
    this.chain.acceptBlock(block, NOW);
    this.settle();
  }

  settle(): void {
    for (let progress: ChainProgress; ; ) {
      progress = this.chain.advance();
      expect(progress.failures).toEqual([]);
      if (!progress.more) return;
    }
  }

  /** The state is that of the tip, in every row. */
  async check(): Promise<void> {
    await this.directory.store.flush();
    const store = new MemoryStore(await this.directory.store.rows({ gte: '', lt: '\x7f' }));
    expectState({ store, chain: this.chain }, this.#stateOf(this.chain.tip));
  }

  /** By replay. A tip whose header has a flipped bit may be another valid block, for proof of work is cheap on regtest. */
  #stateOf(node: HeaderNode): ReplayedState {
    const known = states.get(node.hash);
    if (known !== undefined) return known;
    return replay(this.#stateOf(node.parent as HeaderNode), this.chain.readBlock(node), node.height);
  }

  close(): Promise<void> {
    return this.directory.close();
  }
}

/** A directory after several lives of a node, so that the store has tables and a log; as a kill leaves it. */
async function makeDirectory(): Promise<string> {
  const folder = newFolder();
  let node = await DiskNode.open(folder);
  for (const [height, block] of chain.blocks.entries()) {
    if (height > 0) node.deliver(block);
    if (height === 111) node.deliver(stale);
    if (height % 40 !== 39 && height !== 111) continue;
    await node.close();
    node = await DiskNode.open(folder);
  }
  await node.directory.store.flush();
  const killed = newFolder();
  cpSync(folder, killed, { recursive: true });
  await node.close();
  return killed;
}

const whole = await makeDirectory();

function copyOf(folder: string): string {
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  return copy;
}

const files = ['store', 'blocks'].flatMap((folder) =>
  readdirSync(join(whole, 'regtest', folder)).map((name) => join('regtest', folder, name)),
);

/** Starts on a damaged directory. Returns what it says, or undefined if all is well. */
async function start(folder: string): Promise<string | undefined> {
  let node: DiskNode;
  try {
    node = await DiskNode.open(folder);
  } catch (error) {
    if (!(error instanceof StartError) && !(error instanceof StoreDamage)) throw error;
    if (error instanceof StartError)
      expect([error.code, error.hint]).toEqual(['datadir-damaged', expect.stringContaining('--reindex')]);
    return error.message;
  }
  try {
    await node.check();
    node.settle();
    await node.check();
    // Every body is read, as a peer that asks for it would have it read.
    for (const one of node.tree.nodes()) if (one.place !== undefined) node.chain.readBlockBytes(one);
    expect(node.chain.height).toBe(chain.height);
    return undefined;
  } catch (error) {
    if (!(error instanceof StoreDamage)) throw error;
    return error.message;
  } finally {
    await node.close();
  }
}

/** Rebuilds it. A block that is lost is delivered again, and then all is well. */
async function expectRebuilt(folder: string): Promise<void> {
  const node = await DiskNode.open(folder, true);
  node.settle();
  await node.check();
  for (const block of chain.blocks.slice(1)) node.deliver(block);
  expect(node.chain.hash).toBe(chain.tip.header.hash);
  await node.check();
  await node.close();
  expect(await start(folder)).toBeUndefined();
}

describe('a data directory', () => {
  test('as a kill leaves it is in order', async () => {
    expect(await start(copyOf(whole))).toBeUndefined();
    expect(files.filter((name) => name.endsWith('.ldb')).length).toBeGreaterThan(0);
  });

  test.each(files)(
    'with a bit flipped in %s starts in the right state, or says so and can be rebuilt',
    async (name) => {
      const { size } = statSync(join(whole, name));
      if (size === 0) return;
      for (let i = 0; i < FLIPS_PER_FILE; i++) {
        const folder = copyOf(whole);
        const bytes = readFileSync(join(folder, name));
        const bit = below(random, size * 8);
        bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        writeFileSync(join(folder, name), bytes);
        const said = await start(folder);
        if (said !== undefined) await expectRebuilt(folder);
        const isDead = /LOG|LOCK/.test(name);
        if (isDead) expect(said).toBeUndefined();
        rmSync(folder, { recursive: true });
      }
    },
  );

  test.each(files)('without %s, or with half of it, does the same', async (name) => {
    for (const how of ['missing', 'cut'] as const) {
      const folder = copyOf(whole);
      const path = join(folder, name);
      if (how === 'missing') rmSync(path);
      else truncateSync(path, statSync(path).size >>> 1);
      const said = await startAnywhere(folder);
      if (how === 'missing' && !/LOG|LOCK/.test(name)) expect(said).toMatch(/missing|no such file/);
      if (said !== undefined) await expectRebuilt(folder);
    }
  });

  test('without its store says so, and can be rebuilt', async () => {
    const folder = copyOf(whole);
    rmSync(join(folder, 'regtest', 'store'), { recursive: true });
    expect(await start(folder)).toContain('block files hold blocks');
    await expectRebuilt(folder);
  });

  test('whose rebuilding was cut short is rebuilt by the next start', async () => {
    const folder = copyOf(whole);
    const onFailure = (error: Error) => {
      throw error;
    };
    await (await openDataDirectory(folder, regtest, { onFailure, reindex: true })).close();
    const again = await openDataDirectory(folder, regtest, { onFailure });
    expect(again.needsReindex).toBe(true);
    await again.close();
    await expectRebuilt(folder);
  });
});

/** A log that ends early is what a crash leaves: the state is then that of an earlier block, which need not be the last. */
async function startAnywhere(folder: string): Promise<string | undefined> {
  try {
    return await start(folder);
  } catch (error) {
    const node = await DiskNode.open(folder);
    await node.check();
    expect(node.chain.height).toBeLessThan(chain.height);
    await node.close();
    expect(String(error)).toContain(String(node.chain.height));
    return undefined;
  }
}
