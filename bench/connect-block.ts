/**
 * Connecting one block of 1,000 payments on sets of 10³ to 10⁶ coins in the store on disk: the set must not matter. The
 * signatures count as known, and the coins that are spent are read from the store. All sets take part in each round, so that
 * a busy machine slows all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { regtest } from '../consensus/params.ts';
import type { DataDirectory } from '../node/runtime/data-directory.ts';
import { advance, openChain, openDirectory, payment, putCoins, script } from './disk-chain.ts';
import { figure, median } from './figures.ts';
import { mineBlock } from './recorded-chain.ts';

export const about = 'connecting a block of 1,000 payments, against the size of the coin set';

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
const PAYMENTS = 1_000;
const ROUNDS = 11;

/** One size of the set, and what it took in each round. */
interface Contestant {
  readonly size: number;
  readonly directory: DataDirectory;
  /** Until the block is the tip. */
  readonly connected: number[];
  /** Until the store has put that on disk. */
  readonly written: number[];
}

export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const contestants: Contestant[] = [];
  try {
    for (const size of SIZES) {
      const directory = await openDirectory(join(folder, String(size)));
      contestants.push({ size, directory, connected: [], written: [] });
      await openChain(directory); // Writes genesis.
      await putCoins(directory, size);
    }
    // The first round only warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const contestant of contestants) await connect(contestant, round);
    }
  } finally {
    for (const { directory } of contestants) await directory.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const values = (list: readonly number[]) => median(list.slice(1));
  const [smallest] = contestants as [Contestant];
  for (const { size, connected, written } of contestants) {
    const ratios = [values(connected) / values(smallest.connected), values(written) / values(smallest.written)];
    const [tip, disk] = ratios.map((ratio) => `${ratio.toFixed(2)} × 10³ coins`);
    figure(`${size} coins: connected, median of ${ROUNDS}`, values(connected), 'ms', `${tip}; aim 1.20`);
    figure(`${size} coins: written too`, values(written), 'ms', `${disk}`);
  }
}

/** Connects a block that no other round has, of the same payments, and takes it back. */
async function connect({ directory, connected, written }: Contestant, round: number): Promise<void> {
  const payments = Array.from({ length: PAYMENTS }, (_, index) => payment(index, 'payment'));
  const block = mineBlock(regtest.genesis, 1, script(`coinbase ${round}`), payments, regtest);
  const { tree, chain } = await openChain(directory);
  const { result, node } = chain.acceptBlock(block, block.header.time);
  if (node === undefined || result !== null) throw new Error(`the block is refused: ${result?.code}`);
  await directory.store.flush();

  const began = performance.now();
  await advance(chain);
  connected.push(performance.now() - began);
  await directory.store.flush();
  written.push(performance.now() - began);

  if (chain.tip !== node) throw new Error('the block was not connected');
  chain.invalidate(node);
  await advance(chain);
  if (chain.tip !== tree.genesis) throw new Error('the block was not disconnected');
}
