/** What block-rules.test.ts cannot show on one chain: blocks without a coinbase, the exact limits, heights, proposals. */

import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { type Block, blockStrippedSize, blockWeight } from '../../consensus/block.ts';
import { checkBlock, checkBlockInContext, heightPush } from '../../consensus/check-block.ts';
import { regtest } from '../../consensus/params.ts';
import {
  assemble,
  buildBlock,
  buildCoinbase,
  outputOf,
  pay,
  spend,
  testKey,
  unmine,
  withInput,
} from '../support/chain-builder.ts';

const genesis = { hash: regtest.genesis.header.hash, height: 0, time: regtest.genesis.header.time };
const parent = spend([], [pay(testKey(1), 1000n)]);
const payment = spend([outputOf(parent, 0, testKey(1))], [pay(testKey(2), 1000n)]);
const alone = (block: Block) => checkBlock(block, regtest)?.reason ?? null;
const inContext = (block: Block, height = 1) =>
  checkBlockInContext(block, { height, medianTimePast: genesis.time }, regtest)?.reason ?? null;

describe('a block alone', () => {
  test('without transactions has a bad length', () => {
    expect(alone(assemble(genesis, []))).toBe('bad-blk-length');
  });

  test('needs a coinbase in the first place and nowhere else', () => {
    expect(alone(assemble(genesis, [payment]))).toBe('bad-cb-missing');
    expect(alone(assemble(genesis, [payment, buildCoinbase(1)]))).toBe('bad-cb-missing');
    expect(alone(assemble(genesis, [buildCoinbase(1), payment, buildCoinbase(1, { tag: 'x' })]))).toBe(
      'bad-cb-multiple',
    );
  });

  test('may have 1,000,000 bytes without witnesses and not one more', () => {
    const sized = (length: number) =>
      buildBlock(genesis, { outputs: [{ value: 0n, scriptPubKey: new Uint8Array(length) }] });
    const length = 900_000 + 1_000_000 - blockStrippedSize(sized(900_000));
    expect(blockStrippedSize(sized(length))).toBe(1_000_000);
    expect(alone(sized(length))).toBeNull();
    expect(alone(sized(length + 1))).toBe('bad-blk-length');
  });

  test('may have signature operations of cost 80,000 and not one more', () => {
    const sigops = (script: readonly number[]) =>
      buildBlock(genesis, { outputs: [{ value: 0n, scriptPubKey: Uint8Array.from(script) }] });
    const times = (count: number, opcode: number) => Array<number>(count).fill(opcode);
    expect(alone(sigops(times(1000, 0xae)))).toBeNull();
    expect(alone(sigops([...times(999, 0xaf), ...times(20, 0xad)]))).toBeNull();
    expect(alone(sigops([...times(1000, 0xae), 0xac]))).toBe('bad-blk-sigops');
    expect(alone(sigops(times(20_001, 0xac)))).toBe('bad-blk-sigops');
    // What is pushed is no opcode, and a push that is cut short ends the count.
    expect(alone(sigops([...times(1000, 0xae), 0x02, 0xac, 0xac]))).toBeNull();
    expect(alone(sigops([...times(1000, 0xae), 0x4c, 0x02, 0xac, 0xac, 0xac]))).toBe('bad-blk-sigops');
    expect(alone(sigops([...times(1000, 0xae), 0x4d, 0x01, 0x00, 0xac]))).toBeNull();
    expect(alone(sigops([...times(1000, 0xae), 0x4e, 0x01, 0x00, 0x00, 0x00, 0xac]))).toBeNull();
    expect(alone(sigops([...times(1000, 0xae), 0x4d, 0xac]))).toBeNull();
    expect(alone(sigops([...times(1000, 0xae), 0x4e, 0xff, 0xff, 0xff, 0xff, 0xac]))).toBeNull();
  });

  test('without proof of work passes as a proposal', () => {
    const block = buildBlock(genesis);
    const proposal = { ...block, header: unmine(block.header) };
    expect(alone(proposal)).toBe('high-hash');
    expect(checkBlock(proposal, regtest, { proofOfWork: false })).toBeNull();
  });

  test('names the transaction that is at fault', () => {
    const broken = spend([outputOf(parent, 0, testKey(1))], []);
    expect(checkBlock(buildBlock(genesis, { transactions: [broken] }), regtest)?.detail).toContain(broken.txid);
  });
});

describe('a block at its height', () => {
  test('may weigh 4,000,000 and not one more', () => {
    const weighing = (length: number) =>
      buildBlock(genesis, { transactions: [withInput(payment, 0, { witness: [new Uint8Array(length)] })] });
    const length = 3_900_000 + 4_000_000 - blockWeight(weighing(3_900_000));
    expect(blockWeight(weighing(length))).toBe(4_000_000);
    expect(inContext(weighing(length))).toBeNull();
    expect(inContext(weighing(length + 1))).toBe('bad-blk-weight');
  });

  test.each<[number, string]>([
    [1, '51'],
    [16, '60'],
    [17, '0111'],
    [127, '017f'],
    [128, '028000'],
    [255, '02ff00'],
    [256, '020001'],
    [32_767, '02ff7f'],
    [32_768, '03008000'],
    [8_388_607, '03ffff7f'],
    [8_388_608, '0400008000'],
    [2_147_483_647, '04ffffff7f'],
  ])('begins its coinbase with the shortest push of %i', (height, hex) => {
    expect(bytesToHex(heightPush(height))).toBe(hex);
    const block = buildBlock({ ...genesis, height: height - 1 }, { outputs: [pay(testKey(0), 1n)] });
    expect(inContext(block, height)).toBeNull();
    expect(inContext(block, height - 1)).toBe('bad-cb-height');
    expect(inContext(block, height + 1)).toBe('bad-cb-height');
  });

  test('no height begins with the push of another, so that no two coinbases are the same', () => {
    const starts = new Set<string>();
    for (let height = 0; height <= 70_000; height++) starts.add(bytesToHex(heightPush(height)));
    expect(starts.size).toBe(70_001);
    for (const start of starts) {
      for (let length = 2; length < start.length; length += 2) {
        if (starts.has(start.slice(0, length))) throw new Error(`${start} begins with the push of another height`);
      }
    }
  });
});
