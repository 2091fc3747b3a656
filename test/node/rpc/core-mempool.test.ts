/**
 * The cases of Core's own mempool tests as one story: what is accepted and why not, limits, replacement, packages,
 * prioritised transactions, reorgs and expiry. Every answer must be what Bitcoin Core 28.1 said, to the byte; its answers are
 * in test/vectors/core-mempool.json. Where GRAPEVINE_BITCOIND is the path of a bitcoind, it is asked again, and with
 * GRAPEVINE_RECORD=1 the file is written anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeBlock } from '../../../consensus/block.ts';
import { encodeTransaction, NULL_TXID, NULL_VOUT, type Transaction } from '../../../consensus/transaction.ts';
import { Bitcoind } from '../../support/bitcoind.ts';
import {
  carry,
  changed,
  outputOf,
  pay,
  type Spendable,
  spend,
  TestChain,
  testKey,
  withInput,
} from '../../support/chain-builder.ts';
import { RpcNode } from './rpc-node.ts';

const bitcoind = process.env['GRAPEVINE_BITCOIND'];
const recording = process.env['GRAPEVINE_RECORD'] === '1';
const vectors = new URL('../../vectors/core-mempool.json', import.meta.url);
const SOURCE = 'Recorded from Bitcoin Core 28.1 by core-mempool.test.ts, which holds the calls';
const NOW = 1_800_000_000;
const key = testKey(0);

const chain = TestChain.ofHeight(260);
const mined = spend([chain.coinbase(1)], [pay(key, 1_000_000_000n), pay(key, 3_999_000_000n)]);
chain.extend({ transactions: [mined] });
const minedLast = spend([chain.coinbase(2)], [pay(key, 4_999_990_000n)]);
chain.extend({ transactions: [minedLast] });
let nextCoin = 3;
/** A coinbase that nothing in this story has spent. */
const coin = (): Spendable => chain.coinbase(nextCoin++);

interface Draft {
  readonly version?: number;
  readonly split?: number;
  readonly sequence?: number;
  readonly lockTime?: number;
  readonly hashType?: number;
}

/** What the outputs behind the first hold. */
const SMALL = 50_000n;

/** Spends all of `from`, for that fee. */
function draft(from: readonly Spendable[], fee: bigint, { split = 1, ...options }: Draft = {}): Transaction {
  let total = -fee;
  for (const { value } of from) total += value;
  const outputs = [pay(key, total - SMALL * BigInt(split - 1))];
  while (outputs.length < split) outputs.push(pay(key, SMALL));
  return spend(from, outputs, options);
}

const out = (tx: Transaction, vout = 0): Spendable => outputOf(tx, vout, key);
const hex = (tx: Transaction) => bytesToHex(encodeTransaction(tx));
const v3 = { version: 3 };

/** So many transactions, each of which spends the first output of the one before. */
function row(from: Spendable, count: number, options: Draft = {}): Transaction[] {
  const txs: Transaction[] = [];
  for (let last = from; txs.length < count; last = out(txs.at(-1) as Transaction)) {
    txs.push(draft([last], 1000n, options));
  }
  return txs;
}

type Step = readonly [name: string, method: string, params: readonly unknown[]];

function story(): Step[] {
  const steps: Step[] = [];
  const call = (name: string, method: string, ...params: readonly unknown[]) => steps.push([name, method, params]);
  const submit = (name: string, txs: readonly Transaction[], ...more: readonly unknown[]) =>
    call(name, 'submitpackage', txs.map(hex), ...more);
  const tryAll = (name: string, txs: readonly Transaction[], ...more: readonly unknown[]) =>
    call(name, 'testmempoolaccept', txs.map(hex), ...more);
  const send = (name: string, tx: Transaction) => call(name, 'sendrawtransaction', hex(tx), 0);

  // The form of the call.
  const single = draft([coin()], 1000n);
  submit('nothing', []);
  submit('one transaction', [single]);
  submit('26 transactions', new Array(26).fill(single));
  call('no hex', 'submitpackage', ['zz', hex(single)]);
  call('no texts', 'submitpackage', [1, 2]);
  submit('a feerate of a coin', [single, draft([out(single)], 1000n)], 1);
  const burning = spend([out(single)], [carry('burnt', 5000n), pay(key, 1_000_000n)]);
  submit('a burnt output', [single, burning], 0);
  submit('strangers', [single, draft([coin()], 1000n)]);
  const chainOf3 = [single, draft([out(single)], 1000n, { split: 2 })] as const;
  submit('parents that spend from each other', [
    ...chainOf3,
    draft([out(chainOf3[1]), { ...out(chainOf3[1], 1), vout: 1 }, coin()], 1000n),
  ]);
  submit('a child before its parent', [draft([out(single)], 1000n), single]);
  const twice = draft([coin()], 1000n);
  submit('duplicates', [twice, twice, draft([out(twice)], 1000n)]);
  const rivals = (() => {
    const from = coin();
    return [draft([from], 1000n), draft([from], 2000n)] as const;
  })();
  submit('parents that conflict', [...rivals, draft([out(rivals[0]), out(rivals[1])], 1000n)]);

  // Packages that enter.
  const parents = [draft([coin()], 500n), draft([coin()], 600n)];
  const child = draft(
    parents.map((tx) => out(tx)),
    5000n,
    { split: 2 },
  );
  submit('all can pay for themselves', [...parents, child]);
  submit('all are there', [...parents, child]);
  const otherWitness = (() => {
    const from = coin();
    return [draft([from], 700n), draft([from], 700n, { hashType: 1 })] as const;
  })();
  send('a parent', otherWitness[0]);
  submit('the same parent with another witness', [otherWitness[1], draft([out(otherWitness[0])], 900n)]);
  const [left, right] = [draft([coin()], 500n), draft([coin()], 500n)];
  send('one parent is there', left);
  const both = draft([out(left), out(right)], 1000n);
  submit('a parent is missing', [right, both]);
  submit('now it is not', [left, right, both]);
  call('the entry', 'getmempoolentry', both.txid);

  // Who pays for whom.
  const free = draft([coin()], 0n, v3);
  submit('version 3: a child pays for its parent', [free, draft([out(free)], 2000n, v3)]);
  const free2 = draft([coin()], 0n, v3);
  submit('version 3: a child pays too little for both', [free2, draft([out(free2)], 221n, v3)]);
  submit('version 3: to the satoshi', [free2, draft([out(free2)], 222n, v3)]);
  const free3 = draft([coin()], 0n);
  submit('version 2 below the relay minimum', [free3, draft([out(free3)], 2000n)]);
  const mixed = draft([coin()], 0n, v3);
  submit('version 2 child of version 3', [mixed, draft([out(mixed)], 3000n)]);
  const two = [draft([coin()], 0n, v3), draft([coin()], 0n, v3)];
  submit('version 3 with two parents', [
    ...two,
    draft(
      two.map((tx) => out(tx)),
      9000n,
      v3,
    ),
  ]);
  const big = draft([coin()], 0n, v3);
  submit('version 3 child that is too big', [big, draft([out(big)], 9000n, { ...v3, split: 30 })]);
  const rich = draft([coin()], 1_000_000n);
  submit('above the maximum feerate', [rich, draft([out(rich)], 1000n)], 0.0001);
  const richChild = draft([coin()], 0n, v3);
  submit('a child above the maximum feerate', [richChild, draft([out(richChild)], 1_000_000n, v3)], 0.0001);

  // Signatures.
  const forged = withInput(draft([coin()], 1000n), 0, { witness: [new Uint8Array(64).fill(1)] });
  send('a forged transaction', forged);
  submit('a forged parent', [forged, draft([out(forged)], 1000n)]);
  const honest = draft([coin()], 1000n);
  const forgedChild = withInput(draft([out(honest)], 1000n), 0, { witness: [new Uint8Array(64).fill(1)] });
  submit('a forged child', [honest, forgedChild]);
  const payer = draft([coin()], 0n, v3);
  const forgedPayer = withInput(draft([out(payer)], 5000n, v3), 0, { witness: [new Uint8Array(64).fill(1)] });
  submit('a forged child that would pay', [payer, forgedPayer]);
  const short = withInput(draft([coin()], 1000n), 0, { witness: [new Uint8Array(63).fill(1)] });
  submit('a short signature', [short, draft([out(short)], 1000n)]);

  // Packages that replace.
  const contested = coin();
  const old = draft([contested], 5000n);
  send('what will be replaced', old);
  const newParent = draft([contested], 1000n);
  submit('a package that does not pay for its relay', [newParent, draft([out(newParent)], 4221n)]);
  submit('a package that pays for it', [newParent, draft([out(newParent)], 4222n)]);
  const dearParent = draft([contested], 4000n);
  submit('a child that only pays the fees', [dearParent, draft([out(dearParent)], 3000n)]);
  const wide = draft([contested], 3000n, { split: 20 });
  submit('a package that miners do not want', [wide, draft([out(wide)], 9000n, { split: 10 })]);
  const threeParents = [draft([contested], 1000n), draft([coin()], 0n, v3)];
  submit('two parents that replace', [
    ...threeParents,
    draft(
      threeParents.map((tx) => out(tx)),
      90_000n,
    ),
  ]);
  const more = coin();
  const oldChain = [draft([more], 2000n)];
  for (let i = 0; i < 3; i++) oldChain.push(draft([out(oldChain[i] as Transaction)], 2000n));
  for (const tx of oldChain) send('a chain to replace', tx);
  const overChain = draft([more], 500n);
  submit('a chain of four', [overChain, draft([out(overChain)], 90_000n)]);
  const inMiddle = draft([out(oldChain[1] as Transaction)], 500n);
  submit('the tail of a chain', [inMiddle, draft([out(inMiddle)], 90_000n)]);
  const pairCoin = coin();
  const pair = [draft([pairCoin], 0n, v3)];
  pair.push(draft([out(pair[0] as Transaction)], 2000n, v3));
  submit('version 3: a pair', pair);
  const pair2 = draft([pairCoin], 10n, v3);
  submit('version 3: a dearer pair', [pair2, draft([out(pair2)], 2500n, v3)]);
  const sibling = draft([out(pair2)], 9000n, v3);
  send('version 3: another child', sibling);

  // Tests of several.
  const fine = draft([coin()], 1000n);
  tryAll('parent and child', [fine, draft([out(fine)], 1000n)]);
  tryAll('independent ones', [fine, draft([coin()], 1000n)]);
  tryAll('none', []);
  tryAll('duplicates', [fine, fine]);
  tryAll('unsorted', [draft([out(fine)], 1000n), fine]);
  tryAll(
    'conflicting',
    (() => {
      const from = coin();
      return [draft([from], 1000n), draft([from], 2000n)];
    })(),
  );
  tryAll('a replacement', [fine, draft([contested], 50_000n)]);
  tryAll('one that is there', [child, fine]);
  tryAll('missing inputs', [draft([{ ...coin(), vout: 7 }], 1000n), fine]);
  tryAll('a cheap parent', [free3, draft([out(free3)], 9000n)]);
  tryAll('a forged second', [fine, forgedChild, honest].slice(0, 2));
  tryAll('a forged child of a fine parent', [honest, forgedChild]);
  tryAll('too much fee', [fine, draft([out(fine)], 5_000_000n), draft([coin()], 1000n)]);
  const long = [draft([coin()], 1000n)];
  for (let i = 1; i < 26; i++) long.push(draft([out(long[i - 1] as Transaction)], 1000n));
  tryAll('a chain of 25', long.slice(0, 25));
  tryAll('a chain of 26', long);
  send('the first of it', long[0] as Transaction);
  send('the second of it', long[1] as Transaction);
  tryAll('a chain that would be 27', long.slice(2, 25).concat(draft([out(fine)], 1000n)));
  tryAll('a chain that would be 26', long.slice(2, 26));
  const v3Parent = draft([coin()], 1000n, { ...v3, split: 3 });
  tryAll('version 3 siblings', [v3Parent, draft([out(v3Parent)], 1000n, v3), draft([out(v3Parent, 1)], 1000n, v3)]);
  const v3Child = draft([out(v3Parent)], 1000n, v3);
  tryAll('version 3 grandchild', [v3Parent, v3Child, draft([out(v3Child)], 1000n, v3)]);
  send('a version 3 parent', v3Parent);
  send('its child', v3Child);
  tryAll('version 3 sibling alone', [draft([out(v3Parent, 1)], 9000n, v3)]);
  tryAll('version 3 sibling with a stranger', [draft([out(v3Parent, 1)], 9000n, v3), draft([coin()], 1000n)]);
  const fat = [0, 1].map(() => draft([coin()], 60_000n, { split: 1190 }));
  tryAll('too heavy together', [...fat, draft([coin()], 60_000n, { split: 1190 })]);

  // Prioritised transactions.
  const none = '00'.repeat(32);
  call('none are', 'getprioritisedtransactions');
  call('a bad txid', 'prioritisetransaction', 'foo', 0, 1);
  call('a bad dummy', 'prioritisetransaction', none, 5, 1);
  call('a bad dummy type', 'prioritisetransaction', none, 'x', 1);
  call('no delta', 'prioritisetransaction', none, 0);
  call('a fraction', 'prioritisetransaction', none, 0, 0.5);
  const poor = draft([coin()], 0n);
  send('a free transaction', poor);
  call('is favoured', 'prioritisetransaction', poor.txid, 0, 10_000);
  call('more', 'prioritisetransaction', poor.txid, null, 5000);
  call('shown', 'getprioritisedtransactions');
  tryAll('it would enter', [poor]);
  send('it enters', poor);
  call('its entry', 'getmempoolentry', poor.txid);
  call('shown in the mempool', 'getprioritisedtransactions');
  const poorChild = draft([out(poor)], 1000n);
  send('its child', poorChild);
  call('its child’s entry', 'getmempoolentry', poorChild.txid);
  call('is disfavoured', 'prioritisetransaction', poor.txid, 0, -14_999);
  call('its child’s entry after', 'getmempoolentry', poorChild.txid);
  call('a delta for the child', 'prioritisetransaction', poorChild.txid, 0, -2000);
  call('the parent’s entry', 'getmempoolentry', poor.txid);
  call('taken back', 'prioritisetransaction', poorChild.txid, 0, 2000);
  call('one is left', 'getprioritisedtransactions');
  const disputed = coin();
  const favoured = draft([disputed], 1000n);
  send('a favourite', favoured);
  call('of the user', 'prioritisetransaction', favoured.txid, 0, 50_000);
  tryAll('is not replaced for less', [draft([disputed], 20_000n)]);
  call('of nobody', 'prioritisetransaction', favoured.txid, 0, -50_900);
  tryAll('is replaced for nothing much', [draft([disputed], 300n)]);
  const damned = draft([coin()], 1000n);
  call('damned', 'prioritisetransaction', damned.txid, 0, -1_000_000);
  send('does not enter', damned);
  tryAll('nor in company', [damned, draft([out(damned)], 9_000_000n)]);
  call('all that is', 'getrawmempool');

  // One at a time, as in mempool_accept.py: what is refused whatever the mempool holds.
  const base = draft([coin()], 10_000n);
  const [input] = base.inputs;
  if (input === undefined) throw new Error('it has an input');
  const odd = (name: string, tx: Transaction) => tryAll(name, [tx]);
  odd('fine', base);
  odd('in a block', mined);
  odd('in the mempool', child);
  odd('in the mempool with another witness', draft([out(left), out(right)], 1000n, { hashType: 1 }));
  odd('no outputs', changed(base, { outputs: [] }));
  odd('a negative output', changed(base, { outputs: [pay(key, -1n)] }));
  odd('an output above all money', changed(base, { outputs: [pay(key, 2_100_000_000_000_001n)] }));
  odd('outputs above all money', changed(base, { outputs: [1, 2].map(() => pay(key, 2_100_000_000_000_000n)) }));
  odd('the same input twice', changed(base, { inputs: [input, input] }));
  odd(
    'a null prevout',
    changed(base, { inputs: [input, { ...input, prevout: { txid: NULL_TXID, vout: NULL_VOUT } }] }),
  );
  odd('a coinbase', chain.blockAt(9).transactions[0] as Transaction);
  odd('version 0', changed(base, { version: 0 }));
  odd('version 4', changed(base, { version: 4 }));
  odd('dust', changed(base, { outputs: [pay(key, 329n), pay(key, 1_000_000n)] }));
  odd('no dust', changed(base, { outputs: [pay(key, 330n), pay(key, 4_999_000_000n)] }));
  odd('two data outputs', changed(base, { outputs: [carry('a'), carry('b')] }));
  odd('64 bytes', changed(base, { outputs: [carry('xx')] }));
  odd('65 bytes', spend([coin()], [carry('xxx', 4_999_000_000n)]));
  odd('more out than in', changed(base, { outputs: [pay(key, 5_000_000_001n)] }));
  odd('a height not reached', draft([coin()], 1000n, { lockTime: 263, sequence: 0xfffffffe }));
  odd('a height reached', draft([coin()], 1000n, { lockTime: 262, sequence: 0xfffffffe }));
  odd('a time not reached', draft([coin()], 1000n, { lockTime: chain.medianTimePastAt(262), sequence: 1 }));
  odd('a time reached', draft([coin()], 1000n, { lockTime: chain.medianTimePastAt(262) - 1, sequence: 0xfffffffe }));
  odd('a relative lock', draft([out(minedLast)], 1000n, { sequence: 2 }));
  odd('a relative lock that is open', draft([out(minedLast)], 1000n, { sequence: 1 }));
  odd('a relative time', draft([out(minedLast)], 1000n, { sequence: 0x400001 }));
  odd('a coinbase too young', draft([chain.coinbase(164)], 1000n));
  odd('a coinbase just old enough', draft([chain.coinbase(163)], 1000n));
  odd('below the relay minimum', draft([coin()], 110n));
  odd('at the relay minimum', draft([coin()], 111n));
  odd('no witness', withInput(base, 0, { witness: [] }));
  odd('an annex', withInput(base, 0, { witness: [...input.witness, Uint8Array.of(0x50, 1)] }));

  // Limits, as in mempool_packages.py, mempool_package_limits.py and mempool_package_onemore.py.
  const line = row(coin(), 26, { split: 3 });
  for (const [index, tx] of line.entries()) send(`number ${index + 1} in a row`, tx);
  call('the first of them', 'getmempoolentry', (line[0] as Transaction).txid);
  call('the last of them', 'getmempoolentry', (line[24] as Transaction).txid);
  send('one more child of the first', draft([out(line[0] as Transaction, 1)], 1000n));
  send('and one more', draft([out(line[0] as Transaction, 2)], 1000n));
  send('a replacement of the former', draft([out(line[0] as Transaction, 1)], 2000n));
  send('one more of the second', draft([out(line[1] as Transaction, 1)], 1000n));
  const shorter = row(coin(), 24, { split: 3 });
  for (const tx of shorter) send('a shorter row', tx);
  const [top, second] = [shorter[0], shorter[1]] as [Transaction, Transaction];
  tryAll('two children of the first', [draft([out(top, 1)], 1000n), draft([out(top, 2)], 1000n)]);
  const tail = draft([out(shorter[23] as Transaction)], 1000n);
  tryAll('one behind it', [tail]);
  tryAll('two behind it', [tail, draft([out(tail)], 1000n)]);
  tryAll('one behind it and a stranger', [tail, draft([coin()], 1000n)]);
  submit('a package behind it', [draft([out(top, 1)], 1000n), draft([out(second, 1)], 1000n)]);
  const wideTop = draft([out(top, 1)], 1000n);
  submit('a package of two beside it', [wideTop, draft([out(wideTop)], 1000n)]);
  const bulky = draft([coin()], 90_000n, { split: 1900 });
  send('80,000 virtual bytes', bulky);
  tryAll('20,000 more', [draft([out(bulky)], 30_000n, { split: 530 })]);
  tryAll('a little more', [draft([out(bulky)], 30_000n, { split: 1 })]);
  tryAll('a little more, twice', [
    draft([out(bulky)], 15_000n, { split: 1 }),
    draft([out(bulky, 1)], 15_000n, { split: 1 }),
  ]);

  // Replacement, as in feature_rbf.py.
  const spent = coin();
  const original = draft([spent], 1000n, { split: 2 });
  send('the original', original);
  send('its child', draft([out(original)], 1000n));
  send('the other child', draft([out(original, 1)], 1000n));
  send('no dearer', draft([spent], 1000n, { split: 2 }));
  send('pays for one', draft([spent], 2000n));
  send('pays for all', draft([spent], 3000n));
  send('pays for all, but not for itself', draft([spent], 3110n));
  const [late, other] = [coin(), coin()];
  const unconfirmed = draft([other], 1000n);
  send('unconfirmed', unconfirmed);
  send('spends an unconfirmed output more', draft([spent, out(unconfirmed)], 9000n));
  send('spends what it replaces', draft([spent, out(original)], 90_000n));
  send('pays for all and itself', draft([spent], 3111n));
  const first = draft([late], 1000n);
  send('one', first);
  send('two conflicts at once', draft([late, other], 9000n));

  // Blocks, as in mempool_reorg.py and mempool_spend_coinbase.py.
  const tip = chain.tip.header.hash;
  const inBlock = draft([coin()], 1000n);
  send('to be mined', inBlock);
  const block = chain.next({ transactions: [inBlock] });
  call('mined', 'submitblock', bytesToHex(encodeBlock(block)));
  call('out of the mempool', 'getmempoolentry', inBlock.txid);
  send('its child', draft([out(inBlock)], 1000n));
  send('a coinbase just old enough', draft([chain.coinbase(164)], 1000n));
  send('its height is reached', draft([coin()], 1000n, { lockTime: 263, sequence: 0xfffffffe }));
  send('its lock is open', draft([out(minedLast)], 1000n, { sequence: 2 }));
  call('before the reorg', 'getrawmempool');
  call('the block is undone', 'invalidateblock', block.header.hash);
  call('after the reorg', 'getrawmempool');
  call('the tip', 'getbestblockhash');
  call('its entry', 'getmempoolentry', inBlock.txid);
  call('two blocks are undone', 'invalidateblock', tip);
  call('after two', 'getrawmempool');
  call('again', 'reconsiderblock', tip);
  call('after all', 'getrawmempool');
  const conflict = draft([spent], 1n);
  const longer = chain.fork(chain.height);
  longer.push(block);
  call('a block with a conflict', 'submitblock', bytesToHex(encodeBlock(longer.next({ transactions: [conflict] }))));
  call('without it', 'getrawmempool');

  // Expiry, as in mempool_expiry.py.
  call('two weeks later', 'setmocktime', NOW + 336 * 3600);
  send('all is still there', draft([coin()], 1000n));
  call('nothing is too old', 'getrawmempool');
  call('a second later', 'setmocktime', NOW + 336 * 3600 + 1);
  send('what expires all', draft([coin()], 1000n));
  call('what is not too old', 'getrawmempool');
  return steps;
}

/** What has to do with the moment or the machine. */
function comparable(value: unknown, method: string): unknown {
  if (method === 'getrawmempool') return [...(value as string[])].sort();
  if (method === 'getmempoolentry' && !Object.hasOwn(value as object, 'code'))
    return { ...(value as object), time: 0, unbroadcast: false };
  return value;
}

const steps = story();
const { answers } = JSON.parse(readFileSync(vectors, 'utf8')) as { readonly answers: readonly unknown[] };

/** What our node says. */
function ask(node: RpcNode, method: string, params: readonly unknown[]): unknown {
  if (method !== 'setmocktime') return node.call(method, ...params);
  node.now = { mono: 0, unix: params[0] as number };
  return null;
}

describe('the same answer as Bitcoin Core', () => {
  const node = new RpcNode();
  node.now = { mono: 0, unix: NOW };

  beforeAll(() => {
    for (const block of chain.blocks.slice(1)) node.submitBlock(block);
  });

  test.each(steps.map(([name, method, params], index) => [method, name, params, index] as const))(
    '%s: %s',
    (method, _, params, index) => {
      const ours = ask(node, method, params) as { code?: number; message?: string } | null;
      const theirs = answers[index] as { code?: number; message?: string } | null;
      // The help of a method is Core's own text.
      if (theirs?.code === -1 && theirs.message === '') expect(ours?.code).toBe(-1);
      else expect(comparable(ours, method)).toEqual(theirs);
    },
  );
});

if (bitcoind === undefined) test.skip('the answers of a live Core: needs GRAPEVINE_BITCOIND', () => undefined);
else {
  test('a live Core gives the recorded answers', async () => {
    const core = new Bitcoind();
    const live: unknown[] = [];
    try {
      await core.start(bitcoind, `-mocktime=${NOW}`);
      for (const block of chain.blocks.slice(1)) await core.call('submitblock', bytesToHex(encodeBlock(block)));
      for (const [, method, params] of steps) {
        const answer = (await core.call(method, ...params)) as { code?: number; message?: string } | null;
        const isHelp = answer?.code === -1 && answer.message?.startsWith(`${method} `) === true;
        live.push(isHelp ? { code: -1, message: '' } : comparable(answer, method));
      }
    } finally {
      await core.stop();
    }
    const rows = live.map((answer) => JSON.stringify(answer)).join(',\n');
    if (recording) writeFileSync(vectors, `{"source":"${SOURCE}","answers":[\n${rows}\n]}\n`);
    else expect(live).toEqual(answers);
  }, 120_000);
}
