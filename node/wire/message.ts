/**
 * The peer messages that we know, as values. RULES.md C2. Their bytes: one file per family beside this one, and codec.ts,
 * the table of them.
 */
import type { Block, BlockHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import type { Transaction } from '../../consensus/transaction.ts';

/** `NODE_NETWORK`: serves the whole chain. */
export const SERVICE_NETWORK = 1n << 0n;
/** `NODE_WITNESS`: BIP 144. */
export const SERVICE_WITNESS = 1n << 3n;
/** Ours: answers WebSocket on its port. An address without it is dialled over TCP. */
export const SERVICE_WEBSOCKET = 1n << 24n;

export const PROTOCOL_VERSION = 70016;
export const MIN_PROTOCOL_VERSION = 31800;

/** Networks of BIP 155 whose addresses we can name. Others are skipped when they are read. */
export type AddressNetwork = 'ipv4' | 'ipv6' | 'torv3' | 'i2p' | 'cjdns' | 'wss';

/**
 * An address as gossiped. `host` is its text: dotted IPv4, canonical IPv6 without brackets, a lower-case name (`wss`, ours:
 * a node behind `wss://host:port/path`), or lower-case hex for the rest.
 */
export interface GossipAddress {
  readonly network: AddressNetwork;
  readonly host: string;
  readonly port: number;
  /** Of a `wss` address, from `/` on; absent where it is only that. */
  readonly path?: string;
  readonly services: bigint;
  /** When it was last seen, seconds since 1970. */
  readonly time: number;
}

export interface VersionMessage {
  readonly type: 'version';
  readonly version: number;
  readonly services: bigint;
  readonly time: bigint;
  /** The receiver as the sender sees it: services, IP (16 bytes, IPv4 mapped), port. */
  readonly receiver: { readonly services: bigint; readonly ip: Bytes; readonly port: number };
  readonly nonce: bigint;
  readonly userAgent: string;
  readonly startHeight: number;
  readonly relay: boolean;
}

/** Types of inventory. Witness flags are asked for in getdata only. */
export const INV_TX = 1;
export const INV_BLOCK = 2;
export const INV_WTX = 5;
export const INV_WITNESS_TX = 0x40000001;
export const INV_WITNESS_BLOCK = 0x40000002;

export interface Inventory {
  readonly kind: number;
  /** Display order, as every id. */
  readonly hash: string;
}

export type Message =
  | VersionMessage
  | { readonly type: 'verack' | 'sendaddrv2' | 'wtxidrelay' | 'sendheaders' | 'getaddr' | 'mempool' }
  | { readonly type: 'sendcmpct'; readonly highBandwidth: boolean; readonly version: bigint }
  | { readonly type: 'ping' | 'pong'; readonly nonce: bigint }
  | { readonly type: 'addr' | 'addrv2'; readonly addresses: readonly GossipAddress[] }
  | { readonly type: 'inv' | 'getdata' | 'notfound'; readonly items: readonly Inventory[] }
  | {
      readonly type: 'getheaders';
      readonly version: number;
      readonly locator: readonly BlockHash[];
      readonly stop: BlockHash;
    }
  | { readonly type: 'headers'; readonly headers: readonly BlockHeader[] }
  | { readonly type: 'block'; readonly block: Block }
  | { readonly type: 'tx'; readonly tx: Transaction }
  | { readonly type: 'feefilter'; readonly satPerKvb: bigint };

export type MessageType = Message['type'];
/** The message of that type; an intersection, because several types share one member of the union. */
export type MessageOf<Type extends MessageType> = Message & { readonly type: Type };
