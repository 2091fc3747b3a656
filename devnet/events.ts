/**
 * What happens in a devnet, said once: every node logs each block and payment it sees, and people want one line for each.
 */
import type { LogLine } from './processes.ts';

export type DevnetEvent =
  | {
      readonly event: 'block';
      readonly height: number;
      readonly hash: string;
      /** Without the coinbase. */
      readonly payments: number;
      /** The node that had it first. */
      readonly node: string;
    }
  | {
      readonly event: 'transaction';
      readonly txid: string;
      readonly node: string;
      /** It was in a block that the node left behind. */
      readonly returned: boolean;
    }
  /** A node left blocks behind for a heavier branch. */
  | {
      readonly event: 'reorg';
      readonly node: string;
      readonly dropped: number;
      readonly height: number;
      readonly hash: string;
    }
  | { readonly event: 'exit'; readonly node: string; readonly how: string }
  | { readonly event: 'start'; readonly node: string }
  | { readonly event: 'mining-failed'; readonly node: string; readonly reason: string };

/** Ids that are remembered, so that the second node's line is not printed. Older ones are forgotten first. */
const MAX_REMEMBERED = 10_000;

/** Turns log lines of all nodes into events: each block and payment once, and again what a reorg undid. */
export class EventFilter {
  readonly #seen = new Set<string>();

  /** The event in a line of `node`'s log, or undefined if it holds none or nothing new. */
  read(node: string, line: LogLine): DevnetEvent | undefined {
    const hash = line['hash'];
    const txid = line['txid'];
    if (line['message'] === 'tip' && typeof hash === 'string') {
      const height = Number(line['height']);
      const dropped = Number(line['disconnected'] ?? 0);
      if (dropped > 0) return { event: 'reorg', node, dropped, height, hash };
      if (!this.#isNew(hash)) return undefined;
      return { event: 'block', height, hash, payments: Math.max(0, Number(line['transactions'] ?? 1) - 1), node };
    }
    if (line['message'] !== 'transaction' || typeof txid !== 'string') return undefined;
    const returned = line['source'] === 'reorg';
    return this.#isNew(txid) || returned ? { event: 'transaction', txid, node, returned } : undefined;
  }

  #isNew(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(this.#seen.values().next().value as string);
    return true;
  }
}

/** The event in one line for people. */
export function describeEvent(event: DevnetEvent): string {
  switch (event.event) {
    case 'block': {
      const payments = event.payments === 0 ? '' : `, ${event.payments} payment${event.payments === 1 ? '' : 's'}`;
      return `block ${event.height} ${event.hash} at ${event.node}${payments}`;
    }
    case 'transaction':
      return `payment ${event.txid} ${event.returned ? 'back in the mempool of' : 'at'} ${event.node}`;
    case 'reorg':
      return `reorg at ${event.node}: ${event.dropped} block${event.dropped === 1 ? '' : 's'} dropped, now ${event.height} ${event.hash}`;
    case 'exit':
      return `${event.node} ${event.how}`;
    case 'start':
      return `${event.node} is running`;
    case 'mining-failed':
      return `${event.node} could not mine: ${event.reason}`;
  }
}
