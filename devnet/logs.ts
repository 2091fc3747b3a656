/** `devnet logs`: what the nodes say, in one stream, for people or as NDJSON. */
import { once } from 'node:events';
import { type GlobalOptions, note, toJson, usageError } from '../node/commands/cli.ts';
import type { DevnetFolder } from './folder.ts';
import { mergedLines, type NodeLine, NodeLog } from './log-reader.ts';
import { chooseFolder, type NameOption, notRunning } from './reach.ts';
import { ITEM_MARK } from './trace.ts';

export interface LogTexts extends NameOption {
  readonly follow?: boolean;
  readonly grep?: string;
  readonly lines?: string;
  readonly all?: boolean;
}

/** Between two looks at the files. */
const POLL_MS = 100;
/** Looks after which it is asked again which nodes there are, and whether the devnet still runs. */
const POLLS_PER_REVIEW = 10;
const MAX_LINES = 1_000_000;
/** With `-f`, unless it is said how many. */
const LINES_BEFORE = 10;

export async function showLogs(node: string | undefined, texts: LogTexts, global: GlobalOptions): Promise<void> {
  const count = readLines(texts);
  const folder = chooseFolder(texts, global);
  if (!folder.exists) throw notRunning(folder);
  const follow = texts.follow === true;
  if (follow && !folder.seemsOwned) {
    const { message } = notRunning(folder);
    throw usageError(`${message}, so its logs do not grow`, 'without -f they are shown as they are');
  }
  const reader = new LogStream(folder, node);
  const isWanted = (line: NodeLine) =>
    (texts.all === true || !line.text.includes(ITEM_MARK)) &&
    (texts.grep === undefined || line.text.includes(texts.grep));
  const print = (line: NodeLine) => write(global.json ? lineJson(line) : describeLine(line));
  const stop = follow ? interruption() : undefined;
  try {
    for (const line of lastOf(reader.lines(), isWanted, count)) await print(line);
    if (stop === undefined) return;
    for (let poll = 1; !stop.asked; poll++) {
      await Promise.race([stop.promise, new Promise((wake) => setTimeout(wake, POLL_MS))]);
      const runs = poll % POLLS_PER_REVIEW !== 0 || folder.seemsOwned;
      if (poll % POLLS_PER_REVIEW === 0) reader.review();
      for (const line of reader.lines()) if (isWanted(line)) await print(line);
      if (!runs) return note(global, `devnet "${folder.name}" was stopped`);
    }
  } finally {
    reader.close();
    stop?.release();
  }
}

function readLines({ lines, follow }: LogTexts): number | undefined {
  if (lines === undefined) return follow === true ? LINES_BEFORE : undefined;
  const count = /^\d{1,7}$/.test(lines) ? Number(lines) : -1;
  if (count >= 0 && count <= MAX_LINES) return count;
  throw usageError(`--lines: "${lines}" is not a whole number up to ${MAX_LINES}`, 'for example --lines 20');
}

/** The logs of one node or of all, of those too that come later. */
class LogStream {
  readonly #folder: DevnetFolder;
  readonly #only: string | undefined;
  readonly #logs = new Map<string, NodeLog>();

  constructor(folder: DevnetFolder, only: string | undefined) {
    this.#folder = folder;
    this.#only = only;
    const names = folder.nodeNames();
    if (only !== undefined && !names.includes(only)) {
      const hint = names.length === 0 ? 'it has no logs yet' : `the nodes are ${names.join(', ')}`;
      throw usageError(`there is no node "${only}"`, hint);
    }
    this.review();
  }

  /** Looks for new nodes. */
  review(): void {
    for (const name of this.#folder.nodeNames()) {
      if (this.#logs.has(name) || (this.#only !== undefined && name !== this.#only)) continue;
      this.#logs.set(name, new NodeLog(name, this.#folder.nodeLog(name)));
    }
  }

  lines(): Iterable<NodeLine> {
    return mergedLines([...this.#logs.values()]);
  }

  close(): void {
    for (const log of this.#logs.values()) log.close();
  }
}

/** The wanted lines; only the last `count` of them if that is given. */
export function* lastOf(
  lines: Iterable<NodeLine>,
  isWanted: (line: NodeLine) => boolean,
  count: number | undefined,
): Generator<NodeLine> {
  const kept: NodeLine[] = [];
  for (const line of lines) {
    if (!isWanted(line)) continue;
    if (count === undefined) yield line;
    else kept.push(line);
    // In bulk: taking away the first of a long list each time would cost its length.
    if (count !== undefined && kept.length > 2 * count + 1000) kept.splice(0, kept.length - count);
  }
  if (count !== undefined && count > 0) yield* kept.slice(-count);
}

/** `12:34:56.789 n0  tip height=111 …`; a line that is no JSON as it is. */
export function describeLine({ node, time, text }: NodeLine): string {
  const head = `${time.slice(11, 23).padEnd(12)} ${node.padEnd(3)}`;
  const record = parse(text);
  if (record === undefined) return `${head} ${text}`;
  const { time: _, level, message, ...fields } = record;
  const words = Object.entries(fields).map(([name, value]) => {
    return `${name}=${typeof value === 'object' && value !== null ? JSON.stringify(value) : value}`;
  });
  return [head, ...(level === 'info' ? [] : [level]), message, ...words].filter((word) => word !== undefined).join(' ');
}

/** The line with its node in front. */
export function lineJson({ node, time, text }: NodeLine): string {
  return toJson({ node, ...(parse(text) ?? { time, message: text }) });
}

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // Cut off when its writer was killed: shown as it is.
    return undefined;
  }
}

/** Waits for whoever reads, so that a long log does not end up in our memory. */
async function write(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

/** Ctrl-C ends the stream in order: that is how it is meant to end. */
function interruption(): { readonly promise: Promise<void>; readonly asked: boolean; release(): void } {
  let asked = false;
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  const onSignal = () => {
    asked = true;
    resolve();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  return {
    promise,
    get asked() {
      return asked;
    },
    release() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
    },
  };
}
