/**
 * The process behind an unlocked wallet, without the process: keeps the key of one wallet file in memory until a time-out or
 * until it is told to forget, and gives it to commands of the same user over a socket in a folder of that user alone.
 * One line of JSON each way: `{"op":"key"}`, `{"op":"status"}` or `{"op":"lock"}`, and a `SessionAnswer`.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** What an agent is started with. */
export interface SessionRequest {
  /** Where it listens: a path that nothing listens at. */
  readonly socket: string;
  /** The 32 bytes of keystore.ts's `keyOfPassword`, in hex. */
  readonly key: string;
  /** When the key is forgotten, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

export interface SessionAnswer {
  readonly expiresAtMs: number;
  /** Only to `key`. */
  readonly key?: string;
}

export interface SessionClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once after so many milliseconds of running; returns what cancels it. */
  after(ms: number, action: () => void): () => void;
}

const MAX_REQUEST_BYTES = 100;
const MAX_CONNECTIONS = 16;
const CONNECTION_TIMEOUT_MS = 5_000;
const OWNER_ONLY = 0o600;

export class SessionAgent {
  /** Resolves when the key is forgotten and the socket is gone. */
  readonly ended: Promise<void>;
  readonly #request: Omit<SessionRequest, 'key'>;
  readonly #key: Buffer;
  readonly #clock: SessionClock;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #onEnded: () => void = () => undefined;
  #cancel: () => void = () => undefined;

  constructor({ key, ...request }: SessionRequest, clock: SessionClock) {
    this.#request = request;
    this.#key = Buffer.from(key, 'hex');
    this.#clock = clock;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
  }

  /** Begins to answer. The folder of the socket must be its owner's alone. */
  async listen(): Promise<void> {
    const { socket, expiresAtMs } = this.#request;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socket, resolve);
    });
    chmodSync(socket, OWNER_ONLY);
    this.#cancel = this.#clock.after(Math.max(expiresAtMs - this.#clock.now(), 0), () => this.end());
  }

  /** Forgets the key and stops. A connection that is being answered may live on until it is. */
  end(answering?: Socket): void {
    this.#key.fill(0);
    this.#cancel();
    this.#server.close(() => this.#onEnded());
    rmSync(this.#request.socket, { force: true });
    for (const connection of this.#connections) if (connection !== answering) connection.destroy();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.setTimeout(CONNECTION_TIMEOUT_MS, () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    // Whoever asked and went away needs no answer.
    socket.on('error', () => socket.destroy());
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_REQUEST_BYTES) socket.destroy();
      else if (text.endsWith('\n')) this.#answer(socket, text.trim());
    });
  }

  #answer(socket: Socket, request: string): void {
    const { expiresAtMs } = this.#request;
    // The timer stands still while the machine sleeps; the clock does not.
    const isOver = this.#clock.now() >= expiresAtMs;
    const answer: SessionAnswer =
      request === KEY && !isOver ? { expiresAtMs, key: this.#key.toString('hex') } : { expiresAtMs };
    // The socket is gone before the answer comes, so that the next agent can have its place.
    if (isOver || request === LOCK) this.end(socket);
    socket.end(`${JSON.stringify(answer)}\n`);
  }
}

/** The requests as they are sent. */
export const KEY = '{"op":"key"}';
export const STATUS = '{"op":"status"}';
export const LOCK = '{"op":"lock"}';
