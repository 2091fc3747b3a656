/** The end of a process: everything that was opened is closed, whatever fails on the way. */
import { expect, test } from '@jest/globals';
import { closeAll } from '../../../node/commands/closers.ts';

test('closes in reverse order, goes on after a failure, and tells all failures', async () => {
  const closed: string[] = [];
  const errors = await closeAll([
    () => closed.push('directory'),
    () => Promise.reject(new Error('a thread')),
    async () => {
      await Promise.resolve();
      closed.push('transport');
    },
    () => {
      throw new Error('the port');
    },
    () => closed.push('driver'),
  ]);
  expect(closed).toEqual(['driver', 'transport', 'directory']);
  expect(errors.map(String)).toEqual(['Error: the port', 'Error: a thread']);
});

test('has nothing to tell if all goes well', async () => {
  expect(await closeAll([])).toEqual([]);
  expect(await closeAll([() => undefined])).toEqual([]);
});
