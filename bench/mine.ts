/**
 * Proof of work: the search as `grapevine mine` does it, with one thread and with two, and the search of a node, which keeps
 * the version of a header, against the plain search with `crypto.hash` and against a native miner where one is named; and
 * what it takes to check a long chain of headers whose difficulty is scheduled. All take part in each round, so that a busy
 * machine slows all of them; processor time is compared where only one thread works.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { requiredBits } from '../consensus/asert.ts';
import { type BlockHeader, encodeHeader, makeHeader, readHeader } from '../consensus/block.ts';
import { makeChain } from '../consensus/chain-file.ts';
import { Reader } from '../consensus/codec.ts';
import { type ChainParams, vinenet } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import { HeaderTree } from '../node/chain/header-tree.ts';
import { MiningThreads } from '../node/commands/mining-threads.ts';
import { fastestSearch, plainSearch } from '../node/mining/kernel.ts';
import { Work, type WorkTemplate } from '../node/mining/work.ts';
import { SeededRandom } from '../node/random.ts';
import { figure, median, processorSeconds, sleep } from './figures.ts';

export const about = 'proof of work: hashes per second, and the check of 100,000 headers';

/** A native miner to compare with; without it there is no comparison. */
const minerd: string | undefined = process.env['GRAPEVINE_MINERD'];
const ROUNDS = 5;
const ROUND_MS = 2000;
const WARM_UP_MS = 500;
const PLAIN_TRIES = 400_000;
const FIXED_TRIES = 1 << 23;
const WARM_UP_TRIES = 1 << 20;
/** The native miner says how far it is every few seconds: the first line is its warm-up. */
const MINERD_LINES = 3;
const HEADERS = 100_000;
const BLOCK_VERSION = 0x20000000;
/** 2^32 hashes: nothing is found in a round. */
const HARD_BITS = 0x1d00ffff;

/** Hashes per second of time, and of time on a processor. */
interface Rate {
  readonly wall: number;
  readonly processor: number;
}

export async function run(): Promise<void> {
  const rates = {
    one: [] as Rate[],
    two: [] as Rate[],
    fixed: [] as Rate[],
    plain: [] as Rate[],
    native: [] as Rate[],
  };
  const kernel = fastestSearch();
  const header = encodeHeader(vinenet.genesis.header);
  const fixed = { header, bits: HARD_BITS, start: 0, rolling: false };
  // The second stage of its compiler runs beside the first calls.
  kernel({ ...fixed, nonces: WARM_UP_TRIES });
  for (let round = 0; round < ROUNDS; round++) {
    rates.one.push(await searchRate(1));
    rates.fixed.push(rateOf(FIXED_TRIES, (nonces) => kernel({ ...fixed, nonces })));
    rates.plain.push(rateOf(PLAIN_TRIES, (nonces) => plainSearch({ ...fixed, nonces })));
    if (minerd !== undefined) rates.native.push(await nativeRate(minerd));
    rates.two.push(await searchRate(2));
  }
  const megahashes = (name: string, of: readonly Rate[], against: string) =>
    figure(name, median(of.map(({ wall }) => wall)) / 1e6, 'MH/s', against);
  const against = (of: readonly Rate[], aim: string) =>
    minerd === undefined ? '' : `${ratio(of, rates.native, 'processor')} × minerd${aim}, `;
  const both = (of: readonly Rate[], aim: string, recorded: string) =>
    `${against(of, aim)}${ratio(of, rates.plain, 'processor')} × crypto.hash${recorded}, by processor time`;
  megahashes('one thread', rates.one, both(rates.one, ' (aim 0.60)', ' (recorded: 13)'));
  megahashes('  where the version is kept', rates.fixed, both(rates.fixed, '', ''));
  megahashes('two threads', rates.two, `${ratio(rates.two, rates.one, 'wall')} × one; aim 1.90`);
  megahashes('crypto.hash twice', rates.plain, '');
  if (minerd === undefined) process.stdout.write('no native miner: GRAPEVINE_MINERD names one\n');
  else megahashes('minerd, one thread', rates.native, '');
  checkHeaders();
}

/** The search of `grapevine mine` with so many threads. */
async function searchRate(threads: number): Promise<Rate> {
  let hashes = 0;
  let failure: Error | undefined;
  const miner = new MiningThreads({
    threads,
    share: 1,
    onFound: () => undefined,
    onHashes: (more) => {
      hashes += more;
    },
    onFailure: (error) => {
      failure = error;
    },
  });
  try {
    miner.search(hardWork(), true);
    await sleep(WARM_UP_MS);
    const before = { at: performance.now(), busy: process.cpuUsage(), hashes };
    await sleep(ROUND_MS);
    const { user, system } = process.cpuUsage(before.busy);
    const made = hashes - before.hashes;
    if (failure !== undefined) throw failure;
    return { wall: (made / (performance.now() - before.at)) * 1000, processor: (made / (user + system)) * 1e6 };
  } finally {
    await miner.close();
  }
}

function hardWork(): Work {
  const template: WorkTemplate = {
    version: BLOCK_VERSION,
    prevHash: vinenet.genesis.header.hash,
    height: 1,
    bits: HARD_BITS,
    time: vinenet.genesis.header.time,
    minTime: vinenet.genesis.header.time,
    coinbaseValue: 1,
    commitment: undefined,
    transactions: [],
    longPollId: '',
  };
  return new Work(template, { script: new Uint8Array(34), minerId: new Uint8Array(4), maxFutureSeconds: 144 });
}

/** Of a search in this thread, which finds nothing. */
function rateOf(nonces: number, search: (nonces: number) => unknown): Rate {
  const before = { at: performance.now(), busy: process.cpuUsage() };
  search(nonces);
  const { user, system } = process.cpuUsage(before.busy);
  return { wall: (nonces / (performance.now() - before.at)) * 1000, processor: (nonces / (user + system)) * 1e6 };
}

/** By the lines of a benchmark: `thread 0: 10644232 hashes, 4678 khash/s`. */
async function nativeRate(path: string): Promise<Rate> {
  const child = spawn(path, ['--benchmark', '-a', 'sha256d', '-t', '1'], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${path} has ended`);
    });
    const samples: { at: number; busy: number; hashes: number }[] = [];
    const read = async () => {
      for await (const line of createInterface({ input: child.stderr })) {
        const hashes = /thread 0: (\d+) hashes/.exec(line)?.[1];
        if (hashes === undefined) continue;
        const busy = processorSeconds(child.pid ?? 0) ?? 0;
        samples.push({ at: performance.now(), busy, hashes: Number(hashes) });
        if (samples.length > MINERD_LINES) return;
      }
    };
    await Promise.race([read(), ended]);
    const [first, ...rest] = samples;
    const last = rest.at(-1);
    if (first === undefined || last === undefined) throw new Error(`${path} does not say what it does`);
    const hashes = rest.reduce((sum, sample) => sum + sample.hashes, 0);
    return { wall: (hashes / (last.at - first.at)) * 1000, processor: hashes / (last.busy - first.busy) };
  } finally {
    child.removeAllListeners('exit');
    child.kill();
  }
}

/** The middle of the ratios of the rounds. */
function ratio(rates: readonly Rate[], base: readonly Rate[], by: keyof Rate): string {
  const value = median(rates.map((rate, round) => rate[by] / (base[round] as Rate)[by]));
  return value.toFixed(value < 10 ? 2 : 1);
}

/** As a node does with headers that a peer sends: decoded, hashed, every rule, and put into the tree. */
function checkHeaders(): void {
  const params = easyNetwork();
  const { bytes, distinctBits } = mineHeaders(params);
  const all: number[] = [];
  const decoding: number[] = [];
  const schedule: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const headers = decodeHeaders(bytes);
    const decoded = performance.now();
    const tree = new HeaderTree(params, []);
    const now = (headers.at(-1) as BlockHeader).time;
    for (const header of headers) {
      const added = tree.add(header, now);
      if (!added.ok) throw new Error(added.error.reason);
    }
    const added = performance.now();
    // A part of what `add` does, by itself.
    const anchorTime = (headers[0] as BlockHeader).time;
    for (const [index, { time }] of headers.entries()) {
      requiredBits({ parent: { height: index + 1, time }, anchorTime }, params);
    }
    schedule.push(performance.now() - added);
    decoding.push(decoded - start);
    all.push(added - start);
  }
  const count = HEADERS.toLocaleString('en-US');
  figure(`checking ${count} headers`, median(all), 'ms', `aim 1000; ${distinctBits} difficulties`);
  figure('  of this to decode and hash them', median(decoding), 'ms');
  figure('  of this the difficulty that is required', median(schedule), 'ms');
}

/** vinenet's schedule with difficulties at which a hundred thousand headers are made in seconds. */
function easyNetwork(): ChainParams {
  const { spacing: spacingSeconds, halfLife: halfLifeSeconds } = vinenet.retargeting as {
    spacing: number;
    halfLife: number;
  };
  const chain = makeChain({
    name: 'easy',
    spacingSeconds,
    halfLifeSeconds,
    anchorBits: 0x201fffff,
    powLimitBits: 0x207fffff,
    hrp: 'ez',
    peerPort: 30_001,
    rpcPort: 30_002,
    time: vinenet.genesis.header.time,
    text: 'headers for a bench',
  });
  if (!chain.ok) throw new Error(chain.error.join());
  return chain.value;
}

/** A chain of headers from block 1 on, one after the other, whose difficulty goes up and down by chance. */
function mineHeaders(params: ChainParams): { readonly bytes: Uint8Array; readonly distinctBits: number } {
  const random = new SeededRandom('headers');
  const { spacing } = params.retargeting as { spacing: number };
  const bytes = new Uint8Array(80 * HEADERS);
  const seen = new Set<number>();
  let parent = { height: 0, time: params.genesis.header.time, hash: params.genesis.header.hash };
  let anchorTime = parent.time;
  for (let height = 1; height <= HEADERS; height++) {
    const bits = requiredBits({ parent, anchorTime }, params);
    // From a tenth to nearly twice the spacing after the parent.
    const time = parent.time + 1 + (random.u32() % (2 * spacing - 1));
    const fields = { ...params.genesis.header, version: BLOCK_VERSION, prevHash: parent.hash, time, bits };
    let header = makeHeader({ ...fields, nonce: 0 });
    for (let nonce = 1; !checkProofOfWork(header.hash, bits, params); nonce++)
      header = makeHeader({ ...fields, nonce });
    bytes.set(encodeHeader(header), 80 * (height - 1));
    seen.add(bits);
    parent = { height, time, hash: header.hash };
    if (height === 1) anchorTime = time;
  }
  return { bytes, distinctBits: seen.size };
}

function decodeHeaders(bytes: Uint8Array): BlockHeader[] {
  const reader = new Reader(bytes);
  return Array.from({ length: HEADERS }, () => readHeader(reader));
}
