/** Events and actions as one line each: the node's debug log is the printed list of them. */
import type { Action, DialTarget, Endpoint, Event } from '../boundary.ts';

/** `ws://host:port/path`. */
export function targetText({ transport, host, port, path }: DialTarget): string {
  return `${transport}://${endpointText({ host, port })}${path ?? ''}`;
}

/** `host:port`, with brackets around IPv6. */
export function endpointText({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function describeEvent(event: Event): string {
  return `> ${describe(event)}`;
}

export function describeAction(action: Action): string {
  return `< ${describe(action)}`;
}

/** Bytes show their length, endpoints and targets their text, everything else its JSON. */
function describe({ type, ...fields }: Event | Action): string {
  let text: string = type;
  for (const [name, value] of Object.entries(fields)) text += ` ${name}=${describeValue(value)}`;
  return text;
}

function describeValue(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length}B`;
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  if ('transport' in value) return targetText(value as DialTarget);
  if ('host' in value) return endpointText(value as Endpoint);
  const json = JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? String(item) : item));
  return json.length > MAX_VALUE_LENGTH ? `${json.slice(0, MAX_VALUE_LENGTH)}…` : json;
}

const MAX_VALUE_LENGTH = 200;
