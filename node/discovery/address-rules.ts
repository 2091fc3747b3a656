/** Which addresses are worth keeping, passing on and dialling. DESIGN.md section 4; Core's netaddress.cpp. */
import type { Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { DialTarget, Endpoint, UnixSeconds } from '../boundary.ts';
import { isWssName } from '../wire/address.ts';
import { formatEndpoint, parseIp } from '../wire/ip.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../wire/message.ts';

const MAX_FUTURE_SECONDS = 10 * 60;
const IMPLAUSIBLE_AGE_SECONDS = 5 * 24 * 3600;
const EARLIEST_TIME = 100_000_000;

interface Range {
  readonly bytes: Bytes;
  readonly bits: number;
}

/** Nobody can be dialled there: this network, multicast and reserved, the unspecified address, documentation. */
const NEVER = ranges('0.0.0.0/8', '224.0.0.0/3', '::/128', 'ff00::/8', '2001:db8::/32');
const LOOPBACK = ranges('127.0.0.0/8', '::1/128');
/** Private and special ranges: of use on the networks whose nodes stand on one machine or in one house. */
const LOCAL = [
  ...LOOPBACK,
  // RFC 1918, 2544, 3927, 6598, 5737.
  ...ranges('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15', '169.254.0.0/16', '100.64.0.0/10'),
  ...ranges('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'),
  // RFC 4862, 4193, 4843, 7343.
  ...ranges('fe80::/64', 'fc00::/7', '2001:10::/28', '2001:20::/28'),
];

/**
 * More that leads nowhere public. Gossip keeps Core's rules, but where a name of a stranger leads is looked at more
 * closely. RFC 6890, 4291, 3879, 8215, 6666, and the tunnels of RFC 4380.
 */
const NOT_PUBLIC = [
  ...NEVER,
  ...LOCAL,
  ...ranges('192.0.0.0/24', '::/96', 'fe80::/10', 'fec0::/10', '64:ff9b:1::/48', '100::/64', '2001::/32'),
];
/** Prefixes behind which an IPv4 address stands that is reached through a gateway, and where it begins. */
const GATEWAYS = [
  { range: ranges('64:ff9b::/96'), at: 12 }, // NAT64, RFC 6052
  { range: ranges('2002::/16'), at: 2 }, // 6to4, RFC 3056
];

/** Ends of names that no public name has: RFC 6762, 6761, 7686, and what is no host at all. */
const NO_PUBLIC_NAME = /\.(?:local|localhost|internal|onion|i2p|arpa)$/;

/**
 * An address that may be kept and passed on. Those of Tor, I2P and CJDNS always may, though we cannot dial them. A name behind
 * `wss://` must be one that everybody can look up, in the one spelling that the wire carries.
 */
export function isRoutable(address: GossipAddress, params: Pick<ChainParams, 'loopbackRoutable'>): boolean {
  if (address.network === 'wss') {
    const { host, port } = address;
    if (port === 0 || !isWssName(address)) return false;
    return host === 'localhost' ? params.loopbackRoutable : isPublicName(host);
  }
  if (address.network !== 'ipv4' && address.network !== 'ipv6') return true;
  const ip = parseIp(address.host);
  if (ip === undefined || address.port === 0 || within(ip.bytes, NEVER)) return false;
  return params.loopbackRoutable || !within(ip.bytes, LOCAL);
}

/** The host is this machine. */
export function isLoopback(host: string): boolean {
  const ip = parseIp(host);
  return ip !== undefined && within(ip.bytes, LOOPBACK);
}

/** The host is an IP address of the public internet, wherever a name or a stranger pretends that it leads. */
export function isPublicIp(host: string): boolean {
  const ip = parseIp(host);
  if (ip === undefined || within(ip.bytes, NOT_PUBLIC)) return false;
  const gateway = GATEWAYS.find(({ range }) => within(ip.bytes, range));
  return gateway === undefined || !within(ip.bytes.slice(gateway.at, gateway.at + 4), NOT_PUBLIC);
}

/** The host looks like a name that everybody can look up. Old ways to write an IP address, such as 127.1, do not. */
export function isPublicName(host: string): boolean {
  return host.includes('.') && !/(?:^|\.)\d+\.?$/.test(host) && !NO_PUBLIC_NAME.test(host);
}

/** Times before 1973 or more than ten minutes ahead are nonsense and count as five days old. */
export function plausibleTime(time: UnixSeconds, now: UnixSeconds): UnixSeconds {
  return time <= EARLIEST_TIME || time > now + MAX_FUTURE_SECONDS ? now - IMPLAUSIBLE_AGE_SECONDS : time;
}

/** What makes two addresses the same: network, host and port. For IP addresses it is the key of their endpoint. */
export function addressKey(address: GossipAddress): string {
  const ip = address.network === 'ipv4' || address.network === 'ipv6';
  if (address.network === 'wss') return nameKey(address);
  return ip ? endpointKey(address) : `${address.network}/${address.host}:${address.port}`;
}

export function endpointKey(endpoint: Endpoint): string {
  return formatEndpoint(endpoint);
}

/** Where a node of that address is dialled. */
export function dialTargetOf(address: GossipAddress): DialTarget {
  const { network, host, port, path } = address;
  if (network === 'wss') return { transport: 'wss', host, port, ...(path === undefined ? {} : { path }) };
  return { transport: (address.services & SERVICE_WEBSOCKET) === 0n ? 'tcp' : 'ws', host, port };
}

/** Equals `addressKey` of the address that the target came from. */
export function targetKey(target: DialTarget): string {
  const isName = target.transport === 'wss' && parseIp(target.host) === undefined;
  return isName ? nameKey(target) : endpointKey(target);
}

/** Behind one host there may be several nodes, each with a path of its own. */
function nameKey({ host, port, path = '/' }: Endpoint & { readonly path?: string }): string {
  return `wss/${host.toLowerCase()}:${port}${path}`;
}

function ranges(...texts: string[]): Range[] {
  return texts.map((text) => {
    const [host = '', bits] = text.split('/');
    const ip = parseIp(host);
    if (ip === undefined) throw new Error(`${text} is no range`);
    return { bytes: ip.bytes, bits: Number(bits) };
  });
}

function within(bytes: Bytes, list: readonly Range[]): boolean {
  return list.some((range) => {
    if (range.bytes.length !== bytes.length) return false;
    for (let i = 0; i * 8 < range.bits; i++) {
      const mask = (0xff << Math.max(0, 8 - (range.bits - i * 8))) & 0xff;
      if (((bytes[i] as number) & mask) !== (range.bytes[i] as number)) return false;
    }
    return true;
  });
}
