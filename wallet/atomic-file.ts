/** Files that hold state or secrets: written whole or not at all, readable by their owner only. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CliError, Exit } from '../node/commands/cli.ts';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/** Replaces `path` in one step: a reader, or a crash, sees the old text or the new one. Makes the folder. */
export function replaceFile(path: string, text: string): void {
  const temporary = writeBeside(path, text);
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Writes `path` only if nothing is there; false if something is. Two processes cannot both succeed. */
export function createFile(path: string, text: string): boolean {
  const temporary = writeBeside(path, text);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolder(dirname(path));
  return true;
}

/**
 * Makes a folder and those above it. Not by `recursive`: where a folder cannot be made for other reasons than the usual
 * ones (below /proc, for one), Node 20 tries for ever.
 */
export function makeFolder(path: string, mode?: number): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent, mode);
  try {
    mkdirSync(path, mode);
  } catch (error) {
    // Somebody else was quicker.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

let sequence = 0;

/** A temporary file in the same folder, synced, so that naming it `path` is the only step left. */
function writeBeside(path: string, text: string): string {
  sequence += 1;
  const temporary = `${path}.${process.pid}.${sequence}.tmp`;
  try {
    makeFolder(dirname(path), OWNER_ONLY_FOLDER);
    const handle = openSync(temporary, 'w', OWNER_ONLY);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(
      Exit.failed,
      'not-writable',
      `cannot write ${path}: ${(error as Error).message}`,
      'choose another folder with --datadir, or make this one writable',
    );
  }
  return temporary;
}

/** Makes a new name survive a power cut. Windows cannot open folders and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
