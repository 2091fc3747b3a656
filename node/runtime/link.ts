/** A connection to a peer as the transport sees it, whatever carries it. Two implementations: tcp.ts and websocket.ts. */
import type { Socket } from 'node:net';
import type { Bytes } from '../../consensus/brand.ts';
import type { Endpoint, Transport } from '../boundary.ts';

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
  /** The connection has ended. The last call, and exactly one. */
  onDown(reason: string): void;
}

/** A dial that can be given up: then neither function of it is called. */
export interface Dial {
  abort(): void;
}

export interface DialHandlers {
  onLink(link: Link): void;
  onFailed(reason: string): void;
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
