/** Templates: the rules of blocks must accept what is made of them. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { type Block, encodeHeader, makeHeader } from '../../../consensus/block.ts';
import { checkBlock, checkBlockInContext } from '../../../consensus/check-block.ts';
import { findCommitment } from '../../../consensus/merkle.ts';
import { regtest, subsidyAt } from '../../../consensus/params.ts';
import type { Transaction } from '../../../consensus/transaction.ts';
import { grind } from '../../../node/mining/grind.ts';
import { assembleBlock, buildTemplate, type Template, type TemplateOptions } from '../../../node/mining/template.ts';
import { testKey } from '../../support/chain-builder.ts';
import { draft, Fixture, output } from '../mempool/fixture.ts';

const NOW = 2_000_000_000;

function template(fixture: Fixture, options: Partial<TemplateOptions> = {}): Template {
  const { hash, height, medianTimePast, chain, pool } = fixture;
  const tip = { hash, height, time: chain.tip.header.time, medianTimePast, anchorTime: 0 };
  return buildTemplate({ source: pool, tip, params: regtest, now: NOW, script: testKey(5).script, ...options });
}

function mine(made: Template): Block {
  const block = assembleBlock(made);
  const { nonce } = grind(encodeHeader(block.header), made.bits, 0, 1000);
  return { ...block, header: makeHeader({ ...block.header, nonce: nonce as number }) };
}

/** Null if the rules accept the block on the fixture's tip. */
function judge(fixture: Fixture, block: Block): string | null {
  const context = { height: fixture.height + 1, medianTimePast: fixture.medianTimePast };
  return (checkBlock(block, regtest) ?? checkBlockInContext(block, context, regtest))?.reason ?? null;
}

describe('a template', () => {
  test('of an empty pool pays the subsidy and commits to nothing', () => {
    const fixture = new Fixture();
    const made = template(fixture);
    expect(made).toMatchObject({
      height: 111,
      version: 0x20000000,
      bits: 0x207fffff,
      time: NOW,
      coinbaseValue: 5_000_000_000n,
    });
    expect(made.coinbase.outputs).toEqual([{ value: 5_000_000_000n, scriptPubKey: testKey(5).script }]);
    expect(findCommitment(made.coinbase)).toBe(-1);
    expect(judge(fixture, mine(made))).toBeNull();
  });

  test('takes transactions with their fees, and commits to their witnesses', () => {
    const fixture = new Fixture();
    const parent = draft([fixture.coinbase()], { fee: 500n });
    const child = draft([output(parent)], { fee: 9000n });
    fixture.sendAll([parent, child]);
    const made = template(fixture);
    expect(made.transactions).toEqual([parent, child]);
    expect(made.fees).toEqual([500n, 9000n]);
    expect(made.coinbaseValue).toBe(5_000_009_500n);
    expect(findCommitment(made.coinbase)).toBe(1);
    const block = mine(made);
    expect(block.transactions).toEqual([made.coinbase, parent, child]);
    expect(judge(fixture, block)).toBeNull();
  });

  test('takes exactly the given transactions, whose fees it leaves alone', () => {
    const fixture = new Fixture();
    const tx = draft([fixture.coinbase()]);
    fixture.sendAll([draft([fixture.coinbase(2)])]);
    const made = template(fixture, { source: [tx] });
    expect(made.transactions).toEqual([tx]);
    expect(made.coinbaseValue).toBe(5_000_000_000n);
    expect(judge(fixture, mine(made))).toBeNull();
    expect(template(fixture, { source: [] }).transactions).toEqual([]);
  });

  test.each([
    [1, '5100'],
    [16, '6000'],
    [17, '0111'],
    [128, '028000'],
    [256, '020001'],
  ])('of height %d begins with its shortest push', (height, script) => {
    const fixture = new Fixture({ height: height - 1 });
    const made = template(fixture);
    expect(bytesToHex(made.coinbase.inputs[0]?.scriptSig as Uint8Array)).toBe(script);
    expect(judge(fixture, mine(made))).toBeNull();
    const other = template(fixture, { extra: Uint8Array.of(1, 9) });
    expect(other.coinbase.txid).not.toBe(made.coinbase.txid);
    expect(judge(fixture, mine(other))).toBeNull();
  });

  test('pays the subsidy of its height', () => {
    for (const height of [149, 150, 300]) {
      expect(template(new Fixture({ height: height - 1 })).coinbaseValue).toBe(subsidyAt(height, regtest));
    }
  });

  test('is later than the median of its past, whatever the clock says', () => {
    const fixture = new Fixture();
    const made = template(fixture, { now: 0 });
    expect(made.time).toBe(fixture.medianTimePast + 1);
    expect(made.minTime).toBe(made.time);
  });

  test('of the first block of a period is not much earlier than its parent', () => {
    const fixture = new Fixture({ height: 142 });
    const late = fixture.chain.tip.header.time + 7000;
    fixture.mine([], { time: late });
    expect(template(fixture, { now: 0 }).time).toBe(late - 600);
    fixture.mine([], { time: late });
    expect(template(fixture, { now: 0 }).time).toBe(fixture.medianTimePast + 1);
  });

  test('leaves room for the coinbase in a full block', () => {
    const fixture = new Fixture();
    const big: Transaction[] = [];
    for (let height = 1; height <= 11; height++) {
      big.push(draft([fixture.coinbase(height)], { split: 2300, fee: 200_000n }));
    }
    fixture.sendAll(big);
    const made = template(fixture);
    const block = mine(made);
    expect(made.transactions.length).toBe(10);
    expect(judge(fixture, block)).toBeNull();
  });

  test('has no more extra bytes than a coinbase may', () => {
    expect(() => template(new Fixture(), { extra: new Uint8Array(99) })).toThrow('extra');
  });
});
