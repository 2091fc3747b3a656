/**
 * Looks for nonces with the WebAssembly module of kernel-module.ts. Owns the preparation of a job and the check of what the
 * module finds: every hit is hashed again by `grind`, so that a fault in the module costs time and never a wrong block.
 */
import { encodeHeader, HEADER_SIZE } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { vinenet } from '../../consensus/params.ts';
import { targetOf } from '../../consensus/pow.ts';
import { type GrindResult, grind } from './grind.ts';
import { INITIAL_STATE, Input, kernelModule, ROUND_CONSTANTS, rotated, SHARED_ROUNDS } from './kernel-module.ts';

const LANES = 4;
const NONCES = 0x100000000;
const BLOCK_WORDS = 16;
/** A job of some hundred hashes by which the kernel shows that it works. */
const SAMPLE_BITS = 0x2000ffff;
const SAMPLE_TRIES = 4096;
/** Targets above this are met after a few hashes: preparing the module takes longer. */
const EASY_TARGET = 1n << 248n;

/** What is used of the standard interface, which the types of Node.js 20 leave to the browser's. */
declare const WebAssembly: {
  readonly Module: new (code: Bytes) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  scan(nonce: number, groups: number): number;
}

/** One per thread: its memory holds the job. */
export class Kernel {
  readonly #words: Uint32Array;
  readonly #scan: Exports['scan'];

  /** Throws where WebAssembly or its vectors are missing. */
  constructor() {
    const { code, constants, constantsAt } = kernelModule();
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
    const { memory, scan } = exports as Exports;
    this.#words = new Uint32Array(memory.buffer);
    this.#words.set(constants, constantsAt);
    this.#scan = scan;
  }

  /**
   * As `grind`: the lowest nonce from `startNonce` that meets the target among about `maxTries`, and how many were tried.
   * `header` (80 bytes) is not changed.
   */
  search(header: Bytes, bits: number, startNonce: number, maxTries: number): GrindResult {
    if (header.length !== HEADER_SIZE) throw new Error(`a header has ${HEADER_SIZE} bytes`);
    const target = targetOf(bits);
    if (target >= EASY_TARGET) return grind(header, bits, startNonce, maxTries);
    this.#prepare(header, target);
    const end = Math.min(startNonce + maxTries, NONCES);
    let nonce = startNonce;
    while (end - nonce >= LANES) {
      const groups = Math.floor((end - nonce) / LANES);
      // A number of 32 bits goes in and comes out as a signed one.
      const left = this.#scan(nonce | 0, groups | 0);
      nonce += LANES * (groups - left);
      if (left === 0) break;
      const found = grind(header, bits, nonce, LANES).nonce;
      if (found !== null) return { nonce: found, hashes: found - startNonce + 1 };
      nonce += LANES;
    }
    const { nonce: found, hashes } = grind(header, bits, nonce, end - nonce);
    return { nonce: found, hashes: nonce - startNonce + hashes };
  }

  #prepare(header: Bytes, target: bigint): void {
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    const wordAt = (index: number) => view.getUint32(4 * index);
    const first = Array.from({ length: BLOCK_WORDS }, (_, i) => wordAt(i));
    const rest = [wordAt(16), wordAt(17), wordAt(18)];
    const padded = [...rest, 0, 0x80000000, ...new Array<number>(10).fill(0), 640];
    const midstate = compress(INITIAL_STATE, first, 64).map((word, i) => (word + (INITIAL_STATE[i] as number)) >>> 0);
    this.#words.set(midstate, Input.midstate);
    this.#words.set(compress(midstate, padded, SHARED_ROUNDS), Input.shared);
    this.#words.set([...rest, scheduled(padded, 16), scheduled(padded, 17)], Input.words);
    this.#words[Input.limit] = Number(target >> 224n);
  }
}

/** Looks for a nonce: see `grind`. */
export type Search = (header: Bytes, bits: number, startNonce: number, maxTries: number) => GrindResult;

/** The kernel where it works, which it is asked to show, else the plain search. */
export function fastestSearch(): Search {
  try {
    const kernel = new Kernel();
    const search: Search = (...task) => kernel.search(...task);
    const sample = encodeHeader({ ...vinenet.genesis.header, nonce: 0 });
    if (search(sample, SAMPLE_BITS, 0, SAMPLE_TRIES).nonce === grind(sample, SAMPLE_BITS, 0, SAMPLE_TRIES).nonce)
      return search;
  } catch {
    // Old processors have no 128-bit vectors: the plain search is slower, and right.
  }
  return grind;
}

/** `rounds` rounds of SHA-256, without the addition at the end. `block`: 16 words. */
function compress(from: readonly number[], block: readonly number[], rounds: number): number[] {
  let [a, b, c, d, e, f, g, h] = from as [number, number, number, number, number, number, number, number];
  const words = [...block];
  for (let t = 0; t < rounds; t++) {
    if (t >= BLOCK_WORDS) words.push(scheduled(words, t));
    const sigma1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + sigma1 + choice + (ROUND_CONSTANTS[t] as number) + (words[t] as number)) >>> 0;
    const sigma0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [a, b, c, d, e, f, g, h] = [(t1 + sigma0 + majority) >>> 0, a, b, c, (d + t1) >>> 0, e, f, g];
  }
  return [a, b, c, d, e, f, g, h];
}

/** Word t of the schedule from the 16 before it. */
function scheduled(words: readonly number[], t: number): number {
  const at = (back: number) => words[t - back] as number;
  const s0 = rotated(at(15), 7) ^ rotated(at(15), 18) ^ (at(15) >>> 3);
  const s1 = rotated(at(2), 17) ^ rotated(at(2), 19) ^ (at(2) >>> 10);
  return (at(16) + s0 + at(7) + s1) >>> 0;
}
