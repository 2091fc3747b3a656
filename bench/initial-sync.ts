/**
 * Initial sync: a fresh node with default settings syncs a chain of 100,500 one-input P2TR spends from one local peer over
 * one link. Where GRAPEVINE_BITCOIND names a bitcoind, it syncs the same chain from the same peer, with two threads for
 * verification, right after. `initial-sync 2` gives every spend two outputs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bytes } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { figure, median, peakMegabytes, processorSeconds, sleep } from './figures.ts';
import { bitcoind, type RunningNode, startBitcoind, startNode, stopNode } from './node-process.ts';
import { PAYMENT_BLOCKS, PAYMENTS_PER_BLOCK, recordedChain } from './recorded-chain.ts';
import { ServingPeer } from './serving-peer.ts';

export const about = 'a fresh node syncs 100,500 P2TR spends from one peer; [outputs 1|2] [runs]';

const SPENDS = PAYMENT_BLOCKS * PAYMENTS_PER_BLOCK;
const POLL_MS = 25;

interface Sync {
  readonly rate: number;
  readonly memory: number | undefined;
  /** Processor seconds of all its threads, start included. */
  readonly processor: number | undefined;
}

export async function run([outputs = '1', runs = '3']: readonly string[]): Promise<void> {
  const blocks = recordedChain(outputs === '2' ? 2 : 1);
  const ours: Sync[] = [];
  const theirs: Sync[] = [];
  // One after the other, in turn, so that a noisy moment of the machine does not fall on one of them alone.
  for (let i = 0; i < Number(runs); i++) {
    ours.push(
      await sync(blocks, (datadir, port) => startNode(datadir, '--no-pex', '--connect', `ws://127.0.0.1:${port}`)),
    );
    if (bitcoind === undefined) continue;
    theirs.push(
      await sync(blocks, (datadir, port) =>
        startBitcoind(bitcoind as string, datadir, `-connect=127.0.0.1:${port}`, '-par=2'),
      ),
    );
  }
  const rate = report('initial sync', ours, 'aim 20,000; ');
  const memory = ours.flatMap((one) => one.memory ?? []);
  if (memory.length > 0) figure('most memory while syncing', Math.max(...memory), 'MB', 'aim 300 MB');
  if (theirs.length === 0) return;
  const native = report('bitcoind, 2 threads', theirs);
  figure('ratio', rate / native, '×', 'aim 0.65');
}

/** On a machine that is busy with other things the processor time is the figure to trust. */
function report(name: string, syncs: readonly Sync[], aim = ''): number {
  const rate = median(syncs.map((one) => one.rate));
  figure(`${name}, median`, rate, 'tx/s', `${aim}${spread(syncs)}`);
  const processor = syncs.flatMap((one) => one.processor ?? []);
  if (processor.length > 0)
    figure(`${name}: processor time`, (median(processor) / SPENDS) * 1e6, 'µs/tx', 'all threads');
  return rate;
}

/** From the first headers that the peer sends until the node answers that the last block is its tip. */
async function sync(
  blocks: readonly Bytes[],
  start: (datadir: string, port: number) => Promise<RunningNode>,
): Promise<Sync> {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const peer = await ServingPeer.start(blocks, regtest);
  let node: RunningNode | undefined;
  try {
    node = await start(datadir, peer.port);
    await reaches(node, blocks.length);
    const seconds = (performance.now() - (peer.firstHeadersAt as number)) / 1000;
    const pid = node.child.pid as number;
    return { rate: SPENDS / seconds, memory: peakMegabytes(pid), processor: processorSeconds(pid) };
  } finally {
    if (node !== undefined) await stopNode(node);
    await peer.close();
    rmSync(datadir, { recursive: true, force: true });
  }
}

async function reaches({ child, client }: RunningNode, height: number): Promise<void> {
  for (;;) {
    // A node that starts refuses its first calls.
    const count = await client.call('getblockcount').catch(() => 0);
    if (count === height) return;
    if (child.exitCode !== null) throw new Error(`the node ended with code ${child.exitCode}`);
    await sleep(POLL_MS);
  }
}

function spread(syncs: readonly Sync[]): string {
  const rates = syncs.map(({ rate }) => rate);
  return `${syncs.length} runs, ${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}`;
}
