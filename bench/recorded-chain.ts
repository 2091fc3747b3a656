/**
 * A chain to sync: 110 blocks whose coinbases mature, then 300 blocks of 335 transactions each, 100,500 one-input P2TR
 * spends in all. With one output each the set of coins stays small; with two, a payment and its change, it grows by one
 * with every spend, as that of a real chain does.
 *
 * Made by our own code, the same bytes on every machine, once: it is kept in the system's temporary folder.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signSchnorr, xOnlyPointFromScalar } from 'tiny-secp256k1';
import { p2trScript } from '../consensus/address.ts';
import { type Block, encodeBlock, makeHeader } from '../consensus/block.ts';
import type { Bytes, Txid } from '../consensus/brand.ts';
import { heightPush } from '../consensus/check-block.ts';
import { concatBytes, Writer } from '../consensus/codec.ts';
import { commitmentHash, commitmentScript, merkleRoot, witnessRoot } from '../consensus/merkle.ts';
import { type ChainParams, COINBASE_MATURITY, regtest, subsidyAt } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../consensus/sighash.ts';
import {
  makeTransaction,
  NULL_TXID,
  NULL_VOUT,
  type Transaction,
  type TransactionFields,
  type TxOutput,
} from '../consensus/transaction.ts';

/** Goes up when other bytes are made: then an older file is not used. */
const VERSION = 1;
export const MATURITY_BLOCKS = 110;
export const PAYMENT_BLOCKS = 300;
export const PAYMENTS_PER_BLOCK = 335;
/** Outputs of the one payment that turns a coinbase into coins for the others of its block. */
const FIRST_COINS = PAYMENTS_PER_BLOCK - 1;
const KEYS = 1000;
const FEE_SATS = 200n;
const SPACING_SECONDS = 60;
const BLOCK_VERSION = 0x20000000;
const RESERVED_VALUE = new Uint8Array(32);
const NO_AUX = new Uint8Array(32);

/** The blocks above genesis, ascending, each as its bytes. `outputs`: of every spend. */
export function recordedChain(outputs: 1 | 2, params: ChainParams = regtest): readonly Bytes[] {
  const path = join(tmpdir(), `grapevine-bench-chain-${VERSION}-${outputs}.dat`);
  if (!existsSync(path)) {
    process.stdout.write(`making the chain that is synced (once, kept in ${path}) …\n`);
    const blocks = makeChain(outputs, params);
    // Renamed when it is whole, so that a bench that was interrupted leaves nothing behind that looks like a chain.
    writeFileSync(`${path}.${process.pid}`, pack(blocks));
    renameSync(`${path}.${process.pid}`, path);
  }
  return unpack(readFileSync(path));
}

/** Each block with its length before it; then sha256 of all that. */
function pack(blocks: readonly Bytes[]): Bytes {
  const writer = new Writer(blocks.reduce((sum, block) => sum + block.length + 4, 32));
  for (const block of blocks) writer.u32(block.length).raw(block);
  return writer.raw(createHash('sha256').update(writer.view()).digest()).finish();
}

function unpack(file: Buffer): Bytes[] {
  const end = file.length - 32;
  const sum = createHash('sha256').update(file.subarray(0, end)).digest();
  if (!sum.equals(file.subarray(end))) throw new Error('the recorded chain is damaged: delete it and start again');
  const blocks: Bytes[] = [];
  for (let at = 0; at < end; ) {
    const length = file.readUInt32LE(at);
    blocks.push(file.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return blocks;
}

/** A coin that is ours to spend, and the number of its key. */
interface Spendable extends TxOutput {
  readonly txid: Txid;
  readonly vout: number;
  readonly key: number;
}

function makeChain(outputs: 1 | 2, params: ChainParams): Bytes[] {
  const keys = Array.from({ length: KEYS }, (_, index) => makeKey(index));
  let nextKey = 0;
  const takeKey = () => nextKey++ % KEYS;
  const scriptOf = (key: number) => (keys[key] as BenchKey).script;

  const blocks: Bytes[] = [];
  let tip = params.genesis;
  /** Coins that can be spent, oldest first. */
  const coins: Spendable[] = [];
  const coinbases: Spendable[] = [];

  const spend = (coin: Spendable, values: readonly bigint[]): Transaction => {
    const outKeys = values.map(takeKey);
    const outputs = values.map((value, index) => ({ value, scriptPubKey: scriptOf(outKeys[index] as number) }));
    const prevout = { txid: coin.txid, vout: coin.vout };
    const input = { prevout, scriptSig: new Uint8Array(0), sequence: 0xfffffffd, witness: [] };
    const fields: TransactionFields = { version: 2, inputs: [input], outputs, lockTime: 0 };
    const digest = new SighashCache(fields, [coin]).digest(0, SIGHASH_DEFAULT);
    const signature = signSchnorr(digest, (keys[coin.key] as BenchKey).secret, NO_AUX);
    const tx = makeTransaction({ ...fields, inputs: [{ ...input, witness: [signature] }] });
    for (const [vout, output] of outputs.entries()) {
      coins.push({ ...output, txid: tx.txid, vout, key: outKeys[vout] as number });
    }
    return tx;
  };

  for (let height = 1; height <= MATURITY_BLOCKS + PAYMENT_BLOCKS; height++) {
    const payments: Transaction[] = [];
    if (height > MATURITY_BLOCKS) {
      if (coins.length === 0) {
        const coinbase = coinbases[height - 1 - COINBASE_MATURITY - 1] as Spendable;
        const share = (coinbase.value - FEE_SATS * 100n) / BigInt(FIRST_COINS);
        payments.push(
          spend(
            coinbase,
            Array.from({ length: FIRST_COINS }, () => share),
          ),
        );
      }
      while (payments.length < PAYMENTS_PER_BLOCK) {
        const coin = coins.shift() as Spendable;
        const payment = coin.value / 3n;
        const rest = coin.value - FEE_SATS;
        payments.push(spend(coin, outputs === 1 ? [rest] : [payment, rest - payment]));
      }
    }
    const key = takeKey();
    tip = mineBlock(tip, height, scriptOf(key), payments, params);
    const coinbase = tip.transactions[0] as Transaction;
    coinbases.push({ ...(coinbase.outputs[0] as TxOutput), txid: coinbase.txid, vout: 0, key });
    blocks.push(encodeBlock(tip));
  }
  return blocks;
}

interface BenchKey {
  readonly secret: Bytes;
  readonly script: Bytes;
}

/** The output key is the public key itself, without a tweak: whoever verifies does not see the difference. */
function makeKey(index: number): BenchKey {
  const secret = createHash('sha256').update(`grapevine bench key ${index}`).digest();
  return { secret, script: p2trScript(xOnlyPointFromScalar(secret)) };
}

/** A block on top of `parent`, of these payments. Fees are left to nobody. */
export function mineBlock(
  parent: Block,
  height: number,
  script: Bytes,
  payments: readonly Transaction[],
  params: ChainParams,
): Block {
  const coinbase = coinbaseTransaction(height, script, payments, params);
  const transactions = [coinbase, ...payments];
  const fields = {
    version: BLOCK_VERSION,
    prevHash: parent.header.hash,
    merkleRoot: merkleRoot(transactions.map(({ txid }) => txid)).root,
    time: parent.header.time + SPACING_SECONDS,
    bits: params.powLimitBits,
  };
  for (let nonce = 0; ; nonce++) {
    const header = makeHeader({ ...fields, nonce });
    if (checkProofOfWork(header.hash, header.bits, params)) return { header, transactions };
  }
}

function coinbaseTransaction(
  height: number,
  script: Bytes,
  payments: readonly Transaction[],
  params: ChainParams,
): Transaction {
  const input = {
    prevout: { txid: NULL_TXID, vout: NULL_VOUT },
    scriptSig: concatBytes(heightPush(height), new TextEncoder().encode('bench')),
    sequence: 0xffffffff,
    witness: payments.length > 0 ? [RESERVED_VALUE] : [],
  };
  const outputs: TxOutput[] = [{ value: subsidyAt(height, params), scriptPubKey: script }];
  const bare = makeTransaction({ version: 2, inputs: [input], outputs, lockTime: 0 });
  if (payments.length === 0) return bare;
  const root = witnessRoot({ transactions: [bare, ...payments] });
  const commitment = { value: 0n, scriptPubKey: commitmentScript(commitmentHash(root, RESERVED_VALUE)) };
  return makeTransaction({ version: 2, inputs: [input], outputs: [...outputs, commitment], lockTime: 0 });
}
