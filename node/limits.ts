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
  /** Outbound links that relay everything, and those that relay blocks only. */
  readonly maxOutboundFull: number;
  readonly maxOutboundBlockOnly: number;
  /** An inbound connection that has not shown by then what it is, and been upgraded if it is a WebSocket, is closed. */
  readonly undecidedTimeoutMs: Millis;
  readonly handshakeTimeoutMs: Millis;
  readonly inactivityTimeoutMs: Millis;
  readonly pingIntervalMs: Millis;
  readonly pingTimeoutMs: Millis;
  /** Bytes of a message body. */
  readonly maxMessageBytes: number;
  /** Bytes of messages that have come in part, of all peers together; above it the inbound peer with most is dropped. */
  readonly maxPartialBytes: number;
  /** Bytes that wait to be sent to one peer; above it we stop reading from that peer. */
  readonly maxSendBufferBytes: number;
  /** Unknown, unreadable or wrongly summed messages that one peer may send in a minute before it is dropped. */
  readonly maxJunkPerMinute: number;
  /**
   * What one peer may cost in one turn, which ends with the next tick: each message that it sends one unit and more for its
   * size, and what it is sent for that by its size (node/turn-cost.ts). The rest waits.
   */
  readonly readPerTurn: number;
  /** The same of all peers together that are behind: with many of them each has less. */
  readonly readPerTurnOfAll: number;
  /** But not less than this. */
  readonly minReadPerTurn: number;
  /** Items of a getdata that are answered to one peer in one turn. */
  readonly servedPerTurn: number;

  // Dialling
  readonly dialIntervalMs: Millis;
  readonly dialTimeoutMs: Millis;
  /** An address that failed is not tried again before this; doubles with each failure up to `redialMaxMs`. */
  readonly redialMs: Millis;
  readonly redialMaxMs: Millis;
  /** Draws from the address manager for one dial, and for how many of them what was tried within `recentTryMs` is passed over. */
  readonly drawsPerDial: number;
  readonly cautiousDraws: number;
  readonly recentTryMs: Millis;
  /** Means of Poisson processes: a feeler to an address that was never reached; a block-only link more, for a while. */
  readonly feelerIntervalMs: Millis;
  readonly extraBlockOnlyIntervalMs: Millis;
  /** Without a new tip for so long one full link more is made. Looked at every `staleCheckMs`. */
  readonly staleTipMs: Millis;
  readonly staleCheckMs: Millis;
  /** How often links beyond the slots are looked for, and how long each is kept at least. */
  readonly surplusCheckMs: Millis;
  readonly surplusMinMs: Millis;
  /** With so few links that addresses seem to lead nowhere, one seed node more is asked after this. */
  readonly seedIntervalMs: Millis;
  /** A peer that was asked for addresses only is left at the latest after this. */
  readonly addrFetchMs: Millis;
  /** Block-only peers that are remembered over a restart. */
  readonly maxAnchors: number;

  // Bans
  readonly maxBans: number;
  /** Hosts whose misbehaviour is remembered until the node ends. */
  readonly maxDiscouraged: number;

  // Address manager: buckets of addresses that we heard of and of those that we reached, and places in each.
  readonly newBuckets: number;
  readonly triedBuckets: number;
  readonly bucketSize: number;
  /** Buckets in which addresses from one source group, or of one group, can be. */
  readonly newBucketsPerSourceGroup: number;
  readonly triedBucketsPerGroup: number;
  /** Buckets of the new table in which one address can be. */
  readonly maxNewPlaces: number;
  /** Addresses that wait until the one whose place they want was tested. */
  readonly maxTriedCollisions: number;

  // Address gossip
  readonly maxAddrPerMessage: number;
  /** Answers to getaddr: at most this share of what is known, but all below `getaddrAllBelow`. */
  readonly getaddrPercent: number;
  readonly getaddrAllBelow: number;
  /** An answer is kept for seven to nine eighths of this. */
  readonly getaddrCacheMs: Millis;
  /** Mean of a Poisson process: addresses that wait for a peer are told to it then. */
  readonly addrFlushMs: Millis;
  readonly addrTokensPerSecond: number;
  readonly addrTokensMax: number;
  /** A gossiped address is passed on to this many peers if it is fresh; one that we cannot dial, half the time to one less. */
  readonly addrRelayPeers: number;
  readonly addrRelayMaxPerMessage: number;
  /** Addresses that we remember a peer to know, so that it is not told again: at most so many, at least half of them. */
  readonly knownAddressesPerPeer: number;
  readonly ownAddressIntervalMs: Millis;
  /** Netgroups of peers that we dialled which must see us at one address before we believe that it is ours. */
  readonly ownAddressReports: number;
  /** How often the address table is written to the store. */
  readonly addressSaveMs: Millis;

  // Sync
  readonly maxHeadersPerMessage: number;
  readonly maxLocator: number;
  /** Headers that a peer may make us store on a branch with less work than our tip less 144 blocks. */
  readonly maxLowWorkHeaders: number;
  readonly headersTimeoutMs: Millis;
  /** An outbound peer whose chain stays behind our tip for so long is asked for its headers, and has so long to answer. */
  readonly chainSyncMs: Millis;
  readonly chainSyncAnswerMs: Millis;
  /** Outbound peers that keep their link although they are behind, because they had shown as much work as we. */
  readonly maxProtectedOutbound: number;
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
  /** Announced at once: the first number and five more per 1000 that wait, at most the second. */
  readonly invPerTrickle: number;
  readonly maxInvPerTrickle: number;
  readonly knownTxPerPeer: number;
  readonly recentRejects: number;
  readonly recentlyConfirmed: number;
  readonly mempoolBytes: number;
  readonly mempoolExpirySeconds: number;
  /** Transactions of disconnected blocks that may return to the pool at once, in bytes. */
  readonly maxReturnedTxBytes: number;
  /** Transactions, and bytes of them, whose signatures are being verified. */
  readonly maxVerifyingTx: number;
  readonly maxVerifyingTxBytes: number;
  /** Transactions that left the pool and whose signatures are still known to hold. */
  readonly verifiedTx: number;
  /** Transactions whose parents we do not know, and how long we wait for these. */
  readonly maxOrphans: number;
  readonly orphanExpiryMs: Millis;
  /** Pool transactions announced to a new peer: none on a public network, where that costs bandwidth and privacy. */
  readonly poolAnnouncedOnConnect: number;
  /** Mean pause between fee filters to a peer; a substantial change is told within half of it. */
  readonly feeFilterMs: Millis;
  /** Our own transactions are announced again after this until a peer asks for them; up to half as much is added by chance. */
  readonly rebroadcastMs: Millis;

  // Chain
  /** Blocks in verification on top of each other, and bytes of their overlay, before they must be committed. */
  readonly verifyWindowBlocks: number;
  readonly overlayBytes: number;
  /** Coins of the store that are kept in memory: `COIN_MEMORY` bytes each. */
  readonly coinCacheEntries: number;
  /**
   * Bytes of bodies that were never connected, above which none is kept that leads to nothing better than the tip: whoever
   * floods us with siblings of it shall not fill the disk. Should such a branch become better, its bodies are asked for.
   */
  readonly forkBytes: number;
  /** During initial sync: rows that may wait before the store is told of them, and how long. */
  readonly unsavedRows: number;
  readonly unsavedMs: Millis;
  /** Bytes in memory of decoded blocks that are kept until they are connected, and a little longer. */
  readonly blockCacheBytes: number;

  // Users
  readonly maxRequests: number;
  /** Calls among them that wait for a block or another template: they must not shut out all others. */
  readonly maxHeldCalls: number;
  /** Nodes that addnode keeps linked. */
  readonly maxAddedNodes: number;
  /** A template for miners is built anew after this if the pool has changed. */
  readonly templateCacheMs: Millis;
  /** A long poll for a template looks at the pool after the first of these, and then whenever the second has passed. */
  readonly longPollMs: Millis;
  readonly longPollRecheckMs: Millis;
  /** Mining jobs that wait for their turn. */
  readonly maxMiningJobs: number;
}

/** What a cached coin takes in memory, its key included; measured on 64 bits. */
export const COIN_MEMORY = 472;

/** Core's numbers. */
export const internetLimits: Limits = {
  profile: 'internet',
  maxInbound: 114,
  maxOutboundFull: 8,
  maxOutboundBlockOnly: 2,
  undecidedTimeoutMs: 5 * SECOND,
  handshakeTimeoutMs: MINUTE,
  inactivityTimeoutMs: 20 * MINUTE,
  pingIntervalMs: 2 * MINUTE,
  pingTimeoutMs: 20 * MINUTE,
  maxMessageBytes: 4_000_000,
  maxPartialBytes: 64_000_000,
  maxSendBufferBytes: 1_000_000,
  maxJunkPerMinute: 1000,
  readPerTurn: 64,
  readPerTurnOfAll: 256,
  minReadPerTurn: 4,
  servedPerTurn: 500,
  dialIntervalMs: 500,
  dialTimeoutMs: 5 * SECOND,
  redialMs: 10 * SECOND,
  redialMaxMs: 10 * MINUTE,
  drawsPerDial: 100,
  cautiousDraws: 30,
  recentTryMs: 10 * MINUTE,
  feelerIntervalMs: 2 * MINUTE,
  extraBlockOnlyIntervalMs: 5 * MINUTE,
  staleTipMs: 30 * MINUTE,
  staleCheckMs: 10 * MINUTE,
  surplusCheckMs: 45 * SECOND,
  surplusMinMs: 30 * SECOND,
  seedIntervalMs: 10 * SECOND,
  addrFetchMs: 30 * SECOND,
  maxAnchors: 2,
  maxBans: 10_000,
  maxDiscouraged: 50_000,
  newBuckets: 1024,
  triedBuckets: 256,
  bucketSize: 64,
  newBucketsPerSourceGroup: 64,
  triedBucketsPerGroup: 8,
  maxNewPlaces: 8,
  maxTriedCollisions: 10,
  maxAddrPerMessage: 1000,
  getaddrPercent: 23,
  getaddrAllBelow: 0,
  getaddrCacheMs: 24 * HOUR,
  addrFlushMs: 30 * SECOND,
  addrTokensPerSecond: 0.1,
  addrTokensMax: 1000,
  addrRelayPeers: 2,
  addrRelayMaxPerMessage: 10,
  knownAddressesPerPeer: 5000,
  ownAddressIntervalMs: 24 * HOUR,
  ownAddressReports: 2,
  addressSaveMs: 15 * MINUTE,
  maxHeadersPerMessage: 2000,
  maxLocator: 101,
  maxLowWorkHeaders: 20_000,
  headersTimeoutMs: 2 * MINUTE,
  chainSyncMs: 20 * MINUTE,
  chainSyncAnswerMs: 2 * MINUTE,
  maxProtectedOutbound: 4,
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
  invPerTrickle: 35,
  maxInvPerTrickle: 1000,
  knownTxPerPeer: 50_000,
  recentRejects: 120_000,
  recentlyConfirmed: 48_000,
  mempoolBytes: 300_000_000,
  mempoolExpirySeconds: 336 * 3600,
  maxReturnedTxBytes: 20_000_000,
  maxVerifyingTx: 1000,
  maxVerifyingTxBytes: 10_000_000,
  verifiedTx: 50_000,
  maxOrphans: 100,
  orphanExpiryMs: 20 * MINUTE,
  poolAnnouncedOnConnect: 0,
  feeFilterMs: 10 * MINUTE,
  rebroadcastMs: 10 * MINUTE,
  verifyWindowBlocks: 16,
  overlayBytes: 64_000_000,
  coinCacheEntries: 100_000,
  forkBytes: 256_000_000,
  unsavedRows: 16_000,
  unsavedMs: 2 * SECOND,
  blockCacheBytes: 64_000_000,
  maxRequests: 1024,
  maxHeldCalls: 512,
  maxAddedNodes: 1000,
  templateCacheMs: 5 * SECOND,
  longPollMs: MINUTE,
  longPollRecheckMs: 10 * SECOND,
  maxMiningJobs: 64,
};

/** Loopback devnets and simulations: everything is announced at once and small things stay small. */
export const localLimits: Limits = {
  ...internetLimits,
  profile: 'local',
  maxInbound: 64,
  dialIntervalMs: 100,
  redialMs: 500,
  redialMaxMs: 2 * SECOND,
  recentTryMs: 2 * SECOND,
  feelerIntervalMs: 10 * SECOND,
  extraBlockOnlyIntervalMs: MINUTE,
  seedIntervalMs: 2 * SECOND,
  addrFetchMs: 5 * SECOND,
  maxDiscouraged: 1000,
  getaddrAllBelow: 64,
  getaddrCacheMs: SECOND,
  addrFlushMs: 50,
  addrTokensPerSecond: 100,
  knownAddressesPerPeer: 1000,
  ownAddressIntervalMs: MINUTE,
  addressSaveMs: SECOND,
  blockTimeoutMs: MINUTE,
  headersTimeoutMs: 30 * SECOND,
  txRequestTimeoutMs: 5 * SECOND,
  txInboundDelayMs: 0,
  txTrickleInboundMs: 0,
  txTrickleOutboundMs: 0,
  invPerTrickle: 1000,
  knownTxPerPeer: 5000,
  recentRejects: 5000,
  recentlyConfirmed: 5000,
  mempoolBytes: 100_000_000,
  poolAnnouncedOnConnect: 5000,
  feeFilterMs: 10 * SECOND,
  rebroadcastMs: 10 * SECOND,
  coinCacheEntries: 50_000,
  blockCacheBytes: 16_000_000,
};
