/** Memory that peers take with messages they do not end is bounded for all together. */
import { describe, expect, test } from '@jest/globals';
import type { PeerId } from '../../../node/boundary.ts';
import { localLimits } from '../../../node/limits.ts';
import { ReceiveBuffers } from '../../../node/peer/receive-buffers.ts';

const [a, b, c] = [1, 2, 3] as PeerId[] as [PeerId, PeerId, PeerId];
const limits = { ...localLimits, maxPartialBytes: 100 };

describe('bytes that are held of peers', () => {
  test('are too much when all together are, and then the largest holder that may go is named', () => {
    const buffers = new ReceiveBuffers(limits);
    expect(buffers.set(a, 60)).toBe(false);
    expect(buffers.set(b, 40)).toBe(false);
    expect(buffers.set(c, 1)).toBe(true);
    expect(buffers.largest(() => true)).toBe(a);
    expect(buffers.largest((peer) => peer !== a)).toBe(b);
    expect(buffers.largest(() => false)).toBeUndefined();
  });

  test('are given back when the message is read and when the peer goes', () => {
    const buffers = new ReceiveBuffers(limits);
    buffers.set(a, 100);
    buffers.set(a, 30);
    expect(buffers.set(b, 70)).toBe(false);
    expect(buffers.size(a)).toBe(30);
    buffers.remove(a);
    expect(buffers.size(a)).toBe(0);
    expect(buffers.set(c, 30)).toBe(false);
    expect(buffers.set(c, 31)).toBe(true);
  });
});
