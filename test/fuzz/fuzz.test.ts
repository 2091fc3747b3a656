/** Every target for a moment, with seeds that do not change. The long run is `npm run fuzz`. */
import { describe, expect, test } from '@jest/globals';
import { readFlags } from './flags.ts';
import { asTest, runBatch, runCase, type Target } from './target.ts';
import { targets } from './targets.ts';

/** Milliseconds for each target; a batch that was begun is finished. */
const TIME_MS = 300;
const MAX_BATCHES = 20;

describe('fuzzing', () => {
  test.each([...targets.values()].filter(({ longOnly }) => !longOnly).map((target) => [target.name, target] as const))(
    '%s',
    (_, target) => {
      const end = performance.now() + TIME_MS;
      for (let seed = 1; seed <= MAX_BATCHES && performance.now() < end; seed++) {
        const { failure } = runBatch(target, seed, Math.ceil(target.runs / 4), 20_000);
        if (failure !== undefined) throw new Error(`${failure.reason}\n\n${asTest(target.name, failure.case)}`);
      }
    },
  );

  test('finds what is wrong, and the smallest case of it', () => {
    const message = targets.get('message');
    if (message === undefined) throw new Error('no target');
    const broken: Target = {
      ...message,
      check: (value) => {
        if (JSON.stringify(value).includes('"headers"')) throw new Error('broken');
      },
    };
    const { failure } = runBatch(broken, 1);
    expect(failure?.reason).toContain('broken');
    expect(failure?.case).toEqual({ command: 'headers', payload: '' });
    expect(asTest('message', failure?.case)).toContain(`replay('message', {"command":"headers","payload":""});`);
  });

  test('a case that takes longer than its deadline fails', () => {
    const [target] = targets.values();
    if (target === undefined) throw new Error('no target');
    const check = () => {
      const end = performance.now() + 20;
      while (performance.now() < end);
    };
    expect(() => runCase({ ...target, check, deadlineMs: 10 }, null)).toThrow('may take 10 ms');
  });
});

describe('the flags of the long run', () => {
  const names = ['message', 'session'];

  test('are seconds, seed and target, each with or without an equals sign', () => {
    expect(readFlags([], names)).toEqual({ seconds: 60, seed: undefined, target: undefined });
    expect(readFlags(['--seconds', '5', '--seed=7', '--target', 'session'], names)).toEqual({
      seconds: 5,
      seed: 7,
      target: 'session',
    });
  });

  test.each([
    [['--second', '5'], 'there is no flag --second'],
    [['5'], 'there is no flag 5'],
    [['--seconds'], '--seconds needs a value'],
    [['--seconds', '0'], '--seconds must be'],
    [['--seconds', '1.5'], '--seconds must be'],
    [['--seed', '-1'], '--seed must be'],
    [['--seed', '9999999999'], '--seed must be'],
    [['--seed=1', '--seed=2'], '--seed is given twice'],
    [['--target', 'nothing'], 'there is no target nothing; there are message, session'],
  ])('%j are refused', (args, message) => {
    expect(readFlags(args, names)).toEqual({ error: expect.stringContaining(message) });
  });
});
