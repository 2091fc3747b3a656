/** The search for the first blocks where they cost work, begun once and told of on the way. Owns the threads. */
import { type Block, encodeHeader } from '../consensus/block.ts';
import type { Bytes } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { NonceSearch } from '../node/commands/nonce-search.ts';
import { premineHeight } from './premine.ts';
import { chooseDates, type DatePlan, premineWork, SEARCH_SECONDS } from './premine-work.ts';
import { hashText } from './work-status.ts';

/** A search that would take longer than this is not begun. */
const MOST_SECONDS = 900;
const PROGRESS_MS = 3000;
/** A network that is younger leaves little room for dates. */
const YOUNG_HALF_LIVES = 8;

export class WorkPremine {
  /** Rejects where the search would take too long, or is stopped. */
  readonly blocks: Promise<readonly Block[]>;
  readonly #search = new NonceSearch();
  #stopped = false;

  constructor(accounts: readonly Bytes[], faucet: Bytes, params: ChainParams, onNote: (text: string) => void) {
    this.blocks = this.#make([...accounts, faucet], premineHeight(accounts.length), params, onNote);
    // Whoever awaits it sees the error; one that is stopped before that must not end the supervisor.
    this.blocks.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#search.close();
  }

  async #make(
    scripts: readonly Bytes[],
    count: number,
    params: ChainParams,
    onNote: (text: string) => void,
  ): Promise<readonly Block[]> {
    try {
      const rate = await this.#search.measure(encodeHeader(params.genesis.header));
      const plan = chooseDates(params, count, unixNow(), rate * SEARCH_SECONDS);
      const seconds = plan.hashes / rate;
      if (seconds > MOST_SECONDS) throw tooHard(params, count, plan, seconds);
      const speed = `${hashText(plan.hashes)}, about ${Math.max(1, Math.round(seconds))} s`;
      onNote(`mining the first ${count} blocks of ${params.name}: ${speed}`);
      const age = unixNow() - params.genesis.header.time;
      if (seconds > 2 * SEARCH_SECONDS && age < YOUNG_HALF_LIVES * (params.retargeting?.halfLife ?? 0)) {
        onNote(
          `its genesis block is ${age} s old, so that no block can be dated back further; it goes faster when it is older`,
        );
      }
      let toldAt = performance.now();
      const blocks = await premineWork({
        times: plan.times,
        scripts,
        params,
        find: (headerOf, bits) => this.#search.find(headerOf, bits),
        onBlock: (height) => {
          if (performance.now() - toldAt < PROGRESS_MS) return;
          toldAt = performance.now();
          onNote(`  block ${height} of ${count}`);
        },
      });
      if (plan.owed > 0) {
        onNote(`the schedule owes ${plan.owed} blocks: they come fast at first, and slower as the difficulty follows`);
      }
      await this.#untilDated(blocks.at(-1)?.header.time ?? 0, params, onNote);
      return blocks;
    } finally {
      await this.#search.close();
    }
  }

  /** The first blocks of a chain that is some seconds old may be dated ahead, and no node takes them before their time. */
  async #untilDated(time: number, params: ChainParams, onNote: (text: string) => void): Promise<void> {
    const seconds = time - params.maxFutureSeconds - unixNow();
    if (seconds <= 0) return;
    onNote(
      `the network is too young for so many blocks: they are dated ${seconds} s ahead of what nodes take; waiting`,
    );
    for (let left = seconds; left > 0 && !this.#stopped; left--) await new Promise((wake) => setTimeout(wake, 1000));
  }
}

function tooHard(params: ChainParams, count: number, plan: DatePlan, seconds: number): CliError {
  const bits = (params.retargeting?.anchorBits ?? params.powLimitBits).toString(16).padStart(8, '0');
  const message = `the first ${count} blocks of ${params.name} cost ${hashText(plan.hashes)}, which takes this machine about ${Math.round(seconds / 60)} minutes`;
  const hint =
    `its anchorBits (${bits}) or powLimitBits are too hard for a devnet, or its genesis block is too young for the ` +
    'difficulty to have fallen; make an easier chain: grapevine chain new FILE --anchor-bits 1f00ffff';
  return new CliError(Exit.failed, 'premine-too-hard', message, hint);
}

function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}
