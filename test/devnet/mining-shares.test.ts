import { describe, expect, test } from '@jest/globals';
import { describeMiners, readMiners } from '../../devnet/mining-shares.ts';
import { readOptions } from '../../devnet/options.ts';

const vinenet = { network: 'vinenet' };

describe('--miner', () => {
  test('shares four fifths of the machine, or what --mine-power says, in the proportions given', () => {
    const miners = readMiners(['n0=60,n1=30', 'n2=10%'], undefined, 3);
    expect(miners.map(({ node, share }) => [node, Number(share.toFixed(6))])).toEqual([
      ['n0', 0.48],
      ['n1', 0.24],
      ['n2', 0.08],
    ]);
    expect(readMiners(['n1=50'], '30%', 4)).toEqual([{ node: 'n1', share: 0.15 }]);
    expect(describeMiners(miners)).toBe('n0 mines with 48%, n1 with 24%, n2 with 8% of this machine');
  });

  test('is equal shares of a fifth without it', () => {
    expect(readMiners(undefined, undefined, 4).map(({ share }) => share)).toEqual([0.05, 0.05, 0.05, 0.05]);
    expect(readMiners(undefined, '100%', 2).map(({ share }) => share)).toEqual([0.5, 0.5]);
    expect(describeMiners(readMiners(undefined, undefined, 2))).toBe('all of n0, n1 mine with 10% of this machine');
  });

  test.each([
    ['n3=50', 'there is no node n3'],
    ['n00=50', 'there is no node n00'],
    ['n0=60,n1=50', 'come to 110 %'],
    ['n0=0', 'n0 has a share of 0'],
    ['n0=10,n0=20', 'n0 is named twice'],
    ['n0', '"n0" is no node with its share'],
    ['n0=-5', '"n0=-5" is no node with its share'],
    ['alice=5', '"alice=5" is no node with its share'],
    ['', '"" is no node with its share'],
  ])('refuses %s', (text, message) => {
    expect(() => readMiners([text], undefined, 3)).toThrow(message);
  });

  test.each(['0%', '101%', '50', 'half', '-1%'])('does not take %s for --mine-power', (power) => {
    expect(() => readMiners(undefined, power, 3)).toThrow(`--mine-power: "${power}"`);
  });

  test('does not take a share that a node cannot be told', () => {
    expect(() => readMiners(['n0=0.001'], '1%', 1)).toThrow('less than 0.001 %');
  });
});

describe('the options of `devnet up` where blocks cost work', () => {
  test('say who mines, and --no-mine nobody', () => {
    const mining = readOptions({ nodes: '2', miner: ['n1=100'] }, '', vinenet).mining;
    expect(mining).toEqual({ kind: 'work', miners: [{ node: 'n1', share: 0.8 }] });
    expect(readOptions({ noMine: true }, '', vinenet)).toMatchObject({ mining: { kind: 'off' }, chain: vinenet });
  });

  test('leave the pace to the difficulty', () => {
    expect(() => readOptions({ blockTime: '5s' }, '', vinenet)).toThrow('--block-time: on vinenet blocks cost work');
    expect(() => readOptions({ onTx: true }, '', vinenet)).toThrow('--on-tx: on vinenet blocks cost work');
    expect(() => readOptions({ noMine: true, minePower: '5%' }, '', vinenet)).toThrow('--no-mine and --mine-power');
  });

  test('are refused on regtest', () => {
    expect(() => readOptions({ miner: ['n0=50'] }, '')).toThrow('--miner: blocks cost nothing on regtest');
    expect(() => readOptions({ minePower: '50%' }, '')).toThrow('--mine-power: blocks cost nothing on regtest');
  });
});
