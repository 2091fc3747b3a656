/**
 * What a call comes to: a result, an error, or a command to the node whose end must be waited for.
 * Owns these types and Core's error codes (RULES D1); the texts stand where the errors arise.
 */
import type { Block, BlockHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes, ScriptHash, Txid } from '../../consensus/brand.ts';
import type { Transaction } from '../../consensus/transaction.ts';
import type { DialTarget, Endpoint, PeerId, RpcOutcome, UnixSeconds } from '../boundary.ts';
import type { LinkRule } from '../peer/link-rules.ts';
import type { Subnet } from '../wire/subnet.ts';
import type { ExpandedScript } from './descriptor.ts';
import { type JsonValue, stringify } from './json.ts';
import type { HeldCall } from './waiting.ts';

/** Core's error codes, `rpc/protocol.h`. */
export const RpcCode = {
  misc: -1,
  type: -3,
  addressOrKey: -5,
  parameter: -8,
  clientNotConnected: -9,
  clientInInitialDownload: -10,
  database: -20,
  deserialization: -22,
  nodeAlreadyAdded: -23,
  nodeNotAdded: -24,
  /** A transaction or block that could not be judged or is not wanted: inputs missing, fee above the user's limit. */
  verify: -25,
  /** Refused by the rules; the message is the reject reason. */
  verifyRejected: -26,
  alreadyInUtxoSet: -27,
  walletNotFound: -18,
  nodeNotConnected: -29,
  invalidIpOrSubnet: -30,
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
} as const;
export type RpcCode = (typeof RpcCode)[keyof typeof RpcCode];

export interface RpcError {
  readonly type: 'error';
  readonly code: RpcCode;
  readonly message: string;
}

/** A final answer. */
export type RpcReply = { readonly type: 'result'; readonly value: JsonValue } | RpcError;

/** What a call asks of the node. `answers.ts` has the answer that each becomes when it is done. */
export type RpcCommand =
  /** `maxFee` in satoshis; 0n allows any fee. Answer: `sendTransactionAnswer`. */
  | { readonly type: 'send-transaction'; readonly tx: Transaction; readonly maxFee: bigint }
  /** Try in this order, without keeping anything. Answer: `testAcceptAnswer`, of several `testPackageAnswer`. */
  | { readonly type: 'test-accept'; readonly txs: readonly Transaction[]; readonly maxFeeRate: bigint }
  /** A child and parents that do not spend from each other. Answer: `submitPackageAnswer`. */
  | { readonly type: 'submit-package'; readonly txs: readonly Transaction[]; readonly maxFeeRate: bigint }
  /** Change the fee by which a transaction is judged. Answer: `prioritiseAnswer`. */
  | { readonly type: 'prioritise'; readonly txid: Txid; readonly satoshis: bigint }
  /** Not yet known as valid or invalid. Answer: `submitBlockAnswer`. */
  | { readonly type: 'submit-block'; readonly block: Block }
  /** Mine `count` blocks, at most `maxTries` hashes for all of them. Answer: `generateAnswer`. */
  | { readonly type: 'generate'; readonly count: number; readonly script: Bytes; readonly maxTries: number }
  /** Mine one block of exactly these transactions. Answer: `generateBlockAnswer`. */
  | {
      readonly type: 'generate-block';
      readonly script: Bytes;
      readonly txs: readonly Transaction[];
      readonly maxTries: number;
      readonly submit: boolean;
    }
  /** A block that the header tree knows. Answer when the chain has settled: `nothing`. */
  | { readonly type: 'invalidate' | 'reconsider' | 'precious'; readonly hash: BlockHash }
  /** `text` is the node as the caller named it. Answer: `nothing`. */
  | {
      readonly type: 'add-node';
      readonly target: DialTarget;
      readonly text: string;
      readonly how: 'add' | 'remove' | 'onetry';
    }
  | { readonly type: 'disconnect-node'; readonly peer: PeerId }
  /** 0 means the real clock. */
  | { readonly type: 'set-mock-time'; readonly time: UnixSeconds }
  /** Scan all coins into a `CoinStats`. */
  | { readonly type: 'coin-stats'; readonly hashType: CoinHashType }
  /** Scan the rows of each script into a `ScriptBalances`, `ScriptCoins` or `ScriptHistory`. */
  | {
      readonly type: 'script-balances' | 'script-coins' | 'script-history';
      readonly hashes: readonly ScriptHash[];
      /** The caller gave one hash and not an array. */
      readonly single: boolean;
    }
  /** Scan the coins of scripts into a `CoinScan`. */
  | { readonly type: 'coin-scan'; readonly scripts: readonly ExpandedScript[] }
  /** Partitions: links to these nodes and endpoints are closed and not made again. Empty lists heal. */
  | { readonly type: 'set-deny'; readonly names: readonly string[]; readonly endpoints: readonly string[] }
  /** Slow lines. Replaces those before; an empty list lets all go as fast as they can. */
  | { readonly type: 'set-links'; readonly rules: readonly LinkRule[] }
  /** Not banned yet. Answer: `nothing`, or an error where too many are banned. */
  | { readonly type: 'ban'; readonly subnet: Subnet; readonly until: UnixSeconds }
  /** Answer: `nothing`, or an error where it is not banned. */
  | { readonly type: 'unban'; readonly subnet: Subnet }
  | { readonly type: 'clear-bans' }
  /** Into the address manager; `tried`: as one that was reached. Answer: `addAddressAnswer`. */
  | { readonly type: 'add-address'; readonly endpoint: Endpoint; readonly tried: boolean }
  /** On top of the tip. Answer: `proposalAnswer`. */
  | { readonly type: 'check-proposal'; readonly block: Block }
  /** Its parent is known. Answer: `submitHeaderAnswer`. */
  | { readonly type: 'submit-header'; readonly header: BlockHeader }
  /** Kept until it has an answer. */
  | { readonly type: 'hold'; readonly call: HeldCall }
  /** Ping all peers now. Answer: `nothing`. */
  | { readonly type: 'ping' }
  /** Links are closed and none are made while it is false. Answer: the value. */
  | { readonly type: 'set-network-active'; readonly active: boolean }
  /** Mine all the time, to this script, or no more where there is none. Answer: `nothing`. */
  | { readonly type: 'set-mining'; readonly script: Bytes | undefined }
  /** Answer: `saveMempoolAnswer`. */
  | { readonly type: 'save-mempool' }
  /** Where miners without an address of their own mine to; undefined: nowhere. Answer: `nothing`. */
  | { readonly type: 'set-mining-script'; readonly script: Bytes | undefined }
  | { readonly type: 'stop' };

export type CoinHashType = 'hash_serialized_3' | 'none';

export type RpcAnswer = RpcReply | { readonly type: 'command'; readonly command: RpcCommand };

export function result(value: JsonValue): RpcReply {
  return { type: 'result', value };
}

export function error(code: RpcCode, message: string): RpcError {
  return { type: 'error', code, message };
}

export function command(value: RpcCommand): RpcAnswer {
  return { type: 'command', command: value };
}

/** The answer of calls that return nothing. */
export const nothing: RpcReply = result(null);

/** A final answer in the form that crosses the border of the node. */
export function toOutcome(reply: RpcReply): RpcOutcome {
  return reply.type === 'result'
    ? { ok: true, json: stringify(reply.value) }
    : { ok: false, code: reply.code, message: reply.message };
}
