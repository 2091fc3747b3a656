/** All targets, by name. */
import { decoderTargets } from './decoders.ts';
import { overlayTargets } from './overlay.ts';
import { rowTargets } from './rows.ts';
import { sessionTargets } from './session.ts';
import { runCase, type Target } from './target.ts';
import { userTargets } from './users.ts';

const all: readonly Target[] = [...decoderTargets, ...overlayTargets, ...rowTargets, ...userTargets, ...sessionTargets];

export const targets: ReadonlyMap<string, Target> = new Map(all.map((one) => [one.name, one]));

/** Runs a case that failed once. Throws where it fails again. */
export function replay(name: string, value: unknown): void {
  const target = targets.get(name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  runCase(target, value);
}
