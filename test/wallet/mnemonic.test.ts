/** Words that somebody typed: what is read, and which mistake is named how. */
import { describe, expect, test } from '@jest/globals';
import { readMnemonic } from '../../wallet/mnemonic.ts';

const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow';

async function mistake(text: string): Promise<unknown> {
  const read = await readMnemonic(text);
  return read.ok ? undefined : read.error;
}

describe('typed words', () => {
  test('are read in any case and with any white space between them', async () => {
    const typed = `  ${WORDS.toUpperCase().replaceAll(' ', '\n\t ')}\r\n`;
    expect(await readMnemonic(typed)).toEqual({ ok: true, value: WORDS });
  });

  test('of every length that BIP 39 knows are taken', async () => {
    for (const words of [
      `${'abandon '.repeat(14)}address`,
      `${'abandon '.repeat(17)}agent`,
      `${'abandon '.repeat(20)}admit`,
      `${'abandon '.repeat(23)}art`,
    ]) {
      expect(await readMnemonic(words)).toEqual({ ok: true, value: words });
    }
  });

  test.each([
    ['winer', ['wine', 'winner', 'winter']],
    ['winnre', ['winner', 'dinner', 'inner']],
    ['abandn', ['abandon']],
    ['satos', ['satoshi', 'atom', 'salon']],
    ['qqqqqqqq', []],
    ['a'.repeat(5000), []],
    ['7', []],
  ])('the wrong word %s is named with its place and %j', async (wrong, near) => {
    const text = WORDS.replace('winner', wrong);
    expect(await mistake(text)).toEqual({ type: 'words', wrong: [{ position: 2, word: wrong, near }] });
  });

  test('that are no words at all are not all named', async () => {
    expect(await mistake('x '.repeat(1000))).toMatchObject({ type: 'words', wrong: { length: 3 } });
  });

  test('that are too few, too many or none are counted', async () => {
    expect(await mistake(WORDS.split(' ').slice(1).join(' '))).toEqual({ type: 'count', count: 11 });
    expect(await mistake(`${WORDS} zoo`)).toEqual({ type: 'count', count: 13 });
    expect(await mistake('')).toEqual({ type: 'count', count: 0 });
  });

  test('of which two have changed places, or one is another word, have a wrong checksum', async () => {
    expect(await mistake(WORDS.replace('legal winner', 'winner legal'))).toEqual({ type: 'checksum' });
    expect(await mistake(WORDS.replace('yellow', 'zoo'))).toEqual({ type: 'checksum' });
  });
});
