/** Network addresses as people write them in options. */
import type { ChainParams } from '../../consensus/params.ts';
import type { DialTarget, Endpoint } from '../boundary.ts';
import { isRoutable } from '../discovery/address-rules.ts';
import { parseDialTarget } from '../rpc/dial-target.ts';
import { readUrl } from '../runtime/origins.ts';
import { gossipAddress } from '../wire/address.ts';
import { usageError } from './cli.ts';

/** `HOST:PORT` or `[::1]:PORT`; without a host it is loopback. Port 0 means any free one. */
export function readEndpoint(text: string, option: string): Endpoint {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]*)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw usageError(`${option}: "${text}" is not HOST:PORT`, `for example ${option} 127.0.0.1:18443`);
  }
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port };
}

/** Where peers are answered, and whether over TLS. */
export interface Listener extends Endpoint {
  readonly tls: boolean;
}

/** `ws://HOST:PORT`, for WebSocket and plain TCP, so that `tcp://` means the same; or `wss://HOST:PORT`. */
export function readListen(text: string): Listener {
  const [, scheme = 'ws', rest = ''] = /^(?:(\w+):\/\/)?(.*?)\/?$/.exec(text) ?? [];
  if (scheme === 'ws' || scheme === 'wss' || scheme === 'tcp') {
    return { ...readEndpoint(rest, '--listen'), tls: scheme === 'wss' };
  }
  throw usageError(`--listen: a node does not answer ${scheme}://`, 'give ws://HOST:PORT or wss://HOST:PORT');
}

/** `ws://HOST:PORT/PATH`, `wss://…`, `tcp://HOST:PORT`, or HOST:PORT, which is TCP as with addnode. */
export function readDialTarget(text: string, defaultPort: number, option = '--connect'): DialTarget {
  const target = parseDialTarget(text, defaultPort);
  if (target.ok) return target.value;
  throw usageError(`${option}: "${text}" ${target.error}`, `for example ${option} ws://127.0.0.1:18444`);
}

/** Where peers are to be told that they reach us: an IP address, or the name of a `wss://` URL. */
export function readAnnounce(text: string, params: ChainParams): DialTarget {
  const target = readDialTarget(text, params.defaultPort, '--announce');
  const { transport, host, path } = target;
  const address = gossipAddress(target, 0n, 0);
  if (transport === 'wss') {
    if (address !== undefined && isRoutable(address, params)) return target;
    throw usageError(
      `--announce: "${text}" has no name that others could look up`,
      'the certificate is for a name: wss://node.example:443/path',
    );
  }
  if (address === undefined || path !== undefined) {
    const what = address === undefined ? 'a name' : 'a path';
    throw usageError(
      `--announce: "${text}" has ${what}`,
      'only wss:// addresses can; give ws://IP:PORT or tcp://IP:PORT',
    );
  }
  if (isRoutable(address, params)) return target;
  throw usageError(
    `--announce: on ${params.name} nobody can reach ${host}`,
    'give the address by which other machines reach this one, or use --profile local',
  );
}

/** `https://host[:port]` as browsers name the origin of a page. */
export function readOrigin(text: string): string {
  const origin = /^https?:\/\/[^/?#@\s]+\/?$/i.test(text) ? readUrl(text)?.origin : undefined;
  if (origin !== undefined) return origin;
  throw usageError(
    `--allow-origin: "${text}" is no origin of a page`,
    'for example --allow-origin https://example.com',
  );
}
