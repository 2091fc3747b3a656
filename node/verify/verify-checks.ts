/**
 * The one function that verifies signatures for the node, wherever it runs: in a worker, in the simulator, in a test.
 * Checks are packed as connectBlock and the mempool emit them: x-only key (32 bytes), message (32), signature (64).
 */
import type { Bytes } from '../../consensus/brand.ts';
import { CHECK_SIZE } from '../../consensus/signature.ts';
import type { Backend } from './backend.ts';
import { chooseBackend } from './choose-backend.ts';
import { nobleBackend } from './noble.ts';

let chosen: Backend | undefined;

/** The backend of this thread, loaded when it is first needed. Throws where a forced one does not load. */
function ownBackend(): Backend {
  if (chosen !== undefined) return chosen;
  const choice = chooseBackend();
  if (!choice.ok) throw new Error(choice.error);
  chosen = choice.value;
  return chosen;
}

/**
 * The lowest index of a check that fails, or null if all hold. A failure found by a fast backend is confirmed by noble
 * before it is reported, for somebody will be judged by it. Bytes that are no whole number of checks are a bug.
 */
export function verifyChecks(checks: Bytes, backend: Backend = ownBackend()): number | null {
  if (checks.length % CHECK_SIZE !== 0) throw new Error(`${checks.length} bytes are no whole number of checks`);
  for (let at = 0; at < checks.length; at += CHECK_SIZE) {
    const key = checks.subarray(at, at + 32);
    const message = checks.subarray(at + 32, at + 64);
    const signature = checks.subarray(at + 64, at + CHECK_SIZE);
    if (backend.verify(key, message, signature)) continue;
    if (backend === nobleBackend || !nobleBackend.verify(key, message, signature)) return at / CHECK_SIZE;
  }
  return null;
}
