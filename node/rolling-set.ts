/**
 * A set of 32-bit numbers that remembers the last ones and has a bounded size in bytes: two generations, of which the older
 * is forgotten as a whole when the younger is full. Each is a table of numbers without objects, and starts small: there is
 * one set for each peer, most peers hear of little, and any of them may try to fill it.
 */

/** Places of a generation at its start; it doubles when three quarters of them are taken. A power of two. */
const LEAST_PLACES = 16;
/** A free place. The number 0 itself is kept as 1, which costs one mistake in four thousand million. */
const FREE = 0;
const NO_TABLE = new Uint32Array(0);

export class RollingSet {
  readonly #perGeneration: number;
  #young = new Uint32Array(LEAST_PLACES);
  #old = NO_TABLE;
  /** Members of the young generation. */
  #size = 0;

  /** Remembers at least the last half of `limit` different numbers, and never more than `limit`. */
  constructor(limit: number) {
    this.#perGeneration = Math.max(1, Math.floor(limit / 2));
  }

  /** What the tables take, in bytes. */
  get bytes(): number {
    return this.#young.byteLength + this.#old.byteLength;
  }

  has(value: number): boolean {
    const member = memberOf(value);
    return contains(this.#young, member) || contains(this.#old, member);
  }

  /** A number that is added again counts as new. */
  add(value: number): void {
    const member = memberOf(value);
    if (contains(this.#young, member)) return;
    if (this.#size === this.#perGeneration) {
      this.#old = this.#young;
      this.#young = new Uint32Array(LEAST_PLACES);
      this.#size = 0;
    }
    if (4 * (this.#size + 1) > 3 * this.#young.length) this.#young = doubled(this.#young);
    this.#young[placeOf(this.#young, member)] = member;
    this.#size++;
  }

  clear(): void {
    this.#young = new Uint32Array(LEAST_PLACES);
    this.#old = NO_TABLE;
    this.#size = 0;
  }
}

function memberOf(value: number): number {
  return value >>> 0 === FREE ? 1 : value >>> 0;
}

function contains(table: Uint32Array, member: number): boolean {
  return table.length > 0 && table[placeOf(table, member)] === member;
}

/** Where the member is or would be put. The numbers are hashes already, so their low bits are as good as any. */
function placeOf(table: Uint32Array, member: number): number {
  const mask = table.length - 1;
  let place = member & mask;
  while (table[place] !== FREE && table[place] !== member) place = (place + 1) & mask;
  return place;
}

function doubled(table: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * table.length);
  for (const member of table) if (member !== FREE) larger[placeOf(larger, member)] = member;
  return larger;
}
