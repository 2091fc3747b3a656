/**
 * Nodes that do nothing but find each other: address table, gossip and dialer of each, wired as node.ts wires them, on
 * links without handshakes and a virtual clock. Any order of events depends on the seed alone.
 */
import { regtest } from '../../../consensus/params.ts';
import type { DialId, Endpoint, Millis, Now, PeerId } from '../../../node/boundary.ts';
import { AddressGossip } from '../../../node/discovery/address-gossip.ts';
import { AddressManager, GOSSIP_PENALTY_SECONDS } from '../../../node/discovery/address-manager.ts';
import { Dialer } from '../../../node/discovery/dialer.ts';
import { OwnAddresses } from '../../../node/discovery/own-addresses.ts';
import type { Effect } from '../../../node/effect.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import { earliest } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { type Message, SERVICE_NETWORK, SERVICE_WEBSOCKET, SERVICE_WITNESS } from '../../../node/wire/message.ts';

export const SERVICES = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
const LATENCY_MS = 2;
const START_UNIX = 1_700_000_000;

interface LinkEnd {
  readonly node: GossipNode;
  readonly peer: PeerId;
  readonly other: LinkEnd;
}

export class GossipNode {
  readonly index: number;
  readonly endpoint: Endpoint;
  readonly links = new Map<PeerId, LinkEnd>();
  /** Dials that were ordered since the node was made. */
  dials = 0;
  running = true;
  table!: AddressManager;
  gossip!: AddressGossip;
  dialer!: Dialer;

  constructor(index: number) {
    this.index = index;
    this.endpoint = { host: '127.0.0.1', port: 20_000 + index };
  }

  /** Indexes of the nodes that it is linked with, each once. */
  neighbours(): number[] {
    return [...new Set([...this.links.values()].map((end) => end.other.node.index))].sort((a, b) => a - b);
  }
}

export class GossipNetwork {
  readonly nodes: GossipNode[] = [];
  readonly limits: Limits;
  readonly #seed: string;
  #mono: Millis = 0;
  #nextPeer = 1;
  #order = 0;
  #queue: { at: Millis; order: number; run: () => void }[] = [];

  /** Node 0 knows nobody; all others know node 0. */
  constructor(count: number, seed: string, limits: Limits = localLimits) {
    this.limits = limits;
    this.#seed = seed;
    for (let i = 0; i < count; i++) this.nodes.push(new GossipNode(i));
    for (const node of this.nodes) this.#start(node);
  }

  get now(): Now {
    return { mono: this.#mono, unix: START_UNIX + Math.floor(this.#mono / 1000) };
  }

  /** Runs until `done` holds; returns the milliseconds that it took, or undefined if it did not come true in time. */
  run(forMs: Millis, done: () => boolean = () => false): Millis | undefined {
    const start = this.#mono;
    while (!done()) {
      let next: Millis | undefined = this.#queue[0]?.at;
      for (const node of this.nodes) if (node.running) next = earliest(next, this.#deadline(node));
      if (next === undefined || next > start + forMs) {
        this.#mono = start + forMs;
        return done() ? forMs : undefined;
      }
      this.#mono = Math.max(this.#mono, next);
      const due = this.#queue[0];
      if (due !== undefined && due.at <= this.#mono) {
        this.#queue.shift();
        due.run();
      }
      for (const node of this.nodes) if (node.running) this.#tick(node);
    }
    return this.#mono - start;
  }

  isFullMesh(): boolean {
    const running = this.nodes.filter((node) => node.running);
    return running.every((node) => node.neighbours().length === running.length - 1);
  }

  kill(index: number): void {
    const node = this.nodes[index] as GossipNode;
    node.running = false;
    for (const end of [...node.links.values()]) this.#close(end);
  }

  /** Starts a node that was killed: on the table that it had saved, or on an empty one. */
  restart(index: number, keepTable: boolean): void {
    const node = this.nodes[index] as GossipNode;
    node.running = true;
    this.#start(node, keepTable ? node.table.save() : []);
  }

  /** Each node denies the nodes of the other side; an empty list heals. */
  partition(side: readonly number[]): void {
    const cut = (a: number, b: number) => side.length > 0 && side.includes(a) !== side.includes(b);
    for (const node of this.nodes) {
      node.dialer.setDeny((endpoint) => cut(node.index, endpoint.port - 20_000), this.now);
      for (const end of [...node.links.values()]) if (cut(node.index, end.other.node.index)) this.#close(end);
    }
  }

  #start(node: GossipNode, saved: ReturnType<AddressManager['save']> = []): void {
    const random = new SeededRandom(`${this.#seed} ${node.index} ${this.#mono}`);
    const { limits, now } = this;
    const own = [node.endpoint];
    const rows = saved.flatMap(([key, value]) => (value === null ? [] : [{ key, value }]));
    const common = { limits, params: regtest, own };
    node.table = new AddressManager({ ...common, random: random.fork('table'), rows, now });
    node.gossip = new AddressGossip({
      limits,
      params: regtest,
      own: new OwnAddresses({ limits, params: regtest, listen: own }),
      random: random.fork('gossip'),
      services: SERVICES,
      pex: true,
      isShunned: () => false,
    });
    node.dialer = new Dialer({
      limits,
      table: node.table,
      random: random.fork('dialer'),
      own,
      pex: true,
      publicOnly: false,
      anchors: [],
      seedNodes: [],
      now,
    });
    const bootstrap = this.nodes[0] as GossipNode;
    if (node !== bootstrap) node.dialer.addManual({ transport: 'ws', ...bootstrap.endpoint }, now);
  }

  #deadline(node: GossipNode): Millis | undefined {
    return earliest(node.dialer.nextDeadline(), node.gossip.nextDeadline());
  }

  #tick(node: GossipNode): void {
    this.#send(node, node.gossip.tick(this.now));
    for (const { dial, target } of node.dialer.tick(this.now)) {
      node.dials++;
      this.#after(LATENCY_MS, () => this.#dial(node, dial, target));
    }
  }

  #dial(from: GossipNode, dial: DialId, target: Endpoint): void {
    const to = this.nodes[target.port - 20_000];
    if (!from.running) return;
    if (to?.running !== true) {
      from.dialer.onDialFailed(dial, this.now);
      return;
    }
    const near: LinkEnd = { node: from, peer: this.#nextPeer++ as PeerId, other: undefined as never };
    const far: LinkEnd = { node: to, peer: this.#nextPeer++ as PeerId, other: near };
    Object.assign(near, { other: far });
    from.links.set(near.peer, near);
    to.links.set(far.peer, far);
    const dialled = from.dialer.onLinkUp(dial, near.peer, to.endpoint);
    if (dialled === undefined) throw new Error('a dial that was not ordered');
    from.dialer.onHandshake(near.peer, SERVICES, this.now);
    if (dialled.kind === 'feeler') return this.#close(near);
    const back = { host: from.endpoint.host, port: 40_000 + far.peer };
    const link = { transport: 'ws', addrV2: true } as const;
    const inbound = { ...link, kind: 'inbound', remote: back, local: to.endpoint } as const;
    this.#send(to, to.gossip.add(far.peer, inbound, this.now));
    const outbound = { ...link, kind: dialled.kind, remote: to.endpoint, local: back } as const;
    this.#send(from, from.gossip.add(near.peer, outbound, this.now));
  }

  #close(end: LinkEnd): void {
    for (const { node, peer } of [end, end.other]) {
      if (!node.links.delete(peer)) continue;
      node.gossip.remove(peer);
      if (node.running) node.dialer.onLinkDown(peer, this.now);
    }
  }

  #send(from: GossipNode, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type !== 'message') throw new Error(`unexpected ${effect.type}`);
      const end = from.links.get(effect.peer);
      if (end !== undefined) this.#after(LATENCY_MS, () => this.#receive(end.other, effect.message));
    }
  }

  #receive({ node, peer, other }: LinkEnd, message: Message): void {
    if (!node.links.has(peer)) return;
    if (message.type === 'getaddr') {
      this.#send(node, node.gossip.onGetaddr(peer, node.table, this.now));
    } else if (message.type === 'addr' || message.type === 'addrv2') {
      const { effects, learned, listens } = node.gossip.onAddresses(peer, message.addresses, this.now);
      this.#send(node, effects);
      node.table.add(learned, other.node.endpoint, this.now, GOSSIP_PENALTY_SECONDS);
      for (const endpoint of listens) node.dialer.onInboundEndpoint(peer, endpoint);
    }
  }

  #after(delayMs: Millis, run: () => void): void {
    this.#queue.push({ at: this.#mono + delayMs, order: this.#order++, run });
    this.#queue.sort((a, b) => a.at - b.at || a.order - b.order);
  }
}
