/**
 * Inbound connections that have not shown yet what they are: at most so many at a time, and each for a short time. A peer
 * shows at once what it is, so silence gives way when there is no room. Whose silence, is a question of fairness: the
 * oldest of the host that has most of them, so that one host can only push out itself.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../boundary.ts';
import { parseIp } from '../wire/ip.ts';

interface Waiting {
  readonly from: string;
  readonly timer: NodeJS.Timeout;
}

export class Undecided {
  readonly #most: number;
  readonly #timeoutMs: Millis;
  /** Oldest first. */
  readonly #waiting = new Map<Socket, Waiting>();

  constructor(most: number, timeoutMs: Millis) {
    this.#most = most;
    this.#timeoutMs = timeoutMs;
  }

  /** `remote` is the host that it comes from. It is destroyed unless it is deleted in time. */
  add(socket: Socket, remote: string): void {
    const from = hostOf(remote);
    if (this.#waiting.size >= this.#most) this.#makeRoom(from);
    this.#waiting.set(socket, { from, timer: setTimeout(() => socket.destroy(), this.#timeoutMs) });
  }

  /** It has shown what it is, or it has ended. */
  delete(socket: Socket): void {
    clearTimeout(this.#waiting.get(socket)?.timer);
    this.#waiting.delete(socket);
  }

  destroyAll(): void {
    for (const socket of [...this.#waiting.keys()]) this.#end(socket);
  }

  /** The newcomer counts too: where its host has more than one, and as many as any other, that host gives way itself. */
  #makeRoom(newcomer: string): void {
    const counts = new Map([[newcomer, 1]]);
    for (const { from } of this.#waiting.values()) counts.set(from, (counts.get(from) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const own = most > 1 && counts.get(newcomer) === most;
    for (const [socket, { from }] of this.#waiting) {
      if (own ? from !== newcomer : counts.get(from) !== most) continue;
      return this.#end(socket);
    }
  }

  #end(socket: Socket): void {
    this.delete(socket);
    socket.destroy();
  }
}

/** Whoever has one address of an IPv6 network of 64 bits has all of them. */
function hostOf(remote: string): string {
  const ip = parseIp(remote);
  return ip?.network === 'ipv6' ? ip.bytes.subarray(0, 8).join('.') : remote;
}
