/** Real processes of the built program, for end-to-end tests: started on free ports, asked over JSON-RPC, always ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach } from '@jest/globals';

const program = resolve(import.meta.dirname, '../../dist/program/grapevine.js');

/** What a process has left behind. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Ready {
  readonly event: string;
  readonly network: string;
  readonly rpc: string;
  readonly listen: readonly string[];
  readonly cookie: string;
  readonly datadir: string;
  readonly pid: number;
}

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

/** A command, and what it will have left behind. `shell` is run before the program, in the same process: for limits. */
export function start(args: readonly string[], shell?: string): { child: ChildProcess; ended: Promise<Ended> } {
  const command = [process.execPath, program, ...args];
  const [file, ...rest] = shell === undefined ? command : ['bash', '-c', `${shell}; exec "$0" "$@"`, ...command];
  const child = spawn(file as string, rest, { stdio: 'pipe' });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((settle) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      settle({ code, signal, stdout, stderr });
    });
  });
  return { child, ended };
}

/** Runs a command to its end. */
export function run(...args: readonly string[]): Promise<Ended> {
  return start(args).ended;
}

/** A node that has said that it is ready. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly ready: Ready;
  readonly ended: Promise<Ended>;
  readonly #cookie: string;

  private constructor(child: ChildProcess, ready: Ready, ended: Promise<Ended>) {
    this.child = child;
    this.ready = ready;
    this.ended = ended;
    this.#cookie = readFileSync(ready.cookie, 'utf8');
  }

  /** Starts it in a data directory, on free ports unless told otherwise. Rejects if it ends before it is ready. */
  static start(datadir: string, ...args: readonly string[]): Promise<NodeProcess> {
    return NodeProcess.startAfter(undefined, datadir, ...args);
  }

  /** As `start`, but a shell runs this first in the same process. */
  static async startAfter(
    shell: string | undefined,
    datadir: string,
    ...args: readonly string[]
  ): Promise<NodeProcess> {
    const given = ['node', '--json', '--datadir', datadir, ...args];
    if (!args.includes('--rpc')) given.push('--rpc', '127.0.0.1:0');
    if (!args.includes('--listen')) given.push('--listen', 'ws://127.0.0.1:0');
    const { child, ended } = start(given, shell);
    const ready = new Promise<Ready>((settle, refuse) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', (line) =>
        settle(JSON.parse(line)),
      );
      void ended.then(({ stderr }) => refuse(new Error(`the node ended: ${stderr}`)));
    });
    return new NodeProcess(child, await ready, ended);
  }

  get rpcPort(): number {
    return Number(this.ready.rpc.split(':')[1]);
  }

  get peerPort(): number {
    return Number(this.ready.listen[0]?.split(':').at(-1));
  }

  /** Posts a body with the cookie and returns the text of the answer. */
  post(body: string): Promise<string> {
    const headers = { authorization: `Basic ${Buffer.from(this.#cookie).toString('base64')}` };
    return new Promise((settle, refuse) => {
      const outgoing = request({ host: '127.0.0.1', port: this.rpcPort, method: 'POST', headers }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => settle(text));
      });
      outgoing.on('error', refuse);
      outgoing.end(body);
    });
  }

  /** The result of a call; rejects with its error. */
  async call<T = unknown>(method: string, ...params: readonly unknown[]): Promise<T> {
    const { result, error } = JSON.parse(await this.post(JSON.stringify({ id: 1, method, params })));
    if (error !== null) throw new Error(`${method}: ${error.code} ${error.message}`);
    return result;
  }

  signal(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Asks again until the answer is as wanted. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (value: T) => boolean,
  timeoutMs = 10_000,
): Promise<T> {
  for (const end = Date.now() + timeoutMs; ; ) {
    const value = await ask();
    if (wanted(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)} after ${timeoutMs} ms`);
    await new Promise((settle) => setTimeout(settle, 20));
  }
}
