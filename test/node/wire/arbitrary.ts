/** Random messages of every type, for properties over the codec. */
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { makeHeader } from '../../../consensus/block.ts';
import type { BlockHash, Bytes } from '../../../consensus/brand.ts';
import { makeTransaction } from '../../../consensus/transaction.ts';
import { formatIp } from '../../../node/wire/ip.ts';
import type { GossipAddress, Message, MessageType } from '../../../node/wire/message.ts';

export const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const i32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
export const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
export const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const someBytes = fc.uint8Array({ maxLength: 40 });
const hash = bytesOf(32).map((bytes) => bytesToHex(bytes) as never);

/** Not one of the forms that stand for another network. */
const plainIpv6 = bytesOf(16).map((bytes) => Uint8Array.of(0x20, 0x01, ...bytes.subarray(2)));

function addressFields<Network extends GossipAddress['network']>(network: Network, host: fc.Arbitrary<string>) {
  return fc.record({ network: fc.constant(network), host, port: u16, services: u64, time: u32 });
}

const ipAddress: fc.Arbitrary<GossipAddress> = fc.oneof(
  addressFields(
    'ipv4',
    bytesOf(4).map((bytes) => formatIp({ network: 'ipv4', bytes })),
  ),
  addressFields(
    'ipv6',
    plainIpv6.map((bytes) => formatIp({ network: 'ipv6', bytes })),
  ),
);
const label = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,10}[a-z0-9])?$/);
const wssAddress: fc.Arbitrary<GossipAddress> = fc
  .record({
    host: fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
    path: fc.option(fc.stringMatching(/^\/[!"$-~]{1,40}$/), { nil: undefined }),
    port: fc.integer({ min: 1, max: 0xffff }),
    services: u64,
    time: u32,
  })
  .map(({ path, ...fields }) => ({ network: 'wss', ...fields, ...(path === undefined ? {} : { path }) }));
const anyAddress: fc.Arbitrary<GossipAddress> = fc.oneof(
  ipAddress,
  wssAddress,
  addressFields('torv3', bytesOf(32).map(bytesToHex)),
  addressFields('i2p', bytesOf(32).map(bytesToHex)),
  addressFields(
    'cjdns',
    bytesOf(15).map((bytes) => `fc${bytesToHex(bytes)}`),
  ),
);

const header = fc
  .record({ version: i32, prevHash: hash, merkleRoot: hash, time: u32, bits: u32, nonce: u32 })
  .map(makeHeader);

const transaction = fc
  .record({
    version: u32,
    inputs: fc.array(
      fc.record({
        prevout: fc.record({ txid: hash, vout: u32 }),
        scriptSig: someBytes,
        sequence: u32,
        witness: fc.array(someBytes, { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    outputs: fc.array(fc.record({ value: i64, scriptPubKey: someBytes }), { minLength: 1, maxLength: 3 }),
    lockTime: u32,
  })
  .map(makeTransaction);

const inventory = fc.array(fc.record({ kind: u32, hash }), { maxLength: 5 });
const latin1 = fc.uint8Array({ maxLength: 256 }).map((bytes: Bytes) => String.fromCharCode(...bytes));

/** One arbitrary per type, so that a type that is forgotten here does not compile. */
export const messages: { readonly [Type in MessageType]: fc.Arbitrary<Message> } = {
  version: fc.record({
    type: fc.constant('version' as const),
    version: i32,
    services: u64,
    time: i64,
    receiver: fc.record({ services: u64, ip: bytesOf(16), port: u16 }),
    nonce: u64,
    userAgent: latin1,
    startHeight: i32,
    relay: fc.boolean(),
  }),
  verack: fc.constant({ type: 'verack' }),
  sendaddrv2: fc.constant({ type: 'sendaddrv2' }),
  wtxidrelay: fc.constant({ type: 'wtxidrelay' }),
  sendheaders: fc.constant({ type: 'sendheaders' }),
  getaddr: fc.constant({ type: 'getaddr' }),
  mempool: fc.constant({ type: 'mempool' }),
  sendcmpct: fc.record({ type: fc.constant('sendcmpct' as const), highBandwidth: fc.boolean(), version: u64 }),
  ping: fc.record({ type: fc.constant('ping' as const), nonce: u64 }),
  pong: fc.record({ type: fc.constant('pong' as const), nonce: u64 }),
  addr: fc.record({ type: fc.constant('addr' as const), addresses: fc.array(ipAddress, { maxLength: 5 }) }),
  addrv2: fc.record({ type: fc.constant('addrv2' as const), addresses: fc.array(anyAddress, { maxLength: 5 }) }),
  inv: fc.record({ type: fc.constant('inv' as const), items: inventory }),
  getdata: fc.record({ type: fc.constant('getdata' as const), items: inventory }),
  notfound: fc.record({ type: fc.constant('notfound' as const), items: inventory }),
  getheaders: fc.record({
    type: fc.constant('getheaders' as const),
    version: u32,
    locator: fc.array(hash as fc.Arbitrary<BlockHash>, { maxLength: 5 }),
    stop: hash as fc.Arbitrary<BlockHash>,
  }),
  headers: fc.record({ type: fc.constant('headers' as const), headers: fc.array(header, { maxLength: 3 }) }),
  block: fc.record({
    type: fc.constant('block' as const),
    block: fc.record({ header, transactions: fc.array(transaction, { minLength: 1, maxLength: 3 }) }),
  }),
  tx: fc.record({ type: fc.constant('tx' as const), tx: transaction }),
  feefilter: fc.record({ type: fc.constant('feefilter' as const), satPerKvb: i64 }),
};

export const anyMessage = fc.oneof(...Object.values(messages));
