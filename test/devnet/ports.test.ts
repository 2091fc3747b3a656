import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { freePorts, LOOPBACK } from '../../devnet/ports.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Takes a port, any free one for 0, and gives its number. */
async function take(port: number): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((settle, refuse) => {
    server.once('error', refuse);
    server.listen(port, LOOPBACK, settle);
  });
  return (server.address() as { port: number }).port;
}

test('pairs that are taken are passed over', async () => {
  const taken = await take(0);
  const pairs = await freePorts({ rpc: taken, listen: taken + 1 }, 3);
  expect(pairs).toHaveLength(3);
  for (const { rpc, listen } of pairs) {
    expect(rpc).toBeGreaterThan(taken);
    expect((rpc - taken) % 2).toBe(0);
    expect(listen).toBe(rpc + 1);
  }
});

test('where there are not enough, it is said how many there are', async () => {
  await expect(freePorts({ rpc: 65_536, listen: 65_537 }, 2)).rejects.toMatchObject({
    code: 'no-free-ports',
    message: expect.stringContaining('and there are 0'),
  });
});
