/**
 * Looks for proof of work with the WebAssembly module of kernel-module.ts. Owns the preparation of a job and the check of
 * what the module finds: every hit is hashed again by grind.ts, so that a fault in the module costs time and never a wrong
 * block.
 */
import { encodeHeader, HEADER_SIZE } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { vinenet } from '../../consensus/params.ts';
import { targetOf } from '../../consensus/pow.ts';
import { grindVersions, type RolledResult } from './grind.ts';
import {
  INITIAL_STATE,
  Input,
  kernelModule,
  LANES,
  PAIR_LANES,
  PAIR_VECTORS,
  ROUND_CONSTANTS,
  rotated,
  SET_VECTORS,
  SHARED_ROUNDS,
  VECTOR_BYTES,
} from './kernel-module.ts';

/**
 * In how many versions a header is searched whose version can be rolled. They have the schedule of the first hash in
 * common, which takes a sixth of the time if it is not shared: a few dozen make it cheap, and are soon prepared.
 */
export const VERSIONS = 64;
/** Version bits 13 to 28 are for miners (BIP 320); as many of them as VERSIONS takes are used, from the lowest on. */
const LOWEST_FREE_BIT = 13;
const NONCES = 0x100000000;
/** The module counts in 32 bits. */
const MOST_NONCES_AT_ONCE = 0x10000000;
const BLOCK_WORDS = 16;
/** Jobs of some hundred hashes by which the kernel shows that it works. */
const SAMPLE_BITS = 0x2000ffff;
const SAMPLE_NONCES = 4096;
/** Targets above this are met after a few hashes: preparing the module takes longer. */
const EASY_TARGET = 1n << 248n;

/** What is used of the standard interface, which the types of Node.js 20 leave to the browser's. */
declare const WebAssembly: {
  readonly Module: new (code: Bytes) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  scan(nonce: number, left: number): number;
}

export interface SearchTask {
  /** 80 bytes. */
  readonly header: Bytes;
  readonly bits: number;
  /** The first nonce, and how many are tried; none beyond 2^32 − 1. */
  readonly start: number;
  readonly nonces: number;
  /** Each nonce is tried with VERSIONS versions instead of the header's only: see `canRollVersion`. */
  readonly rolling: boolean;
}

/** The lowest nonce that meets the target, and the first version that does with it; and how many hashes that took. */
export type Search = (task: SearchTask) => RolledResult;

/** Whether others of the version's bits can be set: not where the upper ones say that it is a number (BIP 9). */
export function canRollVersion(version: number): boolean {
  return version >>> 29 === 1;
}

/** The versions of a search, by their number from 0, which is the header's own. */
function rolledVersion(version: number, index: number): number {
  return version ^ (index << LOWEST_FREE_BIT);
}

/** One per thread: its memory holds the job. */
export class Kernel {
  readonly #words: Uint32Array;
  readonly #scan: Exports['scan'];

  /** Throws where WebAssembly or its vectors are missing. */
  constructor() {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(kernelModule()));
    const { memory, scan } = exports as Exports;
    this.#words = new Uint32Array(memory.buffer);
    this.#scan = scan;
  }

  /** See `Search`. */
  search(task: SearchTask): RolledResult {
    const { header, bits, start, nonces, rolling } = task;
    if (header.length !== HEADER_SIZE) throw new Error(`a header has ${HEADER_SIZE} bytes`);
    const target = targetOf(bits);
    if (target >= EASY_TARGET) return plainSearch(task);
    this.#prepare(task, target);
    const pairs = rolling ? VERSIONS / PAIR_LANES : 1;
    const noncesPerTurn = rolling ? 1 : PAIR_LANES;
    const hashesBefore = (nonce: number) => (nonce - start) * (rolling ? VERSIONS : 1);
    const end = Math.min(start + nonces, NONCES);
    let nonce = start;
    while (end - nonce >= noncesPerTurn) {
      const turns = Math.floor(Math.min(end - nonce, MOST_NONCES_AT_ONCE) / noncesPerTurn);
      // A number of 32 bits goes in and comes out as a signed one.
      const left = this.#scan(nonce | 0, (turns * pairs) | 0) >>> 0;
      nonce += noncesPerTurn * (turns - Math.ceil(left / pairs));
      if (left === 0) continue;
      const found = plainSearch({ ...task, start: nonce, nonces: noncesPerTurn });
      if (found.nonce !== null) return { ...found, hashes: hashesBefore(nonce) + found.hashes };
      nonce += noncesPerTurn;
    }
    const rest = plainSearch({ ...task, start: nonce, nonces: end - nonce });
    return { ...rest, hashes: hashesBefore(nonce) + rest.hashes };
  }

  #prepare({ header, rolling }: SearchTask, target: bigint): void {
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    const wordAt = (index: number) => view.getUint32(4 * index);
    const first = Array.from({ length: BLOCK_WORDS }, (_, i) => wordAt(i));
    const rest = [wordAt(16), wordAt(17), wordAt(18)];
    const padded = [...rest, 0, 0x80000000, ...new Array<number>(10).fill(0), 640];
    // In the last of the shared rounds nothing is added: the nonce is not known, and the constant is added with it.
    const shared = [...rest, -(ROUND_CONSTANTS[SHARED_ROUNDS - 1] as number)];
    const schedule = [...rest, scheduled(padded, 16), scheduled(padded, 17)];
    for (const [i, word] of schedule.entries()) this.#setVector(Input.words + i, new Array<number>(LANES).fill(word));
    this.#setVector(Input.limit, new Array<number>(LANES).fill(Number(target >> 224n)));
    const spread = rolling ? 0 : VECTOR_BYTES * (Input.lanes[1] - Input.lanes[0]);
    const step = rolling ? 1 : PAIR_LANES;
    const pairs = rolling ? VERSIONS / PAIR_LANES : 1;
    this.#setVector(Input.numbers, [step, spread, VECTOR_BYTES * PAIR_VECTORS * pairs]);
    for (const [set, at] of Input.lanes.entries()) {
      this.#setVector(
        at,
        rolling ? new Array<number>(LANES).fill(0) : Array.from({ length: LANES }, (_, i) => set * LANES + i),
      );
    }
    const version = view.getInt32(0, true);
    const rolled = new DataView(new ArrayBuffer(4));
    let states: number[] = [];
    for (let i = 0; i < PAIR_LANES * pairs; i++) {
      if (rolling || i === 0) {
        rolled.setInt32(0, rolledVersion(version, i), true);
        first[0] = rolled.getUint32(0);
        const midstate = compress(INITIAL_STATE, first, 64).map(
          (word, j) => (word + (INITIAL_STATE[j] as number)) >>> 0,
        );
        states = [...midstate, ...compress(midstate, shared, SHARED_ROUNDS)];
      }
      const set = Input.sets + SET_VECTORS * Math.floor(i / LANES);
      for (let j = 0; j < states.length; j++) this.#words[LANES * (set + j) + (i % LANES)] = states[j] as number;
    }
  }

  #setVector(at: number, words: readonly number[]): void {
    this.#words.set(words, LANES * at);
  }
}

/** The kernel where it works, which it is asked to show, else the plain search. */
export function fastestSearch(): Search {
  try {
    const kernel = new Kernel();
    const header = encodeHeader({ ...vinenet.genesis.header, nonce: 0 });
    const works = [true, false].every((rolling) => {
      const nonces = rolling ? SAMPLE_NONCES / VERSIONS : SAMPLE_NONCES;
      const sample: SearchTask = { header, bits: SAMPLE_BITS, start: 0, nonces, rolling };
      const [found, expected] = [kernel.search(sample), plainSearch(sample)];
      return found.nonce === expected.nonce && found.version === expected.version;
    });
    if (works) return (task) => kernel.search(task);
  } catch {
    // Old processors have no 128-bit vectors: the plain search is slower, and right.
  }
  return plainSearch;
}

/** By `grindVersions`, one hash after the other. */
export function plainSearch({ header, bits, start, nonces, rolling }: SearchTask): RolledResult {
  return grindVersions(header, bits, start, nonces, (version) =>
    Array.from({ length: rolling ? VERSIONS : 1 }, (_, i) => rolledVersion(version, i)),
  );
}

/** Used by each `compress` anew: arrays of their own would take most of its time. */
const SCHEDULE = new Uint32Array(ROUND_CONSTANTS.length);

/** `rounds` rounds of SHA-256, without the addition at the end; of 32 bits, signed. `block`: 16 words. */
function compress(from: readonly number[], block: readonly number[], rounds: number): number[] {
  let [a, b, c, d, e, f, g, h] = from as [number, number, number, number, number, number, number, number];
  const words = SCHEDULE;
  words.set(block);
  for (let t = 0; t < rounds; t++) {
    if (t >= BLOCK_WORDS) words[t] = scheduled(words, t);
    const sigma1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + sigma1 + choice + (ROUND_CONSTANTS[t] as number) + (words[t] as number)) | 0;
    const sigma0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + sigma0 + majority) | 0;
  }
  return [a, b, c, d, e, f, g, h];
}

/** Word t of the schedule from the 16 before it. */
function scheduled(words: ArrayLike<number>, t: number): number {
  const before15 = words[t - 15] as number;
  const before2 = words[t - 2] as number;
  const s0 = rotated(before15, 7) ^ rotated(before15, 18) ^ (before15 >>> 3);
  const s1 = rotated(before2, 17) ^ rotated(before2, 19) ^ (before2 >>> 10);
  return ((words[t - 16] as number) + s0 + (words[t - 7] as number) + s1) >>> 0;
}
