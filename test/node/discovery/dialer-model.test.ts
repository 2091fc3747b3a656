/** Random events against the dialer, and after each of them what must hold at any time. A failure names its seed. */
import { expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import type { ConnectionKind, DialTarget, Endpoint, Millis, Now, PeerId } from '../../../node/boundary.ts';
import { AddressManager } from '../../../node/discovery/address-manager.ts';
import { endpointKey, targetKey } from '../../../node/discovery/address-rules.ts';
import { Dialer, type DialOrder } from '../../../node/discovery/dialer.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { netgroup } from '../../../node/netgroup.ts';
import { below, type Random } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { SERVICE_NETWORK, SERVICE_WEBSOCKET, SERVICE_WITNESS } from '../../../node/wire/message.ts';

const SERVICES = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
const GROUPS = 12;
const PORTS = 4;
const OWN = { host: '127.1.0.1', port: 1 };
const limits: Limits = {
  ...localLimits,
  maxOutboundFull: 4,
  feelerIntervalMs: 2000,
  extraBlockOnlyIntervalMs: 3000,
  surplusCheckMs: 1000,
  surplusMinMs: 600,
};

interface OpenLink {
  readonly order: DialOrder;
  readonly connectedMs: Millis;
  lastBlockMs: Millis | undefined;
  good: boolean;
  closing: boolean;
}

class World {
  readonly #random: Random;
  readonly #table: AddressManager;
  readonly dialer: Dialer;
  readonly dials = new Map<number, DialOrder>();
  readonly links = new Map<PeerId, OpenLink>();
  readonly #listens = new Map<PeerId, string>();
  readonly #selves = new Set([endpointKey(OWN)]);
  #denied: number | undefined;
  #mono: Millis = 0;
  #nextPeer = 1;
  ordered = 0;
  answered = 0;

  constructor(seed: string) {
    this.#random = new SeededRandom(seed);
    const random = new SeededRandom(`${seed} dialer`);
    const now = this.#now;
    this.#table = new AddressManager({ limits, params: regtest, random: random.fork('t'), rows: [], own: [OWN], now });
    this.dialer = new Dialer({
      limits,
      table: this.#table,
      random,
      own: [OWN],
      pex: true,
      publicOnly: false,
      anchors: [this.#endpoint(), this.#endpoint()],
      seedNodes: [this.#endpoint(), this.#endpoint(), this.#endpoint()],
      now,
    });
  }

  get #now(): Now {
    return { mono: this.#mono, unix: 1_700_000_000 + Math.floor(this.#mono / 1000) };
  }

  /** One random event and what the dialer does upon it. */
  step(): void {
    const events = [
      () => this.#pass(),
      () => this.#pass(),
      () => this.#answer(below(this.#random, 3) > 0),
      () => this.#answer(true),
      () => this.#handshake(),
      () => this.#handshake(),
      () => this.#close(),
      () => this.#learn(),
      () => this.#block(),
      () => this.#rarely(),
    ];
    (events[below(this.#random, events.length)] as () => void)();
    this.tick();
  }

  tick(): void {
    const orders = this.dialer.tick(this.#now);
    for (const order of orders) this.#checkOrder(order);
    if (this.dialer.surplusDue(this.#now)) this.#dropSurplus();
    this.#check();
  }

  /** All is well from now on: whoever is dialled answers, nobody leaves. */
  settle(forMs: Millis): void {
    this.dialer.setDeny(() => false, this.#now);
    this.#denied = undefined;
    const end = this.#mono + forMs;
    for (;;) {
      this.tick();
      while (this.dials.size > 0) this.#answer(true);
      while (this.#handshake()) this.tick();
      for (const [peer, link] of this.links) if (link.closing) this.#down(peer);
      const next = this.dialer.nextDeadline();
      if (next === undefined || next > end) break;
      this.#mono = Math.max(this.#mono, next);
    }
  }

  #pass(): void {
    const next = this.dialer.nextDeadline();
    const toDeadline = next !== undefined && below(this.#random, 4) > 0;
    this.#mono = toDeadline ? Math.max(this.#mono, next) : this.#mono + below(this.#random, 1500);
  }

  #answer(linked: boolean): void {
    const order = this.#pick([...this.dials.values()]);
    if (order === undefined) return;
    this.dials.delete(order.dial);
    this.answered++;
    if (!linked) {
      this.dialer.onDialFailed(order.dial, this.#now);
      return;
    }
    const peer = this.#nextPeer++ as PeerId;
    this.links.set(peer, {
      order,
      connectedMs: this.#mono,
      lastBlockMs: undefined,
      good: false,
      closing: false,
    });
    const dialled = this.dialer.onLinkUp(order.dial, peer, order.target);
    holds(dialled?.target === order.target && dialled.kind === order.kind, 'a link is not what was ordered');
  }

  /** Feelers and address fetches have done their work with it. False if there is none to do. */
  #handshake(): boolean {
    const found = this.#pick([...this.links].filter(([, link]) => !link.good && !link.closing));
    if (found === undefined) return false;
    const [peer, link] = found;
    link.good = true;
    this.dialer.onHandshake(peer, SERVICES, this.#now);
    link.closing = link.order.kind === 'feeler' || link.order.kind === 'addr-fetch';
    return true;
  }

  #close(): void {
    const closing = [...this.links].filter(([, link]) => link.closing);
    const found = this.#pick(closing.length > 0 ? closing : [...this.links]);
    if (found !== undefined) this.#down(found[0]);
    const inbound = this.#pick([...this.#listens.keys()]);
    if (inbound !== undefined) this.#down(inbound);
  }

  #down(peer: PeerId): void {
    this.links.delete(peer);
    this.#listens.delete(peer);
    this.dialer.onLinkDown(peer, this.#now);
  }

  #learn(): void {
    const { host, port } = this.#endpoint();
    const address = { network: 'ipv4', host, port, services: SERVICES, time: this.#now.unix } as const;
    this.#table.add([address], { host: '127.77.0.1', port: 1 }, this.#now);
  }

  #block(): void {
    const found = this.#pick([...this.links.values()].filter(({ good }) => good));
    if (found !== undefined) found.lastBlockMs = this.#mono;
  }

  #rarely(): void {
    const { dialer } = this;
    const events = [
      () => dialer.addManual(this.#endpoint(), this.#now),
      () => dialer.removeManual(this.#pick(dialer.manualTargets()) ?? this.#endpoint()),
      () => dialer.removeManual(this.#pick(dialer.manualTargets()) ?? this.#endpoint()),
      () => dialer.setTipStale(below(this.#random, 2) === 0),
      () => {
        const group = below(this.#random, GROUPS * 2);
        this.#denied = group;
        dialer.setDeny((endpoint) => groupOf(endpoint) === group, this.#now);
      },
      () => {
        const peer = this.#nextPeer++ as PeerId;
        const endpoint = this.#endpoint();
        this.#listens.set(peer, endpointKey(endpoint));
        dialer.onInboundEndpoint(peer, endpoint);
      },
      () => {
        const found = this.#pick([...this.links].filter(([, { good }]) => !good));
        if (found === undefined || this.#selves.size > 3) return;
        this.#selves.add(targetKey(found[1].order.target));
        dialer.onSelf(found[0]);
        found[1].closing = true;
      },
    ];
    (events[below(this.#random, events.length)] as () => void)();
  }

  #dropSurplus(): void {
    const open = (kind: ConnectionKind) =>
      [...this.links.values()].filter(({ order, good, closing }) => order.kind === kind && good && !closing).length;
    const surplus = this.dialer.surplus((peer) => {
      const link = this.links.get(peer);
      return link === undefined || link.closing ? undefined : { ...link, busy: false };
    }, this.#now);
    if (surplus === undefined) return;
    const link = this.links.get(surplus.peer) as OpenLink;
    const { kind } = link.order;
    const slots = kind === 'block-relay-only' ? limits.maxOutboundBlockOnly : limits.maxOutboundFull;
    holds(open(kind) > slots, 'a link goes though it is none too many');
    holds(this.#mono - link.connectedMs >= limits.surplusMinMs, 'a link goes that is too young');
    link.closing = true;
  }

  #checkOrder(order: DialOrder): void {
    const { dial, target, kind } = order;
    const key = targetKey(target);
    const open = this.#orders();
    holds(!open.some((other) => targetKey(other.target) === key), `${key} is dialled twice`);
    holds(!open.some((other) => other.dial === dial), `there are two dials ${dial}`);
    holds(!this.#selves.has(key), `${key}, ourselves, is dialled`);
    holds(![...this.#listens.values()].includes(key), `${key} is dialled beside its own link`);
    holds(groupOf(target) !== this.#denied, `${key} is dialled though it is denied`);
    const isManual = this.dialer.manualTargets().some((manual) => targetKey(manual) === key);
    holds(isManual === (kind === 'manual'), `${key} is dialled as ${kind}`);
    this.ordered++;
    this.dials.set(dial, order);
  }

  #check(): void {
    const open = this.#orders();
    const counts = this.dialer.counts();
    for (const kind of Object.keys(counts) as ConnectionKind[]) {
      holds(counts[kind] === open.filter((order) => order.kind === kind).length, `${kind} is not ${counts[kind]}`);
    }
    holds(counts['outbound-full-relay'] <= limits.maxOutboundFull + 1, 'more than one full link too many');
    holds(counts['block-relay-only'] <= limits.maxOutboundBlockOnly + 1, 'more than one block-only link too many');
    holds(counts.feeler <= 1, 'two feelers at once');
    const groups = open.filter(({ kind }) => isAutomatic(kind)).map(({ target }) => netgroup(target));
    holds(new Set(groups).size === groups.length, 'two automatic links in one netgroup');
    // What was due is done: nothing is polled.
    const next = this.dialer.nextDeadline();
    holds(next === undefined || next > this.#mono, 'a tick follows upon itself');
  }

  /** Of all dials under way and all links. */
  #orders(): DialOrder[] {
    return [...this.dials.values(), ...[...this.links.values()].map(({ order }) => order)];
  }

  #endpoint(): DialTarget {
    const group = below(this.#random, GROUPS) + 1;
    return { transport: 'ws', host: `127.${group}.0.1`, port: below(this.#random, PORTS) + 1 };
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[below(this.#random, items.length)];
  }
}

/** As `expect`, which would take most of the time of the test. */
function holds(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

function isAutomatic(kind: ConnectionKind): boolean {
  return kind === 'outbound-full-relay' || kind === 'block-relay-only';
}

function groupOf({ host }: Endpoint): number {
  return Number(host.split('.')[1]);
}

test.each(Array.from({ length: 30 }, (_, i) => `model ${i}`))('the rules of dialling hold at any time: %s', (seed) => {
  const world = new World(seed);
  world.tick();
  for (let i = 0; i < 1500; i++) world.step();
  expect(world.ordered).toBeGreaterThan(50);
  expect(world.ordered).toBe(world.answered + world.dials.size);
  world.settle(120_000);
  expect(world.ordered).toBe(world.answered);
  const counts = world.dialer.counts();
  expect(counts['outbound-full-relay']).toBeGreaterThanOrEqual(limits.maxOutboundFull);
  expect(counts['block-relay-only']).toBeGreaterThanOrEqual(limits.maxOutboundBlockOnly);
  expect(counts.feeler).toBe(0);
});
