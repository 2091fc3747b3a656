import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Now, PeerId } from '../../../node/boundary.ts';
import type { Effect } from '../../../node/effect.ts';
import { internetLimits } from '../../../node/limits.ts';
import { Handshake, type HandshakeStep } from '../../../node/peer/handshake.ts';
import { SeededRandom } from '../../../node/random.ts';
import type { Message, VersionMessage } from '../../../node/wire/message.ts';

const TIP = 110;
const remote = { host: '10.0.0.2', port: 18444 };
const peer = 1 as PeerId;
const at = (mono: number): Now => ({ mono, unix: 1_700_000_000 + Math.floor(mono / 1000) });
const start = at(0);

const theirVersion: VersionMessage = {
  type: 'version',
  version: 70016,
  services: 9n,
  time: BigInt(start.unix + 3),
  receiver: { services: 0n, ip: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4), port: 5 },
  nonce: 99n,
  userAgent: '/Satoshi:28.1.0/',
  startHeight: 7,
  relay: true,
};
const verack: Message = { type: 'verack' };

let handshake: Handshake;
beforeEach(() => {
  handshake = new Handshake({
    limits: internetLimits,
    random: new SeededRandom('handshake'),
    services: 0x1000009n,
    userAgent: '/Grapevine:0.1.0/',
  });
});

const add = (direction: 'inbound' | 'outbound', id = peer, requiredServices = 0n) =>
  handshake.add(id, { direction, remote, requiredServices }, TIP, start);
const receive = (message: Message, id = peer, now = start): HandshakeStep => handshake.onMessage(id, message, TIP, now);
const names = (effects: readonly Effect[]) =>
  effects.map((effect) => (effect.type === 'message' ? effect.message.type : effect.type));
function sentVersion(effects: readonly Effect[]): VersionMessage {
  const [first] = effects;
  if (first?.type !== 'message' || first.message.type !== 'version') throw new Error('no version was sent');
  return first.message;
}

describe('an outbound link', () => {
  test('our version goes out at once, with what we are', () => {
    expect(sentVersion(add('outbound'))).toMatchObject({
      version: 70016,
      services: 0x1000009n,
      time: BigInt(start.unix),
      receiver: { ip: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2), port: 18444 },
      userAgent: '/Grapevine:0.1.0/',
      startHeight: TIP,
      relay: true,
    });
  });

  test('version is answered with features and verack, and verack completes', () => {
    add('outbound');
    expect(names(receive(theirVersion).effects)).toEqual(['wtxidrelay', 'sendaddrv2', 'verack']);
    receive({ type: 'wtxidrelay' });
    receive({ type: 'sendaddrv2' });
    expect(handshake.completed(peer)).toBeUndefined();
    const step = receive(verack);
    expect(step).toMatchObject({ effects: [], handled: true });
    expect(step.completed).toEqual({
      version: 70016,
      services: 9n,
      userAgent: '/Satoshi:28.1.0/',
      startHeight: 7,
      relay: true,
      wtxidRelay: true,
      addrV2: true,
      timeOffset: 3,
      seenAs: { host: '1.2.3.4', port: 5 },
    });
    expect(handshake.completed(peer)).toBe(step.completed);
  });

  test('a peer that lacks required services is dropped', () => {
    add('outbound', peer, 9n);
    expect(receive({ ...theirVersion, services: 1n }).effects).toEqual([
      { type: 'disconnect', peer, reason: 'does not offer the expected services (lacks 0x8)' },
    ]);
  });
});

describe('an inbound link', () => {
  test('nothing is said before the peer introduces itself', () => {
    expect(add('inbound')).toEqual([]);
  });

  test('version is answered with version, features and verack, and verack completes', () => {
    add('inbound');
    expect(names(receive(theirVersion).effects)).toEqual(['version', 'wtxidrelay', 'sendaddrv2', 'verack']);
    expect(receive(verack).completed).toMatchObject({ wtxidRelay: false, addrV2: false });
  });
});

describe.each(['inbound', 'outbound'] as const)('on an %s link', (direction) => {
  beforeEach(() => {
    add(direction);
  });

  test.each<[string, Message]>([
    ['verack', verack],
    ['wtxidrelay', { type: 'wtxidrelay' }],
    ['sendaddrv2', { type: 'sendaddrv2' }],
    ['ping', { type: 'ping', nonce: 1n }],
    ['getaddr', { type: 'getaddr' }],
    ['inv', { type: 'inv', items: [] }],
  ])('%s before version is ignored and nothing leaks', (_name, message) => {
    expect(receive(message)).toEqual({ effects: [], handled: true });
    expect(handshake.completed(peer)).toBeUndefined();
  });

  test('features that came before version do not count', () => {
    receive({ type: 'wtxidrelay' });
    receive({ type: 'sendaddrv2' });
    receive(theirVersion);
    expect(receive(verack).completed).toMatchObject({ wtxidRelay: false, addrV2: false });
  });

  test.each<[string, Message]>([
    ['ping', { type: 'ping', nonce: 1n }],
    ['getaddr', { type: 'getaddr' }],
    ['getheaders', { type: 'getheaders', version: 70016, locator: [], stop: '00'.repeat(32) as never }],
    ['sendheaders', { type: 'sendheaders' }],
  ])('%s between version and verack is ignored', (_name, message) => {
    receive(theirVersion);
    expect(receive(message)).toEqual({ effects: [], handled: true });
  });

  test('a second version changes nothing', () => {
    receive(theirVersion);
    expect(receive({ ...theirVersion, userAgent: '/Other/' })).toEqual({ effects: [], handled: true });
    expect(receive(verack).completed?.userAgent).toBe('/Satoshi:28.1.0/');
    expect(receive(theirVersion)).toEqual({ effects: [], handled: true });
  });

  test('a second verack changes nothing', () => {
    receive(theirVersion);
    receive(verack);
    expect(receive(verack)).toEqual({ effects: [], handled: true });
  });

  test.each(['wtxidrelay', 'sendaddrv2'] as const)('%s after verack is an offence', (type) => {
    receive(theirVersion);
    receive(verack);
    expect(receive({ type }).effects).toEqual([{ type: 'misbehaved', peer, why: 'late-feature-message' }]);
  });

  test('after verack other messages are for the other machines', () => {
    receive(theirVersion);
    receive(verack);
    expect(receive({ type: 'ping', nonce: 1n })).toEqual({ effects: [], handled: false });
  });

  test('the oldest version that is spoken is 31800', () => {
    expect(receive({ ...theirVersion, version: 31799 }).effects).toEqual([
      { type: 'disconnect', peer, reason: 'obsolete version 31799' },
    ]);
    expect(names(receive({ ...theirVersion, version: 31800 }).effects)).toContain('verack');
  });

  test('a peer before 70016 hears no features, and its wtxidrelay does not count', () => {
    expect(names(receive({ ...theirVersion, version: 70015 }).effects)).not.toContain('wtxidrelay');
    receive({ type: 'wtxidrelay' });
    receive({ type: 'sendaddrv2' });
    expect(receive(verack).completed).toMatchObject({ wtxidRelay: false, addrV2: true });
  });

  test('what cannot be printed is taken out of the user agent', () => {
    receive({ ...theirVersion, userAgent: '/Evil\u001b[31m:1\n(devnet:n1; <b>)/' });
    expect(receive(verack).completed?.userAgent).toBe('/Evil31m:1(devnet:n1; b)/');
  });

  test('a peer that is not through after 60 seconds is dropped, once', () => {
    receive(theirVersion);
    expect(handshake.nextDeadline()).toBe(60_000);
    expect(handshake.tick(at(59_999))).toEqual([]);
    expect(handshake.tick(at(60_000))).toEqual([{ type: 'disconnect', peer, reason: 'handshake timeout' }]);
    expect(handshake.tick(at(60_001))).toEqual([]);
    expect(handshake.nextDeadline()).toBeUndefined();
  });

  test('a peer that is through has no deadline, and neither has one that is gone', () => {
    receive(theirVersion);
    receive(verack);
    expect(handshake.nextDeadline()).toBeUndefined();
    add('inbound', 2 as PeerId);
    expect(handshake.nextDeadline()).toBe(60_000);
    handshake.remove(2 as PeerId);
    expect(handshake.nextDeadline()).toBeUndefined();
    handshake.remove(peer);
    expect(handshake.completed(peer)).toBeUndefined();
  });
});

test('a node that reaches itself sees its own nonce and drops both ends', () => {
  const other = 2 as PeerId;
  const version = sentVersion(add('outbound'));
  add('inbound', other);
  const step = receive(version, other);
  expect(step.reachedSelf).toBe(peer);
  expect(step.effects).toMatchObject([
    { type: 'disconnect', peer: other },
    { type: 'disconnect', peer },
  ]);
});

test('each link has a nonce of its own', () => {
  expect(sentVersion(add('outbound')).nonce).not.toBe(sentVersion(add('outbound', 2 as PeerId)).nonce);
});

test('two nodes complete the handshake with each other', () => {
  const other = new Handshake({
    limits: internetLimits,
    random: new SeededRandom('b'),
    services: 9n,
    userAgent: '/b/',
  });
  const nodes = [handshake, other] as const;
  const done: (string | undefined)[] = [];
  const queue: { to: 0 | 1; message: Message }[] = [];
  const send = (to: 0 | 1, effects: readonly Effect[]) => {
    for (const effect of effects) if (effect.type === 'message') queue.push({ to, message: effect.message });
  };
  other.add(peer, { direction: 'inbound', remote }, TIP, start);
  send(1, add('outbound'));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const step = nodes[next.to].onMessage(peer, next.message, TIP, start);
    if (step.completed !== undefined) done[next.to] = step.completed.userAgent;
    send(next.to === 0 ? 1 : 0, step.effects);
  }
  expect(done).toEqual(['/b/', '/Grapevine:0.1.0/']);
  expect(handshake.completed(peer)).toMatchObject({ wtxidRelay: true, addrV2: true });
});
