/**
 * What runs in a thread beside the main one: signature checks and proof of work, one task after the other, without state.
 * Started by worker-pool.ts, which owns the queue; a thread can only run the built file.
 */
import { parentPort } from 'node:worker_threads';
import { ok, unreachable } from '../../consensus/brand.ts';
import type { RolledResult } from '../mining/grind.ts';
import { fastestSearch, type Search, type SearchTask } from '../mining/kernel.ts';
import { chooseBackend } from '../verify/choose-backend.ts';
import { verifyChecks } from '../verify/verify-checks.ts';
import type { Answer, Task } from './worker-pool.ts';

/** Made when the first nonce is asked for: most threads never are. */
let chosen: Search | undefined;

function search(task: SearchTask): RolledResult {
  chosen ??= fastestSearch();
  return chosen(task);
}

function perform(task: Exclude<Task, { type: 'end' }>): Answer {
  switch (task.type) {
    case 'verify': {
      let at = 0;
      const failed = task.pieceLengths.map((length) => {
        at += length;
        return verifyChecks(task.checks.subarray(at - length, at));
      });
      return { type: 'verified', failed };
    }
    case 'mine':
      return { type: 'mined', ...search(task) };
    case 'choose-backend': {
      const choice = chooseBackend();
      // What is sent to another thread has no functions.
      return {
        type: 'backend',
        choice: choice.ok ? ok({ backend: choice.value.name, library: choice.value.library }) : choice,
      };
    }
    default:
      return unreachable(task);
  }
}

if (parentPort === null) throw new Error('worker.ts must be started as a thread');
const port = parentPort;
port.on('message', (task: Task) => {
  if (task.type === 'end') port.close();
  else port.postMessage(perform(task));
});
