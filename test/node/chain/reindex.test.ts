/** The store rebuilt from bodies that lie in any order, some twice, some damaged. */
import { describe, expect, test } from '@jest/globals';
import { type Block, encodeBlock, HEADER_SIZE } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { ChainState } from '../../../node/chain/chain-state.ts';
import { HeaderTree } from '../../../node/chain/header-tree.ts';
import { MemoryBlockFiles, MemoryStore } from '../../../node/chain/memory-store.ts';
import { Reindex, type ReindexResult } from '../../../node/chain/reindex.ts';
import { localLimits } from '../../../node/limits.ts';
import { shuffled } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { buildBlock, TestChain } from '../../support/chain-builder.ts';
import { NOW } from './harness.ts';

const chain = TestChain.ofHeight(30);
const stale = [12, 20].map((height) => buildBlock(chain.placeAt(height), { tag: 'stale' }));
const bodies = [...chain.blocks, ...stale, chain.blockAt(7)].map((block) => encodeBlock(block));

/** Rebuilds from these bodies and goes on to the best tip. */
function rebuild(records: readonly Uint8Array[]): {
  result: ReindexResult;
  accepted: boolean[];
  chain: ChainState;
  tree: HeaderTree;
} {
  const blockFiles = new MemoryBlockFiles();
  const tree = new HeaderTree(regtest, []);
  const store = new MemoryStore();
  const state = new ChainState({ params: regtest, tree, store, blockFiles, limits: localLimits, verified: () => true });
  const reindex = new Reindex({ tree, chain: state, blockFiles, now: NOW });
  const accepted = records.map((bytes) => reindex.onRecord(bytes, blockFiles.append(bytes)));
  const result = reindex.finish();
  while (state.advance().more);
  return { result, accepted, chain: state, tree };
}

function spoiled(block: Block, byte: number): Uint8Array {
  const bytes = encodeBlock(block).slice();
  bytes[byte] = (bytes[byte] ?? 0) ^ 4;
  return bytes;
}

describe('bodies', () => {
  test('in any order give the chain, its side branches and nothing else', () => {
    const random = new SeededRandom('reindex');
    for (const records of [bodies, bodies.toReversed(), shuffled(bodies, random), shuffled(bodies, random)]) {
      const { result, accepted, chain: rebuilt, tree } = rebuild(records);
      expect(result).toEqual({ blocks: 32, damaged: 0, unconnected: 0, missing: [] });
      expect(accepted).not.toContain(false);
      expect(rebuilt.hash).toBe(chain.tip.header.hash);
      expect(tree.size).toBe(33);
    }
  });

  test('of which one is damaged give the chain below it, and name the one that is missing', () => {
    for (const records of [bodies, bodies.toReversed()]) {
      const damaged = spoiled(chain.blockAt(9), HEADER_SIZE + 20);
      const found = records.map((bytes) =>
        Buffer.compare(bytes, encodeBlock(chain.blockAt(9))) === 0 ? damaged : bytes,
      );
      const { result, chain: rebuilt, tree } = rebuild(found);
      expect(result).toMatchObject({ blocks: 31, damaged: 1, unconnected: 0 });
      expect(result.missing.map(({ hash }) => hash)).toEqual([chain.blockAt(9).header.hash]);
      expect(rebuilt.height).toBe(8);
      expect(tree.best.hash).toBe(chain.tip.header.hash);
      // It comes from a peer.
      expect(rebuilt.acceptBlock(chain.blockAt(9), NOW).result).toBeNull();
      while (rebuilt.advance().more);
      expect(rebuilt.hash).toBe(chain.tip.header.hash);
    }
  });

  test('whose header has a flipped bit are restored where the next block names them', () => {
    const place = bodies.findIndex((bytes) => Buffer.compare(bytes, encodeBlock(chain.blockAt(15))) === 0);
    const whole: boolean[] = [];
    for (let byte = 76; byte < 80; byte++) {
      const { result, chain: rebuilt, tree } = rebuild(bodies.with(place, spoiled(chain.blockAt(15), byte)));
      expect(result).toMatchObject({ damaged: 1, unconnected: 0 });
      expect(tree.best.hash).toBe(chain.tip.header.hash);
      // Half of all nonces are valid on regtest. With the others the header is that of no block, and the body is lost.
      whole.push(rebuilt.hash === chain.tip.header.hash);
      if (result.missing.length > 0) expect([rebuilt.height, result.missing[0]?.height]).toEqual([14, 15]);
      else expect(whole.at(-1)).toBe(true);
    }
    expect(new Set(whole).size).toBe(2);
  });

  test('without their ancestors are counted', () => {
    const { result, chain: rebuilt } = rebuild(bodies.slice(5));
    expect(result).toMatchObject({ blocks: 0, damaged: 0, unconnected: 29, missing: [] });
    expect(rebuilt.height).toBe(0);
  });
});
