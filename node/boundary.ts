/**
 * The border of the node: everything that can happen to it (Event) and everything that it can ask for (Action).
 *
 * `handle(event, now)` is the only way in and the returned actions are the only way out. If something can answer at once
 * it is called (the store, the random source: see ports.ts); if it answers later it is an Action, and the answer comes
 * back as an Event that carries the same id. So a run can be replayed from its recorded events.
 */
import type { Brand, Bytes } from '../consensus/brand.ts';

/** Milliseconds of a clock that never runs back. Drives every deadline. */
export type Millis = number;
/** Seconds since 1970, with the mock offset. Drives header times, templates and address times. */
export type UnixSeconds = number;

export interface Now {
  readonly mono: Millis;
  readonly unix: UnixSeconds;
}

/** A link, numbered by the driver in the order of opening. Never an address: two links may lead to one host. */
export type PeerId = Brand<number, 'PeerId'>;
/** A dial under way, numbered by the core. */
export type DialId = Brand<number, 'DialId'>;
/** Work for a worker (verification or mining), numbered by the core. */
export type JobId = Brand<number, 'JobId'>;
/** A range read of the store, numbered by the core. All its pages come from one snapshot. */
export type ScanId = Brand<number, 'ScanId'>;
/** A call from a user, numbered by the driver. */
export type RequestId = Brand<number, 'RequestId'>;

export type Direction = 'inbound' | 'outbound';
export type Transport = 'ws' | 'wss' | 'tcp';

/**
 * What a link is for, by Core's names. Block-only links carry neither transactions nor addresses, so nobody can see who
 * hears of blocks from whom. A feeler only finds out whether somebody answers there; an address fetch asks for addresses.
 * Both then leave.
 */
export type ConnectionKind =
  | 'inbound'
  | 'outbound-full-relay'
  | 'block-relay-only'
  | 'feeler'
  | 'addr-fetch'
  | 'manual';

/** An IP literal (IPv6 without brackets) or a name, and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where to dial, and how: `ws://host:port/path`, `wss://…` or `tcp://host:port`. */
export interface DialTarget extends Endpoint {
  readonly transport: Transport;
  readonly path?: string;
}

/** By what signatures are verified. Nothing in the node depends on it; people want to know. */
export interface Verifier {
  /** Its name in `GRAPEVINE_VERIFY`. */
  readonly backend: string;
  /** The same in words. */
  readonly library: string;
  /** Threads at most. */
  readonly workers: number;
}

/** A slow line in one direction. Nothing is lost and nothing overtakes. */
export interface LinkShape {
  readonly delayMs: Millis;
  /** Up to this much more, by chance. */
  readonly jitterMs: Millis;
  /** Undefined: without a limit. */
  readonly bitsPerSecond: number | undefined;
}

export interface Row {
  readonly key: string;
  readonly value: Bytes;
}

export type Event =
  | {
      readonly type: 'link-up';
      readonly peer: PeerId;
      readonly direction: Direction;
      readonly transport: Transport;
      /** The other end, as the socket reports it. */
      readonly remote: Endpoint;
      /** Our end. */
      readonly local: Endpoint;
      /** The dial that this link answers; outbound links only. */
      readonly dial?: DialId;
    }
  | { readonly type: 'link-down'; readonly peer: PeerId; readonly reason: string }
  | { readonly type: 'dial-failed'; readonly dial: DialId; readonly reason: string }
  /** Nodes of our chain that `source` told of itself on the local network. */
  | { readonly type: 'addresses-found'; readonly addresses: readonly Endpoint[]; readonly source: Endpoint }
  /** A piece of the peer's byte stream; its cuts mean nothing. */
  | { readonly type: 'bytes'; readonly peer: PeerId; readonly bytes: Bytes }
  /** As many of the bytes that were sent have left for the network. */
  | { readonly type: 'drained'; readonly peer: PeerId; readonly bytes: number }
  /** All checks of the job hold (null), or the lowest index of one that does not. */
  | { readonly type: 'verified'; readonly job: JobId; readonly failed: number | null }
  /** Told once, soon after the start. */
  | { readonly type: 'verifier'; readonly verifier: Verifier }
  /** A nonce that meets the target, or null after all 2^32 were tried. */
  | { readonly type: 'mined'; readonly job: JobId; readonly nonce: number | null; readonly hashes: number }
  /** A page of a scan; `done` on the last. */
  | { readonly type: 'scanned'; readonly scan: ScanId; readonly rows: readonly Row[]; readonly done: boolean }
  | { readonly type: 'request'; readonly request: RequestId; readonly method: string; readonly params: RpcParams }
  /** The caller has gone: stop working for it. */
  | { readonly type: 'request-closed'; readonly request: RequestId }
  /** A deadline that `nextDeadline` named has come. */
  | { readonly type: 'tick' }
  /** The process is about to end: the last actions save what must be saved. */
  | { readonly type: 'stop' };

export type Action =
  /** `publicOnly`: a stranger named the target, so a name of it must not lead into this machine or the house. */
  | { readonly type: 'dial'; readonly dial: DialId; readonly target: DialTarget; readonly publicOnly?: boolean }
  | { readonly type: 'send'; readonly peer: PeerId; readonly bytes: Bytes }
  | { readonly type: 'disconnect'; readonly peer: PeerId; readonly reason: string }
  /** Stop and go on reading from the peer. */
  | { readonly type: 'pause'; readonly peer: PeerId }
  | { readonly type: 'resume'; readonly peer: PeerId }
  /** Send to the peer as over a slower line from now on; undefined: as fast as it goes. */
  | { readonly type: 'shape'; readonly peer: PeerId; readonly shape: LinkShape | undefined }
  /** Packed signature checks of 128 bytes each: x-only key (32), message (32), signature (64). */
  | { readonly type: 'verify'; readonly job: JobId; readonly checks: Bytes }
  /** Find a nonce for these 80 bytes: sha256d as a little-endian number at most the target that `bits` encodes. */
  | {
      readonly type: 'mine';
      readonly job: JobId;
      readonly header: Bytes;
      readonly bits: number;
      readonly tries: number;
    }
  /** The answer is no longer wanted; it may still come and is ignored. */
  | { readonly type: 'cancel'; readonly job: JobId }
  | { readonly type: 'cancel-scan'; readonly scan: ScanId }
  /** Rows with gte <= key < lt in key order, at most `limit`. The same id again asks for the next page of one snapshot. */
  | { readonly type: 'scan'; readonly scan: ScanId; readonly gte: string; readonly lt: string; readonly limit: number }
  /** Leaves only after the batches that were written before it are on disk. */
  | { readonly type: 'reply'; readonly request: RequestId; readonly outcome: RpcOutcome }
  | { readonly type: 'notice'; readonly notice: Notice };

/** Positional or named parameters of a JSON-RPC call, as parsed from JSON. */
export type RpcParams = readonly unknown[] | { readonly [name: string]: unknown };

export type RpcOutcome =
  /** `json` is the serialized result: amounts need eight decimals, which JSON.stringify cannot print. */
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly code: number; readonly message: string };

/** What can happen to a transaction or a block at one node. The first eight name the peer on the other side. */
export type ItemStep =
  | 'announced-by'
  | 'announced-to'
  | 'requested-from'
  | 'requested-by'
  | 'delivered-by'
  | 'delivered-to'
  /** The peer did not have what we asked for; we did not have what it asked for. */
  | 'missing-at'
  | 'missing-for'
  | 'accepted'
  | 'rejected'
  | 'orphaned'
  | 'replaced'
  | 'removed'
  /** In the pool again, because its block was left behind. */
  | 'returned'
  | 'confirmed'
  | 'unconfirmed'
  | 'connected'
  | 'disconnected';

/** What is worth telling people and logs. Nothing in the node depends on it. */
export type Notice =
  | {
      readonly kind: 'tip';
      readonly hash: string;
      readonly height: number;
      readonly disconnected: number;
      readonly transactions: number;
      /** During initial sync: the height of the best header. */
      readonly syncingTo?: number;
    }
  | {
      readonly kind: 'peer';
      readonly peer: PeerId;
      readonly userAgent: string;
      readonly direction: Direction;
      readonly remote: Endpoint;
    }
  | { readonly kind: 'peer-gone'; readonly peer: PeerId; readonly reason: string }
  /** A peer that the user named cannot be reached, or ends the link before the handshake. Told once, until it was reached. */
  | { readonly kind: 'not-connected'; readonly remote: Endpoint; readonly reason: string }
  | { readonly kind: 'misbehaved'; readonly peer: PeerId; readonly reason: string }
  | {
      readonly kind: 'block-rejected';
      readonly hash: string;
      readonly height: number;
      readonly reason: string;
      readonly peer?: PeerId;
    }
  | { readonly kind: 'transaction'; readonly txid: string; readonly source: 'peer' | 'local' | 'reorg' | 'saved' }
  | { readonly kind: 'transaction-rejected'; readonly txid: string; readonly reason: string; readonly peer?: PeerId }
  | { readonly kind: 'initial-sync-done'; readonly height: number }
  /** A step in the life of transactions or blocks at this node; told only where items are traced. See item-trace.ts. */
  | {
      readonly kind: 'item';
      readonly step: ItemStep;
      readonly item: 'transaction' | 'block';
      /** Txids or wtxids, as the peers name them; block hashes. */
      readonly ids: readonly string[];
      /** Where the only id is a txid. */
      readonly wtxid?: string;
      /** The peer, by its name in a devnet, else its address. */
      readonly with?: string;
      readonly reason?: string;
      readonly height?: number;
      /** The block that holds, or held, the transactions. */
      readonly block?: string;
    }
  | { readonly kind: 'stop-requested' }
  /** The store holds something that cannot be: the process must end with this message. */
  | { readonly kind: 'damaged'; readonly message: string };
