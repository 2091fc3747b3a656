/** What a block does to the set of coins, and the rules that a real regtest chain cannot break: RULES A7. */
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../consensus/block.ts';
import { type OutPointKey, outPointKey } from '../../consensus/brand.ts';
import { type ConnectContext, type Connection, connectBlock, disconnectBlock } from '../../consensus/connect-block.ts';
import { COIN, MAX_MONEY, regtest } from '../../consensus/params.ts';
import { CHECK_SIZE } from '../../consensus/signature.ts';
import type { Coin, Transaction } from '../../consensus/transaction.ts';
import { assemble, buildCoinbase, carry, outputOf, pay, spend, TestChain, testKey } from '../support/chain-builder.ts';
import { contextOf } from '../support/judge.ts';

const chain = TestChain.ofHeight(105);
const coins = chain.coins();
const context = contextOf(chain, coins);

function connect(block: Block, change: Partial<ConnectContext> = {}): Connection {
  const answer = connectBlock(block, { ...context, ...change }, regtest);
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value;
}
const reasonOf = (block: Block, change: Partial<ConnectContext> = {}) => {
  const answer = connectBlock(block, { ...context, ...change }, regtest);
  return answer.ok ? null : answer.error.reason;
};

// One coinbase is split in two; one half goes on within the block, and a data output burns the other coinbase.
const split = spend([chain.coinbase(1)], [pay(testKey(1), 20n * COIN), pay(testKey(2), 29n * COIN)]);
const onward = spend([outputOf(split, 0, testKey(1))], [pay(testKey(3), 20n * COIN)]);
const burn = spend([chain.coinbase(2)], [carry('burnt', 50n * COIN)]);
const block = chain.next({ transactions: [split, onward, burn], fees: COIN });
const coinbase = block.transactions[0] as Transaction;

describe('a connected block', () => {
  const connection = connect(block);

  test('tells what it spent, in the order of the inputs, with what was made inside the block', () => {
    expect(connection.spent).toEqual([
      coins.get(outPointKey(chain.coinbase(1).txid, 0)),
      { value: 20n * COIN, scriptPubKey: testKey(1).script, height: 106, coinbase: false },
      coins.get(outPointKey(chain.coinbase(2).txid, 0)),
    ]);
    expect(connection.fees).toBe(COIN);
  });

  test('changes the set by the net: no data output, and nothing that was made and spent inside', () => {
    expect([...connection.created.keys()].sort()).toEqual(
      [outPointKey(coinbase.txid, 0), outPointKey(split.txid, 1), outPointKey(onward.txid, 0)].sort(),
    );
    expect(connection.created.get(outPointKey(coinbase.txid, 0))).toEqual({
      value: 51n * COIN,
      scriptPubKey: testKey(0).script,
      height: 106,
      coinbase: true,
    });
    expect([...connection.removed.keys()]).toEqual([1, 2].map((height) => outPointKey(chain.coinbase(height).txid, 0)));
  });

  test('asks for the checks of all inputs and tells whose they are', () => {
    expect(connection.checks.length).toBe(3 * CHECK_SIZE);
    expect([0, 1, 2].map(connection.checkOwners)).toEqual([split, onward, burn].map((tx) => ({ tx, input: 0 })));
  });

  test('is disconnected to where it began', () => {
    const { restored, removed } = disconnectBlock(block, 106, connection.spent);
    expect(restored).toEqual(connection.removed);
    for (const [key, coin] of connection.removed) expect(coin).toBe(coins.get(key));
    expect(removed).toEqual(connection.created);
  });

  test('is not disconnected with the coins of another block', () => {
    expect(() => disconnectBlock(block, 106, connection.spent.slice(1))).toThrow('fewer spent coins');
    expect(() => disconnectBlock(block, 106, [...connection.spent, connection.spent[0] as Coin])).toThrow(
      'more spent coins',
    );
  });
});

describe('known signatures', () => {
  test('emit no checks, and the owners of the others are right', () => {
    const two = spend([chain.coinbase(3), chain.coinbase(4)], [pay(testKey(5), COIN)]);
    const mixed = chain.next({ transactions: [two, split, onward] });
    const { checks, checkOwners } = connect(mixed, { verified: (wtxid) => wtxid === split.wtxid });
    expect(checks.length).toBe(3 * CHECK_SIZE);
    expect([0, 1, 2].map(checkOwners)).toEqual([
      { tx: two, input: 0 },
      { tx: two, input: 1 },
      { tx: onward, input: 0 },
    ]);
  });

  test('are believed, but nothing else of the transaction is', () => {
    const verified = () => true;
    expect(connect(block, { verified }).checks.length).toBe(0);
    expect(() => connect(block, { verified }).checkOwners(0)).toThrow('no check');
    expect(reasonOf(block, { verified, coin: () => undefined })).toBe('bad-txns-inputs-missingorspent');
  });
});

describe('what no regtest chain can hold', () => {
  const rich = (): Coin => ({ value: MAX_MONEY, scriptPubKey: testKey(0).script, height: 1, coinbase: false });
  const known = (transactions: readonly Transaction[], coin: () => Coin) => {
    const keys = new Set(
      transactions.flatMap(({ inputs }) => inputs.map(({ prevout }) => outPointKey(prevout.txid, prevout.vout))),
    );
    return (key: OutPointKey) => (keys.has(key) ? coin() : undefined);
  };

  test('fees that are above all money together', () => {
    const payments = [1, 2].map((height) => spend([chain.coinbase(height)], [pay(testKey(1), COIN)]));
    const paid = (transactions: readonly Transaction[]) =>
      reasonOf(chain.next({ transactions }), { coin: known(transactions, rich) });
    expect(paid(payments)).toBe('bad-txns-accumulated-fee-outofrange');
    expect(paid(payments.slice(1))).toBeNull();
  });

  test('coins that are above all money together', () => {
    const transactions = [spend([chain.coinbase(1), chain.coinbase(2)], [pay(testKey(1), COIN)])];
    expect(reasonOf(chain.next({ transactions }), { coin: known(transactions, rich) })).toBe(
      'bad-txns-inputvalues-outofrange',
    );
  });

  test('a coinbase whose coin is there already', () => {
    const repeated = chain.next();
    const key = outPointKey((repeated.transactions[0] as Transaction).txid, 0);
    const coin = (asked: OutPointKey) => (asked === key ? rich() : undefined);
    expect(reasonOf(repeated, { coin })).toBe('bad-txns-BIP30');
  });
});

describe('kinds', () => {
  const kindOf = (of: Block) => {
    const answer = connectBlock(of, context, regtest);
    return answer.ok ? null : answer.error.kind;
  };

  test('in a block, what is too early or has no witness is simply wrong', () => {
    const early = spend([chain.coinbase(50)], [pay(testKey(1), COIN)]);
    expect(kindOf(chain.next({ transactions: [early] }))).toBe('consensus');
    const bare = { ...split, inputs: split.inputs.map((input) => ({ ...input, witness: [] })) };
    expect(kindOf(assemble(chain.place, [buildCoinbase(106), bare]))).toBe('consensus');
    expect(kindOf(chain.next({ transactions: [onward] }))).toBe('consensus');
  });
});

test('the subsidy halves at height 150', () => {
  const long = TestChain.ofHeight(148);
  const set = long.coins();
  const pays = (value: bigint) => {
    const answer = connectBlock(long.next({ outputs: [pay(testKey(0), value)] }), contextOf(long, set), regtest);
    return answer.ok ? null : answer.error.reason;
  };
  expect(pays(50n * COIN)).toBeNull();
  long.extend();
  expect(pays(25n * COIN)).toBeNull();
  expect(pays(25n * COIN + 1n)).toBe('bad-cb-amount');
});
