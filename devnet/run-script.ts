/**
 * `devnet run SCRIPT`: carries out a script, step by step, each command in a process of its own as a shell would. Stops at
 * the first step that fails, with its line and its exit code.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { programFile } from './processes.ts';
import { call, type NameOption } from './reach.ts';
import { LAST, lastId, parseScript, type Step, substitute } from './script.ts';

const MAX_SCRIPT_BYTES = 1_000_000;
/** Of a command's output; a step that prints more has gone wrong. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** The answer to a wait has so much longer than the wait itself. */
const ANSWER_MS = 10_000;

interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runScript(path: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const file = basename(path);
  const steps = parseScript(readScript(path), file);
  const started = performance.now();
  const run = new Run(file, parsed, global);
  for (const step of steps) await run.step(step);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const last = { event: 'done', steps: steps.length, ms: Math.round(performance.now() - started) };
  const text = `${file}: ${steps.length} step${steps.length === 1 ? '' : 's'} done in ${seconds} s`;
  if (global.json) printResult(global, last, '');
  else note(global, text);
}

function readScript(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length <= MAX_SCRIPT_BYTES) return text;
  } catch (error) {
    throw usageError(`cannot read the script: ${(error as Error).message}`, 'give the path of a text file');
  }
  throw usageError(`${path} is too large for a script`, `${MAX_SCRIPT_BYTES} bytes at most`);
}

class Run {
  readonly #file: string;
  readonly #parsed: NameOption;
  readonly #global: GlobalOptions;
  readonly #values = new Map<string, string>();
  /** What the last command printed, on both streams. */
  #output = '';

  constructor(file: string, parsed: NameOption, global: GlobalOptions) {
    this.#file = file;
    this.#parsed = parsed;
    this.#global = global;
  }

  async step(step: Step): Promise<void> {
    const started = performance.now();
    note(this.#global, `> ${step.text}`);
    let facts: object;
    try {
      facts = await this.#carryOut(step);
    } catch (error) {
      throw error instanceof CliError ? this.#at(step, error) : error;
    }
    if (!this.#global.json) return;
    const ms = Math.round(performance.now() - started);
    printResult(this.#global, { event: 'step', line: step.line, text: step.text, ...facts, ms }, '');
  }

  async #carryOut(step: Step): Promise<object> {
    switch (step.kind) {
      case 'command':
        return this.#command(step);
      case 'pause':
        await sleep(step.ms);
        return {};
      case 'wait-tip': {
        const { target, timeoutMs } = step;
        const wanted = target === undefined ? undefined : this.#value(target);
        const isHeight = wanted !== undefined && /^\d{1,10}$/.test(wanted);
        const order =
          wanted === undefined
            ? ({ what: 'sync', timeoutMs } as const)
            : ({ what: 'tip', target: isHeight ? Number(wanted) : wanted, timeoutMs } as const);
        return { reached: await call(this.#parsed, this.#global, 'wait', order, timeoutMs + ANSWER_MS) };
      }
      case 'wait-tx': {
        const { confirmations, timeoutMs } = step;
        const order = { what: 'tx', txid: this.#value(step.txid), confirmations, timeoutMs } as const;
        return { reached: await call(this.#parsed, this.#global, 'wait', order, timeoutMs + ANSWER_MS) };
      }
      case 'expect': {
        const wanted = this.#value(step.wanted);
        if (this.#output.includes(wanted) === step.present) return {};
        const what = step.present ? 'was not printed' : 'was printed';
        throw new CliError(
          Exit.failed,
          'expectation',
          `"${wanted}" ${what} by the last command: ${this.#output.trim()}`,
        );
      }
    }
  }

  async #command(step: Extract<Step, { kind: 'command' }>): Promise<object> {
    const words = this.#withName(step.words.map((word) => this.#value(word)));
    const { exit, stdout, stderr } = await grapevine(words, this.#global);
    this.#output = `${stdout}\n${stderr}`;
    const isWanted = step.exit === 'failure' ? exit !== 0 : exit === step.exit;
    if (!isWanted && exit !== 0) throw failure(exit, stderr, this.#global.json);
    if (!this.#global.json) {
      process.stdout.write(stdout);
      if (stderr !== '') note(this.#global, stderr.trimEnd());
    }
    if (!isWanted) throw new CliError(Exit.failed, 'expectation', 'the command was expected to fail, and did not');
    const id = lastId(stdout);
    if (id !== undefined) {
      this.#values.set(LAST, id);
      if (step.name !== undefined) this.#values.set(step.name, id);
    } else if (step.name !== undefined) {
      throw new CliError(Exit.failed, 'no-id', `nothing was printed that $${step.name} could stand for`);
    }
    return { exit, output: readOutput(exit === 0 ? stdout : stderr) };
  }

  /** The devnet that the script is about, for commands that do not say. */
  #withName(words: readonly string[]): readonly string[] {
    const { name } = this.#parsed;
    return name === undefined || words[0] !== 'devnet' || words.includes('--name') ? words : [...words, '--name', name];
  }

  #value(text: string): string {
    const { text: replaced, unknown } = substitute(text, this.#values);
    if (unknown === undefined) return replaced;
    const known = [...this.#values.keys()].map((name) => `$${name}`).join(', ');
    throw usageError(`$${unknown} has no value`, known === '' ? `set it: ${unknown} = mine 1` : `known are ${known}`);
  }

  #at(step: Step, error: CliError): CliError {
    return new CliError(
      error.exit,
      error.code,
      `${this.#file}:${step.line}: ${step.text}: ${error.message}`,
      error.hint,
    );
  }
}

/** Runs `grapevine …` and gives what it printed. */
function grapevine(words: readonly string[], global: GlobalOptions): Promise<Outcome> {
  const args = [programFile('grapevine.js'), ...words, '--datadir', global.datadir];
  if (global.json) args.push('--json');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const collect = (stream: NodeJS.ReadableStream) => {
      const chunks: Buffer[] = [];
      let size = 0;
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_OUTPUT_BYTES) chunks.push(chunk);
        else child.kill();
      });
      return chunks;
    };
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    child.once('error', reject);
    child.once('close', (code) => {
      const text = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString('utf8');
      resolve({ exit: code ?? Exit.failed, stdout: text(stdout), stderr: text(stderr) });
    });
  });
}

/** The error that a command printed, as our own. */
function failure(exit: number, stderr: string, json: boolean): CliError {
  const known = Object.values(Exit).find((code) => code === exit) ?? Exit.failed;
  const last = stderr.trimEnd().split('\n').at(-1) ?? '';
  if (json) {
    const { error } = (readOutput(last) ?? {}) as { error?: { code?: unknown; message?: unknown; hint?: unknown } };
    const hint = typeof error?.hint === 'string' ? error.hint : undefined;
    return new CliError(known, String(error?.code ?? 'failed'), String(error?.message ?? stderr.trim()), hint);
  }
  const message = /^error: (.*)$/m.exec(stderr)?.[1] ?? (stderr.trim() || `exit code ${exit}`);
  return new CliError(known, 'step-failed', message, /^hint: (.*)$/m.exec(stderr)?.[1]);
}

/** The JSON of a command's output, or its text where it is none. */
function readOutput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.trimEnd();
  }
}
