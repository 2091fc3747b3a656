/**
 * A lock between processes: a file that names its owner. A lock whose owner has died is taken over; two processes that
 * notice so at the same time take turns through a second file, so that neither removes the other's new lock.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError, Exit } from '../node/commands/cli.ts';
import { createFile } from './atomic-file.ts';
import { processLives } from './devnet-file.ts';

const POLL_MS = 20;
/** Removing a dead owner's lock takes microseconds; a process that stopped in between is not waited for longer. */
const TAKEOVER_MS = 5_000;

export interface LockOptions {
  /** What is locked, for messages: `the wallet "savings"`. */
  readonly what: string;
  readonly timeoutMs: number;
  /** Called once if somebody else holds the lock. */
  readonly onWait?: (pid: number) => void;
}

/** Runs `action` while this process alone holds the lock at `path`. Throws CliError "locked" after the time-out. */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  await acquire(path, options);
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

async function acquire(path: string, options: LockOptions): Promise<void> {
  let told = false;
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const owner = ownerOf(path);
    if (owner === undefined) {
      if (createFile(path, `${process.pid}\n`)) return;
    } else if (!processLives(owner)) {
      removeDeadLock(path);
    } else if (waitedMs >= options.timeoutMs) {
      throw new CliError(
        Exit.failed,
        'locked',
        `${options.what} is in use by process ${owner}`,
        `wait until it has ended; if it is no grapevine command, remove ${path}`,
      );
    } else {
      if (!told) options.onWait?.(owner);
      told = true;
      await sleep(POLL_MS);
    }
  }
}

/** The process in a lock file; undefined if there is no such file. A text that is no number names a dead process. */
function ownerOf(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isNaN(pid) ? 0 : pid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function removeDeadLock(path: string): void {
  const takeover = `${path}.takeover`;
  if (!createFile(takeover, `${process.pid}\n`)) {
    if (ageMs(takeover) > TAKEOVER_MS) rmSync(takeover, { force: true });
    return;
  }
  try {
    // Only now is it certain that nobody else removes it: look again.
    const owner = ownerOf(path);
    if (owner !== undefined && !processLives(owner)) rmSync(path, { force: true });
  } finally {
    rmSync(takeover, { force: true });
  }
}

function ageMs(path: string): number {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? 0 : Date.now() - status.mtimeMs;
}
