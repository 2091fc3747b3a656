/**
 * The way of transactions into the pool: what becomes of one that a peer, a user or the last run of this node brought, of
 * packages, and of those that wait for their parents; what is kept on disk of them. It asks the pool for its verdict, has
 * signatures verified, and tells relay, orphans and whoever waits.
 *
 * No rule of acceptance is here (mempool/pool.ts), nor when peers are told or asked (mempool/relay.ts).
 */
import { type BlockHash, type Bytes, type Txid, unreachable, type Wtxid } from '../consensus/brand.ts';
import type { Reject } from '../consensus/reject.ts';
import type { Transaction } from '../consensus/transaction.ts';
import type { Notice, Now, PeerId } from './boundary.ts';
import type { ChainState } from './chain/chain-state.ts';
import type { Effect } from './effect.ts';
import type { ItemTrace } from './item-trace.ts';
import type { Limits } from './limits.ts';
import type { Entry } from './mempool/entry.ts';
import { FEE_DELTAS_KEY } from './mempool/fee-deltas.ts';
import type { Orphans } from './mempool/orphans.ts';
import type { PackageResult } from './mempool/packages.ts';
import type {
  Accepted,
  Mempool,
  PackageOptions,
  PackageVerdict,
  PoolTicket,
  Rejected,
  SubmitOptions,
} from './mempool/pool.ts';
import type { TxRelay } from './mempool/relay.ts';
import type { SavedTransactions } from './mempool/saved-transactions.ts';
import type { BatchItem } from './ports.ts';

/** Saved transactions that are submitted in one turn. */
const TRANSACTIONS_PER_TURN = 200;

/** Who brought a transaction: a peer, a user of this node, or the run of this node before. */
type TransactionSource = PeerId | 'user' | 'saved';

/** What became of a transaction, told once. */
export type TransactionEnd = Accepted | Rejected;

/** A package that is being judged. */
interface PackageWaiter {
  readonly txs: readonly Transaction[];
  readonly options: PackageOptions;
  /** Which peer sent each; empty where a user sent them all. */
  readonly sources: readonly PeerId[];
  /** Told once. */
  readonly end: (result: PackageResult) => void;
}

/** What the flow needs of the node around it. */
export interface TransactionHost {
  now(): Now;
  initialSync(): boolean;
  /** Has the checks verified; `onVerified` is told. */
  verify(ticket: PoolTicket, checks: Bytes): void;
  perform(effects: readonly Effect[]): void;
  save(batch: readonly BatchItem[]): void;
  notice(notice: Notice): void;
  /** The peer brought a transaction that is in the pool now. */
  onDelivered(peer: PeerId): void;
}

export interface TransactionFlowParts {
  readonly limits: Limits;
  readonly pool: Mempool;
  readonly chain: ChainState;
  readonly relay: TxRelay;
  readonly orphans: Orphans;
  readonly saved: SavedTransactions;
  /** Undefined unless items are traced. */
  readonly items: ItemTrace | undefined;
  readonly host: TransactionHost;
}

export class TransactionFlow {
  readonly #limits: Limits;
  readonly #pool: Mempool;
  readonly #chain: ChainState;
  readonly #relay: TxRelay;
  readonly #orphans: Orphans;
  readonly #saved: SavedTransactions;
  readonly #items: ItemTrace | undefined;
  readonly #host: TransactionHost;
  /** Who wants to know the end of a transaction under verification. */
  readonly #txWaiters = new Map<PoolTicket, { source: TransactionSource; end: (end: TransactionEnd) => void }[]>();
  readonly #packages = new Map<PoolTicket, PackageWaiter>();
  /** Submissions that found too much under verification, tried again after the next answer. */
  #busyWaiters: (() => void)[] = [];
  #newest: { readonly hash: BlockHash; readonly byId: ReadonlyMap<string, Transaction> } | undefined;
  #reloads = false;

  constructor(parts: TransactionFlowParts) {
    this.#limits = parts.limits;
    this.#pool = parts.pool;
    this.#chain = parts.chain;
    this.#relay = parts.relay;
    this.#orphans = parts.orphans;
    this.#saved = parts.saved;
    this.#items = parts.items;
    this.#host = parts.host;
  }

  get #now(): Now {
    return this.#host.now();
  }

  onPeerTransaction(peer: PeerId, tx: Transaction): void {
    this.#relay.onTx(peer, tx);
    if (this.#host.initialSync() || this.#relay.isSettled(tx.wtxid) || this.#orphans.has(tx.wtxid)) return;
    if (this.#relay.isReconsiderable(tx.wtxid)) return this.#tryWithChild(peer, tx);
    this.#submitFromPeer(peer, tx);
  }

  #submitFromPeer(peer: PeerId, tx: Transaction): void {
    const verdict = this.#pool.submit(tx, this.#chain, this.#now);
    switch (verdict.type) {
      case 'accepted':
      case 'rejected':
        return this.#onTransactionEnd(tx, verdict, peer);
      case 'verify':
        this.#txWaiters.set(verdict.ticket, [{ source: peer, end: () => undefined }]);
        return this.#host.verify(verdict.ticket, verdict.checks);
      case 'pending':
        return;
      case 'busy':
        return this.#relay.onBusy(peer, tx, this.#now);
      default:
        return unreachable(verdict);
    }
  }

  /** A transaction of a user, now or before a restart. `end` is told once, perhaps at once. */
  submit(
    tx: Transaction,
    options: SubmitOptions,
    end: (end: TransactionEnd) => void,
    source: 'user' | 'saved' = 'user',
  ): void {
    const verdict = this.#pool.submit(tx, this.#chain, this.#now, options);
    switch (verdict.type) {
      case 'accepted':
      case 'rejected':
        if (options.test !== true) this.#onTransactionEnd(tx, verdict, source);
        return end(verdict);
      case 'verify':
        this.#txWaiters.set(verdict.ticket, [{ source, end }]);
        return this.#host.verify(verdict.ticket, verdict.checks);
      case 'pending':
        // Whoever else brought it: when that copy has settled, ours is judged on what is true then.
        this.#txWaiters.get(verdict.ticket)?.push({
          source,
          end: () => this.submit(tx, options, end, source),
        });
        return;
      case 'busy':
        this.#busyWaiters.push(() => this.submit(tx, options, end, source));
        return;
      default:
        return unreachable(verdict);
    }
  }

  /** The answer to `verify`: the index of the lowest check that failed, or null. */
  onVerified(ticket: PoolTicket, failed: number | null): void {
    for (const settled of this.#pool.onVerified(ticket, failed, this.#chain, this.#now)) {
      if (settled.type === 'package') {
        const waiter = this.#packages.get(settled.ticket);
        this.#packages.delete(settled.ticket);
        if (waiter !== undefined) this.#onPackageVerdict(settled.verdict, waiter);
        continue;
      }
      const waiters = this.#txWaiters.get(settled.ticket) ?? [];
      this.#txWaiters.delete(settled.ticket);
      if (!settled.test) this.#onTransactionEnd(settled.tx, settled.result, waiters[0]?.source ?? 'user');
      for (const { end } of waiters) end(settled.result);
    }
    this.#retryBusy();
  }

  /** Verification has room again: those that found none try in their order, until one finds none. */
  #retryBusy(): void {
    for (let again = this.#busyWaiters.shift(); again !== undefined; again = this.#busyWaiters.shift()) {
      const waiting = this.#busyWaiters.length;
      again();
      if (this.#busyWaiters.length === waiting) continue;
      // It has queued itself at the end, and keeps its place at the front.
      this.#busyWaiters.unshift(this.#busyWaiters.pop() as () => void);
      return;
    }
  }

  /** Transactions of a user that are judged together. `end` is told once, perhaps at once. */
  submitPackage(
    txs: readonly Transaction[],
    options: PackageOptions,
    end: (result: PackageResult) => void,
    sources: PackageWaiter['sources'] = [],
  ): void {
    const verdict = this.#pool.submitPackage(txs, this.#chain, this.#now, options);
    this.#onPackageVerdict(verdict, { txs, options, sources, end });
  }

  #onPackageVerdict(verdict: PackageVerdict, waiter: PackageWaiter): void {
    const { txs, options, sources, end } = waiter;
    switch (verdict.type) {
      case 'settled':
        if (options.test !== true) this.#onPackageEnd(verdict.result, waiter);
        return end(verdict.result);
      case 'verify':
        this.#packages.set(verdict.ticket, waiter);
        return this.#host.verify(verdict.ticket, verdict.checks);
      case 'waits':
        this.#packages.set(verdict.ticket, waiter);
        return;
      case 'busy':
        // A peer will send them again; a user waits.
        if (sources.length === 0) this.#busyWaiters.push(() => this.submitPackage(txs, options, end));
        return;
      default:
        return unreachable(verdict);
    }
  }

  #onPackageEnd({ members, left = [] }: PackageResult, { txs, sources }: PackageWaiter): void {
    let untold = left;
    // What has entered is no orphan, before others are told that it has.
    for (const [wtxid, { type }] of members) if (type === 'accepted') this.#orphans.forget(wtxid);
    for (const [index, tx] of txs.entries()) {
      const member = members.get(tx.wtxid);
      const source = sources[index] ?? 'user';
      if (member?.type === 'known' && source === 'user') this.saveForUser(member.entry);
      if (member?.type === 'accepted') {
        const { entry, replaced } = member;
        this.#onTransactionEnd(tx, { type: 'accepted', entry, replaced, left: untold }, source);
        untold = [];
      } else if (member?.type === 'rejected') {
        const { reject } = member;
        const peer = source === 'user' ? undefined : source;
        const by = peer === undefined ? {} : { peer };
        this.#host.notice({ kind: 'transaction-rejected', txid: tx.txid, reason: reject.reason, ...by });
        if (reject.kind !== 'missing-inputs' && reject.kind !== 'reconsiderable') this.#orphans.forget(tx.wtxid);
        this.#onRefused(tx, reject, peer);
      }
    }
  }

  /**
   * A parent that pays too little by itself: a child of it that waits may pay for both. One such pair is tried, first what
   * the same peer sent: others could keep an honest child waiting with children that will never do.
   */
  #tryWithChild(peer: PeerId, parent: Transaction): void {
    const isNew = (child: Transaction) => !this.#relay.isRejectedPair(parent, child);
    const child = this.#orphans.childToPayFor(parent, peer, isNew);
    if (child === undefined) return;
    const txs = [parent, child.tx];
    const end = ({ reject }: PackageResult) => {
      if (reject !== null) this.#relay.onRejectedPair(parent, child.tx);
    };
    this.submitPackage(txs, { cheapFirst: true }, end, [peer, child.peer]);
  }

  #onTransactionEnd(tx: Transaction, end: TransactionEnd, source: TransactionSource): void {
    const peer = typeof source === 'string' ? undefined : source;
    if (end.type === 'accepted') {
      const { entry, replaced } = end;
      this.#host.save(this.#saved.forget(replaced.map((other) => other.tx)));
      if (source === 'user') this.saveForUser(entry);
      if (peer !== undefined) this.#host.onDelivered(peer);
      this.#relay.onAccepted(entry, peer, this.#now, source === 'user' || this.#saved.isOwn(tx.txid));
      const told = source === 'user' ? 'local' : source === 'saved' ? 'saved' : 'peer';
      this.#host.notice({ kind: 'transaction', txid: tx.txid, source: told });
      this.#items?.onAccepted(
        tx,
        peer,
        told,
        replaced.map((other) => other.tx),
      );
      for (const { tx: gone, time } of this.#items === undefined ? [] : (end.left ?? [])) {
        const isOld = time < this.#now.unix - this.#limits.mempoolExpirySeconds;
        this.#items?.onRemoved(gone, isOld ? 'it has expired' : 'the mempool is full');
      }
      return this.retryOrphans(this.#orphans.takeChildren(tx.txid));
    }
    const { reject, missing } = end;
    const known = reject.code === 'txn-already-in-mempool' ? this.#pool.getByWtxid(tx.wtxid) : undefined;
    // A user is told that this is as good as accepted, so it must be: the other copy may have come from a peer.
    if (known !== undefined && source === 'user') this.saveForUser(known);
    if (known === undefined && source === 'saved') this.#host.save(this.#saved.forget([tx]));
    const by = peer === undefined ? {} : { peer };
    this.#host.notice({ kind: 'transaction-rejected', txid: tx.txid, reason: reject.reason, ...by });
    if (missing !== undefined && peer !== undefined) return this.#onOrphan(peer, tx, missing);
    this.#onRefused(tx, reject, peer);
    if (peer !== undefined && reject.kind === 'reconsiderable') this.#tryWithChild(peer, tx);
  }

  #onRefused(tx: Transaction, reject: Reject, peer: PeerId | undefined): void {
    this.#items?.onRejected(tx, peer, reject.reason);
    this.#relay.onRejected(tx, reject);
    if (peer !== undefined) this.#host.perform([{ type: 'misbehaved', peer, why: reject }]);
  }

  /** Its parents may be on their way: it is kept for a while, and they are asked for. */
  #onOrphan(peer: PeerId, tx: Transaction, missing: readonly Txid[]): void {
    if (missing.some((txid) => this.#relay.isSettled(txid))) {
      this.#relay.onRejectedParent(tx);
      return this.#items?.onRejected(tx, peer, 'it spends what was refused');
    }
    if (!this.#orphans.add(tx, peer, this.#now)) return;
    this.#items?.onOrphan(tx, peer, missing);
    this.#relay.requestParents(peer, missing, this.has, this.#now);
  }

  /** Before the user is answered: what was acknowledged outlives the process. */
  saveForUser(entry: Entry): void {
    this.#host.save(this.#saved.save(entry, true));
    // What a full pool evicted left its row behind.
    if (!this.#saved.isLoading && this.#saved.size > this.#pool.size) {
      this.#host.save(this.#saved.sweep((txid) => this.#pool.get(txid) !== undefined));
    }
  }

  /** Keeps the pool for the next run. False while the last one's is still being read. */
  savePool(): boolean {
    if (this.#saved.isLoading) return false;
    this.#saveAll();
    return true;
  }

  /** The process ends: what can be kept is kept. */
  onStop(): void {
    this.#saveAll();
  }

  #saveAll(): void {
    this.#host.save(this.#saved.saveAll(this.#pool.entries()));
    const row = this.#pool.feeDeltasRow();
    if (row !== undefined) this.#host.save([[FEE_DELTAS_KEY, row]]);
  }

  /** The chain has come to rest once: what the last run left of its pool can be judged. */
  beginReload(): void {
    this.#reloads = true;
  }

  /** `reloadSome` has something to do. */
  get mayReload(): boolean {
    return this.#reloads && this.#saved.open < TRANSACTIONS_PER_TURN && this.#saved.waiting > 0;
  }

  /** Submits some of what the last run left in its pool, as a user would. */
  reloadSome(): void {
    const oldest = this.#now.unix - this.#limits.mempoolExpirySeconds;
    for (let i = 0; i < TRANSACTIONS_PER_TURN && this.mayReload; i++) {
      const { tx, time } = this.#saved.next();
      const end = () => this.#saved.onEnd();
      if (time >= oldest) this.submit(tx, { time }, end, 'saved');
      else {
        this.#host.save(this.#saved.forget([tx]));
        end();
      }
    }
  }

  /** Their parents are known now. */
  retryOrphans(orphans: ReturnType<Orphans['takeChildren']>): void {
    for (const { tx, peer } of orphans) this.#submitFromPeer(peer, tx);
  }

  /** We have it, or wait for its parents. */
  readonly has = (kind: 'txid' | 'wtxid', hash: string): boolean =>
    this.#pool.has(kind, hash) || (kind === 'wtxid' && this.#orphans.has(hash as Wtxid));

  /** For getdata: from the pool, or from the newest block. */
  readonly lookup = (kind: 'txid' | 'wtxid', hash: string): { tx: Transaction; sequence: number } | undefined => {
    const entry: Entry | undefined =
      kind === 'txid' ? this.#pool.get(hash as Txid) : this.#pool.getByWtxid(hash as Wtxid);
    if (entry !== undefined) return { tx: entry.tx, sequence: entry.sequence };
    const tx = this.#newestTransactions().get(hash);
    return tx === undefined ? undefined : { tx, sequence: 0 };
  };

  /** The transactions of the newest block by both their ids, made when a peer first asks for one. */
  #newestTransactions(): ReadonlyMap<string, Transaction> {
    const { tip } = this.#chain;
    if (this.#newest?.hash !== tip.hash) {
      const byId = new Map<string, Transaction>();
      for (const tx of this.#chain.readBlock(tip).transactions) byId.set(tx.txid, tx).set(tx.wtxid, tx);
      this.#newest = { hash: tip.hash, byId };
    }
    return this.#newest.byId;
  }

  /** What relay looks at. */
  relayState(): Parameters<TxRelay['tick']>[0] {
    return {
      verifying: this.#pool.verifying,
      minFeeRate: this.#pool.minFeeRate(this.#now),
      initialSync: this.#host.initialSync(),
      has: this.has,
    };
  }
}
