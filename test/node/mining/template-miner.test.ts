/** A miner outside the node: what it asks, searches and hands in, and what can come between. */
import { describe, expect, test } from '@jest/globals';
import { regtest } from '../../../consensus/params.ts';
import { type Failure, type MinerOptions, type MinerStep, TemplateMiner } from '../../../node/mining/template-miner.ts';
import { readWorkTemplate, type Work, type WorkTemplate } from '../../../node/mining/work.ts';
import { testKey } from '../../support/chain-builder.ts';
import { templateAnswer } from '../../support/work-template.ts';

type Step<Type extends MinerStep['type']> = Extract<MinerStep, { type: Type }>;

const tipA = 'aa'.repeat(32);
const tipB = 'bb'.repeat(32);
/** 2^42 hashes: at a million a second a block takes half a year. */
const HARD = '1b03ffff';

function template(tip: string, change: Readonly<Record<string, unknown>> = {}): WorkTemplate {
  const read = readWorkTemplate(templateAnswer([], { previousblockhash: tip, longpollid: `${tip}1`, ...change }));
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

/** Some payments, as far as a miner looks at them. */
const paying = { transactions: [{ data: '00', txid: 'cc'.repeat(32) }], coinbasevalue: 6_000_000_000 };

/** A miner, what it asked and was not told, and what it searches. */
class Bench {
  now = 1000;
  readonly miner: TemplateMiner;
  readonly steps: MinerStep[] = [];

  constructor(options: Partial<MinerOptions> = {}) {
    const standard = { count: Number.POSITIVE_INFINITY, pace: { kind: 'at-once' }, maxFutureSeconds: 7200 } as const;
    const minerId = Uint8Array.of(1, 2, 3, 4);
    const script = testKey(1).script;
    this.miner = new TemplateMiner({ ...standard, script, minerId, expectedRate: 1e6, ...options }, this.now);
    this.take(this.miner.tick(this.now));
  }

  /** The steps since the last call. */
  take(steps: readonly MinerStep[]): readonly MinerStep[] {
    this.steps.push(...steps);
    return steps;
  }

  last<Type extends MinerStep['type']>(type: Type): Step<Type> {
    const step = this.steps.findLast((one) => one.type === type);
    if (step === undefined) throw new Error(`no step ${type}`);
    return step as Step<Type>;
  }

  types(): readonly string[] {
    return this.steps.splice(0).map((step) => (step.type === 'event' ? step.event.type : step.type));
  }

  question(isPoll: boolean): Step<'ask-template'> {
    const step = this.steps.findLast((one) => one.type === 'ask-template' && (one.longPollId !== undefined) === isPoll);
    if (step === undefined) throw new Error('no template is asked for');
    return step as Step<'ask-template'>;
  }

  answer(answered: WorkTemplate, isPoll = false): readonly MinerStep[] {
    return this.take(this.miner.onTemplate(this.question(isPoll).id, answered, this.now));
  }

  find(work: Work = this.last('search').work): readonly MinerStep[] {
    const solution = { extraNonce: 1, time: work.timeAfter(0), version: work.template.version, nonce: 9 };
    return this.take(this.miner.onFound(work, solution, this.now));
  }

  submitted(reason: string | null): readonly MinerStep[] {
    return this.take(this.miner.onSubmitted(this.last('submit').id, reason, this.now));
  }

  fail(id: number, failure: Failure): readonly MinerStep[] {
    return this.take(this.miner.onFailure(id, failure, failure, `it is ${failure}`, this.now));
  }

  /** Goes to the next deadline. */
  wait(): readonly MinerStep[] {
    const at = this.miner.nextDeadline();
    if (at === undefined) throw new Error('nothing is waited for');
    this.now = at;
    return this.take(this.miner.tick(at));
  }
}

describe('a miner', () => {
  test('searches on a template, hands in what it finds, and goes on with the next', () => {
    const bench = new Bench({ count: 2 });
    expect(bench.types()).toEqual(['ask-template']);
    bench.take(bench.miner.onTemplate(1, template(tipA), bench.now));
    expect(bench.question(true).longPollId).toBe(`${tipA}1`);
    bench.find();
    const { hex } = bench.last('submit');
    expect(hex).toContain(testKey(1).script.reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), ''));
    expect(bench.types()).toEqual(['ask-template', 'search', 'rest', 'submit']);
    bench.take(bench.miner.onSubmitted(3, null, bench.now));
    expect(bench.types()).toEqual(['mined', 'ask-template']);
    bench.take(bench.miner.onTemplate(4, template(tipB, { coinbasevalue: 7 }), bench.now));
    bench.find();
    bench.submitted(null);
    expect(bench.last('end').refused).toBeUndefined();
    expect(bench.miner.totals).toMatchObject({ found: 2, stale: 0, refused: 0, earnedSats: 5_000_001_007 });
  });

  test('drops the work of a former tip, and hands in nothing that is found for it', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    const old = bench.last('search').work;
    bench.answer(template(tipB), true);
    expect(bench.last('search')).toMatchObject({ restart: true });
    expect(bench.last('search').work.template.prevHash).toBe(tipB);
    expect(bench.find(old)).toEqual([]);
    expect(bench.question(true).longPollId).toBe(`${tipB}1`);
  });

  test('asks for a new template after ten seconds, and what it finds for the old one still counts', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    const old = bench.last('search').work;
    expect(bench.miner.nextDeadline()).toBe(11_000);
    bench.wait();
    expect(bench.types().at(-1)).toBe('ask-template');
    bench.take(bench.miner.onTemplate(3, template(tipA, paying), bench.now));
    expect(bench.last('search')).toMatchObject({ restart: false });
    bench.find(old);
    expect(bench.types()).toEqual(['search', 'rest', 'submit']);
  });

  test('counts a block that lost the race as stale, and goes on with the template that came meanwhile', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    bench.find();
    bench.answer(template(tipB), true);
    bench.types();
    bench.take(bench.miner.onSubmitted(3, 'inconclusive', bench.now));
    expect(bench.types()).toEqual(['mined', 'ask-template', 'search']);
    expect(bench.miner.totals).toMatchObject({ found: 0, stale: 1 });
  });

  test('ends where the very first block is refused, and later ones are only counted', () => {
    const first = new Bench();
    first.answer(template(tipA));
    first.find();
    first.submitted('bad-cb-amount');
    expect(first.last('end').refused).toEqual({
      code: 'bad-cb-amount',
      message: 'the node refuses our block: bad-cb-amount',
    });

    const later = new Bench();
    later.answer(template(tipA));
    later.find();
    later.submitted(null);
    later.answer(template(tipB));
    later.find();
    later.types();
    later.take(later.miner.onSubmitted(5, 'time-too-new', later.now));
    expect(later.types()).toEqual(['mined']);
    later.wait();
    expect(later.now).toBe(2000);
    expect(later.types()).toEqual(['ask-template']);
    expect(later.miner.totals).toMatchObject({ found: 1, refused: 1 });
  });
});

describe('a node that goes away', () => {
  test('is waited for and asked again, which is said once; then the search goes on', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    bench.types();
    const poll = 2;
    bench.fail(poll, 'gone');
    expect(bench.types()).toEqual(['away', 'rest']);
    bench.wait();
    bench.fail(bench.question(false).id, 'gone');
    bench.wait();
    expect(bench.types()).toEqual(['ask-template', 'ask-template']);
    bench.take(bench.miner.onTemplate(4, template(tipB), bench.now));
    expect(bench.types()).toEqual(['back', 'ask-template', 'search']);
    expect(bench.now).toBe(2000);
  });

  test('gets a block again whose answer was lost, and whether it had come is seen by that', () => {
    for (const [reason, found, stale] of [
      ['duplicate', 1, 0],
      [null, 1, 0],
      ['duplicate-inconclusive', 0, 1],
    ] as const) {
      const bench = new Bench();
      bench.answer(template(tipA));
      bench.find();
      const { id, hex } = bench.last('submit');
      bench.fail(id, 'gone');
      bench.wait();
      bench.answer(template(tipB));
      expect(bench.last('submit')).toMatchObject({ hex });
      expect(bench.last('submit').id).not.toBe(id);
      bench.submitted(reason);
      expect(bench.miner.totals).toMatchObject({ found, stale });
    }
  });

  test('and one without work is another thing to say', () => {
    const bench = new Bench();
    bench.fail(bench.question(false).id, 'not-ready');
    bench.wait();
    bench.fail(bench.question(false).id, 'gone');
    expect(bench.types()).toEqual(['ask-template', 'away', 'ask-template', 'away']);
  });

  test('is another thing than a long poll that took long, and than a node that refuses', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    bench.types();
    bench.fail(2, 'timeout');
    expect(bench.types()).toEqual(['ask-template']);
    bench.fail(3, 'refused');
    expect(bench.last('end').refused).toEqual({ code: 'refused', message: 'it is refused' });
  });
});

describe('a pace', () => {
  test('begins shortly before a block is due, keeps what is found early, and hands it in when it is time', () => {
    // Two hashes for a block, ten a second: the search begins three times 200 ms before.
    const bench = new Bench({ pace: { kind: 'every', intervalMs: 5000 }, expectedRate: 10 });
    bench.answer(template(tipA));
    expect(bench.types()).toEqual(['ask-template']);
    bench.wait();
    expect(bench.now).toBe(5400);
    bench.answer(template(tipA));
    bench.find();
    expect(bench.types()).toEqual(['ask-template', 'ask-template', 'search', 'rest']);
    bench.wait();
    expect(bench.now).toBe(6000);
    expect(bench.types()).toEqual(['submit']);
  });

  test('searches again for what has more to confirm, and keeps the first block until then', () => {
    const bench = new Bench({ pace: { kind: 'every', intervalMs: 60_000 }, expectedRate: 0.01 });
    bench.answer(template(tipA));
    bench.find();
    bench.answer(template(tipA, paying), true);
    expect(bench.types()).toEqual(['ask-template', 'ask-template', 'search', 'rest', 'search', 'ask-template']);
    while (bench.now < 61_000) bench.wait();
    expect(bench.last('submit').hex).not.toBe('');
  });

  test('drops a block that was kept when another one comes first', () => {
    const bench = new Bench({ pace: { kind: 'every', intervalMs: 60_000 }, expectedRate: 0.01 });
    bench.answer(template(tipA));
    bench.find();
    bench.answer(template(tipB), true);
    expect(bench.miner.totals).toMatchObject({ found: 0, stale: 1 });
    expect(bench.types()).toEqual([
      'ask-template',
      'ask-template',
      'search',
      'rest',
      'mined',
      'ask-template',
      'search',
    ]);
  });

  test('that the difficulty does not allow is searched for all the time', () => {
    const bench = new Bench({ pace: { kind: 'every', intervalMs: 5000 } });
    bench.answer(template(tipA, { bits: HARD }));
    bench.now = 9000;
    bench.find();
    bench.submitted(null);
    bench.answer(template(tipB, { bits: HARD }));
    expect(bench.types().filter((type) => type === 'search')).toHaveLength(2);
  });

  test('of payments asks for no template while there are none, and searches until they are confirmed', () => {
    const bench = new Bench({ pace: { kind: 'on-tx' } });
    const pool = (size: number) => bench.take(bench.miner.onPool(bench.last('ask-pool').id, size, bench.now));
    expect(bench.types()).toEqual(['ask-pool']);
    bench.take(bench.miner.onPool(1, 0, bench.now));
    bench.wait();
    expect(bench.now).toBe(1250);
    pool(1);
    bench.answer(template(tipA, paying));
    expect(bench.types()).toEqual(['ask-pool', 'ask-template', 'ask-template', 'search']);
    // Somebody else confirms them.
    bench.take(bench.miner.onTemplate(4, template(tipB), bench.now));
    expect(bench.types()).toEqual(['search', 'rest']);
    bench.wait();
    pool(2);
    bench.answer(template(tipB, paying));
    bench.find();
    bench.submitted(null);
    bench.types();
    bench.wait();
    expect(bench.types()).toEqual(['ask-pool']);
  });
});

describe('the end', () => {
  test('is at once where nothing is under way', () => {
    const bench = new Bench();
    bench.answer(template(tipA));
    bench.take(bench.miner.stop(bench.now));
    expect(bench.last('end').refused).toBeUndefined();
    expect(bench.find()).toEqual([]);
  });

  test('waits for the answer to a block, but not for long', () => {
    for (const answers of [true, false]) {
      const bench = new Bench();
      bench.answer(template(tipA));
      bench.find();
      bench.types();
      bench.take(bench.miner.stop(bench.now));
      expect(bench.types()).toEqual([]);
      if (answers) bench.take(bench.miner.onSubmitted(3, null, bench.now));
      else bench.wait();
      expect(bench.types()).toEqual(answers ? ['mined', 'end'] : ['end']);
      expect(bench.miner.totals.found).toBe(answers ? 1 : 0);
    }
  });
});

test('how long a block takes is told from the hashes that were made while it searched', () => {
  const bench = new Bench({ pace: { kind: 'at-once' }, expectedRate: 4 });
  expect(bench.miner.expectedMs(bench.now)).toBeUndefined();
  bench.answer(template(tipA));
  expect(regtest.powLimitBits).toBe(bench.miner.bits);
  expect(bench.miner.expectedMs(bench.now)).toBe(500);
  bench.now += 2000;
  bench.miner.onHashes(40, bench.now);
  expect(bench.miner.expectedMs(bench.now)).toBe(100);
  expect(bench.miner.rate(bench.now)).toBe(20);
});
