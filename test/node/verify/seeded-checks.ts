/**
 * Ten thousand checks from a seed, for the comparison of the backends: signatures that hold, signatures that nearly hold,
 * and bytes that are none. Signed by arithmetic on a few points with known scalars, which costs a hash for each signature,
 * and gives also what an honest signer never makes: R or P of odd y, and s·G − e·P at infinity.
 */
import { Point } from '@noble/secp256k1';
import { hexToBytes } from '#hash';
import type { Bytes } from '../../../consensus/brand.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { taggedHash } from '../../../consensus/signature.ts';
import { SeededRandom } from '../../../node/random.ts';

export interface SeededCheck {
  readonly kind: string;
  readonly key: Bytes;
  readonly message: Bytes;
  readonly signature: Bytes;
}

/** Size of the field, and order of the group. */
const P = 2n ** 256n - 2n ** 32n - 977n;
const N = Point.CURVE().n;
/** Points with known scalars, for keys and as many for nonces. */
const POINTS = 48;

/** Kinds that hold. */
export const holding: readonly string[] = ['signed', 'signed, message of zeros', 'signed, small or large nonce'];

/** How many of each. Those that noble refuses by their encoding are the majority: it needs some 3 ms for each other. */
const counts = {
  signed: 450,
  'signed, message of zeros': 20,
  'signed, small or large nonce': 80,
  'one bit of the key changed': 250,
  'one bit of the message changed': 150,
  'one bit of r changed': 150,
  'one bit of s changed': 150,
  'signed by another key': 50,
  's negated': 50,
  'R of odd y': 80,
  'P of odd y': 80,
  'sG - eP at infinity': 80,
  'r from n to p': 80,
  'key from n to p': 200,
  'key off the curve': 1800,
  'key not below p': 1900,
  'r not below p': 1900,
  's not below n': 1900,
  'a part of zeros': 330,
  'random bytes': 300,
} as const;
type Kind = keyof typeof counts;

/** A scalar and the x of its point; the y is even. */
interface Known {
  readonly scalar: bigint;
  readonly x: Bytes;
}

export function seededChecks(seed: string): SeededCheck[] {
  const source = new Source(new SeededRandom(seed));
  return Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, index) => ({ kind, ...source.make(kind as Kind, index) })),
  );
}

class Source {
  readonly #random: SeededRandom;
  readonly #keys: readonly Known[];
  readonly #nonces: readonly Known[];
  readonly #oddNonces: readonly Known[];

  constructor(random: SeededRandom) {
    this.#random = random;
    const scalars = () => Array.from({ length: POINTS }, () => numberOf(random.bytes(32)) % N);
    this.#keys = scalars().map(known);
    this.#nonces = scalars().map(known);
    this.#oddNonces = [1n, 2n, 3n, 4n, 1n << 128n, N >> 1n, N - 2n, N - 1n].map(known);
  }

  make(kind: Kind, index: number): Omit<SeededCheck, 'kind'> {
    const random = this.#random;
    const key = this.#pick(this.#keys);
    const message = random.bytes(32);
    const nonce = this.#pick(this.#nonces);
    const good = sign(key, message, nonce);
    const { x } = key;
    switch (kind) {
      case 'signed':
        return { key: x, message, signature: good };
      case 'signed, message of zeros':
        return { key: x, message: new Uint8Array(32), signature: sign(key, new Uint8Array(32), nonce) };
      case 'signed, small or large nonce':
        return { key: x, message, signature: sign(key, message, this.#pick(this.#oddNonces)) };
      case 'one bit of the key changed':
        return { key: this.#oneBitChanged(x), message, signature: good };
      case 'one bit of the message changed':
        return { key: x, message: this.#oneBitChanged(message), signature: good };
      case 'one bit of r changed':
        return { key: x, message, signature: concatBytes(this.#oneBitChanged(rOf(good)), sOf(good)) };
      case 'one bit of s changed':
        return { key: x, message, signature: concatBytes(rOf(good), this.#oneBitChanged(sOf(good))) };
      case 'signed by another key': {
        const other = this.#keys[(this.#keys.indexOf(key) + 1) % POINTS] as Known;
        return { key: other.x, message, signature: good };
      }
      case 's negated':
        return { key: x, message, signature: concatBytes(rOf(good), bytesOf(N - numberOf(sOf(good)))) };
      case 'R of odd y':
        return { key: x, message, signature: sign(key, message, { ...nonce, scalar: N - nonce.scalar }) };
      case 'P of odd y':
        return { key: x, message, signature: sign({ ...key, scalar: N - key.scalar }, message, nonce) };
      case 'sG - eP at infinity':
        return { key: x, message, signature: sign(key, message, { ...nonce, scalar: 0n }) };
      case 'r from n to p':
        return { key: x, message, signature: concatBytes(this.#fromOrderToField(), sOf(good)) };
      case 'key from n to p':
        return { key: this.#fromOrderToField(), message, signature: good };
      case 'key off the curve':
        return { key: this.#offTheCurve(), message, signature: good };
      case 'key not below p':
        return { key: this.#notBelow(P, index), message, signature: good };
      case 'r not below p':
        return { key: x, message, signature: concatBytes(this.#notBelow(P, index), sOf(good)) };
      case 's not below n':
        return { key: x, message, signature: concatBytes(rOf(good), this.#notBelow(N, index)) };
      case 'a part of zeros': {
        // Each set of key, message, r and s, but for none and the message alone.
        const zeros = [1, 4, 8, 12, 5, 9, 13, 15, 6, 10, 14, 3, 7, 11][index % 14] as number;
        const part = (bit: number, bytes: Bytes) => ((zeros & bit) === 0 ? bytes : new Uint8Array(32));
        const signature = concatBytes(part(4, rOf(good)), part(8, sOf(good)));
        return { key: part(1, x), message: part(2, message), signature };
      }
      case 'random bytes':
        return { key: random.bytes(32), message, signature: random.bytes(64) };
    }
  }

  #pick(points: readonly Known[]): Known {
    return points[this.#random.u32() % points.length] as Known;
  }

  #oneBitChanged(bytes: Bytes): Bytes {
    const changed = bytes.slice();
    const bit = this.#random.u32() % (bytes.length * 8);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    return changed;
  }

  /** From n up to the size of the field, which is some 2^128 above it. */
  #fromOrderToField(): Bytes {
    return bytesOf(N + (numberOf(this.#random.bytes(16)) % (P - N)));
  }

  #offTheCurve(): Bytes {
    for (;;) {
      const x = numberOf(this.#random.bytes(32)) % P;
      if (!isOnCurve(x)) return bytesOf(x);
    }
  }

  /** The bound, its neighbour above, the largest number, and what lies between. */
  #notBelow(bound: bigint, index: number): Bytes {
    const room = 2n ** 256n - bound;
    const edges = [0n, 1n, 2n, room - 2n, room - 1n];
    return bytesOf(bound + (edges[index] ?? numberOf(this.#random.bytes(32)) % room));
  }
}

function known(scalar: bigint): Known {
  const point = Point.BASE.multiply(scalar);
  const isEven = point.toBytes(true)[0] === 2;
  return { scalar: isEven ? scalar : N - scalar, x: point.toBytes(true).slice(1) };
}

/** BIP 340 with a given nonce. */
function sign(key: Known, message: Bytes, nonce: Known): Bytes {
  const e = numberOf(taggedHash('BIP0340/challenge', nonce.x, key.x, message)) % N;
  return concatBytes(nonce.x, bytesOf((nonce.scalar + e * key.scalar) % N));
}

const rOf = (signature: Bytes): Bytes => signature.subarray(0, 32);
const sOf = (signature: Bytes): Bytes => signature.subarray(32);

/** Euler's criterion for x³ + 7. */
function isOnCurve(x: bigint): boolean {
  let result = 1n;
  let base = (x * x * x + 7n) % P;
  for (let exponent = (P - 1n) / 2n; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % P;
    base = (base * base) % P;
  }
  return result <= 1n;
}

export function numberOf(bytes: Bytes): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

export function bytesOf(value: bigint): Bytes {
  return hexToBytes(value.toString(16).padStart(64, '0'));
}
