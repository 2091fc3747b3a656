/** Addresses in options: what is understood, and what is refused with the name of its option. */
import { describe, expect, test } from '@jest/globals';
import { regtest, vinenet } from '../../../consensus/params.ts';
import {
  readAnnounce,
  readDialTarget,
  readEndpoint,
  readListen,
  readOrigin,
} from '../../../node/commands/addresses.ts';
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
    ['ws://127.0.0.1:18444', { host: '127.0.0.1', port: 18444, tls: false }],
    ['ws://0.0.0.0:0/', { host: '0.0.0.0', port: 0, tls: false }],
    ['tcp://[::]:7', { host: '::', port: 7, tls: false }],
    ['localhost:7', { host: 'localhost', port: 7, tls: false }],
    ['wss://0.0.0.0:8443', { host: '0.0.0.0', port: 8443, tls: true }],
  ])('takes %s', (text, endpoint) => {
    expect(readListen(text)).toEqual(endpoint);
  });

  test.each([
    'wss://127.0.0.1',
    'https://127.0.0.1:1',
    'http://127.0.0.1:1',
    'ws://127.0.0.1',
    'ws://127.0.0.1:1/path',
    'ws://',
  ])('refuses "%s"', (text) => {
    expect(refusal(() => readListen(text)).message).toContain('--listen');
  });
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

describe('--announce', () => {
  const internet = { ...vinenet, loopbackRoutable: false };
  const local = { ...regtest, loopbackRoutable: true };

  test('takes IP addresses, and names of wss with their paths', () => {
    expect(readAnnounce('ws://1.2.3.4:5', internet)).toEqual({ transport: 'ws', host: '1.2.3.4', port: 5 });
    expect(readAnnounce('tcp://[2606:4700::1]:5', internet)).toEqual({
      transport: 'tcp',
      host: '2606:4700::1',
      port: 5,
    });
    expect(readAnnounce('wss://Node.Example/peer?x', internet)).toEqual({
      transport: 'wss',
      host: 'node.example',
      port: 443,
      path: '/peer?x',
    });
    expect(readAnnounce('wss://node.example:8443/', internet)).not.toHaveProperty('path');
    expect(readAnnounce('ws://127.0.0.1:5', local)).toMatchObject({ transport: 'ws', host: '127.0.0.1' });
  });

  test.each([
    ['ws://node.example:5', 'a name'],
    ['tcp://node.example:5', 'a name'],
    ['ws://1.2.3.4:5/path', 'a path'],
    ['ws://127.0.0.1:5', 'nobody can reach'],
    ['ws://192.168.1.1:5', 'nobody can reach'],
    ['wss://1.2.3.4:5', 'no name'],
    ['wss://[::1]:5', 'no name'],
    ['wss://', 'no address'],
    ['ws://1.2.3.4:0', 'no address'],
    ['http://1.2.3.4:5', 'no address'],
  ])('refuses "%s": it has %s', (text, why) => {
    const { message } = refusal(() => readAnnounce(text, internet));
    expect(message).toContain('--announce');
    expect(message).toContain(why);
  });
});

describe('--allow-origin', () => {
  test.each([
    ['https://example.com', 'https://example.com'],
    ['https://Example.com/', 'https://example.com'],
    ['https://example.com:443', 'https://example.com'],
    ['http://10.0.0.1:8080', 'http://10.0.0.1:8080'],
  ])('takes %s', (text, origin) => {
    expect(readOrigin(text)).toBe(origin);
  });

  test.each([
    '',
    '*',
    'null',
    'example.com',
    'https://example.com/page',
    'https://u@example.com',
    'file:///',
    'https://',
  ])('refuses "%s"', (text) => {
    expect(refusal(() => readOrigin(text)).message).toContain('--allow-origin');
  });
});
