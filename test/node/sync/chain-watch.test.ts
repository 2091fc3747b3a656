/** Outbound peers that do not follow the best chain lose their place: RULES.md C4, "chain-sync". */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { PeerId } from '../../../node/boundary.ts';
import type { HeaderNode } from '../../../node/chain/header-tree.ts';
import { internetLimits } from '../../../node/limits.ts';
import { ChainWatch } from '../../../node/sync/chain-watch.ts';

const { chainSyncMs, chainSyncAnswerMs, maxProtectedOutbound } = internetLimits;
const at = (mono: number) => ({ mono, unix: 0 });
const peers = Array.from({ length: 6 }, (_, index) => index as PeerId);
const peer = peers[0]!;
/** A chain of nodes of which only the work matters here. */
const chain = Array.from({ length: 10 }, (_, height) => ({ height, chainwork: BigInt(height * 2) }) as HeaderNode);
const tip = chain[5]!;
const longer = chain[6]!;

let watch: ChainWatch;
/** What each peer is known to have. */
let best: Map<PeerId, HeaderNode>;
const check = (ourTip: HeaderNode, mono: number) => watch.check(ourTip, (id) => best.get(id), at(mono));

beforeEach(() => {
  watch = new ChainWatch(internetLimits);
  best = new Map();
});

describe('a peer behind our tip', () => {
  test('is asked once for its headers and loses its link when nothing comes of it', () => {
    watch.add(peer, true);
    best.set(peer, chain[3]!);
    expect(check(tip, 0)).toEqual([]);
    expect(watch.nextDeadline()).toBe(chainSyncMs);
    expect(check(tip, chainSyncMs - 1)).toEqual([]);
    expect(check(tip, chainSyncMs)).toEqual([{ type: 'ask', peer, from: tip }]);
    expect(check(tip, chainSyncMs + chainSyncAnswerMs - 1)).toEqual([]);
    expect(check(tip, chainSyncMs + chainSyncAnswerMs)).toMatchObject([{ type: 'disconnect', peer }]);
  });

  test('that has shown nothing at all is judged in the same way', () => {
    watch.add(peer, false);
    check(tip, 0);
    expect(check(tip, chainSyncMs)).toMatchObject([{ type: 'ask' }]);
  });

  test('stays when it catches up, and nothing is waited for any more', () => {
    watch.add(peer, false);
    best.set(peer, chain[3]!);
    check(tip, 0);
    best.set(peer, tip);
    expect(check(tip, chainSyncMs)).toEqual([]);
    expect(watch.nextDeadline()).toBeUndefined();
  });

  test('gets the whole time again when it has reached what our tip was, though that has grown', () => {
    watch.add(peer, false);
    best.set(peer, chain[3]!);
    check(tip, 0);
    best.set(peer, tip);
    expect(check(longer, 1000)).toEqual([]);
    expect(watch.nextDeadline()).toBe(1000 + chainSyncMs);
  });

  test('does not gain time by headers that do not reach our tip', () => {
    watch.add(peer, false);
    check(tip, 0);
    best.set(peer, chain[4]!);
    check(tip, 1000);
    expect(watch.nextDeadline()).toBe(chainSyncMs);
  });

  test('is forgotten with its link', () => {
    watch.add(peer, true);
    check(tip, 0);
    watch.remove(peer);
    expect(watch.nextDeadline()).toBeUndefined();
    expect(check(tip, 10 * chainSyncMs)).toEqual([]);
  });
});

describe('peers that have shown as much work as our tip', () => {
  test('keep their link when our chain goes on without them, but only so many, and only full links', () => {
    for (const id of peers) {
      watch.add(id, id !== peers[1]);
      best.set(id, tip);
    }
    check(tip, 0);
    check(longer, 1);
    check(longer, 1 + chainSyncMs);
    const gone = check(longer, 1 + chainSyncMs + chainSyncAnswerMs).map((step) => step.peer);
    expect(peers.length - gone.length).toBe(maxProtectedOutbound);
    expect(gone).toContain(peers[1]);
  });

  test('leave their protection to others when they go', () => {
    for (const id of peers.slice(0, maxProtectedOutbound)) {
      watch.add(id, true);
      best.set(id, tip);
    }
    check(tip, 0);
    watch.remove(peers[0]!);
    const late = peers[5]!;
    watch.add(late, true);
    best.set(late, tip);
    check(tip, 1);
    check(longer, 2);
    expect(watch.nextDeadline()).toBeUndefined();
  });
});
