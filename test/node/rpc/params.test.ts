/** Reading of parameters, with Core's codes and messages. */
import { describe, expect, test } from '@jest/globals';
import type { RpcParams } from '../../../node/boundary.ts';
import { result } from '../../../node/rpc/answer.ts';
import { method } from '../../../node/rpc/method.ts';
import {
  alias,
  bool,
  coins,
  defaulted,
  feeRate,
  hash,
  hidden,
  int,
  optional,
  text,
  texts,
  uint32,
  verbosity,
} from '../../../node/rpc/params.ts';
import { RpcNode } from './rpc-node.ts';

const { context } = new RpcNode();

/** A method that shows what it was given. */
const probe = method({
  name: 'probe',
  category: 'util',
  description: 'Shows what it was given.',
  params: {
    name: text('A text'),
    count: alias(defaulted(int('A number'), 3), 'n'),
    flag: optional(bool('A flag')),
    secret: hidden(optional(text('Not shown'))),
  },
  result: '"text"',
  example: '"a" 1',
  run: (_, { name, count, flag, secret }) => result(JSON.stringify([name, count, flag ?? null, secret ?? null])),
});

function given(params: RpcParams): unknown {
  const answer = probe.call(context, params);
  if (answer.type === 'result') return JSON.parse(answer.value as string);
  return answer.type === 'error' ? [answer.code, answer.message] : answer;
}

describe('positions and names', () => {
  test('missing and null parameters get their default', () => {
    expect(given(['a'])).toEqual(['a', 3, null, null]);
    expect(given(['a', null, true])).toEqual(['a', 3, true, null]);
  });

  test('names, aliases and the member args mean the same', () => {
    expect(given({ name: 'a', flag: true })).toEqual(['a', 3, true, null]);
    expect(given({ name: 'a', n: 5 })).toEqual(['a', 5, null, null]);
    expect(given({ args: ['a'], n: 5 })).toEqual(['a', 5, null, null]);
    expect(given({ args: ['a', 4], flag: false })).toEqual(['a', 4, false, null]);
  });

  test('what is given in two ways or under an unknown name is refused', () => {
    const twice = 'Parameter count|n specified twice both as positional and named argument';
    expect(given({ args: ['a', 1], n: 5 })).toEqual([-8, twice]);
    expect(given({ name: 'a', nam: 'b' })).toEqual([-8, 'Unknown named parameter nam']);
    expect(given({ name: 'a', count: 1, n: 2 })).toEqual([-8, 'Unknown named parameter n']);
  });

  test('the wrong number of parameters is answered with the help', () => {
    expect(given([])).toEqual([-1, probe.help]);
    expect(given(['a', 1, true, 'b', 5])).toEqual([-1, probe.help]);
    expect(given({ n: 1 })).toEqual([
      -3,
      'Wrong type passed:\n{\n    "Position 1 (name)": "JSON value of type null is not of expected type string"\n}',
    ]);
  });

  test('all wrong types are named at once', () => {
    expect(given([1, 'x', null])).toEqual([
      -3,
      'Wrong type passed:\n{\n' +
        '    "Position 1 (name)": "JSON value of type number is not of expected type string",\n' +
        '    "Position 2 (count|n)": "JSON value of type string is not of expected type number"\n}',
    ]);
  });

  test('the help shows the parameters that are not hidden', () => {
    expect(probe.help).toBe(
      [
        'probe "name" ( count flag )',
        '',
        'Shows what it was given.',
        '',
        'Arguments:',
        '1. name (string, required) A text',
        '2. count (numeric, default=3, optional) A number',
        '3. flag (boolean, optional) A flag',
        '',
        'Result:',
        '"text"',
        '',
        'Example:',
        '> grapevine node rpc probe "a" 1',
        '',
      ].join('\n'),
    );
  });
});

describe('values', () => {
  const read = (param: { read(value: unknown): { ok: boolean; value?: unknown; error?: unknown } }, value: unknown) => {
    const outcome = param.read(value);
    if (outcome.ok) return outcome.value;
    const { code, message } = outcome.error as { code: number; message: string };
    return [code, message];
  };

  test.each([
    [0, 0n],
    ['0.00000000000', 0n],
    [1e-8, 1n],
    ['0.00000001', 1n],
    [0.1, 10_000_000n],
    ['1e-1', 10_000_000n],
    ['12.5E2', 125_000_000_000n],
    [20_999_999.9999, 2_099_999_999_990_000n],
    [21_000_000, 2_100_000_000_000_000n],
    [21_000_000.00000001, [-3, 'Amount out of range']],
    [1e30, [-3, 'Invalid amount']],
    [-1, [-3, 'Amount out of range']],
    [-0.0, 0n],
    [1e-9, [-3, 'Invalid amount']],
    ['', [-3, 'Invalid amount']],
    ['.5', [-3, 'Invalid amount']],
    ['1.', [-3, 'Invalid amount']],
    ['01', [-3, 'Invalid amount']],
    ['+1', [-3, 'Invalid amount']],
    [' 1', [-3, 'Invalid amount']],
    ['1e999', [-3, 'Invalid amount']],
    [true, [-3, 'Amount is not a number or string']],
    [null, [-3, 'Amount is not a number or string']],
  ])('the amount %p is read as %p', (value, expected) => {
    expect(read(coins(''), value)).toEqual(expected);
  });

  test('a feerate is less than one coin', () => {
    expect(read(feeRate(''), 0.99999999)).toBe(99_999_999n);
    expect(read(feeRate(''), 1)).toEqual([-8, 'Fee rates larger than or equal to 1BTC/kvB are not accepted']);
  });

  test('integers stay within their width', () => {
    expect(read(int(''), -0x80000000)).toBe(-0x80000000);
    for (const value of [0x80000000, 1.5, Number.NaN]) {
      expect(read(int(''), value)).toEqual([-1, 'JSON integer out of range']);
    }
    expect(read(uint32(''), 0xffffffff)).toBe(0xffffffff);
    expect(read(uint32(''), -1)).toEqual([-1, 'JSON integer out of range']);
  });

  test('verbosity is a number or a boolean', () => {
    expect(read(verbosity(''), true)).toBe(1);
    expect(read(verbosity(''), 2)).toBe(2);
    expect(read(verbosity(''), '2')).toEqual([-3, 'JSON value of type string is not of expected type number']);
  });

  test('a hash has 64 hex digits and comes out in lower case', () => {
    expect(read(hash('txid', ''), 'AB'.repeat(32))).toBe('ab'.repeat(32));
    expect(read(hash('txid', ''), 'ab')).toEqual([-8, "txid must be of length 64 (not 2, for 'ab')"]);
    const odd = 'zz'.repeat(32);
    expect(read(hash('txid', ''), odd)).toEqual([-8, `txid must be hexadecimal string (not '${odd}')`]);
  });

  test('an array of texts holds nothing else', () => {
    expect(read(texts('x', ''), ['a'])).toEqual(['a']);
    expect(read(texts('x', ''), ['a', {}])).toEqual([-3, 'JSON value of type object is not of expected type string']);
  });
});
