/** Binding a server to an address, with errors that say whose fault it is. Used by the peer port and by the RPC port. */
import type { AddressInfo, Server } from 'node:net';
import type { Endpoint } from '../boundary.ts';
import { portOwner } from './port-owner.ts';
import { errorText, StartError, systemCode } from './start-error.ts';

/**
 * Starts to listen; port 0 picks a free one. Resolves to what was bound, rejects with a StartError, whose hint names the
 * option that chooses another address.
 */
export async function listenOn(server: Server, endpoint: Endpoint, option: string): Promise<Endpoint> {
  const { host, port } = endpoint;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw listenError(error, endpoint, option);
  }
  // A later error concerns one connection that could not be accepted (no file descriptors); the server goes on.
  server.on('error', () => undefined);
  return { host, port: (server.address() as AddressInfo).port };
}

function listenError(error: unknown, { host, port }: Endpoint, option: string): StartError {
  switch (systemCode(error)) {
    case 'EADDRINUSE': {
      const owner = portOwner(port);
      return new StartError(
        'port-taken',
        `port ${port} on ${host} is already in use${owner === undefined ? '' : ` by ${owner}`}`,
        `Stop that program, or choose another port with ${option}; port 0 picks a free one.`,
      );
    }
    case 'EACCES':
      return new StartError(
        'port-not-allowed',
        `listening on port ${port} is not allowed`,
        `Ports below 1024 need special rights: choose a higher one with ${option}.`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(
        'address-unavailable',
        `${host} is not an address of this machine`,
        `Give ${option} 127.0.0.1, or 0.0.0.0 for all addresses.`,
      );
    default:
      return new StartError('address-unavailable', `cannot listen on ${host} port ${port}: ${errorText(error)}`);
  }
}
