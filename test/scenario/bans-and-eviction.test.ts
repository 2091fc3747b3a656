/** Whom one node lets in, keeps and dials: bans of the user, hosts that misbehaved, and more peers than places. */
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../consensus/block.ts';
import type { BlockHash, Txid } from '../../consensus/brand.ts';
import { regtest, vinenet } from '../../consensus/params.ts';
import type { Action, DialTarget, Endpoint, Event, Millis, PeerId, RequestId } from '../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../node/chain/memory-store.ts';
import { internetLimits, type Limits } from '../../node/limits.ts';
import { createNode, type NodeOptions } from '../../node/node.ts';
import type { Core } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { verifyChecks } from '../../node/verify/verify-checks.ts';
import { decodeMessage, encodeMessage } from '../../node/wire/codec.ts';
import { FrameParser } from '../../node/wire/frame.ts';
import { type GossipAddress, INV_BLOCK, INV_TX, INV_WTX, type Message } from '../../node/wire/message.ts';
import { TestChain } from '../support/chain-builder.ts';

const START = regtest.genesis.header.time + 100_000;

/** One core, and the world around it as far as a test makes it. */
class LoneNode {
  readonly store: MemoryStore;
  readonly blockFiles: MemoryBlockFiles;
  readonly dials: Extract<Action, { type: 'dial' }>[] = [];
  /** Addresses that were told to peers, as `host:port`. */
  readonly told: string[] = [];
  /** Why links were closed. */
  readonly closed = new Map<PeerId, string>();
  mono: Millis = 1000;
  readonly #core: Core;
  readonly #params: NodeOptions['params'];
  readonly #replies: Extract<Action, { type: 'reply' }>[] = [];
  #nextPeer = 1;

  constructor(
    options: Partial<Pick<NodeOptions, 'params' | 'connect'>> & {
      /** Whose store it starts on. */ before?: LoneNode;
      limits?: Partial<Limits>;
    } = {},
  ) {
    this.store = options.before?.store ?? new MemoryStore();
    this.blockFiles = options.before?.blockFiles ?? new MemoryBlockFiles();
    this.#params = options.params ?? regtest;
    this.#core = createNode({
      params: this.#params,
      limits: { ...internetLimits, ...options.limits },
      random: new SeededRandom('lone node'),
      store: this.store,
      blockFiles: this.blockFiles,
      rows: { headers: this.store.range('b', 'c'), addresses: this.store.range('a', 'b'), pool: [] },
      listen: [{ host: '127.0.0.1', port: 18444 }],
      connect: options.connect ?? [],
      pex: true,
      now: this.#now,
    });
  }

  get #now() {
    return { mono: this.mono, unix: START + Math.floor(this.mono / 1000) };
  }

  #handle(event: Event): void {
    for (const action of this.#core.handle(event, this.#now)) {
      if (action.type === 'dial') this.dials.push(action);
      if (action.type === 'send') this.#onSent(action.bytes);
      if (action.type === 'reply') this.#replies.push(action);
      if (action.type === 'verify') {
        this.#handle({ type: 'verified', job: action.job, failed: verifyChecks(action.checks) });
      }
      if (action.type === 'disconnect') {
        this.closed.set(action.peer, action.reason);
        this.#handle({ type: 'link-down', peer: action.peer, reason: action.reason });
      }
    }
  }

  #onSent(bytes: Uint8Array): void {
    for (const frame of new FrameParser(this.#params.magic, 1e6).push(bytes)) {
      const sent = frame.type === 'message' ? decodeMessage(frame.command, frame.payload) : undefined;
      if (sent?.ok !== true || sent.value?.type !== 'addr') continue;
      this.told.push(...sent.value.addresses.map(({ host, port }) => `${host}:${port}`));
    }
  }

  run(durationMs: Millis): void {
    const end = this.mono + durationMs;
    for (let at = this.#core.nextDeadline(); at !== undefined && at <= end; at = this.#core.nextDeadline()) {
      this.mono = Math.max(at, this.mono);
      this.#handle({ type: 'tick' });
    }
    this.mono = end;
  }

  rpc<T = unknown>(method: string, ...params: readonly unknown[]): T {
    this.#handle({ type: 'request', request: 1 as RequestId, method, params });
    const outcome = this.#replies.pop()?.outcome;
    if (outcome?.ok !== true) throw new Error(`${method}: ${outcome?.message}`);
    return JSON.parse(outcome.json) as T;
  }

  inbound(host: string, port = 40_000 + this.#nextPeer): PeerId {
    return this.#link({ host, port }, { direction: 'inbound' });
  }

  /** The answer to a dial of this node. */
  answer({ dial, target }: Extract<Action, { type: 'dial' }>, remote: Endpoint = target): PeerId {
    return this.#link(remote, { direction: 'outbound', dial });
  }

  #link(
    remote: Endpoint,
    how: { direction: 'inbound' } | Pick<Extract<Event, { type: 'link-up' }>, 'direction' | 'dial'>,
  ) {
    const peer = this.#nextPeer++ as PeerId;
    const local = { host: '127.0.0.1', port: 18444 };
    this.#handle({
      type: 'link-up',
      peer,
      transport: 'tcp',
      remote: { host: remote.host, port: remote.port },
      local,
      ...how,
    });
    return peer;
  }

  send(peer: PeerId, ...messages: readonly Message[]): void {
    for (const message of messages) this.sendRaw(peer, encodeMessage(message, this.#params.magic));
  }

  sendRaw(peer: PeerId, bytes: Uint8Array): void {
    this.#handle({ type: 'bytes', peer, bytes });
  }

  handshake(peer: PeerId, relay = true): PeerId {
    const version: Message = {
      type: 'version',
      version: 70016,
      services: 9n,
      time: 0n,
      receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
      nonce: BigInt(peer),
      userAgent: '/test/',
      startHeight: 0,
      relay,
    };
    this.send(peer, version, { type: 'verack' });
    return peer;
  }

  sendBlock(peer: PeerId, block: Block): void {
    this.send(peer, { type: 'headers', headers: [block.header] }, { type: 'block', block });
  }

  get linked(): PeerId[] {
    return this.rpc<{ id: PeerId }[]>('getpeerinfo').map(({ id }) => id);
  }

  takeDial(): LoneNode['dials'][number] {
    const dial = this.dials.shift();
    if (dial === undefined) throw new Error('nothing was dialled');
    return dial;
  }

  /** The endpoints that were dialled since the last look, without repetition. */
  takeDialled(): string[] {
    return [...new Set(this.dials.splice(0).map(({ target }) => `${target.host}:${target.port}`))];
  }
}

/** A block whose parent nobody knows: only who wants to harm sends it. */
function orphanBlock(): Block {
  return TestChain.ofHeight(3).tip;
}

describe('a ban', () => {
  test('closes the links to its subnet, and refuses new ones until it is lifted', () => {
    const node = new LoneNode();
    const [inside, outside] = [node.handshake(node.inbound('10.1.2.3')), node.handshake(node.inbound('10.2.2.3'))];
    node.rpc('setban', '10.1.0.0/16', 'add');
    expect(node.closed.get(inside)).toBe('it is banned');
    expect(node.linked).toEqual([outside]);
    expect(node.closed.get(node.inbound('10.1.9.9'))).toBe('it is banned');
    node.rpc('setban', '10.1.0.0/16', 'remove');
    const again = node.inbound('10.1.9.9');
    expect(node.linked).toEqual([outside, again]);
  });

  test('outlives a restart, and ends at its time', () => {
    const before = new LoneNode();
    before.rpc('setban', '10.1.0.0/16', 'add', 3600);
    const node = new LoneNode({ before });
    expect(node.rpc('listbanned')).toMatchObject([{ address: '10.1.0.0/16', ban_duration: 3600 }]);
    expect(node.closed.get(node.inbound('10.1.9.9'))).toBe('it is banned');
    node.run(3_600_000);
    expect(node.rpc('listbanned')).toEqual([]);
    const again = node.inbound('10.1.9.9');
    expect(node.linked).toEqual([again]);
    expect(node.store.get('nbans')).toBeUndefined();
  });

  test('keeps known addresses from being dialled, for as long as it lasts', () => {
    const node = new LoneNode();
    node.rpc('setban', '10.1.0.0/16', 'add', 600);
    expect(node.rpc('addpeeraddress', '10.1.2.3', 8333)).toEqual({ success: true });
    expect(node.rpc('addpeeraddress', '10.2.2.3', 8333)).toEqual({ success: true });
    expect(node.rpc('addpeeraddress', '0.0.0.0', 1)).toEqual({ success: false, error: 'failed-adding-to-new' });
    node.run(599_000);
    expect(node.takeDialled()).toEqual(['10.2.2.3:8333']);
    node.run(60_000);
    expect(node.takeDialled()).toContain('10.1.2.3:8333');
    expect(node.rpc('getaddrmaninfo')).toMatchObject({ ipv4: { total: 2 }, all_networks: { total: 2 } });
  });

  test('holds for nodes that addnode keeps linked; one that is dialled once by hand is an exception', () => {
    const connect: DialTarget[] = [{ transport: 'tcp', host: '10.1.2.3', port: 1 }];
    const node = new LoneNode({ connect });
    node.run(1000);
    const peer = node.handshake(node.answer(node.takeDial()));
    node.rpc('setban', '10.1.2.3', 'add');
    expect(node.closed.get(peer)).toBe('it is banned');
    node.run(600_000);
    expect(node.takeDialled()).toEqual([]);
    node.rpc('addnode', '10.1.2.3:2', 'onetry');
    node.run(1000);
    const byHand = node.answer(node.takeDial());
    expect(node.linked).toEqual([byHand]);
    node.rpc('clearbanned');
    node.run(1000);
    expect(node.takeDialled()).toEqual(['10.1.2.3:1']);
  });
});

describe('a peer that breaks the rules', () => {
  test('is not let in again while places are few, nor dialled; another of that network is', () => {
    const node = new LoneNode({ limits: { maxInbound: 3 } });
    const peer = node.handshake(node.inbound('10.1.2.3'));
    node.send(peer, { type: 'block', block: orphanBlock() });
    expect(node.closed.get(peer)).toContain('unrequested-orphan-block');
    node.rpc('addpeeraddress', '10.1.2.3', 8333);
    node.run(60_000);
    expect(node.takeDialled()).toEqual([]);
    const again = node.inbound('10.1.2.3');
    expect(node.closed.has(again)).toBe(false);
    node.inbound('10.1.2.4');
    expect(node.closed.get(node.inbound('10.1.2.3'))).toBe('it is discouraged, and places are few');
    expect(node.closed.has(node.inbound('10.1.2.5'))).toBe(false);
  });

  test('is not told to others, nor is whoever is banned', () => {
    const node = new LoneNode({ limits: { getaddrAllBelow: 64 } });
    const peer = node.handshake(node.inbound('10.1.2.3'));
    for (const host of ['10.1.2.3', '10.1.2.4', '10.1.2.5']) node.rpc('addpeeraddress', host, 8333);
    node.send(peer, { type: 'block', block: orphanBlock() });
    node.rpc('setban', '10.1.2.4', 'add');
    node.send(node.handshake(node.inbound('10.9.9.9')), { type: 'getaddr' });
    expect(node.told).toContain('10.1.2.5:8333');
    expect(node.told).not.toContain('10.1.2.3:8333');
    expect(node.told).not.toContain('10.1.2.4:8333');
  });

  test.each([INV_TX, INV_WTX])('by telling of transactions (inv %i) on a link for blocks loses that link', (kind) => {
    const node = new LoneNode({ limits: { maxOutboundFull: 0, maxOutboundBlockOnly: 1 } });
    node.rpc('addpeeraddress', '10.1.2.3', 8333);
    node.run(1000);
    const peer = node.handshake(node.answer(node.takeDial()));
    expect(node.rpc('getpeerinfo')).toMatchObject([{ connection_type: 'block-relay-only' }]);
    node.send(peer, { type: 'inv', items: [{ kind, hash: 'ab'.repeat(32) as Txid }] });
    expect(node.closed.get(peer)).toBe('tx-without-relay');
  });

  test('loses its link only, where it is of this machine, was named by the user or is of another network', () => {
    const node = new LoneNode({ limits: { maxInbound: 2 } });
    const local = node.handshake(node.inbound('127.0.0.1'));
    node.send(local, { type: 'block', block: orphanBlock() });
    expect(node.closed.has(local)).toBe(true);

    node.rpc('addnode', '10.1.2.3:1', 'onetry');
    node.run(1000);
    const manual = node.handshake(node.answer(node.takeDial()));
    node.send(manual, { type: 'block', block: orphanBlock() });
    expect(node.closed.has(manual)).toBe(true);

    const foreign = node.handshake(node.inbound('10.9.9.9'));
    node.send(foreign, { type: 'mempool' });
    expect(node.closed.has(foreign)).toBe(true);

    node.inbound('10.7.7.7');
    for (const host of ['127.0.0.1', '10.1.2.3', '10.9.9.9']) {
      const peer = node.inbound(host);
      expect(node.closed.has(peer)).toBe(false);
      node.rpc('disconnectnode', '', peer);
    }
  });
});

test.each([
  ['a deny rule', 'setdeny', [{ endpoints: ['10.1.2.3:8333'] }], 'a deny rule names it'],
  ['a ban', 'setban', ['10.1.2.3', 'add'], 'it is banned'],
  ['the end of networking', 'setnetworkactive', [false], 'networking is off'],
])('%s holds for a dial that was under way', (_what, method, params, reason) => {
  const node = new LoneNode();
  node.rpc('addpeeraddress', '10.1.2.3', 8333);
  node.run(1000);
  const dial = node.takeDial();
  node.rpc(method, ...params);
  expect(node.closed.get(node.answer(dial))).toBe(reason);
});

describe('names that lead to one machine', () => {
  test('get one link of ours, whoever owns them', () => {
    const node = new LoneNode({ params: vinenet, limits: { addrTokensMax: 1000, addrTokensPerSecond: 1000 } });
    const gossip = node.handshake(node.inbound('20.0.0.1'));
    node.run(1000);
    const addresses = ['a.example.com', 'b.example.net'].map((host): GossipAddress => {
      return { network: 'wss', host, port: 443, services: 9n, time: START };
    });
    node.send(gossip, { type: 'addrv2', addresses });
    node.run(1000);
    const [first, second] = [node.takeDial(), node.takeDial()].map((dial, index) => {
      return node.answer(dial, { host: `30.1.0.${index}`, port: 443 });
    }) as [PeerId, PeerId];
    expect(node.linked).toEqual([gossip, first]);
    expect(node.closed.get(second)).toBe('another link leads to its netgroup');
  });
});

describe('more inbound peers than places', () => {
  test('with few places all of them are of use, and the newest is refused', () => {
    const node = new LoneNode({ limits: { maxInbound: 10 } });
    const peers = Array.from({ length: 10 }, (_, i) => node.handshake(node.inbound(`10.${i}.0.1`)));
    expect(node.closed.get(node.inbound('10.200.0.1'))).toBe('too many inbound links, all of them of more use');
    expect(node.linked).toEqual(peers);
  });

  test('the youngest of the largest netgroup makes room, before its handshake too', () => {
    const node = new LoneNode({ limits: { maxInbound: 40 } });
    for (let i = 0; i < 40; i++) {
      node.run(1000);
      const peer = node.inbound(i < 30 ? `10.${i}.0.1` : `11.0.0.${i}`);
      if (i < 39) node.handshake(peer);
    }
    const newest = node.inbound('10.200.0.1');
    expect([...node.closed]).toEqual([[40, 'its place was taken by a newer peer']]);
    expect(node.linked).toContain(newest);
    expect(node.linked).toHaveLength(40);
  });

  test('five hundred Sybils do not push out the one that brings blocks, nor outbound peers', () => {
    const node = new LoneNode({ limits: { maxInbound: 60 } });
    const chain = TestChain.ofHeight(0);
    node.rpc('addnode', '10.0.0.1:1', 'onetry');
    node.run(1000);
    const outbound = node.handshake(node.answer(node.takeDial()));
    let honest: PeerId | undefined;
    for (let i = 0; i < 500; i++) {
      node.run(100);
      node.handshake(node.inbound(`${20 + (i % 50)}.0.0.${i % 250}`), i % 2 === 0);
      if (i === 100) honest = node.handshake(node.inbound('10.50.0.1'));
      if (honest !== undefined && i % 100 === 0) node.sendBlock(honest, chain.extend());
    }
    expect(node.rpc('getblockcount')).toBe(4);
    expect(node.linked).toEqual(expect.arrayContaining([outbound, honest]));
    expect(node.linked).toHaveLength(61);
  });

  test('on a public network a quarter of the places is for those behind a proxy on this machine', () => {
    for (const [params, isKept] of [
      [vinenet, true],
      [regtest, false],
    ] as const) {
      const node = new LoneNode({ params, limits: { maxInbound: 60 } });
      for (let i = 0; i < 58; i++) {
        node.run(1000);
        node.handshake(node.inbound(`20.${i}.0.1`));
      }
      const proxied = [node.inbound('127.1.0.1'), node.inbound('127.1.0.1')];
      node.inbound('30.0.0.1');
      expect(proxied.every((peer) => !node.closed.has(peer))).toBe(isKept);
    }
  });
});

describe('what a peer has asked for and does not take', () => {
  const asked = (count: number): Message => ({
    type: 'getdata',
    items: Array.from({ length: count }, () => ({ kind: INV_BLOCK, hash: 'ab'.repeat(32) as BlockHash })),
  });

  test('is held against it, and where peers hold too much the one that holds most goes', () => {
    const node = new LoneNode({ limits: { maxSendBufferBytes: 2000, maxPartialBytes: 800_000 } });
    const [honest, greedy] = [node.handshake(node.inbound('10.1.0.1')), node.handshake(node.inbound('10.2.0.1'))];
    node.send(honest, asked(5000));
    const [{ memory }] = node.rpc<[{ memory: number }]>('getpeerinfo');
    expect(memory).toBeGreaterThan(5000 * 36);
    node.send(greedy, asked(20_000));
    expect(node.closed.get(greedy)).toContain('answers that it does not take');
    expect(node.linked).toEqual([honest]);
  });
});

describe('getpeerinfo', () => {
  test('counts only news as a delivery, and shows what is held for the peer', () => {
    const node = new LoneNode();
    const chain = TestChain.ofHeight(0);
    const [first, second] = [node.handshake(node.inbound('10.1.0.1')), node.handshake(node.inbound('10.2.0.1'))];
    const block = chain.extend();
    node.sendBlock(first, block);
    node.run(5000);
    node.sendBlock(second, block);
    const head = encodeMessage({ type: 'ping', nonce: 1n }, regtest.magic).subarray(0, 27);
    const held = () => node.rpc<{ memory: number }[]>('getpeerinfo').map(({ memory }) => memory);
    const before = held();
    node.sendRaw(second, head);
    expect(node.rpc('getpeerinfo')).toMatchObject([
      {
        id: first,
        last_block: START + 1,
        last_transaction: 0,
        netgroup: 'private/10.1.0.1',
        connection_type: 'inbound',
      },
      { id: second, last_block: 0, netgroup: 'private/10.2.0.1', learned: 'inbound' },
    ]);
    expect(held()[0]).toBe(before[0]);
    expect(held()[1]).toBeGreaterThan(before[1] as number);
  });
});
