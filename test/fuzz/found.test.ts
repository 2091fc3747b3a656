/** What the fuzzer has found: cases that failed once, as small as it could make them. */
import { describe, test } from '@jest/globals';
import { replay } from './targets.ts';

describe('found by fuzzing', () => {
  test('a template whose long poll id is an object without toString is refused, and no exception', () => {
    replay('template', [{ longpollid: { toString: null } }]);
  });

  test('an origin that URL.canParse accepts and URL does not is refused, and no exception', () => {
    replay('option', 'ws:\u00c3//');
  });
});
