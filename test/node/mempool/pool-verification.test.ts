/** Transactions whose signatures are being verified: what others see of them, and what becomes of them when things change. */
import { describe, expect, test } from '@jest/globals';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { PoolTicket } from '../../../node/mempool/pool.ts';
import { draft, Fixture, output, reasonOf, transactionsOf } from './fixture.ts';

/** Submits without an answer. */
function begin(pool: Fixture, tx: Transaction, test = false): PoolTicket {
  const verdict = pool.pool.submit(tx, pool, pool.now, { test });
  if (verdict.type !== 'verify') throw new Error(`not verified: ${verdict.type}`);
  return verdict.ticket;
}

/** Answers, and says which transactions settled and how. */
function answer(pool: Fixture, ticket: PoolTicket, failed: number | null = null): [Transaction, string][] {
  const settled = transactionsOf(pool.pool.onVerified(ticket, failed, pool, pool.now));
  return settled.map(({ tx, result }) => [tx, reasonOf(result)]);
}

const BAD_SIGNATURE = 'mandatory-script-verify-flag-failed (Invalid Schnorr signature)';

describe('parents under verification', () => {
  test('are seen by children, which settle after them whatever the order of the answers', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    const parentTicket = begin(pool, parent);
    const childTicket = begin(pool, child);
    expect(answer(pool, childTicket)).toEqual([]);
    expect(pool.pool.size).toBe(0);
    expect(answer(pool, parentTicket)).toEqual([
      [parent, 'accepted'],
      [child, 'accepted'],
    ]);
    expect(pool.pool.get(child.txid)?.ancestors.count).toBe(2);
  });

  test('take their children with them when they fail, and the children are innocent', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    const parentTicket = begin(pool, parent);
    answer(pool, begin(pool, child));
    const settled = transactionsOf(pool.pool.onVerified(parentTicket, 0, pool, pool.now));
    expect(settled.map(({ result }) => reasonOf(result))).toEqual([BAD_SIGNATURE, 'bad-txns-inputs-missingorspent']);
    const [, last] = settled;
    expect(last?.result).toMatchObject({ missing: [parent.txid], reject: { kind: 'missing-inputs' } });
    expect(pool.pool.verified(child.wtxid)).toBe(true);
    expect(pool.pool.verified(parent.wtxid)).toBe(false);
  });

  test('do not stand in for a parent that was settled before the child', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    const twin = draft([pool.coinbase()], { seal: 2 });
    const tickets = [begin(pool, parent), begin(pool, child), begin(pool, twin)] as const;
    answer(pool, tickets[1]);
    expect(answer(pool, tickets[0], 0).map(([, said]) => said)).toEqual([
      BAD_SIGNATURE,
      'bad-txns-inputs-missingorspent',
    ]);
    expect(answer(pool, tickets[2])).toEqual([[twin, 'accepted']]);
    expect(pool.pool.size).toBe(1);
  });

  test('of a test are seen by nobody', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const ticket = begin(pool, parent, true);
    expect(pool.send(draft([output(parent)]))).toBe('bad-txns-inputs-missingorspent');
    expect(answer(pool, ticket)).toEqual([[parent, 'accepted']]);
    expect(pool.pool.size).toBe(0);
  });
});

describe('while a transaction is being verified', () => {
  test('the same one is pending, and is no other’s business afterwards', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const ticket = begin(pool, tx);
    expect(pool.pool.submit(tx, pool, pool.now)).toEqual({ type: 'pending', ticket });
    expect(pool.pool.has('wtxid', tx.wtxid)).toBe(true);
    expect(pool.pool.has('txid', tx.txid)).toBe(false);
    answer(pool, ticket);
    expect(pool.send(tx)).toBe('txn-already-in-mempool');
    expect(() => answer(pool, ticket)).toThrow('is not being verified');
  });

  test('a false one keeps out nobody who spends the same coin', () => {
    const pool = new Fixture();
    const forged = draft([pool.coinbase()], { fee: 900_000n });
    const honest = draft([pool.coinbase()]);
    const tickets = [begin(pool, forged), begin(pool, honest)] as const;
    expect(answer(pool, tickets[1])).toEqual([]);
    expect(answer(pool, tickets[0], 0)).toEqual([
      [forged, BAD_SIGNATURE],
      [honest, 'accepted'],
    ]);
  });

  test('a true one that spends the same coin and pays as much wins if it came first', () => {
    const pool = new Fixture();
    const first = draft([pool.coinbase()]);
    const second = draft([pool.coinbase()], { split: 2 });
    const tickets = [begin(pool, first), begin(pool, second)] as const;
    answer(pool, tickets[1]);
    expect(answer(pool, tickets[0])).toEqual([
      [first, 'accepted'],
      [second, 'insufficient fee'],
    ]);
  });

  test('a block can confirm it', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const ticket = begin(pool, tx);
    pool.mine([tx]);
    expect(answer(pool, ticket)).toEqual([[tx, 'txn-already-known']]);
  });

  test('a block can spend its coins', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const ticket = begin(pool, tx);
    pool.mine([draft([pool.coinbase()], { split: 2 })]);
    expect(answer(pool, ticket)).toEqual([[tx, 'bad-txns-inputs-missingorspent']]);
    expect(pool.pool.verified(tx.wtxid)).toBe(true);
  });

  test('a block can confirm its parent', () => {
    const pool = new Fixture();
    const parent = draft([pool.coinbase()]);
    const child = draft([output(parent)]);
    const tickets = [begin(pool, parent), begin(pool, child)] as const;
    pool.mine([parent]);
    answer(pool, tickets[1]);
    expect(answer(pool, tickets[0])).toEqual([
      [parent, 'txn-already-known'],
      [child, 'accepted'],
    ]);
    expect(pool.pool.get(child.txid)?.parents.size).toBe(0);
  });

  test('a reorg can make it premature', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase(11)]);
    const ticket = begin(pool, tx);
    pool.reorg(1, []);
    expect(answer(pool, ticket)).toEqual([[tx, 'bad-txns-premature-spend-of-coinbase']]);
  });

  test('more than the limits allow have to wait, with nothing recorded', () => {
    const pool = new Fixture({ limits: { maxVerifyingTx: 2 } });
    const txs = [1, 2, 3].map((height) => draft([pool.coinbase(height)])) as [Transaction, Transaction, Transaction];
    const ticket = begin(pool, txs[0]);
    begin(pool, txs[1]);
    expect(pool.pool.submit(txs[2], pool, pool.now)).toEqual({ type: 'busy' });
    expect(pool.pool.has('wtxid', txs[2].wtxid)).toBe(false);
    answer(pool, ticket);
    begin(pool, txs[2]);
  });

  test('a large one is verified though it exceeds the limit alone, and nothing else beside it', () => {
    const pool = new Fixture({ limits: { maxVerifyingTxBytes: 200 } });
    const large = draft([pool.coinbase()], { split: 9 });
    begin(pool, large);
    expect(pool.pool.submit(draft([pool.coinbase(2)]), pool, pool.now)).toEqual({ type: 'busy' });
  });
});

describe('signatures that are known to hold', () => {
  test('are not verified again, but the transaction waits for its turn', () => {
    const pool = new Fixture();
    const known = draft([pool.coinbase()]);
    expect(pool.send(known, { test: true })).toBe('accepted');
    const other = begin(pool, draft([pool.coinbase(2)]));
    const ticket = begin(pool, known);
    answer(pool, ticket);
    expect(pool.pool.size).toBe(0);
    answer(pool, other);
    expect(pool.pool.size).toBe(2);
    pool.mine([]);
    pool.reorg(1, []);
    expect(pool.pool.size).toBe(2);
  });

  test('are remembered for so many transactions and no more', () => {
    const pool = new Fixture({ limits: { verifiedTx: 2 } });
    const txs = [1, 2, 3].map((height) => draft([pool.coinbase(height)]));
    for (const tx of txs) pool.send(tx, { test: true });
    expect(txs.map(({ wtxid }) => pool.pool.verified(wtxid))).toEqual([false, true, true]);
    const [first] = txs as [Transaction];
    begin(pool, first);
    expect(pool.pool.submit(txs[2] as Transaction, pool, pool.now).type).toBe('verify');
  });
});
