/** Links over TLS: what is shown to those who dial, what is asked of those who are dialled, and why a dial fails. */
import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { AUTHORITY, ELSEWHERE, EXPIRED, LEAF_KEY, LOCAL, OTHER_KEY, SELF_SIGNED } from '../../support/certificates.ts';
import {
  closers,
  dialOf,
  HOST,
  magic,
  rawServer,
  startTransport,
  tcpClient,
  tlsClient,
  untilClosed,
  upgradeText,
} from './transport-fixture.ts';

const identity = { cert: LOCAL, key: LEAF_KEY };

describe('a port for TLS', () => {
  test('takes WebSockets inside of TLS', async () => {
    const { endpoint, until, untilReceived, transport } = await startTransport({ identity });
    const ws = new WebSocket(`wss://localhost:${endpoint.port}/`, { ca: AUTHORITY });
    closers.push(() => ws.terminate());
    await once(ws, 'open');
    ws.send(Buffer.concat([magic, Buffer.from('hello')]));
    const up = await until('link-up');
    expect(up).toMatchObject({ direction: 'inbound', transport: 'wss', remote: { host: HOST }, local: endpoint });
    expect(up.remote.port).toBeGreaterThan(0);
    expect((await untilReceived(up.peer, 9)).subarray(4).toString()).toBe('hello');
    transport.send(up.peer, Buffer.from('answer'));
    expect(String((await once(ws, 'message'))[0])).toBe('answer');
    transport.disconnect(up.peer, 'enough');
    expect((await until('link-down')).reason).toBe('enough');
    await once(ws, 'close');
  });

  test('takes no plain WebSocket, no plain stream, and no stream inside of TLS', async () => {
    const { endpoint, events } = await startTransport({ identity });
    for (const bytes of [upgradeText(), Buffer.concat([magic, Buffer.from('version')])]) {
      const plain = await tcpClient(endpoint);
      plain.write(bytes);
      expect(await untilClosed(plain)).not.toContain('101');
    }
    const inside = await tlsClient(endpoint);
    inside.write(magic);
    await untilClosed(inside);
    expect(events).toEqual([]);
  });

  test('counts the handshake as part of the time in which a connection must show what it is', async () => {
    const { endpoint, events } = await startTransport({ identity, limits: { undecidedTimeoutMs: 60 } });
    const silent = await tcpClient(endpoint);
    const half = await tcpClient(endpoint);
    // The beginning of a client hello whose rest never comes.
    half.write(Buffer.from('16030102000100', 'hex'));
    const shaken = await tlsClient(endpoint);
    const start = performance.now();
    await Promise.all([untilClosed(silent), untilClosed(half), untilClosed(shaken)]);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(events).toEqual([]);
  });

  test('does not start with a key of another certificate', async () => {
    const { transport } = await startTransport();
    const wrong = { cert: LOCAL, key: OTHER_KEY };
    await expect(transport.listen({ host: HOST, port: 0 }, wrong)).rejects.toThrow('key values mismatch');
  });
});

describe('a dial over TLS', () => {
  test('reaches a node whose authority was given, and both ends can talk', async () => {
    const b = await startTransport({ identity });
    const a = await startTransport({ authorities: AUTHORITY });
    a.transport.dial(dialOf(1), { transport: 'wss', host: 'localhost', port: b.endpoint.port, path: '/peer' });
    const up = await a.until('link-up');
    expect(up).toMatchObject({ direction: 'outbound', transport: 'wss', remote: b.endpoint, dial: 1 });
    a.transport.send(up.peer, Buffer.concat([magic, Buffer.from('ping')]));
    const inbound = await b.until('link-up');
    expect((await b.untilReceived(inbound.peer, 8)).subarray(4).toString()).toBe('ping');
    b.transport.send(inbound.peer, Buffer.from('pong'));
    expect((await a.untilReceived(up.peer, 4)).toString()).toBe('pong');
  });

  test('reaches an IP address that the certificate names', async () => {
    const b = await startTransport({ identity });
    const a = await startTransport({ authorities: AUTHORITY });
    a.transport.dial(dialOf(1), { transport: 'wss', ...b.endpoint });
    await a.until('link-up');
  });

  test.each([
    ['is for other names', ELSEWHERE, AUTHORITY, 'the certificate is for other names (elsewhere.example)'],
    ['is self-signed', SELF_SIGNED, AUTHORITY, 'the certificate is self-signed'],
    ['has expired', EXPIRED, AUTHORITY, 'the certificate has expired'],
    ['comes from an authority that nobody named', LOCAL, undefined, 'signed by an unknown authority'],
  ])('fails where the certificate %s, and says so', async (_name, cert, authorities, reason) => {
    const b = await startTransport({ identity: { cert, key: LEAF_KEY } });
    const a = await startTransport(authorities === undefined ? {} : { authorities });
    a.transport.dial(dialOf(1), { transport: 'wss', host: 'localhost', port: b.endpoint.port });
    expect((await a.until('dial-failed')).reason).toContain(reason);
    expect(b.events).toEqual([]);
  });

  test('takes a self-signed certificate that the user named as an authority', async () => {
    const b = await startTransport({ identity: { cert: SELF_SIGNED, key: LEAF_KEY } });
    const a = await startTransport({ authorities: SELF_SIGNED });
    a.transport.dial(dialOf(1), { transport: 'wss', host: 'localhost', port: b.endpoint.port });
    await a.until('link-up');
  });

  test('fails where no TLS is spoken', async () => {
    const port = await rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { transport, until } = await startTransport();
    transport.dial(dialOf(1), { transport: 'wss', host: HOST, port });
    expect((await until('dial-failed')).reason).toBe('no TLS is spoken there');
  });
});
