/**
 * Tells, step by step, what happens to each transaction and block at this node: who announced it, asked for it, delivered
 * it, and what became of it. `devnet trace` puts the steps of all nodes together; the moment of each is that of its log
 * line, because the core has no clock. Nothing in the node depends on it, and a node without tracing has none of it.
 *
 * One notice names many ids, for messages do. During initial sync nothing is told of what blocks hold, nor of headers:
 * that would be the whole chain.
 */
import type { Block } from '../consensus/block.ts';
import type { Transaction } from '../consensus/transaction.ts';
import type { ItemStep, Notice, PeerId } from './boundary.ts';
import { INV_BLOCK, INV_TX, INV_WITNESS_BLOCK, INV_WITNESS_TX, INV_WTX, type Message } from './wire/message.ts';

/** Ids that one notice names: a log line must stay one that can be read. */
const MAX_IDS = 500;

export type ItemNotice = Extract<Notice, { readonly kind: 'item' }>;

export interface ItemTraceOptions {
  /** Headers that are announced in one message; more are the answer to getheaders, and no announcement. */
  readonly maxAnnouncedHeaders: number;
  /** What a peer is called: its name in a devnet, else its address. */
  readonly nameOf: (peer: PeerId) => string;
  readonly notice: (notice: ItemNotice) => void;
}

/** The steps by which messages show themselves, as the receiver and as the sender sees them. */
const MESSAGE_STEPS = {
  received: {
    announced: 'announced-by',
    requested: 'requested-by',
    delivered: 'delivered-by',
    missing: 'missing-at',
  },
  sent: {
    announced: 'announced-to',
    requested: 'requested-from',
    delivered: 'delivered-to',
    missing: 'missing-for',
  },
} as const;

type Way = keyof typeof MESSAGE_STEPS;

export class ItemTrace {
  readonly #options: ItemTraceOptions;

  constructor(options: ItemTraceOptions) {
    this.#options = options;
  }

  /** A message of a peer, before anything else is done about it; or one of ours to a peer. */
  onMessage(way: Way, peer: PeerId, message: Message): void {
    const steps = MESSAGE_STEPS[way];
    switch (message.type) {
      case 'inv':
        return this.#tellItems(steps.announced, peer, message.items);
      case 'getdata':
        return this.#tellItems(steps.requested, peer, message.items);
      case 'notfound':
        return this.#tellItems(steps.missing, peer, message.items);
      case 'headers': {
        const { headers } = message;
        if (headers.length > this.#options.maxAnnouncedHeaders) return;
        const ids = headers.map(({ hash }) => hash);
        return this.#tell({ step: steps.announced, item: 'block', ids, with: this.#options.nameOf(peer) });
      }
      case 'block':
        return this.onBlockMessage(way, peer, message.block.header.hash);
      case 'tx': {
        const { txid, wtxid } = message.tx;
        return this.#tell({ ...this.#transaction(steps.delivered, txid, wtxid), with: this.#options.nameOf(peer) });
      }
      default:
        return;
    }
  }

  /** A block message that was not made of a Block: stored bodies are sent as they are. */
  onBlockMessage(way: Way, peer: PeerId, hash: string): void {
    const step = MESSAGE_STEPS[way].delivered;
    this.#tell({ step, item: 'block', ids: [hash], with: this.#options.nameOf(peer) });
  }

  /** It is in the pool. `source` is where it came from if that was no peer. */
  onAccepted(tx: Transaction, from: PeerId | undefined, source: string, replaced: readonly Transaction[]): void {
    const who = from === undefined ? { reason: source } : { with: this.#options.nameOf(from) };
    this.#tell({ ...this.#transaction('accepted', tx.txid, tx.wtxid), ...who });
    for (const old of replaced) {
      this.#tell({ ...this.#transaction('replaced', old.txid, old.wtxid), reason: `by ${tx.txid}` });
    }
  }

  onRejected(tx: Transaction, from: PeerId | undefined, reason: string): void {
    const who = from === undefined ? {} : { with: this.#options.nameOf(from) };
    this.#tell({ ...this.#transaction('rejected', tx.txid, tx.wtxid), ...who, reason });
  }

  /** It is kept for a while, because its parents are not here. */
  onOrphan(tx: Transaction, from: PeerId, missing: readonly string[]): void {
    const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
    this.#tell({
      ...this.#transaction('orphaned', tx.txid, tx.wtxid),
      with: this.#options.nameOf(from),
      reason: `waits for ${missing[0]}${more}`,
    });
  }

  /** It has left the pool, unconfirmed. */
  onRemoved(tx: Transaction, reason: string): void {
    this.#tell({ ...this.#transaction('removed', tx.txid, tx.wtxid), reason });
  }

  /** It is in the pool again: its block was left behind. */
  onReturned(tx: Transaction): void {
    this.#tell(this.#transaction('returned', tx.txid, tx.wtxid));
  }

  /** Blocks of the chain. `withTransactions` is false during initial sync. */
  onConnected(block: Block, height: number, withTransactions: boolean): void {
    this.#tellBlock('connected', 'confirmed', block, height, withTransactions);
  }

  onDisconnected(block: Block, height: number): void {
    this.#tellBlock('disconnected', 'unconfirmed', block, height, true);
  }

  onBlockRejected(hash: string, height: number, from: PeerId | undefined, reason: string): void {
    const who = from === undefined ? {} : { with: this.#options.nameOf(from) };
    this.#tell({ step: 'rejected', item: 'block', ids: [hash], height, ...who, reason });
  }

  #tellBlock(
    step: 'connected' | 'disconnected',
    inside: 'confirmed' | 'unconfirmed',
    { header, transactions }: Block,
    height: number,
    withTransactions: boolean,
  ): void {
    this.#tell({ step, item: 'block', ids: [header.hash], height });
    if (!withTransactions) return;
    const ids = transactions.map(({ txid }) => txid);
    this.#tell({ step: inside, item: 'transaction', ids, height, block: header.hash });
  }

  #tellItems(step: ItemStep, peer: PeerId, items: readonly { readonly kind: number; readonly hash: string }[]): void {
    const transactions: string[] = [];
    const blocks: string[] = [];
    for (const { kind, hash } of items) {
      if (kind === INV_BLOCK || kind === INV_WITNESS_BLOCK) blocks.push(hash);
      else if (kind === INV_TX || kind === INV_WTX || kind === INV_WITNESS_TX) transactions.push(hash);
    }
    const name = this.#options.nameOf(peer);
    this.#tell({ step, item: 'block', ids: blocks, with: name });
    this.#tell({ step, item: 'transaction', ids: transactions, with: name });
  }

  #transaction(step: ItemStep, txid: string, wtxid: string): Omit<ItemNotice, 'kind'> {
    return { step, item: 'transaction', ids: [txid], wtxid };
  }

  #tell(notice: Omit<ItemNotice, 'kind'>): void {
    for (let at = 0; at < notice.ids.length; at += MAX_IDS) {
      this.#options.notice({ kind: 'item', ...notice, ids: notice.ids.slice(at, at + MAX_IDS) });
    }
  }
}
