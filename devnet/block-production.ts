/**
 * When the nodes of a devnet mine, and whose turn it is. Owns the only timer of mining; the block itself is made by a node.
 */
import type { Miners } from './miners.ts';
import { describeMiners } from './mining-shares.ts';
import type { MiningPlan } from './options.ts';

/** With `--on-tx`: how long payments are gathered before the block, so that a burst of them ends in one. */
const GATHER_MS = 50;

export interface Mines {
  /** The running nodes of each side of the partition; one side without a partition. */
  readonly sides: () => readonly (readonly string[])[];
  /** Makes that node mine one block. Its errors are its own to report. */
  readonly mine: (node: string) => Promise<void>;
}

/**
 * Whose turn it is: sides take turns, and within a side its nodes do. Undefined while no node runs.
 */
export function minerOfTurn(turn: number, sides: readonly (readonly string[])[]): string | undefined {
  const inhabited = sides.filter((side) => side.length > 0);
  const side = inhabited[turn % inhabited.length];
  return side?.[Math.floor(turn / inhabited.length) % side.length];
}

export class BlockProduction {
  readonly #plan: MiningPlan;
  readonly #mines: Mines;
  readonly #miners: Pick<Miners, 'begin' | 'pause' | 'end'> | undefined;
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;
  /** The rounds so far, the last of which may be under way. */
  #work: Promise<void> = Promise.resolve();
  /** With `--on-tx`: the node that has a payment which no block holds yet. */
  #wanted: string | undefined;

  /** `miners`: where blocks cost work, and the nodes search for them by themselves. */
  constructor(plan: MiningPlan, mines: Mines, miners?: Pick<Miners, 'begin' | 'pause' | 'end'>) {
    this.#plan = plan;
    this.#mines = mines;
    this.#miners = miners;
  }

  start(): void {
    this.#stopped = false;
    if (this.#plan.kind === 'interval') this.#wait(this.#plan.intervalMs);
    // How each of them does is told by its status.
    void this.#miners?.begin();
  }

  /** No more blocks. One that is under way is not waited for: it ends with its node. */
  stop(): void {
    this.#stopped = true;
    this.#miners?.end();
    clearTimeout(this.#timer);
  }

  /** A payment has come to that node. It mines itself, because the others may not have the payment yet. */
  onTransaction(node: string): void {
    if (this.#plan.kind !== 'on-tx' || this.#stopped) return;
    const waiting = this.#wanted !== undefined;
    this.#wanted = node;
    if (!waiting) this.#wait(GATHER_MS);
  }

  /** Runs `work` while no block is mined here; one that falls due meanwhile comes after it. */
  pausedFor<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(() => this.#withoutMiners(work));
    // The next round does not care how this ended; its caller does.
    this.#work = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #withoutMiners<T>(work: () => Promise<T>): Promise<T> {
    if (this.#miners === undefined || this.#stopped) return work();
    await this.#miners.pause();
    try {
      return await work();
    } finally {
      if (!this.#stopped) await this.#miners.begin();
    }
  }

  #wait(delayMs: number): void {
    this.#timer = setTimeout(() => {
      // One after the other: two nodes that mine at once make a fork, and one of the blocks is wasted.
      this.#work = this.#work.then(() => this.#round());
    }, delayMs);
  }

  async #round(): Promise<void> {
    if (this.#stopped) return;
    const plan = this.#plan;
    const started = performance.now();
    const node = this.#wanted ?? minerOfTurn(this.#turn++, this.#mines.sides());
    this.#wanted = undefined;
    if (node !== undefined) await this.#mines.mine(node);
    if (this.#stopped || plan.kind !== 'interval') return;
    // The pace is kept from block to block; a machine that cannot keep up mines as fast as it can.
    this.#wait(Math.max(0, plan.intervalMs - (performance.now() - started)));
  }
}

/** `a block every 5s`, for people. */
export function describeMining(plan: MiningPlan): string {
  switch (plan.kind) {
    case 'interval':
      return `a block every ${plan.intervalMs % 1000 === 0 ? `${plan.intervalMs / 1000}s` : `${plan.intervalMs}ms`}`;
    case 'on-tx':
      return 'a block for every payment';
    case 'work':
      return describeMiners(plan.miners);
    case 'off':
      return 'no blocks but those of `grapevine mine`';
  }
}
