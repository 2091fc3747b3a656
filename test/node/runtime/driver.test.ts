/** The driver alone, with a core that does what the test says: order of events and actions, deadlines, replies, failures. */
import { describe, expect, test } from '@jest/globals';
import type {
  Action,
  Event,
  JobId,
  Notice,
  Now,
  PeerId,
  RequestId,
  RpcOutcome,
  ScanId,
} from '../../../node/boundary.ts';
import { StoreDamage } from '../../../node/ports.ts';
import type { Clock } from '../../../node/runtime/clock.ts';
import { Driver } from '../../../node/runtime/driver.ts';
import type { Page } from '../../../node/runtime/level-store.ts';
import { silentLogger } from '../../../node/runtime/log.ts';

const peer = 1 as PeerId;
const up: Event = { type: 'link-down', peer, reason: 'one' };
const down: Event = { type: 'link-down', peer, reason: 'two' };

/** A driver whose parts write down what is asked of them. */
function startDriver(handle: (event: Event, now: Now) => readonly Action[]) {
  const done: string[] = [];
  const notices: Notice[] = [];
  const failures: string[] = [];
  const state = {
    mono: 1000,
    deadline: undefined as number | undefined,
    alarms: [] as { deadline: number; wake: () => void; cancelled: boolean }[],
    backlogBytes: 0,
    flush: () => Promise.resolve(),
    page: (): Promise<Page | undefined> => Promise.resolve({ rows: [], done: true }),
  };
  const clock: Clock = {
    now: () => ({ mono: state.mono, unix: 5 }),
    wakeAt(deadline, wake) {
      const alarm = { deadline, wake, cancelled: false };
      state.alarms.push(alarm);
      return {
        cancel: () => {
          alarm.cancelled = true;
        },
      };
    },
  };
  const note =
    (name: string) =>
    (...args: unknown[]) => {
      done.push(`${name} ${args.map((arg) => (arg instanceof Uint8Array ? `${arg.length}B` : String(arg))).join(' ')}`);
    };
  const driver = new Driver({
    core: { handle, nextDeadline: () => state.deadline },
    clock,
    transport: {
      dial: note('dial'),
      send: note('send'),
      disconnect: note('disconnect'),
      pause: note('pause'),
      resume: note('resume'),
      shape: note('shape'),
      hold: note('hold'),
    },
    store: {
      get backlogBytes() {
        return state.backlogBytes;
      },
      flush: () => state.flush(),
      scan: () => state.page(),
      cancelScan: note('cancelScan'),
    },
    workers: { verify: note('verify'), mine: note('mine'), cancel: note('cancel') },
    logger: silentLogger,
    onNotice: (notice) => notices.push(notice),
    onFatal: (error) => failures.push(error.message),
  });
  return { driver, done, notices, failures, state };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const ok = (json: string): RpcOutcome => ({ ok: true, json });

describe('events', () => {
  test('are handled one after the other, also those that come while one is handled', () => {
    const seen: string[] = [];
    const { driver } = startDriver((event) => {
      seen.push(`begin ${event.type === 'link-down' ? event.reason : event.type}`);
      if (event === up) driver.deliver(down);
      seen.push('end');
      return [];
    });
    driver.deliver(up);
    expect(seen).toEqual(['begin one', 'end', 'begin two', 'end']);
  });

  test('become actions, in their order', () => {
    const { driver, done, notices } = startDriver(() => [
      { type: 'pause', peer },
      { type: 'send', peer, bytes: new Uint8Array(3) },
      { type: 'verify', job: 4 as JobId, checks: new Uint8Array(128) },
      { type: 'mine', job: 5 as JobId, header: new Uint8Array(80), bits: 7, tries: 9 },
      { type: 'cancel', job: 5 as JobId },
      { type: 'notice', notice: { kind: 'initial-sync-done', height: 9 } },
      { type: 'cancel-scan', scan: 2 as ScanId },
      { type: 'disconnect', peer, reason: 'enough' },
      { type: 'resume', peer },
    ]);
    driver.deliver(up);
    expect(done).toEqual([
      'pause 1',
      'send 1 3B',
      'verify 4 128B',
      'mine 5 80B 7 9',
      'cancel 5',
      'cancelScan 2',
      'disconnect 1 enough',
      'resume 1',
    ]);
    expect(notices).toEqual([{ kind: 'initial-sync-done', height: 9 }]);
  });

  test('after the stop are not handled; what the stop asks for is done', async () => {
    const { driver, done, state } = startDriver((event) =>
      event.type === 'stop' ? [{ type: 'disconnect', peer, reason: 'stop' }] : [{ type: 'pause', peer }],
    );
    state.deadline = 1500;
    driver.start();
    driver.stop();
    driver.deliver(up);
    expect(done).toEqual(['disconnect 1 stop']);
    expect(state.alarms.map((alarm) => alarm.cancelled)).toEqual([true]);
  });
});

describe('the deadline', () => {
  test('becomes a tick when it has come, and one timer for the next', () => {
    const ticks: number[] = [];
    const { driver, state } = startDriver((event, now) => {
      if (event.type === 'tick') {
        ticks.push(now.mono);
        state.deadline = now.mono + 100;
      }
      return [];
    });
    state.deadline = 1200;
    driver.start();
    expect(state.alarms).toHaveLength(1);
    state.mono = 1201;
    state.alarms[0]?.wake();
    expect(ticks).toEqual([1201]);
    expect(state.alarms.map((alarm) => alarm.deadline)).toEqual([1200, 1301]);
  });

  test('that moves forward moves the timer, and one that moves back is waited for again', () => {
    const ticks: number[] = [];
    const { driver, state } = startDriver((event, now) => {
      if (event.type === 'tick') ticks.push(now.mono);
      return [];
    });
    state.deadline = 2000;
    driver.start();
    state.deadline = 1500;
    driver.deliver(up);
    expect(state.alarms.map(({ deadline, cancelled }) => [deadline, cancelled])).toEqual([
      [2000, true],
      [1500, false],
    ]);
    state.deadline = 3000;
    driver.deliver(up);
    state.mono = 1500;
    state.alarms[1]?.wake();
    expect(ticks).toEqual([]);
    expect(state.alarms.at(-1)?.deadline).toBe(3000);
  });
});

describe('calls', () => {
  const answering = (event: Event): readonly Action[] =>
    event.type === 'request' ? [{ type: 'reply', request: event.request, outcome: ok(`"${event.method}"`) }] : [];

  test('are answered after what was written before the answer is on disk', async () => {
    const { driver, state } = startDriver(answering);
    let written = () => {};
    state.flush = () =>
      new Promise<void>((resolve) => {
        written = resolve;
      });
    const outcomes: RpcOutcome[] = [];
    driver.call('method', [], (outcome) => outcomes.push(outcome));
    await turn();
    expect(outcomes).toEqual([]);
    written();
    await turn();
    expect(outcomes).toEqual([ok('"method"')]);
  });

  test('that the caller has closed are told to the core and not answered', async () => {
    const seen: Event[] = [];
    const { driver } = startDriver((event) => {
      seen.push(event);
      return event.type === 'request-closed' ? [{ type: 'reply', request: event.request, outcome: ok('late') }] : [];
    });
    const outcomes: RpcOutcome[] = [];
    const request = driver.call('slow', { a: 1 }, (outcome) => outcomes.push(outcome));
    driver.closeCall(request);
    driver.closeCall(request);
    await turn();
    expect(seen).toEqual([
      { type: 'request', request, method: 'slow', params: { a: 1 } },
      { type: 'request-closed', request },
    ]);
    expect(outcomes).toEqual([]);
  });

  test('that come after the stop are refused at once', () => {
    const { driver } = startDriver(answering);
    driver.stop();
    const outcomes: RpcOutcome[] = [];
    driver.call('method', [], (outcome) => outcomes.push(outcome));
    expect(outcomes).toEqual([{ ok: false, code: -32603, message: 'Shutting down' }]);
  });

  test('are numbered apart', () => {
    const requests: RequestId[] = [];
    const { driver } = startDriver((event) => {
      if (event.type === 'request') requests.push(event.request);
      return [];
    });
    for (let i = 0; i < 3; i++) driver.call('m', [], () => undefined);
    expect(new Set(requests).size).toBe(3);
  });
});

describe('the store', () => {
  test('answers scans with an event', async () => {
    const seen: Event[] = [];
    const scan = 3 as ScanId;
    const { driver, state } = startDriver((event) => {
      seen.push(event);
      return event === up ? [{ type: 'scan', scan, gte: 'a', lt: 'b', limit: 2 }] : [];
    });
    const rows = [{ key: 'a1', value: Uint8Array.of(1) }];
    state.page = () => Promise.resolve({ rows, done: false });
    driver.deliver(up);
    await turn();
    expect(seen.slice(1)).toEqual([{ type: 'scanned', scan, rows, done: false }]);
  });

  test('says nothing to the core of a scan that was cancelled', async () => {
    const seen: Event[] = [];
    const { driver, state, failures } = startDriver((event) => {
      seen.push(event);
      return event === up ? [{ type: 'scan', scan: 3 as ScanId, gte: 'a', lt: 'b', limit: 2 }] : [];
    });
    state.page = () => Promise.resolve(undefined);
    driver.deliver(up);
    await turn();
    expect([seen, failures]).toEqual([[up], []]);
  });

  test('that falls behind holds all peers until it has caught up', async () => {
    const { driver, done, state } = startDriver(() => []);
    state.backlogBytes = 1e9;
    let written = () => {};
    state.flush = () =>
      new Promise<void>((resolve) => {
        written = resolve;
      });
    driver.deliver(up);
    driver.deliver(up);
    expect(done).toEqual(['hold true']);
    written();
    await turn();
    expect(done).toEqual(['hold true', 'hold false']);
  });
});

describe('a failure', () => {
  test('of the core ends everything, once', () => {
    const seen: Event[] = [];
    const { driver, failures } = startDriver((event) => {
      seen.push(event);
      throw new Error('a bug');
    });
    driver.deliver(up);
    driver.deliver(down);
    driver.fail(new Error('another'));
    expect(seen).toEqual([up]);
    expect(failures).toEqual(['a bug']);
  });

  test('lets none of the remaining actions out once the core has found damage', () => {
    const { driver, done, failures } = startDriver(() => [
      { type: 'notice', notice: { kind: 'damaged', message: 'a value is damaged' } },
      { type: 'send', peer, bytes: new Uint8Array(1) },
    ]);
    driver.deliver(up);
    expect(failures).toEqual(['a value is damaged']);
    expect(done).toEqual([]);
  });

  test('of a write or a scan ends everything', async () => {
    const reply = (event: Event): readonly Action[] =>
      event.type === 'request' ? [{ type: 'reply', request: event.request, outcome: ok('1') }] : [];
    const first = startDriver(reply);
    first.state.flush = () => Promise.reject(new Error('no space left'));
    first.driver.call('m', [], () => {
      throw new Error('answered');
    });
    await turn();
    expect(first.failures).toEqual(['no space left']);

    const second = startDriver(() => [{ type: 'scan', scan: 1 as ScanId, gte: 'a', lt: 'b', limit: 1 }]);
    second.state.page = () => Promise.reject(new StoreDamage('a wrong checksum'));
    second.driver.deliver(up);
    await turn();
    expect(second.failures).toEqual(['a wrong checksum']);
  });
});
