/** Whom we ask for a transaction, and when: RULES.md C4, "tx request". */
import { describe, expect, test } from '@jest/globals';
import type { PeerId } from '../../../node/boundary.ts';
import { internetLimits, type Limits } from '../../../node/limits.ts';
import { TxRequests } from '../../../node/mempool/requests.ts';
import { SeededRandom } from '../../../node/random.ts';

const [A, B, C] = [1, 2, 3] as PeerId[] as [PeerId, PeerId, PeerId];
const TIMEOUT = internetLimits.txRequestTimeoutMs;
const everything = () => false;

class Requests {
  readonly requests: TxRequests;
  constructor(limits: Partial<Limits> = {}) {
    this.requests = new TxRequests({ limits: { ...internetLimits, ...limits }, random: new SeededRandom('requests') });
  }
  announce(peer: PeerId, hash: string, readyAt = 0, preferred = true): this {
    this.requests.announce({ peer, kind: 'wtxid', hash, preferred, readyAt });
    return this;
  }
  due(now: number, room = 1000): [PeerId, string][] {
    return this.requests.due(room, everything, now).map(({ peer, hash }) => [peer, hash]);
  }
}

describe('requests', () => {
  test('go to one peer at a time, and to the next after a timeout', () => {
    const requests = new Requests().announce(A, 'x').announce(B, 'x', 0, false);
    expect(requests.due(0)).toEqual([[A, 'x']]);
    expect(requests.due(TIMEOUT - 1)).toEqual([]);
    expect(requests.requests.nextDeadline()).toBe(TIMEOUT);
    expect(requests.due(TIMEOUT)).toEqual([[B, 'x']]);
    expect(requests.due(2 * TIMEOUT)).toEqual([]);
    expect(requests.requests.nextDeadline()).toBeUndefined();
  });

  test('go to the next after an answer that was none, or when the peer has gone', () => {
    const requests = new Requests().announce(A, 'x').announce(B, 'x', 10).announce(C, 'x', 20);
    expect(requests.due(0)).toEqual([[A, 'x']]);
    requests.requests.onAnswer(A, 'x');
    expect(requests.requests.nextDeadline()).toBe(10);
    expect(requests.due(10)).toEqual([[B, 'x']]);
    requests.requests.removePeer(B);
    expect(requests.due(20)).toEqual([[C, 'x']]);
    expect(requests.requests.size).toBe(1);
  });

  test('prefer outbound peers, but do not wait for their delay', () => {
    const requests = new Requests().announce(A, 'x', 0, false).announce(B, 'x', 0).announce(C, 'y', 0, false);
    requests.announce(B, 'y', 5);
    expect(requests.due(0)).toEqual([
      [B, 'x'],
      [C, 'y'],
    ]);
  });

  test('go out in the order of announcement, parents before children', () => {
    const requests = new Requests().announce(A, 'parent').announce(A, 'child').announce(B, 'parent');
    expect(requests.due(0).map(([, hash]) => hash)).toEqual(['parent', 'child']);
  });

  test('are not repeated to a peer unless all have failed', () => {
    const requests = new Requests().announce(A, 'x').announce(B, 'x', 100);
    requests.due(0);
    requests.requests.onAnswer(A, 'x');
    requests.announce(A, 'x');
    expect(requests.due(50)).toEqual([]);
    requests.requests.removePeer(B);
    expect(requests.announce(A, 'x').due(50)).toEqual([[A, 'x']]);
  });

  test('stop when nobody need be asked', () => {
    const requests = new Requests().announce(A, 'x').announce(B, 'x').announce(A, 'y');
    requests.requests.forget('x');
    expect(requests.requests.due(9, (_, hash) => hash === 'y', 0)).toEqual([]);
    expect(requests.requests.nextDeadline()).toBeUndefined();
    expect(requests.requests.inFlight(A)).toBe(0);
  });

  test('wait for room without naming a deadline that would come at once', () => {
    const requests = new Requests().announce(A, 'x').announce(A, 'y').announce(A, 'z', 7);
    expect(requests.due(0, 1)).toEqual([[A, 'x']]);
    expect(requests.requests.nextDeadline()).toBe(TIMEOUT);
    expect(requests.due(1, 0)).toEqual([]);
    expect(requests.due(1, 1)).toEqual([[A, 'y']]);
    expect(requests.requests.nextDeadline()).toBe(7);
    expect(requests.requests.inFlight(A)).toBe(2);
  });

  test('are bounded per peer', () => {
    const requests = new Requests({ maxTxAnnouncementsPerPeer: 2 });
    for (const hash of ['x', 'y', 'z']) requests.announce(A, hash);
    requests.announce(B, 'z');
    expect(requests.due(0)).toEqual([
      [A, 'x'],
      [A, 'y'],
      [B, 'z'],
    ]);
  });
});
