/** Network addresses as people write them in options. */
import type { DialTarget, Endpoint } from '../boundary.ts';
import { parseDialTarget } from '../rpc/dial-target.ts';
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

/** `ws://HOST:PORT`. As one port speaks WebSocket and plain TCP, `tcp://` means the same. */
export function readListen(text: string): Endpoint {
  const [, scheme = 'ws', rest = ''] = /^(?:(\w+):\/\/)?(.*?)\/?$/.exec(text) ?? [];
  if (scheme === 'ws' || scheme === 'tcp') return readEndpoint(rest, '--listen');
  throw usageError(
    `--listen: a node does not answer ${scheme}://`,
    'give ws://HOST:PORT; a proxy in front can offer wss',
  );
}

/** `ws://HOST:PORT/PATH`, `wss://…`, `tcp://HOST:PORT`, or HOST:PORT, which is TCP as with addnode. */
export function readDialTarget(text: string, defaultPort: number): DialTarget {
  const target = parseDialTarget(text, defaultPort);
  if (target.ok) return target.value;
  throw usageError(`--connect: "${text}" ${target.error}`, 'for example --connect ws://127.0.0.1:18444');
}
