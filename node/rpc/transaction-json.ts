/** Transactions as Core prints them (TxToUniv). */
import { bytesToHex } from '#hash';
import type { ChainParams } from '../../consensus/params.ts';
import {
  type Coin,
  encodeTransaction,
  isCoinbase,
  type Transaction,
  vsizeOf,
  weightOf,
} from '../../consensus/transaction.ts';
import { amount, type JsonValue } from './json.ts';
import { scriptAsm, scriptJson } from './script-json.ts';

export interface TransactionJsonOptions {
  /** The coins that its inputs spend, in their order: then the fee is shown. */
  readonly spent?: readonly Coin[] | undefined;
  /** With `spent`: each input shows the output that it spends. */
  readonly prevouts?: boolean;
  /** False leaves out the serialized transaction. */
  readonly hex?: boolean;
}

/** An object whose members keep Core's order, so that more can be added behind them. */
export type JsonObject = { readonly [name: string]: JsonValue | undefined };

export function transactionJson(
  tx: Transaction,
  params: ChainParams,
  { spent, prevouts = false, hex = true }: TransactionJsonOptions = {},
): JsonObject {
  return {
    txid: tx.txid,
    hash: tx.wtxid,
    version: tx.version,
    size: tx.size,
    vsize: vsizeOf(tx),
    weight: weightOf(tx),
    locktime: tx.lockTime,
    vin: inputsJson(tx, params, prevouts ? spent : undefined),
    vout: tx.outputs.map(({ value, scriptPubKey }, n) => {
      return { value: amount(value), n, scriptPubKey: scriptJson(scriptPubKey, params) };
    }),
    fee: spent === undefined ? undefined : amount(sum(spent) - sum(tx.outputs)),
    hex: hex ? bytesToHex(encodeTransaction(tx)) : undefined,
  };
}

function inputsJson(tx: Transaction, params: ChainParams, spent: readonly Coin[] | undefined): JsonValue {
  const coinbase = isCoinbase(tx);
  return tx.inputs.map(({ prevout, scriptSig, sequence, witness }, index) => {
    const script = bytesToHex(scriptSig);
    const source = coinbase
      ? { coinbase: script }
      : { txid: prevout.txid, vout: prevout.vout, scriptSig: { asm: scriptAsm(scriptSig), hex: script } };
    const coin = spent?.[index];
    return {
      ...source,
      txinwitness: witness.length > 0 ? witness.map(bytesToHex) : undefined,
      prevout: coin === undefined ? undefined : coinJson(coin, params),
      sequence,
    };
  });
}

function coinJson(coin: Coin, params: ChainParams): JsonValue {
  return {
    generated: coin.coinbase,
    height: coin.height,
    value: amount(coin.value),
    scriptPubKey: scriptJson(coin.scriptPubKey, params),
  };
}

function sum(outputs: readonly { readonly value: bigint }[]): bigint {
  return outputs.reduce((total, { value }) => total + value, 0n);
}
