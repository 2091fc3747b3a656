/** Puts a block through all of consensus, in the order of `submitblock`: A5, A4, A6, A7, signatures. */
import type { Block } from '../../consensus/block.ts';
import type { Bytes, OutPointKey } from '../../consensus/brand.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { checkHeader } from '../../consensus/check-header.ts';
import { type ConnectContext, type Connection, connectBlock } from '../../consensus/connect-block.ts';
import { type Reject, rejectScript } from '../../consensus/reject.ts';
import { CHECK_SIZE, verifySchnorr } from '../../consensus/signature.ts';
import type { Coin } from '../../consensus/transaction.ts';
import type { TestChain } from './chain-builder.ts';

/** The context in which the next block of `chain` is connected. */
export function contextOf(chain: TestChain, coins: ReadonlyMap<OutPointKey, Coin>): ConnectContext {
  return {
    height: chain.height + 1,
    medianTimePast: chain.medianTimePastAt(chain.height),
    medianTimePastAt: (height) => chain.medianTimePastAt(height),
    coin: (key) => coins.get(key),
    verified: () => false,
  };
}

/** The index of the first packed check that does not hold, or -1. */
export function firstFailure(checks: Bytes): number {
  for (let at = 0; at < checks.length; at += CHECK_SIZE) {
    const check = checks.subarray(at, at + CHECK_SIZE);
    if (!verifySchnorr(check.subarray(0, 32), check.subarray(32, 64), check.subarray(64))) return at / CHECK_SIZE;
  }
  return -1;
}

/** What is wrong with `block` on top of `chain`, whose coins are given; or what it changes. */
export function judge(
  chain: TestChain,
  coins: ReadonlyMap<OutPointKey, Coin>,
  block: Block,
  now: number,
): Reject | Connection {
  const { params } = chain;
  const context = contextOf(chain, coins);
  const { height, time } = chain.place;
  const headerContext = {
    parent: { height, time },
    anchorTime: 0,
    medianTimePast: context.medianTimePast,
    now,
  };
  const early =
    checkBlock(block, params) ??
    checkHeader(block.header, headerContext, params) ??
    checkBlockInContext(block, context, params);
  if (early !== null) return early;
  const connection = connectBlock(block, context, params);
  if (!connection.ok) return connection.error;
  return firstFailure(connection.value.checks) === -1 ? connection.value : rejectScript('Invalid Schnorr signature');
}

export function isReject(answer: Reject | Connection): answer is Reject {
  return 'reason' in answer;
}
