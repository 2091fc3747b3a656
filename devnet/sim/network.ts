/**
 * A network inside one process: the same Core objects as the real node, on virtual links, with a virtual clock, memory
 * stores and one seed. Frames stay bytes, so codecs are exercised; signatures are verified and headers ground by the same
 * functions as in the workers, and answered after a virtual delay. No timer, no socket, no wall clock: a run depends on
 * its options alone.
 *
 * What is no node can take part too: it listens at an endpoint or dials from one, and gets the bytes (`OutsideLink`;
 * scripted-peers.ts speaks the protocol over it).
 */
import { type Bytes, unreachable } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type {
  Action,
  DialId,
  DialTarget,
  Direction,
  Endpoint,
  Event,
  Millis,
  Notice,
  Now,
  PeerId,
  RequestId,
  RpcOutcome,
  RpcParams,
  ScanId,
  Transport,
  UnixSeconds,
} from '../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../node/chain/memory-store.ts';
import { type Limits, localLimits } from '../../node/limits.ts';
import { grind } from '../../node/mining/grind.ts';
import { createNode, type NodeOptions } from '../../node/node.ts';
import type { Core, Random } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { SlowLine } from '../../node/slow-line.ts';
import { verifyChecks } from '../../node/verify/verify-checks.ts';
import { EventQueue, type Scheduled } from './event-queue.ts';

export interface NetworkOptions {
  readonly params: ChainParams;
  readonly seed: number;
  readonly limits?: Limits;
  /** One way, per link. Defaults: 5 ms and up to 5 ms more. */
  readonly latencyMs?: Millis;
  readonly jitterMs?: Millis;
  readonly startUnix?: UnixSeconds;
  /** What a core's work takes. None unless told: then floods cost nobody anything but traffic. */
  readonly cost?: ProcessorCost;
}

/** A processor per node, as a line: it takes one event at a time, and each takes this long. The rest waits its turn. */
export interface ProcessorCost {
  readonly perEventMs: Millis;
  /** Of each action that follows from the event. */
  readonly perActionMs: Millis;
  /** Of each kilobyte that is read. */
  readonly perKilobyteMs: Millis;
}

/** A link between a node and something that is none. Bytes take the network's time in both directions, in their order. */
export interface OutsideLink {
  readonly node: SimNode;
  /** The node's number of the link. */
  readonly peer: PeerId;
  /** What the node takes for the other end. */
  readonly endpoint: Endpoint;
  readonly isOpen: boolean;
  /** Pieces that were sent and that the node has not read: whoever floods waits for them, as a full socket makes it. */
  readonly unread: number;
  send(bytes: Bytes): void;
  close(): void;
}

/** What the other end of an `OutsideLink` does with what comes. */
export interface OutsideEnd {
  onBytes(bytes: Bytes): void;
  onClosed?(reason: string): void;
}

/** Says who stands at the other end of a new link. */
export type OutsideAccept = (link: OutsideLink) => OutsideEnd;

/** A node's end of a virtual link. */
interface LinkEnd {
  readonly node: SimNode;
  readonly peer: PeerId;
  /** The end of the other node, or what is no node. */
  other: LinkEnd | OutsideEnd | undefined;
  /** No piece may overtake an earlier one. */
  arrival: Millis;
  paused: boolean;
  /** Set where the core asked for a slower line than the network's. */
  line: SlowLine | undefined;
  /** What has come while the node does not read. */
  readonly held: Bytes[];
  /** Pieces on their way to the node, and those that have come and that its core has not taken. */
  unread: number;
  /** Bytes that have left and that the core has not been told of: it is told of all of them at once. */
  drained: number;
  open: boolean;
}

/** A node of the network: a core, what it stores, and where it can be dialled. */
export class SimNode {
  readonly name: string;
  readonly endpoint: Endpoint;
  options: SimNodeOptions;
  store = new MemoryStore();
  blockFiles = new MemoryBlockFiles();
  core: Core | undefined;
  readonly links = new Map<PeerId, LinkEnd>();
  readonly notices: Notice[] = [];
  /** The tick that is scheduled, so that a later deadline does not add another. */
  wakeAt: Millis | undefined;
  /** Events that wait for the processor, and when it is free. */
  readonly waiting: Event[] = [];
  busyUntil: Millis = 0;
  nextPeer = 1;
  nextRequest = 1;
  starts = 0;
  readonly replies = new Map<RequestId, (outcome: RpcOutcome) => void>();
  readonly scans = new Map<ScanId, { after: string; store: MemoryStore }>();

  constructor(name: string, endpoint: Endpoint, options: SimNodeOptions) {
    this.name = name;
    this.endpoint = endpoint;
    this.options = options;
  }

  get running(): boolean {
    return this.core !== undefined;
  }

  /** The nodes that it is linked with, once for each link. */
  neighbours(): SimNode[] {
    return [...this.links.values()].map(neighbourOf).filter((node) => node !== undefined);
  }
}

export type SimNodeOptions = Partial<
  Pick<NodeOptions, 'connect' | 'seedNodes' | 'pex' | 'limits' | 'mineTo' | 'traceItems' | 'offline' | 'mockTime'>
> & {
  /** Names of nodes to dial, besides `connect`. */
  readonly peers?: readonly string[];
  /** Where it listens: 127.0.0.1 with a port of its own unless told. Its netgroup follows from it (node/netgroup.ts). */
  readonly endpoint?: Endpoint;
};

/** Thrown when the network does not do what a test demanded within the virtual time allowed. */
export class SimTimeout extends Error {
  override readonly name = 'SimTimeout';
}

export class Network {
  readonly params: ChainParams;
  readonly nodes = new Map<string, SimNode>();
  readonly #options: NetworkOptions;
  readonly #random: Random;
  readonly #queue = new EventQueue();
  readonly #groups = new Map<string, number>();
  /** Who answers where. */
  readonly #listeners = new Map<string, SimNode | OutsideAccept>();
  #mono: Millis = 0;
  #order = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.params = options.params;
    this.#random = new SeededRandom(`network ${options.seed}`);
  }

  get now(): Now {
    const start = this.#options.startUnix ?? this.params.genesis.header.time + 3600;
    return { mono: this.#mono, unix: start + Math.floor(this.#mono / 1000) };
  }

  /** Adds a node and starts it, on what it has stored if that is given. */
  add(
    name: string,
    options: SimNodeOptions = {},
    stored: Partial<Pick<SimNode, 'store' | 'blockFiles'>> = {},
  ): SimNode {
    const endpoint = options.endpoint ?? { host: '127.0.0.1', port: 20_000 + this.nodes.size };
    const node = Object.assign(new SimNode(name, endpoint, options), stored);
    this.#claim(endpoint, node);
    this.nodes.set(name, node);
    this.start(node);
    return node;
  }

  /** From now on `accept` answers whoever dials that endpoint. */
  listen(endpoint: Endpoint, accept: OutsideAccept): void {
    this.#claim(endpoint, accept);
  }

  /** Nobody answers there any more; links that are there stay. */
  unlisten(endpoint: Endpoint): void {
    this.#listeners.delete(keyOf(endpoint));
  }

  /** Dials a node from an endpoint that is no node's. `accept` is called at once, the node hears of it a little later. */
  dialFrom(from: Endpoint, node: SimNode, accept: OutsideAccept): OutsideLink {
    const { starts } = node;
    const upAt = this.#mono + this.#latency();
    const [end, link] = this.#outside(node, from, accept, upAt);
    this.#after(upAt - this.#mono, () => {
      if (!end.open) return;
      if (!node.running || node.starts !== starts) return this.#breakLink(end, 'connection refused', false);
      node.links.set(end.peer, end);
      this.#deliver(node, linkUp(end, 'inbound', 'ws', from, node.endpoint));
    });
    return link;
  }

  /** Runs something after that much virtual time. */
  after(delayMs: Millis, run: () => void): void {
    this.#after(delayMs, run);
  }

  node(name: string): SimNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`the network has no node ${name}`);
    return node;
  }

  /** Starts a node on what its store holds, as it was started before but for the options that are given. */
  start(node: SimNode, changes: Omit<SimNodeOptions, 'endpoint'> = {}): void {
    if (node.running) throw new Error(`${node.name} runs already`);
    node.options = { ...node.options, ...changes };
    node.starts++;
    const connect: DialTarget[] = [...(node.options.connect ?? [])];
    for (const peer of node.options.peers ?? []) connect.push({ transport: 'ws', ...this.node(peer).endpoint });
    node.core = createNode({
      params: this.params,
      limits: node.options.limits ?? this.#options.limits ?? localLimits,
      random: new SeededRandom(`${this.#options.seed} ${node.name} ${node.starts}`),
      store: node.store,
      blockFiles: node.blockFiles,
      rows: {
        headers: node.store.range('b', 'c', Number.MAX_SAFE_INTEGER),
        addresses: node.store.range('a', 'b', Number.MAX_SAFE_INTEGER),
        pool: node.store.range('p', 'q', Number.MAX_SAFE_INTEGER),
      },
      listen: [node.endpoint],
      connect,
      seedNodes: node.options.seedNodes ?? [],
      pex: node.options.pex ?? true,
      userAgentComments: [`devnet:${node.name}`],
      ...pickStart(node.options),
      ...(node.options.mineTo === undefined ? {} : { mineTo: node.options.mineTo }),
      now: this.now,
    });
    this.#wake(node);
  }

  /** Ends a node at once, as SIGKILL would: no last words, and its links break. */
  kill(node: SimNode): void {
    this.#end(node, 'the other end was killed');
  }

  /** Ends a node in order, as SIGTERM would: it saves what must be saved. */
  stop(node: SimNode): void {
    this.#handle(node, { type: 'stop' });
    this.#end(node, 'the other end stopped');
  }

  #end(node: SimNode, reason: string): void {
    for (const link of [...node.links.values()]) this.#breakLink(link, reason, false);
    node.core = undefined;
    node.wakeAt = undefined;
    node.waiting.length = 0;
    node.scans.clear();
    for (const reply of node.replies.values()) reply({ ok: false, code: -28, message: 'the node has ended' });
    node.replies.clear();
  }

  /** Cuts the network in groups of node names: links between groups break and cannot be dialled. */
  partition(...groups: readonly (readonly string[])[]): void {
    this.#groups.clear();
    groups.forEach((group, index) => {
      for (const name of group) this.#groups.set(name, index);
    });
    for (const node of this.nodes.values()) {
      for (const link of [...node.links.values()]) {
        const other = neighbourOf(link);
        if (other !== undefined && !this.#reachable(node, other)) this.#breakLink(link, 'partition', true);
      }
    }
  }

  heal(): void {
    this.#groups.clear();
  }

  /** Calls an RPC method; the answer comes as virtual time goes on. */
  call(node: SimNode, method: string, params: RpcParams = []): Promise<RpcOutcome> {
    const request = node.nextRequest++ as RequestId;
    return new Promise((resolve) => {
      node.replies.set(request, resolve);
      this.#deliver(node, { type: 'request', request, method, params });
    });
  }

  /** Calls an RPC method, lets virtual time run until it is answered, and parses the result. Throws on an RPC error. */
  rpc<T = unknown>(name: string, method: string, params: RpcParams = [], limitMs = 60_000): T {
    const node = this.node(name);
    const request = node.nextRequest++ as RequestId;
    let outcome: RpcOutcome | undefined;
    node.replies.set(request, (value) => {
      outcome = value;
    });
    this.#deliver(node, { type: 'request', request, method, params });
    this.runUntil(() => outcome !== undefined, limitMs, `${method} at ${name} to answer`);
    const answer = outcome as unknown as RpcOutcome;
    if (!answer.ok) throw new Error(`${method}: ${answer.message} (${answer.code})`);
    return JSON.parse(answer.json) as T;
  }

  /** Lets virtual time pass. */
  run(durationMs: Millis): void {
    const end = this.#mono + durationMs;
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || next.at > end) break;
      this.#step();
    }
    this.#mono = end;
  }

  /** Lets virtual time pass until the condition holds; throws SimTimeout after `limitMs`. */
  runUntil(condition: () => boolean, limitMs: Millis = 60_000, what = 'the condition'): void {
    const end = this.#mono + limitMs;
    while (!condition()) {
      const next = this.#queue.peek();
      if (next === undefined || next.at > end) {
        throw new SimTimeout(`waited ${limitMs} ms of virtual time for ${what} (seed ${this.#options.seed})`);
      }
      this.#step();
    }
  }

  /**
   * Injects bytes into a node as a peer that is no node: the returned function sends more, at once and whether or not the
   * node reads; the array collects what comes back.
   */
  stranger(
    node: SimNode,
    remote?: Endpoint,
  ): { peer: PeerId; send(bytes: Bytes): void; received: Bytes[]; closed(): string | undefined } {
    const received: Bytes[] = [];
    let closed: string | undefined;
    const end = this.#newEnd(node);
    const { peer } = end;
    end.other = {
      onBytes: (bytes) => received.push(bytes),
      onClosed: (reason) => {
        closed = reason;
      },
    };
    node.links.set(peer, end);
    const from = remote ?? { host: '127.0.0.1', port: 50_000 + peer };
    this.#deliver(node, linkUp(end, 'inbound', 'ws', from, node.endpoint));
    return {
      peer,
      received,
      closed: () => closed,
      send: (bytes) => {
        if (!end.open) return;
        end.unread++;
        this.#deliver(node, { type: 'bytes', peer, bytes });
      },
    };
  }

  #step(): void {
    const next = this.#queue.pop() as Scheduled;
    this.#mono = Math.max(this.#mono, next.at);
    next.run();
  }

  #after(delayMs: Millis, run: () => void): void {
    this.#queue.push({ at: this.#mono + delayMs, order: this.#order++, run });
  }

  #deliver(node: SimNode, event: Event): void {
    if (this.#options.cost === undefined) return void this.#handle(node, event);
    node.waiting.push(event);
    if (node.waiting.length === 1) this.#whenFree(node, this.#options.cost);
  }

  /** Hands the core what waits, one event after the other. */
  #whenFree(node: SimNode, cost: ProcessorCost): void {
    const start = node.starts;
    this.#after(Math.max(0, node.busyUntil - this.#mono), () => {
      const [event] = node.waiting;
      if (node.starts !== start || event === undefined) return;
      const actions = this.#handle(node, event);
      const kilobytes = event.type === 'bytes' ? event.bytes.length / 1000 : 0;
      const took = cost.perEventMs + actions * cost.perActionMs + kilobytes * cost.perKilobyteMs;
      node.busyUntil = this.#mono + took;
      node.waiting.shift();
      if (node.waiting.length > 0) this.#whenFree(node, cost);
    });
  }

  /** Returns how many actions follow. */
  #handle(node: SimNode, event: Event): number {
    const core = node.core;
    if (core === undefined) return 0;
    const actions = core.handle(this.#taken(node, event), this.now);
    for (const action of actions) this.#perform(node, action);
    this.#wake(node);
    return actions.length;
  }

  /** The event as the core gets it, at the moment at which it does. */
  #taken(node: SimNode, event: Event): Event {
    const link = event.type === 'bytes' || event.type === 'drained' ? node.links.get(event.peer) : undefined;
    if (link === undefined) return event;
    if (event.type === 'bytes') link.unread--;
    if (event.type !== 'drained') return event;
    const { drained: bytes } = link;
    link.drained = 0;
    return { ...event, bytes };
  }

  #wake(node: SimNode): void {
    const deadline = node.core?.nextDeadline();
    if (deadline === undefined || (node.wakeAt !== undefined && node.wakeAt <= deadline)) return;
    const at = Math.max(deadline, this.#mono);
    node.wakeAt = at;
    const start = node.starts;
    this.#after(at - this.#mono, () => {
      if (node.starts !== start || node.wakeAt !== at) return;
      node.wakeAt = undefined;
      this.#deliver(node, { type: 'tick' });
    });
  }

  #perform(node: SimNode, action: Action): void {
    const start = node.starts;
    const answer = (delayMs: Millis, event: () => Event) =>
      this.#after(delayMs, () => {
        if (node.running && node.starts === start) this.#deliver(node, event());
      });
    switch (action.type) {
      case 'dial':
        return this.#dial(node, action.dial, action.target);
      case 'send':
        return this.#send(node.links.get(action.peer), action.bytes);
      case 'disconnect': {
        const link = node.links.get(action.peer);
        if (link !== undefined) this.#breakLink(link, action.reason, true);
        return;
      }
      case 'pause':
      case 'resume': {
        const link = node.links.get(action.peer);
        if (link === undefined) return;
        link.paused = action.type === 'pause';
        if (!link.paused) this.#readHeld(link);
        return;
      }
      case 'shape': {
        const link = node.links.get(action.peer);
        const chance = () => this.#random.u32() / 2 ** 32;
        if (link !== undefined) link.line = action.shape === undefined ? undefined : new SlowLine(action.shape, chance);
        return;
      }
      case 'verify':
        return answer(1 + action.checks.length / 128 / 20, () => ({
          type: 'verified',
          job: action.job,
          failed: verifyChecks(action.checks),
        }));
      case 'mine':
        return answer(1, () => ({
          type: 'mined',
          job: action.job,
          ...grind(action.header, action.bits, 0, action.tries),
        }));
      case 'scan': {
        const scan = node.scans.get(action.scan) ?? { after: action.gte, store: node.store.snapshot() };
        node.scans.set(action.scan, scan);
        const rows = scan.store.range(scan.after, action.lt, action.limit);
        const last = rows[rows.length - 1];
        const done = rows.length < action.limit;
        // The smallest key above the last one.
        if (last !== undefined) scan.after = `${last.key}\0`;
        if (done) node.scans.delete(action.scan);
        return answer(1, () => ({ type: 'scanned', scan: action.scan, rows, done }));
      }
      case 'cancel-scan':
        node.scans.delete(action.scan);
        return;
      case 'cancel':
        // A late answer is ignored by the core.
        return;
      case 'reply': {
        const reply = node.replies.get(action.request);
        node.replies.delete(action.request);
        reply?.(action.outcome);
        return;
      }
      case 'notice':
        node.notices.push(action.notice);
        return;
      default:
        return unreachable(action);
    }
  }

  #reachable(a: SimNode, b: SimNode): boolean {
    return this.#groups.get(a.name) === this.#groups.get(b.name);
  }

  #latency(): Millis {
    const jitter = this.#options.jitterMs ?? 5;
    return (this.#options.latencyMs ?? 5) + (jitter === 0 ? 0 : (this.#random.u32() / 2 ** 32) * jitter);
  }

  #dial(from: SimNode, dial: DialId, target: DialTarget): void {
    const start = from.starts;
    this.#after(this.#latency(), () => {
      if (!from.running || from.starts !== start) return;
      const to = this.#listeners.get(keyOf(target));
      const answers = to instanceof SimNode ? to.running && this.#reachable(from, to) : to !== undefined;
      if (to === undefined || !answers) {
        this.#deliver(from, { type: 'dial-failed', dial, reason: 'connection refused' });
        return;
      }
      const local = { host: from.endpoint.host, port: 50_000 + (this.#order++ % 10_000) };
      const remote = { host: target.host, port: target.port };
      if (!(to instanceof SimNode)) {
        const [end] = this.#outside(from, remote, to);
        from.links.set(end.peer, end);
        return this.#deliver(from, { ...linkUp(end, 'outbound', target.transport, remote, local), dial });
      }
      const here = this.#newEnd(from);
      const there = this.#newEnd(to);
      here.other = there;
      there.other = here;
      from.links.set(here.peer, here);
      to.links.set(there.peer, there);
      this.#deliver(to, linkUp(there, 'inbound', target.transport, local, to.endpoint));
      if (here.open) this.#deliver(from, { ...linkUp(here, 'outbound', target.transport, remote, local), dial });
    });
  }

  #claim(endpoint: Endpoint, listener: SimNode | OutsideAccept): void {
    const key = keyOf(endpoint);
    if (this.#listeners.has(key)) throw new Error(`${key} is taken`);
    this.#listeners.set(key, listener);
  }

  #newEnd(node: SimNode): LinkEnd {
    const peer = node.nextPeer++ as PeerId;
    return {
      node,
      peer,
      other: undefined,
      arrival: 0,
      paused: false,
      line: undefined,
      held: [],
      unread: 0,
      drained: 0,
      open: true,
    };
  }

  /** The node's end of a link to something that is no node, and that link as the other side has it. It is up at `upAt`. */
  #outside(node: SimNode, endpoint: Endpoint, accept: OutsideAccept, upAt = this.#mono): [LinkEnd, OutsideLink] {
    const end = this.#newEnd(node);
    const { peer } = end;
    let arrival = upAt;
    const link: OutsideLink = {
      node,
      peer,
      endpoint,
      get isOpen() {
        return end.open;
      },
      get unread() {
        return end.unread;
      },
      send: (bytes) => {
        if (!end.open) return;
        // Nothing overtakes what was sent before, nor the news that there is a link.
        arrival = Math.max(this.#mono + this.#latency(), arrival);
        end.unread++;
        this.#after(arrival - this.#mono, () => {
          if (end.open) this.#arrive(end, bytes);
        });
      },
      close: () => this.#breakLink(end, 'closed by the other end', true),
    };
    end.other = accept(link);
    return [end, link];
  }

  #send(link: LinkEnd | undefined, bytes: Bytes): void {
    if (link === undefined || !link.open) return;
    const { other } = link;
    const leaves = link.line?.arrival(bytes.length, this.#mono) ?? this.#mono;
    const arrival = Math.max(leaves + this.#latency(), link.arrival);
    link.arrival = arrival;
    if (isLinkEnd(other)) other.unread++;
    this.#after(arrival - this.#mono, () => {
      if (!link.open) return;
      if (!isLinkEnd(other)) other?.onBytes(bytes);
      else if (other.open) this.#arrive(other, bytes);
      link.drained += bytes.length;
      if (link.drained === bytes.length) this.#deliver(link.node, { type: 'drained', peer: link.peer, bytes: 0 });
    });
  }

  #arrive(link: LinkEnd, bytes: Bytes): void {
    // Nothing overtakes what was held.
    if (link.paused || link.held.length > 0) link.held.push(bytes);
    else this.#deliver(link.node, { type: 'bytes', peer: link.peer, bytes });
  }

  /** Reads what was held, each piece as an event of its own: a node is never entered while it acts. */
  #readHeld(link: LinkEnd): void {
    if (link.held.length === 0) return;
    this.#after(0, () => {
      const bytes = link.open && !link.paused ? link.held.shift() : undefined;
      if (bytes === undefined) return;
      this.#deliver(link.node, { type: 'bytes', peer: link.peer, bytes });
      if (!link.paused) this.#readHeld(link);
    });
  }

  /** Both ends learn of it after a while; `tellHere` is false for a node that no longer runs. */
  #breakLink(link: LinkEnd, reason: string, tellHere: boolean): void {
    if (!link.open) return;
    const { other } = link;
    for (const end of [link, other]) {
      if (end === undefined) continue;
      if (!isLinkEnd(end)) {
        this.#after(this.#latency(), () => end.onClosed?.(reason));
        continue;
      }
      end.open = false;
      end.node.links.delete(end.peer);
      if (end === link && !tellHere) continue;
      const start = end.node.starts;
      this.#after(this.#latency(), () => {
        if (end.node.starts === start) this.#deliver(end.node, { type: 'link-down', peer: end.peer, reason });
      });
    }
  }
}

function isLinkEnd(end: LinkEnd | OutsideEnd | undefined): end is LinkEnd {
  return end !== undefined && 'node' in end;
}

/** The node at the other end of a link, if it is one. */
function neighbourOf({ other }: LinkEnd): SimNode | undefined {
  return isLinkEnd(other) ? other.node : undefined;
}

function linkUp(
  { peer }: LinkEnd,
  direction: Direction,
  transport: Transport,
  remote: Endpoint,
  local: Endpoint,
): Extract<Event, { type: 'link-up' }> {
  return { type: 'link-up', peer, direction, transport, remote, local };
}

function keyOf({ host, port }: Endpoint): string {
  return `${host}:${port}`;
}

/** What a node is started with as it stands in its options. */
function pickStart({ traceItems, offline, mockTime }: SimNodeOptions): Partial<NodeOptions> {
  return {
    traceItems: traceItems === true,
    offline: offline === true,
    ...(mockTime === undefined ? {} : { mockTime }),
  };
}
