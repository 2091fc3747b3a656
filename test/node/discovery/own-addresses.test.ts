import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { regtest } from '../../../consensus/params.ts';
import type { ConnectionKind, DialTarget, Endpoint, PeerId } from '../../../node/boundary.ts';
import { OwnAddresses } from '../../../node/discovery/own-addresses.ts';
import { internetLimits } from '../../../node/limits.ts';

const publicParams = { ...regtest, loopbackRoutable: false };
const id = (number: number) => number as PeerId;
const listenAny = [{ host: '0.0.0.0', port: 8333 }];
const wss = { transport: 'wss', host: 'node.example.org', port: 443, path: '/peer' } as const;

interface Setup {
  readonly listen?: readonly Endpoint[];
  readonly announce?: readonly DialTarget[];
  readonly params?: typeof publicParams;
}

const make = ({ listen = listenAny, announce = [], params = publicParams }: Setup = {}) =>
  new OwnAddresses({ limits: internetLimits, params, listen, announce });

/** A peer of the netgroup 20.`group` sees us at `host`. */
function sees(own: OwnAddresses, peer: number, group: number, host: string, kind: ConnectionKind = 'manual'): boolean {
  const remote = { host: `20.${group}.0.${peer}`, port: 8333 };
  return own.onHandshake(id(peer), { kind, remote, seenAs: { host, port: 50_000 + peer } });
}

const texts = (own: OwnAddresses) => own.announced().map(({ host, port, path = '' }) => `${host} ${port}${path}`);

describe('where we listen', () => {
  test('is announced if it can be routed', () => {
    const listen = [
      { host: '8.8.4.4', port: 8333 },
      { host: '2A00::1', port: 8333 },
      { host: '127.0.0.1', port: 8334 },
      { host: '192.168.0.2', port: 8335 },
      { host: 'example.org', port: 8336 },
      { host: '8.8.4.4', port: 8333 },
    ];
    expect(texts(make({ listen }))).toEqual(['8.8.4.4 8333', '2a00::1 8333']);
    expect(texts(make({ listen, params: regtest }))).toEqual([
      '8.8.4.4 8333',
      '2a00::1 8333',
      '127.0.0.1 8334',
      '192.168.0.2 8335',
    ]);
  });

  test('is not announced where it is the unspecified address, or has no port', () => {
    const listen = [...listenAny, { host: '::', port: 1 }, { host: '8.8.4.4', port: 0 }];
    expect(texts(make({ listen, params: regtest }))).toEqual([]);
    expect(texts(make({ listen: [] }))).toEqual([]);
  });

  test('is ours whether or not it is announced', () => {
    const own = make({ listen: [{ host: '192.168.0.2', port: 8335 }] });
    const address = { network: 'ipv4', host: '192.168.0.2', port: 8335, services: 1n, time: 5 } as const;
    expect(own.isOwn(address)).toBe(true);
    expect(own.isOwn({ ...address, port: 8336 })).toBe(false);
    expect(own.endpoints()).toEqual([{ host: '192.168.0.2', port: 8335 }]);
  });
});

describe('what the user announces', () => {
  const announce = [wss, { transport: 'ws', host: '8.8.4.4', port: 8444 }] as const;

  test('is all that is announced', () => {
    const own = make({ announce, listen: [{ host: '8.8.8.8', port: 8333 }, ...listenAny] });
    for (const peer of [1, 2, 3]) expect(sees(own, peer, peer, '9.9.9.9')).toBe(false);
    expect(texts(own)).toEqual(['node.example.org 443/peer', '8.8.4.4 8444']);
    expect(own.endpoints()).toEqual([
      { host: '8.8.8.8', port: 8333 },
      ...listenAny,
      wss,
      { host: '8.8.4.4', port: 8444 },
    ]);
  });

  test('is not announced where nobody could use it', () => {
    const unusable = [
      { transport: 'ws', host: 'node.example.org', port: 80 },
      { transport: 'wss', host: '8.8.4.4', port: 443 },
      { transport: 'tcp', host: '10.0.0.1', port: 8333 },
    ] as const;
    expect(texts(make({ announce: unusable, listen: [{ host: '8.8.8.8', port: 1 }] }))).toEqual([]);
  });

  test('is told up to the number that peers pass on', () => {
    const ports = Array.from({ length: 12 }, (_, i) => ({ transport: 'ws', host: '8.8.4.4', port: 1 + i }) as const);
    expect(texts(make({ announce: ports }))).toHaveLength(10);
  });
});

describe('what peers see us as', () => {
  test('is believed when two netgroups agree, with our port and not that of the link', () => {
    const own = make();
    expect(sees(own, 1, 1, '8.8.4.4')).toBe(false);
    expect(texts(own)).toEqual([]);
    expect(sees(own, 2, 2, '8.8.4.4')).toBe(true);
    expect(texts(own)).toEqual(['8.8.4.4 8333']);
    expect(sees(own, 3, 3, '8.8.4.4')).toBe(false);
  });

  test('two peers of one netgroup count as one', () => {
    const own = make();
    for (const peer of [1, 2, 3, 4]) sees(own, peer, 1, '8.8.4.4');
    expect(texts(own)).toEqual([]);
  });

  test.each(['inbound', 'feeler', 'addr-fetch'] as const)('peers do not count if they are %s', (kind) => {
    const own = make();
    for (let peer = 1; peer <= 100; peer++) expect(sees(own, peer, peer, '8.8.4.4', kind)).toBe(false);
    expect(texts(own)).toEqual([]);
    expect(own.remove(id(1))).toBe(false);
  });

  test.each(['outbound-full-relay', 'block-relay-only', 'manual'] as const)('they do if they are %s', (kind) => {
    const own = make();
    for (const peer of [1, 2]) sees(own, peer, peer, '8.8.4.4', kind);
    expect(texts(own)).toEqual(['8.8.4.4 8333']);
  });

  test('two liars among five do not get what they want, and two against two nobody does', () => {
    const own = make();
    for (const peer of [1, 2]) sees(own, peer, peer, '9.9.9.9');
    expect(texts(own)).toEqual(['9.9.9.9 8333']);
    for (const peer of [3, 4]) sees(own, peer, peer, '8.8.4.4');
    expect(texts(own)).toEqual([]);
    sees(own, 5, 5, '8.8.4.4');
    expect(texts(own)).toEqual(['8.8.4.4 8333']);
  });

  test('is forgotten when those who said it are gone', () => {
    const own = make();
    for (const peer of [1, 2]) sees(own, peer, peer, '8.8.4.4');
    expect(own.remove(id(1))).toBe(true);
    expect(texts(own)).toEqual([]);
    expect(own.remove(id(1))).toBe(false);
    sees(own, 3, 3, '8.8.8.8');
    expect(own.remove(id(2))).toBe(false);
    expect(sees(own, 4, 4, '8.8.8.8')).toBe(true);
    expect(texts(own)).toEqual(['8.8.8.8 8333']);
  });

  test('is believed on a public network only where it can be routed there, and neighbours at home do not outvote it', () => {
    const own = make();
    for (const peer of [1, 2, 3]) sees(own, peer, peer, '192.168.0.2');
    expect(texts(own)).toEqual([]);
    for (const peer of [4, 5]) sees(own, peer, peer, '8.8.4.4');
    expect(texts(own)).toEqual(['8.8.4.4 8333']);
    const atHome = make({ params: regtest });
    for (const peer of [1, 2]) sees(atHome, peer, peer, '192.168.0.2');
    expect(texts(atHome)).toEqual(['192.168.0.2 8333']);
  });

  test('is not for neighbours at home to say, however many there are', () => {
    const own = make();
    for (const peer of [1, 2, 3, 4]) {
      const remote = { host: `192.168.0.${peer}`, port: 8333 };
      expect(own.onHandshake(id(peer), { kind: 'manual', remote, seenAs: { host: '9.9.9.9', port: 1 } })).toBe(false);
    }
    for (const peer of [5, 6]) sees(own, peer, peer, '8.8.4.4');
    expect(texts(own)).toEqual(['8.8.4.4 8333']);
  });

  test('counts for IPv4 and IPv6 apart; where we listen on :: for both', () => {
    const report = (own: OwnAddresses) => {
      for (const peer of [1, 2, 3, 4]) sees(own, peer, peer, peer < 3 ? '8.8.4.4' : '2a00::5');
      return texts(own);
    };
    expect(report(make())).toEqual(['8.8.4.4 8333']);
    expect(report(make({ listen: [{ host: '::', port: 8333 }] }))).toEqual(['8.8.4.4 8333', '2a00::5 8333']);
  });

  test('counts behind a router, and not where we listen on this machine alone or on an address that can be routed', () => {
    const report = (listen: readonly Endpoint[]) => {
      const own = make({ listen });
      for (const peer of [1, 2]) sees(own, peer, peer, '8.8.4.4');
      return texts(own);
    };
    expect(report([{ host: '192.168.0.2', port: 8333 }])).toEqual(['8.8.4.4 8333']);
    expect(report([{ host: '127.0.0.1', port: 8333 }])).toEqual([]);
    expect(report([{ host: '8.8.8.8', port: 8333 }])).toEqual(['8.8.8.8 8333']);
    expect(report([{ host: 'fd00::1', port: 8333 }])).toEqual([]);
    expect(report([])).toEqual([]);
  });

  test('is ours, so that it is neither kept nor dialled', () => {
    const own = make();
    for (const peer of [1, 2]) sees(own, peer, peer, '8.8.4.4');
    expect(own.isOwn({ network: 'ipv4', host: '8.8.4.4', port: 8333, services: 1n, time: 5 })).toBe(true);
    expect(own.endpoints()).toEqual([...listenAny, { host: '8.8.4.4', port: 8333 }]);
  });

  test('a peer that tells nothing, or a name, is not counted', () => {
    const own = make();
    const remote = { host: '20.1.0.1', port: 1 };
    expect(own.onHandshake(id(1), { kind: 'manual', remote, seenAs: undefined })).toBe(false);
    expect(sees(own, 2, 2, 'example.org')).toBe(false);
  });

  test('a minority of netgroups never decides, whatever it says and in whatever order', () => {
    const liars = fc.array(
      fc.record({ group: fc.integer({ min: 1, max: 3 }), host: fc.constantFrom('9.9.9.9', '9.9.9.8') }),
    );
    fc.assert(
      fc.property(liars, fc.integer({ min: 0, max: 99 }), (lies, seed) => {
        const own = make();
        const honest = [10, 11, 12, 13].map((group) => ({ group, host: '8.8.4.4' }));
        const all = [...lies, ...honest].map((report, i) => ({ report, rank: (i * 37 + seed) % 101 }));
        all.sort((a, b) => a.rank - b.rank);
        for (const [i, { report }] of all.entries()) sees(own, 1 + (i % 200), report.group, report.host);
        expect(texts(own)).toEqual(['8.8.4.4 8333']);
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});

test('scores say how sure an address is: the user, the endpoint, and each netgroup that agrees', () => {
  const scores = (own: OwnAddresses) => {
    for (const peer of [1, 2, 3]) sees(own, peer, Math.min(peer, 2), '8.8.4.4');
    return own.localAddresses().map(({ host, score }) => [host, score]);
  };
  expect(scores(make())).toEqual([['8.8.4.4', 2]]);
  expect(scores(make({ listen: [{ host: '8.8.4.4', port: 1 }] }))).toEqual([['8.8.4.4', 4]]);
  expect(scores(make({ listen: [{ host: '8.8.8.8', port: 1 }] }))).toEqual([['8.8.8.8', 2]]);
  const announce = [wss, { transport: 'ws', host: '8.8.4.4', port: 1 }] as const;
  expect(scores(make({ announce }))).toEqual([
    ['node.example.org', 4],
    ['8.8.4.4', 6],
  ]);
});
