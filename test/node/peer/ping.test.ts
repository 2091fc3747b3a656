import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Now, PeerId } from '../../../node/boundary.ts';
import type { Effect } from '../../../node/effect.ts';
import { internetLimits } from '../../../node/limits.ts';
import { Pings } from '../../../node/peer/ping.ts';
import { SeededRandom } from '../../../node/random.ts';

const MINUTE = 60_000;
const peer = 1 as PeerId;
const at = (mono: number): Now => ({ mono, unix: 1_700_000_000 });

let pings: Pings;
beforeEach(() => {
  pings = new Pings({ limits: internetLimits, random: new SeededRandom('ping') });
});

function nonceOf(effects: readonly Effect[]): bigint {
  const [first] = effects;
  if (first?.type !== 'message' || first.message.type !== 'ping') throw new Error('no ping was sent');
  return first.message.nonce;
}

describe('pings', () => {
  test('the first goes out at once, the next two minutes after the last one left', () => {
    const first = nonceOf(pings.add(peer, at(0)));
    pings.onPong(peer, first, at(30));
    expect(pings.nextDeadline()).toBe(2 * MINUTE);
    expect(pings.tick(at(2 * MINUTE - 1))).toEqual([]);
    const second = nonceOf(pings.tick(at(2 * MINUTE)));
    expect(second).not.toBe(first);
  });

  test('round trips are measured: the last, the shortest, the one under way', () => {
    const first = nonceOf(pings.add(peer, at(0)));
    expect(pings.rtt(peer, at(20))).toEqual({ lastMs: undefined, minMs: undefined, waitingMs: 20 });
    pings.onPong(peer, first, at(30));
    expect(pings.rtt(peer, at(40))).toEqual({ lastMs: 30, minMs: 30, waitingMs: undefined });
    const second = nonceOf(pings.tick(at(2 * MINUTE)));
    pings.onPong(peer, second, at(2 * MINUTE + 80));
    expect(pings.rtt(peer, at(2 * MINUTE + 90))).toEqual({ lastMs: 80, minMs: 30, waitingMs: undefined });
  });

  test('a pong with another nonce, or to no ping, is ignored', () => {
    const nonce = nonceOf(pings.add(peer, at(0)));
    pings.onPong(peer, nonce ^ 1n, at(5));
    expect(pings.rtt(peer, at(10)).waitingMs).toBe(10);
    pings.onPong(peer, nonce, at(10));
    pings.onPong(peer, nonce, at(20));
    expect(pings.rtt(peer, at(20)).lastMs).toBe(10);
  });

  test('a ping is answered with its nonce', () => {
    expect(pings.onPing(peer, 5n)).toEqual([{ type: 'message', peer, message: { type: 'pong', nonce: 5n } }]);
  });

  test('a peer that talks but never answers is dropped 20 minutes after the ping', () => {
    pings.add(peer, at(0));
    for (let minute = 1; minute < 20; minute++) {
      pings.onTraffic(peer, at(minute * MINUTE));
      expect(pings.tick(at(minute * MINUTE))).toEqual([]);
    }
    expect(pings.nextDeadline()).toBe(20 * MINUTE);
    expect(pings.tick(at(20 * MINUTE))).toEqual([{ type: 'disconnect', peer, reason: 'ping timeout' }]);
  });

  test('a silent peer is dropped after 20 minutes, one that was heard meanwhile is not', () => {
    const other = 2 as PeerId;
    pings.onPong(peer, nonceOf(pings.add(peer, at(0))), at(1));
    pings.onPong(other, nonceOf(pings.add(other, at(0))), at(1));
    // The pings of the second round are answered by one peer only.
    for (const effect of pings.tick(at(2 * MINUTE))) {
      if (effect.type !== 'message' || effect.message.type !== 'ping' || effect.peer !== other) continue;
      pings.onTraffic(other, at(2 * MINUTE));
      pings.onPong(other, effect.message.nonce, at(2 * MINUTE));
    }
    const late = pings.tick(at(20 * MINUTE));
    expect(late).toContainEqual({ type: 'disconnect', peer, reason: 'nothing was received for too long' });
    expect(late).toMatchObject([{ peer }, { type: 'message', peer: other, message: { type: 'ping' } }]);
  });

  test('the deadline is never later than what is due, and a tick moves it on', () => {
    pings.onPong(peer, nonceOf(pings.add(peer, at(0))), at(1));
    for (let now = 0, ticks = 0; now < 60 * MINUTE; ticks++) {
      const due = pings.nextDeadline() as number;
      expect(due).toBeGreaterThan(now);
      now = due;
      for (const effect of pings.tick(at(now))) {
        if (effect.type !== 'message' || effect.message.type !== 'ping') throw new Error('it was dropped');
        pings.onTraffic(peer, at(now));
        pings.onPong(peer, effect.message.nonce, at(now));
      }
      expect(ticks).toBeLessThan(100);
    }
  });

  test('without peers there is no deadline', () => {
    pings.add(peer, at(0));
    pings.remove(peer);
    expect(pings.nextDeadline()).toBeUndefined();
    expect(pings.tick(at(60 * MINUTE))).toEqual([]);
  });
});
