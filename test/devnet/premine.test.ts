import { beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import type { Block } from '../../consensus/block.ts';
import type { Bytes, OutPointKey } from '../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { checkHeader, medianTime } from '../../consensus/check-header.ts';
import { connectBlock } from '../../consensus/connect-block.ts';
import { COIN, COINBASE_MATURITY, MEDIAN_TIME_SPAN, regtest } from '../../consensus/params.ts';
import type { Coin } from '../../consensus/transaction.ts';
import { accountNames, deriveAccounts, FAUCET } from '../../devnet/accounts.ts';
import { premine, premineHeight } from '../../devnet/premine.ts';

/** The first blocks of the default devnet. They must not change: people's notes and tests name their hashes. */
const DEFAULT_TIP = '21a348fcbdb2c5c7d77bec1274dfd484b374ab018abbffa19f3b34f448cc67a9';

async function mine(accountCount: number, seed: number): Promise<Block[]> {
  const { accounts, faucet } = await deriveAccounts(accountCount, seed, regtest);
  return premine(
    accounts.map(({ script }) => script),
    faucet.script,
    regtest,
  );
}

/** A script of its own for every name: who can spend it does not matter here, and real keys take their time. */
function someScript(name: string): Bytes {
  return p2trScript(sha256(new TextEncoder().encode(name)));
}

function mineFor(accountCount: number): Block[] {
  return premine(accountNames(accountCount).map(someScript), someScript(FAUCET), regtest);
}

/** Checks the blocks in order as a node does, and returns the coins that they leave. */
function connectAll(blocks: readonly Block[]): Map<OutPointKey, Coin> {
  const coins = new Map<OutPointKey, Coin>();
  const chain = [regtest.genesis, ...blocks];
  // A clock that stands at the last block: nothing here may need a later one.
  const now = blocks.at(-1)!.header.time;
  const medianTimePastAt = (height: number) =>
    medianTime(chain.slice(Math.max(0, height + 1 - MEDIAN_TIME_SPAN), height + 1).map(({ header }) => header.time));
  for (const [index, block] of blocks.entries()) {
    const height = index + 1;
    const parent = { height: index, time: chain[index]!.header.time };
    const medianTimePast = medianTimePastAt(index);
    expect(checkHeader(block.header, { parent, anchorTime: 0, medianTimePast, now }, regtest)).toBeNull();
    expect(checkBlock(block, regtest)).toBeNull();
    expect(checkBlockInContext(block, { height, medianTimePast }, regtest)).toBeNull();
    const context = {
      height,
      medianTimePast,
      medianTimePastAt,
      coin: (key: OutPointKey) => coins.get(key),
      verified: () => false,
    };
    const connection = connectBlock(block, context, regtest);
    if (!connection.ok) throw new Error(`block ${height}: ${connection.error.reason}`);
    for (const key of connection.value.removed.keys()) coins.delete(key);
    for (const [key, coin] of connection.value.created) coins.set(key, coin);
  }
  return coins;
}

describe('the first blocks of a devnet', () => {
  let blocks: Block[];
  beforeAll(async () => {
    blocks = await mine(10, 1);
  });

  test('are 110 for ten accounts, and more where accounts need it', () => {
    expect(blocks).toHaveLength(110);
    expect([1, 10, 11, 100].map(premineHeight)).toEqual([110, 110, 111, 200]);
  });

  test('are the same for the same seed, today and on every machine', async () => {
    const again = await mine(10, 1);
    expect(again.map(({ header }) => header.hash)).toEqual(blocks.map(({ header }) => header.hash));
    expect(blocks.at(-1)!.header.hash).toBe(DEFAULT_TIP);
  });

  test('are others for another seed', async () => {
    const others = await mine(10, 2);
    expect(others.every((block, index) => block.header.hash !== blocks[index]!.header.hash)).toBe(true);
  });

  test('keep every rule of consensus', () => {
    expect(connectAll(blocks).size).toBe(110);
  });

  test.each([
    [1, 110],
    [100, 200],
  ])('keep every rule with %i accounts too, across the halving and the period of BIP 94', (count, height) => {
    expect(connectAll(mineFor(count)).size).toBe(height);
  });

  test('give every account one coin of 50 btc that the next block may spend, and the faucet the rest', () => {
    for (const count of [1, 10, 60, 100]) {
      const accounts = accountNames(count).map((name) => ({ name, script: someScript(name) }));
      const faucet = { name: FAUCET, script: someScript(FAUCET) };
      const coins = [...connectAll(mineFor(count)).values()];
      const tip = premineHeight(count);
      const isMature = (coin: Coin) => tip + 1 - coin.height >= COINBASE_MATURITY;
      const of = (script: Uint8Array) => coins.filter((coin) => Buffer.from(coin.scriptPubKey).equals(script));
      for (const { script } of accounts) {
        expect(of(script).map(({ value }) => value)).toEqual([50n * COIN]);
        expect(of(script).every(isMature)).toBe(true);
      }
      const rest = of(faucet.script);
      expect(rest).toHaveLength(tip - count);
      expect(rest.some(isMature)).toBe(true);
    }
  });
});
