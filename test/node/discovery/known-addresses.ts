/** Addresses, times and tables for the tests of the address manager. */
import { regtest } from '../../../consensus/params.ts';
import type { DialTarget, Endpoint, Now } from '../../../node/boundary.ts';
import { AddressManager, type AddressManagerOptions } from '../../../node/discovery/address-manager.ts';
import { internetLimits, type Limits } from '../../../node/limits.ts';
import { SeededRandom } from '../../../node/random.ts';
import { gossipAddress } from '../../../node/wire/address.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../../node/wire/message.ts';
import { Disk } from './address-rows.ts';

export const UNIX = 1_700_000_000;
export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const SERVICES = 9n;
/** So many seconds after the start. */
export const at = (seconds: number): Now => ({
  mono: 1_000_000 + Math.round(seconds * 1000),
  unix: UNIX + Math.floor(seconds),
});
export const start = at(0);
export const none = () => false;
export const PUBLIC = { ...regtest, loopbackRoutable: false };

export const address = (host: string, changes: Partial<GossipAddress> = {}): GossipAddress => ({
  ...(gossipAddress({ host, port: 8333 }, SERVICES, UNIX) as GossipAddress),
  ...changes,
});
export const named = (host: string, changes: Partial<GossipAddress> = {}): GossipAddress => ({
  network: 'wss',
  host,
  port: 443,
  services: SERVICES | SERVICE_WEBSOCKET,
  time: UNIX,
  ...changes,
});
export const endpoint = (host: string, port = 8333): Endpoint => ({ host, port });
export const target = (transport: DialTarget['transport'], host: string, port = 8333): DialTarget => ({
  transport,
  host,
  port,
});
/** A host of the group of that number. */
export const inGroup = (group: number, index = 1): string =>
  `${11 + (group >> 8)}.${group & 0xff}.${index >> 8}.${index & 0xff}`;
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export const A = inGroup(1);
export const B = inGroup(2);
export const C = inGroup(3);
export const SOURCE = endpoint('80.1.1.1');
/** Hardly any two want one place among the rumours. */
export const ROOMY = { newBuckets: 2 ** 20, newBucketsPerSourceGroup: 2 ** 16 };

export type Options = Partial<Omit<AddressManagerOptions, 'limits'>> & { readonly limits?: Partial<Limits> };

export function table(options: Options = {}): AddressManager {
  const limits = { ...internetLimits, ...options.limits };
  const random = new SeededRandom('table');
  return new AddressManager({ params: PUBLIC, random, rows: [], own: [], now: start, ...options, limits });
}

/** What is saved of each address. */
export const savedOf = (known: AddressManager) => {
  const disk = new Disk();
  disk.apply(known.save());
  return disk.addresses;
};

/** Failures that count, each after somebody else was reached. */
export function failOften(known: AddressManager, host: string, times: number, now: Now): void {
  for (let i = 0; i < times; i++) {
    const later = { ...now, mono: now.mono + 2 * i };
    known.onConnected(endpoint('99.9.9.9'), SERVICES, later);
    known.onFailed(endpoint(host), { ...later, mono: later.mono + 1 });
  }
}
