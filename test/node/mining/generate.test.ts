/** Mining jobs: the way of a block from template to chain, and what can come between. */
import { describe, expect, test } from '@jest/globals';
import type { Block } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { reject } from '../../../consensus/reject.ts';
import { localLimits } from '../../../node/limits.ts';
import { type GenerateId, GenerateJobs, type GenerateOrder, type GenerateStep } from '../../../node/mining/generate.ts';
import { grind } from '../../../node/mining/grind.ts';
import { buildTemplate } from '../../../node/mining/template.ts';
import { buildBlock, type Place, testKey } from '../../support/chain-builder.ts';

type Mine = Extract<GenerateStep, { type: 'mine' }>;

/** Jobs over a chain that is nothing but its tip. */
class Bench {
  tip: Place = { hash: regtest.genesis.header.hash, height: 0, time: regtest.genesis.header.time };
  now = { mono: 0, unix: 1_700_000_000 };
  readonly jobs: GenerateJobs;

  constructor(maxMiningJobs = 4) {
    this.jobs = new GenerateJobs({
      limits: { ...localLimits, maxMiningJobs },
      firstExtra: 7,
      template: (order, extra, now) => {
        const tip = { ...this.tip, medianTimePast: this.tip.time, anchorTime: 0 };
        const { script } = order;
        return buildTemplate({ source: order.transactions ?? [], tip, params: regtest, now: now.unix, script, extra });
      },
    });
  }

  start(order: Partial<GenerateOrder> = {}): { id: GenerateId; steps: readonly GenerateStep[] } {
    const started = this.jobs.start({ count: 1, script: testKey(1).script, maxTries: 1e6, ...order }, this.now);
    if (started === undefined) throw new Error('too many jobs');
    return started;
  }

  /** Lets a worker find the nonce. */
  find(step: GenerateStep | undefined): readonly GenerateStep[] {
    const { id, header, bits } = expectStep(step, 'mine');
    const { nonce, hashes } = grind(header, bits, 0, 10_000);
    return this.jobs.onMined(id, nonce, hashes, this.now);
  }

  /** Lets the chain take a block. */
  connect(step: GenerateStep | undefined): readonly GenerateStep[] {
    const { block } = expectStep(step, 'submit');
    this.extend(block);
    return [...this.jobs.onTip(this.tip.hash, this.now), ...this.jobs.onBlock(this.tip.hash, 'active', this.now)];
  }

  extend({ header }: Block): void {
    expect(header.prevHash).toBe(this.tip.hash);
    this.tip = { hash: header.hash, height: this.tip.height + 1, time: header.time };
  }
}

function expectStep<Type extends GenerateStep['type']>(
  step: GenerateStep | undefined,
  type: Type,
): Extract<GenerateStep, { type: Type }> {
  if (step?.type !== type) throw new Error(`expected ${type}, got ${step?.type}`);
  return step as Extract<GenerateStep, { type: Type }>;
}

const typesOf = (steps: readonly GenerateStep[]) => steps.map(({ type }) => type);

describe('a job', () => {
  test('mines as many blocks as it was asked for, one on the other', () => {
    const bench = new Bench();
    const { id, steps } = bench.start({ count: 3 });
    let next = steps;
    const hashes: string[] = [];
    for (let i = 0; i < 3; i++) {
      const submitted = bench.find(next[0]);
      expect(typesOf(submitted)).toEqual(['submit']);
      next = bench.connect(submitted[0]);
      hashes.push(bench.tip.hash);
    }
    expect(next).toMatchObject([{ type: 'done', id, hashes }]);
    expect(bench.jobs.size).toBe(0);
    expect(bench.tip.height).toBe(3);
  });

  test('of no blocks, or without tries, is done at once', () => {
    const bench = new Bench();
    expect(bench.start({ count: 0 }).steps).toMatchObject([{ type: 'done', hashes: [] }]);
    expect(bench.start({ maxTries: 0 }).steps).toMatchObject([{ type: 'done', hashes: [] }]);
  });

  test('begins again on the new tip when another block comes first', () => {
    const bench = new Bench();
    const { steps } = bench.start();
    bench.extend(buildBlock(bench.tip));
    const again = bench.jobs.onTip(bench.tip.hash, bench.now);
    expect(typesOf(again)).toEqual(['cancel', 'mine']);
    expect(bench.jobs.onTip(bench.tip.hash, bench.now)).toEqual([]);
    const done = bench.connect(bench.find(again[1])[0]);
    expect(typesOf(done)).toEqual(['done']);
    expect(bench.tip.height).toBe(2);
    expect(typesOf(steps)).toEqual(['mine']);
  });

  test('mines another block when its own lost against one that was being verified', () => {
    const bench = new Bench();
    const [submitted] = bench.find(bench.start().steps[0]);
    const { block } = expectStep(submitted, 'submit');
    bench.extend(buildBlock(bench.tip));
    expect(bench.jobs.onTip(bench.tip.hash, bench.now)).toEqual([]);
    const again = bench.jobs.onBlock(block.header.hash, 'stale', bench.now);
    const done = bench.connect(bench.find(again[0])[0]);
    expect(expectStep(done[0], 'done').hashes).toEqual([bench.tip.hash]);
    expect(bench.jobs.onBlock(block.header.hash, 'stale', bench.now)).toEqual([]);
  });

  test('fails with the reason when its block is refused', () => {
    const bench = new Bench();
    const { id, steps } = bench.start();
    const { block } = expectStep(bench.find(steps[0])[0], 'submit');
    const why = reject('consensus', 'bad-txns-inputs-missingorspent');
    expect(bench.jobs.onBlock(block.header.hash, why, bench.now)).toEqual([{ type: 'failed', id, reject: why }]);
    expect(bench.jobs.size).toBe(0);
  });

  test('tries another coinbase when no nonce helps', () => {
    const bench = new Bench();
    const { id, steps } = bench.start({ maxTries: Infinity });
    const first = expectStep(steps[0], 'mine');
    const second = expectStep(bench.jobs.onMined(id, null, 2 ** 32, bench.now)[0], 'mine');
    const third = expectStep(bench.jobs.onMined(id, null, 2 ** 32, bench.now)[0], 'mine');
    const roots = new Set([first, second, third].map(({ header }) => header.subarray(36, 68).join()));
    expect(roots.size).toBe(3);
    expect(typesOf(bench.find(third))).toEqual(['submit']);
  });

  test('ends with what it has when its tries are used up, counted as Core counts them', () => {
    const bench = new Bench();
    const { id, steps } = bench.start({ count: 9, maxTries: 10 });
    expect(typesOf(steps)).toEqual(['mine']);
    const submitted = bench.jobs.onMined(id, 4, 5, bench.now);
    const { block } = expectStep(submitted[0], 'submit');
    bench.tip = { hash: block.header.hash, height: 1, time: block.header.time };
    expect(typesOf(bench.jobs.onBlock(block.header.hash, 'active', bench.now))).toEqual(['mine']);
    // Six tries are left: the seventh hash would hit.
    const end = bench.jobs.onMined(id, 6, 7, bench.now);
    expect(end).toMatchObject([{ type: 'done', hashes: [block.header.hash] }]);
  });

  test('can make a block and keep it', () => {
    const bench = new Bench();
    const steps = bench.find(bench.start({ submit: false, transactions: [] }).steps[0]);
    const { last, hashes } = expectStep(steps[0], 'done');
    expect(hashes).toEqual([last?.header.hash]);
    expect(last?.header.prevHash).toBe(bench.tip.hash);
  });

  test('of a node that mines all the time pauses between blocks and never ends', () => {
    const bench = new Bench();
    const { steps } = bench.start({ count: Infinity, intervalMs: 500 });
    expect(steps).toEqual([]);
    expect(bench.jobs.nextDeadline()).toBe(500);
    expect(bench.jobs.tick(bench.now)).toEqual([]);
    for (let i = 0; i < 3; i++) {
      bench.now = { ...bench.now, mono: bench.now.mono + 500 };
      const next = bench.connect(bench.find(bench.jobs.tick(bench.now)[0])[0]);
      expect(next).toEqual([]);
    }
    expect(bench.tip.height).toBe(3);
    expect(bench.jobs.nextDeadline()).toBe(2000);
  });

  test('without end tries again a while after a block of its was refused', () => {
    const bench = new Bench();
    const { steps } = bench.start({ count: Infinity });
    const { block } = expectStep(bench.find(steps[0])[0], 'submit');
    expect(bench.jobs.onBlock(block.header.hash, reject('time-future', 'time-too-new'), bench.now)).toEqual([]);
    bench.now = { ...bench.now, mono: bench.jobs.nextDeadline() as number };
    expect(bench.now.mono).toBeGreaterThanOrEqual(1000);
    expect(typesOf(bench.jobs.tick(bench.now))).toEqual(['mine']);
  });
});

describe('several jobs', () => {
  test('take turns, one block each', () => {
    const bench = new Bench();
    const first = bench.start({ count: 2 });
    const second = bench.start({ count: 1 });
    expect(second.steps).toEqual([]);
    const turns: GenerateId[] = [];
    let [step] = first.steps as [Mine];
    for (let i = 0; i < 3; i++) {
      turns.push(step.id);
      const next = bench.connect(bench.find(step)[0]);
      step = next.find(({ type }) => type === 'mine') as Mine;
    }
    expect(turns).toEqual([first.id, second.id, first.id]);
    expect(bench.jobs.size).toBe(0);
  });

  test('without end begin a search anew after ten seconds, on a template of then', () => {
    const bench = new Bench();
    const { id, steps } = bench.start({ count: Infinity, maxTries: Infinity });
    expect(bench.jobs.nextDeadline()).toBe(bench.now.mono + 10_000);
    bench.now = { mono: bench.now.mono + 10_000, unix: bench.now.unix + 10 };
    const again = bench.jobs.tick(bench.now);
    expect(again).toMatchObject([
      { type: 'cancel', id },
      { type: 'mine', id },
    ]);
    expect(expectStep(again[1], 'mine').header).not.toEqual(expectStep(steps[0], 'mine').header);
    const { block } = expectStep(bench.find(again[1])[0], 'submit');
    expect(block.header.time).toBe(bench.now.unix);
    expect(bench.jobs.nextDeadline()).toBeUndefined();
  });

  test('that may try so many nonces are not begun anew', () => {
    const bench = new Bench();
    const { steps } = bench.start({ maxTries: 77 });
    expect(expectStep(steps[0], 'mine').tries).toBe(77);
    expect(bench.jobs.nextDeadline()).toBeUndefined();
  });

  test('are bounded', () => {
    const bench = new Bench(2);
    bench.start();
    bench.start();
    expect(() => bench.start()).toThrow('too many');
  });

  test('go on when one is cancelled, whatever it waits for', () => {
    const bench = new Bench();
    const [a, b, c] = [bench.start(), bench.start(), bench.start()];
    expect(bench.jobs.cancel(b.id, bench.now)).toEqual([]);
    const next = bench.jobs.cancel(a.id, bench.now);
    expect(next).toMatchObject([
      { type: 'cancel', id: a.id },
      { type: 'mine', id: c.id },
    ]);
    // A late answer for the cancelled job is nobody's.
    expect(bench.jobs.onMined(a.id, 1, 1, bench.now)).toEqual([]);
    const { block } = expectStep(bench.find(next[1])[0], 'submit');
    expect(bench.jobs.cancel(c.id, bench.now)).toEqual([]);
    expect(bench.jobs.onBlock(block.header.hash, 'active', bench.now)).toEqual([]);
    expect(bench.jobs.size).toBe(0);
  });
});
