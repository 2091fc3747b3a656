/**
 * A miner outside the node: asks for templates, searches, hands in blocks at the wanted pace, and waits while its node is
 * away. A state machine without I/O: it is told what happened and says what to do next (steps); questions have numbers,
 * and the answer to one that is no longer wanted is passed over. Sockets and threads are commands/miner.ts's.
 */
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import { workOf } from '../../consensus/pow.ts';
import type { Millis } from '../boundary.ts';
import { HashMeter, Pace, type PacePlan } from './pace.ts';
import { type Solution, Work, type WorkTemplate } from './work.ts';

/** A template is asked for again after this: with the present time, and what the pool has gained. */
const REFRESH_MS = 10_000;
/** A node that is away is asked again after this. */
const RETRY_MS = 500;
/** With `on-tx`: how often the size of the pool is asked for. */
const POOL_MS = 250;
/** After a block that the node refused: what stood in the way, a clock that was set back for one, may pass. */
const PAUSE_MS = 1000;
/** The search begins so many expected times before a block is due: then one is found in time in 95 of 100 cases. */
const LEAD = 3;
/** When it is to stop, the answer to a block that was handed in is waited for so long. */
const STOP_MS = 2000;

export type QuestionId = number;

/** Why a question has no answer. */
export type Failure =
  /** No node answers, or not in a way that we understand. */
  | 'gone'
  /** It answers, but has no work to give: it has no peers, or is in initial sync. */
  | 'not-ready'
  /** It took too long: no fault of a long poll. */
  | 'timeout'
  /** The node does not do what is asked, and will not. */
  | 'refused';

/** What a block that was found has come to. */
export type MinedOutcome =
  | { readonly type: 'block' }
  /** Another one came first. */
  | { readonly type: 'stale' }
  /** The reason is the node's. */
  | { readonly type: 'refused'; readonly reason: string };

export interface MinedBlock {
  readonly hash: BlockHash;
  readonly height: number;
  /** Without the coinbase. */
  readonly transactions: number;
  readonly rewardSats: number;
}

export type MinerEvent =
  | { readonly type: 'mined'; readonly outcome: MinedOutcome; readonly block: MinedBlock }
  /** Said once, until `back`. */
  | { readonly type: 'away'; readonly failure: Failure; readonly message: string }
  | { readonly type: 'back' };

export type MinerStep =
  /** Ask for a template; with a long poll's id, to be answered when there is a better one. Tell `onTemplate` or `onFailure`. */
  | { readonly type: 'ask-template'; readonly id: QuestionId; readonly longPollId: string | undefined }
  /** Ask for the number of transactions in the pool. Tell `onPool` or `onFailure`. */
  | { readonly type: 'ask-pool'; readonly id: QuestionId }
  /** Hand in a block. Tell `onSubmitted` or `onFailure`. */
  | { readonly type: 'submit'; readonly id: QuestionId; readonly hex: string }
  /** Nobody waits for that answer any more. */
  | { readonly type: 'forget'; readonly id: QuestionId }
  /** Search on this work; `restart`: what is found for the former one is worth nothing. */
  | { readonly type: 'search'; readonly work: Work; readonly restart: boolean }
  /** Search no more. */
  | { readonly type: 'rest' }
  | { readonly type: 'event'; readonly event: MinerEvent }
  /** That was all. `refused`: the node refuses what we do, for this reason. */
  | { readonly type: 'end'; readonly refused: { readonly code: string; readonly message: string } | undefined };

export interface MinerOptions {
  /** Blocks wanted; Infinity for a miner without end. */
  readonly count: number;
  readonly pace: PacePlan;
  /** Script of the coinbase's output. */
  readonly script: Bytes;
  /** See `Work`. */
  readonly minerId: Bytes;
  readonly maxFutureSeconds: number;
  /** Hashes per second, roughly: used until they are measured. */
  readonly expectedRate: number;
}

export interface MinerTotals {
  readonly found: number;
  readonly stale: number;
  readonly refused: number;
  /** Paid to us, mature or not. */
  readonly earnedSats: number;
  readonly hashes: number;
}

/** A block that meets its target. */
interface Held {
  readonly work: Work;
  readonly hash: BlockHash;
  readonly hex: string;
  /** It was handed in before, and there was no answer. */
  readonly sent: boolean;
}

/** Questions without an answer, at most one of a kind. */
type Kind = 'template' | 'poll' | 'pool' | 'submit';

export class TemplateMiner {
  readonly #options: MinerOptions;
  readonly #pace: Pace;
  readonly #meter: HashMeter;
  readonly #asked = new Map<Kind, QuestionId>();
  #lastId = 0;
  /** What is searched, or would be. */
  #work: Work | undefined;
  #searching = false;
  #searchingSince: Millis = 0;
  /** Time spent searching before that. */
  #searchedMs = 0;
  /** Found, and not handed in yet. */
  #held: Held | undefined;
  #submitting: Held | undefined;
  /** Difficulty of the last template, also where there is no work at present. */
  #bits: number | undefined;
  #away: Failure | undefined;
  #retryAt: Millis = 0;
  #refreshAt: Millis = 0;
  #poolAt: Millis = 0;
  /** The pool has something to confirm. */
  #hasPayments = false;
  #stopAt: Millis | undefined;
  #ended = false;
  #wakeAt: Millis | undefined;
  #found = 0;
  #stale = 0;
  #refused = 0;
  #earnedSats = 0;

  constructor(options: MinerOptions, now: Millis) {
    this.#options = options;
    this.#pace = new Pace(options.pace, now);
    this.#meter = new HashMeter(now);
  }

  get totals(): MinerTotals {
    return {
      found: this.#found,
      stale: this.#stale,
      refused: this.#refused,
      earnedSats: this.#earnedSats,
      hashes: this.#meter.total,
    };
  }

  /** The difficulty of the last template; undefined before the first one. */
  get bits(): number | undefined {
    return this.#bits;
  }

  /** Hashes per second of the last ten seconds. */
  rate(now: Millis): number {
    return this.#meter.rate(now);
  }

  /** How long a block takes on average while we search; undefined before the first template. */
  expectedMs(now: Millis): Millis | undefined {
    if (this.#bits === undefined) return undefined;
    const searchedMs = this.#searchedMs + (this.#searching ? now - this.#searchingSince : 0);
    const measured = searchedMs >= 1000 && this.#meter.total > 0;
    const rate = measured ? this.#meter.total / (searchedMs / 1000) : this.#options.expectedRate;
    return (Number(workOf(this.#bits)) / rate) * 1000;
  }

  /** When `tick` is wanted next; undefined where only answers are waited for. */
  nextDeadline(): Millis | undefined {
    return this.#wakeAt;
  }

  /** Begins, or does what has fallen due. */
  tick(now: Millis): MinerStep[] {
    return this.#after([], now);
  }

  /** No more blocks. Ends at once, or when it is known what became of the last one. */
  stop(now: Millis): MinerStep[] {
    if (this.#ended || this.#stopAt !== undefined) return [];
    this.#stopAt = now + STOP_MS;
    return this.#after([], now);
  }

  onTemplate(id: QuestionId, template: WorkTemplate, now: Millis): MinerStep[] {
    if (!this.#answered(id, 'template') && !this.#answered(id, 'poll')) return [];
    const { script, minerId, maxFutureSeconds } = this.#options;
    const steps: MinerStep[] = [];
    if (this.#away !== undefined) {
      this.#away = undefined;
      steps.push({ type: 'event', event: { type: 'back' } });
    }
    const before = this.#work?.template;
    const work = new Work(template, { script, minerId, maxFutureSeconds });
    const restart = before?.prevHash !== template.prevHash;
    const isBetter =
      restart ||
      before.coinbaseValue !== template.coinbaseValue ||
      before.transactions.length !== template.transactions.length;
    this.#work = work;
    this.#bits = template.bits;
    this.#hasPayments = template.transactions.length > 0;
    this.#refreshAt = now + REFRESH_MS;
    const held = this.#held;
    if (held !== undefined && !held.sent && held.work.template.prevHash !== template.prevHash) {
      // It was kept back until its time, and that was too long.
      this.#held = undefined;
      this.#stale += 1;
      steps.push(minedEvent(held, { type: 'stale' }));
    }
    // A block that waits for its time is replaced by one that confirms more.
    const wanted = this.#held === undefined || isBetter;
    if (this.#searching && wanted) steps.push({ type: 'search', work, restart });
    else if (this.#held !== undefined && wanted) steps.push(...this.#search(now));
    return this.#after(steps, now);
  }

  /** The pool has so many transactions. */
  onPool(id: QuestionId, size: number, now: Millis): MinerStep[] {
    if (!this.#answered(id, 'pool')) return [];
    const steps: MinerStep[] = [];
    if (this.#away !== undefined) {
      this.#away = undefined;
      steps.push({ type: 'event', event: { type: 'back' } });
    }
    this.#hasPayments = size > 0;
    this.#poolAt = now + POOL_MS;
    return this.#after(steps, now);
  }

  /** A question was not answered. `code` and `message` are for the user. */
  onFailure(id: QuestionId, failure: Failure, code: string, message: string, now: Millis): MinerStep[] {
    const wasSubmission = this.#answered(id, 'submit');
    const wasPoll = this.#answered(id, 'poll');
    if (!wasSubmission && !wasPoll && !this.#answered(id, 'template') && !this.#answered(id, 'pool')) return [];
    if (wasPoll && failure === 'timeout') return this.#after([], now);
    if (failure === 'refused') return this.#end({ code, message });
    const steps: MinerStep[] = [];
    if (wasSubmission && this.#submitting !== undefined) {
      // Whether it has arrived is not known: it is handed in again, which does no harm and tells.
      this.#held = { ...this.#submitting, sent: true };
      this.#submitting = undefined;
    }
    if (this.#away !== failure) steps.push({ type: 'event', event: { type: 'away', failure, message } });
    this.#away = failure;
    this.#retryAt = now + RETRY_MS;
    // A late failure of another question would say the same again when the node is back.
    for (const kind of ['template', 'poll', 'pool'] as const) steps.push(...this.#forget(kind));
    return this.#after([...steps, ...this.#rest(now)], now);
  }

  /** Threads have tried so many nonces. */
  onHashes(hashes: number, now: Millis): void {
    this.#meter.add(hashes, now);
  }

  /** A thread has found a nonce for that work. */
  onFound(work: Work, solution: Solution, now: Millis): MinerStep[] {
    if (this.#ended || this.#submitting !== undefined || this.#away !== undefined) return [];
    if (work.template.prevHash !== this.#work?.template.prevHash) return [];
    this.#held = { work, ...work.block(solution), sent: false };
    return this.#after(this.#rest(now), now);
  }

  /** The answer to a block: null, or the reason why it is not the tip. */
  onSubmitted(id: QuestionId, reason: string | null, now: Millis): MinerStep[] {
    if (!this.#answered(id, 'submit')) return [];
    const held = this.#submitting;
    this.#submitting = undefined;
    if (held === undefined) return [];
    const outcome = outcomeOf(reason);
    const steps: MinerStep[] = [minedEvent(held, outcome)];
    // Unless the long poll was faster, the work is on the former tip.
    if (this.#work?.template.prevHash === held.work.template.prevHash) this.#work = undefined;
    if (outcome.type === 'refused') {
      const isFirst = this.#found + this.#stale + this.#refused === 0;
      this.#refused += 1;
      if (isFirst) {
        const { reason } = outcome;
        return [...steps, ...this.#end({ code: reason, message: `the node refuses our block: ${reason}` })];
      }
      this.#retryAt = now + PAUSE_MS;
    } else if (outcome.type === 'stale') {
      this.#stale += 1;
    } else {
      this.#found += 1;
      this.#earnedSats += held.work.template.coinbaseValue;
      this.#hasPayments = false;
      this.#pace.next(now);
      if (this.#found >= this.#options.count) return [...steps, ...this.#end(undefined)];
    }
    return this.#after(steps, now);
  }

  /** Adds what is to be done in the present state, and sets the next deadline. */
  #after(steps: MinerStep[], now: Millis): MinerStep[] {
    this.#wakeAt = undefined;
    if (this.#ended) return steps;
    if (this.#submitting !== undefined) {
      if (this.#stopAt === undefined) return steps;
      if (now >= this.#stopAt) return [...steps, ...this.#end(undefined)];
      this.#wakeAt = this.#stopAt;
      return steps;
    }
    if (this.#stopAt !== undefined) return [...steps, ...this.#end(undefined)];
    if (now < this.#retryAt) {
      this.#wakeAt = this.#retryAt;
      return steps;
    }
    if (this.#away !== undefined) {
      if (!this.#asked.has('template')) steps.push(this.#askTemplate(undefined));
      return steps;
    }
    if (this.#held !== undefined && (this.#held.sent || now >= this.#pace.dueAt)) {
      return [...steps, ...this.#rest(now), ...this.#submit(this.#held)];
    }
    const beginAt = this.#beginAt(now);
    if (this.#held === undefined && (beginAt === undefined || now < beginAt)) return this.#idle(steps, beginAt, now);
    return this.#mine(steps, now);
  }

  /** When the search for the next block begins; undefined while there is nothing to confirm. */
  #beginAt(now: Millis): Millis | undefined {
    const { kind } = this.#options.pace;
    if (kind === 'at-once') return now;
    if (kind === 'on-tx') return this.#hasPayments ? now : undefined;
    const expected = this.expectedMs(now);
    return expected === undefined ? now : this.#pace.dueAt - LEAD * expected;
  }

  /** It is not time yet: the work that there is would be old by then. */
  #idle(steps: MinerStep[], beginAt: Millis | undefined, now: Millis): MinerStep[] {
    steps.push(...this.#rest(now), ...this.#forget('poll'), ...this.#forget('template'));
    this.#work = undefined;
    this.#wakeAt = beginAt;
    if (beginAt !== undefined || this.#asked.has('pool')) return steps;
    // A template is not asked for before there are payments: the node hands out the same one for some seconds.
    if (now >= this.#poolAt) steps.push({ type: 'ask-pool', id: this.#ask('pool') });
    else this.#wakeAt = this.#poolAt;
    return steps;
  }

  #mine(steps: MinerStep[], now: Millis): MinerStep[] {
    const work = this.#work;
    if (work === undefined || now >= this.#refreshAt) {
      if (!this.#asked.has('template')) steps.push(this.#askTemplate(undefined));
    } else {
      this.#wakeAt = this.#refreshAt;
    }
    if (this.#held !== undefined) this.#wakeAt = Math.min(this.#pace.dueAt, this.#wakeAt ?? this.#pace.dueAt);
    if (work === undefined) return steps;
    if (!this.#asked.has('poll')) steps.push(this.#askTemplate(work.template.longPollId));
    if (this.#held === undefined && !this.#searching) steps.push(...this.#search(now));
    return steps;
  }

  #search(now: Millis): MinerStep[] {
    if (this.#work === undefined) return [];
    this.#searching = true;
    this.#searchingSince = now;
    return [{ type: 'search', work: this.#work, restart: true }];
  }

  #rest(now: Millis): MinerStep[] {
    if (!this.#searching) return [];
    this.#searching = false;
    this.#searchedMs += now - this.#searchingSince;
    return [{ type: 'rest' }];
  }

  #submit(held: Held): MinerStep[] {
    this.#held = undefined;
    this.#submitting = held;
    return [{ type: 'submit', id: this.#ask('submit'), hex: held.hex }];
  }

  #askTemplate(longPollId: string | undefined): MinerStep {
    return { type: 'ask-template', id: this.#ask(longPollId === undefined ? 'template' : 'poll'), longPollId };
  }

  #ask(kind: Kind): QuestionId {
    this.#lastId += 1;
    this.#asked.set(kind, this.#lastId);
    return this.#lastId;
  }

  #answered(id: QuestionId, kind: Kind): boolean {
    if (this.#asked.get(kind) !== id) return false;
    this.#asked.delete(kind);
    return true;
  }

  #forget(kind: Kind): MinerStep[] {
    const id = this.#asked.get(kind);
    if (id === undefined) return [];
    this.#asked.delete(kind);
    return [{ type: 'forget', id }];
  }

  #end(refused: Extract<MinerStep, { type: 'end' }>['refused']): MinerStep[] {
    this.#ended = true;
    this.#searching = false;
    this.#wakeAt = undefined;
    this.#asked.clear();
    return [{ type: 'end', refused }];
  }
}

/** What submitblock's answer says. A block that is known already is one whose first answer we did not get. */
function outcomeOf(reason: string | null): MinedOutcome {
  if (reason === null || reason === 'duplicate') return { type: 'block' };
  if (reason === 'inconclusive' || reason === 'duplicate-inconclusive') return { type: 'stale' };
  return { type: 'refused', reason };
}

function minedEvent({ hash, work }: Held, outcome: MinedOutcome): MinerStep {
  const { height, transactions, coinbaseValue } = work.template;
  const block = { hash, height, transactions: transactions.length, rewardSats: coinbaseValue };
  return { type: 'event', event: { type: 'mined', outcome, block } };
}
