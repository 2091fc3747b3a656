/**
 * Links over WebSocket: the upgrade of inbound connections, dialling, and the link itself. The frames' cuts mean nothing:
 * binary frames are pieces of one byte stream, so a stock WebSocket-to-TCP proxy is a peer too. No subprotocol, no
 * compression; a text frame ends the link.
 */
import { createServer, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket } from 'node:tls';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import type { DialTarget } from '../boundary.ts';
import {
  type Dial,
  type DialHandlers,
  type DialOptions,
  endWithPeer,
  gatherWrites,
  KEEP_ALIVE,
  type Link,
  socketEndpoint,
} from './link.ts';
import type { Origins } from './origins.ts';
import { literalRefusal, publicLookup } from './public-lookup.ts';
import { tlsFailure } from './tls.ts';

/** Pings of a peer are not answered while this much waits to be sent to it: else a flood of them would fill our memory. */
const MAX_BUFFERED_FOR_PONG = 65_536;
/** Code 1003 of RFC 6455: a type of data that we do not take. */
const CLOSE_UNSUPPORTED_DATA = 1003;
/** Of an upgrade, in both directions. A browser with cookies stays far below. */
const MAX_HEADER_BYTES = 8192;
const MAX_HEADERS = 64;
/**
 * Of one message: parts, and pieces in which it came from the network. Each costs some hundred bytes of memory, however small
 * it is. Nobody who cuts messages into parts makes them smaller than 1 KB; the network does.
 */
const MAX_PARTS = 4096;
const MAX_PIECES = 16_384;

export interface WebSocketDialOptions extends DialOptions {
  readonly maxMessageBytes: number;
  /** Whom to trust over TLS; undefined: Node's own authorities. */
  readonly secureContext: SecureContext | undefined;
}

/** For both directions. A frame may be of any size up to a whole message. */
function socketOptions(maxMessageBytes: number) {
  return {
    perMessageDeflate: false,
    maxPayload: maxMessageBytes + 1024,
    maxFragments: MAX_PARTS,
    maxBufferedChunks: MAX_PIECES,
    skipUTF8Validation: true,
    autoPong: false,
  };
}

/** Upgrades connections whose first bytes are those of an HTTP request. It does not listen itself. */
export class WebSocketUpgrades {
  readonly #http = createServer({ maxHeaderSize: MAX_HEADER_BYTES });
  readonly #upgrades: WebSocketServer;

  constructor(maxMessageBytes: number, origins: Origins, onLink: (link: Link, socket: Socket) => void) {
    this.#upgrades = new WebSocketServer({ noServer: true, clientTracking: false, ...socketOptions(maxMessageBytes) });
    this.#http.on('request', (_request, response) => {
      response.writeHead(426, { Connection: 'close', Upgrade: 'websocket', 'Content-Type': 'text/plain' });
      response.end('This port takes WebSocket connections of peers. The RPC port is another one.\n');
    });
    this.#http.on('upgrade', (request, socket, head) => {
      const refused = refusal(request, origins);
      if (refused !== undefined) return refuse(socket, ...refused);
      const transport = request.socket instanceof TLSSocket ? 'wss' : 'ws';
      this.#upgrades.handleUpgrade(request, socket, head, (ws) => {
        onLink(webSocketLink(ws, transport, request.socket), request.socket);
      });
    });
  }

  /** Takes a paused connection over; bytes that were read from it must have been put back. */
  accept(socket: Socket): void {
    this.#http.emit('connection', socket);
    socket.resume();
  }
}

/** The status and the text with which an upgrade is refused. ws looks at the version and the key. */
function refusal({ headers, rawHeaders }: IncomingMessage, origins: Origins): [string, string] | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    return ['431 Request Header Fields Too Large', `At most ${MAX_HEADERS} headers are read.`];
  }
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') {
    return ['400 Bad Request', 'An upgrade has no body.'];
  }
  if (!origins.allow(headers.origin)) {
    const text =
      'Pages of other machines may not use this node. Its option --allow-origin ORIGIN lets pages of one in.';
    return ['403 Forbidden', text];
  }
  return undefined;
}

function refuse(socket: Duplex, status: string, text: string): void {
  const body = `${text}\n`;
  const head = `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}`;
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${body}`);
}

export function dialWebSocket(
  target: DialTarget,
  { timeoutMs, maxMessageBytes, publicOnly, secureContext }: WebSocketDialOptions,
  { onLink, onFailed }: DialHandlers,
): Dial {
  const transport = target.transport === 'wss' ? 'wss' : 'ws';
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  const url = new URL(`${transport}://${host}:${target.port}${target.path ?? '/'}`);
  // As the URL has it: there a number such as 0x7f000001 has become an address.
  const refused = publicOnly ? literalRefusal(url.hostname.replace(/^\[|\]$/g, '')) : undefined;
  if (refused !== undefined) throw new Error(refused);
  const options: ClientOptions & Pick<RequestOptions, 'maxHeaderSize'> = {
    ...socketOptions(maxMessageBytes),
    maxHeaderSize: MAX_HEADER_BYTES,
    ...KEEP_ALIVE,
    ...(publicOnly ? { lookup: publicLookup() } : {}),
    ...(secureContext === undefined ? {} : { secureContext }),
  };
  const ws = new WebSocket(url, options);
  let done = false;
  let upgrade: IncomingMessage | undefined;
  const fail = (reason: string) => {
    if (done) return;
    end();
    onFailed(reason);
  };
  // Of the whole dial. The timeout of ws begins anew with each byte that comes.
  const timer = setTimeout(() => {
    fail('timed out');
    ws.terminate();
  }, timeoutMs);
  function end(): void {
    done = true;
    clearTimeout(timer);
  }
  ws.on('upgrade', (response) => {
    upgrade = response;
  });
  ws.on('open', () => {
    if (done || upgrade === undefined) return;
    end();
    ws.pause();
    onLink(webSocketLink(ws, transport, upgrade.socket));
  });
  ws.on('error', (error) => fail(tlsFailure(error)));
  return {
    abort() {
      end();
      ws.terminate();
    },
  };
}

/** The link over an open WebSocket, and the socket that carries it. */
function webSocketLink(ws: WebSocket, transport: 'ws' | 'wss', socket: Socket): Link {
  const gather = gatherWrites(socket);
  let reason: string | undefined;
  ws.pause();
  return {
    transport,
    remote: socketEndpoint(socket.remoteAddress, socket.remotePort),
    local: socketEndpoint(socket.localAddress, socket.localPort),
    start({ onBytes, onRead, onHeld, onDown }) {
      let held = 0;
      /** When the piece that is being read came; undefined between two. */
      let began: number | undefined;
      // Before ws reads it. As a first listener of `data`, `on` would make the socket flow.
      socket.prependListener('data', (chunk: Buffer) => {
        began = performance.now();
        held += chunk.length;
        onHeld(held);
      });
      // What came in one piece goes on as one: it may be a frame for each byte.
      let frames: Buffer[] = [];
      const pass = () => {
        const passed = frames;
        frames = [];
        const [first] = passed;
        if (first !== undefined) onBytes(passed.length === 1 ? first : Buffer.concat(passed));
      };
      // After ws has read it.
      socket.on('data', (chunk: Buffer) => {
        pass();
        if (began !== undefined) onRead(chunk.length, performance.now() - began);
        began = undefined;
      });
      ws.on('message', (data, isBinary) => {
        held = 0;
        onHeld(0);
        if (isBinary) {
          frames.push(data as Buffer); // ws gives binary frames as one Buffer unless told otherwise.
          if (began === undefined) pass();
        } else {
          pass();
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
      socket.on('end', endWithPeer);
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
