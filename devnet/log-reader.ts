/**
 * The logs of several nodes as one, in the order of their times. Reads files that grow, that are put aside when they are
 * full, and that begin again; keeps no more of them in memory than a piece of each.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { logFiles } from './rotating-log.ts';

export interface NodeLine {
  readonly node: string;
  /** As the line has it, ISO 8601; that of the line before where it has none. */
  readonly time: string;
  /** As it stands in the file. */
  readonly text: string;
}

const CHUNK_BYTES = 256 * 1024;
/** A longer line is cut there: nodes write none. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const TIME = /"time":"(\d{4}-\d\d-\d\dT[\d:.]+Z)"/;
const NEWLINE = 0x0a;

/** The log of one node. */
export class NodeLog {
  readonly #node: string;
  readonly #path: string;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  /** Files that are still to be read, the one that is read now first. */
  #handles: number[];
  /** Bytes of a line whose end has not been read. */
  #rest: Buffer = Buffer.alloc(0);
  #lines: NodeLine[] = [];
  #at = 0;
  #time = '';

  constructor(node: string, path: string) {
    this.#node = node;
    this.#path = path;
    // Opened before any is read: their names move on when the newest is full.
    this.#handles = logFiles(path).flatMap((file) => open(file) ?? []);
  }

  /** The next line, which stays the next one; undefined while there is none. */
  peek(): NodeLine | undefined {
    if (this.#at === this.#lines.length) this.#fill();
    return this.#lines[this.#at];
  }

  skip(): void {
    this.#at += 1;
  }

  close(): void {
    for (const handle of this.#handles) closeSync(handle);
    this.#handles = [];
  }

  #fill(): void {
    this.#lines = [];
    this.#at = 0;
    while (this.#lines.length === 0) {
      const [handle] = this.#handles;
      const bytes = handle === undefined ? 0 : readSync(handle, this.#chunk);
      if (bytes > 0) this.#split(this.#chunk.subarray(0, bytes));
      else if (!this.#nextFile()) return;
    }
  }

  /** At the end of a file: goes on to the one after it. False if that is the newest, or there is none yet. */
  #nextFile(): boolean {
    const [handle, ...later] = this.#handles;
    if (later.length === 0) later.push(...this.#newerThan(handle));
    if (later.length === 0) return false;
    if (handle !== undefined) {
      // Lines may have come between the last read and the change of files.
      for (let bytes = readSync(handle, this.#chunk); bytes > 0; bytes = readSync(handle, this.#chunk)) {
        this.#split(this.#chunk.subarray(0, bytes));
      }
      closeSync(handle);
    }
    this.#handles = later;
    this.#rest = Buffer.alloc(0);
    return true;
  }

  /** Files that were begun after that one, oldest first, opened. */
  #newerThan(handle: number | undefined): number[] {
    const opened = logFiles(this.#path).flatMap((file) => open(file) ?? []);
    const inode = handle === undefined ? undefined : fstatSync(handle).ino;
    // Where it was removed meanwhile, all that is there is newer.
    const at = opened.findIndex((other) => fstatSync(other).ino === inode);
    for (const known of opened.slice(0, at + 1)) closeSync(known);
    return opened.slice(at + 1);
  }

  #split(bytes: Buffer): void {
    const data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let from = 0;
    for (let end = data.indexOf(NEWLINE, from); end >= 0; end = data.indexOf(NEWLINE, from)) {
      this.#add(data.toString('utf8', from, end));
      from = end + 1;
    }
    this.#rest = Buffer.from(data.subarray(from));
    if (this.#rest.length <= MAX_LINE_BYTES) return;
    this.#add(this.#rest.toString('utf8'));
    this.#rest = Buffer.alloc(0);
  }

  #add(text: string): void {
    this.#time = TIME.exec(text)?.[1] ?? this.#time;
    if (text !== '') this.#lines.push({ node: this.#node, time: this.#time, text });
  }
}

/** All lines that there are by now, in the order of their times; lines of one moment in the order of the logs. */
export function* mergedLines(logs: readonly NodeLog[]): Generator<NodeLine> {
  for (;;) {
    let first: NodeLog | undefined;
    let earliest: NodeLine | undefined;
    for (const log of logs) {
      const line = log.peek();
      if (line === undefined || (earliest !== undefined && earliest.time <= line.time)) continue;
      [first, earliest] = [log, line];
    }
    if (first === undefined || earliest === undefined) return;
    first.skip();
    yield earliest;
  }
}

/** Undefined where there is no such file. */
function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
