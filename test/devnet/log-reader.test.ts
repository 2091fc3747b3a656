import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { mergedLines, type NodeLine, NodeLog } from '../../devnet/log-reader.ts';
import { describeLine, lastOf, lineJson } from '../../devnet/logs.ts';
import { RotatingLog } from '../../devnet/rotating-log.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const opened: NodeLog[] = [];

afterEach(() => {
  for (const log of opened.splice(0)) log.close();
});

function open(node: string, path: string): NodeLog {
  const log = new NodeLog(node, path);
  opened.push(log);
  return log;
}

/** A line of a log at so many milliseconds after one moment. */
function line(ms: number, message: string): string {
  return JSON.stringify({ time: new Date(1_800_000_000_000 + ms).toISOString(), level: 'info', message });
}

function messages(logs: readonly NodeLog[]): string[] {
  return [...mergedLines(logs)].map(({ node, text }) => `${node} ${/"message":"([^"]*)"/.exec(text)?.[1] ?? text}`);
}

describe('logs of several nodes', () => {
  test('are one stream in the order of their times', () => {
    const folder = newFolder();
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    writeFileSync(a, `${line(1, 'one')}\n${line(4, 'four')}\nno JSON\n${line(6, 'six')}\n`);
    writeFileSync(b, `${line(2, 'two')}\n${line(4, 'also four')}\n${line(5, 'five')}\n`);
    const logs = [open('n0', a), open('n1', b)];
    expect(messages(logs)).toEqual(['n0 one', 'n1 two', 'n0 four', 'n0 no JSON', 'n1 also four', 'n1 five', 'n0 six']);
    expect(messages(logs)).toEqual([]);
  });

  test('are followed while they grow, lines whole', () => {
    const path = join(newFolder(), 'log');
    const log = open('n0', path);
    expect(messages([log])).toEqual([]);
    writeFileSync(path, `${line(1, 'one')}\n${line(2, 'two').slice(0, 20)}`);
    expect(messages([log])).toEqual(['n0 one']);
    appendFileSync(path, `${line(2, 'two').slice(20)}\n`);
    expect(messages([log])).toEqual(['n0 two']);
  });

  test('are followed while they are put aside, and read from the oldest file on', () => {
    const path = join(newFolder(), 'log');
    const size = line(0, 'message 00').length + 1;
    const writer = new RotatingLog(path, 3 * size);
    const follower = open('n0', path);
    const followed: string[] = [];
    for (let at = 0; at < 10; at++) {
      writer.write(line(at, `message 0${at}`));
      writer.close();
      // Not after every line: the file changes in between.
      if (at % 2 === 1) followed.push(...messages([follower]));
    }
    const all = Array.from({ length: 10 }, (_, at) => `n0 message 0${at}`);
    expect(followed).toEqual(all);
    expect(messages([open('n0', path)])).toEqual(all);
  });

  test('go on with the files of a node that begins anew', () => {
    const folder = newFolder();
    const path = join(folder, 'log');
    writeFileSync(path, `${line(1, 'old')}\n`);
    const log = open('n0', path);
    expect(messages([log])).toEqual(['n0 old']);
    // As a rename does: another file under the same name.
    new RotatingLog(path, 1).write(line(2, 'new'));
    return new Promise<void>((settle) => setImmediate(settle)).then(() => expect(messages([log])).toEqual(['n0 new']));
  });

  test('that have lines longer than a piece of a file lose none of them', () => {
    const path = join(newFolder(), 'log');
    const long = 'x'.repeat(600_000);
    writeFileSync(path, `${line(1, 'one')}\n${line(2, long)}\n${line(3, 'three')}\n`);
    expect(messages([open('n0', path)])).toEqual(['n0 one', `n0 ${long}`, 'n0 three']);
  });
});

describe('lines of logs', () => {
  const lines = Array.from({ length: 5000 }, (_, at): NodeLine => ({ node: 'n0', time: '', text: String(at) }));

  test('are all shown, or only the last that are wanted', () => {
    expect([...lastOf(lines, () => true, undefined)]).toHaveLength(5000);
    const even = ({ text }: NodeLine) => Number(text) % 2 === 0;
    expect([...lastOf(lines, even, 3)].map(({ text }) => text)).toEqual(['4994', '4996', '4998']);
    expect([...lastOf(lines, even, 0)]).toEqual([]);
  });

  test('are text for people, and JSON with the node in front', () => {
    const time = '2027-01-15T08:00:00.123Z';
    const of = (text: string): NodeLine => ({ node: 'n1', time, text });
    const warning = of(`{"time":"${time}","level":"warn","message":"tip","height":7,"at":{"x":1}}`);
    expect(describeLine(warning)).toBe('08:00:00.123 n1  warn tip height=7 at={"x":1}');
    expect(JSON.parse(lineJson(warning))).toEqual({
      node: 'n1',
      time,
      level: 'warn',
      message: 'tip',
      height: 7,
      at: { x: 1 },
    });
    expect(describeLine(of('{"cut'))).toBe('08:00:00.123 n1  {"cut');
    expect(JSON.parse(lineJson(of('oops')))).toEqual({ node: 'n1', time, message: 'oops' });
  });
});
