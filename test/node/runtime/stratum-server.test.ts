/** The sockets of Stratum: what keeps miners out, or holds the node up, is closed. The protocol has tests of its own. */
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { encodeAddress, outputKey } from '../../../consensus/address.ts';
import { regtest } from '../../../consensus/params.ts';
import type { RequestId } from '../../../node/boundary.ts';
import { silentLogger } from '../../../node/runtime/log.ts';
import { StratumServer } from '../../../node/runtime/stratum-server.ts';
import { testKey } from '../../support/chain-builder.ts';

const AUTHORIZE = JSON.stringify({
  id: 1,
  method: 'mining.authorize',
  params: [encodeAddress(outputKey(testKey(5).script), regtest.hrp)],
});

let server: StratumServer;
let port = 0;
let now = 0;
const sockets: Socket[] = [];

beforeEach(async () => {
  now = 0;
  server = new StratumServer({
    // A node that has no work yet.
    caller: {
      call: () => 1 as RequestId,
      closeCall: () => undefined,
    },
    params: regtest,
    defaultScript: undefined,
    firstExtra: 1,
    logger: silentLogger,
    now: () => now,
  });
  ({ port } = await server.listen({ host: '127.0.0.1', port: 0 }));
});

afterEach(async () => {
  jest.useRealTimers();
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** A connection, and what becomes of it. */
async function join(): Promise<{ readonly socket: Socket; readonly closed: Promise<void> }> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => undefined); // `close` follows.
  await new Promise<void>((resolve) => socket.on('connect', () => resolve()));
  return { socket, closed };
}

/** Sends a line and waits for the answer. */
function ask(socket: Socket, line: string): Promise<string> {
  const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
  socket.write(`${line}\n`);
  return answer;
}

test('a line without end closes its connection and no other', async () => {
  const [talker, miner] = [await join(), await join()];
  talker.socket.write('x'.repeat(100_000));
  await talker.closed;
  expect(await ask(miner.socket, AUTHORIZE)).toContain('"result":true');
});

test('what is no UTF-8, and what comes in pieces, is answered', async () => {
  const { socket } = await join();
  socket.write(AUTHORIZE.slice(0, 20));
  expect(await ask(socket, AUTHORIZE.slice(20))).toContain('"result":true');
  const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
  socket.write(Uint8Array.of(0xff, 0xfe, 0, 0x0a));
  expect(await answer).toContain('each line must be a JSON object');
});

test('a connection that does not say for whom it mines is closed after 30 s; a miner stays', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'queueMicrotask', 'performance'] });
  const [idle, miner] = [await join(), await join()];
  expect(await ask(miner.socket, AUTHORIZE)).toContain('"result":true');
  jest.advanceTimersByTime(30_000);
  await idle.closed;
  expect(await ask(miner.socket, AUTHORIZE)).toContain('"result":true');
});

test('the 257th miner is turned away', async () => {
  for (let i = 0; i < 256; i++) await join();
  await (await join()).closed;
  expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1);
});

test('where all places are taken, one that does not mine makes room after a minute', async () => {
  const first = await join();
  expect(await ask(first.socket, AUTHORIZE)).toContain('"result":true');
  now = 1;
  for (let i = 1; i < 256; i++) await join();
  now = 59_999;
  await (await join()).closed;
  expect(first.socket.destroyed).toBe(false);
  now = 60_000;
  const late = await join();
  await first.closed;
  expect(await ask(late.socket, AUTHORIZE)).toContain('"result":true');
  // The others have been there a millisecond less.
  await (await join()).closed;
});

test('a miner that says nothing for ten minutes is closed', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'queueMicrotask', 'performance'] });
  const [silent, miner] = [await join(), await join()];
  await ask(silent.socket, AUTHORIZE);
  await ask(miner.socket, AUTHORIZE);
  jest.advanceTimersByTime(599_000);
  expect(await ask(miner.socket, AUTHORIZE)).toContain('"result":true');
  jest.advanceTimersByTime(1000);
  await silent.closed;
  expect(await ask(miner.socket, AUTHORIZE)).toContain('"result":true');
});

test('closing it closes all connections', async () => {
  const [one, other] = [await join(), await join()];
  await ask(one.socket, AUTHORIZE);
  await server.close();
  await Promise.all([one.closed, other.closed]);
  await server.listen({ host: '127.0.0.1', port: 0 });
});
