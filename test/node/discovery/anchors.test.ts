import { describe, expect, test } from '@jest/globals';
import type { DialTarget } from '../../../node/boundary.ts';
import { encodeAnchors, readAnchors } from '../../../node/discovery/anchors.ts';
import { StoreDamage } from '../../../node/ports.ts';

const anchors: readonly DialTarget[] = [
  { transport: 'ws', host: '1.2.3.4', port: 8333 },
  { transport: 'tcp', host: '2600::1', port: 1 },
  { transport: 'wss', host: 'a.example', port: 65_535, path: '/x' },
];
const bytes = (text: string) => new TextEncoder().encode(text);
const target = (changes: object) => JSON.stringify([{ ...anchors[0], ...changes }]);

describe('anchors', () => {
  test('come back as they were', () => {
    expect(readAnchors(encodeAnchors(anchors) ?? undefined)).toEqual(anchors);
  });

  test('that are none have no row', () => {
    expect(encodeAnchors([])).toBeNull();
    expect(readAnchors(undefined)).toEqual([]);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', '[{'],
    ['no list', '{}'],
    ['null', 'null'],
    ['a list of something else', '[null]'],
    ['a list of texts', '["1.2.3.4:8333"]'],
    ['no transport', target({ transport: undefined })],
    ['an unknown transport', target({ transport: 'udp' })],
    ['no host', target({ host: undefined })],
    ['a host that is no text', target({ host: 1 })],
    ['port 0', target({ port: 0 })],
    ['a port that is too large', target({ port: 65_536 })],
    ['a port that is no whole number', target({ port: 8333.5 })],
    ['a port that is a text', target({ port: '8333' })],
    ['a path that is no text', target({ path: 1 })],
    ['one good and one bad', JSON.stringify([anchors[0], {}])],
  ])('a row with %s is damage', (_name, text) => {
    expect(() => readAnchors(bytes(text))).toThrow(new StoreDamage('the record nanchors cannot be read'));
    expect(() => readAnchors(bytes(text))).toThrow(StoreDamage);
  });
});
