/**
 * Links to peers: listening, dialling, and their bytes as events. Owns the sockets and the numbers of the links; what the
 * bytes mean is none of its business.
 *
 * One port speaks both transports. A connection that begins with `GET ` is upgraded to WebSocket, one that begins with the
 * network's magic is the plain TCP stream, and anything else is closed at once: Bitcoin Core tries its encrypted transport
 * first and comes back with the plain one only then. A port for TLS speaks WebSocket inside of it and nothing else.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Bytes } from '../../consensus/brand.ts';
import type { DialId, DialTarget, Direction, Endpoint, Event, LinkShape, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { type Dial, KEEP_ALIVE, type Link } from './link.ts';
import { listenOn } from './listen.ts';
import { Origins } from './origins.ts';
import { type Reader, ReadTurns } from './read-turns.ts';
import { SlowSends } from './slow-sends.ts';
import { errorText } from './start-error.ts';
import { dialTcp, tcpLink } from './tcp.ts';
import { clientContext, serverContext, type TlsIdentity } from './tls.ts';
import { Undecided } from './undecided.ts';
import { dialWebSocket, WebSocketUpgrades } from './websocket.ts';

const GET = Uint8Array.from([0x47, 0x45, 0x54, 0x20]);
const EMPTY: Bytes = new Uint8Array(0);
const ignore = () => undefined;

export type TransportEvent = Extract<
  Event,
  { readonly type: 'link-up' | 'link-down' | 'dial-failed' | 'bytes' | 'drained' }
>;

export interface NetTransportOptions {
  readonly magic: Bytes;
  readonly limits: Limits;
  readonly emit: (event: TransportEvent) => void;
  /** Pages that may be peers, beside those of this machine: `https://host[:port]`. */
  readonly allowedOrigins?: readonly string[];
  /** Certificates in PEM that are trusted when dialling over TLS, beside the authorities that Node trusts. */
  readonly authorities?: string | undefined;
}

interface OpenLink {
  readonly link: Link;
  readonly direction: Direction;
  /** The core has asked for a pause. */
  paused: boolean;
  readonly reader: Reader;
  /** The core has ended it, and why. Then nothing but `link-down` is told. */
  ended: string | undefined;
  /** What waits to be sent, where the line is to be slow; and the timer that waits for the first of it. */
  slow: { readonly sends: SlowSends; timer: NodeJS.Timeout | undefined } | undefined;
  /** Bytes that came and that wait for the rest of their frame. */
  held: number;
  /** Bytes that have left and that the core will be told of in the next turn of the event loop. */
  drained: number;
}

export class NetTransport {
  readonly #options: NetTransportOptions;
  readonly #servers: Server[] = [];
  readonly #upgrades: WebSocketUpgrades;
  readonly #undecided: Undecided;
  readonly #authorities: SecureContext | undefined;
  readonly #links = new Map<PeerId, OpenLink>();
  readonly #dials = new Map<DialId, Dial>();
  readonly #turns = new ReadTurns((reader) => this.#onTurn(reader));
  readonly #readers = new Map<Reader, OpenLink>();
  /** The sum of `held`. */
  #held = 0;
  #nextPeer = 0;
  #holding = false;
  #closed = false;

  constructor(options: NetTransportOptions) {
    this.#options = options;
    const { limits, allowedOrigins = [], authorities } = options;
    this.#undecided = new Undecided(limits.maxInbound, limits.undecidedTimeoutMs);
    this.#authorities = authorities === undefined ? undefined : clientContext(authorities);
    this.#upgrades = new WebSocketUpgrades(limits.maxMessageBytes, new Origins(allowedOrigins), (link, socket) => {
      this.#undecided.delete(socket);
      this.#open(link, 'inbound');
    });
  }

  /** Listens there, over TLS if there is an identity; port 0 picks a free one. Resolves to what was bound, rejects with a StartError. */
  async listen(endpoint: Endpoint, identity?: TlsIdentity): Promise<Endpoint> {
    const context = identity === undefined ? undefined : serverContext(identity);
    const server = createServer({ noDelay: true, ...KEEP_ALIVE }, (socket) => this.#accept(socket, context));
    const bound = await listenOn(server, endpoint, '--listen');
    this.#servers.push(server);
    return bound;
  }

  /** `publicOnly`: the dial fails if the target, or an address of its name, is not of the public internet. */
  dial(dial: DialId, target: DialTarget, publicOnly = false): void {
    const { dialTimeoutMs: timeoutMs, maxMessageBytes } = this.#options.limits;
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
    const secureContext = this.#authorities;
    try {
      this.#dials.set(
        dial,
        target.transport === 'tcp'
          ? dialTcp(target, { timeoutMs, publicOnly }, handlers)
          : dialWebSocket(target, { timeoutMs, publicOnly, maxMessageBytes, secureContext }, handlers),
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
    // Now, and not with `link-down`: until that comes others would have to go for what this one holds.
    this.#release(open);
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
    if (held === this.#holding) return;
    this.#holding = held;
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
    this.#undecided.destroyAll();
    this.#turns.close();
    for (const { link, slow } of this.#links.values()) {
      clearTimeout(slow?.timer);
      link.destroy();
    }
    await Promise.all(closed);
  }

  /** Waits for the first bytes of an inbound connection, and over TLS for the handshake before them. */
  #accept(socket: Socket, secureContext: SecureContext | undefined): void {
    const { magic } = this.#options;
    const remote = socket.remoteAddress ?? '';
    const carrier =
      secureContext === undefined
        ? socket
        : new TLSSocket(socket, { isServer: true, secureContext, requestCert: false });
    // Whatever becomes of the socket, an error of it is followed by its end and needs no other answer here.
    carrier.on('error', ignore);
    const onEnd = () => this.#undecided.delete(carrier);
    carrier.on('close', onEnd);
    this.#undecided.add(carrier, remote);
    let first: Bytes = EMPTY;
    const onData = (chunk: Buffer) => {
      first = first.length === 0 ? chunk : Buffer.concat([first, chunk]);
      const isHttp = beginsAlike(first, GET);
      const isTcp = secureContext === undefined && beginsAlike(first, magic);
      if (!isHttp && !isTcp) {
        carrier.destroy();
        return;
      }
      if (first.length < magic.length) return;
      carrier.off('data', onData);
      carrier.pause();
      carrier.unshift(first);
      if (isHttp) {
        this.#upgrades.accept(carrier);
      } else {
        this.#undecided.delete(carrier);
        carrier.off('close', onEnd);
        this.#open(tcpLink(carrier), 'inbound');
      }
    };
    carrier.on('data', onData);
  }

  #open(link: Link, direction: Direction, dial?: DialId): void {
    if (this.#closed) {
      link.destroy();
      return;
    }
    const { emit } = this.#options;
    const peer = this.#nextPeer++ as PeerId;
    const reader = this.#turns.add();
    const open: OpenLink = {
      ...{ link, direction, paused: false, reader },
      ...{ ended: undefined, slow: undefined, held: 0, drained: 0 },
    };
    this.#links.set(peer, open);
    this.#readers.set(reader, open);
    link.start({
      onBytes: (bytes) => {
        if (open.ended === undefined && !this.#closed) emit({ type: 'bytes', peer, bytes });
      },
      onRead: (bytes, ms) => {
        if (open.ended === undefined && !this.#closed) this.#turns.onRead(reader, bytes, ms);
      },
      onHeld: (bytes) => this.#onHeld(open, bytes),
      onDown: (reason) => {
        this.#links.delete(peer);
        this.#readers.delete(reader);
        this.#turns.remove(reader);
        this.#release(open);
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

  /** Frames that are long and never end must not fill the memory: the inbound peer of which most is held goes. */
  #onHeld(open: OpenLink, bytes: number): void {
    if (open.ended !== undefined) return;
    this.#held += bytes - open.held;
    open.held = bytes;
    if (this.#held <= this.#options.limits.maxPartialBytes) return;
    let most: readonly [PeerId, OpenLink] | undefined;
    for (const entry of this.#links) {
      const [, { direction, ended, held }] = entry;
      if (direction === 'inbound' && ended === undefined && held > (most?.[1].held ?? 0)) most = entry;
    }
    if (most !== undefined) this.disconnect(most[0], 'too much of a frame whose end does not come');
  }

  #release(open: OpenLink): void {
    this.#held -= open.held;
    open.held = 0;
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

  #onTurn(reader: Reader): void {
    const open = this.#readers.get(reader);
    if (open !== undefined) this.#applyPause(open);
  }

  #applyPause({ link, paused, reader }: OpenLink): void {
    if (paused || reader.resting || this.#holding) link.pause();
    else link.resume();
  }
}

/** True if the two agree as far as both go. */
function beginsAlike(bytes: Bytes, pattern: Bytes): boolean {
  const length = Math.min(bytes.length, pattern.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== pattern[i]) return false;
  return true;
}
