/** The built program: a wallet that is unlocked by one command, used by others, and locked again. */
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow';

const program = resolve(import.meta.dirname, '../../dist/program/grapevine.js');

/** Runs a command in a session folder of its own, until nobody holds its output any more. */
async function runIn(runtime: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, 'wallet', ...args], {
    env: { XDG_RUNTIME_DIR: runtime },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number>((settle) => child.once('close', (code) => settle(code ?? -1)));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

describe('an unlocked wallet', () => {
  test('is kept open by a process of its own, which lets go of its parent and ends with the lock', async () => {
    const datadir = newFolder();
    const runtime = newFolder();
    const password = join(datadir, 'password');
    const words = join(datadir, 'words');
    writeFileSync(password, 'correct horse\n');
    writeFileSync(words, WORDS);
    const wallet = (...args: string[]) => runIn(runtime, ...args, '--datadir', datadir, '--json');
    const made = await wallet('import', 'savings', '--mnemonic-file', words, '--password-file', password);
    expect([made.code, made.stderr]).toEqual([0, '']);
    const keys = async () => (JSON.parse((await wallet('list')).stdout) as { keys: string }[])[0]?.keys;
    expect(await keys()).toBe('locked');

    const unlocked = await wallet('unlock', '--for', '1m', '--password-file', password);
    expect([unlocked.code, unlocked.stderr]).toEqual([0, '']);
    try {
      expect(await keys()).toBe('unlocked');
      expect(readdirSync(join(runtime, 'grapevine'))).toEqual([expect.stringMatching(/^[0-9a-f]{16}\.sock$/)]);
    } finally {
      expect(JSON.parse((await wallet('lock')).stdout)).toMatchObject({ locked: true, ended: 1 });
    }
    expect(await keys()).toBe('locked');
    expect(readdirSync(join(runtime, 'grapevine'))).toEqual([]);
  });
});
