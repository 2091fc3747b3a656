/**
 * A naive set of coins, replayed from genesis without any check, against connectBlock and disconnectBlock over random
 * sequences of blocks and reorgs. Signatures are taken as known: sighash and signature have tests of their own.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Block } from '../../consensus/block.ts';
import { type OutPointKey, outPointKey } from '../../consensus/brand.ts';
import { connectBlock, disconnectBlock } from '../../consensus/connect-block.ts';
import { COINBASE_MATURITY, regtest } from '../../consensus/params.ts';
import { type Coin, makeTransaction, type Transaction, type TransactionFields } from '../../consensus/transaction.ts';
import { carry, pay, TestChain, testKey } from '../support/chain-builder.ts';
import { contextOf } from '../support/judge.ts';

/** One transaction to try: which coins it takes (by rank, in the block so far), and how it pays. */
interface Draft {
  readonly picks: readonly number[];
  readonly outputs: number;
  readonly data: boolean;
  readonly fee: number;
}

type Step =
  | { readonly type: 'block'; readonly drafts: readonly Draft[] }
  | { readonly type: 'reorg'; readonly depth: number };

const draft: fc.Arbitrary<Draft> = fc.record({
  picks: fc.array(fc.nat(200), { minLength: 1, maxLength: 3 }),
  outputs: fc.integer({ min: 1, max: 3 }),
  data: fc.boolean(),
  fee: fc.nat(1000),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('block' as const), drafts: fc.array(draft, { maxLength: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reorg' as const), depth: fc.integer({ min: 1, max: 6 }) }) },
);

/** Coins that may be spent at that height, and those that the drafts before have made: in a fixed order. */
function buildPayments(coins: ReadonlyMap<OutPointKey, Coin>, height: number, drafts: readonly Draft[]): Transaction[] {
  const available = [...coins].filter(([, coin]) => !coin.coinbase || height - coin.height >= COINBASE_MATURITY);
  const payments: Transaction[] = [];
  for (const { picks, outputs, data, fee } of drafts) {
    const taken = picks.flatMap((pick) => (available.length === 0 ? [] : available.splice(pick % available.length, 1)));
    if (taken.length === 0) continue;
    const total = taken.reduce((sum, [, coin]) => sum + coin.value, 0n);
    const rest = total > BigInt(fee) ? total - BigInt(fee) : total;
    const share = rest / BigInt(outputs);
    const fields: TransactionFields = {
      version: 2,
      inputs: taken.map(([key]) => ({
        prevout: { txid: key.slice(0, 64) as Transaction['txid'], vout: Number(key.slice(65)) },
        scriptSig: new Uint8Array(0),
        sequence: 0xffffffff,
        witness: [new Uint8Array(64)],
      })),
      outputs: [...Array.from({ length: outputs }, (_, i) => pay(testKey(i), share)), ...(data ? [carry('data')] : [])],
      lockTime: 0,
    };
    const tx = makeTransaction(fields);
    payments.push(tx);
    // A child may take them in the same block.
    for (const [vout, { value, scriptPubKey }] of tx.outputs.slice(0, outputs).entries()) {
      available.push([outPointKey(tx.txid, vout), { value, scriptPubKey, height, coinbase: false }]);
    }
  }
  return payments;
}

/** The set under test: changed by nothing but what connectBlock and disconnectBlock answer. */
class ConnectedSet {
  readonly chain: TestChain;
  readonly coins: Map<OutPointKey, Coin>;
  readonly #undo: (readonly Coin[])[] = [];

  constructor(base: TestChain) {
    this.chain = base.fork(base.height);
    this.coins = base.coins();
  }

  connect(block: Block): bigint {
    const context = { ...contextOf(this.chain, this.coins), verified: () => true };
    const answer = connectBlock(block, context, regtest);
    if (!answer.ok) throw new Error(answer.error.reason);
    const { removed, created, spent, fees } = answer.value;
    for (const key of removed.keys()) expect(this.coins.delete(key)).toBe(true);
    for (const [key, coin] of created) {
      expect(this.coins.has(key)).toBe(false);
      this.coins.set(key, coin);
    }
    this.#undo.push(spent);
    this.chain.push(block);
    return fees;
  }

  disconnect(): void {
    const { restored, removed } = disconnectBlock(
      this.chain.tip,
      this.chain.height,
      this.#undo.pop() as readonly Coin[],
    );
    for (const [key, coin] of removed) {
      expect(coin).toEqual(this.coins.get(key));
      expect(this.coins.delete(key)).toBe(true);
    }
    for (const [key, coin] of restored) {
      expect(this.coins.has(key)).toBe(false);
      this.coins.set(key, coin);
    }
    this.chain.blocks.pop();
  }
}

const sorted = (coins: ReadonlyMap<OutPointKey, Coin>) => [...coins].sort(([a], [b]) => (a < b ? -1 : 1));
const base = TestChain.ofHeight(COINBASE_MATURITY + 8);

describe('connect and disconnect', () => {
  test('agree with a naive replay over random blocks and reorgs', () => {
    let number = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const set = new ConnectedSet(base);
        for (const next of steps) {
          if (next.type === 'reorg') {
            const depth = Math.min(next.depth, set.chain.height - base.height);
            for (let i = 0; i < depth; i++) set.disconnect();
          } else {
            const transactions = buildPayments(set.coins, set.chain.height + 1, next.drafts);
            number += 1;
            set.connect(set.chain.next({ transactions, tag: `${number}` }));
          }
          expect(sorted(set.coins)).toEqual(sorted(set.chain.coins()));
        }
      }),
      { seed: 1, numRuns: 25 },
    );
  });

  test('a block that is connected, disconnected and connected again changes nothing', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 6 }), (drafts) => {
        const set = new ConnectedSet(base);
        const block = set.chain.next({ transactions: buildPayments(set.coins, set.chain.height + 1, drafts) });
        const before = sorted(set.coins);
        set.connect(block);
        const after = sorted(set.coins);
        set.disconnect();
        expect(sorted(set.coins)).toEqual(before);
        set.connect(block);
        expect(sorted(set.coins)).toEqual(after);
      }),
      { seed: 2, numRuns: 25 },
    );
  });

  test('what the coins hold is the subsidies, less the fees that nobody took and what was burnt', () => {
    fc.assert(
      fc.property(fc.array(fc.array(draft, { maxLength: 4 }), { maxLength: 8 }), (blocks) => {
        const set = new ConnectedSet(base);
        const total = () => [...set.coins.values()].reduce((sum, { value }) => sum + value, 0n);
        for (const drafts of blocks) {
          const before = total();
          const transactions = buildPayments(set.coins, set.chain.height + 1, drafts);
          const fees = set.connect(set.chain.next({ transactions, outputs: [pay(testKey(0), 7n)] }));
          expect(total()).toBe(before + 7n - fees);
        }
      }),
      { seed: 3, numRuns: 12 },
    );
  });
});
