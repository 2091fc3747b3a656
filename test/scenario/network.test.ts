/** Several nodes on the in-process network: discovery, relay, forks and recovery, on virtual time and from one seed. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { type Block, encodeBlock, readBlock } from '../../consensus/block.ts';
import { decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network, type NetworkOptions } from '../../devnet/sim/network.ts';
import { outputOf, pay, type Spendable, spend, testKey } from '../support/chain-builder.ts';

const miner = testKey(1);
const bob = testKey(2);
const addressOf = (key: { publicKey: Uint8Array }) => encodeAddress(key.publicKey, regtest.hrp);

/** Nodes n0…, all of which know n0 only. */
function networkOf(count: number, options: Partial<NetworkOptions> = {}): Network {
  const network = new Network({ params: regtest, seed: 1, ...options });
  network.add('n0');
  for (let i = 1; i < count; i++) network.add(`n${i}`, { peers: ['n0'] });
  return network;
}

const tipOf = (network: Network, name: string) => network.rpc<string>(name, 'getbestblockhash');
const heightOf = (network: Network, name: string) => network.rpc<number>(name, 'getblockcount');

function expectOneTip(network: Network, names: readonly string[] = [...network.nodes.keys()]): string {
  const tips = new Set(names.map((name) => tipOf(network, name)));
  expect([...tips]).toHaveLength(1);
  return [...tips][0] as string;
}

function mine(network: Network, name: string, count: number, key = miner): string[] {
  return network.rpc<string[]>(name, 'generatetoaddress', [count, addressOf(key)]);
}

function blockOf(network: Network, name: string, hash: string): Block {
  const hex = network.rpc<string>(name, 'getblock', [hash, 0]);
  const block = decode(Uint8Array.from(Buffer.from(hex, 'hex')), readBlock);
  if (!block.ok) throw new Error(block.error);
  return block.value;
}

/** The first output of the coinbase of a block that `mine` made. */
function rewardOf(network: Network, name: string, hash: string): Spendable {
  return outputOf(blockOf(network, name, hash).transactions[0] as Transaction, 0, miner);
}

function submit(network: Network, name: string, tx: Transaction): string {
  return network.rpc<string>(name, 'sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
}

const poolOf = (network: Network, name: string) => network.rpc<string[]>(name, 'getrawmempool');

describe('discovery', () => {
  test('nodes that know one bootstrap node find all others by peer exchange alone', () => {
    const network = networkOf(5);
    network.run(3000);
    for (const name of network.nodes.keys()) {
      const agents = network.rpc<{ subver: string }[]>(name, 'getpeerinfo').map(({ subver }) => subver);
      expect(new Set(agents).size).toBe(4);
    }
  });

  test('addresses are remembered over a restart without the bootstrap node', () => {
    const network = networkOf(4);
    network.run(3000);
    const node = network.node('n3');
    network.kill(network.node('n0'));
    network.kill(node);
    network.run(100);
    network.start(node);
    network.run(3000);
    const agents = network.rpc<{ subver: string }[]>('n3', 'getpeerinfo').map(({ subver }) => subver);
    expect(agents.some((agent) => agent.includes('devnet:n1'))).toBe(true);
    expect(agents.some((agent) => agent.includes('devnet:n2'))).toBe(true);
  });

  test('without peer exchange only the named peer is dialled', () => {
    const network = new Network({ params: regtest, seed: 1 });
    network.add('n0', { pex: false });
    network.add('n1', { pex: false, peers: ['n0'] });
    network.add('n2', { pex: false, peers: ['n0'] });
    network.run(3000);
    expect(network.rpc<unknown[]>('n0', 'getpeerinfo')).toHaveLength(2);
    expect(network.rpc<unknown[]>('n1', 'getpeerinfo')).toHaveLength(1);
  });
});

describe('blocks', () => {
  test('a mined block reaches every node', () => {
    const network = networkOf(5);
    network.run(2000);
    const [hash] = mine(network, 'n2', 1);
    network.run(200);
    expect(expectOneTip(network)).toBe(hash);
  });

  test('a late node fetches a long chain from several peers', () => {
    const network = networkOf(3);
    network.run(1000);
    mine(network, 'n0', 300);
    network.run(3000);
    network.add('late', { peers: ['n0'] });
    network.run(5000);
    expect(heightOf(network, 'late')).toBe(300);
    expectOneTip(network);
  });

  test('a killed node catches up after its restart, on what its store holds', () => {
    const network = networkOf(4);
    network.run(1000);
    mine(network, 'n0', 5);
    network.run(500);
    const node = network.node('n2');
    network.kill(node);
    mine(network, 'n1', 3);
    network.start(node);
    expect(heightOf(network, 'n2')).toBe(5);
    network.run(3000);
    expect(heightOf(network, 'n2')).toBe(8);
    expectOneTip(network);
  });
});

describe('payments', () => {
  test('a payment submitted at one node is in all pools, and a block anywhere confirms it everywhere', () => {
    const network = networkOf(4);
    network.run(1000);
    const [first] = mine(network, 'n0', 101);
    network.run(1000);
    const tx = spend([rewardOf(network, 'n0', first as string)], [pay(bob, 49_9999_0000n)]);
    expect(submit(network, 'n0', tx)).toBe(tx.txid);
    network.run(500);
    for (const name of network.nodes.keys()) expect(poolOf(network, name)).toEqual([tx.txid]);
    mine(network, 'n2', 1);
    network.run(500);
    for (const name of network.nodes.keys()) {
      expect(poolOf(network, name)).toEqual([]);
      const coin = network.rpc<{ value: number; confirmations: number }>(name, 'gettxout', [tx.txid, 0]);
      expect(coin).toMatchObject({ value: 49.9999, confirmations: 1 });
    }
  });

  test('a chain of 25 payments in one burst is accepted everywhere', () => {
    const network = networkOf(3);
    network.run(1000);
    const [first] = mine(network, 'n0', 101);
    network.run(1000);
    let coin = rewardOf(network, 'n0', first as string);
    const chain: Transaction[] = [];
    for (let i = 0; i < 25; i++) {
      const tx = spend([coin], [pay(miner, coin.value - 1000n)]);
      chain.push(tx);
      coin = outputOf(tx, 0, miner);
    }
    for (const tx of chain) submit(network, 'n0', tx);
    network.run(1000);
    for (const name of network.nodes.keys()) expect(poolOf(network, name)).toHaveLength(25);
  });
});

describe('partition', () => {
  test('two branches grow, one wins after the heal, and the payment of the losing branch is confirmed later', () => {
    const network = networkOf(4);
    network.run(1000);
    const [first] = mine(network, 'n0', 110);
    network.run(1000);
    network.partition(['n0', 'n1'], ['n2', 'n3']);
    network.run(500);
    const tx = spend([rewardOf(network, 'n0', first as string)], [pay(bob, 49_9999_0000n)]);
    submit(network, 'n0', tx);
    network.run(500);
    mine(network, 'n1', 2);
    const winner = mine(network, 'n2', 4).at(-1);
    network.run(500);
    expect(tipOf(network, 'n0')).toBe(tipOf(network, 'n1'));
    expect(tipOf(network, 'n0')).not.toBe(tipOf(network, 'n3'));
    expect(poolOf(network, 'n0')).toEqual([]);
    network.heal();
    network.run(5000);
    expect(expectOneTip(network)).toBe(winner);
    for (const name of network.nodes.keys()) expect(poolOf(network, name)).toEqual([tx.txid]);
    mine(network, 'n3', 1);
    network.run(500);
    for (const name of network.nodes.keys()) {
      expect(network.rpc(name, 'gettxout', [tx.txid, 0])).toMatchObject({ confirmations: 1 });
    }
    const forks = network.rpc<{ status: string; branchlen: number }[]>('n0', 'getchaintips');
    expect(forks.filter(({ status }) => status === 'valid-fork').map(({ branchlen }) => branchlen)).toEqual([2]);
  });

  test('coin sets are equal after reorgs on both sides', () => {
    const network = networkOf(4);
    network.run(1000);
    mine(network, 'n0', 3);
    for (let round = 1; round <= 3; round++) {
      network.run(1000);
      network.partition(['n0', 'n2'], ['n1', 'n3']);
      mine(network, 'n0', round);
      mine(network, 'n3', 4 - round);
      mine(network, 'n1', round % 2 === 0 ? 1 : 2);
      network.heal();
      network.run(5000);
      if (tipOf(network, 'n0') !== tipOf(network, 'n3')) mine(network, 'n0', 1);
      network.run(2000);
    }
    const infos = [...network.nodes.keys()].map((name) =>
      network.rpc<{ hash_serialized_3: string; bestblock: string }>(name, 'gettxoutsetinfo'),
    );
    for (const info of infos) {
      expect(info.bestblock).toBe(infos[0]?.bestblock);
      expect(info.hash_serialized_3).toBe(infos[0]?.hash_serialized_3);
    }
  });
});

describe('determinism', () => {
  function trace(seed: number): string {
    const network = networkOf(4, { seed });
    network.run(1000);
    mine(network, 'n1', 3);
    network.partition(['n0'], ['n1', 'n2', 'n3']);
    mine(network, 'n0', 1);
    mine(network, 'n2', 2);
    network.heal();
    network.run(3000);
    return [...network.nodes.values()].map((node) => JSON.stringify(node.notices)).join('\n');
  }

  test('the same seed gives the same run, and another seed another', () => {
    expect(trace(7)).toBe(trace(7));
    expect(trace(7)).not.toBe(trace(8));
  });
});

describe('submitblock', () => {
  test('a valid block of somebody else is taken, and a second time it is a duplicate', () => {
    const network = networkOf(2);
    const other = new Network({ params: regtest, seed: 2 });
    other.add('x');
    const [hash] = mine(other, 'x', 1);
    const hex = bytesToHex(encodeBlock(blockOf(other, 'x', hash as string)));
    expect(network.rpc('n0', 'submitblock', [hex])).toBeNull();
    expect(network.rpc('n0', 'submitblock', [hex])).toBe('duplicate');
    network.run(1000);
    expect(expectOneTip(network)).toBe(hash);
  });
});

describe('mining', () => {
  test('two nodes that mine on one parent in the same second, for the same account, do not make the same block', () => {
    const network = networkOf(2);
    network.run(1000);
    network.partition(['n0'], ['n1']);
    for (const name of ['n0', 'n1']) network.rpc(name, 'setmocktime', [network.now.unix]);
    expect(mine(network, 'n0', 1)).not.toEqual(mine(network, 'n1', 1));
  });
});
