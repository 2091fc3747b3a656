/** One real node: from the start of its process to the first RPC answer, and the memory that it takes when idle. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RpcClient } from '../wallet/rpc-client.ts';
import { figure, median, residentMegabytes, sleep } from './figures.ts';

export const about = 'start to first RPC answer, and idle memory, of one node';

const RUNS = 7;
const IDLE_MS = 5000;
const PROGRAM = join(import.meta.dirname, '../program/grapevine.js');

export async function run(): Promise<void> {
  const answers: number[] = [];
  const memories: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
    const began = performance.now();
    const child = startNode(folder);
    try {
      const client = await readyClient(child);
      await client.call('getblockcount');
      answers.push(performance.now() - began);
      if (i === 0) {
        await sleep(IDLE_MS);
        const memory = residentMegabytes(child.pid as number);
        if (memory !== undefined) memories.push(memory);
      }
      client.close();
    } finally {
      await stopNode(child);
      rmSync(folder, { recursive: true, force: true });
    }
  }
  figure('start to first RPC answer, median', median(answers) / 1000, 's', `aim 0.45 s; ${RUNS} runs`);
  if (memories.length > 0) figure('idle memory', median(memories), 'MB', `aim 100 MB; after ${IDLE_MS / 1000} s`);
}

function startNode(datadir: string): ChildProcess {
  const args = ['node', '--json', '--datadir', datadir, '--rpc', '127.0.0.1:0', '--listen', 'ws://127.0.0.1:0'];
  return spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Waits for the ready line and returns a client of that node. */
async function readyClient(child: ChildProcess): Promise<RpcClient> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, 'line')) as [string];
  const { rpc, cookie } = JSON.parse(line) as { rpc: string; cookie: string };
  return new RpcClient({ endpoint: rpc, credentials: readFileSync(cookie, 'utf8').trim(), cookieFile: cookie });
}

async function stopNode(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
