/**
 * Lets the nodes of a devnet mine where blocks cost work: each by itself, with its share of the machine, to an address of its
 * own. Owns who mines at this moment. A node that is started again mines when it has caught up with its side, in a partition
 * every side goes on for itself, and nothing is mined while a reorg or a snapshot is made.
 */
import { CliError } from '../node/commands/cli.ts';
import type { Member } from './member.ts';
import type { Miner } from './mining-shares.ts';
import type { Network } from './network.ts';

/** A node that has not caught up within this time mines anyway: perhaps it has nobody to catch up with. */
const CATCH_UP_MS = 10_000;

export interface MinersPlace {
  readonly miners: readonly Miner[];
  network(): Network;
  /** Where the rewards of that node go. */
  address(node: string): string;
}

export class Miners {
  readonly #place: MinersPlace;
  #active = false;

  constructor(place: MinersPlace) {
    this.#place = place;
  }

  /** From now on, also for nodes that are started later. */
  async begin(): Promise<void> {
    this.#active = true;
    await Promise.all(this.#answering().map((member) => this.#tell(member)));
  }

  /** Resolves when nobody mines any more. */
  async pause(): Promise<void> {
    this.#active = false;
    await Promise.all(this.#answering().map((member) => this.#tell(member)));
  }

  /** The devnet ends, and its nodes with it: they are told nothing more. */
  end(): void {
    this.#active = false;
  }

  /** A node answers for the first time since its start. */
  async onStart(member: Member): Promise<void> {
    if (!this.#active || !this.#isMiner(member.name)) return;
    const network = this.#place.network();
    const hasCaughtUp = async () => {
      if (!this.#active || !member.answers) return true;
      const side = network.answeringSides.find((names) => names.includes(member.name)) ?? [];
      const statuses = await Promise.all(side.map((name) => network.member(name).status()));
      const heights = statuses.map(({ height }) => height ?? 0);
      return heights[side.indexOf(member.name)] === Math.max(...heights);
    };
    try {
      await network.waitUntil(hasCaughtUp, CATCH_UP_MS);
    } catch (error) {
      // The devnet was stopped meanwhile.
      if (!(error instanceof CliError)) throw error;
    }
    if (this.#active && member.answers) await this.#tell(member);
  }

  #answering(): Member[] {
    return this.#place.network().members.filter((member) => member.answers && this.#isMiner(member.name));
  }

  #isMiner(name: string): boolean {
    return this.#place.miners.some(({ node }) => node === name);
  }

  async #tell(member: Member): Promise<void> {
    try {
      await member.rpc.call('setmining', [this.#active ? this.#place.address(member.name) : '']);
    } catch (error) {
      // It has just ended; when it is started again it is told anew.
      if (!(error instanceof CliError)) throw error;
    }
  }
}
