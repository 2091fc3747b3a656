/** Transports on loopback and clients of all kinds for their tests; all are closed after each test. */
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach } from '@jest/globals';
import { type ClientOptions, WebSocket } from 'ws';
import { regtest } from '../../../consensus/params.ts';
import type { DialId, Endpoint, PeerId } from '../../../node/boundary.ts';
import { type Limits, localLimits } from '../../../node/limits.ts';
import type { TlsIdentity } from '../../../node/runtime/tls.ts';
import { NetTransport, type NetTransportOptions, type TransportEvent } from '../../../node/runtime/transport.ts';
import { AUTHORITY } from '../../support/certificates.ts';

export const HOST = '127.0.0.1';
export const magic = Buffer.from(regtest.magic);

export const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export interface StartOptions extends Partial<Pick<NetTransportOptions, 'allowedOrigins' | 'authorities'>> {
  readonly limits?: Partial<Limits>;
  readonly identity?: TlsIdentity;
}

/** A transport that listens, and a way to wait for its events. */
export async function startTransport({ limits = {}, identity, ...options }: StartOptions = {}) {
  const events: TransportEvent[] = [];
  const waiting = new Set<() => void>();
  const transport = new NetTransport({
    magic: regtest.magic,
    limits: { ...localLimits, ...limits },
    emit: (event) => {
      events.push(event);
      for (const wake of waiting) wake();
      waiting.clear();
    },
    ...options,
  });
  closers.push(() => transport.close());
  const endpoint = await transport.listen({ host: HOST, port: 0 }, identity);
  const change = () =>
    new Promise<void>((resolve) => {
      waiting.add(resolve);
    });
  /** The first event that meets the condition, now or later. */
  async function until<Type extends TransportEvent['type']>(
    type: Type,
    wanted: (event: Extract<TransportEvent, { type: Type }>) => boolean = () => true,
  ): Promise<Extract<TransportEvent, { type: Type }>> {
    for (;;) {
      for (const event of events) {
        if (event.type === type && wanted(event as Extract<TransportEvent, { type: Type }>)) {
          return event as Extract<TransportEvent, { type: Type }>;
        }
      }
      await change();
    }
  }
  const received = (peer: PeerId) =>
    Buffer.concat(events.flatMap((event) => (event.type === 'bytes' && event.peer === peer ? [event.bytes] : [])));
  async function untilReceived(peer: PeerId, length: number): Promise<Buffer> {
    while (received(peer).length < length) await change();
    return received(peer);
  }
  return { transport, endpoint, events, until, received, untilReceived };
}

export async function tcpClient({ port }: Endpoint, options: Partial<NetConnectOpts> = {}): Promise<Socket> {
  const socket = connect({ host: HOST, ...options, port } as NetConnectOpts);
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

export async function tlsClient({ port }: Endpoint, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = tlsConnect({ host: HOST, port, ca: AUTHORITY, ...options });
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

export async function webSocketClient({ port }: Endpoint, options: ClientOptions = {}): Promise<WebSocket> {
  const ws = new WebSocket(`ws://${HOST}:${port}/`, options);
  ws.on('error', () => undefined);
  closers.push(() => ws.terminate());
  await once(ws, 'open');
  return ws;
}

/** A server of any behaviour, and its port. */
export async function rawServer(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** The end of a socket, with or without an error, and all that it brought until then. */
export async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

export const dialOf = (id: number) => id as DialId;
export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** An upgrade as text, with these headers in place of the usual ones; undefined leaves one out. */
export function upgradeText(headers: Readonly<Record<string, string | undefined>> = {}): string {
  const all: Record<string, string | undefined> = {
    Host: 'x',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `GET / HTTP/1.1\r\n${lines.join('')}\r\n`;
}
