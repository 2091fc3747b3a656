/**
 * Netgroups: hosts that one operator can have many of at little cost count as one. An attacker who fills one netgroup with
 * addresses gains no more than with a few. Used for buckets of the address manager, for outbound diversity and for inbound
 * eviction. Core's netgroup.cpp without the map of autonomous systems; for loopback see DESIGN.md section 4.
 */
import { bytesToHex } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import type { Endpoint } from './boundary.ts';
import { parseIp } from './wire/ip.ts';

/** IPv6 prefixes in which an IPv4 address is embedded: where it begins, and whether its bits are inverted. */
const TUNNELS: readonly { readonly prefix: string; readonly at: number; readonly inverted?: boolean }[] = [
  { prefix: '2002', at: 2 }, // 6to4, RFC 3964
  { prefix: '20010000', at: 12, inverted: true }, // Teredo, RFC 4380
  { prefix: '0064ff9b0000000000000000', at: 12 }, // NAT64, RFC 6052
  { prefix: '0000000000000000ffff0000', at: 12 }, // RFC 6145
];
/** A provider that gives whole /32s to nobody in particular (Hurricane Electric): its groups are /36. */
const FINER_PREFIX = '20010470';

/**
 * The netgroup as text, equal for equal groups: /16 of IPv4, /32 of IPv6, the last two labels of a name. Loopback: the second
 * octet of 127.x.y.z if that is not 0, else the port, so that diversity can be tested on one machine. Private networks: the
 * host; where the internet is dialled they never are.
 */
export function netgroup({ host, port }: Endpoint): string {
  const ip = parseIp(host);
  if (ip === undefined) return `name/${host.toLowerCase().split('.').slice(-2).join('.')}`;
  const { bytes } = ip;
  if (ip.network === 'ipv4') return ipv4Group(bytes, port);
  const hex = bytesToHex(bytes);
  if (hex === '00000000000000000000000000000001') return `loopback/${port}`;
  const tunnel = TUNNELS.find(({ prefix }) => hex.startsWith(prefix));
  if (tunnel !== undefined) {
    const embedded = bytes.slice(tunnel.at, tunnel.at + 4);
    // Always by /16: anybody can write an address with a private one inside, and each would be a group of its own.
    return octets(tunnel.inverted === true ? embedded.map((byte) => byte ^ 0xff) : embedded);
  }
  // What address-rules.ts calls local, and no more: the rest of fe80::/10 counts as routable.
  if (/^(f[cd]|fe80000000000000)/.test(hex)) return `private/${hex}`;
  return `ipv6/${hex.slice(0, hex.startsWith(FINER_PREFIX) ? 9 : 8)}`;
}

function ipv4Group(bytes: Bytes, port: number): string {
  const [first, second] = bytes as unknown as [number, number];
  if (first === 127 && second === 0) return `loopback/${port}`;
  const isPrivate = first === 10 || (first === 172 && (second & 0xf0) === 16) || (first === 192 && second === 168);
  // All of a house have one /16: there each host is a group, or nobody could have two peers.
  return isPrivate ? `private/${bytes.join('.')}` : octets(bytes);
}

function octets(bytes: Bytes): string {
  return `ipv4/${bytes[0]}.${bytes[1]}`;
}
