/**
 * The JSON-RPC envelope (RULES D1): from a request's body to calls, and from their outcomes to the body and HTTP status of
 * the reply. Pure; the HTTP server asks it what to run and what to send.
 *
 * Legacy requests get both `result` and `error` and an HTTP status that tells of errors; requests with `"jsonrpc":"2.0"`
 * get one of the two and always 200, and without an id they are notifications: run, never answered.
 */
import type { RpcOutcome, RpcParams } from '../boundary.ts';
import { RpcCode as Code, error, type RpcCode, toOutcome } from './answer.ts';
import { repeatedParameters } from './repeated-parameters.ts';

/** What the reply must repeat. */
export interface Envelope {
  readonly version: 1 | 2;
  /** JSON of the id; undefined where the request has none. */
  readonly id: string | undefined;
}

/** One member of a request: to be run, or answered already because it cannot be. */
export type RequestItem =
  | { readonly type: 'call'; readonly envelope: Envelope; readonly method: string; readonly params: RpcParams }
  | { readonly type: 'refused'; readonly envelope: Envelope; readonly outcome: RpcOutcome };

export type Call = Extract<RequestItem, { type: 'call' }>;

export interface RequestBody {
  /** A batch has any number of items and always status 200 or 204; otherwise there is exactly one. */
  readonly batch: boolean;
  readonly items: readonly RequestItem[];
}

export interface HttpReply {
  readonly status: number;
  /** JSON that ends with a newline; null with status 204. */
  readonly body: string | null;
}

/** Ids nested deeper than this are refused: an id is printed again, and printing recurses. */
const MAX_ID_DEPTH = 100;

/** The envelope of replies to what is not a request at all. */
const UNKNOWN: Envelope = { version: 1, id: 'null' };

/** Reads the body of a POST. Never throws. */
export function parseBody(text: string): RequestBody {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { batch: false, items: [refuse(UNKNOWN, Code.parse, 'Parse error')] };
  }
  if (Array.isArray(parsed)) return { batch: true, items: checkRepeated(text, parsed.map(parseRequest)) };
  if (parsed !== null && typeof parsed === 'object') {
    return { batch: false, items: checkRepeated(text, [parseRequest(parsed)]) };
  }
  return { batch: false, items: [refuse(UNKNOWN, Code.parse, 'Top-level object parse error')] };
}

/** What has to be run, in order. */
export function callsOf(body: RequestBody): readonly Call[] {
  return body.items.filter((item) => item.type === 'call');
}

/** The reply, given the outcomes of `callsOf(body)` in the same order. */
export function formatReply(body: RequestBody, outcomes: readonly RpcOutcome[]): HttpReply {
  let next = 0;
  const replies: string[] = [];
  let status = 200;
  for (const item of body.items) {
    const outcome = item.type === 'refused' ? item.outcome : (outcomes[next++] as RpcOutcome);
    if (isNotification(item.envelope) && (item.type === 'call' || body.batch)) continue;
    replies.push(formatItem(item.envelope, outcome));
    if (!body.batch) status = statusOf(item.envelope, outcome);
  }
  // An empty batch cannot tell its version, so it gets the empty array that old clients expect.
  if (replies.length === 0 && body.items.length > 0) return { status: 204, body: null };
  return { status, body: body.batch ? `[${replies.join(',')}]\n` : `${replies[0]}\n` };
}

function parseRequest(value: unknown): RequestItem {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return refuse(UNKNOWN, Code.invalidRequest, 'Invalid Request object');
  }
  const request = value as Readonly<Record<string, unknown>>;
  // The prototype's members are not the request's.
  const member = (name: string) => (Object.hasOwn(request, name) ? (request[name] ?? null) : null);
  const hasId = Object.hasOwn(request, 'id');
  if (hasId && isDeeper(request['id'], MAX_ID_DEPTH)) {
    return refuse(UNKNOWN, Code.invalidRequest, 'The id is nested too deeply');
  }
  const id = hasId ? JSON.stringify(request['id']) : undefined;
  const marker = member('jsonrpc');
  const legacy: Envelope = { version: 1, id };
  if (marker !== null && typeof marker !== 'string') {
    return refuse(legacy, Code.invalidRequest, 'jsonrpc field must be a string');
  }
  if (marker !== null && marker !== '1.0' && marker !== '2.0') {
    return refuse(legacy, Code.invalidRequest, 'JSON-RPC version not supported');
  }
  const envelope: Envelope = marker === '2.0' ? { version: 2, id } : legacy;
  const method = member('method');
  if (method === null) return refuse(envelope, Code.invalidRequest, 'Missing method');
  if (typeof method !== 'string') return refuse(envelope, Code.invalidRequest, 'Method must be a string');
  const params = member('params') ?? [];
  if (typeof params !== 'object') return refuse(envelope, Code.invalidRequest, 'Params must be an array or object');
  return { type: 'call', envelope, method, params: params as RpcParams };
}

/** JSON.parse keeps the last of two members with one name; for named parameters that is an error. */
function checkRepeated(text: string, items: readonly RequestItem[]): readonly RequestItem[] {
  if (items.every((item) => item.type === 'refused' || Array.isArray(item.params))) return items;
  const repeated = repeatedParameters(text);
  return items.map((item, index) => {
    const name = item.type === 'call' ? repeated.get(index) : undefined;
    if (name === undefined) return item;
    return refuse(item.envelope, Code.parameter, `Parameter ${name} specified multiple times`);
  });
}

function refuse(envelope: Envelope, code: RpcCode, message: string): RequestItem {
  return { type: 'refused', envelope, outcome: toOutcome(error(code, message)) };
}

function isNotification(envelope: Envelope): boolean {
  return envelope.version === 2 && envelope.id === undefined;
}

function isDeeper(value: unknown, limit: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  return limit === 0 || Object.values(value).some((member) => isDeeper(member, limit - 1));
}

function formatItem(envelope: Envelope, outcome: RpcOutcome): string {
  const failure = outcome.ok ? 'null' : `{"code":${outcome.code},"message":${JSON.stringify(outcome.message)}}`;
  const success = outcome.ok ? outcome.json : 'null';
  const id = envelope.id === undefined ? '' : `,"id":${envelope.id}`;
  if (envelope.version === 1) return `{"result":${success},"error":${failure}${id}}`;
  return outcome.ok ? `{"jsonrpc":"2.0","result":${success}${id}}` : `{"jsonrpc":"2.0","error":${failure}${id}}`;
}

/** What cannot be read as a request fails at the level of HTTP, whatever its version. */
function statusOf(envelope: Envelope, outcome: RpcOutcome): number {
  if (outcome.ok) return 200;
  if (outcome.code === Code.invalidRequest) return 400;
  if (outcome.code === Code.parse) return 500;
  if (envelope.version === 2) return 200;
  return outcome.code === Code.methodNotFound ? 404 : 500;
}
