/**
 * Rebuilds the header records from the bodies in the block files, in whatever order they lie there: each is judged as if it
 * were received now, and waits until its parent is known. Coins, undo data and indexes are not made here: a start on the
 * rebuilt store goes on to the best tip and writes them on its way.
 *
 * A body that was damaged is left out, so that a peer is asked for it; its header is used where a later block names it. Where
 * proof of work is cheap, a header with a flipped bit may be that of another valid block: the right one is found by the hash
 * that the next block names.
 */
import { type BlockHeader, encodeHeader, HEADER_SIZE, readBlock, readHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import { decode } from '../../consensus/codec.ts';
import type { UnixSeconds } from '../boundary.ts';
import type { BlockFiles, Place } from '../ports.ts';
import type { ChainState } from './chain-state.ts';
import type { HeaderNode, HeaderTree } from './header-tree.ts';

export interface ReindexResult {
  /** Blocks that the store knows again. */
  readonly blocks: number;
  /** Records that hold no whole block. What a crash cut short counts too. */
  readonly damaged: number;
  /** Whole blocks whose ancestors were not found. */
  readonly unconnected: number;
  /** Blocks with descendants whose own body is missing, lowest first: peers are asked for them. */
  readonly missing: readonly HeaderNode[];
}

export class Reindex {
  readonly #tree: HeaderTree;
  readonly #chain: ChainState;
  readonly #blockFiles: BlockFiles;
  readonly #now: UnixSeconds;
  /** Bodies by the parent that they wait for. Only where they lie is kept. */
  readonly #waiting = new Map<BlockHash, Place[]>();
  /** Headers of records that hold no whole block. */
  readonly #spoiled = new Map<BlockHash, BlockHeader>();
  #damaged = 0;
  #blocks = 0;

  /** `chain` stands on an empty store, or on one where this had begun before. */
  constructor(options: {
    readonly tree: HeaderTree;
    readonly chain: ChainState;
    readonly blockFiles: BlockFiles;
    readonly now: UnixSeconds;
  }) {
    this.#tree = options.tree;
    this.#chain = options.chain;
    this.#blockFiles = options.blockFiles;
    this.#now = options.now;
  }

  /** Blocks that the store knows so far. */
  get blocks(): number {
    return this.#blocks;
  }

  /** A record of the block files. False if it holds no block, so that the search goes on inside of it. */
  onRecord(bytes: Bytes, place: Place): boolean {
    if (!this.#adopt(bytes, place)) {
      this.#damaged++;
      const header = decode(bytes.subarray(0, HEADER_SIZE), readHeader);
      if (header.ok) this.#spoiled.set(header.value.hash, header.value);
      return false;
    }
    return true;
  }

  /** After the last record. */
  finish(): ReindexResult {
    for (const header of this.#spoiled.values()) this.#addSpoiled(this.#wantedLike(header) ?? header);
    for (const tip of this.#tree.tips()) this.#restore(tip);
    this.#chain.saveHeaders();
    const missing: HeaderNode[] = [];
    for (const node of this.#tree.nodes()) {
      const { parent } = node;
      if (node.place !== undefined && parent !== null && parent.place === undefined) missing.push(parent);
    }
    let unconnected = 0;
    for (const places of this.#waiting.values()) unconnected += places.length;
    return {
      blocks: this.#blocks,
      damaged: this.#damaged,
      unconnected,
      missing: [...new Set(missing)].sort((a, b) => a.height - b.height),
    };
  }

  /** False if these bytes are no block. */
  #adopt(bytes: Bytes, place: Place): boolean {
    const decoded = decode(bytes, readBlock);
    if (!decoded.ok) return false;
    const block = decoded.value;
    const { hash, prevHash } = block.header;
    const { result, isNew } = this.#chain.adoptBlock(block, this.#now, place);
    if (isNew) {
      this.#blocks++;
      this.#adoptChildren(hash);
      return true;
    }
    switch (result?.kind) {
      case 'missing-prev': {
        const siblings = this.#waiting.get(prevHash);
        if (siblings === undefined) this.#waiting.set(prevHash, [place]);
        else siblings.push(place);
        return true;
      }
      // Known already, or too early for our clock.
      case 'policy':
      case 'time-future':
        return true;
      default:
        return false;
    }
  }

  /** A list of its own instead of recursion: the files may hold a whole chain in reverse. */
  #adoptChildren(first: BlockHash): void {
    const parents = [first];
    for (let hash = parents.pop(); hash !== undefined; hash = parents.pop()) {
      const places = this.#waiting.get(hash) ?? [];
      this.#waiting.delete(hash);
      for (const place of places) {
        const decoded = decode(this.#blockFiles.read(place), readBlock);
        if (!decoded.ok) continue;
        const block = decoded.value;
        if (!this.#chain.adoptBlock(block, this.#now, place).isNew) continue;
        this.#blocks++;
        parents.push(block.header.hash);
      }
    }
  }

  /** The header of a damaged body, if a block waits for it, and its ancestors that are damaged too. */
  #addSpoiled(header: BlockHeader): void {
    if (!this.#waiting.has(header.hash)) return;
    const path: BlockHeader[] = [];
    for (let at: BlockHeader | undefined = header; at !== undefined; at = this.#spoiled.get(at.prevHash)) path.push(at);
    for (const one of path.reverse()) if (!this.#tree.add(one, this.#now).ok) return;
    this.#adoptChildren(header.hash);
  }

  /** A tip that differs in one bit from a header that is waited for is that block, spoiled: it is stored anew as it was. */
  #restore(tip: HeaderNode): void {
    const header = tip.place === undefined ? undefined : this.#wantedLike(tip.header);
    if (header === undefined) return;
    const { transactions } = this.#chain.readBlock(tip);
    if (!this.#chain.acceptBlock({ header, transactions }, this.#now).isNew) return;
    this.#damaged++;
    this.#blocks++;
    this.#tree.markInvalid(tip, 'consensus');
    this.#adoptChildren(header.hash);
  }

  /** The header that differs from this one in one bit and for which blocks wait. */
  #wantedLike(header: BlockHeader): BlockHeader | undefined {
    if (this.#waiting.size === 0) return undefined;
    const encoded = encodeHeader(header);
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const changed = encoded.slice();
      changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ (1 << (bit & 7));
      const other = decode(changed, readHeader);
      if (other.ok && this.#waiting.has(other.value.hash)) return other.value;
    }
    return undefined;
  }
}
