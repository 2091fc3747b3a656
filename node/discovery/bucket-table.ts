/**
 * Buckets with numbered places, most of them empty: memory is what is in them. Draws are uniform over the buckets that hold
 * something, then over what is in the bucket; so a group that fills one bucket is drawn no more often than one that is alone
 * in another. Owns the places; what is in them, and which place is whose, is the address manager's.
 */
import { below, type Random } from '../ports.ts';

export class BucketTable<T> {
  readonly #bucketSize: number;
  readonly #buckets = new Map<number, Map<number, T>>();
  /** Numbers of the buckets that hold something, and where each is in this list. */
  readonly #held: number[] = [];
  readonly #indices = new Map<number, number>();
  #size = 0;

  /** `bucketSize`: places in each bucket. */
  constructor(bucketSize: number) {
    this.#bucketSize = bucketSize;
  }

  /** Places that are taken. */
  get size(): number {
    return this.#size;
  }

  get(bucket: number, place: number): T | undefined {
    return this.#buckets.get(bucket)?.get(place);
  }

  set(bucket: number, place: number, value: T): void {
    if (place >= this.#bucketSize) throw new Error(`a bucket has ${this.#bucketSize} places`);
    let places = this.#buckets.get(bucket);
    if (places === undefined) {
      places = new Map();
      this.#buckets.set(bucket, places);
      this.#indices.set(bucket, this.#held.push(bucket) - 1);
    }
    if (!places.has(place)) this.#size++;
    places.set(place, value);
  }

  delete(bucket: number, place: number): void {
    const places = this.#buckets.get(bucket);
    if (places === undefined || !places.delete(place)) return;
    this.#size--;
    if (places.size > 0) return;
    this.#buckets.delete(bucket);
    const index = this.#indices.get(bucket) as number;
    this.#indices.delete(bucket);
    const last = this.#held.pop() as number;
    if (last === bucket) return;
    this.#held[index] = last;
    this.#indices.set(last, index);
  }

  /** One of all, or undefined if there is nothing. */
  draw(random: Random): T | undefined {
    if (this.#held.length === 0) return undefined;
    const places = this.#places(below(random, this.#held.length));
    return places[below(random, places.length)];
  }

  /** What each bucket holds, from a random bucket on. */
  *buckets(random: Random): Generator<readonly T[]> {
    const { length } = this.#held;
    const start = length === 0 ? 0 : below(random, length);
    for (let i = 0; i < length; i++) yield this.#places((start + i) % length);
  }

  #places(index: number): T[] {
    return [...(this.#buckets.get(this.#held[index] as number) as Map<number, T>).values()];
  }
}
