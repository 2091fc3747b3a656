/** What `--lan` tells the local network of. */
import { describe, expect, test } from '@jest/globals';
import { lanPlan } from '../../../node/commands/lan-plan.ts';

describe('the plan', () => {
  const at = (...texts: readonly string[]) =>
    texts.map((text) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.split(':').at(-1)) }));

  test.each([
    [['0.0.0.0:5'], false, { interfaceAddress: undefined, ports: [5] }],
    [[':::5', '127.0.0.1:6'], false, { interfaceAddress: undefined, ports: [5] }],
    [['127.0.0.1:6', '192.168.1.2:5', '10.0.0.1:7'], true, { interfaceAddress: '192.168.1.2', ports: [5] }],
    [['localhost:6', '127.0.0.1:7'], true, { interfaceAddress: '127.0.0.1', ports: [6, 7] }],
    [['127.0.0.1:6'], false, undefined],
    [['::1:6'], true, undefined],
    [[], true, undefined],
  ] as const)('for %j, this machine will do: %j', (listeners, machineOnly, plan) => {
    expect(lanPlan(at(...listeners), machineOnly)).toEqual(plan);
  });
});
