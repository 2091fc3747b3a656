/**
 * A line of four real nodes with slow links, through the built command: the way of a payment and of a block, and the whole
 * network saved, wrecked and loaded. The tests follow each other on one chain.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { callControl } from '../../devnet/control.ts';
import { devnetFilePath, readDevnetFile } from '../../wallet/devnet-file.ts';
import { commandsOf } from '../support/commands.ts';

const datadir = mkdtempSync(join(tmpdir(), 'grapevine-snapshots-'));
const WAIT_MS = 20_000;
/** One way, of the links n0 - n1, n1 - n2 and n2 - n3. */
const DELAYS_MS = [60, 30, 90];

const { grapevine, json } = commandsOf(datadir);

/** Where the devnet answers; commands go the same way, and cost a process each. */
function control() {
  const file = readDevnetFile(devnetFilePath(datadir, 'default'));
  if (file === undefined) throw new Error('the devnet does not run');
  return file.control;
}

const status = () => callControl(control(), 'status', {});

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const giveUp = Date.now() + WAIT_MS; Date.now() < giveUp; ) {
    if (await holds()) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`not within ${WAIT_MS / 1000} s: ${what}`);
}

async function pay(): Promise<string> {
  const sent = await json<{ txid: string }>(
    'wallet',
    'send',
    'bob',
    '1btc',
    '--account',
    'alice',
    '--node',
    'n0',
    '--yes',
  );
  await until('the payment at every node', async () => (await status()).nodes.every(({ mempool }) => mempool === 1));
  return sent.txid;
}

async function mine(node: string): Promise<string> {
  const { blocks } = await json<{ blocks: [string] }>('mine', '1', '--node', node, '--to', 'faucet');
  await until('the block at every node', async () => (await status()).nodes.every(({ tip }) => tip === blocks[0]));
  return blocks[0];
}

interface Traced {
  readonly steps: readonly {
    readonly node: string;
    readonly step: string;
    readonly with?: string;
    readonly sinceMs: number;
  }[];
  readonly nodes: readonly { readonly node: string; readonly hadMs: number; readonly from?: string }[];
}

beforeAll(async () => {
  await json('devnet', 'up', '-d', '--no-mine', '--topology', 'line', '--accounts', '2');
  for (const [index, delay] of DELAYS_MS.entries()) {
    await json('devnet', 'link', `n${index}`, `n${index + 1}`, '--delay', `${delay}ms`);
  }
}, 60_000);

afterAll(async () => {
  await grapevine('devnet', 'down', '--purge');
  rmSync(datadir, { recursive: true, force: true });
}, 30_000);

describe('a line of slow links', () => {
  test('a payment is traced hop by hop, in order and with the delays', async () => {
    const { steps, nodes } = await json<Traced>('devnet', 'trace', await pay());
    expect(nodes.map(({ node, from }) => [node, from])).toEqual([
      ['n0', undefined],
      ['n1', 'n0'],
      ['n2', 'n1'],
      ['n3', 'n2'],
    ]);
    for (const [index, delay] of DELAYS_MS.entries()) {
      const [from, to] = [`n${index}`, `n${index + 1}`];
      const at = (node: string, step: string, peer: string) => {
        const found = steps.findIndex((one) => one.node === node && one.step === step && one.with === peer);
        expect(found).toBeGreaterThanOrEqual(0);
        return found;
      };
      const order = [
        at(from, 'announced-to', to),
        at(to, 'announced-by', from),
        at(to, 'requested-from', from),
        at(from, 'requested-by', to),
        at(from, 'delivered-to', to),
        at(to, 'delivered-by', from),
        at(to, 'accepted', from),
      ];
      expect(order).toEqual([...order].sort((a, b) => a - b));
      // Announced, requested, delivered: three ways, less what rounding to milliseconds takes.
      const took = steps[order[5]!]!.sinceMs - steps[order[0]!]!.sinceMs;
      expect(took).toBeGreaterThanOrEqual(3 * delay - 3);
    }
  }, 30_000);

  test('a block is traced from its miner on, as text too', async () => {
    const hash = await mine('n3');
    const { stdout } = await grapevine('devnet', 'trace', hash);
    expect(stdout).toContain(`Block ${hash}`);
    expect(stdout).toMatch(/^n3 +0 ms +0 ms +itself +connected$/m);
    const had = (await json<Traced>('devnet', 'trace', hash)).nodes;
    expect(had.map(({ node, from }) => [node, from])).toEqual([
      ['n3', undefined],
      ['n2', 'n3'],
      ['n1', 'n2'],
      ['n0', 'n1'],
    ]);
    expect(had[3]!.hadMs).toBeGreaterThanOrEqual(3 * (60 + 30 + 90) - 9);
  }, 30_000);

  test('what is no link is refused, with what is allowed', async () => {
    const outcome = await grapevine('devnet', 'link', 'n0', 'n1', '--delay', '-5ms');
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toContain('0ms to 10s');
  });
});

describe('a snapshot', () => {
  const picture = async () => ({
    nodes: (await status()).nodes.map(({ name, tip, mempool, peers }) => ({ name, tip, mempool, peers })),
    ...(await callControl(control(), 'links', {})),
    balance: await json('wallet', 'balance', '--account', 'alice', '--node', 'n2'),
  });
  let saved: Awaited<ReturnType<typeof picture>>;

  test('is taken of a running devnet, which goes on', async () => {
    await pay();
    saved = await picture();
    expect(await json('devnet', 'save', 'first')).toMatchObject({ name: 'first', nodes: 4, height: 111, fault: null });
    expect(await picture()).toEqual(saved);
    const again = await grapevine('devnet', 'save', 'first');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('--force');
  }, 30_000);

  test('brings tips, mempools, balances and slow links back after the network was wrecked', async () => {
    await mine('n1');
    await mine('n0');
    await json('devnet', 'kill', 'n2');
    rmSync(join(datadir, 'devnet/default/n2'), { recursive: true });
    expect(await json('devnet', 'load', 'first')).toMatchObject({ running: true });
    expect(await picture()).toEqual(saved);
    await mine('n2');
  }, 30_000);

  test('that was damaged is refused by name and changes nothing', async () => {
    const before = await picture();
    const file = join(datadir, 'snapshots/first/data/n1/regtest/blocks/blk00000.dat');
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(1));
    const outcome = await grapevine('devnet', 'load', 'first');
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('snapshot "first" is damaged');
    expect(await picture()).toEqual(before);
    writeFileSync(file, bytes);
  }, 30_000);

  test('is loaded into a stopped devnet too, and the next start goes on with it', async () => {
    await json('devnet', 'down');
    expect(await json('devnet', 'load', 'first')).toMatchObject({ running: false, up: 'grapevine devnet up' });
    await json('devnet', 'up', '-d', '--no-mine');
    expect(await picture()).toEqual(saved);
    expect(existsSync(join(datadir, 'devnet/default/loaded.json'))).toBe(false);
  }, 40_000);
});
