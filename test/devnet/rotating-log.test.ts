/** Logs of bounded size: what is kept, in which file, and that no line is lost or cut. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { KEPT_LOGS, logFiles, RotatingLog } from '../../devnet/rotating-log.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const text = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const turn = () => new Promise((go) => setImmediate(go));

describe('a rotating log', () => {
  test('goes on behind what is there, and names its files oldest first', async () => {
    const path = join(newFolder(), 'node.log');
    writeFileSync(path, 'old\n');
    const log = new RotatingLog(path, 100);
    log.write('new');
    await turn();
    expect(text(path)).toBe('old\nnew\n');
    log.close();
    expect(logFiles(path).map((file) => file.slice(path.length))).toEqual(['.3', '.2', '.1', '']);
  });

  test('keeps every line whole and in order over several files, none above the bound', async () => {
    const path = join(newFolder(), 'node.log');
    const log = new RotatingLog(path, 100);
    const lines = Array.from({ length: 25 }, (_, index) => `line ${String(index).padStart(3, '0')}`);
    for (const [index, line] of lines.entries()) {
      log.write(line);
      if (index % 3 === 0) await turn();
    }
    log.close();
    expect(logFiles(path).map(text).join('')).toBe(lines.map((line) => `${line}\n`).join(''));
    for (const file of logFiles(path).filter(existsSync)) expect(statSync(file).size).toBeLessThanOrEqual(100);
    expect(existsSync(`${path}.2`)).toBe(true);
  });

  test('forgets the oldest file when there are too many', () => {
    const path = join(newFolder(), 'node.log');
    const log = new RotatingLog(path, 10);
    for (let index = 0; index < 9; index++) log.write(`number ${index}`);
    log.close();
    expect(logFiles(path).map(text)).toEqual(['number 5\n', 'number 6\n', 'number 7\n', 'number 8\n']);
    expect(existsSync(`${path}.${KEPT_LOGS + 1}`)).toBe(false);
  });

  test('a line longer than the bound has a file of its own', () => {
    const path = join(newFolder(), 'node.log');
    const log = new RotatingLog(path, 10);
    log.write('short');
    log.write('much longer than ten');
    log.write('short');
    log.close();
    expect(logFiles(path).map(text)).toEqual(['', 'short\n', 'much longer than ten\n', 'short\n']);
  });

  test('costs nothing but the log where it cannot be written', async () => {
    const folder = newFolder();
    const log = new RotatingLog(join(folder, 'gone', 'node.log'), 10);
    log.write('nowhere');
    await turn();
    mkdirSync(join(folder, 'gone'));
    log.write('here');
    log.close();
    expect(text(join(folder, 'gone', 'node.log'))).toBe('here\n');
    rmSync(folder, { recursive: true });
  });
});
