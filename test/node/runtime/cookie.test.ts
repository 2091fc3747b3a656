/** The cookie file: new each time, for its owner only, removed only if it is still ours. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { removeCookie, writeCookie } from '../../../node/runtime/cookie.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();

describe('the cookie', () => {
  test('is a new password each time, which only its owner can read', () => {
    const folder = newFolder();
    const path = join(folder, '.cookie');
    const first = writeCookie(path);
    expect(first).toMatch(/^__cookie__:[0-9a-f]{64}$/);
    expect(readFileSync(path, 'utf8')).toBe(first);
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(writeCookie(path)).not.toBe(first);
    expect(readdirSync(folder)).toEqual(['.cookie']);
  });

  test('replaces what a crash has left behind', () => {
    const path = join(newFolder(), '.cookie');
    writeFileSync(path, 'old');
    writeFileSync(`${path}.new`, 'half');
    const cookie = writeCookie(path);
    expect(readFileSync(path, 'utf8')).toBe(cookie);
  });

  test('is removed, but not one that another node has written meanwhile', () => {
    const path = join(newFolder(), '.cookie');
    const first = writeCookie(path);
    const second = writeCookie(path);
    removeCookie(path, first);
    expect(existsSync(path)).toBe(true);
    removeCookie(path, second);
    expect(existsSync(path)).toBe(false);
    removeCookie(path, second);
  });
});
