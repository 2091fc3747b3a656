/** What attackers in scenarios have: hosts in netgroups of their own. */
import type { Endpoint } from '../../node/boundary.ts';
import type { GossipAddress } from '../../node/wire/message.ts';
import { SERVICE_NETWORK, SERVICE_WEBSOCKET, SERVICE_WITNESS } from '../../node/wire/message.ts';

/**
 * Netgroups are /16 of public addresses: those of honest nodes in scenarios are 20.1 to 20.99, those of attackers follow. Each
 * host of a private network would count as one. Nothing of the in-process network leaves the process.
 */
const FIRST_GROUP = 100;
const LAST_GROUP = 255;

/** So many endpoints in so many netgroups, dealt out in turn: 20.100.0.1, 20.101.0.1, …. */
export function addressesOf({ hosts, groups }: { readonly hosts: number; readonly groups: number }): Endpoint[] {
  return Array.from({ length: hosts }, (_, index) => {
    const group = index % groups;
    const place = Math.floor(index / groups) + 1;
    return { host: `${prefixOf(group)}.${place >> 8}.${place & 255}`, port: 8333 };
  });
}

/** As a peer would tell it, seen at that time. */
export function gossipOf({ host, port }: Endpoint, time: number): GossipAddress {
  const services = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
  return { network: 'ipv4', host, port, services, time };
}

function prefixOf(group: number): string {
  const second = FIRST_GROUP + group;
  return second <= LAST_GROUP ? `20.${second}` : `21.${second - LAST_GROUP - 1}`;
}
