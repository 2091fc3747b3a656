/** Who listens on a port, where the system tells it: Linux, in /proc, for the processes that we may look into. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTENING = '0A';

/** `name (pid 123)` of a process that listens on this TCP port, or undefined. */
export function portOwner(port: number): string | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '')?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      const name = attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8'))?.trim();
      return `${name ?? 'a process'} (pid ${pid})`;
    }
  }
  return undefined;
}

/** Inodes of the sockets that listen on the port. */
function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>();
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (attempt(() => readFileSync(table, 'utf8')) ?? '').split('\n')) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTENING && local?.endsWith(`:${hexPort}`) && inode !== undefined) inodes.add(inode);
    }
  }
  return inodes;
}

function list(directory: string): string[] {
  return attempt(() => readdirSync(directory)) ?? [];
}

/** Other systems have no /proc, processes end meanwhile, and those of other users are closed to us: then we do not know. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
