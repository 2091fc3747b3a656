/** The queue of what a peer has asked for: nothing is lost or changed in it, and it takes no more memory than it must. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PeerId } from '../../../node/boundary.ts';
import { localLimits } from '../../../node/limits.ts';
import { Serving } from '../../../node/sync/serving.ts';
import type { Inventory } from '../../../node/wire/message.ts';

const peer = 1 as PeerId;
const item = (index: number): Inventory => ({
  kind: index % 3 === 0 ? 0x40000002 : index,
  hash: index.toString(16).padStart(64, '0'),
});

function serving(): Serving {
  const made = new Serving(localLimits);
  made.add(peer);
  return made;
}

test('what is asked for in any portions is given out in that order', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ asked: fc.nat(40), taken: fc.nat(40) }), { maxLength: 30 }), (steps) => {
      const machine = serving();
      const model: Inventory[] = [];
      let made = 0;
      for (const { asked, taken } of steps) {
        const items = Array.from({ length: asked }, () => item(made++));
        expect(machine.onGetdata(peer, items)).toBe(true);
        model.push(...items);
        for (let i = 0; i < taken; i++) expect(machine.next(peer)).toEqual(model.shift());
        expect(machine.pending(peer)).toBe(model.length);
      }
    }),
    { seed: 6, numRuns: 200 },
  );
});

test('a full message that waits takes its bytes and no more, and nothing once it is served', () => {
  const machine = serving();
  const items = Array.from({ length: localLimits.maxInvPerMessage }, (_, index) => item(index));
  expect(machine.onGetdata(peer, items)).toBe(true);
  expect(machine.memory(peer)).toBe(36 * items.length);
  expect(machine.onGetdata(peer, [item(0)])).toBe(false);
  while (machine.next(peer) !== undefined);
  expect(machine.memory(peer)).toBe(0);
});

test('many small requests of a peer that takes nothing stay within twice what they hold', () => {
  const machine = serving();
  let count = 0;
  while (machine.onGetdata(peer, [item(count)])) count++;
  expect(count).toBe(localLimits.maxInvPerMessage);
  expect(machine.memory(peer)).toBeLessThanOrEqual(2 * 36 * count);
});
