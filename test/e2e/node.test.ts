/** The built program as a user runs it: one node or two, real processes, ports, signals and disks. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { xOnlyPublicKey } from '../../consensus/signature.ts';
import { encodeFrame } from '../../node/wire/frame.ts';
import { eventually, NodeProcess, run } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const address = encodeAddress(xOnlyPublicKey(new Uint8Array(32).fill(7)), regtest.hrp);

describe('a node', () => {
  test('says in one line that it is ready, answers, and ends cleanly with Ctrl-C', async () => {
    const datadir = newFolder();
    const node = await NodeProcess.start(datadir);
    const { ready } = node;
    expect(ready).toMatchObject({ event: 'ready', network: 'regtest', datadir, pid: node.child.pid });
    expect(ready.rpc).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(ready.listen).toEqual([expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/)]);
    expect(ready.cookie).toBe(join(datadir, 'regtest', '.cookie'));
    expect(readFileSync(ready.cookie, 'utf8')).toMatch(/^__cookie__:[0-9a-f]{64}$/);
    if (process.platform !== 'win32') expect(statSync(ready.cookie).mode & 0o777).toBe(0o600);
    expect(await node.call('getblockcount')).toBe(0);

    const { code, stdout } = await node.signal('SIGINT');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(existsSync(ready.cookie)).toBe(false);
  });

  test('keeps its chain over a clean end and over a kill, and has a new cookie each time', async () => {
    const datadir = newFolder();
    let node = await NodeProcess.start(datadir);
    const cookie = readFileSync(node.ready.cookie, 'utf8');
    const hashes = await node.call<string[]>('generatetoaddress', 5, address);
    await node.signal('SIGTERM');
    node = await NodeProcess.start(datadir);
    expect(readFileSync(node.ready.cookie, 'utf8')).not.toBe(cookie);
    expect(await node.call('getbestblockhash')).toBe(hashes[4]);
    const [last] = await node.call<string[]>('generatetoaddress', 1, address);
    await node.signal('SIGKILL');
    node = await NodeProcess.start(datadir);
    expect(await node.call('getbestblockhash')).toBe(last);
  });

  test('ends with the call of stop, and with its parent', async () => {
    const [first, second] = [
      await NodeProcess.start(newFolder()),
      await NodeProcess.start(newFolder(), '--exit-with-parent'),
    ];
    expect(await first.call('stop')).toContain('stopping');
    expect((await first.ended).code).toBe(0);
    second.child.stdin?.end();
    expect((await second.ended).code).toBe(0);
    expect(existsSync(second.ready.cookie)).toBe(false);
  });

  test('follows another over WebSocket and over plain TCP', async () => {
    const first = await NodeProcess.start(newFolder());
    const byWebSocket = await NodeProcess.start(newFolder(), '--connect', first.ready.listen[0] as string, '--no-pex');
    const byTcp = await NodeProcess.start(newFolder(), '--connect', `tcp://127.0.0.1:${first.peerPort}`, '--no-pex');
    const hashes = await first.call<string[]>('generatetoaddress', 3, address);
    for (const node of [byWebSocket, byTcp]) {
      await eventually(
        () => node.call('getbestblockhash'),
        (hash) => hash === hashes[2],
      );
    }
  });

  test('ends with a clear message when the disk is full, and has lost nothing that it had confirmed', async () => {
    if (process.platform === 'win32') return; // There is no limit to set.
    const datadir = newFolder();
    let node = await NodeProcess.startAfter('ulimit -f 150', datadir);
    let confirmed = 0;
    const mine = async () => {
      for (;;) confirmed += (await node.call<string[]>('generatetoaddress', 10, address)).length;
    };
    await expect(mine()).rejects.toThrow();
    const { code, stderr } = await node.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/the node cannot go on: .*[Ff]ile too large/);
    expect(existsSync(node.ready.cookie)).toBe(false);
    node = await NodeProcess.start(datadir);
    expect(await node.call('getblockcount')).toBeGreaterThanOrEqual(confirmed);
    expect(confirmed).toBeGreaterThan(0);
  });

  test('lives on when peers send garbage', async () => {
    const node = await NodeProcess.start(newFolder());
    const { magic } = regtest;
    const frame = encodeFrame(magic, 'version', new Uint8Array(100));
    const wrongSum = frame.slice();
    wrongSum[20] = (wrongSum[20] ?? 0) ^ 1;
    const oversized = frame.slice();
    new DataView(oversized.buffer).setUint32(16, 0xffffffff, true);
    const streams: readonly Uint8Array[] = [
      Buffer.from('f9beb4d9', 'hex'),
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      Buffer.from('GET \0\0\0\0\r\n\r\n'),
      Buffer.alloc(100_000, 0xaa),
      wrongSum,
      oversized,
      frame.subarray(0, 50),
      Buffer.concat([magic, Buffer.alloc(100_000, 0x55)]),
    ];
    for (const bytes of streams) {
      const socket = connect({ host: '127.0.0.1', port: node.peerPort });
      socket.on('error', () => undefined);
      const closed = new Promise((settle) => socket.once('close', settle));
      socket.end(bytes);
      socket.resume();
      await closed;
    }
    expect(await node.call('getblockcount')).toBe(0);
    expect(await node.post('{"method":')).toContain('-32700');
    expect(await node.post('x'.repeat(40_000_000))).toContain('larger than');
    await expect(node.call('nosuchmethod')).rejects.toThrow('-32601');
    await expect(node.call('getblockhash', 'ten')).rejects.toThrow('-3');
    await eventually(
      () => node.call<unknown[]>('getpeerinfo'),
      (peers) => peers.length === 0,
    );
    expect((await node.signal('SIGINT')).code).toBe(0);
  });
});

describe('a node does not start', () => {
  /** Runs it, and returns its error in JSON. */
  async function failure(datadir: string, ...args: readonly string[]) {
    const { code, stdout, stderr } = await run('node', '--json', '--datadir', datadir, ...args);
    expect(stdout).toBe('');
    const error = (JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: Record<string, string> }).error;
    expect(error['hint']).toBeTruthy();
    return { exit: code, code: error['code'], message: error['message'] };
  }

  test('on a port that is taken, for peers or for RPC, and names it', async () => {
    const node = await NodeProcess.start(newFolder());
    const folder = newFolder();
    const peers = await failure(folder, '--rpc', ':0', '--listen', node.ready.listen[0] as string);
    expect(peers).toMatchObject({
      exit: 1,
      code: 'port-taken',
      message: expect.stringContaining(String(node.peerPort)),
    });
    const rpc = await failure(folder, '--rpc', node.ready.rpc, '--listen', 'ws://127.0.0.1:0');
    expect(rpc).toMatchObject({ exit: 1, code: 'port-taken', message: expect.stringContaining(String(node.rpcPort)) });
    expect(existsSync(join(folder, 'regtest', '.cookie'))).toBe(false);
    await (await NodeProcess.start(folder)).signal('SIGINT');
  });

  test('in the data directory of another that runs, and leaves it alone', async () => {
    const node = await NodeProcess.start(newFolder());
    const second = await failure(node.ready.datadir, '--rpc', ':0', '--listen', 'ws://127.0.0.1:0');
    expect(second).toMatchObject({
      exit: 1,
      code: 'datadir-in-use',
      message: expect.stringContaining('in use by another process'),
    });
    expect(existsSync(node.ready.cookie)).toBe(true);
    expect(await node.call('getblockcount')).toBe(0);
  });

  test('in a data directory that is a file, or whose store is damaged', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), 'x');
    expect(await failure(join(folder, 'file'))).toMatchObject({ exit: 1, code: 'datadir-not-writable' });
    const store = join(folder, 'regtest', 'store');
    mkdirSync(store, { recursive: true });
    writeFileSync(join(store, 'CURRENT'), 'nonsense');
    expect(await failure(folder)).toMatchObject({ exit: 1, code: 'datadir-damaged' });
  });

  test.each([
    [['--network', 'nonet'], 'nonet'],
    [['--rpc', 'localhost'], '--rpc'],
    [['--rpc', '127.0.0.1:70000'], '--rpc'],
    [['--listen', 'http://127.0.0.1:1'], '--listen'],
    [['--listen', 'wss://127.0.0.1:1'], '--listen'],
    [['--connect', 'ws://'], '--connect'],
    [['--connect', 'http://127.0.0.1:1'], '--connect'],
    [['--mine', 'bcrt1pnothing'], '--mine'],
    [['--profile', 'fast'], '--profile'],
    [['--user-agent-comment', 'a/b'], '--user-agent-comment'],
    [['--nosuchoption'], '--nosuchoption'],
    [['nosuchcommand'], 'nosuchcommand'],
  ])('with %j: exit code 2, and the message names it', async (args, named) => {
    const { exit, code, message } = await failure(newFolder(), ...args);
    expect([exit, code]).toEqual([2, 'usage']);
    expect(message).toContain(named);
  });
});

describe('a question to a node', () => {
  test('finds it by its data directory and port, and answers in text and in JSON', async () => {
    const node = await NodeProcess.start(newFolder());
    await node.call('generatetoaddress', 2, address);
    const to = ['--datadir', node.ready.datadir, '--node', node.ready.rpc];
    const status = await run('node', 'status', '--json', ...to);
    expect(JSON.parse(status.stdout)).toMatchObject({ network: 'regtest', height: 2, initialSync: false });
    expect((await run('node', 'status', ...to)).stdout).toMatch(/^height +2$/m);
    expect((await run('node', 'peers', ...to)).stdout).toBe('no peers\n');
    expect((await run('node', 'mempool', ...to)).stdout).toBe('no transactions\n');
    expect(JSON.parse((await run('node', 'tips', '--json', ...to)).stdout)).toMatchObject([
      { height: 2, status: 'active' },
    ]);
    expect((await run('node', 'rpc', 'getblockcount', ...to)).stdout).toBe('2\n');
    const mined = await run('mine', '2', '--to', address, ...to);
    expect(mined.stdout).toMatch(/^([0-9a-f]{64}\n){2}$/);
    const refused = await run('node', 'rpc', 'getblockhash', '99', ...to);
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('Block height out of range')]);
    expect((await run('node', 'ban', '203.0.113.9/24', '--for', '90m', ...to)).stdout).toBe(
      '203.0.113.9/24 is banned for 90m\n',
    );
    expect(JSON.parse((await run('node', 'bans', '--json', ...to)).stdout)).toMatchObject([
      { subnet: '203.0.113.0/24', remainingSeconds: expect.any(Number) },
    ]);
    expect((await run('node', 'bans', ...to)).stdout).toMatch(/^203\.0\.113\.0\/24 +2\d{3}-/m);
    expect((await run('node', 'ban', '203.0.113.7', ...to)).code).toBe(4);
    expect((await run('node', 'ban', '203.0.113.7', '--for', 'ever', ...to)).code).toBe(2);
    expect((await run('node', 'unban', '203.0.113.0/24', ...to)).code).toBe(0);
    expect((await run('node', 'bans', ...to)).stdout).toBe('nothing is banned\n');
    const stopped = await run('node', 'stop', ...to);
    expect([stopped.code, stopped.stdout]).toEqual([0, `${node.ready.rpc} has stopped\n`]);
    expect((await node.ended).code).toBe(0);
    expect((await run('node', 'status', ...to)).code).toBe(3);
  });
});
