/** The header tree: RULES.md A4, one fault at a time, and its paths against the plainest way to walk them. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type BlockHeader, type HeaderFields, type MerkleRoot, makeHeader } from '../../../consensus/block.ts';
import type { BlockHash } from '../../../consensus/brand.ts';
import { regtest } from '../../../consensus/params.ts';
import type { Reject } from '../../../consensus/reject.ts';
import { type HeaderNode, HeaderTree } from '../../../node/chain/header-tree.ts';
import { StoreDamage } from '../../../node/ports.ts';
import { BLOCK_VERSION, mine, unmine } from '../../support/chain-builder.ts';

const NOW = 1_700_000_000;
const UNKNOWN = 'ab'.repeat(32) as BlockHash;

/** The fields of a valid header on top of a node; `number` makes siblings differ. */
function fieldsOn(parent: HeaderNode, change: Partial<HeaderFields> = {}, number = 0): HeaderFields {
  return {
    version: BLOCK_VERSION,
    prevHash: parent.hash,
    merkleRoot: number.toString(16).padStart(64, '0') as MerkleRoot,
    time: parent.header.time + 600,
    bits: regtest.powLimitBits,
    nonce: 0,
    ...change,
  };
}

function headerOn(parent: HeaderNode, change: Partial<HeaderFields> = {}, number = 0): BlockHeader {
  return mine(fieldsOn(parent, change, number));
}

function addTo(tree: HeaderTree, header: BlockHeader, now = NOW): HeaderNode {
  const added = tree.add(header, now);
  if (!added.ok) throw new Error(added.error.reason);
  return added.value;
}

function grow(tree: HeaderTree, from: HeaderNode, count: number, number = 0): HeaderNode {
  let node = from;
  for (let i = 0; i < count; i++) node = addTo(tree, headerOn(node, {}, number));
  return node;
}

function refusal(tree: HeaderTree, header: BlockHeader, now = NOW): Pick<Reject, 'kind' | 'reason'> | null {
  const size = tree.size;
  const added = tree.add(header, now);
  if (added.ok) return null;
  expect(tree.size).toBe(size);
  return { kind: added.error.kind, reason: added.error.reason };
}

function newTree(): HeaderTree {
  return new HeaderTree(regtest, []);
}

describe('a header that breaks one rule', () => {
  test('is its node if it is known, and duplicate if it is known to be invalid', () => {
    const tree = newTree();
    const header = headerOn(tree.genesis);
    const node = addTo(tree, header);
    expect(addTo(tree, header)).toBe(node);
    expect(addTo(tree, regtest.genesis.header)).toBe(tree.genesis);
    // Known headers are not checked again: the clock may stand wherever it likes.
    expect(refusal(tree, header, 0)).toBe(null);
    tree.markInvalid(node, 'consensus');
    expect(refusal(tree, header)).toEqual({ kind: 'cached-invalid', reason: 'duplicate' });
    tree.markInvalid(node, 'subset');
  });

  test('is a duplicate that costs nobody anything if only we find it invalid', () => {
    const tree = newTree();
    const header = headerOn(tree.genesis);
    tree.markInvalid(addTo(tree, header), 'subset');
    expect(refusal(tree, header)).toEqual({ kind: 'subset', reason: 'duplicate' });
  });

  test('has too high a hash, whatever else is wrong with it', () => {
    const tree = newTree();
    const bad = addTo(tree, headerOn(tree.genesis));
    tree.markInvalid(bad, 'consensus');
    const highHash = { kind: 'header', reason: 'high-hash' };
    for (const change of [{}, { prevHash: UNKNOWN }, { prevHash: bad.hash }, { time: 0 }, { version: 1 }]) {
      expect(refusal(tree, unmine(fieldsOn(tree.genesis, change)))).toEqual(highHash);
    }
    // Easier than the network allows, negative, zero, and too large for 256 bits.
    for (const bits of [0x21008000, 0x20ffffff, 0, 0x23000001]) {
      expect(refusal(tree, makeHeader(fieldsOn(tree.genesis, { bits })))).toEqual(highHash);
    }
  });

  test('has an unknown parent', () => {
    const tree = newTree();
    const header = headerOn(tree.genesis, { prevHash: UNKNOWN });
    expect(refusal(tree, header)).toEqual({ kind: 'missing-prev', reason: 'prev-blk-not-found' });
  });

  test('has an invalid parent or ancestor', () => {
    const tree = newTree();
    const bad = grow(tree, tree.genesis, 1);
    const end = grow(tree, bad, 3);
    tree.markInvalid(bad, 'consensus');
    const badPrev = { kind: 'invalid-prev', reason: 'bad-prevblk' };
    expect(refusal(tree, headerOn(bad, {}, 1))).toEqual(badPrev);
    expect(refusal(tree, headerOn(end))).toEqual(badPrev);
    // Nothing else about it is looked at.
    expect(refusal(tree, headerOn(end, { time: 0, version: 1 }))).toEqual(badPrev);
  });

  test('has an ancestor that only we find invalid', () => {
    const tree = newTree();
    const foreign = grow(tree, tree.genesis, 1);
    const end = grow(tree, foreign, 3);
    tree.markInvalid(foreign, 'subset');
    expect(end.invalid).toBe('subset');
    expect(refusal(tree, headerOn(end))).toEqual({ kind: 'subset', reason: 'bad-prevblk' });
  });

  test('has another target than it must have', () => {
    const tree = newTree();
    const header = mine(fieldsOn(tree.genesis, { bits: 0x207ffffe }));
    expect(refusal(tree, header)).toEqual({ kind: 'header', reason: 'bad-diffbits' });
  });

  test('is not later than the median time past', () => {
    const tree = newTree();
    const parent = grow(tree, tree.genesis, 20);
    const { medianTimePast } = parent;
    expect(medianTimePast).toBe(parent.header.time - 5 * 600);
    const tooOld = { kind: 'header', reason: 'time-too-old' };
    expect(refusal(tree, headerOn(parent, { time: medianTimePast }))).toEqual(tooOld);
    expect(refusal(tree, headerOn(parent, { time: medianTimePast + 1 }))).toBe(null);
  });

  test('begins a period more than ten minutes before its parent', () => {
    const tree = newTree();
    const parent = grow(tree, tree.genesis, 143);
    const { time } = parent.header;
    const warp = { kind: 'header', reason: 'time-timewarp-attack' };
    expect(refusal(tree, headerOn(parent, { time: time - 601 }))).toEqual(warp);
    expect(refusal(tree, headerOn(parent, { time: time - 600 }))).toBe(null);
    // Within a period nothing of the kind is asked.
    expect(refusal(tree, headerOn(parent.parent as HeaderNode, { time: time - 1201 }, 1))).toBe(null);
  });

  test('is too far in the future, which is not remembered', () => {
    const tree = newTree();
    const header = headerOn(tree.genesis, { time: NOW + 7201 });
    expect(refusal(tree, header)).toEqual({ kind: 'time-future', reason: 'time-too-new' });
    expect(refusal(tree, header, NOW + 1)).toBe(null);
  });

  test('has a version below 4, read as a signed number', () => {
    const tree = newTree();
    const version = (value: number) => refusal(tree, headerOn(tree.genesis, { version: value }));
    expect(version(3)).toEqual({ kind: 'header', reason: 'bad-version(0x00000003)' });
    expect(version(-1)).toEqual({ kind: 'header', reason: 'bad-version(0xffffffff)' });
    expect(version(-0x80000000)).toEqual({ kind: 'header', reason: 'bad-version(0x80000000)' });
    expect(version(4)).toBe(null);
    expect(version(0x7fffffff)).toBe(null);
  });

  test('breaks two rules, and the earlier one is named', () => {
    const tree = newTree();
    const parent = grow(tree, tree.genesis, 1);
    const name = (change: Partial<HeaderFields>) => refusal(tree, mine(fieldsOn(parent, change)))?.reason;
    expect(name({ bits: 0x207ffffe, time: 0 })).toBe('bad-diffbits');
    expect(name({ time: 0, version: 1 })).toBe('time-too-old');
    expect(name({ time: NOW + 7201, version: 1 })).toBe('time-too-new');
  });
});

describe('the best header', () => {
  test('has most work; of several the first seen, until it is found invalid', () => {
    const tree = newTree();
    const a = grow(tree, tree.genesis, 3, 1);
    const b = grow(tree, tree.genesis, 3, 2);
    expect(tree.best).toBe(a);
    const c = grow(tree, b, 1, 3);
    expect(tree.best).toBe(c);
    expect(c.chainwork).toBe(2n * 5n);
    expect(tree.markInvalid(b.parent as HeaderNode, 'consensus')).toEqual([b.parent, b, c]);
    expect(tree.best).toBe(a);
    tree.clearInvalid(c);
    expect(tree.best).toBe(c);
    expect(b.invalid).toBe(false);
  });

  test('comes back with everything below a block that is reconsidered, but not with other failures beside it', () => {
    const tree = newTree();
    const root = grow(tree, tree.genesis, 1, 1);
    const left = grow(tree, root, 2, 2);
    const right = grow(tree, root, 2, 3);
    tree.markInvalid(right, 'subset');
    tree.markInvalid(root, 'consensus');
    expect([root, left, right].map(({ invalid }) => invalid)).toEqual(['consensus', 'consensus', 'subset']);
    tree.clearInvalid(left);
    expect([root, left, right].map(({ invalid }) => invalid)).toEqual([false, false, 'subset']);
    expect(right.parent?.invalid).toBe(false);
    tree.clearInvalid(root);
    expect(right.invalid).toBe(false);
  });

  test('is never genesis made invalid', () => {
    const tree = newTree();
    expect(() => tree.markInvalid(tree.genesis, 'consensus')).toThrow('genesis');
  });
});

describe('paths', () => {
  const tree = newTree();
  const nodes = [tree.genesis];
  // Mostly long branches, each with its own forks.
  for (let i = 1; i < 400; i++) {
    const back = i % 7 === 0 ? (i * 31) % Math.min(i, 90) : 0;
    nodes.push(addTo(tree, headerOn(nodes[nodes.length - 1 - back] as HeaderNode, {}, i)));
  }
  const pathOf = (node: HeaderNode): HeaderNode[] => (node.parent === null ? [node] : [...pathOf(node.parent), node]);
  const anyNode = fc.nat({ max: nodes.length - 1 }).map((index) => nodes[index] as HeaderNode);
  const check = (body: (a: HeaderNode, b: HeaderNode) => void) =>
    fc.assert(fc.property(anyNode, anyNode, body), { seed: 1, numRuns: 300 });

  test('ancestors, common ancestors and containment agree with a walk from parent to parent', () => {
    check((a, b) => {
      const [left, right] = [pathOf(a), pathOf(b)];
      const height = Math.min(a.height, b.height);
      expect(tree.ancestor(a, height).hash).toBe(left[height]?.hash);
      expect(tree.contains(a, b)).toBe(left.includes(b));
      const shared = left.filter((node) => right.includes(node)).at(-1);
      expect(tree.commonAncestor(a, b).hash).toBe(shared?.hash);
    });
    expect(() => tree.ancestor(tree.genesis, 1)).toThrow('no ancestor');
  });

  test('an ancestor far below is found in few steps', () => {
    const long = newTree();
    const end = grow(long, long.genesis, 5000);
    let steps = 0;
    for (let at = end; at.height > 1; steps++) at = at.skip.height >= 1 ? at.skip : (at.parent as HeaderNode);
    expect(steps).toBeLessThan(40);
  });

  test('the median time past is that of the last eleven times', () => {
    check((node) => {
      const times = pathOf(node).slice(-11);
      const sorted = times.map(({ header }) => header.time).sort((a, b) => a - b);
      expect(node.medianTimePast).toBe(sorted[Math.floor(sorted.length / 2)]);
    });
  });

  test('a locator is dense at its beginning, sparse further down, and leads the other side to where the chains part', () => {
    check((ours, theirs) => {
      const locator = tree.locator(ours);
      const path = pathOf(ours);
      expect(locator.slice(0, 10)).toEqual(
        path
          .slice(-10)
          .reverse()
          .map(({ hash }) => hash),
      );
      expect(locator.at(-1)).toBe(tree.genesis.hash);
      expect(new Set(locator).size).toBe(locator.length);
      expect(locator.length).toBeLessThanOrEqual(20);

      const fork = tree.fork(locator, theirs);
      const shared = tree.commonAncestor(ours, theirs);
      expect(tree.contains(shared, fork)).toBe(true);
      const isExact = shared === theirs || locator.includes(shared.hash);
      if (isExact) expect(fork.hash).toBe(shared.hash);
    });
  });

  test('what follows a locator is at most as many headers as asked for, and none after the stop', () => {
    check((ours, theirs) => {
      const locator = tree.locator(ours);
      const fork = tree.fork(locator, theirs);
      const rest = pathOf(theirs).slice(fork.height + 1);
      const hashes = (nodes: readonly HeaderNode[]) => nodes.map(({ hash }) => hash);
      expect(hashes(tree.headersAfter(locator, UNKNOWN, 2000, theirs))).toEqual(hashes(rest));
      expect(hashes(tree.headersAfter(locator, UNKNOWN, 5, theirs))).toEqual(hashes(rest.slice(0, 5)));
      const stop = rest[Math.floor(rest.length / 2)];
      if (stop === undefined) return;
      const upToStop = rest.slice(0, rest.indexOf(stop) + 1);
      expect(hashes(tree.headersAfter(locator, stop.hash, 2000, theirs))).toEqual(hashes(upToStop));
      expect(tree.headersAfter([], stop.hash, 2000, theirs)).toEqual([stop]);
    });
    expect(tree.headersAfter([], UNKNOWN, 2000, tree.genesis)).toEqual([]);
  });

  test('tips are the headers without children', () => {
    const parents = new Set(nodes.map(({ parent }) => parent));
    expect(new Set(tree.tips())).toEqual(new Set(nodes.filter((node) => !parents.has(node))));
  });
});

describe('the records', () => {
  /** The rows as the store would give them back. */
  const rowsOf = (tree: HeaderTree) =>
    tree
      .unsaved()
      .map(([key, value]) => ({ key, value: value as Uint8Array }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));

  test('make the same tree again', () => {
    const tree = newTree();
    const place = (length: number) => ({ file: 3, offset: 1000, length, checksum: -7 });
    tree.setBody(tree.genesis, place(285), 1);
    tree.setValid(tree.genesis);
    const a = grow(tree, tree.genesis, 3, 1);
    const b = grow(tree, tree.genesis, 2, 2);
    const c = grow(tree, b, 2, 3);
    for (const node of [a, a.parent, a.parent?.parent] as HeaderNode[]) tree.setBody(node, place(300), 2);
    tree.setBody(b, place(400), 3);
    tree.setValid(a.parent as HeaderNode);
    tree.setFirst(a);
    tree.markInvalid(b, 'subset');
    const again = new HeaderTree(regtest, rowsOf(tree));
    expect(again.size).toBe(tree.size);
    expect(again.bodyBytes).toBe(tree.bodyBytes);
    expect(again.best.hash).toBe(a.hash);
    expect(new Set(again.tips().map(({ hash }) => hash))).toEqual(new Set([a.hash, c.hash]));
    for (const node of tree.nodes()) {
      const { header, height, chainwork, status, failure, invalid, place, txCount, connectable, sequence } = node;
      const known = { header, height, chainwork, status, failure, invalid, place, txCount, connectable, sequence };
      expect(again.get(node.hash)).toMatchObject(known);
    }
    expect(again.get(c.hash)?.invalid).toBe('subset');
    // New blocks come after all old ones, in front of the line before all that were put there.
    const next = addTo(again, headerOn(again.get(a.hash) as HeaderNode));
    expect(again.setBody(next, place(1), 1)).toEqual([next]);
    expect(next.sequence).toBeGreaterThan(a.parent?.sequence as number);
    again.setFirst(next);
    expect(next.sequence).toBeLessThan(a.sequence);
  });

  test('are those that changed since the last call', () => {
    const tree = newTree();
    const node = grow(tree, tree.genesis, 2);
    expect(tree.unsaved()).toHaveLength(2);
    expect(tree.unsaved()).toHaveLength(0);
    tree.markInvalid(node.parent as HeaderNode, 'consensus');
    expect(tree.unsaved()).toHaveLength(1);
    tree.clearInvalid(node);
    expect(tree.unsaved()).toHaveLength(1);
  });

  test('that cannot be of one tree are damage', () => {
    const tree = newTree();
    grow(tree, tree.genesis, 3);
    const rows = rowsOf(tree);
    expect(() => new HeaderTree(regtest, rows.slice(1))).toThrow(StoreDamage);
    const [first] = rows;
    expect(() => new HeaderTree(regtest, [{ key: first?.key as string, value: new Uint8Array(7) }])).toThrow(
      StoreDamage,
    );
    const foreign = { key: `b00000000${UNKNOWN}`, value: first?.value as Uint8Array };
    expect(() => new HeaderTree(regtest, [foreign])).toThrow('another genesis');
  });
});
