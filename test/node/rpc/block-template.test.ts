/** getblocktemplate: a miner that knows nothing but the answer finds blocks, and long polls end when they should. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { encodeAddress } from '../../../consensus/address.ts';
import { encodeBlock, encodeHeader } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { encodeTransaction, type Transaction, withoutWitness } from '../../../consensus/transaction.ts';
import { Network } from '../../../devnet/sim/network.ts';
import type { PeerSummary } from '../../../node/rpc/context.ts';
import {
  outputOf,
  pay,
  type Spendable,
  spend,
  TestChain,
  testKey,
  unmine,
  withInput,
} from '../../support/chain-builder.ts';
import { RpcNode } from './rpc-node.ts';

const key = testKey(0);
const address = encodeAddress(key.publicKey, regtest.hrp);
const hex = (tx: Transaction) => bytesToHex(encodeTransaction(tx));

/** The members of the answer that a miner reads. */
interface Answer {
  readonly version: number;
  readonly previousblockhash: string;
  readonly transactions: readonly { readonly data: string; readonly txid: string; readonly depends: number[] }[];
  readonly coinbasevalue: number;
  readonly coinbasetxn?: { readonly data: string };
  readonly longpollid: string;
  readonly target: string;
  readonly curtime: number;
  readonly bits: string;
  readonly height: number;
  readonly default_witness_commitment: string;
}

const reversed = (id: string) => hexToBytes(id).reverse();
const u32 = (value: number) => Uint8Array.from([0, 8, 16, 24].map((shift) => (value >>> shift) & 255));
const hash = (...parts: Uint8Array[]) => sha256d(Uint8Array.from(Buffer.concat(parts)));

/** A coinbase of version 1 without witness, as a miner makes it that knows no more of the node than BIP 22. */
function coinbaseOf(template: Answer): string {
  const { height } = template;
  const number = height < 128 ? [height] : [height & 255, height >> 8];
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, BigInt(template.coinbasevalue), true);
  const commitment = template.default_witness_commitment;
  return [
    `01000000${'01'}${'00'.repeat(32)}ffffffff`,
    `${bytesToHex(Uint8Array.of(number.length + 2, number.length, ...number, 0))}ffffffff`,
    `02${bytesToHex(value)}22${bytesToHex(key.script)}`,
    `${'00'.repeat(8)}26${commitment}00000000`,
  ].join('');
}

/** Builds and mines a block from the answer and nothing else. */
function mine(template: Answer, coinbase = template.coinbasetxn?.data ?? coinbaseOf(template)): string {
  let level = [hash(hexToBytes(coinbase)), ...template.transactions.map(({ txid }) => reversed(txid))];
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2)
      next.push(hash(level[i] as Uint8Array, level[i + 1] ?? (level[i] as Uint8Array)));
    level = next;
  }
  const count = template.transactions.length + 1;
  for (let nonce = 0; ; nonce++) {
    const header = Buffer.concat([
      u32(template.version),
      reversed(template.previousblockhash),
      level[0] as Uint8Array,
      u32(template.curtime),
      reversed(template.bits),
      u32(nonce),
    ]);
    if (bytesToHex(hash(header).reverse()) > template.target) continue;
    const body = template.transactions.map(({ data }) => data).join('');
    return bytesToHex(Uint8Array.from(header)) + bytesToHex(Uint8Array.of(count)) + coinbase + body;
  }
}

const chain = TestChain.ofHeight(140);
const parent = spend([chain.coinbase(1)], [pay(key, 2_000_000_000n), pay(key, 2_999_990_000n)]);
const child = spend([outputOf(parent, 0, key), outputOf(parent, 1, key)], [pay(key, 4_999_900_000n)]);
const other = spend([chain.coinbase(2)], [pay(key, 4_999_990_000n)]);
const spare = (height: number): Spendable => chain.coinbase(height);

/** A node with the chain above. */
function startNode(): Network {
  const network = new Network({ params: regtest, seed: 1, startUnix: 1_700_000_000 });
  network.add('n0');
  for (const block of chain.blocks.slice(1)) network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))]);
  return network;
}

const getTemplate = (network: Network, more: object = {}) =>
  network.rpc<Answer>('n0', 'getblocktemplate', [{ rules: ['segwit'], ...more }]);

describe('a miner outside the node', () => {
  test('mines blocks of payments from the template alone, and submits the coinbase without its witness', () => {
    const network = startNode();
    for (const tx of [parent, child, other]) network.rpc('n0', 'sendrawtransaction', [hex(tx)]);
    const template = getTemplate(network);
    const ids = template.transactions.map(({ txid }) => txid);
    expect(ids.sort()).toEqual([parent.txid, child.txid, other.txid].sort());
    expect(template.coinbasevalue).toBe(5_000_000_000 + 10_000 + 90_000 + 10_000);
    const place = template.transactions.findIndex(({ txid }) => txid === parent.txid) + 1;
    expect(template.transactions.find(({ txid }) => txid === child.txid)?.depends).toEqual([place]);
    expect(network.rpc('n0', 'submitblock', [mine(template)])).toBeNull();
    expect(network.rpc('n0', 'getrawmempool')).toEqual([]);
    // Empty ones too, over the height at which BIP 94 has a bound.
    for (let height = 142; height <= 146; height++) {
      expect(network.rpc('n0', 'submitblock', [mine(getTemplate(network))])).toBeNull();
      expect(network.rpc('n0', 'getblockcount')).toBe(height);
    }
  });

  test('is told when it was too late, and when it says the same again', () => {
    const network = startNode();
    const template = getTemplate(network);
    const [won, late] = [mine(template), mine({ ...template, curtime: template.curtime + 1 })];
    expect(network.rpc('n0', 'submitblock', [won])).toBeNull();
    expect(network.rpc('n0', 'submitblock', [won])).toBe('duplicate');
    expect(network.rpc('n0', 'submitblock', [late])).toBe('inconclusive');
    network.rpc('n0', 'invalidateblock', [network.rpc('n0', 'getbestblockhash')]);
    expect(network.rpc('n0', 'submitblock', [won])).toBe('duplicate-invalid');
  });

  test('gets a finished coinbase if the user has said whom it pays and the miner can use one', () => {
    const network = startNode();
    network.rpc('n0', 'sendrawtransaction', [hex(other)]);
    const able = { capabilities: ['coinbasetxn', 'longpoll'] };
    expect(getTemplate(network, able)).not.toHaveProperty('coinbasetxn');
    network.rpc('n0', 'setminingaddress', [address]);
    expect(getTemplate(network)).not.toHaveProperty('coinbasetxn');
    const template = getTemplate(network, able);
    // Where miners that append to its script look for the script's length.
    expect(Number.parseInt(template.coinbasetxn?.data.slice(82, 84) ?? '', 16)).toBeLessThan(100);
    expect(network.rpc('n0', 'submitblock', [mine(template)])).toBeNull();
    const { tx } = network.rpc<{ tx: { vout: object[] }[] }>('n0', 'getblock', [
      network.rpc('n0', 'getbestblockhash'),
      2,
    ]);
    expect(tx[0]?.vout[0]).toMatchObject({ value: 50.0001, scriptPubKey: { address } });
    network.rpc('n0', 'setminingaddress', ['']);
    expect(getTemplate(network, able)).not.toHaveProperty('coinbasetxn');
  });
});

describe('the template', () => {
  test('is built anew when the tip moves, and when the pool has changed and five seconds have passed', () => {
    const node = new RpcNode();
    for (const block of chain.blocks.slice(1)) node.submitBlock(block);
    const get = () => node.call('getblocktemplate', { rules: ['segwit'] }) as Answer;
    const empty = get();
    expect(empty.transactions).toEqual([]);
    node.submitTransaction(other);
    node.now = { mono: node.now.mono + 5000, unix: node.now.unix + 5 };
    // The clock goes on all the same.
    expect(get()).toEqual({ ...empty, curtime: empty.curtime + 5 });
    node.now = { mono: node.now.mono + 1, unix: node.now.unix };
    expect(get().transactions).toHaveLength(1);
    node.submitTransaction(parent);
    node.submitBlock(chain.fork(140).next({ tag: 'next' }));
    expect(get()).toMatchObject({ height: 142, transactions: [{}, {}] });
  });
});

test('on the internet a template is for nodes that have peers and know the chain', () => {
  const node = new RpcNode();
  const ask = () => node.call('getblocktemplate', { rules: ['segwit'] });
  const params = { ...regtest, loopbackRoutable: false };
  node.overrides = { params };
  expect(ask()).toEqual({ code: -9, message: 'Grapevine is not connected!' });
  node.overrides = { params, peers: () => [{} as PeerSummary], initialSync: true };
  expect(ask()).toMatchObject({ code: -10 });
  node.overrides = { params, peers: () => [{} as PeerSummary] };
  expect(ask()).toMatchObject({ height: 1 });
});

describe('the long poll', () => {
  /** Asks and does not wait. */
  function poll(network: Network, longpollid: unknown): { answer: () => Answer | undefined } {
    let answer: Answer | undefined;
    const request = { rules: ['segwit'], longpollid };
    void network.call(network.node('n0'), 'getblocktemplate', [request]).then((outcome) => {
      if (!outcome.ok) throw new Error(outcome.message);
      answer = JSON.parse(outcome.json);
    });
    return { answer: () => answer };
  }
  const settle = () => new Promise((done) => setImmediate(done));

  test('ends at once when there is another tip', async () => {
    const network = startNode();
    const template = getTemplate(network);
    const waiting = poll(network, template.longpollid);
    const anyhow = poll(network, 5);
    network.run(30_000);
    await settle();
    expect([waiting.answer(), anyhow.answer()]).toEqual([undefined, undefined]);
    network.rpc('n0', 'submitblock', [mine(template)]);
    await settle();
    const tip = network.rpc('n0', 'getbestblockhash');
    expect(waiting.answer()?.previousblockhash).toBe(tip);
    expect(anyhow.answer()?.previousblockhash).toBe(tip);
    // Who knows another tip has nothing to wait for.
    const stale = poll(network, template.longpollid);
    await settle();
    expect(stale.answer()?.previousblockhash).toBe(tip);
  });

  test('ends after a minute if the pool has changed, and then within ten seconds of a change', async () => {
    const network = startNode();
    const first = getTemplate(network);
    const waiting = poll(network, first.longpollid);
    network.run(1000);
    network.rpc('n0', 'sendrawtransaction', [hex(other)]);
    network.run(58_000);
    await settle();
    expect(waiting.answer()).toBeUndefined();
    network.run(2000);
    await settle();
    const second = waiting.answer() as Answer;
    expect(second.transactions).toHaveLength(1);
    const again = poll(network, second.longpollid);
    network.run(122_000);
    network.rpc('n0', 'sendrawtransaction', [hex(spend([spare(5)], [pay(key, 4_999_990_000n)]))]);
    network.run(7000);
    await settle();
    expect(again.answer()).toBeUndefined();
    network.run(3000);
    await settle();
    expect(again.answer()?.transactions).toHaveLength(2);
  });
});

describe('a proposal', () => {
  const network = startNode();
  const propose = (block: Parameters<typeof encodeBlock>[0]) =>
    network.rpc('n0', 'getblocktemplate', [{ mode: 'proposal', data: bytesToHex(encodeBlock(block)) }]);

  test('needs no proof of work, and leaves no trace', () => {
    const block = chain.next({ transactions: [other], fees: 10_000n });
    const tips = network.rpc('n0', 'getchaintips');
    expect(propose({ ...block, header: unmine(block.header) })).toBeNull();
    expect(network.rpc('n0', 'getchaintips')).toEqual(tips);
    expect(network.rpc('n0', 'submitblock', [bytesToHex(encodeBlock(block))])).toBeNull();
    network.rpc('n0', 'invalidateblock', [block.header.hash]);
  });

  test('is refused for what is wrong with it, signatures and the witness of the coinbase included', () => {
    const forged = withInput(other, 0, { witness: [new Uint8Array(64).fill(1)] });
    expect(propose(chain.next({ transactions: [forged] }))).toBe(
      'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
    );
    const block = chain.next({ transactions: [other], tag: 'stripped' });
    const [coinbase, ...payments] = block.transactions;
    const stripped = { header: block.header, transactions: [withoutWitness(coinbase as Transaction), ...payments] };
    expect(propose(stripped)).toBe('bad-witness-nonce-size');
    expect(propose(chain.next({ fees: 1n, tag: 'rich' }))).toBe('bad-cb-amount');
    expect(propose(chain.fork(139).next({ tag: 'low' }))).toBe('inconclusive-not-best-prevblk');
    expect(propose(chain.tip)).toBe('duplicate');
    const sibling = chain.fork(139).next({ tag: 'sibling' });
    expect(network.rpc('n0', 'submitheader', [bytesToHex(encodeHeader(sibling.header))])).toBeNull();
    expect(propose(sibling)).toBe('duplicate-inconclusive');
    network.rpc('n0', 'invalidateblock', [sibling.header.hash]);
    expect(propose(sibling)).toBe('duplicate-invalid');
  });
});

describe('addresses of miners', () => {
  test('getmineraddress spells the same key with the checksum of BIP 173', () => {
    expect(new RpcNode().call('getmineraddress', address)).toEqual({
      address,
      cpuminer: expect.stringMatching(new RegExp(`^${address.slice(0, -6)}.{6}$`)),
    });
    expect(new RpcNode().call('getmineraddress', 'x')).toMatchObject({ code: -5 });
  });

  test('getnewaddress answers the mining address, and without one says what to do', () => {
    const node = new RpcNode();
    expect(node.call('getnewaddress')).toMatchObject({
      code: -18,
      message: expect.stringContaining('setminingaddress'),
    });
    node.overrides = { miningScript: key.script };
    expect(node.call('getnewaddress', 'label', 'bech32m')).toBe(address);
    expect(node.call('setminingaddress', 'x')).toMatchObject({ code: -5 });
  });
});
