/**
 * Links to peers: listening, dialling, and their bytes as events. Owns the sockets and the numbers of the links; what the
 * bytes mean is none of its business.
 *
 * One port speaks both transports. A connection that begins with `GET ` is upgraded to WebSocket, one that begins with the
 * network's magic is the plain TCP stream, and anything else is closed at once: Bitcoin Core tries its encrypted transport
 * first and comes back with the plain one only then.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Bytes } from '../../consensus/brand.ts';
import type { DialId, DialTarget, Direction, Endpoint, Event, LinkShape, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import type { Dial, Link } from './link.ts';
import { listenOn } from './listen.ts';
import { SlowSends } from './slow-sends.ts';
import { errorText } from './start-error.ts';
import { dialTcp, tcpLink } from './tcp.ts';
import { dialWebSocket, WebSocketUpgrades } from './websocket.ts';

const GET = Uint8Array.from([0x47, 0x45, 0x54, 0x20]);

export type TransportEvent = Extract<
  Event,
  { readonly type: 'link-up' | 'link-down' | 'dial-failed' | 'bytes' | 'drained' }
>;

export interface NetTransportOptions {
  readonly magic: Bytes;
  readonly limits: Limits;
  readonly emit: (event: TransportEvent) => void;
}

interface OpenLink {
  readonly link: Link;
  /** The core has asked for a pause. */
  paused: boolean;
  /** The core has ended it, and why. Then nothing but `link-down` is told. */
  ended: string | undefined;
  /** What waits to be sent, where the line is to be slow; and the timer that waits for the first of it. */
  slow: { readonly sends: SlowSends; timer: NodeJS.Timeout | undefined } | undefined;
  /** Bytes that have left and that the core will be told of in the next turn of the event loop. */
  drained: number;
}

export class NetTransport {
  readonly #options: NetTransportOptions;
  readonly #servers: Server[] = [];
  readonly #upgrades: WebSocketUpgrades;
  /** Inbound connections that have not shown yet what they are, oldest first, each with the timer that ends its wait. */
  readonly #undecided = new Map<Duplex, NodeJS.Timeout>();
  readonly #links = new Map<PeerId, OpenLink>();
  readonly #dials = new Map<DialId, Dial>();
  #nextPeer = 0;
  #held = false;
  #closed = false;

  constructor(options: NetTransportOptions) {
    this.#options = options;
    this.#upgrades = new WebSocketUpgrades(options.limits.maxMessageBytes, (link, socket) => {
      this.#decided(socket);
      this.#open(link, 'inbound');
    });
  }

  /** Listens there; port 0 picks a free one. Resolves to what was bound, rejects with a StartError. */
  async listen(endpoint: Endpoint): Promise<Endpoint> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    const bound = await listenOn(server, endpoint, '--listen');
    this.#servers.push(server);
    return bound;
  }

  dial(dial: DialId, target: DialTarget): void {
    const { dialTimeoutMs, maxMessageBytes } = this.#options.limits;
    const handlers = {
      onLink: (link: Link) => {
        this.#dials.delete(dial);
        this.#open(link, 'outbound', dial);
      },
      onFailed: (reason: string) => {
        this.#dials.delete(dial);
        this.#options.emit({ type: 'dial-failed', dial, reason });
      },
    };
    try {
      this.#dials.set(
        dial,
        target.transport === 'tcp'
          ? dialTcp(target, dialTimeoutMs, handlers)
          : dialWebSocket(target, dialTimeoutMs, maxMessageBytes, handlers),
      );
    } catch (error) {
      // What is no address throws at once, and addresses come from strangers too.
      handlers.onFailed(errorText(error));
    }
  }

  /** Nothing happens if the link has ended: the core learns of that by `link-down`. */
  send(peer: PeerId, bytes: Bytes): void {
    const open = this.#links.get(peer);
    if (open === undefined || open.ended !== undefined) return;
    if (open.slow === undefined) return this.#sendNow(peer, open, bytes);
    open.slow.sends.push(bytes, performance.now());
    this.#sendDue(peer, open);
  }

  /** Sends to the peer as over that line from now on; undefined: as fast as it goes. Order is kept. */
  shape(peer: PeerId, shape: LinkShape | undefined): void {
    const open = this.#links.get(peer);
    if (open === undefined || open.ended !== undefined) return;
    const { slow } = open;
    if (shape === undefined) {
      open.slow = undefined;
      clearTimeout(slow?.timer);
      for (const bytes of slow?.sends.takeAll() ?? []) this.#sendNow(peer, open, bytes);
      return;
    }
    if (slow === undefined) open.slow = { sends: new SlowSends(shape, Math.random), timer: undefined };
    else slow.sends.reshape(shape, performance.now());
    this.#sendDue(peer, open);
  }

  /** `link-down` follows, with this reason. */
  disconnect(peer: PeerId, reason: string): void {
    const open = this.#links.get(peer);
    if (open === undefined || open.ended !== undefined) return;
    open.ended = reason;
    clearTimeout(open.slow?.timer);
    open.link.destroy();
  }

  pause(peer: PeerId): void {
    this.#setPaused(peer, true);
  }

  resume(peer: PeerId): void {
    this.#setPaused(peer, false);
  }

  /** While held, nothing is read from any peer, whatever the core says about single ones. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    for (const open of this.#links.values()) this.#applyPause(open);
  }

  /** Stops listening. Connections go on. */
  stopListening(): void {
    for (const server of this.#servers) server.close();
  }

  /** Ends all connections; nothing is emitted any more. Resolves when the ports are free. */
  async close(): Promise<void> {
    this.#closed = true;
    const closed = this.#servers.map((server) => new Promise((resolve) => server.once('close', resolve)));
    this.stopListening();
    for (const dial of this.#dials.values()) dial.abort();
    for (const socket of this.#undecided.keys()) socket.destroy();
    for (const { link, slow } of this.#links.values()) {
      clearTimeout(slow?.timer);
      link.destroy();
    }
    await Promise.all(closed);
  }

  /** Waits for the first bytes of an inbound connection. */
  #accept(socket: Socket): void {
    const { magic, limits } = this.#options;
    // Whatever becomes of the socket, an error of it is followed by its end and needs no other answer here.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#decided(socket));
    // A peer shows at once what it is. So those that have not for longest give way, or silence could shut peers out.
    const [oldest] = this.#undecided.keys();
    if (oldest !== undefined && this.#undecided.size >= limits.maxInbound) {
      this.#decided(oldest);
      oldest.destroy();
    }
    this.#undecided.set(
      socket,
      setTimeout(() => socket.destroy(), limits.undecidedTimeoutMs),
    );
    let first: Bytes = new Uint8Array(0);
    const onData = (chunk: Buffer) => {
      first = first.length === 0 ? chunk : Buffer.concat([first, chunk]);
      const isHttp = beginsAlike(first, GET);
      const isTcp = beginsAlike(first, magic);
      if (!isHttp && !isTcp) {
        socket.destroy();
        return;
      }
      if (first.length < magic.length) return;
      socket.off('data', onData);
      socket.pause();
      socket.unshift(first);
      if (isHttp) {
        this.#upgrades.accept(socket);
      } else {
        this.#decided(socket);
        this.#open(tcpLink(socket), 'inbound');
      }
    };
    socket.on('data', onData);
  }

  #decided(socket: Duplex): void {
    clearTimeout(this.#undecided.get(socket));
    this.#undecided.delete(socket);
  }

  #open(link: Link, direction: Direction, dial?: DialId): void {
    if (this.#closed) {
      link.destroy();
      return;
    }
    const { emit } = this.#options;
    const peer = this.#nextPeer++ as PeerId;
    const open: OpenLink = { link, paused: false, ended: undefined, slow: undefined, drained: 0 };
    this.#links.set(peer, open);
    link.start({
      onBytes: (bytes) => {
        if (open.ended === undefined && !this.#closed) emit({ type: 'bytes', peer, bytes });
      },
      onDown: (reason) => {
        this.#links.delete(peer);
        clearTimeout(open.slow?.timer);
        const down = open.ended ?? reason;
        open.ended = down;
        if (!this.#closed) emit({ type: 'link-down', peer, reason: down });
      },
    });
    const { transport, remote, local } = link;
    emit({ type: 'link-up', peer, direction, transport, remote, local, ...(dial === undefined ? {} : { dial }) });
    this.#applyPause(open);
  }

  #sendNow(peer: PeerId, open: OpenLink, bytes: Bytes): void {
    open.link.send(bytes, () => {
      if (open.drained === 0) setImmediate(() => this.#tellDrained(peer, open));
      open.drained += bytes.length;
    });
  }

  /** Sends what is due on a slow line, and waits for the next of it. */
  #sendDue(peer: PeerId, open: OpenLink): void {
    const { slow } = open;
    if (slow === undefined) return;
    clearTimeout(slow.timer);
    const now = performance.now();
    for (let piece = slow.sends.take(now); piece !== undefined; piece = slow.sends.take(now)) {
      this.#sendNow(peer, open, piece);
    }
    const { nextAt } = slow.sends;
    if (nextAt !== undefined) slow.timer = setTimeout(() => this.#sendDue(peer, open), Math.ceil(nextAt - now));
  }

  /** One event for all that has left in a turn: small messages go in dozens. */
  #tellDrained(peer: PeerId, open: OpenLink): void {
    const bytes = open.drained;
    open.drained = 0;
    if (open.ended === undefined && !this.#closed) this.#options.emit({ type: 'drained', peer, bytes });
  }

  #setPaused(peer: PeerId, paused: boolean): void {
    const open = this.#links.get(peer);
    if (open === undefined) return;
    open.paused = paused;
    this.#applyPause(open);
  }

  #applyPause({ link, paused }: OpenLink): void {
    if (paused || this.#held) link.pause();
    else link.resume();
  }
}

/** True if the two agree as far as both go. */
function beginsAlike(bytes: Bytes, pattern: Bytes): boolean {
  const length = Math.min(bytes.length, pattern.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== pattern[i]) return false;
  return true;
}
