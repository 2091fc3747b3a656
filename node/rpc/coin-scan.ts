/** scantxoutset: the coins of scripts, out of the rows of the script index. */
import { bytesToHex } from '#hash';
import { scriptHash } from '../../consensus/address.ts';
import type { ScriptHash } from '../../consensus/brand.ts';
import type { Row } from '../boundary.ts';
import { decodeScriptCoinRow, type KeyRange, scriptCoinsRange } from '../chain/schema.ts';
import { type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import type { ExpandedScript } from './descriptor.ts';
import { amount, type JsonValue } from './json.ts';
import { inferDescriptor } from './script-json.ts';
import type { RowReader } from './script-rows.ts';

/** The scans must have seen the chain as it is when the answer is made. */
export class CoinScan implements RowReader {
  /** Each script once, whatever descriptor named it first. */
  readonly #scripts: readonly (readonly [hash: ScriptHash, script: ExpandedScript])[];
  readonly #found: { readonly script: ExpandedScript; readonly row: Row }[] = [];
  #current = -1;

  constructor(scripts: readonly ExpandedScript[]) {
    const byHash = new Map<ScriptHash, ExpandedScript>();
    for (const one of scripts) {
      const hash = scriptHash(one.script);
      if (!byHash.has(hash)) byHash.set(hash, one);
    }
    this.#scripts = [...byHash];
  }

  nextRange(): KeyRange | undefined {
    this.#current += 1;
    const next = this.#scripts[this.#current];
    return next === undefined ? undefined : scriptCoinsRange(next[0]);
  }

  onRows(rows: readonly Row[]): void {
    const current = this.#scripts[this.#current];
    if (current === undefined) throw new Error('rows of no script');
    for (const row of rows) this.#found.push({ script: current[1], row });
  }

  answer({ chain, tree, params }: RpcContext): RpcReply {
    const { tip } = chain;
    const coins = this.#found.map(({ script, row }) => ({ script, ...decodeScriptCoinRow(row) }));
    // In Core's order, that of the bytes of the txid.
    const keyOf = (txid: string) => txid.replace(/(..)/g, '$1 ').trim().split(' ').reverse().join('');
    coins.sort((a, b) => (a.txid === b.txid ? a.vout - b.vout : keyOf(a.txid) < keyOf(b.txid) ? -1 : 1));
    const unspents = coins.map(({ txid, vout, coin, script }): JsonValue => {
      return {
        txid,
        vout,
        scriptPubKey: bytesToHex(script.script),
        desc: script.desc ?? inferDescriptor(script.script, params),
        amount: amount(coin.value),
        coinbase: coin.coinbase,
        height: coin.height,
        blockhash: tree.ancestor(tip, coin.height).hash,
        confirmations: tip.height - coin.height + 1,
      };
    });
    return result({
      success: true,
      txouts: coins.length,
      height: tip.height,
      bestblock: tip.hash,
      unspents,
      total_amount: amount(coins.reduce((sum, { coin }) => sum + coin.value, 0n)),
    });
  }
}
