/**
 * Jobs that mine blocks: generatetoaddress, generateblock and `node --mine`. A job goes round template, nonce, block in the
 * chain; jobs take turns, one block each, so that they do not race each other for the same tip.
 *
 * A race that is lost to a block from elsewhere is run again on the new tip. The machine asks for work (`mine`) and hands out
 * blocks (`submit`); workers, the chain and the answer to the caller are node.ts's.
 */
import { type Block, encodeHeader, makeHeader } from '../../consensus/block.ts';
import { type BlockHash, type Brand, type Bytes, unreachable } from '../../consensus/brand.ts';
import type { Reject } from '../../consensus/reject.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { Millis, Now } from '../boundary.ts';
import type { Limits } from '../limits.ts';
import { assembleBlock, type Template } from './template.ts';

/** A job without end whose block was refused tries again after this. */
const RETRY_MS = 1000;
/** A search without end begins again so often on a new template: with the present time, and what the pool has gained. */
const REFRESH_MS = 10_000;
const NONCES = 2 ** 32;

/** A mining job, numbered by this machine. */
export type GenerateId = Brand<number, 'GenerateId'>;

export interface GenerateOrder {
  /** Blocks wanted; Infinity for a node that mines all the time. */
  readonly count: number;
  /** Script of the coinbase's output. */
  readonly script: Bytes;
  /** Hashes that may be tried for all blocks together; Infinity for no limit. */
  readonly maxTries: number;
  /** generateblock: exactly these transactions instead of the pool's. */
  readonly transactions?: readonly Transaction[];
  /** False: the block is made but not submitted. */
  readonly submit?: boolean;
  /** Pause before each block. */
  readonly intervalMs?: Millis;
}

export type GenerateStep =
  /** Ask a worker for a nonce (action `mine`) and tell `onMined`. */
  | {
      readonly type: 'mine';
      readonly id: GenerateId;
      readonly header: Bytes;
      readonly bits: number;
      /** Nonces to try, from zero upwards. */
      readonly tries: number;
    }
  /** The nonce that this job waits for is no longer wanted (action `cancel`; a late answer is not for `onMined`). */
  | { readonly type: 'cancel'; readonly id: GenerateId }
  /** Give this block to the chain and tell `onBlock` what became of it. */
  | { readonly type: 'submit'; readonly id: GenerateId; readonly block: Block }
  /** All blocks are mined, or the tries are used up: then there are fewer hashes than were asked for. `last` is the newest. */
  | {
      readonly type: 'done';
      readonly id: GenerateId;
      readonly hashes: readonly BlockHash[];
      readonly last: Block | undefined;
    }
  /** The block was refused. A job without end goes on. */
  | { readonly type: 'failed'; readonly id: GenerateId; readonly reject: Reject };

/** What became of a submitted block: it is in the active chain; it is valid, but another came first; it was refused. */
export type BlockOutcome = 'active' | 'stale' | Reject;

/** A template on the present tip; `extra` makes its coinbase differ. */
export type TemplateBuilder = (order: GenerateOrder, extra: Bytes, now: Now) => Template;

interface Job {
  readonly id: GenerateId;
  readonly order: GenerateOrder;
  readonly hashes: BlockHash[];
  triesLeft: number;
  /** Not before this. */
  readyAt: Millis;
  last: Block | undefined;
}

/** What the job whose turn it is waits for. */
type Turn =
  | {
      readonly state: 'mining';
      readonly job: Job;
      readonly block: Block;
      readonly extra: number;
      readonly since: Millis;
    }
  | { readonly state: 'submitted'; readonly job: Job; readonly block: Block; readonly extra: number };

export class GenerateJobs {
  readonly #limits: Limits;
  readonly #template: TemplateBuilder;
  readonly #firstExtra: number;
  /** In the order of their turns; the one whose turn it is is not among them. */
  readonly #waiting: Job[] = [];
  #turn: Turn | undefined;
  #lastId = 0;

  /**
   * `firstExtra` should differ between nodes: two that mine on one parent, in the same second and for the same account,
   * would else make the very same block, and a partition would not part their chains.
   */
  constructor(options: { readonly limits: Limits; readonly template: TemplateBuilder; readonly firstExtra: number }) {
    this.#firstExtra = options.firstExtra;
    this.#limits = options.limits;
    this.#template = options.template;
  }

  /** Jobs that are not done. */
  get size(): number {
    return this.#waiting.length + (this.#turn === undefined ? 0 : 1);
  }

  /** Begins a job. Undefined where limits.maxMiningJobs wait already. */
  start(
    order: GenerateOrder,
    now: Now,
  ): { readonly id: GenerateId; readonly steps: readonly GenerateStep[] } | undefined {
    if (this.size >= this.#limits.maxMiningJobs) return undefined;
    this.#lastId += 1;
    const id = this.#lastId as GenerateId;
    const job: Job = { id, order, hashes: [], triesLeft: order.maxTries, readyAt: 0, last: undefined };
    if (isDone(job)) return { id, steps: [doneStep(job)] };
    this.#queue(job, now);
    return { id, steps: this.#next(now) };
  }

  /** The answer to `mine`: a nonce, or null if there is none for this header; and how many hashes it took. */
  onMined(id: GenerateId, nonce: number | null, hashes: number, now: Now): readonly GenerateStep[] {
    const turn = this.#turn;
    if (turn?.state !== 'mining' || turn.job.id !== id) return [];
    const { job } = turn;
    // As Core counts: a hash that hits is no try.
    const tries = nonce === null ? hashes : hashes - 1;
    const outOfTries = tries >= job.triesLeft;
    job.triesLeft -= tries;
    if (outOfTries) {
      this.#turn = undefined;
      return [doneStep(job), ...this.#next(now)];
    }
    if (nonce === null) return [this.#mine(job, turn.extra + 1, now)];
    const block = { ...turn.block, header: makeHeader({ ...turn.block.header, nonce }) };
    if (job.order.submit === false) return this.#mined(job, block, now);
    this.#turn = { state: 'submitted', job, block, extra: turn.extra };
    return [{ type: 'submit', id, block }];
  }

  /** What became of a block from a `submit` step; other hashes are passed over. */
  onBlock(hash: BlockHash, outcome: BlockOutcome, now: Now): readonly GenerateStep[] {
    const turn = this.#turn;
    if (turn?.state !== 'submitted' || turn.block.header.hash !== hash) return [];
    if (outcome === 'active') return this.#mined(turn.job, turn.block, now);
    // Another block came first; or this very block is known and was called invalid by the user: the next one must differ.
    const mineAnother = outcome === 'stale' || outcome.code === 'duplicate-invalid';
    if (mineAnother) return [this.#mine(turn.job, turn.extra + 1, now)];
    this.#turn = undefined;
    const { job } = turn;
    if (Number.isFinite(job.order.count)) {
      return [{ type: 'failed', id: job.id, reject: outcome }, ...this.#next(now)];
    }
    // What stood in the way, a clock that was set back for one, may pass: a miner does not give up.
    this.#queue(job, now, RETRY_MS);
    return this.#next(now);
  }

  /** The committed tip changed: work on another parent is dropped and begun again. */
  onTip(tip: BlockHash, now: Now): readonly GenerateStep[] {
    const turn = this.#turn;
    if (turn?.state !== 'mining' || turn.block.header.prevHash === tip) return [];
    return [{ type: 'cancel', id: turn.job.id }, this.#mine(turn.job, this.#firstExtra, now)];
  }

  /** Ends a job: nothing more is heard of it but a `cancel` step. A block that it submitted stays in the chain. */
  cancel(id: GenerateId, now: Now): readonly GenerateStep[] {
    const index = this.#waiting.findIndex((job) => job.id === id);
    if (index !== -1) this.#waiting.splice(index, 1);
    const turn = this.#turn;
    if (turn?.job.id !== id) return [];
    this.#turn = undefined;
    switch (turn.state) {
      case 'mining':
        return [{ type: 'cancel', id }, ...this.#next(now)];
      case 'submitted':
        return this.#next(now);
      default:
        return unreachable(turn);
    }
  }

  /** Begins the next block of a job whose pause is over, and a search anew whose template is old. */
  tick(now: Now): readonly GenerateStep[] {
    const turn = this.#turn;
    const refreshAt = refreshOf(turn);
    if (turn !== undefined && refreshAt !== undefined && refreshAt <= now.mono) {
      return [{ type: 'cancel', id: turn.job.id }, this.#mine(turn.job, turn.extra + 1, now)];
    }
    return this.#next(now);
  }

  nextDeadline(): Millis | undefined {
    if (this.#turn !== undefined) return refreshOf(this.#turn);
    if (this.#waiting.length === 0) return undefined;
    return Math.min(...this.#waiting.map(({ readyAt }) => readyAt));
  }

  #queue(job: Job, now: Now, leastMs: Millis = 0): void {
    job.readyAt = now.mono + Math.max(job.order.intervalMs ?? 0, leastMs);
    this.#waiting.push(job);
  }

  /** Gives the turn to the first job that is ready, unless another has it. */
  #next(now: Now): GenerateStep[] {
    if (this.#turn !== undefined) return [];
    const index = this.#waiting.findIndex(({ readyAt }) => readyAt <= now.mono);
    const [job] = index === -1 ? [] : this.#waiting.splice(index, 1);
    return job === undefined ? [] : [this.#mine(job, this.#firstExtra, now)];
  }

  /** Begins a block on the present tip. After all nonces of one header another `extra` makes a new one. */
  #mine(job: Job, extra: number, now: Now): GenerateStep {
    const block = assembleBlock(this.#template(job.order, extraBytes(extra), now));
    this.#turn = { state: 'mining', job, block, extra, since: now.mono };
    const tries = Math.min(job.triesLeft, NONCES);
    return { type: 'mine', id: job.id, header: encodeHeader(block.header), bits: block.header.bits, tries };
  }

  #mined(job: Job, block: Block, now: Now): GenerateStep[] {
    this.#turn = undefined;
    job.last = block;
    // A job without end must not keep a list without end.
    if (Number.isFinite(job.order.count)) job.hashes.push(block.header.hash);
    if (isDone(job)) return [doneStep(job), ...this.#next(now)];
    this.#queue(job, now);
    return this.#next(now);
  }
}

/** When the search is to begin anew. Where tries are counted it is not: those of a cancelled search are not known. */
function refreshOf(turn: Turn | undefined): Millis | undefined {
  if (turn?.state !== 'mining' || Number.isFinite(turn.job.order.maxTries)) return undefined;
  return turn.since + REFRESH_MS;
}

function isDone({ order, hashes, triesLeft }: Job): boolean {
  return hashes.length >= order.count || triesLeft <= 0;
}

function doneStep(job: Job): GenerateStep {
  return { type: 'done', id: job.id, hashes: job.hashes, last: job.last };
}

/** A push of four bytes; the number may have counted beyond them. */
function extraBytes(extra: number): Bytes {
  const bytes = new Uint8Array(5);
  new DataView(bytes.buffer).setUint32(1, extra % 2 ** 32, true);
  bytes[0] = 4;
  return bytes;
}
