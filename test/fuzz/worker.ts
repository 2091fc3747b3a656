/** The thread that fuzzes: batches of all targets in turns, until the time is over. A target that failed rests. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, WorkerOrder } from './messages.ts';
import { runBatch } from './target.ts';
import { targets } from './targets.ts';

/** Odd, so that no seed of a run comes twice; large, so that two runs share none. */
const SEED_STEP = 0x9e3779b1;

const { seed: first, targets: names, timeMs } = workerData as WorkerOrder;
const tell = (message: FromWorker) => parentPort?.postMessage(message);
const end = performance.now() + timeMs;
/** Time that each target has had, over its share: the least is next. */
const spent = new Map(names.map((name) => [name, 0]));
const batches = new Map<string, number>();

while (spent.size > 0 && performance.now() < end) {
  const [name] = [...spent].reduce((least, one) => (one[1] < least[1] ? one : least));
  const target = targets.get(name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  const batch = batches.get(name) ?? 0;
  batches.set(name, batch + 1);
  // The seed of its first batch is that of the run: so a batch that failed can be run alone.
  const seed = (first ^ Math.imul(batch, SEED_STEP)) & 0x7fffffff;
  tell({ type: 'begin', target: name, seed, heapBytes: process.memoryUsage().heapUsed });
  const start = performance.now();
  const result = runBatch(target, seed);
  spent.set(name, (spent.get(name) ?? 0) + (performance.now() - start) / (target.share ?? 1));
  if (result.failure !== undefined) spent.delete(name);
  tell({ type: 'end', target: name, seed, result });
}
