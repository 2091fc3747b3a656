/** Links over plain TCP: the peer stream as it is, which Bitcoin Core speaks too. */
import { connect, type Socket } from 'node:net';
import type { DialTarget, Millis } from '../boundary.ts';
import { type Dial, type DialHandlers, gatherWrites, type Link, socketEndpoint } from './link.ts';

/** The link over a connected socket that is paused; bytes that were read from it must have been put back. */
export function tcpLink(socket: Socket): Link {
  let reason = 'closed by the peer';
  const gather = gatherWrites(socket);
  socket.setNoDelay(true);
  return {
    transport: 'tcp',
    remote: socketEndpoint(socket.remoteAddress, socket.remotePort),
    local: socketEndpoint(socket.localAddress, socket.localPort),
    start({ onBytes, onDown }) {
      socket.on('data', onBytes);
      socket.on('error', (error) => {
        reason = error.message;
      });
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

export function dialTcp(target: DialTarget, timeoutMs: Millis, { onLink, onFailed }: DialHandlers): Dial {
  const socket = connect({ host: target.host, port: target.port });
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
