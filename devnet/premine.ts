/**
 * The blocks that a devnet begins with, so that its accounts have coins to spend in the first second.
 * Pure: the same scripts give the same blocks, byte for byte, on every machine. Built with consensus/ alone and handed to
 * a node through `submitblock`, which checks them like any others.
 */

import { type Block, makeHeader } from '../consensus/block.ts';
import type { Bytes } from '../consensus/brand.ts';
import { heightPush } from '../consensus/check-block.ts';
import { merkleRoot } from '../consensus/merkle.ts';
import { type ChainParams, COINBASE_MATURITY, subsidyAt } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import { makeTransaction, NULL_TXID, NULL_VOUT, type Transaction } from '../consensus/transaction.ts';

/** Seconds between the times of two blocks. The first follows the genesis block by as much, so no clock is read. */
const SPACING_SECONDS = 60;
export const BLOCK_VERSION = 0x20000000;
const MIN_BLOCKS = 110;
/** Behind the height in every coinbase: says where the block comes from to whoever reads the bytes. */
const COINBASE_TEXT = 'grapevine devnet';

/** As many blocks as make one coin of every account, and one of the faucet, spendable in the next block. */
export function premineHeight(accounts: number): number {
  return Math.max(MIN_BLOCKS, COINBASE_MATURITY + accounts);
}

/**
 * Blocks 1 to `premineHeight(accounts.length)`: block h pays account h while there are accounts, then the faucet.
 * `accounts` and `faucet` are output scripts.
 */
export function premine(accounts: readonly Bytes[], faucet: Bytes, params: ChainParams): Block[] {
  const blocks: Block[] = [];
  let previous = params.genesis;
  for (let height = 1; height <= premineHeight(accounts.length); height++) {
    previous = mineBlock(previous, height, accounts[height - 1] ?? faucet, params);
    blocks.push(previous);
  }
  return blocks;
}

/** The first nonce from zero upwards that meets the target: about every second one does on regtest. */
function mineBlock(previous: Block, height: number, script: Bytes, params: ChainParams): Block {
  const coinbase = coinbaseTransaction(height, script, params);
  const fields = {
    version: BLOCK_VERSION,
    prevHash: previous.header.hash,
    merkleRoot: merkleRoot([coinbase.txid]).root,
    time: previous.header.time + SPACING_SECONDS,
    bits: params.powLimitBits,
  };
  for (let nonce = 0; ; nonce++) {
    const header = makeHeader({ ...fields, nonce });
    if (checkProofOfWork(header.hash, header.bits, params)) return { header, transactions: [coinbase] };
  }
}

/** A coinbase alone in its block needs no witness commitment (BIP 141). With other `text` it is another block. */
export function coinbaseTransaction(
  height: number,
  script: Bytes,
  params: ChainParams,
  text: Bytes = new TextEncoder().encode(COINBASE_TEXT),
): Transaction {
  return makeTransaction({
    version: 2,
    inputs: [
      {
        prevout: { txid: NULL_TXID, vout: NULL_VOUT },
        scriptSig: Uint8Array.from([...heightPush(height), text.length, ...text]),
        sequence: 0xffffffff,
        witness: [],
      },
    ],
    outputs: [{ value: subsidyAt(height, params), scriptPubKey: script }],
    lockTime: 0,
  });
}
