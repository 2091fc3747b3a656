/** Addresses in options: what is understood, and what is refused with the name of its option. */
import { describe, expect, test } from '@jest/globals';
import { readDialTarget, readEndpoint, readListen } from '../../../node/commands/addresses.ts';
import { CliError } from '../../../node/commands/cli.ts';

/** The usage error that it throws. */
function refusal(read: () => unknown): CliError {
  try {
    read();
  } catch (error) {
    if (error instanceof CliError && error.exit === 2 && error.hint !== undefined) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('--rpc', () => {
  test.each([
    ['127.0.0.1:18443', { host: '127.0.0.1', port: 18443 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    [':8332', { host: '127.0.0.1', port: 8332 }],
    ['[::1]:1', { host: '::1', port: 1 }],
  ])('takes %s', (text, endpoint) => {
    expect(readEndpoint(text, '--rpc')).toEqual(endpoint);
  });

  test.each(['', '127.0.0.1', '18443', 'host:', 'host:x', 'host:65536', '::1:5', 'http://host:1', 'a b:1', 'host:-1'])(
    'refuses "%s"',
    (text) => {
      expect(refusal(() => readEndpoint(text, '--rpc')).message).toContain('--rpc');
    },
  );
});

describe('--listen', () => {
  test.each([
    ['ws://127.0.0.1:18444', { host: '127.0.0.1', port: 18444 }],
    ['ws://0.0.0.0:0/', { host: '0.0.0.0', port: 0 }],
    ['tcp://[::]:7', { host: '::', port: 7 }],
    ['localhost:7', { host: 'localhost', port: 7 }],
  ])('takes %s', (text, endpoint) => {
    expect(readListen(text)).toEqual(endpoint);
  });

  test.each(['wss://127.0.0.1:1', 'http://127.0.0.1:1', 'ws://127.0.0.1', 'ws://127.0.0.1:1/path', 'ws://'])(
    'refuses "%s"',
    (text) => {
      expect(refusal(() => readListen(text)).message).toContain('--listen');
    },
  );
});

describe('--connect', () => {
  test('takes URLs of all transports, and HOST:PORT as TCP', () => {
    expect(readDialTarget('ws://127.0.0.1:5', 9)).toEqual({ transport: 'ws', host: '127.0.0.1', port: 5 });
    expect(readDialTarget('wss://example.com/peer', 9)).toEqual({
      transport: 'wss',
      host: 'example.com',
      port: 443,
      path: '/peer',
    });
    expect(readDialTarget('tcp://[::1]:5', 9)).toEqual({ transport: 'tcp', host: '::1', port: 5 });
    expect(readDialTarget('example.com', 9)).toEqual({ transport: 'tcp', host: 'example.com', port: 9 });
  });

  test.each([
    '',
    'ws://',
    'http://127.0.0.1:1',
    'ws://127.0.0.1:0',
    'tcp://h:1/path',
    'ws://h:99999',
    'ws://1.2.3.999:80',
    'wss://1.2.3.999/peer',
    'ws://h:1/#x',
    'wss://h/a?b#',
    'ws://[:::1]:1',
  ])('refuses "%s"', (text) => {
    expect(refusal(() => readDialTarget(text, 9)).message).toContain('--connect');
  });

  test('says what is wrong with a URL that only looks like one', () => {
    expect(refusal(() => readDialTarget('ws://h:1/#x', 9)).message).toContain('"#"');
    expect(refusal(() => readDialTarget('ws://1.2.3.999:80', 9)).message).toContain('no valid URL');
  });
});
