/**
 * How long an overlay takes to form: 60 real nodes, all but the first of which know the first one only, until each has its
 * full outbound links. Where there are fewer cores than nodes the starts of the processes take most of it, so the time from
 * the last start is shown apart. With `--in-process` the nodes share this process, and their starts cost next to nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DialTarget } from '../node/boundary.ts';
import { localLimits } from '../node/limits.ts';
import { figure, median, residentMegabytes, sleep } from './figures.ts';
import { LightNode } from './light-node.ts';
import { startNode, stopNode } from './node-process.ts';

export const about = '60 nodes with one bootstrap address until all have their links [nodes, 60] [--in-process]';

const AIM_SECONDS = 10;
const GIVE_UP_SECONDS = 60;
const POLL_MS = 50;

interface PeerInfo {
  readonly connection_type: string;
}

/** A node of either kind. */
interface Member {
  readonly target: DialTarget;
  readonly pid: number | undefined;
  call(method: string): Promise<unknown>;
  stop(): Promise<void>;
}

export async function run(args: readonly string[]): Promise<void> {
  const given = args.find((arg) => arg !== '--in-process');
  const count = given === undefined ? 60 : Number(given);
  if (!(Number.isInteger(count) && count >= 2 && count <= 200)) throw new Error(`not a number from 2 to 200: ${given}`);
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const members: Member[] = [];
  try {
    const inProcess = args.includes('--in-process');
    const start = (index: number, connect: readonly DialTarget[]) =>
      inProcess ? lightMember(connect) : processMember(join(folder, `n${index}`), connect);
    await measure(count, start, members);
  } finally {
    await Promise.all(members.map((member) => member.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  count: number,
  start: (index: number, connect: readonly DialTarget[]) => Promise<Member>,
  members: Member[],
): Promise<void> {
  const first = await start(0, []);
  members.push(first);
  const began = performance.now();
  const starts: number[] = [];
  let next = 1;
  const startSome = async () => {
    while (next < count) {
      members.push(await start(next++, [first.target]));
      starts.push(performance.now());
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, startSome));
  const lastStart = Math.max(...starts);
  const formed = await formation(members);
  const cores = `${availableParallelism()} cores`;
  figure(`${count} nodes: first start to last`, (lastStart - began) / 1000, 's', cores);
  figure(`${count} nodes: first start to all links`, (formed - began) / 1000, 's', `aim ${AIM_SECONDS} s`);
  figure(`${count} nodes: last start to all links`, (formed - lastStart) / 1000, 's');
  const memory = members.flatMap(({ pid }) => (pid === undefined ? [] : [residentMegabytes(pid) ?? []])).flat();
  if (memory.length > 0) figure('memory of a node after that, median', median(memory), 'MB');
}

/** When every node has its full outbound links, or is linked with all others. */
async function formation(members: readonly Member[]): Promise<number> {
  const giveUpAt = performance.now() + 1000 * GIVE_UP_SECONDS;
  let wanting = members;
  while (wanting.length > 0) {
    if (performance.now() > giveUpAt) throw new Error(`${wanting.length} nodes have not got their links`);
    await sleep(POLL_MS);
    const lacking: Member[] = [];
    for (const member of wanting) {
      const peers = (await member.call('getpeerinfo')) as PeerInfo[];
      const full = peers.filter(({ connection_type: type }) => type === 'outbound-full-relay').length;
      const enough = Math.min(localLimits.maxOutboundFull, members.length - 1);
      if (full < enough && peers.length < members.length - 1) lacking.push(member);
    }
    wanting = lacking;
  }
  return performance.now();
}

async function processMember(datadir: string, connect: readonly DialTarget[]): Promise<Member> {
  const given = connect.flatMap(({ host, port }) => ['--connect', `ws://${host}:${port}`]);
  const node = await startNode(datadir, ...given);
  const { localaddresses } = (await node.client.call('getnetworkinfo')) as {
    localaddresses: { address: string; port: number }[];
  };
  const [own] = localaddresses;
  if (own === undefined) throw new Error('the node does not say where it listens');
  return {
    target: { transport: 'ws', host: own.address, port: own.port },
    pid: node.child.pid,
    call: (method) => node.client.call(method),
    stop: () => stopNode(node),
  };
}

async function lightMember(connect: readonly DialTarget[]): Promise<Member> {
  const node = await LightNode.start(connect);
  return {
    target: { transport: 'ws', ...node.endpoint },
    pid: undefined,
    call: (method) => node.call(method),
    stop: () => node.stop(),
  };
}
