/** JSON-RPC over real HTTP: who is let in, bodies good and bad, batches, clients that go. RULES.md D1. */
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Endpoint, RequestId, RpcOutcome, RpcParams } from '../../../node/boundary.ts';
import { type RpcCaller, RpcServer } from '../../../node/runtime/http.ts';
import { silentLogger } from '../../../node/runtime/log.ts';

const HOST = '127.0.0.1';
const CREDENTIALS = '__cookie__:secret';
const AUTHORIZATION = `Basic ${Buffer.from(CREDENTIALS).toString('base64')}`;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface OpenCall {
  readonly request: RequestId;
  readonly method: string;
  readonly params: RpcParams;
  answer(json: string): void;
  refuse(code: number, message: string): void;
}

/** A caller that keeps calls until the test answers them; `echo` answers itself, at once, and `echo-later` in a while. */
class TestCaller implements RpcCaller {
  readonly calls: OpenCall[] = [];
  readonly closed: RequestId[] = [];
  #next = 0;

  call(method: string, params: RpcParams, onOutcome: (outcome: RpcOutcome) => void): RequestId {
    const request = this.#next++ as RequestId;
    const answer = (json: string) => onOutcome({ ok: true, json });
    const refuse = (code: number, message: string) => onOutcome({ ok: false, code, message });
    this.calls.push({ request, method, params, answer, refuse });
    if (method === 'echo') answer(JSON.stringify(params));
    if (method === 'echo-later') setImmediate(answer, JSON.stringify(params));
    if (method === 'unknown') refuse(-32601, 'Method not found');
    if (method === 'refused') refuse(-26, 'dust');
    return request;
  }

  closeCall(request: RequestId): void {
    this.closed.push(request);
  }

  /** Waits until so many calls have come. */
  async until(count: number): Promise<void> {
    while (this.calls.length < count) await pause(1);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function startServer(maxRequests = 64) {
  const caller = new TestCaller();
  const server = new RpcServer({ caller, credentials: CREDENTIALS, maxRequests, logger: silentLogger });
  const endpoint = await server.listen({ host: HOST, port: 0 });
  closers.push(() => server.close());
  return { caller, server, endpoint };
}

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

interface PostOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
}

/** Sends a request and reads the whole answer. */
async function post({ port }: Endpoint, body: string | Buffer, options: PostOptions = {}): Promise<Reply> {
  const { method = 'POST', path = '/', headers = { authorization: AUTHORIZATION }, agent } = options;
  const outgoing = request({ host: HOST, port, method, path, headers, ...(agent === undefined ? {} : { agent }) });
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, text: Buffer.concat(chunks).toString(), headers: response.headers };
}

const call = (method: string, params: unknown = [], more: object = { id: 1 }) =>
  JSON.stringify({ ...more, method, params });

describe('who may ask', () => {
  test('only POST is answered, as Core says it', async () => {
    const { endpoint } = await startServer();
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      const reply = await post(endpoint, '', { method });
      expect([reply.status, reply.text]).toEqual([405, 'JSONRPC server handles only POST requests']);
    }
  });

  test('only the paths / and /wallet/… exist', async () => {
    const { endpoint } = await startServer();
    expect((await post(endpoint, call('echo'))).status).toBe(200);
    expect((await post(endpoint, call('echo'), { path: '/wallet/any' })).status).toBe(200);
    for (const path of ['/other', '/?x', '/wallet', '//']) {
      expect((await post(endpoint, call('echo'), { path })).status).toBe(404);
    }
  });

  test('without a password, or with a wrong one after a while, the answer is 401', async () => {
    const { endpoint, caller } = await startServer();
    const bare = await post(endpoint, call('echo'), { headers: {} });
    expect([bare.status, bare.text, bare.headers['www-authenticate']]).toEqual([401, '', 'Basic realm="jsonrpc"']);
    const wrong = ['Basic', 'Basic !!!', `Bearer ${CREDENTIALS}`, AUTHORIZATION.slice(0, -2)];
    const before = performance.now();
    const replies = await Promise.all(
      wrong.map((authorization) => post(endpoint, call('echo'), { headers: { authorization } })),
    );
    expect(performance.now() - before).toBeGreaterThan(240);
    expect(replies.map((reply) => reply.status)).toEqual(wrong.map(() => 401));
    expect(caller.calls).toHaveLength(0);
  });

  test('wrong passwords take no place of those who know the right one, and few of them wait', async () => {
    const { endpoint } = await startServer(1);
    const headers = { authorization: 'Basic wrong' };
    const before = performance.now();
    // 64 may wait. Those above are told at once, and lose their connection.
    const guesses = Array.from({ length: 70 }, async () => {
      const reply = await post(endpoint, call('echo'), { headers });
      return { status: reply.status, connection: reply.headers.connection, afterMs: performance.now() - before };
    });
    await Promise.any(guesses);
    expect((await post(endpoint, call('echo'))).status).toBe(200);
    const replies = await Promise.all(guesses);
    expect(replies.map(({ status }) => status)).toEqual(guesses.map(() => 401));
    const dropped = replies.filter(({ connection }) => connection === 'close');
    expect(dropped).toHaveLength(6);
    for (const reply of replies) if (reply.connection !== 'close') expect(reply.afterMs).toBeGreaterThan(240);
    expect((await post(endpoint, call('echo'), { headers })).headers.connection).not.toBe('close');
  });

  test('the Host header must be an address or localhost', async () => {
    const { endpoint } = await startServer();
    const status = async (host: string) =>
      (await post(endpoint, call('echo'), { headers: { authorization: AUTHORIZATION, host } })).status;
    for (const host of ['127.0.0.1', 'localhost:18443', 'LOCALHOST', '[::1]:18443', '10.0.0.7:1']) {
      expect(await status(host)).toBe(200);
    }
    for (const host of ['example.com', 'localhost.example.com:18443', '127.0.0.1.example.com', '[x]']) {
      expect(await status(host)).toBe(403);
    }
  });
});

describe('single calls', () => {
  test('of the old kind tell errors by the HTTP status too', async () => {
    const { endpoint } = await startServer();
    const good = await post(endpoint, call('echo', [1]));
    expect(good).toMatchObject({ status: 200, text: '{"result":[1],"error":null,"id":1}\n' });
    expect(good.headers['content-type']).toBe('application/json');
    expect((await post(endpoint, call('unknown'))).status).toBe(404);
    const refused = await post(endpoint, call('refused'));
    expect(refused).toMatchObject({
      status: 500,
      text: '{"result":null,"error":{"code":-26,"message":"dust"},"id":1}\n',
    });
  });

  test('of version 2.0 are always 200, and notifications are run and get 204', async () => {
    const { endpoint, caller } = await startServer();
    const refused = await post(endpoint, call('refused', [], { jsonrpc: '2.0', id: 'x' }));
    expect(refused).toMatchObject({
      status: 200,
      text: '{"jsonrpc":"2.0","error":{"code":-26,"message":"dust"},"id":"x"}\n',
    });
    const silent = await post(endpoint, call('echo', [2], { jsonrpc: '2.0' }));
    expect(silent).toMatchObject({ status: 204, text: '' });
    expect(caller.calls.at(-1)).toMatchObject({ method: 'echo', params: [2] });
  });

  test('that are no JSON, or no call, are refused as Core does', async () => {
    const { endpoint, caller } = await startServer();
    expect(await post(endpoint, '{"method":')).toMatchObject({
      status: 500,
      text: '{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}\n',
    });
    expect((await post(endpoint, '')).text).toContain('Parse error');
    expect((await post(endpoint, '7')).text).toContain('Top-level object parse error');
    expect(await post(endpoint, '{"id":1}')).toMatchObject({ status: 400 });
    expect((await post(endpoint, Buffer.from([0xff, 0xfe, 0x00]))).status).toBe(500);
    expect(caller.calls).toHaveLength(0);
  });

  test('are kept apart on one connection that is used again', async () => {
    const { endpoint } = await startServer();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    const replies = await Promise.all([1, 2, 3].map((i) => post(endpoint, call('echo-later', [i]), { agent })));
    expect(replies.map((reply) => reply.text)).toEqual([1, 2, 3].map((i) => `{"result":[${i}],"error":null,"id":1}\n`));
  });
});

describe('batches', () => {
  test('are answered in order, and each call waits for the one before', async () => {
    const { endpoint, caller } = await startServer();
    const reply = post(endpoint, `[${call('slow', [1])},${call('slow', [2])},${call('echo', [3], { id: 2 })}]`);
    await caller.until(1);
    await pause(5);
    expect(caller.calls).toHaveLength(1);
    caller.calls[0]?.answer('"a"');
    await caller.until(2);
    caller.calls[1]?.answer('"b"');
    expect((await reply).text).toBe(
      '[{"result":"a","error":null,"id":1},{"result":"b","error":null,"id":1},{"result":[3],"error":null,"id":2}]\n',
    );
  });

  test('give neighbouring sendrawtransaction calls to the node together, and wait for all of them', async () => {
    const { endpoint, caller } = await startServer();
    const methods = ['sendrawtransaction', 'sendrawtransaction', 'sendrawtransaction', 'echo', 'sendrawtransaction'];
    const reply = post(endpoint, `[${methods.map((method, id) => call(method, [id], { id })).join(',')}]`);
    await caller.until(3);
    await pause(5);
    expect(caller.calls.map(({ method }) => method)).toEqual(methods.slice(0, 3));
    for (const i of [2, 0, 1]) caller.calls[i]?.answer(String(i));
    await caller.until(5);
    caller.calls[4]?.refuse(-25, 'bad');
    const results = (JSON.parse((await reply).text) as { result: unknown; id: number }[]).map(({ result, id }) => [
      id,
      result,
    ]);
    expect(results).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, [3]],
      [4, null],
    ]);
  });

  test('are 200 with errors inline, [] when empty, 204 when nothing wants an answer', async () => {
    const { endpoint } = await startServer();
    const mixed = await post(endpoint, `[${call('refused')},7,${call('echo', [], { jsonrpc: '2.0' })}]`);
    expect(mixed.status).toBe(200);
    expect(JSON.parse(mixed.text)).toHaveLength(2);
    expect(await post(endpoint, '[]')).toMatchObject({ status: 200, text: '[]\n' });
    expect((await post(endpoint, `[${call('echo', [], { jsonrpc: '2.0' })}]`)).status).toBe(204);
  });

  test('of any length keep to the number of calls that may be open', async () => {
    const { endpoint, caller } = await startServer(4);
    const count = 30;
    const reply = post(endpoint, `[${Array.from({ length: count }, () => call('sendrawtransaction')).join(',')}]`);
    for (let done = 0; done < count; done++) {
      await caller.until(Math.min(done + 4, count));
      await pause(1);
      expect(caller.calls.length - done).toBeLessThanOrEqual(4);
      caller.calls[done]?.answer(String(done));
    }
    const results = JSON.parse((await reply).text) as { result: number }[];
    expect(results.map(({ result }) => result)).toEqual(Array.from({ length: count }, (_, i) => i));
  });
});

describe('too much', () => {
  test('a body of 40 MB is refused with 413, whether its length was told or not, and the server lives on', async () => {
    const { endpoint, caller } = await startServer();
    const body = Buffer.alloc(40_000_000, 0x20);
    const told = await post(endpoint, body);
    expect([told.status, told.headers.connection]).toEqual([413, 'close']);
    const headers = { authorization: AUTHORIZATION, 'transfer-encoding': 'chunked' };
    expect((await post(endpoint, body, { headers })).status).toBe(413);
    expect((await post(endpoint, call('echo', ['x'.repeat(1_000_000)]))).status).toBe(200);
    expect(caller.calls).toHaveLength(1);
  });

  test('a client that asks before it sends is told at once', async () => {
    const { endpoint } = await startServer();
    const socket = connect({ host: HOST, port: endpoint.port });
    closers.push(() => socket.destroy());
    const head = (length: number) =>
      `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${AUTHORIZATION}\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`;
    const body = call('echo', [1]);
    socket.write(head(body.length));
    expect(String((await once(socket, 'data'))[0])).toContain('100 Continue');
    socket.write(body);
    expect(String((await once(socket, 'data'))[0])).toContain('200 OK');
    socket.write(head(40_000_000));
    expect(String((await once(socket, 'data'))[0])).toContain('413');
  });

  test('more requests at once than the limit are refused with 503', async () => {
    const { endpoint, caller } = await startServer(2);
    const waiting = [post(endpoint, call('slow')), post(endpoint, call('slow'))];
    await caller.until(2);
    expect(await post(endpoint, call('echo'))).toMatchObject({ status: 503, text: 'Work queue depth exceeded' });
    for (const open of caller.calls) open.answer('1');
    await Promise.all(waiting);
    expect((await post(endpoint, call('echo'))).status).toBe(200);
  });
});

describe('a client that goes', () => {
  test('has its open calls closed and its others never made, and frees its place', async () => {
    const { endpoint, caller } = await startServer(2);
    const outgoing = request({
      host: HOST,
      port: endpoint.port,
      method: 'POST',
      headers: { authorization: AUTHORIZATION },
    });
    outgoing.on('error', () => undefined);
    outgoing.end(`[${call('slow')},${call('echo')}]`);
    await caller.until(1);
    outgoing.destroy();
    while (caller.closed.length === 0) await pause(1);
    expect(caller.closed).toEqual([caller.calls[0]?.request]);
    caller.calls[0]?.answer('1'); // As a driver does whose reply was on its way.
    await pause(5);
    expect(caller.calls).toHaveLength(1);
    const replies = await Promise.all([post(endpoint, call('echo-later')), post(endpoint, call('echo-later'))]);
    expect(replies.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('in the middle of its body leaves nothing behind', async () => {
    const { endpoint, caller } = await startServer(1);
    const socket = connect({ host: HOST, port: endpoint.port });
    socket.write(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${AUTHORIZATION}\r\nContent-Length: 100\r\n\r\n{`,
    );
    await pause(20);
    socket.destroy();
    await pause(20);
    expect((await post(endpoint, call('echo'))).status).toBe(200);
    expect(caller.calls).toHaveLength(1);
  });
});

describe('closing', () => {
  test('waits for answers that are due, refuses what comes meanwhile, and frees the port', async () => {
    const { endpoint, caller, server } = await startServer();
    const agent = new Agent({ keepAlive: true });
    closers.push(() => agent.destroy());
    const reply = post(endpoint, call('slow'));
    await caller.until(1);
    const closing = server.close();
    await expect(post(endpoint, call('echo'))).rejects.toThrow();
    caller.calls[0]?.answer('"done"');
    expect((await reply).text).toContain('"done"');
    await closing;
    const next = new RpcServer({ caller, credentials: CREDENTIALS, maxRequests: 1, logger: silentLogger });
    expect(await next.listen(endpoint)).toEqual(endpoint);
    await next.close();
  });
});
