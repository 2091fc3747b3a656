/**
 * A block on top of a set of coins: the rules that need coins (RULES.md A7), what changes in the set, and the way back.
 *
 * Nothing is mutated here. `connectBlock` answers with the change as data and with the signature checks that are still to
 * be done; whoever owns the set applies the change when they hold.
 */

import { isUnspendable } from './address.ts';
import type { Block } from './block.ts';
import { type Bytes, fail, type OutPointKey, ok, outPointKey, type Result } from './brand.ts';
import { checkInputs, type LockContext, sequenceLocksMet, writeSignatureChecks } from './check-transaction.ts';
import { type ChainParams, MAX_MONEY, subsidyAt } from './params.ts';
import { type Reject, reject } from './reject.ts';
import { CHECK_SIZE } from './signature.ts';
import { type Coin, prevoutKey, type Transaction, type TxOutput } from './transaction.ts';

/** The set of coins and the chain that a block is put on. */
export interface ConnectContext extends LockContext {
  /** Of the block. */
  readonly height: number;
  /** Of the parent. */
  readonly medianTimePast: number;
  /** The unspent coin of that key before the block. */
  coin(key: OutPointKey): Coin | undefined;
  /** True if the signatures of that transaction are known to hold: then no checks are emitted for it. */
  verified(wtxid: Transaction['wtxid']): boolean;
}

/** What a block does to the set of coins. `created` and `removed` are net: a coin made and spent inside the block is in neither. */
export interface Connection {
  /** The coin of every input of every transaction but the coinbase, in order: what `disconnectBlock` needs. */
  readonly spent: readonly Coin[];
  readonly created: ReadonlyMap<OutPointKey, Coin>;
  /** Coins of earlier blocks. */
  readonly removed: ReadonlyMap<OutPointKey, Coin>;
  /** Packed signature checks in the order of the inputs, CHECK_SIZE bytes each. */
  readonly checks: Bytes;
  /** The transaction and the index of its input to which the check of that index belongs. */
  checkOwners(index: number): { readonly tx: Transaction; readonly input: number };
  readonly fees: bigint;
}

/** A7. The block has passed `checkBlock` and `checkBlockInContext`. */
export function connectBlock(block: Block, context: ConnectContext, params: ChainParams): Result<Connection, Reject> {
  const spent: Coin[] = [];
  const created = new Map<OutPointKey, Coin>();
  const removed = new Map<OutPointKey, Coin>();
  const owners: CheckRange[] = [];
  let fees = 0n;

  const [coinbase, ...payments] = block.transactions;
  if (coinbase === undefined) throw new Error('a block without a coinbase has not passed checkBlock');
  // BIP 30. A repeated transaction needs a repeated coinbase in its past, and BIP 34 makes coinbases unique.
  if (coinbase.outputs.some((_, vout) => context.coin(outPointKey(coinbase.txid, vout)) !== undefined)) {
    return fail(reject('consensus', 'bad-txns-BIP30'));
  }
  addCoins(created, coinbase, context.height, true);
  const space = new Uint8Array(payments.reduce((sum, tx) => sum + tx.inputs.length, 0) * CHECK_SIZE);
  let used = 0;

  for (const tx of payments) {
    const keys = tx.inputs.map(prevoutKey);
    const coins: Coin[] = [];
    for (const key of keys) {
      const coin = created.get(key) ?? (removed.has(key) ? undefined : context.coin(key));
      if (coin === undefined) {
        return fail(reject('consensus', 'bad-txns-inputs-missingorspent', 'CheckTxInputs: inputs missing/spent'));
      }
      coins.push(coin);
    }
    const fee = checkInputs(tx, coins, context.height);
    // What the mempool calls premature is just wrong in a block.
    if (!fee.ok) return fail({ ...fee.error, kind: 'consensus' });
    fees += fee.value;
    if (fees > MAX_MONEY) return fail(reject('consensus', 'bad-txns-accumulated-fee-outofrange'));
    if (!sequenceLocksMet(tx, coins, context)) return fail(reject('consensus', 'bad-txns-nonfinal'));
    if (!context.verified(tx.wtxid)) {
      const why = writeSignatureChecks(tx, coins, space, used);
      // The block commits to witnesses, so a missing one was not lost on the way.
      if (why !== null) return fail({ ...why, kind: 'consensus' });
      owners.push({ tx, first: used / CHECK_SIZE });
      used += tx.inputs.length * CHECK_SIZE;
    }
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as OutPointKey;
      const coin = coins[index] as Coin;
      if (!created.delete(key)) removed.set(key, coin);
      spent.push(coin);
    }
    addCoins(created, tx, context.height, false);
  }

  let paid = 0n;
  for (const { value } of coinbase.outputs) paid += value;
  const allowed = subsidyAt(context.height, params) + fees;
  if (paid > allowed) {
    const detail = `coinbase pays too much (actual=${paid} vs limit=${allowed})`;
    return fail(reject('consensus', 'bad-cb-amount', detail));
  }
  const checks = used === space.length ? space : space.slice(0, used);
  return ok({ spent, created, removed, checks, checkOwners: (index) => ownerOf(owners, index), fees });
}

/** The transaction whose checks begin at `first`. */
interface CheckRange {
  readonly tx: Transaction;
  readonly first: number;
}

function ownerOf(owners: readonly CheckRange[], index: number): { readonly tx: Transaction; readonly input: number } {
  const owner = owners.findLast(({ first }) => first <= index);
  if (owner === undefined) throw new Error(`no check has the index ${index}`);
  return { tx: owner.tx, input: index - owner.first };
}

/** Adds the outputs of a transaction that can be spent. */
function addCoins(coins: Map<OutPointKey, Coin>, tx: Transaction, height: number, coinbase: boolean): void {
  for (let vout = 0; vout < tx.outputs.length; vout++) {
    const { value, scriptPubKey } = tx.outputs[vout] as TxOutput;
    if (isUnspendable(scriptPubKey)) continue;
    coins.set(outPointKey(tx.txid, vout), { value, scriptPubKey, height, coinbase });
  }
}

/** What disconnecting a block changes in the set of coins, net: no coin is in both. */
export interface Disconnection {
  readonly restored: ReadonlyMap<OutPointKey, Coin>;
  readonly removed: ReadonlyMap<OutPointKey, Coin>;
}

/**
 * The way back: which coins the disconnection of the block of that height gives back to the set and which it takes away.
 * `spent` is what `connectBlock` returned for it. The coins that go are known from the block: nothing is looked up.
 */
export function disconnectBlock(block: Block, height: number, spent: readonly Coin[]): Disconnection {
  const removed = new Map<OutPointKey, Coin>();
  for (const [index, tx] of block.transactions.entries()) addCoins(removed, tx, height, index === 0);
  const restored = new Map<OutPointKey, Coin>();
  let next = 0;
  for (const tx of block.transactions.slice(1)) {
    for (const input of tx.inputs) {
      const key = prevoutKey(input);
      const coin = spent[next];
      if (coin === undefined) throw new Error('fewer spent coins than the block has inputs');
      next += 1;
      // A coin that the block itself made is in the set neither before nor after it.
      if (!removed.delete(key)) restored.set(key, coin);
    }
  }
  if (next !== spent.length) throw new Error('more spent coins than the block has inputs');
  return { restored, removed };
}
