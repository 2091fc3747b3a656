/**
 * Decoded blocks that will soon be wanted again, so that a block that was just received is not read back and decoded a
 * second time. Owns which are kept: bounded by bytes, those above the tip first, and of these the ones nearest to it.
 */
import type { Block } from '../../consensus/block.ts';
import type { HeaderNode } from './header-tree.ts';

/** A decoded block takes some eight times the bytes of its serialization. */
const DECODED_FACTOR = 8;
/** What a block costs besides. It bounds the number of entries, which are searched when room is needed. */
const ENTRY_BYTES = 16_000;

interface Entry {
  readonly block: Block;
  readonly bytes: number;
}

export class BlockCache {
  readonly #maxBytes: number;
  readonly #entries = new Map<HeaderNode, Entry>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(node: HeaderNode): Block | undefined {
    return this.#entries.get(node)?.block;
  }

  /** Keeps the block if it is worth it at the present height of the chain. */
  put(node: HeaderNode, block: Block, size: number, tipHeight: number): void {
    if (this.#entries.has(node)) return;
    const bytes = size * DECODED_FACTOR + ENTRY_BYTES;
    this.#entries.set(node, { block, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes) this.#evict(tipHeight);
  }

  /** Forgets the blocks below that height. */
  forgetBelow(height: number): void {
    for (const [node, { bytes }] of this.#entries) {
      if (node.height >= height) continue;
      this.#entries.delete(node);
      this.#bytes -= bytes;
    }
  }

  /** True if blocks above that height take up half of the room: those that come now might be forgotten before their turn. */
  isFullAbove(height: number): boolean {
    let above = 0;
    for (const [node, { bytes }] of this.#entries) if (node.height > height) above += bytes;
    return above > this.#maxBytes / 2;
  }

  /** Blocks at or below the tip have had their turn: the lowest goes. Otherwise the one whose turn comes last. */
  #evict(tipHeight: number): void {
    let lowest: HeaderNode | undefined;
    let highest: HeaderNode | undefined;
    for (const node of this.#entries.keys()) {
      if (lowest === undefined || node.height < lowest.height) lowest = node;
      if (highest === undefined || node.height > highest.height) highest = node;
    }
    const victim = lowest !== undefined && lowest.height <= tipHeight ? lowest : highest;
    if (victim === undefined) return;
    this.#bytes -= (this.#entries.get(victim) as Entry).bytes;
    this.#entries.delete(victim);
  }
}
