/**
 * getscriptbalance: what scripts hold, without naming every coin: a wallet with ten thousand of them is told in one line for
 * each of its addresses. The scans must have seen the chain as it is when the answer is made.
 */
import { scriptHash } from '../../consensus/address.ts';
import { outPointKey, type ScriptHash } from '../../consensus/brand.ts';
import { COINBASE_MATURITY } from '../../consensus/params.ts';
import type { Row } from '../boundary.ts';
import { decodeScriptCoinRow, type KeyRange, scriptCoinsRange } from '../chain/schema.ts';
import { type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { amount, type JsonValue } from './json.ts';
import type { RowReader } from './script-rows.ts';

/** Of the coins in blocks. */
interface Sums {
  count: number;
  mature: bigint;
  immature: bigint;
}

export class ScriptBalances implements RowReader {
  readonly inAnyOrder = true;
  readonly #hashes: readonly ScriptHash[];
  readonly #single: boolean;
  readonly #tipHeight: number;
  /** By the range that they are in. */
  readonly #sums = new Map<string, Sums>();
  #next = 0;

  /** `tipHeight` is that of the chain when the scan begins; it begins again when the tip moves. */
  constructor(hashes: readonly ScriptHash[], single: boolean, tipHeight: number) {
    this.#hashes = hashes;
    this.#single = single;
    this.#tipHeight = tipHeight;
  }

  nextRange(): KeyRange | undefined {
    for (;;) {
      const hash = this.#hashes[this.#next++];
      if (hash === undefined) return undefined;
      const range = scriptCoinsRange(hash);
      if (this.#sums.has(range.gte)) continue;
      this.#sums.set(range.gte, { count: 0, mature: 0n, immature: 0n });
      return range;
    }
  }

  onRows(rows: readonly Row[], range: KeyRange): void {
    const sums = this.#sums.get(range.gte);
    if (sums === undefined) throw new Error('rows of no script');
    for (const row of rows) {
      const { value, height, coinbase } = decodeScriptCoinRow(row).coin;
      sums.count += 1;
      // The next block is the first that may spend it.
      const isMature = !coinbase || this.#tipHeight + 1 - height >= COINBASE_MATURITY;
      if (isMature) sums.mature += value;
      else sums.immature += value;
    }
  }

  answer(context: RpcContext): RpcReply {
    const { tip } = context.chain;
    const objects = this.#hashes.map((hash) => ({
      scripthash: hash,
      bestblock: tip.hash,
      height: tip.height,
      ...this.#balance(hash, context),
    }));
    return result(this.#single ? (objects[0] ?? null) : objects);
  }

  #balance(hash: ScriptHash, { pool }: RpcContext): { readonly [name: string]: JsonValue } {
    const { count, mature, immature } = this.#sums.get(scriptCoinsRange(hash).gte) as Sums;
    let [coins, confirmed, unconfirmed] = [count, mature, 0n];
    for (const { tx, coins: spent } of pool.byScript(hash)) {
      for (const [index, { scriptPubKey, value }] of spent.entries()) {
        // What spends an output of the pool takes nothing from the chain; a coinbase that is spent is mature.
        const parent = tx.inputs[index]?.prevout.txid;
        if (parent !== undefined && pool.get(parent) === undefined && scriptHash(scriptPubKey) === hash)
          confirmed -= value;
      }
      for (const [vout, { scriptPubKey, value }] of tx.outputs.entries()) {
        if (scriptHash(scriptPubKey) !== hash) continue;
        coins += 1;
        if (pool.spender(outPointKey(tx.txid, vout)) === undefined) unconfirmed += value;
      }
    }
    return { confirmed: amount(confirmed), unconfirmed: amount(unconfirmed), immature: amount(immature), coins };
  }
}
