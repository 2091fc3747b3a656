/**
 * What hostile peers do, as a grammar: steps of opened links, messages in any order about real and made up things, spoilt
 * bytes, and time. Steps are JSON; objects of the chain are named by numbers (taken modulo how many there are), so that a
 * failing list of steps can be printed, made shorter and replayed. stranger.ts carries them out.
 */
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodePayload } from '../../node/wire/codec.ts';
import { encodeFrame } from '../../node/wire/frame.ts';
import { type GossipAddress, type Inventory, type Message, PROTOCOL_VERSION } from '../../node/wire/message.ts';
import { anyMessage } from '../node/wire/arbitrary.ts';
import { applyEdits, type Edit, edit } from './edits.ts';
import { type Material, material, unknownHash } from './material.ts';

/** How a stranger answers what the node asks of it. */
export type Answers = 'none' | 'right' | 'wrong' | 'echo';

/** One message. Numbers name things: see `build`. */
export type Recipe =
  | { readonly say: 'verack' | 'sendaddrv2' | 'wtxidrelay' | 'sendheaders' | 'getaddr' | 'mempool' }
  | {
      readonly say: 'version';
      readonly version: number;
      readonly services: number;
      /** 0: that of the node itself, as it told us. */
      readonly nonce: number;
      readonly agent: number;
      readonly relay: boolean;
    }
  | { readonly say: 'ping' | 'pong'; readonly nonce: number }
  | { readonly say: 'addr' | 'addrv2'; readonly kind: number; readonly count: number; readonly age: number }
  | {
      readonly say: 'inv' | 'getdata' | 'notfound';
      /** So many items, in turns; `fresh`: those behind the first turn are of things that nobody knows. */
      readonly items: readonly (readonly [kind: number, thing: number])[];
      readonly count: number;
      readonly fresh: boolean;
    }
  /** A locator of so many hashes, in turns. */
  | { readonly say: 'getheaders'; readonly locator: readonly number[]; readonly count: number; readonly stop: number }
  | {
      readonly say: 'headers';
      readonly branch: number;
      readonly skip: number;
      readonly order: 'right' | 'reversed' | 'gap' | 'twice';
    }
  | { readonly say: 'block' | 'tx'; readonly thing: number }
  | { readonly say: 'sendcmpct' | 'feefilter'; readonly value: number }
  /** Any payload of any command, as hex. */
  | { readonly say: 'bytes'; readonly command: string; readonly payload: string };

export type Step =
  /** So many links. `greets`: introduces itself as an honest peer does. */
  | { readonly do: 'open'; readonly who: number; readonly to: number; readonly greets: boolean; readonly count: number }
  | { readonly do: 'close'; readonly who: number; readonly link: number }
  | { readonly do: 'hello'; readonly who: number; readonly link: number; readonly relay: boolean }
  /** Tells of the headers of a branch and sends its blocks, `unasked` or when it is asked. */
  | {
      readonly do: 'offer';
      readonly who: number;
      readonly link: number;
      readonly branch: number;
      readonly unasked: boolean;
    }
  | {
      readonly do: 'send';
      readonly who: number;
      readonly link: number;
      readonly message: Recipe;
      /** So often. */
      readonly times: number;
      /** Of the payload, with a right checksum; and of the whole frame. */
      readonly edits: readonly Edit[];
      readonly frameEdits: readonly Edit[];
      /** Size of the pieces in which it comes; 0: whole. */
      readonly piece: number;
    }
  | { readonly do: 'answer'; readonly who: number; readonly how: Answers }
  /** Takes nothing of what the node sends any more, or takes it again. */
  | { readonly do: 'stall'; readonly who: number; readonly stalled: boolean }
  | { readonly do: 'wait'; readonly ms: number }
  /** What honest people do meanwhile: mine a block, pay, kill their node or end it in order, and start it again. */
  | { readonly do: 'mine' | 'pay' | 'crash' | 'restart'; readonly at: number }
  /** They ban the host of a stranger for an hour, or forgive it. */
  | { readonly do: 'ban' | 'forgive'; readonly at: number; readonly who: number };

/**
 * Where they listen and come from: each has a netgroup of its own, and only what is not loopback is ever discouraged. All at
 * the port of the network.
 */
export const HONEST_HOSTS = ['127.1.0.1', '20.1.0.1', '30.1.0.1'] as const;
export const STRANGER_HOSTS = ['127.11.0.1', '40.1.0.1', '50.1.0.1'] as const;
export const STRANGERS = STRANGER_HOSTS.length;
export const HONEST = HONEST_HOSTS.length;
const HOSTS = [...HONEST_HOSTS, ...STRANGER_HOSTS];
export const PORT = regtest.defaultPort;

const small = fc.nat(7);
const thing = fc.nat(200);
const recipe = fc.oneof(
  { weight: 4, arbitrary: fc.record({ say: fc.constantFrom('sendheaders', 'getaddr', 'verack') }) },
  { weight: 1, arbitrary: fc.record({ say: fc.constantFrom('sendaddrv2', 'wtxidrelay', 'mempool') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constant('version'),
      version: fc.constantFrom(PROTOCOL_VERSION, PROTOCOL_VERSION, 31_800, 31_799, 0, -1),
      services: fc.constantFrom(9, 9, 0, 0x1000009),
      nonce: fc.nat(3),
      agent: small,
      relay: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ say: fc.constantFrom('ping', 'pong'), nonce: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constantFrom('addr', 'addrv2'),
      kind: fc.nat(13),
      count: fc.constantFrom(0, 1, 2, 10, 11, 1000, 1001),
      age: fc.constantFrom(0, 60, 10_800, 3_000_000, -3600, -1e9),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constantFrom('inv', 'inv', 'getdata', 'getdata', 'notfound'),
      items: fc.array(fc.tuple(fc.constantFrom(1, 2, 5, 0x40000001, 0x40000002, 0, 4, 0xffffffff), thing), {
        maxLength: 6,
      }),
      count: fc.constantFrom(1, 2, 3, 6, 20, 1000, 1000, 50_001),
      fresh: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constant('getheaders'),
      locator: fc.array(thing, { maxLength: 4 }),
      count: fc.constantFrom(1, 2, 3, 4, 101, 102),
      stop: thing,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constant('headers'),
      branch: thing,
      skip: fc.constantFrom(0, 0, 0, 1, 2, 100),
      order: fc.constantFrom('right', 'right', 'right', 'reversed', 'gap', 'twice'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ say: fc.constantFrom('block', 'tx', 'tx'), thing }) },
  {
    weight: 4,
    arbitrary: fc.record({
      say: fc.constantFrom('sendcmpct', 'feefilter'),
      value: fc.constantFrom(0, 1, 2, 1000, -1, 2 ** 52),
    }),
  },
  {
    weight: 4,
    arbitrary: anyMessage.map((message) => ({
      say: 'bytes' as const,
      command: message.type,
      payload: bytesToHex(encodePayload(message)),
    })),
  },
) as fc.Arbitrary<Recipe>;

const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(arbitrary, { maxLength: 3 }) },
  );
const who = fc.nat(STRANGERS - 1);
const at = fc.nat(HONEST - 1);
const link = fc.nat(3);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('open'),
      who,
      to: at,
      greets: fc.boolean(),
      count: fc.constantFrom(1, 1, 1, 1, 2, 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close'), who, link }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hello'), who, link, relay: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('offer'), who, link, branch: thing, unasked: fc.boolean() }) },
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant('send'),
      who,
      link,
      message: recipe,
      times: fc.constantFrom(1, 1, 1, 1, 2, 10, 200),
      edits: rarely(edit),
      frameEdits: rarely(edit),
      piece: fc.constantFrom(0, 0, 0, 0, 1, 7, 100),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('answer'), who, how: fc.constantFrom('none', 'right', 'wrong', 'echo') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stall'), who, stalled: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(1, 10, 100, 1000, 3000, 30_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('mine', 'pay', 'pay'), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('ban', 'forgive'), at, who }) },
) as fc.Arbitrary<Step>;

/** Rare, because they take long: a node starts again, an hour goes by. */
const slowStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('crash', 'restart'), at }),
  fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(61_000, 21 * 60_000) }),
) as fc.Arbitrary<Step>;

/** Links first: without them nothing that follows means anything. Now and then all strangers tell of each other. */
const opening = fc
  .record({
    opened: fc.array(
      fc.record({ do: fc.constant('open' as const), who, to: at, greets: fc.constant(true), count: fc.constant(1) }),
      { minLength: 1, maxLength: 4 },
    ),
    how: fc.constantFrom<Answers>('none', 'right', 'right', 'wrong', 'echo'),
    gossips: fc.boolean(),
  })
  .map(({ opened, how, gossips }): readonly Step[] => {
    const all = Array.from(STRANGER_HOSTS, (_, n) => n);
    const answers = all.map((who): Step => ({ do: 'answer', who, how }));
    if (!gossips) return [...opened, ...answers];
    const message = { say: 'addr', kind: 0, count: 10, age: 60 } as const;
    const told = all.map(
      (who): Step => ({ do: 'send', who, link: 0, message, times: 1, edits: [], frameEdits: [], piece: 0 }),
    );
    return [...opened, ...answers, { do: 'wait', ms: 100 }, ...told, { do: 'wait', ms: 3000 }];
  });

export interface Session {
  readonly seed: number;
  readonly steps: readonly Step[];
}

export function session(maxSteps: number): fc.Arbitrary<Session> {
  const steps = fc.array(fc.oneof({ weight: 30, arbitrary: step }, { weight: 1, arbitrary: slowStep }), {
    minLength: 1,
    maxLength: maxSteps,
    // Unless it is told, fast-check stays near ten.
    size: 'max',
  });
  const opened = fc.tuple(opening, steps).map(([first, list]) => [...first, ...list]);
  return fc.record({ seed: fc.nat(1_000_000), steps: opened });
}

/** The headers of a branch, and its blocks where they are to come unasked. */
export function offerOf({ branch, unasked }: Extract<Step, { do: 'offer' }>): readonly Message[] {
  const from = material();
  const headers = pick(from.branches, branch);
  const bodies = new Map(from.blocks.map((block) => [block.header.hash, block]));
  const blocks = unasked ? headers.flatMap(({ hash }) => bodies.get(hash) ?? []) : [];
  return [{ type: 'headers', headers }, ...blocks.map((block): Message => ({ type: 'block', block }))];
}

/** What a stranger knows when it speaks. */
export interface Circumstances {
  /** Of the last `version` that the node sent. */
  readonly theirNonce: bigint;
  readonly unix: number;
}

/** The message of a recipe; undefined for plain bytes. */
export function build(what: Exclude<Recipe, { say: 'bytes' }>, circumstances: Circumstances): Message {
  const from = material();
  const type = what.say;
  switch (type) {
    case 'version':
      return {
        type,
        version: what.version,
        services: BigInt(what.services),
        time: BigInt(circumstances.unix),
        receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
        nonce: what.nonce === 0 ? circumstances.theirNonce : BigInt(what.nonce),
        userAgent: AGENTS[what.agent % AGENTS.length] as string,
        startHeight: 0,
        relay: what.relay,
      };
    case 'ping':
    case 'pong':
      return { type, nonce: BigInt(what.nonce) };
    case 'addr':
    case 'addrv2':
      return { type, addresses: addressesOf(what, circumstances, type === 'addr') };
    case 'inv':
    case 'getdata':
    case 'notfound': {
      const known = what.items.map(([kind, thing]) => itemOf(from, kind, thing));
      const items = Array.from({ length: known.length === 0 ? 0 : what.count }, (_, i): Inventory => {
        const item = pick(known, i);
        return what.fresh && i >= known.length ? { ...item, hash: unknownHash(1000 + i) } : item;
      });
      return { type, items };
    }
    case 'getheaders':
      return {
        type,
        version: PROTOCOL_VERSION,
        locator: Array.from({ length: what.locator.length === 0 ? 0 : what.count }, (_, i) =>
          blockHashOf(from, pick(what.locator, i)),
        ),
        stop: what.stop === 0 ? ('0'.repeat(64) as BlockHash) : blockHashOf(from, what.stop),
      };
    case 'headers': {
      const branch = from.branches[what.branch % from.branches.length] ?? [];
      const headers = branch.slice(what.skip);
      const middle = Math.floor(headers.length / 2);
      if (what.order === 'reversed') headers.reverse();
      else if (what.order === 'gap') headers.splice(middle, 1);
      else if (what.order === 'twice') headers.splice(middle, 0, ...headers.slice(middle, middle + 1));
      return { type, headers };
    }
    case 'block':
      return { type, block: pick(from.blocks, what.thing) };
    case 'tx':
      return { type, tx: pick(from.transactions, what.thing) };
    case 'sendcmpct':
      return { type, highBandwidth: what.value === 1, version: BigInt.asUintN(64, BigInt(what.value)) };
    case 'feefilter':
      return { type, satPerKvb: BigInt(what.value) };
    default:
      return { type };
  }
}

/** The bytes that go over the link. */
export function frameOf(step: Extract<Step, { do: 'send' }>, circumstances: Circumstances): Bytes {
  const { message: what, edits, frameEdits, times } = step;
  const built = what.say === 'bytes' ? undefined : build(what, circumstances);
  const command = what.say === 'bytes' ? what.command : what.say;
  const payload = built === undefined ? hexOf(what) : encodePayload(built);
  const frame = applyEdits(encodeFrame(regtest.magic, command, applyEdits(payload, edits)), frameEdits);
  // A flood of large messages would only be slow.
  const count = Math.max(1, Math.min(times, Math.floor(200_000 / frame.length)));
  return concatBytes(...Array.from({ length: count }, () => frame));
}

function hexOf(what: Recipe): Bytes {
  return what.say === 'bytes' ? Uint8Array.from(Buffer.from(what.payload, 'hex')) : new Uint8Array(0);
}

const AGENTS = [
  '/stranger/',
  '/Grapevine:0.1.0(devnet:h0)/',
  '/Grapevine:0.1.0(devnet:h1)/',
  '',
  '\u0000\u001b[2J',
  'x'.repeat(256),
  '(devnet:)',
  '/Satoshi:28.1.0/',
];

/** Addresses of honest nodes, of strangers, of nobody, and of what is no address. */
function addressesOf(
  { kind, count, age }: Extract<Recipe, { say: 'addr' | 'addrv2' }>,
  { unix }: Circumstances,
  ipOnly: boolean,
): GossipAddress[] {
  const time = Math.max(0, Math.min(0xffffffff, unix - age));
  return Array.from({ length: count }, (_, i): GossipAddress => {
    const ip = (host: string, port: number, services = 0x1000009n): GossipAddress => ({
      network: host.includes(':') ? 'ipv6' : 'ipv4',
      host,
      port,
      services,
      time,
    });
    switch (kind) {
      case 0:
        return ip(pick(HOSTS, i), PORT);
      case 1:
        return ip('127.0.0.1', 1024 + i);
      case 2:
        return ip(`127.${i % 256}.${i >> 8}.1`, PORT);
      case 3:
        return ip(`${1 + (i % 220)}.${i >> 8}.7.9`, 8333);
      case 4:
        return ip('0.0.0.0', 0);
      case 5:
        return ip(pick(HOSTS, i), PORT, 0n);
      case 6:
        return ip(`2600:${(i + 1).toString(16)}::1`, 1);
      case 7:
        return ip(pick(STRANGER_HOSTS, i), PORT, 9n);
      case 8:
        // All in one netgroup, as many as somebody who rents a subnet has.
        return ip(`60.1.${i >> 8}.${i % 256}`, PORT);
      case 9:
        return ip(pick(HOSTS, i), PORT + 1 + i);
      default:
        if (ipOnly) return ip(`10.0.${i >> 8}.${i % 256}`, 0xffff);
        return { ...otherNetwork(kind, i), services: 9n, time };
    }
  });
}

function otherNetwork(kind: number, i: number): Omit<GossipAddress, 'services' | 'time'> {
  const hex = (i + 1).toString(16);
  if (kind === 10) return { network: 'torv3', host: hex.padStart(64, '0'), port: 1 };
  if (kind === 11) return { network: 'i2p', host: hex.padStart(64, '0'), port: 0 };
  if (kind === 12) return { network: 'cjdns', host: `fc${hex.padStart(30, '0')}`, port: 1 };
  return { network: 'wss', host: `n${i % 9}.example.com`, port: 443, path: `/${hex}` };
}

function itemOf(from: Material, kind: number, thing: number): Inventory {
  const isBlock = (kind & 0xff) === 2;
  if (thing % 5 === 0) return { kind, hash: unknownHash(thing) };
  if (isBlock) return { kind, hash: blockHashOf(from, thing) };
  const tx = pick(from.transactions, thing);
  return { kind, hash: kind === 5 ? tx.wtxid : tx.txid };
}

function blockHashOf(from: Material, thing: number): BlockHash {
  if (thing % 7 === 0) return unknownHash(thing);
  return pick(from.blocks, thing).header.hash;
}

export function pick<T>(list: readonly T[], thing: number): T {
  return list[thing % list.length] as T;
}
