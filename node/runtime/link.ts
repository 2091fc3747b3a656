/** A connection to a peer as the transport sees it, whatever carries it. Two implementations: tcp.ts and websocket.ts. */
import type { Socket } from 'node:net';
import type { Bytes } from '../../consensus/brand.ts';
import type { Endpoint, Millis, Transport } from '../boundary.ts';

/** An open connection that carries a stream of bytes both ways. It begins paused. */
export interface Link {
  readonly transport: Transport;
  /** The other end and ours, as the socket reports them. */
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Called once, before `resume`. */
  start(handlers: LinkHandlers): void;
  /** `onSent` is called when the bytes have been handed to the network, never if the connection ends before. */
  send(bytes: Bytes, onSent: () => void): void;
  pause(): void;
  resume(): void;
  /** Ends the connection at once; what is not sent is lost. `onDown` follows. */
  destroy(): void;
}

export interface LinkHandlers {
  onBytes(bytes: Bytes): void;
  /** A piece of so many bytes has come from the network, and with all that followed from it took so long. */
  onRead(bytes: number, ms: Millis): void;
  /** So many bytes have come that can only be told when the rest of their frame is there; give or take one read. */
  onHeld(bytes: number): void;
  /** The connection has ended. The last call, and exactly one. */
  onDown(reason: string): void;
}

export interface DialOptions {
  /** For the whole dial, until the link is open. */
  readonly timeoutMs: Millis;
  /** A stranger named the target: it must lead to public addresses only. */
  readonly publicOnly: boolean;
}

/** A dial that can be given up: then neither function of it is called. */
export interface Dial {
  abort(): void;
}

export interface DialHandlers {
  onLink(link: Link): void;
  onFailed(reason: string): void;
}

/** The system asks silent peers whether they are still there, so that hosts that have gone do not keep their links. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

/**
 * A peer that will send no more has gone, even if it could still read: what waits for it would wait as long as it likes.
 * The one function for all sockets, which costs an idle link nothing.
 */
export function endWithPeer(this: Socket): void {
  this.destroy();
}

/**
 * What is written to the socket in one turn goes to the operating system together: a node that relays sends many small
 * messages. Call it before each write.
 */
export function gatherWrites(socket: Socket): () => void {
  let gathering = false;
  const release = () => {
    gathering = false;
    socket.uncork();
  };
  return () => {
    if (gathering) return;
    gathering = true;
    socket.cork();
    setImmediate(release);
  };
}

/** An address of a socket as an endpoint; an IPv4 address in IPv6 clothes is undressed. */
export function socketEndpoint(host: string | undefined, port: number | undefined): Endpoint {
  const plain = host?.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host;
  return { host: plain ?? '', port: port ?? 0 };
}
