/** A devnet whose blocks cost work, on a network of its own with an easy difficulty, through the built command. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import type { DevnetStatus, NodeStatus } from '../../devnet/status.ts';
import type { WorkStatus } from '../../devnet/work-status.ts';
import { processLives } from '../../wallet/devnet-file.ts';
import { commandsOf } from '../support/commands.ts';

const COIN = 100_000_000;
const WAIT_MS = 20_000;

describe('a devnet whose blocks cost work', () => {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-devnet-'));
  const chainFile = join(datadir, 'easy.json');
  const up = ['devnet', 'up', '-d', '-n', '3', '--miner', 'n0=75,n1=25', '--mine-power', '60%'];

  const { grapevine, json } = commandsOf(datadir);

  async function status(holds: (work: WorkStatus, nodes: readonly NodeStatus[]) => boolean): Promise<WorkStatus> {
    for (const giveUp = Date.now() + WAIT_MS; Date.now() < giveUp; ) {
      const { work, nodes } = await json<DevnetStatus>('devnet', 'status');
      if (work !== undefined && holds(work, nodes)) return work;
      await new Promise((wake) => setTimeout(wake, 200));
    }
    throw new Error(`not within ${WAIT_MS / 1000} s`);
  }

  const blocksOf = ({ miners }: WorkStatus, node: string) => miners.find((miner) => miner.node === node)?.blocks ?? 0;

  beforeAll(async () => {
    const chain = makeChain({
      name: 'easy',
      spacingSeconds: 1,
      halfLifeSeconds: 20,
      anchorBits: 0x1f03ffff,
      powLimitBits: 0x2000ffff,
      hrp: 'easy',
      peerPort: 34_100,
      rpcPort: 34_102,
      time: Math.floor(Date.now() / 1000) - 3600,
      text: 'blocks that cost a little work',
    });
    if (!chain.ok) throw new Error(chain.error.join('; '));
    writeFileSync(chainFile, encodeChainFile(chain.value));
    const { nodes, accounts } = await json<DevnetStatus & { accounts: { address: string }[] }>(
      ...up,
      '--chain',
      chainFile,
    );
    expect(nodes.map(({ height }) => height)).toEqual([110, 110, 110]);
    expect(accounts[0]!.address).toMatch(/^easy1p/);
    // The devnet has a copy: nobody needs the file any more.
    rmSync(chainFile);
  }, 60_000);

  afterAll(async () => {
    await grapevine('devnet', 'down', '--purge');
    rmSync(datadir, { recursive: true, force: true });
  }, 30_000);

  test('mines by its shares, and its accounts pay each other', async () => {
    await json('wallet', 'send', 'bob', '1btc', '--account', 'alice', '--yes');
    await json('devnet', 'faucet', 'bob', '2btc', '--wait');
    const isPaid = async () =>
      (await json<{ confirmed: number }>('wallet', 'balance', '--account', 'bob')).confirmed === 53 * COIN;
    for (const giveUp = Date.now() + WAIT_MS; !(await isPaid()); ) expect(Date.now()).toBeLessThan(giveUp);
    const work = await status((seen) => blocksOf(seen, 'n0') >= 2 && blocksOf(seen, 'n1') >= 1);
    expect(work).toMatchObject({ spacing: 1 });
    expect(work.hashRate).toBeGreaterThan(100);
    expect(work.miners.map(({ node, share }) => [node, share])).toEqual([
      ['n0', expect.closeTo(0.45)],
      ['n1', expect.closeTo(0.15)],
    ]);
    expect(work.miners.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(work.blocks);
    expect((await grapevine('devnet', 'status')).stdout).toMatch(
      /^Difficulty: [0-9a-f]{8}, .*hash a block; about .*\/s/m,
    );
    expect(await grapevine('devnet', 'time', '+1h')).toMatchObject({ code: 2, stderr: expect.stringMatching(/easy/) });
  }, 40_000);

  test('goes on without a miner that is killed, and the miner goes on when it is back, on its side of a partition too', async () => {
    await json('devnet', 'kill', 'n0');
    const { blocks } = await status(() => true);
    const alone = await status((seen) => seen.blocks > blocks);
    await json('devnet', 'restart', 'n0');
    await json('devnet', 'partition', 'n0', '/', 'n1,n2');
    const before = (await json<DevnetStatus>('devnet', 'status')).nodes.map(({ height = 0 }) => height);
    await status((_, nodes) => nodes.every(({ height = 0 }, index) => height > before[index]!));
    await json('devnet', 'heal');
    const healed = await status((seen) => seen.stale > 0);
    expect(healed.blocks).toBeGreaterThan(alone.blocks);
    expect(healed.staleRate).toBeGreaterThan(0);
  }, 60_000);

  test('goes on with its chain after a stop, and begins anew on another network', async () => {
    const { nodes } = await json<DevnetStatus>('devnet', 'status');
    const height = Math.min(...nodes.map((node) => node.height ?? 0));
    await json('devnet', 'down');
    expect(nodes.filter(({ pid }) => processLives(pid ?? 0))).toEqual([]);
    const copy = join(datadir, 'devnet/default/chain.json');
    const again = await json<DevnetStatus & { continued: boolean }>(...up, '--chain', copy);
    expect(again.continued).toBe(true);
    expect(again.nodes[0]!.height).toBeGreaterThanOrEqual(height);
    await json('devnet', 'down');
    const other = await grapevine('devnet', 'up', '-d', '-n', '1', '--no-mine');
    expect(other.stderr).toContain('was another one (easy, seed 1, 3 nodes, 10 accounts): it is replaced');
    expect(existsSync(copy)).toBe(false);
  }, 60_000);
});
