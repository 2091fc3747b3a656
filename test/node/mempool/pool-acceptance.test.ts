/** RULES.md B1: each row of acceptance, broken alone, with Core's string and the class that decides about the sender. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { scriptHash } from '../../../consensus/address.ts';
import { outPointKey, type Txid } from '../../../consensus/brand.ts';
import { makeTransaction, NULL_TXID, NULL_VOUT, type Transaction } from '../../../consensus/transaction.ts';
import { carry, changed, pay, testKey, withInput, withOutput } from '../../support/chain-builder.ts';
import { draft, Fixture, keyOf, output, reasonOf, transactionsOf } from './fixture.ts';

const KEY = '02'.repeat(33);

describe('a transaction without fault', () => {
  test('is verified, enters and is found by both ids, by the coin that it spends and by its scripts', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    const verdict = pool.pool.submit(tx, pool, pool.now);
    if (verdict.type !== 'verify') throw new Error(verdict.type);
    expect(verdict.checks.length).toBe(128);
    expect(verdict.fee).toBe(1000n);
    expect(verdict.vsize).toBe(111);
    expect(pool.pool.size).toBe(0);
    const [settled] = transactionsOf(pool.pool.onVerified(verdict.ticket, null, pool, pool.now));
    expect(settled?.tx).toBe(tx);
    expect(settled?.result.type).toBe('accepted');
    const entry = pool.pool.get(tx.txid);
    expect(entry).toMatchObject({ fee: 1000n, vsize: 111, weight: 444, height: 110, time: pool.now.unix });
    expect(pool.pool.getByWtxid(tx.wtxid)).toBe(entry);
    expect(pool.pool.spender(keyOf(pool.coinbase()))).toBe(entry);
    expect(pool.pool.byScript(scriptHash(testKey(0).script))).toEqual([entry]);
    expect(pool.pool.byScript(scriptHash(testKey(1).script))).toEqual([entry]);
    expect(pool.pool.coin(outPointKey(tx.txid, 0), pool)).toMatchObject({ height: 111, coinbase: false });
    expect(pool.pool).toMatchObject({ size: 1, bytes: 111, totalFee: 1000n, verifying: 0 });
  });

  test('is only judged when it is a test', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    expect(pool.send(tx, { test: true })).toBe('accepted');
    expect(pool.pool.size).toBe(0);
    expect(pool.send(tx, { test: true })).toBe('accepted');
    expect(pool.send(tx)).toBe('accepted');
    expect(pool.send(tx, { test: true })).toBe('txn-already-in-mempool');
  });

  test('needs no verification again after it has left the pool', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    pool.sendAll([tx]);
    pool.mine([tx]);
    expect(pool.pool.size).toBe(0);
    expect(pool.pool.verified(tx.wtxid)).toBe(true);
    expect(pool.pool.verified(draft([pool.coinbase()], { seal: 2 }).wtxid)).toBe(false);
  });
});

describe('every fault has its string', () => {
  const good = (pool: Fixture) => draft([pool.coinbase()], { outputs: [pay(testKey(1), 1_000_000n), carry('note')] });
  const first = (tx: Transaction) => tx.outputs[0]?.value as bigint;
  const rows: [string, string, (pool: Fixture) => Transaction][] = [
    ['bad-txns-vin-empty', 'consensus', (pool) => changed(good(pool), { inputs: [] })],
    ['bad-txns-vout-empty', 'consensus', (pool) => changed(good(pool), { outputs: [] })],
    ['bad-txns-vout-negative', 'consensus', (pool) => withOutput(good(pool), 0, { value: -1n })],
    [
      'bad-txns-inputs-duplicate',
      'consensus',
      (pool) => changed(good(pool), { inputs: [...good(pool).inputs, ...good(pool).inputs] }),
    ],
    [
      'coinbase',
      'consensus',
      (pool) =>
        withInput(good(pool), 0, {
          prevout: { txid: NULL_TXID, vout: NULL_VOUT },
          scriptSig: Uint8Array.of(1, 1),
          witness: [],
        }),
    ],
    ['version', 'policy', (pool) => draft([pool.coinbase()], { version: 0 })],
    ['version', 'policy', (pool) => draft([pool.coinbase()], { version: 4 })],
    ['tx-size', 'policy', (pool) => draft([pool.coinbase()], { split: 2400 })],
    ['scriptsig-size', 'policy', (pool) => withInput(good(pool), 0, { scriptSig: new Uint8Array(1651) })],
    ['scriptsig-not-pushonly', 'policy', (pool) => withInput(good(pool), 0, { scriptSig: Uint8Array.of(0x76) })],
    ['scriptsig-not-pushonly', 'policy', (pool) => withInput(good(pool), 0, { scriptSig: Uint8Array.of(0x4c) })],
    ['scriptpubkey', 'policy', (pool) => withOutput(good(pool), 0, { scriptPubKey: Uint8Array.of(0x51) })],
    ['scriptpubkey', 'policy', (pool) => withOutput(good(pool), 1, { scriptPubKey: hexToBytes('6a76') })],
    [
      'scriptpubkey',
      'policy',
      (pool) => withOutput(good(pool), 1, { scriptPubKey: hexToBytes(`6a4c52${'00'.repeat(82)}`) }),
    ],
    ['dust', 'policy', (pool) => withOutput(good(pool), 0, { value: 329n })],
    ['multi-op-return', 'policy', (pool) => draft([pool.coinbase()], { outputs: [carry('a'), carry('b')] })],
    ['tx-size-small', 'policy', (pool) => draft([pool.coinbase()], { outputs: [carry('ab')] })],
    ['subset-output-script', 'subset', (pool) => withOutput(good(pool), 1, { scriptPubKey: hexToBytes('6a') })],
    [
      'subset-output-script',
      'subset',
      (pool) => withOutput(good(pool), 0, { scriptPubKey: hexToBytes(`0014${'11'.repeat(20)}`) }),
    ],
    [
      'subset-witness',
      'subset',
      (pool) => withInput(good(pool), 0, { witness: [new Uint8Array(1), Uint8Array.of(0xc0)] }),
    ],
    [
      'bad-witness-nonstandard',
      'policy',
      (pool) => withInput(good(pool), 0, { witness: [new Uint8Array(64), Uint8Array.of(0x50, 1)] }),
    ],
    ['non-final', 'premature', (pool) => draft([pool.coinbase()], { lockTime: 111, sequence: 0xfffffffe })],
    ['bad-txns-inputs-missingorspent', 'missing-inputs', (pool) => draft([{ ...pool.coinbase(), vout: 1 }])],
    ['non-BIP68-final', 'premature', (pool) => draft([pool.coinbase(11)], { sequence: 101 })],
    ['bad-txns-premature-spend-of-coinbase', 'premature', (pool) => draft([pool.coinbase(12)])],
    ['bad-txns-in-belowout', 'consensus', (pool) => withOutput(good(pool), 0, { value: 50_0000_0001n })],
    ['min relay fee not met', 'policy', (pool) => draft([pool.coinbase()], { fee: 110n })],
    [
      'mandatory-script-verify-flag-failed (Witness requires empty scriptSig)',
      'consensus',
      (pool) => withInput(good(pool), 0, { scriptSig: Uint8Array.of(0x51) }),
    ],
    [
      'mandatory-script-verify-flag-failed (Witness program was passed an empty witness)',
      'witness-stripped',
      (pool) => withInput(good(pool), 0, { witness: [] }),
    ],
    [
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature size)',
      'consensus',
      (pool) => withInput(good(pool), 0, { witness: [new Uint8Array(63)] }),
    ],
    [
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature hash type)',
      'consensus',
      (pool) => withInput(good(pool), 0, { witness: [new Uint8Array(65)] }),
    ],
  ];
  test.each(rows)('%s (%s)', (reason, kind, build) => {
    const pool = new Fixture();
    const tx = build(pool);
    const result = pool.judge(tx);
    expect(reasonOf(result)).toBe(reason);
    expect(result.type === 'rejected' && result.reject.kind).toBe(kind);
    expect(pool.pool.size).toBe(0);
    expect(first(good(pool))).toBe(1_000_000n);
  });

  test('what stands just inside the limits is accepted', () => {
    const pool = new Fixture();
    const inside = [
      good(pool),
      draft([pool.coinbase(2)], { version: 1 }),
      draft([pool.coinbase(3)], { version: 3 }),
      draft([pool.coinbase(4)], { outputs: [pay(testKey(1), 330n)] }),
      draft([pool.coinbase(5)], { outputs: [carry('abc')] }),
      draft([pool.coinbase(6)], { lockTime: 110, sequence: 0xfffffffe }),
      draft([pool.coinbase(7)], { lockTime: 5000 }),
      draft([pool.coinbase(10)], { sequence: 101 }),
      draft([pool.coinbase(11)], { fee: 111n }),
    ];
    for (const tx of inside) expect(pool.send(tx)).toBe('accepted');
  });

  test('a false signature is the consensus fault of whoever sent it', () => {
    const pool = new Fixture();
    const verdict = pool.pool.submit(draft([pool.coinbase()]), pool, pool.now);
    if (verdict.type !== 'verify') throw new Error(verdict.type);
    const [settled] = transactionsOf(pool.pool.onVerified(verdict.ticket, 0, pool, pool.now));
    const reject = settled?.result.type === 'rejected' ? settled.result.reject : undefined;
    expect(reject?.reason).toBe('mandatory-script-verify-flag-failed (Invalid Schnorr signature)');
    expect(reject?.kind).toBe('consensus');
    expect(pool.pool.verified(settled?.tx.wtxid as Transaction['wtxid'])).toBe(false);
  });

  test('a copy in the pool, with the same witness or another one', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    pool.sendAll([tx]);
    expect(pool.send(tx)).toBe('txn-already-in-mempool');
    expect(pool.send(draft([pool.coinbase()], { seal: 2 }))).toBe('txn-same-nonwitness-data-in-mempool');
  });

  test('a copy in the chain is known as long as one of its outputs is unspent', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()]);
    pool.mine([tx]);
    expect(pool.send(tx)).toBe('txn-already-known');
    pool.mine([draft([output(tx)])]);
    expect(pool.send(tx)).toBe('bad-txns-inputs-missingorspent');
  });

  test('missing inputs name the transactions that would bring them, each once', () => {
    const pool = new Fixture();
    const unknown = 'ab'.repeat(32) as Txid;
    const ghost = { ...pool.coinbase(), txid: unknown };
    const result = pool.judge(draft([pool.coinbase(), ghost, { ...ghost, vout: 1 }]));
    expect(result.type === 'rejected' && result.missing).toEqual([unknown]);
  });

  test('a data output in the pool is no coin', () => {
    const pool = new Fixture();
    const tx = draft([pool.coinbase()], { outputs: [carry('a note that costs', 1_000_000n)] });
    pool.sendAll([tx]);
    expect(pool.send(draft([output(tx)]))).toBe('bad-witness-nonstandard');
  });
});

describe('output scripts that Core relays are refused in our own words, the others in its', () => {
  const relayed = [
    `76a914${'11'.repeat(20)}88ac`,
    `a914${'11'.repeat(20)}87`,
    `0014${'11'.repeat(20)}`,
    `0020${'11'.repeat(32)}`,
    '51024e73',
    `5220${'11'.repeat(32)}`,
    `21${KEY}ac`,
    `5121${KEY}51ae`,
    `5221${KEY}21${KEY}52ae`,
    '6a',
    '6a00',
    '6a51',
    '6a01010102',
    '6a4c01ff',
  ];
  test.each(relayed)('%s', (hex) => {
    const pool = new Fixture();
    const outputs = [pay(testKey(1), 10_000n), { value: 10_000n, scriptPubKey: hexToBytes(hex) }];
    expect(pool.send(draft([pool.coinbase()], { outputs }))).toBe('subset-output-script');
  });

  const refused = [
    '',
    '51',
    `76a914${'11'.repeat(20)}88`,
    `0015${'11'.repeat(21)}`,
    `21${'05'.repeat(33)}ac`,
    `5221${KEY}51ae`,
    `5121${KEY}52ae`,
    `6a4c51${'00'.repeat(81)}`,
    '6a02ff',
    '6ac0',
  ];
  test.each(refused)('%s', (hex) => {
    const pool = new Fixture();
    const outputs = [pay(testKey(1), 10_000n), { value: 10_000n, scriptPubKey: hexToBytes(hex) }];
    expect(pool.send(draft([pool.coinbase()], { outputs }))).toBe('scriptpubkey');
  });

  test('the two forms of the subset are accepted', () => {
    const pool = new Fixture();
    const data = carry(new Uint8Array(80));
    expect(bytesToHex(data.scriptPubKey)).toHaveLength(166);
    const outputs = [pay(testKey(1), 10_000n), data];
    expect(pool.send(makeTransaction({ ...draft([pool.coinbase()]), outputs }))).toBe('accepted');
  });
});
