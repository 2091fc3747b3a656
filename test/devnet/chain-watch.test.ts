import { describe, expect, test } from '@jest/globals';
import { bytesToHex, sha256 } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import { type Block, encodeBlock } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { ChainWatch } from '../../devnet/chain-watch.ts';
import { premine } from '../../devnet/premine.ts';
import type { RpcClient } from '../../wallet/rpc-client.ts';

const PREMINED = 100;
/** Three chains of 110 blocks, which differ from the first block on. */
const [main, second, third] = ['a', 'b', 'c'].map((name) =>
  premine([], p2trScript(sha256(new TextEncoder().encode(name))), regtest),
) as [Block[], Block[], Block[]];

interface Tip {
  readonly chain: readonly Block[];
  readonly height: number;
  readonly status: string;
}

/** A node with so many blocks of `main`, and other ends of branches; counts the blocks that are asked for. */
class FakeNode {
  blocks = 0;
  readonly #height: number;
  readonly #tips: readonly Tip[];

  constructor(height: number, tips: readonly Tip[] = []) {
    this.#height = height;
    this.#tips = tips;
  }

  get client(): RpcClient {
    const call = async (method: string, params: readonly unknown[] = []) => this.#answer(method, params);
    const batch = (calls: readonly (readonly [string, readonly unknown[]])[]) =>
      Promise.all(calls.map(([method, params]) => call(method, params)));
    return { call, batch } as unknown as RpcClient;
  }

  #answer(method: string, [first]: readonly unknown[]): unknown {
    const all = [main, second, third].flatMap((chain) => chain.map((block, index) => ({ block, height: index + 1 })));
    const found = all.find(({ block }) => block.header.hash === first);
    switch (method) {
      case 'getblockcount':
        return this.#height;
      case 'getblockhash':
        return main[(first as number) - 1]!.header.hash;
      case 'getblock':
        this.blocks += 1;
        return bytesToHex(encodeBlock(found!.block));
      case 'getblockheader': {
        const { time, prevHash } = found!.block.header;
        return { height: found!.height, time, previousblockhash: prevHash };
      }
      default: {
        const active = { chain: main, height: this.#height, status: 'active' };
        return [active, ...this.#tips].map(({ chain, height, status }) => {
          return { height, hash: chain[height - 1]!.header.hash, status };
        });
      }
    }
  }
}

describe('the chain as `status` looks at it', () => {
  test('is read from the premined tip on, and only what is new at the next look', async () => {
    const watch = new ChainWatch(PREMINED);
    const node = new FakeNode(105);
    const { chain, stale, anchorTime } = await watch.read([node.client]);
    expect(chain.map(({ height }) => height)).toEqual([100, 101, 102, 103, 104, 105]);
    expect(chain.at(-1)).toMatchObject({
      hash: main[104]!.header.hash,
      time: main[104]!.header.time,
      script: bytesToHex(main[104]!.transactions[0]!.outputs[0]!.scriptPubKey),
    });
    expect({ stale, anchorTime }).toEqual({ stale: 0, anchorTime: main[0]!.header.time });
    const later = new FakeNode(107);
    expect((await watch.read([later.client])).chain).toHaveLength(8);
    expect([node.blocks, later.blocks]).toEqual([6, 2]);
  });

  test('has each lost block once, whoever knows it, and none that is premined, invalid or still on its way', async () => {
    const watch = new ChainWatch(PREMINED);
    const first = new FakeNode(105, [
      { chain: second, height: 102, status: 'valid-fork' },
      { chain: third, height: 104, status: 'invalid' },
      { chain: third, height: 99, status: 'headers-only' },
    ]);
    const others = [
      new FakeNode(104, [{ chain: second, height: 103, status: 'valid-headers' }]),
      // One block ahead of the first node.
      new FakeNode(106),
    ];
    const clients = others.map(({ client }) => client);
    for (let look = 0; look < 2; look++) expect((await watch.read([first.client, ...clients])).stale).toBe(3);
  });

  test('is that of a node which has only the first block', async () => {
    expect((await new ChainWatch(PREMINED).read([new FakeNode(1).client])).chain).toHaveLength(1);
  });
});
