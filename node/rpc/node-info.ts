/** Methods about what this node keeps and enforces, and about the RPC server itself. */
import type { BlockHash } from '../../consensus/brand.ts';
import { command, error, RpcCode, type RpcReply, result } from './answer.ts';
import type { JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { defaulted, hash, optional, text } from './params.ts';

/** Rules of Bitcoin that were added to it later; here all hold from the first block on. Core's form and heights of regtest. */
const BURIED: readonly (readonly [name: string, height: number])[] = [
  ['bip34', 1],
  ['bip66', 1],
  ['bip65', 1],
  ['csv', 1],
  ['segwit', 0],
];
const TAPROOT: JsonValue = {
  type: 'bip9',
  height: 0,
  active: true,
  bip9: {
    start_time: -1,
    timeout: 0x7fffffffffffffffn,
    min_activation_height: 0,
    status: 'active',
    since: 0,
    status_next: 'active',
  },
};

/** savemempool: where the pool was saved. */
export function saveMempoolAnswer(saved: boolean): RpcReply {
  if (!saved) return error(RpcCode.misc, 'The mempool was not loaded yet');
  return result({ filename: 'store' });
}

export const nodeInfoMethods: readonly RpcMethod[] = [
  method({
    name: 'getblockfilter',
    category: 'blockchain',
    description: 'The filter of a block (BIP 157). This node has no index of filters: the answer is always an error.',
    params: {
      blockhash: hash<BlockHash>('blockhash', 'The block'),
      filtertype: defaulted(text('The type of the filter'), 'basic'),
    },
    result: '{ "filter", "header" }    (object)',
    example: '"blockhash" "basic"',
    run: (_, { filtertype }) => {
      if (filtertype !== 'basic') return error(RpcCode.addressOrKey, 'Unknown filtertype');
      return error(RpcCode.misc, 'Index is not enabled for filtertype basic');
    },
  }),

  method({
    name: 'getdeploymentinfo',
    category: 'blockchain',
    description: 'Which of the rules that Bitcoin got later are enforced: all that there are here, from the start.',
    params: { blockhash: optional(hash<BlockHash>('blockhash', 'The block; the tip unless given')) },
    result: '{ "hash", "height", "deployments": { "name": { "type", "active", ... }, ... } }    (object)',
    example: '',
    run: ({ chain, tree }, { blockhash }) => {
      const node = blockhash === undefined ? chain.tip : tree.get(blockhash);
      if (node === undefined) return error(RpcCode.addressOrKey, 'Block not found');
      const buried = BURIED.map(([name, height]) => {
        return [name, { type: 'buried', active: node.height + 1 >= height, height }] as const;
      });
      return result({
        hash: node.hash,
        height: node.height,
        deployments: { ...Object.fromEntries(buried), taproot: TAPROOT },
      });
    },
  }),

  method({
    name: 'getindexinfo',
    category: 'util',
    description: 'The indexes that can be asked. That of transactions is always up to date.',
    params: { index_name: optional(text('Only this index')) },
    result: '{ "txindex": { "synced", "best_block_height" } }    (object)',
    example: 'txindex',
    run: ({ chain }, { index_name }) => {
      if (index_name !== undefined && index_name !== '' && index_name !== 'txindex') return result({});
      return result({ txindex: { synced: true, best_block_height: chain.tip.height } });
    },
  }),

  method({
    name: 'getmemoryinfo',
    category: 'control',
    description:
      'Memory that is locked so that secrets in it are not swapped to disk. A node here holds no secrets: there is none.',
    params: { mode: defaulted(text('"stats"; "mallocinfo" is not available'), 'stats') },
    result: '{ "locked": { "used", "free", "total", "locked", "chunks_used", "chunks_free" } }    (object)',
    example: '',
    run: (_, { mode }) => {
      if (mode === 'mallocinfo') return error(RpcCode.parameter, 'mallocinfo mode not available');
      if (mode !== 'stats') return error(RpcCode.parameter, `unknown mode ${mode}`);
      return result({ locked: { used: 0, free: 0, total: 0, locked: 0, chunks_used: 0, chunks_free: 0 } });
    },
  }),

  method({
    name: 'getrpcinfo',
    category: 'control',
    description: 'The calls that are not answered yet, and for how many microseconds they have been running.',
    params: {},
    result: '{ "active_commands": [ { "method", "duration" }, ... ], "logpath" }    (object); the log goes to no file',
    example: '',
    run: ({ activeCalls, now }) =>
      result({
        active_commands: activeCalls().map(({ method, since }) => {
          return { method, duration: Math.round((now.mono - since) * 1000) };
        }),
        logpath: '',
      }),
  }),

  method({
    name: 'savemempool',
    category: 'blockchain',
    description: 'Writes the mempool to the store of the node, as is done when it stops.',
    params: {},
    result: '{ "filename" }    (object), the part of the data directory that holds it',
    example: '',
    run: () => command({ type: 'save-mempool' }),
  }),
];
