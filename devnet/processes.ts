/**
 * Real node processes: started from the built files, watched until they exit, ended by their own process id. A node gets
 * `--exit-with-parent` and a pipe as its stdin, so it ends with the process that started it even when that one is killed.
 * Its log goes to a file, and line by line to whoever watches.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CliError, Exit } from '../node/commands/cli.ts';
import { makeFolder } from '../wallet/atomic-file.ts';
import { LOOPBACK, type PortPair } from './ports.ts';
import { RotatingLog } from './rotating-log.ts';
import { ITEM_MARK } from './trace.ts';

/** What a node is started with. It stays the same when the node is restarted. */
export interface NodeSpec {
  readonly name: string;
  readonly network: string;
  readonly datadir: string;
  readonly logFile: string;
  readonly ports: PortPair;
  /** URLs that it dials by itself. */
  readonly connect: readonly string[];
  /** Whether it dials what it learns by peer exchange. */
  readonly pex: boolean;
  /** The file of its network, where that is no built-in one. */
  readonly chainFile?: string | undefined;
  /** The part of the machine that it may mine with. */
  readonly miningShare?: number | undefined;
}

/** What differs from start to start. */
export interface NodeStart {
  /** It makes no links before it is told to. */
  readonly offline: boolean;
  /** Seconds since 1970 at which its clock stands; undefined: the real time. */
  readonly mockTime: number | undefined;
}

/** The line that a node prints when it answers. */
export interface NodeReady {
  readonly rpc: string;
  readonly listen: readonly string[];
  readonly cookie: string;
}

export interface NodeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The error that it printed, if it printed one. */
  readonly error: PrintedError | undefined;
  /** The last line that it printed. */
  readonly lastLine: string | undefined;
}

/** An error as a command prints it with `--json`. */
interface PrintedError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** One line of a node's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A node that has not ended this long after it was asked to is killed. */
const STOP_TIMEOUT_MS = 5000;
/** How its peers know a devnet node: what its user agent holds in brackets. */
export function agentComment(name: string): string {
  return `devnet:${name}`;
}

/** The devnet node with that user agent, or undefined for any other program. */
export function nodeOfAgent(userAgent: string): string | undefined {
  return /\(devnet:([^;)]+)/.exec(userAgent)?.[1];
}

export function listenUrl(ports: PortPair): string {
  return `ws://${LOOPBACK}:${ports.listen}`;
}

/** A file of the bundled program, also when this file runs from its source or is part of the library. */
export function programFile(name: string): string {
  const built = import.meta.filename.endsWith('.ts') ? '../dist' : '..';
  return resolve(import.meta.dirname, built, 'program', name);
}

export class NodeProcess {
  readonly spec: NodeSpec;
  readonly pid: number | undefined;
  /** Rejects with the node's own error if it ends before it is ready. */
  readonly ready: Promise<NodeReady>;
  /** Never rejects. */
  readonly exited: Promise<NodeExit>;
  readonly #child: ChildProcess;
  #ended = false;

  /** Starts the process. `onLog` gets every line of its log that is JSON, but those that trace items. */
  constructor(spec: NodeSpec, start: NodeStart, onLog: (line: LogLine) => void) {
    this.spec = spec;
    makeFolder(dirname(spec.logFile));
    // A process group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then ends its nodes in order.
    this.#child = spawn(process.execPath, nodeArguments(spec, start), { stdio: 'pipe', detached: true });
    this.pid = this.#child.pid;
    // Writing to a node that has just ended fails; its exit tells all there is to know.
    this.#child.stdin?.on('error', () => undefined);
    let error: PrintedError | undefined;
    let lastLine: string | undefined;
    const log = new RotatingLog(spec.logFile);
    forEachLine(this.#child.stderr, (line) => {
      log.write(line);
      // They are most of what a busy node says, and meant for `devnet trace` only.
      if (line.includes(ITEM_MARK)) return;
      lastLine = line;
      const value = parseRecord(line);
      if (value === undefined) return;
      error = printedError(value) ?? error;
      onLog(value);
    });
    this.exited = new Promise((settle) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#ended = true;
        log.close();
        settle({ code, signal, error, lastLine });
      };
      // `close` comes after the last line of the log was read. A process that could not be started has only `error`.
      this.#child.once('close', end);
      this.#child.once('error', ({ message }) => {
        if (this.pid !== undefined) return;
        lastLine = message;
        end(null, null);
      });
    });
    this.ready = new Promise((settle, refuse) => {
      forEachLine(this.#child.stdout, (line) => {
        const value = parseRecord(line);
        if (value?.['event'] === 'ready') settle(value as unknown as NodeReady);
      });
      this.exited.then((exit) => refuse(startError(spec, exit)));
    });
    // Whoever awaits `ready` sees the error; a node that is stopped before anybody does must not end the supervisor.
    this.ready.catch(() => undefined);
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** Asks the node to end, and kills it if it does not. */
  async stop(): Promise<NodeExit> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.#signal('SIGKILL'), STOP_TIMEOUT_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Ends the node as a crash would: nothing is saved. */
  kill(): Promise<NodeExit> {
    this.#signal('SIGKILL');
    return this.exited;
  }

  #signal(signal: NodeJS.Signals): void {
    // The handle knows whether the process still is ours, so a number that was given to another one is never signalled.
    if (this.running) this.#child.kill(signal);
  }
}

function nodeArguments(spec: NodeSpec, { offline, mockTime }: NodeStart): string[] {
  return [
    programFile('grapevine.js'),
    'node',
    '--json',
    ...(spec.chainFile === undefined ? ['--network', spec.network] : ['--chain', spec.chainFile]),
    ...['--datadir', spec.datadir],
    ...['--rpc', `${LOOPBACK}:${spec.ports.rpc}`],
    ...['--listen', listenUrl(spec.ports)],
    ...spec.connect.flatMap((url) => ['--connect', url]),
    ...(spec.pex ? [] : ['--no-pex']),
    ...['--profile', 'local'],
    ...(spec.miningShare === undefined ? [] : ['--mine-share', `${Number((100 * spec.miningShare).toFixed(3))}%`]),
    ...['--user-agent-comment', agentComment(spec.name)],
    '--trace-items',
    ...(offline ? ['--offline'] : []),
    ...(mockTime === undefined ? [] : ['--mock-time', String(mockTime)]),
    '--exit-with-parent',
  ];
}

function forEachLine(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream === null) return;
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine);
}

function parseRecord(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // A line that was cut when its writer was killed.
    return undefined;
  }
}

function printedError({ error }: LogLine): PrintedError | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, message, hint } = error as Record<string, unknown>;
  return { code: String(code), message: String(message), hint: typeof hint === 'string' ? hint : undefined };
}

/** The node's own error with its name in front, if it printed one. */
function startError(spec: NodeSpec, exit: NodeExit): CliError {
  const { error, code } = exit;
  const known = Object.values(Exit).find((candidate) => candidate === code) ?? Exit.failed;
  if (error !== undefined) {
    return new CliError(known, error.code, `${spec.name} did not start: ${error.message}`, error.hint);
  }
  const message = `${spec.name} did not start: it ${describeExit(exit)}`;
  return new CliError(Exit.failed, 'node-start', message, `its log is ${spec.logFile}`);
}

/** Follows the name of the node: `was ended by SIGKILL`. */
export function describeExit({ code, signal, error, lastLine }: NodeExit): string {
  if (signal !== null) return `was ended by ${signal}`;
  if (code === 0) return 'has ended';
  const words = error?.message ?? lastLine;
  const how = code === null ? 'could not be started' : `failed with exit code ${code}`;
  return words === undefined ? how : `${how}: ${words}`;
}
