/** A set that forgets its oldest member when it would hold more than its limit. */
export class BoundedSet<T> {
  readonly #limit: number;
  readonly #members = new Set<T>();
  /**
   * Stands before the oldest member. Kept, because a new iterator would first walk over the places of all members that were
   * deleted before it: thousands at a time.
   */
  #oldest = this.#members.values();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#members.size;
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  /** A member that is added again counts as new. */
  add(member: T): void {
    this.#members.delete(member);
    this.#members.add(member);
    if (this.#members.size <= this.#limit) return;
    let next = this.#oldest.next();
    if (next.done === true) {
      this.#oldest = this.#members.values();
      next = this.#oldest.next();
    }
    this.#members.delete(next.value as T);
  }

  delete(member: T): boolean {
    return this.#members.delete(member);
  }

  clear(): void {
    this.#members.clear();
    this.#oldest = this.#members.values();
  }
}
