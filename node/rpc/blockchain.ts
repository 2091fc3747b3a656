/** Methods that look at the chain and its coins, or choose between its branches. */
import { bytesToHex } from '#hash';
import { encodeHeader } from '../../consensus/block.ts';
import { type BlockHash, outPointKey, type Txid } from '../../consensus/brand.ts';
import { command, error, type RpcAnswer, RpcCode, result } from './answer.ts';
import { blockJson, difficultyOf, headerJson } from './block-json.ts';
import type { RpcContext } from './context.ts';
import { amount, hexNumber } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { alias, bool, defaulted, hash, ignored, int, optional, text, uint32, verbosity } from './params.ts';
import { scriptJson } from './script-json.ts';

const notFound = error(RpcCode.addressOrKey, 'Block not found');
const notStored = error(RpcCode.misc, 'Block not found on disk');

const blockHash = (label: string, description = 'The hash of the block') => hash<BlockHash>(label, description);

/** Calls that act on one block of the tree. */
function judge(type: 'invalidate' | 'reconsider' | 'precious', context: RpcContext, hash: BlockHash): RpcAnswer {
  return context.tree.get(hash) === undefined ? notFound : command({ type, hash });
}

export const blockchainMethods: readonly RpcMethod[] = [
  method({
    name: 'getbestblockhash',
    category: 'blockchain',
    description: 'The hash of the last block of the active chain.',
    params: {},
    result: '"hash"    (string, hex)',
    example: '',
    run: ({ chain }) => result(chain.tip.hash),
  }),

  method({
    name: 'getblock',
    category: 'blockchain',
    description:
      'A block: serialized (0), with the ids of its transactions (1), with its transactions and their fees (2),\n' +
      'or with the outputs that they spend as well (3).',
    params: {
      blockhash: blockHash('blockhash'),
      verbosity: alias(defaulted(verbosity('How much is shown: 0 to 3'), 1), 'verbose'),
    },
    result: '"hex"    (string) with verbosity 0\n{...}    (object) otherwise',
    example: '"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206" 2',
    run: ({ tree, chain, params }, { blockhash, verbosity }) => {
      const node = tree.get(blockhash);
      if (node === undefined) return notFound;
      if (node.place === undefined) return notStored;
      if (verbosity <= 0) return result(bytesToHex(chain.readBlockBytes(node)));
      const block = chain.readBlock(node);
      const header = headerJson(node, tree, chain.tip);
      if (verbosity === 1) return result(blockJson(header, block, params, { transactions: 'ids' }));
      const spent = chain.undo(node);
      return result(blockJson(header, block, params, { transactions: 'full', spent, prevouts: verbosity >= 3 }));
    },
  }),

  method({
    name: 'getblockchaininfo',
    category: 'blockchain',
    description: 'The state of the chain.',
    params: {},
    result: '{ "chain", "blocks", "headers", "bestblockhash", "difficulty", ... }    (object)',
    example: '',
    run: ({ params, chain, tree, initialSync, sizeOnDisk }) => {
      const { tip } = chain;
      return result({
        chain: params.name,
        blocks: tip.height,
        headers: tree.best.height,
        bestblockhash: tip.hash,
        difficulty: difficultyOf(tip.header.bits),
        time: tip.header.time,
        mediantime: tip.medianTimePast,
        verificationprogress: Math.min(1, (tip.height + 1) / (tree.best.height + 1)),
        initialblockdownload: initialSync,
        chainwork: hexNumber(tip.chainwork, 64),
        size_on_disk: sizeOnDisk,
        pruned: false,
        warnings: [],
      });
    },
  }),

  method({
    name: 'getblockcount',
    category: 'blockchain',
    description: 'The height of the active chain; the genesis block has height 0.',
    params: {},
    result: 'n    (numeric)',
    example: '',
    run: ({ chain }) => result(chain.tip.height),
  }),

  method({
    name: 'getblockhash',
    category: 'blockchain',
    description: 'The hash of the block at a height of the active chain.',
    params: { height: int('The height') },
    result: '"hash"    (string, hex)',
    example: '0',
    run: ({ tree, chain }, { height }) => {
      if (height < 0 || height > chain.tip.height) return error(RpcCode.parameter, 'Block height out of range');
      return result(tree.ancestor(chain.tip, height).hash);
    },
  }),

  method({
    name: 'getblockheader',
    category: 'blockchain',
    description: 'A block header, also of a block that is not stored or not on the active chain.',
    params: {
      blockhash: blockHash('hash'),
      verbose: defaulted(bool('An object, or the serialized header'), true),
    },
    result: '{...}    (object) with verbose=true\n"hex"    (string) otherwise',
    example: '"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"',
    run: ({ tree, chain }, { blockhash, verbose }) => {
      const node = tree.get(blockhash);
      if (node === undefined) return notFound;
      return result(verbose ? headerJson(node, tree, chain.tip) : bytesToHex(encodeHeader(node.header)));
    },
  }),

  method({
    name: 'getchaintips',
    category: 'blockchain',
    description:
      'The ends of all branches, the highest first. Their status is active, valid-fork (was connected once),\n' +
      'valid-headers (all blocks are here, none was tried), headers-only or invalid.',
    params: {},
    result: '[ { "height", "hash", "branchlen", "status" }, ... ]    (array of objects)',
    example: '',
    run: ({ tree, chain }) => {
      const tips = new Set([chain.tip, ...tree.tips().filter((node) => !tree.contains(chain.tip, node))]);
      const sorted = [...tips].sort((a, b) => b.height - a.height || (a.hash < b.hash ? -1 : 1));
      return result(
        sorted.map((node) => ({
          height: node.height,
          hash: node.hash,
          branchlen: node.height - tree.commonAncestor(node, chain.tip).height,
          status: tree.tipStatus(node, chain.tip),
        })),
      );
    },
  }),

  method({
    name: 'getdifficulty',
    category: 'blockchain',
    description: 'The proof of work that the last block had to show, as a multiple of the least that Bitcoin had.',
    params: {},
    result: 'n    (numeric)',
    example: '',
    run: ({ chain }) => result(difficultyOf(chain.tip.header.bits)),
  }),

  method({
    name: 'gettxout',
    category: 'blockchain',
    description: 'An output that is not spent.',
    params: {
      txid: hash<Txid>('txid', 'The transaction that made it'),
      n: uint32('Its place among the outputs'),
      include_mempool: defaulted(
        bool('Count the mempool: its outputs exist, and what it spends does not any more'),
        true,
      ),
    },
    result: 'null    if there is no such output\n{ "bestblock", "confirmations", "value", "scriptPubKey", "coinbase" }',
    example: '"4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b" 0',
    run: ({ chain, pool, params }, { txid, n, include_mempool }) => {
      const key = outPointKey(txid, n);
      const confirmed = chain.coin(key);
      const coin = include_mempool ? (confirmed ?? pool.coin(key, chain)) : confirmed;
      if (coin === undefined || (include_mempool && pool.spender(key) !== undefined)) return result(null);
      return result({
        bestblock: chain.tip.hash,
        confirmations: confirmed === undefined ? 0 : chain.tip.height - coin.height + 1,
        value: amount(coin.value),
        scriptPubKey: scriptJson(coin.scriptPubKey, params),
        coinbase: coin.coinbase,
      });
    },
  }),

  method({
    name: 'gettxoutsetinfo',
    category: 'blockchain',
    description: 'Counts and sums all coins, and hashes them so that two nodes can compare theirs. Reads them all.',
    params: {
      hash_type: defaulted(text('hash_serialized_3, or none, which is faster'), 'hash_serialized_3'),
      hash_or_height: optional(ignored('Only the current block is possible')),
      use_index: defaulted(bool('There is no index'), true),
    },
    result: '{ "height", "bestblock", "txouts", "bogosize", "hash_serialized_3", "total_amount", ... }    (object)',
    example: '"none"',
    run: (_, { hash_type, hash_or_height }) => {
      if (hash_type !== 'hash_serialized_3' && hash_type !== 'none') {
        return error(RpcCode.parameter, `'${hash_type}' is not a valid hash_type`);
      }
      if (hash_or_height !== undefined) {
        return error(RpcCode.parameter, 'Querying specific block heights requires coinstatsindex');
      }
      return command({ type: 'coin-stats', hashType: hash_type });
    },
  }),

  method({
    name: 'invalidateblock',
    category: 'hidden',
    description: 'Treats a block as if it broke a rule, until reconsiderblock. The node goes to the best other branch.',
    params: { blockhash: blockHash('blockhash') },
    result: 'null',
    example: '"blockhash"',
    run: (context, { blockhash }) => judge('invalidate', context, blockhash),
  }),

  method({
    name: 'preciousblock',
    category: 'blockchain',
    description: 'Treats a block as if it had come before all others with the same work.',
    params: { blockhash: blockHash('blockhash') },
    result: 'null',
    example: '"blockhash"',
    run: (context, { blockhash }) => judge('precious', context, blockhash),
  }),

  method({
    name: 'reconsiderblock',
    category: 'hidden',
    description: 'Forgets that a block, its ancestors and its descendants were invalid, and tries them again.',
    params: { blockhash: blockHash('blockhash') },
    result: 'null',
    example: '"blockhash"',
    run: (context, { blockhash }) => judge('reconsider', context, blockhash),
  }),
];
