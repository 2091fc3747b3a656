/** How networks are called in calls and answers. */
import type { AddressNetwork } from '../wire/message.ts';

/** Core's names, in its order, and ours. `also` is understood, but not shown. */
export const NETWORK_NAMES: readonly {
  readonly name: string;
  readonly network: AddressNetwork;
  readonly also?: string;
}[] = [
  { name: 'ipv4', network: 'ipv4' },
  { name: 'ipv6', network: 'ipv6' },
  { name: 'onion', network: 'torv3', also: 'tor' },
  { name: 'i2p', network: 'i2p' },
  { name: 'cjdns', network: 'cjdns' },
  { name: 'wss', network: 'wss' },
];
