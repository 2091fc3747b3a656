/** Every rule of RULES A1 to A7 that a block can break, broken one fault at a time, and the valid blocks at their edges. */
import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../consensus/params.ts';
import { baseChain, blockCases, nowOf } from '../support/block-cases.ts';
import { isReject, judge } from '../support/judge.ts';

const chain = baseChain();
const coins = chain.coins();
const cases = blockCases(chain);

test('the base chain is valid, block by block', () => {
  const prefix = chain.fork(0);
  for (const block of chain.blocks.slice(1)) {
    const answer = judge(prefix, prefix.coins(), block, block.header.time);
    expect(isReject(answer) ? answer : null).toBeNull();
    prefix.push(block);
  }
});

describe('faults', () => {
  test.each(cases.filter(({ reason }) => reason !== null))('$rule: $name → $reason', ({ block, reason, kind }) => {
    expect(judge(chain, coins, block, nowOf(chain))).toMatchObject({ reason, kind });
  });
});

describe('valid blocks', () => {
  test.each(cases.filter(({ reason }) => reason === null))('$rule: $name', ({ block }) => {
    const answer = judge(chain, coins, block, nowOf(chain));
    expect(isReject(answer) ? answer : null).toBeNull();
  });
});

test('every case has a name of its own and a block of its own hash or body', () => {
  expect(new Set(cases.map(({ rule, name }) => rule + name)).size).toBe(cases.length);
  expect(chain.params).toBe(regtest);
});
