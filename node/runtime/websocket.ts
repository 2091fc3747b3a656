/**
 * Links over WebSocket: the upgrade of inbound connections, dialling, and the link itself. The frames' cuts mean nothing:
 * binary frames are pieces of one byte stream, so a stock WebSocket-to-TCP proxy is a peer too. No subprotocol, no
 * compression; a text frame ends the link.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import type { DialTarget, Millis } from '../boundary.ts';
import { type Dial, type DialHandlers, gatherWrites, type Link, socketEndpoint } from './link.ts';

/** Pings of a peer are not answered while this much waits to be sent to it: else a flood of them would fill our memory. */
const MAX_BUFFERED_FOR_PONG = 65_536;
/** Code 1003 of RFC 6455: a type of data that we do not take. */
const CLOSE_UNSUPPORTED_DATA = 1003;

/** For both directions. A frame may be of any size up to a whole message. */
function socketOptions(maxMessageBytes: number) {
  return { perMessageDeflate: false, maxPayload: maxMessageBytes + 1024, skipUTF8Validation: true, autoPong: false };
}

/** Upgrades connections whose first bytes are those of an HTTP request. It does not listen itself. */
export class WebSocketUpgrades {
  readonly #http = createServer();
  readonly #upgrades: WebSocketServer;

  constructor(maxMessageBytes: number, onLink: (link: Link, socket: Duplex) => void) {
    this.#upgrades = new WebSocketServer({ noServer: true, clientTracking: false, ...socketOptions(maxMessageBytes) });
    this.#http.on('request', (_request, response) => {
      response.writeHead(426, { Connection: 'close', Upgrade: 'websocket', 'Content-Type': 'text/plain' });
      response.end('This port takes WebSocket connections of peers. The RPC port is another one.\n');
    });
    this.#http.on('upgrade', (request, socket, head) => {
      if (!isAllowedOrigin(request.headers.origin)) {
        socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      this.#upgrades.handleUpgrade(request, socket, head, (ws) => onLink(webSocketLink(ws, 'ws', request), socket));
    });
  }

  /** Takes a paused connection over; bytes that were read from it must have been put back. */
  accept(socket: Socket): void {
    this.#http.emit('connection', socket);
    socket.resume();
  }
}

/** A page in a browser always names its origin. Only pages from this machine may be peers. */
function isAllowedOrigin(origin: string | undefined): boolean {
  if (origin === undefined) return true;
  if (!URL.canParse(origin)) return false;
  const { hostname } = new URL(origin);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

export function dialWebSocket(
  target: DialTarget,
  timeoutMs: Millis,
  maxMessageBytes: number,
  { onLink, onFailed }: DialHandlers,
): Dial {
  const transport = target.transport === 'wss' ? 'wss' : 'ws';
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  const options: ClientOptions = { ...socketOptions(maxMessageBytes), handshakeTimeout: timeoutMs };
  const ws = new WebSocket(`${transport}://${host}:${target.port}${target.path ?? '/'}`, options);
  let done = false;
  let upgrade: IncomingMessage | undefined;
  ws.on('upgrade', (response) => {
    upgrade = response;
  });
  ws.on('open', () => {
    if (done || upgrade === undefined) return;
    done = true;
    ws.pause();
    onLink(webSocketLink(ws, transport, upgrade));
  });
  ws.on('error', (error) => {
    if (done) return;
    done = true;
    onFailed(error.message);
  });
  return {
    abort() {
      done = true;
      ws.terminate();
    },
  };
}

/** The link over an open WebSocket. `http` is the message that opened it: it knows the socket. */
function webSocketLink(ws: WebSocket, transport: 'ws' | 'wss', { socket }: IncomingMessage): Link {
  const gather = gatherWrites(socket);
  let reason: string | undefined;
  ws.pause();
  return {
    transport,
    remote: socketEndpoint(socket.remoteAddress, socket.remotePort),
    local: socketEndpoint(socket.localAddress, socket.localPort),
    start({ onBytes, onDown }) {
      ws.on('message', (data, isBinary) => {
        if (isBinary) {
          onBytes(data as Buffer); // ws gives binary frames as one Buffer unless told otherwise.
        } else {
          reason ??= 'sent a text frame';
          ws.close(CLOSE_UNSUPPORTED_DATA, 'binary frames only');
          ws.terminate(); // The close frame is with the operating system; nobody waits for its answer.
        }
      });
      ws.on('ping', (data) => {
        if (ws.bufferedAmount < MAX_BUFFERED_FOR_PONG) ws.pong(data);
      });
      ws.on('error', (error) => {
        reason ??= error.message;
      });
      ws.on('close', (code) => onDown(reason ?? `closed by the peer (${code})`));
    },
    send(bytes, onSent) {
      gather();
      ws.send(bytes, { binary: true }, (error) => {
        if (error == null) onSent();
      });
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    destroy: () => ws.terminate(),
  };
}
