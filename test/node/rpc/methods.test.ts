/** The methods over real machines. What Core answers to the same calls is compared in core-comparison.test.ts. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { bytesToHex, sha256d } from '#hash';
import { encodeAddress, scriptHash } from '../../../consensus/address.ts';
import { encodeBlock, encodeHeader } from '../../../consensus/block.ts';
import { idFromBytes, idToBytes } from '../../../consensus/brand.ts';
import { compareBytes, Writer } from '../../../consensus/codec.ts';
import { encodeTransaction, type Transaction } from '../../../consensus/transaction.ts';
import type { PeerId } from '../../../node/boundary.ts';
import type { PeerSummary } from '../../../node/rpc/context.ts';
import { methods } from '../../../node/rpc/methods.ts';
import { carry, changed, outputOf, pay, spend, TestChain, testKey, withInput } from '../../support/chain-builder.ts';
import { RpcNode } from './rpc-node.ts';

const hex = (tx: Transaction) => bytesToHex(encodeTransaction(tx));
const key = testKey(7);
const address = encodeAddress(key.publicKey, 'bcrt');
const none = '00'.repeat(32);

/** 105 blocks, two payments in the last but one, a stale block beside it. */
const chain = TestChain.ofHeight(103);
const first = spend([chain.coinbase(1)], [pay(key, 1_000_000_000n), pay(testKey(8), 3_999_990_000n)]);
const second = spend([outputOf(first, 0, key)], [pay(testKey(8), 999_000_000n), carry('hello')]);
chain.extend({ transactions: [first, second], fees: 1_010_000n });
chain.extend();
const stale = chain.fork(103).extend({ tag: 'stale' });
const pooled = spend([outputOf(first, 1, testKey(8))], [pay(key, 3_999_980_000n)], { sequence: 1 });

function newNode(): RpcNode {
  const node = new RpcNode();
  for (const block of [...chain.blocks.slice(1), stale]) node.submitBlock(block);
  return node;
}

describe('the table', () => {
  test('has every method that clients need', () => {
    const needed =
      'getblockchaininfo getblockcount getbestblockhash getblockhash getblockheader getblock getrawtransaction ' +
      'sendrawtransaction testmempoolaccept gettxout getrawmempool getmempoolinfo getpeerinfo getnetworkinfo ' +
      'getnodeaddresses addnode disconnectnode getchaintips submitblock generatetoaddress generateblock invalidateblock ' +
      'reconsiderblock validateaddress setmocktime gettxoutsetinfo uptime help stop getmempoolentry getconnectioncount ' +
      'getdifficulty preciousblock getmininginfo decoderawtransaction estimatesmartfee getscriptcoins getscripthistory getscriptbalance ' +
      'getblocktemplate submitheader generatetodescriptor getmineraddress setminingaddress getnewaddress ' +
      'waitfornewblock waitforblock waitforblockheight getblockstats getchaintxstats verifychain getdeploymentinfo ' +
      'getmempoolancestors getmempooldescendants gettxspendingprevout savemempool getindexinfo getblockfilter ' +
      'getmemoryinfo getrpcinfo getaddednodeinfo getnettotals ping setnetworkactive ' +
      'setban listbanned clearbanned getaddrmaninfo addpeeraddress ' +
      'setdeny setlink setmining getnetworkhashps submitpackage prioritisetransaction getprioritisedtransactions';
    expect([...methods.keys()]).toEqual(expect.arrayContaining(needed.split(' ')));
  });

  test('has a help with result and example for each', () => {
    const node = new RpcNode();
    for (const name of methods.keys()) {
      expect(node.call('help', name)).toMatch(
        new RegExp(`^${name}( .*)?\n\n[^]+\nResult:\n[^]+\nExample:\n> grapevine node rpc ${name}`),
      );
    }
  });

  test('is listed by help without what is hidden', () => {
    const text = new RpcNode().call('help') as string;
    expect(text).toContain('== Blockchain ==\ngetbestblockhash\ngetblock "blockhash" ( verbosity )\n');
    expect(text).toContain(
      '\n\n== Control ==\ngetmemoryinfo ( "mode" )\ngetrpcinfo\nhelp ( "command" )\nstop\nuptime\n',
    );
    expect(text).not.toContain('generatetoaddress');
    expect(new RpcNode().call('help', 'generatetoaddress')).toContain(
      'generatetoaddress nblocks "address" ( maxtries )',
    );
  });

  test('refuses a method that it does not have, also one of every object', () => {
    for (const name of ['getwalletinfo', 'constructor', '__proto__', 'toString']) {
      expect(new RpcNode().call(name)).toEqual({ code: -32601, message: 'Method not found' });
    }
  });
});

describe('blocks', () => {
  const node = newNode();
  const block = chain.blockAt(104);

  test('getblock shows as much as it is asked for', () => {
    const { hash } = block.header;
    expect(node.call('getblock', hash, 0)).toBe(bytesToHex(encodeBlock(block)));
    expect(node.call('getblock', hash)).toMatchObject({
      hash,
      confirmations: 2,
      height: 104,
      nTx: 3,
      previousblockhash: chain.blockAt(103).header.hash,
      nextblockhash: chain.tip.header.hash,
      tx: block.transactions.map(({ txid }) => txid),
    });
    const full = node.call('getblock', hash, 2) as { tx: { fee?: number; vin: object[] }[] };
    expect(full.tx.map(({ fee }) => fee)).toEqual([undefined, 0.0001, 0.01]);
    expect(full.tx[1]?.vin[0]).not.toHaveProperty('prevout');
    const spent = node.call('getblock', hash, 3);
    expect(spent).toHaveProperty('tx.1.vin.0.prevout', {
      generated: true,
      height: 1,
      value: 50,
      scriptPubKey: expect.objectContaining({ type: 'witness_v1_taproot' }),
    });
    expect(spent).toHaveProperty('tx.2.vin.0.prevout.value', 10);
  });

  test('a block beside the chain has no confirmations and no fees', () => {
    expect(node.call('getblock', stale.header.hash, 2)).toMatchObject({ confirmations: -1, height: 104 });
    expect(node.call('getblock', stale.header.hash, 2)).not.toHaveProperty('nextblockhash');
  });

  test('a header whose block is not here is shown as such', () => {
    const other = newNode();
    const header = chain.fork(104).next({ tag: 'header' }).header;
    other.tree.add(header, other.now.unix);
    expect(other.call('getblockheader', header.hash, false)).toBe(bytesToHex(encodeHeader(header)));
    expect(other.call('getblock', header.hash)).toEqual({ code: -1, message: 'Block not found on disk' });
    expect(other.call('getchaintips')).toEqual([
      { height: 105, hash: chain.tip.header.hash, branchlen: 0, status: 'active' },
      { height: 105, hash: header.hash, branchlen: 1, status: 'headers-only' },
      { height: 104, hash: stale.header.hash, branchlen: 1, status: 'valid-headers' },
    ]);
  });

  test('getblockchaininfo says how far it is', () => {
    expect(node.call('getblockchaininfo')).toEqual({
      chain: 'regtest',
      blocks: 105,
      headers: 105,
      bestblockhash: chain.tip.header.hash,
      difficulty: 4.656542373906925e-10,
      time: chain.tip.header.time,
      mediantime: chain.medianTimePastAt(105),
      verificationprogress: 1,
      initialblockdownload: false,
      chainwork: (2 * 106).toString(16).padStart(64, '0'),
      size_on_disk: node.tree.bodyBytes,
      pruned: false,
      warnings: [],
    });
  });
});

describe('branches', () => {
  test('invalidateblock and reconsiderblock lead away and back; preciousblock chooses between equals', () => {
    const node = newNode();
    const { hash } = chain.blockAt(104).header;
    expect(node.call('invalidateblock', hash)).toBeNull();
    expect(node.call('getbestblockhash')).toBe(stale.header.hash);
    expect(node.call('getrawmempool')).toEqual([first.txid, second.txid]);
    expect(node.call('submitblock', bytesToHex(encodeBlock(chain.blockAt(104))))).toBe('duplicate-invalid');
    expect(node.call('reconsiderblock', hash)).toBeNull();
    expect(node.call('getbestblockhash')).toBe(chain.tip.header.hash);

    const rival = chain.fork(104).extend({ tag: 'rival' });
    expect(node.call('submitblock', bytesToHex(encodeBlock(rival)))).toBe('inconclusive');
    expect(node.call('preciousblock', rival.header.hash)).toBeNull();
    expect(node.call('getbestblockhash')).toBe(rival.header.hash);
    expect(node.call('preciousblock', none)).toEqual({ code: -5, message: 'Block not found' });
  });
});

describe('submitblock', () => {
  test('takes a block, and says what is wrong with another', () => {
    const node = newNode();
    const next = chain.fork(105).next({ transactions: [pooled], fees: 10_000n });
    expect(node.call('submitblock', bytesToHex(encodeBlock(next)))).toBeNull();
    expect(node.call('submitblock', bytesToHex(encodeBlock(next)))).toBe('duplicate');
    const greedy = chain.fork(105).next({ fees: 1n, tag: 'greedy' });
    expect(node.call('submitblock', bytesToHex(encodeBlock(greedy)))).toBe('inconclusive');
    const orphan = chain.next({ header: { prevHash: none as typeof next.header.hash } });
    expect(node.call('submitblock', bytesToHex(encodeBlock(orphan)))).toBe('prev-blk-not-found');
  });

  test('adds the reserved value that a miner left out of the coinbase', () => {
    const node = newNode();
    const next = chain.fork(105).next({ transactions: [pooled], fees: 10_000n });
    const [coinbase, ...payments] = next.transactions as [Transaction, ...Transaction[]];
    const stripped = { ...next, transactions: [withInput(coinbase, 0, { witness: [] }), ...payments] };
    expect(node.call('submitblock', bytesToHex(encodeBlock(stripped)))).toBeNull();
  });

  test('does not take what is no block', () => {
    const node = newNode();
    const text = bytesToHex(encodeBlock(chain.tip));
    for (const wrong of ['', 'xy', text.slice(0, -2), text.slice(1)]) {
      expect(node.call('submitblock', wrong)).toEqual({ code: -22, message: 'Block decode failed' });
    }
    const headless = { header: chain.tip.header, transactions: [first] };
    const message = 'Block does not start with a coinbase';
    expect(node.call('submitblock', bytesToHex(encodeBlock(headless)))).toEqual({ code: -22, message });
  });
});

describe('transactions', () => {
  test('are found in the mempool, in the chain and in a named block', () => {
    const node = newNode();
    node.submitTransaction(pooled);
    expect(node.call('getrawtransaction', pooled.txid)).toBe(hex(pooled));
    expect(node.call('getrawtransaction', pooled.txid, 1)).not.toHaveProperty('blockhash');
    expect(node.call('getrawtransaction', second.txid, 2)).toMatchObject({
      fee: 0.01,
      blockhash: chain.blockAt(104).header.hash,
      confirmations: 2,
      blocktime: chain.blockAt(104).header.time,
    });
    const coinbase = stale.transactions[0] as Transaction;
    expect(node.call('getrawtransaction', coinbase.txid)).toMatchObject({ code: -5 });
    expect(node.call('getrawtransaction', coinbase.txid, 1, stale.header.hash)).toMatchObject({
      in_active_chain: false,
      confirmations: 0,
    });
  });

  test('sendrawtransaction keeps to the limits of the caller', () => {
    const node = newNode();
    const rich = spend([chain.coinbase(2)], [pay(key, 4_000_000_000n)]);
    expect(node.call('sendrawtransaction', hex(rich))).toEqual({
      code: -25,
      message: 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)',
    });
    const burning = spend([chain.coinbase(2)], [carry('x', 1000n), pay(key, 4_999_000_000n)]);
    expect(node.call('sendrawtransaction', hex(burning))).toEqual({
      code: -25,
      message: 'Unspendable output exceeds maximum configured by user (maxburnamount)',
    });
    expect(
      node.callNamed('sendrawtransaction', { hexstring: hex(burning), maxfeerate: 0, maxburnamount: 0.00001 }),
    ).toBe(burning.txid);
    expect(node.call('sendrawtransaction', hex(burning))).toMatchObject({ code: -25 });
    expect(node.call('sendrawtransaction', hex(pooled))).toBe(pooled.txid);
    expect(node.call('sendrawtransaction', hex(pooled))).toBe(pooled.txid);
    expect(node.call('sendrawtransaction', hex(first))).toMatchObject({ code: -27 });
  });

  test('what cannot be decoded is refused', () => {
    const node = newNode();
    const message = 'TX decode failed. Make sure the tx has at least one input.';
    for (const wrong of ['', 'zz', `${hex(pooled)}00`, hex(pooled).slice(0, -2), hex(changed(first, { inputs: [] }))]) {
      expect(node.call('sendrawtransaction', wrong)).toEqual({ code: -22, message });
    }
    // No inputs and no outputs can be told from a marker.
    expect(node.call('sendrawtransaction', '02000000000000000000')).toEqual({
      code: -26,
      message: 'bad-txns-vin-empty',
    });
  });

  test('decoderawtransaction reads a transaction without inputs, too', () => {
    const decoded = new RpcNode().call('decoderawtransaction', hex(changed(first, { inputs: [] })));
    expect(decoded).toMatchObject({ vin: [], vout: [{ value: 10 }, { value: 39.9999 }] });
    expect(decoded).not.toHaveProperty('hex');
  });

  test('testmempoolaccept tells of the first that fails, and of nothing behind it', () => {
    const node = newNode();
    const child = spend([outputOf(pooled, 0, key)], [pay(key, 3_999_970_000n)]);
    const ids = ({ txid, wtxid }: Transaction) => ({ txid, wtxid });
    expect(node.call('testmempoolaccept', [hex(pooled), hex(child)])).toEqual([
      {
        ...ids(pooled),
        allowed: true,
        vsize: 111,
        fees: { base: 0.0001, 'effective-feerate': 0.0009009, 'effective-includes': [pooled.wtxid] },
      },
      expect.objectContaining({ ...ids(child), allowed: true }),
    ]);
    const bad = withInput(child, 0, { witness: [new Uint8Array(64)] });
    const grandchild = spend([outputOf(bad, 0, key)], [pay(key, 3_999_960_000n)]);
    expect(node.call('testmempoolaccept', [hex(pooled), hex(bad), hex(grandchild)])).toEqual([
      expect.objectContaining({ ...ids(pooled), allowed: true }),
      {
        ...ids(bad),
        allowed: false,
        'reject-reason': 'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
      },
      ids(grandchild),
    ]);
    expect(node.call('testmempoolaccept', [hex(child)])).toEqual([
      { ...ids(child), allowed: false, 'reject-reason': 'missing-inputs' },
    ]);
    expect(node.call('testmempoolaccept', [hex(pooled)], 0.0009)).toEqual([
      { ...ids(pooled), allowed: false, 'reject-reason': 'max-fee-exceeded' },
    ]);
    expect(node.call('getrawmempool')).toEqual([]);
  });
});

describe('coins', () => {
  test('gettxout counts the mempool unless it is told not to', () => {
    const node = newNode();
    node.submitTransaction(pooled);
    expect(node.call('gettxout', first.txid, 1)).toBeNull();
    expect(node.call('gettxout', first.txid, 1, false)).toMatchObject({ confirmations: 2, value: 39.9999 });
    expect(node.call('gettxout', pooled.txid, 0)).toEqual({
      bestblock: chain.tip.header.hash,
      confirmations: 0,
      value: 39.9998,
      scriptPubKey: {
        asm: `1 ${bytesToHex(key.publicKey)}`,
        desc: expect.stringMatching(new RegExp(`^rawtr\\(${bytesToHex(key.publicKey)}\\)#.{8}$`)),
        hex: bytesToHex(key.script),
        address,
        type: 'witness_v1_taproot',
      },
      coinbase: false,
    });
    expect(node.call('gettxout', pooled.txid, 0, false)).toBeNull();
  });

  test('gettxoutsetinfo hashes the coins as a plain list of them hashes', () => {
    const coins = [...chain.coins()].map(([outpoint, coin]) => {
      const [txid = '', vout] = outpoint.split(':');
      const head = new Writer().id(txid).u32(Number(vout));
      return { id: idToBytes(txid), vout: Number(vout), head: head.finish(), coin };
    });
    coins.sort((a, b) => compareBytes(a.id, b.id) || a.vout - b.vout);
    const all = new Writer();
    for (const { head, coin } of coins) {
      const code = coin.height * 2 + (coin.coinbase ? 1 : 0);
      all.raw(head).u32(code).i64(coin.value).varBytes(coin.scriptPubKey);
    }
    const node = newNode();
    const stats = {
      height: 105,
      bestblock: chain.tip.header.hash,
      txouts: coins.length,
      bogosize: coins.length * 84,
      total_amount: 5250,
      transactions: new Set(coins.map(({ id }) => bytesToHex(id))).size,
      disk_size: expect.any(Number),
    };
    const hash = idFromBytes(sha256d(all.finish()));
    expect(node.call('gettxoutsetinfo')).toEqual({ ...stats, hash_serialized_3: hash });
    expect(node.call('gettxoutsetinfo', 'none')).toEqual(stats);
    const message = "'muhash' is not a valid hash_type";
    expect(node.call('gettxoutsetinfo', 'muhash')).toEqual({ code: -8, message });
  });

  test('getscriptcoins puts chain and mempool together', () => {
    const node = newNode();
    node.submitTransaction(pooled);
    const [ours, theirs] = [scriptHash(key.script), scriptHash(testKey(8).script)];
    const head = { bestblock: chain.tip.header.hash, height: 105 };
    const mine = {
      scripthash: ours,
      ...head,
      coins: [{ txid: pooled.txid, vout: 0, amount: 39.9998, confirmations: 0, coinbase: false }],
    };
    expect(node.call('getscriptcoins', ours)).toEqual(mine);
    const others = node.call('getscriptcoins', [theirs, ours, none]) as [{ coins: { txid: string }[] }, ...unknown[]];
    others[0].coins.sort((a) => (a.txid === first.txid ? -1 : 1));
    const confirmed = { confirmations: 2, height: 104, coinbase: false };
    expect(others).toEqual([
      {
        scripthash: theirs,
        ...head,
        coins: [
          { txid: first.txid, vout: 1, amount: 39.9999, ...confirmed, spentby: pooled.txid },
          { txid: second.txid, vout: 0, amount: 9.99, ...confirmed },
        ],
      },
      mine,
      { scripthash: none, ...head, coins: [] },
    ]);
  });

  test('getscriptbalance adds up what getscriptcoins names', () => {
    const node = newNode();
    const child = spend([outputOf(pooled, 0, key)], [pay(testKey(8), 3_999_970_000n)]);
    const hashes = [key, testKey(8)].map(({ script }) => scriptHash(script));
    const coinbases = scriptHash(
      (chain.blockAt(1).transactions[0] as Transaction).outputs[0]?.scriptPubKey as Uint8Array,
    );
    for (const tx of [undefined, pooled, child]) {
      if (tx !== undefined) node.submitTransaction(tx);
      const asked = [...hashes, coinbases, none, hashes[0]];
      const all = node.call('getscriptcoins', asked) as readonly {
        coins: readonly { amount: number; height?: number; coinbase: boolean; spentby?: string }[];
      }[];
      const expected = all.map(({ coins }) => {
        const sums = { confirmed: 0, unconfirmed: 0, immature: 0 };
        for (const { amount, height, coinbase, spentby } of coins) {
          if (spentby !== undefined) continue;
          const satoshis = Math.round(amount * 1e8);
          if (height === undefined) sums.unconfirmed += satoshis;
          else if (coinbase && 106 - height < 100) sums.immature += satoshis;
          else sums.confirmed += satoshis;
        }
        const inCoins = Object.entries(sums).map(([name, satoshis]) => [name, satoshis / 1e8]);
        return { ...Object.fromEntries(inCoins), coins: coins.length };
      });
      expect(node.call('getscriptbalance', asked)).toEqual(
        expected.map((sums, at) => ({ scripthash: asked[at], bestblock: chain.tip.header.hash, height: 105, ...sums })),
      );
    }
    expect(node.call('getscriptbalance', hashes[1])).toMatchObject({ confirmed: 9.99, unconfirmed: 39.9997, coins: 3 });
    expect(node.call('getscriptbalance', coinbases)).toMatchObject({ unconfirmed: 0, coins: expect.any(Number) });
  });

  test('getscripthistory has what pays and what spends, the mempool last', () => {
    const node = newNode();
    node.submitTransaction(pooled);
    const blockhash = chain.blockAt(104).header.hash;
    const place = { confirmations: 2, height: 104, blockhash };
    expect(node.call('getscripthistory', scriptHash(key.script))).toEqual({
      scripthash: scriptHash(key.script),
      bestblock: chain.tip.header.hash,
      height: 105,
      transactions: [
        { txid: first.txid, ...place, index: 1 },
        { txid: second.txid, ...place, index: 2 },
        { txid: pooled.txid, confirmations: 0, fee: 0.0001 },
      ],
    });
    const message = "scripthash must be of length 64 (not 1, for 'x')";
    expect(node.call('getscripthistory', ['x'])).toEqual({ code: -8, message });
    expect(node.call('getscriptcoins', 5)).toMatchObject({ code: -3 });
    expect(node.call('getscriptcoins', Array(1001).fill(none))).toMatchObject({ code: -8 });
  });
});

describe('the mempool', () => {
  test('getmempoolentry and getmempoolinfo show fees, sizes and relations', () => {
    const node = newNode();
    const child = spend([outputOf(pooled, 0, key)], [pay(key, 3_999_970_000n)]);
    node.submitTransaction(pooled);
    node.submitTransaction(child);
    expect(node.call('getmempoolentry', child.txid)).toEqual({
      vsize: 111,
      weight: 444,
      time: node.now.unix,
      height: 105,
      descendantcount: 1,
      descendantsize: 111,
      ancestorcount: 2,
      ancestorsize: 222,
      wtxid: child.wtxid,
      fees: { base: 0.0001, modified: 0.0001, ancestor: 0.0002, descendant: 0.0001 },
      depends: [pooled.txid],
      spentby: [],
      'bip125-replaceable': true,
      unbroadcast: false,
    });
    expect(node.call('getmempoolinfo')).toMatchObject({
      loaded: true,
      size: 2,
      bytes: 222,
      total_fee: 0.0002,
      mempoolminfee: 0.00001,
      minrelaytxfee: 0.00001,
      fullrbf: true,
    });
    expect(Object.keys(node.call('getrawmempool', true) as object)).toEqual([pooled.txid, child.txid]);
    expect(node.call('getrawmempool', false, true)).toEqual({ txids: [pooled.txid, child.txid], mempool_sequence: 3 });
  });
});

describe('peers', () => {
  const peer: PeerSummary = {
    id: 3 as PeerId,
    direction: 'outbound',
    transport: 'ws',
    remote: { host: '::1', port: 18444 },
    local: { host: '127.0.0.1', port: 5000 },
    version: {
      version: 70016,
      services: 0x1000409n,
      userAgent: '/Grapevine:0.1.0(devnet:n1)/',
      startHeight: 5,
      relay: true,
      wtxidRelay: true,
      addrV2: true,
      timeOffset: -2,
      seenAs: { host: '10.0.0.1', port: 7 },
    },
    dialled: { host: '::1', port: 18444 },
    kind: 'outbound-full-relay',
    learned: 'gossip',
    netgroup: 'loopback/18444',
    memoryBytes: 7,
    exchangesAddresses: true,
    connectedAt: 1,
    lastSend: 2,
    lastReceive: 3,
    lastTransaction: 0,
    lastBlock: 4,
    bytesSent: 10,
    bytesReceived: 20,
    bytesSentByType: new Map([['ping', 32]]),
    bytesReceivedByType: new Map([['*other*', 24]]),
    pingLastMs: 12,
    pingMinMs: 1,
    pingWaitingMs: undefined,
    syncedHeaders: 5,
    syncedBlocks: 4,
    inFlight: [6],
    addressesProcessed: 1,
    addressesRateLimited: 0,
    feeFilter: 1000n,
  };
  const { version: _, ...fresh }: PeerSummary = {
    ...peer,
    id: 4 as PeerId,
    direction: 'inbound',
    kind: 'inbound',
    learned: 'inbound',
  };
  const node = new RpcNode();

  beforeAll(() => {
    node.overrides = {
      peers: () => [peer, { ...fresh, version: undefined, exchangesAddresses: false }],
      manualNodes: () => ['127.0.0.1:9'],
    };
  });

  test('getpeerinfo has Core’s members, and how we came to know the peer', () => {
    const [known, unknown] = node.call('getpeerinfo') as [object, object];
    expect(known).toMatchObject({
      id: 3,
      addr: '[::1]:18444',
      addrbind: '127.0.0.1:5000',
      addrlocal: '10.0.0.1:7',
      network: 'not_publicly_routable',
      services: '0000000001000409',
      servicesnames: ['NETWORK', 'WITNESS', 'NETWORK_LIMITED', 'WEBSOCKET'],
      pingtime: 0.012,
      minping: 0.001,
      subver: '/Grapevine:0.1.0(devnet:n1)/',
      inbound: false,
      minfeefilter: 0.00001,
      bytessent_per_msg: { ping: 32 },
      connection_type: 'outbound-full-relay',
      link: 'ws',
      learned: 'gossip',
      netgroup: 'loopback/18444',
      memory: 7,
      relaytxes: true,
      addr_relay_enabled: true,
    });
    expect(known).not.toHaveProperty('pingwait');
    expect(unknown).toMatchObject({ id: 4, version: 0, subver: '', services: '0000000000000000', inbound: true });
    expect(unknown).toMatchObject({ connection_type: 'inbound', relaytxes: false, addr_relay_enabled: false });
  });

  test.each([
    ['block-relay-only', false],
    ['feeler', false],
    ['addr-fetch', true],
    ['manual', true],
  ] as const)('a link of the kind %s is shown as such, with transactions and addresses: %s', (kind, relays) => {
    const other = new RpcNode();
    other.overrides = { peers: () => [{ ...peer, kind, exchangesAddresses: relays }] };
    const [shown] = other.call('getpeerinfo') as [object];
    expect(shown).toMatchObject({ connection_type: kind, relaytxes: relays, addr_relay_enabled: relays });
  });

  test('getpeerinfo has all members of Core 28 that always have a value', () => {
    const [known] = node.call('getpeerinfo') as [object];
    const members =
      'id addr addrbind network services servicesnames relaytxes lastsend lastrecv last_transaction last_block bytessent ' +
      'bytesrecv conntime timeoffset version subver inbound bip152_hb_to bip152_hb_from startingheight presynced_headers ' +
      'synced_headers synced_blocks inflight addr_relay_enabled addr_processed addr_rate_limited permissions minfeefilter ' +
      'bytessent_per_msg bytesrecv_per_msg connection_type transport_protocol_type session_id';
    expect(Object.keys(known)).toEqual(expect.arrayContaining(members.split(' ')));
  });

  test('getnetworkinfo counts the links', () => {
    expect(node.call('getnetworkinfo')).toMatchObject({
      version: 280100,
      protocolversion: 70016,
      localservicesnames: ['NETWORK', 'WITNESS', 'WEBSOCKET'],
      connections: 2,
      connections_in: 1,
      connections_out: 1,
      localaddresses: [{ address: '127.0.0.1', port: 18444, score: 1 }],
    });
    expect(node.call('getconnectioncount')).toBe(2);
  });

  test('disconnectnode finds the peer by address or id', () => {
    const disconnect = { type: 'command', command: { type: 'disconnect-node', peer: 3 } };
    expect(node.ask('disconnectnode', ['[::1]:18444'])).toEqual(disconnect);
    expect(node.ask('disconnectnode', { nodeid: 3 })).toEqual(disconnect);
    expect(node.ask('disconnectnode', ['', 3])).toEqual(disconnect);
    expect(node.ask('disconnectnode', ['', 5])).toMatchObject({ code: -29 });
  });

  test.each([
    ['127.0.0.1:18444', { transport: 'tcp', host: '127.0.0.1', port: 18444 }],
    ['ws://127.0.0.1:1', { transport: 'ws', host: '127.0.0.1', port: 1 }],
    ['wss://Example.org/p/q', { transport: 'wss', host: 'example.org', port: 443, path: '/p/q' }],
    ['[::1]:5', { transport: 'tcp', host: '::1', port: 5 }],
    ['host', { transport: 'tcp', host: 'host', port: 18444 }],
  ])('addnode dials %s', (text, target) => {
    const command = { type: 'add-node', target, text, how: 'onetry' };
    expect(node.ask('addnode', [text, 'onetry'])).toEqual({ type: 'command', command });
  });

  test('addnode refuses what it cannot dial, what it has and what it does not have', () => {
    for (const text of ['', 'a b', '::1', 'x:0', 'x:65536', 'http://x', 'tcp://x/y', 'x'.repeat(301)]) {
      expect(node.ask('addnode', [text, 'onetry'])).toMatchObject({ code: -8 });
    }
    for (const [text, reason] of [
      ['ws://1.2.3.999:80', 'is no valid URL'],
      ['ws://[:::1]:1', 'is no valid URL'],
      ['wss://h:1/#x', 'has a "#", which no address of a node has'],
    ] as const) {
      expect(node.ask('addnode', [text, 'onetry'])).toMatchObject({
        code: -8,
        message: `Error: ${JSON.stringify(text)} ${reason}`,
      });
    }
    expect(node.ask('addnode', ['127.0.0.1:9', 'add'])).toMatchObject({ code: -23 });
    expect(node.ask('addnode', ['127.0.0.1:9', 'remove'])).toMatchObject({ type: 'command' });
    expect(node.ask('addnode', ['127.0.0.1:8', 'remove'])).toMatchObject({ code: -24 });
    expect(node.ask('addnode', ['127.0.0.1:8', 'drop'])).toMatchObject({ code: -1 });
    expect(node.ask('addnode', ['127.0.0.1:8', 'add', true])).toMatchObject({ code: -8 });
  });

  test('getnodeaddresses gives as many as it is asked for, of one network if it is told', () => {
    const time = 1_700_000_000;
    node.overrides = {
      addresses: () => [
        { network: 'ipv4', host: '127.0.0.1', port: 1, services: 9n, time },
        { network: 'ipv6', host: '::1', port: 2, services: 9n, time },
      ],
    };
    const one = { time, services: 9, address: '127.0.0.1', port: 1, network: 'ipv4' };
    expect(node.call('getnodeaddresses')).toEqual([one]);
    expect(node.call('getnodeaddresses', 0)).toHaveLength(2);
    expect(node.call('getnodeaddresses', 5, 'IPV6')).toMatchObject([{ address: '::1' }]);
    expect(node.call('getnodeaddresses', 5, 'mail')).toEqual({ code: -8, message: 'Network not recognized: mail' });
  });

  test('setdeny takes names and endpoints and nothing else', () => {
    const command = { type: 'set-deny', names: ['n1'], endpoints: ['127.0.0.1:1'] };
    expect(node.ask('setdeny', [{ names: ['n1'], endpoints: ['127.0.0.1:1'] }])).toEqual({ type: 'command', command });
    expect(node.ask('setdeny', [{}])).toMatchObject({ command: { names: [], endpoints: [] } });
    expect(node.ask('setdeny', [{ names: 'n1' }])).toMatchObject({ code: -3 });
    expect(node.ask('setdeny', [{ nodes: [] }])).toMatchObject({ code: -8 });
    expect(node.ask('setdeny', [[]])).toMatchObject({ code: -3 });
    expect(node.ask('setdeny', [{ names: Array(1001).fill('x') }])).toMatchObject({ code: -8 });
  });
});

describe('mining', () => {
  const node = newNode();
  node.submitTransaction(pooled);

  test('generatetoaddress becomes an order for the miner', () => {
    const order = { type: 'generate', count: 3, script: key.script, maxTries: 1_000_000 };
    expect(node.ask('generatetoaddress', [3, address])).toEqual({ type: 'command', command: order });
    expect(node.ask('generatetoaddress', [3, address, 5])).toMatchObject({ command: { maxTries: 5 } });
    expect(node.call('generatetoaddress', 0, address)).toEqual([]);
    const message = 'Error: Invalid address';
    for (const wrong of [
      address.replace('bcrt', 'bc'),
      `${address}q`,
      '',
      'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
    ]) {
      expect(node.call('generatetoaddress', 1, wrong)).toEqual({ code: -5, message });
    }
  });

  test('generateblock takes ids of the mempool and serialized transactions', () => {
    const answer = node.ask('generateblock', [address, [pooled.txid, hex(first)], false]);
    expect(answer).toMatchObject({ command: { type: 'generate-block', txs: [pooled, first], submit: false } });
    expect(node.call('generateblock', address, [first.txid])).toEqual({
      code: -5,
      message: `Transaction ${first.txid} not in mempool.`,
    });
    expect(node.call('generateblock', address, ['00'])).toMatchObject({ code: -22 });
  });

  test('getmininginfo measures the chain', () => {
    // Two hashes per block, ten minutes apart.
    expect(node.call('getmininginfo')).toMatchObject({
      blocks: 105,
      networkhashps: expect.closeTo(2 / 600, 10),
      pooledtx: 1,
    });
    expect(new RpcNode().call('getnetworkhashps')).toBe(0);
  });
});

describe('the process', () => {
  test('uptime does not depend on the mock time', () => {
    const node = new RpcNode();
    node.now = { mono: 65_999, unix: 5 };
    expect(node.call('uptime')).toBe(65);
  });

  test('setmocktime keeps to the seconds that Core can show', () => {
    const node = new RpcNode();
    expect(node.ask('setmocktime', [0])).toEqual({ type: 'command', command: { type: 'set-mock-time', time: 0 } });
    expect(node.ask('setmocktime', [-1])).toMatchObject({ code: -8 });
    expect(node.ask('stop')).toEqual({ type: 'command', command: { type: 'stop' } });
  });

  test('validateaddress says what is wrong', () => {
    const node = new RpcNode();
    expect(node.call('validateaddress', address.toUpperCase())).toEqual({
      isvalid: true,
      address,
      scriptPubKey: bytesToHex(key.script),
      isscript: true,
      iswitness: true,
      witness_version: 1,
      witness_program: bytesToHex(key.publicKey),
    });
    expect(node.call('validateaddress', 'tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c')).toEqual({
      isvalid: false,
      error_locations: [],
      error: expect.stringContaining('another network'),
    });
  });
});
