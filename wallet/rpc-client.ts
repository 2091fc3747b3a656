/**
 * JSON-RPC over HTTP to one node, for commands. Every failure becomes a CliError: exit 3 where no node answers or it does
 * not know us, exit 4 with the node's own reason where it refuses. RULES.md D1.
 */
import { Agent, type IncomingMessage, request } from 'node:http';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';

/** The node refused a call. `code` is its reject reason without what it adds (`bad-txns-inputs-missingorspent`). */
export class NodeRefusal extends CliError {
  /** The JSON-RPC error code: -26 refused by the rules, -25 could not be judged, -5 unknown, … */
  readonly rpcCode: number;

  constructor(rpcCode: number, message: string, hint?: string) {
    super(Exit.refused, reasonOf(rpcCode, message), message, hint);
    this.rpcCode = rpcCode;
  }
}

export interface RpcTarget {
  /** `HOST:PORT`. */
  readonly endpoint: string;
  /** `user:password`, read again for each client; undefined if the node's cookie was not found. */
  readonly credentials: string | undefined;
  /** Where the credentials were looked for: named in the error if the node refuses them. */
  readonly cookieFile: string;
  /** What to do when nothing answers. */
  readonly hint?: string;
}

export type RpcCall = readonly [method: string, params: readonly unknown[]];

/** A call that takes this long is given up: blocks are mined within it, and a hung node is noticed. */
const CALL_TIMEOUT_MS = 120_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

export class RpcClient {
  readonly target: RpcTarget;
  readonly #host: string;
  readonly #port: number;
  readonly #timeoutMs: number;
  /** One connection is kept and used again. It does not keep the process alive. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #isClosed = false;

  constructor(target: RpcTarget, timeoutMs = CALL_TIMEOUT_MS) {
    const { host, port } = parseEndpoint(target.endpoint);
    this.target = target;
    this.#host = host;
    this.#port = port;
    this.#timeoutMs = timeoutMs;
  }

  /** The result of one call. Throws CliError. */
  async call(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const answer = await this.#post({ jsonrpc: '1.0', id: 0, method, params });
    return this.#result(answer, method);
  }

  /** The results of several calls made in one request, in their order. The first that was refused throws. */
  async batch(calls: readonly RpcCall[]): Promise<unknown[]> {
    if (calls.length === 0) return [];
    const answers = await this.#post(calls.map(([method, params], id) => ({ jsonrpc: '1.0', id, method, params })));
    if (!Array.isArray(answers) || answers.length !== calls.length) throw this.#notANode('a batch was not answered');
    const byId = new Map(answers.map((answer) => [(answer as { id?: unknown } | null)?.id, answer]));
    return calls.map(([method], id) => this.#result(byId.get(id), method));
  }

  /** Closes the connection that is kept open. */
  close(): void {
    this.#isClosed = true;
    this.#agent.destroy();
  }

  #result(answer: unknown, method: string): unknown {
    const { result, error } = (answer ?? {}) as { result?: unknown; error?: unknown };
    if (error !== undefined && error !== null) {
      const { code, message } = error as { code?: unknown; message?: unknown };
      if (typeof code !== 'number' || typeof message !== 'string') throw this.#notANode(`${method} was not answered`);
      throw new NodeRefusal(code, message.trim(), code === METHOD_NOT_FOUND ? OTHER_NODE_HINT : undefined);
    }
    if (result === undefined) throw this.#notANode(`${method} was not answered`);
    return result;
  }

  async #post(body: unknown): Promise<unknown> {
    const { status, text } = await this.#exchange(JSON.stringify(body));
    if (status === 401) throw this.#notAuthorised();
    if (status === 403) {
      throw new CliError(Exit.unreachable, 'not-authorised', `the node at ${this.target.endpoint} does not serve us`);
    }
    if (status === 503) {
      throw new CliError(Exit.unreachable, 'node-busy', `the node at ${this.target.endpoint} is too busy`, 'try again');
    }
    try {
      return JSON.parse(text);
    } catch {
      throw this.#notANode(`its answer (HTTP ${status}) is no JSON`);
    }
  }

  #exchange(body: string, again = true): Promise<{ status: number; text: string }> {
    const { credentials, endpoint } = this.target;
    const bytes = Buffer.from(body);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: this.#host,
          port: this.#port,
          method: 'POST',
          path: '/',
          agent: this.#agent,
          timeout: this.#timeoutMs,
          headers: {
            'content-type': 'application/json',
            'content-length': bytes.length,
            ...(credentials === undefined
              ? {}
              : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
          },
        },
        (incoming) => {
          readBody(incoming).then((text) => resolve({ status: incoming.statusCode ?? 0, text }), fail);
        },
      );
      const fail = (error: Error) => {
        // The node closed a connection that had been idle just when we used it again: it has not seen the request.
        const wasIdle = outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        if (wasIdle && again && !this.#isClosed) resolve(this.#exchange(body, false));
        else reject(error instanceof CliError ? error : this.#unreachable(error));
      };
      outgoing.on('timeout', () =>
        outgoing.destroy(
          new CliError(
            Exit.unreachable,
            'node-timeout',
            `the node at ${endpoint} did not answer within ${this.#timeoutMs / 1000} s`,
          ),
        ),
      );
      outgoing.on('error', fail);
      outgoing.end(bytes);
    });
  }

  #unreachable(error: Error): CliError {
    const code = (error as NodeJS.ErrnoException).code;
    const { endpoint, hint } = this.target;
    if (code === 'ECONNREFUSED') {
      return new CliError(
        Exit.unreachable,
        'node-unreachable',
        `no node answers at ${endpoint}`,
        hint ?? 'start one with "grapevine devnet up" or "grapevine node", or name another with --node',
      );
    }
    if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'HPE_INVALID_CONSTANT') {
      return new CliError(
        Exit.unreachable,
        'connection-lost',
        `the connection to ${endpoint} was lost before the answer came`,
        'see whether the node still runs, and whether that port is its RPC port',
      );
    }
    return new CliError(
      Exit.unreachable,
      'node-unreachable',
      `cannot reach the node at ${endpoint}: ${error.message}`,
      hint,
    );
  }

  #notAuthorised(): CliError {
    const { endpoint, credentials, cookieFile } = this.target;
    return new CliError(
      Exit.unreachable,
      'not-authorised',
      credentials === undefined
        ? `the node at ${endpoint} wants its cookie, and there is none at ${cookieFile}`
        : `the node at ${endpoint} does not accept the cookie of ${cookieFile}`,
      'give the data directory of that node with --datadir, or name another node with --node',
    );
  }

  #notANode(what: string): CliError {
    return new CliError(
      Exit.unreachable,
      'not-a-node',
      `what answers at ${this.target.endpoint} is no node: ${what}`,
      'the address of its RPC is in the line that the node prints when it is ready',
    );
  }
}

const METHOD_NOT_FOUND = -32601;
const OTHER_NODE_HINT = 'this needs a Grapevine node, with methods that other nodes do not have';

/** `HOST:PORT` in its two parts; `[::1]:18443` for IPv6. A usage error for anything else. */
export function parseEndpoint(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) {
    throw usageError(`"${text}" is not HOST:PORT`, 'for example --node 127.0.0.1:18443');
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

/** The reject reason in a message of the node: Core appends details after ", ". Other errors are named by their number. */
function reasonOf(rpcCode: number, message: string): string {
  const judged = rpcCode === -25 || rpcCode === -26 || rpcCode === -27;
  const reason = message.split(', ')[0] ?? '';
  return judged && /^[\w -]{1,64}( \([^)]*\))?$/.test(reason) ? reason : `rpc${rpcCode}`;
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new CliError(Exit.failed, 'answer-too-large', 'the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
