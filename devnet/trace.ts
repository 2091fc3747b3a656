/**
 * What happened to one transaction or block on all nodes, as one timeline: the steps that the nodes' logs tell
 * (node/item-trace.ts), put in order. Pure; the files are read by trace-logs.ts.
 *
 * All nodes share the clock of one machine, but it counts milliseconds, in which a message can be sent, received and
 * answered. So steps of one moment are put in an order in which nothing comes before its cause: each node's own order is
 * kept, and what was received follows the sending of it.
 */
import type { ItemStep, Notice } from '../node/boundary.ts';

/** One step at one node. */
export interface TraceStep {
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly step: ItemStep;
  /** As this line named it: a wtxid is one name of a transaction, its txid the other. */
  readonly id: string;
  readonly wtxid?: string;
  /** The node on the other side by its name, else its address. */
  readonly with?: string;
  readonly reason?: string;
  readonly height?: number;
  readonly block?: string;
}

/** A step of the timeline. */
export interface TimelineStep extends TraceStep {
  /** Milliseconds since the first sight. */
  readonly sinceMs: number;
}

/** How it went at one node. Times are milliseconds since the first sight of all. */
export interface NodeTrace {
  readonly node: string;
  readonly seenMs: number;
  /** When it was accepted, or the block connected; undefined if it never was. */
  readonly hadMs?: number;
  /** Who delivered it first; undefined where it came from a user, a miner, or not at all. */
  readonly from?: string;
  /** The last that became of it here. */
  readonly outcome: ItemStep;
}

export interface Timeline {
  readonly item: 'transaction' | 'block';
  /** The txid or the block hash, as far as any node learned it; else as it was asked for. */
  readonly id: string;
  /** Of a transaction: other names that it went by. */
  readonly wtxids: readonly string[];
  /** Of the first sight, milliseconds since 1970. */
  readonly firstSeen: number;
  readonly steps: readonly TimelineStep[];
  /** The nodes that saw it, in that order. */
  readonly nodes: readonly NodeTrace[];
}

/** A line of a node's log that tells of items, as it stands there. */
export type ItemLine = Omit<Extract<Notice, { kind: 'item' }>, 'kind'> & { readonly time: number };

/** Every line of a log that tells of items has this; all others need not be parsed. */
export const ITEM_MARK = '"message":"item"';

/** The other half of a message's way, as the other node tells it. */
const SENT_AS: Readonly<Partial<Record<ItemStep, ItemStep>>> = {
  'announced-by': 'announced-to',
  'requested-by': 'requested-from',
  'delivered-by': 'delivered-to',
  'missing-at': 'missing-for',
};

/** What becomes of an item, rather than what is said of it. */
const OUTCOMES: ReadonlySet<ItemStep> = new Set([
  'accepted',
  'rejected',
  'orphaned',
  'replaced',
  'removed',
  'returned',
  'confirmed',
  'unconfirmed',
  'connected',
  'disconnected',
]);

/** The line as items, or undefined if it tells of none or was cut off. */
export function readItemLine(line: string): ItemLine | undefined {
  if (!line.includes(ITEM_MARK)) return undefined;
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    // The last line of a node that was killed.
    return undefined;
  }
  const { time, step, item, ids, ...rest } = value;
  const at = Date.parse(String(time));
  if (Number.isNaN(at) || typeof step !== 'string' || typeof ids !== 'string') return undefined;
  if (item !== 'transaction' && item !== 'block') return undefined;
  const { wtxid, with: other, reason, height, block } = rest;
  return {
    time: at,
    step: step as ItemStep,
    item,
    ids: ids.split(' '),
    ...(typeof wtxid === 'string' ? { wtxid } : {}),
    ...(typeof other === 'string' ? { with: other } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof height === 'number' ? { height } : {}),
    ...(typeof block === 'string' ? { block } : {}),
  };
}

/** The steps of each node, in its own order, as one timeline. Undefined if there is no step at all. */
export function makeTimeline(
  asked: string,
  item: 'transaction' | 'block',
  logs: ReadonlyMap<string, readonly TraceStep[]>,
): Timeline | undefined {
  const ordered = merge([...logs.values()].filter((steps) => steps.length > 0));
  const first = ordered[0];
  if (first === undefined) return undefined;
  const wtxids = new Set(ordered.flatMap(({ wtxid }) => (wtxid === undefined ? [] : [wtxid])));
  const id = ordered.find(({ wtxid }) => wtxid !== undefined)?.id ?? asked;
  const steps = ordered.map((step) => ({ ...step, sinceMs: step.time - first.time }));
  const nodes = [...new Set(ordered.map(({ node }) => node))].map((node) =>
    summary(
      node,
      steps.filter((step) => step.node === node),
    ),
  );
  return { item, id, wtxids: [...wtxids].filter((wtxid) => wtxid !== id), firstSeen: first.time, steps, nodes };
}

function summary(node: string, steps: readonly TimelineStep[]): NodeTrace {
  const had = steps.find(({ step }) => step === 'accepted' || step === 'connected' || step === 'confirmed');
  const delivered = steps.find(({ step }) => step === 'delivered-by');
  const isBefore = delivered !== undefined && (had === undefined || steps.indexOf(delivered) < steps.indexOf(had));
  const outcome = steps.findLast(({ step }) => OUTCOMES.has(step)) ?? (steps.at(-1) as TimelineStep);
  return {
    node,
    seenMs: (steps[0] as TimelineStep).sinceMs,
    ...(had === undefined ? {} : { hadMs: had.sinceMs }),
    ...(isBefore && delivered.with !== undefined ? { from: delivered.with } : {}),
    outcome: outcome.step,
  };
}

/** The earliest first; of one moment those that wait for nothing, in the order of the nodes. */
function merge(logs: readonly (readonly TraceStep[])[]): TraceStep[] {
  const merged: TraceStep[] = [];
  const next = logs.map(() => 0);
  const heads = () => logs.flatMap((log, at) => (log[next[at]!] === undefined ? [] : [at]));
  for (let open = heads(); open.length > 0; open = heads()) {
    const time = Math.min(...open.map((at) => logs[at]![next[at]!]!.time));
    const now = open.filter((at) => logs[at]![next[at]!]!.time === time);
    const free = now.find((at) => !waits(logs[at]![next[at]!]!, logs, next)) ?? now[0]!;
    merged.push(logs[free]![next[free]!]!);
    next[free]! += 1;
  }
  return merged;
}

/** True if the step is the receipt of something whose sending, at the same moment, is not told yet. */
function waits(step: TraceStep, logs: readonly (readonly TraceStep[])[], next: readonly number[]): boolean {
  const sentAs = SENT_AS[step.step];
  if (sentAs === undefined) return false;
  return logs.some((log, at) => {
    for (let index = next[at]!; log[index]?.time === step.time; index++) {
      const other = log[index]!;
      if (other.node === step.with && other.step === sentAs && other.with === step.node) return true;
    }
    return false;
  });
}
