/**
 * Whether the difficulty follows the hash rate: two real nodes mine on a private chain with a block every 2 s and a
 * half-life of 120 s, one with twice the share of the other, from an anchor that is four times too easy. After eight minutes
 * the last 100 intervals should have a mean of 2 s and scatter as chance does, and each node should have won its share.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeAddress, outputKey, p2trScript } from '../consensus/address.ts';
import { encodeChainFile, makeChain } from '../consensus/chain-file.ts';
import { encodeCompact } from '../consensus/pow.ts';
import { fastestSearch } from '../node/mining/kernel.ts';
import { figure, sleep } from './figures.ts';
import { type RunningNode, startNode, stopNode } from './node-process.ts';

export const about = 'two miners, an anchor 4 times too easy: intervals and shares after [seconds, 480]';

const SPACING = 2;
const HALF_LIFE = 120;
const TOO_EASY = 4;
const INTERVALS = 100;
/** Parts of the machine's time. */
const SHARES = [0.2, 0.1] as const;
const HRP = 'bench';
/** The x coordinates of two points of the curve: G and 2 G. */
const KEYS = [
  '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  'c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5',
] as const;

interface Mined {
  readonly time: number;
  readonly address: string;
}

export async function run([given]: readonly string[]): Promise<void> {
  const seconds = given === undefined ? 480 : Number(given);
  if (!(seconds >= 30 && seconds <= 3600)) throw new Error(`not a time from 30 to 3600 s: ${given}`);
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const nodes: RunningNode[] = [];
  try {
    const rate = hashRate();
    const { file, addresses } = writeChain(folder, rate);
    figure('hash rate of one thread', rate / 1e6, 'MH/s');
    let peer: string[] = [];
    for (const [index, share] of SHARES.entries()) {
      const mine = ['--mine', addresses[index] as string, '--mine-share', `${100 * share}%`];
      const node = await startNode(join(folder, `n${index}`), '--chain', file, '--no-pex', ...mine, ...peer);
      nodes.push(node);
      const { localaddresses } = (await node.client.call('getnetworkinfo')) as {
        localaddresses: { address: string; port: number }[];
      };
      const [own] = localaddresses;
      if (own === undefined) throw new Error('the node does not say where it listens');
      peer = ['--connect', `ws://${own.address}:${own.port}`];
    }
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(1000)) {
      if (nodes.some(({ child }) => child.exitCode !== null)) throw new Error('a node has ended');
    }
    report(await chainOf(nodes[0] as RunningNode), addresses, await stale(nodes[0] as RunningNode));
  } finally {
    for (const node of nodes) await stopNode(node);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Hashes per second of one thread, with nothing else to do. */
function hashRate(): number {
  const search = fastestSearch();
  const header = new Uint8Array(80).fill(7);
  const impossible = 0x0300ffff;
  const hashes = (nonces: number) => search({ header, bits: impossible, start: 0, nonces, rolling: true }).hashes;
  hashes(1 << 14);
  const began = performance.now();
  return hashes(1 << 16) / ((performance.now() - began) / 1000);
}

function writeChain(folder: string, rate: number): { readonly file: string; readonly addresses: string[] } {
  const perBlock = rate * availableParallelism() * (SHARES[0] + SHARES[1]) * SPACING;
  const bitsFor = (hashes: number) => encodeCompact((1n << 256n) / BigInt(Math.round(hashes)));
  const chain = makeChain({
    name: 'bench',
    spacingSeconds: SPACING,
    halfLifeSeconds: HALF_LIFE,
    anchorBits: bitsFor(perBlock / TOO_EASY),
    powLimitBits: bitsFor(256),
    hrp: HRP,
    peerPort: 1,
    rpcPort: 2,
    time: Math.floor(Date.now() / 1000),
    text: 'two miners on one machine',
  });
  if (!chain.ok) throw new Error(chain.error.join('; '));
  const file = join(folder, 'chain.json');
  writeFileSync(file, encodeChainFile(chain.value));
  const addresses = KEYS.map((key) =>
    encodeAddress(outputKey(p2trScript(Uint8Array.from(Buffer.from(key, 'hex')))), HRP),
  );
  return { file, addresses };
}

/** All blocks from the first one on: their times have whole seconds, so the means are right and single intervals rounded. */
async function chainOf({ client }: RunningNode): Promise<Mined[]> {
  const height = (await client.call('getblockcount')) as number;
  const blocks: Mined[] = [];
  for (let at = 1; at <= height; at++) {
    const hash = await client.call('getblockhash', [at]);
    const { time, tx } = (await client.call('getblock', [hash, 2])) as {
      time: number;
      tx: { vout: { scriptPubKey: { address: string } }[] }[];
    };
    blocks.push({ time, address: tx[0]?.vout[0]?.scriptPubKey.address ?? '' });
  }
  return blocks;
}

async function stale({ client }: RunningNode): Promise<number> {
  const tips = (await client.call('getchaintips')) as { branchlen: number }[];
  return tips.reduce((sum, { branchlen }) => sum + branchlen, 0);
}

function report(blocks: readonly Mined[], addresses: readonly string[], lost: number): void {
  const last = blocks.slice(-INTERVALS - 1);
  const intervals = last.slice(1).map(({ time }, i) => time - (last[i] as Mined).time);
  const mean = intervals.reduce((sum, one) => sum + one, 0) / intervals.length;
  const spread = Math.sqrt(intervals.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (intervals.length - 1));
  figure(
    `mean of the last ${intervals.length} intervals`,
    mean,
    's',
    `aim ${SPACING} s ± 25 %; ${blocks.length} blocks`,
  );
  figure('standard deviation over mean', spread / mean, '', 'aim 1 ± 0.2: exponential');
  const [first = 0, second = 0] = SHARES;
  const part = first / (first + second);
  const won = blocks.filter(({ address }) => address === addresses[0]).length / blocks.length;
  const error = Math.sqrt((part * (1 - part)) / blocks.length);
  figure(
    'blocks won by the larger miner',
    100 * won,
    '%',
    `${(100 * part).toFixed(1)} % expected, ${((won - part) / error).toFixed(1)} standard errors off; aim within 3`,
  );
  figure('stale blocks', (100 * lost) / (blocks.length + lost), '%', `${lost} blocks`);
}
