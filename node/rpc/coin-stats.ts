/** gettxoutsetinfo: counts, sums and hashes all coins while a scan of the store brings them, page by page. */
import { sha256 } from '@noble/hashes/sha2.js';
import { sha256 as sha256Once } from '#hash';
import { idFromBytes } from '../../consensus/brand.ts';
import { Writer } from '../../consensus/codec.ts';
import type { Row } from '../boundary.ts';
import { coinsRange, decodeCoinRow, decodeTip, type KeyRange, TIP_KEY, type TipRecord } from '../chain/schema.ts';
import { type CoinHashType, type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { amount } from './json.ts';
import type { RowReader } from './script-rows.ts';

/** Core's measure of a coin without its script, which pretends that every store is like its own. */
const BOGO_BYTES = 32 + 4 + 4 + 8 + 2;

/** Fed with the rows of `coinsRange` in key order: the tip record, which says whose coins they are, then the coins. */
export class CoinStats implements RowReader {
  readonly #hashType: CoinHashType;
  readonly #hash = sha256.create();
  #begun = false;
  #tip: TipRecord | undefined;
  #lastTxid = '';
  #transactions = 0;
  #coins = 0;
  #bogoSize = 0;
  #storedBytes = 0;
  #total = 0n;

  constructor(hashType: CoinHashType) {
    this.#hashType = hashType;
  }

  nextRange(): KeyRange | undefined {
    if (this.#begun) return undefined;
    this.#begun = true;
    return coinsRange;
  }

  onRows(rows: readonly Row[]): void {
    const hashed = this.#hashType === 'none' ? undefined : new Writer(rows.length * 96);
    for (const row of rows) {
      this.#storedBytes += row.key.length + row.value.length;
      if (row.key === TIP_KEY) {
        this.#tip = decodeTip(row.value);
        continue;
      }
      const { txid, vout, coin } = decodeCoinRow(row);
      if (txid !== this.#lastTxid) this.#transactions += 1;
      this.#lastTxid = txid;
      this.#coins += 1;
      this.#bogoSize += BOGO_BYTES + coin.scriptPubKey.length;
      this.#total += coin.value;
      hashed
        ?.id(txid)
        .u32(vout)
        .u32(coin.height * 2 + (coin.coinbase ? 1 : 0))
        .i64(coin.value)
        .varBytes(coin.scriptPubKey);
    }
    if (hashed !== undefined) this.#hash.update(hashed.finish());
  }

  /** The tip record says whose coins they are, so that the chain may have moved on meanwhile. */
  answer(_context: RpcContext): RpcReply {
    if (this.#tip === undefined) throw new Error('the scan of the coins did not begin with the tip record');
    return result({
      height: this.#tip.height,
      bestblock: this.#tip.hash,
      txouts: this.#coins,
      bogosize: this.#bogoSize,
      hash_serialized_3: this.#hashType === 'none' ? undefined : idFromBytes(sha256Once(this.#hash.digest())),
      total_amount: amount(this.#total),
      transactions: this.#transactions,
      disk_size: this.#storedBytes,
    });
  }
}
