/** A running bitcoind on a folder of its own, for tests that compare answers with those of Bitcoin Core. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Bitcoind {
  readonly #folder = mkdtempSync(join(tmpdir(), 'grapevine-bitcoind-'));
  #process: ChildProcess | undefined;
  #port = 0;

  /** `path`: the program, of version 28. */
  async start(path: string, ...more: readonly string[]): Promise<void> {
    this.#port = await freePort();
    const fixed = ['-regtest', '-listen=0', '-connect=0', '-dnsseed=0', '-printtoconsole=0'];
    const options = [...fixed, `-datadir=${this.#folder}`, `-rpcport=${this.#port}`, ...more];
    this.#process = spawn(path, options, { stdio: 'ignore' });
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        await this.call('getblockcount');
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    throw new Error('bitcoind does not answer');
  }

  /** The result, or the error as `{ code, message }`. Throws while it cannot answer. */
  async call(method: string, ...params: readonly unknown[]): Promise<unknown> {
    return this.callNamed(method, params);
  }

  /** The same, with an object of named parameters or a list. */
  async callNamed(method: string, params: unknown): Promise<unknown> {
    const { body } = await this.post(JSON.stringify({ id: 1, method, params }));
    const { result, error } = JSON.parse(body ?? '') as { result: unknown; error: unknown };
    if ((error as { code?: number } | null)?.code === -28) throw new Error('warming up');
    return error ?? result;
  }

  /** Any body, as it is; null where the answer has none. */
  async post(body: string): Promise<{ status: number; body: string | null }> {
    const cookie = readFileSync(join(this.#folder, 'regtest', '.cookie'), 'utf8');
    const headers = { Authorization: `Basic ${Buffer.from(cookie).toString('base64')}` };
    const response = await fetch(`http://127.0.0.1:${this.#port}`, { method: 'POST', headers, body });
    return { status: response.status, body: response.status === 204 ? null : await response.text() };
  }

  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill();
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
