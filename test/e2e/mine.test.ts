/** `grapevine mine` as a miner of its own, against real nodes: blocks, a node that goes away, and the end. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { encodeAddress } from '../../consensus/address.ts';
import { encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import { testKey } from '../support/chain-builder.ts';
import { eventually, NodeProcess, run, start } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const folder = temporaryFolders();
const chain = makeChain({
  name: 'easy',
  spacingSeconds: 10,
  halfLifeSeconds: 2880,
  anchorBits: 0x1f7fffff,
  powLimitBits: 0x207fffff,
  hrp: 'ez',
  peerPort: 30_001,
  rpcPort: 30_002,
  time: 1_700_000_000,
  text: 'blocks for a test',
});
if (!chain.ok) throw new Error(chain.error.join());
const address = encodeAddress(testKey(1).publicKey, 'ez');
const file = join(folder(), 'easy.json');
writeFileSync(file, encodeChainFile(chain.value));

/** What all commands of a test say: the chain, the data directory, the node. */
const given = ({ ready }: NodeProcess) => ['--chain', file, '--datadir', ready.datadir, '--node', ready.rpc];

test('mines blocks that the node takes, with two threads, and sums up', async () => {
  const node = await NodeProcess.start(folder(), '--chain', file);
  const mined = await run('mine', '3', '--to', address, '--threads', '2', '--json', ...given(node));
  expect(mined).toMatchObject({ code: 0, stderr: '' });
  const lines = mined.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ event, height }) => [event, height])).toEqual([
    ['block', 1],
    ['block', 2],
    ['block', 3],
    ['summary', undefined],
  ]);
  expect(lines[3]).toMatchObject({ address, found: 3, stale: 0, refused: 0, earnedSats: 15_000_000_000 });
  expect(await node.call('getbestblockhash')).toBe(lines[2].hash);
  const block = await node.call<{ tx: { vout: { scriptPubKey: { address: string } }[] }[] }>(
    'getblock',
    lines[2].hash,
    2,
  );
  expect(block.tx[0]?.vout[0]?.scriptPubKey.address).toBe(address);
  expect((await node.signal('SIGTERM')).code).toBe(0);
});

test('waits for a node that is restarted with another cookie, says so once, and ends in order by ctrl-C', async () => {
  const datadir = folder();
  const node = await NodeProcess.start(datadir, '--chain', file);
  const miner = start(['mine', '--every', '150ms', '--to', address, '--threads', '1', ...given(node)]);
  await eventually(
    () => node.call<number>('getblockcount'),
    (height) => height >= 2,
  );
  const before = await node.call<number>('getblockcount');
  await node.signal('SIGTERM');
  await new Promise((settle) => setTimeout(settle, 1300));
  const again = await NodeProcess.start(datadir, '--chain', file, '--rpc', node.ready.rpc);
  const height = await eventually(
    () => again.call<number>('getblockcount'),
    (count) => count >= before + 3,
  );
  miner.child.kill('SIGINT');
  const { code, stdout, stderr } = await miner.ended;
  expect(code).toBe(0);
  expect(stderr.match(/waiting for the node/g)).toHaveLength(1);
  expect(stderr.match(/the node is back/g)).toHaveLength(1);
  expect(stderr).toMatch(/\d+ found, \d+ stale in .*; .*H\/s on average; earned [\d.]+ btc\n$/);
  expect(stdout.trim().split('\n').length).toBeGreaterThanOrEqual(height);
  await again.signal('SIGTERM');
});

test('says at once what is wrong with its options, and that there is no node', async () => {
  for (const [wrong, problem] of [
    [['--share', '0.3'], /share of a processor.*\n.*--share 30%/],
    [['--threads', '0'], /no number of threads/],
    [['--every', '1s', '--on-tx'], /exclude each other/],
    [['--seed', '1'], /--poisson/],
    [['5', '--forever'], /exclude each other/],
    [['--every', '0s'], /no time between blocks/],
  ] as const) {
    const { code, stderr } = await run('mine', ...wrong);
    expect(stderr).toMatch(problem);
    expect(code).toBe(2);
  }
  const absent = await run('mine', '--threads', '1', '--node', '127.0.0.1:1', '--datadir', folder(), '--to', address);
  expect(absent.code).toBe(3);
});
