/** Links over plain TCP: the peer stream as it is, which Bitcoin Core speaks too. */
import { connect, type Socket } from 'node:net';
import type { DialTarget } from '../boundary.ts';
import {
  type Dial,
  type DialHandlers,
  type DialOptions,
  endWithPeer,
  gatherWrites,
  KEEP_ALIVE,
  type Link,
  socketEndpoint,
} from './link.ts';
import { literalRefusal, publicLookup } from './public-lookup.ts';

/** The link over a connected socket that is paused; bytes that were read from it must have been put back. */
export function tcpLink(socket: Socket): Link {
  let reason = 'closed by the peer';
  const gather = gatherWrites(socket);
  socket.setNoDelay(true);
  return {
    transport: 'tcp',
    remote: socketEndpoint(socket.remoteAddress, socket.remotePort),
    local: socketEndpoint(socket.localAddress, socket.localPort),
    start({ onBytes, onRead, onDown }) {
      socket.on('data', (bytes: Buffer) => {
        const began = performance.now();
        onBytes(bytes);
        onRead(bytes.length, performance.now() - began);
      });
      socket.on('error', (error) => {
        reason = error.message;
      });
      socket.on('end', endWithPeer);
      socket.on('close', () => onDown(reason));
    },
    send(bytes, onSent) {
      gather();
      socket.write(bytes, (error) => {
        if (error == null) onSent();
      });
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    destroy: () => socket.destroy(),
  };
}

export function dialTcp(
  { host, port }: DialTarget,
  { timeoutMs, publicOnly }: DialOptions,
  { onLink, onFailed }: DialHandlers,
): Dial {
  const refused = publicOnly ? literalRefusal(host) : undefined;
  if (refused !== undefined) throw new Error(refused);
  const socket = connect({ host, port, ...KEEP_ALIVE, ...(publicOnly ? { lookup: publicLookup() } : {}) });
  const timer = setTimeout(() => socket.destroy(new Error('timed out')), timeoutMs);
  let reason = 'closed';
  socket.on('error', (error) => {
    reason = error.message;
  });
  const onClose = () => {
    clearTimeout(timer);
    onFailed(reason);
  };
  socket.on('close', onClose);
  socket.once('connect', () => {
    clearTimeout(timer);
    socket.off('close', onClose);
    socket.pause();
    onLink(tcpLink(socket));
  });
  return {
    abort() {
      clearTimeout(timer);
      socket.off('close', onClose);
      socket.destroy();
    },
  };
}
