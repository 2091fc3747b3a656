/**
 * The same chain and the same calls, here and in Bitcoin Core 28: results, error codes and messages must be equal but for
 * what each list below names. Runs only where GRAPEVINE_BITCOIND is the path of a bitcoind of version 28.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes, sha256 } from '#hash';
import { encodeAddress, p2trScript } from '../../../consensus/address.ts';
import { type Block, encodeBlock, encodeHeader } from '../../../consensus/block.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { encodeTransaction, type Transaction, withoutWitness } from '../../../consensus/transaction.ts';
import { methods } from '../../../node/rpc/methods.ts';
import { Bitcoind } from '../../support/bitcoind.ts';
import {
  carry,
  changed,
  outputOf,
  pay,
  spend,
  TestChain,
  testKey,
  unmine,
  withInput,
} from '../../support/chain-builder.ts';
import { psbtCalls } from './psbt-calls.ts';
import { RpcNode } from './rpc-node.ts';

const bitcoind = process.env['GRAPEVINE_BITCOIND'];
const NOW = 1_800_000_000;

const hex = (tx: Transaction) => bytesToHex(encodeTransaction(tx));
const blockHex = (block: Block) => bytesToHex(encodeBlock(block));

/** Calls whose results come in an order that means nothing. */
const unordered = ['getchaintips', 'getrawmempool', 'getmempoolancestors', 'getmempooldescendants'];

/** Members of these names, at any depth, are taken out before the comparison. */
function without(value: unknown, names: readonly string[], orderless = false): unknown {
  if (Array.isArray(value)) {
    const members = value.map((member) => without(member, names));
    return orderless ? members.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : members;
  }
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([name]) => !names.includes(name));
  return Object.fromEntries(entries.map(([name, member]) => [name, without(member, names)]));
}

if (bitcoind === undefined) test.skip('the same calls in Bitcoin Core: needs GRAPEVINE_BITCOIND', () => undefined);
else describe('the same calls in Bitcoin Core', () => compareWith(bitcoind));

function compareWith(path: string): void {
  const core = new Bitcoind();
  const node = new RpcNode();
  node.now = { mono: 0, unix: NOW };
  const key = testKey(7);
  const address = encodeAddress(key.publicKey, 'bcrt');

  const chain = TestChain.ofHeight(103);
  const first = spend([chain.coinbase(1)], [pay(key, 1_000_000_000n), pay(testKey(0), 3_999_990_000n)]);
  const data = spend([outputOf(first, 0, key)], [pay(testKey(8), 999_000_000n), carry('hello')]);
  chain.extend({ transactions: [first, data], fees: 10_000n + 1_000_000n });
  chain.extend();
  const stale = chain.fork(102).extend({ tag: 'stale' });
  const headerOnly = chain.fork(102).next({ tag: 'header' });

  const pooled = spend([outputOf(first, 1, testKey(0))], [pay(key, 3_999_980_000n)], { sequence: 0xfffffffd });
  const child = spend([outputOf(pooled, 0, key)], [pay(key, 3_999_970_000n)]);
  const unknown = spend([{ ...chain.coinbase(90), vout: 9 }], [pay(key, 1n)]);
  const premature = spend([chain.coinbase(90)], [pay(key, 1_000_000n)]);
  const badSignature = withInput(pooled, 0, { witness: [new Uint8Array(64).fill(1)] });
  const costly = spend([chain.coinbase(3)], [pay(key, 1_000_000n)]);
  const free = spend([chain.coinbase(3)], [pay(key, 5_000_000_000n)]);
  const burning = spend([chain.coinbase(3)], [carry('x', 1000n), pay(key, 4_999_000_000n)]);
  const noInputs = changed(first, { inputs: [] });
  const noOutputs = spend([chain.coinbase(3)], []);
  const fine = spend([chain.coinbase(3)], [pay(key, 4_999_990_000n)]);
  const conflict = spend([outputOf(first, 1, testKey(0))], [pay(key, 3_999_985_000n)]);

  beforeAll(async () => {
    // With several threads it does not say what is wrong with a signature.
    await core.start(path, `-mocktime=${NOW}`, '-txindex=1', '-par=1');
    for (const block of [...chain.blocks.slice(1), stale]) {
      const [theirs, ours] = [
        await core.call('submitblock', blockHex(block)),
        node.call('submitblock', blockHex(block)),
      ];
      expect(ours).toEqual(theirs);
    }
    await core.call('submitheader', bytesToHex(encodeHeader(headerOnly.header)));
    node.tree.add(headerOnly.header, NOW);
    for (const tx of [pooled, child]) {
      expect(node.call('sendrawtransaction', hex(tx))).toEqual(await core.call('sendrawtransaction', hex(tx)));
    }
  }, 60_000);

  afterAll(() => core.stop());

  /** Outputs of all kinds, and a hundred of no kind. */
  const kinds = [
    '6a',
    '6a00',
    '6a04010203ff',
    '6a4f60',
    '6a61',
    '6a05',
    '4c',
    '4e05000000aabbccddee',
    '50b9bafeff',
    `76a914${'11'.repeat(20)}88ac`,
    `a914${'11'.repeat(20)}87`,
    `0014${'11'.repeat(20)}`,
    `0020${'11'.repeat(32)}`,
    `0015${'11'.repeat(21)}`,
    '51024e73',
    '52021122',
    '',
    ...Array.from({ length: 100 }, (_, i) => bytesToHex(sha256(Uint8Array.of(i)).subarray(0, i % 33))),
  ];
  const oddScripts = changed(first, { outputs: kinds.map((kind) => ({ value: 1n, scriptPubKey: hexToBytes(kind) })) });
  /** Half of all 32 bytes are the x of a point. */
  const anyKeys = changed(first, {
    outputs: Array.from({ length: 40 }, (_, i) => ({ value: 1n, scriptPubKey: p2trScript(sha256(Uint8Array.of(i))) })),
  });

  const genesis = chain.blockAt(0);
  const block104 = chain.blockAt(104);
  const tip = chain.tip.header.hash;
  const none = '00'.repeat(32);
  /** Blocks for getblocktemplate's proposals; one without proof of work, and one whose coinbase lost its witness. */
  const full = chain.next({ transactions: [pooled, child], fees: 20_000n, tag: 'full' });
  const unmined = { ...full, header: unmine(full.header) };
  const stripped = {
    header: full.header,
    transactions: [withoutWitness(full.transactions[0] as Transaction), ...full.transactions.slice(1)],
  };
  const proposal = (block: Block) => [{ mode: 'proposal', data: blockHex(block) }];
  const header = (block: Block) => [bytesToHex(encodeHeader(block.header))];
  const spends = (...outputs: readonly unknown[]) => [outputs];
  const templates = ['longpollid'];
  /** Method, parameters, names of members that may differ. */
  const calls: readonly (readonly [method: string, params: unknown, ignored?: readonly string[]])[] = [
    ['getbestblockhash', []],
    ['getblockcount', []],
    ['getdifficulty', []],
    ['getblockchaininfo', [], ['size_on_disk', 'initialblockdownload', 'verificationprogress']],
    ['getchaintips', []],
    ['getblockhash', [0]],
    ['getblockhash', [104]],
    ['getblockhash', [-1]],
    ['getblockhash', [106]],
    ['getblockhash', ['0']],
    ['getblockhash', [1.5]],
    ['getblockhash', [5_000_000_000]],
    ['getblockhash', [null]],
    ['getblockhash', { height: 3 }],
    ['getblockhash', { args: [3] }],
    ['getblockhash', { args: [3], height: 3 }],
    ['getblockhash', { hight: 3 }],
    ['getblockheader', [tip]],
    ['getblockheader', [tip, false]],
    ['getblockheader', [block104.header.hash, true]],
    ['getblockheader', [stale.header.hash]],
    ['getblockheader', [headerOnly.header.hash]],
    ['getblockheader', [genesis.header.hash]],
    ['getblockheader', [none]],
    ['getblockheader', ['00']],
    ['getblockheader', ['zz'.repeat(32)]],
    ['getblockheader', [5, 'x']],
    ['getblock', [tip]],
    ['getblock', [block104.header.hash, 0]],
    ['getblock', [block104.header.hash, 1]],
    ['getblock', [block104.header.hash, 2]],
    ['getblock', [block104.header.hash, 3]],
    ['getblock', [block104.header.hash.toUpperCase(), 7]],
    ['getblock', [block104.header.hash, -1]],
    ['getblock', [block104.header.hash, true]],
    ['getblock', [block104.header.hash, false]],
    ['getblock', [block104.header.hash, 'x']],
    ['getblock', { blockhash: block104.header.hash, verbose: 2 }],
    ['getblock', [stale.header.hash, 2]],
    ['getblock', [headerOnly.header.hash]],
    ['getblock', [genesis.header.hash, 2]],
    ['getblock', [none]],
    ['getrawtransaction', [first.txid]],
    ['getrawtransaction', [first.txid, 1]],
    ['getrawtransaction', [first.txid, true]],
    ['getrawtransaction', [first.txid, 2]],
    ['getrawtransaction', [data.txid, 2]],
    ['getrawtransaction', [data.txid, 2, block104.header.hash]],
    ['getrawtransaction', [block104.transactions[0]?.txid, 2]],
    ['getrawtransaction', [pooled.txid, 1]],
    ['getrawtransaction', [pooled.txid, 2]],
    ['getrawtransaction', [stale.transactions[0]?.txid, 1, stale.header.hash]],
    ['getrawtransaction', [stale.transactions[0]?.txid, 1]],
    ['getrawtransaction', [first.txid, 1, tip]],
    ['getrawtransaction', [first.txid, 1, none]],
    ['getrawtransaction', [first.txid, 1, headerOnly.header.hash]],
    ['getrawtransaction', [none]],
    ['getrawtransaction', ['abc']],
    ['getrawtransaction', [genesis.transactions[0]?.txid]],
    ['getrawtransaction', [first.txid, 'x']],
    ['decoderawtransaction', [hex(data)]],
    ['decoderawtransaction', [hex(oddScripts)], ['desc', 'address']],
    ['decoderawtransaction', [hex(anyKeys)]],
    ['decoderawtransaction', [hex(noInputs)]],
    ['decoderawtransaction', [hex(noInputs), true]],
    ['decoderawtransaction', [hex(data), false]],
    ['decoderawtransaction', [`${hex(data)}00`]],
    ['decoderawtransaction', ['']],
    ['decoderawtransaction', ['xyz']],
    ['decoderawtransaction', [hex(data), 1]],
    ['sendrawtransaction', [hex(first)]],
    ['sendrawtransaction', [hex(pooled)]],
    ['sendrawtransaction', [hex(unknown)]],
    ['sendrawtransaction', [hex(premature)]],
    ['sendrawtransaction', [hex(costly)]],
    ['sendrawtransaction', [hex(costly), 1]],
    ['sendrawtransaction', [hex(costly), '0.5x']],
    ['sendrawtransaction', [hex(costly), -1]],
    ['sendrawtransaction', [hex(costly), 0.000000001]],
    ['sendrawtransaction', [hex(costly), []]],
    ['sendrawtransaction', [hex(burning)]],
    ['sendrawtransaction', [hex(free)]],
    ['sendrawtransaction', [hex(noInputs)]],
    ['sendrawtransaction', [hex(noOutputs)]],
    ['sendrawtransaction', [`${'02000000'}000000000000`]],
    ['sendrawtransaction', [`${hex(fine)}00`]],
    ['sendrawtransaction', [hex(fine).slice(2)]],
    ['sendrawtransaction', ['0']],
    ['sendrawtransaction', [hex(conflict)]],
    ['testmempoolaccept', [[hex(fine)]]],
    ['testmempoolaccept', [[hex(fine)], '0.1']],
    ['testmempoolaccept', [[hex(fine)], 0.00000001]],
    ['testmempoolaccept', [[hex(pooled)]]],
    ['testmempoolaccept', [[hex(first)]]],
    ['testmempoolaccept', [[hex(unknown)]]],
    ['testmempoolaccept', [[hex(premature)]]],
    ['testmempoolaccept', [[hex(costly)]]],
    ['testmempoolaccept', [[hex(free)]]],
    ['testmempoolaccept', [[hex(noInputs)]]],
    ['testmempoolaccept', [[hex(noOutputs)]]],
    ['testmempoolaccept', [[hex(conflict)]]],
    ['testmempoolaccept', [[hex(withInput(fine, 0, { witness: [new Uint8Array(64).fill(1)] }))]]],
    ['testmempoolaccept', [[hex(withInput(fine, 0, { witness: [] }))]]],
    ['testmempoolaccept', [[hex(badSignature)]]],
    ['testmempoolaccept', [[hex(fine), hex(spend([outputOf(fine, 0, key)], [pay(key, 4_999_980_000n)]))]]],
    ['testmempoolaccept', [[hex(fine), hex(spend([outputOf(fine, 0, key)], [pay(key, 4_999_999_999n)]))]]],
    ['testmempoolaccept', [[hex(costly), hex(spend([outputOf(costly, 0, key)], [pay(key, 999_000n)]))]]],
    ['testmempoolaccept', [[]]],
    ['testmempoolaccept', [['zz']]],
    ['testmempoolaccept', [[1]]],
    ['testmempoolaccept', ['x']],
    ['gettxout', [first.txid, 0]],
    ['gettxout', [data.txid, 0]],
    ['gettxout', [first.txid, 1]],
    ['gettxout', [first.txid, 1, false]],
    ['gettxout', [child.txid, 0]],
    ['gettxout', [pooled.txid, 0]],
    ['gettxout', [pooled.txid, 0, false]],
    ['gettxout', [chain.coinbase(50).txid, 0]],
    ['gettxout', [none, 0]],
    ['gettxout', [first.txid, -1]],
    ['gettxout', ['x', 0]],
    ['gettxout', [first.txid]],
    ['getrawmempool', []],
    ['getrawmempool', [true], ['unbroadcast']],
    ['getrawmempool', [false, true], ['mempool_sequence']],
    ['getrawmempool', [true, true]],
    ['getmempoolentry', [child.txid], ['unbroadcast']],
    ['getmempoolentry', [first.txid]],
    ['getmempoolinfo', [], ['usage', 'maxmempool', 'unbroadcastcount', 'loaded']],
    ['gettxoutsetinfo', [], ['disk_size']],
    ['gettxoutsetinfo', ['none'], ['disk_size']],
    ['gettxoutsetinfo', ['hash']],
    ['gettxoutsetinfo', ['none', 3]],
    ['getmininginfo', []],
    ['getnetworkhashps', []],
    ['getnetworkhashps', [10, 50]],
    ['getnetworkhashps', [0]],
    ['getnetworkhashps', [1, 1000]],
    ['getnetworkhashps', [-1]],
    ['getblocktemplate', [{ rules: ['segwit'] }], templates],
    ['getblocktemplate', [{ rules: ['segwit', 'taproot'], capabilities: ['x'], mode: 'template', more: 1 }], templates],
    ['getblocktemplate', [{ rules: ['segwit'], longpollid: `${none}7` }], templates],
    ['getblocktemplate', [{ rules: ['segwit'], longpollid: none }], templates],
    ['getblocktemplate', [{ rules: ['segwit'], longpollid: 'zz' }]],
    ['getblocktemplate', { template_request: { rules: ['segwit'] } }, templates],
    ['getblocktemplate', [{}]],
    ['getblocktemplate', []],
    ['getblocktemplate', [[]]],
    ['getblocktemplate', [{ rules: 'segwit' }]],
    ['getblocktemplate', [{ rules: [1] }]],
    ['getblocktemplate', [{ rules: ['taproot'] }]],
    ['getblocktemplate', [{ mode: 1, rules: ['segwit'] }]],
    ['getblocktemplate', [{ mode: 'x', rules: ['segwit'] }]],
    ['getblocktemplate', [{ mode: 'proposal' }]],
    ['getblocktemplate', [{ mode: 'proposal', data: 'x' }]],
    ['getblocktemplate', [{ mode: 'proposal', data: '00' }]],
    ['getblocktemplate', proposal(full)],
    ['getblocktemplate', proposal(unmined)],
    ['getblocktemplate', proposal(stripped)],
    ['getblocktemplate', proposal(chain.tip)],
    ['getblocktemplate', proposal(stale)],
    ['getblocktemplate', proposal(chain.fork(102).next({ tag: 'header' }))],
    ['getblocktemplate', proposal(chain.fork(104).next({ tag: 'beside' }))],
    ['getblocktemplate', proposal(chain.next({ fees: 1n }))],
    ['getblocktemplate', proposal(chain.next({ time: 1 }))],
    ['getblocktemplate', proposal(chain.next({ time: NOW + 7201 }))],
    ['getblocktemplate', proposal(chain.next({ header: { bits: 0x207ffffe } }))],
    ['getblocktemplate', proposal(chain.next({ header: { version: 3 } }))],
    ['getblocktemplate', proposal(chain.next({ header: { merkleRoot: none as Block['header']['merkleRoot'] } }))],
    ['getblocktemplate', proposal(chain.next({ scriptSig: Uint8Array.of(1, 1) }))],
    ['getblocktemplate', proposal(chain.next({ transactions: [child] }))],
    ['getblocktemplate', proposal(chain.next({ transactions: [pooled, pooled] }))],
    ['getblocktemplate', proposal(chain.next({ transactions: [premature] }))],
    ['getblocktemplate', proposal(chain.next({ transactions: [badSignature] }))],
    ['getblocktemplate', proposal({ header: full.header, transactions: [] })],
    ['getblockstats', [0]],
    ['getblockstats', [104]],
    ['getblockstats', [105]],
    ['getblockstats', [block104.header.hash]],
    ['getblockstats', [104, ['totalfee', 'feerate_percentiles', 'blockhash', 'totalfee']]],
    ['getblockstats', [104, []]],
    ['getblockstats', [104, ['what']]],
    ['getblockstats', [104, [1]]],
    ['getblockstats', [106]],
    ['getblockstats', [-1]],
    ['getblockstats', [1.5]],
    ['getblockstats', [none]],
    ['getblockstats', ['x']],
    ['getblockstats', [true]],
    ['getblockstats', []],
    ['getblockstats', [headerOnly.header.hash]],
    ['getchaintxstats', []],
    ['getchaintxstats', [0]],
    ['getchaintxstats', [7]],
    ['getchaintxstats', [7, block104.header.hash]],
    ['getchaintxstats', [104]],
    ['getchaintxstats', [105]],
    ['getchaintxstats', [-1]],
    ['getchaintxstats', [1, stale.header.hash]],
    ['getchaintxstats', [1, none]],
    ['getchaintxstats', [1, 'x']],
    ['getchaintxstats', ['x']],
    ['getmempoolancestors', [child.txid]],
    ['getmempoolancestors', [child.txid, true], ['unbroadcast']],
    ['getmempoolancestors', [pooled.txid]],
    ['getmempoolancestors', [first.txid]],
    ['getmempoolancestors', ['x']],
    ['getmempooldescendants', [pooled.txid]],
    ['getmempooldescendants', [pooled.txid, true], ['unbroadcast']],
    ['getmempooldescendants', [child.txid, false]],
    ['getmempooldescendants', [none]],
    ['gettxspendingprevout', spends({ txid: pooled.txid, vout: 0 }, { txid: none, vout: 0 })],
    ['gettxspendingprevout', spends({ txid: first.txid, vout: 1 })],
    ['gettxspendingprevout', spends()],
    ['gettxspendingprevout', spends({ txid: none, vout: -1 })],
    ['gettxspendingprevout', spends({ txid: none })],
    ['gettxspendingprevout', spends({ vout: 0 })],
    ['gettxspendingprevout', spends({ txid: none, vout: '0' })],
    ['gettxspendingprevout', spends({ txid: 'x', vout: 0 })],
    ['gettxspendingprevout', spends({ txid: none, vout: 0, n: 1 })],
    ['gettxspendingprevout', spends(5)],
    ['gettxspendingprevout', [5]],
    ['getdeploymentinfo', [], ['testdummy']],
    ['getdeploymentinfo', [genesis.header.hash], ['testdummy']],
    ['getdeploymentinfo', [none]],
    ['getindexinfo', []],
    ['getindexinfo', ['txindex']],
    ['getindexinfo', ['what']],
    ['getblockfilter', [tip]],
    ['getblockfilter', [tip, 'what']],
    ['getblockfilter', ['x']],
    ['verifychain', []],
    ['verifychain', [4, 0]],
    ['verifychain', [0, 3]],
    ['verifychain', ['x']],
    ['getmemoryinfo', [], ['locked']],
    ['getmemoryinfo', ['what']],
    ['getrpcinfo', [], ['duration', 'logpath']],
    ['waitfornewblock', [1]],
    ['waitfornewblock', [-1]],
    ['waitfornewblock', ['x']],
    ['waitforblock', [tip]],
    ['waitforblock', [none, 1]],
    ['waitforblock', ['x']],
    ['waitforblockheight', [105]],
    ['waitforblockheight', [3]],
    ['waitforblockheight', [106, 1]],
    ['waitforblockheight', []],
    ['submitheader', header(chain.fork(102).next({ tag: 'sent' }))],
    ['submitheader', header(chain.fork(102).next({ tag: 'sent' }))],
    ['submitheader', header(chain.tip)],
    ['submitheader', header(chain.next({ time: 1 }))],
    ['submitheader', header(chain.next({ header: { prevHash: none as Block['header']['hash'] } }))],
    ['submitheader', header(unmined)],
    ['submitheader', ['zz']],
    ['submitheader', ['00']],
    ['generatetodescriptor', [1, 'x']],
    ['generatetodescriptor', [0, 'x']],
    ['generatetodescriptor', [0, `addr(${address})`]],
    ['generatetodescriptor', [0, `addr(${address})#aaaaaaaa`]],
    ['getaddednodeinfo', []],
    ['getaddednodeinfo', ['127.0.0.1:1']],
    ['getnettotals', [], ['timemillis']],
    ['ping', []],
    ['setnetworkactive', [1]],
    ['setnetworkactive', [true]],
    ['getpeerinfo', []],
    ['getconnectioncount', []],
    ['setban', ['192.168.0.6', 'add']],
    ['setban', ['192.168.0.6', 'add']],
    ['setban', ['192.168.0.6/32', 'add', 5]],
    ['setban', ['192.168.0.6/24', 'add', 60]],
    ['setban', ['192.168.0.9/255.255.255.0', 'add', 60]],
    ['setban', ['192.168.0.7', 'add']],
    ['setban', ['10.0.0.0/255.0.0.0', 'add', NOW + 5, true]],
    ['setban', ['10.0.0.0/8', 'add', NOW - 5, true]],
    ['setban', ['11.0.0.0/8', 'add', NOW - 5, true]],
    ['setban', ['11.0.0.0/8', 'add', 0, true]],
    ['setban', ['11.0.0.0/8', 'add', -7]],
    ['setban', ['fd00::1/9', 'add']],
    ['setban', ['fd00::1/ffc0::', 'add']],
    ['setban', ['[fd12::1]', 'add']],
    ['setban', ['::ffff:1.2.3.4', 'add']],
    ['setban', ['0.0.0.0/0', 'add', 1]],
    ...[
      '',
      '/',
      'host',
      '0.0.0.0',
      '::',
      '2001:db8::1',
      '1.2.3.4/33',
      '1.2.3.4/255.0.255.0',
      '::/129',
      '1.2.3.4:5',
    ].map((text): [string, unknown[]] => ['setban', [text, 'add']]),
    ['setban', ['1.2.3.4/24/8', 'add']],
    ['setban', ['::1/255.255.0.0', 'add']],
    ['setban', ['1.2.3.4', 'add', 'x']],
    ['setban', ['1.2.3.4', 'add', 1, 1]],
    ['listbanned', []],
    ['setban', ['192.168.0.77/24', 'remove']],
    ['setban', ['192.168.0.77/24', 'remove']],
    ['setban', ['192.168.0.7', 'remove']],
    ['setban', ['host', 'remove']],
    ['listbanned', []],
    ['clearbanned', []],
    ['listbanned', []],
    ['getaddrmaninfo', [], ['wss']],
    ['addpeeraddress', ['host', 1]],
    ['addpeeraddress', ['1.2.3.4', 65_536]],
    ['addpeeraddress', ['1.2.3.4', 'x']],
    [
      'getnetworkinfo',
      [],
      ['subversion', 'localservices', 'localservicesnames', 'localaddresses', 'networkactive', 'networks', 'verifier'],
    ],
    ['getnodeaddresses', []],
    ['getnodeaddresses', [-1]],
    ['getnodeaddresses', [1, 'tor']],
    ['addnode', ['127.0.0.1:1', 'what']],
    ['addnode', ['127.0.0.1:1', 'remove']],
    ['addnode', ['127.0.0.1:1']],
    ['disconnectnode', ['127.0.0.1:1']],
    ['disconnectnode', ['127.0.0.1:1', 1]],
    ['disconnectnode', ['', 77]],
    ['disconnectnode', { nodeid: 77 }],
    ['disconnectnode', []],
    ['submitblock', [blockHex(chain.tip)]],
    ['submitblock', [blockHex(stale)]],
    ['submitblock', ['00']],
    ['submitblock', [blockHex(chain.tip).slice(0, -2)]],
    ['submitblock', [`${blockHex(chain.tip)}00`]],
    ['submitblock', [bytesToHex(concatBytes(encodeHeader(headerOnly.header), Uint8Array.of(0)))]],
    [
      'submitblock',
      [bytesToHex(concatBytes(encodeHeader(headerOnly.header), Uint8Array.of(1), encodeTransaction(first)))],
    ],
    ['submitblock', [blockHex(chain.fork(104).next({ fees: 1n, tag: 'rich' }))]],
    ['submitblock', [blockHex(chain.fork(105).next({ fees: 1n, tag: 'rich' }))]],
    ['submitblock', [blockHex(chain.fork(105).next({ fees: 1n, tag: 'rich' }))]],
    ['submitblock', [blockHex(chain.next({ time: 1 }))]],
    ['submitblock', [blockHex(chain.next({ header: { prevHash: none as Block['header']['hash'] } }))]],
    ['generatetoaddress', [1, 'nobody']],
    ['generatetoaddress', [0, address]],
    ['generatetoaddress', ['1', address]],
    ['generateblock', ['nobody', []]],
    ['generateblock', [`addr(${address})`, [none]]],
    ['generateblock', [address, [none]]],
    ['generateblock', [address, ['00']]],
    ['generateblock', [address, [5]]],
    ['invalidateblock', [none]],
    ['reconsiderblock', [none]],
    ['preciousblock', [none]],
    ['invalidateblock', ['x']],
    ['validateaddress', [address]],
    ['validateaddress', [address.toUpperCase()]],
    ['validateaddress', ['nobody'], ['error']],
    ['validateaddress', [5]],
    ['setmocktime', [-1]],
    ['setmocktime', [9_223_372_037]],
    ['setmocktime', ['now']],
    ['estimatesmartfee', [6]],
    ['estimatesmartfee', [0]],
    ['estimatesmartfee', [1009]],
    ['estimatesmartfee', [6, 'fast']],
    ['estimatesmartfee', [6, 'CONSERVATIVE']],
    ...psbtCalls([chain.coinbase(3), outputOf(data, 0, testKey(8))], data),
    ['help', ['nothing']],
    ['help', [1]],
    ['uptime', [1]],
    ['nothing', []],
    ['invalidateblock', [block104.header.hash]],
    ['getchaintips', []],
    ['getbestblockhash', []],
    ['getrawmempool', []],
    ['reconsiderblock', [block104.header.hash]],
    ['getbestblockhash', []],
    ['preciousblock', [tip]],
    ['gettxoutsetinfo', [], ['disk_size']],
  ];

  /** The names of the parameters in the help of a method, and which of them may be left out. */
  const parametersOf = (help: string) =>
    [...help.matchAll(/^\d+\. (\S+) +\(([^)]*)\)/gm)].map(([, name, kind]) => [name, kind?.includes('optional')]);

  test('the parameters of every method that Core has are those of Core', async () => {
    let common = 0;
    for (const [name, { help }] of methods) {
      const theirs = (await core.call('help', name)) as string;
      if (theirs.startsWith('help: unknown command')) continue;
      common += 1;
      expect([name, ...parametersOf(help)]).toEqual([name, ...parametersOf(theirs)]);
    }
    expect(common).toBeGreaterThan(60);
  });

  for (const [index, [method, params, ignored = []]] of calls.entries()) {
    const shown = JSON.stringify(params);
    const short = shown.length < 100 ? shown : `${shown.slice(0, 100)}…`;
    test(`${index}: ${method} ${short}`, async () => {
      const theirs = (await core.callNamed(method, params)) as { code?: number; message?: string } | null;
      const ours = node.callNamed(method, params as readonly unknown[]) as { code?: number; message?: string } | null;
      // The help, which is the message where the number of arguments is wrong, is in our own words.
      if (theirs?.code === -1 && /^\w+[ \n]/.exec(theirs.message ?? '')?.[0].trim() === method) {
        expect(ours?.code).toBe(-1);
        expect(ours?.message).toMatch(new RegExp(`^${method}[ \\n]`));
        return;
      }
      const orderless = unordered.includes(method);
      expect(without(ours, ignored, orderless)).toEqual(without(theirs, ignored, orderless));
    });
  }

  const call = (more: string) => `{"id":"a","method":"getblockhash","params":[0]${more}}`;
  const bodies: readonly string[] = [
    call(''),
    call(',"jsonrpc":"1.0"'),
    call(',"jsonrpc":"2.0"'),
    call(',"jsonrpc":"3.0"'),
    call(',"jsonrpc":2'),
    '{"id":1.5,"method":"nothing"}',
    '{"id":{"a":[1]},"method":"nothing","jsonrpc":"2.0"}',
    '{"method":"getblockhash","params":[-1]}',
    '{"method":"getblockhash","params":[-1],"jsonrpc":"2.0"}',
    '{"id":null,"method":"getblockhash","params":[-1],"jsonrpc":"2.0"}',
    '{"method":"getblockhash","params":[0],"jsonrpc":"2.0"}',
    '{"id":1,"method":"getblockcount","params":null}',
    '{"id":1,"method":"getblockhash","params":"0"}',
    '{"id":1,"method":"getblockhash","params":"0","jsonrpc":"2.0"}',
    '{"id":1,"method":5}',
    '{"id":1,"method":5,"jsonrpc":"2.0"}',
    '{"id":1}',
    '{}',
    '[]',
    '[{}]',
    '[1]',
    '5',
    '"x"',
    'null',
    '',
    '{',
    '{"id":1,"method":"getblockhash","params":{"height":0,"height":1}}',
    '{"id":1,"method":"getblockhash","params":{"height":0,"height":1},"jsonrpc":"2.0"}',
    '[{"id":1,"method":"getblockhash","params":{"height":0}},{"id":2,"method":"getblockhash","params":{"a":{"b":1,"b":2}}}]',
    `[${call('')},${call(',"jsonrpc":"2.0"')},{"id":3,"method":"nothing"}]`,
    '[{"method":"getblockhash","params":[0],"jsonrpc":"2.0"}]',
    '[{"method":"getblockhash","params":[0],"jsonrpc":"2.0"},{"id":7,"method":"getblockcount"}]',
    '[{"jsonrpc":"2.0","method":1},{"jsonrpc":"2.0","id":4,"method":1}]',
  ];
  for (const body of bodies) {
    test(`the body ${body}`, async () => {
      expect(node.post(body)).toEqual(await core.post(body));
    });
  }
}
