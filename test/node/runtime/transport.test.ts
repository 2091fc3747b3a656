/** Links over real sockets on loopback: both transports on one port, what is not a peer, back-pressure, the end of links. */
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import {
  closers,
  dialOf,
  HOST,
  magic,
  pause,
  rawServer,
  startTransport,
  tcpClient,
  untilClosed,
  webSocketClient,
} from './transport-fixture.ts';

describe('one port', () => {
  test('takes the plain stream over TCP, first bytes included', async () => {
    const { endpoint, until, untilReceived, transport } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(Buffer.concat([magic, Buffer.from('hello')]));
    const up = await until('link-up');
    expect(up).toMatchObject({
      direction: 'inbound',
      transport: 'tcp',
      remote: { host: HOST, port: socket.localPort },
    });
    expect(up.local).toEqual(endpoint);
    socket.write(' again');
    expect((await untilReceived(up.peer, 15)).subarray(4).toString()).toBe('hello again');
    transport.send(up.peer, Buffer.from('answer'));
    expect(String((await once(socket, 'data'))[0])).toBe('answer');
  });

  test('takes a stream whose magic comes byte by byte', async () => {
    const { endpoint, until, untilReceived } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.setNoDelay(true);
    for (const byte of magic) {
      socket.write(Uint8Array.of(byte));
      await pause(2);
    }
    const { peer } = await until('link-up');
    expect(await untilReceived(peer, 4)).toEqual(magic);
  });

  test('takes WebSockets, whose frames are one stream', async () => {
    const { endpoint, until, untilReceived, transport } = await startTransport();
    const ws = await webSocketClient(endpoint);
    ws.send(magic);
    ws.send(Buffer.from('in two '));
    ws.send(Buffer.from('frames'));
    const up = await until('link-up');
    expect(up).toMatchObject({ direction: 'inbound', transport: 'ws', remote: { host: HOST } });
    expect((await untilReceived(up.peer, 17)).subarray(4).toString()).toBe('in two frames');
    transport.send(up.peer, Buffer.from('answer'));
    const [data, isBinary] = await once(ws, 'message');
    expect([String(data), isBinary]).toEqual(['answer', true]);
  });

  test.each([
    ['another magic', Buffer.from('f9beb4d976657273', 'hex')],
    ['one wrong byte', Buffer.from('fab0', 'hex')],
    ['another HTTP method', Buffer.from('POST / HTTP/1.1\r\n\r\n')],
    ['a TLS greeting', Buffer.from('160301', 'hex')],
  ])('closes a connection that begins with %s at once', async (_name, bytes) => {
    const { endpoint, events } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(bytes);
    await untilClosed(socket);
    expect(events).toEqual([]);
  });

  test('closes a connection that says nothing, and one that never finishes its upgrade', async () => {
    const { endpoint, events } = await startTransport({ limits: { undecidedTimeoutMs: 40 } });
    const silent = await tcpClient(endpoint);
    const slow = await tcpClient(endpoint);
    slow.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await Promise.all([untilClosed(silent), untilClosed(slow)]);
    expect(events).toEqual([]);
  });

  test('holds as many silent connections as the limit allows, and a newcomer takes the place of the oldest', async () => {
    const { endpoint, until } = await startTransport({ limits: { maxInbound: 2 } });
    const [oldest, younger] = [await tcpClient(endpoint), await tcpClient(endpoint)];
    const newcomer = await tcpClient(endpoint);
    await untilClosed(oldest);
    newcomer.write(magic);
    expect((await until('link-up')).remote.port).toBe(newcomer.localPort);
    expect(younger.destroyed).toBe(false);
  });

  test('answers a browser that asks for a page with 426', async () => {
    const { endpoint, events } = await startTransport();
    const get = request({ host: HOST, port: endpoint.port, path: '/' });
    get.end();
    const [response] = await once(get, 'response');
    expect(response.statusCode).toBe(426);
    response.resume();
    await once(response, 'end');
    expect(events).toEqual([]);
  });

  test('lets pages from this machine in, and no others', async () => {
    const { endpoint, until } = await startTransport();
    for (const origin of [
      'https://example.com',
      'null',
      'http://localhost.example.com',
      'http://127.0.0.1.example.com',
    ]) {
      const ws = new WebSocket(`ws://${HOST}:${endpoint.port}/`, { origin });
      const [error] = await once(ws, 'error');
      expect(String(error)).toContain('403');
    }
    for (const origin of ['http://localhost:8080', 'http://127.0.0.1', 'http://[::1]:3000']) {
      await webSocketClient(endpoint, { origin });
    }
    await until('link-up');
  });
});

describe('a link', () => {
  test('ends with a text frame', async () => {
    const { endpoint, until } = await startTransport();
    const ws = await webSocketClient(endpoint);
    ws.send('text');
    expect((await until('link-down')).reason).toBe('sent a text frame');
    await once(ws, 'close');
  });

  test('ends with a frame that is larger than any message', async () => {
    const { endpoint, until } = await startTransport({ limits: { maxMessageBytes: 10_000 } });
    const ws = await webSocketClient(endpoint);
    ws.send(new Uint8Array(12_000));
    expect((await until('link-down')).reason).toContain('payload');
  });

  test.each(['tcp', 'ws'] as const)('over %s ends when the peer ends it, and is told once', async (transport) => {
    const { endpoint, until, events } = await startTransport();
    if (transport === 'tcp') {
      const socket = await tcpClient(endpoint);
      socket.write(magic);
      await until('link-up');
      socket.end();
    } else {
      const ws = await webSocketClient(endpoint);
      await until('link-up');
      ws.terminate();
    }
    expect((await until('link-down')).reason).toContain('closed');
    await pause(5);
    expect(events.filter((event) => event.type === 'link-down')).toHaveLength(1);
  });

  test.each(['tcp', 'ws'] as const)(
    'over %s that we end tells our reason, and nothing else after it',
    async (transport) => {
      const { endpoint, until, events, transport: net } = await startTransport();
      const client = transport === 'tcp' ? await tcpClient(endpoint) : await webSocketClient(endpoint);
      const send = (bytes: Buffer) => (client instanceof WebSocket ? client.send(bytes) : client.write(bytes));
      send(magic);
      const { peer } = await until('link-up');
      await until('bytes');
      const before = events.length;
      net.disconnect(peer, 'misbehaved');
      send(Buffer.from('too late'));
      net.send(peer, Buffer.from('too late'));
      expect((await until('link-down')).reason).toBe('misbehaved');
      await pause(5);
      expect(events.slice(before).map((event) => event.type)).toEqual(['link-down']);
    },
  );

  test.each(['tcp', 'ws'] as const)(
    'over %s is not read while it is paused, and can be ended then',
    async (transport) => {
      const { endpoint, until, received, untilReceived, transport: net } = await startTransport();
      const client = transport === 'tcp' ? await tcpClient(endpoint) : await webSocketClient(endpoint);
      const send = (bytes: Uint8Array) => (client instanceof WebSocket ? client.send(bytes) : client.write(bytes));
      send(magic);
      const { peer } = await until('link-up');
      await untilReceived(peer, 4);
      net.pause(peer);
      const size = 1000;
      for (let i = 0; i < 100; i++) send(new Uint8Array(size));
      await pause(30);
      const whilePaused = received(peer).length;
      // What had been read from the socket before may still come.
      expect(whilePaused).toBeLessThan(4 + 70 * size);
      net.resume(peer);
      await untilReceived(peer, 4 + 100 * size);
      net.hold(true);
      const held = received(peer).length;
      for (let i = 0; i < 100; i++) send(new Uint8Array(size));
      await pause(30);
      expect(received(peer).length).toBeLessThan(held + 70 * size);
      net.resume(peer); // The core's wish does not end the hold.
      net.disconnect(peer, 'enough');
      expect((await until('link-down')).reason).toBe('enough');
    },
  );

  test.each(['tcp', 'ws'] as const)(
    'over %s acknowledges what it could send, and what it could not stays open',
    async (transport) => {
      const { endpoint, until, events, transport: net } = await startTransport();
      const client = transport === 'tcp' ? await tcpClient(endpoint) : await webSocketClient(endpoint);
      if (client instanceof WebSocket) client.send(magic);
      else client.write(magic);
      const { peer } = await until('link-up');
      net.send(peer, new Uint8Array(1000));
      net.send(peer, new Uint8Array(500));
      const drained = () => events.reduce((sum, event) => sum + (event.type === 'drained' ? event.bytes : 0), 0);
      await until('drained', () => drained() === 1500);

      client.pause();
      for (let i = 0; i < 20; i++) net.send(peer, new Uint8Array(1_000_000));
      await pause(50);
      expect(drained()).toBeLessThan(20_000_000);
      client.resume();
      await until('drained', () => drained() === 20_001_500);
    },
  );

  test('does not answer pings of a peer that does not read', async () => {
    const { endpoint, until, transport: net } = await startTransport();
    const ws = await webSocketClient(endpoint);
    const { peer } = await until('link-up');
    ws.ping();
    await once(ws, 'pong');
    ws.pause();
    net.send(peer, new Uint8Array(8_000_000));
    let pongs = 0;
    ws.on('pong', () => pongs++);
    for (let i = 0; i < 50; i++) ws.ping();
    await pause(30);
    ws.resume();
    await pause(30);
    expect(pongs).toBeLessThan(50);
  });
});

describe('dialling', () => {
  test.each(['ws', 'tcp'] as const)('over %s another node gives a link at both ends', async (transport) => {
    const a = await startTransport();
    const b = await startTransport();
    a.transport.dial(dialOf(7), { transport, ...b.endpoint });
    const up = await a.until('link-up');
    expect(up).toMatchObject({ direction: 'outbound', transport, remote: b.endpoint, dial: 7 });
    a.transport.send(up.peer, Buffer.concat([magic, Buffer.from('ping')]));
    const inbound = await b.until('link-up');
    expect(inbound).not.toHaveProperty('dial');
    expect((await b.untilReceived(inbound.peer, 8)).subarray(4).toString()).toBe('ping');
    b.transport.send(inbound.peer, Buffer.from('pong'));
    expect((await a.untilReceived(up.peer, 4)).toString()).toBe('pong');
  });

  test('reaches a path behind a proxy, in frames of any size', async () => {
    const proxy = new WebSocketServer({ host: HOST, port: 0 });
    closers.push(() => proxy.close());
    await once(proxy, 'listening');
    proxy.on('connection', (ws, incoming) => {
      ws.send(Buffer.from(incoming.url ?? ''));
      for (const byte of Buffer.from('bytes')) ws.send(Uint8Array.of(byte));
      closers.push(() => ws.terminate());
    });
    const { transport, until, untilReceived } = await startTransport();
    const { port } = proxy.address() as { port: number };
    transport.dial(dialOf(1), { transport: 'ws', host: HOST, port, path: '/peer?x=1' });
    const { peer } = await until('link-up');
    expect((await untilReceived(peer, 14)).toString()).toBe('/peer?x=1bytes');
  });

  test.each(['ws', 'tcp'] as const)('over %s fails where nobody listens', async (transport) => {
    const { transport: net, until } = await startTransport();
    const server = createServer().listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    net.dial(dialOf(3), { transport, host: HOST, port });
    expect(await until('dial-failed')).toMatchObject({ dial: 3, reason: expect.stringContaining('ECONNREFUSED') });
  });

  test.each([
    { transport: 'ws', host: '1.2.3.999', port: 80 },
    { transport: 'wss', host: 'h', port: 1, path: '/#x' },
    { transport: 'ws', host: ':::1', port: 1 },
    { transport: 'tcp', host: HOST, port: 70_000 },
  ] as const)('of what is no address fails like any other: %j', async (target) => {
    const { transport, until } = await startTransport();
    transport.dial(dialOf(4), target);
    expect((await until('dial-failed')).reason).not.toBe('');
    transport.dial(dialOf(5), target); // The first has left nothing behind.
    await until('dial-failed', (event) => event.dial === 5);
  });

  test('a WebSocket to a port that answers otherwise, or not at all, fails in time', async () => {
    const deaf = createServer((socket) => socket.on('error', () => undefined)).listen(0, HOST);
    closers.push(() => deaf.close());
    await once(deaf, 'listening');
    const { port } = deaf.address() as { port: number };
    const { transport, until, endpoint } = await startTransport({ limits: { dialTimeoutMs: 50 } });
    const sockets: Socket[] = [];
    deaf.on('connection', (socket) => sockets.push(socket));
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    transport.dial(dialOf(1), { transport: 'ws', host: HOST, port });
    expect((await until('dial-failed', (event) => event.dial === 1)).reason).toContain('timed out');
    const rude = createServer((socket) => socket.end('nonsense\r\n\r\n')).listen(0, HOST);
    closers.push(() => rude.close());
    await once(rude, 'listening');
    transport.dial(dialOf(2), { transport: 'ws', host: HOST, port: (rude.address() as { port: number }).port });
    await until('dial-failed', (event) => event.dial === 2);
    expect(endpoint.port).toBeGreaterThan(0);
  });
});

describe('a WebSocket to a host that plays for time', () => {
  test('fails when the time is over, though a byte comes now and then', async () => {
    const port = await rawServer((socket) => {
      const timer = setInterval(() => socket.write('H'), 10);
      socket.on('close', () => clearInterval(timer));
      socket.write('HTTP/1.1 101 Switching Protocols\r\nX: ');
    });
    const { transport, until } = await startTransport({ limits: { dialTimeoutMs: 100 } });
    const start = performance.now();
    transport.dial(dialOf(1), { transport: 'ws', host: HOST, port });
    expect((await until('dial-failed')).reason).toBe('timed out');
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('fails where its answer is larger than any', async () => {
    const port = await rawServer((socket) => socket.write(`HTTP/1.1 101 Hi\r\nX: ${'x'.repeat(10_000)}`));
    const { transport, until } = await startTransport();
    transport.dial(dialOf(1), { transport: 'ws', host: HOST, port });
    expect((await until('dial-failed')).reason).toContain('Header overflow');
  });
});

describe('closing', () => {
  test('ends all links and dials, frees the port, and tells nothing', async () => {
    const a = await startTransport();
    const b = await startTransport();
    a.transport.dial(dialOf(1), { transport: 'ws', ...b.endpoint });
    await a.until('link-up');
    await b.until('link-up');
    a.transport.dial(dialOf(2), { transport: 'tcp', ...b.endpoint });
    await tcpClient(a.endpoint);
    await a.transport.close();
    const told = a.events.length;
    await b.until('link-down');
    expect(a.events).toHaveLength(told);
    const again = createServer().listen(a.endpoint.port, HOST);
    await once(again, 'listening');
    again.close();
  });

  test('a port that is taken is an error that names it and, where that can be seen, who has it', async () => {
    const { transport, endpoint } = await startTransport();
    await expect(transport.listen(endpoint)).rejects.toMatchObject({
      code: 'port-taken',
      message: expect.stringMatching(
        process.platform === 'linux' ? new RegExp(`port ${endpoint.port} .* \\(pid ${process.pid}\\)`) : /port/,
      ),
    });
  });

  test('an address of another machine is an error that names it', async () => {
    const { transport } = await startTransport();
    await expect(transport.listen({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'address-unavailable',
      message: expect.stringContaining('192.0.2.1'),
    });
  });
});

describe('a slow link', () => {
  const shape = { delayMs: 150, jitterMs: 0, bitsPerSecond: undefined };

  test('sends late and in order, and tells of the bytes only when they have left', async () => {
    const { endpoint, until, transport, events } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(magic);
    const { peer } = await until('link-up');
    transport.shape(peer, shape);
    const start = performance.now();
    transport.send(peer, Buffer.from('one '));
    transport.send(peer, Buffer.from('two'));
    await pause(50);
    expect(events.filter(({ type }) => type === 'drained')).toEqual([]);
    let got = '';
    while (got.length < 7) got += String((await once(socket, 'data'))[0]);
    expect(got).toBe('one two');
    expect(performance.now() - start).toBeGreaterThan(145);
    const drained = () => events.reduce((sum, event) => sum + (event.type === 'drained' ? event.bytes : 0), 0);
    while (drained() < 7) await pause(5);
    expect(drained()).toBe(7);
  });

  test('that is made fast again sends at once what waited, before what comes after', async () => {
    const { endpoint, until, transport } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(magic);
    const { peer } = await until('link-up');
    transport.shape(peer, { ...shape, delayMs: 10_000 });
    transport.send(peer, Buffer.from('one '));
    transport.shape(peer, undefined);
    transport.send(peer, Buffer.from('two'));
    let got = '';
    while (got.length < 7) got += String((await once(socket, 'data'))[0]);
    expect(got).toBe('one two');
  });

  test('goes piece by piece where its bandwidth is small, also in WebSocket frames', async () => {
    const { endpoint, until, transport } = await startTransport();
    const ws = await webSocketClient(endpoint);
    ws.send(magic);
    const { peer } = await until('link-up');
    const frames: Buffer[] = [];
    ws.on('message', (data) => frames.push(data as Buffer));
    const message = Buffer.from(Uint8Array.from({ length: 2000 }, (_, index) => index % 251));
    const start = performance.now();
    // 20 bytes a millisecond: 100 ms, in pieces of 50.
    transport.shape(peer, { delayMs: 0, jitterMs: 0, bitsPerSecond: 160_000 });
    transport.send(peer, message);
    while (Buffer.concat(frames).length < message.length) await once(ws, 'message');
    expect(performance.now() - start).toBeGreaterThan(95);
    expect(Buffer.concat(frames)).toEqual(message);
    expect(frames.length).toBeGreaterThan(1);
  });

  test('that ends leaves no timer and sends nothing more', async () => {
    const { endpoint, until, transport } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(magic);
    const { peer } = await until('link-up');
    transport.shape(peer, shape);
    transport.send(peer, Buffer.from('never'));
    let got = '';
    socket.on('data', (data) => {
      got += String(data);
    });
    transport.disconnect(peer, 'enough');
    await until('link-down');
    transport.shape(peer, shape);
    transport.send(peer, Buffer.from('never'));
    await pause(200);
    expect(got).toBe('');
  });
});
