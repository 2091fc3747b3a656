/**
 * Output descriptors of what this wallet can hold: `tr(KEY)`, one key and no scripts, for all addresses of one or two chains
 * or for a single address. BIP 380 (checksum, keys), BIP 386 (`tr`), BIP 389 (`<0;1>`). Their meaning is in keys.ts.
 * A descriptor here is public: texts with private keys are refused, and so are scripts that cannot be spent here, by name.
 */
import { createBase58check } from '@scure/base';
import { sha256 } from '#hash';
import { fail, ok, type Result } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { withChecksum } from '../node/rpc/descriptor.ts';
import { type Descriptor, EXTERNAL, HARDENED, type KeyChain, type KeyOrigin } from './key-place.ts';

export interface DescriptorError {
  readonly code:
    | 'descriptor-checksum'
    | 'descriptor-format'
    | 'descriptor-key'
    | 'descriptor-network'
    | 'descriptor-private'
    | 'descriptor-script';
  readonly message: string;
  readonly hint: string;
}

const MAX_DESCRIPTOR_LENGTH = 1000;
const MAX_STEPS = 16;
const CHECKSUM_LENGTH = 8;

/** The text of all chains with its checksum: `tr([73c5da0a/86h/1h/0h]tpub…/<0;1>/*)#…`. */
export function formatDescriptor(descriptor: Descriptor): string {
  const [external, internal] = descriptor.chains;
  if (internal === undefined) return formatChain(descriptor, EXTERNAL);
  const steps = external.map((step, at) => (step === internal[at] ? `${step}` : `<${step};${internal[at]}>`));
  return render(descriptor, steps);
}

/** The text of one chain with its checksum, as programs want it that do not know `<0;1>`. */
export function formatChain(descriptor: Descriptor, chain: KeyChain): string {
  const steps = descriptor.chains[chain];
  if (steps === undefined) throw new Error(`the descriptor has no chain ${chain}`);
  return render(descriptor, steps);
}

function render({ origin, key, ranged }: Descriptor, steps: readonly (number | string)[]): string {
  const from = origin === undefined ? '' : `[${[origin.fingerprint, origin.path].filter(Boolean).join('/')}]`;
  const path = [...steps, ...(ranged ? ['*'] : [])].map((step) => `/${step}`).join('');
  return withChecksum(`tr(${from}${key.type === 'single' ? key.key : key.xpub}${path})`);
}

/**
 * Reads one descriptor, or the two lines that `wallet export` prints: the receiving chain and the change chain of the same
 * key. Every line must end in its checksum. Whether the keys are points of the curve is seen when they are used
 * (`AccountAddresses.fromDescriptor`).
 */
export function parseDescriptor(text: string, params: ChainParams): Result<Descriptor, DescriptorError> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (lines.length > 2) {
    return refuse('descriptor-format', `a wallet has one descriptor or two, not ${lines.length}`, EXAMPLE);
  }
  const read: Descriptor[] = [];
  for (const line of lines) {
    const parsed = parseLine(line.trim(), params);
    if (!parsed.ok) return parsed;
    read.push(parsed.value);
  }
  const [first, second] = read;
  if (first === undefined) return refuse('descriptor-format', 'there is no descriptor', EXAMPLE);
  return second === undefined ? ok(first) : join(first, second);
}

const EXAMPLE = 'for example tr([73c5da0a/86h/1h/0h]tpub…/<0;1>/*)#checksum, as "grapevine wallet export" prints it';

/** What other functions stand for, and why their coins cannot be had here. */
const FOREIGN: Readonly<Record<string, string>> = {
  pk: 'a bare public key',
  pkh: 'an address of the oldest kind (P2PKH)',
  wpkh: 'a segwit address of version 0 (P2WPKH)',
  sh: 'a script hash (P2SH)',
  wsh: 'a script of segwit version 0 (P2WSH)',
  combo: 'several kinds of address, most of them older than Taproot',
  multi: 'several signatures in a script',
  sortedmulti: 'several signatures in a script',
  multi_a: 'several signatures in a script',
  sortedmulti_a: 'several signatures in a script',
  addr: 'an address without its key',
  raw: 'a script without its key',
  rawtr: 'an output key without the internal key that it was made of',
};
const ONLY_TR = 'only tr(KEY) can be held here: every coin is Taproot and is spent with its key';

function parseLine(text: string, params: ChainParams): Result<Descriptor, DescriptorError> {
  if (text.length > MAX_DESCRIPTOR_LENGTH) {
    return refuse('descriptor-format', `the descriptor is longer than ${MAX_DESCRIPTOR_LENGTH} characters`, EXAMPLE);
  }
  const alien = [...text].find((character) => !/[ -~]/.test(character));
  if (alien !== undefined) {
    return refuse('descriptor-format', `${JSON.stringify(alien)} cannot stand in a descriptor`, EXAMPLE);
  }
  const [body = '', given, ...more] = text.split('#');
  // Before anything of it is repeated in a message.
  if (holdsPrivateKey(body)) {
    return refuse(
      'descriptor-private',
      'the descriptor holds a private key',
      'give the public one (xpub, as listdescriptors shows it): such a wallet watches; one that pays is made of its words',
    );
  }
  const call = /^([a-z_]+)\((.*)\)$/.exec(body);
  if (call === null) return refuse('descriptor-format', 'this is no descriptor', EXAMPLE);
  const [, name = '', inner = ''] = call;
  const right = withChecksum(body).slice(-CHECKSUM_LENGTH);
  if (more.length > 0 || (given !== undefined && given !== right)) {
    return refuse(
      'descriptor-checksum',
      `the checksum of the descriptor is ${right}, and the text has "${[given, ...more].join('#')}"`,
      'it was mistyped or cut: copy the whole line again',
    );
  }
  if (name !== 'tr') {
    const meaning = Object.hasOwn(FOREIGN, name) ? `${name}() is ${FOREIGN[name]}` : `${name}() is not known here`;
    return refuse('descriptor-script', meaning, ONLY_TR);
  }
  if (/^(?:\[[^\]]*\])?musig\(/.test(inner)) return refuse('descriptor-script', 'musig() is a key of several', ONLY_TR);
  if (inner.includes(',')) {
    return refuse('descriptor-script', 'tr() with a tree of scripts is not spent with its key alone', ONLY_TR);
  }
  const parsed = parseKey(inner, params);
  if (parsed.ok && given === undefined) {
    return refuse(
      'descriptor-checksum',
      'the descriptor has no checksum',
      `if every character is right, its end is #${right}`,
    );
  }
  return parsed;
}

const base58check = createBase58check(sha256);
/** First bytes of a private key in wallet import format: of mainnet, and of all test networks. */
const WIF_VERSIONS = [0x80, 0xef];
/** Bytes of a serialized extended key, BIP 32. */
const EXTENDED_SIZE = 78;

function decodeBase58(text: string): Uint8Array | undefined {
  try {
    return base58check.decode(text);
  } catch {
    // The library tells a bad text by an exception only.
    return undefined;
  }
}

/** Also where the text is otherwise no good: it could be mistyped, and must not be printed. */
function holdsPrivateKey(body: string): boolean {
  return (body.match(/[1-9A-HJ-NP-Za-km-z]{50,}/g) ?? []).some((word) => {
    if (/^[a-zA-Z]prv/.test(word)) return true;
    const bytes = decodeBase58(word);
    return bytes !== undefined && (bytes.length === 33 || bytes.length === 34) && WIF_VERSIONS.includes(bytes[0] ?? 0);
  });
}

function parseKey(text: string, params: ChainParams): Result<Descriptor, DescriptorError> {
  const match = /^(\[[^\]]*\])?([^/[\]]*)((?:\/.*)?)$/.exec(text);
  if (match === null) return refuse('descriptor-format', `"${text}" is no key`, EXAMPLE);
  const [, originText, keyText = '', pathText = ''] = match;
  const origin = originText === undefined ? ok(undefined) : parseOrigin(originText);
  if (!origin.ok) return origin;
  if (/^[0-9a-fA-F]+$/.test(keyText)) {
    const key = parseSingleKey(keyText);
    if (!key.ok) return key;
    if (pathText !== '') return refuse('descriptor-key', 'a single key has no path behind it', EXAMPLE);
    return ok({ origin: origin.value, key: { type: 'single', key: key.value }, chains: [[]], ranged: false });
  }
  const wrong = checkExtendedKey(keyText, params);
  if (wrong !== undefined) return fail(wrong);
  const path = parsePath(pathText);
  if (!path.ok) return path;
  return ok({ origin: origin.value, key: { type: 'extended', xpub: keyText }, ...path.value });
}

function parseOrigin(text: string): Result<KeyOrigin, DescriptorError> {
  const match = /^\[([0-9a-fA-F]{8})((?:\/\d{1,10}[hH']?)*)\]$/.exec(text);
  if (match === null) {
    return refuse(
      'descriptor-format',
      `"${text}" is no origin of a key`,
      'it has eight hex digits and a path: [73c5da0a/86h/1h/0h]',
    );
  }
  const [, fingerprint = '', path = ''] = match;
  return ok({ fingerprint: fingerprint.toLowerCase(), path: path.slice(1).replace(/[H']/g, 'h') });
}

function parseSingleKey(text: string): Result<string, DescriptorError> {
  const lower = text.toLowerCase();
  const key = /^0[23]/.test(lower) && lower.length === 66 ? lower.slice(2) : lower;
  if (key.length !== 64) {
    return refuse(
      'descriptor-key',
      `a key in tr() has 32 bytes, or 33 that begin with 02 or 03; this one has ${text.length} hex digits`,
      'give it as 64 hex digits',
    );
  }
  return ok(key);
}

function checkExtendedKey(text: string, params: ChainParams): DescriptorError | undefined {
  const bad = (code: DescriptorError['code'], message: string, hint: string): DescriptorError => ({
    code,
    message,
    hint,
  });
  const bytes = decodeBase58(text);
  if (bytes === undefined || bytes.length !== EXTENDED_SIZE) {
    const isPlausible = /^[a-zA-Z]pub/.test(text);
    return isPlausible
      ? bad('descriptor-key', 'the checksum of the extended public key does not match', 'copy the whole key again')
      : bad('descriptor-key', `"${text}" is neither an extended public key nor 32 bytes in hex`, EXAMPLE);
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (version !== params.bip32.public) {
    return bad(
      'descriptor-network',
      `the key (${text.slice(0, 4)}…) is of another network or kind than ${params.name}`,
      'name the network of the key with --network; zpub, ypub and the like are of other kinds of address',
    );
  }
  return undefined;
}

function parsePath(text: string): Result<Pick<Descriptor, 'chains' | 'ranged'>, DescriptorError> {
  const parts = text === '' ? [] : text.slice(1).split('/');
  const ranged = /^\*[hH']?$/.test(parts.at(-1) ?? '');
  const hardened = parts.find((part) => /[hH']/.test(part));
  if (hardened !== undefined) {
    return refuse(
      'descriptor-key',
      `the step "${hardened}" is hardened: no public key leads there`,
      'give the extended public key behind the last hardened step, with its origin in brackets',
    );
  }
  if (parts.length > MAX_STEPS) return refuse('descriptor-key', `the path has more than ${MAX_STEPS} steps`, EXAMPLE);
  const chains: [number[], number[]] = [[], []];
  let isDouble = false;
  for (const part of ranged ? parts.slice(0, -1) : parts) {
    const match = /^(?:(\d{1,10})|<(\d{1,10});(\d{1,10})>)$/.exec(part);
    const pair = match === null ? [] : [Number(match[1] ?? match[2]), Number(match[1] ?? match[3])];
    const [first = HARDENED, second = HARDENED] = pair;
    if (first >= HARDENED || second >= HARDENED) {
      const many = /^<[\d;]*>$/.test(part) ? 'a wallet has two chains, of receiving and of change addresses' : EXAMPLE;
      return refuse('descriptor-key', `"${part}" is no step of a path`, many);
    }
    if (match?.[2] !== undefined) {
      if (isDouble || first === second) {
        return refuse('descriptor-key', `"${part}" does not tell two chains apart`, 'write <0;1> once');
      }
      isDouble = true;
    }
    chains[0].push(first);
    chains[1].push(second);
  }
  return ok({ chains: isDouble ? chains : [chains[0]], ranged });
}

/** The receiving and the change chain of one key. */
function join(first: Descriptor, second: Descriptor): Result<Descriptor, DescriptorError> {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const [[external, more], [internal, evenMore]] = [first.chains, second.chains];
  const differing = external.filter((step, at) => step !== internal[at]).length;
  const fits =
    more === undefined &&
    evenMore === undefined &&
    first.ranged === second.ranged &&
    external.length === internal.length &&
    differing === 1;
  if (fits && same(first.key, second.key) && same(first.origin, second.origin)) {
    return ok({ ...first, chains: [external, internal] });
  }
  return refuse(
    'descriptor-format',
    'the two descriptors are not the receiving and the change chain of one key',
    'import them one by one, each as a wallet of its own',
  );
}

function refuse(code: DescriptorError['code'], message: string, hint: string): Result<never, DescriptorError> {
  return fail({ code, message, hint });
}
