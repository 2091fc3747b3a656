/** What an inbound connection can cost before and after it is a link: slow, large, wrong and unfinished things. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import {
  closers,
  HOST,
  magic,
  pause,
  startTransport,
  tcpClient,
  untilClosed,
  upgradeText,
  webSocketClient,
} from './transport-fixture.ts';

/** Sends byte by byte until the socket ends. */
async function drip(socket: Socket, text: string, everyMs: number): Promise<number> {
  let sent = 0;
  for (const byte of Buffer.from(text)) {
    if (socket.destroyed || socket.readableEnded) break;
    socket.write(Uint8Array.of(byte));
    sent++;
    await pause(everyMs);
  }
  return sent;
}

describe('an upgrade', () => {
  test.each([
    ['with more headers than 8 KB', upgradeText({ 'X-Large': 'x'.repeat(8192) }), '431'],
    ['with one header line that never ends', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, '431'],
    [
      'with a hundred headers',
      upgradeText(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`X-${i}`, 'x']))),
      '431',
    ],
    ['with a body', `${upgradeText({ 'Content-Length': '5' })}hello`, '400'],
    ['with a body in pieces', `${upgradeText({ 'Transfer-Encoding': 'chunked' })}0\r\n\r\n`, '400'],
    ['with both kinds of body', upgradeText({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }), '400'],
    ['with an old version', upgradeText({ 'Sec-WebSocket-Version': '7' }), '400'],
    ['without a version', upgradeText({ 'Sec-WebSocket-Version': undefined }), '400'],
    ['with a key that is none', upgradeText({ 'Sec-WebSocket-Key': 'short' }), '400'],
    ['without a key', upgradeText({ 'Sec-WebSocket-Key': undefined }), '400'],
    ['to another protocol', upgradeText({ Upgrade: 'h2c' }), '400'],
    ['that is no HTTP', 'GET nonsense\r\n\r\n', '400'],
  ])('%s is refused at once', async (_name, text, status) => {
    const { endpoint, events } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(text);
    expect(await untilClosed(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(events).toEqual([]);
  });

  test('that comes with its first frame is a link that has not lost it', async () => {
    const { endpoint, until, untilReceived } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(Buffer.concat([Buffer.from(upgradeText()), Buffer.from('82840000000061626364', 'hex')]));
    const { peer } = await until('link-up');
    expect(String(await untilReceived(peer, 4))).toBe('abcd');
  });

  test.each([
    ['never ends', upgradeText().slice(0, 60)],
    ['stops within its first word', 'GE'],
    ['says nothing', ''],
  ])('that %s is dropped in time', async (_name, text) => {
    const { endpoint, events } = await startTransport({ limits: { undecidedTimeoutMs: 40 } });
    const socket = await tcpClient(endpoint);
    if (text !== '') socket.write(text);
    await untilClosed(socket);
    expect(events).toEqual([]);
  });

  test.each([
    ['GET and its headers', upgradeText()],
    ['the magic', String.fromCharCode(...magic)],
  ])('byte by byte, slower than allowed, is dropped in time: %s', async (_name, text) => {
    const { endpoint, events } = await startTransport({ limits: { undecidedTimeoutMs: 60 } });
    const socket = await tcpClient(endpoint);
    socket.setNoDelay(true);
    const start = performance.now();
    const [sent] = await Promise.all([drip(socket, text, 25), untilClosed(socket)]);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(sent).toBeLessThan(10);
    expect(events).toEqual([]);
  });

  test('whose refusal the peer does not read is ended all the same', async () => {
    const { endpoint } = await startTransport({ limits: { undecidedTimeoutMs: 40 } });
    const socket = await tcpClient(endpoint);
    socket.pause();
    socket.write(upgradeText({ Origin: 'https://example.com' }));
    await pause(80);
    socket.resume();
    expect(await untilClosed(socket)).toContain('403');
  });
});

describe('pages of other machines', () => {
  test('are told which option lets them in', async () => {
    const { endpoint } = await startTransport();
    const socket = await tcpClient(endpoint);
    socket.write(upgradeText({ Origin: 'https://example.com' }));
    const answer = await untilClosed(socket);
    expect(answer).toMatch(/^HTTP\/1.1 403 /);
    expect(answer).toContain('--allow-origin');
  });

  test('come in where they are allowed, and only those', async () => {
    const { endpoint, until } = await startTransport({ allowedOrigins: ['https://example.com', 'http://a.test:8080'] });
    for (const origin of ['https://example.com', 'http://a.test:8080', 'http://localhost:3000']) {
      await webSocketClient(endpoint, { origin });
    }
    await until('link-up', ({ peer }) => peer === 2);
    for (const origin of [
      'http://example.com',
      'https://example.com:444',
      'https://example.com.evil.test',
      'https://sub.example.com',
      'http://a.test',
      'null',
    ]) {
      const ws = new WebSocket(`ws://${HOST}:${endpoint.port}/`, { origin });
      expect(String((await once(ws, 'error'))[0])).toContain('403');
    }
  });
});

describe('silent connections', () => {
  // Other systems have one loopback address only.
  const several = process.platform === 'linux' ? test : test.skip;

  several('of one host push out that host only', async () => {
    const { endpoint, until } = await startTransport({ limits: { maxInbound: 4 } });
    const honest = await tcpClient(endpoint, { localAddress: '127.0.0.2' });
    const flood: Socket[] = [];
    for (let i = 0; i < 20; i++) flood.push(await tcpClient(endpoint, { localAddress: '127.0.0.3' }));
    await Promise.all(flood.slice(0, 17).map(untilClosed));
    const late = await tcpClient(endpoint, { localAddress: '127.0.0.4' });
    await untilClosed(flood[17] as Socket);
    honest.write(magic);
    late.write(magic);
    await until('link-up', ({ remote }) => remote.host === '127.0.0.2');
    await until('link-up', ({ remote }) => remote.host === '127.0.0.4');
  });

  several('of as many hosts as there is room for give way to a newcomer, the oldest first', async () => {
    const { endpoint } = await startTransport({ limits: { maxInbound: 3 } });
    const sockets: Socket[] = [];
    for (let i = 2; i < 6; i++) sockets.push(await tcpClient(endpoint, { localAddress: `127.0.0.${i}` }));
    await untilClosed(sockets[0] as Socket);
    await pause(20);
    expect(sockets.slice(1).map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  });
});

describe('a peer that has half gone', () => {
  test('over TCP ends the link, though it does not read what waits for it', async () => {
    const { endpoint, until, transport } = await startTransport();
    const socket = await tcpClient(endpoint, { allowHalfOpen: true });
    socket.write(magic);
    const { peer } = await until('link-up');
    await until('bytes');
    socket.pause();
    for (let i = 0; i < 20; i++) transport.send(peer, new Uint8Array(1_000_000));
    socket.end();
    expect((await until('link-down')).reason).toBe('closed by the peer');
  });

  test('over a WebSocket ends the link, though it does not read what waits for it', async () => {
    const { endpoint, until, transport } = await startTransport();
    const socket = await tcpClient(endpoint, { allowHalfOpen: true });
    socket.write(upgradeText());
    const { peer } = await until('link-up');
    socket.pause();
    for (let i = 0; i < 20; i++) transport.send(peer, new Uint8Array(1_000_000));
    socket.end();
    expect((await until('link-down')).reason).toContain('closed by the peer');
  });

  test('before it has shown what it is leaves nothing behind', async () => {
    const { endpoint, events } = await startTransport({ limits: { maxInbound: 1, undecidedTimeoutMs: 60_000 } });
    for (const text of ['', 'GE', upgradeText().slice(0, 50)]) {
      const socket = await tcpClient(endpoint, { allowHalfOpen: true });
      socket.end(text);
      await untilClosed(socket);
    }
    expect(events).toEqual([]);
  });
});

describe('frames', () => {
  /** The masked header of a binary frame with a payload of so many bytes. */
  const header = (length: number, first = 0x82) => {
    const bytes = Buffer.alloc(14);
    bytes[0] = first;
    bytes[1] = 0xff;
    bytes.writeBigUInt64BE(BigInt(length), 2);
    return bytes;
  };

  async function upgraded(limits: Parameters<typeof startTransport>[0]) {
    const started = await startTransport(limits);
    const socket = await tcpClient(started.endpoint);
    socket.setNoDelay(true);
    socket.write(upgradeText());
    await once(socket, 'data');
    const up = await started.until('link-up', ({ remote }) => remote.port === socket.localPort);
    return { ...started, socket, peer: up.peer };
  }

  test('that come in one-byte pieces are one stream', async () => {
    const { socket, peer, untilReceived } = await upgraded({});
    for (let i = 0; i < 20; i++) {
      for (const byte of [0x82, 0x81, 0, 0, 0, 0, 0x61 + i]) socket.write(Uint8Array.of(byte));
      await pause(1);
    }
    expect(String(await untilReceived(peer, 20))).toBe('abcdefghijklmnopqrst');
  });

  test('that are longer than any message end the link with their header', async () => {
    const { socket, until } = await upgraded({ limits: { maxMessageBytes: 10_000 } });
    socket.write(header(20_000));
    expect((await until('link-down')).reason).toContain('payload');
  });

  test('in more parts than anybody needs end the link', async () => {
    const { socket, until } = await upgraded({});
    socket.write(Buffer.from('028100000000aa', 'hex'));
    for (let i = 0; i < 17; i++) socket.write(Buffer.from('008100000000aa'.repeat(1000), 'hex'));
    expect((await until('link-down')).reason).toContain('fragments');
  });

  test('that do not end count: where too much is held, the peer with most of it goes', async () => {
    const { socket, peer, endpoint, until, events } = await upgraded({ limits: { maxPartialBytes: 300_000 } });
    const other = await tcpClient(endpoint);
    other.write(upgradeText());
    await until('link-up', ({ remote }) => remote.port === other.localPort);
    other.write(Buffer.concat([header(1_000_000), Buffer.alloc(50_000)]));
    await pause(20);
    socket.write(Buffer.concat([header(1_000_000), Buffer.alloc(400_000)]));
    const down = await until('link-down');
    expect(down).toMatchObject({ peer, reason: 'too much of a frame whose end does not come' });
    await pause(20);
    expect(events.filter(({ type }) => type === 'link-down')).toHaveLength(1);
  });

  test('that do not end cost nobody the link who holds little, however many end theirs at once', async () => {
    const { socket, peer, endpoint, until, events } = await upgraded({ limits: { maxPartialBytes: 300_000 } });
    const attackers: Socket[] = [];
    for (let i = 0; i < 8; i++) {
      const attacker = await tcpClient(endpoint);
      attacker.write(upgradeText());
      await until('link-up', ({ remote }) => remote.port === attacker.localPort);
      attackers.push(attacker);
    }
    socket.write(Buffer.concat([header(1_000_000), Buffer.alloc(1000)]));
    await pause(20);
    for (const attacker of attackers) attacker.write(Buffer.concat([header(1_000_000), Buffer.alloc(90_000)]));
    await pause(50);
    const gone = events.flatMap((event) => (event.type === 'link-down' ? [event.peer] : []));
    expect(gone).not.toContain(peer);
    // Whenever one goes, the others hold 210 KB at least.
    expect(gone.length).toBeLessThanOrEqual(5);
  });

  test('that end do not count, however many there are', async () => {
    const { endpoint, until, untilReceived } = await startTransport({ limits: { maxPartialBytes: 300_000 } });
    const ws = await webSocketClient(endpoint);
    const { peer } = await until('link-up');
    for (let i = 0; i < 30; i++) ws.send(new Uint8Array(100_000));
    expect(await untilReceived(peer, 3_000_000)).toHaveLength(3_000_000);
    closers.push(() => ws.terminate());
  });
});
