/**
 * Writes the WebAssembly module that looks for proof of work: SHA-256 twice over a header of 80 bytes, four headers at once
 * in the lanes of 128-bit vectors. Owns what the module computes and where it finds its input; kernel.ts runs it.
 *
 * What makes it fast (FIPS 180-4 has the names):
 * - The first 64 bytes of a header do not hold the nonce: the state after them (the midstate) is computed once per job. Nor
 *   do the first three words of the rest: three more rounds are done once, and of the fourth all but the addition of the
 *   nonce; so are the words 16 and 17 of the schedule.
 * - Headers that differ in their version only have the rest, and so the schedule of its words, in common: it is computed
 *   once per nonce for all versions, which saves a sixth of the operations.
 * - Majority takes a ⊕ b and b ⊕ c; the latter is the former of the round before.
 * - The proof of work looks at the last word of the second hash first. That word is `e` of round 60: the rounds after it,
 *   and all other words, are left out.
 * - Words that are known here (padding, zeros) are folded into the round constants.
 * - The work is cut so that processors are kept busy, which wait for results otherwise: eight headers, in two sets of four,
 *   take turns in the rounds of the first hash; in the second a word of the schedule is computed in the round that needs it.
 * - The first hash is a loop, and the code of the second is there once for both sets: what V8 makes of them, and what is
 *   repeated for every eight headers, are 25 KB, and an instruction cache may have 32.
 *
 * Of minerd, which has eight headers in vectors of 256 bits, this is 0.7, as `npm run bench -- mine` prints where
 * GRAPEVINE_MINERD is its path (by processor time, on an Intel Xeon with AVX-512). A header costs 1230 vector operations,
 * of which that processor does three per cycle at best, and some nine tenths of that are reached. Half of the operations are
 * rotations, which take three each, because WebAssembly has none for vectors.
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
/** Rounds of the second block that do not depend on the nonce, the last of them but for the word that is added. */
export const SHARED_ROUNDS = 4;
/** Headers in one vector, and in the two sets that are tried together. */
export const LANES = 4;
export const PAIR_LANES = 2 * LANES;

/** Where the module expects what differs between jobs, as indices of vectors of four 32-bit words in its memory. */
export const Input = {
  /** Numbers, one per word: `step`, `spread` and `end`; see `kernelModule`. */
  numbers: 0,
  /** A hash is looked at if its first 32 bits, as the number that is compared, are not above this. */
  limit: 1,
  /** Words 0, 1 and 2 of the second block, and words 16 and 17 of its schedule. */
  words: 2,
  /** What is added to the nonce in each lane. The second set has its own, where the schedules are not shared. */
  lanes: [64, 128],
  /**
   * Of one set after the other, two of which are a pair: the state after the first 64 bytes of the header, and the state
   * after SHARED_ROUNDS more rounds if nothing, not even the constant, were added in the last of them.
   */
  sets: 256,
} as const;
const STATE_VECTORS = 8;
export const SET_VECTORS = 2 * STATE_VECTORS;
export const PAIR_VECTORS = 2 * SET_VECTORS;
export const VECTOR_BYTES = 16;
/** The words of the first hash's rounds with their constants; the places of the first rounds are not used. */
const SCHEDULE = Input.lanes[0];
/** The first hashes of a pair. */
const DIGESTS = 192;
const ROUNDS = 64;
/** After four rounds all eight words of a state are new. */
const ROUNDS_PER_TURN = 4;
/** The round after which `e` is what will be the last word of the hash. */
const LAST_ROUND = 60;

/**
 * A word that is the same for all headers and known now, one of the memory (a vector's index, and the local variable that
 * is added to its address), or four of them in a local variable.
 */
type Word = { readonly known: number } | { readonly at: number; readonly base?: number } | { readonly local: number };

/** a to h, and b ⊕ c. */
type State = readonly [Word, Word, Word, Word, Word, Word, Word, Word, Word];

const op = {
  unreachable: 0x00,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  branch: 0x0c,
  branchIf: 0x0d,
  return: 0x0f,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  i32Load: 0x28,
  i32: 0x41,
  i32Eqz: 0x45,
  i32NotEqual: 0x47,
  i32Add: 0x6a,
  i32Sub: 0x6b,
} as const;
/** After the prefix 0xfd. */
const simd = {
  load: 0x00,
  store: 0x0b,
  shuffle: 0x0d,
  splat: 0x11,
  lessOrEqualUnsigned: 0x3e,
  and: 0x4e,
  xor: 0x51,
  anyTrue: 0x53,
  shiftLeft: 0xab,
  shiftRight: 0xad,
  add: 0xae,
} as const;
const I32 = 0x7f;
const V128 = 0x7b;
const NOTHING = 0x40;
/** Powers of two. */
const WORD_ALIGNED = 2;
const VECTOR_ALIGNED = 4;
/** Of each lane, in another order of bytes. */
const SWAPPED = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];

// Parameters and local variables of 32 bits; the vectors come after them.
const NONCE = 0;
const LEFT = 1;
const STEP = 2;
const SPREAD = 3;
const END = 4;
/** The pair at hand: how many bytes after the first. */
const PAIR = 5;
/** Counts the addresses of the loop at hand. */
const AT = 6;
/** The same for the second set. */
const AT_SECOND = 7;
const PARAMETERS = 2;
const NUMBERS = 8;

/**
 * The module. It exports `memory`, one page, and `scan(nonce, left)`. That looks at the headers of one pair after the other
 * with the nonce, then again with a nonce that is greater by `step`, and so on. It returns how many pairs were left of
 * `left` when one of a pair's headers may be a hit, this pair included; 0 if none is.
 *
 * `end`: the bytes of all pairs. `spread`: 0 where all headers have the same nonce at a time, else how far the schedule of
 * the second set is from the first's: the distance of their `lanes` in bytes.
 */
export function kernelModule(): Bytes {
  const writer = new KernelWriter();
  const body = writer.function();
  const locals = [2, ...unsigned(NUMBERS - PARAMETERS), I32, ...unsigned(writer.vectors), V128];
  const code = [...locals, ...body, op.end];
  const sections = [
    section(1, [1, 0x60, PARAMETERS, I32, I32, 1, I32]),
    section(3, [1, 0]),
    section(5, [1, 0, 1]),
    section(7, [2, ...name('memory'), 2, 0, ...name('scan'), 0, 0]),
    section(10, [1, ...unsigned(code.length), ...code]),
  ];
  return Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

class KernelWriter {
  readonly #code: number[] = [];
  readonly #free: number[] = [];
  #vectors = 0;

  get vectors(): number {
    return this.#vectors;
  }

  function(): number[] {
    for (const [i, local] of [STEP, SPREAD, END].entries()) {
      this.#emit(op.i32, 0, op.i32Load, WORD_ALIGNED, ...unsigned(VECTOR_BYTES * Input.numbers + 4 * i), op.set, local);
    }
    this.#emit(op.loop, NOTHING);
    this.#schedules();
    this.#setNumber(PAIR, 0);
    this.#emit(op.loop, NOTHING);
    this.#firstHashes();
    this.#setNumber(AT, 0);
    this.#emit(op.loop, NOTHING);
    this.#secondHash();
    this.#repeatUntil(AT, VECTOR_BYTES * STATE_VECTORS, 2);
    // Nothing here: the next pair, until none is left.
    this.#emit(op.get, LEFT, op.i32, 1, op.i32Sub, op.tee, LEFT);
    this.#emit(op.i32Eqz, op.if, NOTHING, op.i32, 0, op.return, op.end);
    this.#emit(op.get, PAIR, op.i32, ...signed(VECTOR_BYTES * PAIR_VECTORS), op.i32Add, op.tee, PAIR);
    this.#emit(op.get, END, op.i32NotEqual, op.branchIf, 0, op.end);
    this.#emit(op.get, NONCE, op.get, STEP, op.i32Add, op.set, NONCE);
    this.#emit(op.branch, 0, op.end, op.unreachable);
    return this.#code;
  }

  /** The schedule of the first hash, or one for each set. */
  #schedules(): void {
    this.#setNumber(AT, 0);
    this.#emit(op.loop, NOTHING);
    const words = this.#lastBytes();
    for (let t = SHARED_ROUNDS - 1; t < ROUNDS; t++) {
      if (t === 16 || t === 17) {
        this.#drop(words[t - 16] as Word);
        words[t - 16] = { at: Input.words + 3 + (t - 16) };
      } else if (t > 17) {
        this.#schedule(words, t);
      }
      const sum = this.#sum([words[t % 16] as Word, { known: ROUND_CONSTANTS[t] as number }]);
      this.#store({ at: SCHEDULE + t, base: AT }, sum);
      this.#drop(sum);
    }
    for (const word of words) this.#drop(word);
    this.#emit(op.get, AT, op.get, SPREAD, op.i32NotEqual, op.get, SPREAD, op.set, AT, op.branchIf, 0, op.end);
  }

  /** The second block of a header: its last 16 bytes, the last of which are the nonce, and the padding. */
  #lastBytes(): Word[] {
    this.#emit(op.get, NONCE);
    this.#simd(simd.splat);
    this.#push({ at: Input.lanes[0], base: AT });
    this.#simd(simd.add);
    const nonces = this.#pop();
    // A header holds the nonce little-endian, SHA-256 reads words big-endian.
    const word = this.#swapped(nonces);
    this.#drop(nonces);
    const known = [0x80000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 640].map((value) => ({ known: value }));
    return [0, 1, 2].map((i): Word => ({ at: Input.words + i })).concat([word, ...known]);
  }

  /** Of both sets; a round of the one, then of the other. */
  #firstHashes(): void {
    const sets = [0, SET_VECTORS];
    const inputs = (first: number) => Array.from({ length: 8 }, (_, i): Word => ({ at: first + i, base: PAIR }));
    this.#setNumber(AT, 0);
    this.#emit(op.get, SPREAD, op.set, AT_SECOND);
    const numbers = [AT, AT_SECOND];
    const begun = sets.map((set, i): State => {
      const [a, b, c, d, e, f, g, h] = inputs(Input.sets + set + STATE_VECTORS) as unknown as State;
      const word: Word = { at: SCHEDULE + SHARED_ROUNDS - 1, base: numbers[i] as number };
      return [this.#sum([a, word]), b, c, d, this.#sum([e, word]), f, g, h, this.#xor(b, c)];
    });
    const kept = begun.map((state) => state.map((word) => this.#local(word)) as unknown as State);
    this.#emit(op.loop, NOTHING);
    let states: readonly State[] = kept;
    for (let t = SHARED_ROUNDS; t < SHARED_ROUNDS + ROUNDS_PER_TURN; t++) {
      states = states.map((state, i) => this.#round(state, [{ at: SCHEDULE + t, base: numbers[i] as number }], true));
    }
    this.#move(states.flat(), kept.flat());
    const turn = VECTOR_BYTES * ROUNDS_PER_TURN;
    this.#emit(op.get, AT_SECOND, op.i32, ...signed(turn), op.i32Add, op.set, AT_SECOND);
    this.#repeatUntil(AT, turn, (ROUNDS - SHARED_ROUNDS) / ROUNDS_PER_TURN);
    for (const [i, state] of kept.entries()) {
      const midstate = inputs(Input.sets + (sets[i] as number));
      for (const [j, word] of midstate.entries()) {
        const sum = this.#sum([state[j] as Word, word]);
        this.#store({ at: DIGESTS + i * STATE_VECTORS + j }, sum);
        this.#drop(sum);
      }
    }
    for (const word of kept.flat()) this.#drop(word);
  }

  /** Of the set whose first hash is at AT; returns from the module where it may be a hit. */
  #secondHash(): void {
    const digest = Array.from({ length: 8 }, (_, i) => this.#local({ at: DIGESTS + i, base: AT }));
    const padding: Word[] = [0x80000000, 0, 0, 0, 0, 0, 0, 256].map((known) => ({ known }));
    const words = [...digest, ...padding];
    const initial = INITIAL_STATE.map((known) => ({ known }));
    let state = [...initial, this.#xor(initial[1] as Word, initial[2] as Word)] as unknown as State;
    for (let t = 0; t <= LAST_ROUND; t++) {
      if (t >= 16) this.#schedule(words, t);
      const addends = [{ known: ROUND_CONSTANTS[t] as number }, words[t % 16] as Word];
      // What is `a` after the last four rounds would be looked at in later ones only.
      state = this.#round(state, addends, t <= LAST_ROUND - 4);
    }
    const last = this.#sum([state[4], { known: INITIAL_STATE[7] as number }]);
    const number = this.#swapped(last);
    this.#push(number);
    this.#push({ at: Input.limit });
    this.#simd(simd.lessOrEqualUnsigned);
    this.#simd(simd.anyTrue);
    this.#emit(op.if, NOTHING, op.get, LEFT, op.return, op.end);
    for (const word of [...words, ...state, last, number]) this.#drop(word);
  }

  /** One round; `addends` are added up to the word of the schedule and the constant. Without `needsA` a is 0. */
  #round([a, b, c, d, e, f, g, h, bc]: State, addends: readonly Word[], needsA: boolean): State {
    // Σ1(e) + Ch(e, f, g) + h + K + W
    const choice = this.#choice(e, f, g);
    const sigma1 = this.#xorOfRotations(e, [6, 11, 25]);
    const t1 = this.#sum([...addends, h, choice, sigma1]);
    const nextE = this.#sum([d, t1]);
    let nextA: Word = { known: 0 };
    let ab: Word = { known: 0 };
    if (needsA) {
      ab = this.#xor(a, b);
      const majority = this.#majority(ab, bc, b);
      const sigma0 = this.#xorOfRotations(a, [2, 13, 22]);
      nextA = this.#sum([majority, sigma0, t1]);
      for (const one of [majority, sigma0]) this.#drop(one);
    }
    for (const one of [choice, sigma1, t1, d, h, bc]) this.#drop(one);
    return [nextA, a, b, c, nextE, e, f, g, ab];
  }

  /** Word t of the schedule, in place of word t − 16. */
  #schedule(words: Word[], t: number): void {
    const former = words[t % 16] as Word;
    const s0 = this.#sigma(words[(t + 1) % 16] as Word, [7, 18], 3);
    const s1 = this.#sigma(words[(t + 14) % 16] as Word, [17, 19], 10);
    words[t % 16] = this.#sum([former, s0, words[(t + 9) % 16] as Word, s1]);
    for (const one of [former, s0, s1]) this.#drop(one);
  }

  // Words

  /** The sum; what is known is added up here. Always a local of its own, or known. */
  #sum(words: readonly Word[]): Word {
    let known = 0;
    const others: Word[] = [];
    for (const word of words) {
      if ('known' in word) known = (known + word.known) >>> 0;
      else others.push(word);
    }
    const [first, ...rest] = known === 0 ? others : [{ known }, ...others];
    if (first === undefined || others.length === 0) return { known };
    this.#push(first);
    for (const word of rest) {
      this.#push(word);
      this.#simd(simd.add);
    }
    return this.#pop();
  }

  #xor(a: Word, b: Word): Word {
    if ('known' in a && 'known' in b) return { known: (a.known ^ b.known) >>> 0 };
    this.#push(a);
    this.#push(b);
    this.#simd(simd.xor);
    return this.#pop();
  }

  /** f where e has ones, else g. V8 makes three operations of `bitselect` too, and the rounds were 5 % slower with it. */
  #choice(e: Word, f: Word, g: Word): Word {
    if ('known' in e && 'known' in f && 'known' in g)
      return { known: ((e.known & f.known) ^ (~e.known & g.known)) >>> 0 };
    this.#push(f);
    this.#push(g);
    this.#simd(simd.xor);
    this.#push(e);
    this.#simd(simd.and);
    this.#push(g);
    this.#simd(simd.xor);
    return this.#pop();
  }

  /** b where a ⊕ b or b ⊕ c has zeros, else not b. */
  #majority(ab: Word, bc: Word, b: Word): Word {
    if ('known' in ab && 'known' in bc && 'known' in b) return { known: ((ab.known & bc.known) ^ b.known) >>> 0 };
    this.#push(ab);
    this.#push(bc);
    this.#simd(simd.and);
    this.#push(b);
    this.#simd(simd.xor);
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

  /** The bytes of each word in the other order. */
  #swapped(word: Word): Word {
    this.#push(word);
    this.#push(word);
    this.#simd(simd.shuffle, ...SWAPPED);
    return this.#pop();
  }

  // The stack, the memory and the locals

  #push(word: Word): void {
    if ('local' in word) {
      this.#emit(op.get, ...unsigned(word.local));
    } else if ('at' in word) {
      this.#address(word);
      this.#simd(simd.load, VECTOR_ALIGNED, ...unsigned(VECTOR_BYTES * word.at));
    } else {
      this.#emit(op.i32, ...signed(word.known | 0));
      this.#simd(simd.splat);
    }
  }

  #store(to: { readonly at: number; readonly base?: number }, word: Word): void {
    this.#address(to);
    this.#push(word);
    this.#simd(simd.store, VECTOR_ALIGNED, ...unsigned(VECTOR_BYTES * to.at));
  }

  #address({ base }: { readonly base?: number }): void {
    if (base === undefined) this.#emit(op.i32, 0);
    else this.#emit(op.get, base);
  }

  /** What is on the stack, in a local of its own. */
  #pop(): Word {
    const local = this.#free.pop() ?? NUMBERS + this.#vectors++;
    this.#emit(op.set, ...unsigned(local));
    return { local };
  }

  /** The word in a local, if it is not in one already. */
  #local(word: Word): Word {
    if ('local' in word) return word;
    this.#push(word);
    return this.#pop();
  }

  /** The local can be used for something else. A word that is none stays what it is. */
  #drop(word: Word): void {
    if ('local' in word && !this.#free.includes(word.local)) this.#free.push(word.local);
  }

  /** Gives locals the values of words, some of which may be in others of these locals; the words are dropped. */
  #move(words: readonly Word[], to: readonly Word[]): void {
    for (const word of words) this.#push(word);
    for (const word of words) this.#drop(word);
    for (const word of [...to].reverse()) {
      if (!('local' in word)) throw new Error('only a local can be set');
      this.#emit(op.set, ...unsigned(word.local));
      if (this.#free.includes(word.local)) this.#free.splice(this.#free.indexOf(word.local), 1);
    }
  }

  #setNumber(local: number, value: number): void {
    this.#emit(op.i32, ...signed(value), op.set, local);
  }

  /** The end of a loop in which a number that was 0 grows by `step`. */
  #repeatUntil(local: number, step: number, turns: number): void {
    this.#emit(op.get, local, op.i32, ...signed(step), op.i32Add, op.tee, local);
    this.#emit(op.i32, ...signed(step * turns), op.i32NotEqual, op.branchIf, 0, op.end);
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

/** Signed LEB128 of a number of 32 bits. */
function signed(value: number): number[] {
  // The last byte's upper bit is the sign.
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
