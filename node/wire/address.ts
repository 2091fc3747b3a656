/**
 * `addr` and `addrv2` (BIP 155): addresses of nodes, and what can be named in each. `addrv2` also carries a network of ours:
 * nodes behind `wss://host:port/path`, which a browser can dial and which have a name instead of an IP address.
 */
import { bytesToHex, hexToBytes } from '#hash';
import { type Bytes, ok } from '../../consensus/brand.ts';
import { DecodeError, type Reader, type Writer } from '../../consensus/codec.ts';
import type { DialTarget } from '../boundary.ts';
import { type PayloadCodec, tooMany } from './family.ts';
import { formatIp, ipFromBytes, ipToBytes16, parseIp } from './ip.ts';
import type { AddressNetwork, GossipAddress } from './message.ts';

export const MAX_ADDRESSES = 1000;
const MAX_ADDRESS_BYTES = 512;

/** BIP 155's numbers, and the one length that each network's addresses have. Others (2 was Tor v2) are skipped. */
const NETWORKS: readonly { readonly id: number; readonly network: AddressNetwork; readonly length: number }[] = [
  { id: 1, network: 'ipv4', length: 4 },
  { id: 2, network: 'ipv6', length: 16 },
  { id: 4, network: 'torv3', length: 32 },
  { id: 5, network: 'i2p', length: 32 },
  { id: 6, network: 'cjdns', length: 16 },
];

/**
 * Our network `wss`: the letter w. BIP 155 gives out numbers from 1 on, one every few years, so this one is far from all that
 * it may reach. It says of unknown networks that their addresses are to be skipped, and Core does so
 * (SetNetFromBIP155Network): no peer minds, and none but ours passes them on. Somebody else may have chosen the number too,
 * so what we cannot read here is skipped like an unknown network and is nobody's offence.
 * The address: the host in ASCII, then the path unless it is only `/`.
 */
const WSS_ID = 0x77;
/** RFC 1035: bytes of a name, and of each of its labels. */
const MAX_NAME = 253;
/** Host and path together stay below `MAX_ADDRESS_BYTES`. */
const MAX_PATH = 200;
/**
 * A host name in its one spelling: lower case, no dot at the end. The last label begins with a letter, since what ends in a
 * number is, to every URL parser, an IPv4 address.
 */
const DNS_NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Printable ASCII without `#`, behind which a URL holds what is never sent. */
const PATH = /^\/[!"$-~]+$/;

/** Tor v2 addresses as they were once hidden in IPv6 (OnionCat), and Core's own prefix for names. Nobody can dial either. */
const EMBEDDED_PREFIXES = ['fd87d87eeb43', 'fd6b88c08724'];

export const addr: PayloadCodec<'addr'> = {
  read: (reader) => {
    const count = reader.size();
    if (count > MAX_ADDRESSES) return tooMany('addresses', count, MAX_ADDRESSES, 'too-many-addresses');
    const addresses: GossipAddress[] = [];
    for (let i = 0; i < count; i++) {
      const time = reader.u32();
      const services = reader.u64();
      const ip = ipFromBytes(reader.view(16));
      const port = reader.u16be();
      if (isEmbedded(ip.bytes)) continue;
      addresses.push({ network: ip.network, host: formatIp(ip), port, services, time });
    }
    return ok({ type: 'addr', addresses });
  },
  write: (writer, { addresses }) => {
    writer.compact(addresses.length);
    for (const address of addresses) {
      const ip = parseIp(address.host);
      if (ip === undefined || !fitsAddr(address)) throw new Error(`addr cannot carry ${address.network} addresses`);
      writer.u32(address.time).u64(address.services).raw(ipToBytes16(ip)).u16be(address.port);
    }
  },
};

export const addrv2: PayloadCodec<'addrv2'> = {
  read: (reader) => {
    const count = reader.size();
    if (count > MAX_ADDRESSES) return tooMany('addresses', count, MAX_ADDRESSES, 'too-many-addresses');
    const addresses: GossipAddress[] = [];
    for (let i = 0; i < count; i++) {
      const address = readAddressV2(reader);
      if (address !== undefined) addresses.push(address);
    }
    return ok({ type: 'addrv2', addresses });
  },
  write: (writer, { addresses }) => {
    writer.compact(addresses.length);
    for (const address of addresses) writeAddressV2(writer, address);
  },
};

/** An address that `addr` can carry; the others need `addrv2`. */
export function fitsAddr(address: GossipAddress): boolean {
  return address.network === 'ipv4' || address.network === 'ipv6';
}

/**
 * The address by which an endpoint, or what was dialled, is gossiped. Undefined for what no address stands for: a name that
 * is not behind `wss://`, and an IP address that is.
 */
export function gossipAddress(
  target: Pick<DialTarget, 'host' | 'port' | 'path'> & { readonly transport?: DialTarget['transport'] },
  services: bigint,
  time: number,
): GossipAddress | undefined {
  const { port } = target;
  if (target.transport === 'wss') {
    const name = wssName(target.host.toLowerCase() + (target.path === '/' ? '' : (target.path ?? '')));
    return name === undefined || port === 0 ? undefined : { network: 'wss', ...name, port, services, time };
  }
  const ip = parseIp(target.host);
  return ip && { network: ip.network, host: formatIp(ip), port, services, time };
}

/** Undefined for addresses that we cannot name; they are skipped and the next one follows. */
export function readAddressV2(reader: Reader): GossipAddress | undefined {
  const time = reader.u32();
  const services = reader.compact();
  const id = reader.u8();
  const bytes = reader.varBytes(MAX_ADDRESS_BYTES);
  const port = reader.u16be();
  if (id === WSS_ID) {
    const name = wssName(String.fromCharCode(...bytes));
    return name === undefined || port === 0 ? undefined : { network: 'wss', ...name, port, services, time };
  }
  const known = NETWORKS.find((entry) => entry.id === id);
  if (known === undefined) return undefined;
  const { network, length } = known;
  if (bytes.length !== length)
    throw new DecodeError(`${network} address of ${bytes.length} bytes instead of ${length}`);
  if (network === 'ipv6') {
    // IPv4 and Tor v2 have networks of their own in this message: inside IPv6 they count as no address.
    const ip = ipFromBytes(bytes);
    if (ip.network === 'ipv4' || isEmbedded(bytes)) return undefined;
  }
  // CJDNS addresses begin with fc.
  if (network === 'cjdns' && bytes[0] !== 0xfc) return undefined;
  const host = network === 'ipv4' || network === 'ipv6' ? formatIp({ network, bytes }) : bytesToHex(bytes);
  return { network, host, port, services, time };
}

export function writeAddressV2(writer: Writer, address: GossipAddress): void {
  if (address.network === 'wss') {
    const name = new TextEncoder().encode(address.host + (address.path ?? ''));
    writer.u32(address.time).compact(address.services).u8(WSS_ID).varBytes(name).u16be(address.port);
    return;
  }
  const { id } = NETWORKS.find((entry) => entry.network === address.network)!;
  const ip = fitsAddr(address) ? parseIp(address.host) : undefined;
  const bytes = ip === undefined ? hexToBytes(address.host) : ip.bytes;
  writer.u32(address.time).compact(address.services).u8(id).varBytes(bytes).u16be(address.port);
}

/** Host and path of a `wss` address out of its text, or undefined if that is not its one spelling. */
function wssName(text: string): { readonly host: string; readonly path?: string } | undefined {
  const slash = text.indexOf('/');
  const host = slash === -1 ? text : text.slice(0, slash);
  if (host.length > MAX_NAME || !DNS_NAME.test(host)) return undefined;
  if (slash === -1) return { host };
  const path = text.slice(slash);
  return path.length <= MAX_PATH && PATH.test(path) ? { host, path } : undefined;
}

/** Host and path are spelled as the wire carries them: an address of them comes out of addrv2 as it went in. */
export function isWssName({ host, path }: Pick<GossipAddress, 'host' | 'path'>): boolean {
  const name = wssName(host + (path ?? ''));
  return name !== undefined && name.host === host && name.path === path;
}

function isEmbedded(bytes: Bytes): boolean {
  return bytes.length === 16 && EMBEDDED_PREFIXES.includes(bytesToHex(bytes.subarray(0, 6)));
}
