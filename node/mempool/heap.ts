/**
 * A binary heap whose items can be found, moved and taken out: the least key first, equal keys in the order of their tie.
 * Every change costs O(log n). The pool keeps what to evict next in one, a block template what to select next, and the
 * relay what to request next.
 */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #keys: number[] = [];
  readonly #ties: number[] = [];
  readonly #places = new Map<T, number>();

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#places.has(item);
  }

  /** The item with the least key. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** The least key. */
  peekKey(): number | undefined {
    return this.#keys[0];
  }

  /** Puts an item in, or moves it to where its new key belongs. */
  set(item: T, key: number, tie = 0): void {
    const place = this.#places.get(item) ?? this.#items.length;
    this.#put(place, item, key, tie);
    this.#down(this.#up(place));
  }

  pop(): T | undefined {
    const item = this.#items[0];
    if (item !== undefined) this.delete(item);
    return item;
  }

  delete(item: T): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#items.pop() as T;
    const key = this.#keys.pop() as number;
    const tie = this.#ties.pop() as number;
    if (place < this.#items.length) {
      this.#put(place, last, key, tie);
      this.#down(this.#up(place));
    }
    return true;
  }

  /** Every item, the least key first; the heap must not change meanwhile. The first k cost O(k log k), however many follow. */
  *inOrder(): Generator<T, void> {
    const size = this.#items.length;
    // Places whose parents have come: the next one is among them. They are a heap of their own.
    const front = size > 0 ? [0] : [];
    for (let place = front[0]; place !== undefined; place = front[0]) {
      yield this.#items[place] as T;
      const left = 2 * place + 1;
      const last = front.pop() as number;
      if (left < size) {
        if (front.length > 0) front.push(last);
        front[0] = left;
      } else if (front.length > 0) front[0] = last;
      this.#sinkPlace(front);
      if (left + 1 < size) this.#raisePlace(front, left + 1);
    }
  }

  #sinkPlace(front: number[]): void {
    const place = front[0] as number;
    let at = 0;
    for (let child = 1; child < front.length; child = 2 * at + 1) {
      if (child + 1 < front.length && this.#before(front[child + 1] as number, front[child] as number)) child += 1;
      if (!this.#before(front[child] as number, place)) break;
      front[at] = front[child] as number;
      at = child;
    }
    if (front.length > 0) front[at] = place;
  }

  #raisePlace(front: number[], place: number): void {
    let at = front.length;
    front.push(place);
    for (let parent = (at - 1) >> 1; at > 0 && this.#before(place, front[parent] as number); parent = (at - 1) >> 1) {
      front[at] = front[parent] as number;
      at = parent;
    }
    front[at] = place;
  }

  clear(): void {
    this.#items.length = 0;
    this.#keys.length = 0;
    this.#ties.length = 0;
    this.#places.clear();
  }

  #put(place: number, item: T, key: number, tie: number): void {
    this.#items[place] = item;
    this.#keys[place] = key;
    this.#ties[place] = tie;
    this.#places.set(item, place);
  }

  #before(a: number, b: number): boolean {
    const keyA = this.#keys[a] as number;
    const keyB = this.#keys[b] as number;
    return keyA < keyB || (keyA === keyB && (this.#ties[a] as number) < (this.#ties[b] as number));
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a] as T;
    const key = this.#keys[a] as number;
    const tie = this.#ties[a] as number;
    this.#put(a, this.#items[b] as T, this.#keys[b] as number, this.#ties[b] as number);
    this.#put(b, item, key, tie);
  }

  /** Returns where the item ended. */
  #up(from: number): number {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#before(place, parent)) break;
      this.#swap(place, parent);
      place = parent;
    }
    return place;
  }

  #down(from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      let least = place;
      if (left < this.#items.length && this.#before(left, least)) least = left;
      if (left + 1 < this.#items.length && this.#before(left + 1, least)) least = left + 1;
      if (least === place) return;
      this.#swap(place, least);
      place = least;
    }
  }
}
