import { describe, expect, test } from '@jest/globals';
import { MAX_NODES, type OptionTexts, readOptions, readSides } from '../../devnet/options.ts';
import { CliError, Exit } from '../../node/commands/cli.ts';

function refusal(texts: OptionTexts): string {
  try {
    readOptions(texts, '/data');
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    expect(error.exit).toBe(Exit.usage);
    return error.message;
  }
  throw new Error(`${JSON.stringify(texts)} was not refused`);
}

describe('the options of `devnet up`', () => {
  test('have the defaults of the manual', () => {
    expect(readOptions({}, '/data')).toEqual({
      name: 'default',
      nodes: 4,
      topology: { kind: 'pex' },
      accounts: 10,
      mining: { kind: 'interval', intervalMs: 5000 },
      seed: 1,
      datadir: '/data',
    });
  });

  test('are taken as they are given', () => {
    const texts = { name: 'shop', nodes: '6', topology: 'random:3', accounts: '2', blockTime: '500ms', seed: '77' };
    expect(readOptions(texts, '/data')).toEqual({
      name: 'shop',
      nodes: 6,
      topology: { kind: 'random', degree: 3 },
      accounts: 2,
      mining: { kind: 'interval', intervalMs: 500 },
      seed: 77,
      datadir: '/data',
    });
    expect(readOptions({ onTx: true }, '').mining).toEqual({ kind: 'on-tx' });
    expect(readOptions({ noMine: true }, '').mining).toEqual({ kind: 'off' });
    expect(readOptions({ blockTime: '1.5m' }, '').mining).toEqual({ kind: 'interval', intervalMs: 90_000 });
    for (const kind of ['line', 'ring', 'star', 'full', 'pex']) {
      expect(readOptions({ topology: kind }, '').topology).toEqual({ kind });
    }
  });

  test.each<[OptionTexts, string]>([
    [{ nodes: '0' }, '-n: "0" is not a whole number from 1 to 64'],
    [{ nodes: String(MAX_NODES + 1) }, '-n: "65" is not a whole number from 1 to 64'],
    [{ nodes: '-1' }, '-n: "-1" is not a whole number from 1 to 64'],
    [{ nodes: '4.5' }, '-n: "4.5" is not a whole number from 1 to 64'],
    [{ nodes: 'four' }, '-n: "four" is not a whole number from 1 to 64'],
    [{ nodes: '' }, '-n: "" is not a whole number from 1 to 64'],
    [{ nodes: '1e1' }, '-n: "1e1" is not a whole number from 1 to 64'],
    [{ accounts: '0' }, '--accounts: "0" is not a whole number from 1 to 100'],
    [{ accounts: '101' }, '--accounts: "101" is not a whole number from 1 to 100'],
    [{ seed: '-5' }, '--seed: "-5" is not a whole number from 0 to 9007199254740991'],
    [{ seed: '9007199254740992' }, '--seed: "9007199254740992" is not a whole number from 0 to 9007199254740991'],
    [{ seed: 'abc' }, '--seed: "abc" is not a whole number from 0 to 9007199254740991'],
    [{ topology: 'mesh' }, 'unknown topology "mesh"'],
    [{ topology: 'random' }, 'unknown topology "random"'],
    [{ topology: 'random:' }, 'the K of --topology random:K: "" is not a whole number from 1 to 3'],
    [{ topology: 'random:4' }, 'the K of --topology random:K: "4" is not a whole number from 1 to 3'],
    [{ topology: 'random:1', nodes: '1' }, 'a random topology needs at least 2 nodes'],
    [{ blockTime: '5 s' }, '--block-time: "5 s" is no duration; write 90s, 5m or 2h'],
    [{ blockTime: '-5s' }, '--block-time: "-5s" is no duration; write 90s, 5m or 2h'],
    [{ blockTime: '5h' }, 'a block time of 5h is out of range'],
    [{ blockTime: '0s' }, 'a block time of 0s is out of range'],
    [{ blockTime: '99ms' }, 'a block time of 99ms is out of range'],
    [{ blockTime: '61m' }, 'a block time of 61m is out of range'],
    [{ blockTime: '5s', onTx: true }, '--block-time and --on-tx exclude each other'],
    [{ onTx: true, noMine: true }, '--on-tx and --no-mine exclude each other'],
    [{ name: '../up' }, '"../up" cannot be the name of a devnet'],
    [{ name: '' }, '"" cannot be the name of a devnet'],
    [{ name: '.' }, '"." cannot be the name of a devnet'],
  ])('refuse %j', (texts, message) => {
    expect(refusal(texts)).toBe(message);
  });
});

describe('the sides of a partition', () => {
  const expected = [
    ['n0', 'n1'],
    ['n2', 'n3'],
  ];

  test.each([
    [['n0,n1', '/', 'n2,n3']],
    [['n0', 'n1', '/', 'n2', 'n3']],
    [['n0,n1/n2,n3']],
    [['n0,', 'n1', '/n2', 'n3']],
    [['n0, n1 / n2, n3']],
  ])('are read from %j', (words) => {
    expect(readSides(words)).toEqual(expected);
  });

  test('may be more than two', () => {
    expect(readSides(['n0', '/', 'n1', '/', 'n2'])).toEqual([['n0'], ['n1'], ['n2']]);
  });

  test.each([
    [['/'], 'the partition names no nodes'],
    [[','], 'the partition names no nodes'],
    [[], 'the partition names no nodes'],
    [['n0,n1'], 'the partition has one side only'],
    [['n0,n1', '/'], 'a side of the partition is empty'],
    [['/', 'n0'], 'a side of the partition is empty'],
    [['n0', '/', '/', 'n1'], 'a side of the partition is empty'],
    [['n0,n1', '/', 'n1,n2'], 'n1 is named twice'],
  ])('are refused in %j', (words, message) => {
    expect(() => readSides(words)).toThrow(message);
  });
});
