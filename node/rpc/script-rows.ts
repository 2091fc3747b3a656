/**
 * getscriptcoins and getscripthistory: rows of the script index, as scans bring them, put together with the mempool.
 * The scans must have seen the chain as it is when the answer is made.
 */
import { scriptHash } from '../../consensus/address.ts';
import { outPointKey, type ScriptHash } from '../../consensus/brand.ts';
import type { Row } from '../boundary.ts';
import {
  decodeScriptCoinRow,
  decodeScriptHistoryKey,
  type KeyRange,
  scriptCoinsRange,
  scriptHistoryRange,
} from '../chain/schema.ts';
import { type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { amount, type JsonValue } from './json.ts';

/** A call that is answered out of ranges of the store: scan `nextRange` into `onRows` until there is none, then `answer`. */
export interface RowReader {
  /** The next range may be asked for, and its rows may come, before the last one is done. */
  readonly inAnyOrder?: boolean;
  nextRange(): KeyRange | undefined;
  /** A page of that range; without `inAnyOrder` it is the one that was asked for last. */
  onRows(rows: readonly Row[], range: KeyRange): void;
  answer(context: RpcContext): RpcReply;
}

/** The rows of several scripts, one after the other. */
class ScriptRows {
  readonly #hashes: readonly ScriptHash[];
  /** By the range that they are in: a script that was named twice has one. */
  readonly #rows = new Map<string, Row[]>();
  /** The caller gave one hash and not an array: the answer is one object. */
  readonly #single: boolean;
  readonly #rangeOf: (hash: ScriptHash) => KeyRange;
  #current = -1;

  constructor(hashes: readonly ScriptHash[], single: boolean, rangeOf: (hash: ScriptHash) => KeyRange) {
    this.#hashes = hashes;
    this.#single = single;
    this.#rangeOf = rangeOf;
  }

  /** The next range to scan, or undefined when all are done. */
  nextRange(): KeyRange | undefined {
    for (;;) {
      this.#current += 1;
      const hash = this.#hashes[this.#current];
      if (hash === undefined) return undefined;
      const range = this.#rangeOf(hash);
      if (this.#rows.has(range.gte)) continue;
      this.#rows.set(range.gte, []);
      return range;
    }
  }

  onRows(rows: readonly Row[], range: KeyRange): void {
    const found = this.#rows.get(range.gte);
    if (found === undefined) throw new Error('rows of no script');
    for (const row of rows) found.push(row);
  }

  answer(
    { chain }: RpcContext,
    describe: (hash: ScriptHash, rows: readonly Row[]) => { readonly [name: string]: JsonValue },
  ): RpcReply {
    const objects = this.#hashes.map((hash) => ({
      scripthash: hash,
      bestblock: chain.tip.hash,
      height: chain.tip.height,
      ...describe(hash, this.#rows.get(this.#rangeOf(hash).gte) ?? []),
    }));
    return result(this.#single ? (objects[0] ?? null) : objects);
  }
}

/**
 * The coins of scripts: `coins` holds those of the chain (with `height`) and those that mempool transactions make
 * (confirmations 0, no `height`); `spentby` names the mempool transaction that spends a coin.
 */
export class ScriptCoins implements RowReader {
  readonly inAnyOrder = true;
  readonly #rows: ScriptRows;

  constructor(hashes: readonly ScriptHash[], single: boolean) {
    this.#rows = new ScriptRows(hashes, single, scriptCoinsRange);
  }

  nextRange(): KeyRange | undefined {
    return this.#rows.nextRange();
  }

  onRows(rows: readonly Row[], range: KeyRange): void {
    this.#rows.onRows(rows, range);
  }

  answer(context: RpcContext): RpcReply {
    const { chain, pool } = context;
    const spentby = (txid: Parameters<typeof outPointKey>[0], vout: number) =>
      pool.spender(outPointKey(txid, vout))?.tx.txid;
    return this.#rows.answer(context, (hash, rows) => {
      const coins: JsonValue[] = [];
      for (const row of rows) {
        const { txid, vout, coin } = decodeScriptCoinRow(row);
        coins.push({
          txid,
          vout,
          amount: amount(coin.value),
          confirmations: chain.tip.height - coin.height + 1,
          height: coin.height,
          coinbase: coin.coinbase,
          spentby: spentby(txid, vout),
        });
      }
      for (const { tx } of pool.byScript(hash)) {
        for (const [vout, { value, scriptPubKey }] of tx.outputs.entries()) {
          if (scriptHash(scriptPubKey) !== hash) continue;
          const { txid } = tx;
          const spender = spentby(txid, vout);
          coins.push({ txid, vout, amount: amount(value), confirmations: 0, coinbase: false, spentby: spender });
        }
      }
      return { coins };
    });
  }
}

/**
 * The transactions that touch scripts: `transactions` holds those of the chain in its order (with `height`, `index` in the
 * block and `blockhash`), then those of the mempool (confirmations 0, with `fee`).
 */
export class ScriptHistory implements RowReader {
  readonly inAnyOrder = true;
  readonly #rows: ScriptRows;

  constructor(hashes: readonly ScriptHash[], single: boolean) {
    this.#rows = new ScriptRows(hashes, single, scriptHistoryRange);
  }

  nextRange(): KeyRange | undefined {
    return this.#rows.nextRange();
  }

  onRows(rows: readonly Row[], range: KeyRange): void {
    this.#rows.onRows(rows, range);
  }

  answer(context: RpcContext): RpcReply {
    const { chain, tree, pool } = context;
    return this.#rows.answer(context, (hash, rows) => {
      const confirmed = rows.map(({ key }) => {
        const { height, index, txid } = decodeScriptHistoryKey(key);
        const blockhash = tree.ancestor(chain.tip, height).hash;
        return { txid, confirmations: chain.tip.height - height + 1, height, index, blockhash };
      });
      const pooled = pool.byScript(hash).map(({ tx, fee }) => ({ txid: tx.txid, confirmations: 0, fee: amount(fee) }));
      return { transactions: [...confirmed, ...pooled] };
    });
  }
}
