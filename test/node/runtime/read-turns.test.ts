/** Who is read from next, by what each has taken. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type Reader, ReadTurns } from '../../../node/runtime/read-turns.ts';

const LONG_MS = 2;

/** Readers that rest and go on, and in which order they went on since the last look. */
function turns() {
  const went: Reader[] = [];
  const machine = new ReadTurns((reader) => {
    if (!reader.resting) went.push(reader);
  });
  return { machine, take: () => went.splice(0) };
}

test('who takes little of time and bytes between two rests never waits, and who takes more rests for a turn', async () => {
  const { machine, take } = turns();
  const reader = machine.add();
  machine.onRead(reader, 1000, 0.1);
  expect(reader.resting).toBe(false);
  machine.onRead(reader, 1000, 1);
  expect(reader.resting).toBe(true);
  await nextTurn();
  expect(take()).toEqual([reader]);
  expect(reader.resting).toBe(false);
  machine.onRead(reader, 1_000_000, 0);
  expect(reader.resting).toBe(true);
});

test('of many that rest only some go on in a turn, and in the end each as often as any other', async () => {
  const { machine, take } = turns();
  const readers = Array.from({ length: 10 }, () => machine.add());
  for (const reader of readers) machine.onRead(reader, 1, LONG_MS);
  const times = new Map(readers.map((reader) => [reader, 0]));
  for (let turn = 0; turn < 50; turn++) {
    await nextTurn();
    const went = take();
    expect(went).toHaveLength(2);
    for (const reader of went) {
      times.set(reader, (times.get(reader) ?? 0) + 1);
      machine.onRead(reader, 1, LONG_MS);
    }
  }
  expect([...times.values()]).toEqual(readers.map(() => 10));
});

test('a cheap one waits for one turn behind many dear ones, and a dear one has as much time as the others', async () => {
  const { machine, take } = turns();
  const dear = Array.from({ length: 10 }, () => machine.add());
  for (const reader of dear) machine.onRead(reader, 1, 20);
  for (let turn = 0; turn < 30; turn++) {
    await nextTurn();
    for (const reader of take()) machine.onRead(reader, 1, 20);
  }
  const cheap = machine.add();
  machine.onRead(cheap, 1, 0.6);
  await nextTurn();
  expect(take()).toContain(cheap);
});

test('one that has ended does not go on', async () => {
  const { machine, take } = turns();
  const [first, second] = [machine.add(), machine.add()];
  for (const reader of [first, second]) machine.onRead(reader, 1, LONG_MS);
  machine.remove(first);
  await nextTurn();
  expect(take()).toEqual([second]);
});
