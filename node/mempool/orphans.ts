/**
 * Orphans: transactions that spend outputs of transactions that we do not know. They wait, few and not for long, until the
 * peer that sent them has sent their parents (RULES.md B6). Nothing in them is trusted: what is taken out is judged anew.
 */
import type { Block } from '../../consensus/block.ts';
import type { Txid, Wtxid } from '../../consensus/brand.ts';
import { prevoutKey, type Transaction } from '../../consensus/transaction.ts';
import type { Millis, Now, PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { below, type Random } from '../ports.ts';

export interface Orphan {
  readonly tx: Transaction;
  /** Who sent it. */
  readonly peer: PeerId;
}

interface Waiting extends Orphan {
  readonly expires: Millis;
}

export class Orphans {
  readonly #limits: Limits;
  readonly #random: Random;
  /** In the order of their expiry. */
  readonly #orphans = new Map<Wtxid, Waiting>();
  /** By each transaction from which they spend, known or not. */
  readonly #byParent = new Map<Txid, Set<Waiting>>();

  constructor(options: { readonly limits: Limits; readonly random: Random }) {
    this.#limits = options.limits;
    this.#random = options.random;
  }

  get size(): number {
    return this.#orphans.size;
  }

  has(wtxid: Wtxid): boolean {
    return this.#orphans.has(wtxid);
  }

  /** Keeps a transaction that was refused for missing inputs. False if it is there already. One by chance makes room for it. */
  add(tx: Transaction, peer: PeerId, now: Now): boolean {
    if (this.#orphans.has(tx.wtxid)) return false;
    const orphan: Waiting = { tx, peer, expires: now.mono + this.#limits.orphanExpiryMs };
    this.#orphans.set(tx.wtxid, orphan);
    for (const { prevout } of tx.inputs) {
      const siblings = this.#byParent.get(prevout.txid);
      if (siblings === undefined) this.#byParent.set(prevout.txid, new Set([orphan]));
      else siblings.add(orphan);
    }
    // By chance, so that nobody can push out a chosen one; the newcomer may be the one that goes.
    while (this.#orphans.size > this.#limits.maxOrphans) {
      const [...all] = this.#orphans.values();
      this.#remove(all[below(this.#random, all.length)] as Waiting);
    }
    return true;
  }

  /** Takes out the orphans that spend from `parent`, which has come in: submit them again. */
  takeChildren(parent: Txid): readonly Orphan[] {
    const children = [...(this.#byParent.get(parent) ?? [])];
    for (const child of children) this.#remove(child);
    return children;
  }

  /**
   * An orphan that spends from `parent` and that `isNew` has not seen with it: one of the same peer, the newest first, as it
   * pays most where they replace each other; else one by chance. It stays an orphan.
   */
  childToPayFor(parent: Transaction, peer: PeerId, isNew: (child: Transaction) => boolean): Orphan | undefined {
    const children = [...(this.#byParent.get(parent.txid) ?? [])].filter(({ tx }) => isNew(tx));
    const own = children.filter((child) => child.peer === peer);
    if (own.length > 0) return own.at(-1);
    return children.length === 0 ? undefined : children[below(this.#random, children.length)];
  }

  /** It is in the pool, or will never be. */
  forget(wtxid: Wtxid): void {
    const orphan = this.#orphans.get(wtxid);
    if (orphan !== undefined) this.#remove(orphan);
  }

  /** Forgets the orphans of a peer that has gone: nobody is left to send their parents. */
  onPeerGone(peer: PeerId): void {
    for (const orphan of [...this.#orphans.values()]) if (orphan.peer === peer) this.#remove(orphan);
  }

  /** Forgets what the block contains or spends, and takes out the orphans whose parents it confirms: submit them again. */
  onBlock(block: Block): readonly Orphan[] {
    if (this.#orphans.size === 0) return [];
    const spent = new Set<string>();
    for (const tx of block.transactions) for (const input of tx.inputs) spent.add(prevoutKey(input));
    for (const orphan of [...this.#orphans.values()]) {
      if (orphan.tx.inputs.some((input) => spent.has(prevoutKey(input)))) this.#remove(orphan);
    }
    return block.transactions.flatMap(({ txid }) => this.takeChildren(txid));
  }

  tick(now: Now): void {
    for (const orphan of this.#orphans.values()) {
      if (orphan.expires > now.mono) break;
      this.#remove(orphan);
    }
  }

  nextDeadline(): Millis | undefined {
    const [first] = this.#orphans.values();
    return first?.expires;
  }

  #remove(orphan: Waiting): void {
    this.#orphans.delete(orphan.tx.wtxid);
    for (const { prevout } of orphan.tx.inputs) {
      const siblings = this.#byParent.get(prevout.txid);
      siblings?.delete(orphan);
      if (siblings?.size === 0) this.#byParent.delete(prevout.txid);
    }
  }
}
