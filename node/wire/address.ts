/** `addr` and `addrv2` (BIP 155): addresses of nodes, and what can be named in each. */
import { bytesToHex, hexToBytes } from '#hash';
import { type Bytes, ok } from '../../consensus/brand.ts';
import { DecodeError, type Reader, type Writer } from '../../consensus/codec.ts';
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

/** The address by which an endpoint is gossiped, or undefined if its host is a name. */
export function gossipAddress(
  endpoint: { readonly host: string; readonly port: number },
  services: bigint,
  time: number,
): GossipAddress | undefined {
  const ip = parseIp(endpoint.host);
  return ip && { network: ip.network, host: formatIp(ip), port: endpoint.port, services, time };
}

/** Undefined for addresses that we cannot name; they are skipped and the next one follows. */
export function readAddressV2(reader: Reader): GossipAddress | undefined {
  const time = reader.u32();
  const services = reader.compact();
  const id = reader.u8();
  const bytes = reader.varBytes(MAX_ADDRESS_BYTES);
  const port = reader.u16be();
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
  const { id } = NETWORKS.find((entry) => entry.network === address.network)!;
  const ip = fitsAddr(address) ? parseIp(address.host) : undefined;
  const bytes = ip === undefined ? hexToBytes(address.host) : ip.bytes;
  writer.u32(address.time).compact(address.services).u8(id).varBytes(bytes).u16be(address.port);
}

function isEmbedded(bytes: Bytes): boolean {
  return bytes.length === 16 && EMBEDDED_PREFIXES.includes(bytesToHex(bytes.subarray(0, 6)));
}
