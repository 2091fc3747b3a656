/**
 * How commands talk to the process behind a running devnet: one HTTP endpoint on loopback, JSON in and out, guarded by a
 * token that stands in devnet.json. Owns the table of calls and both ends of the wire; what a call does is decided by
 * the supervisor.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliError, Exit, type ExitCode, toJson } from '../node/commands/cli.ts';
import type { ClockOrder } from './clock-setting.ts';
import type { ClockStatus } from './devnet-clock.ts';
import type { LinkOrder, SlowLink } from './links.ts';
import type { PaymentJson } from './payments.ts';
import { LOOPBACK } from './ports.ts';
import type { ReorgOrder, ReorgResult } from './reorg.ts';
import type { LoadResult } from './snapshot-operations.ts';
import type { SnapshotSummary } from './snapshots.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import type { TopologyFile } from './topology-file.ts';
import type { TipReached, TxReached, WaitOrder } from './waits.ts';

/** Every call with what it takes and gives. */
export interface ControlCalls {
  /** Who answers. */
  readonly ping: { readonly params: Record<string, never>; readonly result: { readonly name: string } };
  readonly status: { readonly params: Record<string, never>; readonly result: DevnetStatus };
  /** SIGKILL, as a crash would. */
  readonly kill: { readonly params: { readonly node: string }; readonly result: NodeStatus };
  readonly restart: { readonly params: { readonly node: string }; readonly result: NodeStatus };
  readonly partition: {
    readonly params: { readonly sides: readonly (readonly string[])[] };
    readonly result: DevnetStatus;
  };
  readonly heal: { readonly params: Record<string, never>; readonly result: DevnetStatus };
  /** Makes a link slow, or fast again with `order` null. `linked`: there is one now. */
  readonly link: {
    readonly params: { readonly a: string; readonly b: string; readonly order: LinkOrder };
    readonly result: { readonly links: readonly SlowLink[]; readonly linked: boolean };
  };
  /** The links that were made slow. */
  readonly links: {
    readonly params: Record<string, never>;
    readonly result: { readonly links: readonly SlowLink[] };
  };
  /** A further node, which dials `connect`, else the first one that runs. */
  readonly add: { readonly params: { readonly connect?: string | undefined }; readonly result: NodeStatus };
  /** A partition of one. */
  readonly isolate: { readonly params: { readonly node: string }; readonly result: DevnetStatus };
  /** Pays from the faucet. `amount` in satoshis. */
  readonly faucet: {
    readonly params: { readonly to: string; readonly amount: number; readonly node?: string | undefined };
    readonly result: PaymentJson;
  };
  readonly reorg: { readonly params: ReorgOrder; readonly result: ReorgResult };
  readonly time: { readonly params: { readonly order: ClockOrder }; readonly result: ClockStatus };
  /** The links of this moment. */
  readonly topology: { readonly params: Record<string, never>; readonly result: TopologyFile };
  /** Answered when all nodes have one tip, or the block, or the payment. */
  readonly wait: { readonly params: WaitOrder; readonly result: TipReached | TxReached };
  /** Puts the devnet aside; it goes on afterwards. */
  readonly save: {
    readonly params: { readonly snapshot: string; readonly force: boolean };
    readonly result: SnapshotSummary;
  };
  /** Puts what was saved in the place of what there is. */
  readonly load: { readonly params: { readonly snapshot: string }; readonly result: LoadResult };
  /** Answered when every node has ended. */
  readonly stop: { readonly params: Record<string, never>; readonly result: { readonly stopped: number } };
}

export type ControlMethod = keyof ControlCalls;

/** Carries out one call. `params` came over the wire and is not checked yet. */
export type ControlHandler = (method: string, params: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** Where the endpoint is, as devnet.json says it. */
export interface ControlAddress {
  readonly url: string;
  readonly token: string;
}

const MAX_REQUEST_BYTES = 65_536;
/** The longest call is a restart that waits until the node has caught up. */
const CALL_TIMEOUT_MS = 60_000;

/** The supervisor's end. */
export class ControlServer {
  readonly address: ControlAddress;
  readonly #server: Server;

  private constructor(server: Server, token: string) {
    this.#server = server;
    this.address = { url: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`, token };
  }

  static listen(token: string, handler: ControlHandler): Promise<ControlServer> {
    const server = createServer((incoming, response) => {
      answer(incoming, response, token, handler).catch((error: unknown) => response.destroy(error as Error));
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, LOOPBACK, () => resolve(new ControlServer(server, token)));
    });
  }

  /** No new calls; the answers under way still leave. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  token: string,
  handler: ControlHandler,
): Promise<void> {
  if (incoming.method !== 'POST' || !isAuthorised(incoming, token)) {
    send(
      response,
      incoming.method === 'POST' ? 401 : 405,
      errorBody(Exit.unreachable, 'not-authorised', 'not authorised'),
    );
    return;
  }
  const body = await readBody(incoming);
  const call = body === undefined ? undefined : parseCall(body);
  if (call === undefined) {
    send(response, 400, errorBody(Exit.usage, 'usage', 'not a call: {"method","params"} is expected'));
    return;
  }
  try {
    send(response, 200, { result: await handler(call.method, call.params) });
  } catch (error) {
    if (error instanceof CliError) send(response, 200, errorBody(error.exit, error.code, error.message, error.hint));
    else
      send(response, 500, errorBody(Exit.failed, 'internal', error instanceof Error ? error.message : String(error)));
  }
}

function isAuthorised(incoming: IncomingMessage, token: string): boolean {
  const given = Buffer.from(incoming.headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += (chunk as Buffer).length;
    if (size > MAX_REQUEST_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseCall(body: string): { method: string; params: Readonly<Record<string, unknown>> } | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (!isRecord(value) || typeof value['method'] !== 'string' || !isRecord(value['params'])) return undefined;
    return { method: value['method'], params: value['params'] };
  } catch {
    // Broken JSON is input, not a fault: the caller is told that this is no call.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorBody(exit: ExitCode, code: string, message: string, hint?: string): unknown {
  return { error: { exit, code, message, hint: hint ?? null } };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(toJson(body));
}

/** Thrown where nobody listens at the address: the supervisor is gone. */
export class ControlGone extends Error {
  override readonly name = 'ControlGone';
}

/** Makes one call. Throws what the supervisor answered as CliError, or ControlGone if there is none. */
export async function callControl<M extends ControlMethod>(
  address: ControlAddress,
  method: M,
  params: ControlCalls[M]['params'],
  timeoutMs: number = CALL_TIMEOUT_MS,
): Promise<ControlCalls[M]['result']> {
  const body = await post(address, toJson({ method, params }), timeoutMs);
  let reply: unknown;
  try {
    reply = JSON.parse(body);
  } catch {
    throw new CliError(Exit.failed, 'control', `the devnet at ${address.url} gave an answer that is not JSON`);
  }
  const error = isRecord(reply) && isRecord(reply['error']) ? reply['error'] : undefined;
  if (error !== undefined) {
    const hint = typeof error['hint'] === 'string' ? error['hint'] : undefined;
    throw new CliError(readExit(error['exit']), String(error['code']), String(error['message']), hint);
  }
  return (reply as { result: ControlCalls[M]['result'] }).result;
}

function readExit(value: unknown): ExitCode {
  return Object.values(Exit).find((code) => code === value) ?? Exit.failed;
}

function post(address: ControlAddress, body: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      address.url,
      {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${address.token}`, 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
        response.on('error', reject);
      },
    );
    outgoing.setTimeout(timeoutMs, () => {
      outgoing.destroy(new CliError(Exit.timeout, 'control-timeout', `the devnet at ${address.url} does not answer`));
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? new ControlGone(error.message) : error);
    });
    outgoing.end(body);
  });
}
