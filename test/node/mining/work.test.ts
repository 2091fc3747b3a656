/** Templates of a node: read, completed, and put together to blocks that consensus accepts. */
import { describe, expect, test } from '@jest/globals';
import { hexToBytes } from '#hash';
import { readBlock, readHeader } from '../../../consensus/block.ts';
import type { Txid } from '../../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../../consensus/check-block.ts';
import { checkHeader } from '../../../consensus/check-header.ts';
import { Reader } from '../../../consensus/codec.ts';
import { regtest } from '../../../consensus/params.ts';
import { grind } from '../../../node/mining/grind.ts';
import { plainSearch } from '../../../node/mining/kernel.ts';
import { readWorkTemplate, type Solution, Work } from '../../../node/mining/work.ts';
import { pay, spend, testKey } from '../../support/chain-builder.ts';
import { templateAnswer } from '../../support/work-template.ts';

const key = testKey(1);
const options = { script: testKey(2).script, minerId: Uint8Array.of(1, 2, 3, 4), maxFutureSeconds: 7200 };
const payments = [1, 2, 3].map((number) =>
  spend(
    [{ txid: `${number}`.repeat(64) as Txid, vout: 0, value: 1000n, scriptPubKey: key.script, key }],
    [pay(key, 900n)],
  ),
);

function workOf(...args: Parameters<typeof templateAnswer>): Work {
  const read = readWorkTemplate(templateAnswer(...args));
  if (!read.ok) throw new Error(read.error);
  return new Work(read.value, options);
}

/** Regtest: every second nonce meets the target. */
function solve(work: Work, extraNonce: number): Solution {
  const time = work.timeAfter(3);
  const { version } = work.template;
  for (let nonce = 0; ; nonce++) {
    const { hash } = work.block({ extraNonce, time, version, nonce });
    if (BigInt(`0x${hash}`) <= regtest.powLimit) return { extraNonce, time, version, nonce };
  }
}

describe('a block from a template', () => {
  test.each([0, 1, 2, 3])('with %p transactions is valid, and its header is the one that was searched', (count) => {
    const work = workOf(payments.slice(0, count));
    const solution = solve(work, 0xfffffffe);
    const { hash, hex } = work.block(solution);
    const block = readBlock(new Reader(hexToBytes(hex)));
    expect(block.header.hash).toBe(hash);
    expect(block.transactions.slice(1).map(({ txid }) => txid)).toEqual(
      payments.slice(0, count).map(({ txid }) => txid),
    );
    // Merkle root, height, commitment and reserved value are looked at by these.
    expect(checkBlock(block, regtest)).toBeNull();
    expect(checkBlockInContext(block, { height: 1, medianTimePast: 1_700_000_000 }, regtest)).toBeNull();
    const reward = block.transactions[0]?.outputs[0];
    expect(reward).toEqual({ value: 5_000_001_000n, scriptPubKey: options.script });
    const { nonce: _, hash: __, ...searched } = readHeader(new Reader(work.header(solution.extraNonce, solution.time)));
    expect(block.header).toMatchObject(searched);
  });

  test('is valid with a version that was rolled, and has that version', () => {
    const work = workOf(payments);
    expect(work.rolling).toBe(true);
    const { version } = work.template;
    const header = work.header(5, work.timeAfter(0));
    // From a nonce on with which the template's own version fails.
    const start = [0, 1, 2, 3, 4, 5, 6, 7].find((nonce) => grind(header, 0x207fffff, nonce, 1).nonce === null) ?? 0;
    const found = plainSearch({ header, bits: 0x207fffff, start, nonces: 1, rolling: true });
    expect(found.version).not.toBe(version);
    const solution = { extraNonce: 5, time: work.timeAfter(0), version: found.version, nonce: start };
    const { hash, hex } = work.block(solution);
    const block = readBlock(new Reader(hexToBytes(hex)));
    expect(block.header).toMatchObject({ hash, version: found.version, nonce: start });
    const parent = { height: 0, time: regtest.genesis.header.time };
    const context = { parent, anchorTime: 0, medianTimePast: parent.time, now: work.template.time };
    expect(checkHeader(block.header, context, regtest)).toBeNull();
    expect(checkBlock(block, regtest)).toBeNull();
  });

  test('keeps its version where that is a number and no set of flags', () => {
    expect(workOf([], { version: 4 }).rolling).toBe(false);
    expect(workOf([], { version: 0x60000000 }).rolling).toBe(false);
  });

  test('has no commitment where the node gives none', () => {
    const work = workOf([], { default_witness_commitment: undefined });
    const block = readBlock(new Reader(hexToBytes(work.block(solve(work, 1)).hex)));
    expect(block.transactions[0]?.outputs).toHaveLength(1);
    expect(checkBlock(block, regtest)).toBeNull();
    expect(checkBlockInContext(block, { height: 1, medianTimePast: 1_700_000_000 }, regtest)).toBeNull();
  });

  test('is searched in other headers with another extra nonce, miner or time', () => {
    const work = workOf();
    const { template } = work;
    const headers = [
      work.header(1, template.time),
      work.header(2, template.time),
      work.header(1, template.time + 1),
      new Work(template, { ...options, minerId: Uint8Array.of(1, 2, 3, 5) }).header(1, template.time),
    ];
    expect(new Set(headers.map((header) => header.join())).size).toBe(4);
  });
});

test('the time goes on with the clock, but neither before what is allowed nor far ahead', () => {
  const work = workOf();
  expect([0, 0.9, 5, 60, 9999].map((seconds) => work.timeAfter(seconds) - work.template.time)).toEqual([
    0, 0, 5, 60, 60,
  ]);
  const narrow = new Work(work.template, { ...options, maxFutureSeconds: 6 });
  expect(narrow.timeAfter(100) - work.template.time).toBe(3);
  expect(workOf([], { mintime: 1_800_000_005 }).timeAfter(0)).toBe(1_800_000_005);
});

test.each<[string, unknown, RegExp]>([
  ['no object', 'busy', /no object/],
  ['no tip', templateAnswer([], { previousblockhash: 'ab' }), /previousblockhash/],
  ['bits that are no target', templateAnswer([], { bits: '00000000' }), /bits/],
  ['a height that is no number', templateAnswer([], { height: '1' }), /height/],
  ['a transaction without an id', templateAnswer([], { transactions: [{ data: '00' }] }), /transactions/],
  ['no long poll', templateAnswer([], { longpollid: undefined }), /longpollid/],
  ['a commitment that is no hex', templateAnswer([], { default_witness_commitment: 'xy' }), /commitment/],
])('an answer with %s is no template', (_, answer, problem) => {
  const read = readWorkTemplate(answer);
  expect(read.ok ? 'read' : read.error).toMatch(problem);
});
