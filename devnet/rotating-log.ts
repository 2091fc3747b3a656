/**
 * A log file of bounded size: `node.log`, and when that is full `node.log.1` (the newer) to `node.log.3`. Lines are
 * written whole, in their order, and none is lost between two files. A disk that is full costs the log and no more.
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

/** A file that has reached this is put aside. With tracing a payment takes about 3 KB in the log of a node. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;
/** Files that are kept besides the newest. */
export const KEPT_LOGS = 3;

/** The files of a log that there may be, oldest first. */
export function logFiles(path: string): string[] {
  const kept = Array.from({ length: KEPT_LOGS }, (_, index) => `${path}.${KEPT_LOGS - index}`);
  return [...kept, path];
}

export class RotatingLog {
  readonly #path: string;
  readonly #maxBytes: number;
  #handle: number | undefined;
  #size = 0;
  /** Lines of this turn of the event loop: they are written together. */
  #lines: string[] = [];
  #due: NodeJS.Immediate | undefined;

  constructor(path: string, maxBytes: number = MAX_LOG_BYTES) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** Without the line's end. */
  write(line: string): void {
    this.#lines.push(`${line}\n`);
    this.#due ??= setImmediate(() => this.#flush());
  }

  /** Writes what waits. Nothing may be written after it. */
  close(): void {
    if (this.#due !== undefined) clearImmediate(this.#due);
    this.#flush();
    this.#closeFile();
  }

  #flush(): void {
    this.#due = undefined;
    const lines = this.#lines;
    this.#lines = [];
    let text = '';
    let bytes = 0;
    this.#open();
    for (const line of lines) {
      const length = Buffer.byteLength(line);
      // An empty file takes any line.
      if (this.#size + bytes > 0 && this.#size + bytes + length > this.#maxBytes) {
        this.#append(text, bytes);
        this.#rotate();
        text = '';
        bytes = 0;
      }
      text += line;
      bytes += length;
    }
    this.#append(text, bytes);
  }

  #append(text: string, bytes: number): void {
    if (bytes === 0) return;
    if (this.#handle === undefined) return;
    try {
      writeSync(this.#handle, text);
      this.#size += bytes;
    } catch {
      // A full disk costs the log and not the network; the node will say itself that it cannot write.
    }
  }

  #open(): void {
    if (this.#handle !== undefined) return;
    try {
      this.#handle = openSync(this.#path, 'a');
      this.#size = fstatSync(this.#handle).size;
    } catch {
      // As above: the folder may be gone.
      this.#handle = undefined;
    }
  }

  #closeFile(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
    this.#size = 0;
  }

  #rotate(): void {
    this.#closeFile();
    try {
      rmSync(`${this.#path}.${KEPT_LOGS}`, { force: true });
      for (let index = KEPT_LOGS - 1; index >= 0; index--) {
        renameIfThere(index === 0 ? this.#path : `${this.#path}.${index}`, `${this.#path}.${index + 1}`);
      }
    } catch {
      // What cannot be put aside grows on: nothing is thrown away for that.
    }
    this.#open();
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
