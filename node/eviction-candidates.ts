/** What the rules of eviction (peer/eviction.ts) look at, gathered of the inbound links that can go. */
import type { Millis, PeerId } from './boundary.ts';
import type { Link } from './link.ts';
import type { EvictionCandidate } from './peer/eviction.ts';
import type { PeerVersion } from './peer/handshake.ts';

/** What the machines know of a link. */
export interface EvictionView {
  /** Undefined until the handshake is complete; such a link may have to go as any other. */
  version(peer: PeerId): PeerVersion | undefined;
  minPingMs(peer: PeerId): Millis | undefined;
  isDiscouraged(host: string): boolean;
  /** The host is this machine, on a network where that is no matter of course. */
  isLocal(host: string): boolean;
  /** Service bits that we need of a peer. */
  readonly requiredServices: bigint;
}

/** `newest` is the link that wants a place: it is no candidate itself. */
export function evictionCandidates(links: Iterable<Link>, newest: Link, view: EvictionView): EvictionCandidate[] {
  const candidates: EvictionCandidate[] = [];
  for (const link of links) {
    if (link === newest || link.direction !== 'inbound' || link.closing) continue;
    const { peer, remote } = link;
    const version = view.version(peer);
    candidates.push({
      peer,
      netgroup: link.netgroup,
      connectedAt: link.connectedMs,
      minPingMs: view.minPingMs(peer),
      lastTransaction: link.lastTransactionMs ?? 0,
      lastBlock: link.lastBlockMs ?? 0,
      relaysTransactions: version?.relay ?? false,
      usefulServices: version !== undefined && (version.services & view.requiredServices) === view.requiredServices,
      local: view.isLocal(remote.host),
      discouraged: view.isDiscouraged(remote.host),
      // No link has that permission: users of this node cannot give it.
      noban: false,
    });
  }
  return candidates;
}
