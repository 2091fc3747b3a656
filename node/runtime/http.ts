/**
 * JSON-RPC over HTTP: who may ask, what the body holds, and when it is answered. RULES.md D1. What a method means is
 * decided in node/rpc; this file knows the envelope (rpc/envelope.ts) and hands calls to the driver.
 */
import { isUtf8 } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { Bytes } from '../../consensus/brand.ts';
import type { Endpoint, RequestId, RpcOutcome, RpcParams } from '../boundary.ts';
import { type Call, callsOf, formatReply, parseBody } from '../rpc/envelope.ts';
import { listenOn } from './listen.ts';
import type { Logger } from './log.ts';

/** Of Bitcoin Core: `serialize.h: MAX_SIZE`. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** The answer to a wrong password is slow, to deter guessing. */
const WRONG_PASSWORD_DELAY_MS = 250;
/** Such answers that wait at once. Those above are given at once and cost the connection: guessing must not cost us more. */
const MAX_DELAYED_REFUSALS = 64;
/** Idle connections and slow headers. */
const IDLE_TIMEOUT_MS = 30_000;
/** A request must have arrived as a whole within this. */
const BODY_TIMEOUT_MS = 120_000;
/** How long we go on reading a body that was refused, so that its sender gets to see the answer. */
const LINGER_MS = 5000;
/** A shutdown waits so long for answers that are on their way. */
const CLOSE_TIMEOUT_MS = 3000;
/** A batch lets other work come between its calls after this. */
const SLICE_MS = 10;
/** Calls of one batch that may be under way together if they follow each other: each waits for its signatures only. */
const PARALLEL_METHOD = 'sendrawtransaction';

/** Stands for bytes that are no text, and so no JSON. */
const NO_JSON = '';

/** Runs calls: the driver. */
export interface RpcCaller {
  call(method: string, params: RpcParams, onOutcome: (outcome: RpcOutcome) => void): RequestId;
  closeCall(request: RequestId): void;
}

export interface RpcServerOptions {
  readonly caller: RpcCaller;
  /** `user:password`. */
  readonly credentials: string;
  /** Calls under way, and HTTP requests under way, at most. */
  readonly maxRequests: number;
  readonly logger: Logger;
}

export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #secret: Bytes;
  readonly #server = createServer(
    {
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      headersTimeout: IDLE_TIMEOUT_MS,
      requireHostHeader: false,
      requestTimeout: BODY_TIMEOUT_MS,
    },
    (request, response) => void this.#serve(request, response),
  );
  /** The header with the right password that was sent on a connection before. */
  readonly #accepted = new WeakMap<Socket, string>();
  /** HTTP requests of those who know the password that are not answered. */
  #open = 0;
  /** Answers to wrong passwords that wait. */
  #delayedRefusals = 0;
  /** Calls that may still be given to the driver at once, and who waits for one of those to end. */
  #freeCalls: number;
  readonly #waitingCalls: (() => void)[] = [];
  #closing = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#secret = digest(options.credentials);
    this.#freeCalls = options.maxRequests;
    // A client that waits to be asked for its body gets a refusal instead of sending it.
    this.#server.on('checkContinue', (request, response) => void this.#serve(request, response));
  }

  /** Port 0 picks a free one. Resolves to what was bound, rejects with a StartError. */
  listen(endpoint: Endpoint): Promise<Endpoint> {
    return listenOn(this.#server, endpoint, '--rpc');
  }

  /** Takes no more requests, waits a while for the answers that are due, and ends all connections. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_TIMEOUT_MS);
    this.#server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  }

  /** Answers one request. Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A connection may break at any time; `close` of the response tells it.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (this.#closing) return sendText(response, 503, 'Shutting down');
    response.once('close', () => {
      if (this.#closing) this.#server.closeIdleConnections();
    });

    if (!isAllowedHost(request.headers.host))
      return sendText(response, 403, 'The Host header must be an IP address or localhost');
    if (request.url !== '/' && !request.url?.startsWith('/wallet/')) return sendText(response, 404, '');
    if (request.method !== 'POST') return sendText(response, 405, 'JSONRPC server handles only POST requests');
    if (!this.#isAuthorised(request)) return await this.#refuse(request, response);

    if (this.#open >= this.#options.maxRequests) return sendText(response, 503, 'Work queue depth exceeded');
    this.#open++;
    response.once('close', () => this.#open--);
    const text = await readBody(request, response);
    if (text === undefined) return;
    const body = parseBody(text);
    const outcomes = await this.#run(callsOf(body), response);
    if (outcomes === undefined) return;
    const reply = formatReply(body, outcomes);
    if (reply.body === null) sendText(response, reply.status, '');
    else send(response, reply.status, reply.body, { 'Content-Type': 'application/json' });
  }

  #isAuthorised({ headers: { authorization }, socket }: IncomingMessage): boolean {
    if (authorization === undefined) return false;
    // Whoever has sent the password on this connection learns nothing from how long it takes to compare it again.
    if (this.#accepted.get(socket) === authorization) return true;
    const encoded = /^Basic +(.*)$/.exec(authorization)?.[1];
    if (encoded === undefined || !timingSafeEqual(digest(Buffer.from(encoded, 'base64')), this.#secret)) return false;
    this.#accepted.set(socket, authorization);
    return true;
  }

  /** The answer to a wrong password waits; one to none at all is given at once. */
  async #refuse(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const headers = { 'WWW-Authenticate': 'Basic realm="jsonrpc"' };
    if (request.headers.authorization === undefined) return sendText(response, 401, '', headers);
    if (this.#delayedRefusals >= MAX_DELAYED_REFUSALS) {
      response.once('finish', () => request.socket.destroy());
      return sendText(response, 401, '', { ...headers, Connection: 'close' });
    }
    this.#options.logger.log('warn', 'wrong RPC password', { from: request.socket.remoteAddress });
    this.#delayedRefusals++;
    await new Promise((resolve) => setTimeout(resolve, WRONG_PASSWORD_DELAY_MS));
    this.#delayedRefusals--;
    sendText(response, 401, '', headers);
  }

  /** The outcomes of the calls, in their order; undefined if the client has gone meanwhile. */
  async #run(calls: readonly Call[], response: ServerResponse): Promise<RpcOutcome[] | undefined> {
    const running = new Set<RequestId>();
    let gone = response.closed;
    response.once('close', () => {
      gone = true;
      for (const request of running) {
        this.#options.caller.closeCall(request);
        this.#releaseCall();
      }
      running.clear();
    });

    const outcomes: RpcOutcome[] = [];
    let group: Promise<RpcOutcome>[] = [];
    let since = performance.now();
    for (const [index, call] of calls.entries()) {
      if (this.#freeCalls > 0) this.#freeCalls--;
      else await new Promise<void>((resolve) => this.#waitingCalls.push(resolve));
      if (gone) {
        this.#releaseCall();
        return undefined;
      }
      group.push(this.#call(call, running));
      if (call.method !== PARALLEL_METHOD || calls[index + 1]?.method !== PARALLEL_METHOD) {
        for (const outcome of await Promise.all(group)) outcomes.push(outcome);
        group = [];
      }
      if (performance.now() - since > SLICE_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        since = performance.now();
      }
    }
    return outcomes;
  }

  /** Never settles if the client goes: then nobody waits for it. */
  #call(call: Call, running: Set<RequestId>): Promise<RpcOutcome> {
    return new Promise((resolve) => {
      let request: RequestId | undefined;
      let outcome: RpcOutcome | undefined;
      const settle = () => {
        if (request === undefined || outcome === undefined || !running.delete(request)) return;
        this.#releaseCall();
        resolve(outcome);
      };
      request = this.#options.caller.call(call.method, call.params, (value) => {
        outcome = value;
        settle();
      });
      running.add(request);
      settle();
    });
  }

  #releaseCall(): void {
    const next = this.#waitingCalls.shift();
    if (next === undefined) this.#freeCalls++;
    else next();
  }
}

/** A page whose name was made to point at this machine sends that name: an address or localhost it cannot send. */
function isAllowedHost(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return name.toLowerCase() === 'localhost' || isIP(name) !== 0;
}

/** The body as text. Undefined if it is too large, which was answered, or if the client has gone. */
function readBody(request: IncomingMessage, response: ServerResponse): Promise<string | undefined> {
  return new Promise((resolve) => {
    if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
      refuseBody(request, response);
      resolve(undefined);
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      request.removeAllListeners('data');
      chunks.length = 0;
      refuseBody(request, response);
      resolve(undefined);
    });
    request.on('end', () => {
      const [first = Buffer.alloc(0)] = chunks;
      const body = chunks.length === 1 ? first : Buffer.concat(chunks);
      resolve(isUtf8(body) ? body.toString('utf8') : NO_JSON);
    });
    request.on('close', () => resolve(undefined));
  });
}

/** Answers at once, but ends the connection only when the client has sent all or had time to read the answer. */
function refuseBody(request: IncomingMessage, response: ServerResponse): void {
  const text = `The body is larger than ${MAX_BODY_BYTES} bytes`;
  response.writeHead(413, {
    'Content-Type': 'text/plain',
    'Content-Length': Buffer.byteLength(text),
    Connection: 'close',
  });
  response.write(text);
  const timer = setTimeout(() => response.end(), LINGER_MS);
  request.on('close', () => {
    clearTimeout(timer);
    response.end();
  });
  request.resume();
}

function sendText(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  send(response, status, text, text === '' ? headers : { 'Content-Type': 'text/plain', ...headers });
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string>): void {
  if (response.destroyed) return;
  response.writeHead(status, status === 204 ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

/** Digests have one length, so that comparing them takes one time. */
function digest(secret: string | Bytes): Bytes {
  return createHash('sha256').update(secret).digest();
}
