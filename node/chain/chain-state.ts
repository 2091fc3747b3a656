/**
 * The chain: which block is the tip, the coins as they are at that block, and the way from one tip to the next.
 *
 * What is committed (the store, `tip`, `coin`) is always exactly the state of one block. On top of it stands a window of
 * steps, each of which disconnects or connects one block in an overlay. A step that connects hands out its signature
 * checks; when a prefix of the window is verified and ends in a better block than the tip, it is committed as one batch:
 * coins, undo, indexes and tip together. A longer chain, a reorg and the way back after `invalidate` are the same path.
 * A block that fails is marked invalid and the steps from it on are dropped, so the tip never left the best valid block.
 *
 * The store is told of each commit at once, except while `defer` lets it wait: then all that has changed in the meantime
 * (headers, bodies' places, coins, indexes, tip) is one batch, so that the store goes from the state of one block to that
 * of a later one in one stroke. A crash in between costs work, and never shows a state that was not that of a block.
 *
 * Bodies are stored when they arrive, whatever branch they are of. Which header has which body, and in which order they
 * came, is the header tree's; the rules are those of consensus/ (RULES.md A5 to A8).
 */

import { isUnspendable, scriptHash } from '../../consensus/address.ts';
import { type Block, blockSize, encodeBlock, readBlock } from '../../consensus/block.ts';
import type { BlockHash, Bytes, OutPointKey, Txid, Wtxid } from '../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { decode } from '../../consensus/codec.ts';
import { type Connection, connectBlock, disconnectBlock } from '../../consensus/connect-block.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { workOf } from '../../consensus/pow.ts';
import { type Reject, reject, rejectScript } from '../../consensus/reject.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { UnixSeconds } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { type BatchItem, type BlockFiles, type Place, type Store, StoreDamage } from '../ports.ts';
import { BlockCache } from './block-cache.ts';
import { type BlockAt, pushCoinRows, pushIndexRows } from './block-rows.ts';
import { type CoinChange, CoinView } from './coin-view.ts';
import type { HeaderNode, HeaderTree } from './header-tree.ts';
import {
  decodeTip,
  decodeTransactionPlace,
  decodeUndo,
  encodeTip,
  encodeUndo,
  type Failure,
  metaRows,
  readMeta,
  SCHEMA_VERSION,
  scriptCoinKey,
  TIP_KEY,
  transactionKey,
  undoKey,
} from './schema.ts';

export type { BlockAt } from './block-rows.ts';

/** Blocks below the tip whose body and undo are read at the start, to find damage early. */
const CHECKED_AT_START = 6;
/** Decoded blocks below the tip that are kept: short reorgs need them, and who asks for a transaction just confirmed. */
const CACHED_BELOW_TIP = 3;
/** What a changed coin costs in the overlay, roughly. */
const OVERLAY_COIN_BYTES = 300;
/** A coin is in the set and in the index by script. */
const ROWS_PER_COIN = 2;

/** The chain as it stands at the committed tip. */
export interface ChainView {
  readonly hash: BlockHash;
  readonly height: number;
  readonly medianTimePast: number;
  coin(key: OutPointKey): Coin | undefined;
  /** Of the block of that height on the chain. */
  medianTimePastAt(height: number): number;
}

/** One commit: the state went from one block to another. */
export interface ChainUpdate {
  /** Former tip first. */
  readonly disconnected: readonly BlockAt[];
  /** Ascending; the last is the tip, unless the chain only became shorter. */
  readonly connected: readonly BlockAt[];
  readonly tip: HeaderNode;
}

/** What a call did, and what is to be done outside. */
export interface ChainProgress {
  readonly updates: ChainUpdate[];
  /** Blocks that turned out to be invalid; their descendants are not named. */
  readonly failures: { readonly node: HeaderNode; readonly reject: Reject }[];
  /** Checks to be verified, CHECK_SIZE bytes each; the answer goes to `onVerified`. */
  readonly verify: { readonly ticket: number; readonly checks: Bytes }[];
  /** Tickets whose answer is no longer wanted. */
  readonly cancel: number[];
  /** `advance` has more to do at once. */
  more: boolean;
}

export interface BlockAccepted {
  /** Null if nothing is wrong with the block. */
  readonly result: Reject | null;
  /** The node of the block, where its header is in the tree. */
  readonly node?: HeaderNode;
  /** The body was stored now. One that is fine is not if it leads nowhere and too many such are stored (limits.forkBytes). */
  readonly isNew: boolean;
}

export interface ChainStats {
  /** Coins in the set at the tip. */
  readonly coinCount: number;
  /** Bytes of all stored bodies. */
  readonly bodyBytes: number;
  /** Steps that are not committed yet, and roughly the memory that they hold. */
  readonly windowSteps: number;
  readonly windowBytes: number;
  readonly verifying: number;
  readonly overlaidCoins: number;
  readonly cachedCoins: number;
  readonly cachedBlockBytes: number;
}

export interface ChainOptions {
  readonly params: ChainParams;
  readonly tree: HeaderTree;
  readonly store: Store;
  readonly blockFiles: BlockFiles;
  readonly limits: Limits;
  /** True if the signatures of that transaction are known to hold. */
  verified(wtxid: Wtxid): boolean;
}

/** One block connected or disconnected on top of the state before it. */
interface Step {
  readonly connect: boolean;
  readonly at: BlockAt;
  readonly change: CoinChange;
  /** Roughly the memory that it holds. */
  readonly bytes: number;
  /** The answer that is waited for; undefined when nothing is left to verify. */
  ticket: number | undefined;
  readonly checkOwners: Connection['checkOwners'] | undefined;
}

export class ChainState implements ChainView {
  readonly #params: ChainParams;
  readonly #tree: HeaderTree;
  readonly #store: Store;
  readonly #blockFiles: BlockFiles;
  readonly #limits: Limits;
  readonly #verified: (wtxid: Wtxid) => boolean;
  readonly #coins: CoinView;
  readonly #blocks: BlockCache;
  #tip: HeaderNode;
  #coinCount: number;
  /** Rows of the committed steps that the store is still to be told of; coins and headers are added when it is. */
  #unsavedRows: BatchItem[] = [];
  #tipUnsaved = false;
  #deferring = false;

  /** The window: first some disconnections from the tip down, then connections up. */
  #steps: Step[] = [];
  #windowBytes = 0;
  readonly #waiting = new Map<number, Step>();
  #lastTicket = 0;

  /**
   * The ends of branches that could become the tip: connectable, not invalid, better than the tip (or the tip is invalid).
   * Every such block of the tree is one of these or an ancestor of one.
   */
  readonly #candidates = new Set<HeaderNode>();
  /** The best of the candidates and the tip; undefined until it is asked for again. */
  #target: HeaderNode | undefined;
  /** The target to which all steps of the window lead. */
  #aligned: HeaderNode | undefined;

  /** Restores the state from the store, or makes an empty store one of the genesis block. Throws StoreDamage. */
  constructor(options: ChainOptions) {
    this.#params = options.params;
    this.#tree = options.tree;
    this.#store = options.store;
    this.#blockFiles = options.blockFiles;
    this.#limits = options.limits;
    this.#verified = (wtxid) => options.verified(wtxid);
    this.#coins = new CoinView(options.store, options.limits);
    this.#blocks = new BlockCache(options.limits.blockCacheBytes);
    if (readMeta((key) => this.#store.get(key)) === undefined) this.#writeGenesis();
    const { tip, coinCount } = this.#restore();
    this.#tip = tip;
    this.#coinCount = coinCount;
    this.#checkEnd();
    this.#findCandidates();
  }

  /** The block whose state is committed. */
  get tip(): HeaderNode {
    return this.#tip;
  }

  get hash(): BlockHash {
    return this.#tip.hash;
  }

  get height(): number {
    return this.#tip.height;
  }

  get medianTimePast(): number {
    return this.#tip.medianTimePast;
  }

  get stats(): ChainStats {
    return {
      coinCount: this.#coinCount,
      bodyBytes: this.#tree.bodyBytes,
      windowSteps: this.#steps.length,
      windowBytes: this.#windowBytes,
      verifying: this.#waiting.size,
      overlaidCoins: this.#coins.overlaid,
      cachedCoins: this.#coins.cached,
      cachedBlockBytes: this.#blocks.bytes,
    };
  }

  medianTimePastAt(height: number): number {
    return this.#tree.ancestor(this.#tip, height).medianTimePast;
  }

  coin(key: OutPointKey): Coin | undefined {
    return this.#coins.committed(key);
  }

  /** The block of that height on the committed chain. */
  at(height: number): HeaderNode | undefined {
    return height < 0 || height > this.#tip.height ? undefined : this.#tree.ancestor(this.#tip, height);
  }

  /** True if the block is on the committed chain. */
  contains(node: HeaderNode): boolean {
    return this.#tree.contains(this.#tip, node);
  }

  /** Where a transaction of the committed chain stands. The coinbase of genesis is not found: it made no coins. */
  findTransaction(txid: Txid): { readonly node: HeaderNode; readonly index: number } | undefined {
    this.save();
    const key = transactionKey(txid);
    const value = this.#store.get(key);
    if (value === undefined) return undefined;
    const { height, index } = decodeTransactionPlace(key, value);
    const node = this.at(height);
    if (node === undefined) throw new StoreDamage(`the record ${key} names a block above the tip`);
    return { node, index };
  }

  /** The block of a node whose `place` is known. */
  readBlock(node: HeaderNode): Block {
    return this.#blocks.get(node) ?? this.#decodeBlock(node);
  }

  /** Its serialization. */
  readBlockBytes(node: HeaderNode): Bytes {
    if (node.place === undefined) throw new Error(`the body of ${node.hash} is not stored`);
    return this.#blockFiles.read(node.place);
  }

  /** The coins that the block spent, in the order of its inputs; undefined if it has never been connected. */
  undo(node: HeaderNode): Coin[] | undefined {
    if (node.status !== 'valid') return undefined;
    if (node.parent === null) return [];
    this.save();
    const key = undoKey(node.hash);
    const value = this.#store.get(key);
    if (value === undefined) throw new StoreDamage(`the undo record of the block ${node.hash} is missing`);
    return decodeUndo(key, value);
  }

  /**
   * Takes a block from anywhere. Applies what can be known without coins, in the order of submitblock: the block alone
   * (A5), its header (A4), the two together (A6 and the subset's rules). If it passes it is stored; `advance` then tries to
   * connect it. `bytes` is its serialization where the caller has it.
   *
   * A block that we have is refused as `duplicate` (of kind `policy`: nobody is to blame), one that is known to be invalid
   * as `duplicate-invalid`.
   */
  acceptBlock(block: Block, now: UnixSeconds, bytes?: Bytes): BlockAccepted {
    return this.#accept(block, now, () => this.#blockFiles.append(bytes ?? encodeBlock(block)));
  }

  /** As `acceptBlock`, for a block that lies in the block files already: see reindex.ts. */
  adoptBlock(block: Block, now: UnixSeconds, place: Place): BlockAccepted {
    return this.#accept(block, now, () => place);
  }

  #accept(block: Block, now: UnixSeconds, keep: () => Place): BlockAccepted {
    const known = this.#tree.get(block.header.hash);
    if (known !== undefined && known.invalid !== false) {
      const kind = known.invalid === 'subset' ? 'subset' : 'cached-invalid';
      return { result: reject(kind, 'duplicate-invalid'), node: known, isNew: false };
    }
    if (known?.place !== undefined) return { result: reject('policy', 'duplicate'), node: known, isNew: false };

    const alone = checkBlock(block, this.#params);
    if (alone !== null) {
      if (known === undefined) return { result: alone, isNew: false };
      if (!mayBeForged(block, alone)) this.#condemn(known, alone);
      return { result: alone, node: known, isNew: false };
    }
    // A header costs room too, and one that leads to nothing is not worth it.
    if (known === undefined && !this.#isWelcome(block)) return { result: null, isNew: false };
    const added = this.#tree.add(block.header, now);
    if (!added.ok) return { result: added.error, isNew: false };
    const node = added.value;
    const inContext = checkBlockInContext(block, placeOf(node), this.#params);
    if (inContext !== null) {
      this.#condemn(node, inContext);
      return { result: inContext, node, isNew: false };
    }
    if (!this.#leadsUp(node)) return { result: null, node, isNew: false };
    this.#storeBody(node, block, keep());
    return { result: null, node, isNew: true };
  }

  /** Tells the store of headers that were added to the tree. */
  saveHeaders(): void {
    this.#saveSoon();
  }

  /**
   * Lets the store wait for what changes from now on, up to `limits.unsavedRows`, or ends that. For initial sync, where
   * nobody was promised anything. Whoever reads ranges of the store calls `save` first.
   */
  defer(deferring: boolean): void {
    this.#deferring = deferring;
    this.#saveSoon();
  }

  /** True if the store is still to be told of something. */
  get isUnsaved(): boolean {
    return this.#tipUnsaved || this.#tree.unsavedCount > 0;
  }

  /** Tells the store of everything that it has not been told of, as one batch. */
  save(): void {
    if (!this.isUnsaved) return;
    const batch = this.#unsavedRows;
    this.#unsavedRows = [];
    for (const item of this.#tree.unsaved()) batch.push(item);
    if (this.#tipUnsaved) {
      const { created, removed } = this.#coins.save();
      pushCoinRows(batch, removed, created);
      const { hash, height } = this.#tip;
      batch.push([TIP_KEY, encodeTip({ hash, height, coinCount: this.#coinCount })]);
      this.#tipUnsaved = false;
    }
    this.#store.write(batch);
  }

  #saveSoon(): void {
    const rows = this.#unsavedRows.length + ROWS_PER_COIN * this.#coins.unsaved + this.#tree.unsavedCount;
    if (!this.#deferring || rows > this.#limits.unsavedRows) this.save();
  }

  /**
   * Goes one step towards the best block: commits what is verified, or connects or disconnects one block in the window.
   * Call it again while `more` is true.
   */
  advance(): ChainProgress {
    const progress = newProgress();
    this.#align(progress);
    const ready = this.#committable();
    if (ready > 0) progress.updates.push(this.#commit(ready));
    else if (this.#mayExtend()) this.#extend(progress);
    return this.#finish(progress);
  }

  /** The answer to `verify`: the index of the lowest check that failed, or null. One that was cancelled is ignored. */
  onVerified(ticket: number, failed: number | null): ChainProgress {
    const progress = newProgress();
    const step = this.#waiting.get(ticket);
    if (step === undefined) return this.#finish(progress);
    this.#waiting.delete(ticket);
    const { node } = step.at;
    if (failed === null) {
      step.ticket = undefined;
      this.#tree.setSignaturesHold(node);
    } else {
      const owner = step.checkOwners?.(failed);
      const detail = `input ${owner?.input} of ${owner?.tx.txid} (wtxid ${owner?.tx.wtxid})`;
      this.#fail(node, rejectScript('Invalid Schnorr signature', detail), progress);
    }
    return this.#finish(progress);
  }

  /** True while it is not decided whether the block will be on the chain: it is on the way to a better tip. */
  isPending(hash: BlockHash): boolean {
    const node = this.#tree.get(hash);
    if (node === undefined || !node.connectable || node.invalid !== false || this.contains(node)) return false;
    return this.#tree.contains(this.#best(), node);
  }

  /** The user declares the block invalid; `advance` then leaves it, a block at a time. False for genesis. */
  invalidate(node: HeaderNode): boolean {
    if (node.parent === null) return false;
    this.#tree.markInvalid(node, 'consensus');
    this.saveHeaders();
    this.#findCandidates();
    return true;
  }

  /** Forgets why the block, its ancestors and its descendants were invalid. */
  reconsider(node: HeaderNode): void {
    this.#tree.clearInvalid(node);
    this.saveHeaders();
    this.#findCandidates();
  }

  /** Prefers the block to all others of the same work, as if it had been received first. */
  precious(node: HeaderNode): void {
    if (!node.connectable || node.invalid !== false || node.chainwork < this.#tip.chainwork) return;
    this.#tree.setFirst(node);
    this.saveHeaders();
    this.#findCandidates();
  }

  // The start

  #writeGenesis(): void {
    if (this.#store.get(TIP_KEY) !== undefined) throw new StoreDamage('the store does not say what it is');
    const { genesis } = this.#tree;
    const place = this.#blockFiles.append(encodeBlock(this.#params.genesis));
    this.#tree.setBody(genesis, place, this.#params.genesis.transactions.length);
    this.#tree.setValid(genesis);
    const tip = encodeTip({ hash: genesis.hash, height: 0, coinCount: 0 });
    this.#store.write([...metaRows(this.#params.name, genesis.hash), ...this.#tree.unsaved(), [TIP_KEY, tip]]);
  }

  #restore(): { tip: HeaderNode; coinCount: number } {
    const meta = readMeta((key) => this.#store.get(key));
    if (meta?.schema !== SCHEMA_VERSION) throw new StoreDamage(`the store has the schema ${meta?.schema}`);
    if (meta.network !== this.#params.name) throw new StoreDamage(`the store is one of the network ${meta.network}`);
    const value = this.#store.get(TIP_KEY);
    if (value === undefined) throw new StoreDamage('the tip record is missing');
    const { hash, height, coinCount } = decodeTip(value);
    const tip = this.#tree.get(hash);
    if (tip === undefined || tip.height !== height || tip.status !== 'valid') {
      throw new StoreDamage(`the tip ${hash} is not a block of the store that was ever connected`);
    }
    return { tip, coinCount };
  }

  /** What was written last is what is most likely to be missing: the newest blocks, and the end of every block file. */
  #checkEnd(): void {
    const ends = new Map<number, HeaderNode>();
    for (const one of this.#tree.nodes()) {
      if (one.place === undefined) continue;
      const end = ends.get(one.place.file)?.place;
      if (end === undefined || one.place.offset > end.offset) ends.set(one.place.file, one);
    }
    for (const one of ends.values()) this.readBlockBytes(one);
    let node: HeaderNode | null = this.#tip;
    for (let i = 0; i < CHECKED_AT_START && node !== null; i++) {
      this.#readConnected(node);
      node = node.parent;
    }
  }

  // Bodies

  /** So many blocks wait to be connected that more would only have to be read back and decoded again. */
  get isBehind(): boolean {
    return this.#blocks.isFullAbove(this.#head().height);
  }

  /** Too many bodies wait that were never connected: none is kept that leads to nothing better. */
  get forksAreFull(): boolean {
    return this.#tree.untriedBytes >= this.#limits.forkBytes;
  }

  /** False for a block that there is no room for: its branch is no better than the tip, so far as is known. */
  #isWelcome(block: Block): boolean {
    if (!this.forksAreFull) return true;
    const parent = this.#tree.get(block.header.prevHash);
    if (parent === undefined || parent.invalid !== false) return true;
    return parent.chainwork + workOf(block.header.bits) > this.#tip.chainwork;
  }

  /** The same of a block whose header is known, and perhaps headers on top of it. */
  #leadsUp(node: HeaderNode): boolean {
    if (!this.forksAreFull || node.chainwork > this.#tip.chainwork) return true;
    const isBetter = (leaf: HeaderNode) => leaf.invalid === false && leaf.chainwork > this.#tip.chainwork;
    return this.#tree.tips().some((leaf) => isBetter(leaf) && this.#tree.contains(leaf, node));
  }

  #storeBody(node: HeaderNode, block: Block, place: Place): void {
    const linked = this.#tree.setBody(node, place, block.transactions.length);
    this.#saveSoon();
    this.#blocks.put(node, block, place.length, this.#tip.height);
    for (const one of linked) this.#offer(one);
  }

  #decodeBlock(node: HeaderNode): Block {
    const result = decode(this.readBlockBytes(node), readBlock);
    if (!result.ok) throw new StoreDamage(`the stored block ${node.hash} cannot be read: ${result.error}`);
    const block = result.value;
    if (block.header.hash !== node.hash || block.transactions.length !== node.txCount) {
      throw new StoreDamage(`another block is stored in place of ${node.hash}`);
    }
    return block;
  }

  /** A block with its undo data. */
  #readConnected(node: HeaderNode): BlockAt {
    const block = this.readBlock(node);
    const spent = this.undo(node);
    let inputs = 0;
    for (const tx of block.transactions.slice(1)) inputs += tx.inputs.length;
    if (spent?.length !== inputs) throw new StoreDamage(`the undo record of ${node.hash} does not fit the block`);
    return { node, block, spent };
  }

  // Candidates

  /** Takes a block that became connectable, or whose descendants turned out to be invalid. */
  #offer(node: HeaderNode): void {
    if (!this.#isCandidate(node)) return;
    // The parent is worse than its child, and comes back if the child fails.
    if (node.parent !== null) this.#candidates.delete(node.parent);
    this.#candidates.add(node);
    if (this.#target !== undefined && isBetter(node, this.#target)) this.#target = node;
  }

  #isCandidate(node: HeaderNode): boolean {
    if (!node.connectable || node.invalid !== false) return false;
    return this.#tip.invalid !== false || isBetter(node, this.#tip);
  }

  /** Looks at the whole tree: at the start and after a word of the user, which may change anything. */
  #findCandidates(): void {
    this.#candidates.clear();
    this.#target = undefined;
    for (const node of this.#tree.nodes()) this.#offer(node);
  }

  /** The block that the chain should end in. */
  #best(): HeaderNode {
    if (this.#target === undefined) {
      let best = this.#tip.invalid === false ? this.#tip : this.#tree.genesis;
      for (const node of this.#candidates) if (isBetter(node, best)) best = node;
      this.#target = best;
    }
    return this.#target;
  }

  /** Marks a block invalid for what it is; a reject that says nothing about the block itself leaves it as it is. */
  #condemn(node: HeaderNode, why: Reject): void {
    const failure = failureOf(why);
    if (failure === false) return;
    const changed = this.#tree.markInvalid(node, failure);
    this.saveHeaders();
    for (const one of changed) this.#candidates.delete(one);
    this.#target = undefined;
    if (node.parent !== null) this.#offer(node.parent);
  }

  // The window

  /** The block in which the window ends. */
  #head(): HeaderNode {
    const last = this.#steps.at(-1);
    return last === undefined ? this.#tip : endOf(last);
  }

  /** Drops the steps that do not lead to the best block. */
  #align(progress: ChainProgress): void {
    const target = this.#best();
    if (this.#aligned === target) return;
    this.#aligned = target;
    const astray = this.#steps.findIndex(({ connect, at }) => connect !== this.#tree.contains(target, at.node));
    if (astray !== -1) this.#drop(astray, progress);
  }

  #drop(from: number, progress: ChainProgress): void {
    for (const { ticket, bytes } of this.#steps.splice(from)) {
      this.#windowBytes -= bytes;
      if (ticket !== undefined && this.#waiting.delete(ticket)) progress.cancel.push(ticket);
    }
    this.#coins.rebuild(this.#steps.map(({ change }) => change));
  }

  /**
   * How many steps can be committed now: as few as end in a better block than the tip. When the tip cannot stay, one,
   * whatever it ends in. When the window has grown too large for a reorg at one stroke, half of it: what is left of the
   * overlay must be built anew each time.
   */
  #committable(): number {
    const single = this.#tip.invalid !== false;
    const isFull = this.#windowBytes > this.#limits.overlayBytes;
    let rest = this.#windowBytes;
    for (const [index, step] of this.#steps.entries()) {
      if (step.ticket !== undefined) return isFull ? index : 0;
      rest -= step.bytes;
      if (single || (isFull && rest <= this.#limits.overlayBytes / 2) || isBetter(endOf(step), this.#tip))
        return index + 1;
    }
    return 0;
  }

  #mayExtend(): boolean {
    if (this.#waiting.size >= this.#limits.verifyWindowBlocks) return false;
    return this.#windowBytes <= this.#limits.overlayBytes && this.#head() !== this.#best();
  }

  #finish(progress: ChainProgress): ChainProgress {
    this.#align(progress);
    progress.more = this.#committable() > 0 || this.#mayExtend();
    return progress;
  }

  #extend(progress: ChainProgress): void {
    const head = this.#head();
    const target = this.#best();
    if (this.#tree.contains(target, head)) this.#connect(this.#tree.ancestor(target, head.height + 1), progress);
    else this.#disconnect(head);
  }

  #connect(node: HeaderNode, progress: ChainProgress): void {
    const block = this.readBlock(node);
    const parent = node.parent as HeaderNode;
    const missing: OutPointKey[] = [];
    const context = {
      ...placeOf(node),
      medianTimePastAt: (height: number) => this.#tree.ancestor(parent, height).medianTimePast,
      coin: (key: OutPointKey) => {
        const coin = this.#coins.pending(key);
        if (coin === undefined) missing.push(key);
        return coin;
      },
      verified: node.signaturesHold || this.#isAssumed(node) ? () => true : this.#verified,
    };
    const result = connectBlock(block, context, this.#params);
    if (!result.ok) {
      for (const key of missing) this.#checkAbsence(key);
      this.#fail(node, result.error, progress);
      return;
    }
    const { spent, created, removed, checks, checkOwners } = result.value;
    const ticket = checks.length === 0 ? undefined : ++this.#lastTicket;
    const step = this.#push(true, { node, block, spent }, { created, removed }, ticket, checkOwners);
    if (ticket === undefined) return;
    this.#waiting.set(ticket, step);
    progress.verify.push({ ticket, checks });
  }

  /** The chain file says that the signatures of this block hold: it, or a descendant whose header we have, is named there. */
  #isAssumed(node: HeaderNode): boolean {
    const { assumeValid } = this.#params;
    const named = assumeValid === undefined ? undefined : this.#tree.get(assumeValid);
    return named !== undefined && this.#tree.contains(named, node);
  }

  #disconnect(node: HeaderNode): void {
    const at = this.#readConnected(node);
    const { restored, removed } = disconnectBlock(at.block, node.height, at.spent);
    for (const key of removed.keys()) {
      if (this.#coins.pending(key) === undefined) throw new StoreDamage(`the coin ${key} of the chain is missing`);
    }
    this.#push(false, at, { created: restored, removed }, undefined, undefined);
  }

  #push(
    connect: boolean,
    at: BlockAt,
    change: CoinChange,
    ticket: number | undefined,
    checkOwners: Step['checkOwners'],
  ): Step {
    const bytes = blockSize(at.block) + (change.created.size + change.removed.size) * OVERLAY_COIN_BYTES;
    const step: Step = { connect, at, change, bytes, ticket, checkOwners };
    this.#coins.apply(change);
    this.#steps.push(step);
    this.#windowBytes += bytes;
    return step;
  }

  #fail(node: HeaderNode, why: Reject, progress: ChainProgress): void {
    this.#condemn(node, why);
    progress.failures.push({ node, reject: why });
  }

  /** A coin that the index of scripts has, or that nobody can have spent yet, is not absent but lost. */
  #checkAbsence(key: OutPointKey): void {
    if (this.#coins.isOverlaid(key)) return;
    const txid = key.slice(0, 64) as Txid;
    const vout = Number(key.slice(65));
    const found = this.findTransaction(txid);
    if (found === undefined) return;
    const output = this.readBlock(found.node).transactions[found.index]?.outputs[vout];
    if (output === undefined || isUnspendable(output.scriptPubKey)) return;
    if (this.#store.get(scriptCoinKey(scriptHash(output.scriptPubKey), txid, vout)) === undefined) return;
    throw new StoreDamage(`the coin ${key} of the chain is missing`);
  }

  /** Makes the first `count` steps the committed state. */
  #commit(count: number): ChainUpdate {
    const former = this.#tip;
    const done = this.#steps.splice(0, count);
    for (const { connect, at, change, bytes } of done) {
      pushIndexRows(this.#unsavedRows, at, connect);
      this.#coinCount += change.created.size - change.removed.size;
      this.#windowBytes -= bytes;
      if (!connect) continue;
      // What a block spends is the same whenever it is connected: its undo record is written once and stays.
      if (at.node.status !== 'valid') this.#unsavedRows.push([undoKey(at.node.hash), encodeUndo(at.spent)]);
      this.#tree.setValid(at.node);
    }
    this.#tip = endOf(done.at(-1) as Step);
    this.#tipUnsaved = true;
    const disconnected = done.filter(({ connect }) => !connect).map(({ at }) => at);
    this.#coins.commit(changesOf(done), changesOf(this.#steps), disconnected.length > 0);
    this.#saveSoon();
    this.#blocks.forgetBelow(this.#tip.height - CACHED_BELOW_TIP);
    this.#prune(former);
    return { disconnected, connected: done.filter(({ connect }) => connect).map(({ at }) => at), tip: this.#tip };
  }

  /** After the tip moved: what is no better than it is no candidate, and the former tip may be one. */
  #prune(former: HeaderNode): void {
    for (const node of this.#candidates) if (!this.#isCandidate(node)) this.#candidates.delete(node);
    if (this.#isCandidate(former)) this.#candidates.add(former);
    this.#target = undefined;
  }
}

/** More work, or the same and received first. RULES.md A8. */
function isBetter(a: HeaderNode, b: HeaderNode): boolean {
  return a.chainwork > b.chainwork || (a.chainwork === b.chainwork && a.sequence < b.sequence);
}

/** The block whose state a step leads to. */
function endOf({ connect, at }: Step): HeaderNode {
  return connect ? at.node : (at.node.parent as HeaderNode);
}

function changesOf(steps: readonly Step[]): CoinChange[] {
  return steps.map(({ change }) => change);
}

function placeOf(node: HeaderNode): { readonly height: number; readonly medianTimePast: number } {
  return { height: node.height, medianTimePast: node.parent?.medianTimePast ?? 0 };
}

/** What a reject says about the block itself: a mutated body says nothing. */
function failureOf(why: Reject): Failure {
  return why.kind === 'consensus' || why.kind === 'subset' ? why.kind : false;
}

/**
 * The inner nodes of a Merkle tree, two hashes each, can be passed off as transactions of 64 bytes under the same root.
 * None of them can look like a coinbase, so such a body lacks one, and the header is innocent of it.
 */
function mayBeForged(block: Block, why: Reject): boolean {
  return why.code === 'bad-cb-missing' && block.transactions.some(({ strippedSize }) => strippedSize === 64);
}

function newProgress(): ChainProgress {
  return { updates: [], failures: [], verify: [], cancel: [], more: false };
}
