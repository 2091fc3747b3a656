/**
 * `npm run fuzz -- --seconds N --seed S [--target NAME]`: fuzzes for so long. A progress line on stderr, the counts of all
 * targets on stdout; each failure as the smallest case that was found, in a form that can be pasted into found.test.ts.
 * Ctrl-C ends it early, with the counts so far. Exit codes: 0 nothing found, 1 something found, 2 wrong flags.
 */
import { randomInt } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { readFlags, USAGE } from './flags.ts';
import type { FromWorker, WorkerOrder } from './messages.ts';
import { asTest } from './target.ts';
import { targets } from './targets.ts';

/** Longer than any batch takes, shrinking included. */
const HANG_MS = 300_000;
const PROGRESS_MS = process.stderr.isTTY ? 500 : 10_000;

interface Count {
  batches: number;
  cases: number;
  slowestMs: number;
  failed: boolean;
}

const names = [...targets.keys()];
const args = process.argv.slice(2);
const flags = readFlags(args, names);
if (args.includes('--help')) {
  const rows = [...targets.values()].map(({ name, about }) => `  ${name.padEnd(12)} ${about}\n`);
  process.stdout.write(`${USAGE}\n\nTargets:\n${rows.join('')}`);
} else if ('error' in flags) {
  process.stderr.write(`error: ${flags.error}\nhint: ${USAGE}; --help names the targets\n`);
  process.exitCode = 2;
} else {
  const seed = flags.seed ?? randomInt(0x7fffffff);
  run({ targets: flags.target === undefined ? names : [flags.target], seed, timeMs: flags.seconds * 1000 });
}

function run(order: WorkerOrder): void {
  const counts = new Map(
    order.targets.map((name): [string, Count] => [name, { batches: 0, cases: 0, slowestMs: 0, failed: false }]),
  );
  const start = performance.now();
  let now: { readonly target: string; readonly seed: number; readonly since: number } | undefined;
  /** Greatest heap at the start of a batch, in bytes: what cases leave behind shows in it. */
  let heap = 0;
  process.stderr.write(`seed ${order.seed}, ${order.timeMs / 1000} s\n`);
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: order });
  const progress = setInterval(() => {
    if (now === undefined) return;
    const cases = [...counts.values()].reduce((sum, one) => sum + one.cases, 0);
    const seconds = Math.round((performance.now() - start) / 1000);
    progressLine(`${seconds} s, ${cases} cases, heap ${Math.round(heap / 1e6)} MB, ${now.target} ${now.seed}`);
    if (performance.now() - now.since < HANG_MS) return;
    fail(now.target, now.seed, `a case of this batch does not end (${HANG_MS / 1000} s)`);
    void worker.terminate();
  }, PROGRESS_MS);
  // The second time it ends at once, as everything does.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void worker.terminate());

  const fail = (target: string, seed: number, reason: string) => {
    const count = counts.get(target);
    if (count !== undefined) count.failed = true;
    process.exitCode = 1;
    progressLine('');
    process.stdout.write(
      `FAILED ${target}: npm run fuzz -- --target ${target} --seed ${seed} --seconds 1\n${reason}\n\n`,
    );
  };
  const finish = () => {
    clearInterval(progress);
    progressLine('');
    for (const [name, { batches, cases, slowestMs, failed }] of counts) {
      const about = targets.get(name)?.about ?? '';
      const figures = `${String(cases).padStart(9)} cases ${String(batches).padStart(6)} batches, slowest ${Math.ceil(slowestMs)} ms`;
      process.stdout.write(`${name.padEnd(12)}${figures}${failed ? ', FAILED' : ''}  (${about})\n`);
    }
    process.stdout.write(
      `seed ${order.seed}, ${Math.round((performance.now() - start) / 1000)} s, heap at most ${Math.round(heap / 1e6)} MB\n`,
    );
  };

  worker.on('message', (message: FromWorker) => {
    if (message.type === 'begin') {
      heap = Math.max(heap, message.heapBytes);
      now = { target: message.target, seed: message.seed, since: performance.now() };
      return;
    }
    const { target, seed, result } = message;
    const count = counts.get(target);
    if (count === undefined) return;
    count.batches += 1;
    count.cases += result.cases;
    count.slowestMs = Math.max(count.slowestMs, result.slowestMs);
    if (result.failure === undefined) return;
    fail(target, seed, `${result.failure.reason}\n\n${asTest(target, result.failure.case)}`);
  });
  worker.on('error', (error) => {
    process.exitCode = 1;
    process.stderr.write(
      `\nthe fuzzer itself failed in ${now?.target} ${now?.seed}: ${error.stack ?? error.message}\n`,
    );
  });
  // However it ended. A worker that was stopped has a code of its own, which says nothing.
  worker.on('exit', finish);
}

/** Written over itself on a terminal; elsewhere each line stands, and an empty one is left out. */
function progressLine(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}
