/** Transactions that only enter together, and those whose fees a user changed: across links, verification and restarts. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeBlock } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network } from '../../devnet/sim/network.ts';
import { localLimits } from '../../node/limits.ts';
import { outputOf, pay, type Spendable, spend, TestChain, testKey } from '../support/chain-builder.ts';

const key = testKey(0);
const base = TestChain.ofHeight(110);
const hex = (tx: Transaction) => bytesToHex(encodeTransaction(tx));

function draft(from: readonly Spendable[], fee: bigint, version = 2): Transaction {
  let total = -fee;
  for (const { value } of from) total += value;
  return spend(from, [pay(key, total)], { version });
}

const out = (tx: Transaction) => outputOf(tx, 0, key);

/** Nodes in a row that know the chain. */
function line(count: number): Network {
  const network = new Network({
    params: regtest,
    seed: 11,
    limits: localLimits,
    startUnix: base.tip.header.time + 1,
  });
  for (let i = 0; i < count; i++) network.add(`n${i}`, { pex: false, peers: i === 0 ? [] : [`n${i - 1}`] });
  for (const block of base.blocks.slice(1)) network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
  for (let i = 1; i < count; i++) {
    network.runUntil(() => network.rpc(`n${i}`, 'getblockcount') === base.height);
  }
  return network;
}

const poolOf = (network: Network, name: string) => network.rpc<string[]>(name, 'getrawmempool').sort();
const ids = (...txs: readonly Transaction[]) => txs.map(({ txid }) => txid).sort();

interface PackageAnswer {
  readonly package_msg: string;
  readonly 'tx-results': Readonly<Record<string, { readonly error?: string; readonly fees?: object }>>;
}

describe('a parent that pays nothing and a child that pays for it', () => {
  test('go down a line of nodes together', () => {
    const network = line(3);
    const parent = draft([base.coinbase(1)], 0n, 3);
    const child = draft([out(parent)], 5000n, 3);
    const answer = network.rpc<PackageAnswer>('n0', 'submitpackage', [[hex(parent), hex(child)]]);
    expect(answer.package_msg).toBe('success');
    network.runUntil(() => poolOf(network, 'n2').length === 2);
    for (const name of ['n0', 'n1', 'n2']) expect(poolOf(network, name)).toEqual(ids(parent, child));
    // Nobody was disconnected for it, and the rest goes on as always.
    const later = draft([base.coinbase(2)], 1000n);
    network.rpc('n2', 'sendrawtransaction', [hex(later)]);
    network.runUntil(() => poolOf(network, 'n0').length === 3);
  });

  test('come back together when the child is replaced by a dearer one', () => {
    const network = line(2);
    const parent = draft([base.coinbase(1)], 0n, 3);
    const child = draft([out(parent)], 2000n, 3);
    network.rpc('n0', 'submitpackage', [[hex(parent), hex(child)]]);
    network.runUntil(() => poolOf(network, 'n1').length === 2);
    const dearer = draft([out(parent)], 9000n, 3);
    network.rpc('n0', 'sendrawtransaction', [hex(dearer)]);
    network.runUntil(() => poolOf(network, 'n1').includes(dearer.txid));
    expect(poolOf(network, 'n1')).toEqual(ids(parent, dearer));
  });

  test('stay out where the child pays too little, and the peer that has them stays connected', () => {
    const network = line(2);
    // The one that favours the parent takes it for a user's sake; the other one does not.
    const parent = draft([base.coinbase(1)], 0n, 3);
    network.rpc('n0', 'prioritisetransaction', [parent.txid, 0, 1000]);
    network.rpc('n0', 'sendrawtransaction', [hex(parent)]);
    const child = draft([out(parent)], 200n, 3);
    network.rpc('n0', 'sendrawtransaction', [hex(child)]);
    network.run(30_000);
    expect(poolOf(network, 'n0')).toEqual(ids(parent, child));
    expect(poolOf(network, 'n1')).toEqual([]);
    expect(network.rpc('n1', 'getconnectioncount')).toBe(1);
    // A dearer child replaces the cheap one here, and pays for both there.
    const dearer = draft([out(parent)], 3000n, 3);
    network.rpc('n0', 'sendrawtransaction', [hex(dearer)]);
    network.runUntil(() => poolOf(network, 'n1').length === 2);
    expect(poolOf(network, 'n1')).toEqual(ids(parent, dearer));
  });
});

describe('a package', () => {
  test('waits for its turn behind transactions that are being verified', async () => {
    const network = line(1);
    const node = network.node('n0');
    const first = draft([base.coinbase(1)], 1000n);
    const second = draft([base.coinbase(2)], 1000n);
    const child = draft([out(first), out(second)], 2000n);
    const last = draft([out(child)], 1000n);
    // All in one instant: nothing is verified yet when the last is called.
    const calls = [
      network.call(node, 'sendrawtransaction', [hex(first)]),
      network.call(node, 'submitpackage', [[first, second, child].map(hex)]),
      network.call(node, 'sendrawtransaction', [hex(last), 0]),
    ];
    network.run(5000);
    expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(poolOf(network, 'n0')).toEqual(ids(first, second, child, last));
  });

  test('of which one signature is false enters as far as the others carry', () => {
    const network = line(1);
    const good = draft([base.coinbase(1)], 1000n);
    const honest = draft([base.coinbase(2)], 1000n);
    // Signed for another transaction.
    const forged = { ...honest, inputs: draft([base.coinbase(2)], 2000n).inputs };
    const child = draft([out(good), out(honest)], 2000n);
    const answer = network.rpc<PackageAnswer>('n0', 'submitpackage', [[good, forged, child].map(hex)]);
    expect(answer.package_msg).toBe('transaction failed');
    const errors = Object.values(answer['tx-results']).map(({ error }) => error);
    expect(errors).toEqual([
      undefined,
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
      'bad-txns-inputs-missingorspent',
    ]);
    expect(poolOf(network, 'n0')).toEqual(ids(good));
    // Its members are a user's: they outlive the process.
    network.kill(network.node('n0'));
    network.start(network.node('n0'));
    network.run(5000);
    expect(poolOf(network, 'n0')).toEqual(ids(good));
  });
});

describe('a transaction that the user favours', () => {
  test('enters for nothing, is mined first and is there again after a stop, with its delta', () => {
    const network = line(1);
    const node = network.node('n0');
    const free = draft([base.coinbase(1)], 0n);
    expect(() => network.rpc('n0', 'sendrawtransaction', [hex(free)])).toThrow('min relay fee not met');
    expect(network.rpc('n0', 'prioritisetransaction', [free.txid, 0, 100_000])).toBe(true);
    network.rpc('n0', 'sendrawtransaction', [hex(free)]);
    const entered = network.rpc<{ time: number }>('n0', 'getmempoolentry', [free.txid]).time;
    for (let restart = 0; restart < 2; restart++) {
      node.core?.handle({ type: 'stop' }, network.now);
      network.kill(node);
      network.start(node);
      network.run(5000);
      expect(poolOf(network, 'n0')).toEqual([free.txid]);
      // It is no younger for a restart.
      const { time } = network.rpc<{ time: number }>('n0', 'getmempoolentry', [free.txid]);
      expect(time).toBe(entered);
      const deltas = network.rpc('n0', 'getprioritisedtransactions');
      expect(deltas).toEqual({ [free.txid]: { fee_delta: 100_000, in_mempool: true, modified_fee: 100_000 } });
    }
    network.rpc('n0', 'generatetoaddress', [1, 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6']);
    expect(poolOf(network, 'n0')).toEqual([]);
    expect(network.rpc('n0', 'getprioritisedtransactions')).toEqual({});
  });
});
