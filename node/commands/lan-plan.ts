/** Which listeners `--lan` tells the local network of, and over which interface. Pure, and without the library for it. */
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../boundary.ts';
import { isLoopback } from '../discovery/address-rules.ts';

/** In one packet. */
const MAX_PORTS = 8;

/** Where local discovery happens, and which listeners it tells of. */
export interface LanPlan {
  /** Undefined: all but loopback. */
  readonly interfaceAddress: string | undefined;
  readonly ports: readonly number[];
}

/**
 * The plan for these plain listeners: the local network if one can be reached from there over IPv4, else, if `machineOnly`
 * will do, this machine. Undefined where there is nothing to tell of.
 */
export function lanPlan(listeners: readonly Endpoint[], machineOnly: boolean): LanPlan | undefined {
  const hosts = listeners.map(({ host, port }) => ({ host: host === 'localhost' ? '127.0.0.1' : host, port }));
  const everywhere = hosts.filter(({ host }) => host === '0.0.0.0' || host === '::');
  if (everywhere.length > 0) return { interfaceAddress: undefined, ports: portsOf(everywhere) };
  const single = hosts.filter(({ host }) => isIPv4(host));
  const outer = single.find(({ host }) => !isLoopback(host)) ?? (machineOnly ? single[0] : undefined);
  if (outer === undefined) return undefined;
  return { interfaceAddress: outer.host, ports: portsOf(single.filter(({ host }) => host === outer.host)) };
}

function portsOf(listeners: readonly Endpoint[]): number[] {
  return listeners.slice(0, MAX_PORTS).map(({ port }) => port);
}
