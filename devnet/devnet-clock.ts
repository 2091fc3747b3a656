/**
 * Gives the nodes of a devnet the time that it is to show, again and again while it is moved: a node that is told a time
 * stands still there (`setmocktime`). Owns the setting, its file and the timer.
 */
import { CliError, Exit } from '../node/commands/cli.ts';
import {
  type ClockOrder,
  type ClockSetting,
  changeClock,
  describeClock,
  describeMoment,
  REAL_CLOCK,
  shownTime,
} from './clock-setting.ts';
import type { Member } from './member.ts';
import type { Network } from './network.ts';

/** A moved clock is given to the nodes so often: no second of it is left out. */
const TICK_MS = 500;
/** A block may be so far ahead of a node's clock. */
const MAX_FUTURE_SECONDS = 7200;

export interface ClockStatus {
  readonly mode: ClockSetting['kind'];
  /** Seconds since 1970 that the nodes' clocks show. */
  readonly unix: number;
  readonly time: string;
  /** Seconds ahead of the real clock. */
  readonly aheadSeconds: number;
  /** In words. */
  readonly text: string;
  /** What the setting makes impossible, for people. */
  readonly warning: string | null;
}

interface ChainInfo {
  readonly mediantime: number;
  readonly time: number;
}

export class DevnetClock {
  readonly #network: () => Network;
  readonly #store: (setting: ClockSetting) => void;
  #setting: ClockSetting = REAL_CLOCK;
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<unknown> = Promise.resolve();

  /** `store` keeps the setting for the next start. */
  constructor(network: () => Network, store: (setting: ClockSetting) => void) {
    this.#network = network;
    this.#store = store;
  }

  /** Begins with what was stored, before any node is started. */
  load(setting: ClockSetting): void {
    this.#setting = setting;
    this.#schedule();
  }

  get setting(): ClockSetting {
    return this.#setting;
  }

  /** Seconds since 1970. */
  now(): number {
    return shownTime(this.#setting, realTime());
  }

  /** In words, with what it shows now. */
  get text(): string {
    return `the clock ${describeClock(this.#setting)}: ${describeMoment(this.now())}`;
  }

  /** Carries out the order at every running node. Throws where no node could mine any more, and changes nothing then. */
  async change(order: ClockOrder): Promise<ClockStatus> {
    const changed = changeClock(this.#setting, order, realTime());
    const chains = await this.#chains();
    if (order.kind === 'show') return this.#status(chains);
    const shown = shownTime(changed, realTime());
    const behind = chains.find(({ mediantime }) => mediantime + 1 > shown + MAX_FUTURE_SECONDS);
    if (behind !== undefined) {
      throw new CliError(
        Exit.failed,
        'time-too-early',
        `at ${describeMoment(shown)} no node could mine: the chain's median time is ${describeMoment(behind.mediantime)}, more than two hours ahead`,
        `the earliest is ${describeMoment(behind.mediantime + 1 - MAX_FUTURE_SECONDS)}; or load a snapshot, or begin anew: grapevine devnet down --purge`,
      );
    }
    this.#setting = changed;
    this.#store(changed);
    await Promise.all(this.#answering().map((member) => this.#tell(member)));
    this.#schedule();
    return this.#status(chains);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #schedule(): void {
    this.stop();
    if (this.#setting.kind !== 'moved') return;
    this.#timer = setInterval(() => {
      this.#ticking = this.#ticking.then(() =>
        // A node that does not answer is told when it does; `status` shows that it does not.
        Promise.all(this.#answering().map((member) => ignoringRefusal(this.#tell(member)))),
      );
    }, TICK_MS);
  }

  #answering(): readonly Member[] {
    return this.#network().members.filter((member) => member.answers);
  }

  async #tell(member: Member): Promise<void> {
    const time = this.#setting.kind === 'real' ? 0 : this.now();
    await member.rpc.call('setmocktime', [time]);
  }

  async #chains(): Promise<ChainInfo[]> {
    const answers = this.#answering().map((member) => member.rpc.call('getblockchaininfo'));
    return (await Promise.all(answers)) as ChainInfo[];
  }

  #status(chains: readonly ChainInfo[]): ClockStatus {
    const unix = this.now();
    const newest = Math.max(0, ...chains.map(({ time }) => time));
    const isAhead = newest > unix + MAX_FUTURE_SECONDS;
    return {
      mode: this.#setting.kind,
      unix,
      time: describeMoment(unix),
      aheadSeconds: unix - realTime(),
      text: this.text,
      warning: isAhead
        ? `the newest block is of ${describeMoment(newest)}: a node that does not have it yet will not take it before its clock is two hours from there`
        : null,
    };
  }
}

/** For what may fail because a node or a link has just ended. */
async function ignoringRefusal(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
  }
}

function realTime(): number {
  return Math.floor(Date.now() / 1000);
}
