/** A real node in place of the devnet's fake one, anew for each test, and what tests of payments do with it. */
import { afterEach, beforeEach } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { devnetFilePath } from '../../wallet/devnet-file.ts';
import { json, type Playground } from './playground.ts';
import { type NodeImage, RealNode } from './real-node.ts';

/** A key that nobody has: blocks that only make others mature pay to it. */
export const NOBODY = encodeAddress(new Uint8Array(32).fill(7), regtest.hrp);

export interface ShownTransaction {
  readonly vin: readonly { readonly txid: string; readonly vout: number }[];
  readonly vout: readonly {
    readonly value: number;
    readonly n: number;
    readonly scriptPubKey: { readonly hex: string };
  }[];
  readonly confirmations?: number;
}

export class RealDevnet {
  readonly #play: Playground;
  #node: RealNode | undefined;
  /** What funding an address on a chain without blocks led to: mining that takes long, and it is the same for all tests. */
  readonly #funded = new Map<string, NodeImage>();

  /** Call it at the top of a test file, after the playground was made. */
  constructor(play: Playground) {
    this.#play = play;
    beforeEach(() => this.#start());
    afterEach(() => this.#node?.stop());
  }

  get node(): RealNode {
    if (this.#node === undefined) throw new Error('there is a node within tests only');
    return this.#node;
  }

  addressOf(account: string): string {
    const { accounts, faucet } = this.#play.devnet.file;
    return [...accounts, faucet].find(({ name }) => name === account)?.address as string;
  }

  /** Gives an account so many mature coins of 50 btc. */
  async fund(account: string, coins: number): Promise<void> {
    await this.fundAddress(this.addressOf(account), coins);
  }

  async fundAddress(address: string, coins: number): Promise<void> {
    const isFirst = (await this.node.call('getblockcount')) === 0;
    const image = isFirst ? this.#funded.get(`${address} ${coins}`) : undefined;
    if (image !== undefined) {
      await this.node.stop();
      return this.#start(image);
    }
    await this.node.mine(coins, address);
    await this.node.mine(100, NOBODY);
    if (isFirst) this.#funded.set(`${address} ${coins}`, this.node.image());
  }

  async #start(image?: NodeImage): Promise<void> {
    this.#node = await RealNode.start(image);
    this.#node.joinDevnet(devnetFilePath(this.#play.devnet.datadir, 'default'));
  }

  /** `wallet send … --json` that must succeed. */
  async send(...args: string[]): Promise<Record<string, unknown>> {
    const run = await this.#play.run('send', ...args, '--json');
    if (run.exit !== 0) throw new Error(run.stderr);
    return json(run);
  }

  pool(): Promise<string[]> {
    return this.node.call<string[]>('getrawmempool');
  }

  show(txid: unknown): Promise<ShownTransaction> {
    return this.node.call<ShownTransaction>('getrawtransaction', txid, 1);
  }
}
