/**
 * How much waits to be sent to each peer. A peer that does not take our answers may not ask for more: above the limit
 * reading from it stops, and goes on once half has left. Owns the counts, not the bytes.
 */
import type { PeerId } from '../boundary.ts';
import type { Limits } from '../limits.ts';

interface Buffer {
  bytes: number;
  paused: boolean;
}

export class SendBuffers {
  readonly #maxBytes: number;
  readonly #buffers = new Map<PeerId, Buffer>();

  constructor(limits: Limits) {
    this.#maxBytes = limits.maxSendBufferBytes;
  }

  /** Bytes were handed to the transport: 'pause' when reading from the peer must stop. */
  onSend(peer: PeerId, bytes: number): 'pause' | null {
    let buffer = this.#buffers.get(peer);
    if (buffer === undefined) {
      buffer = { bytes: 0, paused: false };
      this.#buffers.set(peer, buffer);
    }
    buffer.bytes += bytes;
    if (buffer.paused || buffer.bytes <= this.#maxBytes) return null;
    buffer.paused = true;
    return 'pause';
  }

  /** Bytes left for the network: 'resume' when reading may go on. */
  onDrained(peer: PeerId, bytes: number): 'resume' | null {
    const buffer = this.#buffers.get(peer);
    if (buffer === undefined) return null;
    buffer.bytes = Math.max(0, buffer.bytes - bytes);
    // Half, so that a peer at the limit is not paused and resumed for every message.
    if (!buffer.paused || buffer.bytes > this.#maxBytes / 2) return null;
    buffer.paused = false;
    return 'resume';
  }

  /** Bytes that wait to be sent. */
  size(peer: PeerId): number {
    return this.#buffers.get(peer)?.bytes ?? 0;
  }

  /** The peer does not take what is sent: hold back whatever can wait. */
  isFull(peer: PeerId): boolean {
    return this.#buffers.get(peer)?.paused ?? false;
  }

  remove(peer: PeerId): void {
    this.#buffers.delete(peer);
  }
}
