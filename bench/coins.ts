/**
 * Blocks that give a bench as many coins as it wants, and payments that spend them: one input, one output, P2TR, signed.
 * The blocks are the same for our nodes and for others; a node gets them with `submitblock`.
 */
import { createHash } from 'node:crypto';
import { signSchnorr, xOnlyPointFromScalar } from 'tiny-secp256k1';
import { bytesToHex } from '#hash';
import { p2trScript } from '../consensus/address.ts';
import { type Block, encodeBlock } from '../consensus/block.ts';
import type { Bytes, Txid } from '../consensus/brand.ts';
import { COINBASE_MATURITY, regtest } from '../consensus/params.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../consensus/sighash.ts';
import { makeTransaction, type Transaction, type TransactionFields, type TxOutput } from '../consensus/transaction.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { mineBlock } from './recorded-chain.ts';

/** Coins that one transaction makes: 86 kB of them, so that ten such transactions fit in a block. */
const COINS_PER_TRANSACTION = 2000;
const TRANSACTIONS_PER_BLOCK = 10;
const FEE_SATS = 200n;
const NO_AUX = new Uint8Array(32);
const BLOCKS_PER_CALL = 20;

/** The key of all coins, untweaked: whoever verifies does not see the difference. */
const SECRET = createHash('sha256').update('grapevine bench coins').digest();
export const COIN_SCRIPT: Bytes = p2trScript(xOnlyPointFromScalar(SECRET));

/** A coin of `COIN_SCRIPT`. */
export interface BenchCoin extends TxOutput {
  readonly txid: Txid;
  readonly vout: number;
}

export interface CoinChain {
  /** Above genesis, ascending. */
  readonly blocks: readonly Block[];
  /** Matured, in blocks. */
  readonly coins: readonly BenchCoin[];
}

/** A regtest chain with at least `count` coins; their scripts are `scriptOf(index)`. */
export function coinChain(count: number, scriptOf: (index: number) => Bytes = () => COIN_SCRIPT): CoinChain {
  const blocks: Block[] = [];
  let tip = regtest.genesis;
  const mine = (payments: readonly Transaction[]) => {
    tip = mineBlock(tip, blocks.length + 1, COIN_SCRIPT, payments, regtest);
    blocks.push(tip);
  };
  const splits = Math.ceil(count / COINS_PER_TRANSACTION);
  for (let i = 0; i < COINBASE_MATURITY + splits; i++) mine([]);
  const coins: BenchCoin[] = [];
  for (let from = 0; from < splits; from += TRANSACTIONS_PER_BLOCK) {
    const payments: Transaction[] = [];
    for (let i = from; i < Math.min(splits, from + TRANSACTIONS_PER_BLOCK); i++) {
      const coinbase = (blocks[i] as Block).transactions[0] as Transaction;
      const first = coins.length;
      const share = ((coinbase.outputs[0] as TxOutput).value - 1_000_000n) / BigInt(COINS_PER_TRANSACTION);
      const outputs = Array.from({ length: COINS_PER_TRANSACTION }, (_, vout) => ({
        value: share,
        scriptPubKey: scriptOf(first + vout),
      }));
      const { txid } = coinbase;
      const tx = sign({ ...(coinbase.outputs[0] as TxOutput), txid, vout: 0 }, outputs);
      payments.push(tx);
      for (const [vout, output] of tx.outputs.entries()) coins.push({ ...output, txid: tx.txid, vout });
    }
    mine(payments);
  }
  return { blocks, coins: coins.slice(0, count) };
}

/** Pays a coin of `COIN_SCRIPT` to itself, less a fee. */
export function payOn(coin: BenchCoin, fee: bigint = FEE_SATS): Transaction {
  return sign(coin, [{ value: coin.value - fee, scriptPubKey: COIN_SCRIPT }]);
}

/** Gives a node those blocks and waits until the last one is its tip. */
export async function submitBlocks(client: RpcClient, blocks: readonly Block[]): Promise<void> {
  for (let from = 0; from < blocks.length; from += BLOCKS_PER_CALL) {
    const calls = blocks
      .slice(from, from + BLOCKS_PER_CALL)
      .map((block) => ['submitblock', [bytesToHex(encodeBlock(block))]] as const);
    for (const refusal of await client.batch(calls)) if (refusal !== null) throw new Error(`submitblock: ${refusal}`);
  }
  const best = await client.call('getbestblockhash');
  if (best !== blocks.at(-1)?.header.hash) throw new Error('the node did not follow the blocks of the bench');
}

function sign(coin: BenchCoin, outputs: readonly TxOutput[]): Transaction {
  const prevout = { txid: coin.txid, vout: coin.vout };
  const input = { prevout, scriptSig: new Uint8Array(0), sequence: 0xfffffffd, witness: [] };
  const fields: TransactionFields = { version: 2, inputs: [input], outputs, lockTime: 0 };
  const digest = new SighashCache(fields, [coin]).digest(0, SIGHASH_DEFAULT);
  return makeTransaction({ ...fields, inputs: [{ ...input, witness: [signSchnorr(digest, SECRET, NO_AUX)] }] });
}
