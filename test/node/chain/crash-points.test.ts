/**
 * A crash at every boundary of a scripted chain with payments and reorgs: after every batch and every body, with any suffix
 * of the unflushed batches lost and the block files cut accordingly, in the middle of a body too. What is found must be the
 * state of one block of the tree, coins, undo and indexes agreeing; and with what a peer sends again it must go on to the
 * best tip.
 */
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../../consensus/block.ts';
import { outPointKey } from '../../../consensus/brand.ts';
import { regtest } from '../../../consensus/params.ts';
import { type Coin, prevoutKey, type Transaction } from '../../../consensus/transaction.ts';
import { ChainState } from '../../../node/chain/chain-state.ts';
import { HeaderTree } from '../../../node/chain/header-tree.ts';
import { decodeUndo, headersRange, undoKey } from '../../../node/chain/schema.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { below, type Random } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { buildBlock, outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import { FaultyBlockFiles, FaultyStore } from '../../support/faulty-store.ts';
import { expectState, GENESIS_STATE, NOW, type ReplayedState, replay } from './harness.ts';

const BASE_HEIGHT = 103;
const base = TestChain.ofHeight(BASE_HEIGHT);

/** A block of the story, with the state after it. */
interface Known {
  readonly block: Block;
  readonly height: number;
  readonly state: ReplayedState;
}
const known = new Map<string, Known>();

function remember(block: Block, height: number): Block {
  const before = known.get(block.header.prevHash)?.state ?? GENESIS_STATE;
  known.set(block.header.hash, { block, height, state: height === 0 ? before : replay(before, block, height) });
  return block;
}

function addBlock(parent: Block, tag: string, transactions: readonly Transaction[] = []): Block {
  const { hash, time } = parent.header;
  const { height } = known.get(hash) as Known;
  return remember(buildBlock({ hash, height, time }, { tag, transactions }), height + 1);
}

/** Two branches over the base, in the order in which their blocks come: each overtakes the other in turn. */
function script(): Block[] {
  for (const [height, block] of base.blocks.entries()) remember(block, height);
  const [alice, bob] = [testKey(0), testKey(5)];
  const one = spend([base.coinbase(1)], [pay(alice, 20n), pay(bob, 40n)]);
  const two = spend([outputOf(one, 0, alice)], [pay(bob, 20n)]);
  const three = spend([outputOf(two, 0, bob)], [pay(alice, 20n)]);
  const rival = spend([base.coinbase(1)], [pay(bob, 70n)]);
  const later = spend([base.coinbase(2), outputOf(rival, 0, bob)], [pay(alice, 90n)]);
  const last = spend([outputOf(later, 0, alice)], [pay(bob, 80n)]);
  const a1 = addBlock(base.tip, 'a1', [one, two]);
  const a2 = addBlock(a1, 'a2');
  const b1 = addBlock(base.tip, 'b1', [rival]);
  const b2 = addBlock(b1, 'b2');
  const b3 = addBlock(b2, 'b3', [later]);
  const a3 = addBlock(a2, 'a3', [three]);
  const a4 = addBlock(a3, 'a4');
  const b4 = addBlock(b3, 'b4', [last]);
  const b5 = addBlock(b4, 'b5');
  return [a1, a2, b1, b2, b3, a3, a4, b5, b4];
}

const story = script();
const best = story.at(-2) as Block;

/** A process: it runs on a disk until it crashes. */
class Life {
  readonly limits: Limits;
  readonly store: FaultyStore;
  readonly files: FaultyBlockFiles;
  readonly tree: HeaderTree;
  readonly chain: ChainState;

  constructor(limits: Partial<Limits>, store: FaultyStore, files: FaultyBlockFiles) {
    this.limits = { ...localLimits, ...limits };
    this.store = store;
    this.files = files;
    this.tree = new HeaderTree(regtest, store.range(headersRange.gte, headersRange.lt));
    this.chain = new ChainState({
      params: regtest,
      tree: this.tree,
      store,
      blockFiles: files,
      limits: this.limits,
      verified: () => true,
    });
    this.chain.defer(this.limits.unsavedRows < localLimits.unsavedRows);
  }

  /** The headers up to a block, then the block, as sync brings them; what is there already is refused. */
  deliver(block: Block): void {
    const path: Block[] = [];
    for (let at: Block | undefined = block; at !== undefined; at = known.get(at.header.prevHash)?.block) {
      if (this.tree.get(at.header.hash) !== undefined) break;
      path.push(at);
    }
    for (const { header } of path.reverse()) this.tree.add(header, NOW);
    this.chain.saveHeaders();
    this.chain.acceptBlock(block, NOW);
    this.settle();
  }

  settle(): void {
    while (this.chain.advance().more);
  }

  /** Everything that the store says is that of the tip. */
  check(): void {
    const { store, chain } = this;
    chain.save();
    expectState({ store, chain }, known.get(chain.hash)?.state as ReplayedState);
    for (let node = chain.tip; node.parent !== null; node = node.parent) {
      const key = undoKey(node.hash);
      const block = known.get(node.hash)?.block as Block;
      expect(decodeUndo(key, store.get(key) as Uint8Array)).toEqual(spentBy(block));
      expect(chain.readBlock(node).header.hash).toBe(node.hash);
      if (node.height <= BASE_HEIGHT) break;
    }
  }
}

/** The coins that a block spends, in the order of its inputs, by replay. */
function spentBy(block: Block): Coin[] {
  const { height } = known.get(block.header.hash) as Known;
  const coins = new Map((known.get(block.header.prevHash) as Known).state.coins);
  const spent: Coin[] = [];
  for (const [index, tx] of block.transactions.entries()) {
    if (index > 0) spent.push(...tx.inputs.map((input) => coins.get(prevoutKey(input)) as Coin));
    for (const [vout, { value, scriptPubKey }] of tx.outputs.entries()) {
      coins.set(outPointKey(tx.txid, vout), { value, scriptPubKey, height, coinbase: index === 0 });
    }
  }
  return spent;
}

/** What a crash leaves: the disk, and what had happened by then. */
interface Moment {
  readonly store: FaultyStore;
  /** Bytes of bodies that are on the disk for certain, and those that may be. */
  readonly files: (kept: number) => FaultyBlockFiles;
  readonly unsynced: number;
}

/**
 * Runs the story and returns what a crash can leave. A crash after some batch that loses the last of the unflushed ones leaves
 * the store as one after an earlier batch did, but more of the files: so every prefix of the batches is a moment, with
 * everything between the bodies that its last batch names and all bodies.
 */
function momentsOf(life: Life): Moment[] {
  const sizes: number[] = [life.files.unsynced];
  life.store.onBatch = () => sizes.push(life.files.unsynced);
  for (const block of story) life.deliver(block);
  expect(life.chain.hash).toBe(best.header.hash);
  life.check();
  return sizes.map((needed, kept) => ({
    store: life.store.afterCrash(kept),
    files: (bytes) => life.files.afterCrash(needed + bytes),
    unsynced: life.files.unsynced - needed,
  }));
}

/** A node that has the base on its disk for certain. */
async function start(limits: Partial<Limits>): Promise<Life> {
  const life = new Life(limits, new FaultyStore(), new FaultyBlockFiles());
  for (const block of base.blocks.slice(1)) life.deliver(block);
  life.chain.save();
  await life.files.sync();
  await life.store.flush();
  return life;
}

/** Nothing, some and all of the bytes that may be lost: most cuts are in the middle of a body. */
function keptBytes({ unsynced }: Moment, random: Random): number[] {
  return [...new Set([0, below(random, unsynced + 1), unsynced])];
}

/** A start on what is left, the state that it finds, and all that follows. */
function recover(limits: Partial<Limits>, moment: Moment, bytes: number): Life {
  const life = new Life(limits, moment.store.afterCrash(0), moment.files(bytes));
  life.check();
  life.settle();
  life.check();
  return life;
}

const variants: readonly [string, Partial<Limits>][] = [
  ['as usual', {}],
  ['that commits every step of a reorg by itself', { overlayBytes: 1 }],
  ['that tells the store of several blocks at once', { unsavedRows: 60 }],
  ['without caches', { coinCacheEntries: 0, blockCacheBytes: 0, verifyWindowBlocks: 1 }],
];

describe('after a crash at any write', () => {
  test.each(variants)('a node %s is in the state of one block, and goes on to the best tip', async (_name, limits) => {
    const random = new SeededRandom('crash points');
    const moments = momentsOf(await start(limits));
    expect(moments.length).toBeGreaterThan(3);
    for (const moment of moments) {
      for (const bytes of keptBytes(moment, random)) {
        const life = recover(limits, moment, bytes);
        for (const block of story) life.deliver(block);
        expect(life.chain.hash).toBe(best.header.hash);
        life.check();
      }
    }
  });

  test('the same holds for a second crash while it recovers from the first', async () => {
    const limits = { overlayBytes: 1 };
    const random = new SeededRandom('two crashes');
    const moments = momentsOf(await start(limits));
    for (let round = 0; round < 3; round++) {
      const moment = moments[below(random, moments.length)] as Moment;
      const life = recover(limits, moment, below(random, moment.unsynced + 1));
      for (const again of momentsOf(life)) {
        const second = recover(limits, again, below(random, again.unsynced + 1));
        for (const block of story) second.deliver(block);
        expect(second.chain.hash).toBe(best.header.hash);
      }
    }
  });

  test('without loss, a start goes on to the best tip by itself', async () => {
    const life = await start({ overlayBytes: 1 });
    const moments = momentsOf(life);
    for (const moment of moments) {
      const again = recover({ overlayBytes: 1 }, moment, moment.unsynced);
      const bodies = [...again.tree.nodes()].filter(({ connectable }) => connectable);
      const work = bodies.reduce((most, { chainwork }) => (chainwork > most ? chainwork : most), 0n);
      expect(again.chain.tip.chainwork).toBe(work);
    }
  });
});

test('a body that cannot be written is told at once, and the state stays that of one block', async () => {
  const life = await start({});
  life.files.failAfter(2);
  expect(() => {
    for (const block of story) life.deliver(block);
  }).toThrow('no space left');
  const again = new Life({}, life.store.crash(life.store.unflushed), life.files.crash(life.files.unsynced));
  again.check();
  for (const block of story) again.deliver(block);
  expect(again.chain.hash).toBe(best.header.hash);
});
