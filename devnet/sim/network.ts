/**
 * A network inside one process: the same Core objects as the real node, on virtual links, with a virtual clock, memory
 * stores and one seed. Frames stay bytes, so codecs are exercised; signatures are verified and headers ground by the same
 * functions as in the workers, and answered after a virtual delay. No timer, no socket, no wall clock: a run depends on
 * its options alone.
 */
import type { Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type {
  Action,
  DialId,
  DialTarget,
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

export interface NetworkOptions {
  readonly params: ChainParams;
  readonly seed: number;
  readonly limits?: Limits;
  /** One way, per link. Defaults: 5 ms and up to 5 ms more. */
  readonly latencyMs?: Millis;
  readonly jitterMs?: Millis;
  readonly startUnix?: UnixSeconds;
}

/** One end of a virtual link. */
interface LinkEnd {
  readonly node: SimNode;
  readonly peer: PeerId;
  readonly other: { end: LinkEnd | undefined };
  /** No piece may overtake an earlier one. */
  arrival: Millis;
  paused: boolean;
  /** Set where the core asked for a slower line than the network's. */
  line: SlowLine | undefined;
  readonly held: Bytes[];
  open: boolean;
}

interface Scheduled {
  readonly at: Millis;
  readonly order: number;
  readonly run: () => void;
}

/** A node of the network: a core, what it stores, and where it can be dialled. */
export class SimNode {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly options: SimNodeOptions;
  store = new MemoryStore();
  blockFiles = new MemoryBlockFiles();
  core: Core | undefined;
  readonly links = new Map<PeerId, LinkEnd>();
  readonly notices: Notice[] = [];
  /** The tick that is scheduled, so that a later deadline does not add another. */
  wakeAt: Millis | undefined;
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
}

export type SimNodeOptions = Partial<
  Pick<NodeOptions, 'connect' | 'pex' | 'limits' | 'mineTo' | 'traceItems' | 'offline' | 'mockTime'>
> & {
  /** Names of nodes to dial, besides `connect`. */
  readonly peers?: readonly string[];
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

  /** Adds a node and starts it. It listens on 127.0.0.1 with a port of its own. */
  add(name: string, options: SimNodeOptions = {}): SimNode {
    const port = 20_000 + this.nodes.size;
    const node = new SimNode(name, { host: '127.0.0.1', port }, options);
    this.nodes.set(name, node);
    this.start(node);
    return node;
  }

  node(name: string): SimNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`the network has no node ${name}`);
    return node;
  }

  /** Starts a node on what its store holds. */
  start(node: SimNode): void {
    if (node.running) throw new Error(`${node.name} runs already`);
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
    for (const link of [...node.links.values()]) this.#breakLink(link, 'the other end was killed', false);
    node.core = undefined;
    node.wakeAt = undefined;
    node.scans.clear();
    for (const reply of node.replies.values()) reply({ ok: false, code: -28, message: 'the node was killed' });
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
        const other = link.other.end?.node;
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

  /** Injects bytes into a node as a peer that is no node: the returned function sends more, the array collects what comes back. */
  stranger(node: SimNode): { peer: PeerId; send(bytes: Bytes): void; received: Bytes[]; closed(): string | undefined } {
    const peer = node.nextPeer++ as PeerId;
    const received: Bytes[] = [];
    let closed: string | undefined;
    const end: LinkEnd = {
      node,
      peer,
      other: { end: undefined },
      arrival: 0,
      paused: false,
      line: undefined,
      held: [],
      open: true,
    };
    node.links.set(peer, end);
    this.#strangers.set(end, {
      received,
      close: (reason) => {
        closed = reason;
      },
    });
    this.#deliver(node, {
      type: 'link-up',
      peer,
      direction: 'inbound',
      transport: 'ws',
      remote: { host: '127.0.0.1', port: 50_000 + peer },
      local: node.endpoint,
    });
    return {
      peer,
      received,
      closed: () => closed,
      send: (bytes) => {
        if (end.open) this.#deliver(node, { type: 'bytes', peer, bytes });
      },
    };
  }
  readonly #strangers = new Map<LinkEnd, { received: Bytes[]; close: (reason: string) => void }>();

  #step(): void {
    const next = this.#queue.pop() as Scheduled;
    this.#mono = Math.max(this.#mono, next.at);
    next.run();
  }

  #after(delayMs: Millis, run: () => void): void {
    this.#queue.push({ at: this.#mono + delayMs, order: this.#order++, run });
  }

  #deliver(node: SimNode, event: Event): void {
    const core = node.core;
    if (core === undefined) return;
    const actions = core.handle(event, this.now);
    for (const action of actions) this.#perform(node, action);
    this.#wake(node);
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
        // Later, as an event of its own: a node is never entered while it acts.
        if (!link.paused) for (const bytes of link.held.splice(0)) this.#after(0, () => this.#arrive(link, bytes));
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
      const to = [...this.nodes.values()].find(
        (node) => node.endpoint.host === target.host && node.endpoint.port === target.port,
      );
      if (to === undefined || !to.running || !this.#reachable(from, to)) {
        this.#deliver(from, { type: 'dial-failed', dial, reason: 'connection refused' });
        return;
      }
      const here = this.#end(from);
      const there = this.#end(to);
      here.other.end = there;
      there.other.end = here;
      const local = { host: '127.0.0.1', port: 50_000 + (this.#order++ % 10_000) };
      const transport = target.transport;
      const up = { type: 'link-up', transport } as const;
      this.#deliver(to, { ...up, peer: there.peer, direction: 'inbound', remote: local, local: to.endpoint });
      if (here.open)
        this.#deliver(from, { ...up, peer: here.peer, direction: 'outbound', remote: to.endpoint, local, dial });
    });
  }

  #end(node: SimNode): LinkEnd {
    const peer = node.nextPeer++ as PeerId;
    const end: LinkEnd = {
      node,
      peer,
      other: { end: undefined },
      arrival: 0,
      paused: false,
      line: undefined,
      held: [],
      open: true,
    };
    node.links.set(peer, end);
    return end;
  }

  #send(link: LinkEnd | undefined, bytes: Bytes): void {
    if (link === undefined || !link.open) return;
    const stranger = this.#strangers.get(link);
    const other = link.other.end;
    const leaves = link.line?.arrival(bytes.length, this.#mono) ?? this.#mono;
    const arrival = Math.max(leaves + this.#latency(), link.arrival);
    link.arrival = arrival;
    this.#after(arrival - this.#mono, () => {
      if (!link.open) return;
      if (stranger !== undefined) stranger.received.push(bytes);
      else if (other?.open) this.#arrive(other, bytes);
      this.#deliver(link.node, { type: 'drained', peer: link.peer, bytes: bytes.length });
    });
  }

  #arrive(link: LinkEnd, bytes: Bytes): void {
    if (link.paused) link.held.push(bytes);
    else this.#deliver(link.node, { type: 'bytes', peer: link.peer, bytes });
  }

  /** Both ends learn of it after a while; `tellHere` is false for a node that no longer runs. */
  #breakLink(link: LinkEnd, reason: string, tellHere: boolean): void {
    if (!link.open) return;
    this.#strangers.get(link)?.close(reason);
    const other = link.other.end;
    for (const end of [link, other]) {
      if (end === undefined) continue;
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

/** What a node is started with as it stands in its options. */
function pickStart({ traceItems, offline, mockTime }: SimNodeOptions): Partial<NodeOptions> {
  return {
    traceItems: traceItems === true,
    offline: offline === true,
    ...(mockTime === undefined ? {} : { mockTime }),
  };
}

/** A binary heap of what is to happen, by time and then by the order of asking. */
class EventQueue {
  readonly #heap: Scheduled[] = [];

  peek(): Scheduled | undefined {
    return this.#heap[0];
  }

  push(item: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Scheduled;
      if (!before(item, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  }

  pop(): Scheduled | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1] as Scheduled, heap[down] as Scheduled)) down++;
      const child = heap[down] as Scheduled;
      if (!before(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
