/** Lines of the log, and events and actions as text in it. */
import { describe, expect, test } from '@jest/globals';
import type { DialId, JobId, PeerId, RequestId, ScanId } from '../../../node/boundary.ts';
import { lineLogger, silentLogger } from '../../../node/runtime/log.ts';
import { describeAction, describeEvent, targetText } from '../../../node/runtime/trace.ts';

describe('the log', () => {
  test('is text for people: time, message, fields', () => {
    const lines: string[] = [];
    const logger = lineLogger((line) => lines.push(line), 'text', 'info');
    logger.log('info', 'tip', { height: 7, hash: 'ab', peer: undefined });
    logger.log('warn', 'careful');
    logger.log('debug', 'not this');
    expect(lines.map((line) => line.replace(/^[\d:.]{12}/, 'TIME'))).toEqual([
      'TIME tip height=7 hash=ab\n',
      'TIME warn careful\n',
    ]);
    expect(logger.debugging).toBe(false);
  });

  test('shows what would end its line or steer a terminal by number', () => {
    const lines: string[] = [];
    lineLogger((line) => lines.push(line), 'text', 'info').log('info', 'x', { worker: 'a\nb\u001b[2J\u202ec é' });
    expect(lines[0]?.slice(13)).toBe('x worker=a\\u{a}b\\u{1b}[2J\\u{202e}c é\n');
  });

  test('is one JSON document a line for programs', () => {
    const lines: string[] = [];
    const logger = lineLogger((line) => lines.push(line), 'json', 'debug');
    logger.log('debug', 'two\nlines', { count: 1 });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'debug', message: 'two\nlines', count: 1 });
    expect(logger.debugging).toBe(true);
    expect(silentLogger.debugging).toBe(false);
  });
});

describe('events and actions in the log', () => {
  const peer = 3 as PeerId;

  test('show bytes by their length and endpoints as people write them', () => {
    expect(describeEvent({ type: 'bytes', peer, bytes: new Uint8Array(24) })).toBe('> bytes peer=3 bytes=24B');
    expect(
      describeEvent({
        type: 'link-up',
        peer,
        direction: 'outbound',
        transport: 'ws',
        remote: { host: '::1', port: 5 },
        local: { host: '127.0.0.1', port: 6 },
        dial: 1 as DialId,
      }),
    ).toBe('> link-up peer=3 direction=outbound transport=ws remote=[::1]:5 local=127.0.0.1:6 dial=1');
    const target = { transport: 'wss', host: 'example.com', port: 443, path: '/peer' } as const;
    expect(targetText(target)).toBe('wss://example.com:443/peer');
    expect(describeAction({ type: 'dial', dial: 2 as DialId, target })).toBe(
      '< dial dial=2 target=wss://example.com:443/peer',
    );
    expect(describeAction({ type: 'verify', job: 4 as JobId, checks: new Uint8Array(256) })).toBe(
      '< verify job=4 checks=256B',
    );
  });

  test('show rows by their number, and what is long only in part', () => {
    const rows = [{ key: 'a', value: new Uint8Array(1) }];
    expect(describeEvent({ type: 'scanned', scan: 1 as ScanId, rows, done: true })).toBe(
      '> scanned scan=1 rows=[1] done=true',
    );
    const request = 1 as RequestId;
    const long = describeAction({ type: 'reply', request, outcome: { ok: true, json: 'x'.repeat(10_000) } });
    expect(long.length).toBeLessThan(300);
  });
});
