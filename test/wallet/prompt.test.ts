/** Questions on a terminal that is played by streams. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { askSecret, confirm, readPassword, type Terminal } from '../../wallet/prompt.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();

/** A terminal on which `typed` is typed, and what was shown on it. */
function play(typed: readonly string[], isTTY = true): { terminal: Terminal; shown: () => string; raw: boolean[] } {
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY,
    setRawMode(mode: boolean) {
      raw.push(mode);
      return input;
    },
  });
  const output = Object.assign(new PassThrough(), { isTTY });
  let shown = '';
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  for (const text of typed) input.write(text);
  return { terminal: { input, output } as unknown as Terminal, shown: () => shown, raw };
}

const source = (more: object = {}) => ({ passwordFile: undefined, question: 'password', repeat: false, ...more });

afterEach(() => {
  delete process.env['GRAPEVINE_PASSWORD'];
});

describe('a secret', () => {
  test('is read without being shown, and the terminal is set back', async () => {
    const { terminal, shown, raw } = play(['hunt', 'er2\r']);
    expect(await askSecret('password: ', terminal)).toBe('hunter2');
    expect(shown()).toBe('password: \n');
    expect(raw).toEqual([true, false]);
  });

  test('is asked for only when the terminal shows nothing any more', async () => {
    const { terminal } = play(['x\r']);
    const order: string[] = [];
    const { input, output } = terminal;
    input.setRawMode = (mode) => {
      order.push(`raw ${mode}`);
      return input;
    };
    output.write = (shown: unknown) => order.push(String(shown)) > 0;
    await askSecret('password: ', terminal);
    expect(order).toEqual(['raw true', 'password: ', '\n', 'raw false']);
  });

  test('can be corrected, and erased', async () => {
    expect(await askSecret('', play(['ax\u007fb\r']).terminal)).toBe('ab');
    expect(await askSecret('', play(['wrong\u0015right\n']).terminal)).toBe('right');
  });

  test.each(['abc\u0003', '\u0004'])('is cancelled by ctrl-C and ctrl-D', async (keys) => {
    const { terminal, raw } = play([keys]);
    await expect(askSecret('', terminal)).rejects.toMatchObject({ code: 'cancelled', exit: 1 });
    expect(raw).toEqual([true, false]);
  });

  test('is cancelled when the terminal goes away', async () => {
    const { terminal } = play(['half']);
    (terminal.input as unknown as PassThrough).end();
    await expect(askSecret('', terminal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('a question', () => {
  test.each([
    ['y\n', true],
    ['YES\n', true],
    ['n\n', false],
    ['\n', false],
    ['yep\n', false],
  ])('answered with %j is %s', async (typed, answer) => {
    expect(await confirm('send it?', play([typed]).terminal)).toBe(answer);
  });

  test('is cancelled by ctrl-C and at the end of input', async () => {
    await expect(confirm('send it?', play(['\u0003']).terminal)).rejects.toMatchObject({ code: 'cancelled' });
    const { terminal } = play([]);
    (terminal.input as unknown as PassThrough).end();
    await expect(confirm('send it?', terminal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('a password', () => {
  test('comes from the first line of a file, else from the environment', async () => {
    const file = join(newFolder(), 'password');
    writeFileSync(file, 'from file\nsecond line\n');
    process.env['GRAPEVINE_PASSWORD'] = 'from environment';
    const { terminal } = play([], false);
    expect(await readPassword(source({ passwordFile: file }), terminal)).toBe('from file');
    expect(await readPassword(source(), terminal)).toBe('from environment');
  });

  test('is asked for twice where it is new, pasted at once or not', async () => {
    expect(await readPassword(source({ repeat: true }), play(['one\r', 'one\r']).terminal)).toBe('one');
    expect(await readPassword(source({ repeat: true }), play(['one\rone\r']).terminal)).toBe('one');
    const differing = readPassword(source({ repeat: true }), play(['one\rtwo\r']).terminal);
    await expect(differing).rejects.toMatchObject({ code: 'password-differs' });
  });

  test('without a terminal and without a source is exit 5', async () => {
    const { terminal } = play([], false);
    await expect(readPassword(source(), terminal)).rejects.toMatchObject({ code: 'password-needed', exit: 5 });
  });

  test('that is empty, or in a file that is not there, is refused', async () => {
    await expect(readPassword(source(), play(['\r']).terminal)).rejects.toMatchObject({ code: 'password-empty' });
    const missing = source({ passwordFile: join(newFolder(), 'none') });
    await expect(readPassword(missing)).rejects.toMatchObject({ code: 'password-file', exit: 2 });
  });
});
