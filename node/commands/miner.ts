/**
 * `grapevine mine` as a miner of its own: carries out the steps of mining/template-miner.ts with calls to a node and with
 * threads, and shows what comes of it. Every call has a connection of its own and reads the cookie anew: a node that was
 * started again has another one.
 */
import { randomBytes } from 'node:crypto';
import type { Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { findTarget } from '../../wallet/connect.ts';
import { NodeRefusal, type RpcCall, RpcClient } from '../../wallet/rpc-client.ts';
import type { Millis } from '../boundary.ts';
import type { PacePlan } from '../mining/pace.ts';
import {
  type Failure,
  type MinerEvent,
  type MinerStep,
  type MinerTotals,
  type QuestionId,
  TemplateMiner,
} from '../mining/template-miner.ts';
import { MINER_ID_SIZE, readWorkTemplate } from '../mining/work.ts';
import { CliError, Exit, type GlobalOptions } from './cli.ts';
import { MinerDisplay } from './miner-display.ts';
import { MiningThreads } from './mining-threads.ts';
import { stopSignal } from './stop-signal.ts';

/** Hashes per second that a thread is taken to make until they are measured. */
const EXPECTED_RATE = 4_000_000;
/** A node that takes longer for a template or a block hangs. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A long poll is asked again after this. */
const POLL_TIMEOUT_MS = 120_000;
/** getblocktemplate without a peer, in initial sync, or while the node still starts. */
const NOT_READY = [-9, -10, -28];
const RULES = ['segwit'];

export interface MinerOrder {
  /** Blocks wanted; Infinity for no end. */
  readonly count: number;
  readonly pace: PacePlan;
  readonly threads: number;
  /** Of one processor, for each thread: above 0, at most 1. */
  readonly share: number;
  readonly params: ChainParams;
  /** The node, for `--node` and for messages. */
  readonly node: string;
  /** Who is paid: the script, and what people call it. */
  readonly script: Bytes;
  readonly payee: string;
  readonly address: string;
}

/** Mines until the blocks are found or the user has enough. Throws CliError where the node refuses what we do. */
export async function runMiner(options: GlobalOptions, order: MinerOrder): Promise<void> {
  const display = new MinerDisplay(options, order);
  const run = new MinerRun({ ...options, node: order.node }, order, display);
  const stop = stopSignal(false);
  void stop.requested.then(() => run.stop());
  try {
    await run.run();
  } finally {
    stop.release();
    await run.close();
    display.end(run.totals, performance.now());
  }
}

class MinerRun {
  readonly #options: GlobalOptions;
  readonly #params: ChainParams;
  readonly #display: MinerDisplay;
  readonly #miner: TemplateMiner;
  readonly #threads: MiningThreads;
  /** One for each question without an answer. */
  readonly #clients = new Map<QuestionId, RpcClient>();
  #timer: NodeJS.Timeout | undefined;
  #settle: { done(): void; fail(error: unknown): void } = { done: () => undefined, fail: () => undefined };

  constructor(options: GlobalOptions, order: MinerOrder, display: MinerDisplay) {
    const { threads, share, params } = order;
    this.#options = options;
    this.#params = params;
    this.#display = display;
    this.#miner = new TemplateMiner(
      {
        count: order.count,
        pace: order.pace,
        script: order.script,
        minerId: randomBytes(MINER_ID_SIZE),
        maxFutureSeconds: params.maxFutureSeconds,
        expectedRate: EXPECTED_RATE * threads * share,
      },
      performance.now(),
    );
    this.#threads = new MiningThreads({
      threads,
      share,
      onFound: (work, solution) => this.#perform(this.#miner.onFound(work, solution, performance.now())),
      onHashes: (hashes) => this.#miner.onHashes(hashes, performance.now()),
      onFailure: (error) => this.#settle.fail(error),
    });
  }

  get totals(): MinerTotals {
    return this.#miner.totals;
  }

  run(): Promise<void> {
    return new Promise((done, fail) => {
      this.#settle = { done, fail };
      this.#display.begin(() => this.#miner);
      this.#perform(this.#miner.tick(performance.now()));
    });
  }

  stop(): void {
    this.#perform(this.#miner.stop(performance.now()));
  }

  /** Leaves nothing behind: no thread, no timer, no open call. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
    await this.#threads.close();
  }

  #perform(steps: readonly MinerStep[]): void {
    for (const step of steps) {
      switch (step.type) {
        case 'ask-template':
          this.#askTemplate(step.id, step.longPollId);
          break;
        case 'ask-pool':
          this.#ask(step.id, [['getmempoolinfo', []]], ANSWER_TIMEOUT_MS, ([info], now) =>
            this.#miner.onPool(step.id, Number((info as { size?: unknown } | null)?.size ?? 0), now),
          );
          break;
        case 'submit':
          this.#ask(step.id, [['submitblock', [step.hex]]], ANSWER_TIMEOUT_MS, ([reason], now) =>
            this.#miner.onSubmitted(step.id, reason === null ? null : String(reason), now),
          );
          break;
        case 'forget':
          this.#release(step.id);
          break;
        case 'search':
          this.#threads.search(step.work, step.restart);
          break;
        case 'rest':
          this.#threads.rest();
          break;
        case 'event':
          this.#display.onEvent(step.event satisfies MinerEvent, performance.now());
          break;
        case 'end':
          if (step.refused === undefined) this.#settle.done();
          else this.#settle.fail(new CliError(Exit.refused, step.refused.code, step.refused.message));
          break;
      }
    }
    this.#wait();
  }

  /** One timer, for the earliest deadline. */
  #wait(): void {
    clearTimeout(this.#timer);
    const at = this.#miner.nextDeadline();
    if (at === undefined) return;
    const delay = Math.max(0, at - performance.now());
    // Timers count in whole milliseconds, and may come a little early.
    this.#timer = setTimeout(() => this.#perform(this.#miner.tick(performance.now())), Math.ceil(delay));
  }

  #askTemplate(id: QuestionId, longPollId: string | undefined): void {
    const template: RpcCall = ['getblocktemplate', [{ rules: RULES, ...(longPollId && { longpollid: longPollId }) }]];
    // Behind the same address another node may have been started.
    const calls: RpcCall[] = longPollId === undefined ? [['getblockchaininfo', []], template] : [template];
    const timeoutMs = longPollId === undefined ? ANSWER_TIMEOUT_MS : POLL_TIMEOUT_MS;
    this.#ask(id, calls, timeoutMs, (answers, now) => {
      if (longPollId === undefined) this.#checkNetwork(answers[0]);
      const read = readWorkTemplate(answers.at(-1));
      if (!read.ok) throw new CliError(Exit.unreachable, 'not-a-node', `what answers is no node: ${read.error}`);
      return this.#miner.onTemplate(id, read.value, now);
    });
  }

  #checkNetwork(info: unknown): void {
    const chain = (info as { chain?: unknown } | null)?.chain;
    if (chain === this.#params.name) return;
    throw new CliError(
      Exit.unreachable,
      'wrong-network',
      `the node is on the network "${String(chain)}" now, and not on "${this.#params.name}" any more`,
      'name another node with --node',
    );
  }

  #ask(
    id: QuestionId,
    calls: readonly RpcCall[],
    timeoutMs: Millis,
    take: (answers: readonly unknown[], now: Millis) => readonly MinerStep[],
  ): void {
    const call = async (): Promise<unknown[]> => {
      const client = new RpcClient(findTarget(this.#options, this.#params.name), timeoutMs);
      this.#clients.set(id, client);
      const [only, ...others] = calls;
      return only !== undefined && others.length === 0 ? [await client.call(...only)] : client.batch(calls);
    };
    const asked = call();
    const wanted = this.#clients.get(id);
    asked
      .then(
        (answers) => {
          if (this.#release(id)) this.#perform(take(answers, performance.now()));
        },
        (error: unknown) => {
          // Without a client the node was not found; a client that is gone is one that nobody waits for.
          if (!this.#release(id) && wanted !== undefined) return;
          const { failure, code, message } = failureOf(error);
          this.#perform(this.#miner.onFailure(id, failure, code, message, performance.now()));
        },
      )
      .catch((error: unknown) => this.#settle.fail(error));
  }

  /** Closes the connection of a question. False if it was closed before. */
  #release(id: QuestionId): boolean {
    this.#clients.get(id)?.close();
    return this.#clients.delete(id);
  }
}

/** What a failed call means for a miner. Throws what is no failure of a call. */
function failureOf(error: unknown): { readonly failure: Failure; readonly code: string; readonly message: string } {
  if (!(error instanceof CliError)) throw error;
  const { code, message } = error;
  if (error instanceof NodeRefusal) {
    if (!NOT_READY.includes(error.rpcCode)) return { failure: 'refused', code, message };
    return { failure: message === 'Shutting down' ? 'gone' : 'not-ready', code, message };
  }
  return { failure: code === 'node-timeout' ? 'timeout' : 'gone', code, message };
}
