/** The options of the overlay as a user gives them: TLS, what is announced, local discovery, and every way to get them wrong. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { AUTHORITY, EXPIRED, LEAF_KEY, LOCAL, OTHER_KEY } from '../support/certificates.ts';
import { eventually, NodeProcess, run } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();

function file(text: string): string {
  const path = join(newFolder(), 'file.pem');
  writeFileSync(path, text);
  return path;
}

interface Peer {
  readonly inbound: boolean;
  readonly addr: string;
}
const linked = (node: NodeProcess, count = 1) =>
  eventually(
    () => node.call<Peer[]>('getpeerinfo'),
    (peers) => peers.length >= count,
  );

describe('TLS', () => {
  test('carries a link between two nodes that know the same authority', async () => {
    const listen = ['--listen', 'wss://127.0.0.1:0', '--listen', 'ws://127.0.0.1:0'];
    const first = await NodeProcess.start(
      newFolder(),
      ...[...listen, '--tls-cert', file(LOCAL), '--tls-key', file(LEAF_KEY)],
    );
    expect(first.ready.listen).toEqual([
      expect.stringMatching(/^wss:\/\/127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/),
    ]);
    const target = `wss://localhost:${first.peerPort}`;
    const second = await NodeProcess.start(newFolder(), '--connect', target, '--tls-ca', file(AUTHORITY), '--no-pex');
    await linked(second);
    expect((await linked(first))[0]).toMatchObject({ inbound: true });
  });

  test('whose certificate does not hold is a link that fails, with the reason in the log', async () => {
    const tls = ['--listen', 'wss://127.0.0.1:0', '--tls-cert', file(EXPIRED), '--tls-key', file(LEAF_KEY)];
    const first = await NodeProcess.start(newFolder(), ...tls);
    const target = `wss://localhost:${first.peerPort}`;
    const second = await NodeProcess.start(newFolder(), '--connect', target, '--tls-ca', file(AUTHORITY), '--no-pex');
    let log = '';
    second.child.stderr?.on('data', (text) => {
      log += text;
    });
    await eventually(
      async () => log,
      (text) => text.includes('the certificate has expired'),
    );
    expect(await second.call('getpeerinfo')).toEqual([]);
    expect((await first.signal('SIGTERM')).stderr).toContain('has expired');
  });
});

test('what is announced stands in the first line', async () => {
  const announce = ['--announce', 'ws://127.0.0.1:18444', '--announce', 'wss://node.example/peer'];
  const node = await NodeProcess.start(newFolder(), ...announce, '--max-inbound', '3', '--max-outbound', '0');
  expect(node.ready).toMatchObject({ announce: ['ws://127.0.0.1:18444', 'wss://node.example:443/peer'] });
});

test('nodes of one machine find each other with --lan, and those of another chain are passed over', async () => {
  const other = await NodeProcess.start(newFolder(), '--network', 'vinenet', '--profile', 'local', '--lan');
  const first = await NodeProcess.start(newFolder(), '--lan');
  const second = await NodeProcess.start(newFolder(), '--lan');
  await linked(first);
  await linked(second);
  expect(await other.call('getpeerinfo')).toEqual([]);
});

describe('refused with exit code 2 and a hint:', () => {
  const [cert, key, otherKey] = [file(LOCAL), file(LEAF_KEY), file(OTHER_KEY)];
  const tls = ['--listen', 'wss://127.0.0.1:0'];
  test.each([
    ['TLS without a certificate', tls, '--tls-cert FILE'],
    ['TLS without a key', [...tls, '--tls-cert', cert], '--tls-key FILE'],
    ['a certificate without TLS', ['--tls-cert', cert, '--tls-key', key], '--listen wss://'],
    ['a key of another certificate', [...tls, '--tls-cert', cert, '--tls-key', otherKey], 'not the key of'],
    ['a certificate that is not there', [...tls, '--tls-cert', '/nowhere', '--tls-key', key], 'no such file'],
    ['an authority that is none', ['--tls-ca', key], 'no certificate'],
    ['an origin that is none', ['--allow-origin', '*'], '--allow-origin'],
    ['a name to announce without TLS', ['--announce', 'ws://node.example:1'], 'only wss://'],
    ['a private address on a public network', ['--profile', 'internet', '--announce', 'ws://10.0.0.1:1'], 'reach'],
    ['a seed node that is no address', ['--seed-node', 'http://x'], '--seed-node'],
    ['seed nodes without addresses', ['--no-pex', '--seed-node', 'ws://127.0.0.1:1'], '--no-pex'],
    ['announcing without addresses', ['--no-pex', '--announce', 'ws://127.0.0.1:1'], '--no-pex'],
    ['local discovery without addresses', ['--no-pex', '--lan'], '--no-pex'],
    ['local discovery of a public network on loopback', ['--network', 'vinenet', '--lan'], '--profile local'],
    ['local discovery with TLS only', [...tls, '--tls-cert', cert, '--tls-key', key, '--lan'], 'ws://0.0.0.0:PORT'],
    ['seed nodes without links', ['--max-outbound', '0', '--seed-node', 'ws://127.0.0.1:1'], '--max-outbound 0'],
    ['a number of links that is none', ['--max-inbound', 'many'], '--max-inbound'],
    ['too many links', ['--max-outbound', '1000'], '0 to 100'],
  ])('%s', async (_name, args, said) => {
    const { code, stderr } = await run('node', '--datadir', newFolder(), ...args);
    expect(stderr).toContain(said);
    expect(stderr).toContain('hint: ');
    expect(code).toBe(2);
  });
});
