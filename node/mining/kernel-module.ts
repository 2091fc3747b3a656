/**
 * Writes the WebAssembly module that looks for nonces: SHA-256 twice over a header of 80 bytes, four nonces at once in the
 * lanes of 128-bit vectors. Owns what the module computes and where it finds its input; kernel.ts runs it.
 *
 * What makes it fast (FIPS 180-4 has the names):
 * - The first 64 bytes of a header do not hold the nonce: the state after them (the midstate) is computed once per job. Nor
 *   do the first three words of the rest, so three more rounds are done once, and the words 16 and 17 of the schedule.
 * - The proof of work looks at the last word of the second hash first. That word is `e` of round 60: the rounds after it,
 *   and all other words, are left out.
 * - Words that are known here (padding, zeros) are folded into the round constants.
 * - A word of the schedule is computed in the round that needs it, in place of the word of 16 rounds before.
 */
import type { Bytes } from '../../consensus/brand.ts';

export const ROUND_CONSTANTS: readonly number[] = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
];
export const INITIAL_STATE: readonly number[] = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** Rounds of the second block that do not depend on the nonce. */
export const SHARED_ROUNDS = 3;

/** Where the module expects what differs between jobs, as indices of 32-bit words in its memory. */
export const Input = {
  /** The state after the first 64 bytes of the header. */
  midstate: 0,
  /** The state after SHARED_ROUNDS more rounds. */
  shared: 8,
  /** Words 0, 1 and 2 of the second block, and words 16 and 17 of its schedule. */
  words: 16,
  /** A hash is looked at if its first 32 bits, as the number that is compared, are not above this. */
  limit: 21,
} as const;
const CONSTANTS = 32;

/** A word that is the same for all nonces and known now, one of the memory, or four of them in a local variable. */
type Word = { readonly known: number } | { readonly at: number } | { readonly local: number };

const op = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  return: 0x0f,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  i32: 0x41,
  i32Eqz: 0x45,
  i32Add: 0x6a,
  i32Sub: 0x6b,
} as const;
/** After the prefix 0xfd. */
const simd = {
  loadSplat: 0x09,
  const: 0x0c,
  shuffle: 0x0d,
  splat: 0x11,
  lessOrEqualUnsigned: 0x3e,
  and: 0x4e,
  xor: 0x51,
  bitselect: 0x52,
  anyTrue: 0x53,
  shiftLeft: 0xab,
  shiftRight: 0xad,
  add: 0xae,
} as const;
const I32 = 0x7f;
const V128 = 0x7b;
const NOTHING = 0x40;
/** Of each lane, in another order of bytes. */
const SWAPPED = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];

const NONCE = 0;
const GROUPS = 1;

/**
 * The module. It exports `memory`, one page, and `scan(nonce, groups)`: looks at 4 × `groups` nonces from `nonce` upwards,
 * and returns how many groups were left when one of the four may be a hit, that one included; 0 if none is.
 */
export function kernelModule(): {
  readonly code: Bytes;
  readonly constants: readonly number[];
  readonly constantsAt: number;
} {
  const writer = new KernelWriter();
  const body = writer.function();
  const locals = [...unsigned(1), ...unsigned(writer.locals), V128];
  const code = [...locals, ...body, op.end];
  const sections = [
    section(1, [1, 0x60, 2, I32, I32, 1, I32]),
    section(3, [1, 0]),
    section(5, [1, 0, 1]),
    section(7, [2, ...name('memory'), 2, 0, ...name('scan'), 0, 0]),
    section(10, [1, ...unsigned(code.length), ...code]),
  ];
  const bytes = Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
  return { code: bytes, constants: writer.constants, constantsAt: CONSTANTS };
}

class KernelWriter {
  readonly #code: number[] = [];
  readonly #free: number[] = [];
  readonly constants: number[] = [];
  #locals = 0;

  get locals(): number {
    return this.#locals;
  }

  function(): number[] {
    this.#emit(op.block, NOTHING, op.loop, NOTHING);
    this.#scanFour();
    // Nothing here: the next four, until no group is left.
    this.#emit(op.get, NONCE, op.i32, 4, op.i32Add, op.set, NONCE);
    this.#emit(op.get, GROUPS, op.i32, 1, op.i32Sub, op.tee, GROUPS, op.branchIf, 0);
    this.#emit(op.end, op.end, op.i32, 0);
    return this.#code;
  }

  #scanFour(): void {
    const words = this.#firstWords();
    let state = this.#rounds(words, this.#inputs(Input.shared, 8), SHARED_ROUNDS, 64);
    const midstate = this.#inputs(Input.midstate, 8);
    for (const word of words) this.#drop(word);
    const digest = state.map((word, i) => this.#sum([word, midstate[i] as Word], true));
    const padding: Word[] = [0x80000000, 0, 0, 0, 0, 0, 0, 256].map((known) => ({ known }));
    const second = [...digest, ...padding];
    state = this.#rounds(
      second,
      INITIAL_STATE.map((known) => ({ known })),
      0,
      61,
    );
    // After round 60 `e` is what will be `h`, the last word of the hash.
    const last = this.#sum([state[4] as Word, { known: INITIAL_STATE[7] as number }], false);
    this.#push(last);
    this.#push(last);
    this.#simd(simd.shuffle, ...SWAPPED);
    this.#push({ at: Input.limit });
    this.#simd(simd.lessOrEqualUnsigned);
    this.#simd(simd.anyTrue);
    this.#emit(0x04, NOTHING, op.get, GROUPS, op.return, op.end);
    for (const word of [...second, ...state, last]) this.#drop(word);
  }

  /** The second block of a header: its last 16 bytes, the last of which are the nonce, and the padding. */
  #firstWords(): Word[] {
    this.#emit(op.get, NONCE);
    this.#simd(simd.splat);
    this.#simd(simd.const, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0);
    this.#simd(simd.add);
    const nonces = this.#pop();
    // A header holds the nonce little-endian, SHA-256 reads words big-endian.
    this.#push(nonces);
    this.#push(nonces);
    this.#simd(simd.shuffle, ...SWAPPED);
    const word = this.#pop();
    this.#drop(nonces);
    const known = [0x80000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 640].map((value) => ({ known: value }));
    return [...this.#inputs(Input.words, 3), word, ...known];
  }

  /** The rounds from `first` to before `end`; `words` becomes the last 16 of the schedule. Returns the state, a to h. */
  #rounds(words: Word[], from: readonly Word[], first: number, end: number): Word[] {
    let [a, b, c, d, e, f, g, h] = from as [Word, Word, Word, Word, Word, Word, Word, Word];
    for (let t = first; t < end; t++) {
      const word = t < 16 ? (words[t] as Word) : this.#schedule(words, t, first);
      const constant = ROUND_CONSTANTS[t] as number;
      // Σ1(e) + Ch(e, f, g) + h + K + W
      const addends = this.#addends([h, { known: constant }, word]);
      const choice = this.#choice(e, f, g);
      const sigma1 = this.#xorOfRotations(e, [6, 11, 25]);
      const t1 = this.#sum([...addends, choice, sigma1], false);
      this.#drop(choice);
      this.#drop(sigma1);
      const nextE = this.#sum([d, t1], false);
      if (t === 60 && end === 61) {
        for (const one of [t1, a, b, c, d, f, g, h]) this.#drop(one);
        return [{ known: 0 }, { known: 0 }, { known: 0 }, { known: 0 }, nextE];
      }
      const sigma0 = this.#xorOfRotations(a, [2, 13, 22]);
      const majority = this.#majority(a, b, c);
      const nextA = this.#sum([t1, sigma0, majority], false);
      for (const one of [t1, sigma0, majority, d, h]) this.#drop(one);
      [a, b, c, d, e, f, g, h] = [nextA, a, b, c, nextE, e, f, g];
    }
    return [a, b, c, d, e, f, g, h];
  }

  /** Word t of the schedule, in place of word t − 16. */
  #schedule(words: Word[], t: number, first: number): Word {
    const at = t % 16;
    if (first === SHARED_ROUNDS && (t === 16 || t === 17)) {
      this.#drop(words[at] as Word);
      words[at] = { at: Input.words + 3 + (t - 16) };
      return words[at] as Word;
    }
    const s0 = this.#sigma(words[(t + 1) % 16] as Word, [7, 18], 3);
    const s1 = this.#sigma(words[(t + 14) % 16] as Word, [17, 19], 10);
    const former = words[at] as Word;
    const next = this.#sum([former, s0, words[(t + 9) % 16] as Word, s1], false);
    for (const one of [former, s0, s1]) this.#drop(one);
    words[at] = next;
    return next;
  }

  // Words

  /** The sum; what is known is added up here. With `dropping` the locals among them are free afterwards. */
  #sum(words: readonly Word[], dropping: boolean): Word {
    const [first, ...rest] = this.#addends(words);
    if (first === undefined) return { known: 0 };
    if (rest.length === 0 && 'known' in first) return first;
    this.#push(first);
    for (const word of rest) {
      this.#push(word);
      this.#simd(simd.add);
    }
    if (dropping) for (const word of words) this.#drop(word);
    return this.#pop();
  }

  /** The same sum with at most one known addend, and no zero. */
  #addends(words: readonly Word[]): Word[] {
    let known = 0;
    const others: Word[] = [];
    for (const word of words) {
      if ('known' in word) known = (known + word.known) >>> 0;
      else others.push(word);
    }
    return known === 0 && others.length > 0 ? others : [...others, { known }];
  }

  #choice(e: Word, f: Word, g: Word): Word {
    if ('known' in e && 'known' in f && 'known' in g)
      return { known: ((e.known & f.known) ^ (~e.known & g.known)) >>> 0 };
    this.#push(f);
    this.#push(g);
    this.#push(e);
    this.#simd(simd.bitselect);
    return this.#pop();
  }

  /** c where a and b differ, else b. */
  #majority(a: Word, b: Word, c: Word): Word {
    if ('known' in a && 'known' in b && 'known' in c) {
      return { known: ((a.known & b.known) ^ (a.known & c.known) ^ (b.known & c.known)) >>> 0 };
    }
    this.#push(c);
    this.#push(b);
    this.#push(a);
    this.#push(b);
    this.#simd(simd.xor);
    this.#simd(simd.bitselect);
    return this.#pop();
  }

  #xorOfRotations(word: Word, [one, two, three]: readonly [number, number, number]): Word {
    if ('known' in word) {
      return { known: (rotated(word.known, one) ^ rotated(word.known, two) ^ rotated(word.known, three)) >>> 0 };
    }
    this.#rotation(word, one);
    this.#rotation(word, two);
    this.#simd(simd.xor);
    this.#rotation(word, three);
    this.#simd(simd.xor);
    return this.#pop();
  }

  /** σ of the schedule: two rotations and a shift. */
  #sigma(word: Word, [one, two]: readonly [number, number], shift: number): Word {
    if ('known' in word)
      return { known: (rotated(word.known, one) ^ rotated(word.known, two) ^ (word.known >>> shift)) >>> 0 };
    this.#rotation(word, one);
    this.#rotation(word, two);
    this.#simd(simd.xor);
    this.#shift(word, simd.shiftRight, shift);
    this.#simd(simd.xor);
    return this.#pop();
  }

  #rotation(word: Word, by: number): void {
    this.#shift(word, simd.shiftRight, by);
    this.#shift(word, simd.shiftLeft, 32 - by);
    this.#simd(simd.xor);
  }

  #shift(word: Word, code: number, by: number): void {
    this.#push(word);
    this.#emit(op.i32, ...signed(by));
    this.#simd(code);
  }

  #inputs(at: number, count: number): Word[] {
    return Array.from({ length: count }, (_, i) => ({ at: at + i }));
  }

  // The stack and the locals

  #push(word: Word): void {
    if ('local' in word) this.#emit(op.get, ...unsigned(word.local));
    else {
      const at = 'at' in word ? word.at : CONSTANTS + this.#constant(word.known);
      this.#emit(op.i32, 0);
      this.#simd(simd.loadSplat, 2, ...unsigned(4 * at));
    }
  }

  /** What is on the stack, in a local of its own. */
  #pop(): Word {
    const local = this.#free.pop() ?? 2 + this.#locals++;
    this.#emit(op.set, ...unsigned(local));
    return { local };
  }

  /** The local can be used for something else. A word that is none stays what it is. */
  #drop(word: Word): void {
    if ('local' in word && !this.#free.includes(word.local)) this.#free.push(word.local);
  }

  #constant(value: number): number {
    const known = this.constants.indexOf(value);
    return known === -1 ? this.constants.push(value) - 1 : known;
  }

  #simd(code: number, ...rest: readonly number[]): void {
    this.#emit(0xfd, ...unsigned(code), ...rest);
  }

  #emit(...bytes: readonly number[]): void {
    this.#code.push(...bytes);
  }
}

export function rotated(word: number, by: number): number {
  return ((word >>> by) | (word << (32 - by))) >>> 0;
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128 of a number from 0 to 8191. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, value >>> 7];
}
