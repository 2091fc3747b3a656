import { describe, expect, test } from '@jest/globals';
import { type RejectKind, reject } from '../../../consensus/reject.ts';
import type { Now, PeerId } from '../../../node/boundary.ts';
import { internetLimits } from '../../../node/limits.ts';
import { DenyRules, devnetName } from '../../../node/peer/deny.ts';
import { JunkCounts } from '../../../node/peer/junk-counts.ts';
import { consequence, describeOffence } from '../../../node/peer/misbehaviour.ts';
import { SendBuffers } from '../../../node/peer/send-buffers.ts';

const peer = 1 as PeerId;
const at = (mono: number): Now => ({ mono, unix: 0 });

describe('misbehaviour', () => {
  test.each<[RejectKind, 'discourage' | 'ignore']>([
    ['consensus', 'discourage'],
    ['mutated', 'discourage'],
    ['header', 'discourage'],
    ['invalid-prev', 'discourage'],
    ['cached-invalid', 'ignore'],
    ['missing-prev', 'ignore'],
    ['low-work', 'ignore'],
    ['time-future', 'ignore'],
    ['subset', 'ignore'],
    ['policy', 'ignore'],
    ['missing-inputs', 'ignore'],
    ['premature', 'ignore'],
    ['witness-stripped', 'ignore'],
  ])('a reject of kind %s: %s', (kind, expected) => {
    expect(consequence(reject(kind, 'duplicate'))).toBe(expected);
  });

  test('every offence against the protocol ends the link; the host is remembered where nobody does that by mistake', () => {
    expect(consequence('bad-magic')).toBe('disconnect');
    expect(consequence('late-feature-message')).toBe('disconnect');
    expect(consequence('unrequested-orphan-block')).toBe('discourage');
    expect(consequence('too-many-addresses')).toBe('discourage');
  });

  test('it is described by its reason and detail', () => {
    expect(describeOffence('bad-magic')).toBe('bad-magic, it is of another network or chain');
    expect(describeOffence(reject('header', 'high-hash'))).toBe('high-hash');
    expect(describeOffence(reject('header', 'high-hash', 'proof of work failed'))).toBe(
      'high-hash, proof of work failed',
    );
  });
});

describe('send buffers', () => {
  const limits = { ...internetLimits, maxSendBufferBytes: 100 };

  test('reading stops once above the limit and goes on at half of it', () => {
    const buffers = new SendBuffers(limits);
    expect(buffers.onSend(peer, 100)).toBeNull();
    expect(buffers.isFull(peer)).toBe(false);
    expect(buffers.onSend(peer, 1)).toBe('pause');
    expect(buffers.onSend(peer, 500)).toBeNull();
    expect(buffers.isFull(peer)).toBe(true);
    expect(buffers.size(peer)).toBe(601);
    expect(buffers.onDrained(peer, 550)).toBeNull();
    expect(buffers.onDrained(peer, 1)).toBe('resume');
    expect(buffers.onDrained(peer, 50)).toBeNull();
    expect(buffers.size(peer)).toBe(0);
    expect(buffers.onSend(peer, 101)).toBe('pause');
  });

  test('peers do not share a buffer, and one that is gone has none', () => {
    const buffers = new SendBuffers(limits);
    buffers.onSend(peer, 90);
    expect(buffers.onSend(2 as PeerId, 90)).toBeNull();
    buffers.remove(peer);
    expect(buffers.size(peer)).toBe(0);
    expect(buffers.onDrained(peer, 90)).toBeNull();
  });
});

describe('junk', () => {
  test('a peer may send a limited number a minute', () => {
    const junk = new JunkCounts({ ...internetLimits, maxJunkPerMinute: 3 });
    for (let i = 0; i < 3; i++) expect(junk.onJunk(peer, at(i))).toEqual([]);
    expect(junk.onJunk(2 as PeerId, at(3))).toEqual([]);
    expect(junk.onJunk(peer, at(59_999))).toEqual([{ type: 'misbehaved', peer, why: 'too-much-junk' }]);
    expect(junk.onJunk(peer, at(60_000))).toEqual([]);
  });
});

describe('deny rules', () => {
  test('act on the devnet name in the user agent and on the endpoint, whatever its spelling', () => {
    const deny = new DenyRules();
    expect(deny.deniesName('/Grapevine:0.1.0(devnet:n1)/')).toBe(false);
    expect(deny.deniesEndpoint({ host: '127.0.0.1', port: 1 })).toBe(false);
    deny.set({ names: ['n1'], endpoints: ['127.0.0.1:1', '[0:0::1]:2'] });
    expect(deny.deniesName('/Grapevine:0.1.0(devnet:n1)/')).toBe(true);
    expect(deny.deniesName('/Grapevine:0.1.0(devnet:n11)/')).toBe(false);
    expect(deny.deniesName('/n1/')).toBe(false);
    expect(deny.deniesEndpoint({ host: '::ffff:127.0.0.1', port: 1 })).toBe(true);
    expect(deny.deniesEndpoint({ host: '::1', port: 2 })).toBe(true);
    expect(deny.deniesEndpoint({ host: '127.0.0.1', port: 2 })).toBe(false);
    deny.set({ names: [], endpoints: [] });
    expect(deny.deniesName('/Grapevine:0.1.0(devnet:n1)/')).toBe(false);
    expect(deny.deniesEndpoint({ host: '127.0.0.1', port: 1 })).toBe(false);
  });

  test.each([
    ['/Grapevine:0.1.0(devnet:n1)/', 'n1'],
    ['/Grapevine:0.1.0(test; devnet:alpha-2; x)/', 'alpha-2'],
    ['/Grapevine:0.1.0(mydevnet:n1)/', undefined],
    ['/Grapevine:0.1.0/', undefined],
  ])('the name in %s is %s', (userAgent, name) => {
    expect(devnetName(userAgent)).toBe(name);
  });
});
