/** Addresses of nodes as people write them. */
import { fail, ok, type Result } from '../../consensus/brand.ts';
import { parseUrl } from '../../consensus/parse-url.ts';
import type { DialTarget, Transport } from '../boundary.ts';

const MAX_LENGTH = 300;
const NO_ADDRESS = 'is no address of a node';
const TARGET = /^(?:(ws|wss|tcp):\/\/)?(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?(\/[!-~]*)?$/i;

/**
 * `HOST`, `HOST:PORT` (dialled over TCP, which every node answers), `ws://HOST:PORT/PATH`, `wss://…` or `tcp://…`; an IPv6
 * literal stands in brackets. The error is what there is to say about the text: "is …" or "has …".
 */
export function parseDialTarget(text: string, defaultPort: number): Result<DialTarget, string> {
  const match = text.length > MAX_LENGTH ? null : TARGET.exec(text);
  if (match === null) return fail(NO_ADDRESS);
  const [, scheme, ipv6, name, digits, path] = match;
  const transport = (scheme?.toLowerCase() ?? 'tcp') as Transport;
  const host = (ipv6 ?? name ?? '').toLowerCase();
  const port = digits === undefined ? (transport === 'wss' ? 443 : defaultPort) : Number(digits);
  if (port < 1 || port > 65535 || (transport === 'tcp' && path !== undefined && path !== '/')) return fail(NO_ADDRESS);
  // A WebSocket cannot be made of these.
  if (path?.includes('#')) return fail('has a "#", which no address of a node has');
  if (transport !== 'tcp' && parseUrl(text) === undefined) return fail('is no valid URL');
  const target = { transport, host, port };
  return ok(path === undefined || path === '/' ? target : { ...target, path });
}
