/**
 * Output descriptors: their checksum (BIP 380), and the forms that outputs of this chain can have: `tr(KEY)` (BIP 386),
 * `rawtr(KEY)`, `addr()` and `raw()` (BIP 385). Descriptors of given scripts are made by script-json.ts. A descriptor here
 * is public: private keys are refused, and never repeated in a message.
 */
import { bytesToHex, hexToBytes } from '#hash';
import { decodeAddress, KEY_SIZE, p2trScript } from '../../consensus/address.ts';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { concatBytes } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { tweakPublicKey } from '../../consensus/signature.ts';
import { isCurveX } from './curve.ts';
import {
  decodeBase58,
  deriveChild,
  type ExtendedKey,
  fingerprintOf,
  formatPath,
  HARDENED,
  isPublicKey,
  readExtendedKey,
} from './extended-key.ts';
import { isHex } from './json.ts';

/** Position in this text modulo 32 is the symbol of a character, the quotient its group. */
const INPUT = '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ ';
const OUTPUT = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** What the code adds for each of the five bits that fall out, in two numbers of 10 and 30 bits, as bit operations hold 32. */
const GENERATOR = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn];
/** The sums for all 32 combinations of those bits. */
const HIGH = combinations(GENERATOR.map((word) => Number(word >> 30n)));
const LOW = combinations(GENERATOR.map((word) => Number(word & 0x3fffffffn)));

function combinations(words: readonly number[]): readonly number[] {
  return Array.from({ length: 32 }, (_, bits) =>
    words.reduce((sum, word, bit) => (((bits >>> bit) & 1) === 1 ? sum ^ word : sum), 0),
  );
}

/** The descriptor, `#` and its eight characters of checksum. */
export function withChecksum(descriptor: string): string {
  // The state of 40 bits: 10 and 30.
  let high = 0;
  let low = 1;
  const feed = (symbol: number) => {
    const top = high >>> 5;
    high = (((high & 0x1f) << 5) | (low >>> 25)) ^ (HIGH[top] as number);
    low = ((low & 0x1ffffff) << 5) ^ symbol ^ (LOW[top] as number);
  };
  let groups = 0;
  for (let i = 0; i < descriptor.length; i++) {
    const position = INPUT.indexOf(descriptor.charAt(i));
    if (position < 0) throw new Error(`a descriptor has no ${JSON.stringify(descriptor.charAt(i))}`);
    feed(position & 31);
    groups = groups * 3 + (position >>> 5);
    if (i % 3 === 2) {
      feed(groups);
      groups = 0;
    }
  }
  if (descriptor.length % 3 !== 0) feed(groups);
  for (let i = 0; i < 8; i++) feed(0);
  low ^= 1;
  let checksum = '';
  for (let i = 7; i >= 0; i--) {
    const symbol = i >= 6 ? high >>> (5 * (i - 6)) : low >>> (5 * i);
    checksum += OUTPUT[symbol & 31];
  }
  return `${descriptor}#${checksum}`;
}

const CHECKSUM_LENGTH = 8;
/** Longest text that is read; one key with its origin and path takes about 300 characters. */
const MAX_DESCRIPTOR_LENGTH = 2000;
/** Steps behind a key: deriving costs a multiplication for each. */
const MAX_PATH_STEPS = 32;

/** A key in a descriptor: a fixed one, or an extended one with a path behind it. */
export interface KeyExpression {
  /** The text between `[` and `]`: where the key comes from. */
  readonly origin: { readonly fingerprint: string; readonly path: readonly number[] } | undefined;
  readonly key: /** 33 bytes, or `xOnly` 32. */
    | { readonly type: 'fixed'; readonly bytes: Bytes; readonly xOnly: boolean }
    | { readonly type: 'extended'; readonly root: ExtendedKey; readonly path: readonly number[] };
  readonly wildcard: 'none' | 'unhardened' | 'hardened';
  /** What marks hardened steps in the text. */
  readonly hardenedSign: 'h' | "'";
}

/** An output descriptor of the kinds that exist here. */
export type Descriptor =
  | { readonly type: 'tr' | 'rawtr'; readonly key: KeyExpression }
  | { readonly type: 'raw'; readonly script: Bytes }
  | { readonly type: 'addr'; readonly address: string; readonly script: Bytes };

/** One script of a descriptor, and what a signer wants to know of it. */
export interface ExpandedScript {
  readonly script: Bytes;
  /** The key that the output key was made of, and how its owner derives it: of `tr` only. */
  readonly internal:
    | { readonly key: Bytes; readonly fingerprint: string; readonly path: readonly number[] }
    | undefined;
  /** A descriptor of this script alone, with checksum; undefined where no key is known. */
  readonly desc: string | undefined;
}

/**
 * Reads `tr(KEY)`, `rawtr(KEY)`, `addr(ADDRESS)` or `raw(HEX)`, with or without checksum. The error is Core's where Core
 * has one.
 */
export function parseDescriptor(
  text: string,
  params: ChainParams,
  { requireChecksum = false }: { readonly requireChecksum?: boolean } = {},
): Result<Descriptor, string> {
  if (text.length > MAX_DESCRIPTOR_LENGTH) return fail(`A descriptor has at most ${MAX_DESCRIPTOR_LENGTH} characters`);
  const [body = '', given, ...more] = text.split('#');
  if (more.length > 0) return fail("Multiple '#' symbols");
  if (given === undefined && requireChecksum) return fail('Missing checksum');
  if (given !== undefined && given.length !== CHECKSUM_LENGTH) {
    return fail(`Expected ${CHECKSUM_LENGTH} character checksum, not ${given.length} characters`);
  }
  if ([...body].some((character) => !INPUT.includes(character))) return fail('Invalid characters in payload');
  const computed = checksumOf(body);
  if (given !== undefined && given !== computed) {
    return fail(`Provided checksum '${given}' does not match computed checksum '${computed}'`);
  }
  const call = /^([a-z_0-9]+)\((.*)\)$/s.exec(body);
  const [, name = '', inner = ''] = call ?? [];
  switch (name) {
    case 'tr':
    case 'rawtr':
      return parseKeyDescriptor(name, inner, params);
    case 'addr': {
      const script = decodeAddress(inner, params);
      return script.ok
        ? ok({ type: 'addr', address: inner.toLowerCase(), script: script.value })
        : fail('Address is not valid');
    }
    case 'raw':
      return isHex(inner) ? ok({ type: 'raw', script: hexToBytes(inner) }) : fail('Raw script is not hex');
    default:
      if (FOREIGN_FUNCTIONS.includes(name)) {
        return fail(
          `${name}() describes outputs that this chain does not have: only tr(), rawtr(), addr() and raw() can be`,
        );
      }
      return fail(`'${withoutSecrets(body)}' is not a valid descriptor function`);
  }
}

const FOREIGN_FUNCTIONS = [
  'pk',
  'pkh',
  'wpkh',
  'sh',
  'wsh',
  'combo',
  'multi',
  'sortedmulti',
  'multi_a',
  'sortedmulti_a',
];

function parseKeyDescriptor(type: 'tr' | 'rawtr', inner: string, params: ChainParams): Result<Descriptor, string> {
  if (inner.includes(',')) {
    return fail(
      type === 'tr'
        ? 'tr() with scripts is not supported: outputs of this chain are spent with their key'
        : 'rawtr(): only one key expected.',
    );
  }
  const key = parseKey(inner, params);
  if (key.ok) return ok({ type, key: key.value });
  return fail(type === 'tr' ? `tr(): ${key.error}` : key.error);
}

function parseKey(text: string, params: ChainParams): Result<KeyExpression, string> {
  const [first = '', second, ...more] = text.split(']');
  if (more.length > 0) return fail("Multiple ']' characters found for a single pubkey");
  let hardenedSign: 'h' | "'" = 'h';
  const onHardened = (sign: 'h' | "'") => {
    hardenedSign = sign;
  };
  let origin: KeyExpression['origin'];
  if (second !== undefined) {
    if (!first.startsWith('[')) {
      const got = first.charAt(0) || ']';
      return fail(`Key origin start '[ character expected but not found, got '${got}' instead`);
    }
    const [fingerprint = '', ...steps] = first.slice(1).split('/');
    if (fingerprint.length !== 8) {
      return fail(`Fingerprint is not 4 bytes (${fingerprint.length} characters instead of 8 characters)`);
    }
    if (!isHex(fingerprint)) return fail(`Fingerprint '${fingerprint}' is not hex`);
    const path = parsePath(steps, onHardened);
    if (!path.ok) return path;
    origin = { fingerprint: fingerprint.toLowerCase(), path: path.value };
  }
  const [keyText = '', ...steps] = (second ?? first).split('/');
  if (keyText === '') return fail('No key provided');
  if (isPrivateKey(keyText)) {
    return fail('private keys are not accepted here: give the public descriptor (xpub instead of xprv)');
  }
  if (steps.length === 0 && isHex(keyText)) {
    const key = parseFixedKey(keyText);
    return key.ok ? ok({ origin, key: key.value, wildcard: 'none', hardenedSign }) : key;
  }
  const root = readExtendedKey(keyText, params);
  if (!root.ok) return fail(`key '${keyText}' ${root.error}`);
  if (steps.length > MAX_PATH_STEPS) return fail(`a path has at most ${MAX_PATH_STEPS} steps`);
  const last = /^\*(['h]?)$/.exec(steps.at(-1) ?? '');
  const sign = last?.[1];
  const path = parsePath(last === null ? steps : steps.slice(0, -1), onHardened);
  if (!path.ok) return path;
  if (sign === 'h' || sign === "'") hardenedSign = sign;
  const wildcard = sign === undefined ? 'none' : sign === '' ? 'unhardened' : 'hardened';
  return ok({ origin, key: { type: 'extended', root: root.value, path: path.value }, wildcard, hardenedSign });
}

function parseFixedKey(text: string): Result<KeyExpression['key'], string> {
  const bytes = hexToBytes(text);
  if (bytes.length === 65 && /^0[67]/.test(text)) return fail('Hybrid public keys are not allowed');
  if (bytes.length === 65 && bytes[0] === 4) return fail('Uncompressed keys are not allowed');
  if (bytes.length === 33 && isPublicKey(bytes)) return ok({ type: 'fixed', bytes, xOnly: false });
  if (bytes.length === 32 && isCurveX(bytes)) return ok({ type: 'fixed', bytes, xOnly: true });
  return fail(`Pubkey '${text}' is invalid`);
}

function parsePath(steps: readonly string[], onHardened: (sign: 'h' | "'") => void): Result<readonly number[], string> {
  const path: number[] = [];
  for (const step of steps) {
    const sign = /['h]$/.exec(step)?.[0];
    if (sign === 'h' || sign === "'") onHardened(sign);
    const digits = sign === undefined ? step : step.slice(0, -1);
    const value = /^\d{1,10}$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
    if (value > 0xffffffff) return fail(`Key path value '${digits}' is not a valid uint32`);
    if (value >= HARDENED) return fail(`Key path value ${value} is out of range`);
    path.push(sign === undefined ? value : value + HARDENED);
  }
  return ok(path);
}

/** The bytes in front of a private key in wallet import format: of mainnet, and of all test networks. */
const PRIVATE_KEY_VERSIONS = [0x80, 0xef];

function isPrivateKey(text: string): boolean {
  if (/^[a-zA-Z]prv/.test(text)) return true;
  const bytes = decodeBase58(text);
  return (
    bytes !== undefined && (bytes.length === 33 || bytes.length === 34) && PRIVATE_KEY_VERSIONS.includes(bytes[0] ?? 0)
  );
}

/** A text as it may be repeated in an error: without anything that could be a private key. */
function withoutSecrets(text: string): string {
  return text.replace(/[1-9A-HJ-NP-Za-km-z]{50,}/g, (word) => (isPrivateKey(word) ? '…' : word));
}

/** True if it stands for a script at every index. */
export function isRanged(descriptor: Descriptor): boolean {
  return 'key' in descriptor && descriptor.key.wildcard !== 'none';
}

/** Its text in canonical form, without checksum. */
export function formatDescriptor(descriptor: Descriptor): string {
  switch (descriptor.type) {
    case 'raw':
      return `raw(${bytesToHex(descriptor.script)})`;
    case 'addr':
      return `addr(${descriptor.address})`;
    default:
      return `${descriptor.type}(${formatKey(descriptor.key)})`;
  }
}

function formatKey({ origin, key, wildcard, hardenedSign }: KeyExpression): string {
  const from = origin === undefined ? '' : `[${origin.fingerprint}${formatPath(origin.path, hardenedSign)}]`;
  if (key.type === 'fixed') return from + bytesToHex(key.bytes);
  const all = wildcard === 'none' ? '' : wildcard === 'unhardened' ? '/*' : `/*${hardenedSign}`;
  return from + key.root.text + formatPath(key.path, hardenedSign) + all;
}

/**
 * Its scripts from one index to another, both included; of one that is not ranged the only script, whatever they are.
 * Fails where only a private key leads there.
 */
export function expandDescriptor(
  descriptor: Descriptor,
  [first, last]: readonly [number, number],
): Result<readonly ExpandedScript[], string> {
  if (!('key' in descriptor)) return ok([{ script: descriptor.script, internal: undefined, desc: undefined }]);
  const { type, key } = descriptor;
  if (!isRanged(descriptor)) {
    const derived = deriveBase(key);
    return derived.ok ? expandAll(type, [derived.value]) : derived;
  }
  if (key.wildcard === 'hardened') return fail(NO_PRIVATE_KEYS);
  const base = deriveBase(key);
  if (!base.ok) return base;
  const keys: DerivedKey[] = [];
  for (let index = first; index <= last; index++) keys.push(childOf(base.value, index));
  return expandAll(type, keys);
}

const NO_PRIVATE_KEYS = 'Cannot derive script without private keys';
const NO_CHAIN_CODE: Bytes = new Uint8Array(0);
/** What stands before the x of a point of even y. */
const EVEN: Bytes = Uint8Array.of(2);

interface DerivedKey {
  readonly publicKey: Bytes;
  /** Empty for a fixed key: nothing derives from it. */
  readonly chainCode: Bytes;
  /** A key that does not say where it comes from is its own origin. */
  readonly origin: NonNullable<KeyExpression['origin']>;
}

/** The key that stands before the wildcard. */
function deriveBase({ origin, key }: KeyExpression): Result<DerivedKey, string> {
  if (key.type === 'fixed') {
    const publicKey = key.xOnly ? concatBytes(EVEN, key.bytes) : key.bytes;
    return ok({
      publicKey,
      chainCode: NO_CHAIN_CODE,
      origin: origin ?? { fingerprint: fingerprintOf(publicKey), path: [] },
    });
  }
  if (key.path.some((step) => step >= HARDENED)) return fail(NO_PRIVATE_KEYS);
  const { publicKey, chainCode } = key.root;
  const root: DerivedKey = {
    publicKey,
    chainCode,
    origin: origin ?? { fingerprint: fingerprintOf(publicKey), path: [] },
  };
  return ok(key.path.reduce(childOf, root));
}

function childOf(parent: DerivedKey, index: number): DerivedKey {
  const { origin } = parent;
  return { ...deriveChild(parent, index), origin: { ...origin, path: [...origin.path, index] } };
}

function expandAll(type: 'tr' | 'rawtr', keys: readonly DerivedKey[]): Result<readonly ExpandedScript[], string> {
  const expanded: ExpandedScript[] = [];
  for (const { publicKey, origin } of keys) {
    const xOnly = publicKey.slice(-KEY_SIZE);
    const { fingerprint, path } = origin;
    const desc = withChecksum(`${type}([${fingerprint}${formatPath(path)}]${bytesToHex(xOnly)})`);
    if (type === 'rawtr') {
      expanded.push({ script: p2trScript(xOnly), internal: undefined, desc });
      continue;
    }
    const output = tweakPublicKey(xOnly);
    if (!output.ok) return output;
    expanded.push({ script: p2trScript(output.value), internal: { key: xOnly, fingerprint, path }, desc });
  }
  return ok(expanded);
}

/** The checksum alone. */
export function checksumOf(body: string): string {
  return withChecksum(body).slice(-CHECKSUM_LENGTH);
}
