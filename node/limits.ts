/**
 * Every number that bounds what a peer can make us do, in one value with two profiles. RULES.md C4.
 * `internet` is Bitcoin Core's; `local` suits loopback devnets and simulations, where Core's numbers would give a network
 * of four nodes no addresses at all. A limit is a bound, never an allocation.
 */
import type { Millis } from './boundary.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export interface Limits {
  readonly profile: 'internet' | 'local';

  // Links
  readonly maxInbound: number;
  readonly maxOutbound: number;
  readonly handshakeTimeoutMs: Millis;
  readonly inactivityTimeoutMs: Millis;
  readonly pingIntervalMs: Millis;
  readonly pingTimeoutMs: Millis;
  /** Bytes of a message body. */
  readonly maxMessageBytes: number;
  /** Bytes that wait to be sent to one peer; above it we stop reading from that peer. */
  readonly maxSendBufferBytes: number;
  /** Unknown, unreadable or wrongly summed messages that one peer may send in a minute before it is dropped. */
  readonly maxJunkPerMinute: number;

  // Dialling
  readonly dialIntervalMs: Millis;
  readonly dialTimeoutMs: Millis;
  /** An address that failed is not tried again before this; doubles with each failure up to `redialMaxMs`. */
  readonly redialMs: Millis;
  readonly redialMaxMs: Millis;

  // Address gossip
  readonly maxAddresses: number;
  readonly maxAddrPerMessage: number;
  /** Answers to getaddr: at most this share of what is known, but all below `getaddrAllBelow`. */
  readonly getaddrPercent: number;
  readonly getaddrAllBelow: number;
  readonly getaddrCacheMs: Millis;
  readonly addrFlushMs: Millis;
  readonly addrTokensPerSecond: number;
  readonly addrTokensMax: number;
  /** A gossiped address is passed on to this many peers if it is fresh. */
  readonly addrRelayPeers: number;
  readonly addrRelayMaxPerMessage: number;
  readonly ownAddressIntervalMs: Millis;
  /** How often the address table is written to the store. */
  readonly addressSaveMs: Millis;

  // Sync
  readonly maxHeadersPerMessage: number;
  readonly maxLocator: number;
  readonly headersTimeoutMs: Millis;
  readonly blockWindow: number;
  readonly blocksInFlightPerPeer: number;
  readonly blockTimeoutMs: Millis;
  readonly stallMinMs: Millis;
  readonly stallMaxMs: Millis;
  /** Unrequested blocks further above the tip than this are ignored. */
  readonly maxUnrequestedAhead: number;
  /** Headers announced at once; more become one inv. */
  readonly maxAnnouncedHeaders: number;

  // Transactions
  readonly maxInvPerMessage: number;
  readonly maxGetdataTx: number;
  readonly maxTxAnnouncementsPerPeer: number;
  readonly maxTxInFlightPerPeer: number;
  readonly txRequestTimeoutMs: Millis;
  readonly txInboundDelayMs: Millis;
  readonly txTrickleInboundMs: Millis;
  readonly txTrickleOutboundMs: Millis;
  readonly maxInvPerTrickle: number;
  readonly knownTxPerPeer: number;
  readonly recentRejects: number;
  readonly recentlyConfirmed: number;
  readonly mempoolBytes: number;
  readonly mempoolExpirySeconds: number;
  /** Transactions, and bytes of them, whose signatures are being verified. */
  readonly maxVerifyingTx: number;
  readonly maxVerifyingTxBytes: number;

  // Chain
  /** Blocks in verification on top of each other, and bytes of their overlay, before they must be committed. */
  readonly verifyWindowBlocks: number;
  readonly overlayBytes: number;
  readonly coinCacheEntries: number;

  // Users
  readonly maxRequests: number;
}

/** Core's numbers. */
export const internetLimits: Limits = {
  profile: 'internet',
  maxInbound: 114,
  maxOutbound: 10,
  handshakeTimeoutMs: MINUTE,
  inactivityTimeoutMs: 20 * MINUTE,
  pingIntervalMs: 2 * MINUTE,
  pingTimeoutMs: 20 * MINUTE,
  maxMessageBytes: 4_000_000,
  maxSendBufferBytes: 1_000_000,
  maxJunkPerMinute: 1000,
  dialIntervalMs: 500,
  dialTimeoutMs: 5 * SECOND,
  redialMs: 10 * SECOND,
  redialMaxMs: 10 * MINUTE,
  maxAddresses: 20_000,
  maxAddrPerMessage: 1000,
  getaddrPercent: 23,
  getaddrAllBelow: 0,
  getaddrCacheMs: 24 * HOUR,
  addrFlushMs: 30 * SECOND,
  addrTokensPerSecond: 0.1,
  addrTokensMax: 1000,
  addrRelayPeers: 2,
  addrRelayMaxPerMessage: 10,
  ownAddressIntervalMs: 24 * HOUR,
  addressSaveMs: 15 * MINUTE,
  maxHeadersPerMessage: 2000,
  maxLocator: 101,
  headersTimeoutMs: 2 * MINUTE,
  blockWindow: 1024,
  blocksInFlightPerPeer: 16,
  blockTimeoutMs: 10 * MINUTE,
  stallMinMs: 2 * SECOND,
  stallMaxMs: 64 * SECOND,
  maxUnrequestedAhead: 288,
  maxAnnouncedHeaders: 8,
  maxInvPerMessage: 50_000,
  maxGetdataTx: 1000,
  maxTxAnnouncementsPerPeer: 5000,
  maxTxInFlightPerPeer: 100,
  txRequestTimeoutMs: MINUTE,
  txInboundDelayMs: 2 * SECOND,
  txTrickleInboundMs: 5 * SECOND,
  txTrickleOutboundMs: 2 * SECOND,
  maxInvPerTrickle: 1000,
  knownTxPerPeer: 50_000,
  recentRejects: 120_000,
  recentlyConfirmed: 48_000,
  mempoolBytes: 300_000_000,
  mempoolExpirySeconds: 336 * 3600,
  maxVerifyingTx: 1000,
  maxVerifyingTxBytes: 10_000_000,
  verifyWindowBlocks: 16,
  overlayBytes: 64_000_000,
  coinCacheEntries: 200_000,
  maxRequests: 1024,
};

/** Loopback devnets and simulations: everything is announced at once and small things stay small. */
export const localLimits: Limits = {
  ...internetLimits,
  profile: 'local',
  maxInbound: 64,
  maxOutbound: 8,
  dialIntervalMs: 100,
  redialMs: 500,
  redialMaxMs: 2 * SECOND,
  getaddrAllBelow: 64,
  getaddrCacheMs: SECOND,
  addrFlushMs: 100,
  addrTokensPerSecond: 100,
  ownAddressIntervalMs: MINUTE,
  addressSaveMs: SECOND,
  blockTimeoutMs: MINUTE,
  headersTimeoutMs: 30 * SECOND,
  txRequestTimeoutMs: 5 * SECOND,
  txInboundDelayMs: 0,
  txTrickleInboundMs: 0,
  txTrickleOutboundMs: 0,
  knownTxPerPeer: 5000,
  recentRejects: 5000,
  recentlyConfirmed: 5000,
  mempoolBytes: 100_000_000,
  coinCacheEntries: 50_000,
};
