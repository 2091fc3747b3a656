/**
 * Stratum v1 (RULES.md D5): work for miners over lines of JSON. The node builds the coinbase and hands out its two halves;
 * every connection rolls extra nonces of its own between them, so that no two miners try the same header, and proves that it
 * works by shares: headers that meet an easier target.
 *
 * Pure: connections are numbers, lines come in and go out, time is an argument. Sockets and templates are
 * runtime/stratum-server.ts's. Whoever authorizes with an address mines for that address.
 */
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { decodeAddress } from '../../consensus/address.ts';
import { encodeHeader, makeHeader } from '../../consensus/block.ts';
import { type BlockHash, type Bytes, idFromBytes, idToBytes } from '../../consensus/brand.ts';
import { heightPush } from '../../consensus/check-block.ts';
import { concatBytes, Writer } from '../../consensus/codec.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { targetOf } from '../../consensus/pow.ts';
import { encodeTransaction, makeTransaction, NULL_TXID, NULL_VOUT } from '../../consensus/transaction.ts';
import type { Millis } from '../boundary.ts';

/** Bytes that tell connections apart, and that a miner counts through. */
const EXTRA1_SIZE = 4;
const EXTRA2_SIZE = 4;
/** The target of difficulty 1. */
const TARGET_1 = 0xffffn << 208n;
/** Difficulties are fractions: this many steps of 1. */
const PRECISION = 2 ** 52;
/** A share in this time is what a worker's difficulty is adjusted to, looked at so often or after so many shares. */
const SHARE_MS = 5000;
const ADJUST_MS = 30_000;
const ADJUST_SHARES = 12;
/** At most by this factor at once. */
const ADJUST_FACTOR = 4;
/** Where a worker begins: a share for about a million hashes, a fraction of a second of a slow one. */
const FIRST_DIFFICULTY = 2 ** -12;
/** Jobs that shares are taken for; a new tip ends all of them. */
const MAX_JOBS = 16;
/** Shares of one job, which are remembered to know those that come twice. A network worth mining has far fewer. */
const MAX_SHARES_PER_JOB = 20_000;
const MAX_WORKERS_PER_CONNECTION = 16;
const MAX_NAME = 128;
/** A connection that sends so many lines that mean nothing is closed. */
const MAX_FAULTS = 10;
/** And one that sends more lines than this in a second, after a first burst of twice as many. */
const MAX_LINES_PER_SECOND = 100;
/**
 * And one with so many shares in a row that are refused, stale ones aside: each costs 0.1 ms to judge, and a few hundred
 * connections that send nothing else would keep the node from its other work.
 */
const MAX_REFUSED_IN_A_ROW = 100;
/**
 * Where there are too many connections, one gives way that has been there for this long and mines less than this, in hashes
 * per second: a microcontroller makes twenty times as many. Shares alone do not count, they become cheap for who sends none.
 */
const PROBATION_MS = 60_000;
const LEAST_RATE = 1000;
/** A block may be dated so much later than the template says, for miners that count the time up. */
const MAX_TIME_ROLL_SECONDS = 60;

/** What is needed of getblocktemplate's answer. */
export interface StratumTemplate {
  readonly version: number;
  readonly previousblockhash: BlockHash;
  readonly transactions: readonly { readonly data: string; readonly txid: string }[];
  readonly coinbasevalue: number;
  readonly mintime: number;
  readonly curtime: number;
  readonly bits: string;
  readonly height: number;
  readonly default_witness_commitment: string;
}

export type ConnectionId = number;

export type StratumEffect =
  | { readonly type: 'send'; readonly to: ConnectionId; readonly line: string }
  | { readonly type: 'close'; readonly to: ConnectionId; readonly reason: string }
  /** A share that is a block: its serialization, without the coinbase's witness, which submitblock adds. */
  | { readonly type: 'block'; readonly hex: string; readonly hash: BlockHash; readonly worker: string }
  | { readonly type: 'log'; readonly message: string; readonly worker?: string };

/** What a worker has done so far. */
export interface WorkerCount {
  readonly worker: string;
  readonly difficulty: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly blocks: number;
  /** Hashes that the accepted shares stand for. */
  readonly hashes: number;
}

interface Worker {
  readonly name: string;
  readonly script: Bytes;
  accepted: number;
  rejected: number;
  blocks: number;
  hashes: number;
}

interface Connection {
  readonly id: ConnectionId;
  readonly extra1: string;
  readonly workers: Map<string, Worker>;
  /** Whom the coinbase of its jobs pays: the first worker's address. */
  payee: Worker | undefined;
  subscribed: boolean;
  difficulty: number;
  /** Of the job before: work in hand is judged by the easier of the two. */
  formerDifficulty: number;
  adjustedAt: Millis;
  sharesSince: number;
  faults: number;
  refusedInARow: number;
  readonly connectedAt: Millis;
  /** Lines that it may still send, refilled with time. */
  tokens: number;
  refilledAt: Millis;
}

interface Job {
  readonly id: string;
  readonly template: StratumTemplate;
  /** Hashes beside the way from the coinbase to the root. */
  readonly branch: readonly Bytes[];
  readonly target: bigint;
  /** Share headers that came, by connection. */
  readonly shares: Set<string>;
}

/** Codes that miners know. */
const Refused = {
  other: 20,
  stale: 21,
  duplicate: 22,
  low: 23,
  unauthorized: 24,
  notSubscribed: 25,
} as const;

type Answer = { readonly result: unknown } | { readonly code: number; readonly message: string };

export class Stratum {
  readonly #params: ChainParams;
  /** Pays whoever authorizes with a name that is no address. */
  readonly #defaultScript: Bytes | undefined;
  readonly #connections = new Map<ConnectionId, Connection>();
  /** Oldest first. */
  readonly #jobs = new Map<string, Job>();
  #lastJob = 0;
  #nextExtra: number;

  /** `firstExtra`: where the connections' extra nonces begin, so that two nodes hand out different work. */
  constructor(options: {
    readonly params: ChainParams;
    readonly defaultScript: Bytes | undefined;
    readonly firstExtra: number;
  }) {
    this.#params = options.params;
    this.#defaultScript = options.defaultScript;
    this.#nextExtra = options.firstExtra >>> 0;
  }

  onConnect(id: ConnectionId, now: Millis): void {
    this.#nextExtra = (this.#nextExtra + 1) >>> 0;
    this.#connections.set(id, {
      id,
      extra1: hex32(this.#nextExtra),
      workers: new Map(),
      payee: undefined,
      subscribed: false,
      difficulty: FIRST_DIFFICULTY,
      formerDifficulty: FIRST_DIFFICULTY,
      adjustedAt: now,
      sharesSince: 0,
      faults: 0,
      refusedInARow: 0,
      connectedAt: now,
      tokens: 2 * MAX_LINES_PER_SECOND,
      refilledAt: now,
    });
  }

  onClose(id: ConnectionId): void {
    this.#connections.delete(id);
  }

  /** True if it has said for whom it mines. */
  isAuthorized(id: ConnectionId): boolean {
    return this.#connections.get(id)?.payee !== undefined;
  }

  /** The connection that mines least, if that is so little that it can be closed for the sake of a new one. */
  leastUseful(now: Millis): ConnectionId | undefined {
    let found: ConnectionId | undefined;
    let least = LEAST_RATE;
    for (const { id, workers, connectedAt } of this.#connections.values()) {
      const elapsed = now - connectedAt;
      if (elapsed < PROBATION_MS) continue;
      let hashes = 0;
      for (const worker of workers.values()) hashes += worker.hashes;
      const rate = (1000 * hashes) / elapsed;
      if (rate >= least) continue;
      found = id;
      least = rate;
    }
    return found;
  }

  /** What the workers of all connections have done. */
  counts(): WorkerCount[] {
    return [...this.#connections.values()].flatMap(({ workers, difficulty }) =>
      [...workers.values()].map(({ name, accepted, rejected, blocks, hashes }) => ({
        ...{ worker: name, difficulty, accepted, rejected, blocks, hashes },
      })),
    );
  }

  /** Another template. On another tip the work that is in hand is worth nothing: `clean` ends it. */
  onTemplate(template: StratumTemplate, now: Millis): StratumEffect[] {
    const former = [...this.#jobs.values()].at(-1);
    const clean = former?.template.previousblockhash !== template.previousblockhash;
    if (clean) this.#jobs.clear();
    this.#lastJob += 1;
    const job: Job = {
      id: this.#lastJob.toString(16),
      template,
      branch: merkleBranch(template.transactions.map(({ txid }) => idToBytes(txid))),
      target: targetOf(Number.parseInt(template.bits, 16)),
      shares: new Set(),
    };
    this.#jobs.set(job.id, job);
    for (const id of this.#jobs.keys()) {
      if (this.#jobs.size <= MAX_JOBS) break;
      this.#jobs.delete(id);
    }
    return [...this.#connections.values()].flatMap((connection) => this.#work(connection, job, clean, now));
  }

  /** A line without its end. */
  onLine(id: ConnectionId, line: string, now: Millis): StratumEffect[] {
    const connection = this.#connections.get(id);
    if (connection === undefined) return [];
    if (!spendToken(connection, now)) return [{ type: 'close', to: id, reason: 'too many lines' }];
    if (line.trim() === '') return [];
    const call = parseCall(line);
    if (call === undefined) {
      connection.faults += 1;
      if (connection.faults >= MAX_FAULTS) return [{ type: 'close', to: id, reason: 'lines that are no calls' }];
      return [reply(id, null, refuse(Refused.other, 'each line must be a JSON object with id, method and params'))];
    }
    return this.#answer(connection, call, now);
  }

  #answer(connection: Connection, { id, method, params }: Call, now: Millis): StratumEffect[] {
    const { id: to } = connection;
    switch (method) {
      case 'mining.subscribe': {
        connection.subscribed = true;
        const session = [
          ['mining.set_difficulty', connection.extra1],
          ['mining.notify', connection.extra1],
        ];
        return [reply(to, id, { result: [session, connection.extra1, EXTRA2_SIZE] }), ...this.#begin(connection, now)];
      }
      case 'mining.authorize': {
        const workersBefore = connection.workers.size;
        const answer = this.#authorize(connection, params);
        const isFirst = workersBefore === 0 && connection.workers.size === 1;
        const log: StratumEffect[] = isFirst
          ? [{ type: 'log', message: 'authorized', worker: connection.payee?.name ?? '' }]
          : [];
        return [reply(to, id, answer), ...log, ...(isFirst ? this.#begin(connection, now) : [])];
      }
      case 'mining.submit':
        return this.#submit(connection, id, params, now);
      case 'mining.extranonce.subscribe':
        return [reply(to, id, { result: false })];
      case 'mining.configure':
        return [reply(to, id, { result: withoutExtensions(params) })];
      default:
        connection.faults += 1;
        if (connection.faults >= MAX_FAULTS) return [{ type: 'close', to, reason: 'unknown methods' }];
        return [reply(to, id, refuse(Refused.other, `unknown method ${method.slice(0, 40)}`))];
    }
  }

  #authorize(connection: Connection, [name]: readonly unknown[]): Answer {
    if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
      return refuse(Refused.other, `the worker's name must have 1 to ${MAX_NAME} characters`);
    }
    // `address.rig`: the part after the point tells the machines of one miner apart.
    const script = decodeAddress(name.split('.')[0] ?? '', this.#params);
    const pays = script.ok ? script.value : this.#defaultScript;
    if (pays === undefined) {
      const { hrp } = this.#params;
      return refuse(Refused.unauthorized, `the worker's name must be an address, ${hrp}1p…: blocks are paid to it`);
    }
    if (connection.workers.size >= MAX_WORKERS_PER_CONNECTION && !connection.workers.has(name)) {
      return refuse(Refused.other, 'too many workers on this connection');
    }
    const worker = { name, script: pays, accepted: 0, rejected: 0, blocks: 0, hashes: 0 };
    if (!connection.workers.has(name)) connection.workers.set(name, worker);
    connection.payee ??= worker;
    return { result: true };
  }

  /** The first work of a connection that has done both: subscribed and authorized. */
  #begin(connection: Connection, now: Millis): StratumEffect[] {
    const job = [...this.#jobs.values()].at(-1);
    return job === undefined ? [] : this.#work(connection, job, true, now);
  }

  #work(connection: Connection, job: Job, clean: boolean, now: Millis): StratumEffect[] {
    const { id, payee, subscribed, extra1 } = connection;
    if (!subscribed || payee === undefined) return [];
    connection.formerDifficulty = connection.difficulty;
    this.#adjust(connection, now);
    // No share may be harder than a block.
    const most = difficultyOf(job.target);
    connection.difficulty = Math.min(connection.difficulty, most);
    const { template } = job;
    const [before, after] = coinbaseHalves(template, payee.script);
    const params = [
      job.id,
      swappedWords(idToBytes(template.previousblockhash)),
      bytesToHex(before),
      bytesToHex(after),
      job.branch.map(bytesToHex),
      hex32(template.version),
      template.bits,
      hex32(template.curtime),
      clean,
    ];
    if (extra1.length !== 2 * EXTRA1_SIZE) throw new Error('an extra nonce of another size');
    return [notify(id, 'mining.set_difficulty', [connection.difficulty]), notify(id, 'mining.notify', params)];
  }

  /** Towards one share in SHARE_MS. */
  #adjust(connection: Connection, now: Millis): void {
    const elapsed = now - connection.adjustedAt;
    if (elapsed < ADJUST_MS && connection.sharesSince < ADJUST_SHARES) return;
    const wanted = (Math.max(connection.sharesSince, 0.5) * SHARE_MS) / Math.max(elapsed, 1);
    const factor = Math.min(ADJUST_FACTOR, Math.max(1 / ADJUST_FACTOR, wanted));
    connection.difficulty = Math.max(1 / PRECISION, connection.difficulty * factor);
    connection.adjustedAt = now;
    connection.sharesSince = 0;
  }

  #submit(connection: Connection, id: unknown, params: readonly unknown[], now: Millis): StratumEffect[] {
    const { id: to } = connection;
    const [name] = params;
    const worker = typeof name === 'string' ? connection.workers.get(name) : undefined;
    if (!connection.subscribed) return [reply(to, id, refuse(Refused.notSubscribed, 'not subscribed'))];
    if (worker === undefined) return [reply(to, id, refuse(Refused.unauthorized, 'not authorized'))];
    const share = this.#judge(connection, params);
    if ('code' in share) {
      worker.rejected += 1;
      if (share.code !== Refused.stale) connection.refusedInARow += 1;
      if (connection.refusedInARow >= MAX_REFUSED_IN_A_ROW) {
        return [{ type: 'close', to, reason: 'shares that are worth nothing' }];
      }
      return [reply(to, id, share)];
    }
    worker.accepted += 1;
    connection.refusedInARow = 0;
    worker.hashes += connection.difficulty * 2 ** 32;
    connection.sharesSince += 1;
    const effects: StratumEffect[] = [reply(to, id, { result: true })];
    if (share.block !== undefined) {
      worker.blocks += 1;
      effects.push({ type: 'block', ...share.block, worker: worker.name });
    }
    // A fast worker is given harder shares at once, not only with the next template.
    if (connection.sharesSince >= ADJUST_SHARES && now - connection.adjustedAt < ADJUST_SHARES * SHARE_MS) {
      const job = [...this.#jobs.values()].at(-1);
      if (job !== undefined) effects.push(...this.#work(connection, job, false, now));
    }
    return effects;
  }

  #judge(
    connection: Connection,
    [, jobId, extra2, time, nonce]: readonly unknown[],
  ): { readonly block?: { readonly hex: string; readonly hash: BlockHash } } | Extract<Answer, { code: number }> {
    const job = typeof jobId === 'string' ? this.#jobs.get(jobId) : undefined;
    if (job === undefined) return refuse(Refused.stale, 'job not found: it is stale');
    if (!isHex(extra2, EXTRA2_SIZE)) return refuse(Refused.other, `extranonce2 must be ${2 * EXTRA2_SIZE} hex digits`);
    if (!isHex(time, 4) || !isHex(nonce, 4)) return refuse(Refused.other, 'ntime and nonce must be 8 hex digits');
    const { template, branch, target } = job;
    const seconds = Number.parseInt(time, 16);
    if (seconds < template.mintime || seconds > template.curtime + MAX_TIME_ROLL_SECONDS) {
      return refuse(Refused.other, 'ntime out of range');
    }
    const key = `${connection.extra1}${extra2}${time}${nonce}`.toLowerCase();
    if (job.shares.has(key)) return refuse(Refused.duplicate, 'duplicate share');
    const [before, after] = coinbaseHalves(template, (connection.payee as Worker).script);
    const coinbase = concatBytes(before, hexToBytes(connection.extra1), hexToBytes(extra2), after);
    let root = sha256d(coinbase);
    for (const hash of branch) root = sha256d(concatBytes(root, hash));
    const header = makeHeader({
      version: template.version,
      prevHash: template.previousblockhash,
      merkleRoot: idFromBytes(root),
      time: seconds,
      bits: Number.parseInt(template.bits, 16),
      nonce: Number.parseInt(nonce, 16),
    });
    const value = BigInt(`0x${header.hash}`);
    const easiest = Math.min(connection.difficulty, connection.formerDifficulty);
    if (value > target && value > targetOfDifficulty(easiest)) return refuse(Refused.low, 'low difficulty share');
    // A block is never refused: that it came twice is then the node's to notice.
    const isFull = job.shares.size >= MAX_SHARES_PER_JOB;
    if (isFull && value > target) return refuse(Refused.other, 'too many shares of this job');
    if (!isFull) job.shares.add(key);
    if (value > target) return {};
    const writer = new Writer();
    writer
      .raw(encodeHeader(header))
      .compact(template.transactions.length + 1)
      .raw(coinbase);
    const data = template.transactions.map((tx) => tx.data).join('');
    return { block: { hex: bytesToHex(writer.finish()) + data, hash: header.hash } };
  }
}

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

function parseCall(line: string): Call | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined; // The caller says what a line must be.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { id = null, method, params = [] } = value as Record<string, unknown>;
  if (typeof method !== 'string' || !Array.isArray(params)) return undefined;
  return typeof id === 'object' && id !== null ? undefined : { id, method, params };
}

/** The answer to BIP 310's question for extensions: there are none, the version's bits among them. */
function withoutExtensions([names]: readonly unknown[]): Readonly<Record<string, false>> {
  const asked = Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
  return Object.fromEntries(asked.map((name) => [name, false]));
}

function spendToken(connection: Connection, now: Millis): boolean {
  const refill = ((now - connection.refilledAt) / 1000) * MAX_LINES_PER_SECOND;
  connection.tokens = Math.min(2 * MAX_LINES_PER_SECOND, connection.tokens + refill);
  connection.refilledAt = now;
  connection.tokens -= 1;
  return connection.tokens >= 0;
}

function refuse(code: number, message: string): { readonly code: number; readonly message: string } {
  return { code, message };
}

function reply(to: ConnectionId, id: unknown, answer: Answer): StratumEffect {
  const body =
    'code' in answer
      ? { id, result: null, error: [answer.code, answer.message, null] }
      : { id, result: answer.result, error: null };
  return { type: 'send', to, line: JSON.stringify(body) };
}

function notify(to: ConnectionId, method: string, params: readonly unknown[]): StratumEffect {
  return { type: 'send', to, line: JSON.stringify({ id: null, method, params }) };
}

/** The coinbase without its witness, before and after the extra nonces. */
function coinbaseHalves(template: StratumTemplate, script: Bytes): readonly [Bytes, Bytes] {
  const extra = new Uint8Array(EXTRA1_SIZE + EXTRA2_SIZE);
  const push = concatBytes(heightPush(template.height), Uint8Array.of(extra.length));
  const commitment = hexToBytes(template.default_witness_commitment);
  const outputs = [
    { value: BigInt(template.coinbasevalue), scriptPubKey: script },
    { value: 0n, scriptPubKey: commitment },
  ];
  const input = {
    prevout: { txid: NULL_TXID, vout: NULL_VOUT },
    scriptSig: concatBytes(push, extra),
    sequence: 0xffffffff,
    witness: [],
  };
  const bytes = encodeTransaction(makeTransaction({ version: 2, inputs: [input], outputs, lockTime: 0 }));
  // Version, the number of inputs, the prevout and the length of the script come first.
  const at = 4 + 1 + 36 + 1 + push.length;
  return [bytes.slice(0, at), bytes.slice(at + extra.length)];
}

/** The right-hand neighbours on the way from the first leaf, the coinbase, to the root. `ids`: the other leaves. */
export function merkleBranch(ids: readonly Bytes[]): Bytes[] {
  const branch: Bytes[] = [];
  let level: (Bytes | null)[] = [null, ...ids];
  while (level.length > 1) {
    branch.push(level[1] as Bytes);
    if (level.length % 2 === 1) level.push(level.at(-1) as Bytes);
    const next: (Bytes | null)[] = [null];
    for (let i = 2; i < level.length; i += 2) {
      next.push(sha256d(concatBytes(level[i] as Bytes, level[i + 1] as Bytes)));
    }
    level = next;
  }
  return branch;
}

/** Hashes for a share, over 2^32. */
function difficultyOf(target: bigint): number {
  return Number((TARGET_1 * BigInt(PRECISION)) / (target === 0n ? 1n : target)) / PRECISION;
}

function targetOfDifficulty(difficulty: number): bigint {
  return (TARGET_1 * BigInt(PRECISION)) / BigInt(Math.max(1, Math.floor(difficulty * PRECISION)));
}

/** As Stratum sends the parent's hash: in words of 32 bits, the bytes of each turned around. */
function swappedWords(bytes: Bytes): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) text += hex32(view.getUint32(at, true));
  return text;
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

function isHex(value: unknown, bytes: number): value is string {
  return typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-f]+$/i.test(value);
}
