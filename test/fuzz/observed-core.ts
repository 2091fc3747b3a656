/**
 * Stands between the simulated network and the core of an honest node, and watches: what it is told and what it does go
 * into a digest, and what it may never do is noted. It also keeps back the acknowledgements of bytes that a stranger does
 * not take. Knows the core by its interface alone.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Action, Event, Millis, Now, PeerId } from '../../node/boundary.ts';
import type { Core } from '../../node/ports.ts';

export interface Watch {
  /** The honest node on the other side of the link, if it is one. */
  honest(peer: PeerId): string | undefined;
  /** The stranger on the other side takes nothing at present. */
  stalled(peer: PeerId): boolean;
}

export interface Bounds {
  readonly maxActions: number;
  /** Bytes that may wait for one peer. */
  readonly maxWaiting: number;
  readonly maxEventMs: Millis;
}

/** Figures of all nodes of a case. */
export interface Peaks {
  actions: number;
  /** Bytes that waited for one peer. */
  waiting: number;
  /** Wall time of one event. */
  eventMs: number;
  /** Bytes that getpeerinfo shows for one peer, and addresses that one node knows. */
  memory: number;
  addresses: number;
}

export function noPeaks(): Peaks {
  return { actions: 0, waiting: 0, eventMs: 0, memory: 0, addresses: 0 };
}

export class ObservedCore implements Core {
  readonly #core: Core;
  readonly #name: string;
  readonly #watch: Watch;
  readonly #bounds: Bounds;
  readonly #digest: Hash;
  readonly #peaks: Peaks;
  readonly #violations: string[];
  /** Links that must stay, whatever strangers do. */
  readonly #pinned = new Set<PeerId>();
  /** Bytes under way to each peer, and those of them that left without being acknowledged. */
  readonly #waiting = new Map<PeerId, number>();
  readonly #withheld = new Map<PeerId, number>();

  constructor(options: {
    readonly core: Core;
    readonly name: string;
    readonly watch: Watch;
    readonly bounds: Bounds;
    readonly digest: Hash;
    readonly peaks: Peaks;
    readonly violations: string[];
  }) {
    this.#core = options.core;
    this.#name = options.name;
    this.#watch = options.watch;
    this.#bounds = options.bounds;
    this.#digest = options.digest;
    this.#peaks = options.peaks;
    this.#violations = options.violations;
  }

  pin(peer: PeerId): void {
    this.#pinned.add(peer);
  }

  handle(event: Event, now: Now): readonly Action[] {
    if (event.type === 'drained') {
      if (this.#watch.stalled(event.peer)) {
        this.#withheld.set(event.peer, (this.#withheld.get(event.peer) ?? 0) + event.bytes);
        return [];
      }
      const bytes = event.bytes + (this.#withheld.get(event.peer) ?? 0);
      this.#withheld.delete(event.peer);
      this.#waiting.set(event.peer, (this.#waiting.get(event.peer) ?? 0) - bytes);
      return this.#run({ ...event, bytes }, now);
    }
    if (event.type === 'link-down') {
      this.#waiting.delete(event.peer);
      this.#withheld.delete(event.peer);
      if (this.#pinned.delete(event.peer)) this.#violate(`lost an honest peer: ${event.reason}`);
    }
    return this.#run(event, now);
  }

  nextDeadline(): Millis | undefined {
    return this.#core.nextDeadline();
  }

  /** The node is about to be killed: its links end, and nobody is to blame. */
  unpin(): void {
    this.#pinned.clear();
  }

  #run(event: Event, now: Now): readonly Action[] {
    const start = performance.now();
    let actions: readonly Action[];
    try {
      actions = this.#core.handle(event, now);
    } catch (error) {
      throw new Error(`${this.#name} threw at ${now.mono} ms on ${event.type}`, { cause: error });
    }
    const took = performance.now() - start;
    this.#peaks.eventMs = Math.max(this.#peaks.eventMs, took);
    this.#peaks.actions = Math.max(this.#peaks.actions, actions.length);
    this.#note(event, now);
    for (const action of actions) {
      this.#note(action, now);
      this.#look(action);
    }
    if (took > this.#bounds.maxEventMs) this.#violate(`needed ${Math.round(took)} ms for one ${event.type}`);
    if (actions.length > this.#bounds.maxActions) this.#violate(`${actions.length} actions on one ${event.type}`);
    return actions;
  }

  #look(action: Action): void {
    if (action.type === 'send') {
      const waiting = (this.#waiting.get(action.peer) ?? 0) + action.bytes.length;
      this.#waiting.set(action.peer, waiting);
      this.#peaks.waiting = Math.max(this.#peaks.waiting, waiting);
      if (waiting > this.#bounds.maxWaiting) this.#violate(`${waiting} bytes wait for one peer`);
    } else if (action.type === 'disconnect') {
      if (this.#pinned.delete(action.peer)) {
        this.#violate(`disconnected honest ${this.#watch.honest(action.peer)}: ${action.reason}`);
      }
    } else if (action.type === 'notice') {
      const { notice } = action;
      if (notice.kind === 'damaged') this.#violate(`its store is damaged: ${notice.message}`);
      if (notice.kind !== 'misbehaved') return;
      const honest = this.#watch.honest(notice.peer);
      if (honest !== undefined) this.#violate(`punished honest ${honest}: ${notice.reason}`);
    }
  }

  #violate(what: string): void {
    if (this.#violations.length < 10) this.#violations.push(`${this.#name} ${what}`);
  }

  #note(value: Event | Action, now: Now): void {
    this.#digest.update(`${this.#name} ${now.mono} ${value.type} `);
    for (const member of Object.values(value) as unknown[]) {
      if (member instanceof Uint8Array) this.#digest.update(member);
      else if (typeof member === 'object') this.#digest.update(JSON.stringify(member, plain));
      else this.#digest.update(String(member));
    }
  }
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

export function newDigest(): Hash {
  return createHash('sha256');
}
