/** Templates as getblocktemplate answers them, for miners outside the node. */
import { bytesToHex } from '#hash';
import { commitmentHash, commitmentScript, witnessRoot } from '../../consensus/merkle.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { buildCoinbase } from './chain-builder.ts';

export interface TemplateAnswer extends Record<string, unknown> {
  readonly previousblockhash: string;
}

/** Of block 1 on regtest, with those transactions; fields can be changed. */
export function templateAnswer(
  transactions: readonly Transaction[] = [],
  change: Readonly<Record<string, unknown>> = {},
): TemplateAnswer {
  const root = witnessRoot({ transactions: [buildCoinbase(1), ...transactions] });
  return {
    version: 0x20000000,
    previousblockhash: regtest.genesis.header.hash,
    height: 1,
    bits: '207fffff',
    curtime: 1_800_000_000,
    mintime: 1_700_000_000,
    coinbasevalue: 5_000_001_000,
    transactions: transactions.map((tx) => ({ data: bytesToHex(encodeTransaction(tx)), txid: tx.txid })),
    longpollid: `${regtest.genesis.header.hash}7`,
    default_witness_commitment: bytesToHex(commitmentScript(commitmentHash(root, new Uint8Array(32)))),
    ...change,
  };
}
