/**
 * What peers asked us for and has not been sent yet. One getdata may name 50,000 blocks; they are read and sent only while
 * the peer takes what is sent, so a peer that does not read costs a list of hashes and no more. The list is kept as the
 * bytes that it came as, 36 for each item: as values it would take four times as much.
 */
import { type Bytes, idFromBytes, writeId } from '../../consensus/brand.ts';
import type { PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import type { Inventory } from '../wire/message.ts';

/** The kind, then the hash. */
const ITEM_BYTES = 36;
const HASH_AT = 4;
const FIRST_CAPACITY = 16;
const EMPTY: Bytes = new Uint8Array(0);

/** Items one after the other, taken out in the order in which they came. Its room grows by doubling. */
class Queue {
  #bytes: Bytes = EMPTY;
  /** Of the first item, and behind the last one. */
  #start = 0;
  #end = 0;

  get length(): number {
    return (this.#end - this.#start) / ITEM_BYTES;
  }

  get memory(): number {
    return this.#bytes.length;
  }

  push(items: readonly Inventory[]): void {
    this.#makeRoom(items.length * ITEM_BYTES);
    const view = new DataView(this.#bytes.buffer);
    for (const { kind, hash } of items) {
      view.setUint32(this.#end, kind);
      writeId(hash, this.#bytes, this.#end + HASH_AT);
      this.#end += ITEM_BYTES;
    }
  }

  shift(): Inventory | undefined {
    if (this.#start === this.#end) return undefined;
    const at = this.#start;
    const kind = new DataView(this.#bytes.buffer).getUint32(at);
    const hash = idFromBytes(this.#bytes, at + HASH_AT);
    this.#start += ITEM_BYTES;
    if (this.#start === this.#end) {
      this.#bytes = EMPTY;
      this.#start = 0;
      this.#end = 0;
    }
    return { kind, hash };
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const held = this.#bytes.subarray(this.#start, this.#end);
    const needed = held.length + bytes;
    // At least half of it is free afterwards, so that moving the items costs each of them a constant.
    const room = Math.max(FIRST_CAPACITY * ITEM_BYTES, 2 * held.length, needed);
    const target = room > this.#bytes.length ? new Uint8Array(room) : this.#bytes;
    target.set(held);
    this.#bytes = target;
    this.#start = 0;
    this.#end = held.length;
  }
}

export class Serving {
  readonly #limits: Limits;
  readonly #queues = new Map<PeerId, Queue>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  add(peer: PeerId): void {
    this.#queues.set(peer, new Queue());
  }

  remove(peer: PeerId): void {
    this.#queues.delete(peer);
  }

  /** Queues what a getdata names. False if the peer has more than a full message waiting: it does not wait for answers. */
  onGetdata(peer: PeerId, items: readonly Inventory[]): boolean {
    const queue = this.#queues.get(peer);
    if (queue === undefined) return true;
    if (queue.length + items.length > this.#limits.maxInvPerMessage) return false;
    queue.push(items);
    return true;
  }

  /** The next item to send to the peer, which is taken out; undefined if there is none. */
  next(peer: PeerId): Inventory | undefined {
    return this.#queues.get(peer)?.shift();
  }

  pending(peer: PeerId): number {
    return this.#queues.get(peer)?.length ?? 0;
  }

  /** Bytes that are held for the peer. */
  memory(peer: PeerId): number {
    return this.#queues.get(peer)?.memory ?? 0;
  }
}
