/** The rules of a header one at a time, and their order: RULES A4. */
import { describe, expect, test } from '@jest/globals';
import { type HeaderFields, makeHeader } from '../../consensus/block.ts';
import type { BlockHash } from '../../consensus/brand.ts';
import { checkHeader, checkHeaderWork, type HeaderContext, medianTime } from '../../consensus/check-header.ts';
import { regtest } from '../../consensus/params.ts';
import { mine, unmine } from '../support/chain-builder.ts';

const context: HeaderContext = {
  parent: { height: 142, time: 1_000_000 },
  anchorTime: 0,
  medianTimePast: 997_000,
  now: 1_000_600,
};
const fields: HeaderFields = {
  version: 4,
  prevHash: 'ab'.repeat(32) as BlockHash,
  merkleRoot: regtest.genesis.header.merkleRoot,
  time: 1_000_600,
  bits: 0x207fffff,
  nonce: 0,
};
const check = (change: Partial<HeaderFields>, contextChange: Partial<HeaderContext> = {}) =>
  checkHeader(mine({ ...fields, ...change }), { ...context, ...contextChange }, regtest);
const atPeriodStart = { parent: { ...context.parent, height: 143 } };

test('a good header passes', () => {
  expect(check({})).toBeNull();
});

test.each<[string, string | null, Partial<HeaderFields>, Partial<HeaderContext>]>([
  ['harder bits that are met', 'bad-diffbits', { bits: 0x207ffffe }, {}],
  ['the median time past', 'time-too-old', { time: 997_000 }, {}],
  ['a time below the median', 'time-too-old', { time: 0 }, {}],
  ['a second after the median', null, { time: 997_001 }, {}],
  [
    'long before the parent where no period starts',
    null,
    { time: 997_001 },
    { parent: { ...context.parent, height: 144 } },
  ],
  ['601 seconds before the parent at the start of a period', 'time-timewarp-attack', { time: 999_399 }, atPeriodStart],
  ['600 seconds before the parent at the start of a period', null, { time: 999_400 }, atPeriodStart],
  ['two hours ahead of the clock', null, { time: 1_007_800 }, {}],
  ['a second more than two hours ahead', 'time-too-new', { time: 1_007_801 }, {}],
  ['version 3', 'bad-version(0x00000003)', { version: 3 }, {}],
  ['version -1', 'bad-version(0xffffffff)', { version: -1 }, {}],
])('%s', (_, reason, change, contextChange) => {
  expect(check(change, contextChange)?.reason ?? null).toBe(reason);
});

test('BIP 94 does not bind a network that has it switched off', () => {
  const header = mine({ ...fields, time: 997_001 });
  expect(checkHeader(header, { ...context, ...atPeriodStart }, { ...regtest, timewarpInterval: undefined })).toBeNull();
});

test('only a time in the future is not the fault of the header', () => {
  expect(check({ time: 1_007_801 })?.kind).toBe('time-future');
  expect(check({ version: 3 })?.kind).toBe('header');
  expect(check({ bits: 0x207ffffe })?.kind).toBe('header');
});

test('with several faults, the first rule in the order of Core is named', () => {
  const all = { bits: 0x207ffffe, time: 997_000, version: 1 };
  expect(checkHeader(unmine({ ...fields, ...all }), context, regtest)?.code).toBe('high-hash');
  expect(check(all)?.code).toBe('bad-diffbits');
  expect(check({ time: 997_000, version: 1 }, atPeriodStart)?.code).toBe('time-too-old');
  expect(check({ time: 998_000, version: 1 }, { ...atPeriodStart, now: 0 })?.code).toBe('time-timewarp-attack');
  expect(check({ version: 1 }, { now: 0 })?.code).toBe('time-too-new');
});

test('the work of a header is judged without its parent', () => {
  expect(checkHeaderWork(mine(fields), regtest)).toBeNull();
  expect(checkHeaderWork(unmine(fields), regtest)).toMatchObject({ kind: 'header', reason: 'high-hash' });
  expect(checkHeaderWork(makeHeader({ ...fields, bits: 0 }), regtest)).toMatchObject({ reason: 'high-hash' });
});

describe('the median time', () => {
  test.each([
    [[5], 5],
    [[5, 9], 9],
    [[9, 5, 7], 7],
    [[1, 2, 3, 4], 3],
    [[11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6], 6],
    [[100, 20, 3], 20],
  ])('of %p is %i', (times, median) => {
    expect(medianTime(times)).toBe(median);
  });
});
