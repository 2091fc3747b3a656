/** Asks the nodes for what `status` says of the proof of work. */
import type { ChainParams } from '../consensus/params.ts';
import { CliError } from '../node/commands/cli.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { ChainWatch } from './chain-watch.ts';
import type { Miner } from './mining-shares.ts';
import type { Network } from './network.ts';
import type { RewardKey } from './rewards.ts';
import type { NodeStatus } from './status.ts';
import { type WorkStatus, workStatus } from './work-status.ts';

export class WorkWatch {
  readonly #params: ChainParams;
  readonly #miners: readonly Miner[];
  readonly #rewards: () => readonly RewardKey[];
  readonly #chain: ChainWatch;
  /** One look after the other: they share what was read. */
  #looking: Promise<unknown> = Promise.resolve();

  constructor(params: ChainParams, premined: number, miners: readonly Miner[], rewards: () => readonly RewardKey[]) {
    this.#params = params;
    this.#miners = miners;
    this.#rewards = rewards;
    this.#chain = new ChainWatch(premined);
  }

  /** As the highest node sees it, with what the others on its side know. Undefined where no node can be asked. */
  look(network: Network, nodes: readonly NodeStatus[]): Promise<WorkStatus | undefined> {
    const result = this.#looking.then(() => this.#look(network, nodes));
    this.#looking = result.catch(() => undefined);
    return result;
  }

  async #look(network: Network, nodes: readonly NodeStatus[]): Promise<WorkStatus | undefined> {
    const running = nodes.filter(({ state }) => state === 'running');
    const [first] = [...running].sort((a, b) => (b.height ?? 0) - (a.height ?? 0));
    if (first === undefined) return undefined;
    const side = network.answeringSides.find((names) => names.includes(first.name)) ?? [];
    const others = running.filter(({ name }) => name !== first.name && side.includes(name));
    try {
      const clients = others.map(({ name }) => network.member(name).rpc);
      const asked: readonly [RpcClient, ...RpcClient[]] = [network.member(first.name).rpc, ...clients];
      const { chain, stale, anchorTime } = await this.#chain.read(asked);
      const rewards = new Map(this.#rewards().map(({ script, node }) => [script, node]));
      return workStatus({
        params: this.#params,
        anchorTime,
        now: Math.floor(Date.now() / 1000),
        chain,
        stale,
        miners: this.#miners,
        nodeOf: (script) => rewards.get(script),
      });
    } catch (error) {
      // A node that has ended while it was asked, or left the branch that was read: the next look tells.
      if (error instanceof CliError) return undefined;
      throw error;
    }
  }
}
