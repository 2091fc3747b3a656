/** Starts a devnet in the background and waits until it is ready: the command's end of background.ts. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { CliError, Exit } from '../node/commands/cli.ts';
import type { Answer, Order } from './background.ts';
import { DevnetFolder } from './folder.ts';
import { programFile } from './processes.ts';
import type { ReadyReport } from './report.ts';

/** Resolves when the devnet is ready. Throws the error of the background process if it does not become so. */
export async function detach(order: Order, onNote: (text: string) => void): Promise<ReadyReport> {
  const folder = new DevnetFolder(order.options.datadir, order.options.name);
  folder.make();
  const log = openSync(folder.supervisorLog, 'a', 0o600);
  const child = fork(programFile('background.js'), {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    // Satoshis are bigints, which JSON does not know.
    serialization: 'advanced',
  });
  closeSync(log);
  try {
    return await answerOf(child, order, folder.supervisorLog, onNote);
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function answerOf(
  child: ChildProcess,
  order: Order,
  log: string,
  onNote: (text: string) => void,
): Promise<ReadyReport> {
  return new Promise((resolve, reject) => {
    child.on('message', (answer: Answer) => {
      if (answer.type === 'note') onNote(answer.text);
      else if (answer.type === 'ready') resolve(answer.report);
      else reject(new CliError(answer.exit, answer.code, answer.message, answer.hint));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      reject(new CliError(Exit.failed, 'background', `the background process ended (${how})`, `its log is ${log}`));
    });
    child.send(order);
  });
}
