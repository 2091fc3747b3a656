/**
 * Chain files: a private network as JSON. RULES.md A12 lists what differs between networks; here each of it is a field, read
 * and checked, so that two people who have the same file are on the same chain and a mistake in it has a name.
 */
import { bytesToHex, hexToBytes, sha256 } from '#hash';
import { fail, ok, type Result } from './brand.ts';
import { findGenesisNonce, MAX_GENESIS_TEXT, MAX_NONCE, makeGenesis } from './genesis.ts';
import { type ChainParams, COIN, MAX_MONEY, networkByName, networkNames, vinenet } from './params.ts';
import { parseUrl } from './parse-url.ts';
import { decodeCompact, encodeCompact, workOf } from './pow.ts';

/** The half-life must span so many blocks, or the difficulty follows chance. */
export const LEAST_HALF_LIFE_BLOCKS = 10;
/** The future-time limit is at most the half-life divided by this: a miner can lower the difficulty by dating ahead. */
const FUTURE_DIVISOR = 20;
const DAY = 86_400;
const YEAR = 365 * DAY;
const MAX_TIME = 0xffffffff;
const MAX_PORT = 65_535;
const MAX_INT32 = 0x7fffffff;
const MAX_SEEDS = 32;
const MAX_SEED_LENGTH = 300;
/** A path begins with `/` and has neither spaces nor `#`; IPv6 literals stand in brackets. Without a port, the usual one. */
const SEED = /^(ws|wss|tcp):\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?(\/[!"$-~]*)?$/i;
/** A node keeps its data in a folder of the network's name, and these hold other things. */
const OTHER_FOLDERS = ['devnet', 'wallets', 'snapshots'];
/** What a message shows of a wrong value: the file may be a stranger's. */
const MAX_SHOWN = 100;
/** A genesis block that costs more hashes than these is not searched for: they take half a minute. */
const MAX_GENESIS_HASHES = 1n << 24n;
/** A connection that begins with these is taken for a web browser's. */
const HTTP_MAGIC = '47455420';

/** What must be said of a new chain; all else follows or has vinenet's value. */
export interface NewChain {
  readonly name: string;
  readonly spacingSeconds: number;
  readonly halfLifeSeconds: number;
  readonly anchorBits: number;
  readonly powLimitBits: number;
  readonly maxFutureSeconds?: number;
  readonly hrp: string;
  readonly peerPort: number;
  readonly rpcPort: number;
  /** Seconds since 1970. */
  readonly time: number;
  readonly text: string;
}

/** The longest that blocks may be dated ahead on a chain of that half-life, in seconds. */
export function defaultFutureSeconds(halfLifeSeconds: number): number {
  return Math.max(1, Math.floor(halfLifeSeconds / FUTURE_DIVISOR));
}

/** Makes a chain: finds the nonce of its genesis block, and gives it a magic of its own. The problems, if it cannot be. */
export function makeChain(chain: NewChain): Result<ChainParams, readonly string[]> {
  const draft = draftOf(chain, 0, '0'.repeat(8), '0'.repeat(64));
  const problems = readFields(draft).problems.filter((problem) => !/^(magic|genesis\.(nonce|hash)):/.test(problem));
  if (problems.length > 0) return fail(problems);
  const { text, time, powLimitBits: bits } = chain;
  if (workOf(bits) > MAX_GENESIS_HASHES) {
    const reason = `the first block would cost ${workOf(bits)} hashes, more than the ${MAX_GENESIS_HASHES} that are tried`;
    return fail([`powLimitBits: ${reason}: the difficulty may begin higher, with anchorBits`]);
  }
  const nonce = findGenesisNonce({ text, time, bits, value: vinenet.initialSubsidy });
  if (nonce === undefined) return fail(['genesis: no nonce gives this block its proof of work: change the text']);
  const { hash } = makeGenesis({ text, time, bits, nonce, value: vinenet.initialSubsidy }).header;
  // Bytes above 0x7f cannot be the beginning of a text.
  const magic = bytesToHex(
    sha256(new TextEncoder().encode(`${chain.name} ${hash}`))
      .subarray(0, 4)
      .map((byte) => byte | 0x80),
  );
  return readChain(draftOf(chain, nonce, magic, hash));
}

function draftOf(chain: NewChain, nonce: number, magic: string, hash: string): ChainFile {
  const { name, spacingSeconds, halfLifeSeconds, anchorBits, powLimitBits, hrp, peerPort, rpcPort, time, text } = chain;
  const maxFutureSeconds = chain.maxFutureSeconds ?? defaultFutureSeconds(halfLifeSeconds);
  const { bip32, coinType, initialSubsidy, halvingInterval } = vinenet;
  return {
    name,
    spacingSeconds,
    halfLifeSeconds,
    anchorBits: hex32(anchorBits),
    powLimitBits: hex32(powLimitBits),
    maxFutureSeconds,
    subsidySats: Number(initialSubsidy),
    halvingInterval,
    magic,
    peerPort,
    rpcPort,
    hrp,
    bip32Public: hex32(bip32.public),
    bip32Private: hex32(bip32.private),
    coinType,
    genesis: { text, time, bits: hex32(powLimitBits), nonce, hash },
    seeds: [],
    assumeValid: null,
  };
}

/** The file as parsed from JSON, where it is right. Bits, magic, versions and hashes are hex. */
interface ChainFile {
  readonly name: string;
  readonly spacingSeconds: number;
  readonly halfLifeSeconds: number;
  readonly anchorBits: string;
  readonly powLimitBits: string;
  readonly maxFutureSeconds: number;
  readonly subsidySats: number;
  readonly halvingInterval: number;
  readonly magic: string;
  readonly peerPort: number;
  readonly rpcPort: number;
  readonly hrp: string;
  readonly bip32Public: string;
  readonly bip32Private: string;
  readonly coinType: number;
  readonly genesis: {
    readonly text: string;
    readonly time: number;
    readonly bits: string;
    readonly nonce: number;
    readonly hash: string;
  };
  readonly seeds: readonly string[];
  readonly assumeValid: string | null;
}

const FIELDS: readonly (keyof ChainFile)[] = [
  'name',
  'spacingSeconds',
  'halfLifeSeconds',
  'anchorBits',
  'powLimitBits',
  'maxFutureSeconds',
  'subsidySats',
  'halvingInterval',
  'magic',
  'peerPort',
  'rpcPort',
  'hrp',
  'bip32Public',
  'bip32Private',
  'coinType',
  'genesis',
  'seeds',
  'assumeValid',
];
const GENESIS_FIELDS = ['text', 'time', 'bits', 'nonce', 'hash'];

/** The text of the file of a network that is no built-in one. */
export function encodeChainFile(params: ChainParams): string {
  const { retargeting, genesis, bip32 } = params;
  if (retargeting === undefined) throw new Error(`${params.name} has no schedule of difficulty`);
  const [coinbase] = genesis.transactions;
  const { time, bits, nonce, hash } = genesis.header;
  const text = new TextDecoder().decode(coinbase?.inputs[0]?.scriptSig.subarray(1));
  const file: ChainFile = {
    name: params.name,
    spacingSeconds: retargeting.spacing,
    halfLifeSeconds: retargeting.halfLife,
    anchorBits: hex32(retargeting.anchorBits),
    powLimitBits: hex32(params.powLimitBits),
    maxFutureSeconds: params.maxFutureSeconds,
    subsidySats: Number(params.initialSubsidy),
    halvingInterval: params.halvingInterval,
    magic: bytesToHex(params.magic),
    peerPort: params.defaultPort,
    rpcPort: params.defaultRpcPort,
    hrp: params.hrp,
    bip32Public: hex32(bip32.public),
    bip32Private: hex32(bip32.private),
    coinType: params.coinType,
    genesis: { text, time, bits: hex32(bits), nonce, hash },
    seeds: params.seeds,
    assumeValid: params.assumeValid ?? null,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** The network of a chain file, or all that is wrong with it: `field: reason`. */
export function decodeChainFile(text: string): Result<ChainParams, readonly string[]> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return fail([`not JSON: ${shown((error as Error).message)}`]);
  }
  return readChain(parsed);
}

function readChain(parsed: unknown): Result<ChainParams, readonly string[]> {
  const { problems, params } = readFields(parsed);
  return params === undefined || problems.length > 0 ? fail(problems) : ok(params);
}

/** Reads every field, so that all problems are told at once. */
function readFields(parsed: unknown): { readonly problems: readonly string[]; readonly params?: ChainParams } {
  if (!isObject(parsed)) return { problems: ['the file must hold one JSON object'] };
  const reader = new FieldReader(parsed, '');
  reader.exactly(FIELDS);
  const name = reader.text('name', /^[a-z][a-z0-9-]{1,31}$/, '2 to 32 lower-case letters, digits and hyphens');
  if (networkNames.includes(name)) reader.problem('name', `${name} is a built-in network`);
  if (OTHER_FOLDERS.includes(name)) reader.problem('name', `${name} is the name of a folder beside the networks' own`);
  const spacing = reader.number('spacingSeconds', 1, DAY);
  const halfLife = reader.number('halfLifeSeconds', 1, 10 * YEAR);
  if (halfLife < LEAST_HALF_LIFE_BLOCKS * spacing) {
    reader.problem(
      'halfLifeSeconds',
      `must be at least ${LEAST_HALF_LIFE_BLOCKS} spacings, ${LEAST_HALF_LIFE_BLOCKS * spacing} s`,
    );
  }
  const powLimitBits = reader.bits('powLimitBits');
  const anchorBits = reader.bits('anchorBits');
  const powLimit = decodeCompact(powLimitBits) ?? 0n;
  if ((decodeCompact(anchorBits) ?? 0n) > powLimit) {
    reader.problem('anchorBits', `easier than the limit of the network, powLimitBits ${hex32(powLimitBits)}`);
  }
  const maxFutureSeconds = reader.number('maxFutureSeconds', 1, defaultFutureSeconds(halfLife));
  const subsidy = BigInt(reader.number('subsidySats', 1, Number(MAX_MONEY)));
  const halvingInterval = reader.number('halvingInterval', 1, MAX_INT32);
  // Halved again and again it comes to less than twice what is paid before the first halving.
  if (2n * subsidy * BigInt(halvingInterval) > MAX_MONEY) {
    reader.problem(
      'subsidySats',
      `more than ${MAX_MONEY / COIN} coins would be made with a halving every ${halvingInterval} blocks`,
    );
  }
  const magic = reader.hex('magic', 4);
  const owner = networkNames.find((one) => bytesToHex((networkByName(one) as ChainParams).magic) === magic);
  if (owner !== undefined) reader.problem('magic', `that of ${owner}`);
  if (magic === HTTP_MAGIC) reader.problem('magic', 'these bytes are "GET ": a peer would be taken for a browser');
  const peerPort = reader.number('peerPort', 1, MAX_PORT);
  const rpcPort = reader.number('rpcPort', 1, MAX_PORT);
  if (peerPort === rpcPort) reader.problem('rpcPort', 'must differ from peerPort');
  const hrp = reader.text('hrp', /^[a-z]{1,16}$/, '1 to 16 lower-case letters');
  const bip32 = { public: reader.word('bip32Public'), private: reader.word('bip32Private') };
  if (bip32.public === bip32.private) reader.problem('bip32Private', 'must differ from bip32Public');
  const coinType = reader.number('coinType', 0, MAX_INT32);
  const seeds = reader.texts('seeds', isSeed, MAX_SEEDS, 'tcp://HOST:PORT, or ws:// or wss://HOST:PORT/PATH');
  const assumeValid = parsed['assumeValid'] === null ? undefined : reader.hex('assumeValid', 32);

  const first = new FieldReader(isObject(parsed['genesis']) ? parsed['genesis'] : {}, 'genesis.', reader.problems);
  first.exactly(GENESIS_FIELDS);
  const text = first.text(
    'text',
    new RegExp(`^[ -~]{1,${MAX_GENESIS_TEXT}}$`),
    `1 to ${MAX_GENESIS_TEXT} ASCII characters`,
  );
  const time = first.number('time', 1, MAX_TIME);
  const bits = first.bits('bits');
  const nonce = first.number('nonce', 0, MAX_NONCE);
  const hash = first.hex('hash', 32);
  const { problems } = reader;
  if (problems.some((problem) => problem.startsWith('genesis.'))) return { problems };
  const genesis = makeGenesis({ text, time, bits, nonce, value: subsidy });
  if (genesis.header.hash !== hash) first.problem('hash', `these fields make the block ${genesis.header.hash}`);
  const target = decodeCompact(bits) ?? 0n;
  if (target > powLimit) first.problem('bits', 'easier than powLimitBits');
  else if (BigInt(`0x${genesis.header.hash}`) > target) first.problem('nonce', 'the block has no proof of work');
  const params: ChainParams = {
    name,
    magic: hexToBytes(magic),
    defaultPort: peerPort,
    defaultRpcPort: rpcPort,
    hrp,
    bip32,
    coinType,
    genesis,
    powLimit,
    powLimitBits,
    retargeting: { spacing, halfLife, anchorBits },
    halvingInterval,
    initialSubsidy: subsidy,
    timewarpInterval: undefined,
    maxFutureSeconds,
    minimumVersion: vinenet.minimumVersion,
    minimumChainWork: 0n,
    loopbackRoutable: true,
    seeds,
    assumeValid: assumeValid as ChainParams['assumeValid'],
  };
  return { problems, params };
}

/** Reads the fields of an object. A wrong one is a problem, and a harmless value goes on in its place. */
class FieldReader {
  readonly problems: string[];
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  constructor(object: Readonly<Record<string, unknown>>, prefix: string, problems: string[] = []) {
    this.#object = object;
    this.#prefix = prefix;
    this.problems = problems;
  }

  problem(field: string, reason: string): void {
    // One reason per field: what follows from a wrong value is not worth telling.
    const start = `${this.#prefix}${field}: `;
    if (!this.problems.some((problem) => problem.startsWith(start))) this.problems.push(start + reason);
  }

  /** There must be these fields and no others. */
  exactly(fields: readonly string[]): void {
    for (const field of fields) if (!Object.hasOwn(this.#object, field)) this.problem(field, 'is missing');
    for (const field of Object.keys(this.#object)) {
      if (!fields.includes(field)) this.problem(shown(field), `there is no such field; known are ${fields.join(', ')}`);
    }
  }

  number(field: string, least: number, most: number): number {
    const value = this.#object[field];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    this.problem(field, `must be a whole number from ${least} to ${most}, not ${shownValue(value)}`);
    return least;
  }

  text(field: string, pattern: RegExp, what: string): string {
    const value = this.#object[field];
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.problem(field, `must be ${what}, not ${shownValue(value)}`);
    return '';
  }

  texts(field: string, holds: (text: string) => boolean, most: number, what: string): readonly string[] {
    const value = this.#object[field];
    const isRight = Array.isArray(value) && value.every((one) => typeof one === 'string' && holds(one));
    if (isRight && value.length <= most) return value as string[];
    this.problem(field, `must be a list of at most ${most}, each ${what}`);
    return [];
  }

  hex(field: string, bytes: number): string {
    const text = this.text(field, new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `${2 * bytes} lower-case hex digits`);
    return text === '' ? '0'.repeat(2 * bytes) : text;
  }

  word(field: string): number {
    return Number.parseInt(this.hex(field, 4), 16);
  }

  /** A target in compact form: positive, below 2^256, and written in the one way in which blocks carry it. */
  bits(field: string): number {
    const bits = this.word(field);
    const target = decodeCompact(bits);
    if (target === null || target === 0n) this.problem(field, 'is no target');
    else if (encodeCompact(target) !== bits) this.problem(field, `must be written ${hex32(encodeCompact(target))}`);
    return bits;
  }
}

/** A text of the file as a message can show it: what would speak to the terminal is spelled out. */
function shown(text: string): string {
  const start = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return start.replace(/\p{C}/gu, (sign) => `\\u{${(sign.codePointAt(0) as number).toString(16)}}`);
}

function shownValue(value: unknown): string {
  return shown(typeof value === 'number' ? String(value) : String(JSON.stringify(value)));
}

/** The address of a node, as `--seed-node` takes it. Over TCP there are no paths. */
function isSeed(text: string): boolean {
  const match = text.length > MAX_SEED_LENGTH ? null : SEED.exec(text);
  if (match === null) return false;
  const [, transport, digits = '1', path = '/'] = match;
  const port = Number(digits);
  if (port < 1 || port > MAX_PORT) return false;
  return transport?.toLowerCase() === 'tcp' ? path === '/' : parseUrl(text) !== undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
