/**
 * What peers asked us for and has not been sent yet. One getdata may name 50,000 blocks; they are read and sent only while
 * the peer takes what is sent, so a peer that does not read costs a list of hashes and no more. That list counts in what is
 * held of peers (peer/receive-buffers.ts): a hundred of them would be 700 MB.
 */
import type { PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import type { Inventory } from '../wire/message.ts';

/** What an item takes in memory; measured: 132, and its place in the list. */
const ITEM_BYTES = 140;
/** Served items that a queue may hold before it is compacted. */
const COMPACT_ABOVE = 1000;

interface Queue {
  items: Inventory[];
  /** Index of the next item. */
  next: number;
}

export class Serving {
  readonly #limits: Limits;
  readonly #queues = new Map<PeerId, Queue>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  add(peer: PeerId): void {
    this.#queues.set(peer, { items: [], next: 0 });
  }

  remove(peer: PeerId): void {
    this.#queues.delete(peer);
  }

  /** Queues what a getdata names. False if the peer has more than a full message waiting: it does not wait for answers. */
  onGetdata(peer: PeerId, items: readonly Inventory[]): boolean {
    const queue = this.#queues.get(peer);
    if (queue === undefined) return true;
    if (this.pending(peer) + items.length > this.#limits.maxInvPerMessage) return false;
    for (const item of items) queue.items.push(item);
    return true;
  }

  /** The next item to send to the peer, which is taken out; undefined if there is none. */
  next(peer: PeerId): Inventory | undefined {
    const queue = this.#queues.get(peer);
    const item = queue?.items[queue.next];
    if (queue === undefined || item === undefined) return undefined;
    queue.next++;
    if (queue.next === queue.items.length || queue.next > COMPACT_ABOVE) {
      queue.items = queue.items.slice(queue.next);
      queue.next = 0;
    }
    return item;
  }

  /** Bytes that are held of what the peer asked for. */
  memory(peer: PeerId): number {
    return this.pending(peer) * ITEM_BYTES;
  }

  pending(peer: PeerId): number {
    const queue = this.#queues.get(peer);
    return queue === undefined ? 0 : queue.items.length - queue.next;
  }
}
