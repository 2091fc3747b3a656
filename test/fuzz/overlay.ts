/**
 * Targets: what the overlay reads and keeps. Texts that name nodes, subnets, pages and certificates, and the address manager
 * under any order of what happens to it.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { regtest, vinenet } from '../../consensus/params.ts';
import type { DialTarget, Endpoint, Now } from '../../node/boundary.ts';
import { readAnnounce, readDialTarget, readEndpoint, readListen, readOrigin } from '../../node/commands/addresses.ts';
import { CliError } from '../../node/commands/cli.ts';
import { AddressManager } from '../../node/discovery/address-manager.ts';
import { addressKey, dialTargetOf, isPublicIp, isRoutable, targetKey } from '../../node/discovery/address-rules.ts';
import { type Limits, localLimits } from '../../node/limits.ts';
import { netgroup } from '../../node/netgroup.ts';
import { devnetName } from '../../node/peer/deny.ts';
import type { BatchItem } from '../../node/ports.ts';
import { SeededRandom } from '../../node/random.ts';
import { Origins } from '../../node/runtime/origins.ts';
import { literalRefusal } from '../../node/runtime/public-lookup.ts';
import { readCertificates } from '../../node/runtime/tls.ts';
import { gossipAddress } from '../../node/wire/address.ts';
import { formatIp } from '../../node/wire/ip.ts';
import { type GossipAddress, SERVICE_WEBSOCKET } from '../../node/wire/message.ts';
import { formatSubnet, isWithin, parseSubnet, subnetKey, subnetOf } from '../../node/wire/subnet.ts';
import { bytesOf } from '../node/wire/arbitrary.ts';
import { AUTHORITY, ELSEWHERE, LOCAL } from '../support/certificates.ts';
import { spoiltText } from './edits.ts';
import { build, pick, STRANGER_HOSTS } from './grammar.ts';
import { demand, type Target, target } from './target.ts';

// Texts

const ipv4 = bytesOf(4).map((bytes) => formatIp({ network: 'ipv4', bytes }));
const ipv6 = bytesOf(16).map((bytes) => formatIp({ network: 'ipv6', bytes }));
const ip = fc.oneof(
  ipv4,
  ipv6,
  fc.constantFrom('127.0.0.1', '::1', '::ffff:1.2.3.4', '2002:7f00:1::', '64:ff9b::a00:1'),
);

const subnet = target<string>({
  name: 'subnet',
  about: 'subnets as users write them',
  runs: 500,
  deadlineMs: 200,
  cases: spoiltText(
    fc
      .tuple(
        fc.oneof(
          ip,
          ip.map((text) => `[${text}]`),
        ),
        fc.oneof(
          fc.constant(''),
          fc.nat(130).map((bits) => `/${bits}`),
          fc.constantFrom('/255.255.0.0', '/255.0.255.0', '/ff00::', '/ffff:ffff::', '/0.0.0.0', '/'),
        ),
      )
      .map((parts) => parts.join('')),
  ),
  check: (text) => {
    const read = parseSubnet(text);
    if (read === undefined) return;
    demand(read.bytes.length === (read.network === 'ipv4' ? 4 : 16), 'its address has another length');
    demand(read.bits >= 0 && read.bits <= read.bytes.length * 8, `it has ${read.bits} bits`);
    demand(isDeepStrictEqual(subnetOf(read, read.bits), read), 'something reaches over its mask');
    demand(isWithin(formatIp(read), read), 'its first address is not within it');
    const shown = formatSubnet(read);
    const again = parseSubnet(shown);
    demand(again !== undefined && subnetKey(again) === subnetKey(read), `it is shown as ${shown}, which is another`);
  },
});

const name = fc.constantFrom(
  'example.com',
  'node-1.example.com',
  'localhost',
  'a.local',
  'xn--nxasmq6b.example',
  '1.2',
);
const url = fc
  .record({
    scheme: fc.constantFrom('ws://', 'wss://', 'tcp://', 'http://', 'https://', ''),
    host: fc.oneof(
      name,
      ipv4,
      ipv6.map((text) => `[${text}]`),
      fc.constant(''),
    ),
    port: fc.oneof(
      fc.constant(''),
      fc.nat(70_000).map((port) => `:${port}`),
    ),
    path: fc.constantFrom('', '/', '/a/b', '/a?b=%20', '/#'),
  })
  .map(({ scheme, host, port, path }) => scheme + host + port + path);

const option = target<string>({
  name: 'option',
  about: 'addresses and origins in options and headers: a value, or an error with a hint',
  runs: 500,
  deadlineMs: 200,
  cases: spoiltText(url),
  check: (text) => {
    const read = <T>(reader: () => T): T | undefined => {
      try {
        return reader();
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        demand(error.message.length > 0 && (error.hint ?? '').length > 0, 'it is refused without a hint');
        return undefined;
      }
    };
    for (const endpoint of [read(() => readEndpoint(text, '--rpc')), read(() => readListen(text))]) {
      demand(endpoint === undefined || isPort(endpoint.port, 0), `port ${endpoint?.port}`);
    }
    checkTarget(read(() => readDialTarget(text, 18_444)));
    for (const params of [regtest, vinenet]) {
      const announced = read(() => readAnnounce(text, params));
      checkTarget(announced);
      if (announced === undefined) continue;
      const address = gossipAddress(announced, 9n, 1);
      demand(address !== undefined && isRoutable(address, params), 'nobody could be told of it');
      demand(addressKey(address) === targetKey(announced), 'whoever is told of it dials something else');
    }
    const origin = read(() => readOrigin(text));
    if (origin !== undefined) demand(new Origins([origin]).allow(origin), 'an origin that is allowed is refused');
    new Origins([]).allow(text);
    devnetName(text);
    literalRefusal(text);
    isPublicIp(text);
    netgroup({ host: text, port: 1 });
  },
});

function isPort(port: number, least: number): boolean {
  return Number.isInteger(port) && port >= least && port <= 0xffff;
}

function checkTarget(read: DialTarget | undefined): void {
  if (read === undefined) return;
  demand(isPort(read.port, 1), `port ${read.port}`);
  const { transport, host, port, path = '/' } = read;
  const at = host.includes(':') ? `[${host}]` : host;
  // What the WebSocket is made of.
  if (transport !== 'tcp')
    demand(URL.canParse(`${transport}://${at}:${port}${path}`), 'no WebSocket can be made of it');
  targetKey(read);
  netgroup(read);
}

const certificate = target<string>({
  name: 'certificate',
  about: 'certificates in PEM: read, or refused with a reason',
  runs: 100,
  deadlineMs: 500,
  cases: spoiltText(
    fc
      .array(fc.constantFrom(AUTHORITY, LOCAL, ELSEWHERE, '\r\n', 'x'), { maxLength: 3 })
      .map((parts) => parts.join('')),
  ),
  check: (text) => {
    let read: ReturnType<typeof readCertificates>;
    try {
      read = readCertificates(text);
    } catch (error) {
      // It comes from outside of the sandbox of the tests, where `Error` is another one.
      demand(String((error as Error).message).length > 0, 'it is refused without a reason');
      return;
    }
    for (const one of read) one.checkHost('localhost');
  },
});

// The address manager

/** Numbers name addresses, modulo how many there are. */
type AddressStep =
  | { readonly do: 'add'; readonly kind: number; readonly count: number; readonly age: number; readonly from: number }
  | { readonly do: 'connect' | 'fail' | 'close' | 'attempt' | 'own'; readonly thing: number }
  | { readonly do: 'select'; readonly newOnly: boolean }
  | { readonly do: 'wait'; readonly seconds: number }
  | { readonly do: 'collision' | 'retry' | 'sample' | 'save' | 'reload' };

const addressStep: fc.Arbitrary<AddressStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      kind: fc.nat(13),
      count: fc.constantFrom(1, 2, 10, 100),
      age: fc.constantFrom(0, 60, 10_800, 3_000_000, -3600, -1e9),
      from: fc.nat(20),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'connect' as const,
        'connect' as const,
        'fail' as const,
        'close' as const,
        'attempt' as const,
      ),
      thing: fc.nat(300),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('own' as const), thing: fc.nat(300) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('select' as const), newOnly: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 90, 4000, 15_000, 700_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom<'collision' | 'retry' | 'sample' | 'save' | 'reload'>(
        'collision',
        'retry',
        'sample',
        'save',
        'reload',
      ),
    }),
  },
);

/** So small that everything is taken soon. */
const smallTables: Limits = {
  ...localLimits,
  newBuckets: 8,
  triedBuckets: 4,
  bucketSize: 4,
  newBucketsPerSourceGroup: 4,
  triedBucketsPerGroup: 2,
  maxTriedCollisions: 3,
};
const START_UNIX = 1_800_000_000;

class AddressRun {
  readonly #params = regtest;
  readonly #rows = new Map<string, Uint8Array>();
  #own: Endpoint[] = [{ host: '20.1.0.1', port: 18_444 }];
  #seconds = 0;
  #starts = 0;
  #manager = this.#open();

  run(step: AddressStep): void {
    const manager = this.#manager;
    const now = this.#now();
    switch (step.do) {
      case 'add': {
        const { kind, count, age, from } = step;
        const message = build({ say: 'addrv2', kind, count, age }, { theirNonce: 0n, unix: now.unix });
        const source = { host: from < 3 ? pick(STRANGER_HOSTS, from) : `70.${from}.0.1`, port: 1 };
        const told = message.type === 'addrv2' ? message.addresses : [];
        const news = manager.add(told, source, now, 7200);
        demand(news.length <= told.length, 'there is more news than was told');
        break;
      }
      case 'connect':
        manager.onConnected(this.#target(step.thing), step.thing % 3 === 0 ? 0x1000009n : 9n, now);
        break;
      case 'fail':
        manager.onFailed(this.#target(step.thing), now);
        break;
      case 'close':
        manager.onClosed(this.#target(step.thing), now, step.thing % 2 === 0);
        break;
      case 'attempt':
        manager.onAttempt(this.#target(step.thing), now);
        break;
      case 'own': {
        const { host, port } = this.#target(step.thing);
        this.#own = [{ host, port }];
        manager.setOwn(this.#own);
        break;
      }
      case 'select': {
        const exclude = (_: Endpoint, key: string) => key.length % 3 === 0;
        const candidate = manager.select({ newOnly: step.newOnly, exclude }, now);
        if (candidate !== undefined) {
          demand(addressKey(candidate.address).length % 3 !== 0, 'it chose what was excluded');
          demand(!step.newOnly || !candidate.tried, 'it chose a tried one instead of a new one');
        }
        const next = manager.nextTry(now, exclude);
        demand(next === undefined || Number.isFinite(next), `the next try is at ${next}`);
        break;
      }
      case 'collision': {
        const old = manager.collision(now);
        demand(old === undefined || manager.isTried(dialTargetOf(old)), 'it would test one that has no place');
        break;
      }
      case 'retry':
        manager.retryAll(now);
        break;
      case 'sample':
        demand(manager.sample(now).length <= manager.size, 'it tells more than it knows');
        break;
      case 'wait':
        this.#seconds += step.seconds;
        this.#write(manager.tick(this.#now()));
        break;
      case 'save':
      case 'reload':
        this.#reload(step.do === 'reload');
        break;
    }
    this.#check();
  }

  #now(): Now {
    return { mono: this.#seconds * 1000, unix: START_UNIX + this.#seconds };
  }

  #open(): AddressManager {
    return new AddressManager({
      limits: smallTables,
      params: this.#params,
      random: new SeededRandom(`addresses ${this.#starts++}`),
      rows: [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value })),
      own: this.#own,
      now: this.#now(),
    });
  }

  #target(thing: number): DialTarget {
    const known = this.#manager.entries();
    // Now and then somebody who is not known.
    if (known.length === 0 || thing % 7 === 0) return { transport: 'ws', host: `80.${thing % 256}.0.1`, port: 18_444 };
    return dialTargetOf(pick(known, thing));
  }

  #write(batch: readonly BatchItem[]): void {
    for (const [key, value] of batch) {
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
  }

  #reload(use: boolean): void {
    this.#write(this.#manager.save());
    const keys = this.#manager.entries().map((address) => `a/${addressKey(address)}`);
    const stored = [...this.#rows.keys()].filter((key) => key !== 'a');
    demand(isDeepStrictEqual(stored.sort(), keys.sort()), 'the store holds other addresses than the table');
    const again = this.#open();
    demand(isDeepStrictEqual(shown(again), shown(this.#manager)), 'a restart changes what is known');
    if (use) this.#manager = again;
  }

  #check(): void {
    const { counts, size } = this.#manager;
    const { newBuckets, triedBuckets, bucketSize } = smallTables;
    demand(counts.new >= 0 && counts.new <= newBuckets * bucketSize, `${counts.new} new ones`);
    demand(counts.tried >= 0 && counts.tried <= triedBuckets * bucketSize, `${counts.tried} tried ones`);
    const entries = this.#manager.entries();
    demand(entries.length === size, 'it counts other entries than it has');
    const own = new Set(this.#own.map((endpoint) => targetKey({ transport: 'ws', ...endpoint })));
    for (const address of entries) {
      demand(isRoutable(address, this.#params), `${addressKey(address)} leads nowhere`);
      demand(!own.has(addressKey(address)), 'it keeps our own address');
    }
  }
}

/** That a WebSocket did not answer is not saved: whether there is one is left out. */
function shown(manager: AddressManager): readonly (GossipAddress & { readonly tried: boolean })[] {
  return manager
    .entries()
    .map((address) => {
      const tried = manager.isTried(dialTargetOf(address));
      return { ...address, services: address.services | SERVICE_WEBSOCKET, tried };
    })
    .sort((a, b) => (addressKey(a) < addressKey(b) ? -1 : 1));
}

const addresses = target<readonly AddressStep[]>({
  name: 'addresses',
  about: 'the address manager under any order of events, and restarts',
  runs: 60,
  deadlineMs: 2000,
  share: 2,
  cases: fc.array(addressStep, { minLength: 1, maxLength: 60, size: 'max' }),
  check: (steps) => {
    const run = new AddressRun();
    for (const step of steps) run.run(step);
  },
});

export const overlayTargets: readonly Target[] = [subnet, option, certificate, addresses];
