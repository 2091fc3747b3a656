/**
 * What can be done to a running devnet, through the built command, and the same from somebody else's package: a folder
 * outside of this one that depends on grapevine by a link, as `npm link` makes it. The tests of the devnet follow each other
 * on one chain.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import type { ClockStatus } from '../../devnet/devnet-clock.ts';
import type { PaymentJson } from '../../devnet/payments.ts';
import type { ReorgResult } from '../../devnet/reorg.ts';
import type { DevnetStatus, NodeStatus } from '../../devnet/status.ts';
import { processLives } from '../../wallet/devnet-file.ts';

const root = resolve(import.meta.dirname, '../..');
const program = join(root, 'dist/program/grapevine.js');
const COIN = 100_000_000;
const WAIT_MS = 20_000;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], cwd = root): Promise<Outcome> {
  return new Promise((settle) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const giveUp = Date.now() + WAIT_MS; Date.now() < giveUp; ) {
    if (holds()) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`not within ${WAIT_MS / 1000} s: ${what}`);
}

describe('a running devnet', () => {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-devnet-'));
  const grapevine = (...args: string[]) => run([program, ...args, '--datadir', datadir]);

  async function json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await grapevine(...args, '--json');
    if (code !== 0) throw new Error(`grapevine ${args.join(' ')}: exit ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  beforeAll(async () => {
    const file = join(datadir, 'chain.json');
    const links = [
      { from: 'n1', to: 'n0' },
      { from: 'n2', to: 'n1', direction: 'both' },
    ];
    writeFileSync(file, JSON.stringify({ nodes: 3, links }));
    const { nodes } = await json<DevnetStatus>('devnet', 'up', '-d', '--no-mine', '--topology', `file:${file}`);
    expect(nodes.map(({ peers }) => peers)).toEqual([['n1'], ['n0', 'n2'], ['n1']]);
  }, 60_000);

  afterAll(async () => {
    await grapevine('devnet', 'down');
    rmSync(datadir, { recursive: true, force: true });
  }, 30_000);

  test('has a faucet, and a reorg after which one payment is gone and another is back', async () => {
    const [gone, back] = await Promise.all([
      json<PaymentJson>('devnet', 'faucet', 'bob', '2btc'),
      json<{ txid: string }>('wallet', 'send', 'carol', '3btc', '--account', 'alice', '--yes'),
    ]);
    expect(gone).toMatchObject({ to: 'bob', amount: 2 * COIN });
    await json('mine', '2', '--to', 'faucet');
    const order = ['--depth', '2', '--drop', gone.txid, '--node', 'n2'];
    const result = await json<ReorgResult>('devnet', 'reorg', ...order);
    expect(result).toMatchObject({
      node: 'n2',
      fork: { height: 110 },
      oldTip: { height: 112 },
      newTip: { height: 113 },
      returned: [back.txid],
      dropped: [gone.txid],
      nodes: ['n0', 'n1', 'n2'],
    });
    await json('mine', '1', '--to', 'faucet');
    const balances = await Promise.all(
      ['bob', 'carol'].map((name) => json<{ total: number }>('wallet', 'balance', '--account', name)),
    );
    expect(balances.map(({ total }) => total)).toEqual([50 * COIN, 53 * COIN]);
  }, 40_000);

  test('takes a further node, which is isolated and comes back, and has its clock moved for it too', async () => {
    const ahead = await json<ClockStatus>('devnet', 'time', '+3h');
    expect(ahead).toMatchObject({ mode: 'moved', aheadSeconds: 3 * 3600 });
    expect((await json<DevnetStatus>('devnet', 'status')).clock).toContain('the clock is 3h ahead and runs');
    await json('mine', '1', '--to', 'faucet');
    const added = await json<NodeStatus>('devnet', 'add', '--connect', 'n2');
    // The block of the moved clock is one that a node of the real time would turn away.
    expect(added).toMatchObject({ name: 'n3', height: 115, peers: ['n2'] });
    const alone = await json<DevnetStatus>('devnet', 'isolate', 'n3');
    expect(alone.partition).toEqual([['n0', 'n1', 'n2'], ['n3']]);
    expect(alone.nodes[3]!.peers).toEqual([]);
    expect((await json<DevnetStatus>('devnet', 'heal')).nodes.map(({ tip }) => tip)).toEqual(Array(4).fill(added.tip));
    expect(await json('devnet', 'topology')).toEqual({
      nodes: 4,
      links: [
        { from: 'n1', to: 'n0' },
        { from: 'n2', to: 'n1', direction: 'both' },
        { from: 'n3', to: 'n2' },
      ],
    });
    expect(await json<ClockStatus>('devnet', 'time', 'resume')).toMatchObject({ mode: 'real', aheadSeconds: 0 });
  }, 40_000);

  test('runs a script up to the line that fails, and its logs are followed until Ctrl-C', async () => {
    const follower: ChildProcess = spawn(
      process.execPath,
      [program, 'devnet', 'logs', '-f', '--json', '--lines', '0', '--datadir', datadir],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let followed = '';
    follower.stdout?.on('data', (chunk) => {
      followed += chunk;
    });
    const script = join(datadir, 'script.txt');
    const lines = [
      '# two branches and one chain',
      'devnet isolate n1',
      'tx = wallet send dave 1btc --account alice --node n1 --yes',
      'mine 1 --node n0',
      'block = mine 2 --node n1',
      'devnet heal',
      'wait tip $block within 20s',
      'wait tx $tx 2',
      'fails 2 devnet isolate n9',
      'expect there is no node',
      'devnet reorg --depth 100',
      'devnet down',
    ];
    writeFileSync(script, lines.join('\n'));
    const { code, stdout, stderr } = await grapevine('devnet', 'run', script, '--json');
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'reorg-too-deep', message: expect.stringContaining('script.txt:11: devnet reorg --depth 100: ') },
    });
    expect(code).toBe(1);
    const steps = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(steps.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const block = steps[3].output.blocks[1] as string;
    await until('the block is in the log of every node', () =>
      ['n0', 'n1', 'n2', 'n3'].every((node) =>
        followed.split('\n').some((line) => line.includes(`"node":"${node}"`) && line.includes(block)),
      ),
    );
    const ended = new Promise((settle) => follower.once('exit', settle));
    follower.kill('SIGINT');
    expect(await ended).toBe(0);
  }, 40_000);

  test('refuses what cannot be meant, each time with a reason and a hint', async () => {
    const cases: [args: string[], code: number, message: string][] = [
      [['devnet', 'add', '--connect', 'n9'], 2, 'there is no node "n9"\nhint: the nodes are n0, n1, n2, n3'],
      [['devnet', 'faucet', 'nobody'], 2, 'there is no account "nobody"'],
      [['devnet', 'faucet', 'bob', '--wait', '--wait-timeout', '1ms'], 6, ''],
      [['devnet', 'reorg', '--depth', '-2'], 2, '--depth: "-2" is no number of blocks'],
      [['devnet', 'reorg', '--depth', '50'], 1, 'the first 110 blocks of a devnet stay'],
      [['devnet', 'reorg', '--depth', '1', '--drop', 'ab'.repeat(32)], 1, 'the node knows no payment'],
      [['devnet', 'time', 'set', '2012-01-01'], 1, 'at 2012-01-01T00:00:00Z no node could mine'],
      [['devnet', 'logs', 'n9'], 2, 'there is no node "n9"'],
      [['devnet', 'topology', '--name', 'other'], 1, 'there is no devnet "other"'],
      [['devnet', 'up', '--name', 'other', '--topology', 'file:nowhere.json'], 2, 'cannot read the topology'],
    ];
    const outcomes = await Promise.all(cases.map(([args]) => grapevine(...args)));
    for (const [index, [args, code, message]] of cases.entries()) {
      const { stderr } = outcomes[index]!;
      expect([args, outcomes[index]!.code, stderr]).toEqual([args, code, expect.stringContaining(`error: ${message}`)]);
      expect(stderr).toContain('hint: ');
      expect(stderr).not.toMatch(/^\s+at /m);
    }
  }, 40_000);
});

describe("somebody else's package", () => {
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-library-'));
  beforeAll(() => {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/grapevine'), 'dir');
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'other', version: '1.0.0', type: 'module' }));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('uses a devnet whose blocks cost work, on the network of a chain file', async () => {
    const chain = makeChain({
      name: 'libnet',
      spacingSeconds: 1,
      halfLifeSeconds: 20,
      anchorBits: 0x2000ffff,
      powLimitBits: 0x2000ffff,
      hrp: 'lib',
      peerPort: 34_200,
      rpcPort: 34_202,
      time: Math.floor(Date.now() / 1000) - 3600,
      text: 'a network for other packages',
    });
    if (!chain.ok) throw new Error(chain.error.join('; '));
    writeFileSync(join(folder, 'chain.json'), encodeChainFile(chain.value));
    writeFileSync(
      join(folder, 'work.js'),
      `import { readFileSync } from 'node:fs';
      import { devnet } from 'grapevine/devnet';
      const network = readFileSync('chain.json', 'utf8');
      const refused = [];
      for (const wrong of [{ network: 'nonet' }, { network, mining: 'on-tx' }, { mining: 'work' }, { network, mining: 'n7=10' }]) {
        await devnet(wrong).catch((error) => refused.push(error.message));
      }
      const net = await devnet({ network, nodes: 2, accounts: 1, mining: 'n0=50' });
      try {
        const { work, network: name } = await net.status();
        await net.waitForTip(work.blocks + 112);
        const address = net.account('alice').address.slice(0, 5);
        process.stdout.write(JSON.stringify({ refused, name, address, miners: (await net.status()).work.miners.length }));
      } finally {
        await net.stop();
      }`,
    );
    const { code, stdout, stderr } = await run(['work.js'], folder);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({
      refused: [
        'network: there is no network "nonet"',
        'mining: on libnet blocks cost work, and its difficulty decides when they come',
        'mining: "work" is not for regtest',
        '--miner: there is no node n7',
      ],
      name: 'libnet',
      address: 'lib1p',
      miners: 1,
    });
  }, 60_000);

  test('uses a devnet in plain JavaScript, and nothing of it is left', async () => {
    writeFileSync(
      join(folder, 'use.js'),
      `import { existsSync } from 'node:fs';
      import { devnet, DevnetError, RpcError } from 'grapevine/devnet';
      const net = await devnet({ nodes: 2 });
      const facts = {};
      try {
        const { txid } = await net.account('alice').send('bob', '1.5btc');
        await net.waitForTx(txid);
        await net.node(1).mine(1, { to: 'alice' });
        facts.confirmations = (await net.waitForTx(txid, { confirmations: 1 })).confirmations;
        facts.bob = String((await net.account('bob').balance()).confirmed);
        await net.node('n1').kill();
        facts.refusals = await Promise.all([
          net.rpc('n1', 'getblockcount'),
          net.rpc('n0', 'getblockhash', [500]),
          net.waitForTip(500, { timeoutMs: 1 }),
          net.faucet('bob', 5),
        ].map((call) => call.then(() => 'done', (error) => [error instanceof DevnetError, error instanceof RpcError, error.code])));
        await net.node('n1').restart();
        facts.height = (await net.waitForSync()).height;
        facts.reorg = (await net.reorg(1)).returned.length;
        facts.pids = net.nodes.map(({ name }) => net.facts(name).pid);
      } finally {
        await net.stop();
      }
      facts.left = existsSync(net.datadir);
      process.stdout.write(JSON.stringify(facts));`,
    );
    const { code, stdout, stderr } = await run(['use.js'], folder);
    expect([code, stderr]).toEqual([0, '']);
    const { pids, ...facts } = JSON.parse(stdout) as { pids: number[] };
    expect(facts).toEqual({
      confirmations: 1,
      bob: String(51.5 * COIN),
      refusals: [
        [true, false, 'node-stopped'],
        [true, true, 'rpc-8'],
        [true, false, 'wait-timeout'],
        [true, false, 'usage'],
      ],
      height: 111,
      reorg: 1,
      left: false,
    });
    expect(pids.filter(processLives)).toEqual([]);
  }, 40_000);

  test('is told by name what it gave that cannot be meant', async () => {
    writeFileSync(
      join(folder, 'wrong.js'),
      `import { devnet, DevnetError } from 'grapevine/devnet';
      const told = (call) => call.then(() => 'done', (error) => [error instanceof DevnetError, error.code, error.message]);
      const early = new AbortController();
      const late = devnet({ nodes: 1, accounts: 1, signal: early.signal });
      early.abort(new Error('changed my mind'));
      const facts = [
        await told(devnet({ nodez: 1 })),
        await told(devnet({ datadir: '' })),
        await late.then(() => 'started', (error) => error.message),
      ];
      const net = await devnet({ nodes: 2, accounts: 1 });
      for (const call of [
        net.faucet(undefined),
        net.link('n0', 'n1', { delay: 200 }),
        net.link('n0', 'n1'),
        net.partition('n0', 'n1'),
        net.partition(['n0'], ['n0', 'n1']),
        net.reorg(1, { drop: 5 }),
        net.time(5),
        net.trace(),
        net.save(),
        net.waitForSync({ nodes: [] }),
      ]) facts.push(await told(call));
      await net.stop();
      process.stdout.write(JSON.stringify(facts));`,
    );
    const { code, stdout, stderr } = await run(['wrong.js'], folder);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual([
      [true, 'usage', 'there is no setting "nodez"'],
      [true, 'usage', 'datadir: "" is no folder'],
      'changed my mind',
      [true, 'usage', 'to: undefined is no text'],
      [true, 'usage', '200 has no unit'],
      [true, 'usage', 'undefined is no shape of a link'],
      [true, 'usage', 'every side of a partition is a list of nodes'],
      [true, 'usage', 'n0 is named twice'],
      [true, 'usage', '"5" is no txid'],
      [true, 'usage', '5 is no time'],
      [true, 'usage', 'the id: undefined is no text'],
      [true, 'usage', 'the name: undefined is no text'],
      [true, 'usage', 'no node to wait for is named'],
    ]);
  }, 40_000);

  test('is interrupted by Ctrl-C, and nothing of it is left', async () => {
    writeFileSync(
      join(folder, 'interrupted.js'),
      `import { devnet } from 'grapevine/devnet';
      const net = await devnet({ nodes: 1, accounts: 1 });
      process.stdout.write(JSON.stringify([net.datadir, net.facts('n0').pid]));
      process.kill(process.pid, 'SIGINT');
      setInterval(() => undefined, 1000);`,
    );
    const { stdout } = await run(['interrupted.js'], folder);
    const [datadir, pid] = JSON.parse(stdout) as [string, number];
    await until('the node ends', () => !processLives(pid));
    expect(existsSync(datadir)).toBe(false);
  }, 40_000);

  test('crashes, and its nodes end with it', async () => {
    writeFileSync(
      join(folder, 'crash.js'),
      `import { devnet } from 'grapevine/devnet';
      const net = await devnet({ nodes: 1, accounts: 1 });
      process.stdout.write(JSON.stringify([net.datadir, net.facts('n0').pid]));
      throw new Error('a bug of the caller');`,
    );
    const { code, stdout, stderr } = await run(['crash.js'], folder);
    expect([code, stderr]).toEqual([1, expect.stringContaining('a bug of the caller')]);
    const [datadir, pid] = JSON.parse(stdout) as [string, number];
    await until('the node ends', () => !processLives(pid));
    expect(existsSync(datadir)).toBe(false);
  }, 40_000);

  test('knows the types, and runs a devnet in jest', async () => {
    writeFileSync(
      join(folder, 'use.ts'),
      `import { devnet, type Payment, type RunningDevnet } from 'grapevine/devnet';
      await using net: RunningDevnet = await devnet({ nodes: 2, topology: 'line', mining: 'on-tx' });
      const payment: Payment = await net.account('alice').send(net.account('bob'), 5000n, { feeRate: 3 });
      export const fee: bigint = payment.fee;
      export const count: number = await net.node('n0').rpc<number>('getblockcount');
      // @ts-expect-error: a bare number is no amount.
      await net.faucet('bob', 5);
      // @ts-expect-error: it has no such setting.
      await devnet({ node: 4 });`,
    );
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      strict: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    writeFileSync(
      join(folder, 'use.test.js'),
      `import { devnet, DevnetError } from 'grapevine/devnet';
      test('mines', async () => {
        const net = await devnet({ nodes: 1, accounts: 1 });
        try {
          const [hash] = await net.mine();
          expect(await net.node('n0').tip()).toBe(hash);
          await expect(net.kill('n9')).rejects.toThrow(DevnetError);
        } finally {
          await net.stop();
        }
      }, 30000);`,
    );
    writeFileSync(join(folder, 'jest.config.js'), 'export default { transform: {}, testEnvironment: "node" };');
    const modules = join(root, 'node_modules');
    const [types, jest] = await Promise.all([
      run([join(modules, 'typescript/bin/tsc'), '-p', '.'], folder),
      run(
        ['--no-warnings', '--experimental-vm-modules', join(modules, 'jest/bin/jest.js'), '--watchman=false'],
        folder,
      ),
    ]);
    expect([types.code, types.stdout]).toEqual([0, '']);
    expect([jest.code, jest.stderr]).toEqual([0, expect.stringContaining('1 passed')]);
  }, 60_000);
});
