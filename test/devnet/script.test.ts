import { describe, expect, test } from '@jest/globals';
import { lastId, parseScript, splitWords, substitute } from '../../devnet/script.ts';

const bare = (text: string) => parseScript(text, 's.txt').map(({ line: _, text: __, ...step }) => step);

describe('a script', () => {
  test('has one step a line, and comments and empty lines that are none', () => {
    const steps = parseScript('# first\n\n  mine 2 --node n1  # two\r\nwait 5s\n', 's.txt');
    expect(steps).toEqual([
      { line: 3, text: 'mine 2 --node n1  # two', kind: 'command', words: ['mine', '2', '--node', 'n1'], exit: 0 },
      { line: 4, text: 'wait 5s', kind: 'pause', ms: 5000 },
    ]);
  });

  test.each<[string, unknown]>([
    ['tx = wallet send bob 1btc', { kind: 'command', words: ['wallet', 'send', 'bob', '1btc'], name: 'tx', exit: 0 }],
    ['fails devnet kill n9', { kind: 'command', words: ['devnet', 'kill', 'n9'], exit: 'failure' }],
    ['fails 2 devnet kill n9', { kind: 'command', words: ['devnet', 'kill', 'n9'], exit: 2 }],
    ['devnet up -d -n 2', { kind: 'command', words: ['devnet', 'up', '-d', '-n', '2'], exit: 0 }],
    ['node status', { kind: 'command', words: ['node', 'status'], exit: 0 }],
    ['wait tip', { kind: 'wait-tip', timeoutMs: 30_000 }],
    ['wait tip 112 within 10s', { kind: 'wait-tip', target: '112', timeoutMs: 10_000 }],
    ['wait tx $tx', { kind: 'wait-tx', txid: '$tx', confirmations: 0, timeoutMs: 30_000 }],
    ['wait tx $tx 2 within 1m', { kind: 'wait-tx', txid: '$tx', confirmations: 2, timeoutMs: 60_000 }],
    ['wait 250ms', { kind: 'pause', ms: 250 }],
    ['expect "two words" $tx', { kind: 'expect', wanted: 'two words $tx', present: true }],
    ['expect not n9', { kind: 'expect', wanted: 'n9', present: false }],
  ])('understands "%s"', (text, step) => {
    expect(bare(text)).toEqual([step]);
  });

  test.each([
    ['fly away', '"fly" is no step of a script'],
    ['fails', 'a command is missing'],
    ['fails 0 mine', 'another exit code than 0'],
    ['9 = mine 1', '"9" is no name'],
    ['tx =', 'a command is missing'],
    ['wait', 'waits for nothing'],
    ['wait long', 'waits for nothing'],
    ['wait 5s 5s', 'waits for nothing'],
    ['wait tx', 'waits for nothing'],
    ['wait tx $a many', 'is no number of confirmations'],
    ['wait tip within soon', 'is no duration'],
    ['expect', 'expect what?'],
    ['expect not', 'expect what?'],
    ['mine "1', 'a quotation mark is not closed'],
    ['devnet up', 'does not end by itself'],
    ['devnet logs -f', 'does not end by itself'],
    ['node --mine x', 'does not end by itself'],
    ['devnet run s.txt', 'does not run another one'],
  ])('refuses "%s" and names the line', (text, message) => {
    expect(() => bare(`mine 1\n${text}`)).toThrow('s.txt:2: ');
    expect(() => bare(`mine 1\n${text}`)).toThrow(message);
  });
});

test('words are split as a shell does', () => {
  expect(splitWords(`a "b c" d'e'f "" g#h #i`)).toEqual(['a', 'b c', 'def', '', 'g#h']);
  expect(splitWords('   ')).toEqual([]);
  expect(splitWords('a "b')).toBeUndefined();
});

test('values take the place of names, and a name without one is told', () => {
  const values = new Map([
    ['tx', 'ff'],
    ['last', 'ee'],
  ]);
  expect(substitute('a $tx,$last b', values)).toEqual({ text: 'a ff,ee b', unknown: undefined });
  expect(substitute('$tx $no $nix', values)).toEqual({ text: 'ff $no $nix', unknown: 'no' });
});

test('the last id in an output is found', () => {
  const [a, b] = ['ab'.repeat(32), 'cd'.repeat(32)];
  expect(lastId(`txid ${a}\n["${b}"]`)).toBe(b);
  expect(lastId(`hex ${a}${b} none`)).toBeUndefined();
});
