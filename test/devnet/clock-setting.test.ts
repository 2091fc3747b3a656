import { describe, expect, test } from '@jest/globals';
import {
  type ClockSetting,
  changeClock,
  describeClock,
  EARLIEST_TIME,
  LATEST_TIME,
  REAL_CLOCK,
  readClockOrder,
  readClockSetting,
  readShift,
  shownTime,
} from '../../devnet/clock-setting.ts';

/** What the real clock shows in these tests. */
const NOW = 1_800_000_000;

describe('words behind "devnet time"', () => {
  test.each<[string, unknown]>([
    ['', { kind: 'show' }],
    ['+1h', { kind: 'move', seconds: 3600 }],
    ['-30m', { kind: 'move', seconds: -1800 }],
    ['+1d12h5s', { kind: 'move', seconds: 86_400 + 12 * 3600 + 5 }],
    ['+2w', { kind: 'move', seconds: 14 * 86_400 }],
    ['resume', { kind: 'resume' }],
    ['set 1893456000', { kind: 'set', unix: 1_893_456_000 }],
    ['set 2030-01-01', { kind: 'set', unix: 1_893_456_000 }],
    ['set 2030-01-01T12:30', { kind: 'set', unix: 1_893_456_000 + 45_000 }],
    ['set 2030-01-01 12:30', { kind: 'set', unix: 1_893_456_000 + 45_000 }],
    ['set 2030-01-01T12:30:07Z', { kind: 'set', unix: 1_893_456_000 + 45_007 }],
    ['set 2030-01-01T01:00+01:00', { kind: 'set', unix: 1_893_456_000 }],
  ])('"%s" is understood', (words, order) => {
    expect(readClockOrder(words.split(' ').filter((word) => word !== ''))).toEqual(order);
  });

  test.each([
    ['soon', 'is no time'],
    ['1h', 'is no time'],
    ['+', 'is no step in time'],
    ['+1', 'is no step in time'],
    ['+1x', 'is no step in time'],
    ['+0h', 'moves nothing'],
    ['+1h +1h', 'is no time'],
    ['set', 'is no time'],
    ['set tomorrow', 'is no date'],
    ['set 2030-13-01', 'is no date'],
    ['set 2030-02-30', 'is no date'],
    ['set 2030-01-01T25:00', 'is no date'],
    ['resume now', 'is no time'],
  ])('"%s" is refused', (words, message) => {
    expect(() => readClockOrder(words.split(' '))).toThrow(message);
  });
});

describe('the clock of a devnet', () => {
  const after = (setting: ClockSetting, ...words: string[]) => changeClock(setting, readClockOrder(words), NOW);

  test('is moved step by step and runs on', () => {
    const ahead = after(REAL_CLOCK, '+1h');
    expect(ahead).toEqual({ kind: 'moved', seconds: 3600 });
    expect([shownTime(ahead, NOW), shownTime(ahead, NOW + 9)]).toEqual([NOW + 3600, NOW + 3609]);
    expect(after(ahead, '-2h')).toEqual({ kind: 'moved', seconds: -3600 });
    expect(after(ahead, '-1h')).toEqual(REAL_CLOCK);
  });

  test('stands still where it was set, also after a step, until it is resumed', () => {
    const fixed = after(after(REAL_CLOCK, '+1h'), 'set', String(NOW + 100));
    expect([shownTime(fixed, NOW), shownTime(fixed, NOW + 9)]).toEqual([NOW + 100, NOW + 100]);
    expect(after(fixed, '-40s')).toEqual({ kind: 'fixed', unix: NOW + 60 });
    expect(after(fixed, 'resume')).toEqual(REAL_CLOCK);
  });

  test('shows no time that no block can have', () => {
    expect(after(REAL_CLOCK, 'set', String(EARLIEST_TIME))).toEqual({ kind: 'fixed', unix: EARLIEST_TIME });
    expect(after(REAL_CLOCK, 'set', String(LATEST_TIME))).toEqual({ kind: 'fixed', unix: LATEST_TIME });
    for (const unix of [EARLIEST_TIME - 1, LATEST_TIME + 1]) {
      expect(() => after(REAL_CLOCK, 'set', String(unix))).toThrow('no block can have the time');
    }
    expect(() => after(REAL_CLOCK, '+5200w')).toThrow('no block can have the time');
  });

  test('is said in words', () => {
    expect(describeClock(REAL_CLOCK)).toBe('shows real time');
    expect(describeClock({ kind: 'moved', seconds: readShift('-1d2h3m4s') })).toBe('is 1d2h3m4s behind and runs');
    expect(describeClock({ kind: 'fixed', unix: NOW })).toBe('stands still');
  });

  test('is read back from a file, and from nothing else', () => {
    for (const setting of [REAL_CLOCK, { kind: 'moved', seconds: -5 }, { kind: 'fixed', unix: NOW }] as const) {
      expect(readClockSetting(JSON.parse(JSON.stringify(setting)))).toEqual(setting);
    }
    for (const value of [null, 7, {}, { kind: 'moved' }, { kind: 'fixed', unix: 'now' }]) {
      expect(readClockSetting(value)).toBeUndefined();
    }
  });
});
