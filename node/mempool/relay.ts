/**
 * Transaction relay with peers: what they announce and we ask for, what we announce and serve, fee filters in both
 * directions, and the memory of what need not be asked for again. RULES.md C4.
 *
 * It does not judge transactions (pool.ts) and does not send: it says what is to be sent. A transaction is named to a peer
 * by wtxid if both sides agreed on that (BIP 339), else by txid.
 */
import type { Block } from '../../consensus/block.ts';
import type { Txid, Wtxid } from '../../consensus/brand.ts';
import { MAX_MONEY } from '../../consensus/params.ts';
import type { Reject, RejectCode, RejectKind } from '../../consensus/reject.ts';
import { type Transaction, withoutWitness } from '../../consensus/transaction.ts';
import type { Direction, Millis, Now, PeerId } from '../boundary.ts';
import { type Effect, message } from '../effect.ts';
import type { Limits } from '../limits.ts';
import { below, earliest, exponential, type Random } from '../ports.ts';
import { RollingSet } from '../rolling-set.ts';
import { INV_TX, INV_WITNESS_TX, INV_WTX, type Inventory } from '../wire/message.ts';
import { BoundedSet } from './bounded-set.ts';
import type { Entry } from './entry.ts';
import { feeFor } from './policy.ts';
import { type HashKind, TxRequests } from './requests.ts';

export type { HashKind } from './requests.ts';

/** What is refused for them is refused whatever its witnesses are, so that its txid says enough. */
const WITNESS_FREE_CODES: ReadonlySet<RejectCode> = new Set([
  'bad-txns-vout-empty',
  'bad-txns-vout-negative',
  'bad-txns-vout-toolarge',
  'bad-txns-txouttotal-toolarge',
  'bad-txns-inputs-duplicate',
  'bad-txns-prevout-null',
  'dust',
  'multi-op-return',
  'scriptpubkey',
  'subset-output-script',
  'tx-size-small',
  'version',
]);

/** Kinds of reject that say nothing about the transaction as such: it may be fine later, or with its witness. */
const PASSING_REJECTS: ReadonlySet<RejectKind> = new Set(['missing-inputs', 'witness-stripped', 'premature']);

/** Of memory, roughly: a row of a map that leads to what exists anyway; an announcement with its hash and places. */
const BYTES_PER_ROW = 64;
const BYTES_PER_ANNOUNCEMENT = 400;

export interface RelayPeer {
  readonly direction: Direction;
  /** BIP 339: both sides announce by wtxid. */
  readonly wtxidRelay: boolean;
  /** The peer wants transactions (`relay` of its version message). */
  readonly relay: boolean;
}

/** True if we need not ask for it: in the pool or being verified, or an orphan. The relay itself knows rejected and confirmed ones. */
export type HasTransaction = (kind: HashKind, hash: string) => boolean;

/** The transaction for a getdata. `sequence` is its entry's; 0 for one of the newest block, which anyone may have. */
export type LookupTransaction = (
  kind: HashKind,
  hash: string,
) => { readonly tx: Transaction; readonly sequence: number } | undefined;

/** What the relay must know of the node to decide what is due. */
export interface RelayState {
  /** `Mempool.verifying`: no more is requested than can be verified. */
  readonly verifying: number;
  /** `Mempool.minFeeRate`, told to peers as feefilter. */
  readonly minFeeRate: number;
  /** Peers are told to announce no transactions meanwhile, and none are requested. */
  readonly initialSync: boolean;
  readonly has: HasTransaction;
}

interface Peer {
  readonly about: RelayPeer;
  /** Tags of hashes, of the kind that the peer uses, that it announced or was told. */
  readonly known: RollingSet;
  /** To be announced at the next trickle. */
  readonly queue: Map<Wtxid, Entry>;
  /** When that is; outbound peers only, the inbound ones share a time. */
  trickleAt: Millis | undefined;
  /** Entries up to this sequence may be served: they were in the pool when the peer was last told of any. */
  servedUpTo: number;
  /** What it wants to be told of, satoshis per 1000 virtual bytes. */
  feeFilter: bigint;
  /** What we told it, and when it is told the next value; undefined while there is none. */
  feeFilterSent: bigint | undefined;
  feeFilterAt: Millis | undefined;
}

export class TxRelay {
  readonly #limits: Limits;
  readonly #random: Random;
  readonly #requests: TxRequests;
  readonly #peers = new Map<PeerId, Peer>();
  /** Wtxids that were refused since the last new tip, and ids of both kinds that were confirmed lately. */
  readonly #rejected: BoundedSet<string>;
  readonly #confirmed: BoundedSet<string>;
  /** Wtxids that were refused for their fee alone since the last new tip, and pairs with a child that did not help. */
  readonly #reconsiderable: BoundedSet<string>;
  /** Our own transactions for which no peer has asked yet. */
  readonly #own = new Map<Wtxid, Entry>();
  #rebroadcastAt: Millis | undefined;
  /** One time for all inbound peers: by opening many links nobody learns sooner where a transaction came from. */
  #inboundTrickleAt: Millis | undefined;
  #lastSequence = 0;
  /** Keys the tags: whoever knew them could announce hashes that all fall on one place of a table. */
  readonly #keys: readonly [number, number];

  constructor(options: { readonly limits: Limits; readonly random: Random }) {
    this.#limits = options.limits;
    this.#random = options.random;
    this.#requests = new TxRequests(options);
    this.#keys = [options.random.u32(), options.random.u32()];
    this.#rejected = new BoundedSet(options.limits.recentRejects);
    this.#confirmed = new BoundedSet(options.limits.recentlyConfirmed);
    this.#reconsiderable = new BoundedSet(options.limits.recentRejects);
  }

  /** After the handshake. `pool` is announced to the peer as far as limits.poolAnnouncedOnConnect allows. */
  add(peer: PeerId, about: RelayPeer, pool: Iterable<Entry>, now: Now): void {
    const record: Peer = {
      about,
      known: new RollingSet(this.#limits.knownTxPerPeer),
      queue: new Map(),
      trickleAt: undefined,
      servedUpTo: 0,
      feeFilter: 0n,
      feeFilterSent: undefined,
      feeFilterAt: now.mono,
    };
    this.#peers.set(peer, record);
    if (this.#limits.poolAnnouncedOnConnect === 0) return;
    for (const entry of [...pool].slice(0, this.#limits.poolAnnouncedOnConnect)) this.#enqueue(record, entry, now);
  }

  remove(peer: PeerId): void {
    this.#peers.delete(peer);
    this.#requests.removePeer(peer);
  }

  /** Bytes that are held for the peer: what it knows, what it is to be told, what it announced. */
  memory(peer: PeerId): number {
    const record = this.#peers.get(peer);
    if (record === undefined) return 0;
    return (
      record.known.bytes + record.queue.size * BYTES_PER_ROW + this.#requests.announced(peer) * BYTES_PER_ANNOUNCEMENT
    );
  }

  // What peers have

  /** Announcements of transactions; items of other kinds are passed over. The requests come with the next `tick`. */
  onInv(peer: PeerId, items: readonly Inventory[], has: HasTransaction, now: Now): void {
    const record = this.#peers.get(peer);
    if (record === undefined) return;
    const { wtxidRelay } = record.about;
    for (const { kind, hash } of items) {
      if (kind !== (wtxidRelay ? INV_WTX : INV_TX)) continue;
      record.known.add(this.#tag(hash));
      this.#want(peer, record, wtxidRelay ? 'wtxid' : 'txid', hash, has, now);
    }
  }

  /** Parents of an orphan are asked for by txid from the peer that sent it: nothing else of them is known. */
  requestParents(peer: PeerId, txids: readonly Txid[], has: HasTransaction, now: Now): void {
    const record = this.#peers.get(peer);
    if (record === undefined) return;
    for (const txid of txids) this.#want(peer, record, 'txid', txid, has, now);
  }

  /** A `tx` message, asked for or not. Call it before the pool sees the transaction. */
  onTx(peer: PeerId, tx: Transaction): void {
    const record = this.#peers.get(peer);
    if (record === undefined) return;
    record.known.add(this.#tag(nameOf(tx, record)));
    this.#requests.onAnswer(peer, tx.txid);
    this.#requests.onAnswer(peer, tx.wtxid);
  }

  onNotFound(peer: PeerId, items: readonly Inventory[]): void {
    for (const { hash } of items) this.#requests.onAnswer(peer, hash);
  }

  /** The pool was busy and did not look at it: the peer is asked for it again. */
  onBusy(peer: PeerId, tx: Transaction, now: Now): void {
    const record = this.#peers.get(peer);
    if (record === undefined) return;
    this.#requests.forget(tx.txid);
    this.#requests.forget(tx.wtxid);
    const { direction, wtxidRelay } = record.about;
    this.#requests.announce({
      peer,
      kind: wtxidRelay ? 'wtxid' : 'txid',
      hash: nameOf(tx, record),
      preferred: direction === 'outbound',
      readyAt: now.mono + this.#limits.txRequestTimeoutMs,
    });
  }

  // What became of transactions

  /**
   * It is in the pool: announced to all others at their next trickle. One of our own is announced again and again until a
   * peer asks for it.
   */
  onAccepted(entry: Entry, from: PeerId | undefined, now: Now, own = from === undefined): void {
    const { txid, wtxid } = entry.tx;
    this.#requests.forget(txid);
    this.#requests.forget(wtxid);
    this.#lastSequence = Math.max(this.#lastSequence, entry.sequence);
    for (const [peer, record] of this.#peers) if (peer !== from) this.#enqueue(record, entry, now);
    if (own && this.#own.size < this.#limits.knownTxPerPeer) {
      this.#own.set(wtxid, entry);
      this.#rebroadcastAt ??= this.#nextRebroadcast(now);
    }
  }

  onRejected(tx: Transaction, why: Reject): void {
    if (PASSING_REJECTS.has(why.kind)) return;
    if (why.kind === 'reconsiderable') this.#reconsiderable.add(tx.wtxid);
    else this.#rejected.add(tx.wtxid);
    this.#requests.forget(tx.wtxid);
    if (!WITNESS_FREE_CODES.has(why.code)) return;
    this.#rejected.add(tx.txid);
    this.#requests.forget(tx.txid);
  }

  /** A parent of it was refused: it can never enter, whatever its witnesses are. */
  onRejectedParent({ txid, wtxid }: Transaction): void {
    for (const id of [txid, wtxid]) {
      this.#rejected.add(id);
      this.#requests.forget(id);
    }
  }

  /** Parent and child cannot enter together either. */
  onRejectedPair(parent: Transaction, child: Transaction): void {
    this.#reconsiderable.add(parent.wtxid + child.wtxid);
  }

  isRejectedPair(parent: Transaction, child: Transaction): boolean {
    return this.#reconsiderable.has(parent.wtxid + child.wtxid);
  }

  /** It was refused for its fee alone since the last new tip: only together with a child it may still enter. */
  isReconsiderable(wtxid: Wtxid): boolean {
    return this.#reconsiderable.has(wtxid);
  }

  /** The tip changed: what was refused may be acceptable now, and what the blocks hold is not asked for. */
  onTip(disconnected: readonly Block[], connected: readonly Block[]): void {
    this.#rejected.clear();
    this.#reconsiderable.clear();
    if (disconnected.length > 0) this.#confirmed.clear();
    for (const { transactions } of connected) {
      for (const { txid, wtxid } of transactions) {
        for (const id of [txid, wtxid]) {
          this.#confirmed.add(id);
          this.#requests.forget(id);
        }
        this.#own.delete(wtxid);
      }
    }
  }

  /** True if it was refused since the last new tip or confirmed lately. */
  isSettled(hash: string): boolean {
    return this.#rejected.has(hash) || this.#confirmed.has(hash);
  }

  // What peers want

  /**
   * Transactions, and notfound for what we do not have or the peer should not know of yet; items of other kinds are passed
   * over. Give it as many items as the peer's send buffer has room for.
   */
  onGetdata(peer: PeerId, items: readonly Inventory[], lookup: LookupTransaction): readonly Effect[] {
    const record = this.#peers.get(peer);
    if (record === undefined) return [];
    const effects: Effect[] = [];
    const missing: Inventory[] = [];
    for (const item of items) {
      const { kind, hash } = item;
      if (kind !== INV_TX && kind !== INV_WITNESS_TX && kind !== INV_WTX) continue;
      const found = lookup(kind === INV_WTX ? 'wtxid' : 'txid', hash);
      if (found === undefined || found.sequence > record.servedUpTo) {
        missing.push(item);
        continue;
      }
      record.known.add(this.#tag(nameOf(found.tx, record)));
      this.#own.delete(found.tx.wtxid);
      effects.push(message(peer, { type: 'tx', tx: kind === INV_TX ? withoutWitness(found.tx) : found.tx }));
    }
    if (missing.length > 0) effects.push(message(peer, { type: 'notfound', items: missing }));
    return effects;
  }

  /** Amounts out of range are passed over. */
  onFeeFilter(peer: PeerId, satPerKvb: bigint): void {
    const record = this.#peers.get(peer);
    if (record !== undefined && satPerKvb >= 0n && satPerKvb <= MAX_MONEY) record.feeFilter = satPerKvb;
  }

  /** What the peer wants to be told of, satoshis per 1000 virtual bytes. */
  feeFilter(peer: PeerId): bigint {
    return this.#peers.get(peer)?.feeFilter ?? 0n;
  }

  // Time

  /**
   * Requests, announcements and fee filters that are due. Call it at its deadline, and after every event in which
   * transactions were announced, came or settled: requests that waited for room do not name a deadline.
   */
  tick(state: RelayState, now: Now): readonly Effect[] {
    const effects: Effect[] = [];
    this.#request(state, now, effects);
    this.#rebroadcast(state, now);
    this.#trickle(state, now, effects);
    this.#tellFeeFilters(state, now, effects);
    return effects;
  }

  nextDeadline(): Millis | undefined {
    let next = earliest(this.#requests.nextDeadline(), earliest(this.#rebroadcastAt, this.#inboundTrickleAt));
    for (const { trickleAt, feeFilterAt } of this.#peers.values()) {
      next = earliest(next, earliest(trickleAt, feeFilterAt));
    }
    return next;
  }

  // Requests

  #want(peer: PeerId, record: Peer, kind: HashKind, hash: string, has: HasTransaction, now: Now): void {
    if (this.isSettled(hash) || this.#reconsiderable.has(hash) || has(kind, hash)) return;
    const preferred = record.about.direction === 'outbound';
    const overloaded = this.#requests.inFlight(peer) >= this.#limits.maxTxInFlightPerPeer;
    const byTxidInVain = kind === 'txid' && this.#hasWtxidPeers();
    const delays = [!preferred, byTxidInVain, overloaded].filter((applies) => applies).length;
    const readyAt = now.mono + delays * this.#limits.txInboundDelayMs;
    this.#requests.announce({ peer, kind, hash, preferred, readyAt });
  }

  #hasWtxidPeers(): boolean {
    for (const { about } of this.#peers.values()) if (about.wtxidRelay) return true;
    return false;
  }

  #request(state: RelayState, now: Now, effects: Effect[]): void {
    const free = this.#limits.maxVerifyingTx - state.verifying - this.#requests.size;
    const room = state.initialSync ? 0 : free;
    const unwanted = (kind: HashKind, hash: string) => this.isSettled(hash) || state.has(kind, hash);
    const byPeer = new Map<PeerId, Inventory[]>();
    for (const { peer, kind, hash } of this.#requests.due(room, unwanted, now.mono)) {
      const items = byPeer.get(peer);
      const item = { kind: kind === 'wtxid' ? INV_WTX : INV_WITNESS_TX, hash };
      if (items === undefined) byPeer.set(peer, [item]);
      else items.push(item);
    }
    for (const [peer, items] of byPeer) {
      for (let at = 0; at < items.length; at += this.#limits.maxGetdataTx) {
        effects.push(message(peer, { type: 'getdata', items: items.slice(at, at + this.#limits.maxGetdataTx) }));
      }
    }
  }

  // Announcements

  #enqueue(record: Peer, entry: Entry, now: Now): void {
    if (!record.about.relay || record.known.has(this.#tag(nameOf(entry.tx, record)))) return;
    record.queue.set(entry.tx.wtxid, entry);
    if (record.queue.size > this.#limits.maxInvPerMessage) {
      const [oldest] = record.queue.keys();
      if (oldest !== undefined) record.queue.delete(oldest);
    }
    if (record.about.direction === 'inbound') {
      this.#inboundTrickleAt ??= now.mono + exponential(this.#random, this.#limits.txTrickleInboundMs);
    } else {
      record.trickleAt ??= now.mono + exponential(this.#random, this.#limits.txTrickleOutboundMs);
    }
  }

  #trickle(state: RelayState, now: Now, effects: Effect[]): void {
    const inboundDue = this.#inboundTrickleAt !== undefined && this.#inboundTrickleAt <= now.mono;
    if (inboundDue) this.#inboundTrickleAt = undefined;
    for (const [peer, record] of this.#peers) {
      const inbound = record.about.direction === 'inbound';
      if (inbound ? !inboundDue : record.trickleAt === undefined || record.trickleAt > now.mono) continue;
      record.trickleAt = undefined;
      const items = this.#takeAnnouncements(record, state);
      record.servedUpTo = this.#lastSequence;
      if (items.length > 0) effects.push(message(peer, { type: 'inv', items }));
      if (record.queue.size === 0) continue;
      if (inbound) this.#inboundTrickleAt ??= now.mono + exponential(this.#random, this.#limits.txTrickleInboundMs);
      else record.trickleAt = now.mono + exponential(this.#random, this.#limits.txTrickleOutboundMs);
    }
  }

  #takeAnnouncements(record: Peer, state: RelayState): Inventory[] {
    const { invPerTrickle, maxInvPerTrickle } = this.#limits;
    const most = Math.min(maxInvPerTrickle, invPerTrickle + Math.floor(record.queue.size / 1000) * 5);
    return this.#best(record, most, state).map(({ tx }) => {
      const hash = nameOf(tx, record);
      record.queue.delete(tx.wtxid);
      record.known.add(this.#tag(hash));
      return { kind: record.about.wtxidRelay ? INV_WTX : INV_TX, hash };
    });
  }

  /**
   * The first of what waits, as `byUse` orders it; what the peer does not want and stood before them leaves the queue. The
   * queue is not sorted: there may be 50,000 transactions in it, and all inbound peers are due at the same instant.
   */
  #best(record: Peer, most: number, state: RelayState): readonly Entry[] {
    const best: Entry[] = [];
    /** The last that is good enough, once there are `most`. */
    let bar: Entry | undefined;
    const cut = () => {
      best.sort(byUse);
      best.length = Math.min(best.length, most);
      bar = best[most - 1];
    };
    for (const [wtxid, entry] of record.queue) {
      if (bar !== undefined && byUse(entry, bar) >= 0) continue;
      const paysEnough = entry.fee >= feeFor(Number(record.feeFilter), entry.vsize);
      if (!paysEnough || record.known.has(this.#tag(nameOf(entry.tx, record))) || !state.has('wtxid', wtxid)) {
        record.queue.delete(wtxid);
        continue;
      }
      best.push(entry);
      if (best.length >= 2 * most) cut();
    }
    cut();
    return best;
  }

  #nextRebroadcast(now: Now): Millis {
    return now.mono + this.#limits.rebroadcastMs + below(this.#random, Math.ceil(this.#limits.rebroadcastMs / 2) + 1);
  }

  #rebroadcast(state: RelayState, now: Now): void {
    if (this.#rebroadcastAt === undefined || this.#rebroadcastAt > now.mono) return;
    for (const [wtxid, entry] of this.#own) {
      if (!state.has('wtxid', wtxid)) this.#own.delete(wtxid);
      else for (const record of this.#peers.values()) this.#enqueue(record, entry, now);
    }
    this.#rebroadcastAt = this.#own.size === 0 ? undefined : this.#nextRebroadcast(now);
  }

  // Fee filters

  #tellFeeFilters(state: RelayState, now: Now, effects: Effect[]): void {
    const current = state.initialSync ? MAX_MONEY : BigInt(Math.ceil(state.minFeeRate));
    for (const [peer, record] of this.#peers) {
      const sent = record.feeFilterSent;
      if (current === sent) {
        record.feeFilterAt = undefined;
        continue;
      }
      // The first one, and the one after initial sync, without which we would hear of nothing.
      if (sent === undefined || sent === MAX_MONEY) record.feeFilterAt = now.mono;
      else record.feeFilterAt ??= now.mono + this.#feeFilterDelay(sent, current);
      if (record.feeFilterAt > now.mono) continue;
      record.feeFilterSent = current;
      record.feeFilterAt = undefined;
      effects.push(message(peer, { type: 'feefilter', satPerKvb: current }));
    }
  }

  #feeFilterDelay(sent: bigint, current: bigint): Millis {
    const { feeFilterMs } = this.#limits;
    const substantial = current * 4n < sent * 3n || current * 3n > sent * 4n;
    return substantial ? below(this.#random, Math.ceil(feeFilterMs / 2)) : exponential(this.#random, feeFilterMs);
  }

  /** 32 bits of a hash, mixed so that only who knows the keys can choose them. Its first 64 bits are as good as all. */
  #tag(hash: string): number {
    const [first, second] = this.#keys;
    let tag = first;
    for (let i = 0; i < 16 && i < hash.length; i++) tag = Math.imul(tag ^ hash.charCodeAt(i), 0x9e3779b1) + second;
    tag = Math.imul(tag ^ (tag >>> 15), 0x85ebca77);
    return (tag ^ (tag >>> 13)) >>> 0;
  }
}

/** Parents before children, then what pays more: the order in which a peer can use them. */
function byUse(a: Entry, b: Entry): number {
  return a.ancestors.count - b.ancestors.count || Number(b.fee) / b.vsize - Number(a.fee) / a.vsize;
}

/** What a transaction is called between us and the peer. */
function nameOf(tx: Transaction, peer: Peer): string {
  return peer.about.wtxidRelay ? tx.wtxid : tx.txid;
}
