/**
 * What is fuzzed: a target has cases (plain JSON, so that a failing one can be pasted into a test) and a property that each
 * of them must keep. Owns how a case is run, timed and printed; what the targets are is said in targets.ts.
 */
import { inspect } from 'node:util';
import fc from 'fast-check';

/** A case is JSON: bytes are hex in it. */
export interface Target<Case = unknown> {
  readonly name: string;
  readonly about: string;
  readonly cases: fc.Arbitrary<Case>;
  /** Cases of one batch: so many are made from one seed. */
  readonly runs: number;
  /** Longest that one case may take, in milliseconds. */
  readonly deadlineMs: number;
  /** Of the time of a long run, in parts of what others have; 1 unless told. */
  readonly share?: number;
  /** Takes too long for every run of the tests. */
  readonly longOnly?: boolean;
  /** Throws where the property does not hold. */
  check(value: Case): void;
}

/** Keeps the type of a target's cases to the target itself. */
export function target<Case>(definition: Target<Case>): Target {
  return definition as Target;
}

/** Says what a property demands; throws where it is not so. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** Runs one case within its deadline. The clock of a busy machine lies, so a case that was late gets another chance. */
export function runCase(of: Target, value: unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && best > of.deadlineMs; attempt++) {
    const start = performance.now();
    of.check(value);
    best = Math.min(best, performance.now() - start);
  }
  demand(best <= of.deadlineMs, `took ${Math.round(best)} ms, and may take ${of.deadlineMs} ms`);
  return best;
}

export interface BatchResult {
  readonly cases: number;
  readonly slowestMs: number;
  /** The smallest case that was found to fail, and why; undefined where none did. */
  readonly failure: { readonly case: unknown; readonly reason: string } | undefined;
}

/** Runs the cases that a seed makes, and looks for the smallest that fails for `shrinkMs` at most. */
export function runBatch(of: Target, seed: number, runs = of.runs, shrinkMs = 120_000): BatchResult {
  let slowestMs = 0;
  let failedAt: number | undefined;
  const property = fc.property(of.cases, (value) => {
    // Shrinking ends here: whatever comes later is taken to hold.
    if (failedAt !== undefined && performance.now() > failedAt + shrinkMs) return;
    try {
      slowestMs = Math.max(slowestMs, runCase(of, value));
    } catch (error) {
      failedAt ??= performance.now();
      throw error;
    }
  });
  const details = fc.check(property, { seed, numRuns: runs });
  const { numRuns, failed, counterexample, errorInstance } = details;
  if (!failed) return { cases: numRuns, slowestMs, failure: undefined };
  // With its causes, each with its stack.
  const reason = inspect(errorInstance);
  return { cases: numRuns, slowestMs, failure: { case: counterexample?.[0], reason } };
}

/** A failing case as a test for found.test.ts. */
export function asTest(name: string, value: unknown): string {
  return `test('what was wrong, in a sentence', () => {\n  replay('${name}', ${JSON.stringify(value)});\n});`;
}
