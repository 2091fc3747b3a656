/** Events before there is a driver: none is lost, none is overtaken. */
import { expect, test } from '@jest/globals';
import type { DialId, Event } from '../../../node/boundary.ts';
import { EarlyEvents } from '../../../node/commands/early-events.ts';

const event = (dial: number): Event => ({ type: 'dial-failed', dial: dial as DialId, reason: '' });

test('events that came before the driver are delivered to it before any other, in their order', () => {
  const events = new EarlyEvents();
  const delivered: Event[] = [];
  events.emit(event(1));
  events.emit(event(2));
  events.open({
    deliver(given) {
      delivered.push(given);
      // What follows from an early event comes after all of them.
      if (delivered.length === 1) events.emit(event(3));
    },
  });
  events.emit(event(4));
  expect(delivered).toEqual([1, 2, 3, 4].map(event));
});
