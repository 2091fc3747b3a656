/**
 * Ports for the nodes of a devnet: the usual ones where they are free, else the next pairs that are. The number of a
 * port is looked up by binding it for a moment, so another program can still take it before the node does; the
 * supervisor then starts over with other ports.
 */
import { createServer } from 'node:net';
import { CliError, Exit } from '../node/commands/cli.ts';

export interface PortPair {
  readonly rpc: number;
  /** Peers: WebSocket and plain TCP. */
  readonly listen: number;
}

export const LOOPBACK = '127.0.0.1';
/** Pairs that are looked at beyond those that are wanted. */
const MAX_TRIES = 2000;
const HIGHEST_PORT = 65_535;

/** `count` pairs from `first` upwards (node i gets `first + 2i` and the port behind it), without those that are taken. */
export async function freePorts(first: PortPair, count: number): Promise<PortPair[]> {
  const found: PortPair[] = [];
  for (let index = 0; found.length < count && index < count + MAX_TRIES; ) {
    // As many at once as are still missing: looking takes a fraction of a millisecond, waiting for each would add up.
    const candidates = Array.from({ length: count - found.length }, (_, step) => ({
      rpc: first.rpc + 2 * (index + step),
      listen: first.listen + 2 * (index + step),
    }));
    const free = await Promise.all(candidates.map(isPairFree));
    found.push(...candidates.filter((_, at) => free[at]));
    index += candidates.length;
  }
  if (found.length < count) {
    const message = `${count} pairs of free ports are wanted on ${LOOPBACK} from ${first.rpc} on, and there are ${found.length}`;
    throw new CliError(Exit.failed, 'no-free-ports', message, 'end what holds them, or ask for fewer nodes');
  }
  return found;
}

async function isPairFree(pair: PortPair): Promise<boolean> {
  if (pair.rpc > HIGHEST_PORT || pair.listen > HIGHEST_PORT) return false;
  const free = await Promise.all([isFree(pair.rpc), isFree(pair.listen)]);
  return free.every(Boolean);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
