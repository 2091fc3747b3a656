/**
 * Hosts that we want no links with. A *ban* is the user's: a subnet until a moment, kept over restarts: neither dialled nor
 * answered. *Discouragement* is ours: a host whose peer broke the rules is not dialled any more, is refused while the places
 * for inbound links are nearly all taken, and goes first when one of these must go. It is by address, bounded (the oldest is
 * forgotten) and ends with the process: many may share an address, and addresses change hands.
 *
 * Owns both lists and the one row of the store that holds the bans. Who is punished for what is in misbehaviour.ts.
 */
import type { Bytes } from '../../consensus/brand.ts';
import { DecodeError, decode, type Reader, Writer } from '../../consensus/codec.ts';
import type { Millis, Now, UnixSeconds } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { type BatchItem, StoreDamage } from '../ports.ts';
import { canonicalHost, parseIp } from '../wire/ip.ts';
import { isWithin, parseSubnet, type Subnet, subnetKey, subnetOf } from '../wire/subnet.ts';

/** The row: for each ban the length of the address, the address, the bits, when it was made and when it ends (8 bytes each). */
export const BANS_KEY = 'nbans';
/** The wall clock may jump: an end of a ban is looked for at least so often. */
const MAX_WAIT_MS = 24 * 3600 * 1000;

/** Behind these stand all peers of this machine, a proxy's included: what one of them does says nothing about the others. */
const THIS_MACHINE = ['127.0.0.0/8', '0.0.0.0/8', '::1/128'].map((text) => parseSubnet(text) as Subnet);

export interface Ban {
  readonly subnet: Subnet;
  readonly created: UnixSeconds;
  /** From then on it is no ban any more. */
  readonly until: UnixSeconds;
}

export interface BansOptions {
  readonly limits: Limits;
  /** The row that `save` made, if there is one. */
  readonly saved: Bytes | undefined;
  readonly now: Now;
}

export class Bans {
  readonly #limits: Limits;
  /** By `subnetKey`. */
  readonly #bans = new Map<string, Ban>();
  /** How many bits the subnets have: a host is looked up once for each, whatever the number of bans. */
  #widths = new Map<Subnet['network'], ReadonlySet<number>>();
  /** In the order in which they were discouraged. */
  readonly #discouraged = new Set<string>();
  #changed = false;
  #expireAt: Millis | undefined;

  /** Throws StoreDamage where the row cannot be read. */
  constructor({ limits, saved, now }: BansOptions) {
    this.#limits = limits;
    const read = decode(saved ?? new Uint8Array(0), (reader) => {
      while (reader.remaining > 0) this.#put(readBan(reader));
    });
    if (!read.ok) throw new StoreDamage(`the record ${BANS_KEY} cannot be read: ${read.error}`);
    this.#onChange(now);
  }

  /** Bans a subnet, in place of an earlier ban of the same one. False where `limits.maxBans` others are banned already. */
  ban(subnet: Subnet, until: UnixSeconds, now: Now): boolean {
    this.#sweep(now);
    if (this.#bans.size >= this.#limits.maxBans && !this.#bans.has(subnetKey(subnet))) return false;
    this.#put({ subnet, created: now.unix, until });
    this.#changed = true;
    this.#onChange(now);
    return true;
  }

  /** False where exactly this subnet was not banned. */
  unban(subnet: Subnet, now: Now): boolean {
    const found = this.#bans.delete(subnetKey(subnet));
    this.#changed ||= found;
    this.#onChange(now);
    return found;
  }

  clear(now: Now): void {
    this.#changed ||= this.#bans.size > 0;
    this.#bans.clear();
    this.#onChange(now);
  }

  /** Bans that have not ended, in the order of their subnets. */
  list(now: Now): Ban[] {
    return [...this.#bans]
      .filter(([, { until }]) => until > now.unix)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, ban]) => ban);
  }

  /** Some subnet that holds the host is banned. A name is on no subnet. */
  isBanned(host: string, now: Now): boolean {
    if (this.#bans.size === 0) return false;
    const ip = parseIp(host);
    if (ip === undefined) return false;
    for (const bits of this.#widths.get(ip.network) ?? []) {
      const ban = this.#bans.get(subnetKey(subnetOf(ip, bits)));
      if (ban !== undefined && ban.until > now.unix) return true;
    }
    return false;
  }

  /** A peer of that host broke the rules. Our own machine is never remembered. */
  discourage(host: string): void {
    if (THIS_MACHINE.some((subnet) => isWithin(host, subnet))) return;
    const key = canonicalHost(host);
    this.#discouraged.delete(key);
    this.#discouraged.add(key);
    const [oldest] = this.#discouraged;
    if (this.#discouraged.size > this.#limits.maxDiscouraged) this.#discouraged.delete(oldest as string);
  }

  isDiscouraged(host: string): boolean {
    return this.#discouraged.size > 0 && this.#discouraged.has(canonicalHost(host));
  }

  /** Forgets bans that have ended. True if there were some: what they kept from being dialled may be dialled. */
  tick(now: Now): boolean {
    if (this.#expireAt === undefined || now.mono < this.#expireAt) return false;
    const ended = this.#sweep(now);
    this.#onChange(now);
    return ended;
  }

  /** The row, if it has changed since it was saved. */
  save(): BatchItem[] {
    if (!this.#changed) return [];
    this.#changed = false;
    if (this.#bans.size === 0) return [[BANS_KEY, null]];
    const writer = new Writer();
    for (const { subnet, created, until } of this.#bans.values()) {
      writer.varBytes(subnet.bytes).u8(subnet.bits).i64(BigInt(created)).i64(BigInt(until));
    }
    return [[BANS_KEY, writer.finish()]];
  }

  nextDeadline(): Millis | undefined {
    return this.#expireAt;
  }

  #put(ban: Ban): void {
    this.#bans.set(subnetKey(ban.subnet), ban);
  }

  #sweep(now: Now): boolean {
    const before = this.#bans.size;
    for (const [key, { until }] of this.#bans) if (until <= now.unix) this.#bans.delete(key);
    this.#changed ||= this.#bans.size < before;
    return this.#bans.size < before;
  }

  #onChange(now: Now): void {
    const widths = { ipv4: new Set<number>(), ipv6: new Set<number>() };
    let first = Number.POSITIVE_INFINITY;
    for (const { subnet, until } of this.#bans.values()) {
      widths[subnet.network].add(subnet.bits);
      first = Math.min(first, until);
    }
    this.#widths = new Map(Object.entries(widths) as [Subnet['network'], ReadonlySet<number>][]);
    const waitMs = Math.min(Math.max(0, (first - now.unix) * 1000), MAX_WAIT_MS);
    this.#expireAt = this.#bans.size === 0 ? undefined : now.mono + waitMs;
  }
}

function readBan(reader: Reader): Ban {
  const bytes = reader.varBytes(16);
  const bits = reader.u8();
  const created = Number(reader.i64());
  const until = Number(reader.i64());
  if ((bytes.length !== 4 && bytes.length !== 16) || bits > bytes.length * 8) throw new DecodeError('no subnet');
  return { subnet: subnetOf({ network: bytes.length === 4 ? 'ipv4' : 'ipv6', bytes }, bits), created, until };
}
