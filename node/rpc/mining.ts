/** Methods that make blocks or take them. */

import { bech32 } from '@scure/base';
import { decodeAddress, encodeAddress, OUTPUT_KEY_AT } from '../../consensus/address.ts';
import type { Block } from '../../consensus/block.ts';
import { type Bytes, fail, ok, type Result, type Txid } from '../../consensus/brand.ts';
import { findCommitment } from '../../consensus/merkle.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { hasWitness, isCoinbase, makeTransaction, type Transaction } from '../../consensus/transaction.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import { command, error, type RpcAnswer, RpcCode, type RpcError, result } from './answer.ts';
import { difficultyOf } from './block-json.ts';
import type { RpcContext } from './context.ts';
import { decodeHexBlock, decodeHexHeader, decodeHexTransaction } from './decode-hex.ts';
import { expandDescriptor, isRanged, parseDescriptor } from './descriptor.ts';
import { method, type RpcMethod } from './method.ts';
import { bool, defaulted, ignored, int, optional, text, texts } from './params.ts';

/** Hashes that generatetoaddress and generateblock try at most, unless they are told. */
const DEFAULT_MAX_TRIES = 1_000_000;
/** Blocks over which getnetworkhashps measures, unless it is told. */
const HASHRATE_BLOCKS = 120;
/** Blocks between two changes of the difficulty in Bitcoin on regtest. */
const DIFFICULTY_PERIOD = 144;

/** Hashes per second over the blocks up to `end`. */
function hashesPerSecond(end: HeaderNode, blocks: number): number {
  let first = end;
  let earliest = end.header.time;
  let latest = earliest;
  for (let i = 0; i < blocks && first.parent !== null; i++) {
    first = first.parent;
    earliest = Math.min(earliest, first.header.time);
    latest = Math.max(latest, first.header.time);
  }
  return earliest === latest ? 0 : Number(end.chainwork - first.chainwork) / (latest - earliest);
}

/** What generateblock was told to mine: ids of the mempool, or serialized transactions. */
function readTransactions({ pool }: RpcContext, given: readonly string[]): Result<readonly Transaction[], RpcError> {
  const txs: Transaction[] = [];
  for (const item of given) {
    if (/^[0-9a-fA-F]{64}$/.test(item)) {
      const entry = pool.get(item.toLowerCase() as Txid);
      if (entry === undefined) return fail(error(RpcCode.addressOrKey, `Transaction ${item} not in mempool.`));
      txs.push(entry.tx);
      continue;
    }
    const tx = decodeHexTransaction(item);
    if (tx === undefined) {
      const message = `Transaction decode failed for ${item}. Make sure the tx has at least one input.`;
      return fail(error(RpcCode.deserialization, message));
    }
    txs.push(tx);
  }
  return ok(txs);
}

/** The only script of a descriptor. */
function scriptOf(descriptor: string, params: ChainParams): Result<Bytes, RpcError> {
  const parsed = parseDescriptor(descriptor, params);
  if (!parsed.ok) return fail(error(RpcCode.addressOrKey, parsed.error));
  if (isRanged(parsed.value)) {
    const message = 'Ranged descriptor not accepted. Maybe pass through deriveaddresses first?';
    return fail(error(RpcCode.parameter, message));
  }
  const expanded = expandDescriptor(parsed.value, [0, 0]);
  if (!expanded.ok) return fail(error(RpcCode.addressOrKey, expanded.error));
  const [only] = expanded.value;
  if (only === undefined) throw new Error('a descriptor that is not ranged has one script');
  return ok(only.script);
}

/** What generatetoaddress and generatetodescriptor have in common. */
function generate(count: number, script: Bytes, maxtries: number): RpcAnswer {
  if (count <= 0) return result([]);
  // A negative number is a very large one in Core.
  const maxTries = maxtries < 0 ? Number.MAX_SAFE_INTEGER : maxtries;
  return command({ type: 'generate', count, script, maxTries });
}

/**
 * Miners that build their own coinbase (BIP 22) submit it without the witness that a commitment needs: it is added,
 * 32 zero bytes, as Core does.
 */
function completeCoinbase(block: Block): Block {
  const [coinbase, ...payments] = block.transactions;
  if (coinbase === undefined || findCommitment(coinbase) === -1 || hasWitness(coinbase)) return block;
  const inputs = coinbase.inputs.map((input) => ({ ...input, witness: [new Uint8Array(32)] }));
  return { header: block.header, transactions: [makeTransaction({ ...coinbase, inputs }), ...payments] };
}

export const miningMethods: readonly RpcMethod[] = [
  method({
    name: 'generateblock',
    category: 'hidden',
    description: 'Mines one block of exactly these transactions.',
    params: {
      output: text('The address that the block pays, or a descriptor of one script'),
      transactions: texts('rawtx/txid', 'Ids of mempool transactions or serialized transactions, in valid order'),
      submit: defaulted(bool('Add the block to the chain, or return it'), true),
    },
    result: '{ "hash", "hex" }    (object), "hex" with submit=false',
    example: '"address" \'["txid"]\'',
    run: (context, { output, transactions, submit }) => {
      const described = scriptOf(output, context.params);
      if (!described.ok && described.error.code === RpcCode.parameter) return described.error;
      const script = described.ok ? described : decodeAddress(output, context.params);
      if (!script.ok) return error(RpcCode.addressOrKey, 'Error: Invalid address or descriptor');
      const txs = readTransactions(context, transactions);
      if (!txs.ok) return txs.error;
      const maxTries = DEFAULT_MAX_TRIES;
      return command({ type: 'generate-block', script: script.value, txs: txs.value, maxTries, submit });
    },
  }),

  method({
    name: 'generatetoaddress',
    category: 'hidden',
    description: 'Mines blocks of what is in the mempool and adds them to the chain.',
    params: {
      nblocks: int('How many'),
      address: text('The address that the blocks pay'),
      maxtries: defaulted(int('How many hashes to try for all of them together'), DEFAULT_MAX_TRIES),
    },
    result: '[ "hash", ... ]    (array), fewer than asked for when the tries are used up',
    example: '1 "address"',
    run: ({ params }, { nblocks, address, maxtries }) => {
      const script = decodeAddress(address, params);
      if (!script.ok) return error(RpcCode.addressOrKey, 'Error: Invalid address');
      return generate(nblocks, script.value, maxtries);
    },
  }),

  method({
    name: 'generatetodescriptor',
    category: 'hidden',
    description: 'Mines blocks as generatetoaddress does, to the script of a descriptor.',
    params: {
      num_blocks: int('How many'),
      descriptor: text('The descriptor that the blocks pay: tr(), rawtr() or addr(), of one script'),
      maxtries: defaulted(int('How many hashes to try for all of them together'), DEFAULT_MAX_TRIES),
    },
    result: '[ "hash", ... ]    (array), fewer than asked for when the tries are used up',
    example: '1 "rawtr(4d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766)"',
    run: ({ params }, { num_blocks, descriptor, maxtries }) => {
      const script = scriptOf(descriptor, params);
      return script.ok ? generate(num_blocks, script.value, maxtries) : script.error;
    },
  }),

  method({
    name: 'getmineraddress',
    category: 'hidden',
    description:
      'An address in the spelling that CPU miners of before bech32m understand ("minerd --coinbase-addr"): the same key\n' +
      'under the old checksum. It is for their command line only, and no wallet pays to it.',
    params: { address: text('The address that the blocks shall pay') },
    result: '{ "address", "cpuminer" }    (object)',
    example: '"address"',
    run: ({ params }, { address }) => {
      const script = decodeAddress(address, params);
      if (!script.ok) return error(RpcCode.addressOrKey, 'Error: Invalid address');
      const words = [1, ...bech32.toWords(script.value.subarray(OUTPUT_KEY_AT))];
      return result({ address: address.toLowerCase(), cpuminer: bech32.encode(params.hrp, words) });
    },
  }),

  method({
    name: 'getnewaddress',
    category: 'hidden',
    description:
      'The address that setminingaddress or "node --mine" has set, always the same one, so that "bitcoin-cli -generate"\n' +
      'has one to mine to. The node has no wallet.',
    params: {
      label: optional(ignored('Ignored')),
      address_type: optional(ignored('Ignored')),
    },
    result: '"address"    (string)',
    example: '',
    run: ({ miningScript, params }) => {
      if (miningScript === undefined) {
        const message =
          'This node has no wallet. To mine with "bitcoin-cli -generate", say first where to: setminingaddress "address"';
        return error(RpcCode.walletNotFound, message);
      }
      return result(encodeAddress(miningScript.subarray(OUTPUT_KEY_AT), params.hrp));
    },
  }),

  method({
    name: 'setminingaddress',
    category: 'hidden',
    description:
      'Sets the address to which miners mine that name none: "bitcoin-cli -generate", and those that ask getblocktemplate\n' +
      'for a finished coinbase ("coinbasetxn"). It is kept until the node stops.',
    params: { address: text('The address; empty for none') },
    result: 'null',
    example: '"address"',
    run: ({ params }, { address }) => {
      if (address === '') return command({ type: 'set-mining-script', script: undefined });
      const script = decodeAddress(address, params);
      if (!script.ok) return error(RpcCode.addressOrKey, 'Error: Invalid address');
      return command({ type: 'set-mining-script', script: script.value });
    },
  }),

  method({
    name: 'getmininginfo',
    category: 'mining',
    description: 'What a miner wants to know.',
    params: {},
    result: '{ "blocks", "difficulty", "networkhashps", "pooledtx", "chain", "warnings" }    (object)',
    example: '',
    run: ({ chain, pool, params }) =>
      result({
        blocks: chain.tip.height,
        difficulty: difficultyOf(chain.tip.header.bits),
        networkhashps: hashesPerSecond(chain.tip, HASHRATE_BLOCKS),
        pooledtx: pool.size,
        chain: params.name,
        warnings: [],
      }),
  }),

  method({
    name: 'getnetworkhashps',
    category: 'mining',
    description: 'How many hashes per second it took to mine the last blocks.',
    params: {
      nblocks: defaulted(int('Blocks to measure over; -1 for those since the last change of difficulty'), 120),
      height: defaulted(int('Measure up to this height instead of the tip'), -1),
    },
    result: 'n    (numeric)',
    example: '10',
    run: ({ chain, tree }, { nblocks, height }) => {
      if (nblocks < -1 || nblocks === 0) {
        return error(RpcCode.parameter, 'Invalid nblocks. Must be a positive number or -1.');
      }
      if (height < -1 || height > chain.tip.height) {
        return error(RpcCode.parameter, 'Block does not exist at specified height');
      }
      const end = height < 0 ? chain.tip : tree.ancestor(chain.tip, height);
      return result(hashesPerSecond(end, nblocks === -1 ? (end.height % DIFFICULTY_PERIOD) + 1 : nblocks));
    },
  }),

  method({
    name: 'submitblock',
    category: 'mining',
    description: 'Adds a block to the chain, and relays it if it becomes the tip.',
    params: {
      hexdata: text('The serialized block, hex'),
      dummy: optional(ignored('Ignored, for BIP 22')),
    },
    result: 'null    if the block was accepted\n"reason"    (string) otherwise: a word of BIP 22 or a reject reason',
    example: '"hexdata"',
    run: ({ tree }, { hexdata }) => {
      const block = decodeHexBlock(hexdata);
      if (block === undefined) return error(RpcCode.deserialization, 'Block decode failed');
      const [coinbase] = block.transactions;
      if (coinbase === undefined || !isCoinbase(coinbase)) {
        return error(RpcCode.deserialization, 'Block does not start with a coinbase');
      }
      const known = tree.get(block.header.hash);
      if (known !== undefined && known.invalid !== false) return result('duplicate-invalid');
      if (known?.status === 'valid') return result('duplicate');
      const complete = tree.get(block.header.prevHash) === undefined ? block : completeCoinbase(block);
      return command({ type: 'submit-block', block: complete });
    },
  }),

  method({
    name: 'submitheader',
    category: 'mining',
    description: 'Takes a block header, as if a peer had sent it. Its parent must be known.',
    params: { hexdata: text('The serialized header, hex') },
    result: 'null',
    example: '"hexdata"',
    run: ({ tree }, { hexdata }) => {
      const header = decodeHexHeader(hexdata);
      if (header === undefined) return error(RpcCode.deserialization, 'Block header decode failed');
      if (tree.get(header.prevHash) === undefined) {
        return error(RpcCode.verify, `Must submit previous header (${header.prevHash}) first`);
      }
      return command({ type: 'submit-header', header });
    },
  }),
];
