/**
 * A chain state over a data directory as a node has it, without the node: for benches of what connecting and disconnecting
 * costs. Its coins come out of nowhere, and its payments carry no real signatures: they are taken as known to hold.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { sha256 } from '#hash';
import { p2trScript } from '../consensus/address.ts';
import { type Bytes, idFromBytes, type OutPointKey, outPointKey, type Txid } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { type Coin, makeTransaction, type Transaction } from '../consensus/transaction.ts';
import { pushCoinRows } from '../node/chain/block-rows.ts';
import { ChainState } from '../node/chain/chain-state.ts';
import { HeaderTree } from '../node/chain/header-tree.ts';
import { decodeTip, encodeTip, headersRange, TIP_KEY } from '../node/chain/schema.ts';
import { localLimits } from '../node/limits.ts';
import type { BatchItem } from '../node/ports.ts';
import { type DataDirectory, openDataDirectory } from '../node/runtime/data-directory.ts';

const COIN_SATS = 100_000n;
const FEE_SATS = 200n;
/** Coins that are put into the store at once. */
const COINS_PER_BATCH = 20_000;
const NO_SIGNATURE: Bytes = new Uint8Array(64);

export interface DiskChain {
  readonly tree: HeaderTree;
  readonly chain: ChainState;
}

export function openDirectory(datadir: string): Promise<DataDirectory> {
  const onFailure = (error: Error) => {
    throw error;
  };
  return openDataDirectory(datadir, regtest, { onFailure });
}

/** The chain as the store has it, with nothing in its caches. */
export async function openChain({ store, blockFiles }: DataDirectory): Promise<DiskChain> {
  await store.flush();
  const tree = new HeaderTree(regtest, await store.rows(headersRange));
  const chain = new ChainState({ params: regtest, tree, store, blockFiles, limits: localLimits, verified: () => true });
  return { tree, chain };
}

/** Goes on to the best block, a step in each turn as a node does. */
export async function advance(chain: ChainState): Promise<void> {
  for (let more = true; more; await turn()) {
    const { failures, more: goesOn } = chain.advance();
    const [failure] = failures;
    if (failure !== undefined) throw new Error(`the block ${failure.node.hash} fails: ${failure.reject.code}`);
    more = goesOn;
  }
}

/** Puts the coins 0 to `count` into a store whose chain state has never had any. */
export async function putCoins({ store }: DataDirectory, count: number): Promise<void> {
  for (let from = 0; from < count; from += COINS_PER_BATCH) {
    const created = new Map<OutPointKey, Coin>();
    for (let index = from; index < Math.min(count, from + COINS_PER_BATCH); index++) {
      const coin = { value: COIN_SATS, scriptPubKey: script(`coin ${index}`), height: 0, coinbase: false };
      created.set(outPointKey(coinTxid(index), 0), coin);
    }
    const batch: BatchItem[] = [];
    pushCoinRows(batch, new Map(), created);
    store.write(batch);
    await store.flush();
  }
  const tip = store.get(TIP_KEY);
  if (tip === undefined) throw new Error('the chain state was never opened');
  store.write([[TIP_KEY, encodeTip({ ...decodeTip(tip), coinCount: count })]]);
  await store.flush();
}

/** Spends that coin. `label`: payments with different ones differ. */
export function payment(index: number, label: string): Transaction {
  const prevout = { txid: coinTxid(index), vout: 0 };
  const input = { prevout, scriptSig: new Uint8Array(0), sequence: 0xfffffffd, witness: [NO_SIGNATURE] };
  const output = { value: COIN_SATS - FEE_SATS, scriptPubKey: script(`${label} ${index}`) };
  return makeTransaction({ version: 2, inputs: [input], outputs: [output], lockTime: 0 });
}

/** A script of its own for each name: the key in it need not be one. */
export function script(name: string): Bytes {
  return p2trScript(digest(`script ${name}`));
}

function coinTxid(index: number): Txid {
  return idFromBytes<Txid>(digest(`coin ${index}`));
}

function digest(text: string): Bytes {
  return sha256(new TextEncoder().encode(text));
}
