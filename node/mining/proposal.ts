/**
 * Whether a block without proof of work would be valid on the tip (BIP 23's proposals). Nothing is kept or changed, and
 * what is left to verify is handed out. RULES A4 to A7, in the order of Core's TestBlockValidity.
 */
import type { Block } from '../../consensus/block.ts';
import { type Bytes, fail, ok, type Result, type Wtxid } from '../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { checkHeaderInContext } from '../../consensus/check-header.ts';
import { connectBlock } from '../../consensus/connect-block.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { type Reject, rejectScript } from '../../consensus/reject.ts';
import type { UnixSeconds } from '../boundary.ts';
import type { ChainView } from '../chain/chain-state.ts';
import type { HeaderNode } from '../chain/header-tree.ts';

export interface ProposalOptions {
  readonly params: ChainParams;
  /** The block is on top of its tip. */
  readonly chain: ChainView & { readonly tip: HeaderNode };
  /** Time of block 1 on its branch. */
  readonly anchorTime: UnixSeconds;
  readonly now: UnixSeconds;
  /** True if the signatures of that transaction are known to hold. */
  verified(wtxid: Wtxid): boolean;
}

/** A block against which nothing is to be said so far. */
export interface PlausibleProposal {
  /** Packed signature checks, CHECK_SIZE bytes each. If none fails the block would be valid. */
  readonly checks: Bytes;
  /** Why the block is invalid if the check of this index fails. */
  rejectOf(failed: number): Reject;
}

export function checkProposal(block: Block, options: ProposalOptions): Result<PlausibleProposal, Reject> {
  const { params, chain, anchorTime, now } = options;
  const { medianTimePast, tip } = chain;
  const parent = { height: tip.height, time: tip.header.time };
  const place = { height: tip.height + 1, medianTimePast };
  const fault =
    checkHeaderInContext(block.header, { parent, anchorTime, medianTimePast, now }, params) ??
    checkBlock(block, params, { proofOfWork: false }) ??
    checkBlockInContext(block, place, params);
  if (fault !== null) return fail(fault);
  const context = {
    ...place,
    medianTimePastAt: (height: number) => chain.medianTimePastAt(height),
    coin: (key: Parameters<ChainView['coin']>[0]) => chain.coin(key),
    verified: (wtxid: Wtxid) => options.verified(wtxid),
  };
  const connected = connectBlock(block, context, params);
  if (!connected.ok) return connected;
  const { checks, checkOwners } = connected.value;
  return ok({
    checks,
    rejectOf: (failed) => {
      const { tx, input } = checkOwners(failed);
      return rejectScript('Invalid Schnorr signature', `input ${input} of ${tx.txid} (wtxid ${tx.wtxid})`);
    },
  });
}
