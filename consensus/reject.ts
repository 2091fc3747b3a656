/**
 * Why something was refused: data, never an exception. `reason` is Bitcoin Core's string, byte for byte; `kind` is the
 * class of the failure, from which node/peer/misbehaviour.ts decides what it costs the sender.
 */

/**
 * - `consensus`: breaks a rule that every node shares.
 * - `mutated`: the body does not belong to its header; the header stays innocent.
 * - `header`: the header itself breaks a rule.
 * - `missing-prev`, `invalid-prev`, `time-future`, `cached-invalid`, `low-work`: see RULES A4.
 * - `subset`: Bitcoin allows it, we do not (S1..S4). Never punished, inherited by descendants.
 * - `policy`: a valid transaction that we do not relay. Never punished.
 * - `reconsiderable`: pays too little by itself; together with a child that pays for it, it may pass. Never punished.
 * - `missing-inputs`: coins that we do not know (yet).
 * - `premature`: valid later (coinbase maturity in the mempool). Never punished.
 * - `witness-stripped`: no witness at all; somebody on the way may have removed it. Never punished.
 */
export type RejectKind =
  | 'consensus'
  | 'mutated'
  | 'header'
  | 'missing-prev'
  | 'invalid-prev'
  | 'time-future'
  | 'cached-invalid'
  | 'low-work'
  | 'subset'
  | 'policy'
  | 'reconsiderable'
  | 'missing-inputs'
  | 'premature'
  | 'witness-stripped';

/** The strings of consensus, without what Core appends to them. */
export type ConsensusCode =
  | 'bad-blk-length'
  | 'bad-blk-sigops'
  | 'bad-blk-weight'
  | 'bad-cb-amount'
  | 'bad-cb-height'
  | 'bad-cb-length'
  | 'bad-cb-missing'
  | 'bad-cb-multiple'
  | 'bad-diffbits'
  | 'bad-prevblk'
  | 'bad-txnmrklroot'
  | 'bad-txns-BIP30'
  | 'bad-txns-accumulated-fee-outofrange'
  | 'bad-txns-duplicate'
  | 'bad-txns-in-belowout'
  | 'bad-txns-inputs-duplicate'
  | 'bad-txns-inputs-missingorspent'
  | 'bad-txns-inputvalues-outofrange'
  | 'bad-txns-nonfinal'
  | 'bad-txns-oversize'
  | 'bad-txns-premature-spend-of-coinbase'
  | 'bad-txns-prevout-null'
  | 'bad-txns-txouttotal-toolarge'
  | 'bad-txns-vin-empty'
  | 'bad-txns-vout-empty'
  | 'bad-txns-vout-negative'
  | 'bad-txns-vout-toolarge'
  | 'bad-version'
  | 'bad-witness-merkle-match'
  | 'bad-witness-nonce-size'
  | 'duplicate'
  | 'duplicate-invalid'
  | 'high-hash'
  | 'mandatory-script-verify-flag-failed'
  | 'prev-blk-not-found'
  | 'time-timewarp-attack'
  | 'time-too-new'
  | 'time-too-old'
  | 'too-little-chainwork'
  | 'unexpected-witness';

/** The subset's own rules, RULES A1. */
export type SubsetCode = 'subset-output-script' | 'subset-witness' | 'subset-tx-size';

/** The strings of policy, RULES B1. */
export type PolicyCode =
  | 'bad-txns-nonstandard-inputs'
  | 'bad-txns-spends-conflicting-tx'
  | 'bad-txns-too-many-sigops'
  | 'bad-witness-nonstandard'
  | 'bip125-replacement-disallowed'
  | 'coinbase'
  | 'dust'
  | 'insufficient fee'
  | 'max feerate exceeded'
  | 'mempool full'
  | 'mempool min fee not met'
  | 'min relay fee not met'
  | 'missing-inputs'
  | 'multi-op-return'
  | 'non-BIP68-final'
  | 'non-final'
  | 'replacement-adds-unconfirmed'
  | 'scriptpubkey'
  | 'scriptsig-size'
  | 'scriptsig-not-pushonly'
  | 'too many potential replacements'
  | 'too-long-mempool-chain'
  | 'TRUC-violation'
  | 'tx-size'
  | 'tx-size-small'
  | 'txn-already-in-mempool'
  | 'txn-already-known'
  | 'txn-mempool-conflict'
  | 'txn-same-nonwitness-data-in-mempool'
  | 'version';

export type RejectCode = ConsensusCode | SubsetCode | PolicyCode;

export interface Reject {
  readonly kind: RejectKind;
  readonly code: RejectCode;
  /** The whole string as Core prints it: the code and, for a few, something in brackets. */
  readonly reason: string;
  /** For people and logs: which transaction, which number. Core appends it after ", ". */
  readonly detail?: string;
}

/** A reject whose string is its code. */
export function reject(kind: RejectKind, code: RejectCode, detail?: string): Reject {
  return detail === undefined ? { kind, code, reason: code } : { kind, code, reason: code, detail };
}

/** `bad-version(0x…)`: the version as eight hex digits. */
export function rejectVersion(version: number): Reject {
  const hex = (version >>> 0).toString(16).padStart(8, '0');
  return { kind: 'header', code: 'bad-version', reason: `bad-version(0x${hex})` };
}

/** What Core says of an input that does not verify. */
export type ScriptFailure =
  | 'Witness requires empty scriptSig'
  | 'Witness program was passed an empty witness'
  | 'Invalid Schnorr signature size'
  | 'Invalid Schnorr signature hash type'
  | 'Invalid Schnorr signature';

/** `mandatory-script-verify-flag-failed (…)`. */
export function rejectScript(failure: ScriptFailure, detail?: string): Reject {
  const code = 'mandatory-script-verify-flag-failed';
  const base = { kind: 'consensus', code, reason: `${code} (${failure})` } as const;
  return detail === undefined ? base : { ...base, detail };
}
