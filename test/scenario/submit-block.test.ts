/** Every block of the table through `submitblock` of a whole node: the string of each, and a tip that no bad block moves. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeBlock } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { Network } from '../../devnet/sim/network.ts';
import { baseChain, blockCases, nowOf } from '../support/block-cases.ts';

const base = baseChain();
// The valid ones last: some faults are bodies under the header of a valid block, which must still be taken afterwards.
const all = blockCases(base);
const cases = [...all.filter(({ reason }) => reason !== null), ...all.filter(({ reason }) => reason === null)];
const tip = base.tip.header.hash;

describe('submitblock', () => {
  const network = new Network({ params: regtest, seed: 1 });
  const submit = (block: (typeof cases)[number]['block']) =>
    network.rpc<string | null>('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);

  beforeAll(() => {
    network.add('n0');
    network.rpc('n0', 'setmocktime', [nowOf(base)]);
    for (const block of base.blocks.slice(1)) expect(submit(block)).toBeNull();
    expect(network.rpc('n0', 'getbestblockhash')).toBe(tip);
  });

  test.each(cases)('$rule: $name → $reason', ({ block, reason }) => {
    const { hash } = block.header;
    const answer = submit(block);
    if (reason === null) {
      expect(answer).toBeNull();
      expect(network.rpc('n0', 'getbestblockhash')).toBe(hash);
      network.rpc('n0', 'invalidateblock', [hash]);
    } else expect(answer).toBe(reason);
    expect(network.rpc('n0', 'getbestblockhash')).toBe(tip);
  });

  test('the state is that of the base chain after all of them', () => {
    const fresh = new Network({ params: regtest, seed: 2 });
    fresh.add('n0');
    fresh.rpc('n0', 'setmocktime', [nowOf(base)]);
    for (const block of base.blocks.slice(1)) {
      fresh.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
    }
    const info = (one: Network) => one.rpc<{ hash_serialized_3: string }>('n0', 'gettxoutsetinfo').hash_serialized_3;
    expect(info(network)).toBe(info(fresh));
  });
});
