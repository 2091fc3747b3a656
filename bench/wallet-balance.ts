/**
 * `grapevine wallet balance` as a user runs it, a process of its own, at a real node: from its start to its end. The wallet
 * has 10,000 coins on 100 addresses, which it has looked up once before. Beside it a wallet without coins, and a process that
 * does nothing: what Node itself takes.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { p2trScript } from '../consensus/address.ts';
import { regtest } from '../consensus/params.ts';
import { EXTERNAL } from '../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../wallet/keys.ts';
import { seedFromMnemonic } from '../wallet/mnemonic.ts';
import { coinChain, submitBlocks } from './coins.ts';
import { figure, median } from './figures.ts';
import { startNode, stopNode } from './node-process.ts';

export const about = 'wallet balance with 10,000 coins, from the start of its process';

const COINS = 10_000;
const ADDRESSES = 100;
const RUNS = 9;
const AIM_MS = 150;
const PROGRAM = join(import.meta.dirname, '../program/grapevine.js');

export async function run(): Promise<void> {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const node = await startNode(datadir, '--no-pex');
  try {
    const { mnemonic } = JSON.parse(grapevine(datadir, 'wallet', 'new', 'rich', '--json')) as { mnemonic: string };
    grapevine(datadir, 'wallet', 'new', 'poor', '--json');
    const scripts = scriptsOf(mnemonic);
    const { blocks, coins } = coinChain(COINS, (index) => scripts[index % ADDRESSES] as Uint8Array);
    await submitBlocks(node.client, blocks);
    const balance = (account: string, ...more: readonly string[]) =>
      grapevine(datadir, 'wallet', 'balance', '--account', account, '--node', node.client.target.endpoint, ...more);

    // The first time it derives its addresses, and remembers them.
    const { confirmed } = JSON.parse(balance('rich', '--json')) as { confirmed: number };
    const expected = coins.reduce((sum, { value }) => sum + value, 0n);
    if (BigInt(confirmed) !== expected) throw new Error(`the balance is ${confirmed}, not ${expected}`);
    balance('poor');

    const times: { rich: number[]; poor: number[]; nothing: number[] } = { rich: [], poor: [], nothing: [] };
    for (let i = 0; i < RUNS; i++) {
      times.rich.push(timed(() => balance('rich')));
      times.poor.push(timed(() => balance('poor')));
      times.nothing.push(timed(() => void spawnSync(process.execPath, ['-e', '0'])));
    }
    figure(`balance with ${COINS} coins, median`, median(times.rich), 'ms', `aim ${AIM_MS}; ${RUNS} runs`);
    figure('balance without coins', median(times.poor), 'ms');
    figure('a process that does nothing', median(times.nothing), 'ms');
  } finally {
    await stopNode(node);
    rmSync(datadir, { recursive: true, force: true });
  }
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

/** Runs a command to its end and returns what it printed. */
function grapevine(datadir: string, ...args: readonly string[]): string {
  const env = { ...process.env, GRAPEVINE_DATADIR: datadir, GRAPEVINE_PASSWORD: 'bench' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`grapevine ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The scripts of its first receiving addresses. */
function scriptsOf(mnemonic: string): Uint8Array[] {
  const { publicKey } = new AccountSecret(seedFromMnemonic(mnemonic), regtest);
  const addresses = AccountAddresses.fromPublicKey(publicKey, regtest);
  if (!addresses.ok) throw new Error(addresses.error);
  const { value } = addresses;
  return Array.from({ length: ADDRESSES }, (_, index) => p2trScript(value.outputKey({ chain: EXTERNAL, index })));
}
