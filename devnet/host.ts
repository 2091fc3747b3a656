/**
 * The process around a devnet: brings it up, reports when it is ready, and stays until a signal or `devnet down` ends it.
 * The same for the foreground and the background; they differ in where they write.
 */
import { rmSync } from 'node:fs';
import { toJson, usageError } from '../node/commands/cli.ts';
import { replaceFile } from '../wallet/atomic-file.ts';
import type { DevnetOptions } from './options.ts';
import type { ReadyReport } from './report.ts';
import { Devnet, type DevnetHooks } from './supervisor.ts';

export interface HostOutput extends Pick<DevnetHooks, 'onNote' | 'onEvent'> {
  readonly onReady: (report: ReadyReport) => void;
  /** A signal has come; the nodes are being ended. */
  readonly onStopping: () => void;
  /** End when the parent process does: npm gives a signal to a shell, which dies of it and would leave the devnet behind. */
  readonly endsWithParent: boolean;
}

const PARENT_CHECK_MS = 500;

/** SIGHUP comes when the terminal is closed. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a devnet until it is stopped. Throws if it does not become ready. `readyFile` is written when it does and removed
 * at the end, so whoever waits for it never sees the one of an earlier run.
 */
export async function hostDevnet(
  options: DevnetOptions,
  readyFile: string | undefined,
  output: HostOutput,
): Promise<void> {
  let written = false;
  const devnet = new Devnet(options, {
    ...output,
    onClaimed: () => removeReadyFile(readyFile),
    onReleased: () => {
      if (written) removeReadyFile(readyFile);
    },
  });
  let asked = false;
  const onSignal = () => {
    if (asked) return devnet.killAll();
    asked = true;
    output.onStopping();
    // Whether that works is told by the wait for it below.
    devnet.stop().catch(() => undefined);
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (!output.endsWithParent || process.ppid === parent) return;
    clearInterval(watch);
    onSignal();
  }, PARENT_CHECK_MS).unref();
  try {
    const report = await devnet.up();
    writeReadyFile(readyFile, report);
    written = true;
    output.onReady(report);
    await devnet.finished;
  } finally {
    try {
      // Also after an error: a devnet that nobody was told of must not go on.
      await devnet.stop();
      await devnet.finished;
    } finally {
      clearInterval(watch);
      for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
    }
  }
}

function removeReadyFile(path: string | undefined): void {
  if (path === undefined) return;
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw usageError(`--ready-file: cannot write ${path}: ${(error as Error).message}`);
  }
}

function writeReadyFile(path: string | undefined, report: ReadyReport): void {
  if (path === undefined) return;
  try {
    replaceFile(path, `${toJson(report)}\n`);
  } catch (error) {
    throw usageError(`--ready-file: cannot write ${path}: ${(error as Error).message}`);
  }
}
