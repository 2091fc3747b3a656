/**
 * One devnet of four real nodes, through the built command only, as a user would: pay, mine, crash, restart, partition,
 * heal, stop. The tests follow each other on one chain.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ReadyReport } from '../../devnet/report.ts';
import type { DevnetStatus, NodeStatus } from '../../devnet/status.ts';
import { devnetFilePath, processLives, readDevnetFile } from '../../wallet/devnet-file.ts';
import { RpcClient } from '../../wallet/rpc-client.ts';
import { commandsOf, type Outcome, program } from '../support/commands.ts';

const datadir = mkdtempSync(join(tmpdir(), 'grapevine-devnet-'));
/** Of the default devnet's block 110: the same on every machine. */
const PREMINE_TIP = '21a348fcbdb2c5c7d77bec1274dfd484b374ab018abbffa19f3b34f448cc67a9';
const NODES = ['n0', 'n1', 'n2', 'n3'];
const COIN = 100_000_000;
/** Generous, because the machine may be busy with other tests. */
const WAIT_MS = 20_000;

const { grapevine, json } = commandsOf(datadir);

/** The error of a command that must fail: its exit code and its two lines. */
async function refusal(...args: string[]): Promise<Outcome> {
  const outcome = await grapevine(...args);
  expect(outcome.stdout).toBe('');
  expect(outcome.stderr).not.toMatch(/^\s+at /m);
  return outcome;
}

async function call<T>(node: string, method: string, params: readonly unknown[] = []): Promise<T> {
  const found = readDevnetFile(devnetFilePath(datadir, 'default'))?.nodes.find(({ name }) => name === node);
  if (found === undefined) throw new Error(`there is no ${node}`);
  const credentials = readFileSync(found.cookie, 'utf8');
  const client = new RpcClient({ endpoint: found.rpc, credentials, cookieFile: found.cookie });
  try {
    return (await client.call(method, params)) as T;
  } finally {
    client.close();
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const giveUp = Date.now() + WAIT_MS; Date.now() < giveUp; ) {
    if (await holds()) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`not within ${WAIT_MS / 1000} s: ${what}`);
}

function allAtTip(hash: string, nodes: readonly string[] = NODES): Promise<void> {
  return until(`${nodes.join(', ')} at ${hash}`, async () => {
    const tips = await Promise.all(nodes.map((node) => call(node, 'getbestblockhash')));
    return tips.every((tip) => tip === hash);
  });
}

function inMempools(txid: string, nodes: readonly string[]): Promise<void> {
  return until(`${txid} in the mempools of ${nodes.join(', ')}`, async () => {
    const pools = await Promise.all(nodes.map((node) => call<string[]>(node, 'getrawmempool')));
    return pools.every((pool) => pool.includes(txid));
  });
}

async function mine(node: string, count = 1): Promise<string> {
  const { blocks } = await json<{ blocks: string[] }>('mine', String(count), '--node', node, '--to', 'faucet');
  expect(blocks).toHaveLength(count);
  return blocks.at(-1)!;
}

interface Sent {
  readonly txid: string;
  readonly fee: number;
}

function pay(from: string, to: string, amount: string, node: string): Promise<Sent> {
  return json<Sent>('wallet', 'send', to, amount, '--account', from, '--node', node, '--yes');
}

async function confirmedBalance(account: string): Promise<number> {
  const balance = await json<{ confirmed: number; unconfirmed: number }>('wallet', 'balance', '--account', account);
  expect(balance.unconfirmed).toBe(0);
  return balance.confirmed;
}

function blockHashOf(node: string, txid: string): Promise<string | undefined> {
  return call<{ blockhash?: string }>(node, 'getrawtransaction', [txid, true]).then(({ blockhash }) => blockhash);
}

describe('a devnet of four nodes', () => {
  let report: ReadyReport;

  beforeAll(async () => {
    const readyFile = join(datadir, 'ready.json');
    report = await json<ReadyReport>('devnet', 'up', '-d', '--no-mine', '--ready-file', readyFile);
    expect(JSON.parse(readFileSync(readyFile, 'utf8'))).toEqual(report);
  }, 90_000);

  afterAll(async () => {
    await grapevine('devnet', 'down');
    rmSync(datadir, { recursive: true, force: true });
  }, 30_000);

  test('is ready with the first blocks everywhere, everybody linked with everybody, and funded accounts', () => {
    expect(report.nodes.map(({ name }) => name)).toEqual(NODES);
    for (const node of report.nodes) {
      const others = NODES.filter((name) => name !== node.name);
      expect(node).toMatchObject({ state: 'running', height: 110, tip: PREMINE_TIP, peers: others, mempool: 0 });
    }
    expect(report.accounts).toHaveLength(10);
    for (const { spendable, immature } of report.accounts) expect([spendable, immature]).toEqual([50 * COIN, 0]);
    expect(report.faucet).toMatchObject({ spendable: 50 * COIN, immature: 99 * 50 * COIN });
  });

  test('keeps its token to its owner', () => {
    for (const file of ['devnet.json', 'supervisor.json']) {
      expect(statSync(join(datadir, 'devnet', 'default', file)).mode & 0o777).toBe(0o600);
    }
  });

  test('found its nodes by peer exchange: every node was told of the first one only', async () => {
    for (const node of NODES) {
      const peers = await call<{ subver: string; connection_type: string }[]>(node, 'getpeerinfo');
      const told = peers.filter(({ connection_type }) => connection_type === 'manual').map(({ subver }) => subver);
      expect(told).toEqual(node === 'n0' ? [] : [expect.stringContaining('(devnet:n0)')]);
    }
  });

  test('confirms a payment from alice to bob everywhere, exact to the satoshi', async () => {
    const { txid, fee } = await pay('alice', 'bob', '1.5btc', 'n0');
    await inMempools(txid, NODES);
    const block = await mine('n2');
    await allAtTip(block);
    for (const node of NODES) expect(await blockHashOf(node, txid)).toBe(block);
    expect(await confirmedBalance('alice')).toBe(48.5 * COIN - fee);
    expect(await confirmedBalance('bob')).toBe(51.5 * COIN);
    for (const node of NODES) expect(await call(node, 'getrawmempool')).toEqual([]);
  });

  test('catches up a node that crashed', async () => {
    const killed = await json<NodeStatus>('devnet', 'kill', 'n1');
    expect(killed).toMatchObject({ name: 'n1', state: 'stopped', pid: null });
    const block = await mine('n3', 3);
    await allAtTip(block, ['n0', 'n2', 'n3']);
    const restarted = await json<NodeStatus>('devnet', 'restart', 'n1');
    expect(restarted).toMatchObject({ name: 'n1', state: 'running' });
    await allAtTip(block);
    expect(await call('n1', 'getblockcount')).toBe(114);
  });

  test('grows two branches while it is partitioned, and returns to one without losing a payment', async () => {
    const status = await json<DevnetStatus>('devnet', 'partition', 'n0,n1', '/', 'n2,n3');
    expect(status.partition).toEqual([
      ['n0', 'n1'],
      ['n2', 'n3'],
    ]);
    expect(status.nodes.map(({ peers }) => peers)).toEqual([['n1'], ['n0'], ['n3'], ['n2']]);

    const { txid, fee } = await pay('carol', 'dave', '7btc', 'n0');
    await inMempools(txid, ['n0', 'n1']);
    const losing = await mine('n1');
    await allAtTip(losing, ['n0', 'n1']);
    expect(await blockHashOf('n0', txid)).toBe(losing);
    const winning = await mine('n3', 2);
    await allAtTip(winning, ['n2', 'n3']);
    expect(await call('n2', 'getrawmempool')).toEqual([]);
    expect(await call('n0', 'getbestblockhash')).toBe(losing);

    const healed = await json<DevnetStatus>('devnet', 'heal');
    expect(healed.partition).toEqual([]);
    await allAtTip(winning);
    await inMempools(txid, ['n0', 'n1']);

    const block = await mine('n0');
    await allAtTip(block);
    for (const node of NODES) expect(await blockHashOf(node, txid)).toBe(block);
    expect(await confirmedBalance('carol')).toBe(43 * COIN - fee);
    expect(await confirmedBalance('dave')).toBe(57 * COIN);
  });

  test('keeps a node that comes back in a partition on its own side', async () => {
    await json('devnet', 'kill', 'n3');
    await json('devnet', 'partition', 'n0', 'n1', '/', 'n2', 'n3');
    const branch = await mine('n2');
    const restarted = await json<NodeStatus>('devnet', 'restart', 'n3');
    expect(restarted.peers).toEqual(['n2']);
    await allAtTip(branch, ['n2', 'n3']);
    expect(await call('n0', 'getbestblockhash')).not.toBe(branch);
    await json('devnet', 'heal');
    await allAtTip(branch);
  });

  test('refuses what cannot be meant, each time with a reason and a hint', async () => {
    const cases: [args: string[], code: number, message: string][] = [
      [['devnet', 'up'], 1, 'devnet "default" runs already'],
      [['devnet', 'kill', 'n9'], 2, 'there is no node "n9"\nhint: the nodes are n0, n1, n2, n3'],
      [['devnet', 'restart', 'bob'], 2, 'there is no node "bob"'],
      [['devnet', 'partition', '/'], 2, 'the partition names no nodes'],
      [['devnet', 'partition', 'n0,n1'], 2, 'the partition has one side only'],
      [['devnet', 'partition', 'n0,n1', '/', 'n2'], 2, 'n3 is on no side of the partition'],
      [['devnet', 'partition', 'n0,n1', '/', 'n2,n3,n4'], 2, 'there is no node "n4"'],
      [['devnet', 'partition', 'n0,n1', '/', 'n1,n2,n3'], 2, 'n1 is named twice'],
      [['devnet', 'status', '--name', 'other'], 1, 'there is no devnet "other"'],
      [['devnet', 'down', '--name', 'other'], 1, 'there is no devnet "other"'],
      [['devnet', 'up', '-n', '0', '--name', 'other'], 2, '-n: "0" is not a whole number'],
      [['devnet', 'kill'], 2, "missing required argument 'node'"],
      [['devnet', 'fly'], 2, "unknown command 'fly'"],
    ];
    const outcomes = await Promise.all(cases.map(([args]) => refusal(...args)));
    for (const [index, [args, code, message]] of cases.entries()) {
      expect([args, outcomes[index]!.code, outcomes[index]!.stderr]).toEqual([
        args,
        code,
        expect.stringContaining(`error: ${message}`),
      ]);
      expect(outcomes[index]!.stderr).toContain('hint: ');
    }
    expect((await json<DevnetStatus>('devnet', 'status')).nodes.every(({ state }) => state === 'running')).toBe(true);
  });

  test('stops with all its processes, goes on with its chain, and leaves nothing when it is purged', async () => {
    const { pid, nodes } = await json<DevnetStatus>('devnet', 'status');
    const tip = nodes[0]!.tip;
    expect(await json('devnet', 'down')).toMatchObject({ stopped: 4 });
    for (const node of nodes) expect(processLives(node.pid!)).toBe(false);
    expect(existsSync(join(datadir, 'ready.json'))).toBe(false);
    expect((await refusal('devnet', 'status')).stderr).toContain('devnet "default" is not running');

    const again = await json<ReadyReport>('devnet', 'up', '-d', '--no-mine');
    expect(again).toMatchObject({ continued: true });
    expect(again.pid).not.toBe(pid);
    expect(again.nodes.map((node) => node.tip)).toEqual([tip, tip, tip, tip]);
    expect(again.accounts[3]).toMatchObject({ name: 'dave', spendable: 57 * COIN });

    expect(await json('devnet', 'down', '--purge')).toMatchObject({ stopped: 4, purged: true });
    expect(readdirSync(join(datadir, 'devnet'))).toEqual([]);
  }, 60_000);
});

describe('a devnet in the foreground', () => {
  const home = mkdtempSync(join(tmpdir(), 'grapevine-devnet-'));
  let child: ChildProcess;

  afterAll(() => {
    child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  });

  /** Starts it and resolves with what it printed on stdout when it was ready. */
  function up(...args: string[]): Promise<string> {
    child = spawn(process.execPath, [program, 'devnet', 'up', '--datadir', home, ...args], { stdio: 'pipe' });
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors += chunk;
    });
    return new Promise((settle, refuse) => {
      let text = '';
      child.stdout?.on('data', (chunk) => {
        text += chunk;
        if (text.includes('devnet status')) settle(text);
      });
      child.once('exit', () => refuse(new Error(errors)));
    });
  }

  function nodePids(): number[] {
    const nodes = readDevnetFile(devnetFilePath(home, 'default'))?.nodes ?? [];
    return nodes.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  }

  test('prints nodes first, then accounts with their words, then three commands; Ctrl-C stops every process', async () => {
    const text = await up('-n', '2', '--accounts', '2', '--on-tx');
    expect(text.indexOf('ws://127.0.0.1:')).toBeLessThan(text.indexOf('alice'));
    expect(text).toMatch(/^bob +bcrt1p[a-z0-9]+ +50\.00000000 btc( +[a-z]+){12}$/m);
    expect(text.trimEnd().split('\n').slice(-4)).toEqual([
      'Try',
      '  npx grapevine wallet send bob 1.5btc --account alice --yes',
      '  npx grapevine mine 1 --node n1',
      '  npx grapevine devnet status',
    ]);
    const pids = nodePids();
    expect(pids).toHaveLength(2);
    const ended = new Promise((settle) => child.once('exit', settle));
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(pids.filter(processLives)).toEqual([]);
    expect(existsSync(devnetFilePath(home, 'default'))).toBe(false);
  }, 60_000);

  test('leaves no process behind when it is killed, and the next one cleans up after it', async () => {
    await up('-n', '2', '--accounts', '2', '--no-mine');
    const pids = nodePids();
    const ended = new Promise((settle) => child.once('exit', settle));
    child.kill('SIGKILL');
    await ended;
    await until('the nodes end', async () => !pids.some(processLives));
    expect(existsSync(devnetFilePath(home, 'default'))).toBe(true);
    expect(await up('-n', '2', '--accounts', '2', '--no-mine')).toContain('seed 1');
    const stopped = new Promise((settle) => child.once('exit', settle));
    child.kill('SIGTERM');
    expect(await stopped).toBe(0);
  }, 60_000);
});
