/**
 * Reads the chain and its lost blocks from the nodes, for the figures of `status`. What was read is kept, so that each look
 * costs only what is new. Owns nothing else.
 */
import { bytesToHex, hexToBytes } from '#hash';
import { readBlock } from '../consensus/block.ts';
import { decode } from '../consensus/codec.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import type { MinedBlock } from './work-status.ts';

/** Older blocks are not counted: nobody waits longer for a look. */
export const CHAIN_BLOCKS = 1000;
/** Calls in one request. */
const BATCH = 100;

interface Tip {
  readonly height: number;
  readonly hash: string;
  readonly status: string;
}

interface Header {
  readonly height: number;
  readonly time: number;
  readonly previousblockhash?: string;
}

export interface WatchedChain {
  /** From low to high; the first is the premined tip, or the last that is looked at. */
  readonly chain: readonly MinedBlock[];
  /** Blocks above it that some node knows and that are not part of it. */
  readonly stale: number;
  readonly anchorTime: number;
}

export class ChainWatch {
  /** The height of the last premined block. */
  readonly #premined: number;
  #blocks = new Map<string, MinedBlock>();
  /** Of blocks that are not part of the chain. */
  #headers = new Map<string, Header>();

  constructor(premined: number) {
    this.#premined = premined;
  }

  /** The chain of the first node, and the lost blocks that any of them knows. Throws what a node answers with. */
  async read(nodes: readonly [RpcClient, ...RpcClient[]]): Promise<WatchedChain> {
    const [reference] = nodes;
    const height = (await reference.call('getblockcount')) as number;
    const lowest = Math.min(height, Math.max(this.#premined, height - CHAIN_BLOCKS));
    const hashes = await batched(
      reference,
      range(1, 1)
        .concat(range(lowest, height))
        .map((at) => ['getblockhash', [at]]),
    );
    const [anchorHash, ...active] = hashes as string[];
    const anchor = (await reference.call('getblockheader', [anchorHash])) as Header;
    await this.#fetch(
      reference,
      active.flatMap((hash, index) => (this.#blocks.has(hash) ? [] : [{ hash, height: lowest + index }])),
    );
    const chain = active.map((hash) => this.#blocks.get(hash) as MinedBlock);
    this.#blocks = new Map(chain.map((block) => [block.hash, block]));
    return { chain, stale: await this.#stale(nodes, new Set(active), lowest), anchorTime: anchor.time };
  }

  async #fetch(node: RpcClient, wanted: readonly { readonly hash: string; readonly height: number }[]): Promise<void> {
    const texts = (await batched(
      node,
      wanted.map(({ hash }) => ['getblock', [hash, 0]]),
    )) as string[];
    for (const [index, { hash, height }] of wanted.entries()) {
      const block = decode(hexToBytes(texts[index] as string), readBlock);
      if (!block.ok) throw new Error(`a node gave a block that cannot be read: ${block.error}`);
      const { header, transactions } = block.value;
      const script = bytesToHex(transactions[0]?.outputs[0]?.scriptPubKey ?? new Uint8Array());
      this.#blocks.set(hash, { hash, height, time: header.time, bits: header.bits, script });
    }
  }

  async #stale(nodes: readonly RpcClient[], active: ReadonlySet<string>, lowest: number): Promise<number> {
    const lost = new Set<string>();
    const kept = new Map<string, Header>();
    for (const node of nodes) {
      const tips = (await node.call('getchaintips')) as readonly Tip[];
      for (const tip of tips) {
        if (tip.status === 'invalid' || tip.height <= lowest) continue;
        let hash: string | undefined = tip.hash;
        while (hash !== undefined && !active.has(hash)) {
          const header: Header = this.#headers.get(hash) ?? ((await node.call('getblockheader', [hash])) as Header);
          if (header.height <= lowest || lost.has(hash)) break;
          kept.set(hash, header);
          // Above the first node's tip it is not lost: that node does not have it yet.
          if (header.height < lowest + active.size) lost.add(hash);
          hash = header.previousblockhash;
        }
      }
    }
    this.#headers = kept;
    return lost.size;
  }
}

async function batched(node: RpcClient, calls: readonly (readonly [string, readonly unknown[]])[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let at = 0; at < calls.length; at += BATCH) answers.push(...(await node.batch(calls.slice(at, at + BATCH))));
  return answers;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last + 1 - first) }, (_, step) => first + step);
}
