/** The parameter of setlink. */
import { describe, expect, test } from '@jest/globals';
import { RpcNode } from './rpc-node.ts';

describe('setlink', () => {
  const node = new RpcNode();
  const ask = (links: unknown) => node.ask('setlink', [{ links }]);

  test('takes slow links by the name of the peer', () => {
    expect(ask([{ name: 'n1', delay: 200, jitter: 50, bandwidth: 64_000 }, { name: 'n2' }])).toEqual({
      type: 'command',
      command: {
        type: 'set-links',
        rules: [
          { name: 'n1', delayMs: 200, jitterMs: 50, bitsPerSecond: 64_000 },
          { name: 'n2', delayMs: 0, jitterMs: 0, bitsPerSecond: undefined },
        ],
      },
    });
    expect(ask([])).toMatchObject({ command: { rules: [] } });
  });

  test.each([
    [undefined, 'Missing key links'],
    [['n1'], 'A link is an object'],
    [[{}], 'name of the peer'],
    [[{ name: 'n1', delay: '1' }], 'numbers'],
    [[{ name: 'n1', bandwidth: '1' }], 'number'],
    [[{ name: 'n1', loss: 1 }], 'Unexpected key loss'],
    [[{ name: 'n1', delay: -1 }], 'n1: a delay of -1 ms is out of range: 0 to 10000 ms are allowed'],
    [[{ name: 'n1', jitter: 1e9 }], 'out of range'],
    [[{ name: 'n1', bandwidth: 1 }], '1kbps to 10gbps'],
    [Array(1001).fill({ name: 'n1' }), 'At most 1000 links'],
  ])('refuses %j', (links, message) => {
    expect(ask(links)).toMatchObject({ code: -8, message: expect.stringContaining(message) });
  });
});
