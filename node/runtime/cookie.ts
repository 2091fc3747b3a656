/** The cookie: a password that is new at every start, in a file that only the node's user may read. RULES.md D1. */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const USER = '__cookie__';

/** Writes a new cookie and returns it as `user:password`. Nobody ever sees half a file. */
export function writeCookie(path: string): string {
  const cookie = `${USER}:${randomBytes(32).toString('hex')}`;
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, cookie, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
  return cookie;
}

/** Removes the file if it still holds this cookie. */
export function removeCookie(path: string, cookie: string): void {
  try {
    if (readFileSync(path, 'utf8') === cookie) rmSync(path);
  } catch {
    // Somebody removed it, or the whole directory: what was wanted is so.
  }
}
