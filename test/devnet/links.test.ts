/** What `devnet link` understands, and what each node is told of the slow links. */
import { describe, expect, test } from '@jest/globals';
import { checkLinkOrder, describeShape, type LinkTexts, readLinkOrder, SlowLinks } from '../../devnet/links.ts';
import type { CliError } from '../../node/commands/cli.ts';

function refusal(texts: LinkTexts): { exit: number; text: string } {
  try {
    readLinkOrder(texts);
  } catch (error) {
    const { exit, message, hint } = error as CliError;
    return { exit, text: `${message}; ${hint}` };
  }
  throw new Error('it was accepted');
}

describe('the options of link', () => {
  test('are times and bits per second', () => {
    expect(readLinkOrder({ delay: '200ms', jitter: '50ms', bandwidth: '64kbps' })).toEqual({
      delayMs: 200,
      jitterMs: 50,
      bitsPerSecond: 64_000,
    });
    expect(readLinkOrder({ delay: '1.5s' })).toEqual({ delayMs: 1500, jitterMs: 0, bitsPerSecond: null });
    expect(readLinkOrder({ bandwidth: '1.5Mbps' })).toMatchObject({ bitsPerSecond: 1_500_000 });
    expect(readLinkOrder({ reset: true })).toBeNull();
  });

  test.each([
    [{ delay: '-5ms' }, '0ms to 10s'],
    [{ delay: '11s' }, '0ms to 10s'],
    [{ delay: '5 parsecs' }, '0ms to 10s'],
    [{ jitter: '-1ms' }, '0ms to 10s'],
    [{ jitter: '1h' }, '0ms to 10s'],
    [{ bandwidth: '0bps' }, '1kbps to 10gbps'],
    [{ bandwidth: '-64kbps' }, '1kbps to 10gbps'],
    [{ bandwidth: '64' }, '1kbps to 10gbps'],
    [{ bandwidth: '11gbps' }, '1kbps to 10gbps'],
    [{}, '--delay, --jitter or --bandwidth, or --reset'],
    [{ delay: '1s', reset: true }, '--reset goes alone'],
  ] as const)('%j is a usage error that names what is allowed', (texts, allowed) => {
    const { exit, text } = refusal(texts);
    expect(exit).toBe(2);
    expect(text).toContain(allowed);
  });

  test('are checked too where they come as numbers', () => {
    const order = { delayMs: 1, jitterMs: 2, bitsPerSecond: null };
    expect(checkLinkOrder(order)).toEqual(order);
    expect(() => checkLinkOrder({ ...order, delayMs: -1 })).toThrow('out of range');
    expect(() => checkLinkOrder({ ...order, jitterMs: Number.NaN })).toThrow('out of range');
    expect(() => checkLinkOrder({ ...order, bitsPerSecond: 1 })).toThrow('out of range');
  });
});

describe('slow links', () => {
  const slow = { delayMs: 200, jitterMs: 50, bitsPerSecond: 64_000 };
  const fast = { delayMs: 0, jitterMs: 0, bitsPerSecond: null };

  test('are told to both ends, each with the name of the other', () => {
    const links = new SlowLinks();
    links.set('n0', 'n1', slow);
    links.set('n2', 'n1', { ...fast, delayMs: 7 });
    expect(links.rulesFor('n0')).toEqual({ links: [{ name: 'n1', delay: 200, jitter: 50, bandwidth: 64_000 }] });
    expect(links.rulesFor('n1').links.map(({ name }) => name)).toEqual(['n0', 'n2']);
    expect(links.rulesFor('n2')).toEqual({ links: [{ name: 'n1', delay: 7, jitter: 0 }] });
    expect(links.rulesFor('n3')).toEqual({ links: [] });
  });

  test('are one link whichever end is named first', () => {
    const links = new SlowLinks();
    links.set('n0', 'n1', slow);
    links.set('n1', 'n0', { ...slow, delayMs: 9 });
    expect(links.list()).toEqual([{ a: 'n1', b: 'n0', ...slow, delayMs: 9 }]);
    links.set('n0', 'n1', null);
    expect(links.list()).toEqual([]);
  });

  test('are described in the units that people write', () => {
    expect(describeShape(slow)).toBe('200ms delay, 50ms jitter, 64kbps');
    expect(describeShape({ ...fast, delayMs: 1500 })).toBe('1.5s delay');
    expect(describeShape(fast)).toBe('no delay');
  });
});
