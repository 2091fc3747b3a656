/**
 * Finding nodes on the local network by multicast DNS (RFC 6762) and service discovery over it (RFC 6763): we answer to
 * the service `_grapevine._tcp`, ask for it now and then, and tell what answers.
 *
 * Whoever is on the local network can say anything here. So a host can only speak of itself: what counts is the address
 * that a packet comes from, and it must be of a network that we are on. The chain is in the answer (its genesis block),
 * and nodes of other chains are passed over. What is told in a time is bounded, and so is what is remembered.
 */
import { randomBytes } from 'node:crypto';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import multicastDns, { type MulticastDNS, type QueryPacket, type ResponsePacket } from 'multicast-dns';
import type { Endpoint, Millis } from '../boundary.ts';
import { isLoopback } from '../discovery/address-rules.ts';
import { errorText, StartError } from './start-error.ts';

/** At most 15 letters (RFC 6335), so that the network's name has no place in it. */
const SERVICE = '_grapevine._tcp.local';
const PORT = 5353;
const ANY_ADDRESS = '0.0.0.0';
/** How long others may believe what we say. */
const TTL_SECONDS = 120;
/** RFC 6762: not more often than once a second, whatever is asked. */
const ANSWER_INTERVAL_MS = 1000;
/** The first question is asked at once, the next after this, and so on, three times later each time up to the second. */
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;
/** Found addresses are told again after this: the core may have forgotten them. */
const TELL_AGAIN_MS = 5 * 60_000;
/** Addresses that are remembered as told; more than that on one network are an attack, or news for nobody. */
const MAX_TOLD = 256;
/** Of one host in that time, unless it is this machine. */
const MAX_PER_HOST = 8;
/** Records of one packet that are looked at. */
const MAX_RECORDS = 64;

export interface LanDiscoveryOptions {
  /** What it is the same of on all nodes of the chain, and on none of another. */
  readonly genesis: string;
  /** For people who look with other tools. */
  readonly network: string;
  /** Where we listen for peers on the local network. */
  readonly ports: readonly number[];
  /** The address of the interface to use: loopback finds the nodes of this machine. Undefined: all but loopback. */
  readonly interfaceAddress: string | undefined;
  /** Addresses of one host, which is the source. */
  readonly onFound: (addresses: readonly Endpoint[], source: Endpoint) => void;
  /** What went wrong with a packet or an interface; the rest goes on. Strangers can cause it as often as they like. */
  readonly onTrouble: (reason: string) => void;
  /** UDP port; for tests. */
  readonly port?: number;
  readonly now: () => Millis;
}

export class LanDiscovery {
  readonly #options: LanDiscoveryOptions;
  /** Our name in answers, by which we know our own. By chance, so that nobody else has it. */
  readonly #name = randomBytes(8).toString('hex');
  readonly #dns: MulticastDNS;
  /** When each address was told, oldest first, by `host:port`. */
  readonly #told = new Map<string, { readonly host: string; readonly at: Millis }>();
  /** The networks that we are on. */
  #onLink = new BlockList();
  #answeredAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #answerTimer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: LanDiscoveryOptions) {
    const { interfaceAddress, port = PORT } = options;
    this.#options = options;
    this.#dns = multicastDns({
      port,
      // Bound to an interface's address a socket hears no multicasts on Linux.
      bind: ANY_ADDRESS,
      ...(interfaceAddress === undefined ? {} : { interface: interfaceAddress }),
    });
    this.#dns.on('warning', (error) => options.onTrouble(errorText(error)));
    this.#dns.on('query', (packet) => this.#onQuery(packet));
    this.#dns.on('response', (packet, remote) => this.#onResponse(packet, remote));
  }

  /** Begins to ask and to answer. Rejects with a StartError. */
  static async start(options: LanDiscoveryOptions): Promise<LanDiscovery> {
    const lan = new LanDiscovery(options);
    try {
      await new Promise<void>((resolve, reject) => {
        lan.#dns.once('ready', resolve);
        lan.#dns.once('error', reject);
      });
    } catch (error) {
      const { port = PORT } = options;
      throw new StartError(
        'port-taken',
        `local discovery cannot use UDP port ${port}: ${errorText(error)}`,
        'Another program keeps multicast DNS for itself. Stop it, or start without --lan.',
      );
    }
    lan.#dns.on('error', (error) => options.onTrouble(errorText(error)));
    lan.#ask();
    lan.#answer();
    return lan;
  }

  /** Says good-bye and ends. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#answerTimer);
    return new Promise((resolve) => {
      this.#dns.respond({ answers: this.#records(0) }, () => this.#dns.destroy(resolve));
    });
  }

  #ask(): void {
    this.#onLink = networksOf(this.#options.interfaceAddress);
    this.#dns.query({ questions: [{ name: SERVICE, type: 'PTR' }] });
    this.#timer = setTimeout(() => this.#ask(), this.#pauseMs);
    this.#pauseMs = Math.min(3 * this.#pauseMs, LAST_PAUSE_MS);
  }

  #onQuery({ questions = [] }: QueryPacket): void {
    const asked = questions.slice(0, MAX_RECORDS).some(({ name, type }) => {
      return (type === 'PTR' || (type as string) === 'ANY') && name.toLowerCase() === SERVICE;
    });
    if (asked) this.#answer();
  }

  /** At once, or when a second has passed since the last time: then one answer serves all who asked. */
  #answer(): void {
    if (this.#closed || this.#answerTimer !== undefined) return;
    const wait = this.#answeredAt + ANSWER_INTERVAL_MS - this.#options.now();
    if (wait > 0) {
      this.#answerTimer = setTimeout(() => {
        this.#answerTimer = undefined;
        this.#answer();
      }, wait);
      return;
    }
    this.#answeredAt = this.#options.now();
    this.#dns.respond({ answers: this.#records(TTL_SECONDS) });
  }

  /** One instance of the service for each port that we listen on. */
  #records(ttl: number) {
    const { genesis, network, ports } = this.#options;
    const host = `${this.#name}.local`;
    const txt = ['txtvers=1', `network=${network}`, `genesis=${genesis}`];
    const instances = ports.flatMap((port) => {
      const name = `${this.#name}-${port}.${SERVICE}`;
      return [
        { name: SERVICE, type: 'PTR' as const, ttl, data: name },
        { name, type: 'SRV' as const, ttl, data: { port, target: host } },
        { name, type: 'TXT' as const, ttl, data: txt },
      ];
    });
    const addresses = ownAddresses(this.#options.interfaceAddress);
    return [...instances, ...addresses.map((data) => ({ name: host, type: 'A' as const, ttl, data }))];
  }

  #onResponse(
    { answers = [], additionals = [] }: ResponsePacket,
    remote: { readonly address: string; readonly port: number },
  ): void {
    const { address } = remote;
    if (this.#closed || !this.#onLink.check(address)) return;
    const ports = new Map<string, number>();
    const ours = new Set<string>();
    for (const record of [...answers, ...additionals].slice(0, MAX_RECORDS)) {
      const name = record.name.toLowerCase();
      if (!name.endsWith(`.${SERVICE}`) || name.startsWith(this.#name)) continue;
      if (record.type === 'SRV' && (record.ttl ?? 0) > 0) ports.set(name, record.data.port);
      else if (record.type === 'TXT' && isOfChain(record.data, this.#options.genesis)) ours.add(name);
    }
    const endpoints = [...ports].flatMap(([name, port]) =>
      ours.has(name) && port > 0 ? [{ host: address, port }] : [],
    );
    const news = endpoints.filter((endpoint) => this.#isNews(endpoint));
    if (news.length > 0) this.#options.onFound(news, { host: address, port: remote.port });
  }

  /** Not told of late, and room for it. Then it counts as told. */
  #isNews({ host, port }: Endpoint): boolean {
    const now = this.#options.now();
    for (const [key, { at }] of this.#told) {
      if (at > now - TELL_AGAIN_MS) break;
      this.#told.delete(key);
    }
    const key = `${host}:${port}`;
    if (this.#told.has(key) || this.#told.size >= MAX_TOLD) return false;
    let ofHost = 0;
    for (const told of this.#told.values()) if (told.host === host) ofHost++;
    if (ofHost >= MAX_PER_HOST && !isLoopback(host)) return false;
    this.#told.set(key, { host, at: now });
    return true;
  }
}

function isOfChain(data: string | Buffer | readonly (string | Buffer)[], genesis: string): boolean {
  const texts = Array.isArray(data) ? data : [data];
  return texts.some((text) => String(text) === `genesis=${genesis}`);
}

/** IPv4 addresses of the interface with this address, or of all but loopback. */
function interfaces(address: string | undefined) {
  const all = Object.values(networkInterfaces()).flatMap((list = []) => list.filter(({ family }) => family === 'IPv4'));
  return address === undefined ? all.filter(({ internal }) => !internal) : all.filter((one) => isOn(one, address));
}

function isOn({ address, netmask }: { readonly address: string; readonly netmask: string }, host: string): boolean {
  const network = new BlockList();
  network.addSubnet(address, prefixLength(netmask), 'ipv4');
  return network.check(host);
}

function ownAddresses(address: string | undefined): string[] {
  return interfaces(address).map((one) => one.address);
}

function networksOf(address: string | undefined): BlockList {
  const networks = new BlockList();
  for (const one of interfaces(address)) networks.addSubnet(one.address, prefixLength(one.netmask), 'ipv4');
  return networks;
}

/** `255.255.255.0` as 24. */
function prefixLength(netmask: string): number {
  return netmask.split('.').reduce((bits, part) => bits + Number(part).toString(2).replaceAll('0', '').length, 0);
}
