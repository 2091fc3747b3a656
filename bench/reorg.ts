/**
 * A reorg of 100 blocks, against connecting them: once to a branch that spends the same coins in other transactions, and
 * once, as reorgs mostly are, to one of nearly the same transactions, each in another place. Signatures count as known;
 * bodies and coins are read from disk each time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Block } from '../consensus/block.ts';
import { regtest } from '../consensus/params.ts';
import type { DataDirectory } from '../node/runtime/data-directory.ts';
import { advance, openChain, openDirectory, payment, putCoins, script } from './disk-chain.ts';
import { figure, median } from './figures.ts';
import { mineBlock } from './recorded-chain.ts';

export const about = 'a reorg of 100 blocks, against connecting them (its argument: payments per block)';

const DEPTH = 100;
const PAYMENTS_PER_BLOCK = 500;
const ROUNDS = 3;

export async function run([given]: readonly string[]): Promise<void> {
  const perBlock = given === undefined ? PAYMENTS_PER_BLOCK : Number(given);
  if (!Number.isSafeInteger(perBlock) || perBlock < 1) throw new Error(`not a number of payments: ${given}`);
  const former = branch('former', 'first', DEPTH, perBlock, 0);
  const other = branch('other', 'second', DEPTH + 1, perBlock, 0);
  const similar = branch('similar', 'second', DEPTH + 2, perBlock, perBlock >> 1);
  const connecting: number[] = [];
  const toOther: number[] = [];
  const toSimilar: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
    const directory = await openDirectory(folder);
    try {
      await openChain(directory); // Writes genesis.
      await putCoins(directory, (DEPTH + 3) * perBlock);
      connecting.push(await goTo(directory, former));
      toOther.push(await goTo(directory, other));
      toSimilar.push(await goTo(directory, similar));
    } finally {
      await directory.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const against = (values: readonly number[]) => {
    const ratios = values.map((ms, round) => ms / (connecting[round] as number));
    return `${median(ratios).toFixed(2)} × connecting; aim 1.50`;
  };
  figure(`connecting ${DEPTH} blocks of ${perBlock} payments`, median(connecting), 'ms', `median of ${ROUNDS}`);
  figure('reorg to other transactions', median(toOther), 'ms', against(toOther));
  figure('reorg to nearly the same transactions', median(toSimilar), 'ms', against(toSimilar));
}

/** Blocks on top of genesis that spend the coins in order, from that one on. Payments of one label are the same ones. */
function branch(name: string, label: string, length: number, perBlock: number, first: number): Block[] {
  const blocks: Block[] = [];
  let tip = regtest.genesis;
  for (let height = 1; height <= length; height++) {
    const payments = Array.from({ length: perBlock }, (_, i) => payment(first + (height - 1) * perBlock + i, label));
    tip = mineBlock(tip, height, script(`${name} coinbase ${height}`), payments, regtest);
    blocks.push(tip);
  }
  return blocks;
}

/** Milliseconds until the last of the blocks is the tip and the store has put that on disk. */
async function goTo(directory: DataDirectory, blocks: readonly Block[]): Promise<number> {
  const { chain: receiver } = await openChain(directory);
  for (const block of blocks) {
    const { result } = receiver.acceptBlock(block, block.header.time);
    if (result !== null) throw new Error(`a block is refused: ${result.code}`);
  }
  const { chain } = await openChain(directory);

  const began = performance.now();
  await advance(chain);
  await directory.store.flush();
  const took = performance.now() - began;

  if (chain.hash !== blocks.at(-1)?.header.hash) throw new Error('the chain did not get there');
  return took;
}
