/**
 * verifychain: reads the newest blocks again and checks them, one block at a time, so that the node goes on meanwhile.
 * Levels as in Core: 0 the block can be read, 1 it is valid by itself, 2 so is its undo record, 3 it can be disconnected
 * from the coins, 4 it can be connected again. What the store cannot give back is damage and ends the process, as it does
 * whoever reads it. Signatures are not verified again.
 */
import { type Block, blockSize } from '../../consensus/block.ts';
import type { OutPointKey } from '../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { equalBytes } from '../../consensus/codec.ts';
import { connectBlock, disconnectBlock } from '../../consensus/connect-block.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import { command, error, RpcCode, type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { method, type RpcMethod } from './method.ts';
import { defaulted, int } from './params.ts';
import { type HeldCall, type Later, later } from './waiting.ts';

const DEFAULT_LEVEL = 3;
const DEFAULT_BLOCKS = 6;
/** The chain may move meanwhile, and then it begins again; so often. */
const MAX_ATTEMPTS = 100;
/** What a changed coin costs in memory, roughly. */
const COIN_BYTES = 300;

/** The coins of the tip with some changes on top: undefined for one that is not there. */
type Changes = Map<OutPointKey, Coin | undefined>;

class ChainCheck implements HeldCall {
  readonly #level: number;
  readonly #blocks: number;
  #attempts = 0;
  #tip: HeaderNode | undefined;
  /** The next block to look at, downwards; null after the last. */
  #next: HeaderNode | null = null;
  #left = 0;
  #changes: Changes = new Map();
  #bytes = 0;
  /** Blocks that were taken off the coins, the lowest last: they are put on again. */
  #disconnected: HeaderNode[] = [];

  constructor(level: number, blocks: number) {
    this.#level = level;
    this.#blocks = blocks;
  }

  poll(context: RpcContext): RpcReply | Later {
    if (this.#tip !== context.chain.tip && !this.#begin(context)) {
      return error(RpcCode.misc, 'The chain moves faster than it can be verified; try again later');
    }
    if (this.#next !== null && this.#left > 0) {
      if (!this.#check(context, this.#next)) return result(false);
      this.#next = this.#next.parent;
      this.#left -= 1;
      return later(context.now.mono);
    }
    const again = this.#level >= 4 ? this.#disconnected.pop() : undefined;
    if (again === undefined) return result(true);
    return this.#reconnect(context, again) ? later(context.now.mono) : result(false);
  }

  stopped(): RpcReply {
    return error(RpcCode.clientNotConnected, 'Shutting down');
  }

  #begin({ chain }: RpcContext): boolean {
    this.#attempts += 1;
    this.#tip = chain.tip;
    this.#next = chain.tip;
    this.#left = this.#blocks;
    this.#changes = new Map();
    this.#bytes = 0;
    this.#disconnected = [];
    return this.#attempts <= MAX_ATTEMPTS;
  }

  /** Genesis is hard-coded, and made no coins. */
  #check(context: RpcContext, node: HeaderNode): boolean {
    if (node.parent === null) return true;
    const { chain, params, limits } = context;
    const block = chain.readBlock(node);
    if (this.#level >= 1) {
      const place = { height: node.height, medianTimePast: node.parent.medianTimePast };
      if (checkBlock(block, params) !== null || checkBlockInContext(block, place, params) !== null) return false;
    }
    const spent = this.#level >= 2 ? chain.undo(node) : undefined;
    if (this.#level >= 2 && spent?.length !== inputsOf(block)) return false;
    if (this.#level < 3 || spent === undefined || this.#bytes > limits.overlayBytes) return true;
    return this.#disconnect(context, node, block, spent);
  }

  #disconnect(context: RpcContext, node: HeaderNode, block: Block, spent: readonly Coin[]): boolean {
    const { restored, removed } = disconnectBlock(block, node.height, spent);
    for (const [key, made] of removed) {
      const coin = this.#coin(context, key);
      if (coin === undefined || !isSameCoin(coin, made)) return false;
      this.#changes.set(key, undefined);
    }
    for (const [key, coin] of restored) {
      if (this.#coin(context, key) !== undefined) return false;
      this.#changes.set(key, coin);
    }
    this.#bytes += blockSize(block) + (removed.size + restored.size) * COIN_BYTES;
    this.#disconnected.push(node);
    return true;
  }

  #reconnect(context: RpcContext, node: HeaderNode): boolean {
    const { chain, params } = context;
    const view = {
      height: node.height,
      medianTimePast: node.parent?.medianTimePast ?? 0,
      medianTimePastAt: (height: number) => chain.medianTimePastAt(height),
      coin: (key: OutPointKey) => this.#coin(context, key),
      verified: () => true,
    };
    const connected = connectBlock(chain.readBlock(node), view, params);
    if (!connected.ok) return false;
    for (const key of connected.value.removed.keys()) this.#changes.set(key, undefined);
    for (const [key, coin] of connected.value.created) this.#changes.set(key, coin);
    return true;
  }

  #coin({ chain }: RpcContext, key: OutPointKey): Coin | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : chain.coin(key);
  }
}

function isSameCoin(a: Coin, b: Coin): boolean {
  const isSameOrigin = a.height === b.height && a.coinbase === b.coinbase;
  return isSameOrigin && a.value === b.value && equalBytes(a.scriptPubKey, b.scriptPubKey);
}

function inputsOf(block: Block): number {
  return block.transactions.slice(1).reduce((sum, { inputs }) => sum + inputs.length, 0);
}

export const verifyChainMethods: readonly RpcMethod[] = [
  method({
    name: 'verifychain',
    category: 'blockchain',
    description:
      'Checks the newest blocks again. Level 0 reads them, 1 checks each by itself, 2 its undo record, 3 takes them off\n' +
      'the coins, 4 puts them on again; each level does what those below it do.',
    params: {
      checklevel: defaulted(int('How thoroughly, 0 to 4'), DEFAULT_LEVEL),
      nblocks: defaulted(int('How many blocks; 0 for all'), DEFAULT_BLOCKS),
    },
    result: 'true|false    (boolean), whether nothing is wrong',
    example: '4 0',
    run: (_, { checklevel, nblocks }) => {
      const blocks = nblocks <= 0 ? Number.POSITIVE_INFINITY : nblocks;
      return command({ type: 'hold', call: new ChainCheck(checklevel, blocks) });
    },
  }),
];
