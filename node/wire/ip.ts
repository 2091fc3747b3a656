/**
 * IP addresses and endpoints as text and as bytes. One text per address (dotted IPv4; IPv6 as in RFC 5952), so that
 * endpoints can be compared as strings. An IPv4 address inside IPv6 (`::ffff:a.b.c.d`) is that IPv4 address.
 */
import type { Bytes } from '../../consensus/brand.ts';

/** 4 or 16 bytes in network order. */
export interface Ip {
  readonly network: 'ipv4' | 'ipv6';
  readonly bytes: Bytes;
}

/** The address that a text means, or undefined if it is a name or nonsense. */
export function parseIp(text: string): Ip | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return { network: 'ipv4', bytes: v4 };
  const v6 = parseIpv6(text);
  return v6 === undefined ? undefined : ipFromBytes(v6);
}

/** From the 16 bytes that `version` and `addr` carry. */
export function ipFromBytes(bytes16: Bytes): Ip {
  return isMapped(bytes16)
    ? { network: 'ipv4', bytes: bytes16.slice(12) }
    : { network: 'ipv6', bytes: bytes16.slice(0, 16) };
}

/** The 16 bytes that `version` and `addr` carry: IPv4 is mapped. */
export function ipToBytes16(ip: Ip): Bytes {
  if (ip.network === 'ipv6') return ip.bytes;
  const out = new Uint8Array(16);
  out[10] = 0xff;
  out[11] = 0xff;
  out.set(ip.bytes, 12);
  return out;
}

export function formatIp(ip: Ip): string {
  if (ip.network === 'ipv6') return formatIpv6(ip.bytes);
  // Not `join`, which takes as long as all else that is done with an address: they come by the thousand.
  const [a, b, c, d] = ip.bytes as unknown as [number, number, number, number];
  return `${a}.${b}.${c}.${d}`;
}

/** The one text of a host: an IP in canonical form, a name in lower case. */
export function canonicalHost(host: string): string {
  const ip = parseIp(host);
  return ip === undefined ? host.toLowerCase() : formatIp(ip);
}

/** `host:port`, or `[host]:port` for IPv6: equal for equal endpoints. */
export function formatEndpoint(endpoint: { readonly host: string; readonly port: number }): string {
  const host = canonicalHost(endpoint.host);
  return host.includes(':') ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

/** Reads `host:port` and `[ipv6]:port`. */
export function parseEndpoint(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]\s/]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = canonicalHost(match[1] ?? match[2] ?? '');
  if (port > 0xffff || (match[1] !== undefined && parseIpv6(match[1]) === undefined)) return undefined;
  return { host, port };
}

function isMapped(bytes16: Bytes): boolean {
  for (let i = 0; i < 10; i++) if (bytes16[i] !== 0) return false;
  return bytes16[10] === 0xff && bytes16[11] === 0xff;
}

function parseIpv4(text: string): Bytes | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const out = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    // No leading zeros: some would read them as octal.
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    out[i] = Number(part);
  }
  return out;
}

function parseIpv6(text: string): Bytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const length = head.length + tail.length;
  // `::` stands for at least one group.
  if (halves.length === 2 ? length > 14 : length !== 16) return undefined;
  const out = new Uint8Array(16);
  out.set(head);
  out.set(tail, 16 - tail.length);
  return out;
}

/** Bytes of groups that are joined by colons; the last may be a dotted IPv4 address where `end` is true. */
function parseGroups(text: string, end: boolean): number[] | undefined {
  if (text === '') return [];
  const out: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      out.push(value >> 8, value & 0xff);
    } else {
      const v4 = end && i === groups.length - 1 ? parseIpv4(group) : undefined;
      if (v4 === undefined) return undefined;
      out.push(...v4);
    }
  }
  return out;
}

/** RFC 5952: lower case, no leading zeros, `::` for the longest (then first) run of at least two zero groups. */
function formatIpv6(bytes: Bytes): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  let start = 0;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === '0') end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
  }
  if (length === 1) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}
