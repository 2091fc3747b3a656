/** All targets, by name. */
import { decoderTargets } from './decoders.ts';
import { overlayTargets } from './overlay.ts';
import { rowTargets } from './rows.ts';
import { sessionTargets } from './session.ts';
import { runCase, type Target } from './target.ts';
import { userTargets } from './users.ts';

/** In this order a long run begins: a short one should at least see the whole core. What takes long comes last. */
const all = [...sessionTargets, ...decoderTargets, ...overlayTargets, ...rowTargets, ...userTargets].sort(
  (a, b) => Number(a.longOnly ?? false) - Number(b.longOnly ?? false),
);

export const targets: ReadonlyMap<string, Target> = new Map(all.map((one) => [one.name, one]));

/** Runs a case that failed once. Throws where it fails again. */
export function replay(name: string, value: unknown): void {
  const target = targets.get(name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  runCase(target, value);
}
