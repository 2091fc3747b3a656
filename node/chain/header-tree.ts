/**
 * The tree of all headers that we know, and what we know of their blocks: where the body lies, whether it may be connected,
 * why it failed. Applies the rules that need the tree (RULES.md A4 rows 1, 3 and 4) and asks consensus/ for the others.
 *
 * Owns every field of every HeaderNode; chain-state.ts changes them through the tree and decides which block is the tip.
 * Writes nothing: `unsaved` hands over the records that changed since it was last called.
 */
import type { BlockHeader } from '../../consensus/block.ts';
import { type BlockHash, fail, ok, type Result } from '../../consensus/brand.ts';
import { checkHeader, checkHeaderWork, medianTime } from '../../consensus/check-header.ts';
import { type ChainParams, MEDIAN_TIME_SPAN } from '../../consensus/params.ts';
import { workOf } from '../../consensus/pow.ts';
import { type Reject, reject } from '../../consensus/reject.ts';
import type { Row, UnixSeconds } from '../boundary.ts';
import { type BatchItem, type Place, StoreDamage } from '../ports.ts';
import { type BodyStatus, decodeHeaderRow, encodeHeaderRecord, type Failure, headerKey } from './schema.ts';

/** Hashes of a locator before the gaps between them begin to double. */
const DENSE_LOCATOR = 10;

/** A header in the tree. Only the tree changes its fields. */
export class HeaderNode {
  readonly header: BlockHeader;
  readonly height: number;
  /** Expected hashes of the chain up to and including this block. */
  readonly chainwork: bigint;
  /** Null for genesis. */
  readonly parent: HeaderNode | null;
  /**
   * An ancestor further down, so that any ancestor is found in O(log n) steps: either the parent, or as far again as the
   * parent's two jumps where these are equally long (Myers, "An applicative random-access stack"). Genesis points to itself.
   * Nodes of equal height jump to equal heights.
   */
  readonly skip: HeaderNode;

  status: BodyStatus = 'header';
  /** What the block itself did wrong. */
  failure: Failure = false;
  /** What it or an ancestor did wrong: not false means that it can never be connected. */
  invalid: Failure = false;
  place: Place | undefined = undefined;
  /** Transactions of the body; zero while it is missing. */
  txCount = 0;
  /** The bodies of this block and of all its ancestors are stored. */
  connectable = false;
  /** The order in which blocks became connectable: of two branches with equal work the lower one wins. */
  sequence = 0;
  /** All signatures of the body are known to hold: a fact about its bytes, true on whatever branch it is tried again. */
  signaturesHold = false;

  /** The children, as a linked list: no array per header. */
  firstChild: HeaderNode | null = null;
  nextSibling: HeaderNode | null = null;
  #medianTimePast = -1;

  constructor(header: BlockHeader, parent: HeaderNode | null, work: bigint) {
    this.header = header;
    this.parent = parent;
    if (parent === null) {
      this.height = 0;
      this.chainwork = work;
      this.skip = this;
    } else {
      const { skip } = parent;
      this.height = parent.height + 1;
      this.chainwork = parent.chainwork + work;
      this.skip = parent.height - skip.height === skip.height - skip.skip.height ? skip.skip : parent;
    }
  }

  get hash(): BlockHash {
    return this.header.hash;
  }

  /** Median of the times of this block and of the ten before it: what the time of the next block must exceed (BIP 113). */
  get medianTimePast(): number {
    if (this.#medianTimePast < 0) {
      const times: number[] = [];
      let node: HeaderNode | null = this;
      for (; node !== null && times.length < MEDIAN_TIME_SPAN; node = node.parent) times.push(node.header.time);
      this.#medianTimePast = medianTime(times);
    }
    return this.#medianTimePast;
  }

  /** What logs and failed tests print: without it, one node would print the whole tree. */
  toJSON(): { hash: BlockHash; height: number; status: BodyStatus; invalid: Failure } {
    const { hash, height, status, invalid } = this;
    return { hash, height, status, invalid };
  }
}

/** The words of getchaintips. */
export type TipStatus = 'active' | 'valid-fork' | 'valid-headers' | 'headers-only' | 'invalid';

export class HeaderTree {
  readonly genesis: HeaderNode;
  readonly #params: ChainParams;
  readonly #nodes = new Map<BlockHash, HeaderNode>();
  readonly #leaves = new Set<HeaderNode>();
  /** Nodes whose record must be written, parents before children. */
  readonly #unsaved = new Set<HeaderNode>();
  #best: HeaderNode;
  #bodyBytes = 0;
  #untriedBytes = 0;
  #nextSequence = 1;
  #lowestSequence = 0;
  /** Work of the last `bits` seen; it hardly ever changes, and takes a division of 256 bits. */
  #lastWork = { bits: 0, work: 0n };

  /** `rows`: all header records of the store by height, as `headersRange` gives them; none for a new one. */
  constructor(params: ChainParams, rows: Iterable<Row>) {
    this.#params = params;
    const { header } = params.genesis;
    this.genesis = new HeaderNode(header, null, this.#workOf(header.bits));
    this.#insert(this.genesis);
    this.#best = this.genesis;
    for (const row of rows) this.#load(row);
  }

  /** The header with most work that is not known to be invalid; the first seen of several. */
  get best(): HeaderNode {
    return this.#best;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Bytes of all stored bodies. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Bytes of the bodies that have never been connected: of side branches, of invalid blocks, and of what is to come. */
  get untriedBytes(): number {
    return this.#untriedBytes;
  }

  get(hash: BlockHash): HeaderNode | undefined {
    return this.#nodes.get(hash);
  }

  /** All nodes; parents before children. */
  nodes(): Iterable<HeaderNode> {
    return this.#nodes.values();
  }

  *children(node: HeaderNode): Iterable<HeaderNode> {
    for (let child = node.firstChild; child !== null; child = child.nextSibling) yield child;
  }

  /**
   * RULES.md A4. A header that is known and not invalid is its node, checked no further. What descends from a block of
   * class `subset` is of that class: others may build on such a block in good faith.
   */
  add(header: BlockHeader, now: UnixSeconds): Result<HeaderNode, Reject> {
    const known = this.#nodes.get(header.hash);
    if (known !== undefined) {
      if (known.invalid === false) return ok(known);
      return fail(reject(known.invalid === 'subset' ? 'subset' : 'cached-invalid', 'duplicate'));
    }
    const parent = this.#nodes.get(header.prevHash);
    if (parent === undefined || parent.invalid !== false) {
      const work = checkHeaderWork(header, this.#params);
      if (work !== null) return fail(work);
      if (parent === undefined) return fail(reject('missing-prev', 'prev-blk-not-found'));
      return fail(reject(parent.invalid === 'subset' ? 'subset' : 'invalid-prev', 'bad-prevblk'));
    }
    const { height, medianTimePast } = parent;
    const { time } = parent.header;
    const context = { parent: { height, time }, anchorTime: this.anchorTime(parent), medianTimePast, now };
    const why = checkHeader(header, context, this.#params);
    if (why !== null) return fail(why);
    const node = new HeaderNode(header, parent, this.#workOf(header.bits));
    this.#insert(node);
    this.#unsaved.add(node);
    if (node.chainwork > this.#best.chainwork) this.#best = node;
    return ok(node);
  }

  /** The ancestor of `node` (or the node itself) at that height, which must not be above it. */
  ancestor(node: HeaderNode, height: number): HeaderNode {
    if (height < 0 || height > node.height) throw new Error(`no ancestor of height ${height} below ${node.height}`);
    let at = node;
    while (at.height > height) at = at.skip.height >= height ? at.skip : (at.parent as HeaderNode);
    return at;
  }

  /** Time of block 1 on the branch of `node`, where the difficulty's schedule begins; of genesis, its own. */
  anchorTime(node: HeaderNode): number {
    return this.ancestor(node, Math.min(1, node.height)).header.time;
  }

  /** True if `node` is `end` or one of its ancestors. */
  contains(end: HeaderNode, node: HeaderNode): boolean {
    return node.height <= end.height && this.ancestor(end, node.height) === node;
  }

  /** The highest node that both descend from or are. */
  commonAncestor(a: HeaderNode, b: HeaderNode): HeaderNode {
    const height = Math.min(a.height, b.height);
    let left = this.ancestor(a, height);
    let right = this.ancestor(b, height);
    while (left !== right) {
      const jump = left.skip !== right.skip;
      left = jump ? left.skip : (left.parent as HeaderNode);
      right = jump ? right.skip : (right.parent as HeaderNode);
    }
    return left;
  }

  /** Hashes by which another node finds where our chains part: ten in a row from `node`, then ever wider, genesis last. */
  locator(node: HeaderNode): BlockHash[] {
    const hashes: BlockHash[] = [];
    let step = 1;
    for (let at = node; at !== this.genesis; at = this.ancestor(at, Math.max(0, at.height - step))) {
      hashes.push(at.hash);
      if (hashes.length >= DENSE_LOCATOR) step *= 2;
    }
    hashes.push(this.genesis.hash);
    return hashes;
  }

  /** The last block of the chain up to `activeTip` that the sender of this locator has too; genesis if it names none. */
  fork(locator: readonly BlockHash[], activeTip: HeaderNode): HeaderNode {
    for (const hash of locator) {
      const node = this.#nodes.get(hash);
      if (node === undefined) continue;
      if (this.contains(activeTip, node)) return node;
      if (this.contains(node, activeTip)) return activeTip;
    }
    return this.genesis;
  }

  /**
   * The answer to getheaders: what follows the fork on the chain up to `activeTip`, ascending, at most `limit`, no further
   * than `stop`. An empty locator asks for `stop` alone.
   */
  headersAfter(
    locator: readonly BlockHash[],
    stop: BlockHash,
    limit: number,
    activeTip: HeaderNode,
  ): readonly HeaderNode[] {
    const last = this.#nodes.get(stop);
    if (locator.length === 0) return last !== undefined && this.contains(activeTip, last) ? [last] : [];
    const fork = this.fork(locator, activeTip);
    let height = Math.min(activeTip.height, fork.height + limit);
    if (last !== undefined && last.height > fork.height && this.contains(activeTip, last)) {
      height = Math.min(height, last.height);
    }
    const path: HeaderNode[] = [];
    for (let node = this.ancestor(activeTip, height); node !== fork; node = node.parent as HeaderNode) path.push(node);
    return path.reverse();
  }

  /** Headers without children: the ends of all branches. */
  tips(): readonly HeaderNode[] {
    return [...this.#leaves];
  }

  /** How getchaintips calls a branch that ends in `node`. */
  tipStatus(node: HeaderNode, activeTip: HeaderNode): TipStatus {
    if (this.contains(activeTip, node)) return 'active';
    if (node.invalid !== false) return 'invalid';
    if (!node.connectable) return 'headers-only';
    return node.status === 'valid' ? 'valid-fork' : 'valid-headers';
  }

  /** The body is stored. Returns the blocks that can now be connected, in the order of their sequence: it and what waited for it. */
  setBody(node: HeaderNode, place: Place, txCount: number): readonly HeaderNode[] {
    node.place = place;
    node.txCount = txCount;
    node.status = 'body';
    this.#bodyBytes += place.length;
    this.#untriedBytes += place.length;
    this.#unsaved.add(node);
    const fresh: HeaderNode[] = [];
    if (node.parent === null || node.parent.connectable) fresh.push(node);
    for (let next = 0; next < fresh.length; next++) {
      const linked = fresh[next] as HeaderNode;
      linked.connectable = true;
      // Genesis keeps zero.
      if (linked.parent !== null) linked.sequence = this.#nextSequence++;
      this.#unsaved.add(linked);
      for (const child of this.children(linked)) if (child.place !== undefined) fresh.push(child);
    }
    return fresh;
  }

  setSignaturesHold(node: HeaderNode): void {
    node.signaturesHold = true;
  }

  /** The block has been connected with all its signatures verified. */
  setValid(node: HeaderNode): void {
    node.signaturesHold = true;
    if (node.status === 'valid') return;
    this.#untriedBytes -= node.place?.length ?? 0;
    node.status = 'valid';
    this.#unsaved.add(node);
  }

  /** From now on the block counts as received before all others of equal work. */
  setFirst(node: HeaderNode): void {
    node.sequence = --this.#lowestSequence;
    this.#unsaved.add(node);
  }

  /** The block can never be connected, nor can its descendants. Returns those that were not known to be invalid before. */
  markInvalid(node: HeaderNode, failure: Exclude<Failure, false>): readonly HeaderNode[] {
    if (node === this.genesis) throw new Error('genesis is valid by definition');
    node.failure = failure;
    this.#unsaved.add(node);
    if (node.invalid !== false) return [];
    const changed: HeaderNode[] = [node];
    node.invalid = failure;
    for (let next = 0; next < changed.length; next++) {
      const parent = changed[next] as HeaderNode;
      for (const child of this.children(parent)) {
        if (child.invalid !== false) continue;
        child.invalid = parent.invalid;
        changed.push(child);
      }
    }
    if (this.#best.invalid !== false) this.#findBest();
    return changed;
  }

  /** Forgets all failures of the block, its ancestors and its descendants. They are tried again, and fail again if they must. */
  clearInvalid(node: HeaderNode): void {
    let top = node;
    for (let at: HeaderNode | null = node; at !== null; at = at.parent) {
      if (at.invalid !== false) top = at;
      this.#clearFailure(at);
    }
    const below: HeaderNode[] = [node];
    for (let next = 0; next < below.length; next++) {
      const at = below[next] as HeaderNode;
      this.#clearFailure(at);
      below.push(...this.children(at));
    }
    const inherit: HeaderNode[] = [top];
    for (let next = 0; next < inherit.length; next++) {
      const at = inherit[next] as HeaderNode;
      at.invalid = at.failure === false && at.parent !== null ? at.parent.invalid : at.failure;
      inherit.push(...this.children(at));
    }
    this.#findBest();
  }

  /** How many records `unsaved` would hand over. */
  get unsavedCount(): number {
    return this.#unsaved.size;
  }

  /** Records that changed since the last call, parents before children where both are new. The caller writes them. */
  unsaved(): BatchItem[] {
    const items: BatchItem[] = [];
    for (const node of this.#unsaved) items.push([headerKey(node.height, node.hash), encodeHeaderRecord(node)]);
    this.#unsaved.clear();
    return items;
  }

  #clearFailure(node: HeaderNode): void {
    if (node.failure === false) return;
    node.failure = false;
    this.#unsaved.add(node);
  }

  #findBest(): void {
    let best = this.genesis;
    for (const node of this.#nodes.values()) {
      if (node.invalid === false && node.chainwork > best.chainwork) best = node;
    }
    this.#best = best;
  }

  #workOf(bits: number): bigint {
    if (bits !== this.#lastWork.bits) this.#lastWork = { bits, work: workOf(bits) };
    return this.#lastWork.work;
  }

  #insert(node: HeaderNode): void {
    const { parent } = node;
    this.#nodes.set(node.hash, node);
    this.#leaves.add(node);
    if (parent === null) return;
    this.#leaves.delete(parent);
    node.nextSibling = parent.firstChild;
    parent.firstChild = node;
  }

  /** Takes a record that was checked before it was written. */
  #load(row: Row): void {
    const record = decodeHeaderRow(row);
    const { header } = record;
    let node = this.genesis;
    if (record.height === 0) {
      if (header.hash !== node.hash)
        throw new StoreDamage(`the store begins with another genesis block, ${header.hash}`);
    } else {
      const parent = this.#nodes.get(header.prevHash);
      if (parent === undefined || parent.height !== record.height - 1) {
        throw new StoreDamage(`the header ${header.hash} has no parent in the store`);
      }
      // The parent's own hash, so that equal strings are held once.
      node = new HeaderNode({ ...header, prevHash: parent.hash }, parent, this.#workOf(header.bits));
      this.#insert(node);
    }
    node.status = record.status;
    node.failure = record.failure;
    node.invalid = record.failure === false && node.parent !== null ? node.parent.invalid : record.failure;
    node.place = record.place;
    node.txCount = record.txCount;
    node.sequence = record.sequence;
    node.signaturesHold = record.status === 'valid';
    node.connectable = record.place !== undefined && (node.parent === null || node.parent.connectable);
    this.#bodyBytes += record.place?.length ?? 0;
    if (record.status === 'body') this.#untriedBytes += record.place?.length ?? 0;
    this.#nextSequence = Math.max(this.#nextSequence, record.sequence + 1);
    this.#lowestSequence = Math.min(this.#lowestSequence, record.sequence);
    if (node.invalid === false && node.chainwork > this.#best.chainwork) this.#best = node;
  }
}
