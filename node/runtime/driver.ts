/**
 * Drives the core: hands it one event at a time, performs the actions that it returns, in order, and keeps the one timer
 * for its next deadline. Everything here is about when; what happens is decided in the core, and done by the parts.
 *
 * A reply leaves after the batches that were written before it are on disk. If the store, a thread or the core itself
 * fails, the driver stops at once and says so: nothing more is handled, so nothing wrong is written or sent.
 */
import { type Bytes, unreachable } from '../../consensus/brand.ts';
import type {
  Action,
  DialId,
  DialTarget,
  Event,
  JobId,
  LinkShape,
  Millis,
  Notice,
  PeerId,
  RequestId,
  RpcOutcome,
  RpcParams,
  ScanId,
} from '../boundary.ts';
import { type Core, StoreDamage } from '../ports.ts';
import type { Alarm, Clock } from './clock.ts';
import type { Page } from './level-store.ts';
import type { Logger } from './log.ts';
import { describeAction, describeEvent } from './trace.ts';

/** While more than this waits to be written, nothing is read from peers: a slow disk must not fill the memory. */
const MAX_STORE_BACKLOG_BYTES = 16 * 1024 * 1024;

/** The answer to calls that come after the stop: an internal error of JSON-RPC. */
const SHUTTING_DOWN: RpcOutcome = { ok: false, code: -32603, message: 'Shutting down' };

/** What carries out the core's actions on the network: NetTransport, or a list in tests. */
export interface DriverTransport {
  dial(dial: DialId, target: DialTarget, publicOnly: boolean): void;
  send(peer: PeerId, bytes: Bytes): void;
  disconnect(peer: PeerId, reason: string): void;
  pause(peer: PeerId): void;
  resume(peer: PeerId): void;
  shape(peer: PeerId, shape: LinkShape | undefined): void;
  hold(held: boolean): void;
}

export interface DriverStore {
  readonly backlogBytes: number;
  flush(): Promise<void>;
  scan(id: ScanId, gte: string, lt: string, limit: number): Promise<Page | undefined>;
  cancelScan(id: ScanId): void;
}

export interface DriverWorkers {
  verify(id: JobId, checks: Bytes): void;
  mine(id: JobId, header: Bytes, bits: number, tries: number): void;
  cancel(id: JobId): void;
}

export interface DriverParts {
  readonly core: Core;
  readonly clock: Clock;
  readonly transport: DriverTransport;
  readonly store: DriverStore;
  readonly workers: DriverWorkers;
  readonly logger: Logger;
  readonly onNotice: (notice: Notice) => void;
  /** The process must end with this. Called at most once; the driver has stopped. */
  readonly onFatal: (error: Error) => void;
}

export class Driver {
  readonly #parts: DriverParts;
  /** Events that came while another was handled. */
  readonly #queue: Event[] = [];
  readonly #replies = new Map<RequestId, (outcome: RpcOutcome) => void>();
  #nextRequest = 0;
  #handling = false;
  #stopped = false;
  #holding = false;
  #alarm: { readonly deadline: Millis; readonly alarm: Alarm } | undefined;

  constructor(parts: DriverParts) {
    this.#parts = parts;
  }

  /** Hands the core its first deadline. */
  start(): void {
    this.#setAlarm();
  }

  /** Takes what has happened. Events are handled in the order of these calls, each to its end. */
  deliver(event: Event): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
        this.#handle(next);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#handling = false;
    }
    this.#setAlarm();
  }

  /** Runs a method; `onOutcome` is called once, unless the call is closed before. */
  call(method: string, params: RpcParams, onOutcome: (outcome: RpcOutcome) => void): RequestId {
    const request = this.#nextRequest++ as RequestId;
    if (this.#stopped) {
      onOutcome(SHUTTING_DOWN);
      return request;
    }
    this.#replies.set(request, onOutcome);
    this.deliver({ type: 'request', request, method, params });
    return request;
  }

  /** The caller has gone. */
  closeCall(request: RequestId): void {
    if (this.#replies.delete(request)) this.deliver({ type: 'request-closed', request });
  }

  /** Tells the core that the process ends, performs what it asks for, and takes no more events. */
  stop(): void {
    this.deliver({ type: 'stop' });
    this.#end();
  }

  /** Stops at once because something has failed that the process cannot live without. */
  fail(error: unknown): void {
    if (this.#stopped) return;
    this.#end();
    this.#parts.onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  #end(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    this.#alarm?.alarm.cancel();
    this.#alarm = undefined;
  }

  #handle(event: Event): void {
    const { core, clock, logger } = this.#parts;
    if (logger.debugging) logger.log('debug', describeEvent(event));
    for (const action of core.handle(event, clock.now())) {
      if (this.#stopped) return;
      if (logger.debugging) logger.log('debug', describeAction(action));
      this.#perform(action);
    }
    this.#holdPeers();
  }

  #perform(action: Action): void {
    const { transport, store, workers } = this.#parts;
    switch (action.type) {
      case 'dial':
        return transport.dial(action.dial, action.target, action.publicOnly === true);
      case 'send':
        return transport.send(action.peer, action.bytes);
      case 'disconnect':
        return transport.disconnect(action.peer, action.reason);
      case 'pause':
        return transport.pause(action.peer);
      case 'resume':
        return transport.resume(action.peer);
      case 'shape':
        return transport.shape(action.peer, action.shape);
      case 'verify':
        return workers.verify(action.job, action.checks);
      case 'mine':
        return workers.mine(action.job, action.header, action.bits, action.tries);
      case 'cancel':
        return workers.cancel(action.job);
      case 'scan':
        return this.#scan(action.scan, action.gte, action.lt, action.limit);
      case 'cancel-scan':
        return store.cancelScan(action.scan);
      case 'reply':
        return this.#reply(action.request, action.outcome);
      case 'notice':
        return this.#notice(action.notice);
      default:
        return unreachable(action);
    }
  }

  #scan(scan: ScanId, gte: string, lt: string, limit: number): void {
    this.#parts.store.scan(scan, gte, lt, limit).then(
      (page) => {
        if (page !== undefined) this.deliver({ type: 'scanned', scan, ...page });
      },
      (error) => this.fail(error),
    );
  }

  #reply(request: RequestId, outcome: RpcOutcome): void {
    const onOutcome = this.#replies.get(request);
    if (onOutcome === undefined) return;
    this.#replies.delete(request);
    this.#parts.store.flush().then(
      () => onOutcome(outcome),
      (error) => this.fail(error),
    );
  }

  #notice(notice: Notice): void {
    if (notice.kind === 'damaged') this.fail(new StoreDamage(notice.message));
    else this.#parts.onNotice(notice);
  }

  #holdPeers(): void {
    const { store, transport } = this.#parts;
    if (this.#holding || store.backlogBytes <= MAX_STORE_BACKLOG_BYTES) return;
    this.#holding = true;
    transport.hold(true);
    store.flush().then(
      () => {
        this.#holding = false;
        transport.hold(false);
      },
      (error) => this.fail(error),
    );
  }

  /** An alarm that rings too early costs nothing; so it is only moved when the core wants to be woken before it. */
  #setAlarm(): void {
    if (this.#stopped) return;
    const deadline = this.#parts.core.nextDeadline();
    if (deadline === undefined || (this.#alarm !== undefined && this.#alarm.deadline <= deadline)) return;
    this.#alarm?.alarm.cancel();
    this.#alarm = { deadline, alarm: this.#parts.clock.wakeAt(deadline, () => this.#onAlarm()) };
  }

  #onAlarm(): void {
    this.#alarm = undefined;
    const deadline = this.#parts.core.nextDeadline();
    if (deadline !== undefined && deadline <= this.#parts.clock.now().mono) this.deliver({ type: 'tick' });
    else this.#setAlarm();
  }
}
