/** Real nodes as processes for the benches: ours, and a native bitcoind where one is named. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RpcClient } from '../wallet/rpc-client.ts';
import { sleep } from './figures.ts';

const PROGRAM = join(import.meta.dirname, '../program/grapevine.js');
/** A bitcoind to compare with; without it there is no comparison. */
export const bitcoind: string | undefined = process.env['GRAPEVINE_BITCOIND'] || undefined;

export interface RunningNode {
  readonly child: ChildProcess;
  readonly client: RpcClient;
}

/** A node of ours with default settings on free ports, once it has said that it is ready. */
export function startNode(datadir: string, ...args: readonly string[]): Promise<RunningNode> {
  return startLoggedNode('ignore', datadir, ...args);
}

/** The same, with its log in an open file. It ends with this process, however that ends. */
export async function startLoggedNode(
  log: number | 'ignore',
  datadir: string,
  ...args: readonly string[]
): Promise<RunningNode> {
  const given = ['node', '--json', '--datadir', datadir, '--rpc', '127.0.0.1:0', '--listen', 'ws://127.0.0.1:0'];
  // Options of ours are options of theirs: `node --cpu-prof dist/bench/run.js …` profiles the node too.
  const command = [...process.execArgv, PROGRAM, ...given, '--exit-with-parent', ...args];
  const child = spawn(process.execPath, command, { stdio: ['pipe', 'pipe', log] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [])])) as [string?];
  if (line === undefined) throw new Error(`the node ended with code ${child.exitCode}`);
  const { rpc, cookie } = JSON.parse(line) as { rpc: string; cookie: string };
  return { child, client: clientOf(rpc, cookie) };
}

/**
 * The bitcoind at that path on regtest, without any network but what `args` name, once it answers. Without the checks of its
 * own state that it makes on regtest only, after every block and transaction: users of a real network do not pay for them.
 */
export async function startBitcoind(path: string, datadir: string, ...args: readonly string[]): Promise<RunningNode> {
  const rpcPort = await freePort();
  const quiet = ['-regtest', '-server', '-listen=0', '-dnsseed=0', '-fixedseeds=0', '-discover=0', '-listenonion=0'];
  const unchecked = ['-checkblockindex=0', '-checkmempool=0'];
  const rpc = [`-rpcport=${rpcPort}`, '-rpcbind=127.0.0.1', '-rpcallowip=127.0.0.1'];
  const given = [`-datadir=${datadir}`, '-printtoconsole=0', '-v2transport=0', ...quiet, ...unchecked, ...rpc, ...args];
  const child = spawn(path, given, { stdio: 'ignore' });
  const cookie = join(datadir, 'regtest', '.cookie');
  while (!existsSync(cookie)) {
    if (child.exitCode !== null) throw new Error(`${path} ended with code ${child.exitCode}`);
    await sleep(20);
  }
  return { child, client: clientOf(`127.0.0.1:${rpcPort}`, cookie) };
}

/** Ends a node in order. */
export async function stopNode({ child, client }: RunningNode): Promise<void> {
  client.close();
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function clientOf(endpoint: string, cookieFile: string): RpcClient {
  return new RpcClient({ endpoint, credentials: readFileSync(cookieFile, 'utf8').trim(), cookieFile });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
