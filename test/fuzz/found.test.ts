/** What the fuzzer has found: cases that failed once, as small as it could make them. */
import { describe, expect, test } from '@jest/globals';
import { Origins } from '../../node/runtime/origins.ts';
import { replay } from './targets.ts';

describe('found by fuzzing', () => {
  test('a template whose long poll id is an object without toString is refused, and no exception', () => {
    replay('template', [{ longpollid: { toString: null } }]);
  });

  // Node's URL.canParse takes such a text for UTF-8 once it is called so often that it is compiled, and new URL does not.
  test('an origin with bytes that are UTF-8 and no URL is refused, however often it comes', () => {
    const origins = new Origins([]);
    let allowed = 0;
    for (let i = 0; i < 30_000; i++) allowed += Number(origins.allow('ws:\u00c3\u0080//'));
    expect(allowed).toBe(0);
    replay('option', 'ws:\u00c3\u0080//');
  });
});
