/** Which node a command talks to, and what it says when it cannot. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { globalOptions } from '../../node/commands/cli.ts';
import { connect, connectIfRunning, findTarget } from '../../wallet/connect.ts';
import { devnetFilePath, listDevnets, readDevnetFile } from '../../wallet/devnet-file.ts';
import { parseEndpoint, RpcClient } from '../../wallet/rpc-client.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';
import { writeCookie } from './command-line.ts';
import { fakeDevnet } from './fake-devnet.ts';
import { COOKIE, FakeNode } from './fake-node.ts';

const newFolder = temporaryFolders();
const node = new FakeNode();
const second = new FakeNode();
beforeAll(async () => {
  await Promise.all([node.start(), second.start()]);
});
afterAll(() => Promise.all([node.stop(), second.stop()]));

const options = (datadir: string, nodeName?: string) => globalOptions({ datadir, node: nodeName });
const failure = (code: string, exit: number) => expect.objectContaining({ code, exit });

describe('the node that is meant', () => {
  test('is the first running one of the devnet where none is named', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node, second], { stopped: ['n0'] });
    expect(findTarget(options(datadir), 'regtest')).toMatchObject({ endpoint: second.endpoint, name: 'n1' });
  });

  test('is found by its name, by its devnet and name, by HOST:PORT and by URL', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node, second]);
    const localhost = second.endpoint.replace('127.0.0.1', 'localhost');
    for (const name of ['n1', 'default/n1', second.endpoint, localhost, `http://${second.endpoint}`]) {
      const target = findTarget(options(datadir, name), 'regtest');
      expect(target).toMatchObject({ endpoint: second.endpoint, name: 'n1', credentials: COOKIE });
      expect(target.devnet?.name).toBe('default');
    }
  });

  test('is the one of the data directory at the default port where no devnet runs', () => {
    const datadir = newFolder();
    writeCookie(datadir, `${COOKIE}\n`);
    const target = findTarget(options(datadir), 'regtest');
    expect(target).toMatchObject({ endpoint: '127.0.0.1:18443', credentials: COOKIE, devnet: undefined });
  });

  test('of a devnet whose process has died is none', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node], { pid: 2 ** 22 + 1 });
    expect(() => findTarget(options(datadir), 'regtest')).toThrow(failure('no-node', 3));
    expect(() => findTarget(options(datadir, 'default/n0'), 'regtest')).toThrow(failure('no-node', 3));
    expect(() => findTarget(options(datadir, 'n0'), 'regtest')).toThrow(failure('no-node', 3));
  });

  test('must be named where several devnets run and none is called default', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node], { name: 'a' });
    await fakeDevnet(datadir, [second], { name: 'b' });
    expect(() => findTarget(options(datadir), 'regtest')).toThrow(failure('usage', 2));
    expect(findTarget(options(datadir, 'b/n0'), 'regtest').endpoint).toBe(second.endpoint);
    await fakeDevnet(datadir, [node], { name: 'default' });
    expect(findTarget(options(datadir), 'regtest').devnet?.name).toBe('default');
  });

  test('that is stopped or unknown is said to be', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node, second], { stopped: ['n1'] });
    expect(() => findTarget(options(datadir, 'n1'), 'regtest')).toThrow(failure('node-stopped', 3));
    expect(() => findTarget(options(datadir, 'n7'), 'regtest')).toThrow(failure('usage', 2));
    expect(() => findTarget(options(datadir, 'other/n0'), 'regtest')).toThrow(failure('usage', 2));
  });

  test.each([
    '127.0.0.1:0',
    '127.0.0.1:70000',
    'a b:1',
    ':18443',
    'ws://127.0.0.1:18443',
    'http://user:secret@127.0.0.1:18443',
    'http://127.0.0.1:18443/path',
    'http://',
    'a/b/c',
    '/n0',
    'n 0',
  ])('cannot be named "%s"', async (name) => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node]);
    expect(() => findTarget(options(datadir, name), 'regtest')).toThrow(failure('usage', 2));
  });

  test('may have an IPv6 address', () => {
    expect(parseEndpoint('[::1]:18443')).toEqual({ host: '::1', port: 18443 });
  });
});

describe('devnet.json', () => {
  test('that is damaged or newer is an error that names it', async () => {
    const datadir = newFolder();
    const { file } = await fakeDevnet(datadir, [node]);
    const path = devnetFilePath(datadir, 'default');
    for (const value of [
      '{',
      'null',
      '[]',
      { ...file, pid: 'x' },
      { ...file, nodes: [{}] },
      { ...file, faucet: null },
    ]) {
      writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
      expect(() => readDevnetFile(path)).toThrow(/devnet\.json is damaged/);
    }
    writeFileSync(path, JSON.stringify({ ...file, schema: 2 }));
    expect(() => listDevnets(datadir)).toThrow(/newer grapevine/);
  });

  test('is not there in an empty data directory, and other folders beside devnets do not matter', () => {
    const datadir = newFolder();
    expect(listDevnets(datadir)).toEqual([]);
    mkdirSync(join(datadir, 'devnet', 'half-made'), { recursive: true });
    writeFileSync(join(datadir, 'devnet', 'notes.txt'), '');
    expect(listDevnets(datadir)).toEqual([]);
  });
});

describe('connecting', () => {
  test('tells the tip, and closes cleanly', async () => {
    const datadir = newFolder();
    await fakeDevnet(datadir, [node]);
    const connection = await connect(options(datadir));
    expect(connection).toMatchObject({ label: 'n0', tip: { height: node.height, hash: node.tip } });
    connection.client.close();
  });

  test('fails with exit 3 where nothing listens', async () => {
    const datadir = newFolder();
    const closed = await new FakeNode().start();
    const { endpoint } = closed;
    await closed.stop();
    await expect(connect(options(datadir, endpoint))).rejects.toMatchObject({ code: 'node-unreachable', exit: 3 });
    await expect(connectIfRunning(options(datadir))).resolves.toBeUndefined();
    await expect(connectIfRunning(options(datadir, endpoint))).rejects.toMatchObject({ exit: 3 });
  });

  test('fails with exit 3 without the cookie, and with another one', async () => {
    const datadir = newFolder();
    const missing = connect(options(datadir, node.endpoint));
    await expect(missing).rejects.toMatchObject({ code: 'not-authorised', exit: 3 });
    await expect(missing).rejects.toThrow(/wants its cookie, and there is none/);
    writeCookie(datadir, '__cookie__:wrong');
    await expect(connect(options(datadir, node.endpoint))).rejects.toThrow(/does not accept the cookie/);
  });

  test('fails with exit 3 on another network', async () => {
    const datadir = newFolder();
    writeCookie(datadir, COOKIE);
    node.chain = 'main';
    try {
      const other = connect(options(datadir, node.endpoint), 'regtest');
      await expect(other).rejects.toMatchObject({ code: 'wrong-network', exit: 3 });
      await expect(other).rejects.toThrow(/"main".*"regtest" is wanted/);
    } finally {
      node.chain = 'regtest';
    }
  });

  test('fails with exit 3 where something else than a node answers', async () => {
    const datadir = newFolder();
    const web = createServer((_, outgoing) => outgoing.end('<html>hello</html>'));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const raw = createTcpServer((socket) => socket.end('SSH-2.0\r\n'));
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    try {
      const at = (server: { address(): unknown }) => `127.0.0.1:${(server.address() as AddressInfo).port}`;
      await expect(connect(options(datadir, at(web)))).rejects.toMatchObject({ code: 'not-a-node', exit: 3 });
      await expect(connect(options(datadir, at(raw)))).rejects.toMatchObject({ exit: 3 });
    } finally {
      web.closeAllConnections();
      web.close();
      raw.close();
    }
  });

  test('asks again where the node closed a connection that had been idle, and only then', async () => {
    let requests = 0;
    const served = new WeakSet<object>();
    const tired = createServer((incoming, outgoing) => {
      requests += 1;
      if (served.has(incoming.socket) || requests > 3) incoming.socket.resetAndDestroy();
      else outgoing.end(JSON.stringify({ result: requests, error: null, id: 0 }));
      served.add(incoming.socket);
    });
    await new Promise<void>((resolve) => tired.listen(0, '127.0.0.1', resolve));
    const endpoint = `127.0.0.1:${(tired.address() as AddressInfo).port}`;
    const client = new RpcClient({ endpoint, credentials: COOKIE, cookieFile: 'none' });
    try {
      expect(await client.call('uptime')).toBe(1);
      expect(await client.call('uptime')).toBe(3);
      await expect(client.call('uptime')).rejects.toMatchObject({ code: 'connection-lost', exit: 3 });
    } finally {
      client.close();
      tired.closeAllConnections();
      tired.close();
    }
  });

  test('gives up on a node that does not answer', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const endpoint = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const client = new RpcClient({ endpoint, credentials: COOKIE, cookieFile: 'none' }, 50);
    await expect(client.call('uptime')).rejects.toMatchObject({ code: 'node-timeout', exit: 3 });
    client.close();
    silent.closeAllConnections();
    silent.close();
  });
});
