/**
 * Subnets as users write them, Core's netbase.cpp and netaddress.cpp: `192.168.0.0/16`, `192.168.0.0/255.255.0.0`,
 * `fd00::/8`, `fd00::/ff00::`, or an address alone, which is a subnet of one. IPv6 may stand in brackets. What reaches over
 * the mask is cut off. The addresses of Tor, I2P and CJDNS are on none.
 */
import { bytesToHex } from '#hash';
import { formatIp, type Ip, parseIp } from './ip.ts';

export interface Subnet extends Ip {
  /** Leading bits of `bytes` that count; those behind are 0. */
  readonly bits: number;
}

/** The subnet that a text means, or undefined if it means none. */
export function parseSubnet(text: string): Subnet | undefined {
  const slash = text.lastIndexOf('/');
  const ip = parseHost(slash < 0 ? text : text.slice(0, slash));
  if (ip === undefined) return undefined;
  if (slash < 0) return isOneHost(ip) ? subnetOf(ip, ip.bytes.length * 8) : undefined;
  const mask = text.slice(slash + 1);
  const bits = /^\d{1,3}$/.test(mask) ? Number(mask) : bitsOfMask(parseHost(mask), ip);
  return bits === undefined || bits > ip.bytes.length * 8 ? undefined : subnetOf(ip, bits);
}

/** The subnet of that many bits around an address. */
export function subnetOf({ network, bytes }: Ip, bits: number): Subnet {
  const masked = bytes.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, 8 - (bits - i * 8)))));
  return { network, bytes: masked, bits };
}

/** The host is an IP literal within the subnet. */
export function isWithin(host: string, subnet: Subnet): boolean {
  const ip = parseIp(host);
  return ip?.network === subnet.network && subnetKey(subnetOf(ip, subnet.bits)) === subnetKey(subnet);
}

/** The subnet as listbanned shows it. */
export function formatSubnet(subnet: Subnet): string {
  return `${formatIp(subnet)}/${subnet.bits}`;
}

/** Equal for equal subnets; in this order they are listed: IPv4 first, then by address, then the wider one. */
export function subnetKey({ bytes, bits }: Subnet): string {
  return `${bytes.length === 4 ? 4 : 6}/${bytesToHex(bytes)}/${String(bits).padStart(3, '0')}`;
}

function parseHost(text: string): Ip | undefined {
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1];
  return parseIp(inBrackets ?? text);
}

/** Undefined where a bit is set behind one that is not, or where the mask is of the other network. */
function bitsOfMask(mask: Ip | undefined, { network }: Ip): number | undefined {
  if (mask?.network !== network) return undefined;
  const binary = Array.from(mask.bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const ones = binary.indexOf('0') < 0 ? binary.length : binary.indexOf('0');
  return binary.includes('1', ones) ? undefined : ones;
}

/** The unspecified address, the broadcast address and those of documentation (RFC 3849) name no host. */
function isOneHost({ network, bytes }: Ip): boolean {
  const hex = bytesToHex(bytes);
  return network === 'ipv4' ? hex !== '00000000' && hex !== 'ffffffff' : !/^(0{32}$|20010db8)/.test(hex);
}
