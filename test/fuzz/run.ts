import { runBatch } from './target.ts';
import { targets } from './targets.ts';

for (const t of targets.values()) {
  if (process.argv[2] && t.name !== process.argv[2]) continue;
  const s = performance.now();
  for (let seed = 1; seed <= Number(process.argv[3] ?? 3); seed++) {
    const r = runBatch(t, seed, t.runs, 20_000);
    if (r.failure) {
      console.log(t.name, seed, JSON.stringify(r.failure.case).slice(0, 3000), r.failure.reason.slice(0, 2500));
      break;
    }
    console.log(t.name, r.cases, Math.round(r.slowestMs), Math.round(performance.now() - s));
  }
}
