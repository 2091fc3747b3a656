import { describe, expect, test } from '@jest/globals';
import { sha256 } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { makeChain, type NewChain } from '../../consensus/chain-file.ts';
import { checkHeader, medianTime } from '../../consensus/check-header.ts';
import { type ChainParams, MEDIAN_TIME_SPAN, vinenet } from '../../consensus/params.ts';
import { chooseDates, type Find, premineWork } from '../../devnet/premine-work.ts';
import { grind } from '../../node/mining/grind.ts';

const NOW = 1_795_000_000;
const COUNT = 110;

const find: Find = async (headerOf, bits) => {
  for (let extra = 0; ; extra++) {
    const { nonce } = grind(headerOf(extra), bits, 0, 1000);
    if (nonce !== null) return { extra, nonce };
  }
};

function easyChain(changes: Partial<NewChain> = {}): ChainParams {
  const chain = makeChain({
    name: 'easy',
    spacingSeconds: 2,
    halfLifeSeconds: 120,
    anchorBits: 0x200fffff,
    powLimitBits: 0x207fffff,
    hrp: 'easy',
    peerPort: 30_000,
    rpcPort: 30_001,
    time: NOW - 10_000,
    text: 'a chain for tests',
    ...changes,
  });
  if (!chain.ok) throw new Error(chain.error.join('; '));
  return chain.value;
}

function scriptOf(name: string): Bytes {
  return p2trScript(sha256(new TextEncoder().encode(name)));
}

describe('the dates of the first blocks', () => {
  test('owe nothing where there is time for blocks at the difficulty of the schedule', () => {
    const { times, owed } = chooseDates(vinenet, COUNT, NOW, 1e9);
    expect({ first: times[0], last: times.at(-1), owed }).toEqual({ first: NOW - 1090, last: NOW, owed: 0 });
  });

  test('owe as many blocks as the budget requires, and no more', () => {
    const plans = [40e6, 100e6, 200e6].map((budget) => ({ budget, ...chooseDates(vinenet, COUNT, NOW, budget) }));
    for (const { budget, hashes } of plans) {
      expect(hashes).toBeLessThanOrEqual(budget);
      expect(hashes).toBeGreaterThan(0.99 * budget);
    }
    expect(plans.map(({ owed }) => owed)).toEqual([1058, 616, 309]);
  });

  test('do not go back for ever where the limit of the difficulty is above the budget', () => {
    const { hashes, owed } = chooseDates(vinenet, COUNT, NOW, 1000);
    // Two blocks at the anchor and 108 at the limit, and 15 % more.
    expect(hashes).toBeLessThanOrEqual(1.15 * (2 * 2 ** 22 + 108 * 2 ** 16));
    expect(owed).toBeLessThan(1600);
  });

  test('stay behind genesis and rise as the median wants where the network was made just now', () => {
    const params = easyChain({ time: NOW - 5 });
    const { times } = chooseDates(params, COUNT, NOW, 1e9);
    expect(times[0]).toBe(NOW - 4);
    expect(times.at(-1)).toBeGreaterThan(NOW);
    expect(times.at(-1)).toBeLessThan(NOW + 20);
  });
});

test('the first blocks keep all rules of their headers and pay in order', async () => {
  for (const time of [NOW - 10_000, NOW - 30]) {
    const params = easyChain({ time });
    const { times, hashes } = chooseDates(params, COUNT, NOW, 20_000);
    expect(hashes).toBeLessThan(60_000);
    const scripts = ['alice', 'bob', 'faucet'].map(scriptOf);
    const heights: number[] = [];
    const blocks = await premineWork({ times, scripts, params, find, onBlock: (height) => heights.push(height) });
    expect(heights).toEqual(Array.from({ length: COUNT }, (_, index) => index + 1));
    const chain = [params.genesis, ...blocks].map(({ header }) => header);
    const anchorTime = chain[1]!.time;
    for (const [index, { header }] of blocks.entries()) {
      const parent = { height: index, time: chain[index]!.time };
      const medianTimePast = medianTime(
        chain.slice(Math.max(0, index + 1 - MEDIAN_TIME_SPAN), index + 1).map((one) => one.time),
      );
      expect(header.prevHash).toBe(chain[index]!.hash);
      expect(checkHeader(header, { parent, anchorTime, medianTimePast, now: times.at(-1)! }, params)).toBeNull();
    }
    const paid = blocks.map(({ transactions }) => transactions[0]!.outputs[0]!.scriptPubKey);
    expect([0, 1, 2, 109].map((index) => paid[index])).toEqual([scripts[0], scripts[1], scripts[2], scripts[2]]);
  }
});
