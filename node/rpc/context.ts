/** What the methods may look at: the machines, read only, and what only node.ts knows. It fills this value for each call. */

import type { Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type {
  ConnectionKind,
  Direction,
  Endpoint,
  Millis,
  Now,
  PeerId,
  Transport,
  UnixSeconds,
  Verifier,
} from '../boundary.ts';
import type { ChainState } from '../chain/chain-state.ts';
import type { HeaderTree } from '../chain/header-tree.ts';
import type { Origin } from '../discovery/dialer.ts';
import type { Limits } from '../limits.ts';
import type { Mempool } from '../mempool/pool.ts';
import type { Ban } from '../peer/bans.ts';
import type { PeerVersion } from '../peer/handshake.ts';
import type { AddressNetwork, GossipAddress } from '../wire/message.ts';
import type { TemplateCache } from './block-template.ts';

export interface RpcContext {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly now: Now;
  readonly startedAt: Now;
  readonly tree: HeaderTree;
  readonly chain: ChainState;
  readonly pool: Mempool;
  /** The latch of DESIGN.md section 4: false from the moment that the node has caught up once. */
  readonly initialSync: boolean;
  /** Our own service bits and user agent, as sent in `version`. */
  readonly services: bigint;
  readonly userAgent: string;
  /** Undefined until it is told, shortly after the start. */
  readonly verifier: Verifier | undefined;
  /** Endpoints that we announce. */
  readonly localAddresses: readonly (Endpoint & { readonly score: number })[];
  /** Sum of the bytes of all block files. */
  readonly sizeOnDisk: number;
  /** Links in the order of their ids, those that have not finished the handshake included. */
  peers(): readonly PeerSummary[];
  /** Known addresses in random order. */
  addresses(): readonly GossipAddress[];
  /** How many addresses were heard of only, and reached once, by network. Networks without any may be missing. */
  addressCounts(): ReadonlyMap<AddressNetwork, { readonly new: number; readonly tried: number }>;
  /** Bans that have not ended, in the order of their subnets. */
  bans(): readonly Ban[];
  /** Nodes that `addnode add` keeps dialled, as the callers named them. */
  manualNodes(): readonly string[];
  /** False while the user wants no links. */
  readonly networkActive: boolean;
  /** Bytes over all links since the start, closed ones included. */
  readonly traffic: { readonly sent: number; readonly received: number };
  /** Calls that are not answered yet, this one included, in the order in which they came. */
  activeCalls(): readonly { readonly method: string; readonly since: Millis }[];
  /** Where miners that name no address mine to, if the user of the node has said so. */
  readonly miningScript: Bytes | undefined;
  /** Block templates for miners outside the node. */
  readonly templates: TemplateCache;
}

/** How we came to know a peer: inbound ones were not dialled, and `seed` is of the chain or the command line. */
export type Learned = 'inbound' | Origin;

/** One link, as getpeerinfo shows it. Times are seconds since 1970, 0 for never. */
export interface PeerSummary {
  readonly id: PeerId;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Undefined until the handshake is complete. */
  readonly version: PeerVersion | undefined;
  /** What was dialled; undefined for inbound links. */
  readonly dialled: Endpoint | undefined;
  readonly kind: ConnectionKind;
  readonly learned: Learned;
  readonly netgroup: string;
  /** What we hold for it: what is not sent, read or answered yet, and what it knows. */
  readonly memoryBytes: number;
  /** It takes part in the exchange of addresses. */
  readonly exchangesAddresses: boolean;
  readonly connectedAt: UnixSeconds;
  readonly lastSend: UnixSeconds;
  readonly lastReceive: UnixSeconds;
  readonly lastTransaction: UnixSeconds;
  readonly lastBlock: UnixSeconds;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** By command; a command that was never seen is absent. */
  readonly bytesSentByType: ReadonlyMap<string, number>;
  readonly bytesReceivedByType: ReadonlyMap<string, number>;
  readonly pingLastMs: number | undefined;
  readonly pingMinMs: number | undefined;
  /** How long a ping has been unanswered. */
  readonly pingWaitingMs: number | undefined;
  /** Height of the last header and block that we have in common, -1 if unknown. */
  readonly syncedHeaders: number;
  readonly syncedBlocks: number;
  /** Heights of the blocks that it was asked for. */
  readonly inFlight: readonly number[];
  readonly addressesProcessed: number;
  readonly addressesRateLimited: number;
  /** Its fee filter in satoshis per 1000 virtual bytes. */
  readonly feeFilter: bigint;
}
